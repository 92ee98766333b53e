package oncehttp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

type vote struct {
	Proposal string `json:"proposal"`
	Support  bool   `json:"support"`
	Key      string `json:"key"`
}

// byProposal is the natural key of a vote.
func byProposal(_ *http.Request, body []byte) ([]string, error) {
	var v vote
	if err := json.Unmarshal(body, &v); err != nil {
		return nil, errors.New("the body is no vote")
	}
	if v.Proposal == "" {
		return nil, nil
	}
	return []string{v.Proposal}, nil
}

func votes(opts oncehttp.Options) oncehttp.Options {
	opts.NaturalKey, opts.Kind = byProposal, "vote"
	return opts
}

func TestTwoKeysWithOneNaturalKeyAreOneOperation(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	opts := votes(oncehttp.Options{Optional: true, BodyKey: "key"})
	// One operation counts once, although it has two records.
	s := newSite(t, onceward.Config{MaxInFlightPerScope: 1}, opts, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(201)
		fmt.Fprint(w, "vote ", runs.Add(1))
	})
	first := s.post("a", `{"proposal":"p","support":true}`)
	first.want(t, 201, "vote 1")
	if first.replayed() || first.Header.Get("Idempotency-Key-Expires") == "" {
		t.Fatal(first.Header)
	}
	for _, key := range []string{"a", "b", "b"} { // the same, a new one, and that again
		r := s.post(key, `{"proposal":"p","support":true}`)
		r.want(t, 201, "vote 1")
		if !r.replayed() || r.Header.Get("Set-Cookie") != "" {
			t.Fatal(key, r.Header)
		}
	}
	// A page that was refreshed has no key at all.
	s.call("POST", "/v1/orders", `{"proposal":"p","support":true}`, "Content-Type", "application/json").want(t, 201, "vote 1")
	// The same key for another vote; the same vote turned around.
	s.post("a", `{"proposal":"q","support":true}`).problem(t, 422, onceward.CodeKeyReused)
	p := s.post("c", `{"proposal":"p","support":false}`).problem(t, 422, onceward.CodeKeyReused)
	if fmt.Sprint(p["differing"]) != "[/support]" || p["idempotency_key"] != "c" {
		t.Fatal(p)
	}
	// A key that was refused is still free.
	s.post("c", `{"proposal":"r","support":false}`).want(t, 201, "vote 2")
	s.post("x", "no json").problem(t, 400, oncehttp.CodePayloadInvalid)
	// Without a natural key, the client's alone.
	s.post("d", `{"proposal":""}`).want(t, 201, "vote 3")
	s.post("e", `{"proposal":""}`).want(t, 201, "vote 4")
}

func TestKeyInTheBodyIsNoPartOfTheOperation(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, votes(oncehttp.Options{BodyKey: "key"}), saying(200, "ok"))
	call := func(body string) reply { return s.call("POST", "/", body, "Content-Type", "application/json") }
	call(`{"proposal":"p","key":"a"}`).want(t, 200, "ok")
	if r := call(`{"proposal":"p","key":"b"}`); !r.replayed() {
		t.Fatal(r.body)
	}
}

func TestNaturalKeyWithUnkeptAnswers(t *testing.T) {
	t.Parallel()
	answer := http.HandlerFunc(nil)
	s := newSite(t, onceward.Config{MaxResponseBytes: 8}, votes(oncehttp.Options{}), func(w http.ResponseWriter, r *http.Request) { answer(w, r) })
	const body = `{"proposal":"p"}`
	gone := func(key string) {
		t.Helper()
		if _, err := s.eng.Get(t.Context(), onceward.Key{Value: key}); !errors.Is(err, onceward.ErrNotFound) {
			t.Fatalf("the key %s is kept: %v", key, err)
		}
	}
	answer = saying(400, "no")
	s.post("a", body).want(t, 400, "no")
	gone("a")
	answer = func(w http.ResponseWriter, r *http.Request) {
		onceward.FromContext(r.Context()).Conclude(onceward.NotApplied, "")
		fmt.Fprint(w, "not yet")
	}
	s.post("a", body).want(t, 200, "not yet")
	gone("a")
	answer = saying(200, "much too long")
	s.post("a", body).want(t, 200, "much too long")
	for _, key := range []string{"a", "b", "b"} {
		s.post(key, body).problem(t, 409, onceward.CodeResponseUnavailable)
	}
	s.post("b", `{"proposal":"q"}`).problem(t, 422, onceward.CodeKeyReused)

	answer = func(w http.ResponseWriter, r *http.Request) {
		_ = onceward.FromContext(r.Context()).Checkpoint(r.Context(), "sent", nil)
		w.WriteHeader(500)
	}
	s.post("held", `{"proposal":"h"}`).problem(t, 409, onceward.CodeOutcomeUnknown)
	gone("held")
	if p := s.post("held", `{"proposal":"h"}`).problem(t, 409, onceward.CodeOutcomeUnknown); p["idempotency_key"] != "held" {
		t.Fatal(p)
	}
}

func TestNaturalKeyWhenOnlyTheClientsKeyCannotBeRecorded(t *testing.T) {
	t.Parallel()
	completions := 0
	s, store := newSpied(t, onceward.Config{CompleteTimeout: time.Millisecond}, votes(oncehttp.Options{}), saying(200, "ok"))
	store.set(func(call string) error {
		if call == "complete" {
			completions++
			if completions > 1 {
				return errDown
			}
		}
		return nil
	})
	s.post("a", `{"proposal":"p"}`).want(t, 200, "ok")
	store.set(nil)
	r := s.post("b", `{"proposal":"p"}`)
	r.want(t, 200, "ok")
	if !r.replayed() {
		t.Fatal("ran again")
	}
}

func TestNaturalKeysWaitWithoutDeadlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		h := guard(t, newEngine(t), votes(oncehttp.Options{Wait: time.Minute}), func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(10 * time.Second)
			fmt.Fprint(w, runs.Add(1))
		})
		var wg sync.WaitGroup
		began := time.Now()
		for i := range 60 {
			wg.Go(func() {
				rec := newRecorder()
				h.ServeHTTP(rec, keyed(fmt.Sprint("k", i%7), `{"proposal":"p"}`))
				if rec.Code != 200 || rec.Body.String() != "1" {
					t.Errorf("%d %s", rec.Code, rec.Body)
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("waited %v for an operation of 10 s", took)
		}
	})
}

func TestWait(t *testing.T) {
	t.Parallel()
	type step struct {
		after  time.Duration
		status int
		body   string
	}
	for name, c := range map[string]struct {
		natural bool
		answers []func(http.ResponseWriter, *http.Request) // of the first run, the second, …
		second  step
		took    time.Duration
	}{
		"gets the answer": {
			answers: []func(http.ResponseWriter, *http.Request){slow(10*time.Second, 200)},
			second:  step{time.Second, 200, "200"}, took: 10 * time.Second,
		},
		"gives up in time": {
			answers: []func(http.ResponseWriter, *http.Request){slow(100*time.Second, 200)},
			second:  step{time.Second, 409, ""}, took: 31 * time.Second,
		},
		"gives up in time, naturally": {
			natural: true,
			answers: []func(http.ResponseWriter, *http.Request){slow(100*time.Second, 200)},
			second:  step{time.Second, 409, ""}, took: 31 * time.Second,
		},
		"takes over": {
			answers: []func(http.ResponseWriter, *http.Request){slow(10*time.Second, 500), slow(time.Second, 201)},
			second:  step{time.Second, 201, "201"}, took: 12 * time.Second,
		},
		"takes over, naturally": {
			natural: true,
			answers: []func(http.ResponseWriter, *http.Request){slow(10*time.Second, 500), slow(time.Second, 201)},
			second:  step{time.Second, 201, "201"}, took: 12 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int32
				opts := oncehttp.Options{Wait: 30 * time.Second}
				keys := []string{"a", "a"}
				if c.natural {
					opts, keys[1] = votes(opts), "b"
				}
				h := guard(t, newEngine(t), opts, func(w http.ResponseWriter, r *http.Request) {
					c.answers[runs.Add(1)-1](w, r)
				})
				var wg sync.WaitGroup
				began := time.Now()
				wg.Go(func() { h.ServeHTTP(newRecorder(), keyed(keys[0], `{"proposal":"p"}`)) })
				time.Sleep(c.second.after)
				rec := newRecorder()
				h.ServeHTTP(rec, keyed(keys[1], `{"proposal":"p"}`))
				took := time.Since(began)
				if rec.Code != c.second.status || c.second.body != "" && rec.Body.String() != c.second.body {
					t.Errorf("%d %s", rec.Code, rec.Body)
				}
				if took < c.took-time.Second || took > c.took+time.Second {
					t.Errorf("took %v, want %v", took, c.took)
				}
				wg.Wait()
			})
		})
	}
}

func slow(d time.Duration, status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(max(d, 1))
		w.WriteHeader(status)
		fmt.Fprint(w, status)
	}
}
