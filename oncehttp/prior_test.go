package oncehttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/onceward/onceward/oncehttp"
)

// When the secret of the hashes changes, retries of what is recorded already
// are recognised, and other requests are still told apart.
func TestPriorSecrets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		secret []byte
		prior  [][]byte
	}{
		"from none":    {nil, [][]byte{nil}},
		"from another": {[]byte("an earlier secret"), [][]byte{[]byte("the one before"), []byte("an earlier secret")}},
	} {
		for _, natural := range []bool{false, true} {
			runs := 0
			eng := newEngine(t)
			serve := func(secret []byte, prior ...[]byte) http.Handler {
				opts := oncehttp.Options{Secret: secret, PriorSecrets: prior, BodyKey: "key", Kind: "orders"}
				if natural {
					opts.NaturalKey = func(*http.Request, []byte) ([]string, error) { return []string{"order 7"}, nil }
				}
				return guard(t, eng, opts, func(w http.ResponseWriter, _ *http.Request) {
					runs++
					w.WriteHeader(http.StatusCreated)
				})
			}
			send := func(h http.Handler, body string) *httptest.ResponseRecorder {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/orders", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w
			}
			const order, other = `{"key":"k","amount":1}`, `{"key":"k","amount":2}`
			now := []byte("the secret of today")
			before, after, strict := serve(c.secret), serve(now, c.prior...), serve(now)
			if w := send(before, order); w.Code != http.StatusCreated {
				t.Fatalf("%s: %d %s", name, w.Code, w.Body)
			}
			if w := send(after, order); w.Code != http.StatusCreated || w.Header().Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s: a retry after the change: %d %s", name, w.Code, w.Body)
			}
			if w := send(after, other); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"differing":["/amount"]`) {
				t.Errorf("%s: another request: %d %s", name, w.Code, w.Body)
			}
			if w := send(strict, order); w.Code != http.StatusUnprocessableEntity {
				t.Errorf("%s: without the earlier secret: %d %s", name, w.Code, w.Body)
			}
			if runs != 1 {
				t.Errorf("%s: %d runs", name, runs)
			}
			// What is new is recorded under the new secret.
			if natural {
				continue
			}
			fresh := strings.Replace(order, `"k"`, `"fresh"`, 1)
			send(after, fresh)
			if w := send(strict, fresh); w.Header().Get("Idempotent-Replayed") != "true" || runs != 2 {
				t.Errorf("%s: a new key: %d %s, %d runs", name, w.Code, w.Body, runs)
			}
			if w := send(after, strings.Replace(fresh, "1", "2", 1)); !strings.Contains(w.Body.String(), `"differing":["/amount"]`) {
				t.Errorf("%s: another request under a new key: %d %s", name, w.Code, w.Body)
			}
		}
	}
	if _, err := oncehttp.New(newEngine(t), oncehttp.Options{Scope: oncehttp.SingleTenant, PriorSecrets: make([][]byte, 9)}); err == nil {
		t.Error("nine earlier secrets were accepted")
	}
}
