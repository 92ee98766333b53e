package oncehttp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

func TestInvalidOptionsAreErrors(t *testing.T) {
	t.Parallel()
	parts := func(*http.Request, []byte) ([]string, error) { return nil, nil }
	ok := oncehttp.Options{Scope: oncehttp.SingleTenant}
	for want, change := range map[string]func(*oncehttp.Options){
		"Scope is nil":                    func(o *oncehttp.Options) { o.Scope = nil },
		"Options.Header":                  func(o *oncehttp.Options) { o.Header = "a b" },
		"Options.Methods":                 func(o *oncehttp.Options) { o.Methods = []string{"P OST"} },
		"needs Options.Kind, which keeps": func(o *oncehttp.Options) { o.NaturalKey = parts },
		"does not suit a natural key":     func(o *oncehttp.Options) { o.NaturalKey, o.Kind = parts, strings.Repeat("k", 200) },
		"Options.Policy \"maybe\"":        func(o *oncehttp.Options) { o.Policy = "maybe" },
		"reconcile needs Options.Kind":    func(o *oncehttp.Options) { o.Policy = onceward.Reconcile },
		"may not be negative":             func(o *oncehttp.Options) { o.Wait = -time.Second },
		"is no JSON Pointer":              func(o *oncehttp.Options) { o.Fields = []string{"amount"} },
		"is no header name":               func(o *oncehttp.Options) { o.ReplayHeaders = []string{"X A"} },
		"is never replayed":               func(o *oncehttp.Options) { o.ReplayHeaders = []string{"set-cookie"} },
		"is no URL":                       func(o *oncehttp.Options) { o.PolicyURL = "a>b" },
	} {
		opts := ok
		change(&opts)
		eng := newEngine(t)
		if mw, err := oncehttp.New(eng, opts); mw != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want an error about %q", err, want)
		}
		if _, err := oncehttp.PolicyHandler(eng, oncehttp.PolicyRoute{Options: opts}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("PolicyHandler: %v, want an error about %q", err, want)
		}
	}
	if _, err := oncehttp.New(nil, ok); err == nil {
		t.Error("New without an Engine")
	}
	if _, err := oncehttp.PolicyHandler(nil); err == nil {
		t.Error("PolicyHandler without an Engine")
	}
}

// What the caller does to its slices later changes nothing.
func TestOptionsAreTakenByValue(t *testing.T) {
	t.Parallel()
	methods := []string{"POST"}
	s := newSite(t, onceward.Config{}, oncehttp.Options{Methods: methods}, saying(200, ""))
	methods[0] = "GET"
	s.call("GET", "/", "").want(t, 200, "")
	s.call("POST", "/", "").problem(t, 400, onceward.CodeKeyMissing)
}
