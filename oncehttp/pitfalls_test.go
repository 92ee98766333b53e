package oncehttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// Each test here is a bug that comparable software has had.

func TestClientThatHangsUpDoesNotLoseTheRecord(t *testing.T) {
	t.Parallel()
	running, gone := make(chan struct{}), make(chan struct{})
	var runs atomic.Int32
	opts := oncehttp.Options{Wait: 10 * time.Second}
	s := newSite(t, onceward.Config{}, opts, func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		close(running)
		<-gone
		if err := r.Context().Err(); err != nil {
			t.Errorf("the handler's context ended with the client: %v", err)
		}
		fmt.Fprint(w, "done")
	})
	ctx, cancel := context.WithCancel(t.Context())
	hung := make(chan error, 1)
	go func() {
		res, err := http.DefaultTransport.RoundTrip(s.request("POST", "/v1/orders", "{}", //nolint:contextcheck // the test's own context suits
			"Idempotency-Key", "k", "Content-Type", "application/json").WithContext(ctx))
		if err == nil {
			_ = res.Body.Close()
		}
		hung <- err
	}()
	<-running
	cancel()
	if err := <-hung; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(gone)
	s.post("k", "{}").want(t, 200, "done")
	if n := runs.Load(); n != 1 {
		t.Fatalf("%d runs", n)
	}
}

func TestOtherKeyWithTheSameBodyIsAnotherOperation(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, runs.Add(1))
	})
	s.post("a", `{"amount":1}`).want(t, 200, "1")
	s.post("b", `{"amount":1}`).want(t, 200, "2")
	s.post("a", `{"amount":1}`).want(t, 200, "1")
}

func TestFingerprintNeverMergesWhatDiffers(t *testing.T) {
	t.Parallel()
	pairs := [][2]string{
		{`{"n":9007199254740993}`, `{"n":9007199254740992}`},
		{`{"a":1,"a":2}`, `{"a":2}`},
		{`{"a":1.0}`, `{"a":1}`},
		{`{"a":1e400}`, `{"a":1e401}`},
		{`{"a":"\ud800"}`, `{"a":"\ufffd"}`},
		{"{\"a\":\"\xff\"}", "{\"a\":\"\xfe\"}"},
		{`{"a":1}`, `{"a":1} `},
		{`{"a":"é"}`, "{\"a\":\"e\u0301\"}"},
	}
	equalCanonically := map[int]bool{2: true, 6: true}
	for i, p := range pairs {
		raw := newSite(t, onceward.Config{}, oncehttp.Options{}, saying(200, "ok"))
		raw.post("k", p[0]).want(t, 200, "ok")
		raw.post("k", p[1]).problem(t, 422, onceward.CodeKeyReused)

		for _, opts := range []oncehttp.Options{{CanonicalJSON: true}, {Fields: []string{"/n", "/a"}}} {
			canonical := newSite(t, onceward.Config{}, opts, saying(200, "ok"))
			first := canonical.post("k", p[0])
			second := canonical.post("k", p[1])
			switch {
			case equalCanonically[i]:
				if !second.replayed() {
					t.Errorf("%q and %q are one value: %d", p[0], p[1], second.StatusCode)
				}
			case second.replayed() || first.StatusCode == 200 && second.StatusCode == 200:
				t.Errorf("%q and %q became one", p[0], p[1])
			}
		}
	}
}

func TestChangedPayloadIsNeverExecuted(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(http.ResponseWriter, *http.Request) { runs.Add(1) })
	long := strings.Repeat("x", 1<<20-1)
	s.post("k", long+"1")
	s.post("k", long+"2").problem(t, 422, onceward.CodeKeyReused)
	s.call("PATCH", "/v1/orders", long+"1", "Idempotency-Key", "k", "Content-Type", "application/json").
		problem(t, 422, onceward.CodeKeyReused)
	if n := runs.Load(); n != 1 {
		t.Fatalf("%d runs", n)
	}
}

// The same answer by every way there is to write one.
func TestEveryWayToWriteIsRecorded(t *testing.T) {
	t.Parallel()
	body := "a\x00b\xff" + strings.Repeat("z", 9000)
	ways := map[string]http.HandlerFunc{
		"Write":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) },
		"bytewise": func(w http.ResponseWriter, _ *http.Request) { bytewise(w, body) },
		"string":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) },
		"copy": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader(body), 1<<20))
		},
		"content": func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "x.bin", time.Unix(1e9, 0), strings.NewReader(body))
		},
	}
	for name, h := range ways {
		s := newSite(t, onceward.Config{}, oncehttp.Options{}, h)
		s.post("k", "{}").want(t, 200, body)
		again := s.post("k", "{}")
		again.want(t, 200, body)
		if !again.replayed() {
			t.Errorf("%s: not replayed", name)
		}
	}
}

func bytewise(w io.Writer, s string) {
	for i := range len(s) {
		_, _ = w.Write([]byte{s[i]})
	}
}

func TestErrorAfterTheEffectDoesNotFreeTheKey(t *testing.T) {
	t.Parallel()
	var effects atomic.Int32
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if err := onceward.FromContext(r.Context()).Checkpoint(r.Context(), "charge", nil); err != nil {
			t.Error(err)
		}
		effects.Add(1)
		w.WriteHeader(500)
	})
	for range 3 {
		s.post("k", "{}").problem(t, 409, onceward.CodeOutcomeUnknown)
	}
	if n := effects.Load(); n != 1 {
		t.Fatalf("%d effects", n)
	}
}

func TestPanicAppliesTheCrashPolicyAndGoesOn(t *testing.T) {
	t.Parallel()
	for _, value := range []any{"bug", http.ErrAbortHandler} {
		eng := newEngine(t)
		h := guard(t, eng, oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "half")
			panic(value)
		})
		rec := newRecorder()
		func() {
			defer func() {
				if p := recover(); p != value {
					t.Errorf("panic %v", p)
				}
			}()
			h.ServeHTTP(rec, keyed("k", "{}"))
		}()
		if rec.Body.Len() != 0 {
			t.Errorf("bytes left before the panic: %q", rec.Body)
		}
		rec = newRecorder()
		h.ServeHTTP(rec, keyed("k", "{}"))
		if rec.Code != 409 || !strings.Contains(rec.Body.String(), "outcome-unknown") {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
}

func TestLoserOfARaceGetsTheAnswerOrIsToldToWait(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		runs.Add(1)
		fmt.Fprint(w, "ok")
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if r := s.post("k", "{}"); r.StatusCode != 200 && r.StatusCode != 409 {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
		})
	}
	wg.Wait()
	s.post("k", "{}").want(t, 200, "ok")
	if n := runs.Load(); n != 1 {
		t.Fatalf("%d runs", n)
	}
}

func TestScopesNeverMeetAndNobodyIsAnsweredWithoutOne(t *testing.T) {
	t.Parallel()
	scope := func(r *http.Request) (string, error) {
		user, _, ok := r.BasicAuth()
		if !ok {
			return "", errors.New("no user")
		}
		return user, nil
	}
	s := newSite(t, onceward.Config{}, oncehttp.Options{Scope: scope}, func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		fmt.Fprint(w, "secret of ", user)
	})
	ann, bob := []string{"Authorization", "Basic YW5uOg=="}, []string{"Authorization", "Basic Ym9iOg=="}
	s.post("k", "{}", ann...).want(t, 200, "secret of ann")
	s.post("k", "{}", bob...).want(t, 200, "secret of bob")
	s.post("k", "{}").problem(t, 401, oncehttp.CodeUnauthorized)
	s.post("k", "{}", ann...).want(t, 200, "secret of ann")
}

func TestPendingAnswerIsNotFinal(t *testing.T) {
	t.Parallel()
	opts := oncehttp.Options{Policy: onceward.Reconcile, Kind: "mint"}
	s := newSite(t, onceward.Config{}, opts, func(_ http.ResponseWriter, r *http.Request) {
		op := onceward.FromContext(r.Context())
		if err := op.Checkpoint(r.Context(), "sent", []byte("hash")); err != nil {
			t.Error(err)
		}
		oncehttp.Fail(r, onceward.ErrPark) // still pending when we have to answer
	})
	err := s.eng.Register("mint", func(_ context.Context, op *onceward.Operation) (onceward.Verdict, error) {
		hash, _ := op.Recall("sent")
		return onceward.Verdict{Decision: onceward.Completed, Response: onceward.Response{
			Status: 201, Body: hash, Header: http.Header{"Content-Type": {"text/plain"}, "Set-Cookie": {"a=b"}},
		}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.post("k", "{}").problem(t, 409, onceward.CodeInProgress)
	if _, err := s.eng.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := s.post("k", "{}")
	r.want(t, 201, "hash")
	if !r.replayed() || r.Header.Get("Set-Cookie") != "" {
		t.Fatal(r.Header)
	}
}

func TestKeysOutsideTheAlphabetAre400(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{BodyKey: "key"}, saying(200, "ok"))
	long := strings.Repeat("k", 255)
	s.post(long, "{}").want(t, 200, "ok")
	s.post(`"`+long+`"`, "{}").want(t, 200, "ok")
	for _, key := range []string{long + "k", `"` + long + `k"`, "", `""`, "ключ", "a\tb", `"a b"`, `"a`, `"a"b`, "a, b"} {
		s.post(key, "{}").problem(t, 400, onceward.CodeKeyInvalid)
	}
	for _, body := range []string{`{"key":"a\u0000"}`, `{"key":1}`, `{"key":null}`, `{"key":""}`, `{"key":"a","key":"a"}`, `{"key":"` + long + `k"}`} {
		s.call("POST", "/", body, "Content-Type", "application/json").problem(t, 400, onceward.CodeKeyInvalid)
	}
	s.call("POST", "/", "{}", "Idempotency-Key", "a", "Idempotency-Key", "a").problem(t, 400, onceward.CodeKeyInvalid)
}

func TestSlashAtTheEndIsTheSamePlace(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, saying(200, "ok"))
	post := func(path string) reply { return s.call("POST", path, "{}", "Idempotency-Key", "k") }
	post("/x").want(t, 200, "ok")
	if r := post("/x/"); !r.replayed() {
		t.Fatal(r.body)
	}
	post("/x/y").problem(t, 422, onceward.CodeKeyReused)
	post("/x%2F").problem(t, 422, onceward.CodeKeyReused)
}

func TestStoreFailureNeverRunsTheHandlerTwice(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	s, store := newSpied(t, onceward.Config{CompleteTimeout: time.Millisecond}, oncehttp.Options{},
		func(http.ResponseWriter, *http.Request) { runs.Add(1) })
	store.set(failing("complete"))
	s.post("k", "{}").problem(t, 503, onceward.CodeOutcomeUnrecorded)
	store.set(nil)
	s.post("k", "{}").problem(t, 409, onceward.CodeInProgress)
	if n := runs.Load(); n != 1 {
		t.Fatalf("%d runs", n)
	}
}

func TestFailOpenRunsOnlyWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	s, store := newSpied(t, onceward.Config{}, oncehttp.Options{FailOpen: true}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v", body, onceward.FromContext(r.Context()) != nil)
	})
	s.post("k", "body").want(t, 200, "body true")
	store.set(failing("claim"))
	s.post("k2", "body").want(t, 200, "body false")
}

func TestOtherRequestsCauseNoStoreTraffic(t *testing.T) {
	t.Parallel()
	s, store := newSpied(t, onceward.Config{}, oncehttp.Options{Optional: true, BodyKey: "key"}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.Method, body)
	})
	if r := s.call("PUT", "/", "a", "Idempotency-Key", "not, valid"); r.body != "PUT a" || len(r.Header["Link"])+len(r.Header["Idempotency-Key-Expires"]) > 0 {
		t.Errorf("touched: %q %v", r.body, r.Header)
	}
	s.call("GET", "/", "", "Idempotency-Key", "k").want(t, 200, "GET ")
	s.call("HEAD", "/", "", "Idempotency-Key", "k").want(t, 200, "")
	s.call("DELETE", "/", "", "Idempotency-Key", "k").want(t, 200, "DELETE ")
	s.call("POST", "/", "a").want(t, 200, "POST a")
	s.call("POST", "/", `{"a":1}`, "Content-Type", "application/json").want(t, 200, `POST {"a":1}`)
	if calls := store.log(); len(calls) != 0 {
		t.Fatal(calls)
	}
}
