package soroban

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stellar/go-stellar-sdk/network"

	"github.com/onceward/onceward"
)

// Submitter runs contract calls exactly once. It is safe for concurrent use;
// any number of processes may share channels, store and secret.
type Submitter struct {
	cfg     Config
	log     *slog.Logger
	network [32]byte
	reader  *reader
	pool    *pool
	seen    atomic.Uint32 // the latest ledger that any view told of

	mu       sync.Mutex
	verified time.Time // when the server last said that it is of our network

	stopOnce sync.Once
	stopped  chan struct{}
}

// New returns a Submitter. It starts nothing.
func New(cfg Config) (*Submitter, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Submitter{
		cfg: cfg, log: cfg.Logger, network: network.ID(cfg.Passphrase), stopped: make(chan struct{}),
		reader: &reader{rpc: cfg.RPC, timeout: cfg.CallTimeout},
	}
	channels := make([]*channel, len(cfg.Channels))
	for i, signer := range cfg.Channels {
		var err error
		if channels[i], err = newChannel(signer, s.network); err != nil {
			return nil, err
		}
	}
	s.pool = newPool(channels)
	return s, nil
}

// Stop ends what is under way with onceward.ErrPark and refuses everything
// new: the recovery of this or another process carries on from what is
// stored. It does not wait.
func (s *Submitter) Stop() { s.stopOnce.Do(func() { close(s.stopped) }) }

func (s *Submitter) callContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.CallTimeout)
}

// ready asks the server for its network, unless it has told lately.
func (s *Submitter) ready(ctx context.Context) error {
	s.mu.Lock()
	verified := s.cfg.Now().Sub(s.verified) < verifyEvery
	s.mu.Unlock()
	if verified {
		return nil
	}
	return s.verify(ctx)
}

// verifyEvery is how often the server is asked which network it is of: its
// address may come to lead to another one.
const verifyEvery = time.Minute

func (s *Submitter) verify(ctx context.Context) error {
	ctx, cancel := s.callContext(ctx)
	defer cancel()
	res, err := s.cfg.RPC.GetNetwork(ctx)
	if err != nil {
		return &UnavailableError{Reason: "the chain does not answer", RetryAfter: s.cfg.PollInterval, Err: err}
	}
	if res.Passphrase != s.cfg.Passphrase {
		return fmt.Errorf("%w: the RPC server is on %q, the configuration says %q", ErrWrongNetwork, clip(res.Passphrase), s.cfg.Passphrase)
	}
	s.mu.Lock()
	s.verified = s.cfg.Now()
	s.mu.Unlock()
	return nil
}

// Do is an onceward.Handler's whole work: Submit, then Config.Render.
func (s *Submitter) Do(ctx context.Context, op *onceward.Operation, inv Invocation) (onceward.Response, error) {
	res, err := s.Submit(ctx, op, inv)
	if err != nil {
		return onceward.Response{}, err
	}
	return s.cfg.Render(res), nil
}

// Submit makes the call happen once for the key of op and reports how it
// ended. It must run under the policy onceward.Reconcile with s.Reconcile
// registered for op's kind, and it tells op how to end: the handler should
// just return, with Config.Render's response.
//
// The error says why there is no Result:
//
//   - *RejectedError, ErrAuthorization: refused before anything was sent; the
//     key is released. An *onceward.Error with CodeKeyReused: the chain shows
//     that the key was used for another call.
//   - *UnavailableError: could not be started; the key is released.
//   - *UnknownError: the operation is held for a person.
//   - onceward.ErrPark: stopped half-way, by shutdown, a lost lease or a store
//     that failed; recovery carries on.
func (s *Submitter) Submit(ctx context.Context, op *onceward.Operation, inv Invocation) (Result, error) {
	if policy := op.Record().Policy; policy != onceward.Reconcile {
		return Result{}, fmt.Errorf("soroban: the operation runs under policy %q; it needs %q", policy, onceward.Reconcile)
	}
	p, err := s.plan(&inv, op.Key())
	if err != nil {
		return Result{}, err
	}
	res, err := s.drive(ctx, op, p)
	if err == nil {
		err = s.announce(ctx, op, res)
	}
	if err == nil {
		op.Conclude(onceward.Completed, "")
		return res, nil
	}
	v, undecided := s.ending(ctx, op, err)
	if undecided != nil {
		return Result{}, undecided
	}
	op.Conclude(v.Decision, v.Reason)
	return Result{}, err
}

// Reconcile is the onceward.Reconciler: it finds out, from checkpoints alone,
// what became of an operation whose owner died, and brings it to its end. It
// needs neither the request nor, for a call that was signed, the signer.
func (s *Submitter) Reconcile(ctx context.Context, op *onceward.Operation) (onceward.Verdict, error) {
	t, err := ReadTrail(op.Record())
	if err != nil {
		return onceward.Verdict{}, err
	}
	if t.Result == nil && t.last() == nil {
		// Nothing leaves the process before its attempt is stored.
		return onceward.Verdict{Decision: onceward.NotApplied}, nil
	}
	res := t.Result
	if res == nil {
		p, err := s.planOf(&t, op.Key())
		if err != nil {
			return onceward.Verdict{}, err
		}
		done, err := s.drive(ctx, op, p)
		if err != nil {
			return s.ending(ctx, op, err)
		}
		res = &done
	}
	if err := s.announce(ctx, op, *res); err != nil {
		return onceward.Verdict{}, err
	}
	return onceward.Verdict{Decision: onceward.Completed, Response: s.cfg.Render(*res)}, nil
}

// announce tells Config.OnOutcome how the operation ended. The outcome is
// stored, so that a failure is repaired by recovery.
func (s *Submitter) announce(ctx context.Context, op *onceward.Operation, res Result) error {
	if s.cfg.OnOutcome == nil {
		return nil
	}
	if err := s.cfg.OnOutcome(ctx, op, res, s.cfg.Render(res)); err != nil {
		return fmt.Errorf("%w: announcing the outcome: %w", onceward.ErrPark, err)
	}
	return nil
}

// ending is how an operation ends that has no result. Its own error leaves
// the operation undecided.
func (s *Submitter) ending(ctx context.Context, op *onceward.Operation, err error) (onceward.Verdict, error) {
	if e, ok := errors.AsType[*UnknownError](err); ok {
		return onceward.Verdict{Decision: onceward.Unknown, Reason: e.Reason}, nil
	}
	_, rejected := errors.AsType[*RejectedError](err)
	_, refused := errors.AsType[*RelayError](err)
	e, unavailable := errors.AsType[*UnavailableError](err)
	t, damaged := ReadTrail(op.Record())
	unsent := damaged == nil && t.lastCall() == nil && s.halted(ctx) == nil
	switch {
	case rejected, refused, unsent, unavailable && e.final, errors.Is(err, ErrAuthorization),
		onceward.CodeOf(err) == onceward.CodeKeyReused:
		return onceward.Verdict{Decision: onceward.NotApplied}, nil
	case errors.Is(err, onceward.ErrPark):
		return onceward.Verdict{}, err
	}
	return onceward.Verdict{}, fmt.Errorf("%w: %w", onceward.ErrPark, err)
}
