//go:build torture

package crashpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	point, hits = parsePoint(os.Getenv("ONCEWARD_CRASH_AT"))
	skew        = parseSkew(os.Getenv("ONCEWARD_CLOCK_SKEW"))
	passed      atomic.Int64
)

// parsePoint reads "name=n". A mistake in a campaign must not pass for calm.
func parsePoint(s string) (name string, n int64) {
	if s == "" {
		return "", 0
	}
	name, count, _ := strings.Cut(s, "=")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		panic(fmt.Sprintf("ONCEWARD_CRASH_AT=%q: want NAME=COUNT", s))
	}
	return name, n
}

func parseSkew(s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(fmt.Sprintf("ONCEWARD_CLOCK_SKEW: %v", err))
	}
	return d
}

// Now is a clock that may be wrong.
func Now() time.Time { return time.Now().Add(skew) }

// pass kills the process if this is the moment.
func pass(when, what string) {
	if point != "" && point == when+" "+what && passed.Add(1) == hits {
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

// around runs a call between its two points.
func around[T any](what string, call func() (T, error)) (T, error) {
	pass("before", what)
	out, err := call()
	pass("after", what)
	return out, err
}
