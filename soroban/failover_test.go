package soroban_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// fleet answers for several servers by their host names.
type fleet struct {
	mu     sync.Mutex
	asked  map[string]int // getNetwork left out
	answer map[string]func(req *http.Request, method string, body []byte) (*http.Response, error)
}

func (f *fleet) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var call struct {
		Method string `json:"method"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		return nil, err
	}
	f.mu.Lock()
	if call.Method != "getNetwork" {
		f.asked[req.URL.Host]++
	}
	answer := f.answer[req.URL.Host]
	f.mu.Unlock()
	return answer(req, call.Method, body)
}

func jsonAnswer(text string) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"jsonrpc":"2.0","id":1,` + text + `}`))}, nil
}

// healthy is a server of the world's chain that is back ledgers behind.
func (w *world) healthy(back uint32) func(*http.Request, string, []byte) (*http.Response, error) {
	return func(req *http.Request, method string, body []byte) (*http.Response, error) {
		if back > 0 && method != "sendTransaction" && method != "getNetwork" {
			w.mu.Lock() // the fault strikes this call and no other
			defer w.mu.Unlock()
			inject(w, devchain.Fault{Method: method, Kind: devchain.StaleReplica, Times: 1, Ledgers: back})
		}
		return w.serve(req, body)
	}
}

func (w *world) fleet(hosts ...string) (*fleet, *soroban.Client) {
	w.Helper()
	f := &fleet{asked: map[string]int{}, answer: map[string]func(*http.Request, string, []byte) (*http.Response, error){}}
	urls := make([]string, len(hosts))
	for i, h := range hosts {
		urls[i] = "http://" + h + "/secret-api-key"
		f.answer[h] = w.healthy(0) //nolint:bodyclose // the client under test closes it
	}
	client, err := soroban.NewClient(soroban.ClientConfig{HTTP: rewritten{f}, Passphrase: w.chain.Passphrase()}, urls...)
	if err != nil {
		w.Fatal(err)
	}
	return f, client
}

// rewritten serves every path, as servers with an API key in theirs do.
type rewritten struct{ http.RoundTripper }

func (r rewritten) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL.Path = "/"
	return r.RoundTripper.RoundTrip(out)
}

func entriesOf(w *world, c *soroban.Client) (protocol.GetLedgerEntriesResponse, error) {
	return c.GetLedgerEntries(w.Context(), protocol.GetLedgerEntriesRequest{Keys: []string{}})
}

// wantLatest asks for entries, and wants the answer of a server that is up to
// date. A ledger may close while it asks.
func wantLatest(w *world, name string, c *soroban.Client) {
	w.Helper()
	before := w.chain.LatestLedger()
	got, err := entriesOf(w, c)
	if after := w.chain.LatestLedger(); err != nil || got.LatestLedger < before || got.LatestLedger > after {
		w.Errorf("%s: ledger %d, %v; want one of %d to %d", name, got.LatestLedger, err, before, after)
	}
}

// A server that cannot be reached, fails inside or talks nonsense is passed
// over; one that refuses the question is not.
func TestFailover(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(*http.Request, string, []byte) (*http.Response, error){
		"hangs": func(req *http.Request, _ string, _ []byte) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		},
		"no connection": func(*http.Request, string, []byte) (*http.Response, error) { return nil, errors.New("refused") },
		"503": func(*http.Request, string, []byte) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: io.NopCloser(strings.NewReader(""))}, nil
		},
		"internal error": func(*http.Request, string, []byte) (*http.Response, error) {
			return jsonAnswer(`"error":{"code":-32603,"message":"database is gone"}`)
		},
		"nonsense": func(*http.Request, string, []byte) (*http.Response, error) { return jsonAnswer(`"x":1`) },
		"another network": func(_ *http.Request, method string, _ []byte) (*http.Response, error) {
			if method == "getNetwork" {
				return jsonAnswer(`"result":{"passphrase":"Public Global Stellar Network ; September 2015"}`)
			}
			return jsonAnswer(`"result":{"latestLedger":99999999,"entries":[]}`)
		},
	} {
		inWorld(t, 1, func(w *world) {
			f, c := w.fleet("one", "two")
			f.answer["one"] = broken
			for range 3 {
				wantLatest(w, name, c)
			}
			want(w, name+": asked again", f.asked["one"] <= 1, true)
			f.answer["two"] = func(*http.Request, string, []byte) (*http.Response, error) { return nil, errors.New("refused") }
			if _, err := entriesOf(w, c); err == nil || strings.Contains(err.Error(), "secret") {
				w.Errorf("%s: with both broken: %v", name, err)
			}
		})
	}
	inWorld(t, 1, func(w *world) {
		f, c := w.fleet("one", "two")
		f.answer["one"] = func(req *http.Request, method string, body []byte) (*http.Response, error) {
			if method == "getNetwork" {
				return w.serve(req, body)
			}
			return jsonAnswer(`"error":{"code":-32602,"message":"bad"}`)
		}
		if _, err := entriesOf(w, c); err == nil {
			w.Error("a refusal was asked again elsewhere")
		}
		want(w, "asked", f.asked["two"], 0)
	})
}

// With several servers the network must be known.
func TestSeveralServersNeedThePassphrase(t *testing.T) {
	t.Parallel()
	if _, err := soroban.NewClient(soroban.ClientConfig{}, "http://a", "http://b"); err == nil || !strings.Contains(err.Error(), "Passphrase") {
		t.Error(err)
	}
}

// A server that answers, but whose ledger stands still, is left for the next.
func TestStalledServerIsLeft(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		f, c := w.fleet("stalled", "fine")
		f.answer["stalled"] = func(req *http.Request, method string, body []byte) (*http.Response, error) {
			if method == "getNetwork" {
				return w.serve(req, body)
			}
			return jsonAnswer(`"result":{"latestLedger":1,"entries":[]}`)
		}
		for range 70 {
			if _, err := entriesOf(w, c); err != nil {
				w.Fatal(err)
			}
			w.pass(time.Second)
		}
		wantLatest(w, "after the server stood still", c)
	})
}

// Servers that are fresh and far behind answer in turn: what one shows and the
// other does not is never put together into a proof. Invariant 9.
func TestFreshAndStaleServersTogether(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		inWorld(t, 2, func(w *world) {
			w.pass(time.Minute)
			f, _ := w.fleet("fresh", "stale")
			f.answer["stale"] = w.healthy(12) //nolint:bodyclose // further back than an envelope lives; the client closes it
			turn := 0
			alternate := func(req *http.Request, method string, body []byte) (*http.Response, error) {
				f.mu.Lock()
				turn++
				to := f.answer[[]string{"fresh", "stale"}[turn%2]]
				f.mu.Unlock()
				if method == "sendTransaction" {
					var p struct {
						Params json.RawMessage `json:"params"`
					}
					_ = json.NewDecoder(bytes.NewReader(body)).Decode(&p)
					w.spy(p.Params)
				}
				return to(req, method, body)
			}
			f.answer["balanced"] = alternate
			client, err := soroban.NewClient(soroban.ClientConfig{HTTP: f}, "http://balanced/")
			if err != nil {
				w.Fatal(err)
			}
			p := w.process(w.store(), func(c *soroban.Config) { c.RPC = client })
			if lost {
				inject(w, devchain.Fault{Method: "sendTransaction", Kind: devchain.DropTransaction, Times: 3})
			}
			p.must("k")
			trail := p.trailOf("k")
			want(w, "supply", w.supply(), amount)
			for n, proof := range trail.Proofs {
				if a := trail.Attempts[n-1]; proof.Ledger < a.MaxLedger-1 || proof.Sequence >= a.Sequence {
					w.Errorf("proof %+v for %+v", proof, a)
				}
			}
		})
	}
}

// The address of the server has come to lead to another network, whose account
// of the same name shows a free sequence number in a late ledger: no proof.
func TestProofOfAnotherNetworkIsRefused(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		p := w.process(store)
		p.mute.Store(true)
		var moved atomic.Bool
		p.reply = func(method string, body []byte) []byte {
			if method == "getNetwork" && moved.Load() {
				return []byte(`{"jsonrpc":"2.0","id":1,"result":{"passphrase":"another"}}`)
			}
			return body
		}
		done := make(chan error)
		go func() { _, err := p.mint("k"); done <- err }()
		w.pass(3 * time.Second)
		moved.Store(true)
		if err := <-done; !errors.Is(err, soroban.ErrWrongNetwork) {
			w.Errorf("%v", err)
		}
		want(w, "proofs", len(p.trailOf("k").Proofs), 0)
		w.process(store).must("k")
		want(w, "supply", w.supply(), amount)
	})
}
