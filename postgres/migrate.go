package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SchemaVersion is the version of the tables that this package needs.
const SchemaVersion = 1

// MigrateConfig of Migrate and MigrationSQL. The zero value means the defaults.
// What is fixed at creation must be the same every time.
type MigrateConfig struct {
	// Schema holds the tables; it is created if it does not exist. Default
	// "public".
	Schema string
	// Buckets is how many parts the table is divided into, a power of two up
	// to Slots: a batch holds operations of one bucket, and a store commits one
	// batch of a bucket at a time. Fewer buckets mean larger batches, which cost
	// the server less; more of them let a store use more of the server's
	// processors, and more nodes of a distributed table. Fixed at creation.
	// Default 2, for a distributed table 64.
	Buckets int
	// Distribute makes the tables distributed ones by bucket, on Citus. Fixed
	// at creation.
	Distribute bool
	// Partition divides the table of the records into one partition for each
	// bucket, so that what works on a whole table, vacuum first, works on a
	// smaller one: for billions of records, with more Buckets than the default.
	// Fixed at creation.
	Partition bool
	// Slots that this database keeps, for a Router. Default all.
	Slots []int
	// Grant names the role that programs run under, which gets the rights that
	// a Store needs and no others. Default: nobody.
	Grant string
}

// withDefaults fills in what was not asked for: as it is in the tables that are
// there, or the defaults.
func (c MigrateConfig) withDefaults(have layout) MigrateConfig {
	c.Schema = cmp.Or(c.Schema, defaultSchema)
	c.Buckets = cmp.Or(c.Buckets, have.buckets)
	c.Distribute = c.Distribute || have.distributed
	c.Partition = c.Partition || have.partitioned
	if c.Buckets == 0 {
		c.Buckets = 2
		if c.Distribute {
			c.Buckets = Slots
		}
	}
	return c
}

func (c MigrateConfig) validate() error {
	if c.Buckets < 0 || c.Buckets > Slots || c.Buckets&(c.Buckets-1) != 0 {
		return fmt.Errorf("postgres: Buckets is %d; use a power of two up to %d", c.Buckets, Slots)
	}
	if c.Distribute && c.Partition {
		return errors.New("postgres: Distribute and Partition exclude each other: Citus has a table of its own for each bucket")
	}
	for _, slot := range c.Slots {
		if slot < 0 || slot >= Slots {
			return fmt.Errorf("postgres: slot %d; slots are 0 to %d", slot, Slots-1)
		}
	}
	return validSchema(c.Schema)
}

// mask returns the slots as a set of bits.
func (c MigrateConfig) mask() uint64 {
	if c.Slots == nil {
		return allSlots
	}
	return slotMask(c.Slots)
}

func slotMask(slots []int) (mask uint64) {
	for _, slot := range slots {
		mask |= 1 << slot
	}
	return mask
}

// Migrate creates or upgrades the tables. Any number of processes may call it at
// the same time: they come one after the other, and the later ones find nothing
// to do. It needs the right to create a schema, or tables in the one that is
// there, and no session state: PgBouncer may be in between.
//
// Indexes on tables that hold rows are built concurrently: traffic goes on.
func Migrate(ctx context.Context, pool *pgxpool.Pool, cfg MigrateConfig) error {
	cfg.Schema = cmp.Or(cfg.Schema, defaultSchema)
	if err := cfg.validate(); err != nil {
		return err
	}
	return migrate(ctx, pool, cfg, migrations)
}

func migrate(ctx context.Context, pool *pgxpool.Pool, cfg MigrateConfig, steps []migration) error {
	var err error
	for range 5 {
		m := &migrator{cfg: cfg, steps: steps}
		if err = m.run(ctx, pool.Config().ConnConfig); err == nil || !raced(err) {
			break
		}
		// Somebody else made the same thing at the same moment.
		if !sleep(ctx, 50*time.Millisecond+rand.N(200*time.Millisecond)) { //nolint:gosec // jitter
			break
		}
	}
	return explain("migrating", err)
}

// raced reports whether an error of DDL comes from another migration.
func raced(err error) bool {
	switch codeOf(err) {
	case codeUniqueViolation, codeDuplicateTable, codeDuplicateObject, codeDuplicateSchema, codeDeadlock, codeSerialization, "XX000":
		return true
	default:
		return false
	}
}

// migrator holds one connection that locks and one that works: indexes are
// built concurrently outside of transactions, and locks of a session would not
// survive a pooler.
type migrator struct {
	cfg   MigrateConfig
	steps []migration
	lock  *pgx.Conn
	work  *pgx.Conn
}

func (m *migrator) run(ctx context.Context, cc *pgx.ConnConfig) (err error) {
	cc.DefaultQueryExecMode = pgx.QueryExecModeExec
	if m.lock, err = pgx.ConnectConfig(ctx, cc); err != nil {
		return err
	}
	defer m.lock.Close(context.WithoutCancel(ctx))
	if m.work, err = pgx.ConnectConfig(ctx, cc); err != nil {
		return err
	}
	defer m.work.Close(context.WithoutCancel(ctx))
	if err := m.prepare(ctx); err != nil {
		return err
	}
	tx, err := m.begin(ctx)
	for codeOf(err) == codeLockNotAvailable && sleep(ctx, 50*time.Millisecond+rand.N(200*time.Millisecond)) { //nolint:gosec // jitter
		tx, err = m.begin(ctx)
	}
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after the commit there is nothing to undo
	if err := m.apply(ctx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// begin takes the lock, or fails when another migration has it: to wait for it
// would take a connection of a pooler away from the one who needs two.
func (m *migrator) begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := m.lock.Begin(ctx)
	if err != nil {
		return nil, err
	}
	// Of the transaction, not of the session: a pooler may be in between.
	_, err = tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0")
	if err == nil {
		_, err = tx.Exec(ctx, "LOCK TABLE "+quote(m.cfg.Schema)+".onceward_migration IN ACCESS EXCLUSIVE MODE NOWAIT")
	}
	if err != nil {
		_ = tx.Rollback(context.WithoutCancel(ctx)) // the first error says more
		return nil, err
	}
	return tx, nil
}

// prepare makes what the lock needs.
func (m *migrator) prepare(ctx context.Context) error {
	var there bool
	err := m.work.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", quote(m.cfg.Schema)+".onceward_migration").Scan(&there)
	if err != nil || there {
		return err
	}
	return m.exec(ctx, bootstrapSQL(m.cfg))
}

// exec runs a script in a transaction of its own.
func (m *migrator) exec(ctx context.Context, script string) error {
	_, err := m.work.Exec(ctx, "BEGIN;\n"+script+"\nCOMMIT;", pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		_, rollbackErr := m.work.Exec(ctx, "ROLLBACK")
		return errors.Join(err, rollbackErr)
	}
	return nil
}

// apply brings the tables up to date; the lock is held.
func (m *migrator) apply(ctx context.Context) error {
	have, err := queryLayout(ctx, m.work, m.cfg.Schema)
	if err != nil {
		return err
	}
	if err := have.compatible(m.cfg, len(m.steps)); err != nil {
		return err
	}
	m.cfg = m.cfg.withDefaults(have)
	for v := have.version + 1; v <= len(m.steps); v++ {
		if err := m.exec(ctx, m.steps[v-1].script(m.cfg, v)); err != nil {
			return err
		}
		have.ready = false
	}
	if !have.ready {
		for _, step := range m.steps {
			for _, index := range step.indexes {
				if err := m.ensureIndex(ctx, index.in(m.cfg)); err != nil {
					return err
				}
			}
		}
		if err := m.exec(ctx, readySQL(m.cfg)); err != nil {
			return err
		}
	}
	if m.cfg.Grant != "" {
		return m.exec(ctx, grantSQL(m.cfg))
	}
	return nil
}

// ensureIndex builds an index that is missing, or whose building was
// interrupted.
func (m *migrator) ensureIndex(ctx context.Context, x index) error {
	var there, valid, rows bool
	err := m.work.QueryRow(ctx, "SELECT i.indexrelid IS NOT NULL, coalesce(i.indisvalid, false) "+
		"FROM (SELECT to_regclass($1)::oid AS oid) c LEFT JOIN pg_index i ON i.indexrelid = c.oid",
		quote(m.cfg.Schema)+"."+quote(x.name)).Scan(&there, &valid)
	if err != nil || valid {
		return err
	}
	err = m.work.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+quote(m.cfg.Schema)+"."+quote(x.table)+")").Scan(&rows)
	if err != nil {
		return err
	}
	if m.cfg.Partition && x.table == keysTable && (rows || there) {
		return m.ensurePartitions(ctx, x, there)
	}
	if there {
		if _, err := m.work.Exec(ctx, "DROP INDEX CONCURRENTLY "+quote(m.cfg.Schema)+"."+quote(x.name)); err != nil {
			return err
		}
	}
	_, err = m.work.Exec(ctx, x.create(m.cfg.Schema, rows))
	return err
}

// ensurePartitions builds an index of a partitioned table, which cannot be built
// concurrently as a whole: first that of every partition, then they are put
// together, and the whole is valid when the last one is in it.
func (m *migrator) ensurePartitions(ctx context.Context, x index, there bool) error {
	schema := quote(m.cfg.Schema)
	if !there {
		whole := fmt.Sprintf("CREATE INDEX %s ON ONLY %s.%s %s", quote(x.name), schema, quote(x.table), x.columns)
		if err := m.execBriefly(ctx, whole); err != nil {
			return err
		}
	}
	for bucket := range m.cfg.Buckets {
		part := x.on(bucket)
		if err := m.ensureIndex(ctx, part); err != nil {
			return err
		}
		attach := fmt.Sprintf("ALTER INDEX %s.%s ATTACH PARTITION %s.%s", schema, quote(x.name), schema, quote(part.name))
		if err := m.execBriefly(ctx, attach); err != nil {
			return err
		}
	}
	return nil
}

// briefly is how long traffic may have to wait for a migration.
const briefly = 500 * time.Millisecond

// execBriefly runs what needs a lock that stands in the way of writers. While it
// waits for a long transaction everybody else waits behind it: it gives up early
// and tries again.
func (m *migrator) execBriefly(ctx context.Context, sql string) error {
	script := fmt.Sprintf("SET LOCAL lock_timeout = '%dms';\n%s;", briefly.Milliseconds(), sql)
	for {
		err := m.exec(ctx, script)
		if codeOf(err) != codeLockNotAvailable || !sleep(ctx, briefly+rand.N(briefly)) { //nolint:gosec // jitter
			return err
		}
	}
}
