package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// The kinds of store that -store names.
const (
	storeSQLite   = "sqlite"
	storePostgres = "postgres:" // a server of our own
)

// schema holds the tables of a campaign; it is made and dropped with it.
const schema = "onceward_torture"

// postgresDatabase is a schema of a server, which every process reaches by a
// wire of its own.
type postgresDatabase struct {
	dir    string
	server *pgtest.Server // nil for somebody else's
	direct string         // the DSN without the schema
	wires  []*wire
}

// newPostgres starts a server, or uses the one of the DSN.
func newPostgres(ctx context.Context, c *campaign, dir string) (_ *postgresDatabase, err error) {
	d := &postgresDatabase{dir: dir, direct: c.cfg.store}
	if c.cfg.store == storePostgres {
		if d.server, err = pgtest.Start(ctx, pgtest.Options{}); err != nil {
			return nil, err
		}
		d.direct = d.server.DSN("postgres")
	}
	conn, err := pgx.ParseConfig(d.direct)
	if err == nil {
		err = d.exec(ctx, "CREATE SCHEMA "+schema)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the database of -store: %w (drop schema %s if an earlier campaign left it)", err, schema), d.stop())
	}
	for i := range c.cfg.processes {
		w, err := newWire(c, i, net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port))))
		if err != nil {
			return nil, errors.Join(err, d.close()) //nolint:contextcheck // closing is not cut short
		}
		d.wires = append(d.wires, w)
	}
	return d, nil
}

func (d *postgresDatabase) exec(ctx context.Context, statements string) error {
	conn, err := pgx.Connect(ctx, d.direct)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statements)
	return errors.Join(err, conn.Close(ctx))
}

// dsn leads through the wire of the process.
func (d *postgresDatabase) dsn(process int) string {
	u, err := url.Parse(d.direct)
	if err != nil {
		return d.direct // it was read before
	}
	u.Host = d.wires[process].address()
	q := u.Query()
	q.Set("onceward_schema", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func (d *postgresDatabase) open(ctx context.Context) (records, func() error, error) {
	pool, err := pgxpool.New(ctx, d.direct)
	if err != nil {
		return nil, nil, err
	}
	store, err := postgres.Open(ctx, pool, postgres.Config{Schema: schema, CacheBytes: -1, NoWakeups: true})
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return store, func() error { //nolint:contextcheck // closing is not cut short
		err := store.Close(context.Background())
		pool.Close()
		return err
	}, nil
}

func (d *postgresDatabase) copyOf(n int) string {
	return filepath.Join(d.dir, fmt.Sprintf("copy-%d.dump", n))
}

func (d *postgresDatabase) backup(ctx context.Context, n int) error {
	return d.run(ctx, "pg_dump", "--format=custom", "--schema="+schema, "--file="+d.copyOf(n), "--dbname="+d.direct)
}

// restore ends every connection first: what a killed process has sent may
// still be under way.
func (d *postgresDatabase) restore(ctx context.Context, n int) error {
	const others = `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`
	if err := d.exec(ctx, others); err != nil {
		return err
	}
	if err := d.exec(ctx, "DROP SCHEMA "+schema+" CASCADE"); err != nil {
		return err
	}
	return d.run(ctx, "pg_restore", "--exit-on-error", "--dbname="+d.direct, d.copyOf(n))
}

// run runs a program of PostgreSQL's.
func (d *postgresDatabase) run(ctx context.Context, name string, args ...string) error {
	path, err := pgtest.Binary(name)
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, path, args...).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func (d *postgresDatabase) disturb(ctx context.Context, process int) error {
	return d.wires[process].suffer(ctx)
}

func (d *postgresDatabase) close() error {
	for _, w := range d.wires {
		w.close()
	}
	return errors.Join(d.exec(context.Background(), "DROP SCHEMA IF EXISTS "+schema+" CASCADE"), d.stop())
}

func (d *postgresDatabase) stop() error {
	if d.server == nil {
		return nil
	}
	return d.server.Close()
}
