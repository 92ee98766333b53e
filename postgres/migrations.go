package postgres

import (
	"fmt"
	"strings"
)

// migration leads from one version of the tables to the next. A published one
// is never changed.
type migration struct {
	// tables is the name of the file with what runs in one transaction, and
	// distribute of the one that follows it on Citus; both may be empty.
	tables, distribute string
	// settings is the name of the file with those of the records' table, or of
	// each of its partitions.
	settings string
	// indexes are built after it.
	indexes []index
}

type index struct{ name, table, columns string }

// in leaves out of an index what is the same everywhere in a partition: a server
// that has not analysed it yet would use the index to find all of the bucket.
func (x index) in(cfg MigrateConfig) index {
	if cfg.Partition && x.table == keysTable {
		x.columns = strings.Replace(x.columns, "(bucket, ", "(", 1)
	}
	return x
}

// on is the index of one partition.
func (x index) on(bucket int) index {
	return index{partition(x.name, bucket), partition(x.table, bucket), x.columns}
}

func (x index) create(schema string, concurrently bool) string {
	how := ""
	if concurrently {
		how = "CONCURRENTLY "
	}
	return fmt.Sprintf("CREATE INDEX %s%s ON %s.%s %s", how, quote(x.name), quote(schema), quote(x.table), x.columns)
}

// migrations in order; the first leads to version 1.
var migrations = []migration{
	{tables: "schema_1", settings: "schema_1_settings", distribute: "distribute_1", indexes: []index{
		// What a sweep or a recovery pass has to look at.
		{"onceward_due", "onceward_keys", "(bucket, due)"},
		// The newest first, for operators.
		{"onceward_seq", "onceward_keys", "(bucket, seq)"},
	}},
}

// script is what leads to version v in one transaction.
func (m migration) script(cfg MigrateConfig, v int) string {
	var b strings.Builder
	if m.tables != "" {
		m.writeTables(&b, cfg)
	}
	if cfg.Distribute && m.distribute != "" {
		b.WriteString("\n" + text(m.distribute, cfg.Schema, "{buckets}", fmt.Sprint(cfg.Buckets)))
	}
	schema := quote(cfg.Schema)
	if v == 1 {
		for bucket := range cfg.Buckets {
			fmt.Fprintf(&b, "INSERT INTO %s.onceward_buckets (bucket, token) VALUES (%d, 0);\n", schema, bucket)
		}
		fmt.Fprintf(&b, "INSERT INTO %s.onceward_schema (one, version, ready, buckets, slots, distributed) VALUES (1, 1, false, %d, %d, %t);\n",
			schema, cfg.Buckets, int64(cfg.mask()), cfg.Distribute) //nolint:gosec // bits
		return b.String()
	}
	fmt.Fprintf(&b, "UPDATE %s.onceward_schema SET version = %d, ready = false;\n", schema, v)
	return b.String()
}

// writeTables writes the tables; that of the records is one, or has a partition
// for every bucket. The bucket is part of the key, so that it stays unique.
func (m migration) writeTables(b *strings.Builder, cfg MigrateConfig) {
	settings := strings.TrimSpace(text(m.settings, cfg.Schema))
	if !cfg.Partition {
		b.WriteString(text(m.tables, cfg.Schema, "{keys_options}", settings))
		return
	}
	b.WriteString(text(m.tables, cfg.Schema, "{keys_options}", "PARTITION BY LIST (bucket)"))
	b.WriteString("\n\n-- One partition for each bucket.")
	for bucket := range cfg.Buckets {
		fmt.Fprintf(b, "\nCREATE TABLE %s.%s PARTITION OF %s.%s FOR VALUES IN (%d) %s;",
			quote(cfg.Schema), quote(partition(keysTable, bucket)), quote(cfg.Schema), quote(keysTable), bucket, settings)
	}
	b.WriteString("\n")
}

// keysTable holds the records.
const keysTable = "onceward_keys"

// partition is the name of a table's, or an index's, part of one bucket.
func partition(name string, bucket int) string { return fmt.Sprintf("%s_%d", name, bucket) }

// bootstrapSQL makes what migrations lock. Creating a schema needs a right that
// creating tables in it does not.
func bootstrapSQL(cfg MigrateConfig) string {
	script := text("version", cfg.Schema)
	if cfg.Schema != defaultSchema {
		script = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '" + cfg.Schema + "') THEN\n" +
			"  CREATE SCHEMA " + quote(cfg.Schema) + ";\nEND IF; END $$;\n" + script
	}
	return script
}

func readySQL(cfg MigrateConfig) string {
	return "UPDATE " + quote(cfg.Schema) + ".onceward_schema SET ready = true;\n"
}

func grantSQL(cfg MigrateConfig) string {
	return text("grants", cfg.Schema, "{role}", quote(cfg.Grant))
}

// MigrationSQL returns the SQL that makes the tables in an empty database, for
// those who review it or run it by hand. It is what Migrate does.
func MigrationSQL(cfg MigrateConfig) (string, error) {
	cfg = cfg.withDefaults(layout{})
	if err := cfg.validate(); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "-- The tables of onceward, version %d, in the schema %s.\n", SchemaVersion, cfg.Schema)
	b.WriteString("BEGIN;\n\n" + bootstrapSQL(cfg) + "\n")
	for i, step := range migrations {
		b.WriteString(step.script(cfg, i+1) + "\n")
		for _, x := range step.indexes {
			b.WriteString(x.in(cfg).create(cfg.Schema, false) + ";\n")
		}
	}
	b.WriteString("\n" + readySQL(cfg))
	if cfg.Grant != "" {
		b.WriteString("\n" + grantSQL(cfg))
	}
	b.WriteString("\nCOMMIT;\n")
	return b.String(), nil
}
