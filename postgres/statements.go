package postgres

import (
	"embed"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/*.sql
var files embed.FS

// statements are the texts of sql/, for one schema.
type statements struct {
	claim, claimHeld                        string
	renew, checkpoint, complete, release    string
	read, lapsed, list, listHeld            string
	markFirst, mark, marks, floor           string
	sweepLock, sweepWindow, sweep, sweepTie string
	sweepFloor, sweepMarks, backlog         string
	lossInsert, lossOpen                    string
}

func newStatements(schema string) *statements {
	q := func(name string, more ...string) string { return text(name, schema, more...) }
	return &statements{
		claim:     q("claim", "{or_held}", ""),
		claimHeld: q("claim", "{or_held}", "\n        OR r.status = 'HELD'"),
		renew:     q("renew"), checkpoint: q("checkpoint"), complete: q("complete"), release: q("release"),
		read: q("read"), lapsed: q("lapsed"),
		list: q("list", "{and_held}", ""),
		// The condition lets the index find what is held.
		listHeld:  q("list", "{and_held}", "\n  AND due = 'infinity'"),
		markFirst: q("mark_first"), mark: q("mark"), marks: q("marks"), floor: q("floor"),
		sweepLock: q("sweep_lock"), sweepWindow: q("sweep_window"), sweep: q("sweep"), sweepTie: q("sweep_tie"),
		sweepFloor: q("sweep_floor"), sweepMarks: q("sweep_marks"), backlog: q("backlog"),
		lossInsert: q("loss_insert"), lossOpen: q("loss_open"),
	}
}

// text returns sql/name.sql for a schema. A missing file is found by the first
// test that opens a store.
func text(name, schema string, more ...string) string {
	b, err := files.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err) // the files are part of this package
	}
	return strings.NewReplacer(append(more, "{schema}", quote(schema))...).Replace(string(b))
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
