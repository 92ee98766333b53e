package postgres

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// On Citus the tables are distributed by bucket. A statement that does not say
// which bucket goes to all of them, with a two-phase commit, and some are refused;
// these rules are what its documentation and experiments say.

// local tables are not distributed: few rows, rarely touched.
var local = []string{"onceward_schema", "onceward_migration", "onceward_losses"}

var (
	comment   = regexp.MustCompile(`--[^\n]*`)
	reference = regexp.MustCompile(`(INSERT INTO )?\{schema\}\.(onceward_\w+)`)
	pinned    = regexp.MustCompile(`\bbucket = \$1::smallint`)
	// Volatile or stable functions: refused where rows conflict, and of another
	// value on every node.
	volatile = regexp.MustCompile(`(?i)\b(now|current_timestamp|clock_timestamp|statement_timestamp|random|nextval|gen_random_uuid|txid_current|pg_advisory\w*|pg_notify)\b`)
	session  = regexp.MustCompile(`(?i)\b(LISTEN|SET SESSION|SET LOCAL|DECLARE|PREPARE|TEMP|TEMPORARY|LOCK TABLE)\b`)
)

// refusals returns why a statement would be refused or slow.
func refusals(sql string) (why []string) {
	sql = comment.ReplaceAllString(sql, "")
	scans, inserts, distributed := 0, 0, false
	for _, m := range reference.FindAllStringSubmatch(sql, -1) {
		if slices.Contains(local, m[2]) {
			continue
		}
		distributed = true
		if m[1] != "" {
			inserts++
		} else {
			scans++
		}
	}
	if n := len(pinned.FindAllString(sql, -1)); n != scans {
		why = append(why, fmt.Sprintf("%d of %d tables are not pinned to a bucket", scans-n, scans))
	}
	if inserts > 0 && !strings.Contains(sql, "SELECT $1::smallint,") && !strings.Contains(sql, "SELECT b.bucket,") {
		why = append(why, "the bucket that it inserts into is not the parameter")
	}
	if distributed && len(regexp.MustCompile(`(?i)bucket\s+(=\s*ANY|IN)\b`).FindString(sql)) > 0 {
		why = append(why, "several buckets in a statement")
	}
	if m := volatile.FindString(sql); m != "" {
		why = append(why, m+" is not immutable")
	}
	if strings.Contains(sql, "SKIP LOCKED") && !pinned.MatchString(sql) {
		why = append(why, "SKIP LOCKED without a bucket")
	}
	if regexp.MustCompile(`(?i)\bctid\b`).MatchString(sql) {
		why = append(why, "ctid is local to a shard")
	}
	if m := session.FindString(sql); m != "" {
		why = append(why, m+" is state of a session")
	}
	return why
}

func TestStatementsFitCitus(t *testing.T) {
	t.Parallel()
	entries, err := files.ReadDir("sql")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, e := range entries {
		switch name := strings.TrimSuffix(e.Name(), ".sql"); {
		case name == "version", name == "grants", strings.HasPrefix(name, "schema_"), strings.HasPrefix(name, "distribute_"):
			// Run once, by a migration; see the next test.
		default:
			b, err := files.ReadFile("sql/" + e.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, why := range refusals(string(b)) {
				t.Errorf("%s: %s", e.Name(), why)
			}
			checked++
		}
	}
	if checked < 20 {
		t.Errorf("only %d statements were looked at", checked)
	}
}

// TestCitusRulesNotice: each rule, broken once.
func TestCitusRulesNotice(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"SELECT 1 FROM {schema}.onceward_keys WHERE id = $2":                                                                         "not pinned",
		"SELECT 1 FROM {schema}.onceward_keys WHERE bucket = ANY ($1)":                                                               "several buckets",
		"UPDATE {schema}.onceward_marks m SET x = 1 FROM {schema}.onceward_buckets b WHERE b.bucket = $1::smallint":                  "not pinned",
		"INSERT INTO {schema}.onceward_keys (bucket) SELECT u.bucket FROM unnest($1) u":                                              "not the parameter",
		"INSERT INTO {schema}.onceward_keys AS r SELECT $1::smallint, 1 ON CONFLICT DO UPDATE SET x = 1 WHERE r.expires_at <= now()": "now",
		"SELECT 1 FROM {schema}.onceward_keys FOR UPDATE SKIP LOCKED":                                                                "SKIP LOCKED",
		"DELETE FROM {schema}.onceward_keys WHERE bucket = $1::smallint AND ctid = $2":                                               "ctid",
		"SELECT pg_advisory_xact_lock(1)":                                                                                            "pg_advisory",
		"SET LOCAL work_mem = 1":                                                                                                     "session",
	} {
		if got := strings.Join(refusals(sql), "; "); !strings.Contains(got, want) {
			t.Errorf("%s: %q does not mention %q", sql, got, want)
		}
	}
}

// TestDistribution: every table is distributed by its bucket, with the others,
// or known to be local; and whatever is unique includes the bucket.
func TestDistribution(t *testing.T) {
	t.Parallel()
	script, err := MigrationSQL(MigrateConfig{Schema: "once", Distribute: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?s)CREATE TABLE (?:IF NOT EXISTS )?"once"\.(\w+) \((.*?)\n\)|CREATE TABLE (?:IF NOT EXISTS )?"once"\.(\w+)`).FindAllStringSubmatch(script, -1) {
		name, columns := m[1]+m[3], m[2]
		if slices.Contains(local, name) {
			continue
		}
		if !regexp.MustCompile(`create_distributed_table\('"once"\.` + name + `', 'bucket'`).MatchString(script) {
			t.Errorf("%s is neither distributed nor known to be local", name)
		}
		if !regexp.MustCompile(`PRIMARY KEY \(bucket\b|bucket smallint PRIMARY KEY`).MatchString(columns) || strings.Contains(columns, "UNIQUE") {
			t.Errorf("%s: what is unique must include the bucket", name)
		}
	}
	if got := strings.Count(script, "create_distributed_table("); got != 3 {
		t.Errorf("%d tables are distributed", got)
	}
	if got := strings.Count(script, "INSERT INTO \"once\".onceward_buckets"); got != Slots {
		t.Errorf("%d buckets, want one for each slot", got)
	}
	if !strings.Contains(script, "true);") {
		t.Error("the layout does not say that it is distributed")
	}
}
