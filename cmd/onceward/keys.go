package main

import (
	"fmt"
	"io"
	"os"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/operator"
)

type keysCommand struct {
	List     keysList     `cmd:"" help:"List keys, the newest first."`
	Show     keysShow     `cmd:"" help:"Show one key."`
	Release  keysRelease  `cmd:"" help:"Decide that a held operation has had no effect: its next request runs it."`
	Complete keysComplete `cmd:"" help:"Decide that a held operation has had its effect, and record the answer for its retries."`
	Hold     keysHold     `cmd:"" help:"Take a started operation away from its owner, for a person to decide."`
}

// Help is shown by --help.
func (keysCommand) Help() string {
	return teach(`These commands work on the store, beside running gateways, and need none to run. What changes something
needs a reason, and is written to the audit log before and after it is done.`,
		`what may be decided when is in docs/operator.md; what was decided is in onceward audit list.`,
		`onceward keys list --store sqlite:onceward.db --status HELD`,
		`onceward keys show --store sqlite:onceward.db 3747cc65-c2f1-8dc7-8117-9b18028db2c6`)
}

// refFlags name one operation.
type refFlags struct {
	ID    string  `arg:"" optional:"" name:"operation-id" help:"ID of the operation, as keys list shows it."`
	Scope *string `env:"-" help:"Scope of the key, instead of the ID."`
	Key   string  `env:"-" help:"The key, instead of the ID."`
}

func (f *refFlags) ref() (operator.Ref, error) {
	switch {
	case f.ID != "" && (f.Scope != nil || f.Key != ""):
		return operator.Ref{}, usagef("name the operation by its ID, or by --scope and --key")
	case f.ID != "":
		id, err := onceward.ParseID(f.ID)
		if err != nil {
			return operator.Ref{}, usageError{err}
		}
		return operator.Ref{ID: &id}, nil
	case f.Scope == nil || f.Key == "":
		return operator.Ref{}, usagef("name the operation by its ID, or by --scope and --key (--scope= for an empty scope)")
	}
	key := onceward.Key{Scope: *f.Scope, Value: f.Key}
	if err := key.Validate(); err != nil {
		return operator.Ref{}, usageError{err}
	}
	return operator.Ref{Key: key}, nil
}

// listFlags select a page of records.
type listFlags struct {
	pageFlags

	Status   string  `enum:",STARTED,COMPLETED,HELD" default:"" env:"-" placeholder:"STATUS" help:"Only STARTED, COMPLETED or HELD ones."`
	Kind     string  `env:"-" help:"Only those of a kind."`
	Scope    *string `env:"-" help:"Only those of a scope."`
	Internal bool    `env:"-" help:"Also the records that the library keeps for itself."`
	ShowKeys bool    `env:"-" help:"Show whole keys; whoever has one can ask for its answer."`
}

func (f *listFlags) filter() (operator.Filter, error) {
	if err := f.check(); err != nil {
		return operator.Filter{}, err
	}
	return operator.Filter{
		Status: onceward.Status(f.Status), Kind: f.Kind, Scope: f.Scope, Internal: f.Internal, Cursor: f.Cursor, Limit: f.Limit,
	}, nil
}

// keyPage is a page in JSON.
type keyPage struct {
	Keys []operator.KeyView `json:"keys"`
	Next string             `json:"next,omitempty"`
}

// page lists what the flags select.
func (f *listFlags) page(p *process, d *desk) (keyPage, error) {
	filter, err := f.filter()
	if err != nil {
		return keyPage{}, err
	}
	res, err := d.List(p.ctx, filter)
	out := keyPage{Keys: []operator.KeyView{}, Next: res.Next}
	for i := range res.Records {
		out.Keys = append(out.Keys, operator.Key(&res.Records[i], f.ShowKeys))
	}
	return out, err
}

type keysList struct {
	storeFlags
	outputFlags
	listFlags
}

// Help is shown by --help.
func (keysList) Help() string {
	return teach(`Keys are cut short, since whoever has one, and the credentials of its principal, can ask for its answer.
The list goes on where --cursor says.`,
		`onceward keys show, with an OPERATION of the list. A HELD one waits for keys release or keys complete.`,
		`onceward keys list --store sqlite:onceward.db --status HELD`,
		`onceward keys list --store sqlite:onceward.db --scope key:acme --limit 1000 -o json`)
}

// Run implements the command.
func (c *keysList) Run(p *process) error {
	return c.with(p, "", false, func(d *desk) error {
		page, err := c.page(p, d)
		if err != nil {
			return err
		}
		return c.show(p, page, func(w io.Writer) {
			row(w, "OPERATION", "SCOPE", "KEY", "STATUS", "HTTP", "KIND", "POLICY", "CLAIMED", "EXPIRES", "REASON")
			for _, k := range page.Keys {
				row(w, k.OperationID, dash(k.Scope), k.Key, k.Status, httpStatus(k.HTTPStatus), dash(k.Kind), k.Policy,
					when(k.ClaimedAt), when(k.ExpiresAt), dash(k.Reason))
			}
			more(w, page.Next)
		})
	})
}

func httpStatus(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

type showFlags struct {
	ShowKeys bool `env:"-" help:"Show the whole key."`
	Body     bool `env:"-" help:"Show the recorded answer's body."`
}

type keysShow struct {
	storeFlags
	outputFlags
	refFlags
	showFlags
}

// Help is shown by --help.
func (keysShow) Help() string {
	return teach(`Shows what the operation has left: its checkpoints, its transactions and whether they can still be applied,
and the answer that retries get. Clients get the ID, too, and can name it.`,
		`if it is HELD, find out whether it had its effect, then keys complete or keys release. One that hangs: keys hold.`,
		`onceward keys show --store sqlite:onceward.db 3747cc65-c2f1-8dc7-8117-9b18028db2c6`,
		`onceward keys show --store sqlite:onceward.db --scope key:acme --key order-812 --body`)
}

// Run implements the command.
func (c *keysShow) Run(p *process) error {
	return showOperation(p, &c.storeFlags, &c.outputFlags, &c.refFlags, &c.showFlags)
}

// showOperation shows one operation with all it has left.
func showOperation(p *process, s *storeFlags, o *outputFlags, r *refFlags, f *showFlags) error {
	ref, err := r.ref()
	if err != nil {
		return err
	}
	return s.with(p, "", true, func(d *desk) error {
		rec, err := d.Find(p.ctx, ref)
		if err != nil {
			return err
		}
		v := operator.Operation(&rec, f.ShowKeys, f.Body)
		return o.show(p, v, func(w io.Writer) { operationTable(w, &v) })
	})
}

func operationTable(w io.Writer, v *operator.OperationView) {
	row(w, "operation", v.OperationID)
	row(w, "scope", dash(v.Scope))
	row(w, "key", v.Key)
	row(w, "status", v.Status)
	if v.Reason != "" {
		row(w, "reason", v.Reason)
	}
	row(w, "kind", dash(v.Kind))
	row(w, "policy", v.Policy)
	row(w, "attempt", fmt.Sprintf("%d (token %d)", v.Attempt, v.Token))
	row(w, "claimed", when(v.ClaimedAt))
	if !v.LeaseUntil.IsZero() {
		row(w, "lease until", when(v.LeaseUntil))
	}
	row(w, "ended", when(v.CompletedAt))
	row(w, "expires", when(v.ExpiresAt))
	for _, c := range v.Checkpoints {
		row(w, "checkpoint", fmt.Sprintf("%s, %s, %d bytes", c.Name, when(c.At), c.Bytes))
	}
	for _, a := range v.Attempts {
		row(w, "transaction", fmt.Sprintf("%d: %s, %s, until ledger %d", a.Attempt, a.TxHash, a.Outcome, a.MaxLedger))
	}
	if v.HTTPStatus == 0 {
		return
	}
	kept := fmt.Sprintf("%d, %d bytes", v.HTTPStatus, v.BodyBytes)
	if v.Tombstone {
		kept = fmt.Sprintf("%d, body not kept", v.HTTPStatus)
	}
	row(w, "answer", kept)
	if names := operator.HeaderNames(v.Header); names != "" {
		row(w, "header", names)
	}
	if v.Body != "" {
		row(w, "body", v.Body)
	} else if v.BodyBase64 != "" {
		row(w, "body (base64)", v.BodyBase64)
	}
}

// decision is what the three changes share.
type decision struct {
	storeFlags
	outputFlags
	changeFlags
	refFlags
}

// run makes a change and shows the operation as it is then.
func (c *decision) run(p *process, change func(*desk, operator.Ref) error) error {
	ref, err := c.ref()
	if err != nil {
		return err
	}
	return c.with(p, c.Actor, true, func(d *desk) error {
		rec, err := d.Find(p.ctx, ref)
		if err != nil {
			return err
		}
		if err := change(d, ref); err != nil {
			return err
		}
		result := struct {
			OperationID string `json:"operation_id"`
			Status      string `json:"status"`
		}{rec.Key.ID().String(), "RELEASED"}
		if rec, err = d.Find(p.ctx, ref); err == nil {
			result.Status = string(rec.Status)
		}
		return c.show(p, result, func(w io.Writer) { row(w, result.OperationID, result.Status) })
	})
}

type keysRelease struct{ decision }

// Help is shown by --help.
func (keysRelease) Help() string {
	return teach(`Right only when it is certain that nothing happened, and that nothing will: the next request with the key RUNS
the operation. For a contract call look at its transactions first; one that is open may still be applied.`,
		`the client may send its request again, with the same key. The decision is in onceward audit list.`,
		`onceward keys release --store sqlite:onceward.db 3747cc65-c2f1-8dc7-8117-9b18028db2c6 --reason "never arrived, says the bank (ticket 812)"`)
}

// Run implements the command.
func (c *keysRelease) Run(p *process) error {
	return c.run(p, func(d *desk, ref operator.Ref) error { return d.Release(p.ctx, ref, c.Reason) })
}

type keysHold struct{ decision }

// Help is shown by --help.
func (keysHold) Help() string {
	return teach(`For an operation that hangs, or must not go on. From now on its owner can record nothing, and its handler is told
to stop when it next renews its lease, 10 s later at most. What it does until then, it does.`,
		`find out whether the effect happened, then keys complete or keys release.`,
		`onceward keys hold --store sqlite:onceward.db 3747cc65-c2f1-8dc7-8117-9b18028db2c6 --reason "runs since yesterday (ticket 813)"`)
}

// Run implements the command.
func (c *keysHold) Run(p *process) error {
	return c.run(p, func(d *desk, ref operator.Ref) error { return d.Hold(p.ctx, ref, c.Reason) })
}

type keysComplete struct {
	decision

	Status      int    `required:"" env:"-" help:"HTTP status of the answer."`
	BodyFile    string `type:"path" env:"-" placeholder:"FILE" help:"File with the body of the answer."`
	ContentType string `default:"application/json" env:"-" help:"Type of the body (${default})."`
}

// Help is shown by --help.
func (keysComplete) Help() string {
	return teach(`Every retry gets this answer from now on, and the operation is never run again. Give the body that the client
would have got, at most 1 MiB.`,
		`tell the client to send its request again: it gets the answer. The decision is in onceward audit list.`,
		`onceward keys complete --store sqlite:onceward.db 3747cc65-c2f1-8dc7-8117-9b18028db2c6 --status 200 --body-file answer.json --reason "paid, says the bank (ticket 812)"`)
}

// Run implements the command.
func (c *keysComplete) Run(p *process) error {
	if c.Status < 200 || c.Status > 599 {
		return usagef("--status is a final HTTP status, 200 to 599")
	}
	answer := onceward.Response{Status: c.Status}
	if c.BodyFile != "" {
		body, err := readLimited(c.BodyFile)
		if err != nil {
			return err
		}
		answer.Body, answer.Header = body, map[string][]string{"Content-Type": {c.ContentType}}
	}
	return c.run(p, func(d *desk, ref operator.Ref) error { return d.Complete(p.ctx, ref, answer, c.Reason) })
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, usageError{err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, operator.MaxBody+1))
	if err == nil && len(b) > operator.MaxBody {
		err = usagef("%s is larger than the %d bytes that are kept", path, operator.MaxBody)
	}
	return b, err
}
