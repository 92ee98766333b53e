package dev

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// secrets are made at the first start and kept beside the data: the nonces
// and the channels of an operation must be the same after a restart.
type secrets struct {
	Nonce    []byte `json:"nonce_secret"`
	Channels []byte `json:"channel_seed"`
}

const secretLen = 32

func loadSecrets(dir string) (secrets, error) {
	var s secrets
	path := filepath.Join(dir, "secrets.json")
	data, err := os.ReadFile(path) //nolint:gosec // the operator's own folder
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeSecrets(path)
	case err != nil:
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil || len(s.Nonce) != secretLen || len(s.Channels) != secretLen {
		return s, fmt.Errorf("%s is damaged; restore it, or start afresh with another --data", path)
	}
	return s, nil
}

// makeSecrets writes the file under another name first: a process that is
// killed meanwhile leaves no half of it.
func makeSecrets(path string) (secrets, error) {
	s := secrets{Nonce: make([]byte, secretLen), Channels: make([]byte, secretLen)}
	for _, b := range [][]byte{s.Nonce, s.Channels} {
		if _, err := rand.Read(b); err != nil {
			return s, err
		}
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return s, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "secrets-*")
	if err != nil {
		return s, err
	}
	_, err = tmp.Write(append(data, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return s, errors.Join(err, os.Remove(tmp.Name()))
	}
	return s, nil
}
