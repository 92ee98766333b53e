package main_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/clients/rpcclient"
	"github.com/stellar/go-stellar-sdk/keypair"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/postgres/pgtest"
	"github.com/onceward/onceward/soroban/devchain"
)

// binary is the command under test, built with the race detector.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "onceward-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		// Processes with the race detector sleep for a second as they end.
		if err := os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=20")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		binary = filepath.Join(dir, "onceward")
		if runtime.GOOS == "windows" {
			binary += ".exe"
		}
		build := exec.CommandContext(context.Background(), "go", "build", "-race", "-o", binary, ".")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the command:", err)
			return 1
		}
		return pgtest.Main(m)
	}())
}

// server is a running "onceward dev" or "onceward serve".
type server struct {
	t      testing.TB
	args   []string
	env    []string // beside the test's own
	binary string   // instead of the one with the race detector
	cmd    *exec.Cmd
	api    string
	admin  string
	rpc    string
	log    *lockedBuffer
	done   chan struct{} // closed when the process has ended

	described described // what clients see is held against it
}

// lockedBuffer collects what a process writes.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// fast is a chain that closes ledgers quickly.
var fast = []string{"--ledger-interval=100ms", "--lease=1s"}

// startDev runs "onceward dev" on free ports and a folder of its own.
func startDev(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, args: append([]string{
		"dev", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--rpc-listen=127.0.0.1:0", "--data=" + t.TempDir(),
	}, args...)}
	s.start()
	t.Cleanup(s.kill)
	return s
}

var addresses = regexp.MustCompile(`(?m)^  (API|Admin|Chain)\s+(https?://\S+)`)

// start runs the process, again with the same data after a stop, and returns
// once it answers.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.CommandContext(context.Background(), cmp.Or(s.binary, binary), s.args...)
	s.cmd.Env = append(os.Environ(), s.env...)
	s.log = &lockedBuffer{}
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd, done := s.cmd, make(chan struct{})
	s.done = done
	lines := make(chan string)
	go func() {
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			lines <- scan.Text()
		}
		close(lines)
		_ = cmd.Wait() // its exit status stays in cmd.ProcessState
		close(done)
	}()
	for line := range lines {
		if m := addresses.FindStringSubmatch(line); m != nil {
			*map[string]*string{"API": &s.api, "Admin": &s.admin, "Chain": &s.rpc}[m[1]] = m[2]
		}
		if strings.Contains(line, "Ctrl-C") {
			go func() {
				for range lines { // let it write on
				}
			}()
			s.describe()
			return
		}
	}
	<-done
	s.t.Fatalf("onceward %v ended before it was ready: %v\n%s", s.args, cmd.ProcessState, s.log)
}

// kill ends the process as a power cut would.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.done
	if strings.Contains(s.log.String(), "DATA RACE") {
		s.t.Errorf("data race:\n%s", s.log)
	}
	s.judge()
	s.cmd = nil
}

// terminate asks the process to end, and returns its exit status.
func (s *server) terminate() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	<-s.done
	code := s.cmd.ProcessState.ExitCode()
	s.kill()
	return code
}

// answer is what a client saw.
type answer struct {
	status int
	header http.Header
	body   string
}

// field reads one member of a JSON body; names are separated by dots.
func (a answer) field(t testing.TB, name string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("not JSON: %s", a.body)
	}
	for part := range strings.SplitSeq(name, ".") {
		m, _ := v.(map[string]any)
		v = m[part]
	}
	return v
}

// call makes one request. Header pairs follow the body.
func (s *server) call(ctx context.Context, method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.api+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	data, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err == nil {
		s.saw(ctx, http.DefaultClient, req, body, res, data)
	}
	return answer{res.StatusCode, res.Header, string(data)}, err
}

func (s *server) post(path, key, body string, header ...string) answer {
	s.t.Helper()
	if key != "" {
		header = append(header, "Idempotency-Key", `"`+key+`"`)
	}
	a, err := s.call(s.t.Context(), http.MethodPost, path, body, header...)
	if err != nil {
		s.t.Fatalf("POST %s: %v\n%s", path, err, s.log)
	}
	return a
}

func (s *server) get(path string, header ...string) answer {
	s.t.Helper()
	a, err := s.call(s.t.Context(), http.MethodGet, path, "", header...)
	if err != nil {
		s.t.Fatalf("GET %s: %v\n%s", path, err, s.log)
	}
	return a
}

// account is an address that nobody uses.
func account(name string) string { return keypair.Master("e2e " + name).Address() }

func reward(to string, amount int) string {
	return fmt.Sprintf(`{"to":%q,"amount":"%d","reason":"e2e"}`, account(to), amount)
}

// eventually polls a condition that another process brings about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		if cond() {
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			tick.Stop()
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// mints counts the mint events on the chain by recipient, as an unmodified
// client sees them.
func mints(t testing.TB, rpcURL string) map[string]int {
	t.Helper()
	rpc := rpcclient.NewClient(rpcURL, nil)
	defer rpc.Close()
	out := make(map[string]int)
	symbol := xdr.ScSymbol("mint")
	topic, any := xdr.ScVal{Type: xdr.ScValTypeScvSymbol, Sym: &symbol}, "*"
	req := protocol.GetEventsRequest{
		StartLedger: 2,
		Filters: []protocol.EventFilter{{
			EventType:   protocol.EventTypeSet{protocol.EventTypeContract: nil},
			ContractIDs: []string{devchain.ContractID(devchain.DefaultPassphrase, "reward")},
			Topics:      []protocol.TopicFilter{{{ScVal: &topic}, {Wildcard: &any}}},
		}},
		Pagination: &protocol.PaginationOptions{Limit: 1000},
	}
	for {
		res, err := rpc.GetEvents(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range res.Events {
			var to xdr.ScVal
			if err := xdr.SafeUnmarshalBase64(e.TopicXDR[1], &to); err != nil {
				t.Fatal(err)
			}
			s, err := to.Address.String()
			if err != nil {
				t.Fatal(err)
			}
			out[s]++
		}
		if len(res.Events) < 1000 {
			return out
		}
		cursor, err := protocol.ParseCursor(res.Cursor)
		if err != nil {
			t.Fatal(err)
		}
		req.StartLedger, req.Pagination.Cursor = 0, &cursor
	}
}

// supply asks the reward contract for its total supply.
func supply(t testing.TB, rpcURL string) uint64 {
	t.Helper()
	rpc := rpcclient.NewClient(rpcURL, nil)
	defer rpc.Close()
	raw := strkey.MustDecode(strkey.VersionByteContract, devchain.ContractID(devchain.DefaultPassphrase, "reward"))
	id := xdr.ContractId(raw)
	admin := keypair.MustParseFull(devchain.DevAdminSeed)
	tx, err := txnbuild.NewTransaction(txnbuild.TransactionParams{
		SourceAccount: &txnbuild.SimpleAccount{AccountID: admin.Address()}, IncrementSequenceNum: true,
		BaseFee: 1000, Preconditions: txnbuild.Preconditions{TimeBounds: txnbuild.NewInfiniteTimeout()},
		Operations: []txnbuild.Operation{&txnbuild.InvokeHostFunction{HostFunction: xdr.HostFunction{
			Type: xdr.HostFunctionTypeHostFunctionTypeInvokeContract,
			InvokeContract: &xdr.InvokeContractArgs{
				ContractAddress: xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeContract, ContractId: &id},
				FunctionName:    "total_supply",
			},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := tx.Base64()
	if err != nil {
		t.Fatal(err)
	}
	res, err := rpc.SimulateTransaction(t.Context(), protocol.SimulateTransactionRequest{Transaction: encoded})
	if err != nil || res.Error != "" {
		t.Fatal(err, res.Error)
	}
	var out xdr.ScVal
	if err := xdr.SafeUnmarshalBase64(*res.Results[0].ReturnValueXDR, &out); err != nil {
		t.Fatal(err)
	}
	return uint64(out.I128.Lo)
}
