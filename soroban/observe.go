package soroban

import (
	"context"
	"encoding/base64"
	"errors"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// Words of sendTransaction.
const (
	statusError = "ERROR"
)

// errStopped ends what is under way when the Submitter is stopped.
var errStopped = errors.New("soroban: the submitter is stopped")

// halted returns why work must stop, if so.
func (s *Submitter) halted(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-s.stopped:
		return errStopped
	default:
		return nil
	}
}

// follow carries out the actions that next decides on, until there is a
// verdict. c is the channel to keep meanwhile, if it is ours.
func (s *Submitter) follow(ctx context.Context, op *onceward.Operation, a *Attempt, c *channel, st progress, act action) (progress, error) {
	account, err := accountKey(a.Channel)
	if err != nil {
		return st, err
	}
	var guardKey string
	if a.guarded() {
		if guardKey, err = nonceKey(a.Authorizer, a.Nonce); err != nil {
			return st, err
		}
	}
	for act != actStop {
		if err := s.halted(ctx); err != nil {
			return st, err
		}
		var obs observation
		switch act {
		case actWait:
			s.pause(ctx, s.cfg.PollInterval)
			s.keep(ctx, c)
			act = actLook
			continue
		case actLook:
			if v, err := s.look(ctx, account, guardKey); s.noted(ctx, a, "looking", err) {
				obs.view = &v
			}
		case actSend:
			answer := s.send(ctx, a)
			obs.send = &answer
		case actBump:
			if obs.bumped, err = s.bump(ctx, op, a, st.raise); err != nil {
				return st, err
			}
		default:
			if found, err := s.search(ctx, a, &st, act); s.noted(ctx, a, "searching", err) {
				obs.search = &found
			}
		}
		st, act = next(st, obs)
	}
	return st, nil
}

func (s *Submitter) search(ctx context.Context, a *Attempt, st *progress, act action) (searchAnswer, error) {
	switch act {
	case actScanSeq:
		return s.scanSequence(ctx, a, st.usedAt, st.ledger)
	case actScanNonce:
		return s.scanNonce(ctx, guard{address: a.Authorizer, nonce: a.Nonce, hash: a.Hash}, st.nonceAt)
	default:
		return s.find(ctx, a)
	}
}

// noted logs a call that failed. Failing teaches nothing.
func (s *Submitter) noted(ctx context.Context, a *Attempt, doing string, err error) bool {
	if err != nil {
		s.log.WarnContext(ctx, "the chain did not answer; asking again", "doing", doing, "tx", a.Hash, "err", err)
	}
	return err == nil
}

// send offers the stored bytes to the network, always the same ones for as
// long as no fee bump of them is stored.
func (s *Submitter) send(ctx context.Context, a *Attempt) sendAnswer {
	ctx, cancel := s.callContext(ctx)
	defer cancel()
	res, err := s.cfg.RPC.SendTransaction(ctx, protocol.SendTransactionRequest{
		Transaction: base64.StdEncoding.EncodeToString(a.current()),
	})
	if err != nil {
		s.log.WarnContext(ctx, "sending brought no answer; it may have arrived", "tx", a.Hash, "err", err)
		return sendAnswer{}
	}
	if res.Status != statusError {
		s.log.DebugContext(ctx, "sent", "tx", a.Hash, "attempt", a.Number, "status", res.Status)
		return sendAnswer{}
	}
	var result xdr.TransactionResult
	if err := xdr.SafeUnmarshalBase64(res.ErrorResultXDR, &result); err != nil {
		s.log.WarnContext(ctx, "refused for a reason that cannot be read", "tx", a.Hash, "err", err)
		return sendAnswer{}
	}
	s.log.WarnContext(ctx, "refused by this node", "tx", a.Hash, "attempt", a.Number, "code", result.Result.Code.String())
	answer := sendAnswer{kind: refusal(result.Result.Code)}
	if pair := result.Result.InnerResultPair; pair != nil { // what is wrong with the transaction in a fee bump
		answer.kind = refusal(pair.Result.Result.Code)
	}
	if answer.kind == sendUnderpriced {
		answer.needed = int64(result.FeeCharged)
	}
	return answer
}

// refusal classifies a node's refusal. None proves anything: the same bytes
// may have been applied already, or may be waiting at another node.
func refusal(code xdr.TransactionResultCode) sendKind {
	switch code {
	case xdr.TransactionResultCodeTxBadSeq:
		return sendBadSeq
	case xdr.TransactionResultCodeTxInsufficientFee:
		return sendUnderpriced
	case xdr.TransactionResultCodeTxTooLate, xdr.TransactionResultCodeTxMalformed,
		xdr.TransactionResultCodeTxMissingOperation, xdr.TransactionResultCodeTxBadAuth,
		xdr.TransactionResultCodeTxBadAuthExtra, xdr.TransactionResultCodeTxNotSupported,
		xdr.TransactionResultCodeTxSorobanInvalid, xdr.TransactionResultCodeTxFailed:
		return sendRefused
	default:
		return sendNothing
	}
}
