package soroban

import (
	"context"
	"errors"
	"fmt"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// errArchived means that the call needs entries that have been archived, and
// that the server wants them restored by a transaction of its own.
var errArchived = errors.New("soroban: the call needs archived entries")

// buildRestore makes the attempt that restores what the draft's simulation
// found archived. It carries the call, so that recovery can go on with that.
func (s *Submitter) buildRestore(ctx context.Context, d *draft) (*Attempt, error) {
	maxLedger := s.freshest(d) + s.cfg.LedgerWindow
	tx, err := s.bare(d, xdr.OperationBody{
		Type: xdr.OperationTypeRestoreFootprint, RestoreFootprintOp: &xdr.RestoreFootprintOp{},
	})
	if err != nil {
		return nil, err
	}
	p := d.sim.RestorePreamble
	if err := s.equip(tx, p.TransactionDataXDR, p.MinResourceFee, maxLedger); err != nil {
		return nil, err
	}
	if fp := tx.Ext.SorobanData.Resources.Footprint; len(fp.ReadOnly) > 0 || len(fp.ReadWrite) == 0 {
		return nil, &UnavailableError{Reason: "the server's proposal for restoring archived entries names none, or others too"}
	}
	a, err := s.sign(ctx, d, tx, maxLedger)
	if err != nil {
		return nil, err
	}
	a.Kind = KindRestore
	if a.Call, err = d.plan.call.MarshalBinary(); err != nil {
		return nil, fmt.Errorf("soroban: encoding the call: %w", err)
	}
	return a, nil
}

// settled is the proof that a restoration needs no more attention. Whatever
// it did may be done again, so only a life that it may still have matters.
func (st progress) settled() (Proof, bool) {
	p := Proof{Sequence: st.view.seq, Ledger: st.view.ledger}
	switch {
	case st.verdict == succeeded:
		p.Kind, p.Ledger = ProofRestored, st.tx.ledger
	case st.verdict == failed, st.verdict == unknown && st.view.used(st.seq):
		p.Kind = ProofSpent
	default:
		return p, false
	}
	return p, true
}
