//go:build unix

package devchain

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir keeps other processes out of the directory for as long as the file is open; the system releases it when the
// process dies.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // the operator's own folder, not secret
	if err != nil {
		return nil, fmt.Errorf("devchain: lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("devchain: another process uses %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// unlockDir gives the directory free. The explicit unlock matters: a process that is being started at this moment may
// hold a copy of the descriptor a little longer.
func unlockDir(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}
