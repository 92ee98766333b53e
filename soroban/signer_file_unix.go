//go:build unix

package soroban

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkSecretFile demands a file that is the reader's or root's, and nobody
// else's to read or change.
func checkSecretFile(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("others may read or change it (mode %04o); run chmod 600 on it", mode)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Getuid() && st.Uid != 0 {
		return fmt.Errorf("it belongs to user %d, not to %d, who runs this; run chown on it", st.Uid, os.Getuid())
	}
	return nil
}
