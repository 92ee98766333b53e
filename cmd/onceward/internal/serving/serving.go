// Package serving runs the servers and loops of one process and stops them
// together: the first that fails, or the end of the context, drains all.
//
// A server that is told to stop refuses new connections and gives the
// requests under way Grace to finish.
package serving

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Grace is how long requests under way may take once the process stops,
// unless Drain says otherwise.
const Grace = 25 * time.Second

// Group is a set of servers and loops. Use NewGroup.
type Group struct {
	log     *slog.Logger
	ctx     context.Context //nolint:containedctx // ends every member
	cancel  context.CancelCauseFunc
	members sync.WaitGroup
	servers []*http.Server
	grace   time.Duration
	delay   time.Duration
	notice  func()
}

// NewGroup returns an empty group.
func NewGroup(log *slog.Logger) *Group {
	g := &Group{log: log, grace: Grace, notice: func() {}}
	g.ctx, g.cancel = context.WithCancelCause(context.Background())
	return g
}

// Listen opens a TCP listener; flag names the setting in the error.
func Listen(ctx context.Context, addr, flag string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w (choose another address with %s)", addr, err, flag)
	}
	return l, nil
}

// Drain sets how the group stops: notice is called, then everything goes on
// for delay, so that load balancers can look elsewhere, then requests under
// way get grace to finish.
func (g *Group) Drain(notice func(), delay, grace time.Duration) {
	g.notice, g.delay, g.grace = notice, delay, grace
}

// Server is what Serve serves.
type Server struct {
	Name     string
	Listener net.Listener
	Handler  http.Handler
	// TLS of the listener. Nil serves in clear.
	TLS *tls.Config
	// H2C admits HTTP/2 in clear, from clients that begin with it.
	H2C    bool
	Limits Limits
}

// Serve serves HTTP/1.1 and HTTP/2, in clear only with H2C, until the group
// stops.
func (g *Group) Serve(s Server) {
	limits := s.Limits.withDefaults()
	srv := &http.Server{
		Handler:           newRequests(s.Handler, limits),
		TLSConfig:         s.TLS,
		ReadHeaderTimeout: limits.HeaderTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    limits.HeaderBytes,
		ConnContext:       withTurn,
		Protocols:         new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, WriteByteTimeout: limits.WriteTimeout,
			MaxReceiveBufferPerStream: streamBuffer, MaxReceiveBufferPerConnection: connBuffer,
		},
		ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug), // what clients do is no news
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(s.H2C)
	g.servers = append(g.servers, srv)
	l := &listener{Listener: s.Listener, open: &turns{max: limits.MaxConnections}}
	g.members.Go(func() {
		serve := srv.Serve
		if s.TLS != nil {
			serve = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
		}
		if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
			g.cancel(fmt.Errorf("%s server: %w", s.Name, err))
		}
	})
}

// Go runs a loop until the group stops; an error of it stops the group.
func (g *Group) Go(name string, run func(context.Context) error) {
	g.members.Go(func() {
		if err := run(g.ctx); err != nil && g.ctx.Err() == nil {
			g.cancel(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// Stop ends every member at once; it is for a start that failed.
func (g *Group) Stop() {
	for _, srv := range g.servers {
		_ = srv.Close() // nothing was served yet
	}
	g.cancel(nil)
	g.members.Wait()
}

// Wait blocks until ctx ends or a member fails. It then drains the servers,
// the last one added first, ends the loops, and returns what failed.
func (g *Group) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-g.ctx.Done():
	}
	failed := context.Cause(g.ctx) //nolint:contextcheck // what failed ended the group, not the caller
	g.notice()
	if failed == nil && g.delay > 0 {
		timer := time.NewTimer(g.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-g.ctx.Done():
		}
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.grace)
	defer cancel()
	for _, srv := range slices.Backward(g.servers) {
		if err := srv.Shutdown(grace); err != nil {
			g.log.WarnContext(ctx, "requests were cut off; what they started is finished at the next start", "err", err)
			_ = srv.Close() // it has reported already
		}
	}
	g.cancel(nil)
	g.members.Wait()
	return failed
}
