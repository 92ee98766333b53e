package operator

import (
	"context"
	"fmt"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/webhook"
)

// States of a message.
const (
	Pending   = "pending"   // is, or will be, tried
	Delivered = "delivered" // its receiver said 2xx
	Dead      = "dead"      // its attempts are used up
)

var messageStates = map[onceward.Status]string{
	onceward.StatusStarted: Pending, onceward.StatusCompleted: Delivered, onceward.StatusHeld: Dead,
}

// MessageView is a webhook message as it is shown.
type MessageView struct {
	ID          string    `json:"id"`
	State       string    `json:"state"`
	Attempts    int       `json:"attempts"`
	Type        string    `json:"type,omitempty"`
	OperationID string    `json:"operation_id,omitempty"`
	Created     time.Time `json:"created"`
	Next        time.Time `json:"next_attempt,omitzero"`
	Ended       time.Time `json:"ended,omitzero"`
	Reason      string    `json:"reason,omitempty"`
}

// MessagePage is a page of messages, the newest first.
type MessagePage struct {
	Messages []MessageView `json:"messages"`
	Next     string        `json:"next,omitempty"`
}

// Messages returns a page of those in a state, of all when it is empty.
func Messages(ctx context.Context, q *webhook.Queue, state, cursor string, limit int) (MessagePage, error) {
	var status onceward.Status
	for s, name := range messageStates {
		if name == state {
			status = s
		}
	}
	if status == "" && state != "" {
		return MessagePage{}, fmt.Errorf("a message is %s, %s or %s, not %q", Pending, Delivered, Dead, state)
	}
	found, next, err := q.List(ctx, status, cursor, limit)
	page := MessagePage{Messages: []MessageView{}, Next: next}
	for _, d := range found {
		page.Messages = append(page.Messages, MessageView{
			ID: d.ID, State: messageStates[d.Status], Attempts: d.Attempts, Type: d.Type, OperationID: d.Operation,
			Created: d.Created.UTC(), Next: d.Next, Ended: d.Ended, Reason: d.Reason,
		})
	}
	return page, err
}
