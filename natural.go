package onceward

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
)

// NaturalKey is a Key derived from the business operation itself, such as a
// vote's proposal: two requests with equal scope, kind and parts are one
// operation, whatever keys their clients chose. Its Value contains spaces,
// which the key of a request header cannot, so that no client can forge it.
func NaturalKey(scope, kind string, parts ...string) Key {
	h := sha256.New()
	for _, p := range parts { // length first: ("a","bc") is not ("ab","c")
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(p)))) // a hash never fails
		_, _ = h.Write([]byte(p))
	}
	return Key{Scope: scope, Value: "natural " + kind + " " + hex.EncodeToString(h.Sum(nil))}
}

// DoNatural is Do for an operation that has two names: the client's own key,
// in req, and a natural one. The operation belongs to the natural key and
// runs under it, with req's policy and kind. The client's key is recorded
// around it and points to the same answer, so that
//
//   - two client keys with one natural key are one operation, and the second
//     gets the first one's answer;
//   - a client key that comes back replays, also when it could not name the
//     natural key any more, and is refused with another fingerprint.
//
// The client's key is kept only together with an answer of the natural one;
// in every other case (in progress, held, released) it is free again. With an
// empty req.Key.Value only the natural key is used.
func (e *Engine) DoNatural(ctx context.Context, req Request, natural Key, h Handler) (Outcome, error) {
	inner := req
	inner.Key = natural
	if req.Key.Value == "" {
		return e.Do(ctx, inner, h)
	}
	inner.nested = true
	began := e.cfg.Now()
	var got Outcome
	var gotErr error
	ran, kept := false, false
	// Running the outer operation again only asks the inner one again.
	req.Policy, req.InTx = Rerun, false
	req.Final = func(*Response) bool { return kept }
	out, err := e.Do(ctx, req, func(context.Context, *Operation) (Response, error) {
		ran, kept = true, false
		inner.Wait = max(0, req.Wait-e.cfg.Now().Sub(began))
		// Under the caller's context: the inner operation looks after itself,
		// and a caller that goes away need not wait.
		got, gotErr = e.Do(ctx, inner, h)
		if rec := tombstoneOf(gotErr); rec != nil {
			kept = true
			return Response{Status: rec.Response.Status, Tombstone: true}, nil
		}
		if gotErr != nil {
			return Response{}, errInner
		}
		kept = got.Kept
		return got.Response, nil
	})
	if !ran {
		return out, err
	}
	// The answer is the inner operation's. That the client's key may not have
	// been recorded with it is in the log, and harmless.
	return got, gotErr
}

// errInner hides the inner operation's error from the outer one, which would
// wait for an answer in progress as if it were its own.
var errInner = errors.New("onceward: the natural key has no final answer")

// tombstoneOf returns the completed record whose answer err says is gone.
func tombstoneOf(err error) *Record {
	if e, ok := errors.AsType[*Error](err); ok && e.Code == CodeResponseUnavailable && e.Record != nil && e.Record.Response != nil {
		return e.Record
	}
	return nil
}
