package serving

import (
	"cmp"
	"time"
)

// Limits on what clients can make a server use. A zero field means its
// default.
type Limits struct {
	// MaxConnections bounds the open connections. When they are all taken, the
	// one that has been silent longest, and on which no request is being
	// answered, makes room. Default 10,000.
	MaxConnections int
	// MaxRequests bounds the requests that are being answered; more get 503
	// with Retry-After. Default 1,024.
	MaxRequests int
	// HeaderTimeout bounds the time for a request's header, and for a TLS
	// handshake. Default 10 s.
	HeaderTimeout time.Duration
	// HeaderBytes bounds the header. Default 64 KiB.
	HeaderBytes int
	// BodyTimeout bounds a pause in a request's body. After the first such
	// time a body must also have brought minRate on average. Default 30 s.
	BodyTimeout time.Duration
	// WriteTimeout bounds the time that a client takes none of an answer's
	// bytes. Default 30 s.
	WriteTimeout time.Duration
	// IdleTimeout bounds the time between two requests. Default 2 min.
	IdleTimeout time.Duration
}

const (
	// minRate is the slowest body, in bytes a second.
	minRate = 1 << 10
	// smallBody is the largest body that is read before its request counts
	// towards MaxRequests, in bytes. Times MaxConnections, it bounds the
	// memory of requests that are still arriving.
	smallBody = 16 << 10
	// maxStreams bounds the requests on one HTTP/2 connection.
	maxStreams = 100
	// streamBuffer and connBuffer bound what an HTTP/2 client may send ahead,
	// in bytes. An upload that a backend does not take must leave room for
	// the others on its connection: they would look like pausing clients.
	streamBuffer = 256 << 10
	connBuffer   = 1 << 20
)

func (l Limits) withDefaults() Limits {
	l.MaxConnections = cmp.Or(l.MaxConnections, 10_000)
	l.MaxRequests = cmp.Or(l.MaxRequests, 1024)
	l.HeaderTimeout = cmp.Or(l.HeaderTimeout, 10*time.Second)
	l.HeaderBytes = cmp.Or(l.HeaderBytes, 64<<10)
	l.BodyTimeout = cmp.Or(l.BodyTimeout, 30*time.Second)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 30*time.Second)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, 2*time.Minute)
	return l
}
