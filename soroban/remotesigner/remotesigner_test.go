package remotesigner_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/remotesigner"
)

func signer(t testing.TB, name string) (soroban.Signer, *keypair.Full) {
	t.Helper()
	key := keypair.Master(name).(*keypair.Full)
	s, err := soroban.NewSigner(key.Seed())
	if err != nil {
		t.Fatal(err)
	}
	return s, key
}

// serve runs a daemon until the test ends.
func serve(t testing.TB, cfg remotesigner.ServerConfig) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "signer.sock")
	srv, err := remotesigner.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := remotesigner.Listen(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error)
	go func() { done <- srv.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	return socket
}

func client(t testing.TB, socket, address string) *remotesigner.Signer {
	t.Helper()
	c, err := remotesigner.New(remotesigner.Config{Socket: socket, Address: address, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSign(t *testing.T) {
	t.Parallel()
	one, key := signer(t, "one")
	two, _ := signer(t, "two")
	socket := serve(t, remotesigner.ServerConfig{Signers: []soroban.Signer{one, two}, Timeout: 30 * time.Second})
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode: %v, %v", info.Mode(), err)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			hash := [32]byte{byte(i)} //nolint:gosec // below 50
			sig, err := client(t, socket, one.Address()).Sign(t.Context(), hash)
			if err != nil || key.Verify(hash[:], sig) != nil {
				t.Errorf("%x, %v", sig, err)
			}
		})
	}
	wg.Wait()
	stranger := keypair.Master("stranger").Address()
	if _, err := client(t, socket, stranger).Sign(t.Context(), [32]byte{}); err == nil || !strings.Contains(err.Error(), "unknown-address") {
		t.Errorf("a stranger's key: %v", err)
	}
}

// A limit of the daemon reaches the Submitter as one.
func TestLimits(t *testing.T) {
	t.Parallel()
	s, _ := signer(t, "limited")
	budget, err := soroban.NewBudget(soroban.BudgetConfig{Name: "per hour", Limit: big.NewInt(2), Window: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	socket := serve(t, remotesigner.ServerConfig{Signers: []soroban.Signer{soroban.LimitedSigner(s, budget)}, Timeout: 30 * time.Second})
	c := client(t, socket, s.Address())
	for i := range 4 {
		_, err := c.Sign(t.Context(), [32]byte{})
		limit, limited := errors.AsType[*soroban.LimitError](err)
		if limited != (i >= 2) || limited && (limit.Name != "per hour" || limit.RetryAfter <= 0) {
			t.Errorf("signature %d: %v", i, err)
		}
	}
}

// raw writes bytes to the daemon and reads its line.
func raw(t testing.TB, socket, send string) map[string]any {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = conn.Write([]byte(send)) // it may hang up before the end
	line, _ := bufio.NewReader(conn).ReadBytes('\n')
	var out map[string]any
	if len(line) > 0 && json.Unmarshal(line, &out) != nil {
		t.Fatalf("not JSON: %s", line)
	}
	return out
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s, _ := signer(t, "one")
	socket := serve(t, remotesigner.ServerConfig{Signers: []soroban.Signer{s}, Timeout: 30 * time.Second})
	hash := hex.EncodeToString(make([]byte, 32))
	for _, send := range []string{
		"\n", "{}\n", "null\n", "{\n",
		fmt.Sprintf(`{"v":2,"address":%q,"hash":%q}`, s.Address(), hash) + "\n",
		fmt.Sprintf(`{"v":1,"address":%q,"hash":%q}`, s.Address(), hash[2:]) + "\n",
		fmt.Sprintf(`{"v":1,"address":%q,"hash":%q}`, s.Address(), strings.Repeat("z", 64)) + "\n",
		strings.Repeat("x", 1100) + "\n",
	} {
		if got := raw(t, socket, send); got["error"] != "malformed" {
			t.Errorf("%.40q: %v", send, got)
		}
	}
	if got := raw(t, socket, fmt.Sprintf(`{"v":1,"address":%q,"hash":%q}`, s.Address(), hash)+"\n"); got["signature"] == nil {
		t.Errorf("a good one: %v", got)
	}
}

// slow signs when it is let, or when the request is over.
type slow struct {
	soroban.Signer
	started chan struct{}
	let     chan struct{}
}

func (s slow) Sign(ctx context.Context, hash [32]byte) ([]byte, error) {
	s.started <- struct{}{}
	select {
	case <-s.let:
		return s.Signer.Sign(ctx, hash)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// More at once than the daemon takes are told so; a client that has waited
// enough goes on.
func TestBusyAndTimeout(t *testing.T) {
	t.Parallel()
	s, _ := signer(t, "one")
	held := slow{s, make(chan struct{}, 10), make(chan struct{})}
	socket := serve(t, remotesigner.ServerConfig{Signers: []soroban.Signer{held}, MaxConns: 1, Timeout: time.Minute})
	c := client(t, socket, s.Address())
	first := make(chan error)
	go func() { _, err := c.Sign(t.Context(), [32]byte{}); first <- err }()
	<-held.started
	if _, err := c.Sign(t.Context(), [32]byte{}); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("the second: %v", err)
	}
	close(held.let)
	if err := <-first; err != nil {
		t.Errorf("the first: %v", err)
	}

	stuck := slow{s, make(chan struct{}, 10), make(chan struct{})}
	socket = serve(t, remotesigner.ServerConfig{Signers: []soroban.Signer{stuck}, Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-stuck.started; cancel() }()
	if _, err := client(t, socket, s.Address()).Sign(ctx, [32]byte{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	close(stuck.let)
}

func TestListen(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "s") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "x")
	l, err := remotesigner.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remotesigner.Listen(t.Context(), path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("twice: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	// What a killed process leaves behind is replaced.
	var cfg net.ListenConfig
	stale, err := cfg.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = stale.Close()
	again, err := remotesigner.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := remotesigner.Listen(t.Context(), path); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file: %v", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	address := keypair.Master("one").Address()
	for _, cfg := range []remotesigner.Config{
		{Socket: "x", Address: "G"}, {Address: address}, {Socket: "x", Address: address, Timeout: -1},
	} {
		if _, err := remotesigner.New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	s, _ := signer(t, "one")
	for _, cfg := range []remotesigner.ServerConfig{{}, {Signers: []soroban.Signer{s, s}}, {Signers: []soroban.Signer{s}, MaxConns: -1}} {
		if _, err := remotesigner.NewServer(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	absent, err := remotesigner.New(remotesigner.Config{Socket: "no-such-socket", Address: address})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := absent.Sign(t.Context(), [32]byte{}); err == nil || !strings.Contains(err.Error(), "is the daemon running") {
		t.Errorf("no daemon: %v", err)
	}
}
