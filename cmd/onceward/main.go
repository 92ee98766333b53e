// Command onceward makes the writes of an HTTP API happen exactly once.
//
//	onceward dev           everything embedded, to try it in a minute
//	onceward serve         the gateway, from a configuration file
//	onceward devchain      the development chain alone
//	onceward channels      create, list and retire channel accounts
//	onceward migrate       create or upgrade the store's schema
//	onceward check-config  find mistakes in a configuration file
//	onceward keys          look at keys and decide what is held; also operations, sweep, audit
//	onceward webhooks      messages to other systems, and those that were given up
//	onceward losses        acknowledged writes that a database has lost, and their acknowledgement
//	onceward apikeys       make and revoke API keys
//	onceward keyring       the keys of encryption at rest
//	onceward signer        a daemon that keeps secret keys and signs over a local socket
//	onceward completion    completion for bash, zsh and fish
//	onceward version       what this binary was built from
//
// Exit status: 0 done, 1 failed, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line. Flags can also be set in the environment, as ONCEWARD_
// and their names in capitals, but for those that are meant for one call.
type cli struct {
	Dev      devCommand         `cmd:"" help:"Run everything embedded: SQLite, a development chain, three sample contract endpoints and an admin page."`
	Serve    serveCommand       `cmd:"" help:"Serve the routes of a configuration file."`
	Devchain devchainCommand    `cmd:"" help:"Run the development chain alone: a Stellar RPC for tests, with faults on request."`
	Channels channelsCommand    `cmd:"" help:"Look after the accounts that supply sequence numbers."`
	Signer   signerCommand      `cmd:"" help:"Run a daemon that keeps secret keys and signs over a local socket."`
	Migrate  migrateCommand     `cmd:"" help:"Create or upgrade the schema of the store."`
	Check    checkConfigCommand `cmd:"" name:"check-config" help:"Find every mistake in a configuration file."`
	Version  versionCommand     `cmd:"" help:"Print what this binary was built from."`

	Keys       keysCommand       `cmd:"" help:"Look at keys, and decide what no program can."`
	Operations operationsCommand `cmd:"" help:"Look at operations."`
	Sweep      sweepCommand      `cmd:"" help:"Delete expired records in one bounded pass; gateways do it by themselves."`
	Webhooks   webhooksCommand   `cmd:"" help:"Look at webhook messages, and send again what was given up."`
	Losses     lossesCommand     `cmd:"" help:"Look at acknowledged writes that a database has lost, and let gateways write again."`
	Apikeys    apikeysCommand    `cmd:"" name:"apikeys" help:"Make, list and revoke API keys."`
	Audit      auditCommand      `cmd:"" help:"Read and verify the log of what operators have changed."`
	Keyring    keyringCommand    `cmd:"" help:"Make, rotate and retire the keys of encryption at rest."`
	Completion completionCommand `cmd:"" help:"Print a completion script for a shell."`

	LogLevel string `enum:"debug,info,warn,error" default:"info" help:"Least severe log line that is written to standard error (${enum})."`
}

// Help is shown by onceward --help.
func (cli) Help() string {
	return teach(`Flags can also be set in the environment, where the help of a command names the variable. Exit status: 0 done,
1 failed, 2 wrong usage.`,
		`onceward dev prints lines to paste. For production, docs/configuration.md and docs/operations.md.`,
		`onceward dev`,
		`onceward check-config -c onceward.yaml`,
		`onceward serve -c onceward.yaml`,
		`onceward keys list --store sqlite:onceward.db --status HELD`)
}

// process is what a command gets from the operating system.
type process struct {
	ctx    context.Context //nolint:containedctx // handed to one command, once
	stdout io.Writer
	stderr io.Writer
	log    *slog.Logger
	level  slog.Level        // of log
	model  *kong.Application // the command line, for its completion
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	exit := -1
	parser, err := newParser(&c, kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(stderr, "onceward:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if exit >= 0 { // --help was served
		return exit
	}
	if err != nil {
		fmt.Fprintf(stderr, "onceward: %v\nRun \"onceward --help\" for what there is.\n", err)
		return exitUsage
	}
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(c.LogLevel)) // the enum admits only its names
	p := &process{
		ctx: ctx, stdout: stdout, stderr: stderr, level: level, model: parser.Model,
		log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
	}
	if err := command.Run(p); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "onceward:", err)
		if _, usage := errors.AsType[usageError](err); usage {
			return exitUsage
		}
		return exitFailed
	}
	return 0
}

// newParser returns the parser of the command line.
func newParser(c *cli, more ...kong.Option) (*kong.Kong, error) {
	return kong.New(c, append([]kong.Option{
		kong.Name("onceward"),
		kong.Description("An HTTP write happens exactly once, however often clients retry and whatever crashes."),
		kong.DefaultEnvars("ONCEWARD"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	}, more...)...)
}
