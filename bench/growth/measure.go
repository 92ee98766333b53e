package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/bench/internal/load"
	"github.com/onceward/onceward/bench/internal/stores"
)

// row is what was seen at one size.
type row struct {
	Keys     int64   `json:"keys"`
	New      figures `json:"new_keys"`
	Replay   figures `json:"replays"`
	FillRate float64 `json:"fill_s"` // keys a second while the store grew
	// MemoryMiB is the resident memory of this process after the measurement,
	// FilesMiB what an SQLite store has on disk.
	MemoryMiB float64 `json:"memory_mib"`
	FilesMiB  float64 `json:"files_mib"`
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
	path, cleanUp, err := filePath(cfg.store)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cleanUp()) }()
	if path != "" {
		cfg.store = "sqlite:" + path
	}
	store, err := stores.Open(ctx, cfg.store, stores.Options{Callers: cfg.callers})
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
		if r.FilesMiB, err = filesMiB(path); err != nil {
			return nil, err
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

// fill creates keys with many callers, since each waits for its commit.
func (g *grower) fill(ctx context.Context, size int64) error {
	const fillers = 512
	var next atomic.Int64
	next.Store(g.last.Load())
	res := load.Run(ctx, fillers, 100*365*24*time.Hour, func(ctx context.Context, _ int) error {
		n := next.Add(1)
		if n > size {
			return load.ErrDone
		}
		return g.create(ctx, n)
	})
	g.last.Store(max(g.last.Load(), size))
	return usable(ctx, res)
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

var (
	fingerprint = make([]byte, 32)
	response    = &onceward.Response{
		Status: 200, Header: map[string][]string{"Content-Type": {"application/json"}}, Body: make([]byte, 512),
	}
)

// claim asks for the n-th key. Its text does not grow with n, as a UUID's.
func (g *grower) claim(ctx context.Context, n int64) (onceward.ClaimResult, error) {
	now := time.Now()
	// Multiplying by an odd number scatters the keys, as random ones are.
	scattered := uint64(n) * 0x9e3779b97f4a7c15 //nolint:gosec // bits
	return g.store.Claim(ctx, onceward.ClaimRequest{
		Key:   onceward.Key{Scope: "growth", Value: "growth-" + strconv.FormatUint(scattered, 16)},
		Owner: onceward.NewOwner(), Token: now.UnixMicro(), Policy: onceward.Hold,
		Fingerprint: fingerprint, Retention: retention,
		Now: now, LeaseUntil: now.Add(30 * time.Second), ExpiresAt: onceward.Never,
	})
}

// retention is longer than any run.
const retention = 30 * 24 * time.Hour

func (g *grower) create(ctx context.Context, n int64) error {
	res, err := g.claim(ctx, n)
	if err != nil {
		return err
	}
	if !res.Won {
		return errors.New("a new key was taken: the store was not empty")
	}
	now := time.Now()
	err = g.store.Complete(ctx, onceward.CompleteRequest{
		Claim: res.Record.Claim(), Now: now, Status: onceward.StatusCompleted,
		Response: response, ExpiresAt: now.Add(retention),
	})
	if err == nil {
		g.done.Add(1)
	}
	return err
}

func (g *grower) replay(ctx context.Context, n int64) error {
	res, err := g.claim(ctx, n)
	if err == nil && (res.Won || res.Record.Response == nil) {
		err = errors.New("a completed key has no answer")
	}
	return err
}

// filePath returns the path of an SQLite store, made up if it has none, and ""
// for others.
func filePath(address string) (path string, cleanUp func() error, err error) {
	cleanUp = func() error { return nil }
	path, ok := strings.CutPrefix(address, "sqlite:")
	switch {
	case !ok:
		return "", cleanUp, nil
	case path != "":
		return path, cleanUp, nil
	}
	dir, err := os.MkdirTemp("", "onceward-growth-")
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(dir, "once.db"), func() error { return os.RemoveAll(dir) }, nil
}

func filesMiB(path string) (total float64, err error) {
	if path == "" {
		return 0, nil
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			return 0, err
		}
		total += float64(info.Size()) / (1 << 20)
	}
	return total, nil
}

// residentMiB reads what the system says about this process.
func residentMiB() (float64, error) {
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
