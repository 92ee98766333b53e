package devchain_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain"
)

type rpcReply struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// How requests that clients should not send are answered.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	for body, code := range map[string]int{
		`{`:  -32700,
		``:   -32700,
		`[]`: -32600,
		`1`:  -32600,
		`{}`: -32600,
		`{"jsonrpc":"1.0","id":1,"method":"getHealth"}`:                                                                -32600,
		`{"jsonrpc":"2.0","id":{},"method":"getHealth"}`:                                                               -32600,
		`{"jsonrpc":"2.0","id":1,"method":7}`:                                                                          -32600,
		`{"jsonrpc":"2.0","id":1,"method":"nothing"}`:                                                                  -32601,
		`{"jsonrpc":"2.0","id":1,"method":"rpc.serverInfo"}`:                                                           -32601,
		`{"jsonrpc":"2.0","id":1,"method":"getTransaction"}`:                                                           -32602,
		`{"jsonrpc":"2.0","id":1,"method":"getTransaction","params":["00"]}`:                                           -32602,
		`{"jsonrpc":"2.0","id":1,"method":"getTransaction","params":{"hash":"zz"}}`:                                    -32602,
		`{"jsonrpc":"2.0","id":1,"method":"getTransaction","params":{"hash":7}}`:                                       -32602,
		`{"jsonrpc":"2.0","id":1,"method":"sendTransaction","params":{"transaction":"AAAA"}}`:                          -32602,
		`{"jsonrpc":"2.0","id":1,"method":"getLedgerEntries","params":{"keys":["AAAA"]}}`:                              -32602,
		`{"jsonrpc":"2.0","id":1,"method":"getLedgerEntries","params":{"xdrFormat":"json"}}`:                           -32602,
		`{"jsonrpc":"2.0","id":1,"method":"getEvents","params":{"startLedger":0}}`:                                     -32602,
		`{"jsonrpc":"2.0","id":1,"method":"getEvents","params":{"startLedger":999}}`:                                   -32600,
		`{"jsonrpc":"2.0","id":1,"method":"getTransactions","params":{"startLedger":999}}`:                             -32600,
		`{"jsonrpc":"2.0","id":1,"method":"getTransactions","params":{"pagination":{"cursor":"9223372036854775807"}}}`: -32602,
		`{"jsonrpc":"2.0","id":1,"method":"getLedgers","params":{"pagination":{"cursor":"x"}}}`:                        -32602,
	} {
		_, raw, err := n.postRaw(t.Context(), []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var res rpcReply
		if err := json.Unmarshal(raw, &res); err != nil || res.Error == nil || res.Error.Code != code {
			t.Errorf("%s: answer %s, want code %d", body, raw, code)
		}
	}
}

// Parameters may be absent, null or an empty object; ids come back as they were; notifications get no body.
func TestRequestForms(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	for body, id := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":"getNetwork"}`:                  `1`,
		`{"jsonrpc":"2.0","id":"a","method":"getNetwork","params":null}`:  `"a"`,
		` {"jsonrpc":"2.0","id":1.5,"method":"getNetwork","params":{}} `:  `1.5`,
		`{"jsonrpc":"2.0","id":null,"method":"getNetwork","params":null}`: `null`,
	} {
		_, raw, err := n.postRaw(t.Context(), []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var res rpcReply
		if err := json.Unmarshal(raw, &res); err != nil || string(res.ID) != id || res.Result == nil {
			t.Errorf("%s: answer %s", body, raw)
		}
	}
	status, raw, err := n.postRaw(t.Context(), []byte(`{"jsonrpc":"2.0","method":"getNetwork"}`))
	if err != nil || status != http.StatusNoContent || len(raw) > 0 {
		t.Errorf("notification: %d %s %v", status, raw, err)
	}
}

func TestRequestLimits(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	status, _, err := n.postRaw(t.Context(), bytes.Repeat([]byte(" "), 600<<10))
	if err != nil || status != http.StatusRequestEntityTooLarge {
		t.Errorf("large body: %d %v", status, err)
	}
	k := key(t, xdr.MustAddress(n.admin.Address()))
	for count, wantError := range map[int]bool{200: false, 201: true} {
		keys := strings.Split(strings.TrimSuffix(strings.Repeat(k+" ", count), " "), " ")
		_, raw, err := n.post(t.Context(), "getLedgerEntries", map[string]any{"keys": keys})
		if err != nil {
			t.Fatal(err)
		}
		var res rpcReply
		if err := json.Unmarshal(raw, &res); err != nil || (res.Error != nil) != wantError {
			t.Errorf("%d keys: %.200s", count, raw)
		}
	}
}

func TestFriendbotRefuses(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	kp := must(keypair.Random())(t)
	for _, c := range []struct {
		addr   string
		status int
	}{{kp.Address(), 200}, {kp.Address(), 400}, {"", 400}, {"nonsense", 400}, {n.chain.Contract("reward"), 400}} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/friendbot?addr="+c.addr, nil)
		rec := httptest.NewRecorder()
		n.chain.Handler().ServeHTTP(rec, req)
		want(t, "status for "+c.addr, rec.Code, c.status)
	}
	want(t, "balance", int64(n.entry(kp.Address()).Balance), 10_000*xlm)
}

// FuzzRPC: no request makes the chain panic or stop closing ledgers.
func FuzzRPC(f *testing.F) {
	chain := must(devchain.Open(devchain.Config{}))(f)
	handler := chain.Handler()
	for _, method := range []string{
		"getEvents", "getFeeStats", "getHealth", "getLatestLedger", "getLedgerEntries", "getLedgers", "getNetwork",
		"getTransaction", "getTransactions", "getVersionInfo", "sendTransaction", "simulateTransaction",
	} {
		f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"` + method + `"}`))
		f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"startLedger":1,"pagination":{"limit":1,"cursor":"4294967296"}}}`))
		f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"transaction":"AAAAAgAAAAA=","keys":["AAAAAA=="],"hash":"00"}}`))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body)))
		if raw := rec.Body.Bytes(); rec.Code == http.StatusOK && !json.Valid(raw) {
			t.Errorf("not JSON: %s", raw)
		}
	})
}

// FuzzEnvelope: no envelope makes the chain panic, in simulation, in the queue or in a ledger, and coins stay what
// they are.
func FuzzEnvelope(f *testing.F) {
	chain := must(devchain.Open(devchain.Config{}))(f)
	admin := must(keypair.ParseFull(devchain.DevAdminSeed))(f)
	handler := chain.Handler()
	call := func(f testing.TB, method string, raw []byte) {
		body := must(json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": map[string]string{
			"transaction": base64.StdEncoding.EncodeToString(raw),
		}}))(f)
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(f.Context(), http.MethodPost, "/", bytes.NewReader(body)))
	}
	for _, contract := range []string{"reward", "votes"} {
		invoke := invoke(f, chain, contract, "mint", addr(f, admin.Address()), i128(1))
		for _, op := range []txnbuild.Operation{invoke, pay(admin.Address()), &txnbuild.RestoreFootprint{}} {
			tx := must(txnbuild.NewTransaction(txnbuild.TransactionParams{
				SourceAccount: &txnbuild.SimpleAccount{AccountID: admin.Address(), Sequence: 1 << 32}, IncrementSequenceNum: true,
				Operations: []txnbuild.Operation{op}, BaseFee: 100,
				Preconditions: txnbuild.Preconditions{TimeBounds: txnbuild.NewInfiniteTimeout()},
			}))(f)
			f.Add(must(must(tx.Sign(chain.Passphrase(), admin))(f).MarshalBinary())(f))
			fb := must(txnbuild.NewFeeBumpTransaction(txnbuild.FeeBumpTransactionParams{
				Inner: must(tx.Sign(chain.Passphrase(), admin))(f), FeeAccount: admin.Address(), BaseFee: 1000,
			}))(f)
			f.Add(must(must(fb.Sign(chain.Passphrase(), admin))(f).MarshalBinary())(f))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		call(t, "simulateTransaction", raw)
		call(t, "sendTransaction", raw)
		if _, err := chain.CloseLedger(); err != nil {
			t.Fatal(err)
		}
		want(t, "coins", chain.Coins(), 1_000_000_000_000_000_000)
	})
}
