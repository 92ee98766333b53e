// Package operator is what a person may do to keys: look at them, and decide
// what no program can.
//
// Every change needs a reason and is written to the audit log twice, before
// and after: a change that cannot be written down is not made. Keys are cut
// short and answers left out unless they are asked for.
package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/audit"
)

// Config of a Desk.
type Config struct {
	// Store holds the operations: wrapped, when they are sealed.
	Store onceward.Store
	// Audit is the log of the same store.
	Audit *audit.Log
	// Actor is who decides.
	Actor string
	// Logger receives what the engine has to say. Default: discarded.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Desk is one operator at one store. Use New.
type Desk struct {
	cfg Config
	eng *onceward.Engine
}

// Errors of a Desk. Those of the engine and the store come through as well.
var (
	// ErrUnable means that the store lacks an ability that the command needs.
	ErrUnable = errors.New("the store cannot do this")
	// ErrState means that the operation is in a state that forbids the change.
	ErrState = errors.New("not possible in this state")
)

// New returns a Desk, or what is wrong with its configuration.
func New(cfg Config) (*Desk, error) {
	if cfg.Store == nil || cfg.Audit == nil || cfg.Actor == "" {
		return nil, errors.New("operator: a Desk needs a store, an audit log and an actor")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	eng, err := onceward.New(cfg.Store, onceward.Config{Logger: cfg.Logger, Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	return &Desk{cfg: cfg, eng: eng}, nil
}

// Ref names an operation: by its ID, or by scope and key.
type Ref struct {
	ID  *onceward.ID
	Key onceward.Key
}

// Find returns a record. Its error wraps onceward.ErrNotFound when there is
// none.
func (d *Desk) Find(ctx context.Context, ref Ref) (onceward.Record, error) {
	if ref.ID == nil {
		rec, err := d.eng.Get(ctx, ref.Key)
		return rec, found(err)
	}
	finder, ok := d.cfg.Store.(onceward.Finder)
	if !ok {
		return onceward.Record{}, fmt.Errorf("%w: find operations by ID; give --scope and --key", ErrUnable)
	}
	rec, err := finder.Find(ctx, onceward.FindRequest{ID: *ref.ID, Now: d.cfg.Now()})
	return rec, found(err)
}

func found(err error) error {
	if errors.Is(err, onceward.ErrNotFound) {
		return fmt.Errorf("%w: it was never accepted, was released, or has expired", err)
	}
	return err
}

// Filter selects records for List; zero fields select everything but what the
// library keeps for itself.
type Filter struct {
	Status   onceward.Status
	Kind     string
	Scope    *string
	Internal bool
	Cursor   string
	Limit    int
}

// MaxLimit is the largest page.
const MaxLimit = 1000

// List returns a page of records, the newest first.
func (d *Desk) List(ctx context.Context, f Filter) (onceward.ListResult, error) {
	lister, ok := d.cfg.Store.(onceward.Lister)
	if !ok {
		return onceward.ListResult{}, fmt.Errorf("%w: list operations", ErrUnable)
	}
	if f.Limit < 1 || f.Limit > MaxLimit {
		return onceward.ListResult{}, fmt.Errorf("a page has 1 to %d records", MaxLimit)
	}
	out := onceward.ListResult{Next: f.Cursor}
	for len(out.Records) < f.Limit {
		page, err := lister.List(ctx, onceward.ListRequest{
			Now: d.cfg.Now(), Status: f.Status, Kind: f.Kind, Scope: f.Scope,
			Cursor: out.Next, Limit: f.Limit - len(out.Records),
		})
		if err != nil {
			return onceward.ListResult{}, err
		}
		for i := range page.Records {
			if f.Internal || !strings.HasPrefix(page.Records[i].Key.Scope, onceward.ReservedScope) {
				out.Records = append(out.Records, page.Records[i])
			}
		}
		if out.Next = page.Next; out.Next == "" {
			break
		}
	}
	return out, nil
}
