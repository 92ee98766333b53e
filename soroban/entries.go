package soroban

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// maxKeys is how many entries one getLedgerEntries may name.
const maxKeys = 200

// reader joins the questions of concurrent operations: whatever is asked while
// one call is on its way goes into the next, so that the number of calls does
// not grow with the number of operations. The keys of one question always go
// into one call, because a proof needs them from one ledger.
type reader struct {
	rpc     Ledgers
	timeout time.Duration

	mu      sync.Mutex
	waiting []*question
	running bool
}

type question struct {
	keys []string
	done chan struct{}
	res  *protocol.GetLedgerEntriesResponse
	err  error
}

// read returns the entries of keys and the ledger they are from.
func (r *reader) read(ctx context.Context, keys ...string) (map[string]*protocol.LedgerEntryResult, uint32, error) {
	q := &question{keys: keys, done: make(chan struct{})}
	r.mu.Lock()
	r.waiting = append(r.waiting, q)
	if !r.running {
		r.running = true
		go r.serve(context.WithoutCancel(ctx))
	}
	r.mu.Unlock()
	select {
	case <-q.done:
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	}
	if q.err != nil {
		return nil, 0, q.err
	}
	out := make(map[string]*protocol.LedgerEntryResult, len(keys))
	for i := range q.res.Entries {
		out[q.res.Entries[i].KeyXDR] = &q.res.Entries[i]
	}
	return out, q.res.LatestLedger, nil
}

// serve asks until nobody waits.
func (r *reader) serve(ctx context.Context) {
	for {
		batch, keys := r.take()
		if batch == nil {
			return
		}
		res, err := r.ask(ctx, keys)
		for _, q := range batch {
			q.res, q.err = res, err
			close(q.done)
		}
	}
}

func (r *reader) take() (batch []*question, keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := make(map[string]bool)
	for len(r.waiting) > 0 {
		q := r.waiting[0]
		if len(keys)+len(q.keys) > maxKeys && batch != nil {
			break
		}
		for _, k := range q.keys {
			if !seen[k] {
				seen[k] = true
				keys = append(keys, k)
			}
		}
		batch, r.waiting = append(batch, q), r.waiting[1:]
	}
	r.running = batch != nil
	return batch, keys
}

func (r *reader) ask(ctx context.Context, keys []string) (*protocol.GetLedgerEntriesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	res, err := r.rpc.GetLedgerEntries(ctx, protocol.GetLedgerEntriesRequest{Keys: keys})
	return &res, err
}

// look observes one channel account and, unless guardKey is empty, one nonce.
func (s *Submitter) look(ctx context.Context, account, guardKey string) (ledgerView, error) {
	keys := []string{account}
	if guardKey != "" {
		keys = append(keys, guardKey)
	}
	found, ledger, err := s.reader.read(ctx, keys...)
	if err != nil {
		return ledgerView{}, err
	}
	for old := s.seen.Load(); ledger > old && !s.seen.CompareAndSwap(old, ledger); old = s.seen.Load() {
	}
	v := ledgerView{ledger: ledger}
	if e := found[account]; e != nil {
		if err := v.readAccount(e); err != nil {
			return ledgerView{}, err
		}
	}
	// A server may still hand out a temporary entry that has ended.
	if e := found[guardKey]; e != nil && (e.LiveUntilLedgerSeq == nil || *e.LiveUntilLedgerSeq >= ledger) {
		v.nonce, v.nonceLedger = true, e.LastModifiedLedger
	}
	return v, nil
}

func (v *ledgerView) readAccount(e *protocol.LedgerEntryResult) error {
	var data xdr.LedgerEntryData
	if err := xdr.SafeUnmarshalBase64(e.DataXDR, &data); err != nil {
		return fmt.Errorf("soroban: decoding an account entry: %w", err)
	}
	if data.Account == nil {
		return errors.New("soroban: the server answered something else for an account")
	}
	v.account, v.seq, v.balance = true, int64(data.Account.SeqNum), int64(data.Account.Balance)
	if v1 := data.Account.Ext.V1; v1 != nil && v1.Ext.V2 != nil && v1.Ext.V2.Ext.V3 != nil {
		v.seqLedger = uint32(v1.Ext.V2.Ext.V3.SeqLedger)
	}
	return nil
}
