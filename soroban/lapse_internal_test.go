package soroban

import (
	"encoding/json"
	"testing"

	"github.com/onceward/onceward"
)

// A process died between the proof and the release of the key: what is stored
// suffices, whatever the chain says by then.
func TestUnusedAuthorizationIsRemembered(t *testing.T) {
	t.Parallel()
	rec := onceward.Record{Key: onceward.Key{Scope: "s", Value: "k"}}
	for name, v := range map[string]any{
		attemptPrefix + "1": Attempt{Number: 1, Hash: "ours", Authorizer: "G", Nonce: 7, AuthUntil: 40},
		proofPrefix + "1":   Proof{Kind: ProofExpired, Ledger: 38},
		lapsedCheckpoint:    Proof{Kind: ProofUnused, Ledger: 40},
	} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		rec.Checkpoints = append(rec.Checkpoints, onceward.Checkpoint{Name: name, Data: data})
	}
	trail, err := ReadTrail(rec)
	if err != nil || trail.Lapsed == nil || *trail.Lapsed != (Proof{Kind: ProofUnused, Ledger: 40}) {
		t.Fatalf("%+v, %v", trail, err)
	}
	if got := trail.todo(8); got != todoLapse {
		t.Errorf("what is left to do is %d", got)
	}
}

// Only the user's authorizations are waited for, and only the last of their
// ledgers proves that they were not used.
func TestWhatProvesAnAuthorizationUnused(t *testing.T) {
	t.Parallel()
	a := &Attempt{Authorizer: "G", AuthUntil: 40, Ledger: 20}
	for _, tc := range []struct {
		view ledgerView
		act  action
		end  conclusion
	}{
		{ledgerView{ledger: 39}, actWait, concludeHeld},
		{ledgerView{ledger: 40}, actStop, concludeLapsed},
		{ledgerView{ledger: 41}, actStop, concludeHeld},
		{ledgerView{ledger: 40, nonce: true, nonceLedger: 33}, actScanNonce, concludeHeld},
		{ledgerView{ledger: 39, nonce: true, nonceLedger: 33}, actScanNonce, concludeHeld},
	} {
		st, act := awaiting(a)
		if act != actLook {
			t.Fatalf("it begins with %d", act)
		}
		st, act = next(st, observation{view: &tc.view})
		if end, proof := st.conclusion(KindCall); act != tc.act || end != tc.end || end == concludeLapsed && proof != (Proof{Kind: ProofUnused, Ledger: 40}) {
			t.Errorf("%+v: action %d, conclusion %d, %+v", tc.view, act, end, proof)
		}
	}
	for signer, waits := range map[string]bool{"": true, "minter": false} {
		a.Signer = signer
		if _, ok := exhausted(a, "why").(*outlived); ok != waits { //nolint:errorlint // it is not wrapped
			t.Errorf("signer %q: waits: %v", signer, ok)
		}
	}
}
