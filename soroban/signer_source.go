package soroban

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecretFile bounds what is read in search of a secret key, in bytes.
const maxSecretFile = 4 << 10

var errNotSecret = errors.New("it does not hold one secret key (S…) and nothing else")

// NewSignerFromEnv returns a Signer for the secret key (S…) in an environment
// variable. No error repeats the value.
func NewSignerFromEnv(name string) (Signer, error) {
	value, ok := os.LookupEnv(name)
	if !ok || value == "" {
		return nil, fmt.Errorf("soroban: environment variable %s is not set; put the secret key (S…) there", name)
	}
	s, err := NewSigner(strings.TrimSpace(value))
	if err != nil {
		return nil, fmt.Errorf("soroban: environment variable %s: %w", name, errNotSecret)
	}
	return s, nil
}

// NewSignerFromFile returns a Signer for the secret key (S…) in a file, such as
// a mounted secret. The file must be a regular one that nobody but its owner
// may read, where the system has such permissions. No error repeats what it
// holds.
func NewSignerFromFile(path string) (Signer, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("soroban: secret key file: %w", err)
	}
	defer f.Close()
	// Of the opened file, so that it is the one that is read.
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("soroban: secret key file: %w", err)
	}
	if err := checkSecretFile(info); err != nil {
		return nil, fmt.Errorf("soroban: secret key file %s: %w", path, err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	if err != nil {
		return nil, fmt.Errorf("soroban: secret key file: %w", err)
	}
	s, err := NewSigner(strings.TrimSpace(string(raw)))
	if err != nil {
		return nil, fmt.Errorf("soroban: secret key file %s: %w", path, errNotSecret)
	}
	return s, nil
}
