package proxy

import (
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// rewrite makes the backend's request of the client's. Hop-by-hop headers are
// gone already.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out
	if p.cfg.StripPrefix != "" {
		stripPrefix(out, p.cfg.StripPrefix)
	}
	pr.SetURL(p.target)
	out.URL.RawQuery = in.URL.RawQuery // as it was sent: nobody here reads it
	out.Host = in.Host
	if p.cfg.Host != "" {
		out.Host = p.cfg.Host
	}
	trusted := p.trusts(in.RemoteAddr)
	clean(out.Header, trusted)
	forwarded(out.Header, in, trusted)
	withdrawLicence(out.Header)
	refuseH2C(out.Header)
	c := callOf(in.Context())
	if c == nil {
		out.Trailer = in.Trailer // filled in when the body has been read
		if len(in.Trailer) > 0 && out.Body != nil {
			out.Body = &trailing{out.Body, in.Trailer}
		}
		return
	}
	out.Trailer = nil
	out.Header.Del("Expect") // the body is here already
	out.Header[HeaderOperation] = []string{c.op.ID().String()}
	out.Header[HeaderToken] = []string{strconv.FormatInt(c.op.Token(), 10)}
	out.Header[HeaderAttempt] = []string{strconv.Itoa(c.op.Attempt())}
}

// stripPrefix takes whole segments off the path; a path without them stays.
func stripPrefix(r *http.Request, prefix string) {
	prefix = strings.TrimSuffix(prefix, "/")
	for _, path := range []*string{&r.URL.Path, &r.URL.RawPath} {
		if rest, ok := strings.CutPrefix(*path, prefix); ok && (rest == "" || rest[0] == '/') {
			*path = rest
		}
	}
}

// clean removes what only the gateway, or a trusted proxy before it, may say.
// Backends in the tradition of CGI read "_" and "-" alike, so spelling does
// not matter.
func clean(h http.Header, trusted bool) {
	for name := range h {
		plain := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		ours := strings.HasPrefix(plain, "onceward-")
		hearsay := plain == "forwarded" || plain == "x-real-ip" || strings.HasPrefix(plain, "x-forwarded-")
		if ours || hearsay && (!trusted || strings.Contains(name, "_")) {
			delete(h, name)
		}
	}
}

// forwarded appends the peer to Forwarded (RFC 7239) and to the headers that
// came before it. Rewrite has removed the client's; a trusted proxy's are
// taken from the incoming request.
func forwarded(h http.Header, in *http.Request, trusted bool) {
	proto := "http"
	if in.TLS != nil {
		proto = "https"
	}
	node, peer := "unknown", ""
	if addr, err := netip.ParseAddrPort(in.RemoteAddr); err == nil {
		ip := addr.Addr().Unmap().WithZone("")
		node, peer = ip.String(), ip.String()
		if ip.Is6() {
			node = `"[` + node + `]"`
		}
	}
	element := "for=" + node + ";host=" + quoted(in.Host) + ";proto=" + proto
	prior := func(name string) []string {
		if !trusted {
			return nil
		}
		return slices.Clone(in.Header.Values(name))
	}
	h.Set("Forwarded", strings.Join(append(prior("Forwarded"), element), ", "))
	if chain := prior("X-Forwarded-For"); peer != "" || len(chain) > 0 {
		if peer != "" {
			chain = append(chain, peer)
		}
		h.Set("X-Forwarded-For", strings.Join(chain, ", "))
	}
	first := func(name, value string) {
		if v := prior(name); len(v) > 0 {
			value = v[0]
		}
		h.Set(name, value)
	}
	first("X-Forwarded-Host", in.Host)
	first("X-Forwarded-Proto", proto)
}

// quoted writes a value of Forwarded as a quoted string: hosts have colons.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// trusts reports whether the peer is one of the trusted proxies.
func (p *Proxy) trusts(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	for _, prefix := range p.cfg.TrustedProxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// withdrawLicence hides the headers by which net/http tells requests that it
// may send twice. It looks for these entries of the map; the wire does not
// know case.
func withdrawLicence(h http.Header) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := h[name]; ok {
			delete(h, name)
			h[strings.ToLower(name)] = v
		}
	}
}

// refuseH2C takes the wish to go on in HTTP/2 off a request. A backend that
// granted it would answer requests inside the upgraded connection that nobody
// here sees: without a principal, without a key.
func refuseH2C(h http.Header) {
	if strings.Contains(strings.ToLower(strings.Join(h.Values("Upgrade"), ",")), "h2c") {
		h.Del("Upgrade")
		h.Del("Connection")
	}
	h.Del("Http2-Settings")
}

// trailing removes from the trailers, once they have come, what clients may
// not say.
type trailing struct {
	io.ReadCloser
	trailer http.Header
}

// Read implements io.Reader.
func (b *trailing) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		clean(b.trailer, false)
	}
	return n, err
}
