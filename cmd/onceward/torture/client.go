package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"
)

// operation is one write that clients want to happen once.
type operation struct {
	index int
	kind  string
	path  string
	body  string
	// effect names what the operation alone does: see effectOf.
	effect string
}

// Kinds of operations that users sign themselves.
const (
	kindTransaction   = "relayed transactions"
	kindAuthorization = "relayed authorizations"
)

func (op *operation) relayed() bool {
	return op.kind == kindTransaction || op.kind == kindAuthorization
}

// proposal that a relayed vote is about, which no other vote is.
func (op *operation) proposal() uint64 { return 1000 + uint64(op.index) } //nolint:gosec // not negative

// effectOf names what a call does, by the account in its first argument and,
// of a vote, the proposal.
func effectOf(account string, proposal uint64) string {
	if proposal == 0 {
		return account
	}
	return fmt.Sprint(account, " ", proposal)
}

// newOperation makes the i-th: mostly mints, which the contract repeats as
// often as it is asked to; some votes, which have a natural key; some content;
// and what users sign themselves, which has no body yet.
func newOperation(i int) operation {
	to := keypair.Master(fmt.Sprintf("torture %d", i)).Address()
	op := operation{index: i, effect: to, path: "/v1/transactions"}
	switch {
	case i%20 == 5:
		op.kind = kindTransaction
	case i%20 == 15:
		op.kind = kindAuthorization
	case i%20 == 7:
		sum := sha256.Sum256([]byte(to))
		op.kind, op.path = "content", "/v1/content"
		op.body = fmt.Sprintf(`{"author":%q,"content_hash":%q,"uri":"https://example.org/%d"}`, to, hex.EncodeToString(sum[:]), i)
	case i%10 == 3:
		op.kind, op.path = "votes", "/v1/votes"
		op.body = fmt.Sprintf(`{"voter":%q,"proposal_id":"1","support":true}`, to)
		op.effect = effectOf(to, 1)
	default:
		op.kind, op.path = "rewards", "/v1/rewards"
		op.body = fmt.Sprintf(`{"to":%q,"amount":"%d","reason":"torture"}`, to, 1+i%9)
	}
	return op
}

// natural reports whether the operation is known by more than its key.
func (op *operation) natural() bool { return op.kind == "votes" || op.relayed() }

// key is the client's; what has a natural key may come back under another one,
// as from a page that was loaded again.
func (op *operation) key(again bool) string {
	if again && op.natural() {
		return fmt.Sprintf("again-%d", op.index)
	}
	return fmt.Sprintf("op-%d", op.index)
}

// answer of a gateway; a zero status is none.
type answer struct {
	status int
	code   string
	body   string
}

func (a answer) final() bool { return a.status == http.StatusOK || a.code == "contract-failed" }

// Refusals of what users have signed. The first two promise that it can never
// be applied; the third, that it was not sent now.
const (
	relayExpired    = "relay-expired"
	relaySuperseded = "relay-superseded"
	relayUsed       = "relay-sequence-used"
)

// refused reports whether the relay has refused for good.
func (a answer) refused() bool {
	return a.code == relayExpired || a.code == relaySuperseded || a.code == relayUsed
}

// maxAsks bounds how long a client insists.
const maxAsks = 60

// client wants one operation done: it asks, asks again elsewhere, sometimes
// twice at once, and sometimes gives up.
func (c *campaign) client(ctx context.Context, op operation) {
	if op.relayed() && c.wallets.sign(ctx, &op) != nil {
		return // the campaign is being stopped
	}
	c.history.begin(op)
	for range maxAsks {
		var asked sync.WaitGroup
		twins := 1
		if c.dice.percent(10) {
			twins = 2
		}
		for range twins {
			asked.Go(func() {
				limit := c.dice.between(50*time.Millisecond, 6*time.Second)
				c.ask(ctx, pick(c.dice, c.gateways), op, c.dice.percent(50), limit)
			})
		}
		asked.Wait()
		if ctx.Err() != nil || c.history.answered(op) && c.dice.percent(70) || c.dice.percent(5) {
			return
		}
		pause(ctx, c.dice.between(time.Millisecond, 400*time.Millisecond))
	}
}

// ask sends the request once and holds the answer against earlier ones.
func (c *campaign) ask(ctx context.Context, g *gateway, op operation, again bool, limit time.Duration) answer {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	epoch := c.history.epochNow()
	a := post(ctx, g.address()+op.path, op.key(again), op.body)
	c.history.saw(op, a, epoch)
	return a
}

// maxAnswer bounds what is read of one answer.
const maxAnswer = 1 << 20

func post(ctx context.Context, url, key, body string) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return answer{}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", `"`+key+`"`)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{} // killed, not listening, or the client gave up
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return answer{}
	}
	a := answer{status: res.StatusCode, body: string(data)}
	var problem struct {
		Code string `json:"code"`
	}
	if a.status != http.StatusOK && json.Unmarshal(data, &problem) == nil {
		a.code = problem.Code
	}
	return a
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
