package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// layout is what was fixed when the tables were made, and their version.
type layout struct {
	version     int // 0: there are no tables
	ready       bool
	buckets     int
	slots       uint64
	distributed bool
	partitioned bool
}

type queryer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// queryLayout reads the layout; a missing table is an error, a missing row
// version 0.
func queryLayout(ctx context.Context, q queryer, schema string) (layout, error) {
	var l layout
	var slots int64
	err := q.QueryRow(ctx, "SELECT version, ready, buckets, slots, distributed, "+
		"coalesce((SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass($1)), false) FROM "+quote(schema)+".onceward_schema",
		quote(schema)+"."+keysTable).
		Scan(&l.version, &l.ready, &l.buckets, &slots, &l.distributed, &l.partitioned)
	if errors.Is(err, pgx.ErrNoRows) {
		return layout{}, nil
	}
	l.slots = uint64(slots) //nolint:gosec // bits
	return l, err
}

// readLayout reads the layout of tables that a store shall use.
func readLayout(ctx context.Context, pool *pgxpool.Pool, schema string) (layout, error) {
	l, err := queryLayout(ctx, pool, schema)
	switch {
	case err != nil:
		return l, explain("opening schema "+schema, err)
	case l.version == 0:
		return l, fmt.Errorf("%w: schema %s has no tables; run `onceward migrate` or postgres.Migrate", ErrSchema, schema)
	case l.version < SchemaVersion:
		return l, fmt.Errorf("%w: it has version %d and this program needs %d; run `onceward migrate` or postgres.Migrate",
			ErrSchema, l.version, SchemaVersion)
	case l.version > SchemaVersion:
		return l, fmt.Errorf("%w: it has version %d and this program knows versions up to %d; run the newer program",
			ErrSchema, l.version, SchemaVersion)
	case !l.ready:
		return l, fmt.Errorf("%w: a migration is under way, or was interrupted; run `onceward migrate` or postgres.Migrate again", ErrSchema)
	case l.buckets < 1 || l.buckets > Slots || l.buckets&(l.buckets-1) != 0:
		return l, fmt.Errorf("%w: %d buckets; onceward_schema was changed from outside", ErrSchema, l.buckets)
	}
	return l, nil
}

// compatible reports whether cfg asks for the tables that are there.
func (l layout) compatible(cfg MigrateConfig, known int) error {
	switch {
	case l.version == 0:
		return nil
	case l.version > known:
		return fmt.Errorf("%w: it has version %d and this program knows versions up to %d; run the newer program",
			ErrSchema, l.version, known)
	case cfg.Distribute && !l.distributed:
		return fmt.Errorf("%w: its tables are not distributed, which cannot be changed; make new ones in another schema", ErrSchema)
	case cfg.Partition && !l.partitioned:
		return fmt.Errorf("%w: its table has no partitions, which cannot be changed; make new ones in another schema", ErrSchema)
	case cfg.Buckets != 0 && l.buckets != cfg.Buckets:
		return fmt.Errorf("%w: it has %d buckets and cannot be changed to %d; make new tables in another schema",
			ErrSchema, l.buckets, cfg.Buckets)
	case cfg.Slots != nil && l.slots != cfg.mask():
		return fmt.Errorf("%w: it keeps other slots than asked for (%016x, not %016x)", ErrSchema, l.slots, cfg.mask())
	}
	return nil
}
