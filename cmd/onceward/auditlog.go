package main

import (
	"io"

	"github.com/onceward/onceward/cmd/onceward/internal/audit"
)

type auditCommand struct {
	List   auditList   `cmd:"" help:"List what operators have changed, the newest first."`
	Verify auditVerify `cmd:"" help:"Check that nothing in the audit log was changed, and print its head."`
}

// Help is shown by --help.
func (auditCommand) Help() string {
	return teach(`Every change that an operator makes is written down before it is made and again when it has ended, with actor
and reason. Each entry contains the hash of the one before.`,
		`note the head that audit verify prints in another system; --head asks for it later.`,
		`onceward audit list --store sqlite:onceward.db`,
		`onceward audit verify --store sqlite:onceward.db`)
}

type auditList struct {
	storeFlags
	outputFlags
	pageFlags
}

// Help is shown by --help.
func (auditList) Help() string {
	return teach(`Each change has two entries: requested, and then done or failed. One that was only requested was interrupted.
The list goes on where --cursor says.`,
		`onceward keys show, with the TARGET of an entry; onceward audit verify shows that no entry was changed.`,
		`onceward audit list --store sqlite:onceward.db`,
		`onceward audit list --store sqlite:onceward.db --limit 1000 -o json`)
}

// Run implements the command.
func (c *auditList) Run(p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.with(p, "", false, func(d *desk) error {
		entries, next, err := d.log.List(p.ctx, c.Cursor, c.Limit)
		if err != nil {
			return err
		}
		page := struct {
			Entries []audit.Entry `json:"entries"`
			Next    string        `json:"next,omitempty"`
		}{append([]audit.Entry{}, entries...), next}
		return c.show(p, page, func(w io.Writer) {
			row(w, "ENTRY", "AT", "ACTOR", "ACTION", "PHASE", "TARGET", "REASON", "DETAIL")
			for _, e := range entries {
				row(w, e.Seq, when(e.At), e.Actor, e.Action, e.Phase, dash(e.Target), e.Reason, dash(e.Detail))
			}
			more(w, next)
		})
	})
}

type auditVerify struct {
	storeFlags
	outputFlags

	Head []string `sep:"none" env:"-" placeholder:"NUMBER:HASH" help:"Head that was noted earlier; the log must still contain it. May be repeated."`
}

// Help is shown by --help.
func (auditVerify) Help() string {
	return teach(`Reads the whole log. An entry that was changed, removed or put elsewhere is found; that the end was cut off, or all of it
written anew, only against a head that was noted elsewhere.`,
		`note the head in another system, and give it to the next verification with --head.`,
		`onceward audit verify --store sqlite:onceward.db`,
		`onceward audit verify --store sqlite:onceward.db --head 42:9f2c0f1d6c4be7a3508d1e92b7f64ac3d5e8f9017b2c4d6e8fa01325476980bd`)
}

// Run implements the command.
func (c *auditVerify) Run(p *process) error {
	var anchors []audit.Head
	for _, s := range c.Head {
		h, err := audit.ParseHead(s)
		if err != nil {
			return usageError{err}
		}
		anchors = append(anchors, h)
	}
	return c.with(p, "", false, func(d *desk) error {
		head, err := d.log.Verify(p.ctx, anchors...)
		if err != nil {
			return err
		}
		result := struct {
			Entries int64  `json:"entries"`
			Head    string `json:"head"`
		}{head.Seq, head.String()}
		return c.show(p, result, func(w io.Writer) {
			row(w, "entries", result.Entries)
			row(w, "head", result.Head)
		})
	})
}
