package auth_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestRotation: a token of a new key is accepted as soon as the key is
// published, one of a withdrawn key no longer than the keys are believed.
func TestRotation(t *testing.T) {
	t.Parallel()
	before, after := newSigner(t, "k1", jose.EdDSA), newSigner(t, "k2", jose.EdDSA)
	synctest.Test(t, func(t *testing.T) {
		p := &idp{keys: []any{before.public()}}
		j := newJWT(t, p.config())
		good := func(s signer) *http.Request { return request(t.Context(), s.token(t, claims(time.Now(), nil))) }
		accepted(t, j, good(before), "jwt:alice")
		time.Sleep(time.Minute)
		p.set(before.public(), after.public())
		accepted(t, j, good(after), "jwt:alice")
		accepted(t, j, good(before), "jwt:alice")
		if n := p.count(); n != 2 {
			t.Fatalf("%d fetches, want one for each unknown key", n)
		}
		p.set(after.public())
		time.Sleep(15 * time.Minute)
		accepted(t, j, good(before), "jwt:alice") // begins the fetch that withdraws it
		synctest.Wait()
		refused(t, j, good(before))
		accepted(t, j, good(after), "jwt:alice")
	})
}

// TestUnknownKeysCannotFloodTheIssuer: whatever names tokens carry.
func TestUnknownKeysCannotFloodTheIssuer(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k1", jose.EdDSA)
	synctest.Test(t, func(t *testing.T) {
		p := &idp{keys: []any{s.public()}}
		j := newJWT(t, p.config())
		for i := range 1000 {
			bad := signer{id: string(rune('A' + i)), alg: s.alg, key: s.key}
			refused(t, j, request(t.Context(), bad.token(t, claims(time.Now(), nil))))
			time.Sleep(50 * time.Millisecond)
		}
		if n := p.count(); n > 6 { // 50 s, one fetch in 10 s
			t.Fatalf("%d fetches", n)
		}
		accepted(t, j, request(t.Context(), s.token(t, claims(time.Now(), nil))), "jwt:alice")
	})
}

// TestOutage: known keys stay in use for a day, not for ever.
func TestOutage(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k1", jose.EdDSA)
	synctest.Test(t, func(t *testing.T) {
		p := &idp{keys: []any{s.public()}}
		j := newJWT(t, p.config())
		good := func() *http.Request { return request(t.Context(), s.token(t, claims(time.Now(), nil))) }
		accepted(t, j, good(), "jwt:alice")
		p.fail(errors.New("connection refused"))
		for range 23 {
			time.Sleep(time.Hour)
			accepted(t, j, good(), "jwt:alice")
			synctest.Wait()
		}
		if n := p.count(); n < 20 {
			t.Fatalf("%d fetches, so nobody tried again", n)
		}
		time.Sleep(time.Hour + time.Second)
		undecided(t, j, good())
		p.fail(nil)
		undecided(t, j, good()) // not asked again so soon
		time.Sleep(10 * time.Second)
		accepted(t, j, good(), "jwt:alice")
	})
}

// TestNoKeysYet: without keys nobody can say that a token is bad.
func TestNoKeysYet(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k1", jose.EdDSA)
	synctest.Test(t, func(t *testing.T) {
		for name, p := range map[string]*idp{
			"down":    {down: errors.New("no route to host")},
			"error":   {status: http.StatusInternalServerError, keys: []any{s.public()}},
			"empty":   {},
			"hangs":   {delay: time.Hour},
			"strange": {keys: []any{"x"}},
		} {
			j := newJWT(t, p.config())
			if err := j.Warm(t.Context()); err == nil {
				t.Errorf("%s: Warm is content", name)
			}
			undecided(t, j, request(t.Context(), s.token(t, claims(time.Now(), nil))))
			if n := p.count(); n != 1 {
				t.Errorf("%s: %d fetches", name, n)
			}
		}
	})
}

// TestOneFetchServesAll: requests that come at once wait for one answer.
func TestOneFetchServesAll(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k1", jose.EdDSA)
	synctest.Test(t, func(t *testing.T) {
		p := &idp{keys: []any{s.public()}, delay: time.Second}
		j := newJWT(t, p.config())
		token := s.token(t, claims(time.Now(), nil))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := j.Authenticate(request(t.Context(), token)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := p.count(); n != 1 {
			t.Fatalf("%d fetches", n)
		}
	})
}
