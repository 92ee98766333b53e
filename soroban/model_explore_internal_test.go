package soroban

import (
	"fmt"
	"hash/maphash"
)

// decisions are the functions that processes decide with; mutants replace
// some.
type decisions struct {
	next   func(progress, observation) (progress, action)
	usable func(channelState) bool
	stands func(rejectedAt, ledgerView) bool
	// refused ends an operation whose call is refused in simulation.
	refused func(*Trail, rejectedAt) error
	// sendsFirst: an envelope is sent, and then stored.
	sendsFirst bool
	// drawsNonces: nonces are random instead of the key's.
	drawsNonces bool
	// unfenced: the store accepts writes of owners that were taken over.
	unfenced bool
}

func production() decisions {
	return decisions{next: next, usable: channelState.usable, stands: rejectedAt.stands, refused: (*Trail).refused}
}

// model explores one setup.
type model struct {
	cfg setup
	by  decisions

	seed    maphash.Seed
	seen    map[uint64]struct{}
	nodes   []mNode // how each state was reached first
	edges   int
	calm    bool // no faults
	settled map[uint64]struct{}
	tracing bool
	bad     string
	met     map[string]int
	known   map[quest][]finding
	txs     map[txKey]*foundTx
}

// mNode is a state in the order of discovery: the number of the state that it
// was reached from, and of the step.
type mNode struct{ parent, step int32 }

func newModel(cfg setup, by decisions) *model {
	return &model{
		cfg: cfg, by: by, seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}, settled: map[uint64]struct{}{},
		met: map[string]int{}, known: map[quest][]finding{}, txs: map[txKey]*foundTx{},
	}
}

func (m *model) say(format string, args ...any) string {
	if !m.tracing {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func (m *model) initial() mState {
	s := mState{ledger: 1}
	for i := range s.ops {
		s.ops[i].owner = mNobody
	}
	for i := range s.channels {
		s.channels[i].owner = mNobody
	}
	return s
}

// successors lists every step from a state, always in the same order.
func (m *model) successors(s *mState, emit func(mState, string)) {
	if m.done(s) {
		return
	}
	for p := range uint8(mProcs) {
		m.steps(s, p, emit)
		m.crashes(s, p, emit)
	}
	m.closings(s, emit)
}

// done reports that nothing more can happen to any operation.
func (m *model) done(s *mState) bool {
	for o := range m.cfg.ops {
		if s.ops[o].status == mStarted {
			return false
		}
	}
	return s.pending[0] == mEnv{}
}

// violation is a state that breaks an invariant, or a step that does.
type violation struct {
	text string
	last mNode // the step
}

type numbered struct {
	s  mState
	id int32
}

// explore visits every state, breadth first, so that the trace of a violation
// is as short as any. Memory is bounded by the number of states: a hash for
// each, and the states themselves only while they wait to be visited.
func (m *model) explore() *violation {
	root := m.initial()
	level := []numbered{{root, 0}}
	m.nodes = []mNode{{-1, 0}}
	m.seen[m.hash(&root)] = struct{}{}
	for len(level) > 0 {
		var next []numbered
		for i := range level {
			if bad := m.visit(&level[i], &next); bad != nil {
				return bad
			}
		}
		level = next
	}
	return nil
}

func (m *model) visit(n *numbered, next *[]numbered) (bad *violation) {
	step := int32(0)
	m.successors(&n.s, func(s mState, _ string) {
		step++
		m.edges++
		if bad != nil {
			return
		}
		h := m.hash(&s)
		_, old := m.seen[h]
		if !old && m.bad == "" {
			m.seen[h] = struct{}{}
			m.check(&s)
			m.settles(s, h)
		}
		if m.bad != "" {
			bad = &violation{m.bad, mNode{n.id, step}}
			return
		}
		if !old {
			m.nodes = append(m.nodes, mNode{n.id, step})
			*next = append(*next, numbered{s, int32(len(m.nodes) - 1)}) //nolint:gosec // memory ends first
		}
	})
	return bad
}

func (m *model) summary() string {
	return fmt.Sprintf("%s: %d states, %d steps, met: %v", m.cfg.name, len(m.nodes), m.edges, m.met)
}
