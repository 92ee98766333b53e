package serving

import (
	"context"
	"net"
	"sync"
)

// listener bounds the open connections of the listener that it wraps.
type listener struct {
	net.Listener
	open *turns
}

// Accept waits for a connection for which there is room.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		out := &conn{Conn: c}
		var ok bool
		if out.turn, ok = l.open.enter(func() { _ = c.Close() }); ok { // a broken connection is as good
			return out, nil
		}
		_ = c.Close() // there is no room, and nobody is told why
	}
}

// conn tells its set when it is heard of, and when it ends.
type conn struct {
	net.Conn
	turn  *turn
	leave sync.Once
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.turn.touch()
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.leave.Do(c.turn.leave)
	return c.Conn.Close()
}

type turnKey struct{}

// withTurn remembers the connection of a request.
func withTurn(ctx context.Context, c net.Conn) context.Context {
	for c != nil {
		switch inner := c.(type) {
		case *conn:
			return context.WithValue(ctx, turnKey{}, inner.turn)
		case interface{ NetConn() net.Conn }: // of TLS
			c = inner.NetConn()
		default:
			return ctx
		}
	}
	return ctx
}
