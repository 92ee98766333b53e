package soroban

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// relayed is the checkpoint of a user's transaction, besides its attempt/1.
type relayed struct {
	// Send is the xdr.TransactionEnvelope to send: the fee bump, or empty for
	// the user's own envelope.
	Send []byte `json:"send,omitempty"`
	// MaxTime is the end of the time bounds, in Unix seconds; 0 if there is none.
	MaxTime uint64 `json:"max_time,omitempty"`
}

// runAuthorization checks what only the chain can tell, and then runs the call
// like any other, with the user's entry instead of one of ours.
func (r *Relay) runAuthorization(ctx context.Context, op *onceward.Operation, x *Relayed) (Result, error) {
	s := r.s
	if err := s.ready(ctx); err != nil {
		return Result{}, err
	}
	cred := credentials(x.entry)
	until, nonce := uint32(cred.SignatureExpirationLedger), int64(cred.Nonce)
	p := &plan{
		call: x.call, authorizer: x.source, nonce: func(int) int64 { return nonce },
		given: []xdr.SorobanAuthorizationEntry{*x.entry}, until: until, maxFee: r.policy.MaxFee,
	}
	account, err := accountKey(x.source)
	if err != nil {
		return Result{}, err
	}
	guardKey, err := p.guardKey()
	if err != nil {
		return Result{}, err
	}
	v, err := s.look(ctx, account, guardKey)
	switch first, last := v.ledger+s.cfg.LedgerWindow, v.ledger+r.policy.MaxLedgers; {
	case err != nil:
		return Result{}, s.silent(err)
	case v.nonce: // used already: the answer is on the chain
	case until < first:
		return Result{}, refuse(RelayExpired, "the authorization ends with ledger %d; sign one that is valid for longer, through ledger %d to %d",
			until, first+s.cfg.LedgerWindow, last)
	case until > last:
		return Result{}, refuse(RelayUnbounded, "the authorization is valid through ledger %d; sign one that ends sooner, with ledger %d to %d",
			until, first+s.cfg.LedgerWindow, last)
	}
	return s.drive(ctx, op, p)
}

// silent is the error of a chain that did not answer a first question.
func (s *Submitter) silent(err error) error {
	return &UnavailableError{Reason: "the chain does not answer", RetryAfter: s.cfg.PollInterval, Err: err}
}

// runTransaction admits the user's transaction, stores it and follows it.
func (r *Relay) runTransaction(ctx context.Context, op *onceward.Operation, x *Relayed) (Result, error) {
	if err := r.s.ready(ctx); err != nil {
		return Result{}, err
	}
	t, err := ReadTrail(op.Record())
	if err != nil {
		return Result{}, err
	}
	if t.last() == nil && t.Result == nil {
		a := &Attempt{
			Number: 1, Envelope: x.raw, Hash: x.hash, Channel: x.source, Sequence: int64(x.envelope.Tx.SeqNum),
			MaxLedger: cmp.Or(x.maxEnd, noEnd), Network: hex.EncodeToString(r.s.network[:]),
		}
		tx, err := r.admit(ctx, x, a)
		if err != nil {
			return Result{}, err
		}
		if tx != nil {
			return r.finish(ctx, op, x.call, tx) // it was applied before it came here
		}
		if err := r.keep(ctx, op, x, a); err != nil {
			return Result{}, err
		}
	}
	return r.resume(ctx, op)
}

// keep stores everything that will be sent: the user's envelope, and the fee
// bump around it. The attempt comes last; nothing is sent without it.
func (r *Relay) keep(ctx context.Context, op *onceward.Operation, x *Relayed, a *Attempt) error {
	kept := relayed{MaxTime: x.maxTime}
	if r.payer != nil {
		var err error
		if kept.Send, err = r.feeBump(ctx, x.envelope); err != nil {
			return err
		}
	}
	if err := r.s.checkpoint(ctx, op, relayCheckpoint, kept); err != nil {
		return err
	}
	if err := r.s.checkpoint(ctx, op, attemptPrefix+strconv.Itoa(a.Number), a); err != nil {
		return err
	}
	r.s.log.InfoContext(ctx, "relayed transaction stored", "operation", op.ID(), "tx", a.Hash, "account", a.Channel,
		"sequence", a.Sequence, "max_ledger", a.MaxLedger, "max_time", x.maxTime)
	return nil
}

// feeBump signs a fee bump of the user's envelope.
func (r *Relay) feeBump(ctx context.Context, inner *xdr.TransactionV1Envelope) ([]byte, error) {
	id, err := xdr.AddressToAccountId(r.payer.Address())
	if err != nil {
		return nil, fmt.Errorf("soroban: fee signer: %w", err)
	}
	env := xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTxFeeBump, FeeBump: &xdr.FeeBumpTransactionEnvelope{
		Tx: xdr.FeeBumpTransaction{
			FeeSource: id.ToMuxedAccount(), Fee: xdr.Int64(r.bumpFee(&inner.Tx)),
			InnerTx: xdr.FeeBumpTransactionInnerTx{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: inner},
		},
	}}
	hash, err := network.HashTransactionInEnvelope(env, r.s.cfg.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("soroban: hashing a fee bump: %w", err)
	}
	if err := r.s.spend(ctx, int64(env.FeeBump.Tx.Fee)); err != nil {
		return nil, err
	}
	sig, err := signed(ctx, r.payer, hash)
	if err != nil {
		return nil, err
	}
	env.FeeBump.Signatures = []xdr.DecoratedSignature{{Hint: hintOf(id), Signature: sig}}
	return env.MarshalBinary()
}

// admit asks the chain whether the transaction may go out. It returns the
// transaction instead when that has been applied already. a learns as of which
// ledger its sequence number was free.
func (r *Relay) admit(ctx context.Context, x *Relayed, a *Attempt) (*foundTx, error) {
	for range prepareTries {
		tx, now, err := r.ask(ctx, a)
		if err != nil {
			return nil, r.s.silent(err)
		}
		if tx != nil {
			return tx, nil
		}
		account, ledger, err := r.account(ctx, x.source)
		if err != nil {
			return nil, err
		}
		if int64(account.SeqNum) >= a.Sequence {
			return r.consumedBefore(ctx, account, a)
		}
		if err := r.timely(x, now, ledger); err != nil {
			return nil, err
		}
		if next := int64(account.SeqNum) + 1; next != a.Sequence {
			return nil, &UnavailableError{RetryAfter: r.s.cfg.PollInterval, Reason: fmt.Sprintf(
				"the account's next sequence number is %d and the transaction's %d: others must be applied first", next, a.Sequence)}
		}
		if err := checkSigners(account, x.envelope, hashOf(a.Hash)); err != nil {
			return nil, err
		}
		a.Ledger = ledger
		rejected, err := r.simulate(ctx, x)
		if err != nil || rejected == nil {
			return nil, err
		}
		if free, err := r.freeAt(ctx, a, rejected.ledger); err != nil || free {
			return nil, errors.Join(err, rejected)
		}
		// Refused because it has just happened.
	}
	return nil, &UnavailableError{Reason: "the chain contradicts itself about the transaction", RetryAfter: r.s.cfg.PollInterval}
}

func hashOf(s string) (hash [32]byte) {
	_, _ = hex.Decode(hash[:], []byte(s)) // made by us
	return hash
}

// moment is the chain's time.
type moment struct {
	ledger uint32
	closed int64 // Unix seconds
}

// ask looks the transaction up by its hash. Not finding it proves nothing.
func (r *Relay) ask(ctx context.Context, a *Attempt) (*foundTx, moment, error) {
	ctx, cancel := r.s.callContext(ctx)
	defer cancel()
	res, err := r.s.cfg.RPC.GetTransaction(ctx, protocol.GetTransactionRequest{Hash: a.Hash})
	if err != nil {
		return nil, moment{}, err
	}
	now := moment{res.LatestLedger, res.LatestLedgerCloseTime}
	if res.Status != protocol.TransactionStatusSuccess && res.Status != protocol.TransactionStatusFailed {
		return nil, now, nil
	}
	f, _, err := r.s.read(&res.TransactionDetails)
	if err == nil && f.hash != a.Hash {
		err = errForged
	}
	if err != nil {
		r.s.log.ErrorContext(ctx, "answer not believed", "tx", a.Hash, "err", err)
		return nil, moment{}, nil //nolint:nilerr // a false answer is no answer
	}
	return f, now, nil
}

// account reads the user's account and the ledger that it is from.
func (r *Relay) account(ctx context.Context, address string) (*xdr.AccountEntry, uint32, error) {
	key, err := accountKey(address)
	if err != nil {
		return nil, 0, err
	}
	found, ledger, err := r.s.reader.read(ctx, key)
	if err != nil {
		return nil, 0, r.s.silent(err)
	}
	e := found[key]
	if e == nil {
		return nil, 0, refuse(RelaySequence, "account %s does not exist on this network", address)
	}
	var data xdr.LedgerEntryData
	if err := xdr.SafeUnmarshalBase64(e.DataXDR, &data); err != nil || data.Account == nil {
		return nil, 0, r.s.silent(errForged)
	}
	return data.Account, ledger, nil
}

// consumedBefore explains a sequence number that was consumed before anything
// was stored: by this transaction, which is its success or failure, or by
// another.
func (r *Relay) consumedBefore(ctx context.Context, account *xdr.AccountEntry, a *Attempt) (*foundTx, error) {
	if int64(account.SeqNum) == a.Sequence && account.SeqLedger() > 0 {
		res, err := r.s.scanSequence(ctx, a, uint32(account.SeqLedger()), 0)
		switch {
		case err != nil:
			return nil, r.s.silent(err)
		case res.tx != nil && res.tx.ours:
			return res.tx, nil
		case res.tx != nil:
			return nil, &RelayError{Code: RelaySuperseded, TxHash: a.Hash, Detail: fmt.Sprintf("transaction %s has consumed sequence number %d; "+
				"sign a new one", res.tx.hash, a.Sequence)}
		}
	}
	return nil, &RelayError{Code: RelaySequence, TxHash: a.Hash, Detail: fmt.Sprintf("the account's sequence number is %d already, the transaction's %d. "+
		"Nothing was sent now. Whether this very transaction has been applied before, its hash tells", account.SeqNum, a.Sequence)}
}

// timely holds the bounds against the chain's clock. ledger is the one in which
// the sequence number was found free: that a time has passed since says nothing
// of what happened in between.
func (r *Relay) timely(x *Relayed, now moment, ledger uint32) error {
	byLedger, byTime := x.maxEnd != 0, x.maxTime != 0
	limit := now.closed + int64(r.policy.MaxTime.Seconds())
	late := byTime && now.closed > 0 && x.maxTime <= uint64(now.closed)
	switch {
	case late && ledger < now.ledger:
		return &UnavailableError{RetryAfter: r.s.cfg.PollInterval, Reason: "the transaction's time has ended, and whether it was used before is not known yet"}
	case late, byLedger && x.maxEnd <= ledger+1:
		return refuse(RelayExpired, "the transaction's bounds have ended; sign a new one")
	case byLedger && x.maxEnd <= ledger+r.policy.MaxLedgers+1, byTime && x.maxTime <= uint64(max(0, limit)):
		return nil
	}
	return refuse(RelayUnbounded, "the transaction is valid for too long; bound it to %v, or %d ledgers, from now",
		r.policy.MaxTime, r.policy.MaxLedgers)
}

// simulate tries the transaction as it was signed.
func (r *Relay) simulate(ctx context.Context, x *Relayed) (*rejectedAt, error) {
	ctx, cancel := r.s.callContext(ctx)
	defer cancel()
	res, err := r.s.cfg.RPC.SimulateTransaction(ctx, protocol.SimulateTransactionRequest{
		Transaction: base64.StdEncoding.EncodeToString(x.raw),
	})
	data, _ := x.envelope.Tx.Ext.GetSorobanData()
	switch {
	case err != nil:
		return nil, r.s.silent(err)
	case res.Error != "":
		return &rejectedAt{rejection(&res), res.LatestLedger}, nil
	case res.RestorePreamble != nil:
		return nil, refuse(RelayUnsupported, "the call needs archived entries; restore them, prepare the transaction again and sign it")
	case res.MinResourceFee > int64(data.ResourceFee):
		return nil, refuse(RelayFee, "the transaction pays %d stroops for resources and needs %d; prepare it again and sign it",
			data.ResourceFee, res.MinResourceFee)
	}
	return nil, nil
}

// freeAt reports whether the attempt's sequence number was still free in
// ledger or later.
func (r *Relay) freeAt(ctx context.Context, a *Attempt, ledger uint32) (bool, error) {
	key, err := accountKey(a.Channel)
	if err != nil {
		return false, err
	}
	for {
		v, err := r.s.look(ctx, key, "")
		switch {
		case err == nil && v.used(a.Sequence):
			return false, nil
		case err == nil && v.ledger >= ledger:
			return true, nil
		}
		r.s.pause(ctx, r.s.cfg.PollInterval)
		if err := r.s.halted(ctx); err != nil {
			return false, err
		}
	}
}

func (r *Relay) finish(ctx context.Context, op *onceward.Operation, call xdr.InvokeContractArgs, tx *foundTx) (Result, error) {
	if err := r.s.finish(ctx, op, &plan{call: call}, tx); err != nil {
		return Result{}, err
	}
	t, err := ReadTrail(op.Record())
	if err != nil || t.Result == nil {
		return Result{}, errors.Join(err, onceward.ErrPark)
	}
	return *t.Result, nil
}

// resume brings a stored transaction to its end.
func (r *Relay) resume(ctx context.Context, op *onceward.Operation) (Result, error) {
	t, err := ReadTrail(op.Record())
	switch {
	case err != nil:
		return Result{}, err
	case t.Result != nil:
		return *t.Result, nil
	case t.last() == nil:
		return Result{}, refuse(RelayExpired, "nothing was sent; send it again")
	}
	a := t.last()
	if p, proven := t.Proofs[a.Number]; proven {
		return Result{}, lapsed(a, p)
	}
	raw, _ := op.Recall(relayCheckpoint)
	var kept relayed
	if err := json.Unmarshal(raw, &kept); err != nil {
		return Result{}, fmt.Errorf("soroban: checkpoint %q: %w", relayCheckpoint, err)
	}
	tx, err := a.transaction(r.s.cfg.Passphrase)
	if err != nil {
		return Result{}, err
	}
	if err := r.s.ready(ctx); err != nil {
		return Result{}, err
	}
	w := &vigil{r: r, op: op, a: a, kept: kept, end: a.MaxLedger, call: *invokeOp(tx).HostFunction.InvokeContract}
	return w.watch(ctx)
}

// lapsed is the end of a transaction that a proof says is never applied.
func lapsed(a *Attempt, p Proof) error {
	if p.Kind == ProofSuperseded {
		return &RelayError{Code: RelaySuperseded, TxHash: a.Hash, Detail: fmt.Sprintf("transaction %s has consumed sequence number %d. "+
			"This one can never be applied; sign a new one", p.By, a.Sequence)}
	}
	return &RelayError{Code: RelayExpired, TxHash: a.Hash, Detail: fmt.Sprintf("the transaction was not applied within its bounds, as ledger %d shows. "+
		"It can never be applied; sign a new one", p.Ledger)}
}

// noEnd is the MaxLedger of an attempt that only time bounds.
const noEnd = math.MaxUint32
