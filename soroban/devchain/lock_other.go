//go:build !unix

package devchain

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockDir cannot keep other processes out on this system: it only marks the directory.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("devchain: lock file: %w", err)
	}
	return f, nil
}

func unlockDir(f *os.File) error { return f.Close() }
