package seal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/onceward/onceward/cmd/onceward/internal/secret"
)

// Keyring wraps data keys. It has one primary key, which wraps, and any number
// of others, which only unwrap. It is immutable: changes return a new one. On
// disk it is a Tink keyset in JSON, readable by tinkey.
type Keyring struct {
	handle *keyset.Handle
	aead   tink.AEAD
}

// KeyInfo is what may be seen of a key.
type KeyInfo struct {
	ID      uint32
	Primary bool
}

// Name is how a key is written: as tinkey does, in decimal.
func (k KeyInfo) Name() string { return fmt.Sprint(k.ID) }

// NewKeyring makes a keyring with one new key.
func NewKeyring() (*Keyring, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a keyring: %w", err)
	}
	return newKeyring(h)
}

func newKeyring(h *keyset.Handle) (*Keyring, error) {
	a, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("the keyring cannot be used: %w", err)
	}
	return &Keyring{h, a}, nil
}

// ParseKeyring reads a keyring from its JSON. Errors do not quote it.
func ParseKeyring(text secret.Text) (*Keyring, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text.Reveal())))
	if err != nil {
		return nil, errors.New("this is no keyring; make one with: onceward keyring create")
	}
	return newKeyring(h)
}

// ReadKeyring reads a keyring from a file.
func ReadKeyring(path string) (*Keyring, error) {
	text, err := secret.FromFile(path)
	if err != nil {
		return nil, err
	}
	k, err := ParseKeyring(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// WriteFile writes the keyring to a file that only its owner can read. A crash
// leaves the old file or the new one. An existing file is replaced only when
// asked to.
func (k *Keyring) WriteFile(path string, replace bool) (err error) {
	if _, statErr := os.Lstat(path); statErr == nil && !replace {
		return fmt.Errorf("%s exists; what it unwraps would be lost with it", path)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".keyring-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name()) // the reason is already known
		}
	}()
	err = errors.Join(k.write(tmp), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func (k *Keyring) write(w io.Writer) error {
	return insecurecleartextkeyset.Write(k.handle, keyset.NewJSONWriter(w))
}

// Keys lists the keys.
func (k *Keyring) Keys() []KeyInfo {
	var out []KeyInfo
	info := k.handle.KeysetInfo()
	for _, key := range info.GetKeyInfo() {
		out = append(out, KeyInfo{ID: key.GetKeyId(), Primary: key.GetKeyId() == info.GetPrimaryKeyId()})
	}
	return out
}

// Primary returns the ID of the key that wraps.
func (k *Keyring) Primary() uint32 { return k.handle.KeysetInfo().GetPrimaryKeyId() }

// Add returns the keyring with a new key that only unwraps. Give it to every
// gateway before it is promoted.
func (k *Keyring) Add() (*Keyring, uint32, error) {
	var id uint32
	next, err := k.change(func(m *keyset.Manager) (err error) {
		id, err = m.Add(aead.AES256GCMKeyTemplate())
		return err
	})
	return next, id, err
}

// Promote returns the keyring with another primary key.
func (k *Keyring) Promote(id uint32) (*Keyring, error) {
	return k.change(func(m *keyset.Manager) error { return m.SetPrimary(id) })
}

// Remove returns the keyring without a key. What that key has wrapped cannot
// be read any more: see Store.InUse.
func (k *Keyring) Remove(id uint32) (*Keyring, error) {
	return k.change(func(m *keyset.Manager) error { return m.Delete(id) })
}

func (k *Keyring) change(edit func(*keyset.Manager) error) (*Keyring, error) {
	m := keyset.NewManagerFromHandle(k.handle)
	if err := edit(m); err != nil {
		return nil, fmt.Errorf("changing the keyring: %w", err)
	}
	h, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("changing the keyring: %w", err)
	}
	return newKeyring(h)
}

// String implements fmt.Stringer: the keys' names, never the keys.
func (k *Keyring) String() string { return fmt.Sprintf("keyring %v", k.Keys()) }

// prefixLen is what Tink begins a ciphertext with: 1, and the key's ID.
const prefixLen = 5

func (k *Keyring) wrap(plain, aad []byte) ([]byte, error) { return k.aead.Encrypt(plain, aad) }

func (k *Keyring) unwrap(wrapped, aad []byte) ([]byte, error) {
	plain, err := k.aead.Decrypt(wrapped, aad)
	if err == nil {
		return plain, nil
	}
	id := wrappedBy(wrapped)
	for _, key := range k.Keys() {
		if key.ID == id {
			return nil, ErrTampered
		}
	}
	return nil, fmt.Errorf("%w: key %d; add it to the keyring again", ErrKeyMissing, id)
}

// wrappedBy returns the ID of the key that wrapped, zero for nonsense.
func wrappedBy(wrapped []byte) uint32 {
	if len(wrapped) < prefixLen {
		return 0
	}
	return binary.BigEndian.Uint32(wrapped[1:prefixLen])
}
