package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Durability is what a server's settings and standbys are worth to writes that
// it has acknowledged.
type Durability struct {
	// Standbys is how many stream from the server now.
	Standbys int
	// Asynchronous is how many of them no commit ever waits for. -1 means that
	// the role may not see that; GRANT pg_monitor lets it.
	Asynchronous int
	// Warnings say, one each, how acknowledged writes can be lost, and what to
	// set. None means that the server is as safe as one can tell from it.
	Warnings []string
}

// CheckDurability asks the server that the pool connects to how safe an
// acknowledged write is, so that a program can warn when it starts: a store on
// asynchronous standbys works, until one of them is promoted. It asks on a
// connection with the settings of the pool, and therefore of a Store.
//
// A server without standbys, which loses everything with its disk, gets no
// warning; Standbys tells. Nor does the check see how a standby is chosen for
// promotion: with ANY 1 it must be the one that has received most.
//
// It fails with ErrReadOnly on a standby.
func CheckDurability(ctx context.Context, pool *pgxpool.Pool) (Durability, error) {
	var s durabilitySettings
	var standby bool
	// Exec mode: no statement is left behind, whatever is between us.
	err := pool.QueryRow(ctx, `SELECT pg_is_in_recovery(), current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_commit'), current_setting('synchronous_standby_names')`, pgx.QueryExecModeExec).
		Scan(&standby, &s.fsync, &s.fullPages, &s.commit, &s.names)
	if err != nil {
		return Durability{}, explain("asking for the server's settings", err)
	}
	if standby {
		return Durability{}, ErrReadOnly
	}
	rows, err := pool.Query(ctx, "SELECT application_name, state, sync_state, flush_lsn IS NOT NULL FROM pg_stat_replication", pgx.QueryExecModeExec)
	if err != nil {
		return Durability{}, explain("asking for the standbys", err)
	}
	senders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (sender, error) {
		var name, state, sync pgtype.Text
		var flushes bool
		err := row.Scan(&name, &state, &sync, &flushes)
		return sender{name.String, state.String, sync.String, flushes}, err
	})
	if err != nil {
		return Durability{}, explain("asking for the standbys", err)
	}
	return s.judge(senders), nil
}

type durabilitySettings struct{ fsync, fullPages, commit, names string }

// sender is a standby as its primary sees it; state and sync are empty when the
// role may not see them. Until it has said how far it has flushed it is shown as
// asynchronous.
type sender struct {
	name, state, sync string
	flushes           bool
}

func (s durabilitySettings) judge(senders []sender) (d Durability) {
	warn := func(format string, args ...any) { d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...)) }
	synchronous, hidden := 0, false
	var async []string
	for _, x := range senders {
		switch {
		case x.state == "":
			hidden = true
		case x.state != "streaming" && x.state != "catchup":
			continue // pg_basebackup and the like
		case x.sync == "async" && !x.flushes && s.names != "":
			continue // it has just connected, or is no standby, as pg_receivewal
		case x.sync == "async":
			async = append(async, x.name)
		case x.sync == "sync", x.sync == "quorum":
			synchronous++
		}
		d.Standbys++
	}
	d.Asynchronous = len(async)
	if hidden && s.names != "" {
		d.Asynchronous = -1
	} else if s.names == "" {
		d.Asynchronous = d.Standbys
	}

	if s.fsync == "off" {
		warn("fsync is off: a crash of the machine loses acknowledged writes; set fsync = on")
	}
	if s.fullPages == "off" {
		warn("full_page_writes is off: a crash of the machine can damage the tables; set full_page_writes = on")
	}
	switch s.commit {
	case "off":
		warn("synchronous_commit is off: a crash loses acknowledged writes; set synchronous_commit = on")
	case "local":
		if d.Standbys > 0 || s.names != "" {
			warn("synchronous_commit is local: commits wait for no standby, and a failover loses acknowledged writes; set synchronous_commit = on")
		}
	case "remote_write":
		warn("synchronous_commit is remote_write: a crash of a standby's machine together with the primary loses acknowledged writes; set synchronous_commit = on")
	}
	switch {
	case s.names == "" && d.Standbys > 0:
		warn("%d standbys stream asynchronously: promoting one loses acknowledged writes; set synchronous_standby_names, for instance 'ANY 1 (n2, n3)'", d.Standbys)
	case s.names != "" && synchronous == 0 && !hidden:
		warn("no standby of synchronous_standby_names = '%s' streams: every write waits until one does", s.names)
	case len(async) > 0:
		warn("the standbys %q are asynchronous, for synchronous_standby_names = '%s' does not count them: promoting one loses acknowledged writes", async, s.names)
	}
	return d
}
