package main

import (
	"fmt"
	"net/http"
	"sync"
)

// history is what the clients know.
type history struct {
	mu         sync.Mutex
	ops        map[int]*seen
	statuses   map[string]int
	violations []violation
	reasons    []string // why operations are held
	epoch      int      // how often the database was replaced by an older copy
}

// seen is the knowledge of one operation.
type seen struct {
	op     operation
	began  int    // the epoch
	answer string // the final one, "" while none
	// answeredIn is the epoch of the answer.
	answeredIn int
	held       bool // the last answer said that a person must decide
	// refused is the relay's latest word that it can never happen, or was not
	// sent; refusedIn its epoch.
	refused   string
	refusedIn int
}

// violation of an invariant of the protocol, by its number.
type violation struct {
	invariant int
	text      string
}

func newHistory() *history {
	return &history{ops: make(map[int]*seen), statuses: make(map[string]int)}
}

func (h *history) begin(op operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops[op.index] = &seen{op: op, began: h.epoch}
}

func (h *history) answered(op operation) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ops[op.index].answer != ""
}

func (h *history) violate(invariant int, format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.violations = append(h.violations, violation{invariant, fmt.Sprintf(format, args...)})
}

// temporary answers say that asking again is right.
var temporary = map[string]bool{
	"in-progress": true, "store-unavailable": true, "outcome-unrecorded": true, "chain-unavailable": true,
	"interrupted": true, "rate-limited": true, "outcome-unknown": true, "overloaded": true,
}

func (h *history) epochNow() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epoch
}

// forgot takes note that the database was replaced by an older copy.
func (h *history) forgot() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch++
}

// saw takes one answer in, to a request of the given epoch.
func (h *history) saw(op operation, a answer, epoch int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.ops[op.index]
	switch {
	case a.status == 0:
		h.statuses["no answer"]++
		return
	case a.final():
		h.statuses[fmt.Sprintf("%d final", a.status)]++
		if s.answer == "" {
			s.answer, s.answeredIn = a.body, epoch
		} else if s.answer != a.body {
			h.violations = append(h.violations, violation{6, fmt.Sprintf(
				"operation %d was answered %s and later %s", op.index, s.answer, a.body)})
		}
		return
	}
	h.statuses[fmt.Sprintf("%d %s", a.status, a.code)]++
	s.held = a.code == "outcome-unknown"
	switch {
	case op.relayed() && a.refused():
		s.refused, s.refusedIn = a.code, epoch
		if s.answer != "" && (s.answeredIn == epoch || a.code == relaySuperseded) {
			h.violations = append(h.violations, violation{7, fmt.Sprintf(
				"operation %d was answered %s and later refused: %s", op.index, s.answer, a.body)})
		}
	case s.answer != "" && a.status != http.StatusServiceUnavailable && a.status != http.StatusConflict:
		h.violations = append(h.violations, violation{7, fmt.Sprintf(
			"operation %d was answered %s and later refused: %s", op.index, s.answer, a.body)})
	case a.status != http.StatusAccepted && !temporary[a.code]:
		h.violations = append(h.violations, violation{7, fmt.Sprintf(
			"operation %d: an answer that no fault explains: %d %s", op.index, a.status, a.body)})
	}
}

// all returns what is known, in no order.
func (h *history) all() []*seen {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*seen, 0, len(h.ops))
	for _, s := range h.ops {
		out = append(out, s)
	}
	return out
}

func (h *history) hold(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reasons = append(h.reasons, reason)
}
