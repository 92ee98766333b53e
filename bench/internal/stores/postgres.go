package stores

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/bench/internal/servers"
	"github.com/onceward/onceward/internal/codec"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// Postgres is where a store in PostgreSQL keeps its tables.
type Postgres struct {
	Pool   *pgxpool.Pool
	Schema string
	Store  *postgres.Store
}

// Table returns the name of a table of the store, for a statement.
func (p *Postgres) Table(name string) string { return pgx.Identifier{p.Schema, name}.Sanitize() }

// perRequestWriters commit at the same time where every operation is a batch of
// its own: as many as a pool of an application would have, and more than two
// processors can use. The buckets are as many, for a bucket has one writer at a
// time.
const perRequestWriters = 64

func servePostgres(ctx context.Context) (string, func() error, error) {
	s, err := servers.Postgres(ctx)
	if err != nil {
		return "", nil, err
	}
	return s.DSN("postgres"), s.Close, nil
}

// openPostgres makes the tables in a schema of their own: what is in the
// database is not touched, and the measurement begins with empty tables.
func openPostgres(ctx context.Context, address string, opt Options) (o *Opened, err error) {
	cfg := postgres.Config{Schema: "onceward_bench_" + hex.EncodeToString(randomBytes(6)), SweepRate: opt.SweepRate}
	buckets := opt.Buckets
	if opt.PerRequest {
		cfg.MaxBatch, cfg.Writers, buckets = 1, perRequestWriters, perRequestWriters
	}
	pool, err := pgxpool.New(ctx, address)
	if err != nil {
		return nil, err
	}
	p := &Postgres{Pool: pool, Schema: cfg.Schema}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.remove(context.WithoutCancel(ctx)))
		}
	}()
	if err := postgres.Migrate(ctx, pool, postgres.MigrateConfig{Schema: cfg.Schema, Buckets: buckets}); err != nil {
		return nil, err
	}
	if p.Store, err = postgres.Open(ctx, pool, cfg); err != nil {
		return nil, err
	}
	o = &Opened{
		Store:    p.Store,
		Close:    func(ctx context.Context) error { return errors.Join(p.Store.Close(ctx), p.remove(ctx)) },
		Size:     p.size,
		Load:     p.load,
		Postgres: p,
	}
	pid, err := localServer(ctx, pool)
	if err != nil {
		return nil, errors.Join(err, p.Store.Close(ctx))
	}
	if pid != 0 {
		o.ServerCPU = func() (time.Duration, error) { return pgtest.CPU(pid) }
	}
	return o, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}

func (p *Postgres) remove(ctx context.Context) error {
	defer p.Pool.Close()
	_, err := p.Pool.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{p.Schema}.Sanitize()+" CASCADE")
	if err != nil {
		return fmt.Errorf("removing what was measured: %w; drop the schema %s yourself", err, p.Schema)
	}
	return nil
}

// size is that of the keys, with what lies outside the rows. Partitions count.
func (p *Postgres) size(ctx context.Context) (s Size, err error) {
	err = p.Pool.QueryRow(ctx, `SELECT sum(pg_table_size(relid))::bigint, sum(pg_indexes_size(relid))::bigint
FROM (SELECT $1::regclass AS relid UNION SELECT relid FROM pg_partition_tree($1::regclass)) tables`, p.Table("onceward_keys")).Scan(&s.Table, &s.Indexes)
	return s, err
}

// columns that load fills; the others have defaults or are NULL.
var columns = []string{
	"bucket", "id", "scope", "key", "status", "token", "seq", "owner", "attempt", "kind", "policy", "fingerprint", "retention_ns",
	"claimed_at", "lease_until", "completed_at", "expires_at", "due", "resp_status", "resp_header", "resp_body",
}

// load copies the rows in, as a restored backup is.
func (p *Postgres) load(ctx context.Context, n int64, record func(int64) onceward.Record) error {
	var buckets int
	if err := p.Pool.QueryRow(ctx, "SELECT buckets FROM "+p.Table("onceward_schema")).Scan(&buckets); err != nil {
		return err
	}
	for from := int64(0); from < n; from += perCopy {
		i, to := from-1, min(from+perCopy, n)
		_, err := p.Pool.CopyFrom(ctx, pgx.Identifier{p.Schema, "onceward_keys"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
			if i++; i == to {
				return nil, nil
			}
			r := record(i)
			return values(&r, buckets), nil
		}))
		if err != nil {
			return fmt.Errorf("copying rows: %w", err)
		}
	}
	_, err := p.Pool.Exec(ctx, "VACUUM (ANALYZE) "+p.Table("onceward_keys"))
	return err
}

// values of the columns.
func values(r *onceward.Record, buckets int) []any {
	id := r.Key.ID()
	bucket := int16(postgres.Slot(id) % buckets) //nolint:gosec // below Slots
	return []any{
		bucket,
		pgtype.UUID{Bytes: id, Valid: true},
		r.Key.Scope, r.Key.Value, string(r.Status),
		r.Token, r.Token,
		pgtype.UUID{Bytes: r.Owner, Valid: true},
		1, r.Kind, string(r.Policy), r.Fingerprint, int64(r.Retention),
		r.ClaimedAt, r.LeaseUntil, r.CompletedAt, r.ExpiresAt, r.ExpiresAt,
		r.Response.Status, codec.EncodeHeader(r.Response.Header), r.Response.Body,
	}
}

// perCopy is how many rows one transaction copies.
const perCopy = 250_000
