package dev

import (
	"fmt"
	"strings"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
)

// print tells a newcomer what runs and what to paste.
func (p *process) print() {
	api := p.server.URL()
	someone := exampleAddress("someone")
	var b strings.Builder
	fmt.Fprintf(&b, "onceward dev: everything embedded, data in %s\n\n", p.cfg.Data)
	fmt.Fprintf(&b, "  API     %s   (policy: %s%s)\n", api, api, gateway.PolicyPath)
	fmt.Fprintf(&b, "  Admin   %s\n", p.server.AdminURL())
	fmt.Fprintf(&b, "  Chain   %s   passphrase %q\n\n", p.chain.url, p.chain.passphrase)
	fmt.Fprintf(&b, "Paste this twice. The second answer is the first one, with Idempotent-Replayed: true; one mint:\n\n")
	curl := func(path, key, body string) {
		fmt.Fprintf(&b, "  curl -i %s%s -H 'Content-Type: application/json' \\\n    -H 'Idempotency-Key: \"%s\"' \\\n    -d '%s'\n\n", api, path, key, body)
	}
	curl("/v1/rewards", "reward-1", fmt.Sprintf(`{"to":"%s","amount":"100","reason":"first post"}`, someone))
	fmt.Fprintf(&b, "A vote repeated with a new key gets the first vote's answer; content is registered once:\n\n")
	curl("/v1/votes", "vote-1", fmt.Sprintf(`{"voter":"%s","proposal_id":"%s","support":true}`, someone, "1"))
	curl("/v1/content", "content-1", fmt.Sprintf(`{"author":"%s","content_hash":"%s","uri":"https://example.org/1"}`, someone, strings.Repeat("ab", 32)))
	fmt.Fprintf(&b, "What became of a key, for a client that lost its answer:\n\n  curl '%s/v1/operations?key=reward-1'\n\n", api)
	fmt.Fprintf(&b, "Kill it with -9 whenever you like and start it again: what was accepted is finished. Ctrl-C stops it.\n")
	fmt.Fprint(p.cfg.Out, b.String())
}

// exampleAddress is an account that the examples may name; nobody uses it.
func exampleAddress(name string) string {
	return keypair.Master("onceward example " + name).Address()
}
