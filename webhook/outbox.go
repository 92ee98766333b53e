package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/onceward/onceward"
)

const (
	kindPrefix  = "onceward/webhook/"
	scopePrefix = onceward.ReservedScope + "webhook/"
	// maxBody bounds a message. A larger one is sent without its data.
	maxBody = 64 << 10
	maxID   = 64
)

// Store is what an Outbox needs: records, and those that are due.
type Store interface {
	onceward.Store
	onceward.LapsedLister
}

// Outbox keeps and delivers the messages of one endpoint. It is safe for
// concurrent use; any number of processes may share it through the store.
type Outbox struct {
	cfg     Config
	store   Store
	client  *http.Client
	secrets [][]byte
	kick    chan struct{}
}

// New returns an Outbox. It starts nothing: run Outbox.Run in a goroutine.
func New(store Store, cfg Config) (*Outbox, error) {
	if store == nil {
		return nil, errors.New("webhook: New needs a Store")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	b := &Outbox{cfg: cfg, store: store, kick: make(chan struct{}, 1)}
	for _, s := range cfg.Secrets {
		raw, err := secretBytes(s)
		if err != nil {
			return nil, err
		}
		b.secrets = append(b.secrets, raw)
	}
	b.client = &http.Client{
		Transport: cfg.Transport, Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return b, nil
}

// Event is what happened.
type Event struct {
	// ID of the message, the same whenever the same thing is told; 1 to 64 of
	// a-z, A-Z, 0-9, _ and -. See OutcomeID.
	ID string
	// Type such as "operation.succeeded".
	Type string
	// At is when it happened.
	At time.Time
	// Data is JSON.
	Data json.RawMessage
}

// message is the body that is sent.
type message struct {
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data,omitempty"`
	// Omitted says that Data was too large.
	Omitted bool `json:"data_omitted,omitempty"`
}

func (e *Event) body() ([]byte, error) {
	if !validID(e.ID) || e.Type == "" {
		return nil, fmt.Errorf("webhook: an event needs a type, and an id of 1 to %d of a-z, A-Z, 0-9, _ and -", maxID)
	}
	m := message{Type: e.Type, Timestamp: e.At.UTC(), Data: e.Data}
	if len(e.Data) > maxBody {
		m.Data, m.Omitted = nil, true
	}
	return json.Marshal(m)
}

func validID(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= maxID
}

// Kind of the outbox's records, for listings.
func (b *Outbox) Kind() string { return kindPrefix + b.cfg.Name }

func (b *Outbox) key(id string) onceward.Key { return keyOf(b.cfg.Name, id) }

func keyOf(name, id string) onceward.Key {
	return onceward.Key{Scope: scopePrefix + name, Value: id}
}

// Enqueue stores the message, durably, before it returns nil. A message with
// the ID of one that is stored, whatever has become of it, changes nothing.
func (b *Outbox) Enqueue(ctx context.Context, e Event) error {
	body, err := e.body()
	if err != nil {
		return err
	}
	now := b.cfg.Now()
	err = b.call(ctx, func(ctx context.Context) error {
		_, err := b.store.Get(ctx, onceward.GetRequest{Key: b.key(e.ID), Now: now})
		return err
	})
	if err == nil {
		return nil
	}
	if errors.Is(err, onceward.ErrNotFound) {
		// Taking over what another has stored meanwhile only makes it due.
		err = b.call(ctx, func(ctx context.Context) error {
			_, err := b.store.Claim(ctx, b.claim(b.key(e.ID), body, now, now))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("webhook: message %s not stored: %w", e.ID, err)
	}
	select {
	case b.kick <- struct{}{}:
	default:
	}
	return nil
}

func (b *Outbox) call(ctx context.Context, f func(context.Context) error) error {
	return within(ctx, b.cfg.StoreTimeout, f)
}

// within bounds a call of the store, which the caller cannot cancel.
func within(ctx context.Context, timeout time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	return f(ctx)
}

func (b *Outbox) claim(key onceward.Key, body []byte, now, lease time.Time) onceward.ClaimRequest {
	return claimOf(b.Kind(), key, body, b.cfg.Retention, now, lease)
}

func claimOf(kind string, key onceward.Key, body []byte, retention time.Duration, now, lease time.Time) onceward.ClaimRequest {
	return onceward.ClaimRequest{
		Key: key, Owner: onceward.NewOwner(), Token: now.UnixMicro(),
		// Nobody but Deliver may take it over: that is what Rerun says.
		Kind: kind, Policy: onceward.Rerun, Fingerprint: []byte(kindPrefix), Detail: body, Retention: retention,
		Now: now, LeaseUntil: lease, ExpiresAt: onceward.Never,
	}
}

// List returns messages of the outbox; see Queue.List.
func (b *Outbox) List(ctx context.Context, status onceward.Status, cursor string, limit int) ([]Delivery, string, error) {
	return b.Queue().List(ctx, status, cursor, limit)
}

// Redeliver makes a message that is held due again; see Queue.Redeliver.
func (b *Outbox) Redeliver(ctx context.Context, id string) error { return b.Queue().Redeliver(ctx, id) }

// Queue is the outbox as an operator sees it.
func (b *Outbox) Queue() *Queue {
	return &Queue{store: b.store, name: b.cfg.Name, timeout: b.cfg.StoreTimeout, now: b.cfg.Now}
}
