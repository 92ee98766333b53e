package seal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jellydator/ttlcache/v3"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/shelf"
)

// Errors of sealed records.
var (
	// ErrTampered means that a sealed field is not what was written there.
	ErrTampered = errors.New("seal: a sealed field was changed, moved or damaged; restore the record from a backup, or let an operator decide")
	// ErrKeyMissing means that the keyring lacks the key that wrapped a data key.
	ErrKeyMissing = errors.New("seal: the keyring lacks a key")
	// ErrDestroyed means that the data key of the scope was deleted.
	ErrDestroyed = errors.New("seal: the data key of this scope was destroyed; what it sealed is gone")
	// ErrPlaintext means that a record was not sealed.
	ErrPlaintext = errors.New("seal: a record is not encrypted; set AcceptPlaintext while records from before encryption may live")
)

// Config of a Store. The zero value means the defaults.
type Config struct {
	// AcceptPlaintext reads records that are not sealed. Set it when
	// encryption is switched on for a store in use, until its old records have
	// expired.
	AcceptPlaintext bool
	// KeyTTL is how long a data key is remembered, and hence used although it
	// was destroyed elsewhere. Default 1 min.
	KeyTTL time.Duration
	// MaxKeys bounds the data keys that are remembered. Default 10,000.
	MaxKeys int
	// Logger receives what is left out of listings. Default: discarded.
	Logger *slog.Logger
	// Now is the clock of the keys' documents. Default time.Now.
	Now func() time.Time
}

// Store is a onceward.Store that seals what it is given and opens what it
// returns. It is a Sweeper, LapsedLister, Finder and Lister where the store
// inside is one. Use Open.
type Store struct {
	inner   onceward.Store
	cfg     Config
	keyring atomic.Pointer[Keyring]
	keys    *shelf.Shelf
	roots   *shelf.Shelf
	root    *dataKey
	cache   *ttlcache.Cache[string, *dataKey]
}

// Open wraps a store. It makes the store's root key when there is none, and
// fails when the keyring cannot unwrap the one there is.
func Open(ctx context.Context, inner onceward.Store, keyring *Keyring, cfg Config) (*Store, error) {
	if inner == nil || keyring == nil {
		return nil, errors.New("seal: Open needs a store and a keyring")
	}
	if cfg.KeyTTL < 0 || cfg.MaxKeys < 0 {
		return nil, errors.New("seal: KeyTTL and MaxKeys may not be negative")
	}
	cfg.KeyTTL = cmp.Or(cfg.KeyTTL, time.Minute)
	cfg.MaxKeys = cmp.Or(cfg.MaxKeys, 10_000)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		inner: inner, cfg: cfg,
		keys: shelf.New(inner, dataKeys, cfg.Now), roots: shelf.New(inner, rootKeys, cfg.Now),
		cache: ttlcache.New(
			ttlcache.WithTTL[string, *dataKey](cfg.KeyTTL), ttlcache.WithCapacity[string, *dataKey](uint64(cfg.MaxKeys)),
			ttlcache.WithDisableTouchOnHit[string, *dataKey](),
		),
	}
	s.keyring.Store(keyring)
	doc, err := s.roots.Get(ctx, rootName)
	if errors.Is(err, shelf.ErrNotFound) {
		var data []byte
		if data, err = s.makeKey(rootName); err == nil {
			doc, _, err = s.roots.Put(ctx, rootName, data, time.Time{})
		}
	}
	if err == nil {
		s.root, err = s.unwrapKey(doc)
	}
	if err != nil {
		return nil, fmt.Errorf("this store is encrypted with another keyring, or was damaged: %w", err)
	}
	return s, nil
}

// Sealed reports whether a store was ever opened by Open: then it must not be
// written without.
func Sealed(ctx context.Context, inner onceward.Store) (bool, error) {
	_, err := shelf.New(inner, rootKeys, nil).Get(ctx, rootName)
	if errors.Is(err, shelf.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// SetKeyring replaces the keyring, for a process that reads it again. One that
// cannot unwrap the store's root key is refused, and the old one stays.
func (s *Store) SetKeyring(ctx context.Context, k *Keyring) error {
	doc, err := s.roots.Get(ctx, rootName)
	if err == nil {
		_, err = unwrapWith(k, doc)
	}
	if err != nil {
		return fmt.Errorf("this keyring is not that of the store: %w", err)
	}
	s.keyring.Store(k)
	return nil
}

// Claim implements onceward.Store.
func (s *Store) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	detail := req.Detail
	if len(detail) > 0 {
		k, err := s.writeKey(ctx, req.Key.Scope)
		if err != nil {
			return onceward.ClaimResult{}, err
		}
		if req.Detail, err = k.seal(detail, detailAAD(req.Key, req.Fingerprint)); err != nil {
			return onceward.ClaimResult{}, err
		}
	}
	res, err := s.inner.Claim(ctx, req)
	if err != nil {
		return onceward.ClaimResult{}, err
	}
	ours := len(detail) > 0 && bytes.Equal(res.Record.Detail, req.Detail)
	if ours {
		res.Record.Detail = nil
	}
	if err := s.openRecord(ctx, &res.Record); err != nil {
		return onceward.ClaimResult{}, fmt.Errorf("operation %s: %w", req.Key.ID(), err)
	}
	if ours {
		res.Record.Detail = bytes.Clone(detail)
	}
	return res, nil
}

// Renew implements onceward.Store.
func (s *Store) Renew(ctx context.Context, req onceward.RenewRequest) error {
	return s.inner.Renew(ctx, req)
}

// Checkpoint implements onceward.Store.
func (s *Store) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	if len(req.Checkpoints) > 0 {
		k, err := s.writeKey(ctx, req.Claim.Key.Scope)
		if err != nil {
			return err
		}
		data, err := k.sealCheckpoints(req.Claim, req.Checkpoints)
		if err != nil {
			return err
		}
		req.Checkpoints = []onceward.Checkpoint{{Name: sealedCheckpoint, Data: data, At: req.Now}}
	}
	return s.inner.Checkpoint(ctx, req)
}

// Complete implements onceward.Store.
func (s *Store) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	if req.Response != nil {
		k, err := s.writeKey(ctx, req.Claim.Key.Scope)
		if err != nil {
			return err
		}
		if req.Response, err = k.sealResponse(req.Claim, req.Response); err != nil {
			return err
		}
	}
	return s.inner.Complete(ctx, req)
}

// Release implements onceward.Store.
func (s *Store) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	return s.inner.Release(ctx, req)
}

// Get implements onceward.Store.
func (s *Store) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	rec, err := s.inner.Get(ctx, req)
	return s.opened(ctx, rec, err)
}

// opened finishes a read of one record.
func (s *Store) opened(ctx context.Context, rec onceward.Record, err error) (onceward.Record, error) {
	if err != nil {
		return onceward.Record{}, err
	}
	if err := s.openRecord(ctx, &rec); err != nil {
		return onceward.Record{}, fmt.Errorf("operation %s: %w", rec.Key.ID(), err)
	}
	return rec, nil
}

// openRecord opens the sealed fields of a record in place.
func (s *Store) openRecord(ctx context.Context, rec *onceward.Record) error {
	if shelf.IsDocument(rec) {
		return nil
	}
	if err := s.openDetail(ctx, rec); err != nil {
		return err
	}
	if err := s.openCheckpoints(ctx, rec); err != nil {
		return err
	}
	return s.openResponse(ctx, rec)
}
