package oncehttp

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/onceward/onceward"
)

// Codes of answers that only HTTP knows.
const (
	// CodePayloadInvalid is a body that cannot be read or compared.
	CodePayloadInvalid onceward.Code = "payload-invalid"
	// CodeRequestTimeout is a body that the server has stopped waiting for.
	CodeRequestTimeout onceward.Code = "request-timeout"
	// CodeUnauthorized is a request that Options.Scope has no principal for.
	CodeUnauthorized onceward.Code = "unauthorized"
	// CodeInternal is a fault of the server before the handler was run.
	CodeInternal onceward.Code = "internal"
)

// Problem is one answer of application/problem+json (RFC 9457), and an error.
// A gateway may write its own: set Code, Status and Title.
type Problem struct {
	Code   onceward.Code
	Status int    // 500 when zero
	Title  string // the status text when empty
	Detail string
	// Retryable says that the same request, sent again, may get an answer.
	Retryable bool
	// RetryAfter is sent in whole seconds, at least one, unless zero.
	RetryAfter time.Duration
	// Key is the client's key, when it has a valid one.
	Key string
	// Type is a URI. Default: PolicyURL, with Code as its fragment.
	Type string
	// PolicyURL is the page that explains the code. Default DefaultPolicyURL.
	PolicyURL string
	// Instance names this occurrence. Default: a fresh urn:uuid.
	Instance string
	// Extensions are further members. They cannot replace those above.
	Extensions map[string]any
}

// Error implements error.
func (p *Problem) Error() string {
	return "onceward: " + string(p.Code) + ": " + cmp.Or(p.Detail, p.Title)
}

// ProblemOf says how err is answered: a *Problem as it is, an *onceward.Error
// by the table of Problems, anything else as CodeInternal without its text.
func ProblemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		own := *p
		return &own
	}
	e, ok := errors.AsType[*onceward.Error](err)
	if !ok {
		e = &onceward.Error{Code: CodeInternal}
	}
	t := problemType(e.Code)
	p := t.Problem()
	p.RetryAfter = e.RetryAfter
	if p.Retryable {
		p.RetryAfter = max(p.RetryAfter, time.Second)
	}
	if t.explained && e.Err != nil {
		p.Detail = sentence(e.Err)
	}
	if rec := e.Record; rec != nil {
		p.Key = rec.Key.Value
		if t.Code == onceward.CodeResponseUnavailable && rec.Response != nil {
			p.Extensions = map[string]any{"original_status": rec.Response.Status}
		}
	}
	return p
}

// WriteProblem answers with ProblemOf(err), as Problem.Write does.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	ProblemOf(err).Write(w, r)
}

// Write sends p as the answer to r, with the headers that every problem has: a
// Link to the policy page, and Retry-After when it is retryable. Inside a
// guarded handler it knows the route's policy page and the client's key;
// elsewhere the key that WithKey has noted.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) {
	own := *p
	x := exchangeOf(r.Context())
	if x != nil {
		own.PolicyURL = cmp.Or(own.PolicyURL, x.g.opt.PolicyURL)
		own.Key = cmp.Or(own.Key, x.key)
	}
	if own.Key == "" {
		own.Key, _ = r.Context().Value(notedKey{}).(string)
	}
	if own.Retryable {
		own.RetryAfter = max(own.RetryAfter, time.Second)
	}
	body, err := json.Marshal(&own)
	if err != nil { // an extension that JSON cannot say
		own.Extensions = nil
		body, _ = json.Marshal(&own)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if own.RetryAfter > 0 {
		h.Set("Retry-After", retryAfter(own.RetryAfter))
	}
	link := PolicyLink(cmp.Or(own.PolicyURL, DefaultPolicyURL))
	if x == nil && !slices.Contains(h["Link"], link) { // the middleware adds it to what a guarded handler says
		h["Link"] = append(slices.Clip(h["Link"]), link)
	}
	h.Del("Content-Length")
	w.WriteHeader(cmp.Or(own.Status, http.StatusInternalServerError))
	_, _ = w.Write(body) // the client has gone
}

// PolicyLink returns the value of the Link header that leads to the policy page.
func PolicyLink(url string) string { return "<" + url + `>; rel="describedby"` }

type notedKey struct{}

// WithKey returns r with the key that it carries in the header of a route with
// these options, so that problems name it that are written in front of the
// middleware, or instead of it. Of opts it reads Header, StrictKeys and
// Methods. A key that is not valid is not noted.
func WithKey(r *http.Request, opts Options) *http.Request {
	methods := opts.Methods
	if len(methods) == 0 {
		methods = defaultMethods()
	}
	values := r.Header.Values(cmp.Or(opts.Header, DefaultHeader))
	if len(values) != 1 || !slices.Contains(methods, r.Method) {
		return r
	}
	key, err := ParseKey(values[0], opts.StrictKeys)
	if err != nil {
		return r // the middleware says what is wrong with it
	}
	return r.WithContext(context.WithValue(r.Context(), notedKey{}, key))
}

// retryAfter rounds up to whole seconds, at least one.
func retryAfter(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}

// MarshalJSON implements json.Marshaler: the members of RFC 9457, those of
// onceward, then the extensions by name.
func (p *Problem) MarshalJSON() ([]byte, error) {
	status := cmp.Or(p.Status, http.StatusInternalServerError)
	type field struct {
		name  string
		value any
	}
	fields := []field{
		{"type", cmp.Or(p.Type, cmp.Or(p.PolicyURL, DefaultPolicyURL)+"#"+string(p.Code))},
		{"title", cmp.Or(p.Title, http.StatusText(status))},
		{"status", status},
		{"detail", p.Detail},
		{"instance", cmp.Or(p.Instance, NewInstance())},
		{"code", p.Code},
		{"retryable", p.Retryable},
	}
	if p.Key != "" {
		fields = append(fields, field{"idempotency_key", p.Key})
	}
	for _, name := range slices.Sorted(maps.Keys(p.Extensions)) {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			fields = append(fields, field{name, p.Extensions[name]})
		}
	}
	out := []byte{'{'}
	for i, f := range fields {
		value, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		name, _ := json.Marshal(f.name) // strings always can be
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

// NewInstance returns a fresh urn:uuid for an answer that is not an Operation's.
func NewInstance() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return "urn:uuid:" + s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
