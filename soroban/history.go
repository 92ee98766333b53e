package soroban

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// foundTx is a transaction of a ledger, after its envelope was hashed again.
type foundTx struct {
	hash    string // of the inner transaction
	ledger  uint32
	success bool
	// ours reports that it is the envelope that was looked for.
	ours bool
	// call is what the transaction invoked, nil if not a contract.
	call *xdr.InvokeContractArgs
	// authorized is the call that the nonce in question authorized.
	authorized *xdr.InvokeContractArgs
	value      []byte // xdr.ScVal
	code       uint32
	hasCode    bool
	resultCode string
}

// errForged means that an answer contradicts itself; it is no evidence.
var errForged = errors.New("soroban: the server's transaction does not hash to what it claims")

// innerTx returns the transaction inside env and its own hash: for a fee bump
// that of the transaction it carries.
func innerTx(env xdr.TransactionEnvelope, passphrase string) (*xdr.Transaction, string, error) {
	if env.Type == xdr.EnvelopeTypeEnvelopeTypeTxFeeBump {
		inner := env.FeeBump.Tx.InnerTx.V1
		if inner == nil {
			return nil, "", errForged
		}
		env = xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: inner}
	}
	if env.V1 == nil {
		return nil, "", errForged
	}
	hash, err := network.HashTransactionInEnvelope(env, passphrase)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errForged, err)
	}
	return &env.V1.Tx, hex.EncodeToString(hash[:]), nil
}

// read decodes what a server says of a transaction.
func (s *Submitter) read(d *protocol.TransactionDetails) (*foundTx, *xdr.Transaction, error) {
	var env xdr.TransactionEnvelope
	if err := xdr.SafeUnmarshalBase64(d.EnvelopeXDR, &env); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errForged, err)
	}
	tx, hash, err := innerTx(env, s.cfg.Passphrase)
	if err != nil {
		return nil, nil, err
	}
	f := &foundTx{hash: hash, ledger: d.Ledger, success: d.Status == protocol.TransactionStatusSuccess}
	if len(tx.Operations) == 1 {
		if op := tx.Operations[0].Body.InvokeHostFunctionOp; op != nil {
			f.call = op.HostFunction.InvokeContract
		}
	}
	if err := f.readResult(d); err != nil {
		return nil, nil, err
	}
	return f, tx, nil
}

// readResult takes the value or the error out of result and metadata.
func (f *foundTx) readResult(d *protocol.TransactionDetails) error {
	var res xdr.TransactionResult
	if err := xdr.SafeUnmarshalBase64(d.ResultXDR, &res); err != nil {
		return fmt.Errorf("%w: result: %w", errForged, err)
	}
	if res.Successful() != f.success {
		return fmt.Errorf("%w: its status contradicts its result", errForged)
	}
	var meta xdr.TransactionMeta
	metaErr := xdr.SafeUnmarshalBase64(d.ResultMetaXDR, &meta)
	if f.success {
		if metaErr != nil {
			return fmt.Errorf("%w: metadata: %w", errForged, metaErr)
		}
		return f.readValue(&meta)
	}
	f.resultCode = failureCode(&res)
	events := make([]xdr.DiagnosticEvent, 0, len(d.DiagnosticEventsXDR))
	for _, encoded := range d.DiagnosticEventsXDR {
		var e xdr.DiagnosticEvent
		if xdr.SafeUnmarshalBase64(encoded, &e) == nil {
			events = append(events, e)
		}
	}
	if len(events) == 0 && metaErr == nil {
		events, _ = meta.GetDiagnosticEvents()
	}
	f.code, f.hasCode = contractCode(events)
	return nil
}

func (f *foundTx) readValue(meta *xdr.TransactionMeta) error {
	var value *xdr.ScVal
	switch {
	case meta.V == 4 && meta.V4 != nil && meta.V4.SorobanMeta != nil:
		value = meta.V4.SorobanMeta.ReturnValue
	case meta.V == 3 && meta.V3 != nil && meta.V3.SorobanMeta != nil:
		value = &meta.V3.SorobanMeta.ReturnValue
	}
	if value == nil {
		return nil
	}
	raw, err := value.MarshalBinary()
	if err != nil {
		return fmt.Errorf("%w: return value: %w", errForged, err)
	}
	f.value = raw
	return nil
}

// find asks for the envelope by its hash. NOT_FOUND is never a proof: the
// lookup comes before the range of ledgers that the answer names.
func (s *Submitter) find(ctx context.Context, a *Attempt) (searchAnswer, error) {
	ctx, cancel := s.callContext(ctx)
	defer cancel()
	res, err := s.cfg.RPC.GetTransaction(ctx, protocol.GetTransactionRequest{Hash: a.Hash})
	if err != nil {
		return searchAnswer{}, err
	}
	if res.Status != protocol.TransactionStatusSuccess && res.Status != protocol.TransactionStatusFailed {
		return searchAnswer{trimmed: res.OldestLedger >= a.MaxLedger, latest: res.LatestLedger}, nil
	}
	f, _, err := s.read(&res.TransactionDetails)
	if err == nil && f.hash != a.Hash {
		err = errForged
	}
	if err != nil {
		s.log.ErrorContext(ctx, "answer not believed", "tx", a.Hash, "err", err)
		return searchAnswer{latest: res.LatestLedger}, nil //nolint:nilerr // a false answer is no answer
	}
	f.ours = true
	return searchAnswer{tx: f}, nil
}

const (
	pageSize = 100
	// maxPages bounds one scan; a full ledger of the public network is ten.
	maxPages = 400
)

// scan reads the transactions of ledgers from..to and returns the first that
// pick accepts. What it did not find is told only of a scan that came to its
// end: otherwise searchAnswer.latest stays zero.
func (s *Submitter) scan(ctx context.Context, from, to uint32, pick func(*foundTx, *xdr.Transaction) bool) (searchAnswer, error) {
	req := protocol.GetTransactionsRequest{
		StartLedger: from, Pagination: &protocol.LedgerPaginationOptions{Limit: pageSize},
	}
	var out searchAnswer
	for range maxPages {
		res, err := s.transactions(ctx, req)
		if err != nil {
			return out, err
		}
		out.trimmed, out.latest = out.trimmed || res.OldestLedger > from, res.LatestLedger
		for i := range res.Transactions {
			d := &res.Transactions[i].TransactionDetails
			if d.Ledger > to {
				return out, nil
			}
			f, tx, err := s.read(d)
			if err == nil && pick(f, tx) {
				out.tx = f
				return out, nil
			}
		}
		if len(res.Transactions) == 0 || res.Cursor == "" || res.LatestLedger < from {
			return out, nil
		}
		req = protocol.GetTransactionsRequest{
			Pagination: &protocol.LedgerPaginationOptions{Cursor: res.Cursor, Limit: pageSize},
		}
	}
	out.latest = 0
	return out, nil
}

func (s *Submitter) transactions(ctx context.Context, req protocol.GetTransactionsRequest) (protocol.GetTransactionsResponse, error) {
	ctx, cancel := s.callContext(ctx)
	defer cancel()
	return s.cfg.RPC.GetTransactions(ctx, req)
}

// retained asks for the range of ledgers whose transactions the server knows.
func (s *Submitter) retained(ctx context.Context, hash string) (oldest, latest uint32, err error) {
	ctx, cancel := s.callContext(ctx)
	defer cancel()
	res, err := s.cfg.RPC.GetTransaction(ctx, protocol.GetTransactionRequest{Hash: cmp.Or(hash, noHash)})
	return res.OldestLedger, res.LatestLedger, err
}

// noHash is asked for where only the rest of the answer is of interest.
const noHash = "0000000000000000000000000000000000000000000000000000000000000000"

// scanFor is scan with the server's refusal of the range turned into an
// answer: servers refuse with an error that they word freely. Which ledgers
// are kept is asked by itself, perhaps of another server, so that it tells
// what is not kept, and nothing about the scan: the server that refused it may
// not have got there yet.
func (s *Submitter) scanFor(ctx context.Context, hash string, from, to uint32, pick func(*foundTx, *xdr.Transaction) bool) (searchAnswer, error) {
	res, err := s.scan(ctx, from, to, pick)
	if _, refused := errors.AsType[*RPCError](err); refused {
		oldest, latest, err := s.retained(ctx, hash)
		if err != nil || oldest <= from {
			return searchAnswer{}, err
		}
		return searchAnswer{trimmed: true, latest: latest}, nil
	}
	return res, err
}

// scanSequence looks for the transaction that consumed the attempt's sequence
// number: in usedAt if that is known, else anywhere up to latest. After a
// backup was restored it can be an envelope that we have forgotten, applied
// when this one had long expired.
func (s *Submitter) scanSequence(ctx context.Context, a *Attempt, usedAt, latest uint32) (searchAnswer, error) {
	from, to := usedAt, usedAt
	if usedAt == 0 {
		from, to = a.Ledger, latest
	}
	return s.scanFor(ctx, a.Hash, from, to, func(f *foundTx, tx *xdr.Transaction) bool {
		source := tx.SourceAccount.ToAccountId()
		if source.Address() != a.Channel || int64(tx.SeqNum) != a.Sequence {
			return false
		}
		f.ours = f.hash == a.Hash
		return true
	})
}

// guard names a nonce of an account.
type guard struct {
	address string
	nonce   int64
	hash    string // of the envelope in question, if there is one
}

// scanNonce looks in one ledger for the transaction that succeeded with the
// nonce.
func (s *Submitter) scanNonce(ctx context.Context, g guard, ledger uint32) (searchAnswer, error) {
	return s.scanFor(ctx, g.hash, ledger, ledger, func(f *foundTx, tx *xdr.Transaction) bool {
		if !f.success || f.call == nil {
			return false
		}
		for i := range invokeOp(tx).Auth {
			entry := &invokeOp(tx).Auth[i]
			cred := credentials(entry)
			if cred == nil || int64(cred.Nonce) != g.nonce {
				continue
			}
			if who, err := cred.Address.String(); err != nil || who != g.address {
				continue
			}
			f.authorized = entry.RootInvocation.Function.ContractFn
			f.ours = f.hash == g.hash
			if f.authorized != nil && !sameCall(*f.call, *f.authorized) {
				f.value = nil // the value of another contract's function
			}
			return true
		}
		return false
	})
}
