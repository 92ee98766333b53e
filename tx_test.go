package onceward_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/onceward/onceward"
)

// txSpy is a store whose transactions hold one business row.
type txSpy struct {
	*spy
	mu     sync.Mutex
	rows   []string
	commit func(apply func() error) error // stands between Complete and its commit
}

type spyTx struct {
	s     *txSpy
	row   string
	ended bool
}

func (s *txSpy) Begin(context.Context, onceward.Key) (onceward.Tx, error) { return &spyTx{s: s}, nil }

func (tx *spyTx) Driver() any { return tx }

func (tx *spyTx) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	if tx.ended {
		return onceward.ErrTxEnded
	}
	tx.ended = true
	apply := func() error {
		if err := tx.s.Complete(ctx, req); err != nil {
			return err
		}
		tx.s.mu.Lock()
		defer tx.s.mu.Unlock()
		tx.s.rows = append(tx.s.rows, tx.row)
		return nil
	}
	if tx.s.commit != nil {
		return tx.s.commit(apply)
	}
	return apply()
}

func (tx *spyTx) Rollback() error {
	tx.ended = true
	return nil
}

func (s *txSpy) has(t *testing.T, rows ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rows) != len(rows) {
		t.Errorf("rows %q, want %q", s.rows, rows)
	}
}

// insert is a handler that writes a row and returns what it is told.
func insert(row string, resp onceward.Response, err error) onceward.Handler {
	return func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		tx, txErr := op.Tx(ctx)
		if txErr != nil {
			return onceward.Response{}, txErr
		}
		tx.(*spyTx).row = row // the store's own
		return resp, err
	}
}

func txEngine(t *testing.T, s onceward.Store) (*onceward.Engine, onceward.Request) {
	t.Helper()
	e, err := onceward.New(s, onceward.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return e, onceward.Request{Key: onceward.Key{Value: "k"}, Fingerprint: []byte("f"), InTx: true}
}

func TestInTxEffectAndRecordAreOne(t *testing.T) {
	t.Parallel()
	s := &txSpy{spy: newSpy()}
	e, req := txEngine(t, s)
	errNo := errors.New("no")
	if _, err := e.Do(t.Context(), req, insert("lost", onceward.Response{}, errNo)); !errors.Is(err, errNo) {
		t.Errorf("a failed handler: %v", err)
	}
	if out, err := e.Do(t.Context(), req, insert("refused", onceward.Response{Status: 422}, nil)); err != nil || out.Kept {
		t.Errorf("a refusal: kept %v, %v", out.Kept, err)
	}
	s.has(t)
	func() {
		defer func() { _ = recover() }()
		_, _ = e.Do(t.Context(), req, func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
			_, _ = op.Tx(ctx)
			panic("crashed")
		})
	}()
	s.has(t)
	for _, replayed := range []bool{false, true} {
		out, err := e.Do(t.Context(), req, insert("made", onceward.Response{Status: 201}, nil))
		if err != nil || out.Replayed != replayed || out.Response.Status != 201 {
			t.Errorf("replayed %v: %+v, %v", replayed, out, err)
		}
	}
	s.has(t, "made")
	rec, err := e.Get(t.Context(), req.Key)
	if err != nil || rec.Policy != onceward.Rerun {
		t.Errorf("policy %q, %v; want rerun", rec.Policy, err)
	}
}

// TestInTxUnclearCommit: the record tells whether it happened, and the client
// gets an answer only if it did.
func TestInTxUnclearCommit(t *testing.T) {
	t.Parallel()
	for name, happened := range map[string]bool{"happened": true, "did not happen": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &txSpy{spy: newSpy()}
			e, req := txEngine(t, s)
			s.commit = func(apply func() error) error {
				if happened {
					_ = apply() // and the connection breaks
				}
				return errDown
			}
			out, err := e.Do(t.Context(), req, insert("made", onceward.Response{Status: 201}, nil))
			if happened && (err != nil || !out.Kept) || !happened && onceward.CodeOf(err) != onceward.CodeStoreUnavailable {
				t.Errorf("answered %+v, %v", out, err)
			}
			s.commit = nil
			out, err = e.Do(t.Context(), req, insert("made", onceward.Response{Status: 201}, nil))
			if err != nil || out.Replayed != happened {
				t.Errorf("the retry: replayed %v, %v", out.Replayed, err)
			}
			s.has(t, "made")
		})
	}
}

// TestInTxCompleteByTheHandler: a commit that did not happen is no answer, also
// when the handler completes by itself.
func TestInTxCompleteByTheHandler(t *testing.T) {
	t.Parallel()
	s := &txSpy{spy: newSpy(), commit: func(func() error) error { return errDown }}
	e, req := txEngine(t, s)
	out, err := e.Do(t.Context(), req, func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		if _, err := op.Tx(ctx); err != nil {
			return onceward.Response{}, err
		}
		if err := op.Complete(ctx, onceward.Response{Status: 200}); onceward.CodeOf(err) != onceward.CodeStoreUnavailable {
			t.Errorf("Complete: %v", err)
		}
		return onceward.Response{Status: 200}, nil
	})
	if onceward.CodeOf(err) != onceward.CodeStoreUnavailable {
		t.Errorf("answered %+v, %v", out, err)
	}
}

// TestInTxEndedByTheHandler: what it committed has happened without a record.
func TestInTxEndedByTheHandler(t *testing.T) {
	t.Parallel()
	s := &txSpy{spy: newSpy()}
	e, req := txEngine(t, s)
	_, err := e.Do(t.Context(), req, func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		tx, err := op.Tx(ctx)
		if err == nil {
			tx.(*spyTx).ended = true // the store's own
		}
		return onceward.Response{Status: 201}, err
	})
	if onceward.CodeOf(err) != onceward.CodeOutcomeUnknown {
		t.Errorf("%v, want it held", err)
	}
}

func TestInTxRefusals(t *testing.T) {
	t.Parallel()
	ok := func(context.Context, *onceward.Operation) (onceward.Response, error) { return onceward.Response{}, nil }
	plain, req := txEngine(t, newSpy())
	if _, err := plain.Do(t.Context(), req, ok); err == nil {
		t.Error("a store without transactions took InTx")
	}
	e, req := txEngine(t, &txSpy{spy: newSpy()})
	req.Policy = onceward.Hold
	if _, err := e.Do(t.Context(), req, ok); err == nil {
		t.Error("InTx went along with the policy hold")
	}
	req.Policy = ""
	_, err := e.Do(t.Context(), req, func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		if err := op.Checkpoint(ctx, "a", nil); err == nil {
			t.Error("a checkpoint beside the transaction")
		}
		return onceward.Response{}, nil
	})
	if err != nil {
		t.Error(err)
	}
	req.Key.Value, req.InTx = "other", false
	_, err = e.Do(t.Context(), req, func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		if _, err := op.Tx(ctx); err == nil {
			t.Error("a transaction without InTx")
		}
		return onceward.Response{}, nil
	})
	if err != nil {
		t.Error(err)
	}
}
