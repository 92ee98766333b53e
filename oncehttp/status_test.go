package oncehttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

func TestStatusWithoutBody(t *testing.T) {
	t.Parallel()
	for _, status := range []int{204, 304} {
		s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(status)
			if _, err := fmt.Fprint(w, "body"); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Error(err)
			}
		})
		for range 2 {
			r := s.post("k", "{}")
			r.want(t, status, "")
			if r.Header.Get("Etag") != `"1"` || len(r.Header["Content-Type"]) != 0 {
				t.Error(r.Header)
			}
		}
	}
}

func TestInvalidStatusPanicsAsInNetHTTP(t *testing.T) {
	t.Parallel()
	h := guard(t, newEngine(t), oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(99) })
	defer func() {
		if p := recover(); p == nil {
			t.Fatal("no panic")
		}
	}()
	h.ServeHTTP(newRecorder(), keyed("k", "{}"))
}

func TestOuterHeadersSurvive(t *testing.T) {
	t.Parallel()
	inner := guard(t, newEngine(t), oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Del("X-Drop")
		w.Header().Add("Vary", "Accept")
		w.Header().Set("X-Mine", "1")
		w.WriteHeader(200)
	})
	run := func() http.Header {
		rec := newRecorder()
		rec.Header().Set("X-Request-Id", "7")
		rec.Header().Set("X-Drop", "1")
		rec.Header().Set("Vary", "Origin")
		inner.ServeHTTP(rec, keyed("k", "{}"))
		return rec.Header()
	}
	first, again := run(), run()
	for _, h := range []http.Header{first, again} {
		if h.Get("X-Request-Id") != "7" || !slices.Equal(h["Vary"], []string{"Origin", "Accept"}) {
			t.Fatal(h)
		}
	}
	if first.Get("X-Drop") != "" || first.Get("X-Mine") != "1" || again.Get("X-Mine") != "" {
		t.Fatal(first, again)
	}
}
