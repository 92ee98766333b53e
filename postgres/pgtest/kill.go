package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Kill ends the server and everything it has started at once with SIGKILL, as a
// machine that loses its power does.
func (s *Server) Kill() error {
	if s.proc == nil {
		return nil
	}
	// Stopped, it starts nothing more while its children are counted.
	pid := s.proc.cmd.Process.Pid
	if err := s.proc.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	children := childrenOf(pid)
	err := s.end(syscall.SIGKILL)
	for _, child := range children {
		if killErr := syscall.Kill(child, syscall.SIGKILL); killErr != nil && !errors.Is(killErr, syscall.ESRCH) {
			err = errors.Join(err, killErr)
		}
	}
	deadline := time.Now().Add(startTimeout)
	for _, child := range children {
		for running(child) {
			if time.Now().After(deadline) {
				return errors.Join(err, fmt.Errorf("pgtest: process %d of a killed server lives on", child))
			}
			time.Sleep(5 * time.Millisecond) //nolint:forbidigo // the kernel tells nobody but the parent
		}
	}
	return err
}

// childrenOf returns the processes that pid has started. Without /proc there are
// none: PostgreSQL's processes then end by themselves a moment later.
func childrenOf(pid int) (children []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, stat := range stats {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if err != nil {
			continue
		}
		if fields := statOf(child); len(fields) > 1 && string(fields[1]) == strconv.Itoa(pid) {
			children = append(children, child)
		}
	}
	return children
}

// running reports whether a process exists and is more than a zombie.
func running(pid int) bool {
	fields := statOf(pid)
	return len(fields) > 0 && string(fields[0]) != "Z" && string(fields[0]) != "X"
}

// statOf returns what /proc says of a process, beginning with its state and its
// parent.
func statOf(pid int) [][]byte {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	// The name before it is in parentheses and may contain anything.
	return bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
}
