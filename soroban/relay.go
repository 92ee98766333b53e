package soroban

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// Relay brings into the chain, exactly once, what a user's wallet has signed:
// a whole transaction, which it sends as it is or in a fee bump, or an
// authorization, which it puts into a transaction of one of the Submitter's
// channels. It holds none of the users' keys. Use Submitter.NewRelay.
//
// # A signed transaction
//
// It consumes a sequence number of the user's account, which the user goes on
// using. Nothing can be built anew: the operation is that one envelope, and
// the chain itself applies it at most once, whoever sends it and however often.
// What is left to prove is how it ended:
//
//   - applied: the transaction is found under its hash.
//   - never: its sequence number was consumed by a transaction with another
//     hash; or was still free in a ledger after which its bounds admit no
//     other. A transaction without an end in ledgers or time is refused,
//     because nobody could ever say that of it. Time is the chain's: an
//     end in time becomes one in ledgers as soon as a ledger closed after it.
//   - unknown: the sequence number was consumed, and neither is found, because
//     history was trimmed, or because the account's sequence was moved by an
//     operation inside a transaction of another account (BumpSequence). The
//     operation is held for a person.
//
// # A signed authorization
//
// It has a nonce of the wallet's choice, which makes the chain refuse a second
// success just like a derived one: everything said of Submitter.Submit holds,
// except that the chain remembers the nonce for as long as the wallet chose,
// and that the user may use the authorization elsewhere. Then the operation
// has happened by that transaction, and is reported with it. When no envelope
// can carry it any more, it is watched to its last ledger: if it was not used by
// then the key is released.
type Relay struct {
	s      *Submitter
	policy RelayPolicy
	allow  map[Allowed]bool
	nested map[Allowed]bool
	own    map[string]bool // accounts that act for nobody else
	payer  Signer          // nil when the user pays
}

// Allowed names functions that may be called.
type Allowed struct {
	// Contract is the address C….
	Contract string
	// Function is its name, or "*" for every function of the contract.
	Function string
}

// RelayPolicy says what is relayed. Everything else is refused before anything
// is stored or sent.
type RelayPolicy struct {
	// Allow lists what users may call. Required.
	Allow []Allowed
	// AllowNested lists what a user's authorization may cover besides, beneath
	// the call itself: a token's transfer inside a swap.
	AllowNested []Allowed
	// FeeSigner names the Config.Signers entry that pays for users'
	// transactions, in fee bumps. Nothing of its sequence is consumed. Empty:
	// transactions are sent as they are, and users pay.
	FeeSigner string
	// MaxFee is the most that one relayed transaction may cost, in stroops,
	// whoever pays. Default Config.MaxFee, which it may not exceed.
	MaxFee int64
	// MaxLedgers bounds for how many ledgers from now a transaction with
	// ledger bounds, or an authorization, may be valid. Default 720, about an
	// hour.
	MaxLedgers uint32
	// MaxTime is the same for a transaction with time bounds alone, by the
	// time of the latest ledger. Default 1 h.
	MaxTime time.Duration
	// MaxBytes bounds what is taken, in base64. Default 64 KiB.
	MaxBytes int
}

const (
	maxRelayBytes   = 256 << 10
	defaultRelay    = 64 << 10
	maxRelayTime    = 24 * time.Hour
	anyFunction     = "*"
	relayCheckpoint = "relay"
)

// NewRelay returns a Relay for what the policy admits.
func (s *Submitter) NewRelay(policy RelayPolicy) (*Relay, error) {
	policy.MaxFee = cmp.Or(policy.MaxFee, s.cfg.MaxFee)
	policy.MaxLedgers = cmp.Or(policy.MaxLedgers, 720)
	policy.MaxTime = cmp.Or(policy.MaxTime, time.Hour)
	policy.MaxBytes = cmp.Or(policy.MaxBytes, defaultRelay)
	r := &Relay{s: s, policy: policy, own: make(map[string]bool)}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("soroban: RelayPolicy."+format, args...))
		}
	}
	check(len(policy.Allow) > 0, "Allow is empty: name the contracts and functions that may be called")
	check(policy.MaxFee >= minInclusionFee && policy.MaxFee <= s.cfg.MaxFee, "MaxFee must be %d to %d stroops, which is Config.MaxFee", minInclusionFee, s.cfg.MaxFee)
	check(policy.MaxLedgers >= s.cfg.LedgerWindow && policy.MaxLedgers <= maxGuard, "MaxLedgers must be %d, which is Config.LedgerWindow, to %d", s.cfg.LedgerWindow, maxGuard)
	check(policy.MaxTime > 0 && policy.MaxTime <= maxRelayTime, "MaxTime must be positive and at most %v", maxRelayTime)
	check(policy.MaxBytes > 0 && policy.MaxBytes <= maxRelayBytes, "MaxBytes must be 1 to %d", maxRelayBytes)
	if policy.FeeSigner != "" {
		r.payer = s.cfg.Signers[policy.FeeSigner]
		check(r.payer != nil, "FeeSigner: no signer is configured under the name %q", policy.FeeSigner)
	}
	var err error
	r.allow, err = allowed(policy.Allow)
	errs = append(errs, err)
	r.nested, err = allowed(policy.AllowNested)
	errs = append(errs, err)
	for _, ch := range s.cfg.Channels {
		r.own[ch.Address()] = true
	}
	for _, signer := range s.cfg.Signers {
		r.own[signer.Address()] = true
	}
	return r, errors.Join(errs...)
}

func allowed(list []Allowed) (map[Allowed]bool, error) {
	out := make(map[Allowed]bool, len(list))
	for _, a := range list {
		if _, err := strkey.Decode(strkey.VersionByteContract, a.Contract); err != nil {
			return nil, fmt.Errorf("soroban: RelayPolicy: %q is not a contract address (C…)", a.Contract)
		}
		if n := len(a.Function); n == 0 || n > 32 {
			return nil, errors.New("soroban: RelayPolicy: a function's name has 1 to 32 characters")
		}
		out[a] = true
	}
	return out, nil
}

func (r *Relay) admits(list map[Allowed]bool, call xdr.InvokeContractArgs) bool {
	contract := contractAddress(call)
	return list[Allowed{contract, string(call.FunctionName)}] || list[Allowed{contract, anyFunction}]
}

// RelayError says why something is not relayed. Nothing was sent, or what was
// sent can never be applied: the key is released.
type RelayError struct {
	// Code is one of the Relay constants.
	Code string
	// Detail says what to do, for the client.
	Detail string
	// TxHash is the transaction's, once it is known.
	TxHash string
}

// Error implements error.
func (e *RelayError) Error() string { return "soroban: not relayed: " + e.Code + ": " + e.Detail }

// Codes of a RelayError.
const (
	RelayMalformed   = "malformed"         // not what it claims to be, or too large
	RelayUnsupported = "unsupported"       // of a kind that is not relayed
	RelayNotAllowed  = "not-allowed"       // calls something outside the policy
	RelayForeign     = "foreign-account"   // acts for an account that it must not touch
	RelayUnbounded   = "unbounded"         // has no end, or one too far away
	RelayExpired     = "expired"           // can never be applied any more
	RelaySuperseded  = "superseded"        // its sequence number was consumed by another transaction
	RelaySequence    = "sequence-used"     // its sequence number was consumed before it came
	RelayFee         = "fee"               // costs too much, or offers too little
	RelaySignature   = "invalid-signature" // is not signed by who must sign, or for another network
)

func refuse(code, format string, args ...any) error {
	return &RelayError{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Relayed is something signed that the policy admits. It came from
// Relay.Transaction or Relay.Authorization.
type Relayed struct {
	call   xdr.InvokeContractArgs
	source string // the user's account

	// Of a transaction.
	envelope *xdr.TransactionV1Envelope
	raw      []byte
	hash     string
	maxTime  uint64 // 0 if there is none
	maxEnd   uint32 // first ledger in which it is not valid; 0 if there is none

	// Of an authorization.
	entry *xdr.SorobanAuthorizationEntry
}

// Contract that is called.
func (x *Relayed) Contract() string { return contractAddress(x.call) }

// Function that is called.
func (x *Relayed) Function() string { return string(x.call.FunctionName) }

// Args of the call. Do not change them.
func (x *Relayed) Args() []xdr.ScVal { return x.call.Args }

// Source is the account that has signed.
func (x *Relayed) Source() string { return x.source }

// Natural identifies what was signed, whatever key it comes under: two
// requests with equal parts are one operation.
func (x *Relayed) Natural() []string {
	if x.entry != nil {
		return []string{"authorization", x.source, fmt.Sprint(int64(credentials(x.entry).Nonce))}
	}
	return []string{"transaction", x.hash}
}

// Do is an onceward.Handler's whole work: Submit, then Config.Render.
func (r *Relay) Do(ctx context.Context, op *onceward.Operation, x *Relayed) (onceward.Response, error) {
	res, err := r.Submit(ctx, op, x)
	if err != nil {
		return onceward.Response{}, err
	}
	return r.s.cfg.Render(res), nil
}

// Submit brings x into the chain once for the key of op, and reports how it
// ended. It must run under the policy onceward.Reconcile with Relay.Reconcile
// registered for op's kind. Its errors are those of Submitter.Submit, and
// *RelayError.
func (r *Relay) Submit(ctx context.Context, op *onceward.Operation, x *Relayed) (Result, error) {
	if policy := op.Record().Policy; policy != onceward.Reconcile {
		return Result{}, fmt.Errorf("soroban: the operation runs under policy %q; it needs %q", policy, onceward.Reconcile)
	}
	run := r.runTransaction
	if x.entry != nil {
		run = r.runAuthorization
	}
	res, err := run(ctx, op, x)
	if err == nil {
		err = r.s.announce(ctx, op, res)
	}
	if err == nil {
		op.Conclude(onceward.Completed, "")
		return res, nil
	}
	v, undecided := r.ending(ctx, op, err)
	if undecided != nil {
		return Result{}, undecided
	}
	op.Conclude(v.Decision, v.Reason)
	return Result{}, err
}

// Reconcile is the onceward.Reconciler of relayed operations. It needs
// checkpoints alone: whatever the user has signed is among them.
func (r *Relay) Reconcile(ctx context.Context, op *onceward.Operation) (onceward.Verdict, error) {
	if _, whole := op.Recall(relayCheckpoint); !whole {
		return r.s.Reconcile(ctx, op) // an authorization, or nothing yet
	}
	res, err := r.resume(ctx, op)
	if err == nil {
		err = r.s.announce(ctx, op, res)
	}
	if err != nil {
		return r.ending(ctx, op, err)
	}
	return onceward.Verdict{Decision: onceward.Completed, Response: r.s.cfg.Render(res)}, nil
}

func (r *Relay) ending(ctx context.Context, op *onceward.Operation, err error) (onceward.Verdict, error) {
	if _, refused := errors.AsType[*RelayError](err); refused {
		return onceward.Verdict{Decision: onceward.NotApplied}, nil
	}
	return r.s.ending(ctx, op, err)
}
