package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward/postgres"
)

// schemaParam is the parameter of a DSN that names the schema of the tables;
// the others are those of PostgreSQL's own connection strings.
const schemaParam = "onceward_schema"

// openPool makes a pool that connects when it is first used.
func openPool(ctx context.Context, dsn string) (pool *pgxpool.Pool, schema string, err error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, "", fmt.Errorf("the store's DSN: %w", err) // pgx leaves the password out
	}
	schema = cfg.ConnConfig.RuntimeParams[schemaParam]
	delete(cfg.ConnConfig.RuntimeParams, schemaParam)
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "onceward"
	}
	pool, err = pgxpool.NewWithConfig(ctx, cfg)
	return pool, schema, err
}

func openPostgres(ctx context.Context, dsn string) (*Handle, error) {
	pool, schema, err := openPool(ctx, dsn)
	if err != nil {
		return nil, err
	}
	store, err := postgres.Open(ctx, pool, postgres.Config{Schema: schema})
	if err != nil {
		pool.Close()
		if errors.Is(err, postgres.ErrSchema) {
			return nil, fmt.Errorf("%w: %w", ErrSchema, err)
		}
		return nil, err
	}
	safety, err := postgres.CheckDurability(ctx, pool)
	if err != nil {
		safety.Warnings = []string{"how safe an acknowledged write is could not be found out: " + err.Error()}
	}
	return &Handle{
		Store:    store,
		Warnings: safety.Warnings,
		Ready:    store.Ready,
		Close: func(ctx context.Context) error {
			err := store.Close(ctx)
			pool.Close()
			return err
		},
	}, nil
}

func migratePostgres(ctx context.Context, dsn string) (string, error) {
	pool, schema, err := openPool(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	if err := postgres.Migrate(ctx, pool, postgres.MigrateConfig{Schema: schema}); err != nil {
		return "", err
	}
	return fmt.Sprintf("PostgreSQL has schema version %d.", postgres.SchemaVersion), nil
}

func schemaPostgres() string {
	sql, err := postgres.MigrationSQL(postgres.MigrateConfig{})
	if err != nil {
		return "-- " + err.Error() + "\n"
	}
	return sql
}
