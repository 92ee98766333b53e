package oncehttp_test

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// A script is a list of calls on a ResponseWriter, one per byte. Run behind
// the middleware and without it, it must look the same to the first client.
type script []byte

const (
	maxScript = 64
	maxKept   = 2000
)

func (s script) run(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	for i, b := range s {
		value := fmt.Sprint(i)
		switch b % 16 {
		case 0, 1, 2:
			_, _ = io.WriteString(w, value)
		case 3:
			_, _ = w.Write([]byte(strings.Repeat(value, 100)))
		case 4:
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat(value, 30)), 50))
		case 5:
			statuses := []int{200, 201, 204, 301, 304, 400, 404, 500, 503}
			w.WriteHeader(statuses[int(b/16)%len(statuses)])
		case 6:
			h.Set("X-A", value)
		case 7:
			w.Header().Add("X-A", value)
		case 8:
			h.Del("X-A")
		case 9:
			h.Set("Content-Type", "text/x-"+value)
		case 10:
			h["Content-Type"] = nil
		case 11:
			h.Set("Content-Encoding", "x-"+value)
		case 12:
			h.Add("Set-Cookie", "c="+value)
		case 13:
			h.Set("Content-Length", fmt.Sprint(b/16))
		case 14:
			h.Set("Trailer", "X-Tail")
			h.Set("X-Tail", value)
		case 15:
			if b/16 == 0 {
				_ = http.NewResponseController(w).Flush()
			}
		}
	}
}

// seen is what a client notices of an answer.
type seen struct {
	status          int
	body            string
	header, trailer http.Header
	broken          bool
}

func see(t testing.TB, h http.Handler) seen {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = discardLog
	srv.Start()
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", "k")
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return seen{broken: true}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	out := seen{res.StatusCode, string(body), res.Header.Clone(), res.Trailer, err != nil}
	for _, name := range []string{"Date", "Link", "Content-Length", "Connection", oncehttp.HeaderExpires} {
		out.header.Del(name) // ours, or free
	}
	return out
}

func (a seen) equal(b seen) bool {
	if a.broken || b.broken {
		return a.broken == b.broken
	}
	return a.status == b.status && a.body == b.body &&
		maps.EqualFunc(a.header, b.header, slices.Equal) && maps.EqualFunc(a.trailer, b.trailer, slices.Equal)
}

// checkScript compares a script with and without the middleware, and its
// replay with its first answer.
func checkScript(t testing.TB, s script) {
	t.Helper()
	s = s[:min(len(s), maxScript)]
	bare := see(t, http.HandlerFunc(s.run))
	eng, err := onceward.New(newStore(), onceward.Config{MaxResponseBytes: maxKept})
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	h := guard(t, eng, oncehttp.Options{Replay: oncehttp.ReplayAll, ReplayHeaders: []string{"X-A"}}, func(w http.ResponseWriter, r *http.Request) {
		runs++
		s.run(w, r)
	})
	first := see(t, h)
	if !first.equal(bare) {
		t.Fatalf("script %v\nbare  %+v\nfirst %+v", s, bare, first)
	}
	again := see(t, h)
	if runs != 1 {
		t.Fatalf("script %v: ran %d times", s, runs)
	}
	if bare.broken {
		return // the first client has seen nothing to compare with
	}
	streamed := slices.Contains(s, 15) || len(first.body) > maxKept
	if again.status == 409 && again.header.Get("Content-Type") == "application/problem+json" && streamed {
		return // a tombstone
	}
	first.header.Del("Set-Cookie")
	first.header.Del("X-Tail")
	first.header.Del("Trailer")
	again.header.Del(oncehttp.HeaderReplayed)
	first.trailer = nil
	if !again.equal(first) {
		t.Fatalf("script %v\nfirst %+v\nagain %+v", s, first, again)
	}
}

func TestRecorderLooksLikeNetHTTP(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		s := make(script, rng.IntN(12))
		for i := range s {
			s[i] = byte(rng.Uint32N(256)) //nolint:gosec // below 256
		}
		checkScript(t, s)
	}
}

func FuzzRecorder(f *testing.F) {
	f.Add([]byte{0, 0})
	f.Add([]byte{14, 5, 0, 14, 6})
	f.Add([]byte{13 + 16*3, 0, 3, 15})
	f.Fuzz(func(t *testing.T, s []byte) { checkScript(t, s) })
}
