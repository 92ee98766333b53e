package onceward

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// Decision says whether an operation's effect happened.
type Decision int

const (
	// Unknown means that nobody can say: a person must decide.
	Unknown Decision = iota
	// Completed means that the operation is final and has an answer.
	Completed
	// NotApplied means proven not to have happened, now or ever: the
	// operation may run again.
	NotApplied
)

// String returns the decision's name.
func (d Decision) String() string {
	switch d {
	case Unknown:
		return "unknown"
	case Completed:
		return "completed"
	case NotApplied:
		return "not applied"
	}
	return fmt.Sprintf("Decision(%d)", int(d))
}

// Verdict is a decision with what belongs to it.
type Verdict struct {
	Decision Decision
	// Response is the answer of a completed operation.
	Response Response
	// Reason tells a person why the outcome is unknown.
	Reason string
}

// Reconciler finds out what became of an operation whose owner died, from the
// checkpoints it left. It may take long: the lease is renewed meanwhile. An
// error leaves the operation for a later pass; ErrPark at once.
//
// It runs in the recovery loop without a client, or for the client that
// retried. It may make checkpoints of its own.
type Reconciler func(ctx context.Context, op *Operation) (Verdict, error)

// own runs a claim that was won and ends it.
func (e *Engine) own(req *Request, h Handler, fl *flight, res ClaimResult) (Outcome, error) {
	op := e.newOperation(fl, &res.Record)
	op.inTx = req.InTx
	defer op.stop()
	if res.TookOver {
		out, run, err := e.takeOver(op)
		if !run {
			return out, err
		}
	}
	return op.run(req, h)
}

// takeOver applies the crash policy that the operation was started under. run
// reports that the handler may run again.
func (e *Engine) takeOver(op *Operation) (out Outcome, run bool, err error) {
	switch op.rec.Policy {
	case Rerun:
		return Outcome{}, true, nil
	case Reconcile:
		v, err := e.reconcile(op)
		if err != nil {
			return Outcome{}, false, &Error{Code: CodeInProgress, Record: op.recordRef(), RetryAfter: e.cfg.RecoverInterval, Err: err}
		}
		if op.Ended() {
			return op.outcome(), false, nil
		}
		if v.Decision == NotApplied {
			return Outcome{}, true, nil
		}
		out, err := op.end(v)
		out.Replayed = err == nil
		return out, false, err
	case Hold:
	}
	out, err = op.end(Verdict{Decision: Unknown, Reason: "the process that ran it stopped before its outcome was recorded"})
	return out, false, err
}

// reconcile asks the operation's Reconciler. On an error the operation has
// been parked for a later pass.
func (e *Engine) reconcile(op *Operation) (v Verdict, err error) {
	r := e.reconciler(op.Kind())
	if r == nil {
		err = fmt.Errorf("onceward: no Reconciler is registered for kind %q", op.Kind())
	} else {
		v, err = callReconciler(r, op)
	}
	if err == nil {
		err = op.unrecordedErr()
	}
	if err == nil {
		return v, nil
	}
	if errors.Is(err, ErrPark) || errors.Is(op.lost(), ErrPark) {
		op.park(0)
		return v, err
	}
	e.log.Error("reconciling failed; a later pass tries again", "operation", op.ID(), "kind", op.Kind(), "err", err)
	op.park(e.cfg.RecoverInterval)
	return v, err
}

func callReconciler(r Reconciler, op *Operation) (v Verdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("onceward: the Reconciler panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return r(&op.ctx, op)
}

// run calls the handler and ends the operation by what it did.
func (op *Operation) run(req *Request, h Handler) (Outcome, error) {
	returned := false
	defer func() {
		if !returned { // a panic or runtime.Goexit is on its way through
			op.crashed("the handler panicked")
		}
	}()
	resp := &op.returned // here, since Final takes its address
	var err error
	*resp, err = h(&op.ctx, op)
	if resp.Status == 0 {
		resp.Status = 200
	}
	final := err == nil && resp.Success()
	if err == nil && req.Final != nil {
		final = req.Final(resp)
	}
	returned = true

	if failed := op.unrecordedErr(); failed != nil {
		return Outcome{}, failed
	}
	if op.Ended() {
		return op.outcome(), err
	}
	if errors.Is(err, ErrPark) {
		op.park(0)
		return Outcome{}, &Error{Code: CodeInProgress, Record: op.recordRef(), RetryAfter: op.eng.cfg.RecoverInterval, Err: err}
	}
	v, sure := op.decide(resp, final, err)
	if sure || op.rec.Policy == Hold {
		out, endErr := op.end(v)
		if endErr != nil && err != nil {
			endErr = errors.Join(endErr, err) // why it is held, in the handler's own words
		}
		return out, cmp.Or(endErr, err)
	}
	op.park(0)
	return Outcome{Response: *resp, Token: op.Token()}, err
}

// decide applies the rules of Handler to its return; final says that it would
// complete the key without a checkpoint. sure is false when the crash policy
// has to decide.
func (op *Operation) decide(resp *Response, final bool, err error) (v Verdict, sure bool) {
	op.mu.Lock()
	defer op.mu.Unlock()
	v.Response = *resp
	if op.concluded {
		v.Decision, v.Reason = op.decision, op.reason
		return v, true
	}
	switch {
	case final:
		v.Decision = Completed
		return v, true
	case len(op.rec.Checkpoints) == 0:
		v.Decision = NotApplied
		return v, true
	case err != nil:
		v.Reason = "the handler failed after a checkpoint: " + err.Error()
	default:
		v.Reason = fmt.Sprintf("the handler answered %d after a checkpoint", resp.Status)
	}
	return v, false
}

// crashed ends an operation whose handler did not return.
func (op *Operation) crashed(reason string) {
	if op.Ended() {
		return
	}
	op.eng.log.Error("the handler did not end", "reason", reason, "operation", op.ID(), "kind", op.Kind(), "policy", op.rec.Policy)
	if op.rec.Policy != Hold {
		op.park(0)
		return
	}
	if _, err := op.end(Verdict{Decision: Unknown, Reason: reason}); err != nil && CodeOf(err) != CodeOutcomeUnknown {
		op.eng.log.Error("not held; the lease will lapse", "operation", op.ID(), "err", err)
	}
}

func (op *Operation) recordRef() *Record {
	rec := op.Record()
	return &rec
}
