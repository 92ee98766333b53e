package main

import (
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/dev"
)

type devCommand struct {
	Listen         string        `default:"127.0.0.1:8080" help:"Address of the API (${default})."`
	AdminListen    string        `default:"127.0.0.1:8081" help:"Address of the admin page; it has no login, keep it on loopback (${default})."`
	RPCListen      string        `name:"rpc-listen" default:"127.0.0.1:8000" help:"Address of the development chain's JSON-RPC (${default})."`
	RPCURL         string        `name:"rpc-url" placeholder:"URL" help:"Use the development chain that runs there (onceward devchain) instead of an embedded one."`
	Data           string        `default:"./onceward-data" help:"Folder for the database, the ledgers and the generated secrets (${default})."`
	LedgerInterval time.Duration `default:"1s" help:"Time between two ledgers of the embedded chain (${default})."`
	Lease          time.Duration `default:"2s" help:"How long a crash blocks a key (${default}); production uses 30s."`
	Wait           time.Duration `default:"0s" help:"How long a request waits while another one with its key is running; 0 answers 409 at once (${default})."`
	PrintConfig    bool          `help:"Print the configuration file that this is, for onceward serve, and stop."`
	WebhookURL     string        `name:"webhook-url" placeholder:"URL" help:"Post a signed webhook there for every final outcome."`
	WebhookSecret  string        `name:"webhook-secret" placeholder:"whsec_…" help:"Secret that signs webhooks; better set ONCEWARD_DEV_WEBHOOK_SECRET."`
	Channels       int           `default:"8" help:"Accounts that supply sequence numbers: the number of transactions in one ledger (${default})."`
}

// Help is shown by onceward dev --help.
func (devCommand) Help() string {
	return teach(`Everything runs in this process: a SQLite file, a development chain whose sample contracts are
Go functions, the endpoints POST /v1/rewards, /v1/votes and /v1/content, GET /v1/operations, and a
page that lists the keys. Nothing is authenticated: every bearer token is a principal of its own, and
no token is the principal "anonymous".

Stop it or kill it whenever you like; started again with the same --data it finishes what it had accepted.`,
		`paste a line that it prints. Its configuration, from --print-config, is where one for onceward serve begins.`,
		`onceward dev`,
		`onceward dev --data ./onceward-data --webhook-url http://127.0.0.1:9000/hook`,
		`onceward dev --print-config`)
}

// Run serves until the process is told to stop.
func (c *devCommand) Run(p *process) error {
	cfg := dev.Config{
		Listen: c.Listen, AdminListen: c.AdminListen, RPCListen: c.RPCListen, RPCURL: c.RPCURL,
		Data: c.Data, LedgerInterval: c.LedgerInterval, Lease: c.Lease, Wait: c.Wait,
		WebhookURL: c.WebhookURL, WebhookSecret: c.WebhookSecret,
		Channels: c.Channels, Out: p.stdout, Log: p.log,
	}
	if !c.PrintConfig {
		return dev.Run(p.ctx, cfg)
	}
	file, err := dev.Print(cfg)
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(file)
	return err
}
