package oncehttp

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onceward/onceward"
)

// PolicyRoute is one route on the policy page.
type PolicyRoute struct {
	// Pattern as clients know it, such as "POST /v1/orders".
	Pattern string
	// Options the route's middleware was made with.
	Options Options
	// Scope says whose the keys are. Default "the authenticated principal".
	Scope string
	// Problems that the route answers with beside those of the middleware.
	Problems []ProblemType
}

// policyDoc is the page, as JSON and for the template.
type policyDoc struct {
	Routes   []policyRoute   `json:"routes"`
	Key      string          `json:"key_format"`
	Replayed string          `json:"replayed_header"`
	Expires  string          `json:"expires_header"`
	Problems []policyProblem `json:"problems"`
}

type policyRoute struct {
	Pattern          string   `json:"pattern"`
	Methods          []string `json:"methods"`
	Header           string   `json:"header"`
	BodyKey          string   `json:"body_member,omitempty"`
	Required         bool     `json:"key_required"`
	QuotedOnly       bool     `json:"quoted_only"`
	Scope            string   `json:"scope"`
	NaturalKey       bool     `json:"natural_key"`
	RetentionSeconds int64    `json:"retention_seconds"`
	WaitSeconds      float64  `json:"wait_seconds"`
	MaxBodyBytes     int64    `json:"max_body_bytes"`
	Compares         string   `json:"compares"`
	LateKeysRefused  bool     `json:"late_keys_refused"`

	retention time.Duration
}

// Retention in words, for the template.
func (r policyRoute) Retention() string {
	s := r.retention.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return strings.TrimSuffix(strings.Replace(s, "h0m", "h", 1), " ")
}

type policyProblem struct {
	Code      onceward.Code `json:"code"`
	Status    int           `json:"status"`
	Title     string        `json:"title"`
	Detail    string        `json:"detail"`
	Retryable bool          `json:"retryable"`
}

//go:embed policy.html
var policyHTML string

// PolicyHandler serves the page that problems and the Link header point to,
// as HTML or as JSON: for every route the header, whether a key is required,
// its scope and retention, and every error with an anchor of its own. The
// draft of the Idempotency-Key header asks servers to publish this.
func PolicyHandler(eng *onceward.Engine, routes ...PolicyRoute) (http.Handler, error) {
	if eng == nil {
		return nil, errors.New("oncehttp: PolicyHandler needs an Engine")
	}
	doc := policyDoc{
		Key:      `1 to 255 visible ASCII characters, as a quoted string ("abc") or, where allowed, bare (abc); both are one key`,
		Replayed: HeaderReplayed, Expires: HeaderExpires,
	}
	doc.addProblems(problemTable)
	for _, route := range routes {
		opt := route.Options.withDefaults(eng)
		if err := opt.validate(eng); err != nil {
			return nil, fmt.Errorf("route %q: %w", route.Pattern, err)
		}
		doc.Routes = append(doc.Routes, describeRoute(eng, route, &opt))
		doc.addProblems(route.Problems)
	}
	asJSON, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("oncehttp: policy page: %w", err)
	}
	page, err := template.New("policy").Parse(policyHTML)
	if err != nil {
		return nil, fmt.Errorf("oncehttp: policy page: %w", err)
	}
	var asHTML bytes.Buffer
	if err := page.Execute(&asHTML, doc); err != nil {
		return nil, fmt.Errorf("oncehttp: policy page: %w", err)
	}
	return policyPage{html: asHTML.Bytes(), json: append(asJSON, '\n')}, nil
}

// addProblems adds those whose codes are not listed yet.
func (d *policyDoc) addProblems(types []ProblemType) {
	for _, t := range types {
		if !slices.ContainsFunc(d.Problems, func(p policyProblem) bool { return p.Code == t.Code }) {
			d.Problems = append(d.Problems, policyProblem{t.Code, t.Status, t.Title, t.Detail, t.Retryable})
		}
	}
}

func describeRoute(eng *onceward.Engine, route PolicyRoute, opt *Options) policyRoute {
	r := policyRoute{
		Pattern: route.Pattern, Methods: opt.Methods, Header: opt.Header, BodyKey: opt.BodyKey,
		Required: !opt.Optional, QuotedOnly: opt.StrictKeys, Scope: route.Scope,
		NaturalKey: opt.NaturalKey != nil, MaxBodyBytes: opt.MaxBodyBytes,
		RetentionSeconds: int64(opt.Retention / time.Second), WaitSeconds: opt.Wait.Seconds(),
		Compares:        "method, path, query, content type, and the body byte for byte",
		LateKeysRefused: !eng.Config().AcceptLateKeys,
		retention:       opt.Retention,
	}
	if r.Scope == "" {
		r.Scope = "the authenticated principal"
	}
	switch {
	case len(opt.Fields) > 0:
		r.Compares = "method, path, query, content type, and in a JSON body " + strings.Join(opt.Fields, ", ")
	case opt.CanonicalJSON:
		r.Compares = "method, path, query, content type, and the body; JSON in canonical form (RFC 8785)"
	}
	return r
}

type policyPage struct{ html, json []byte }

// ServeHTTP implements http.Handler.
func (p policyPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	body, contentType := p.html, "text/html; charset=utf-8"
	if prefersJSON(r.Header.Values("Accept")) {
		body, contentType = p.json, "application/json"
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Vary", "Accept")
	h.Set("Cache-Control", "max-age=300")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client has gone
}

// prefersJSON reports whether JSON is asked for before HTML.
func prefersJSON(accept []string) bool {
	weight := func(types ...string) (best float64) {
		for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
			mediaType, params, _ := strings.Cut(item, ";")
			if !slices.Contains(types, strings.ToLower(strings.TrimSpace(mediaType))) {
				continue
			}
			q := 1.0
			if _, v, ok := strings.Cut(params, "q="); ok {
				q, _ = strconv.ParseFloat(strings.TrimSpace(v), 64)
			}
			best = max(best, q)
		}
		return best
	}
	return weight("application/json", "application/*") > weight("text/html", "text/*")
}
