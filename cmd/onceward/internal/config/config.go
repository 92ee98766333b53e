package config

// Config is the whole file.
type Config struct {
	Listen        string        `yaml:"listen" default:"127.0.0.1:8080" format:"address" doc:"Address of the API, host:port."`
	TLS           *TLS          `yaml:"tls" doc:"Serve the API over TLS. Without it, put a proxy that does in front."`
	H2C           bool          `yaml:"h2c" default:"true" doc:"Without tls, also speak HTTP/2 in clear to clients that begin with it (prior knowledge), as meshes and gRPC proxies do. HTTP/1.1 is spoken either way. With tls, HTTP/2 is agreed on in the handshake."`
	Admin         Admin         `yaml:"admin" doc:"The operator's page and API."`
	Store         Store         `yaml:"store" required:"true" doc:"Where records are kept: sqlite:PATH, or postgres://… when this binary has that store. Write {dsn_env: NAME} when it contains a password, and {groups: […]} for several PostgreSQL databases."`
	Auth          Auth          `yaml:"auth" doc:"Who may call, and whose keys are whose. Every API needs exactly one answer: single_tenant, development_bearer, or any of jwt, api_keys and mtls."`
	Quotas        Quotas        `yaml:"quotas" doc:"What one principal may use."`
	Encryption    *Encryption   `yaml:"encryption" doc:"Encrypt what is stored: answers, checkpoints, envelopes."`
	Operations    Operations    `yaml:"operations" doc:"How operations are held, kept and recovered. All instances on one store should agree."`
	Chain         *Chain        `yaml:"chain" doc:"The Stellar network. Needed by contract routes."`
	Limits        Limits        `yaml:"limits" doc:"Bounds on what clients can make the process use."`
	Observability Observability `yaml:"observability" doc:"Logs, metrics and traces."`
	Relay         *Relay        `yaml:"relay" doc:"Relay what users have signed themselves: POST /v1/transactions."`
	Webhook       *Webhook      `yaml:"webhook" doc:"Post a signed message for every final outcome of a contract call."`
	Routes        []Route       `yaml:"routes" required:"true" minItems:"1" maxItems:"1000" doc:"What is served. The most specific pattern wins, as in Go's net/http.ServeMux."`

	doc *document
}

// TLS of the API's listener. The files are read again when they change and
// when the configuration is reloaded.
type TLS struct {
	CertFile     string `yaml:"cert_file" required:"true" doc:"PEM file with the certificate and its chain."`
	KeyFile      string `yaml:"key_file" required:"true" doc:"PEM file with the private key."`
	ClientCAFile string `yaml:"client_ca_file" doc:"PEM file with the authorities whose client certificates are accepted."`
	ClientAuth   string `yaml:"client_auth" enum:"none,optional,required" default:"none" doc:"Whether clients show a certificate of client_ca_file."`
	MinVersion   string `yaml:"min_version" enum:"1.2,1.3" default:"1.2" doc:"Oldest version of TLS that is spoken."`
}

// Admin is the operator's listener.
type Admin struct {
	Listen string `yaml:"listen" default:"127.0.0.1:8081" format:"address" doc:"Address, host:port. Keep it on loopback."`
	Token  Secret `yaml:"token" doc:"Password of the page (user onceward, or as a bearer token). Required when listen is not a loopback address."`
}

// Operations holds the engine's settings.
type Operations struct {
	Retention        Duration `yaml:"retention" default:"24h" min:"1m" doc:"How long an answer is kept for retries, counted from completion."`
	Lease            Duration `yaml:"lease" default:"30s" min:"100ms" doc:"How long a crash blocks a key. Renewed while the operation runs."`
	Timeout          Duration `yaml:"timeout" default:"15m" min:"1s" doc:"Longest run of one operation."`
	StoreTimeout     Duration `yaml:"store_timeout" default:"5s" min:"100ms" doc:"Longest call of the store."`
	MaxResponse      Size     `yaml:"max_response" default:"1MiB" min:"1KiB" max:"64MiB" doc:"Largest answer that is kept; a larger one leaves a tombstone."`
	MaxWaiters       int      `yaml:"max_waiters" default:"10000" min:"1" doc:"Requests that may wait for another's answer at the same time."`
	AcceptLateKeys   bool     `yaml:"accept_late_keys" default:"false" doc:"Run time-ordered keys that are older than the retention, instead of refusing them."`
	RecoverInterval  Duration `yaml:"recover_interval" default:"10s" min:"50ms" doc:"How often operations of dead processes are looked for."`
	SweepInterval    Duration `yaml:"sweep_interval" default:"1m" min:"1s" doc:"How often expired records are deleted."`
	FingerprintKey   Secret   `yaml:"fingerprint_key" doc:"Keys the hashes of requests, so that a reader of the store cannot guess a request from them. At least 16 bytes. All instances must share it."`
	ConcurrentRepair int      `yaml:"recover_limit" default:"64" min:"1" max:"10000" doc:"Operations that are recovered at the same time."`
}

// Chain is the network that contract routes write to.
type Chain struct {
	RPC           []string          `yaml:"rpc" required:"true" minItems:"1" format:"url" doc:"Stellar RPC servers; the next is asked when one cannot be reached."`
	RPCHeaders    map[string]Secret `yaml:"rpc_headers" doc:"Headers for the RPC servers, such as an API key."`
	Passphrase    string            `yaml:"passphrase" required:"true" doc:"Network passphrase. Nothing is sent to a server of another network."`
	Signers       map[string]Signer `yaml:"signers" doc:"Accounts that authorize calls, by the name that routes use."`
	Channels      Channels          `yaml:"channels" required:"true" doc:"Accounts that only supply sequence numbers. Nothing else may use them."`
	NonceSecret   Secret            `yaml:"nonce_secret" required:"true" doc:"Makes the chain refuse a second success of one key. At least 16 bytes; all instances must share it, and it must outlive the database."`
	LedgerWindow  int               `yaml:"ledger_window" default:"16" min:"3" max:"1000" doc:"Ledgers for which an envelope may be applied."`
	GuardWindow   int               `yaml:"guard_window" default:"17280" min:"3" max:"3000000" doc:"Ledgers for which the chain remembers a key. Make it cover operations.retention."`
	PollInterval  Duration          `yaml:"poll_interval" default:"1s" min:"10ms" doc:"How often the chain is asked."`
	CallTimeout   Duration          `yaml:"call_timeout" default:"10s" min:"100ms" doc:"Longest call of an RPC server."`
	ChannelWait   Duration          `yaml:"channel_wait" default:"1m" min:"1s" doc:"Longest wait of an operation for a channel."`
	MaxQueue      int               `yaml:"max_queue" default:"1000" min:"1" doc:"Operations that may wait for a channel."`
	InclusionFee  int               `yaml:"inclusion_fee" default:"10000" min:"100" doc:"Bid for a place in a ledger, in stroops."`
	MaxFee        int               `yaml:"max_fee" default:"50000000" min:"100" doc:"Most that one envelope may cost, in stroops."`
	FundByFaucet  bool              `yaml:"fund_by_friendbot" default:"false" doc:"Create missing channel accounts through the RPC server's friendbot. Development networks only."`
	FeeBudget     *Budget           `yaml:"fee_budget" doc:"Most that all envelopes together may cost in a window, in stroops."`
	ChannelsLease Duration          `yaml:"channel_lease" default:"30s" min:"100ms" doc:"How long a process that died keeps its channels from others."`
}

// Signer is an account that authorizes calls: its secret key, or a daemon that
// has it.
type Signer struct {
	Secret    Secret `yaml:"secret" doc:"Secret key, S…. Exactly one of secret and socket."`
	Socket    string `yaml:"socket" doc:"Socket of onceward signer, which keeps the key."`
	Address   string `yaml:"address" pattern:"^G[A-Z2-7]{55}$" doc:"Account that the daemon at socket signs for, G…."`
	PerMinute int    `yaml:"per_minute" default:"0" min:"0" doc:"Most signatures in a minute, of all instances together; 0 for no bound."`
	PerDay    int    `yaml:"per_day" default:"0" min:"0" doc:"Most signatures in a day, of all instances together; 0 for no bound."`
}

// Budget is how much may be used up in a window of time.
type Budget struct {
	Limit  string   `yaml:"limit" required:"true" pattern:"^[0-9]{1,39}$" doc:"How much, in quotes."`
	Window Duration `yaml:"window" required:"true" min:"1s" doc:"In how long."`
}

// RouteBudget bounds what all operations of a route use up together.
type RouteBudget struct {
	Param  string   `yaml:"param" doc:"Integer parameter of the function whose values are summed up. Without one operations are counted."`
	Limit  string   `yaml:"limit" required:"true" pattern:"^[0-9]{1,39}$" doc:"How much, in quotes."`
	Window Duration `yaml:"window" required:"true" min:"1s" doc:"In how long."`
}

// Relay takes what users have signed.
type Relay struct {
	Allow     []Allowed `yaml:"allow" required:"true" minItems:"1" maxItems:"1000" doc:"What users may call."`
	Nested    []Allowed `yaml:"allow_nested" maxItems:"1000" doc:"What an authorization may cover besides, beneath the call itself."`
	FeeSigner string    `yaml:"fee_signer" doc:"Signer that pays for users' transactions, of chain.signers. Without one users pay."`
	MaxFee    int       `yaml:"max_fee" default:"0" min:"0" doc:"Most that one may cost, in stroops; 0 for chain.max_fee."`
	Wait      Duration  `yaml:"wait" default:"0s" min:"0s" max:"5m" doc:"How long a request waits for the answer of another one with its key."`
}

// Allowed is a function that users may call.
type Allowed struct {
	Contract string `yaml:"contract" required:"true" pattern:"^C[A-Z2-7]{55}$" doc:"Contract address, C…."`
	Function string `yaml:"function" required:"true" pattern:"^([*]|[A-Za-z_][A-Za-z0-9_]{0,31})$" doc:"Function, or * for all."`
}

// Webhook posts outcomes.
type Webhook struct {
	Name          string `yaml:"name" pattern:"^[a-z0-9-]{1,64}$" default:"default" doc:"Name of the outbox that messages wait in."`
	URL           string `yaml:"url" required:"true" format:"url" doc:"Receiver; https, unless allow_insecure."`
	Secret        Secret `yaml:"secret" required:"true" doc:"Secret that signs messages, whsec_…; several, separated by spaces, all sign."`
	AllowInsecure bool   `yaml:"allow_insecure" default:"false" doc:"Admit http, and receivers on loopback and private addresses."`
}

// Channels derives the channel accounts.
type Channels struct {
	Seed  Secret `yaml:"seed" required:"true" doc:"Seed of 16 to 64 bytes that the accounts are derived from (SEP-5): text, or hex:… for bytes."`
	Count int    `yaml:"count" default:"8" min:"1" max:"10000" doc:"Number of accounts: transactions in one ledger."`
}

// Limits bounds what clients can make the process use.
type Limits struct {
	MaxConnections int      `yaml:"max_connections" default:"10000" min:"16" doc:"Open client connections. When they are all taken, the one that has been silent longest makes room."`
	MaxRequests    int      `yaml:"max_requests" default:"1024" min:"1" doc:"Requests in progress. More get 503 with Retry-After."`
	HeaderTimeout  Duration `yaml:"header_timeout" default:"10s" min:"100ms" doc:"Time for a request's header, and for a TLS handshake."`
	HeaderBytes    Size     `yaml:"header_bytes" default:"64KiB" min:"4KiB" max:"1MiB" doc:"Largest header."`
	BodyTimeout    Duration `yaml:"body_timeout" default:"30s" min:"100ms" doc:"Longest pause in a request's body. A body must also bring 1 KiB a second on average after the first such pause."`
	WriteTimeout   Duration `yaml:"write_timeout" default:"30s" min:"100ms" doc:"Longest time that a client may take none of an answer's bytes."`
	IdleTimeout    Duration `yaml:"idle_timeout" default:"2m" min:"100ms" doc:"How long a connection may be without a request."`
	DrainTimeout   Duration `yaml:"drain_timeout" default:"25s" min:"0s" doc:"Time that requests under way have to finish once the process is told to stop. Make the supervisor's kill come later."`
	DrainDelay     Duration `yaml:"drain_delay" default:"0s" min:"0s" doc:"How long /readyz says no before the listener closes, for load balancers to notice."`
}
