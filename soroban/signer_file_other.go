//go:build !unix

package soroban

import (
	"errors"
	"io/fs"
)

// checkSecretFile knows no permissions here; the file system has to keep
// others out.
func checkSecretFile(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	return nil
}
