package soroban

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// draft is an attempt that is being built.
type draft struct {
	plan    *plan
	number  int
	prior   *Attempt // the call's attempt before, proven dead; nil for the first
	channel *channel
	view    ledgerView // that reserved the channel
	auth    []xdr.SorobanAuthorizationEntry
	until   uint32 // the authorization's last ledger
	sim     protocol.SimulateTransactionResponse
}

// errExhausted means that no further attempt can be built on the operation's
// authorization.
var errExhausted = errors.New("soroban: the authorization runs out")

// build simulates, signs and assembles the next attempt. Nothing leaves the
// process but questions. A *RejectedError is the server's word alone; the
// caller checks it against the nonce.
func (s *Submitter) build(ctx context.Context, d *draft) (*Attempt, error) {
	if err := s.authorization(ctx, d); err != nil {
		return nil, err
	}
	maxLedger, err := lifetime(s.freshest(d), s.cfg.LedgerWindow, d.until)
	if err != nil {
		return nil, err
	}
	tx, err := s.assemble(d, d.sim.TransactionDataXDR, d.sim.MinResourceFee, maxLedger)
	if err != nil {
		return nil, err
	}
	a, err := s.sign(ctx, d, tx, maxLedger)
	if err != nil {
		return nil, err
	}
	if len(d.auth) > 0 {
		a.Nonce, a.AuthUntil = d.plan.nonce(0), d.until
	}
	return a, nil
}

// sign makes an attempt of the transaction.
func (s *Submitter) sign(ctx context.Context, d *draft, tx *xdr.Transaction, maxLedger uint32) (*Attempt, error) {
	hash, err := network.HashTransaction(*tx, s.cfg.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("soroban: hashing the transaction: %w", err)
	}
	if err := s.afford(ctx, d, int64(tx.Fee)); err != nil {
		return nil, err
	}
	sig, err := signed(ctx, d.channel.signer, hash)
	if err != nil {
		return nil, err
	}
	id, err := xdr.AddressToAccountId(d.channel.address)
	if err != nil {
		return nil, fmt.Errorf("soroban: channel %q: %w", d.channel.address, err)
	}
	env := xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{
		Tx:         *tx,
		Signatures: []xdr.DecoratedSignature{{Hint: hintOf(id), Signature: sig}},
	}}
	raw, err := env.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("soroban: encoding the envelope: %w", err)
	}
	return &Attempt{
		Number: d.number, Envelope: raw, Hash: hex.EncodeToString(hash[:]),
		Channel: d.channel.address, Sequence: int64(tx.SeqNum), MaxLedger: maxLedger, Ledger: d.view.ledger,
		Fee: int64(tx.Fee), ResourceFee: int64(tx.Ext.SorobanData.ResourceFee),
		Signer: d.plan.name, Authorizer: d.plan.authorizer,
		Network: hex.EncodeToString(s.network[:]), Note: d.plan.note, RequestID: d.plan.requestID,
	}, nil
}

// freshest is the latest ledger that is known of: bounds that count from the
// ledger of a server that lags could have ended before they are sent. It
// proves nothing, and nothing is proven by it.
func (s *Submitter) freshest(d *draft) uint32 {
	return s.orSeen(max(d.view.ledger, d.sim.LatestLedger))
}

// orSeen is ledger, or a later one that this process has seen.
func (s *Submitter) orSeen(ledger uint32) uint32 {
	if seen := s.seen.Load(); seen > ledger && seen-ledger <= resetLedgers {
		return seen
	}
	return ledger
}

func hintOf(id xdr.AccountId) (hint xdr.SignatureHint) {
	copy(hint[:], id.Ed25519[len(id.Ed25519)-len(hint):])
	return hint
}

// authorization fills in the signed entries and the simulation that enforces
// them. A later attempt carries the very entries of the first: with another
// expiry, an entry that somebody copied from an old envelope could outlive
// the chain's memory of the nonce.
func (s *Submitter) authorization(ctx context.Context, d *draft) (err error) {
	if d.prior != nil && d.prior.guarded() {
		tx, err := d.prior.transaction(s.cfg.Passphrase)
		if err != nil {
			return err
		}
		d.auth, d.until = invokeOp(tx).Auth, d.prior.AuthUntil
	} else if d.plan.given != nil {
		d.auth, d.until = d.plan.given, d.plan.until
	} else {
		if d.sim, err = s.simulate(ctx, d); err != nil {
			return err
		}
		recorded, err := recordedAuth(&d.sim)
		if err != nil || len(recorded) == 0 {
			return err // nobody is asked: this simulation is the one that counts
		}
		d.until = s.freshest(d) + s.cfg.GuardWindow
		if d.auth, err = s.authorize(ctx, d.plan, recorded, d.until); err != nil {
			return err
		}
	}
	d.sim, err = s.simulate(ctx, d)
	return err
}

// simulate tries the draft as it stands: without entries the server records
// which are needed, with them it checks them, and its footprint then holds the
// nonces.
func (s *Submitter) simulate(ctx context.Context, d *draft) (protocol.SimulateTransactionResponse, error) {
	var res protocol.SimulateTransactionResponse
	tx, err := s.transaction(d)
	if err != nil {
		return res, err
	}
	encoded, err := xdr.MarshalBase64(xdr.TransactionEnvelope{
		Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{Tx: *tx},
	})
	if err != nil {
		return res, fmt.Errorf("soroban: encoding the transaction: %w", err)
	}
	ctx, cancel := s.callContext(ctx)
	defer cancel()
	res, err = s.cfg.RPC.SimulateTransaction(ctx, protocol.SimulateTransactionRequest{Transaction: encoded})
	switch {
	case err != nil:
		return res, &UnavailableError{Reason: "the chain does not answer", RetryAfter: s.cfg.PollInterval, Err: err}
	case res.Error != "":
		return res, rejectedAt{rejection(&res), res.LatestLedger}
	case res.LatestLedger == 0 || res.LatestLedger > math.MaxInt32:
		return res, &UnavailableError{Reason: "the server's simulation names no ledger", RetryAfter: s.cfg.PollInterval}
	case res.RestorePreamble != nil:
		return res, errArchived
	}
	return res, nil
}

// rejectedAt is a rejection with the ledger it was simulated on.
type rejectedAt struct {
	*RejectedError
	ledger uint32
}

// Unwrap lets errors.As find the RejectedError.
func (e rejectedAt) Unwrap() error { return e.RejectedError }

func recordedAuth(sim *protocol.SimulateTransactionResponse) ([]xdr.SorobanAuthorizationEntry, error) {
	if len(sim.Results) != 1 {
		return nil, &UnavailableError{Reason: fmt.Sprintf("the server's simulation has %d results instead of one", len(sim.Results))}
	}
	if sim.Results[0].AuthXDR == nil {
		return nil, nil
	}
	entries := make([]xdr.SorobanAuthorizationEntry, len(*sim.Results[0].AuthXDR))
	for i, encoded := range *sim.Results[0].AuthXDR {
		if err := xdr.SafeUnmarshalBase64(encoded, &entries[i]); err != nil {
			return nil, &UnavailableError{Reason: "the server's authorization entries cannot be read", Err: err}
		}
	}
	return entries, nil
}

// transaction is the draft without resources and bounds.
func (s *Submitter) transaction(d *draft) (*xdr.Transaction, error) {
	return s.bare(d, xdr.OperationBody{
		Type: xdr.OperationTypeInvokeHostFunction,
		InvokeHostFunctionOp: &xdr.InvokeHostFunctionOp{
			HostFunction: xdr.HostFunction{
				Type: xdr.HostFunctionTypeHostFunctionTypeInvokeContract, InvokeContract: &d.plan.call,
			},
			Auth: d.auth,
		},
	})
}

// bare is a transaction of one operation from the draft's channel.
func (s *Submitter) bare(d *draft, body xdr.OperationBody) (*xdr.Transaction, error) {
	id, err := xdr.AddressToAccountId(d.channel.address)
	if err != nil {
		return nil, fmt.Errorf("soroban: channel %q: %w", d.channel.address, err)
	}
	return &xdr.Transaction{
		SourceAccount: id.ToMuxedAccount(),
		Fee:           xdr.Uint32(min(s.cfg.InclusionFee, math.MaxUint32)), //nolint:gosec // bounded
		SeqNum:        xdr.SequenceNumber(d.view.free()),
		Cond:          xdr.Preconditions{Type: xdr.PreconditionTypePrecondNone},
		Operations:    []xdr.Operation{{Body: body}},
	}, nil
}

// assemble is the draft's call with the simulated resources, its fee and the
// ledger bounds.
func (s *Submitter) assemble(d *draft, dataXDR string, minFee int64, maxLedger uint32) (*xdr.Transaction, error) {
	tx, err := s.transaction(d)
	if err != nil {
		return nil, err
	}
	return tx, s.equip(tx, dataXDR, minFee, maxLedger)
}

// equip adds resources, the fee and the ledger bounds. There are no time
// bounds: an envelope's life is counted in ledgers alone.
func (s *Submitter) equip(tx *xdr.Transaction, dataXDR string, minFee int64, maxLedger uint32) error {
	var data xdr.SorobanTransactionData
	if err := xdr.SafeUnmarshalBase64(dataXDR, &data); err != nil {
		return &UnavailableError{Reason: "the server's transaction data cannot be read", Err: err}
	}
	resource := max(minFee, int64(data.ResourceFee))
	if resource < 0 || resource > s.cfg.MaxFee-s.cfg.InclusionFee {
		return &UnavailableError{Reason: fmt.Sprintf(
			"the server wants %d stroops of resource fee; with Config.InclusionFee that exceeds Config.MaxFee (%d)", resource, s.cfg.MaxFee)}
	}
	data.ResourceFee = xdr.Int64(resource)
	total := s.cfg.InclusionFee + resource
	if total > math.MaxUint32 {
		return &UnavailableError{Reason: "the fee exceeds what a transaction can name"}
	}
	tx.Fee = xdr.Uint32(total) //nolint:gosec // checked
	tx.Ext = xdr.TransactionExt{V: 1, SorobanData: &data}
	tx.Cond = xdr.Preconditions{Type: xdr.PreconditionTypePrecondV2, V2: &xdr.PreconditionsV2{
		LedgerBounds: &xdr.LedgerBounds{MaxLedger: xdr.Uint32(maxLedger)},
	}}
	return nil
}
