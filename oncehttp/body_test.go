package oncehttp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%d %v %d ", len(body), err, r.ContentLength)
	_, _ = w.Write(body)
	_ = r.Body.Close()
	if n, err := r.Body.Read(make([]byte, 1)); len(body) > 0 && !errors.Is(err, http.ErrBodyReadAfterClose) || n > 0 {
		panic(fmt.Sprint(n, err))
	}
}

func TestHandlerGetsTheWholeBody(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 511, 512, 513, 32 << 10, 32<<10 + 1, 100 << 10, 1 << 20} {
		body := strings.Repeat("\x00\xff", size)[:size]
		for _, chunked := range []bool{false, true} {
			s := newSite(t, onceward.Config{MaxResponseBytes: 2 << 20}, oncehttp.Options{}, echo)
			req := s.request("POST", "/", body, "Idempotency-Key", "k")
			length := int64(size)
			if chunked && size > 0 {
				length = -1
				req.ContentLength = -1
			}
			do(t, req).want(t, 200, fmt.Sprintf("%d <nil> %d %s", size, length, body))
		}
	}
}

func TestBodyOverTheLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{MaxBodyBytes: 1000}, echo)
	for _, chunked := range []bool{false, true} {
		req := s.request("POST", "/", strings.Repeat("x", 1001), "Idempotency-Key", "k")
		if chunked {
			req.ContentLength = -1
		}
		p := do(t, req).problem(t, 413, onceward.CodePayloadTooLarge)
		if !strings.Contains(p["detail"].(string), "1000 bytes") {
			t.Error(p)
		}
	}
}

func TestBodyLimitFurtherOut(t *testing.T) {
	t.Parallel()
	h := guard(t, newEngine(t), oncehttp.Options{}, unreachable(t))
	rec := newRecorder()
	http.MaxBytesHandler(h, 3).ServeHTTP(rec, keyed("k", "1234"))
	if rec.Code != 413 {
		t.Fatal(rec.Code, rec.Body)
	}
}

func TestBodyThatEndsEarly(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, unreachable(t))
	conn, r := s.dial("POST / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
	if got := line(t, r); got != "HTTP/1.1 400 Bad Request" {
		t.Fatal(got)
	}
	_ = conn.Close()
}

// A body that somebody read before us cannot be compared, and must not pass
// for an empty one.
func TestBodyThatIsGoneFailsClosed(t *testing.T) {
	t.Parallel()
	h := guard(t, newEngine(t), oncehttp.Options{}, unreachable(t))
	r := keyed("k", "a=1")
	if _, err := io.ReadAll(r.Body); err != nil {
		t.Fatal(err)
	}
	rec := newRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != 500 || !strings.Contains(rec.Body.String(), `"internal"`) {
		t.Fatal(rec.Code, rec.Body)
	}
}
