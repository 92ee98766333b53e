package main

import "github.com/onceward/onceward/soroban"

// judgeChannels replays what left the processes: when an envelope was first
// sent, every other one of its channel had to be dead. Invariants 3 and 8.
func (c *campaign) judgeChannels(chain *ledgers) {
	byChannel := make(map[string][]*sent)
	for _, s := range c.sends.order {
		if s.user {
			continue // users do with their sequence numbers what they like
		}
		c.checks.add("3", 1)
		c.checks.add("8", 1)
		for _, before := range byChannel[s.channel] {
			if before.epoch != s.epoch || dead(chain, before, s.ledger) {
				continue
			}
			invariant := 8
			if before.sequence == s.sequence {
				invariant = 3
			}
			c.history.violate(invariant, "%s was sent in ledger %d on channel %s (sequence %d), where %s (sequence %d) could be applied before ledger %d",
				s.hash, s.ledger, s.channel, s.sequence, before.hash, before.sequence, before.maxLedger)
		}
		byChannel[s.channel] = append(byChannel[s.channel], s)
	}
}

// dead reports whether, as of a ledger, an envelope was applied, or lost its
// sequence number to another, or could not be applied any more.
func dead(chain *ledgers, s *sent, ledger uint32) bool {
	used := chain.bySlot[slot(s.channel, s.sequence)]
	return used != nil && used.ledger <= ledger || s.maxLedger != 0 && ledger+1 >= s.maxLedger
}

const (
	// window is for how many ledgers an envelope of the processes is valid.
	window = 16
	// stale is how many ledgers an answer of the chain may be behind.
	stale = 8
)

// judgeRestores looks at the channels of which a restored database knew less
// than the chain did: they had to rest for as long as a forgotten envelope may
// live. Invariant 12.
func (c *campaign) judgeRestores(chain *ledgers) {
	for i, r := range c.sends.restored {
		for channel, last := range r.last {
			used := chain.usedBy(channel, r.ledger)
			if last == 0 || used <= last {
				continue
			}
			c.checks.add("12", 1)
			for _, s := range c.sends.order {
				if s.channel == channel && s.epoch == i+1 && s.sequence > used && s.ledger+stale < r.ledger+window {
					c.history.violate(12, "channel %s was used in ledger %d, after a database was restored in ledger %d that knew its sequence number as %d when it was %d",
						channel, s.ledger, r.ledger, last, used)
				}
			}
		}
	}
}

// usedBy is a channel's sequence number as of a ledger, 0 if no transaction of
// the campaign has moved it.
func (l *ledgers) usedBy(channel string, ledger uint32) (sequence int64) {
	for _, tx := range l.byHash {
		if tx.channel == channel && tx.ledger <= ledger {
			sequence = max(sequence, tx.sequence)
		}
	}
	return sequence
}

// countProof counts the proofs that are held against the chain.
func (c *campaign) countProof(proof soroban.Proof) {
	switch proof.Kind {
	case "":
		return
	case soroban.ProofExpired:
		c.checks.add("9", 1)
	}
	c.checks.add("4", 1)
}
