package onceward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Engine runs operations exactly once. It holds every policy; its Store only
// keeps records. An Engine is safe for concurrent use, and any number of
// engines in any number of processes may share a store.
type Engine struct {
	store    Store
	recaller Recaller // the store, if it is one
	cfg      Config
	log      *slog.Logger

	flights flights
	waiters atomic.Int64

	mu          sync.Mutex
	reconcilers map[string]Reconciler
	orphans     []ClaimRequest
	recovering  sync.WaitGroup
	passes      atomic.Int64
	recoverSem  chan struct{}
}

// New returns an Engine on store. It starts nothing: run Engine.Run in a
// goroutine for sweeping and recovery.
func New(store Store, cfg Config) (*Engine, error) {
	if store == nil {
		return nil, errors.New("onceward: New needs a Store")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	recaller, _ := store.(Recaller)
	return &Engine{
		store:       store,
		recaller:    recaller,
		cfg:         cfg,
		log:         cfg.Logger,
		reconcilers: make(map[string]Reconciler),
		recoverSem:  make(chan struct{}, cfg.RecoverLimit),
	}, nil
}

// Store returns the store the engine was made with.
func (e *Engine) Store() Store { return e.store }

// Config returns the configuration with every default filled in.
func (e *Engine) Config() Config { return e.cfg }

// Register names the Reconciler for operations of a kind. Do it before Run
// and before the first Do, so that what a dead process left behind is decided
// without waiting for a client.
func (e *Engine) Register(kind string, r Reconciler) error {
	if kind == "" || r == nil {
		return errors.New("onceward: Register needs a kind and a Reconciler")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, dup := e.reconcilers[kind]; dup {
		return fmt.Errorf("onceward: kind %q is registered twice", kind)
	}
	e.reconcilers[kind] = r
	return nil
}

func (e *Engine) reconciler(kind string) Reconciler {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reconcilers[kind]
}

// Handler does the work of one operation. See Operation for what it may ask.
//
// How its return ends the key:
//
//   - A response below 400 completes it.
//   - A response of 400 and more, or an error, says that nothing happened and
//     releases the key, so that the client may try again; unless a checkpoint
//     was made, which says that something may have happened: then the crash
//     policy decides.
//   - Operation.Conclude overrides both rules.
//   - A panic always leaves the decision to the crash policy, and goes on to
//     the caller of Do.
//   - ErrPark gives the lease up undecided.
type Handler func(ctx context.Context, op *Operation) (Response, error)

// Request describes one operation to Engine.Do.
type Request struct {
	Key Key
	// Fingerprint is a hash of what is asked for, at most 64 bytes. A request
	// with the same key and another fingerprint is refused in every state.
	Fingerprint []byte
	// Detail is stored with the key and comes back in the Error of a mismatch,
	// to explain it; at most 16 KiB.
	Detail []byte
	// Kind names what the operation does, for listings and for Register.
	Kind string
	// Policy defaults to Hold.
	Policy CrashPolicy
	// InTx says that whatever the handler does, it does in Operation.Tx: its
	// effect and its record are committed together. Its Policy is Rerun, which
	// is then exact: a process that dies before the commit has done nothing.
	// The Store must be a Transactor.
	InTx bool
	// Retention of the completed record. Default: Config.Retention.
	Retention time.Duration
	// Wait is how long to wait for an answer that another request is working
	// on. Default 0: report CodeInProgress at once.
	Wait time.Duration
	// Final decides whether a response without a checkpoint completes the key.
	// Default: Response.Success.
	Final func(*Response) bool

	nested bool // counted by the operation around it, see DoNatural
}

// Outcome is what Engine.Do has to answer.
type Outcome struct {
	Response Response
	// Replayed reports that the answer was recorded by an earlier request.
	Replayed bool
	// Kept reports that the answer is recorded and will be replayed; false
	// when the key was released.
	Kept bool
	// Token of the claim that produced the answer.
	Token int64
	// ExpiresAt is until when the answer is kept; zero unless Kept.
	ExpiresAt time.Time
}

const (
	maxFingerprint = 64
	maxDetail      = 16 << 10
	maxKind        = 255
)

func (e *Engine) check(req *Request) error {
	if err := req.Key.Validate(); err != nil {
		return &Error{Code: CodeKeyInvalid, Err: err}
	}
	if err := e.checkTx(req); err != nil {
		return err
	}
	if req.Policy == "" {
		req.Policy = Hold
	}
	if req.Retention == 0 {
		req.Retention = e.cfg.Retention
	}
	switch {
	case strings.HasPrefix(req.Key.Scope, ReservedScope):
		return &Error{Code: CodeKeyInvalid, Err: fmt.Errorf("scopes that begin with %q are the library's own", ReservedScope)}
	case len(req.Fingerprint) > maxFingerprint:
		return fmt.Errorf("onceward: a fingerprint of %d bytes; a hash has at most %d", len(req.Fingerprint), maxFingerprint)
	case len(req.Detail) > maxDetail:
		return fmt.Errorf("onceward: %d bytes of Detail; at most %d are stored", len(req.Detail), maxDetail)
	case len(req.Kind) > maxKind:
		return fmt.Errorf("onceward: a kind of %d bytes; at most %d are stored", len(req.Kind), maxKind)
	case req.Retention < 0 || req.Wait < 0:
		return errors.New("onceward: Retention and Wait may not be negative")
	case req.Policy != Hold && req.Policy != Rerun && req.Policy != Reconcile:
		return fmt.Errorf("onceward: unknown crash policy %q; use Hold, Rerun or Reconcile", req.Policy)
	case req.Policy == Reconcile && e.reconciler(req.Kind) == nil:
		return fmt.Errorf("onceward: policy reconcile needs Engine.Register for kind %q", req.Kind)
	}
	return nil
}

// checkTx chooses the policy of an operation with a transaction.
func (e *Engine) checkTx(req *Request) error {
	if !req.InTx {
		return nil
	}
	if _, ok := e.store.(Transactor); !ok {
		return fmt.Errorf("onceward: InTx needs a store that is a Transactor; %T is not", e.store)
	}
	if req.Policy != "" && req.Policy != Rerun {
		return fmt.Errorf("onceward: InTx means the policy rerun, not %q", req.Policy)
	}
	req.Policy = Rerun
	return nil
}

// Do runs h for the first request of a key and gives every later one the
// recorded answer. Its error is an *Error when the answer must wait, is
// refused or is unknown, and otherwise whatever h returned. When h returned an
// error and the operation is held for it, both are in the error's chain.
//
// A caller whose context ends does not stop h: h runs on, its outcome is
// recorded, and the next request gets it.
func (e *Engine) Do(ctx context.Context, req Request, h Handler) (Outcome, error) {
	if err := e.check(&req); err != nil {
		return Outcome{}, err
	}
	out, err := e.try(ctx, &req, h, false)
	if req.Wait > 0 && CodeOf(err) == CodeInProgress {
		return e.wait(ctx, &req, h, err)
	}
	return out, err
}

// try makes one attempt to own or to answer the key. seen says that every
// flight it may find has begun after the request came.
func (e *Engine) try(ctx context.Context, req *Request, h Handler, seen bool) (Outcome, error) {
	quota := e.cfg.MaxInFlightPerScope
	if req.nested {
		quota = 0
	}
	fl, mine, err := e.flights.start(req.Key, quota)
	if err != nil {
		return Outcome{}, err
	}
	if !mine {
		return e.attach(ctx, req, h, fl, seen)
	}
	defer e.flights.leave(fl)

	late, err := e.refuseLate(ctx, req)
	if err != nil {
		fl.settle(nil, err)
		return Outcome{}, err
	}
	claim := e.claimRequest(req)
	res, err := e.claim(ctx, fl, claim)
	if err != nil {
		e.addOrphan(claim)
		err = e.storeUnavailable(err)
		fl.settle(nil, err)
		return Outcome{}, err
	}
	if !res.Won {
		rec := res.Record
		fl.settle(&rec, nil)
		return e.answer(req, &rec)
	}
	if late && res.Record.Attempt == 1 {
		// The record expired while we looked.
		if err := e.giveBack(ctx, &res.Record); err != nil {
			e.addOrphan(claim)
		}
		err = e.keyExpired(req)
		fl.settle(nil, err)
		return Outcome{}, err
	}
	out, err := e.own(req, h, fl, res) //nolint:contextcheck // an operation outlives its caller and has a context of its own
	if e.flights.detach(fl) {
		// The duplicates that attached may yet read the header.
		out.Response = *out.Response.withOwnHeader()
	}
	return out, err
}

// attach answers from a flight that another request of this process started.
func (e *Engine) attach(ctx context.Context, req *Request, h Handler, fl *flight, seen bool) (Outcome, error) {
	rec, err := fl.standing(ctx)
	if err != nil {
		return Outcome{}, err
	}
	if rec != nil && (seen || fl.current(rec)) {
		return e.answer(req, rec)
	}
	// Released meanwhile: the key is free for whoever comes first. Or in the
	// hands of another process, which may have finished before we were asked.
	if err := fl.landed(ctx); err != nil {
		return Outcome{}, err
	}
	return e.try(ctx, req, h, true)
}

func (e *Engine) claimRequest(req *Request) ClaimRequest {
	now := e.cfg.Now()
	expires := Never
	if req.Policy == Rerun {
		// Nothing is lost by forgetting it: it would only run again.
		expires = now.Add(max(req.Retention, e.cfg.Lease))
	}
	return ClaimRequest{
		Key: req.Key, Owner: NewOwner(), Token: now.UnixMicro(),
		Kind: req.Kind, Policy: req.Policy,
		Fingerprint: req.Fingerprint, Detail: req.Detail, Retention: req.Retention,
		Now: now, LeaseUntil: now.Add(e.cfg.Lease), ExpiresAt: expires,
	}
}

// claim calls the store under a context of its own: a caller that goes away
// must not leave a claim whose outcome nobody knows. A failed claim is asked
// once more with the same owner, for only a claim decides. The operation that
// begins with it will have the values of ctx.
func (e *Engine) claim(ctx context.Context, fl *flight, req ClaimRequest) (ClaimResult, error) {
	fl.values.caller = ctx
	res, err := e.claimOnce(&fl.claiming, &fl.values, req) //nolint:contextcheck // detached on purpose
	if err != nil && ctx.Err() == nil {
		res, err = e.claimOnce(new(detached), &fl.values, req) //nolint:contextcheck // detached on purpose
	}
	return res, err
}

func (e *Engine) claimOnce(call *detached, values context.Context, req ClaimRequest) (ClaimResult, error) {
	call.start(values, time.Now().Add(e.cfg.StoreTimeout))
	defer call.end(errReturned)
	return e.store.Claim(call, req) //nolint:contextcheck // it has the values it should
}

func (e *Engine) storeContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), e.cfg.StoreTimeout)
}

func (e *Engine) storeUnavailable(err error) *Error {
	return &Error{Code: CodeStoreUnavailable, RetryAfter: time.Second, Err: err}
}

// refuseLate refuses a time-ordered key whose record may have been forgotten:
// running it could be running it twice. late reports that the key is old
// enough for that, although its record still stands.
func (e *Engine) refuseLate(ctx context.Context, req *Request) (late bool, err error) {
	if e.cfg.AcceptLateKeys {
		return false, nil
	}
	made, ok := req.Key.Time()
	if !ok || e.cfg.Now().Sub(made) <= req.Retention {
		return false, nil
	}
	_, err = e.Get(ctx, req.Key)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrNotFound):
		return true, e.keyExpired(req)
	default:
		return true, e.storeUnavailable(err)
	}
}

func (e *Engine) keyExpired(req *Request) *Error {
	made, _ := req.Key.Time()
	return &Error{Code: CodeKeyExpired, Err: fmt.Errorf("the key was made at %v; answers are kept for %v",
		made.UTC().Format(time.RFC3339), req.Retention)}
}

// Get returns the record of key, or ErrNotFound.
func (e *Engine) Get(ctx context.Context, key Key) (Record, error) {
	ctx, cancel := e.storeContext(ctx)
	defer cancel()
	return e.store.Get(ctx, GetRequest{Key: key, Now: e.cfg.Now()})
}

// answer turns the record that stands into this request's answer.
func (e *Engine) answer(req *Request, rec *Record) (Outcome, error) {
	if string(rec.Fingerprint) != string(req.Fingerprint) {
		return Outcome{}, &Error{Code: CodeKeyReused, Record: rec}
	}
	switch rec.Status {
	case StatusCompleted:
		if rec.Response == nil || rec.Response.Tombstone {
			return Outcome{}, &Error{Code: CodeResponseUnavailable, Record: rec}
		}
		return replayOf(rec), nil
	case StatusHeld:
		return Outcome{}, &Error{Code: CodeOutcomeUnknown, Record: rec}
	case StatusStarted:
		return Outcome{}, &Error{Code: CodeInProgress, Record: rec, RetryAfter: time.Second}
	default:
		return Outcome{}, e.storeUnavailable(fmt.Errorf("the record has the unknown status %q", rec.Status))
	}
}
