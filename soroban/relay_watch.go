package soroban

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"strconv"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// vigil follows a user's stored transaction to its end. Unlike a channel's,
// its sequence number may be consumed by anybody who has the account's keys.
type vigil struct {
	r    *Relay
	op   *onceward.Operation
	a    *Attempt
	kept relayed
	call xdr.InvokeContractArgs

	end      uint32 // first ledger in which it is not valid, as far as known
	ledger   uint32 // the latest that was seen
	sent     bool
	sentAt   uint32
	refused  bool // sending is pointless: only a proof can follow
	searches int  // that found nothing
	misses   int  // those that could have found it, since ledger missedAt
	missedAt uint32
	laggedAt uint32 // since when they only met servers that are behind; 0 is never
	behind   int    // views in a row from long ago
}

// watch asks and sends until there is a proof.
func (w *vigil) watch(ctx context.Context) (Result, error) {
	s := w.r.s
	account, err := accountKey(w.a.Channel)
	if err != nil {
		return Result{}, err
	}
	for {
		if err := s.halted(ctx); err != nil {
			return Result{}, err
		}
		if v, err := s.look(ctx, account, ""); s.noted(ctx, w.a, "looking", err) {
			tx, err := w.step(ctx, v)
			if err != nil {
				return Result{}, err
			}
			if tx != nil {
				return w.r.finish(ctx, w.op, w.call, tx)
			}
		}
		s.pause(ctx, s.cfg.PollInterval)
	}
}

// step takes one view of the account in. It returns the transaction once that
// is found, and an error once a proof, or doubt, ends the vigil.
func (w *vigil) step(ctx context.Context, v ledgerView) (*foundTx, error) {
	if v.ledger+resetLedgers < w.ledger {
		if w.behind++; w.behind < resetViews {
			return nil, nil
		}
		return nil, w.doubt("the chain is at ledger %d, after ledger %d was seen: the network was reset, or the server is far behind", v.ledger, w.ledger)
	}
	w.behind, w.ledger = 0, max(w.ledger, v.ledger)
	if v.used(w.a.Sequence) {
		return w.consumed(ctx, v)
	}
	// Time bounds become a ledger bound in the first ledger that is found to
	// have closed after them: close times only grow.
	tx, now, err := w.r.ask(ctx, w.a)
	if !w.r.s.noted(ctx, w.a, "asking", err) || tx != nil {
		return tx, nil
	}
	if w.kept.MaxTime != 0 && now.closed > 0 && uint64(now.closed) > w.kept.MaxTime {
		w.end = min(w.end, now.ledger)
	}
	switch {
	case v.never(w.a.Sequence, w.end):
		return nil, w.prove(ctx, Proof{Kind: ProofExpired, Sequence: v.seq, Ledger: v.ledger})
	case !v.account:
		return nil, w.missed("the account does not exist", false)
	case !w.refused && v.ledger < w.end-1 && (!w.sent || v.ledger >= w.sentAt+resendAfter):
		w.sent, w.sentAt = true, v.ledger
		w.send(ctx)
	}
	return nil, nil
}

// consumed finds out what has consumed the sequence number. Only a transaction
// that is found decides.
func (w *vigil) consumed(ctx context.Context, v ledgerView) (*foundTx, error) {
	s := w.r.s
	tx, now, err := w.r.ask(ctx, w.a)
	if !s.noted(ctx, w.a, "asking", err) || tx != nil {
		return tx, nil
	}
	usedAt := uint32(0)
	if v.seq == w.a.Sequence {
		usedAt = v.seqLedger
	}
	behind := now.ledger < cmp.Or(usedAt, v.ledger)
	if w.searches++; w.searches%scanAfter == 0 {
		res, err := s.scanSequence(ctx, w.a, usedAt, v.ledger)
		switch {
		case !s.noted(ctx, w.a, "searching", err):
			return nil, nil
		case res.tx != nil && res.tx.ours:
			return res.tx, nil
		case res.tx != nil:
			return nil, w.prove(ctx, Proof{Kind: ProofSuperseded, Sequence: v.seq, Ledger: v.ledger, By: res.tx.hash})
		}
		behind = res.latest < cmp.Or(usedAt, v.ledger)
	}
	return nil, w.missed(fmt.Sprintf("sequence number %d was consumed, but neither this transaction nor another is found; "+
		"the server's history may be too short, or another account's transaction moved the sequence", w.a.Sequence), behind)
}

// missed gives up after many fruitless searches and many ledgers. A server
// that is behind the ledger in question cannot know.
func (w *vigil) missed(what string, behind bool) error {
	if behind {
		w.laggedAt = cmp.Or(w.laggedAt, w.ledger)
		if w.ledger < w.laggedAt+patienceLag {
			return nil
		}
		return w.doubt("%s, as of ledger %d", what, w.ledger)
	}
	if w.laggedAt = 0; w.misses == 0 {
		w.missedAt = w.ledger
	}
	if w.misses++; w.misses < patienceMisses || w.ledger < w.missedAt+patienceLedgers {
		return nil
	}
	return w.doubt("%s, as of ledger %d", what, w.ledger)
}

func (w *vigil) doubt(format string, args ...any) error {
	return &UnknownError{Reason: fmt.Sprintf("user's transaction %s (account %s, sequence number %d): ", w.a.Hash, w.a.Channel, w.a.Sequence) +
		fmt.Sprintf(format, args...)}
}

// prove stores why the transaction is never applied, and ends the operation.
func (w *vigil) prove(ctx context.Context, p Proof) error {
	if err := w.r.s.checkpoint(ctx, w.op, proofPrefix+strconv.Itoa(w.a.Number), p); err != nil {
		return err
	}
	return lapsed(w.a, p)
}

// send offers the stored bytes, always the same ones. No answer proves
// anything; some say that asking again is pointless.
func (w *vigil) send(ctx context.Context) {
	s := w.r.s
	bytes := w.kept.Send
	if len(bytes) == 0 {
		bytes = w.a.Envelope
	}
	ctx, cancel := s.callContext(ctx)
	defer cancel()
	res, err := s.cfg.RPC.SendTransaction(ctx, protocol.SendTransactionRequest{
		Transaction: base64.StdEncoding.EncodeToString(bytes),
	})
	if err != nil || res.Status != statusError {
		s.log.DebugContext(ctx, "sent", "tx", w.a.Hash, "status", res.Status, "err", err)
		return
	}
	var result xdr.TransactionResult
	if err := xdr.SafeUnmarshalBase64(res.ErrorResultXDR, &result); err != nil {
		return
	}
	code := result.Result.Code
	if pair := result.Result.InnerResultPair; pair != nil {
		code = pair.Result.Result.Code
	}
	s.log.WarnContext(ctx, "refused by this node", "tx", w.a.Hash, "code", code.String())
	switch code {
	case xdr.TransactionResultCodeTxTooLate, xdr.TransactionResultCodeTxMalformed, xdr.TransactionResultCodeTxBadAuth,
		xdr.TransactionResultCodeTxBadAuthExtra, xdr.TransactionResultCodeTxNotSupported, xdr.TransactionResultCodeTxSorobanInvalid:
		w.refused = true
	default:
	}
}
