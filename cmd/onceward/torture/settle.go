package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// settleSkew makes every lease lapse that a process with a wrong clock left.
const settleSkew = 25 * time.Minute

// settle starts every process anew, without faults, and asks for every key
// until it has a final answer or a person would have to decide.
func (c *campaign) settle(ctx context.Context) error {
	for _, g := range c.gateways {
		g.kill()
		if err := g.start(ctx, life{skew: settleSkew}); err != nil {
			return err
		}
	}
	work := make(chan *seen)
	var clients sync.WaitGroup
	for range c.cfg.clients {
		clients.Go(func() {
			for s := range work {
				c.settleOne(ctx, s)
			}
		})
	}
	for _, s := range c.history.all() {
		work <- s
	}
	close(work)
	clients.Wait()
	return c.awaitMessages(ctx)
}

const (
	settleTries = 120
	// endTries outlast an authorization of a user, which is watched to its end.
	endTries = 1200
	// deliveryTime is more than any message waits for its next attempt.
	deliveryTime = 3 * time.Minute
)

// awaitMessages waits until every webhook is delivered. What is not by then is
// a violation that the judge finds.
func (c *campaign) awaitMessages(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, deliveryTime)
	defer cancel()
	for ctx.Err() == nil {
		if waiting, err := c.sends.pending(ctx); err != nil || !waiting {
			return err
		}
		pause(ctx, 200*time.Millisecond)
	}
	return nil
}

// settleOne asks under the first key, and for what has a natural one then under
// the second: both must give the one answer.
func (c *campaign) settleOne(ctx context.Context, s *seen) {
	tries := settleTries
	if s.op.kind == kindAuthorization {
		tries = endTries
	}
	for _, again := range []bool{false, true} {
		var last answer
		for range tries {
			last = c.ask(ctx, pick(c.dice, c.gateways), s.op, again, 10*time.Second)
			if ended(s, last) || ctx.Err() != nil {
				break
			}
			pause(ctx, 100*time.Millisecond)
		}
		if !ended(s, last) && ctx.Err() == nil {
			c.history.violate(7, "operation %d never got an answer; the last: %s", s.op.index,
				fmt.Sprint(last.status, " ", last.body))
		}
		if !s.op.natural() {
			return
		}
	}
}

// ended reports whether asking again changes nothing.
func ended(s *seen, a answer) bool {
	return a.final() || s.op.relayed() && a.refused() || a.code == "outcome-unknown"
}
