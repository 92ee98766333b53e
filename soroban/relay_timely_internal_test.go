package soroban

import (
	"errors"
	"testing"
	"time"
)

// A transaction is called expired only by an account view from the moment that
// is past its end, or later: an older one shows a sequence number as free that
// the transaction may have used since.
func TestRelayExpiryNeedsAViewFromThen(t *testing.T) {
	t.Parallel()
	r := &Relay{s: &Submitter{}, policy: RelayPolicy{MaxTime: time.Minute, MaxLedgers: 10}}
	ended := moment{ledger: 50, closed: 200}
	for ledger, expired := range map[uint32]bool{49: false, 50: true, 51: true} {
		err := r.timely(&Relayed{maxTime: 100}, ended, ledger)
		refused, ok := errors.AsType[*RelayError](err)
		if ok != expired || ok && refused.Code != RelayExpired {
			t.Errorf("seen free in ledger %d: %v", ledger, err)
		}
		if _, wait := errors.AsType[*UnavailableError](err); wait == expired {
			t.Errorf("seen free in ledger %d: %v", ledger, err)
		}
	}
	if err := r.timely(&Relayed{maxEnd: 40}, moment{}, 39); err == nil {
		t.Error("its last ledger has passed")
	}
	if err := r.timely(&Relayed{maxTime: 230}, ended, 49); err != nil {
		t.Errorf("in time: %v", err)
	}
}
