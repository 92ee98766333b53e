package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Secrets that were read are not printed with what holds them, and a change
// to any of them is noticed.
func TestChainSecrets(t *testing.T) {
	t.Parallel()
	read := func(nonce, seed, signer, header string) chainSecrets {
		return chainSecrets{
			nonce: []byte(nonce), seed: []byte(seed), signers: map[string]string{"minter": signer}, headers: http.Header{"Key": {header}},
		}
	}
	secrets := read("hush", "hush", "hush", "hush")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, secrets) + fmt.Sprintf(verb, &secrets); strings.Contains(got, "hush") || strings.Contains(got, "68757368") {
			t.Errorf("%s: %s", verb, got)
		}
	}
	if secrets.mark() != read("hush", "hush", "hush", "hush").mark() {
		t.Error("the same secrets have two marks")
	}
	for _, other := range []chainSecrets{
		read("x", "hush", "hush", "hush"), read("hush", "x", "hush", "hush"), read("hush", "hush", "x", "hush"), read("hush", "hush", "hush", "x"),
	} {
		if other.mark() == secrets.mark() {
			t.Error("a change is not noticed")
		}
	}
}
