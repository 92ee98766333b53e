package proxy_test

import (
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
)

// echo answers with the request as the backend sees it.
func echo(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	b.WriteString(r.Method + " " + r.RequestURI + " host=" + r.Host + "\n")
	_ = r.Header.Write(&b) // a Builder never fails
	_, _ = io.WriteString(w, b.String())
}

func lines(body string) map[string]string {
	out := make(map[string]string)
	for line := range strings.SplitSeq(body, "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			out[name] = value
		}
	}
	return out
}

func TestTheBackendLearnsTheOperation(t *testing.T) {
	t.Parallel()
	g := newGate(t, backend(t, echo).URL)
	a := g.post("k", "pay",
		"Onceward-Token", "forged", "onceward_operation_id", "forged", "ONCEWARD-ATTEMPT", "7", "Onceward-Anything", "x")
	// The first line ends without \r.
	_, head, _ := strings.Cut(a.body, "\n")
	got := lines(head)
	rec, ok := g.record("k")
	if !ok {
		t.Fatal("no record")
	}
	for name, want := range map[string]string{
		proxy.HeaderOperation: rec.Key.ID().String(),
		proxy.HeaderToken:     strconv.FormatInt(rec.Token, 10),
		proxy.HeaderAttempt:   "1",
		"Idempotency-Key":     "k",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if strings.Contains(a.body, "forged") || strings.Contains(a.body, "Anything") {
		t.Errorf("the client's own headers came through:\n%s", a.body)
	}
	if len(rec.Checkpoints) != 1 || rec.Status != onceward.StatusCompleted {
		t.Errorf("%d checkpoints, %s", len(rec.Checkpoints), rec.Status)
	}
}

func TestUnguardedRequestsMayNotForgeEither(t *testing.T) {
	t.Parallel()
	g := newGate(t, backend(t, echo).URL)
	a := g.send(http.MethodGet, "/x", "", "Onceward-Token", "forged", "Onceward_Operation_Id", "forged")
	if strings.Contains(a.body, "forged") {
		t.Errorf("the client's own headers came through:\n%s", a.body)
	}
}

func TestForwardedHeaders(t *testing.T) {
	t.Parallel()
	b := backend(t, echo)
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	sent := []string{
		"Forwarded", "for=192.0.2.60;proto=https", "X-Forwarded-For", "192.0.2.60", "X-Forwarded-Proto", "https",
		"X-Forwarded-Host", "shop.example", "X_Forwarded_For", "6.6.6.6", "X-Real-Ip", "6.6.6.6", "X-Forwarded-Port", "443",
	}
	for name, tc := range map[string]struct {
		trusted []netip.Prefix
		want    map[string]string
	}{
		"untrusted": {nil, map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Real-Ip": "", "X-Forwarded-Port": "", "X_forwarded_for": "",
		}},
		"trusted": {loopback, map[string]string{
			"X-Forwarded-For": "192.0.2.60, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example",
			"X-Real-Ip": "6.6.6.6", "X-Forwarded-Port": "443", "X_forwarded_for": "",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, b.URL, func(c *proxy.Config) { c.TrustedProxies = tc.trusted })
			for _, key := range []string{"", "k"} {
				header := sent
				if key != "" {
					header = append([]string{"Idempotency-Key", key}, sent...)
				}
				a := g.send(http.MethodPost, "/api", "x", header...)
				_, head, _ := strings.Cut(a.body, "\n")
				got := lines(head)
				for name, want := range tc.want {
					if got[name] != want {
						t.Errorf("%s: %q, want %q", name, got[name], want)
					}
				}
				host := strings.TrimPrefix(g.url, "http://")
				forwarded := `for=127.0.0.1;host="` + host + `";proto=http`
				if tc.trusted != nil {
					forwarded = "for=192.0.2.60;proto=https, " + forwarded
				}
				if got["Forwarded"] != forwarded {
					t.Errorf("Forwarded: %s, want %s", got["Forwarded"], forwarded)
				}
				if !strings.Contains(a.body, "host="+host) {
					t.Errorf("the host was changed: %s", a.body)
				}
			}
		})
	}
}

func TestPathAndQueryAreKept(t *testing.T) {
	t.Parallel()
	b := backend(t, echo)
	g := newGate(t, b.URL+"/base", func(c *proxy.Config) {
		c.StripPrefix, c.Host = "/api", "backend.example"
	})
	for path, want := range map[string]string{
		"/api/a%2Fb/c?x=1;y=2&z=%zz": "GET /base/a%2Fb/c?x=1;y=2&z=%zz host=backend.example",
		"/api":                       "GET /base/ host=backend.example",
		"/apiary":                    "GET /base/apiary host=backend.example",
	} {
		if first, _, _ := strings.Cut(g.send(http.MethodGet, path, "").body, "\n"); first != want {
			t.Errorf("%s: %q, want %q", path, first, want)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	g := newGate(t, "http://127.0.0.1:1")
	good := proxy.Config{Engine: g.eng, Backend: "http://127.0.0.1:1", Keys: g.p.Options()}
	for name, tc := range map[string]struct {
		edit func(*proxy.Config)
		want string
	}{
		"scheme":        {func(c *proxy.Config) { c.Backend = "ftp://x" }, "needs the form"},
		"no host":       {func(c *proxy.Config) { c.Backend = "http:///x" }, "needs the form"},
		"password":      {func(c *proxy.Config) { c.Backend = "http://u:secret@x" }, "may not carry a user"},
		"query":         {func(c *proxy.Config) { c.Backend = "http://x?y" }, "query"},
		"no engine":     {func(c *proxy.Config) { c.Engine = nil }, "Engine"},
		"no kind":       {func(c *proxy.Config) { c.Keys.Kind = "" }, "Kind"},
		"no scope":      {func(c *proxy.Config) { c.Keys.Scope = nil }, "Scope"},
		"negative":      {func(c *proxy.Config) { c.Timeout = -1 }, "negative"},
		"prefix":        {func(c *proxy.Config) { c.StripPrefix = "api" }, "StripPrefix"},
		"bad proxies":   {func(c *proxy.Config) { c.TrustedProxies = make([]netip.Prefix, 1) }, "TrustedProxies"},
		"no status":     {func(c *proxy.Config) { c.Keys.Policy = onceward.Reconcile }, "StatusURL"},
		"status unused": {func(c *proxy.Config) { c.StatusURL = "http://x/{id}" }, "only asked under"},
		"status without id": {func(c *proxy.Config) {
			c.Keys.Policy, c.StatusURL = onceward.Reconcile, "http://x/"
		}, "{id}"},
		"status of another kind": {func(c *proxy.Config) {
			c.Keys.Policy, c.StatusURL = onceward.Reconcile, "h2c://x/{id}"
		}, "h2c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			tc.edit(&cfg)
			_, err := proxy.New(cfg)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
}
