package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/audit"
)

// MaxBody is the largest answer that Complete records.
const MaxBody = 1 << 20

// change writes a decision down, makes it, and writes down how it went.
func (d *Desk) change(ctx context.Context, e audit.Entry, do func() (detail string, err error)) error {
	e.Actor, e.Phase, e.Reason = d.cfg.Actor, audit.Requested, strings.TrimSpace(e.Reason)
	requested, err := d.cfg.Audit.Append(ctx, e)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	e.Phase, e.Request = audit.Done, requested.Seq
	detail, err := do()
	if e.Detail = detail; err != nil {
		e.Phase, e.Detail = audit.Failed, err.Error()
	}
	// What was done is written down although the command was interrupted.
	if _, logErr := d.cfg.Audit.Append(context.WithoutCancel(ctx), e); logErr != nil {
		return errors.Join(err, fmt.Errorf("the change was requested as entry %d, its end could not be written down: %w", requested.Seq, logErr))
	}
	return err
}

// Audited makes a change that is not an operation's, such as of an API key.
func (d *Desk) Audited(ctx context.Context, action, target, reason string, do func() (detail string, err error)) error {
	return d.change(ctx, audit.Entry{Action: action, Target: target, Reason: reason}, do)
}

// decide looks the operation up and makes a change of it.
func (d *Desk) decide(ctx context.Context, ref Ref, action, reason string, want onceward.Status, do func(*onceward.Record) error) error {
	rec, err := d.Find(ctx, ref)
	if err != nil {
		return err
	}
	if strings.HasPrefix(rec.Key.Scope, onceward.ReservedScope) {
		return fmt.Errorf("%w: this record is the library's own", ErrState)
	}
	if rec.Status != want {
		return fmt.Errorf("%w: the operation is %s; %s", ErrState, rec.Status, advice(rec.Status, want))
	}
	e := audit.Entry{
		Action: action, Target: rec.Key.ID().String(), Scope: rec.Key.Scope, Reason: reason,
		Detail: fmt.Sprintf("was %s, token %d, attempt %d", rec.Status, rec.Token, rec.Attempt),
	}
	return d.change(ctx, e, func() (string, error) { return "", do(&rec) })
}

func advice(is, want onceward.Status) string {
	switch {
	case is == onceward.StatusCompleted:
		return "its answer is final"
	case want == onceward.StatusHeld:
		return "its owner may be at work: hold it first, then find out whether its effect happened"
	}
	return "it is held already"
}

// Hold takes a started operation away from its owner: from now on the owner
// cannot write, nobody runs it, and a person must decide. The owner's handler
// is told at its next renewal; what it does until then it does, so the outcome
// is unknown.
func (d *Desk) Hold(ctx context.Context, ref Ref, reason string) error {
	return d.decide(ctx, ref, "keys hold", reason, onceward.StatusStarted, func(rec *onceward.Record) error {
		// In the owner's name: whoever writes first wins, and the other is fenced.
		err := d.cfg.Store.Complete(ctx, onceward.CompleteRequest{
			Claim: rec.Claim(), Now: d.cfg.Now(), Status: onceward.StatusHeld,
			Reason: "held by " + d.cfg.Actor + ": " + reason, ExpiresAt: onceward.Never,
		})
		if errors.Is(err, onceward.ErrFenced) {
			return fmt.Errorf("%w: it has ended or changed hands meanwhile; look again", ErrState)
		}
		return err
	})
}

// Release decides that a held operation has had no effect: its key is free,
// and the next request runs it.
func (d *Desk) Release(ctx context.Context, ref Ref, reason string) error {
	return d.decide(ctx, ref, "keys release", reason, onceward.StatusHeld, func(rec *onceward.Record) error {
		return d.eng.Resolve(ctx, rec.Key, onceward.Verdict{Decision: onceward.NotApplied})
	})
}

// Complete decides that a held operation has had its effect, and records the
// answer that every retry will get.
func (d *Desk) Complete(ctx context.Context, ref Ref, answer onceward.Response, reason string) error {
	if answer.Status < 200 || answer.Status > 599 {
		return fmt.Errorf("%d is no final HTTP status; use 200 to 599", answer.Status)
	}
	if len(answer.Body) > MaxBody {
		return fmt.Errorf("the answer has %d bytes; at most %d are kept", len(answer.Body), MaxBody)
	}
	return d.decide(ctx, ref, "keys complete", reason, onceward.StatusHeld, func(rec *onceward.Record) error {
		return d.eng.Resolve(ctx, rec.Key, onceward.Verdict{Decision: onceward.Completed, Response: answer})
	})
}

// Sweep deletes expired records in one bounded pass. They count as absent
// already, so nothing is decided; what was deleted is written down all the
// same.
func (d *Desk) Sweep(ctx context.Context, reason string) (deleted int, err error) {
	if _, ok := d.cfg.Store.(onceward.Sweeper); !ok {
		return 0, fmt.Errorf("%w: sweep", ErrUnable)
	}
	err = d.change(ctx, audit.Entry{Action: "sweep", Reason: reason}, func() (string, error) {
		var err error
		deleted, err = d.eng.Sweep(ctx)
		return fmt.Sprintf("%d records deleted", deleted), err
	})
	return deleted, err
}

// Unfinished reports whether a scope has operations that are not final.
func (d *Desk) Unfinished(ctx context.Context, scope string) (bool, error) {
	for _, status := range []onceward.Status{onceward.StatusStarted, onceward.StatusHeld} {
		page, err := d.List(ctx, Filter{Status: status, Scope: &scope, Internal: true, Limit: 1})
		if err != nil || len(page.Records) > 0 {
			return true, err
		}
	}
	return false, nil
}
