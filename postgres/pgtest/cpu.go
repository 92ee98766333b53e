package pgtest

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// clockTick is the unit of processor times in /proc: Linux has 100 of them in a
// second on everything that Go runs on.
const clockTick = 10 * time.Millisecond

// CPU returns the processor time that the server and all it has started have
// used so far, sessions that have ended included.
func (s *Server) CPU() (time.Duration, error) {
	if s.proc == nil {
		return 0, errors.New("pgtest: the server does not run")
	}
	return CPU(s.proc.cmd.Process.Pid)
}

// CPU returns the processor time that a process and its children have used so
// far, those that have ended included. It needs Linux.
func CPU(pid int) (time.Duration, error) {
	for {
		before, err := ticksOf(pid)
		if err != nil {
			return 0, err
		}
		total := int64(0)
		for _, child := range childrenOf(pid) {
			ticks, err := ticksOf(child)
			if err == nil { // otherwise it has just ended
				total += ticks.own + ticks.ended
			}
		}
		after, err := ticksOf(pid)
		if err != nil {
			return 0, err
		}
		if before.ended == after.ended { // no child went over to the parent's account meanwhile
			return time.Duration(total+after.own+after.ended) * clockTick, nil
		}
	}
}

// ticks are the processor time of a process, and of its children that have ended.
type ticks struct{ own, ended int64 }

func ticksOf(pid int) (t ticks, err error) {
	const utime, stime, cutime, cstime = 11, 12, 13, 14 // counted from the state
	fields := statOf(pid)
	if len(fields) <= cstime {
		return t, fmt.Errorf("pgtest: /proc says nothing about the process %d", pid)
	}
	for i, into := range map[int]*int64{utime: &t.own, stime: &t.own, cutime: &t.ended, cstime: &t.ended} {
		n, parseErr := strconv.ParseInt(string(fields[i]), 10, 64)
		*into += n
		err = errors.Join(err, parseErr)
	}
	return t, err
}
