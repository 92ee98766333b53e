package soroban

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// RequestID says how a contract guards itself against doing something twice:
// it takes a request id, BytesN<32>, and refuses one that it has seen. The id
// is derived from the key, so every installation that shares
// Config.NonceSecret sends the same one.
//
// The contract's refusal is then no failure: the transaction that used the id
// is looked for, first among the contract's events that carry the id as one of
// their topics, then among the newest transactions, and the operation succeeds
// by that transaction. When it is not found, the operation is held.
type RequestID struct {
	// Arg is the position of the parameter, from 0; Invocation.Args holds the
	// others.
	Arg int `json:"arg"`
	// Executed are the contract's error numbers for an id that it has seen.
	Executed []uint32 `json:"executed,omitempty"`
}

// insert puts the id into the arguments.
func (r *RequestID) insert(args []xdr.ScVal, id [32]byte) ([]xdr.ScVal, error) {
	if r == nil {
		return args, nil
	}
	if r.Arg < 0 || r.Arg > len(args) {
		return nil, fmt.Errorf("soroban: RequestID.Arg is %d; with %d other arguments it is 0 to %d", r.Arg, len(args), len(args))
	}
	raw := xdr.ScBytes(id[:])
	return slices.Insert(slices.Clone(args), r.Arg, xdr.ScVal{Type: xdr.ScValTypeScvBytes, Bytes: &raw}), nil
}

// RequestID is the request id of a key: HMAC-SHA256 with Config.NonceSecret
// over length-prefixed scope and value.
func (s *Submitter) RequestID(key onceward.Key) [32]byte {
	mac := hmac.New(sha256.New, s.cfg.NonceSecret)
	mac.Write([]byte("onceward request id 1\x00"))
	mac.Write(keyBytes(key))
	return [32]byte(mac.Sum(nil))
}

// executed reports whether a refusal is the contract's word for a request id
// that it has seen.
func (p *plan) executed(code uint32, hasCode bool) bool {
	return p.requestID != nil && hasCode && slices.Contains(p.requestID.Executed, code)
}

// failed ends an operation whose transaction failed on the ledger. If that was
// the contract's refusal to do it twice, it has been done. Not every server
// tells why a transaction failed, so then the other one is looked for as well.
func (s *Submitter) failed(ctx context.Context, op *onceward.Operation, p *plan, tx *foundTx) error {
	if p.executed(tx.code, tx.hasCode) {
		refused := &RejectedError{Code: tx.code, HasCode: true, Message: "transaction " + tx.hash + " failed"}
		return s.reconcileExecuted(ctx, op, p, refused)
	}
	if p.requestID != nil && len(p.requestID.Executed) > 0 && !tx.hasCode {
		other, err := s.lookForExecuted(ctx, op, p)
		if err != nil {
			return err
		}
		if other != nil && sameCall(*other.call, p.call) {
			return s.finish(ctx, op, p, other)
		}
	}
	return s.finish(ctx, op, p, tx)
}

// reconcileExecuted ends an operation that, says its contract, was executed
// before: by the transaction that did it.
func (s *Submitter) reconcileExecuted(ctx context.Context, op *onceward.Operation, p *plan, refused *RejectedError) error {
	tx, err := s.lookForExecuted(ctx, op, p)
	switch {
	case err != nil:
		return err
	case tx == nil:
		return &UnknownError{Reason: fmt.Sprintf("the contract says that request id %x was executed (error #%d), but the "+
			"transaction that did it is not in the server's history: %s", p.requestBytes(), refused.Code, refused.Message)}
	case !sameCall(*tx.call, p.call):
		return &onceward.Error{Code: onceward.CodeKeyReused, Err: errors.New(
			"soroban: transaction " + tx.hash + " made another call with this key's request id")}
	}
	s.log.InfoContext(ctx, "executed before, says the contract", "operation", op.ID(), "tx", tx.hash, "ledger", tx.ledger)
	return s.finish(ctx, op, p, tx)
}

// executedTries is how often the transaction that used a request id is looked
// for: the history may be behind the state.
const executedTries = 8

func (s *Submitter) lookForExecuted(ctx context.Context, op *onceward.Operation, p *plan) (*foundTx, error) {
	for try := 0; ; {
		tx, err := s.findExecuted(ctx, p)
		if err == nil {
			try++
		} else {
			s.log.WarnContext(ctx, "the chain did not answer; asking again", "doing", "looking for a request id", "operation", op.ID(), "err", err)
		}
		if tx != nil || try == executedTries {
			return tx, nil
		}
		s.pause(ctx, s.cfg.PollInterval)
		if err := s.halted(ctx); err != nil {
			return nil, err
		}
	}
}

// requestBytes is the request id among the call's arguments.
func (p *plan) requestBytes() []byte { return argBytes(&p.call, p.requestID.Arg) }

func argBytes(call *xdr.InvokeContractArgs, at int) []byte {
	if call == nil || at >= len(call.Args) || call.Args[at].Bytes == nil {
		return nil
	}
	return *call.Args[at].Bytes
}

// used reports whether f is a successful direct call of the plan's contract
// with its request id.
func (p *plan) used(f *foundTx) bool {
	return f.success && f.call != nil && f.call.ContractAddress.Equals(p.call.ContractAddress) &&
		bytes.Equal(argBytes(f.call, p.requestID.Arg), p.requestBytes())
}

// findExecuted looks for the transaction that used the plan's request id.
func (s *Submitter) findExecuted(ctx context.Context, p *plan) (*foundTx, error) {
	oldest, latest, err := s.retained(ctx, "")
	if err != nil {
		return nil, err
	}
	if events, ok := s.cfg.RPC.(Events); ok {
		tx, err := s.findByEvents(ctx, events, p, oldest, latest)
		if _, refused := errors.AsType[*RPCError](err); tx != nil || err != nil && !refused {
			return tx, err
		}
	}
	from := max(oldest, latest-min(latest, executedScan))
	found, err := s.scanFor(ctx, "", from, latest, func(f *foundTx, _ *xdr.Transaction) bool { return p.used(f) })
	return found.tx, err
}

const (
	// executedScan is how many of the newest ledgers are read in full for a
	// contract that publishes no event.
	executedScan = 720
	// maxEventPages bounds one search; a server looks through thousands of
	// ledgers a page.
	maxEventPages = 200
	eventPage     = 100
)

// findByEvents looks for an event of the contract that has the request id for
// a topic.
func (s *Submitter) findByEvents(ctx context.Context, rpc Events, p *plan, from, to uint32) (*foundTx, error) {
	filter, err := p.eventFilter()
	if err != nil {
		return nil, err
	}
	req := protocol.GetEventsRequest{
		StartLedger: from, Filters: []protocol.EventFilter{filter}, Pagination: &protocol.PaginationOptions{Limit: eventPage},
	}
	for range maxEventPages {
		res, err := s.events(ctx, rpc, req)
		if err != nil {
			return nil, err
		}
		for i := range res.Events {
			found, err := s.find(ctx, &Attempt{Hash: res.Events[i].TransactionHash})
			if err != nil {
				return nil, err
			}
			if found.tx != nil && p.used(found.tx) {
				found.tx.ours = false
				return found.tx, nil
			}
		}
		at, err := protocol.ParseCursor(res.Cursor)
		if err != nil || at.Ledger >= to {
			return nil, nil
		}
		req.StartLedger = 0
		req.Pagination = &protocol.PaginationOptions{Cursor: &at, Limit: eventPage}
	}
	return nil, nil
}

func (s *Submitter) events(ctx context.Context, rpc Events, req protocol.GetEventsRequest) (protocol.GetEventsResponse, error) {
	ctx, cancel := s.callContext(ctx)
	defer cancel()
	return rpc.GetEvents(ctx, req)
}

// eventFilter selects the contract's events with the request id for the
// first, second, third or fourth topic, whatever follows.
func (p *plan) eventFilter() (protocol.EventFilter, error) {
	out := protocol.EventFilter{ContractIDs: []string{contractAddress(p.call)}}
	any1, rest := protocol.WildCardExactOne, protocol.WildCardZeroOrMore
	id := &p.call.Args[p.requestID.Arg]
	for before := range protocol.MaxTopicCount {
		var topics protocol.TopicFilter
		for range before {
			topics = append(topics, protocol.SegmentFilter{Wildcard: &any1})
		}
		topics = append(topics, protocol.SegmentFilter{ScVal: id})
		if before+1 < protocol.MaxTopicCount {
			topics = append(topics, protocol.SegmentFilter{Wildcard: &rest})
		}
		out.Topics = append(out.Topics, topics)
	}
	return out, nil
}
