package soroban

import (
	"fmt"
	"strings"
)

// report replays the way to a violation.
func (m *model) report(v *violation) string {
	var way []int32
	for n := v.last; n.parent >= 0; n = m.nodes[n.parent] {
		way = append(way, n.step)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s, after %d steps (%d states seen):\n", m.cfg.name, v.text, len(way), len(m.nodes))
	m.tracing, m.known = true, map[quest][]finding{}
	s := m.initial()
	for i := range way {
		want, n := way[len(way)-1-i], int32(0)
		from := s
		m.successors(&from, func(next mState, text string) {
			if n++; n == want {
				s = next
				fmt.Fprintf(&out, "%3d. %s\n", i+1, text)
			}
		})
	}
	return out.String()
}

// words is a view in a trace.
type words ledgerView

func (v words) String() string {
	nonce := ""
	if v.nonce {
		nonce = fmt.Sprintf(" and a nonce entry of ledger %d", v.nonceLedger)
	}
	return fmt.Sprintf("sequence %d%s as of ledger %d", v.seq, nonce, v.ledger)
}

// described puts an answer into words.
func described(obs observation) string {
	switch {
	case obs.view != nil:
		return words(*obs.view).String()
	case obs.search == nil:
		return "no answer"
	case obs.search.tx != nil:
		return fmt.Sprintf("transaction (ours: %v) of ledger %d, success: %v", obs.search.tx.ours, obs.search.tx.ledger, obs.search.tx.success)
	case obs.search.trimmed:
		return "NOT_FOUND, and the history is trimmed"
	}
	return fmt.Sprintf("NOT_FOUND as of ledger %d", obs.search.latest)
}
