package main

import "io"

// sweepCommand deletes what has expired. Gateways do that by themselves.
type sweepCommand struct {
	storeFlags
	outputFlags
	changeFlags
}

// Run implements the command.
func (c *sweepCommand) Run(p *process) error {
	return c.with(p, c.Actor, false, func(d *desk) error {
		n, err := d.Sweep(p.ctx, c.Reason)
		if err != nil {
			return err
		}
		result := struct {
			Deleted int `json:"deleted"`
		}{n}
		return c.show(p, result, func(w io.Writer) { row(w, "deleted", n) })
	})
}
