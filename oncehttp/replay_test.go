package oncehttp_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

func TestReplayIsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	body := "\x00\x1f\x8b binary \xff"
	s := newSite(t, onceward.Config{}, oncehttp.Options{ReplayHeaders: []string{"x-order"}},
		func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "application/x-thing")
			h.Set("Content-Encoding", "gzip")
			h.Set("Location", "/v1/orders/1")
			h.Set("X-Order", "1")
			h.Set("X-Not-Listed", "1")
			h.Add("Set-Cookie", "session=secret")
			h.Add("Link", `</next>; rel="next"`)
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, body)
			runs.Add(1)
		})
	first := s.post("k", `{"a":1}`)
	first.want(t, 201, body)
	if first.Header.Get("Set-Cookie") == "" || first.Header.Get("X-Not-Listed") == "" || first.replayed() {
		t.Fatalf("the first client is short of something: %v", first.Header)
	}
	again := s.post(`"k"`, `{"a":1}`) // the other spelling
	again.want(t, 201, body)
	if !again.replayed() || runs.Load() != 1 {
		t.Fatalf("not a replay: %v, %d runs", again.Header, runs.Load())
	}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Location", "X-Order", "Idempotency-Key-Expires", "Content-Length"} {
		if got, want := again.Header.Get(name), first.Header.Get(name); got != want || got == "" {
			t.Errorf("%s: %q, first %q", name, got, want)
		}
	}
	for _, name := range []string{"Set-Cookie", "X-Not-Listed"} {
		if v := again.Header.Get(name); v != "" {
			t.Errorf("%s replayed: %q", name, v)
		}
	}
	for _, r := range []reply{first, again} {
		if got := fmt.Sprint(r.Header["Link"]); got != `[</next>; rel="next" </idempotency-policy>; rel="describedby"]` {
			t.Errorf("Link %s", got)
		}
		at, err := http.ParseTime(r.Header.Get("Idempotency-Key-Expires"))
		if err != nil || time.Until(at) < 23*time.Hour || time.Until(at) > 24*time.Hour {
			t.Errorf("expires %v, %v", at, err)
		}
	}
}

func TestKeyReusedNamesTheDifference(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	s.post("k", `{"amount":1,"to":"a"}`).want(t, 200, "ok")
	p := s.post("k", `{"amount":2,"to":"a"}`).problem(t, 422, onceward.CodeKeyReused)
	if got := fmt.Sprint(p["differing"]); got != "[/amount]" {
		t.Fatal(got)
	}
	if p["idempotency_key"] != "k" || p["retryable"] != false || p["type"] != "/idempotency-policy#key-reused" {
		t.Fatal(p)
	}
}

// The expiry is the record's: a retry does not prolong it. A route's own
// retention counts, and what was released begins anew.
func TestExpiryIsTheRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status := 200
		h := guard(t, newEngine(t), oncehttp.Options{Retention: 10 * time.Hour}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
		})
		expires := func(key, body string) string {
			rec := newRecorder()
			h.ServeHTTP(rec, keyed(key, body))
			return rec.Header().Get(oncehttp.HeaderExpires)
		}
		in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
		first := expires("k", "{}")
		if first != in(10*time.Hour) {
			t.Errorf("expires at %s, want %s", first, in(10*time.Hour))
		}
		time.Sleep(time.Hour)
		if again, reused := expires("k", "{}"), expires("k", "[]"); again != first || reused != first {
			t.Errorf("the retry expires at %s, the reuse at %s, the record at %s", again, reused, first)
		}
		status = 400
		for range 2 {
			if got := expires("released", "{}"); got != in(10*time.Hour) {
				t.Errorf("released: %s, want %s", got, in(10*time.Hour))
			}
			time.Sleep(time.Hour)
		}
	})
}
