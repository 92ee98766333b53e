package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// applied is a transaction that a ledger contains.
type applied struct {
	hash, channel string
	sequence      int64
	ledger        uint32
	success       bool
	function      string
	about         string // its effect, see effectOf
}

// ledgers is all that the chain contains.
type ledgers struct {
	byHash map[string]*applied
	bySlot map[string]*applied // channel and sequence
}

func slot(channel string, sequence int64) string { return fmt.Sprintf("%s %d", channel, sequence) }

// readLedgers reads the chain from its beginning, as a client would.
func readLedgers(ctx context.Context, chain *devchain.Chain) (*ledgers, error) {
	srv := httptest.NewServer(chain.Handler())
	defer srv.Close()
	client, err := soroban.NewClient(soroban.ClientConfig{}, srv.URL)
	if err != nil {
		return nil, err
	}
	out := &ledgers{byHash: make(map[string]*applied), bySlot: make(map[string]*applied)}
	req := protocol.GetTransactionsRequest{StartLedger: 2, Pagination: &protocol.LedgerPaginationOptions{Limit: 200}}
	for {
		page, err := client.GetTransactions(ctx, req)
		if err != nil {
			return nil, err
		}
		for i := range page.Transactions {
			if err := out.add(&page.Transactions[i], chain.Passphrase()); err != nil {
				return nil, err
			}
		}
		if len(page.Transactions) < 200 {
			return out, nil
		}
		req = protocol.GetTransactionsRequest{Pagination: &protocol.LedgerPaginationOptions{Cursor: page.Cursor, Limit: 200}}
	}
}

func (l *ledgers) add(info *protocol.TransactionInfo, passphrase string) error {
	var env xdr.TransactionEnvelope
	if err := xdr.SafeUnmarshalBase64(info.EnvelopeXDR, &env); err != nil {
		return err
	}
	if env.FeeBump != nil {
		env = xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: env.FeeBump.Tx.InnerTx.V1}
	}
	hash, err := network.HashTransactionInEnvelope(env, passphrase)
	if err != nil {
		return err
	}
	source := env.SourceAccount().ToAccountId()
	tx := &applied{
		hash: hex.EncodeToString(hash[:]), channel: source.Address(), sequence: env.SeqNum(),
		ledger: info.Ledger, success: info.Status == protocol.TransactionStatusSuccess,
	}
	l.byHash[tx.hash], l.bySlot[slot(tx.channel, tx.sequence)] = tx, tx
	if len(env.Operations()) != 1 || env.Operations()[0].Body.InvokeHostFunctionOp == nil {
		return nil
	}
	call := env.Operations()[0].Body.InvokeHostFunctionOp.HostFunction.InvokeContract
	if call == nil || len(call.Args) == 0 || call.Args[0].Address == nil {
		return nil
	}
	tx.function = string(call.FunctionName)
	account, err := call.Args[0].Address.String()
	tx.about = effectOf(account, 0)
	if len(call.Args) > 1 && call.Args[1].U64 != nil {
		tx.about = effectOf(account, uint64(*call.Args[1].U64))
	}
	return err
}

// judge compares the ledgers, the records and what the clients saw.
func (c *campaign) judge(ctx context.Context, rep *report) error {
	chain, err := readLedgers(ctx, c.chain)
	if err != nil {
		return fmt.Errorf("reading the ledgers: %w", err)
	}
	records := 0
	err = c.sends.each(ctx, func(rec onceward.Record) {
		if !strings.HasPrefix(rec.Key.Scope, onceward.ReservedScope) {
			records++
			c.judgeRecord(chain, rec)
		}
	})
	if err != nil {
		return fmt.Errorf("reading the records: %w", err)
	}
	c.judgeEffects(chain, rep)
	c.judgeChannels(chain)
	c.judgeRestores(chain)
	c.checks.add("11", c.faults.sum("SIGKILL"))
	c.sends.mu.Lock()
	defer c.sends.mu.Unlock()
	rep.violations = slices.Concat(c.history.violations, c.sends.lost)
	slices.SortStableFunc(rep.violations, func(a, b violation) int { return cmp.Compare(a.invariant, b.invariant) })
	rep.faults, rep.statuses, rep.reasons = c.faults.by, c.history.statuses, c.history.reasons
	rep.checks, rep.hits = c.checks.by, c.crashes.hits
	rep.records, rep.transactions, rep.sends, rep.envelopes, rep.bumps = records, len(chain.byHash), c.sends.count, len(c.sends.first), c.sends.bumps
	rep.relayed, rep.messages = c.sends.relayed, len(c.inbox.messages)
	rep.ledgers = c.ledgerAt.end - c.ledgerAt.start
	return nil
}

// judgeEffects counts what happened for each operation. Invariants 1 and 7.
func (c *campaign) judgeEffects(chain *ledgers, rep *report) {
	happened := make(map[string][]*applied)
	for _, tx := range chain.byHash {
		if tx.success && tx.about != "" {
			happened[tx.about] = append(happened[tx.about], tx)
		}
	}
	for _, s := range c.history.all() {
		rep.operations++
		did := happened[s.op.effect]
		delete(happened, s.op.effect)
		c.judgeEffect(s, did)
		switch {
		case s.answer != "":
		case s.held:
			rep.held++
		case s.refused != "":
			rep.refused++
		}
		rep.happened += min(len(did), 1)
		if len(did) == 1 && did[0].ledger <= c.ledgerAt.end {
			rep.underAttack++
		}
	}
	for to, txs := range happened {
		c.history.violate(1, "nobody asked for %s to %s", hashes(txs), to)
	}
}

// judgeEffect holds what happened for one operation against what was said of it.
func (c *campaign) judgeEffect(s *seen, did []*applied) {
	n := len(did)
	for _, invariant := range []string{"1", "5", "6", "7"} {
		c.checks.add(invariant, 1)
	}
	switch {
	case n > 1:
		c.history.violate(1, "operation %d (%s) happened %d times: %s", s.op.index, s.op.kind, n, hashes(did))
	case n == 0 && s.answer != "":
		c.history.violate(5, "operation %d was answered %s and did not happen", s.op.index, s.answer)
	case n == 1 && s.answer != "" && !strings.Contains(s.answer, did[0].hash):
		c.history.violate(5, "operation %d was answered %s and happened by %s", s.op.index, s.answer, hashes(did))
	case n == 1 && s.answer == "" && s.refused != "" && !c.forgotten(s):
		c.history.violate(9, "operation %d (%s) was refused with %s and happened by %s", s.op.index, s.op.kind, s.refused, hashes(did))
	case n == 1 && s.answer == "" && s.refused == "" && !s.held:
		c.history.violate(7, "operation %d happened and has no answer", s.op.index)
	}
}

// forgotten reports whether a refusal can be owed to a database that has lost
// the operation: the chain remembers an authorization until it ends, and no
// longer.
func (c *campaign) forgotten(s *seen) bool {
	return s.op.kind == kindAuthorization && s.refused == relayExpired && s.refusedIn > s.began
}

func hashes(txs []*applied) string {
	var out []string
	for _, tx := range txs {
		out = append(out, fmt.Sprintf("%s in ledger %d", tx.hash, tx.ledger))
	}
	return strings.Join(out, ", ")
}

// judgeRecord holds one record against the chain. Invariants 4, 5, 6 and 9.
func (c *campaign) judgeRecord(chain *ledgers, rec onceward.Record) {
	t, err := soroban.ReadTrail(rec)
	if err != nil {
		c.history.violate(4, "operation %v: %v", rec.Key.ID(), err)
		return
	}
	for _, a := range t.Attempts {
		tx, proof := chain.byHash[a.Hash], t.Proofs[a.Number]
		c.countProof(proof)
		switch {
		case proof.Kind == soroban.ProofExpired && tx != nil:
			c.history.violate(9, "%s was declared expired as of ledger %d and was applied in ledger %d (success: %v)",
				a.Hash, proof.Ledger, tx.ledger, tx.success)
		case proof.Kind == soroban.ProofSuperseded && (tx != nil || chain.byHash[proof.By] == nil):
			c.history.violate(4, "%s was declared superseded by %q, which is not so", a.Hash, proof.By)
		}
	}
	if rec.Status == onceward.StatusHeld {
		c.history.hold(rec.Reason)
	}
	if t.Result == nil {
		return
	}
	if rec.Status != onceward.StatusCompleted {
		c.history.violate(6, "operation %v has an outcome and is %s", rec.Key.ID(), rec.Status)
	}
	c.inbox.judge(rec.Key.ID().String(), t.Result.TxHash)
	tx := chain.byHash[t.Result.TxHash]
	if tx == nil || tx.success != (t.Result.Status == soroban.Succeeded) {
		c.history.violate(5, "operation %v is %s by %q, and the chain says %+v", rec.Key.ID(), t.Result.Status, t.Result.TxHash, tx)
	}
	var body struct {
		TxHash string `json:"tx_hash"`
	}
	if rec.Response == nil || json.Unmarshal(rec.Response.Body, &body) != nil || body.TxHash != t.Result.TxHash ||
		rec.Response.Status == http.StatusOK != (t.Result.Status == soroban.Succeeded) {
		c.history.violate(5, "operation %v ended as %+v, and its answer is another", rec.Key.ID(), t.Result)
	}
}
