package config

// Auth says whose keys are whose. An answer is replayed only to whom it
// belongs to.
type Auth struct {
	SingleTenant bool     `yaml:"single_tenant" default:"false" doc:"All requests are of one principal. Only behind something that authenticates."`
	Bearer       bool     `yaml:"development_bearer" default:"false" doc:"Every distinct bearer token is a principal of its own, and no token is the principal anonymous. Authenticates nobody: for development."`
	JWT          *JWT     `yaml:"jwt" doc:"Bearer tokens signed by an issuer."`
	APIKeys      *APIKeys `yaml:"api_keys" doc:"Keys made with onceward apikeys create."`
	MTLS         *MTLS    `yaml:"mtls" doc:"Client certificates; needs tls.client_auth."`
	Scope        *Expr    `yaml:"scope" vars:"request,principal,claims" result:"string" doc:"Names the scope of a request's keys. Default: the principal's id. Two principals with one scope share their keys."`
}

// JWT accepts bearer tokens.
type JWT struct {
	Issuer     string   `yaml:"issuer" doc:"Required value of iss."`
	Audience   string   `yaml:"audience" required:"true" doc:"Required member of aud."`
	JWKSURL    string   `yaml:"jwks_url" format:"url" doc:"Where the issuer publishes its keys; fetched again when an unknown key id appears. Exactly one of jwks_url and jwks_file."`
	JWKSFile   string   `yaml:"jwks_file" doc:"File with the issuer's keys."`
	Algorithms []string `yaml:"algorithms" enum:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" default:"RS256, ES256, EdDSA" doc:"Signature algorithms that are accepted."`
	Leeway     Duration `yaml:"leeway" default:"1m" min:"0s" max:"10m" doc:"Tolerated difference of clocks."`
	Refresh    Duration `yaml:"refresh" default:"15m" min:"10s" doc:"How often the keys are fetched."`
	Subject    string   `yaml:"subject_claim" default:"sub" doc:"Claim that is the principal's id."`
}

// APIKeys accepts keys that the operator hands out.
type APIKeys struct {
	Header string `yaml:"header" default:"Authorization" doc:"Header that carries the key; in Authorization as a bearer token."`
	File   string `yaml:"file" doc:"File with the hashed keys. Default: the store."`
}

// MTLS accepts client certificates.
type MTLS struct {
	Subject string `yaml:"subject" enum:"common_name,dns,uri,email,fingerprint" default:"common_name" doc:"Part of the certificate that is the principal's id."`
}

// Quotas bounds one scope. Zero means no bound.
type Quotas struct {
	KeysInFlight      int `yaml:"keys_in_flight" default:"0" min:"0" doc:"Operations under way on one instance; 0 for no bound."`
	KeysStored        int `yaml:"keys_stored" default:"0" min:"0" doc:"Records that are kept; 0 for no bound."`
	RequestsPerSecond int `yaml:"requests_per_second" default:"0" min:"0" doc:"Requests on one instance; 0 for no bound."`
	Burst             int `yaml:"burst" default:"0" min:"0" doc:"Requests that may come at once; 0 for one second's worth."`
	MaxScopes         int `yaml:"max_scopes" default:"100000" min:"1" doc:"Scopes that are counted at the same time; the least recently seen is forgotten."`
}

// Encryption of what is stored.
type Encryption struct {
	Keys     []EncryptionKey `yaml:"keys" required:"true" minItems:"1" maxItems:"64" doc:"Keyring. The first encrypts, all decrypt: rotate by adding in front."`
	PerScope bool            `yaml:"per_scope" default:"true" doc:"A data key for each scope, so that deleting it makes a tenant's data unreadable."`
}

// EncryptionKey is one key of the ring.
type EncryptionKey struct {
	ID  string `yaml:"id" required:"true" pattern:"^[A-Za-z0-9._-]{1,64}$" doc:"Name that is stored beside what the key encrypts."`
	Key Secret `yaml:"key" required:"true" doc:"32 bytes, as 64 hexadecimal digits or base64."`
}

// Observability says what the process tells.
type Observability struct {
	Log     Log     `yaml:"log" doc:"Log lines on standard error."`
	Metrics Metrics `yaml:"metrics" doc:"Prometheus metrics."`
	Tracing Tracing `yaml:"tracing" doc:"OpenTelemetry traces."`
}

// Log lines.
type Log struct {
	Level  string `yaml:"level" enum:"debug,info,warn,error" default:"info" doc:"Least severe line that is written."`
	Format string `yaml:"format" enum:"json,text" default:"json" doc:"Form of a line."`
}

// Metrics for Prometheus.
type Metrics struct {
	Enabled bool   `yaml:"enabled" default:"true" doc:"Serve /metrics on the admin listener."`
	Listen  string `yaml:"listen" format:"address" doc:"Address of a listener for metrics alone, host:port."`
}

// Tracing over OTLP.
type Tracing struct {
	Endpoint string            `yaml:"endpoint" format:"url" doc:"OTLP/HTTP endpoint. Without it nothing is traced."`
	Headers  map[string]Secret `yaml:"headers" doc:"Headers for the endpoint."`
	Service  string            `yaml:"service" default:"onceward" doc:"Name of this service in traces."`
	Percent  int               `yaml:"sample_percent" default:"100" min:"0" max:"100" doc:"Share of requests without a parent trace that are traced."`
}
