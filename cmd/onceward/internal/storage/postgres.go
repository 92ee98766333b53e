package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward/cmd/onceward/internal/slots"
	"github.com/onceward/onceward/postgres"
)

// Parameters of a DSN that are ours: the schema of the tables, and the slots of
// keys that the database keeps. The others are those of PostgreSQL's own
// connection strings.
const (
	schemaParam = "onceward_schema"
	slotsParam  = "onceward_slots"
)

// database is one that a DSN names.
type database struct {
	pool   *pgxpool.Pool
	schema string
	slots  []int // nil: the DSN does not say
	name   string
	store  *postgres.Store // nil until it is opened
}

// WithSlots returns the DSN of a database that keeps some slots.
func WithSlots(dsn, kept string) string {
	before := "?"
	if strings.Contains(dsn, "?") {
		before = "&"
	}
	return dsn + before + slotsParam + "=" + kept
}

// connect makes pools for the databases of a DSN, which connect when they are
// first used. Several are divided by white space.
func connect(ctx context.Context, dsn string) (all []*database, err error) {
	parts := strings.Fields(dsn)
	for i, part := range parts {
		d := &database{name: "the database"}
		if len(parts) > 1 {
			d.name = fmt.Sprintf("group %d of %d", i+1, len(parts))
		}
		if scheme, _, _ := strings.Cut(part, ":"); scheme != "postgres" && scheme != "postgresql" {
			err = errors.New("of several databases each is postgres://…")
		} else {
			err = d.connect(ctx, part)
		}
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("the store's DSN, %s: %w", d.name, err)
		}
		all = append(all, d)
	}
	return all, nil
}

func (d *database) connect(ctx context.Context, dsn string) error {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return err // pgx leaves the password out
	}
	params := cfg.ConnConfig.RuntimeParams
	d.schema = params[schemaParam]
	if text, given := params[slotsParam]; given {
		if d.slots, err = slots.Parse(text); err != nil {
			return fmt.Errorf("%s: %w", slotsParam, err)
		}
	}
	delete(params, schemaParam)
	delete(params, slotsParam)
	if params["application_name"] == "" {
		params["application_name"] = "onceward"
	}
	d.pool, err = pgxpool.NewWithConfig(ctx, cfg)
	return err
}

// open opens the store, which must keep what the DSN says.
func (d *database) open(ctx context.Context, opts OpenOptions) (err error) {
	d.store, err = postgres.Open(ctx, d.pool, postgres.Config{Schema: d.schema, DespiteLosses: opts.DespiteLosses})
	switch {
	case errors.Is(err, postgres.ErrSchema):
		return fmt.Errorf("%w: %w", ErrSchema, err)
	case err != nil:
		return err
	}
	have := slots.Format(d.store.Slots())
	if d.slots != nil && slots.Format(d.slots) != have {
		return fmt.Errorf("it keeps the slots %s since it was made, and the configuration says %s; slots cannot be moved", have, slots.Format(d.slots))
	}
	return nil
}

// closeAll ends the pools; the stores first.
func closeAll(all []*database) {
	for _, d := range all {
		d.pool.Close()
	}
}

func closeStores(ctx context.Context, all []*database) error {
	var errs []error
	for _, d := range all {
		if d.store != nil {
			errs = append(errs, d.store.Close(ctx))
		}
	}
	closeAll(all)
	return errors.Join(errs...)
}

func openPostgres(ctx context.Context, dsn string, opts OpenOptions) (*Handle, error) {
	all, err := connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	h := &Handle{
		Close:       func(ctx context.Context) error { return closeStores(ctx, all) },
		Losses:      func(ctx context.Context) ([]Loss, error) { return losses(ctx, all) },
		Acknowledge: func(ctx context.Context, acknowledged []Loss) error { return acknowledge(ctx, all, acknowledged) },
	}
	var stores []*postgres.Store
	for _, d := range all {
		if err := d.open(ctx, opts); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", d.name, err), h.Close(ctx))
		}
		stores = append(stores, d.store)
		h.Warnings = append(h.Warnings, warnings(ctx, d)...)
	}
	router, err := postgres.NewRouter(stores...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("name every database of the store: %w", err), h.Close(ctx))
	}
	h.Store, h.Ready = router, router.Ready
	if len(stores) == 1 {
		h.Store, h.Ready = stores[0], stores[0].Ready
	}
	return h, nil
}

// warnings say how the database could lose acknowledged writes.
func warnings(ctx context.Context, d *database) (all []string) {
	safety, err := postgres.CheckDurability(ctx, d.pool)
	if err != nil {
		safety.Warnings = []string{"how safe an acknowledged write is could not be found out: " + err.Error()}
	}
	for _, w := range safety.Warnings {
		all = append(all, d.name+": "+w)
	}
	return all
}

func (o MigrateOptions) postgres(d *database) postgres.MigrateConfig {
	return postgres.MigrateConfig{
		Schema: d.schema, Slots: d.slots, Buckets: o.Buckets, Distribute: o.Distribute, Partition: o.Partition, Grant: o.Grant,
	}
}

// divided wants each of several databases to say what it keeps.
func divided(all []*database) error {
	for _, d := range all {
		if len(all) > 1 && d.slots == nil {
			return fmt.Errorf("%s does not say which slots of keys it keeps; add %s=0-31, or the like, to its DSN", d.name, slotsParam)
		}
	}
	return nil
}

func migratePostgres(ctx context.Context, dsn string, opts MigrateOptions) (string, error) {
	all, err := connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer closeAll(all)
	if err := divided(all); err != nil {
		return "", err
	}
	var lines []string
	for _, d := range all {
		if err := postgres.Migrate(ctx, d.pool, opts.postgres(d)); err != nil {
			return "", fmt.Errorf("%s: %w", d.name, err)
		}
		line := fmt.Sprintf("PostgreSQL has schema version %d.", postgres.SchemaVersion)
		if len(all) > 1 {
			line = fmt.Sprintf("%s, slots %s: %s", d.name, slots.Format(d.slots), line)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), nil
}

func schemaPostgres(ctx context.Context, dsn string, opts MigrateOptions) (string, error) {
	all, err := connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer closeAll(all)
	if err := divided(all); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, d := range all {
		sql, err := postgres.MigrationSQL(opts.postgres(d))
		if err != nil {
			return "", err
		}
		if len(all) > 1 {
			fmt.Fprintf(&b, "-- For %s, which keeps the slots %s.\n", d.name, slots.Format(d.slots))
		}
		b.WriteString(sql)
	}
	return b.String(), nil
}
