package onceward

import (
	"context"
	"errors"
)

// maxHeaderBytes bounds the header that is kept with a response.
const maxHeaderBytes = 64 << 10

// Complete records resp as the operation's final answer, durably, before it
// returns: from then on every retry gets it. Handlers that stream call it
// before their first byte, with Tombstone set; others just return their
// response. After it the handler's own return decides nothing any more, also
// when it fails: the answer may have been recorded all the same, and the crash
// policy decides. For an operation that has ended it returns ErrFenced.
func (op *Operation) Complete(_ context.Context, resp Response) error {
	if err := op.unrecordedErr(); err != nil {
		return err
	}
	// A copy: the handler goes on and may change the header it has.
	_, err := op.end(Verdict{Decision: Completed, Response: *resp.withOwnHeader()}) //nolint:contextcheck // an operation outlives its caller and has a context of its own
	if err != nil && !op.Ended() {
		op.mu.Lock()
		op.unrecorded = err
		op.mu.Unlock()
	}
	return err
}

func (op *Operation) unrecordedErr() error {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.unrecorded
}

// end writes the verdict. Its error is nil for an answer that was recorded or
// a key that was released, and says otherwise what the client must be told.
func (op *Operation) end(v Verdict) (Outcome, error) {
	op.writeMu.Lock()
	defer op.writeMu.Unlock()
	if op.Ended() {
		return Outcome{}, ErrFenced
	}
	if v.Response.Status == 0 {
		v.Response.Status = 200
	}
	op.mu.Lock()
	op.answer = v.Response
	op.mu.Unlock()
	if v.Decision == NotApplied {
		// A release that fails is not the client's concern.
		_ = op.release()
		return op.outcome(), nil
	}
	req := CompleteRequest{Status: StatusCompleted, Response: op.keep(v.Response)}
	if v.Decision == Unknown {
		req = CompleteRequest{Status: StatusHeld, Reason: v.Reason, ExpiresAt: Never}
	}
	if err := op.complete(req); err != nil {
		return Outcome{}, err
	}
	if v.Decision == Unknown {
		op.eng.log.Warn("held: the outcome is unknown", "operation", op.ID(), "kind", op.Kind(), "reason", v.Reason)
		return Outcome{}, &Error{Code: CodeOutcomeUnknown, Record: op.recordRef()}
	}
	return op.outcome(), nil
}

// outcome of an operation that has ended.
func (op *Operation) outcome() Outcome {
	op.mu.Lock()
	defer op.mu.Unlock()
	out := Outcome{Response: op.answer, Token: op.rec.Token}
	if op.rec.Status == StatusCompleted {
		out.Kept, out.ExpiresAt = true, op.rec.ExpiresAt
	}
	return out
}

// complete stores the end of the operation, retrying for as long as the lease
// is renewed. If it cannot, the record stays claimed and follows the crash
// policy: the handler is never run again because saving failed.
func (op *Operation) complete(req CompleteRequest) error {
	cfg := &op.eng.cfg
	op.mu.Lock()
	req.Claim = op.rec.Claim()
	op.completing = true
	op.mu.Unlock()
	err := op.eng.retry(op.endCall(), &op.values, cfg.CompleteTimeout, func(ctx context.Context) error {
		req.Now = cfg.Now()
		if req.Status == StatusCompleted {
			req.ExpiresAt = req.Now.Add(op.rec.Retention)
		}
		return op.eng.store.Complete(ctx, req)
	})
	if err != nil {
		op.fencedBy(err)
		op.stopRenewing()
		op.eng.log.Error("outcome not recorded; the crash policy will decide", "operation", op.ID(), "kind", op.Kind(), "err", err)
		return &Error{Code: CodeOutcomeUnrecorded, Record: op.recordRef(), RetryAfter: cfg.Lease, Err: err}
	}
	op.stopRenewing()
	op.mu.Lock()
	defer op.mu.Unlock()
	op.ended = true
	op.rec.Status, op.rec.Response, op.rec.Reason = req.Status, req.Response, req.Reason
	op.rec.CompletedAt, op.rec.ExpiresAt = req.Now, req.ExpiresAt
	op.publishLocked()
	return nil
}

// release makes the key absent. One that fails is tried again by the next
// recovery pass; until then the key is in progress.
func (op *Operation) release() error {
	op.stopRenewing()
	err := op.eng.retry(op.endCall(), &op.values, op.eng.cfg.StoreTimeout, func(ctx context.Context) error {
		return op.eng.store.Release(ctx, ReleaseRequest{Claim: op.rec.Claim(), Now: op.eng.cfg.Now()})
	})
	if errors.Is(err, ErrFenced) {
		err = nil
	}
	if err != nil {
		op.eng.log.Warn("key not released; a later pass tries again", "operation", op.ID(), "kind", op.Kind(), "err", err)
		op.eng.addOrphan(op.claimAgain())
	}
	op.mu.Lock()
	defer op.mu.Unlock()
	op.ended = true
	op.fl.settle(nil, nil)
	return err
}

// claimAgain is the claim under which the operation ran: repeating it tells
// whether the store still has it.
func (op *Operation) claimAgain() ClaimRequest {
	now, rec := op.eng.cfg.Now(), op.Record()
	return ClaimRequest{
		Key: rec.Key, Owner: rec.Owner, Token: rec.Token,
		Kind: rec.Kind, Policy: rec.Policy,
		Fingerprint: rec.Fingerprint, Detail: rec.Detail, Retention: rec.Retention,
		Now: now, LeaseUntil: now.Add(op.eng.cfg.Lease), ExpiresAt: rec.ExpiresAt,
	}
}

// endCall returns the context of the call that ends the record. There is
// usually one such call, whose context is part of the operation.
func (op *Operation) endCall() *detached {
	op.mu.Lock()
	defer op.mu.Unlock()
	if op.endCalled {
		return new(detached)
	}
	op.endCalled = true
	return &op.ending
}

// keep returns what of resp is stored.
func (op *Operation) keep(resp Response) *Response {
	op.mu.Lock()
	defer op.mu.Unlock()
	kept := &op.kept
	if op.completing { // an earlier attempt has failed, and may still be read
		kept = new(Response)
	}
	*kept = op.eng.keepable(resp)
	return kept
}

// keepable returns what of resp is stored: all of it, or a tombstone.
func (e *Engine) keepable(resp Response) Response {
	size := 0
	for name, values := range resp.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	if size > maxHeaderBytes || len(resp.Body) > e.cfg.MaxResponseBytes {
		resp.Tombstone = true
	}
	if resp.Tombstone {
		resp.Body = nil
	}
	if size > maxHeaderBytes {
		resp.Header = nil
	}
	return resp
}
