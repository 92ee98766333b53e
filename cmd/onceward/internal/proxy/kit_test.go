package proxy_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
)

// patience bounds every wait for something that will happen.
const patience = time.Minute

// gate is a gateway with one proxied route in front of a backend.
type gate struct {
	t   *testing.T
	eng *onceward.Engine
	p   *proxy.Proxy
	srv *httptest.Server
	url string
}

// newGate starts a gateway in front of backend; edits change its Config.
func newGate(t *testing.T, backend string, edits ...func(*proxy.Config)) *gate {
	t.Helper()
	g := &gate{t: t}
	var err error
	if g.eng, err = onceward.New(memstore.New(), onceward.Config{Lease: time.Minute, MaxResponseBytes: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	cfg := proxy.Config{
		Engine: g.eng, Backend: backend, Timeout: patience,
		Keys: oncehttp.Options{Scope: oncehttp.SingleTenant, Kind: "api", Optional: true},
		Log:  slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	if g.p, err = proxy.New(cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Keys.Policy == onceward.Reconcile {
		if err := g.eng.Register(cfg.Keys.Kind, g.p.Reconcile); err != nil {
			t.Fatal(err)
		}
	}
	g.srv = httptest.NewUnstartedServer(g.p)
	g.srv.Config.Protocols = new(http.Protocols)
	g.srv.Config.Protocols.SetHTTP1(true)
	g.srv.Config.Protocols.SetUnencryptedHTTP2(true)
	g.srv.Start()
	t.Cleanup(g.srv.Close)
	t.Cleanup(g.p.Close)
	g.url = g.srv.URL
	return g
}

func policy(p onceward.CrashPolicy) func(*proxy.Config) {
	return func(c *proxy.Config) { c.Keys.Policy = p }
}

// answer is what a client saw.
type answer struct {
	status int
	header http.Header
	body   string
}

// read takes in the whole of an answer.
func read(t *testing.T, res *http.Response) answer {
	t.Helper()
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(data)}
}

// send makes one request; header pairs follow the body.
func (g *gate) send(method, path, body string, header ...string) answer {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := g.srv.Client().Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	return read(g.t, res)
}

func (g *gate) post(key, body string, header ...string) answer {
	g.t.Helper()
	return g.send(http.MethodPost, "/api/things", body, append(header, "Idempotency-Key", key)...)
}

// record is what the store has for a key.
func (g *gate) record(key string) (onceward.Record, bool) {
	rec, err := g.eng.Get(g.t.Context(), onceward.Key{Value: key})
	return rec, err == nil
}

// is compares status and body, or the code of a problem.
func (a answer) is(t *testing.T, status int, want string) {
	t.Helper()
	got := a.body
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		var p struct {
			Code   string `json:"code"`
			Status int    `json:"status"`
		}
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Status != a.status {
			t.Errorf("malformed problem: %s", a.body)
		}
		got = p.Code
	}
	if a.status != status || got != want {
		t.Errorf("got %d %q, want %d %q", a.status, a.body, status, want)
	}
}

// backend serves h on a port of its own.
func backend(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

// impatient sends a keyed request and hangs up once it has arrived.
func (g *gate) impatient(key, body string, arrived <-chan struct{}) {
	g.t.Helper()
	ctx, cancel := context.WithCancel(g.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/api/things", strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", key)
	go func() {
		<-arrived
		cancel()
	}()
	res, err := g.srv.Client().Do(req)
	if err == nil {
		_ = res.Body.Close()
		g.t.Fatalf("an answer came: %d", res.StatusCode)
	}
}
