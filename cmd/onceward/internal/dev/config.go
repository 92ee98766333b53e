package dev

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/soroban/devchain"
)

//go:embed dev.yaml
var devYAML string

var fileTemplate = template.Must(template.New("dev.yaml").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(devYAML))

// The environment variables that the file names.
const (
	envMinter   = "ONCEWARD_DEV_MINTER"
	envNonce    = "ONCEWARD_DEV_NONCE"
	envChannels = "ONCEWARD_DEV_CHANNELS"
	envWebhook  = "ONCEWARD_DEV_WEBHOOK_SECRET"
)

// fields are what the flags change in the file.
type fields struct {
	Listen, AdminListen, RPCListen string
	Store, RPC, Passphrase         string
	MinterSeed                     string
	Lease, RecoverInterval, Wait   config.Duration
	PollInterval                   config.Duration
	Channels                       int
	Content, Votes, Reward         string
	WebhookURL                     string
}

// File is the configuration file of the flags, for a chain at rpc.
func (c *Config) File(rpc, passphrase string) ([]byte, error) {
	f := fields{
		Listen: c.Listen, AdminListen: c.AdminListen, RPCListen: c.RPCListen,
		Store: "sqlite:" + filepath.Join(c.Data, "onceward.db"), RPC: rpc, Passphrase: passphrase,
		MinterSeed: devchain.DevAdminSeed,
		Lease:      config.Duration(c.Lease), RecoverInterval: config.Duration(max(c.Lease/2, 50*time.Millisecond)),
		Wait: config.Duration(c.Wait), PollInterval: config.Duration(max(c.LedgerInterval/4, 20*time.Millisecond)),
		Channels: c.Channels, WebhookURL: c.WebhookURL,
		Content: devchain.ContractID(passphrase, "content"),
		Votes:   devchain.ContractID(passphrase, "votes"),
		Reward:  devchain.ContractID(passphrase, "reward"),
	}
	var out bytes.Buffer
	if err := fileTemplate.Execute(&out, f); err != nil {
		return nil, fmt.Errorf("the development configuration: %w", err)
	}
	return out.Bytes(), nil
}

// Print returns the file for a chain at Config.RPCURL, or else where the
// embedded one would be.
func Print(c Config) ([]byte, error) {
	rpc := c.RPCURL
	if rpc == "" {
		rpc = "http://" + c.RPCListen
	}
	return c.File(rpc, devchain.DefaultPassphrase)
}

// getenv answers for the environment variables of the file: with the secrets
// that are kept beside the data, and with that of a flag.
func (s secrets) getenv(webhook, name string) string {
	switch name {
	case envWebhook:
		return webhook
	case envMinter:
		return devchain.DevAdminSeed
	case envNonce:
		return "hex:" + hex.EncodeToString(s.Nonce)
	case envChannels:
		return "hex:" + hex.EncodeToString(s.Channels)
	}
	return os.Getenv(name)
}
