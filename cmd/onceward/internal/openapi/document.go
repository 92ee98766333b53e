package openapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban/contractspec"
)

// Config of a document.
type Config struct {
	// Title and Version of the API. Default "onceward gateway" and "1".
	Title, Version string
	// Description in Markdown. Optional.
	Description string
	// Server is the public URL. Default: where the document is served.
	Server string
	// Routes call contracts; Specs is what those contracts declare, by address.
	Routes []gateway.Route
	Specs  map[string]*contractspec.Spec
	// Proxies are the routes in front of backends.
	Proxies []Proxy
	// Relay is the endpoint that takes what users have signed; nil for none.
	Relay *Relay
	// Problems are those that whatever is around the gateway answers.
	Problems []oncehttp.ProblemType
	// Scoped says that an expression names the scope of a request; one without
	// a scope is refused.
	Scoped bool
	// Quotas says that there are bounds on what a scope may use.
	Quotas bool
	// Security lists the ways to authenticate, any of which suffices. None
	// means that requests need no credentials.
	Security []Scheme
}

// Proxy is a route in front of a backend.
type Proxy struct {
	// Pattern of the ServeMux, such as "POST /api/".
	Pattern string
	Options oncehttp.Options
	// Problems beside those of oncehttp.
	Problems []oncehttp.ProblemType
	// Sometimes says that only some requests are keyed, by a rule that the
	// description cannot tell.
	Sometimes bool
	// Guarded says that the route has a rule of its own about who may use it.
	Guarded bool
}

// Relay is the endpoint that takes what users have signed.
type Relay struct {
	// Pattern of the ServeMux, with a method.
	Pattern string
}

// Scheme is one way to authenticate.
type Scheme string

// The ways to authenticate.
const (
	BearerJWT   Scheme = "bearerJWT"
	BearerToken Scheme = "bearerToken" // an API key, or the tokens of onceward dev
	MutualTLS   Scheme = "mutualTLS"
)

var schemes = map[Scheme]object{
	BearerJWT:   {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
	BearerToken: {"type": "http", "scheme": "bearer"},
	MutualTLS:   {"type": "mutualTLS"},
}

// object is a JSON object; its members are written in the order of their
// names.
type object = map[string]any

// builder gathers the parts of one document.
type builder struct {
	cfg     *Config
	paths   object
	schemas object
	ids     map[string]bool // every operationId
}

// Document describes cfg as JSON.
func Document(cfg Config) ([]byte, error) {
	b := &builder{cfg: &cfg, paths: make(object), schemas: baseSchemas(), ids: make(map[string]bool)}
	var errs []error
	for i := range cfg.Routes {
		if err := b.addContract(&cfg.Routes[i]); err != nil {
			errs = append(errs, fmt.Errorf("openapi: route %s: %w", cfg.Routes[i].Pattern, err))
		}
	}
	for i := range cfg.Proxies {
		if err := b.addProxy(&cfg.Proxies[i]); err != nil {
			errs = append(errs, fmt.Errorf("openapi: route %s: %w", cfg.Proxies[i].Pattern, err))
		}
	}
	if cfg.Relay != nil {
		if err := b.addRelay(cfg.Relay); err != nil {
			errs = append(errs, fmt.Errorf("openapi: relay: %w", err))
		}
	}
	security, securitySchemes := []object{}, object{}
	for _, s := range cfg.Security {
		scheme, ok := schemes[s]
		if !ok {
			errs = append(errs, fmt.Errorf("openapi: unknown security scheme %q", s))
		}
		security = append(security, object{string(s): []string{}})
		securitySchemes[string(s)] = scheme
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	b.addOwn()
	components := object{"schemas": b.schemas, "headers": baseHeaders(), "responses": elsewhere()}
	if len(securitySchemes) > 0 {
		components["securitySchemes"] = securitySchemes
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title": cmp.Or(cfg.Title, "onceward gateway"), "version": cmp.Or(cfg.Version, "1"),
			"description": cmp.Or(cfg.Description, "Writes that happen exactly once. Send a key with each operation, "+
				"and the same key with every retry of it; the [policy]("+gateway.PolicyPath+") says for how long.\n\n"+
				"An address that is not listed is answered as the component NotFound has it, a method that is not listed as MethodNotAllowed."),
		},
		"servers":    []object{{"url": cmp.Or(cfg.Server, "/")}},
		"paths":      b.paths,
		"components": components,
		"security":   security,
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	return append(out, '\n'), nil
}

// add puts an operation in its place.
func (b *builder) add(path, method string, operation object) error {
	item, ok := b.paths[path].(object)
	if !ok {
		item = make(object)
		b.paths[path] = item
	}
	method = strings.ToLower(method)
	if _, dup := item[method]; dup {
		return fmt.Errorf("%s %s is described twice", strings.ToUpper(method), path)
	}
	id := operationID(method, path)
	for n, base := 2, id; b.ids[id]; n++ { // as for /a-b and /a/b
		id = base + "_" + strconv.Itoa(n)
	}
	b.ids[id] = true
	operation["operationId"] = id
	item[method] = operation
	return nil
}

// operationID makes a name of letters, digits and "_".
func operationID(method, path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	return strings.Join(append([]string{method}, words...), "_")
}

// splitPattern takes a ServeMux pattern apart: its method, if it has one, and
// its path as OpenAPI writes it, with the names of its parameters. subtree
// says that the last one stands for everything below.
func splitPattern(pattern string) (method, path string, params []string, subtree bool, err error) {
	path = pattern
	if before, after, ok := strings.Cut(pattern, " "); ok {
		method, path = before, strings.TrimLeft(after, " ")
	}
	i := strings.IndexByte(path, '/')
	if i < 0 {
		return "", "", nil, false, errors.New("the pattern has no path")
	}
	path = path[i:] // without a host
	if strings.HasSuffix(path, "/") {
		path += "{path...}"
	}
	subtree = strings.HasSuffix(path, "...}")
	path = strings.TrimSuffix(strings.ReplaceAll(path, "...}", "}"), "{$}")
	for segment := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			params = append(params, strings.TrimSuffix(name, "}"))
		}
	}
	return method, path, params, subtree, nil
}

// guarded reports whether a method carries keys.
func guarded(opts *oncehttp.Options, method string) bool {
	methods := opts.Methods
	if len(methods) == 0 {
		methods = []string{http.MethodPost, http.MethodPatch}
	}
	return slices.Contains(methods, method)
}
