package wire_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/onceward/onceward/bench/internal/wire"
)

func TestDo(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Name") == "again" {
			w.Header().Set("Idempotent-Replayed", "true")
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(strings.Repeat("x", 300)))
	}))
	defer srv.Close()
	conn, err := wire.Dial(t.Context(), srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, name := range []string{"first", "again"} {
		a, err := conn.Do([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nName: "), []byte(name), []byte("\r\n\r\nhi"))
		if err != nil {
			t.Fatal(err)
		}
		if want := (wire.Answer{Status: 201, Length: 300, Replayed: name == "again"}); a != want {
			t.Errorf("%+v, want %+v", a, want)
		}
	}
}

func TestRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush() // chunks follow
	}))
	defer srv.Close()
	conn, err := wire.Dial(t.Context(), srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if a, err := conn.Do([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err == nil {
		t.Errorf("read %+v", a)
	}
}
