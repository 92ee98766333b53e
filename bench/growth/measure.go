package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/bench/internal/load"
	"github.com/onceward/onceward/bench/internal/stores"
	"github.com/onceward/onceward/bench/internal/traffic"
)

// row is what was seen at one size.
type row struct {
	Keys     int64   `json:"keys"`
	New      figures `json:"new_keys"`
	Replay   figures `json:"replays"`
	FillRate float64 `json:"fill_s"` // keys a second while the store grew
	// MemoryMiB is the resident memory of this process after the measurement,
	// DiskMiB what the keys take on the disk, indexes included.
	MemoryMiB float64 `json:"memory_mib"`
	DiskMiB   float64 `json:"disk_mib"`
}

type figures struct {
	Rate float64 `json:"req_s"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
}

// grower is a store and how many keys it holds.
type grower struct {
	store *stores.Opened
	cfg   config
	last  atomic.Int64 // keys handed out
	done  atomic.Int64 // keys completed
}

// measure grows one store through all sizes.
func measure(ctx context.Context, cfg config, progress io.Writer) (rows []row, err error) {
	store, err := stores.Start(ctx, cfg.store, stores.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	g := &grower{store: store, cfg: cfg}
	for _, size := range cfg.sizes {
		fmt.Fprintf(progress, "growing to %d keys\n", size)
		r, err := g.at(ctx, size)
		if err != nil {
			return nil, err
		}
		if store.Size != nil {
			size, err := store.Size(ctx)
			if err != nil {
				return nil, err
			}
			r.DiskMiB = size.Total()
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// at grows to size and measures there.
func (g *grower) at(ctx context.Context, size int64) (r row, err error) {
	begun, before := time.Now(), g.done.Load()
	if err := g.fill(ctx, size); err != nil {
		return r, err
	}
	if filled := g.done.Load() - before; filled > 0 {
		r.FillRate = float64(filled) / time.Since(begun).Seconds()
	}
	r.Keys = g.done.Load()
	all := g.done.Load() // the keys up to here have answers
	for _, step := range []struct {
		into    *figures
		request load.Request
	}{
		{&r.New, func(ctx context.Context, _ int) error { return g.create(ctx, g.last.Add(1)) }},
		{&r.Replay, func(ctx context.Context, _ int) error { return g.replay(ctx, 1+rand.Int64N(all)) }}, //nolint:gosec // any key will do
	} {
		res := load.Run(ctx, g.cfg.callers, g.cfg.duration, step.request)
		if err := usable(ctx, res); err != nil {
			return r, err
		}
		*step.into = figures{res.Rate(), res.Millis(0.5), res.Millis(0.99)}
	}
	r.MemoryMiB, err = residentMiB()
	return r, err
}

// fill loads what is missing: how fast is not what is measured.
func (g *grower) fill(ctx context.Context, size int64) error {
	first, missing := g.last.Load()+1, size-g.done.Load()
	if missing <= 0 {
		return nil
	}
	g.last.Add(missing)
	now := time.Now()
	err := g.store.Load(ctx, missing, func(i int64) onceward.Record {
		return traffic.Record(traffic.Key(scope, first+i), response, now, now.Add(retention))
	})
	g.done.Add(missing)
	return err
}

func usable(ctx context.Context, res *load.Result) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if res.Failed > 0 {
		return fmt.Errorf("%d requests failed, the first with: %w", res.Failed, res.First)
	}
	return nil
}

// scope of all keys.
const scope = "growth"

// retention is longer than any run.
const retention = 30 * 24 * time.Hour

var response = traffic.Response(512)

func (g *grower) create(ctx context.Context, n int64) error {
	err := traffic.Write(ctx, g.store, traffic.Key(scope, n), response, time.Now().Add(retention))
	if err == nil {
		g.done.Add(1)
	}
	return err
}

func (g *grower) replay(ctx context.Context, n int64) error {
	res, err := traffic.Claim(ctx, g.store, traffic.Key(scope, n), retention)
	if err == nil && (res.Won || res.Record.Response == nil) {
		err = errors.New("a completed key has no answer")
	}
	return err
}

// residentMiB reads what the system says about this process, once it has given
// back what it does not need: filling the store took memory of its own.
func residentMiB() (float64, error) {
	debug.FreeOSMemory()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("resident memory: %w (this needs Linux)", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 64)
			return kib / 1024, err
		}
	}
	return 0, errors.Join(lines.Err(), errors.New("resident memory: no VmRSS in /proc/self/status"))
}
