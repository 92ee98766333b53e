package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/bench/internal/load"
	"github.com/onceward/onceward/bench/internal/stores"
	"github.com/onceward/onceward/bench/internal/traffic"
)

type config struct {
	store    string
	callers  int
	duration time.Duration
	rounds   int
	bytes    int
	buckets  int
}

// maxCallers keeps a slip of the finger from taking the machine down.
const maxCallers = 100_000

func (c *config) validate() error {
	switch {
	case c.callers < 1 || c.callers > maxCallers:
		return fmt.Errorf("-callers %d: give 1 to %d", c.callers, maxCallers)
	case c.rounds < 1 || c.rounds > 1000:
		return fmt.Errorf("-rounds %d: give 1 to 1000", c.rounds)
	case c.duration/time.Duration(c.rounds) < time.Millisecond:
		return fmt.Errorf("-duration %v: each of the %d rounds needs a millisecond", c.duration, c.rounds)
	case c.bytes < 0 || c.bytes > 1<<20:
		return fmt.Errorf("-bytes %d: give 0 to %d", c.bytes, 1<<20)
	}
	return nil
}

// side is one way of committing.
type side struct {
	store *stores.Opened
	res   load.Result
	rates []float64 // of every round
	// own and server are the processor time of this process and of the store's.
	own, server time.Duration
}

// measure runs both sides in turn.
func measure(ctx context.Context, cfg config) (rep *report, err error) {
	address, stop, err := stores.Serve(ctx, cfg.store)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	var grouped, single side
	for _, s := range []struct {
		*side
		perRequest bool
	}{{&grouped, false}, {&single, true}} {
		s.store, err = stores.Open(ctx, address, stores.Options{PerRequest: s.perRequest, Buckets: cfg.buckets})
		if err != nil {
			return nil, err
		}
		closing := s.store.Close
		defer func() { err = errors.Join(err, closing(context.WithoutCancel(ctx))) }()
	}
	keys := &keys{prefix: strconv.FormatInt(time.Now().UnixNano(), 36)}
	length := cfg.duration / time.Duration(cfg.rounds)
	warm := min(length, 2*time.Second)
	for round := range cfg.rounds + 1 { // the first one warms up
		order := []*side{&grouped, &single}
		if round%2 == 1 {
			order = []*side{&single, &grouped}
		}
		for _, s := range order {
			if round == 0 {
				err = s.warmUp(ctx, cfg, keys, warm)
			} else {
				err = s.round(ctx, cfg, keys, length)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return newReport(cfg, &grouped, &single), nil
}

func (s *side) warmUp(ctx context.Context, cfg config, keys *keys, d time.Duration) error {
	res := load.Run(ctx, cfg.callers, d, s.request(keys, cfg.bytes))
	return complete(ctx, res)
}

// round adds one turn to the side's figures.
func (s *side) round(ctx context.Context, cfg config, keys *keys, d time.Duration) error {
	runtime.GC() // what the other side left behind is not this one's work
	own, server, err := s.cpu()
	if err != nil {
		return err
	}
	res := load.Run(ctx, cfg.callers, d, s.request(keys, cfg.bytes))
	if err := complete(ctx, res); err != nil {
		return err
	}
	ownAfter, serverAfter, err := s.cpu()
	if err != nil {
		return err
	}
	s.own += ownAfter - own
	s.server += serverAfter - server
	s.rates = append(s.rates, res.Rate())
	s.res.Merge(res)
	return nil
}

// complete refuses figures that leave something out.
func complete(ctx context.Context, res *load.Result) error {
	if err := ctx.Err(); err != nil {
		return errors.New("interrupted")
	}
	if res.Failed > 0 {
		return fmt.Errorf("%d requests failed, the first with: %w", res.Failed, res.First)
	}
	return nil
}

func (s *side) cpu() (own, server time.Duration, err error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, 0, fmt.Errorf("processor time: %w", err)
	}
	if s.store.ServerCPU != nil {
		if server, err = s.store.ServerCPU(); err != nil {
			return 0, 0, fmt.Errorf("processor time of the server: %w", err)
		}
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), server, nil
}

// keys makes keys that no run has used before.
type keys struct {
	prefix string
	last   atomic.Int64
}

func (k *keys) next() string {
	return "bench-" + k.prefix + "-" + strconv.FormatInt(k.last.Add(1), 10)
}

// request returns one claim and one completion.
func (s *side) request(keys *keys, size int) load.Request {
	response := traffic.Response(size)
	return func(ctx context.Context, caller int) error {
		key := onceward.Key{Scope: "caller-" + strconv.Itoa(caller), Value: keys.next()}
		return traffic.Write(ctx, s.store, key, response, time.Now().Add(24*time.Hour))
	}
}
