package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/onceward/onceward/cmd/onceward/internal/slots"
)

// stores are the schemes of a store's DSN.
var stores = []string{"sqlite", "postgres", "postgresql"}

// check finds what a look at one field cannot.
func (c *Config) check() {
	c.checkStore()
	c.checkListeners()
	c.checkAuth()
	if c.Operations.Lease > c.Operations.Retention {
		c.bad("operations.lease", "%v is longer than the retention of %v", c.Operations.Lease, c.Operations.Retention)
	}
	c.checkChain()
	c.checkSigners()
	for i := range c.Routes {
		c.checkRoute(i)
	}
	c.checkNames()
	c.checkPatterns()
}

func (c *Config) checkStore() {
	c.checkGroups()
	dsn := c.Store.DSN
	if dsn == "" {
		return
	}
	scheme, rest, ok := strings.Cut(dsn, ":")
	switch {
	case !ok || rest == "" || !schemeForm.MatchString(scheme): // it may hold a password: it is not repeated
		c.bad("store", "this names no store; write sqlite:PATH or postgres://HOST/DATABASE")
	case !slices.Contains(stores, scheme):
		c.bad("store", "unknown store %q; %s", scheme, suggest(scheme, stores))
	case scheme != "sqlite":
		u, err := url.Parse(dsn)
		if err != nil {
			c.bad("store", "this is no URL; special characters in it are written %%40 and the like. With a password, write store: {dsn_env: NAME} and put the whole DSN there")
			return
		}
		_, password := u.User.Password()
		if q := u.Query(); password || q.Has("password") || q.Has("sslpassword") {
			c.bad("store", "contains a password; write store: {dsn_env: NAME} and put the whole DSN there")
		}
	}
}

// checkGroups wants every slot kept by one group.
func (c *Config) checkGroups() {
	if len(c.Store.Groups) == 0 {
		return
	}
	var keeper [slots.Count]int // its number from 1; 0 for nobody
	for i, g := range c.Store.Groups {
		path := fmt.Sprintf("store.groups[%d].slots", i)
		kept, err := slots.Parse(g.Slots)
		if err != nil {
			c.bad(path, "%s", err.Error())
			return // what is missing is not known
		}
		for _, slot := range kept {
			if first := keeper[slot]; first > 0 {
				c.bad(path, "slot %d is kept by groups[%d], too", slot, first-1)
				return
			}
			keeper[slot] = i + 1
		}
	}
	var missing []int
	for slot, by := range keeper {
		if by == 0 {
			missing = append(missing, slot)
		}
	}
	if len(missing) > 0 {
		c.bad("store.groups", "no group keeps the slots %s; there are 0 to %d", slots.Format(missing), slots.Count-1)
	}
}

var schemeForm = regexp.MustCompile(`^[a-z][a-z0-9]{0,31}$`)

func (c *Config) checkListeners() {
	if c.given("admin.listen") && c.Listen == c.Admin.Listen && !strings.HasSuffix(c.Listen, ":0") {
		c.bad("admin.listen", "%s is the API's address; the operator's page needs another", c.Listen)
	}
	if host, _, err := net.SplitHostPort(c.Admin.Listen); err == nil && !loopback(host) && !c.Admin.Token.Set() {
		c.bad("admin.listen", "%s is reachable from elsewhere: set admin.token_env or admin.token_file, or listen on 127.0.0.1", c.Admin.Listen)
	}
	if c.TLS != nil && c.TLS.ClientAuth != "none" && c.TLS.ClientCAFile == "" {
		c.bad("tls.client_auth", "needs tls.client_ca_file, to check certificates against")
	}
	if c.TLS != nil && c.TLS.ClientAuth == "none" && c.TLS.ClientCAFile != "" {
		c.bad("tls.client_ca_file", "is not used unless tls.client_auth is optional or required")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *Config) checkAuth() {
	a := &c.Auth
	real := a.JWT != nil || a.APIKeys != nil || a.MTLS != nil
	ways := 0
	for _, way := range []bool{a.SingleTenant, a.Bearer, real} {
		if way {
			ways++
		}
	}
	switch {
	case ways == 0 && !c.failed("auth"):
		c.bad("auth", "nobody says whose keys are whose: configure jwt, api_keys or mtls; or single_tenant: true when something in front authenticates")
	case ways > 1:
		c.bad("auth", "single_tenant and development_bearer exclude each other and every other way to authenticate")
	}
	if a.MTLS != nil && (c.TLS == nil || c.TLS.ClientAuth == "none") {
		c.bad("auth.mtls", "needs tls.client_auth: optional or required, and tls.client_ca_file")
	}
	c.checkQuotas(real)
}

// checkQuotas fills in the bound of keys in flight where principals are told
// apart: without one, any of them could take all of limits.max_requests.
func (c *Config) checkQuotas(tenants bool) {
	if tenants && !c.given("quotas.keys_in_flight") {
		c.Quotas.KeysInFlight = max(1, c.Limits.MaxRequests/4)
	}
	if q := c.Quotas; q.Burst > 0 && q.RequestsPerSecond == 0 {
		c.bad("quotas.burst", "needs quotas.requests_per_second")
	}
}

// failed reports whether something inside of path is wrong already.
func (c *Config) failed(path string) bool {
	return slices.ContainsFunc(c.doc.problems, func(p Problem) bool { return strings.HasPrefix(p.Path, path+".") })
}

func (c *Config) checkChain() {
	ch := c.Chain
	if ch == nil {
		if c.Relay != nil {
			c.bad("relay", "needs a chain section")
		}
		if c.Webhook != nil {
			c.bad("webhook", "needs a chain section: it tells of contract calls")
		}
		if i := slices.IndexFunc(c.Routes, func(r Route) bool { return r.IsContract() }); i >= 0 {
			c.bad(routePath(i), "calls a contract, but there is no chain section")
		}
		return
	}
	if ch.GuardWindow < ch.LedgerWindow {
		c.bad("chain.guard_window", "%d is shorter than the ledger_window of %d", ch.GuardWindow, ch.LedgerWindow)
	}
	if ch.MaxFee < ch.InclusionFee {
		c.bad("chain.max_fee", "%d is below the inclusion_fee of %d", ch.MaxFee, ch.InclusionFee)
	}
}

// checkSigners finds signers without a key, and names that stand for none.
func (c *Config) checkSigners() {
	if c.Chain == nil {
		return
	}
	for name, s := range c.Chain.Signers {
		at := join("chain.signers", name)
		switch {
		case s.Secret.Set() == (s.Socket != "") && !c.failed(at):
			c.bad(at, "needs exactly one of secret_env, secret_file and socket")
		case (s.Socket == "") != (s.Address == "") && !c.failed(at):
			c.bad(at, "socket and address belong together")
		}
	}
	for i := range c.Routes {
		c.knownSigner(routePath(i)+".signer", c.Routes[i].Signer)
	}
	if c.Relay != nil {
		c.knownSigner("relay.fee_signer", c.Relay.FeeSigner)
	}
}

func (c *Config) knownSigner(at, name string) {
	names := slices.Sorted(maps.Keys(c.Chain.Signers))
	if name != "" && !slices.Contains(names, name) {
		c.bad(at, "unknown signer %q; %s", name, suggest(name, names))
	}
}

// given reports whether the file has the field.
func (c *Config) given(path string) bool { _, ok := c.doc.at[path]; return ok }

// contractOnly and proxyOnly are the fields that mean nothing to the other
// kind of route.
var (
	contractOnly = []string{"function", "args", "ignore", "signer", "request_id", "budgets", "sync_timeout"}
	proxyOnly    = []string{
		"proxy_timeout", "proxy_host", "proxy_ca_file", "proxy_max_connections", "strip_prefix", "trusted_proxies",
		"crash_policy", "status_url", "when", "methods", "fail_open", "replay_headers", "replay",
	}
)

func (c *Config) checkRoute(i int) {
	r, at := &c.Routes[i], routePath(i)
	isContract, isProxy := c.given(at+".contract"), c.given(at+".proxy")
	switch {
	case isContract && isProxy:
		c.bad(at+".proxy", "a route calls a contract or a backend; this one names both")
	case isContract:
		c.reject(at, proxyOnly, "belongs to proxy routes; this one calls a contract")
		c.checkContract(r, at)
	case isProxy:
		c.reject(at, contractOnly, "belongs to contract routes; this one is a proxy")
		c.checkProxy(r, at)
	default:
		c.bad(at, "says neither what contract nor what backend it calls; add contract and function, or proxy")
	}
	for name, e := range map[string]*Expr{"when": r.When, "allow": r.Allow} {
		if e != nil && e.Program != nil && e.Constant == false {
			c.bad(at+"."+name, "is never true")
		}
	}
	if r.TTL == 0 {
		r.TTL = c.Operations.Retention
	}
	if r.TTL < c.Operations.Lease {
		c.bad(at+".ttl", "%v is shorter than the lease of %v", r.TTL, c.Operations.Lease)
	}
}

func (c *Config) reject(at string, fields []string, why string) {
	for _, f := range fields {
		if c.given(at + "." + f) {
			c.bad(at+"."+f, "%s", why)
		}
	}
}

// maxContractBody bounds the JSON body of a contract request.
const maxContractBody = 64 << 10

func (c *Config) checkContract(r *Route, at string) {
	if !c.given(at + ".function") {
		c.bad(at, "function is missing: the function of the contract that is called")
	}
	if !c.given(at + ".max_body") {
		r.MaxRequestBody = maxContractBody
	}
	if r.MaxRequestBody > maxContractBody {
		c.bad(at+".max_body", "%v is more than a contract call can use; at most %v", r.MaxRequestBody, Size(maxContractBody))
	}
	if method, _, _ := splitPattern(r.Match); r.Match != "" && !slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE"}, method) {
		c.bad(at+".match", "a contract route writes: begin it with POST, PUT, PATCH or DELETE")
	}
	if r.Key == "optional" && len(r.NaturalKey) == 0 {
		c.bad(at+".key", "a contract route needs a key for every call; leave this out, or give the route a natural_key")
	}
	used := make(map[string]bool)
	for _, e := range r.Args {
		if e.Program != nil {
			for m := range e.Members {
				used[m] = true
			}
		}
	}
	for _, m := range slices.Sorted(maps.Keys(r.Ignore)) {
		if used[m] {
			c.bad(join(at+".ignore", m), "is used in args; it is not ignored")
		}
	}
}

func (c *Config) checkProxy(r *Route, at string) {
	method, _, _ := splitPattern(r.Match)
	if !c.given(at + ".methods") {
		if method != "" {
			r.Methods = []string{method}
		}
	} else if method != "" && !slices.Contains(r.Methods, method) {
		c.bad(at+".methods", "does not contain %s, the only method of this route", method)
	}
	if r.Compare != nil && r.Compare.CanonicalJSON && len(r.Compare.Fields) > 0 {
		c.bad(at+".compare.fields", "are compared in canonical form anyway; leave canonical_json out")
	}
	switch reconcile := r.CrashPolicy == "reconcile"; {
	case reconcile && r.StatusURL == "":
		c.bad(at+".crash_policy", "reconcile needs status_url, to ask the backend what became of an operation")
	case !reconcile && r.StatusURL != "":
		c.bad(at+".status_url", "is only asked under crash_policy reconcile")
	}
	if r.StripPrefix != "" {
		if _, _, path := splitPattern(r.Match); !strings.HasPrefix(path, r.StripPrefix) {
			c.bad(at+".strip_prefix", "%q is not how the path of match begins", r.StripPrefix)
		}
	}
}

// checkNames keeps the kinds of operations apart.
func (c *Config) checkNames() {
	seen := make(map[string]int)
	for i := range c.Routes {
		kind := c.Routes[i].Kind()
		if first, dup := seen[kind]; dup && c.given(routePath(i)+".name") {
			c.bad(routePath(i)+".name", "%q is the name of %s, in line %d, too", kind, routePath(first), c.pos(routePath(first)).Line)
			continue
		}
		if _, dup := seen[kind]; !dup {
			seen[kind] = i
		}
		const natural = 255 - len("natural ") - 65
		if len(kind) > natural {
			c.bad(routePath(i), "its match is too long to be a name; add name, of at most 100 characters")
		}
	}
}
