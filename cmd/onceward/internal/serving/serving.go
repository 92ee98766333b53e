// Package serving runs the servers and loops of one process and stops them
// together: the first that fails, or the end of the context, drains all.
//
// A server that is told to stop refuses new connections and gives the
// requests under way Grace to finish.
package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Grace is how long requests under way may take once the process stops.
const Grace = 25 * time.Second

// Limits on what one connection may cost.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = time.Minute
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
)

// Group is a set of servers and loops. Use NewGroup.
type Group struct {
	log     *slog.Logger
	ctx     context.Context //nolint:containedctx // ends every member
	cancel  context.CancelCauseFunc
	members sync.WaitGroup
	servers []*http.Server
}

// NewGroup returns an empty group.
func NewGroup(log *slog.Logger) *Group {
	g := &Group{log: log}
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

// Serve serves h on l until the group stops.
func (g *Group) Serve(name string, l net.Listener, h http.Handler) {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
	}
	g.servers = append(g.servers, srv)
	g.members.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			g.cancel(fmt.Errorf("%s server: %w", name, err))
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
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), Grace)
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
