package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"syscall"
)

// cost of one request.
type cost struct {
	Nanos  float64 `json:"ns_op"` // processor time
	Bytes  float64 `json:"b_op"`
	Allocs float64 `json:"allocs_op"`
}

func (c cost) less(other cost) cost {
	return cost{tenth(c.Nanos - other.Nanos), tenth(c.Bytes - other.Bytes), tenth(c.Allocs - other.Allocs)}
}

func tenth(x float64) float64 { return math.Round(10*x) / 10 }

// measure lets the sides take turns and returns the least cost of each.
func measure(ctx context.Context, sides []side, rounds, requests int) (map[string]cost, error) {
	seen := make(map[string][]cost)
	for round := range rounds + 1 { // the first one warms up
		for _, s := range sides {
			if ctx.Err() != nil {
				return nil, errors.New("interrupted")
			}
			c, err := turn(s.do, requests)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				seen[s.name] = append(seen[s.name], c)
			}
		}
	}
	out := make(map[string]cost)
	for name, costs := range seen {
		out[name] = cost{
			Nanos:  least(costs, func(c cost) float64 { return c.Nanos }),
			Bytes:  least(costs, func(c cost) float64 { return c.Bytes }),
			Allocs: least(costs, func(c cost) float64 { return c.Allocs }),
		}
	}
	return out, nil
}

// turn is one round of one side. It begins with a collection, so that no side
// pays for another's garbage.
func turn(do func(), requests int) (cost, error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	from, err := processorTime()
	if err != nil {
		return cost{}, err
	}
	for range requests {
		do()
	}
	to, err := processorTime()
	if err != nil {
		return cost{}, err
	}
	runtime.ReadMemStats(&after)
	n := float64(requests)
	return cost{
		Nanos:  float64(to-from) / n,
		Bytes:  float64(after.TotalAlloc-before.TotalAlloc) / n,
		Allocs: float64(after.Mallocs-before.Mallocs) / n,
	}, nil
}

func processorTime() (nanos int64, err error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	return used.Utime.Nano() + used.Stime.Nano(), nil
}

// least is the figure of the round that was disturbed least: other programs on
// the machine only ever add.
func least(costs []cost, of func(cost) float64) float64 {
	lowest := math.Inf(1)
	for _, c := range costs {
		lowest = min(lowest, of(c))
	}
	return tenth(lowest)
}
