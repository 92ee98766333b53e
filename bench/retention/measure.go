package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/bench/internal/load"
	"github.com/onceward/onceward/bench/internal/stores"
	"github.com/onceward/onceward/bench/internal/traffic"
	"github.com/onceward/onceward/postgres"
)

// table is a store, filled, and the clock of its records.
type table struct {
	cfg   config
	store *stores.Opened
	rep   *report
	begun time.Time
	keep  time.Duration // how long a record lives, so that as many come as go

	keys  atomic.Int64
	swept atomic.Int64
	// base and since are the clock by which records expire: it stands at base
	// until the sweeps begin.
	base  time.Time
	since time.Time
}

var response = traffic.Response(512)

// measure goes through all phases.
func measure(ctx context.Context, cfg config, progress io.Writer) (rep *report, err error) {
	store, err := stores.Start(ctx, cfg.store, stores.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	if store.Postgres == nil {
		return nil, errors.New("-store: this measures PostgreSQL")
	}
	t := &table{
		cfg: cfg, store: store, rep: newReport(cfg), begun: time.Now(),
		base: time.Now(),
	}
	t.keep = time.Duration(float64(cfg.rows-t.expired()) / cfg.rate * float64(time.Second))
	fmt.Fprintf(progress, "loading %d records\n", cfg.rows)
	if err := t.fill(ctx); err != nil {
		return nil, err
	}
	for _, p := range []struct {
		name string
		run  func(context.Context, *phase) error
	}{{"quiet", t.quiet}, {"backlog", t.backlog}, {"steady", t.steady}, {"quiet again", t.quiet}} {
		fmt.Fprintf(progress, "phase: %s\n", p.name)
		if err := t.phase(ctx, p.name, p.run); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return t.rep, nil
}

// expired is how many records have, when the sweeps begin.
func (t *table) expired() int64 { return t.cfg.rows / 5 }

// scope of all keys.
const scope = "retention"

// fill loads the records: a fifth has expired when the sweeps begin, the others
// expire one after the other.
func (t *table) fill(ctx context.Context) error {
	expired := t.expired()
	each := t.keep / time.Duration(t.cfg.rows-expired)
	begun := time.Now()
	err := t.store.Load(ctx, t.cfg.rows, func(i int64) onceward.Record {
		made := t.base.Add(-time.Hour)
		expires := t.base.Add(-time.Second)
		if i >= expired {
			expires = t.base.Add(time.Duration(i-expired+1) * each)
		}
		return traffic.Record(traffic.Key(scope, t.keys.Add(1)), response, made, expires)
	})
	if err != nil {
		return err
	}
	t.rep.LoadRate = float64(t.cfg.rows) / time.Since(begun).Seconds()
	return t.sample(ctx)
}

// now is the time by which records expire.
func (t *table) now() time.Time {
	if t.since.IsZero() {
		return t.base
	}
	return t.base.Add(time.Since(t.since))
}

// phase runs one phase, reading the sizes meanwhile.
func (t *table) phase(ctx context.Context, name string, run func(context.Context, *phase) error) error {
	p := &phase{Name: name}
	watched, stop := context.WithCancel(ctx)
	var sampled error
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(t.cfg.samples)
		defer tick.Stop()
		for sampled == nil {
			select {
			case <-tick.C:
				sampled = t.sample(ctx)
			case <-watched.Done():
				return
			}
		}
	})
	before := t.swept.Load()
	begun := time.Now()
	err := run(ctx, p)
	p.Seconds = time.Since(begun).Seconds()
	stop()
	watching.Wait()
	if err := errors.Join(err, sampled); err != nil {
		return err
	}
	p.Swept = t.swept.Load() - before
	t.rep.Phases = append(t.rep.Phases, p)
	return t.sample(ctx)
}

func (t *table) quiet(ctx context.Context, p *phase) error { return t.write(ctx, ctx, p, t.cfg.quiet) }

// write sends new keys for d, or until stop ends.
func (t *table) write(ctx, stop context.Context, p *phase, d time.Duration) error {
	res := load.Paced(stop, t.cfg.callers, t.cfg.rate, d, func(context.Context, int) error {
		return traffic.Write(ctx, t.store, traffic.Key(scope, t.keys.Add(1)), response, t.now().Add(t.keep))
	})
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case res.Failed > 0:
		return fmt.Errorf("%d requests failed, the first with: %w", res.Failed, res.First)
	}
	p.Rate, p.P50, p.P99 = res.Rate(), res.Millis(0.5), res.Millis(0.99)
	return nil
}

// sweeper returns an engine whose clock is that of the records, on a store of its
// own: any instance may sweep.
func (t *table) sweeper(ctx context.Context, rate int) (eng *onceward.Engine, done func() error, err error) {
	pg := t.store.Postgres
	s, err := postgres.Open(ctx, pg.Pool, postgres.Config{Schema: pg.Schema, SweepRate: rate})
	if err != nil {
		return nil, nil, err
	}
	done = func() error { return s.Close(context.WithoutCancel(ctx)) }
	if eng, err = onceward.New(s, onceward.Config{Now: t.now}); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return eng, done, nil
}

// backlog deletes what has expired by now, as fast as it goes.
func (t *table) backlog(ctx context.Context, p *phase) (err error) {
	t.since = time.Now()
	eng, done, err := t.sweeper(ctx, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	busy, stop := context.WithCancel(ctx)
	defer stop()
	var written error
	var writing sync.WaitGroup
	writing.Go(func() { written = t.write(ctx, busy, p, math.MaxInt64) })
	begun := time.Now()
	for total := int64(0); err == nil && total < t.expired(); {
		var n int
		if n, err = eng.Sweep(ctx); err == nil && n == 0 {
			err = fmt.Errorf("sweeps ended after %d of %d expired records", total, t.expired())
		}
		total += int64(n)
		t.swept.Add(int64(n))
	}
	p.SweepSeconds = time.Since(begun).Seconds()
	stop()
	writing.Wait()
	return errors.Join(err, written)
}

// steady lets the engine sweep as it does.
func (t *table) steady(ctx context.Context, p *phase) (err error) {
	eng, done, err := t.sweeper(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	busy, stop := context.WithCancel(ctx)
	defer stop()
	var swept error
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		tick := time.NewTicker(t.cfg.sweeps)
		defer tick.Stop()
		for {
			begun := time.Now()
			n, err := eng.Sweep(ctx)
			p.SweepSeconds += time.Since(begun).Seconds()
			t.swept.Add(int64(n))
			if err != nil {
				swept = err
				return
			}
			select {
			case <-tick.C:
			case <-busy.Done():
				return
			}
		}
	})
	err = t.write(ctx, ctx, p, t.cfg.steady)
	stop()
	sweeping.Wait()
	return errors.Join(err, swept)
}
