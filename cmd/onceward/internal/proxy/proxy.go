package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// Headers that the backend receives with a keyed request.
const (
	// HeaderOperation is the operation's id, a UUID: the same for every
	// attempt, derived from scope and key. Deduplicate by it.
	HeaderOperation = "Onceward-Operation-Id"
	// HeaderToken is the fencing token, a decimal integer: refuse a request
	// whose token is lower than one seen for the same operation.
	HeaderToken = "Onceward-Token"
	// HeaderAttempt counts the attempts of the operation, from 1.
	HeaderAttempt = "Onceward-Attempt"
	// HeaderOriginalStatus is read from an answer of Config.StatusURL: the
	// status that the original answer had. Default 200.
	HeaderOriginalStatus = "Onceward-Original-Status"
)

// Config of the proxy in front of one backend, for one route.
type Config struct {
	Engine *onceward.Engine
	// Keys are the rules for keyed requests. Scope and Kind are required;
	// IgnoreFlush is decided here.
	Keys oncehttp.Options
	// Backend is where requests go: http://host:port, https://host, or
	// h2c://host:port for HTTP/2 without TLS. Its path is put before theirs.
	Backend string
	// StripPrefix is taken off the path first.
	StripPrefix string
	// Host is sent to the backend. Default: the client's.
	Host string
	// TrustedProxies are the peers whose Forwarded and X-Forwarded-* headers
	// are extended. Those of all others are dropped.
	TrustedProxies []netip.Prefix
	// DialTimeout bounds connecting, TLS included. Default 5 s.
	DialTimeout time.Duration
	// Timeout bounds the wait for the head of an answer once the request is
	// sent, and for a keyed request all of the exchange. Default 1 min.
	Timeout time.Duration
	// IdleTimeout closes connections that were not used for so long. Keep it
	// below the backend's own: a request that meets the backend's hanging up
	// has an unknown outcome. Default 2 s.
	IdleTimeout time.Duration
	// MaxIdle bounds the idle connections that are kept. Default 64.
	MaxIdle int
	// MaxConns bounds all connections to the backend. Default 1,024.
	MaxConns int
	// TLS configures https backends. Default: the system's roots.
	TLS *tls.Config
	// ReleaseServerErrors says that the backend's answers of 500 and more
	// promise that nothing happened, so that they release the key. Default:
	// the crash policy decides.
	ReleaseServerErrors bool
	// StatusURL is asked under policy reconcile what became of an operation;
	// {id} in it stands for the operation's id. See docs/proxy.md.
	StatusURL string
	// StatusTimeout bounds one question. Default 10 s.
	StatusTimeout time.Duration
	// GiveUpAfter is when an operation that the backend cannot tell about is
	// held for a person, counted from its first claim. Default 1 h.
	GiveUpAfter time.Duration
	// Around wraps what runs inside an operation, for instance to trace it.
	// Default: nothing.
	Around func(http.Handler) http.Handler
	// Log receives what the client is not told. Default: discarded.
	Log *slog.Logger
}

// Proxy is an http.Handler. Use New.
type Proxy struct {
	cfg       Config
	opts      oncehttp.Options
	target    *url.URL
	status    string // StatusURL with its scheme made one of net/http's
	transport *transport
	reverse   *httputil.ReverseProxy
	once      http.Handler
}

// New returns the proxy, or everything that is wrong with cfg. It starts
// nothing. Under policy reconcile register Reconcile with the engine, for the
// Kind of Keys, before the first request.
func New(cfg Config) (*Proxy, error) {
	cfg = cfg.withDefaults()
	p := &Proxy{cfg: cfg, opts: cfg.Keys}
	var h2c bool
	var err error
	if p.target, h2c, err = backendURL("Backend", cfg.Backend); err != nil {
		return nil, err
	}
	if err := errors.Join(cfg.validate(), p.setStatus(h2c)); err != nil {
		return nil, err
	}
	p.transport = newTransport(&p.cfg, h2c)
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      p.transport,
		FlushInterval:  -1,
		ModifyResponse: p.received,
		ErrorHandler:   p.failed,
		ErrorLog:       slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	p.opts.IgnoreFlush = false // flushes are filtered by what the answer is
	if p.opts.Replay == nil {
		p.opts.Replay = oncehttp.ReplaySuccess
	}
	middleware, err := oncehttp.New(cfg.Engine, p.opts)
	if err != nil {
		return nil, err
	}
	p.once = middleware(cfg.Around(http.HandlerFunc(p.serve)))
	return p, nil
}

// Options returns the rules for keyed requests, for the policy page.
func (p *Proxy) Options() oncehttp.Options { return p.opts }

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.once.ServeHTTP(w, r) }

// Pass hands a request on without guarding it.
func (p *Proxy) Pass(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		body := &clientBody{ReadCloser: r.Body}
		r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, body))
		r.Body = body
	}
	p.reverse.ServeHTTP(w, r)
}

// Close closes the connections that are idle. Requests under way go on.
func (p *Proxy) Close() { p.transport.base.CloseIdleConnections() }

// serve hands a request on; keyed ones come inside their operation.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	if op := onceward.FromContext(r.Context()); op != nil {
		p.serveKeyed(w, r, op)
		return
	}
	p.Pass(w, r)
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.DialTimeout, 5 * time.Second},
		{&c.Timeout, time.Minute},
		{&c.IdleTimeout, 2 * time.Second},
		{&c.StatusTimeout, 10 * time.Second},
		{&c.GiveUpAfter, time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = 64
	}
	if c.MaxConns == 0 {
		c.MaxConns = 1024
	}
	if c.Around == nil {
		c.Around = func(h http.Handler) http.Handler { return h }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Keys.Logger == nil {
		c.Keys.Logger = c.Log
	}
	return c
}

func (c *Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("proxy: "+format, args...)) }
	if c.Engine == nil {
		bad("Config.Engine is nil")
	}
	if c.Keys.Kind == "" {
		bad("Config.Keys.Kind is empty: it names the route's operations in listings and in recovery")
	}
	if min(c.DialTimeout, c.Timeout, c.IdleTimeout, c.StatusTimeout, c.GiveUpAfter) < 0 || min(c.MaxIdle, c.MaxConns) < 0 {
		bad("timeouts and limits may not be negative; leave them zero for their defaults")
	}
	for _, p := range c.TrustedProxies {
		if !p.IsValid() {
			bad("Config.TrustedProxies has an invalid prefix; write 10.0.0.0/8 or 192.0.2.7/32")
		}
	}
	if c.StripPrefix != "" && c.StripPrefix[0] != '/' {
		bad("Config.StripPrefix %q does not begin with /", c.StripPrefix)
	}
	reconcile := c.Keys.Policy == onceward.Reconcile
	if reconcile && c.StatusURL == "" {
		bad("policy reconcile needs Config.StatusURL, to ask the backend what became of an operation")
	}
	if !reconcile && c.StatusURL != "" {
		bad("Config.StatusURL is only asked under policy reconcile; the policy is %q", c.Keys.Policy)
	}
	return errors.Join(errs...)
}

// backendURL reads a backend's address; h2c becomes http.
func backendURL(name, s string) (u *url.URL, h2c bool, err error) {
	u, err = url.Parse(s)
	if err != nil {
		return nil, false, fmt.Errorf("proxy: Config.%s is no URL: %w", name, errors.Unwrap(err))
	}
	if h2c = u.Scheme == "h2c"; h2c {
		u.Scheme = "http"
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, false, fmt.Errorf("proxy: Config.%s needs the form http://host:port, https://host or h2c://host:port", name)
	case u.User != nil:
		return nil, false, fmt.Errorf("proxy: Config.%s may not carry a user or password", name)
	case u.Fragment != "" || u.RawQuery != "" && name == "Backend":
		return nil, false, fmt.Errorf("proxy: Config.%s may not have a query or fragment", name)
	}
	return u, h2c, nil
}

// cause is why ctx ended.
func cause(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}
