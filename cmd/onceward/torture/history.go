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
}

// seen is the knowledge of one operation.
type seen struct {
	op     operation
	answer string // the final one, "" while none
	held   bool   // the last answer said that a person must decide
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
	h.ops[op.index] = &seen{op: op}
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

// saw takes one answer in.
func (h *history) saw(op operation, a answer) {
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
			s.answer = a.body
		} else if s.answer != a.body {
			h.violations = append(h.violations, violation{6, fmt.Sprintf(
				"operation %d was answered %s and later %s", op.index, s.answer, a.body)})
		}
		return
	}
	h.statuses[fmt.Sprintf("%d %s", a.status, a.code)]++
	s.held = a.code == "outcome-unknown"
	switch {
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
