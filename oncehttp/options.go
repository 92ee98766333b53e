package oncehttp

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/onceward/onceward"
)

// Defaults of Options.
const (
	// DefaultHeader carries the key.
	DefaultHeader = "Idempotency-Key"
	// DefaultPolicyURL is where answers say the policy page is. Mount
	// PolicyHandler there, or set Options.PolicyURL.
	DefaultPolicyURL = "/idempotency-policy"
	// DefaultMaxBodyBytes bounds a keyed request's body: 1 MiB.
	DefaultMaxBodyBytes = 1 << 20
)

// Options of one route. Only Scope has no default.
type Options struct {
	// Scope names the authenticated principal whose keys these are; equal keys
	// of different scopes never meet. Put the middleware inside the one that
	// authorizes: an answer is replayed to whoever Scope names. Its error is
	// answered with 401, or as it says when it is a *Problem. Use SingleTenant
	// for a server without principals. Required.
	Scope func(*http.Request) (string, error)
	// Header that carries the key. Default DefaultHeader.
	Header string
	// BodyKey names a member of a JSON body's top level that may carry the key
	// instead of the header. When both are sent they must agree.
	BodyKey string
	// StrictKeys admits only the quoted form "abc" in the header, and not abc.
	StrictKeys bool
	// Optional lets requests without a key through, unguarded. Default: they
	// get CodeKeyMissing.
	Optional bool
	// Methods that are guarded; all others pass untouched. Default POST, PATCH.
	Methods []string
	// NaturalKey derives a key from the business operation, so that a client
	// that lost its key cannot repeat it: see Engine.DoNatural. The parts name
	// the operation within its scope and Kind; none means that this request
	// has no natural key. An error is answered with 400 and its text, or as it
	// says when it is a *Problem. The body may not be changed. Needs Kind.
	NaturalKey func(r *http.Request, body []byte) (parts []string, err error)
	// Kind names what the operation does, for listings and Engine.Register.
	Kind string
	// Policy after a crash. Default onceward.Hold.
	Policy onceward.CrashPolicy
	// InTx says that the handler acts in the transaction of its operation only,
	// see onceward.Request; the Policy is then onceward.Rerun.
	InTx bool
	// Retention of completed records. Default Config.Retention.
	Retention time.Duration
	// Wait is how long a request waits for the answer of another one with its
	// key. Default 0: it is told at once that the key is in progress.
	Wait time.Duration
	// Replay decides which answers are final and replayed, when the handler
	// made no checkpoint. Default ReplaySuccess.
	Replay func(*onceward.Response) bool
	// MaxBodyBytes bounds the body of a keyed request. Default 1 MiB.
	MaxBodyBytes int64
	// Secret keys the hashes that are stored, so that a reader of the store
	// cannot guess a request from them. Default: plain SHA-256.
	Secret []byte
	// PriorSecrets are those under which stored hashes may have been made
	// before; an empty one stands for plain SHA-256. A request that does not
	// match its record is compared under each of them, too. Keep them for as
	// long as records from then may live. At most 8.
	PriorSecrets [][]byte
	// CanonicalJSON compares JSON bodies in their canonical form (RFC 8785),
	// so that spacing and the order of members do not matter. A body that has
	// no such form, for its duplicate members or its numbers, gets
	// CodePayloadInvalid.
	CanonicalJSON bool
	// Fields compares only these members of a JSON body, named by JSON
	// Pointers (RFC 6901), each in canonical form. Bodies that are not JSON
	// are compared whole.
	Fields []string
	// ReplayHeaders are kept and replayed beside those of ReplayedHeaders.
	ReplayHeaders []string
	// IgnoreFlush goes on buffering when the handler flushes, up to
	// Config.MaxResponseBytes. Set it in front of a reverse proxy, which
	// flushes every answer of unknown length. Default: a flushed answer is
	// streamed, and leaves a tombstone.
	IgnoreFlush bool
	// FailOpen runs the handler unguarded when the store does not answer, and
	// logs that. Default: CodeStoreUnavailable, and the handler is not run.
	FailOpen bool
	// PolicyURL of the page that PolicyHandler serves. Default DefaultPolicyURL.
	PolicyURL string
	// Logger receives what the client is not told. Default Config.Logger.
	Logger *slog.Logger
}

func defaultMethods() []string { return []string{http.MethodPost, http.MethodPatch} }

// SingleTenant is the Scope of a server whose requests are all of one
// principal.
func SingleTenant(*http.Request) (string, error) { return "", nil }

// ReplaySuccess keeps 2xx and 3xx; errors release the key.
func ReplaySuccess(r *onceward.Response) bool { return r.Success() }

// ReplayAll keeps every answer, errors too.
func ReplayAll(*onceward.Response) bool { return true }

// maxPriorSecrets bounds the work of a request that does not match.
const maxPriorSecrets = 8

func (o Options) withDefaults(eng *onceward.Engine) Options {
	o.Header = textproto.CanonicalMIMEHeaderKey(cmp.Or(o.Header, DefaultHeader))
	if o.InTx {
		o.Policy = cmp.Or(o.Policy, onceward.Rerun)
	}
	o.Policy = cmp.Or(o.Policy, onceward.Hold)
	o.Retention = cmp.Or(o.Retention, eng.Config().Retention)
	o.MaxBodyBytes = cmp.Or(o.MaxBodyBytes, DefaultMaxBodyBytes)
	o.PolicyURL = cmp.Or(o.PolicyURL, DefaultPolicyURL)
	o.Secret = slices.Clone(o.Secret)
	prior := slices.Clone(o.PriorSecrets)
	for i := range prior {
		prior[i] = slices.Clone(prior[i])
	}
	o.PriorSecrets = prior
	o.Fields = slices.Clone(o.Fields)
	if len(o.Methods) == 0 {
		o.Methods = defaultMethods()
	}
	o.Methods = slices.Clone(o.Methods)
	if o.Replay == nil {
		o.Replay = ReplaySuccess
	}
	if o.Logger == nil {
		o.Logger = eng.Config().Logger
	}
	return o
}

func (o *Options) validate(eng *onceward.Engine) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("oncehttp: "+format, args...)) }
	if o.Scope == nil {
		bad("Options.Scope is nil: say whose keys these are, or use SingleTenant")
	}
	if !isToken(o.Header) {
		bad("Options.Header %q is no header name", o.Header)
	}
	for _, m := range o.Methods {
		if !isToken(m) {
			bad("Options.Methods: %q is no method", m)
		}
	}
	if o.NaturalKey != nil {
		if o.Kind == "" {
			bad("Options.NaturalKey needs Options.Kind, which keeps the natural keys of two routes apart")
		} else if err := onceward.NaturalKey("", o.Kind, "").Validate(); err != nil {
			bad("Options.Kind %q does not suit a natural key: %w", o.Kind, err)
		}
	}
	if o.Policy != onceward.Hold && o.Policy != onceward.Rerun && o.Policy != onceward.Reconcile {
		bad("Options.Policy %q is unknown; use Hold, Rerun or Reconcile", o.Policy)
	}
	if _, ok := eng.Store().(onceward.Transactor); o.InTx && (!ok || o.Policy != onceward.Rerun) {
		bad("Options.InTx needs a store with transactions (%T) and the policy rerun (%s)", eng.Store(), o.Policy)
	}
	if o.Policy == onceward.Reconcile && o.Kind == "" {
		bad("Options.Policy reconcile needs Options.Kind, and Engine.Register for it")
	}
	if o.Retention < 0 || o.Wait < 0 || o.MaxBodyBytes < 0 {
		bad("Options.Retention, Wait and MaxBodyBytes may not be negative")
	}
	if len(o.PriorSecrets) > maxPriorSecrets {
		bad("Options.PriorSecrets has %d; at most %d are allowed", len(o.PriorSecrets), maxPriorSecrets)
	}
	for _, p := range o.Fields {
		if !strings.HasPrefix(p, "/") {
			bad("Options.Fields: %q is no JSON Pointer; it begins with /", p)
		}
	}
	for _, h := range o.ReplayHeaders {
		if !isToken(h) {
			bad("Options.ReplayHeaders: %q is no header name", h)
		} else if neverReplayed(textproto.CanonicalMIMEHeaderKey(h)) {
			bad("Options.ReplayHeaders: %s belongs to one answer and is never replayed", h)
		}
	}
	if strings.ContainsAny(o.PolicyURL, "<>\" \r\n") {
		bad("Options.PolicyURL %q is no URL", o.PolicyURL)
	}
	return errors.Join(errs...)
}

// isToken reports whether s is a token of RFC 9110, as names and methods are.
func isToken(s string) bool {
	for i := range len(s) {
		if !isTchar(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTchar(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
