package soroban_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// The published test vector of SEP-5.
func TestDeriveChannels(t *testing.T) {
	t.Parallel()
	seed, err := hex.DecodeString("e4a5a632e70943ae7f07659df1332160937fad82587216a4c64315a0fb39497e" +
		"e4a01f76ddab4cba68147977f3a147b6ad584c41808e8238a07f6cc4b582f186")
	if err != nil {
		t.Fatal(err)
	}
	got, err := soroban.DeriveChannels(seed, 2)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "0", got[0].Address(), "GDRXE2BQUC3AZNPVFSCEZ76NJ3WWL25FYFK6RGZGIEKWE4SOOHSUJUJ6")
	want(t, "1", got[1].Address(), "GBAW5XGWORWVFE2XTJYDTLDHXTY2Q2MO73HYCGB3XMFMQ562Q2W2GJQX")
	for _, bad := range []struct{ size, n int }{{15, 1}, {65, 1}, {32, 0}, {32, 10_001}} {
		if _, err := soroban.DeriveChannels(make([]byte, bad.size), bad.n); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestEnsureChannels(t *testing.T) {
	t.Parallel()
	chain, err := devchain.Open(devchain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	srv := httptest.NewServer(chain.Handler())
	defer srv.Close()
	rpc, err := soroban.NewClient(soroban.ClientConfig{}, srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	channels, err := soroban.DeriveChannels(make([]byte, 32), 3)
	if err != nil {
		t.Fatal(err)
	}
	funded := 0
	fund := func(_ context.Context, address string) error {
		funded++
		return chain.Fund(address, 100*xlm)
	}
	for _, n := range []int{2, 3, 3} {
		if err := soroban.EnsureChannels(t.Context(), rpc, channels[:n], fund); err != nil {
			t.Fatal(err)
		}
		want(t, "funded", funded, n)
	}
	more, err := soroban.DeriveChannels(make([]byte, 32), 4)
	if err != nil {
		t.Fatal(err)
	}
	err = soroban.EnsureChannels(t.Context(), rpc, more, func(context.Context, string) error { return nil })
	if err == nil || !strings.Contains(err.Error(), more[3].Address()) {
		t.Errorf("an account that was not funded: %v", err)
	}
}

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	channels, err := soroban.DeriveChannels(make([]byte, 32), 2)
	if err != nil {
		t.Fatal(err)
	}
	rpc, err := soroban.NewClient(soroban.ClientConfig{}, "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	good := soroban.Config{
		RPC: rpc, Passphrase: "p", Store: memstore.New(), Channels: channels[:1], NonceSecret: make([]byte, 16), Render: render,
	}
	if _, err := soroban.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*soroban.Config){
		"RPC":          func(c *soroban.Config) { c.RPC = nil },
		"Passphrase":   func(c *soroban.Config) { c.Passphrase = "" },
		"Store":        func(c *soroban.Config) { c.Store = nil },
		"Render":       func(c *soroban.Config) { c.Render = nil },
		"Channels":     func(c *soroban.Config) { c.Channels = nil },
		"twice":        func(c *soroban.Config) { c.Channels = []soroban.Signer{channels[0], channels[0]} },
		"is a channel": func(c *soroban.Config) { c.Signers = map[string]soroban.Signer{"m": channels[0]} },
		"Channels[0]":  func(c *soroban.Config) { c.Channels = []soroban.Signer{nil} },
		`Signers["m"]`: func(c *soroban.Config) { c.Signers = map[string]soroban.Signer{"m": nil} },
		"NonceSecret":  func(c *soroban.Config) { c.NonceSecret = make([]byte, 15) },
		"LedgerWindow": func(c *soroban.Config) { c.LedgerWindow = 2 },
		"GuardWindow":  func(c *soroban.Config) { c.GuardWindow = 3 },
		"PollInterval": func(c *soroban.Config) { c.PollInterval = -1 },
		"CallTimeout":  func(c *soroban.Config) { c.CallTimeout = -1 },
		"ChannelLease": func(c *soroban.Config) { c.ChannelLease = -1 },
		"ChannelWait":  func(c *soroban.Config) { c.ChannelWait = -1 },
		"MaxQueue":     func(c *soroban.Config) { c.MaxQueue = -1 },
		"MaxAttempts":  func(c *soroban.Config) { c.MaxAttempts = -1 },
		"InclusionFee": func(c *soroban.Config) { c.InclusionFee = 99 },
		"MaxFee":       func(c *soroban.Config) { c.MaxFee = 100 },
	} {
		c := good
		spoil(&c)
		if _, err := soroban.New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInvocationIsValidated(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store())
		good := w.invocation("reward", "mint", address(w, recipient), i128(1))
		for name, spoil := range map[string]func(*soroban.Invocation){
			"contract address": func(i *soroban.Invocation) { i.Contract = w.chain.Admin() },
			"function":         func(i *soroban.Invocation) { i.Function = strings.Repeat("f", 33) },
			"note":             func(i *soroban.Invocation) { i.Note = make([]byte, 5000) },
			"no signer":        func(i *soroban.Invocation) { i.Signer = "nobody" },
		} {
			inv := good
			spoil(&inv)
			if _, err := p.do(name, inv); err == nil || !strings.Contains(err.Error(), name) {
				w.Errorf("%s: %v", name, err)
			}
		}
		want(w, "calls of the chain", slices.Contains(p.made(), "simulateTransaction"), false)
	})
}

func TestClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		status     int
		check      func(error) bool
	}{
		{"result", `{"result":{"passphrase":"p"}}`, 200, func(err error) bool { return err == nil }},
		{"error", `{"error":{"code":-32603,"message":"m"}}`, 200, func(err error) bool {
			e, ok := errors.AsType[*soroban.RPCError](err)
			return ok && e.Code == -32603 && e.Message == "m" && e.Method == "getNetwork"
		}},
		{"status", `x`, 503, func(err error) bool {
			e, ok := errors.AsType[*soroban.TransportError](err)
			return ok && e.HTTPStatus == 503
		}},
		{"neither", `{}`, 200, unanswered},
		{"not JSON", `<html>`, 200, unanswered},
		{"cut", `{"result":{`, 200, unanswered},
		{"too large", `{"result":{"passphrase":"` + strings.Repeat("p", 2000) + `"}}`, 200, unanswered},
		{"wrong type", `{"result":[]}`, 200, unanswered},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); r.Header.Get("X-Key") != "k" || !strings.Contains(string(body), `"getNetwork"`) {
				t.Errorf("%s: request %s", c.name, body)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		rpc, err := soroban.NewClient(soroban.ClientConfig{MaxResponseBytes: 1000, Header: http.Header{"X-Key": {"k"}}}, srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		res, err := rpc.GetNetwork(t.Context())
		if !c.check(err) || err == nil && res.Passphrase != "p" {
			t.Errorf("%s: %+v, %v", c.name, res, err)
		}
		srv.Close()
	}
}

func unanswered(err error) bool {
	_, ok := errors.AsType[*soroban.TransportError](err)
	return ok
}

func TestClientNeedsURLs(t *testing.T) {
	t.Parallel()
	for _, bad := range [][]string{nil, {"ftp://x"}, {"http://"}, {":"}} {
		if _, err := soroban.NewClient(soroban.ClientConfig{}, bad...); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestReadTrailRefusesDamage(t *testing.T) {
	t.Parallel()
	for name, checkpoints := range map[string][]onceward.Checkpoint{
		"not JSON":       {{Name: "attempt/1", Data: []byte("x")}},
		"gap":            {{Name: "attempt/2", Data: []byte(`{"attempt":2}`)}},
		"without proof":  {{Name: "attempt/1", Data: []byte(`{"attempt":1}`)}, {Name: "attempt/2", Data: []byte(`{"attempt":2}`)}},
		"proof's number": {{Name: "proof/x", Data: []byte(`{}`)}},
		"value":          {{Name: "outcome", Data: []byte(`{"value":"AAAA"}`)}},
	} {
		if _, err := soroban.ReadTrail(onceward.Record{Checkpoints: checkpoints}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := soroban.NewSigner("SBAD"); err == nil {
		t.Error("a bad seed is accepted")
	}
}
