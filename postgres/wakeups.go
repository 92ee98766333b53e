package postgres

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
)

const (
	// maxWakes bounds the operations whose end is still to be told; of more,
	// those who wait learn by asking.
	maxWakes = 4096
	// wakesPerCall fit into one notification of at most 8000 bytes.
	wakesPerCall = 240
	// wakeGap is between two notifications of one store.
	wakeGap = 10 * time.Millisecond
	// listenIdle is how long the connection that listens outlives the last
	// request that waited.
	listenIdle   = 30 * time.Second
	listenPause  = time.Second
	wakeTimeout  = 5 * time.Second
	wakeIDLength = 2 * len(onceward.ID{})
)

// wakeups tell other processes which operations have ended, after the commit, and
// learn it from them. It is a convenience: notifications are sent outside of the
// transactions, because PostgreSQL commits those that notify one after the other.
//
// Goroutines live while there is something to tell or somebody who waits.
type wakeups struct {
	pool    *pgxpool.Pool // to tell
	listen  *pgx.ConnConfig
	channel string
	off     bool
	ctx     context.Context //nolint:containedctx // the life of the store
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	pending   []onceward.ID
	telling   bool
	watchers  map[onceward.ID][]chan struct{}
	listening bool
}

func newWakeups(own *pgxpool.Pool, cfg Config) *wakeups {
	ctx, cancel := context.WithCancel(context.Background())
	w := &wakeups{
		pool: own, listen: cfg.Listen, channel: "onceward_" + cfg.Schema, off: cfg.NoWakeups,
		ctx: ctx, cancel: cancel, watchers: make(map[onceward.ID][]chan struct{}),
	}
	if w.listen == nil {
		w.listen = own.Config().ConnConfig
	}
	return w
}

// close ends the goroutines.
func (w *wakeups) close() {
	w.mu.Lock()
	w.cancel()
	w.mu.Unlock()
	w.running.Wait()
}

// ended tells that operations have ended.
func (w *wakeups) ended(ids ...onceward.ID) {
	if w.off || len(ids) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.wakeLocked(id)
	}
	w.pending = append(w.pending, ids[:min(len(ids), maxWakes-len(w.pending))]...)
	if !w.telling && w.ctx.Err() == nil {
		w.telling = true
		w.running.Go(w.tell)
	}
}

// tell sends what is pending until nothing is.
func (w *wakeups) tell() {
	for {
		w.mu.Lock()
		n := min(len(w.pending), wakesPerCall)
		ids := w.pending[:n:n]
		w.pending = w.pending[n:]
		if n == 0 {
			w.pending, w.telling = nil, false
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		w.send(ids)
		if !sleep(w.ctx, wakeGap) {
			return
		}
	}
}

func (w *wakeups) send(ids []onceward.ID) {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(hex.EncodeToString(id[:]))
	}
	ctx, cancel := context.WithTimeout(w.ctx, wakeTimeout)
	defer cancel()
	// An error means that somebody learns of it by asking.
	_, _ = w.pool.Exec(ctx, "SELECT pg_notify($1::text, $2::text)", w.channel, b.String())
}

// Watch implements onceward.Waker.
func (s *Store) Watch(key onceward.Key) (wake <-chan struct{}, stop func()) {
	w := s.wakeups
	id, ch := key.ID(), make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.off || w.ctx.Err() != nil {
		return nil, func() {}
	}
	w.watchers[id] = append(w.watchers[id], ch)
	if !w.listening {
		w.listening = true
		w.running.Go(w.hear)
	}
	return ch, func() { w.unwatch(id, ch) }
}

func (w *wakeups) unwatch(id onceward.ID, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var left []chan struct{}
	for _, other := range w.watchers[id] {
		if other != ch {
			left = append(left, other)
		}
	}
	if w.watchers[id] = left; len(left) == 0 {
		delete(w.watchers, id)
	}
}

func (w *wakeups) wakeLocked(id onceward.ID) {
	for _, ch := range w.watchers[id] {
		select {
		case ch <- struct{}{}:
		default: // it has not looked since the last one
		}
	}
}

// hear listens for as long as somebody waits, and a while longer.
func (w *wakeups) hear() {
	for w.ctx.Err() == nil {
		if w.hearOnce() == nil || w.idle() {
			return
		}
		sleep(w.ctx, listenPause) // then again; meanwhile those who wait ask
	}
}

// idle reports whether nobody waits; then it has ended the listening.
func (w *wakeups) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.watchers) > 0 {
		return false
	}
	w.listening = false
	return true
}

// hearOnce listens on one connection. It returns nil when nobody waits any more.
func (w *wakeups) hearOnce() error {
	ctx, cancel := context.WithTimeout(w.ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, w.listen)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+quote(w.channel)); err != nil {
		return err
	}
	w.wakeAll() // what has ended before we listened
	for {
		quiet, cancel := context.WithTimeout(w.ctx, listenIdle)
		n, err := conn.WaitForNotification(quiet)
		cancel()
		switch {
		case err == nil:
			w.heard(n.Payload)
		case quiet.Err() == nil || w.ctx.Err() != nil || conn.IsClosed():
			return err
		case w.idle():
			return nil
		}
	}
}

func (w *wakeups) heard(payload string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ; len(payload) >= wakeIDLength; payload = payload[wakeIDLength:] {
		var id onceward.ID
		if _, err := hex.Decode(id[:], []byte(payload[:wakeIDLength])); err != nil {
			return
		}
		w.wakeLocked(id)
	}
}

func (w *wakeups) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.watchers {
		w.wakeLocked(id)
	}
}
