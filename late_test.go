package onceward_test

import (
	"encoding/hex"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// uuidv7 returns a UUIDv7 made at t.
func uuidv7(t time.Time) string {
	ms := t.UnixMilli()
	b := [16]byte{6: 0x7a, 7: 0xbc, 8: 0x9d, 9: 0xef, 15: 1}
	for i := range 6 {
		b[i] = byte(ms >> (8 * (5 - i)) & 0xff)
	}
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// ulid returns a ULID made at t.
func ulid(t time.Time) string {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	ms := t.UnixMilli()
	b := []byte("0000000000ZZZZZZZZZZZZZZZZ")
	for i := range 10 {
		b[9-i] = digits[ms&31]
		ms >>= 5
	}
	return string(b)
}

func TestLateKeys(t *testing.T) {
	t.Parallel()
	in2026 := func() time.Time { return time.Now().AddDate(26, 0, 0) }
	for name, newKey := range map[string]func(time.Time) string{"UUIDv7": uuidv7, "ULID": ulid} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				eng := newEngine(t, s, onceward.Config{Now: in2026})
				for _, c := range []struct {
					age       time.Duration
					retention time.Duration
					late      bool
				}{
					{-time.Hour, 0, false},
					{0, 0, false},
					{24 * time.Hour, 0, false},
					{24*time.Hour + time.Second, 0, true},
					{25 * time.Hour, 48 * time.Hour, false},
					{2 * time.Hour, time.Hour, true},
				} {
					req := keyed(newKey(in2026().Add(-c.age)))
					req.Retention = c.retention
					if !c.late {
						out, err := eng.Do(t.Context(), req, answering("paid"))
						wantBody(t, out, err, "paid")
						continue
					}
					_, err := eng.Do(t.Context(), req, forbidden(t))
					wantCode(t, err, onceward.CodeKeyExpired)
					wantStatus(t, eng, req.Key, "")
					lax := newEngine(t, s, onceward.Config{Now: in2026, AcceptLateKeys: true})
					out, err := lax.Do(t.Context(), req, answering("paid"))
					wantBody(t, out, err, "paid")
				}
			})
		})
	}
}

// A record that still stands answers, however old its key: retention counts
// from the completion. Afterwards the key is refused, never executed.
func TestLateKeyWhoseRecordStands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSpy()
		eng := newEngine(t, s, onceward.Config{})
		req := keyed(uuidv7(time.Now()))
		time.Sleep(23 * time.Hour)
		if _, err := eng.Do(t.Context(), req, answering("paid")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24*time.Hour - 1)
		out, err := eng.Do(t.Context(), req, forbidden(t))
		wantBody(t, out, err, "paid")
		time.Sleep(time.Nanosecond)
		_, err = eng.Do(t.Context(), req, forbidden(t))
		wantCode(t, err, onceward.CodeKeyExpired)

		// Whether it still stands, only the store can say.
		s.set(failing("Get"))
		_, err = eng.Do(t.Context(), req, forbidden(t))
		wantCode(t, err, onceward.CodeStoreUnavailable)
	})
}

// A dead owner's operation is decided by its policy, late or not.
func TestLateKeyOfADeadOwner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		eng := newEngine(t, s, onceward.Config{})
		req := keyed(uuidv7(time.Now()))
		req.Policy = onceward.Rerun
		crash(t, s, req)
		time.Sleep(48 * time.Hour)
		out, err := eng.Do(t.Context(), req, answering("again"))
		wantBody(t, out, err, "again")
	})
}
