// Package audit is the log of what operators change: who, what, why, and how
// it ended. It can be appended to, by any number of processes, and not
// changed without that being seen.
//
// Entries are documents in the store itself, numbered from 1. Each contains
// the hash of the one before, so that an entry that was changed, left out or
// put elsewhere breaks the chain, and Verify says where. What a chain cannot
// show is that its end was cut off, or that somebody with write access to the
// store made all of it anew: note the hash of the last entry elsewhere, in a
// ticket or another system's log, and give it to Verify.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/shelf"
)

// Phase says when an entry was made: a change has one before and one after it,
// so that none happens without an entry.
type Phase string

// The phases of a change.
const (
	Requested Phase = "requested"
	Done      Phase = "done"
	Failed    Phase = "failed"
)

// Entry is one line of the log.
type Entry struct {
	Seq   int64     `json:"seq"`
	Prev  string    `json:"prev"` // hash of entry Seq-1, empty for the first
	At    time.Time `json:"at"`
	Actor string    `json:"actor"`
	// Action is the command, such as "keys release".
	Action string `json:"action"`
	Phase  Phase  `json:"phase"`
	// Request is the Seq of the entry that this one ends.
	Request int64 `json:"request,omitempty"`
	// Target is what is changed: an operation's ID, an API key's ID, a scope.
	Target string `json:"target,omitempty"`
	Scope  string `json:"scope,omitempty"`
	Reason string `json:"reason"`
	// Detail is what else there is to say: what was found, what went wrong.
	Detail string `json:"detail,omitempty"`

	// Hash of the entry. It is not part of what is hashed.
	Hash string `json:"-"`
}

// Limits of an entry's texts, in bytes.
const (
	MaxReason = 1000
	maxText   = 2000
)

const shelfName = "audit"

// Log is the audit log of a store.
type Log struct {
	shelf *shelf.Shelf
	store onceward.Store
	now   func() time.Time
}

// New returns the log of a store, which must not be wrapped, so that it can be
// verified without keys. now defaults to time.Now.
func New(store onceward.Store, now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	return &Log{shelf: shelf.New(store, shelfName, now), store: store, now: now}
}

// name orders entries as text, too.
func name(seq int64) string { return fmt.Sprintf("%019d", seq) }

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Append adds an entry; Seq, Prev, At and Hash are filled in. When it returns
// nil the entry is durable.
func (l *Log) Append(ctx context.Context, e Entry) (Entry, error) {
	if err := e.validate(); err != nil {
		return Entry{}, err
	}
	last, err := l.last(ctx)
	if err != nil {
		return Entry{}, fmt.Errorf("the audit log cannot be read: %w", err)
	}
	for {
		if err := context.Cause(ctx); err != nil {
			return Entry{}, err
		}
		e.Seq, e.Prev, e.At = last.Seq+1, last.Hash, l.now().UTC()
		data, err := json.Marshal(e)
		if err != nil {
			return Entry{}, err
		}
		doc, created, err := l.shelf.Put(ctx, name(e.Seq), data, time.Time{})
		if err != nil {
			return Entry{}, fmt.Errorf("the audit log cannot be written: %w", err)
		}
		if created {
			e.Hash = hashOf(data)
			return e, nil
		}
		if last, err = read(doc, e.Seq); err != nil { // somebody was faster
			return Entry{}, err
		}
	}
}

func (e *Entry) validate() error {
	switch {
	case e.Actor == "" || e.Action == "" || e.Phase == "":
		return errors.New("an audit entry needs an actor, an action and a phase")
	case e.Reason == "":
		return errors.New("a change needs a reason, for whoever reads the audit log later")
	case len(e.Reason) > MaxReason:
		return fmt.Errorf("the reason has %d bytes; at most %d are kept", len(e.Reason), MaxReason)
	}
	for _, s := range []*string{&e.Detail, &e.Target, &e.Scope, &e.Actor, &e.Action} {
		if len(*s) > maxText {
			*s = (*s)[:maxText] + "…"
		}
	}
	return nil
}

// last returns the newest entry, or an empty one. A listing that lags behind
// does no harm: Append goes on from what it finds.
func (l *Log) last(ctx context.Context) (Entry, error) {
	docs, _, err := l.shelf.List(ctx, "", 1)
	if err != nil || len(docs) == 0 {
		return Entry{}, err
	}
	seq, err := strconv.ParseInt(docs[0].Name, 10, 64)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: an entry is named %q", ErrBroken, docs[0].Name)
	}
	return read(docs[0], seq)
}

// read takes an entry from its document. Its hash is that of the bytes.
func read(doc shelf.Document, seq int64) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(doc.Data, &e); err != nil || e.Seq != seq || doc.Name != name(seq) {
		return Entry{}, fmt.Errorf("%w: entry %d cannot be read", ErrBroken, seq)
	}
	e.Hash = hashOf(doc.Data)
	if hex.EncodeToString(doc.Sum) != e.Hash {
		return Entry{}, fmt.Errorf("%w: entry %d was changed", ErrBroken, seq)
	}
	return e, nil
}

// Get returns one entry, or shelf.ErrNotFound.
func (l *Log) Get(ctx context.Context, seq int64) (Entry, error) {
	doc, err := l.shelf.Get(ctx, name(seq))
	if err != nil {
		return Entry{}, err
	}
	return read(doc, seq)
}

// List returns a page of entries, the newest first, and where the next begins.
func (l *Log) List(ctx context.Context, cursor string, limit int) (entries []Entry, next string, err error) {
	docs, next, err := l.shelf.List(ctx, cursor, limit)
	if err != nil {
		return nil, "", err
	}
	for _, doc := range docs {
		seq, err := strconv.ParseInt(doc.Name, 10, 64)
		if err != nil {
			return nil, "", fmt.Errorf("%w: an entry is named %q", ErrBroken, doc.Name)
		}
		e, err := read(doc, seq)
		if err != nil {
			return nil, "", err
		}
		entries = append(entries, e)
	}
	return entries, next, nil
}
