package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
)

// maxRelayBody bounds the body of a relayed transaction, whose base64 the
// relay itself bounds closer.
const maxRelayBody = 300 << 10

// RelayRoute is the endpoint that relays what users have signed.
type RelayRoute struct {
	// Pattern is a ServeMux pattern with a method, such as "POST /v1/transactions".
	Pattern string
	// Kind names the operations in listings and in recovery.
	Kind  string
	Relay *soroban.Relay
	// Wait is how long a request waits for another's answer to the same key.
	Wait time.Duration
	// Secret and PriorSecrets are those of oncehttp.Options.
	Secret       []byte
	PriorSecrets [][]byte
}

// relay makes the endpoint.
func (g *Gateway) relay(route *RelayRoute) (oncehttp.PolicyRoute, error) {
	var none oncehttp.PolicyRoute
	opts := oncehttp.Options{
		Scope: ScopeOf, Kind: route.Kind, Policy: onceward.Reconcile, Wait: route.Wait,
		MaxBodyBytes: maxRelayBody, Secret: route.Secret, PriorSecrets: route.PriorSecrets, Logger: g.cfg.Log, ReplayHeaders: g.cfg.ReplayHeaders,
		// What was signed is one operation, whatever keys it comes under.
		NaturalKey: func(req *http.Request, _ []byte) ([]string, error) {
			return relayedOf(req.Context()).Natural(), nil
		},
	}
	once, err := oncehttp.New(g.cfg.Engine, opts)
	if err != nil {
		return none, fmt.Errorf("route %s: %w", route.Pattern, err)
	}
	g.mux.Handle(route.Pattern, g.cfg.Watched(route.Pattern,
		own(keyed(opts, g.admit(&Route{Pattern: route.Pattern, Options: opts}, g.checkedRelay(route, once(g.cfg.Around(g.submitRelay(route)))))))))
	return oncehttp.PolicyRoute{Pattern: route.Pattern, Options: opts, Problems: slices.Concat(Problems(), RelayProblems(), g.cfg.Problems)}, nil
}

type relayedKey struct{}

func relayedOf(ctx context.Context) *soroban.Relayed {
	x, _ := ctx.Value(relayedKey{}).(*soroban.Relayed)
	return x
}

// checkedRelay lets only through what the policy admits, before a key is
// claimed.
func (g *Gateway) checkedRelay(route *RelayRoute, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, refused := readJSON(w, r, maxRelayBody)
		if refused != nil {
			refused.Write(w, r)
			return
		}
		x, err := relayBody(route.Relay, body)
		if refusal, ok := errors.AsType[*soroban.RelayError](err); ok {
			relayRefusal(refusal).Write(w, r)
			return
		}
		if err != nil {
			invalid(err).Write(w, r)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), relayedKey{}, x))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r)
	})
}

// Members of the body of a relayed request.
const (
	memberTransaction   = "xdr"
	memberAuthorization = "authorization"
	memberInvocation    = "invocation"
)

// relayBody reads {"xdr": …} or {"authorization": …, "invocation": …}.
func relayBody(relay *soroban.Relay, body []byte) (*soroban.Relayed, error) {
	given, err := members(body)
	if err != nil {
		return nil, err
	}
	texts := make(map[string]string, len(given))
	for name, raw := range given {
		var text string
		switch name {
		case memberTransaction, memberAuthorization, memberInvocation:
		default:
			return nil, &fieldError{Pointer: pointer(name), Detail: "is unknown; this endpoint takes xdr, or authorization and invocation"}
		}
		if err := json.Unmarshal(raw, &text); err != nil || text == "" {
			return nil, &fieldError{Pointer: pointer(name), Expected: "string", Detail: "is not a string of base64"}
		}
		texts[name] = text
	}
	_, whole := texts[memberTransaction]
	_, part := texts[memberAuthorization]
	switch {
	case whole && len(texts) == 1:
		return relay.Transaction(texts[memberTransaction])
	case part && !whole:
		return relay.Authorization(texts[memberAuthorization], texts[memberInvocation])
	}
	return nil, &fieldError{Detail: "give xdr, a signed transaction, or authorization, a signed authorization entry, with or without its invocation"}
}

func (g *Gateway) submitRelay(route *RelayRoute) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, x := onceward.FromContext(r.Context()), relayedOf(r.Context())
		resp, err := route.Relay.Do(r.Context(), op, x)
		if err == nil {
			send(w, resp)
			return
		}
		if refused, ok := errors.AsType[*soroban.RelayError](err); ok {
			of(op.ID(), relayRefusal(refused)).Write(w, r)
			return
		}
		g.refusal(&Route{Kind: route.Kind, Contract: x.Contract(), Function: x.Function()}, op, err).Write(w, r)
	})
}

// relayRefusal turns a refusal into the client's answer. Its code is the
// RelayError's behind "relay-".
func relayRefusal(e *soroban.RelayError) *oncehttp.Problem {
	p := about(codeInternal, "")
	for _, t := range RelayProblems() {
		if string(t.Code) == relayPrefix+e.Code {
			p = t.Problem()
			p.Detail = cmp.Or(e.Detail, p.Detail)
		}
	}
	if e.TxHash != "" {
		extend(p, "tx_hash", e.TxHash)
	}
	return p
}
