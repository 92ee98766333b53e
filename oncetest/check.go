package oncetest

import (
	"errors"
	"fmt"

	"github.com/onceward/onceward"
)

// Check looks in a history for what may never happen, in whatever order its
// concurrent calls took effect. Its effort grows with the square of the calls
// of one key. It is not complete: a checker of linearizability, which package
// conformance brings, finds more.
//
//   - A token of a key is granted to one owner.
//   - What is seen of a key never goes back: a call that began after another
//     had ended does not report a lower token.
//   - Once a token has been granted, no write under a lower one succeeds.
//   - A token ends one way, completed, held or released, and after that it is
//     neither granted nor seen in another state, and nothing else is written
//     under it.
func Check(history []Event) error {
	byKey := make(map[onceward.Key][]Event)
	for _, ev := range history {
		byKey[ev.Key] = append(byKey[ev.Key], ev)
	}
	var errs []error
	for key, events := range byKey {
		if err := checkKey(events); err != nil {
			errs = append(errs, fmt.Errorf("key %q of scope %q: %w", key.Value, key.Scope, err))
		}
	}
	return errors.Join(errs...)
}

func checkKey(events []Event) error {
	owners := make(map[int64]onceward.Owner)
	for i := range events {
		a := &events[i]
		if a.granted() {
			rec := &a.Claimed.Record
			if owner, before := owners[rec.Token]; before && owner != rec.Owner {
				return fmt.Errorf("token %d was granted to %v and to %v", rec.Token, owner, rec.Owner)
			}
			owners[rec.Token] = rec.Owner
		}
		for j := range events {
			b := &events[j]
			if b.Began <= a.Ended || b.Err != nil || a.Err != nil {
				continue
			}
			if err := checkOrder(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOrder holds b against a, which was over before b began.
func checkOrder(a, b *Event) error {
	token, status := a.seen()
	later, laterStatus := b.seen()
	if token > later && later > 0 {
		return fmt.Errorf("%s of token %d succeeded after %s of token %d", b.Op, later, a.Op, token)
	}
	if token != later || !over(status) || b.Op == OpComplete && laterStatus == status {
		return nil
	}
	// A holder that asks again learns how it ended; a write does not succeed.
	reads := b.Op == OpGet || b.Op == OpClaim && !b.Claimed.Won
	if !reads || laterStatus != status {
		return fmt.Errorf("%s of token %d succeeded, with status %s, after it had ended as %s by %s", b.Op, token, laterStatus, status, a.Op)
	}
	return nil
}

// released is the status of a record that was given up. No store reports it.
const statusReleased onceward.Status = "released"

func over(s onceward.Status) bool { return s != onceward.StatusStarted }

func (ev *Event) granted() bool { return ev.Op == OpClaim && ev.Err == nil && ev.Claimed.Won }

// seen returns the token that a successful call has reported or written under,
// 0 if none, and the status that it found or left.
func (ev *Event) seen() (token int64, status onceward.Status) {
	switch r := ev.Request.(type) {
	case onceward.ClaimRequest:
		return ev.Claimed.Record.Token, ev.Claimed.Record.Status
	case onceward.GetRequest:
		return ev.Record.Token, ev.Record.Status
	case onceward.CompleteRequest:
		return r.Claim.Token, r.Status
	case onceward.ReleaseRequest:
		return r.Claim.Token, statusReleased
	case onceward.RenewRequest:
		return r.Claim.Token, onceward.StatusStarted
	case onceward.CheckpointRequest:
		return r.Claim.Token, onceward.StatusStarted
	}
	return 0, ""
}
