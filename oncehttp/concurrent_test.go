package oncehttp_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward/oncehttp"
)

// Fifty requests with one key at the same time: one success and 49 refusals
// that say when to come back, or, in waiting mode, fifty equal answers.
func TestFiftyAtOnce(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"reject": 0, "wait": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var runs, ok, conflict, replayed atomic.Int32
				h := guard(t, newEngine(t), oncehttp.Options{Wait: wait}, func(w http.ResponseWriter, _ *http.Request) {
					<-time.After(time.Second)
					w.WriteHeader(201)
					fmt.Fprint(w, "run ", runs.Add(1))
				})
				var wg sync.WaitGroup
				for i := range 50 {
					key := "k"
					if i%2 == 1 {
						key = `"k"` // the other spelling
					}
					wg.Go(func() {
						rec := newRecorder()
						h.ServeHTTP(rec, keyed(key, `{"amount":1}`))
						switch {
						case rec.Code == 201 && rec.Body.String() == "run 1":
							ok.Add(1)
						case rec.Code == 409 && rec.Header().Get("Retry-After") == "1":
							conflict.Add(1)
						default:
							t.Errorf("%d %s %v", rec.Code, rec.Body, rec.Header())
						}
						if rec.Header().Get(oncehttp.HeaderReplayed) == "true" {
							replayed.Add(1)
						}
						if rec.Header().Get("Link") == "" || rec.Header().Get(oncehttp.HeaderExpires) == "" {
							t.Errorf("without Link or expiry: %v", rec.Header())
						}
					})
				}
				wg.Wait()
				want := [4]int32{1, 1, 49, 0}
				if wait > 0 {
					want = [4]int32{1, 50, 0, 49}
				}
				if got := [4]int32{runs.Load(), ok.Load(), conflict.Load(), replayed.Load()}; got != want {
					t.Errorf("runs, answers, refusals, replays: %v, want %v", got, want)
				}
			})
		})
	}
}

// A client that hangs up while it waits takes nobody with it, and one whose
// request is refused is not waited for.
func TestWaiterThatHangsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		h := guard(t, newEngine(t), oncehttp.Options{Wait: time.Hour}, func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(time.Minute)
			fmt.Fprint(w, runs.Add(1))
		})
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				r := keyed("k", "{}")
				patience := time.Hour
				if i%2 == 1 {
					patience = time.Second
				}
				ctx, hangUp := context.WithTimeout(t.Context(), patience)
				defer hangUp()
				began := time.Now()
				rec := newRecorder()
				h.ServeHTTP(rec, r.WithContext(ctx))
				if patient := i%2 == 0; patient && rec.Body.String() != "1" || !patient && time.Since(began) != time.Second && rec.Body.String() != "1" {
					t.Errorf("client %d: %d %s after %v", i, rec.Code, rec.Body, time.Since(began))
				}
			})
		}
		wg.Wait()
		if runs.Load() != 1 {
			t.Errorf("%d runs", runs.Load())
		}
	})
}
