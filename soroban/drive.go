package soroban

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/onceward/onceward"
)

// prepareTries is how often a first question to the chain is repeated before
// the caller is told to come back.
const prepareTries = 3

// drive brings an operation to its end from wherever its checkpoints left it.
func (s *Submitter) drive(ctx context.Context, op *onceward.Operation, p *plan) (res Result, err error) {
	ctx, end := s.cfg.Observe(ctx, Step{Name: StepSubmission, Operation: op.ID(), Kind: op.Kind()})
	defer func() { end(err) }()
	if err := s.ready(ctx); err != nil {
		return Result{}, err
	}
	for {
		t, err := ReadTrail(op.Record())
		if err != nil {
			return Result{}, err
		}
		switch t.todo(s.cfg.MaxAttempts) {
		case todoAnswer:
			return *t.Result, nil
		case todoFollow:
			err = s.observe(ctx, op, p, t.open(), nil, false)
		case todoAttempt:
			err = s.attempt(ctx, op, p)
		case todoGiveUp:
			err = exhausted(t.lastCall(), fmt.Sprintf("%d envelopes did not bring the call into a ledger", len(t.Attempts)))
		case todoLapse:
			err = unusable(t.lastCall(), *t.Lapsed)
		}
		if wait, ok := errors.AsType[*outlived](err); ok {
			err = s.lapse(ctx, op, p, wait)
		}
		if err != nil {
			return Result{}, err
		}
	}
}

// attempt builds, stores and follows a new envelope, on a channel of its own
// until there is a verdict.
func (s *Submitter) attempt(ctx context.Context, op *onceward.Operation, p *plan) error {
	guardKey, err := p.guardKey()
	if err != nil {
		return err
	}
	before := len(op.Checkpoints())
	for try := 1; ; try++ {
		err := s.attemptOnce(ctx, op, p, guardKey)
		e, unavailable := errors.AsType[*UnavailableError](err)
		lost := errors.Is(err, errNotUsable)
		transient := lost || unavailable && e.Err != nil
		switch {
		case !transient || len(op.Checkpoints()) != before:
			return err
		case try == prepareTries && lost:
			return &UnavailableError{Reason: "no channel could be kept", RetryAfter: s.cfg.PollInterval, Err: err}
		case try == prepareTries:
			return err
		}
		s.pause(ctx, s.cfg.PollInterval)
	}
}

func (s *Submitter) attemptOnce(ctx context.Context, op *onceward.Operation, p *plan, guardKey string) error {
	c, view, err := s.acquire(ctx, op, guardKey)
	if err != nil {
		return err
	}
	defer s.release(ctx, c)
	for {
		t, err := ReadTrail(op.Record())
		if err != nil {
			return err
		}
		if view.nonce {
			return s.recover(ctx, op, p, c, view.nonceLedger, &t)
		}
		if t.todo(s.cfg.MaxAttempts) != todoAttempt {
			return nil // drive gives up
		}
		a, err := s.envelope(ctx, op, p, c, view, guardKey, &t)
		if err != nil || a == nil {
			return err
		}
		if err := s.observe(ctx, op, p, a, c, true); err != nil || a.Kind != KindRestore {
			return err
		}
		// What was archived is restored: the call follows on the same channel.
		if view, err = s.reserve(ctx, c, guardKey); err != nil {
			if errors.Is(err, errNotUsable) || s.halted(ctx) == nil {
				return nil //nolint:nilerr // drive finds another channel
			}
			return err
		}
	}
}

// envelope builds the next attempt and stores it; from then on it may be sent.
// nil without an error means that the operation has come to its end instead.
func (s *Submitter) envelope(ctx context.Context, op *onceward.Operation, p *plan, c *channel, view ledgerView, guardKey string, t *Trail) (*Attempt, error) {
	d := &draft{plan: p, number: len(t.Attempts) + 1, prior: t.lastCall(), channel: c, view: view}
	a, err := s.build(ctx, d)
	if errors.Is(err, errArchived) {
		a, err = s.buildRestore(ctx, d)
	}
	if rejected, ok := errors.AsType[rejectedAt](err); ok {
		return nil, s.checkRejection(ctx, op, p, c, guardKey, rejected, t)
	}
	if errors.Is(err, errExhausted) {
		return nil, exhausted(t.lastCall(), "the authorization ends before another envelope could")
	}
	if err != nil {
		return nil, err
	}
	if err := s.occupy(ctx, c, a.names(op.ID().String())); err != nil {
		return nil, err
	}
	if sendsBeforeStoring {
		s.send(ctx, a)
	}
	name := attemptPrefix + strconv.Itoa(a.Number)
	if err := s.checkpoint(ctx, op, name, a); err != nil {
		if _, made := op.Recall(name); !made && s.halted(ctx) == nil {
			return nil, exhausted(t.lastCall(), err.Error()) // too large to be stored at all
		}
		return nil, err // nothing was sent; whether it is stored, recovery will see
	}
	s.log.InfoContext(ctx, "signed and stored", "operation", op.ID(), "attempt", a.Number, "kind", a.Kind, "tx", a.Hash,
		"channel", a.Channel, "sequence", a.Sequence, "max_ledger", a.MaxLedger)
	return a, nil
}

// observe follows a stored envelope to its verdict and stores that.
func (s *Submitter) observe(ctx context.Context, op *onceward.Operation, p *plan, a *Attempt, c *channel, fresh bool) (err error) {
	ctx, end := s.cfg.Observe(ctx, Step{
		Name: StepAttempt, Operation: op.ID(), Kind: op.Kind(), Attempt: a.Number, TxHash: a.Hash,
	})
	defer func() { end(err) }()
	if _, err := a.transaction(s.cfg.Passphrase); err != nil {
		return err
	}
	st, act := begin(a, fresh)
	st.maxFee = s.cfg.MaxFee
	st, err = s.follow(ctx, op, a, c, st, act)
	if err != nil {
		return err
	}
	switch end, proof := st.conclusion(a.Kind); end {
	case concludeProven:
		if proof.Kind == ProofSuperseded {
			s.contested(ctx, c, a, st.view)
		}
		return s.prove(ctx, op, proofPrefix+strconv.Itoa(a.Number), proof)
	case concludeFailed:
		return s.failed(ctx, op, p, st.tx)
	case concludeSucceeded:
		return s.succeeded(ctx, op, p, a, st)
	case concludeHeld, concludeLapsed:
	}
	return s.doubt(ctx, op, a, st)
}

// succeeded stores the outcome of a transaction that was found to have
// succeeded with the attempt's nonce, if it made the same call.
func (s *Submitter) succeeded(ctx context.Context, op *onceward.Operation, p *plan, a *Attempt, st progress) error {
	if st.tx.authorized != nil && !sameCall(*st.tx.authorized, p.call) {
		st.reason = "the nonce of this key was used for another call, by transaction " + st.tx.hash
		return s.doubt(ctx, op, a, st)
	}
	return s.finish(ctx, op, p, st.tx)
}

// prove stores why an attempt, or all of them, need no more attention: only then
// may another one be built, or the key be released. What a server says of an
// account proves something only if it is of our network, so that is asked for
// once more.
func (s *Submitter) prove(ctx context.Context, op *onceward.Operation, name string, proof Proof) error {
	for {
		err := s.verify(ctx)
		if err == nil {
			break
		}
		if halt := s.halted(ctx); halt != nil || errors.Is(err, ErrWrongNetwork) {
			return cmp.Or(halt, err)
		}
		s.pause(ctx, s.cfg.PollInterval)
	}
	return s.checkpoint(ctx, op, name, proof)
}

// doubt stores what is known of an envelope of which nobody can say what
// became of it, for the person who has to decide.
func (s *Submitter) doubt(ctx context.Context, op *onceward.Operation, a *Attempt, st progress) error {
	if err := s.checkpoint(ctx, op, evidenceCheckpoint, st.evidence(a)); err != nil && s.halted(ctx) != nil {
		return err
	}
	return &UnknownError{Reason: fmt.Sprintf("transaction %s (channel %s, sequence number %d, max ledger %d): %s; last seen: %s",
		a.Hash, a.Channel, a.Sequence, a.MaxLedger, st.reason, st.evidence(a))}
}

// recover answers from the chain: the nonce entry says that an operation of
// this key succeeded, whoever ran it. No envelope of ours can be applied now.
func (s *Submitter) recover(ctx context.Context, op *onceward.Operation, p *plan, c *channel, ledger uint32, t *Trail) error {
	probe := &Attempt{Channel: c.address, Authorizer: p.authorizer, Nonce: p.nonce(0), AuthUntil: ledger}
	if last := t.last(); last != nil {
		probe.Hash = last.Hash
	}
	st, act := recovering(ledger)
	st, err := s.follow(ctx, op, probe, c, st, act)
	switch {
	case err != nil:
		return err
	case st.verdict != succeeded:
		return &UnknownError{Reason: "the chain shows that this key's operation has succeeded: " + st.reason}
	case st.tx.authorized != nil && !sameCall(*st.tx.authorized, p.call):
		return &onceward.Error{Code: onceward.CodeKeyReused, Err: errors.New(
			"soroban: transaction " + st.tx.hash + " made another call under this key")}
	}
	s.log.InfoContext(ctx, "recovered from the chain", "operation", op.ID(), "tx", st.tx.hash, "ledger", st.tx.ledger)
	return s.finish(ctx, op, p, st.tx)
}

// checkRejection makes sure that a refused simulation is not the echo of the
// operation's own success: it looks for the nonce, in a ledger no older than
// the simulation's.
func (s *Submitter) checkRejection(ctx context.Context, op *onceward.Operation, p *plan, c *channel, guardKey string, r rejectedAt, t *Trail) error {
	for guardKey != "" {
		v, err := s.look(ctx, c.key, guardKey)
		if err == nil && v.nonce {
			return s.recover(ctx, op, p, c, v.nonceLedger, t)
		}
		if err == nil && r.stands(v) {
			break
		}
		s.pause(ctx, s.cfg.PollInterval)
		s.keep(ctx, c)
		if err := s.halted(ctx); err != nil {
			return err
		}
	}
	if p.executed(r.Code, r.HasCode) {
		return s.reconcileExecuted(ctx, op, p, r.RejectedError)
	}
	return t.refused(r)
}

// finish stores the outcome.
func (s *Submitter) finish(ctx context.Context, op *onceward.Operation, p *plan, tx *foundTx) error {
	t, err := ReadTrail(op.Record())
	if err != nil {
		return err
	}
	o := outcome{
		Status: Failed, Contract: contractAddress(p.call), Function: string(p.call.FunctionName), Note: p.note,
		Hash: tx.hash, Ledger: tx.ledger, Value: tx.value,
		Code: tx.code, HasCode: tx.hasCode, ResultCode: tx.resultCode, Attempts: len(t.Attempts),
		Recovered: !slices.ContainsFunc(t.Attempts, func(a Attempt) bool { return a.Hash == tx.hash }),
	}
	if tx.success {
		o.Status = Succeeded
	}
	return s.checkpoint(ctx, op, outcomeCheckpoint, o)
}

// checkpoint stores v. When it fails, the operation is left to recovery.
func (s *Submitter) checkpoint(ctx context.Context, op *onceward.Operation, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("soroban: encoding checkpoint %q: %w", name, err)
	}
	if err := op.Checkpoint(ctx, name, data); err != nil {
		return fmt.Errorf("%w: %w", onceward.ErrPark, err)
	}
	return nil
}
