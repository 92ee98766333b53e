package config

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Own are the patterns that the gateway serves itself.
var Own = []string{
	"GET /v1/operations", "GET /v1/operations/{id}", "POST /v1/transactions",
	"GET /healthz", "GET /readyz", "GET /idempotency-policy", "GET /openapi.json",
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}

// splitPattern takes METHOD HOST/path apart.
func splitPattern(pattern string) (method, host, path string) {
	method, rest, ok := strings.Cut(pattern, " ")
	if !ok {
		method, rest = "", pattern
	}
	rest = strings.TrimLeft(rest, " \t")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return method, rest[:i], rest[i:]
	}
	return method, rest, ""
}

// checkPatterns finds patterns that are malformed, that can never match, and
// that collide.
func (c *Config) checkPatterns() {
	accepted := slices.Clone(Own)
	routeOf := make(map[string]int)
	mux := http.NewServeMux()
	for _, own := range Own {
		mux.Handle(own, http.NotFoundHandler())
	}
	for i := range c.Routes {
		pattern, at := c.Routes[i].Match, routePath(i)+".match"
		if pattern == "" {
			continue
		}
		if msg := unreachable(pattern); msg != "" {
			c.bad(at, "%s", msg)
			continue
		}
		if register(mux, pattern) == "" {
			accepted = append(accepted, pattern)
			routeOf[pattern] = i
			continue
		}
		c.bad(at, "%s", c.explainPattern(pattern, accepted, routeOf))
	}
}

// explainPattern says why a pattern cannot be added to those accepted.
func (c *Config) explainPattern(pattern string, accepted []string, routeOf map[string]int) string {
	alone := http.NewServeMux()
	if msg := register(alone, pattern); msg != "" {
		if _, after, ok := strings.Cut(msg, "at offset "); ok {
			return "is no pattern: at offset " + after
		}
		return "is no pattern: " + msg
	}
	for _, other := range accepted {
		pair := http.NewServeMux()
		_ = register(pair, other) // it was accepted
		msg := register(pair, pattern)
		if msg == "" {
			continue
		}
		name := fmt.Sprintf("%q, which the gateway serves itself", other)
		if i, ok := routeOf[other]; ok {
			name = fmt.Sprintf("%s %q in line %d", routePath(i), other, c.pos(routePath(i)+".match").Line)
		}
		if strings.Contains(msg, "matches the same requests") || other == pattern {
			return "is a duplicate of " + name + ": it would never be reached"
		}
		return "collides with " + name + ": some requests match both, and neither is the more specific one"
	}
	return "collides with other routes"
}

// register adds a pattern and returns why it cannot be.
func register(mux *http.ServeMux, pattern string) (problem string) {
	defer func() {
		if p := recover(); p != nil {
			problem = fmt.Sprint(p)
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return ""
}

// unreachable says why no request can match a pattern, or returns "".
func unreachable(pattern string) string {
	method, host, path := splitPattern(pattern)
	switch {
	case path == "":
		return fmt.Sprintf("%q has no path; write METHOD /path", pattern)
	case method != "" && !slices.Contains(methods, method):
		if i := slices.Index(methods, strings.ToUpper(method)); i >= 0 {
			return fmt.Sprintf("is never reached: methods are in capitals; did you mean %q?", methods[i]+" "+host+path)
		}
		return fmt.Sprintf("is never reached: unknown method %q; %s", method, suggest(method, methods))
	case host != strings.ToLower(host):
		return "is never reached: hosts are compared in lower case"
	case strings.ContainsAny(path, "?#"):
		return "is never reached: a pattern has no query and no fragment, and ? or # stand in no path"
	case strings.Contains(path, " "):
		return "is never reached: there is a space in the path"
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if segment == "." || segment == ".." || segment == "" && strings.Contains(path, "//") {
			return "is never reached: requests are redirected to a path without //, . and .."
		}
	}
	return ""
}
