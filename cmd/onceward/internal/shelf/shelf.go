// Package shelf keeps small documents in the store itself, under a reserved
// scope: API keys, wrapped data keys, the audit log. They need no tables of
// their own, are as durable and as shared as the records beside them, and work
// with every onceward.Store.
//
// A document is a record that is started and never lapses: no engine touches
// it, and nobody takes it over. Put is one atomic claim, so that of two
// processes that put one name, one wins and both know the winner's document;
// a reader never sees half of one. Names are the caller's and are not hidden.
package shelf

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/onceward/onceward"
)

// MaxBytes is the largest document.
const MaxBytes = 16 << 10

const (
	kind       = "onceward/document"
	checkpoint = "document"
)

// ErrNotFound means that there is no such document, or not any more.
var ErrNotFound = errors.New("no such document")

// ErrChanged means that the document was removed, or put anew, since it was
// read.
var ErrChanged = errors.New("the document has changed meanwhile")

// Shelf is the documents of one kind.
type Shelf struct {
	store onceward.Store
	scope string
	now   func() time.Time
}

// New returns the shelf of a name, which it shares with every process on the
// same store. now defaults to time.Now.
func New(store onceward.Store, name string, now func() time.Time) *Shelf {
	if now == nil {
		now = time.Now
	}
	return &Shelf{store: store, scope: onceward.ReservedScope + name, now: now}
}

// Document is one document as it stands.
type Document struct {
	Name string
	Data []byte
	// Sum is the SHA-256 of the data it was put with, as the store has it; it
	// stays when the document is replaced.
	Sum       []byte
	CreatedAt time.Time
	ExpiresAt time.Time // onceward.Never unless it was given

	claim onceward.Claim
}

// Put keeps data under name until expires (zero: for ever), unless there is
// such a document already; it returns the one that stands.
func (s *Shelf) Put(ctx context.Context, name string, data []byte, expires time.Time) (doc Document, created bool, err error) {
	if len(data) == 0 || len(data) > MaxBytes {
		return Document{}, false, fmt.Errorf("a document of %d bytes; 1 to %d can be kept", len(data), MaxBytes)
	}
	key := onceward.Key{Scope: s.scope, Value: name}
	if err := key.Validate(); err != nil {
		return Document{}, false, err
	}
	if expires.IsZero() {
		expires = onceward.Never
	}
	now := s.now()
	sum := sha256.Sum256(data)
	req := onceward.ClaimRequest{
		Key: key, Owner: onceward.NewOwner(), Token: now.UnixMicro(), Kind: kind, Policy: onceward.Rerun,
		Fingerprint: sum[:], Detail: data, Now: now, LeaseUntil: expires, ExpiresAt: expires,
	}
	res, err := s.store.Claim(ctx, req)
	if err != nil && ctx.Err() == nil {
		res, err = s.store.Claim(ctx, req) // it may have been won: only the same owner can tell
	}
	if err != nil {
		return Document{}, false, err
	}
	doc, err = document(&res.Record)
	return doc, res.Won, err
}

// Get returns a document, or ErrNotFound.
func (s *Shelf) Get(ctx context.Context, name string) (Document, error) {
	rec, err := s.store.Get(ctx, onceward.GetRequest{Key: onceward.Key{Scope: s.scope, Value: name}, Now: s.now()})
	if errors.Is(err, onceward.ErrNotFound) {
		return Document{}, ErrNotFound
	}
	if err != nil {
		return Document{}, err
	}
	return document(&rec)
}

// Replace gives a document new data. Of several that replace it the last wins;
// after a Remove it returns ErrChanged.
func (s *Shelf) Replace(ctx context.Context, doc Document, data []byte) error {
	if len(data) == 0 || len(data) > MaxBytes {
		return fmt.Errorf("a document of %d bytes; 1 to %d can be kept", len(data), MaxBytes)
	}
	now := s.now()
	return changed(s.store.Checkpoint(ctx, onceward.CheckpointRequest{
		Claim: doc.claim, Now: now, Checkpoints: []onceward.Checkpoint{{Name: checkpoint, Data: data, At: now}},
	}))
}

// Remove deletes a document and its data, at once.
func (s *Shelf) Remove(ctx context.Context, doc Document) error {
	return changed(s.store.Release(ctx, onceward.ReleaseRequest{Claim: doc.claim, Now: s.now()}))
}

func changed(err error) error {
	if errors.Is(err, onceward.ErrFenced) {
		return ErrChanged
	}
	return err
}

// List returns a page of documents, the newest first, and where the next one
// begins; that is empty on the last page.
func (s *Shelf) List(ctx context.Context, cursor string, limit int) (docs []Document, next string, err error) {
	lister, ok := s.store.(onceward.Lister)
	if !ok {
		return nil, "", errors.New("the store cannot list")
	}
	page, err := lister.List(ctx, onceward.ListRequest{Now: s.now(), Scope: &s.scope, Cursor: cursor, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	for i := range page.Records {
		doc, err := s.Get(ctx, page.Records[i].Key.Value)
		if errors.Is(err, ErrNotFound) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, "", err
		}
		docs = append(docs, doc)
	}
	return docs, page.Next, nil
}

// IsDocument reports whether a record is a document and no operation.
func IsDocument(rec *onceward.Record) bool {
	return rec.Kind == kind && strings.HasPrefix(rec.Key.Scope, onceward.ReservedScope)
}

// document reads one from its record: what it was put with, or what it was
// replaced by.
func document(rec *onceward.Record) (Document, error) {
	doc := Document{
		Name: rec.Key.Value, Data: rec.Detail, Sum: rec.Fingerprint,
		CreatedAt: rec.ClaimedAt, ExpiresAt: rec.ExpiresAt, claim: rec.Claim(),
	}
	if !IsDocument(rec) || rec.Status != onceward.StatusStarted {
		return Document{}, fmt.Errorf("the record %s is no document; it was changed from outside", rec.Key.ID())
	}
	for _, cp := range rec.Checkpoints {
		if cp.Name == checkpoint {
			doc.Data = cp.Data
		}
	}
	return doc, nil
}
