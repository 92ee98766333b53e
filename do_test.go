package onceward_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// All callers of one key share one run and one answer, and inside a process
// the duplicates cost the store nothing.
func TestConcurrentCallersShareOneRun(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"reject": 0, "wait": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSpy()
				eng := newEngine(t, s, onceward.Config{})
				runs, finish := 0, make(chan struct{})
				h := func(context.Context, *onceward.Operation) (onceward.Response, error) {
					runs++
					<-finish
					return body("paid"), nil
				}
				req := keyed("k")
				req.Wait = wait
				replies := make([]<-chan reply, 50)
				for i := range replies {
					replies[i] = async(t.Context(), eng, req, h)
				}
				synctest.Wait()
				if s.count("Claim") != 1 || s.count("Get") != 0 {
					t.Errorf("50 callers made %d claims and %d reads, want 1 and 0", s.count("Claim"), s.count("Get"))
				}
				close(finish)
				answered, replayed := 0, 0
				for _, c := range replies {
					r := <-c
					switch {
					case r.err == nil:
						wantBody(t, r.out, r.err, "paid")
						answered++
						if r.out.Replayed {
							replayed++
						}
						if !r.out.Kept || !r.out.ExpiresAt.Equal(time.Now().Add(24*time.Hour)) {
							t.Errorf("kept %v until %v", r.out.Kept, r.out.ExpiresAt)
						}
					case wait == 0:
						wantCode(t, r.err, onceward.CodeInProgress)
					default:
						t.Error(r.err)
					}
				}
				want := 1
				if wait > 0 {
					want = 50
				}
				if runs != 1 || answered != want || replayed != want-1 {
					t.Errorf("%d runs, %d answers, %d replays; want 1, %d, %d", runs, answered, replayed, want, want-1)
				}
				if n := s.count(writes...); n != 2 {
					t.Errorf("%d writes, want a claim and a completion", n)
				}
				out, err := eng.Do(t.Context(), req, forbidden(t))
				wantBody(t, out, err, "paid")
			})
		})
	}
}

func TestEnginesOnOneStoreShareOneRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		runs := make(chan struct{}, 50)
		req := keyed("k")
		req.Wait = time.Minute
		var replies []<-chan reply
		for range 5 {
			eng := newEngine(t, store, onceward.Config{})
			for range 10 {
				replies = append(replies, async(t.Context(), eng, req,
					func(context.Context, *onceward.Operation) (onceward.Response, error) {
						runs <- struct{}{}
						<-time.After(5 * time.Second)
						return body("paid"), nil
					}))
			}
		}
		for _, c := range replies {
			r := <-c
			wantBody(t, r.out, r.err, "paid")
		}
		if len(runs) != 1 {
			t.Errorf("the handler ran %d times", len(runs))
		}
	})
}

// A request that comes after the winner was answered never hears "in
// progress", not even when it joins a claim whose answer is older than that.
func TestFinishedWinnerIsNeverInProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		finish, arrive := make(chan struct{}), make(chan struct{})
		winner := async(t.Context(), newEngine(t, store, onceward.Config{}), keyed("k"),
			func(context.Context, *onceward.Operation) (onceward.Response, error) {
				<-finish
				return body("paid"), nil
			})
		synctest.Wait()

		s := on(store)
		s.set(func(op string, n int, apply func() error) error {
			err := apply()
			if op == "Claim" && n == 1 {
				<-arrive // the answer is on its way
			}
			return err
		})
		other := newEngine(t, s, onceward.Config{})
		loser := async(t.Context(), other, keyed("k"), forbidden(t))
		synctest.Wait()
		close(finish)
		r := <-winner
		wantBody(t, r.out, r.err, "paid")

		var late []<-chan reply
		for range 10 {
			late = append(late, async(t.Context(), other, keyed("k"), forbidden(t)))
		}
		synctest.Wait()
		close(arrive)
		wantCode(t, (<-loser).err, onceward.CodeInProgress) // it did ask before the end
		for _, c := range late {
			r := <-c
			wantBody(t, r.out, r.err, "paid")
		}
	})
}

// The callers may change the header they were given.
func TestAnswersDoNotShareTheirHeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		eng := newEngine(t, memstore.New(), onceward.Config{})
		req := keyed("k")
		req.Wait = time.Minute
		replies := make([]<-chan reply, 20)
		for i := range replies {
			c := make(chan reply, 1)
			replies[i] = c
			go func() {
				out, err := eng.Do(t.Context(), req, func(context.Context, *onceward.Operation) (onceward.Response, error) {
					<-time.After(time.Second)
					return onceward.Response{Header: map[string][]string{"A": append(make([]string, 0, 8), "1")}}, nil
				})
				out.Response.Header["A"] = append(out.Response.Header["A"], "2")
				out.Response.Header["B"] = []string{"3"}
				c <- reply{out, err}
			}()
		}
		for _, c := range replies {
			if r := <-c; r.err != nil || strings.Join(r.out.Response.Header["A"], "") != "12" {
				t.Errorf("header %v, %v", r.out.Response.Header, r.err)
			}
		}
	})
}

func TestFingerprintIsComparedInEveryState(t *testing.T) {
	t.Parallel()
	states := map[string]func(t *testing.T, s *memstore.Store, eng *onceward.Engine){
		"running here": func(t *testing.T, _ *memstore.Store, eng *onceward.Engine) {
			async(t.Context(), eng, keyed("k"), func(context.Context, *onceward.Operation) (onceward.Response, error) {
				<-time.After(time.Second)
				return onceward.Response{}, nil
			})
			synctest.Wait()
		},
		"running elsewhere": func(t *testing.T, s *memstore.Store, _ *onceward.Engine) { crash(t, s, keyed("k")) },
		"lapsed": func(t *testing.T, s *memstore.Store, _ *onceward.Engine) {
			crash(t, s, under(onceward.Rerun))
			<-time.After(time.Hour)
		},
		"held": func(t *testing.T, s *memstore.Store, eng *onceward.Engine) {
			crash(t, s, keyed("k"))
			<-time.After(time.Hour)
			_, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
			wantCode(t, err, onceward.CodeOutcomeUnknown)
		},
		"completed": func(t *testing.T, _ *memstore.Store, eng *onceward.Engine) {
			if _, err := eng.Do(t.Context(), keyed("k"), answering("paid")); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, reach := range states {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				eng := newEngine(t, s, onceward.Config{})
				reach(t, s, eng)
				for _, fp := range []string{"", "F", "ff"} {
					req := under(onceward.Rerun)
					req.Fingerprint, req.Wait = []byte(fp), time.Minute
					start := time.Now()
					_, err := eng.Do(t.Context(), req, forbidden(t))
					wantCode(t, err, onceward.CodeKeyReused)
					if time.Since(start) > 0 {
						t.Errorf("a reused key waited %v for its refusal", time.Since(start))
					}
				}
				time.Sleep(time.Second)
			})
		})
	}
}

// Two scopes never meet, whatever their keys.
func TestScopesAreApart(t *testing.T) {
	t.Parallel()
	eng := newEngine(t, memstore.New(), onceward.Config{})
	for _, k := range []onceward.Key{{Scope: "a", Value: "bc"}, {Scope: "ab", Value: "c"}, {Scope: "", Value: "abc"}} {
		out, err := eng.Do(t.Context(), onceward.Request{Key: k}, answering(k.Scope))
		wantBody(t, out, err, k.Scope)
		if out.Replayed {
			t.Errorf("%+v was answered from another scope", k)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := newSpy()
	eng := newEngine(t, s, onceward.Config{})
	for name, change := range map[string]func(*onceward.Request){
		"no key":            func(r *onceward.Request) { r.Key.Value = "" },
		"long key":          func(r *onceward.Request) { r.Key.Value = strings.Repeat("k", 256) },
		"reserved scope":    func(r *onceward.Request) { r.Key.Scope = onceward.ReservedScope + "x" },
		"long fingerprint":  func(r *onceward.Request) { r.Fingerprint = bytes.Repeat([]byte{1}, 65) },
		"large detail":      func(r *onceward.Request) { r.Detail = make([]byte, 16<<10+1) },
		"long kind":         func(r *onceward.Request) { r.Kind = strings.Repeat("k", 256) },
		"negative wait":     func(r *onceward.Request) { r.Wait = -1 },
		"negative keeping":  func(r *onceward.Request) { r.Retention = -1 },
		"unknown policy":    func(r *onceward.Request) { r.Policy = "retry" },
		"no reconciler yet": func(r *onceward.Request) { r.Policy = onceward.Reconcile },
	} {
		req := keyed("k")
		change(&req)
		if _, err := eng.Do(t.Context(), req, forbidden(t)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if n := s.count(writes...) + s.count("Get"); n != 0 {
		t.Errorf("refused requests made %d calls of the store", n)
	}
}

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]onceward.Config{
		"negative retention": {Retention: -1},
		"negative lease":     {Lease: -time.Second},
		"tiny lease":         {Lease: 2},
		"lease > retention":  {Lease: time.Hour, Retention: time.Minute},
		"negative timeout":   {OperationTimeout: -1},
		"negative quota":     {MaxInFlightPerScope: -1},
		"negative recover":   {RecoverLimit: -1},
		"negative sweep":     {SweepBatch: -1},
		"negative interval":  {SweepInterval: -1},
	} {
		if _, err := onceward.New(memstore.New(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := onceward.New(nil, onceward.Config{}); err == nil {
		t.Error("an engine without a store")
	}
	eng := newEngine(t, memstore.New(), onceward.Config{})
	r := func(context.Context, *onceward.Operation) (onceward.Verdict, error) { return onceward.Verdict{}, nil }
	if eng.Register("", r) == nil || eng.Register("pay", nil) == nil || eng.Register("pay", r) != nil || eng.Register("pay", r) == nil {
		t.Error("Register takes a kind once, with a Reconciler")
	}
}
