// Package wire is a small HTTP/1.1 client for measuring: one connection, one
// request at a time, bytes prepared beforehand. The load generator shares the
// processors with what it measures, so it does as little as it can; it reads
// every answer to its end and checks nothing but status and length.
package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// Conn is one connection. It is not safe for concurrent use.
type Conn struct {
	conn net.Conn
	in   *bufio.Reader
	buf  []byte
}

// Dial connects to host:port.
func Dial(ctx context.Context, address string) (*Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &Conn{conn: conn, in: bufio.NewReaderSize(conn, 4<<10)}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Answer is what was read of an answer.
type Answer struct {
	Status   int
	Length   int64 // of the body
	Replayed bool  // it has a header that says so
}

// timeout of one exchange.
const timeout = 60 * time.Second

// Do sends the bytes of a request and reads the answer to its end.
func (c *Conn) Do(request ...[]byte) (Answer, error) {
	if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return Answer{}, err
	}
	c.buf = c.buf[:0]
	for _, part := range request {
		c.buf = append(c.buf, part...)
	}
	if _, err := c.conn.Write(c.buf); err != nil {
		return Answer{}, err
	}
	return c.read()
}

var errChunked = errors.New("wire: an answer without Content-Length; this client reads no chunks")

func (c *Conn) read() (a Answer, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return a, err
	}
	fields := bytes.Fields(line)
	if len(fields) < 2 || !bytes.HasPrefix(fields[0], []byte("HTTP/1.")) {
		return a, fmt.Errorf("wire: not an HTTP answer: %q", line)
	}
	if a.Status, err = strconv.Atoi(string(fields[1])); err != nil {
		return a, fmt.Errorf("wire: not a status: %q", line)
	}
	a.Length = -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if err := a.header(line); err != nil {
			return a, err
		}
	}
	if a.Length < 0 {
		return a, errChunked
	}
	_, err = io.CopyN(io.Discard, c.in, a.Length)
	return a, err
}

func (a *Answer) header(line []byte) (err error) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		a.Length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		if err != nil || a.Length < 0 {
			return fmt.Errorf("wire: not a length: %q", line)
		}
	case bytes.EqualFold(name, []byte("Idempotent-Replayed")):
		a.Replayed = true
	}
	return nil
}
