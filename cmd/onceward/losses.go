package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/storage"
)

// lossesCommand is for the day on which a standby was promoted that lacked
// acknowledged writes, or a backup restored.
type lossesCommand struct {
	List        lossesList        `cmd:"" help:"List what was noticed to be lost, what is not acknowledged first."`
	Acknowledge lossesAcknowledge `cmd:"" help:"Let gateways write again, after deciding about what is lost."`
}

// Help is shown by onceward losses --help.
func (lossesCommand) Help() string {
	return teach(`A gateway that finds its database behind what it was told writes nothing and is not ready: clients
have had answers whose records are gone, and a retry would run their operations again.`,
		`decide about the operations of that time; docs/postgresql.md says how. Then acknowledge the loss.`,
		`onceward losses list --store postgres://app@db2/app`,
		`onceward losses acknowledge --store postgres://app@db2/app --all --reason "compared with the old primary"`)
}

// lossView is a loss for machines.
type lossView struct {
	ID           string     `json:"id"`
	Database     string     `json:"database"`
	Detected     time.Time  `json:"detected_at"`
	Detail       string     `json:"detail"`
	Acknowledged *time.Time `json:"acknowledged_at,omitempty"`
}

func viewLosses(all []storage.Loss) []lossView {
	out := []lossView{}
	for _, l := range all {
		v := lossView{ID: l.ID.String(), Database: l.Database, Detected: l.Detected.UTC(), Detail: l.Detail}
		if !l.Acknowledged.IsZero() {
			at := l.Acknowledged.UTC()
			v.Acknowledged = &at
		}
		out = append(out, v)
	}
	return out
}

// losses returns what the store has to say.
func (d *desk) losses(p *process) ([]storage.Loss, error) {
	if d.handle.Losses == nil {
		return nil, errors.New("this store is one file on one disk: it has no copy that could lack what the other has")
	}
	return d.handle.Losses(p.ctx)
}

type lossesList struct {
	storeFlags
	outputFlags
}

// Help is shown by --help.
func (lossesList) Help() string {
	return teach(`The detail says which batches are gone, how many operations at least, and when they were acknowledged. Every
gateway that noticed has a loss of its own.`,
		`decide about the operations of that time, then onceward losses acknowledge.`,
		`onceward losses list --store postgres://app@db2/app`,
		`onceward losses list --store postgres://app@db2/app -o json`)
}

// Run implements the command.
func (c *lossesList) Run(p *process) error {
	return c.with(p, "", false, func(d *desk) error {
		all, err := d.losses(p)
		if err != nil {
			return err
		}
		page := struct {
			Losses []lossView `json:"losses"`
		}{viewLosses(all)}
		return c.show(p, page, func(w io.Writer) {
			row(w, "LOSS", "DATABASE", "DETECTED", "ACKNOWLEDGED", "DETAIL")
			for _, l := range all {
				row(w, l.ID, l.Database, when(l.Detected), when(l.Acknowledged), l.Detail)
			}
		})
	})
}

type lossesAcknowledge struct {
	storeFlags
	outputFlags
	changeFlags

	IDs []string `arg:"" optional:"" name:"loss-id" help:"Losses that were looked at, as losses list shows them."`
	All bool     `env:"-" help:"All that are not acknowledged yet, instead of IDs."`
}

// Help is shown by --help.
func (lossesAcknowledge) Help() string {
	return teach(`Gateways write again when no loss is left that nobody has acknowledged. From then on a retry of a lost operation
RUNS it: decide about them first.`,
		`/readyz of every gateway says 200 again.`,
		`onceward losses acknowledge --store postgres://app@db2/app 5f0c2b1e-8a43-4c1d-9e57-3b6f0a7d2c18 --reason "compared with the old primary"`,
		`onceward losses acknowledge --store postgres://app@db2/app --all --reason "compared with the old primary"`)
}

// Run implements the command.
func (c *lossesAcknowledge) Run(p *process) error {
	if c.All == (len(c.IDs) > 0) {
		return usagef("name the losses, as losses list shows them, or give --all")
	}
	// The audit log is in the store, which refuses to write until this is done.
	c.options.DespiteLosses = true
	return c.with(p, c.Actor, false, func(d *desk) error {
		all, err := d.losses(p)
		if err != nil {
			return err
		}
		chosen, err := c.choose(all)
		if err != nil {
			return err
		}
		if len(chosen) > 0 {
			var ids []string
			for _, l := range chosen {
				ids = append(ids, l.ID.String())
			}
			err = d.Audited(p.ctx, "losses acknowledge", strings.Join(ids, " "), c.Reason, func() (string, error) {
				return describeLosses(chosen), d.handle.Acknowledge(p.ctx, chosen)
			})
			if err != nil {
				return err
			}
		}
		result := struct {
			Acknowledged int `json:"acknowledged"`
		}{len(chosen)}
		return c.show(p, result, func(w io.Writer) { row(w, "acknowledged", len(chosen)) })
	})
}

// choose returns the losses that are meant and not acknowledged yet.
func (c *lossesAcknowledge) choose(all []storage.Loss) (chosen []storage.Loss, err error) {
	for _, id := range c.IDs {
		if !slices.ContainsFunc(all, func(l storage.Loss) bool { return l.ID.String() == id }) {
			return nil, usagef("there is no loss %q; see onceward losses list", id)
		}
	}
	for _, l := range all {
		if l.Acknowledged.IsZero() && (c.All || slices.Contains(c.IDs, l.ID.String())) {
			chosen = append(chosen, l)
		}
	}
	return chosen, nil
}

func describeLosses(all []storage.Loss) string {
	var parts []string
	for _, l := range all {
		parts = append(parts, fmt.Sprintf("%s: %s", l.Database, l.Detail))
	}
	return strings.Join(parts, "; ")
}
