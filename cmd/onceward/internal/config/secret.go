package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Secret says where a secret is: never what it is. Printing a configuration
// therefore reveals none.
type Secret struct {
	Env  string // name of an environment variable
	File string // path of a file
}

// Set reports whether there is a secret.
func (s Secret) Set() bool { return s.Env != "" || s.File != "" }

// maxSecret bounds a secret's file.
const maxSecret = 64 << 10

// Read returns the secret, without surrounding white space. getenv is
// os.Getenv or stands in for it.
func (s Secret) Read(getenv func(string) string) (string, error) {
	if s.Env != "" {
		v := strings.TrimSpace(getenv(s.Env))
		if v == "" {
			return "", fmt.Errorf("the environment variable %s is not set", s.Env)
		}
		return v, nil
	}
	if s.File == "" {
		return "", errors.New("no secret is configured")
	}
	f, err := os.Open(s.File)
	if err != nil {
		return "", fmt.Errorf("the secret cannot be read: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("the secret cannot be read: %w", err)
	}
	v := strings.TrimSpace(string(data))
	switch {
	case len(data) > maxSecret:
		return "", fmt.Errorf("%s is larger than %d bytes: that is no secret", s.File, maxSecret)
	case v == "":
		return "", fmt.Errorf("%s is empty", s.File)
	}
	return v, nil
}

// Bytes is Read for a secret that is not text: "hex:" before hexadecimal
// digits stands for the bytes they spell.
func (s Secret) Bytes(getenv func(string) string) ([]byte, error) {
	text, err := s.Read(getenv)
	if err != nil {
		return nil, err
	}
	digits, ok := strings.CutPrefix(text, "hex:")
	if !ok {
		return []byte(text), nil
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, errors.New("what follows hex: is not hexadecimal")
	}
	return b, nil
}
