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
	Issuer     string   `yaml:"issuer" required:"true" doc:"Required value of iss."`
	Audience   []string `yaml:"audience" required:"true" minItems:"1" doc:"Tokens must name one of these in aud."`
	JWKSURL    string   `yaml:"jwks_url" required:"true" format:"url" doc:"Where the issuer publishes its keys: https, or http on a loopback address. Fetched again when an unknown key id appears."`
	Algorithms []string `yaml:"algorithms" enum:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" default:"RS256, PS256, ES256, EdDSA" doc:"Signature algorithms that are accepted."`
	Leeway     Duration `yaml:"leeway" default:"30s" min:"0s" max:"5m" doc:"Tolerated difference of clocks."`
	Refresh    Duration `yaml:"refresh" default:"15m" min:"1s" doc:"How often the keys are fetched. Tokens by unknown keys have them fetched sooner, at most every 10s, or as often as this says if that is more often."`
	Subject    string   `yaml:"subject_claim" default:"sub" doc:"Claim that is the principal's name."`
}

// APIKeys accepts keys that the operator hands out.
type APIKeys struct {
	Header   string   `yaml:"header" pattern:"^[A-Za-z0-9-]{1,64}$" default:"X-Api-Key" doc:"Header that may carry a key, beside Authorization: Bearer."`
	CacheTTL Duration `yaml:"cache_ttl" default:"10s" min:"1s" max:"1h" doc:"How long a key that was looked up is believed, and hence a revoked one."`
}

// MTLS accepts client certificates.
type MTLS struct {
	Subject string `yaml:"subject" enum:"uri,dns,email,cn" default:"uri" doc:"Part of the certificate that is the principal's name."`
}

// Quotas bounds one scope. Zero means no bound; see checkQuotas for defaults.
type Quotas struct {
	KeysInFlight      int `yaml:"keys_in_flight" min:"0" doc:"Operations under way on one instance; 0 for no bound. Default: a quarter of limits.max_requests, so that no principal takes the place of all others; no bound with single_tenant and development_bearer. It cannot change while the process runs."`
	RequestsInFlight  int `yaml:"requests_in_flight" default:"0" min:"0" doc:"Requests under way on one instance, those that wait for another's answer included; 0 for no bound."`
	KeysStored        int `yaml:"keys_stored" default:"0" min:"0" doc:"Records that are kept; 0 for no bound."`
	RequestsPerSecond int `yaml:"requests_per_second" default:"0" min:"0" doc:"Requests on one instance; 0 for no bound."`
	Burst             int `yaml:"burst" default:"0" min:"0" doc:"Requests that may come at once; 0 for one second's worth."`
	MaxScopes         int `yaml:"max_scopes" default:"10000" min:"1" doc:"Scopes that are counted at the same time; the least recently seen is forgotten."`
}

// Encryption of what is stored.
type Encryption struct {
	Keyring         Secret   `yaml:"keyring" required:"true" doc:"Keyring made with onceward keyring create. Back it up: without it nothing can be read."`
	AcceptPlaintext bool     `yaml:"accept_plaintext" default:"false" doc:"Read records from before encryption was switched on. Take it out once they have expired."`
	KeyTTL          Duration `yaml:"key_ttl" default:"1m" min:"1s" max:"1h" doc:"How long a scope's data key is remembered, and hence used although it was destroyed elsewhere."`
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
