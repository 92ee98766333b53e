package main

import (
	"io"

	"github.com/onceward/onceward/cmd/onceward/internal/audit"
)

type auditCommand struct {
	List   auditList   `cmd:"" help:"List what operators have changed, the newest first."`
	Verify auditVerify `cmd:"" help:"Check that nothing in the audit log was changed, and print its head."`
}

type auditList struct {
	storeFlags
	outputFlags
	pageFlags
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
