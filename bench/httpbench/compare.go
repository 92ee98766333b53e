package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward/bench/internal/load"
	"github.com/onceward/onceward/bench/internal/wire"
	"github.com/onceward/onceward/oncehttp"
)

// workload is a kind of request.
type workload string

const (
	newKeys workload = "new keys"
	replays workload = "replays"
)

// cell is one figure of the comparison.
type cell struct {
	System      string   `json:"system"`
	Workload    workload `json:"workload"`
	Connections int      `json:"connections"`
	Requests    int64    `json:"requests"`
	Rate        float64  `json:"req_s"`
	P50         float64  `json:"p50_ms"`
	P99         float64  `json:"p99_ms"`
	// CPU is the processor time of the server, and of what it keeps its records
	// in, for one request. Other programs on the machine hardly change it.
	CPU float64 `json:"cpu_us"`
	// RoundRates shows the noise.
	RoundRates []float64 `json:"round_req_s"`
	res        load.Result
	cpu        time.Duration
}

// compare runs everything.
func compare(ctx context.Context, cfg config, progress io.Writer) (rep *report, err error) {
	f, err := start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	rep = &report{CPUs: runtime.NumCPU(), Rounds: cfg.rounds, Seconds: cfg.duration.Seconds()}
	for _, s := range f.systems {
		rep.Systems = append(rep.Systems, *s)
	}
	keys := &keySource{}
	for _, n := range cfg.connections {
		for _, w := range []workload{newKeys, replays} {
			fmt.Fprintf(progress, "%d connections, %s\n", n, w)
			cells, err := takeTurns(ctx, cfg, f.systems, n, w, keys)
			if err != nil {
				return nil, err
			}
			rep.Cells = append(rep.Cells, cells...)
		}
	}
	return rep, nil
}

// takeTurns measures all systems with one workload.
func takeTurns(ctx context.Context, cfg config, all []*system, n int, w workload, keys *keySource) ([]*cell, error) {
	cells := make([]*cell, len(all))
	clients := make([]*client, len(all))
	for i, s := range all {
		cells[i] = &cell{System: s.Name, Workload: w, Connections: n}
		c, err := connect(ctx, s, n, w, keys)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		clients[i] = c
		defer c.close()
	}
	for round := range cfg.rounds + 1 { // the first one warms up
		for i := range all {
			at := (i + round) % len(all) // nobody always follows the same one
			res, used, err := turn(ctx, cfg, all[at], n, clients[at])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", all[at].Name, err)
			}
			if round > 0 {
				cells[at].RoundRates = append(cells[at].RoundRates, res.Rate())
				cells[at].res.Merge(res)
				cells[at].cpu += used
			}
		}
	}
	for _, c := range cells {
		c.Requests, c.Rate = c.res.Latency.Count(), c.res.Rate()
		c.P50, c.P99 = c.res.Millis(0.5), c.res.Millis(0.99)
		c.CPU = float64(c.cpu.Microseconds()) / float64(max(c.Requests, 1))
	}
	return cells, nil
}

// turn is one round of one system.
func turn(ctx context.Context, cfg config, s *system, n int, c *client) (res *load.Result, used time.Duration, err error) {
	before, err := s.cpu()
	if err != nil {
		return nil, 0, err
	}
	res = load.Run(ctx, n, cfg.duration, c.request)
	switch {
	case ctx.Err() != nil:
		return nil, 0, errors.New("interrupted")
	case res.Failed > 0:
		return nil, 0, fmt.Errorf("%d requests failed, the first with: %w", res.Failed, res.First)
	}
	after, err := s.cpu()
	return res, after - before, err
}

// keySource makes keys of 36 characters, as UUIDs are.
type keySource struct{ last atomic.Int64 }

func (k *keySource) next(buf []byte) []byte {
	const shape = "7d1f0c52-93aa-4b1e-8f00-000000000000"
	buf = append(buf[:0], shape...)
	digits := strconv.AppendInt(nil, k.last.Add(1), 10)
	copy(buf[len(buf)-len(digits):], digits)
	return buf
}

// client is the load on one server.
type client struct {
	conns      []*wire.Conn
	keys       *keySource
	replayed   [][]byte // keys with an answer; nil for new ones
	marks      bool     // replays carry a header that says so
	head, tail []byte
	scratch    [][]byte // a key, one for each connection
}

const (
	body = `{"to":"account-4711","amount":"12.50","currency":"EUR"}`
	// answered is how many keys the replays are spread over.
	answered = 1000
)

// connect opens the connections and, for replays, makes the answers.
func connect(ctx context.Context, s *system, n int, w workload, keys *keySource) (*client, error) {
	c := &client{
		keys:    keys,
		scratch: make([][]byte, n),
		head: []byte("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
			strconv.Itoa(len(body)) + "\r\n" + oncehttp.DefaultHeader + ": "),
		tail: []byte("\r\n\r\n" + body),
	}
	for range n {
		conn, err := wire.Dial(ctx, s.address)
		if err != nil {
			c.close()
			return nil, err
		}
		c.conns = append(c.conns, conn)
	}
	if w == newKeys || s.Bare {
		return c, nil
	}
	made := make([][]byte, answered)
	for i := range made {
		made[i] = keys.next(nil)
		if err := c.send(0, made[i]); err != nil {
			c.close()
			return nil, err
		}
	}
	c.replayed = made
	c.marks = s.marks()
	return c, nil
}

func (c *client) close() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// request is a load.Request.
func (c *client) request(_ context.Context, caller int) error {
	if c.replayed == nil {
		c.scratch[caller] = c.keys.next(c.scratch[caller])
		return c.send(caller, c.scratch[caller])
	}
	return c.send(caller, c.replayed[int(c.keys.last.Add(1))%len(c.replayed)])
}

func (c *client) send(caller int, key []byte) error {
	a, err := c.conns[caller].Do(c.head, key, c.tail)
	switch {
	case err != nil:
		return err
	case a.Status != 201 || a.Length != int64(len(answerBody)):
		return fmt.Errorf("status %d with %d bytes, want 201 with %d", a.Status, a.Length, len(answerBody))
	case c.marks && !a.Replayed:
		return errors.New("an answer that should be a replay does not say so")
	}
	return nil
}
