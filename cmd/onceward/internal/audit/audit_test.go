package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/onceward/onceward/cmd/onceward/internal/audit"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
	"github.com/onceward/onceward/memstore"
)

// open returns a log in a database, and the database.
func open(t *testing.T) (*audit.Log, *sql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "once.db")
	h, err := storage.Create(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), h.Close(context.WithoutCancel(t.Context()))); err != nil {
			t.Error(err)
		}
	})
	return audit.New(h.Store, nil), db
}

func entry(reason string) audit.Entry {
	return audit.Entry{Actor: "ops@example", Action: "keys release", Phase: audit.Requested, Target: "op", Reason: reason}
}

func fill(t *testing.T, l *audit.Log, n int) (last audit.Entry) {
	t.Helper()
	for i := range n {
		var err error
		if last, err = l.Append(t.Context(), entry(fmt.Sprint("reason ", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

func TestAppendAndVerify(t *testing.T) {
	t.Parallel()
	l, _ := open(t)
	if head, err := l.Verify(t.Context()); err != nil || head.Seq != 0 {
		t.Fatalf("an empty log: %v, %v", head, err)
	}
	last := fill(t, l, 5)
	head, err := l.Verify(t.Context())
	if err != nil || head.Seq != 5 || head.Hash != last.Hash {
		t.Fatalf("head %v, %v; the last entry is %d %s", head, err, last.Seq, last.Hash)
	}
	noted, err := audit.ParseHead(head.String())
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 3)
	if head, err := l.Verify(t.Context(), noted); err != nil || head.Seq != 8 {
		t.Fatalf("head %v, %v", head, err)
	}
	entries, next, err := l.List(t.Context(), "", 3)
	if err != nil || len(entries) != 3 || entries[0].Seq != 8 || next == "" {
		t.Fatalf("listed %+v, %q, %v", entries, next, err)
	}
	if entries, _, err = l.List(t.Context(), next, 10); err != nil || len(entries) != 5 || entries[4].Prev != "" {
		t.Fatalf("listed %+v, %v", entries, err)
	}
}

// TestAppendersFormOneChain, from several processes at once.
func TestAppendersFormOneChain(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	const writers, each = 8, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := audit.New(store, nil).Append(t.Context(), entry(fmt.Sprint(w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if head, err := audit.New(store, nil).Verify(t.Context()); err != nil || head.Seq != writers*each {
		t.Fatalf("head %v, %v", head, err)
	}
}

// TestTamperingIsSeen, whatever is done to the rows.
func TestTamperingIsSeen(t *testing.T) {
	t.Parallel()
	const third = "key = '0000000000000000003'"
	for name, statement := range map[string]string{
		"a changed entry":      `UPDATE onceward_keys SET detail = CAST(replace(CAST(detail AS TEXT), 'reason 3', 'reason X') AS BLOB) WHERE ` + third,
		"a replaced entry":     `UPDATE onceward_keys SET checkpoints = NULL, detail = (SELECT detail FROM onceward_keys WHERE key LIKE '%4' AND scope = 'onceward:audit') WHERE ` + third,
		"a deleted entry":      `DELETE FROM onceward_keys WHERE ` + third,
		"an expired entry":     `UPDATE onceward_keys SET expires_at = 1 WHERE ` + third,
		"an entry made anew":   "", // below
		"a deleted last entry": `DELETE FROM onceward_keys WHERE key = '0000000000000000005'`,
		"nothing left":         `DELETE FROM onceward_keys WHERE scope = 'onceward:audit'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, db := open(t)
			fill(t, l, 5)
			noted, err := l.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if statement == "" {
				remake(t, l, db)
			} else {
				res, err := db.ExecContext(t.Context(), statement)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := res.RowsAffected(); err != nil || n == 0 {
					t.Fatalf("%d rows changed, %v", n, err)
				}
			}
			if head, err := l.Verify(t.Context(), noted); !errors.Is(err, audit.ErrBroken) {
				t.Fatalf("head %v, %v", head, err)
			}
		})
	}
}

// remake deletes the end of the log and writes another one, by the rules.
func remake(t *testing.T, l *audit.Log, db *sql.DB) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), `DELETE FROM onceward_keys WHERE scope = 'onceward:audit' AND key > '0000000000000000002'`); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 4)
	if _, err := l.Verify(t.Context()); err != nil {
		t.Fatalf("the chain itself is whole: %v", err)
	}
}

// TestTheChainNeedsNoAnchor where an entry was changed and stands no longer
// between its neighbours, or does not fit its own hash.
func TestTheChainNeedsNoAnchor(t *testing.T) {
	t.Parallel()
	for name, seq := range map[string]int64{"in the middle, with its hash": 3, "the last": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, db := open(t)
			fill(t, l, 5)
			var detail []byte
			where := fmt.Sprintf("WHERE scope = 'onceward:audit' AND key = '%019d'", seq)
			if err := db.QueryRowContext(t.Context(), "SELECT detail FROM onceward_keys "+where).Scan(&detail); err != nil {
				t.Fatal(err)
			}
			detail = bytes.ReplaceAll(detail, []byte("ops@example"), []byte("eve@example"))
			set, args := "detail = ?1", []any{detail}
			if seq == 3 {
				sum := sha256.Sum256(detail)
				set, args = "detail = ?1, fingerprint = ?2", []any{detail, sum[:]}
			}
			if _, err := db.ExecContext(t.Context(), "UPDATE onceward_keys SET "+set+" "+where, args...); err != nil { //nolint:gosec // two constants
				t.Fatal(err)
			}
			if head, err := l.Verify(t.Context()); !errors.Is(err, audit.ErrBroken) {
				t.Fatalf("head %v, %v", head, err)
			}
		})
	}
}

func TestEntriesAreChecked(t *testing.T) {
	t.Parallel()
	l := audit.New(memstore.New(), nil)
	for _, e := range []audit.Entry{
		{}, entry(""), entry(strings.Repeat("x", audit.MaxReason+1)), {Action: "x", Phase: audit.Done, Reason: "x"},
	} {
		if _, err := l.Append(t.Context(), e); err == nil {
			t.Errorf("%+v was accepted", e)
		}
	}
	long := entry("x")
	long.Detail = strings.Repeat("x", 100_000)
	if _, err := l.Append(t.Context(), long); err != nil {
		t.Errorf("a long detail was not cut: %v", err)
	}
	for _, s := range []string{"", "x", "1:ab", "0:" + strings.Repeat("a", 64), strings.Repeat("a", 64)} {
		if _, err := audit.ParseHead(s); err == nil {
			t.Errorf("the head %q was accepted", s)
		}
	}
}
