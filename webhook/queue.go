package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/onceward/onceward"
)

// Delivery is the state of a message, for an operator.
type Delivery struct {
	ID string
	// Type of the event, and the operation that it tells of. Empty when the
	// store gives away neither, as one that is sealed.
	Type, Operation string
	// Status is onceward.StatusStarted while it waits, StatusCompleted once
	// it was delivered, and StatusHeld when the attempts are used up.
	Status onceward.Status
	// Attempts that were begun; each Redeliver counts as one more.
	Attempts int
	// Reason why it is held.
	Reason  string
	Created time.Time
	// Next attempt, of a message that waits.
	Next time.Time
	// Ended is when it was delivered or held.
	Ended time.Time
}

// Queue is an outbox as an operator sees it: its messages, without the
// receiver's address or secrets.
type Queue struct {
	store   onceward.Store
	name    string
	timeout time.Duration
	now     func() time.Time
}

// OpenQueue returns the messages of the outbox of that name.
func OpenQueue(store onceward.Store, name string) (*Queue, error) {
	if store == nil || !validName(name) {
		return nil, errors.New("webhook: OpenQueue needs a store, and a name as Config has it")
	}
	cfg := Config{}.withDefaults()
	return &Queue{store: store, name: name, timeout: cfg.StoreTimeout, now: cfg.Now}, nil
}

// Name of the outbox.
func (q *Queue) Name() string { return q.name }

// List returns messages, the newest first, and a cursor for more; empty on the
// last page. Status selects; empty for all. The store must be an
// onceward.Lister.
func (q *Queue) List(ctx context.Context, status onceward.Status, cursor string, limit int) (out []Delivery, next string, err error) {
	lister, ok := q.store.(onceward.Lister)
	if !ok {
		return nil, "", errors.New("webhook: the store cannot list records")
	}
	var page onceward.ListResult
	err = within(ctx, q.timeout, func(ctx context.Context) (err error) {
		page, err = lister.List(ctx, onceward.ListRequest{
			Now: q.now(), Status: status, Kind: kindPrefix + q.name, Cursor: cursor, Limit: limit,
		})
		return err
	})
	for i := range page.Records {
		d, err := q.delivery(ctx, &page.Records[i])
		if err != nil {
			return nil, "", err
		}
		out = append(out, d)
	}
	return out, page.Next, err
}

// delivery describes a record of a listing, which leaves the message out.
func (q *Queue) delivery(ctx context.Context, rec *onceward.Record) (Delivery, error) {
	d := Delivery{
		ID: rec.Key.Value, Status: rec.Status, Attempts: rec.Attempt - 1,
		Reason: rec.Reason, Created: rec.ClaimedAt, Ended: rec.CompletedAt,
	}
	if rec.Status == onceward.StatusStarted {
		d.Next = rec.LeaseUntil
	}
	whole, err := q.get(ctx, rec.Key)
	if errors.Is(err, onceward.ErrNotFound) { // it has expired meanwhile
		return d, nil
	}
	var told struct {
		Type string  `json:"type"`
		Data outcome `json:"data"`
	}
	if json.Unmarshal(whole.Detail, &told) == nil {
		d.Type, d.Operation = told.Type, told.Data.Operation
	}
	return d, err
}

func (q *Queue) get(ctx context.Context, key onceward.Key) (rec onceward.Record, err error) {
	err = within(ctx, q.timeout, func(ctx context.Context) (err error) {
		rec, err = q.store.Get(ctx, onceward.GetRequest{Key: key, Now: q.now()})
		return err
	})
	return rec, err
}

// Redeliver makes a message that is held due again, for one attempt. It
// returns onceward.ErrNotHeld for any other, and onceward.ErrNotFound when
// there is none.
func (q *Queue) Redeliver(ctx context.Context, id string) error {
	rec, err := q.get(ctx, keyOf(q.name, id))
	if err != nil {
		return fmt.Errorf("webhook: message %q: %w", id, err)
	}
	if rec.Status != onceward.StatusHeld {
		return fmt.Errorf("webhook: message %q: %w", id, onceward.ErrNotHeld)
	}
	now := q.now()
	req := claimOf(rec.Kind, rec.Key, rec.Detail, rec.Retention, now, now)
	req.TakeHeld = true
	return within(ctx, q.timeout, func(ctx context.Context) error {
		_, err := q.store.Claim(ctx, req)
		return err
	})
}
