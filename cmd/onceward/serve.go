package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/observe"
	"github.com/onceward/onceward/cmd/onceward/internal/server"
	"github.com/onceward/onceward/cmd/onceward/internal/serving"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
)

// configFlag names the configuration file.
type configFlag struct {
	Config string `short:"c" default:"onceward.yaml" placeholder:"FILE" help:"Configuration file (${default}); see docs/configuration.md."`
}

type serveCommand struct {
	configFlag
	Listen      string `placeholder:"ADDR" help:"Address of the API, instead of the file's."`
	AdminListen string `placeholder:"ADDR" help:"Address of the operator's page, instead of the file's."`
}

// Help is shown by onceward serve --help.
func (serveCommand) Help() string {
	return teach(`SIGHUP reads the file again: requests under way end under the old configuration, a file with a
mistake is refused and the old one stays. SIGTERM and SIGINT drain: no new connections, requests under
way are finished within limits.drain_timeout, and what is left is parked for another instance.`,
		`GET /readyz says 200 when writes can be taken. Any number of instances may share one store.`,
		`onceward serve -c /etc/onceward/onceward.yaml`,
		`onceward serve -c /etc/onceward/onceward.yaml --listen 127.0.0.1:9080 --admin-listen 127.0.0.1:9081`)
}

// load reads the file and lets the flags replace what it says.
func (c *serveCommand) load() (*config.Config, error) {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return nil, err
	}
	if c.Listen != "" {
		cfg.Listen = c.Listen
	}
	if c.AdminListen != "" {
		cfg.Admin.Listen = c.AdminListen
	}
	return cfg, nil
}

// Run serves until the process is told to stop.
func (c *serveCommand) Run(p *process) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	log := logger(cfg.Observability.Log, p)
	s, err := server.New(p.ctx, server.Options{Load: c.load, Getenv: os.Getenv, Log: log})
	if err != nil {
		return err
	}
	defer func() {
		if err := s.Close(); err != nil {
			log.Error("not closed in order", "err", err)
		}
	}()
	group := serving.NewGroup(log)
	if err := s.Start(group); err != nil {
		return err
	}
	group.Go("reload", func(ctx context.Context) error { return reloadOnHangup(ctx, s, log) })
	fmt.Fprintf(p.stdout, "onceward serve: %s\n\n  API     %s\n  Admin   %s\n\nSIGHUP reads the file again; SIGTERM or Ctrl-C drains and stops.\n", c.Config, s.URL(), s.AdminURL())
	return group.Wait(p.ctx)
}

// reloadOnHangup puts a changed configuration in force at every SIGHUP.
func reloadOnHangup(ctx context.Context, s *server.Server, log *slog.Logger) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangup:
			if err := s.Reload(ctx); err != nil {
				log.ErrorContext(ctx, "configuration not reloaded; the old one stays in force", "err", err)
				continue
			}
			log.InfoContext(ctx, "configuration reloaded")
		}
	}
}

// logger writes as the file says; a flag that asks for more detail wins.
func logger(cfg config.Log, p *process) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // the file's rules admit only its names
	level = min(level, p.level)
	if cfg.Format == "text" {
		return slog.New(observe.NewTextLogHandler(p.stderr, level))
	}
	return slog.New(observe.NewLogHandler(p.stderr, level))
}

type checkConfigCommand struct {
	configFlag
	Schema bool `help:"Print the JSON Schema of the file instead."`
}

// Help is shown by --help.
func (checkConfigCommand) Help() string {
	return teach(`Every mistake is listed with its line: unknown fields, wrong types, routes that can never match, expressions that do
not compile. Neither the store nor the network is asked.`,
		`onceward migrate, then onceward serve. Every field is in docs/configuration.md; onceward dev --print-config shows a whole file.`,
		`onceward check-config -c /etc/onceward/onceward.yaml`,
		`onceward check-config --schema`)
}

// Run reports everything that is wrong with the file.
func (c *checkConfigCommand) Run(p *process) error {
	if c.Schema {
		_, err := p.stdout.Write(config.Schema())
		return err
	}
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s is valid: %d routes.\n", c.Config, len(cfg.Routes))
	return err
}

type migrateCommand struct {
	configFlag
	Print bool `help:"Print the SQL for an empty database, and change nothing."`

	Grant      string `env:"-" placeholder:"ROLE" help:"PostgreSQL: give the role that gateways run under the rights that they need, and no others."`
	Buckets    int    `env:"-" placeholder:"N" help:"PostgreSQL, fixed when the tables are made: parts of the table, a power of two up to 64 (2, and 64 with --distribute)."`
	Partition  bool   `env:"-" help:"PostgreSQL, fixed when the tables are made: a partition for each bucket."`
	Distribute bool   `env:"-" help:"PostgreSQL with Citus, fixed when the tables are made: distribute the tables by bucket."`
}

// Help is shown by --help.
func (migrateCommand) Help() string {
	return teach(`It can be repeated: a schema that is current stays as it is. In PostgreSQL it needs the rights to make tables, which
gateways do not need; --grant gives their role what it needs.`,
		`onceward serve, which refuses a schema that is not the one it needs.`,
		`onceward migrate -c /etc/onceward/onceward.yaml`,
		`onceward migrate -c /etc/onceward/onceward.yaml --print`,
		`onceward migrate -c /etc/onceward/onceward.yaml --grant app`)
}

// Run creates or upgrades the schema of the store.
func (c *migrateCommand) Run(p *process) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	dsn, err := server.DSN(cfg, os.Getenv)
	if err != nil {
		return err
	}
	driver, err := storage.Lookup(dsn)
	if err != nil {
		return err
	}
	opts := storage.MigrateOptions{Buckets: c.Buckets, Partition: c.Partition, Distribute: c.Distribute, Grant: c.Grant}
	if c.Print {
		sql, err := driver.Schema(p.ctx, dsn, opts)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(p.stdout, sql)
		return err
	}
	done, err := driver.Migrate(p.ctx, dsn, opts)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, done)
	return err
}
