package seal

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/onceward/onceward/cmd/onceward/internal/secret"
	"github.com/onceward/onceward/cmd/onceward/internal/shelf"
)

// Where wrapped keys are kept.
const (
	dataKeys = "datakeys"
	rootKeys = "seal"
	rootName = "root" // the key that FingerprintSecret comes from
)

const (
	keyLen = 32 // of XChaCha20-Poly1305, whose nonces may be drawn at random
	idLen  = 8
)

// keyID tells one data key of a scope from those before and after it.
type keyID [idLen]byte

// dataKey seals the fields of one scope.
type dataKey struct {
	id    keyID
	plain []byte
	aead  tink.AEAD
}

// wrappedKey is a data key as it is kept.
type wrappedKey struct {
	ID      string `json:"id"`
	Wrapped []byte `json:"wrapped"`
}

func newDataKey(id keyID, plain []byte) (*dataKey, error) {
	a, err := subtle.NewXChaCha20Poly1305(plain)
	if err != nil {
		return nil, err
	}
	return &dataKey{id: id, plain: plain, aead: a}, nil
}

// docName is the name under which a scope's data key is kept: its hash, for a
// scope may be empty or too long for a name.
func docName(scope string) string {
	sum := sha256.Sum256([]byte(scope))
	return hex.EncodeToString(sum[:])
}

func wrapAAD(name, id string) []byte { return fields("data key", name, id) }

// makeKey draws a data key and wraps it.
func (s *Store) makeKey(name string) ([]byte, error) {
	var id keyID
	plain := make([]byte, keyLen)
	_, _ = rand.Read(plain) // never fails
	_, _ = rand.Read(id[:])
	return s.wrapKey(name, hex.EncodeToString(id[:]), plain)
}

func (s *Store) wrapKey(name, id string, plain []byte) ([]byte, error) {
	wrapped, err := s.keyring.Load().wrap(plain, wrapAAD(name, id))
	if err != nil {
		return nil, fmt.Errorf("wrapping a data key: %w", err)
	}
	return json.Marshal(wrappedKey{ID: id, Wrapped: wrapped})
}

// unwrapKey reads a data key from its document.
func (s *Store) unwrapKey(doc shelf.Document) (*dataKey, error) {
	return unwrapWith(s.keyring.Load(), doc)
}

func unwrapWith(keyring *Keyring, doc shelf.Document) (*dataKey, error) {
	var w wrappedKey
	var id keyID
	if err := json.Unmarshal(doc.Data, &w); err != nil || len(w.ID) != 2*idLen {
		return nil, fmt.Errorf("%w: a data key is damaged", ErrTampered)
	}
	if _, err := hex.Decode(id[:], []byte(w.ID)); err != nil {
		return nil, fmt.Errorf("%w: a data key is damaged", ErrTampered)
	}
	plain, err := keyring.unwrap(w.Wrapped, wrapAAD(doc.Name, w.ID))
	if err != nil {
		return nil, fmt.Errorf("unwrapping a data key: %w", err)
	}
	return newDataKey(id, plain)
}

// writeKey returns the data key that a scope's fields are sealed with, and
// makes one for a scope that has none.
func (s *Store) writeKey(ctx context.Context, scope string) (*dataKey, error) {
	if item := s.cache.Get(scope); item != nil {
		return item.Value(), nil
	}
	name := docName(scope)
	doc, err := s.keys.Get(ctx, name)
	if errors.Is(err, shelf.ErrNotFound) {
		var data []byte
		if data, err = s.makeKey(name); err != nil {
			return nil, err
		}
		doc, _, err = s.keys.Put(ctx, name, data, time.Time{}) // or another gateway's
	}
	if err != nil {
		return nil, fmt.Errorf("seal: the data key of a scope: %w", err)
	}
	return s.remember(scope, doc)
}

func (s *Store) remember(scope string, doc shelf.Document) (*dataKey, error) {
	k, err := s.unwrapKey(doc)
	if err != nil {
		return nil, err
	}
	s.cache.Set(scope, k, ttlcache.DefaultTTL)
	return k, nil
}

// readKey returns the data key of that ID, or ErrDestroyed.
func (s *Store) readKey(ctx context.Context, scope string, id keyID) (*dataKey, error) {
	if item := s.cache.Get(scope); item != nil && item.Value().id == id {
		return item.Value(), nil
	}
	doc, err := s.keys.Get(ctx, docName(scope))
	if errors.Is(err, shelf.ErrNotFound) {
		return nil, ErrDestroyed
	}
	if err != nil {
		return nil, fmt.Errorf("seal: the data key of a scope: %w", err)
	}
	k, err := s.remember(scope, doc)
	if err == nil && k.id != id {
		return nil, ErrDestroyed
	}
	return k, err
}

// Destroy deletes the data key of a scope: what its operations have left
// cannot be read any more, and completed ones answer as if they had kept no
// body. It reports whether there was one. Unfinished operations of the scope
// lose their checkpoints: decide them first.
func (s *Store) Destroy(ctx context.Context, scope string) (bool, error) {
	defer s.cache.Delete(scope)
	doc, err := s.keys.Get(ctx, docName(scope))
	if errors.Is(err, shelf.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := s.keys.Remove(ctx, doc); err != nil && !errors.Is(err, shelf.ErrChanged) {
		return false, fmt.Errorf("seal: deleting the data key: %w", err)
	}
	return true, nil
}

const listPage = 200

// eachKey visits every wrapped key of the store.
func (s *Store) eachKey(ctx context.Context, visit func(*shelf.Shelf, shelf.Document) error) error {
	for _, sh := range []*shelf.Shelf{s.roots, s.keys} {
		for cursor := ""; ; {
			docs, next, err := sh.List(ctx, cursor, listPage)
			if err != nil {
				return err
			}
			for _, doc := range docs {
				if err := visit(sh, doc); err != nil {
					return err
				}
			}
			if cursor = next; cursor == "" {
				break
			}
		}
	}
	return nil
}

// Rewrap wraps every data key with the keyring's primary key, so that the
// others are not needed any more. It returns how many it changed.
func (s *Store) Rewrap(ctx context.Context) (int, error) {
	changed, primary := 0, s.keyring.Load().Primary()
	err := s.eachKey(ctx, func(sh *shelf.Shelf, doc shelf.Document) error {
		var w wrappedKey
		if err := json.Unmarshal(doc.Data, &w); err == nil && wrappedBy(w.Wrapped) == primary {
			return nil
		}
		k, err := s.unwrapKey(doc)
		if err != nil {
			return err
		}
		data, err := s.wrapKey(doc.Name, w.ID, k.plain)
		if err != nil {
			return err
		}
		if err = sh.Replace(ctx, doc, data); errors.Is(err, shelf.ErrChanged) {
			return nil // destroyed meanwhile
		}
		changed++
		return err
	})
	return changed, err
}

// InUse counts the data keys that each key of the keyring has wrapped.
func (s *Store) InUse(ctx context.Context) (map[uint32]int, error) {
	used := make(map[uint32]int)
	err := s.eachKey(ctx, func(_ *shelf.Shelf, doc shelf.Document) error {
		var w wrappedKey
		if err := json.Unmarshal(doc.Data, &w); err != nil {
			return fmt.Errorf("%w: a data key is damaged", ErrTampered)
		}
		used[wrappedBy(w.Wrapped)]++
		return nil
	})
	return used, err
}

// FingerprintSecret is for oncehttp.Options.Secret: the same on every gateway
// of the store, and the same after the keyring has rotated, so that retries
// are recognised.
func (s *Store) FingerprintSecret() (secret.Text, error) {
	b, err := hkdf.Key(sha256.New, s.root.plain, nil, "onceward fingerprint", keyLen)
	if err != nil {
		return secret.Text{}, err
	}
	return secret.New(b), nil
}
