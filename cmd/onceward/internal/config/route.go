package config

// Route is one endpoint: a contract function, or a backend behind the proxy.
type Route struct {
	Match string `yaml:"match" required:"true" doc:"METHOD /path, a pattern of net/http.ServeMux: /v1/orders/{id}, or /api/ for everything below. A proxy route may leave the method out."`
	Name  string `yaml:"name" pattern:"^[A-Za-z0-9][A-Za-z0-9 ._/{}-]{0,99}$" doc:"Kind of the operations in listings and recovery. Default: match. Do not change it while operations of the route may be unfinished."`

	Contract    string          `yaml:"contract" pattern:"^C[A-Z2-7]{55}$" doc:"Contract address, C…. Makes this a contract route."`
	Function    string          `yaml:"function" pattern:"^[A-Za-z_][A-Za-z0-9_]{0,31}$" doc:"Function of the contract."`
	Args        map[string]Expr `yaml:"args" vars:"request,body,principal,claims,scope" result:"json" doc:"An expression for each parameter of the function. Its type comes from the contract's own description; a member of the body, such as body.to, is passed on digit for digit."`
	Ignore      map[string]Size `yaml:"ignore" max:"64KiB" doc:"Further members of the body: texts of at most so many bytes, compared with those of a retry but not sent to the contract."`
	Signer      string          `yaml:"signer" doc:"Signer that authorizes the call, of chain.signers. Without one the chain does not guard against a second success."`
	RequestID   *RequestID      `yaml:"request_id" doc:"For a contract that refuses to do the same request id twice: the id is derived from the key, and the refusal is answered with the original result."`
	Budgets     []RouteBudget   `yaml:"budgets" maxItems:"16" doc:"Bounds on what all operations of the route use up together: 429 beyond."`
	SyncTimeout Duration        `yaml:"sync_timeout" default:"20s" min:"10ms" max:"5m" doc:"How long a request waits for the chain before it gets 202 and Location."`

	Proxy          string   `yaml:"proxy" format:"backend" doc:"Backend, http(s)://host[:port][/prefix] or h2c://…. Makes this a proxy route."`
	ProxyTimeout   Duration `yaml:"proxy_timeout" default:"1m" min:"10ms" doc:"Longest wait for the header of the backend's answer."`
	ProxyHost      string   `yaml:"proxy_host" doc:"Host header for the backend. Default: the client's."`
	ProxyCAFile    string   `yaml:"proxy_ca_file" doc:"PEM file with the authorities that the backend's certificate is checked against. Default: the system's."`
	MaxConns       int      `yaml:"proxy_max_connections" default:"0" min:"0" doc:"Connections to the backend; 0 for no bound but limits.max_requests."`
	StripPrefix    string   `yaml:"strip_prefix" pattern:"^/.*" doc:"Beginning of the path that the backend does not get to see."`
	Trusted        []string `yaml:"trusted_proxies" format:"cidr" doc:"Networks whose Forwarded and X-Forwarded-For headers are believed, such as 10.0.0.0/8."`
	CrashPolicy    string   `yaml:"crash_policy" enum:"hold,rerun,reconcile" default:"hold" doc:"What happens after a crash between effect and record: hold for a person, run again, or ask the backend at status_url. Contract routes always ask the chain."`
	StatusURL      string   `yaml:"status_url" doc:"Where the backend tells under crash_policy reconcile what became of an operation: http://host/operations/{id}. 200 with the answer, or 404 for never."`
	When           *Expr    `yaml:"when" vars:"request,principal,claims,scope" result:"bool" doc:"Guards only requests for which this is true; others pass without a key. Proxy routes only."`
	Methods        []string `yaml:"methods" pattern:"^[A-Z]{1,32}$" default:"POST, PATCH" doc:"Methods that are guarded on a proxy route; others pass without a key."`
	FailOpen       bool     `yaml:"fail_open" default:"false" doc:"Pass requests on unguarded when the store does not answer. They may then happen twice."`
	ReplayHeaders  []string `yaml:"replay_headers" pattern:"^[A-Za-z0-9-]{1,64}$" doc:"Headers of the answer that are kept and replayed beside the usual ones."`
	Replay         string   `yaml:"replay" enum:"success,all" default:"success" doc:"Answers that are final: below 400, or all."`
	MaxRequestBody Size     `yaml:"max_body" default:"1MiB" min:"1KiB" max:"64MiB" doc:"Largest body of a guarded request. Contract routes: 64KiB at most, which is also their default."`
	Compare        *Compare `yaml:"compare" doc:"What makes a retry the same request. Default: the body byte for byte."`

	Key        string   `yaml:"key" enum:"required,optional" default:"required" doc:"Whether requests must carry a key. Optional on a contract route needs a natural_key."`
	KeyHeader  string   `yaml:"key_header" pattern:"^[A-Za-z0-9-]{1,64}$" default:"Idempotency-Key" doc:"Header that carries the key."`
	KeyMember  string   `yaml:"key_member" doc:"Member of the JSON body that may carry the key instead."`
	StrictKeys bool     `yaml:"strict_keys" default:"false" doc:"Take only the quoted form of a key."`
	NaturalKey []Expr   `yaml:"natural_key" maxItems:"16" vars:"request,body,principal,claims,scope" result:"json" doc:"Expressions that identify the operation, whatever key the client sends. An expression that is also an argument counts as the chain encodes it."`
	Allow      *Expr    `yaml:"allow" vars:"request,principal,claims,scope" result:"bool" doc:"Requests for which this is false get 403."`
	TTL        Duration `yaml:"ttl" min:"1m" doc:"How long answers of this route are kept. Default: operations.retention."`
	Wait       Duration `yaml:"wait" default:"0s" min:"0s" max:"5m" doc:"How long a request waits for the answer of another one with its key. 0s answers 409 in-progress at once."`
}

// RequestID is how a contract guards itself.
type RequestID struct {
	Param    string   `yaml:"param" required:"true" pattern:"^[A-Za-z_][A-Za-z0-9_]{0,29}$" doc:"Parameter of the function, a BytesN<32>, that takes the id. Leave it out of args."`
	Executed []string `yaml:"executed" required:"true" minItems:"1" maxItems:"16" pattern:"^([A-Za-z_][A-Za-z0-9_]{0,59}|[0-9]{1,10})$" doc:"Errors of the contract for an id that it has seen, such as AlreadyExecuted, or their numbers in quotes."`
}

// Compare says what makes a retry the same request.
type Compare struct {
	CanonicalJSON bool     `yaml:"canonical_json" default:"false" doc:"Compare JSON bodies in canonical form (RFC 8785)."`
	Fields        []string `yaml:"fields" pattern:"^/.*" doc:"Compare only these members, named by JSON Pointers."`
}

// IsContract reports whether the route calls a contract.
func (r *Route) IsContract() bool { return r.Contract != "" || r.Function != "" }

// Kind names the operations of the route.
func (r *Route) Kind() string {
	if r.Name != "" {
		return r.Name
	}
	return r.Match
}
