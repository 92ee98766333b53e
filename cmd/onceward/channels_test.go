package main_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/sqlitestore"
)

// chainURL serves a development chain whose ledgers close by themselves.
func chainURL(t *testing.T) (*devchain.Chain, string) {
	t.Helper()
	chain, err := devchain.Open(devchain.Config{LedgerInterval: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- chain.Run(ctx) }()
	srv := httptest.NewServer(chain.Handler())
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		srv.Close()
		_ = chain.Close()
	})
	return chain, srv.URL
}

func emptyStore(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "onceward.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlitestore.Open(t.Context(), db, sqlitestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs the binary and returns what it wrote, and whether it succeeded.
func command(t *testing.T, env []string, args ...string) (stdout, stderr string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(cmd.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.String(), errs.String(), err == nil
}

// The life of the channels, as an operator sees it: created by friendbot and by
// an account that pays, listed, retired, released.
func TestChannels(t *testing.T) {
	t.Parallel()
	chain, url := chainURL(t)
	funder, err := keypair.Random()
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.Fund(funder.Address(), 1000*10_000_000); err != nil {
		t.Fatal(err)
	}
	const seed = "a seed of more than 16 bytes"
	env := []string{"SEED=" + seed, "FUNDER=" + funder.Seed()}
	network := []string{"--rpc", url, "--passphrase", chain.Passphrase(), "-o", "json"}
	store := []string{"--store", "sqlite:" + emptyStore(t)}
	run := func(into any, args ...string) {
		t.Helper()
		out, errs, ok := command(t, env, slices.Concat([]string{"channels"}, args)...)
		if !ok {
			t.Fatalf("%v: %s", args, errs)
		}
		if into != nil {
			if err := json.Unmarshal([]byte(out), into); err != nil {
				t.Fatalf("%v: %s: %v", args, out, err)
			}
		}
	}
	var created struct {
		Created  int
		Channels []string
	}
	for _, step := range []struct {
		count   string
		funder  []string
		created int
	}{{"2", nil, 2}, {"2", nil, 0}, {"5", []string{"--funder-env", "FUNDER"}, 3}, {"5", []string{"--funder-env", "FUNDER"}, 0}} {
		run(&created, slices.Concat([]string{"create", "--seed-env", "SEED", "--count", step.count}, step.funder, network)...)
		if created.Created != step.created {
			t.Errorf("%+v: created %+v", step, created)
		}
	}
	list := func() (out []soroban.Channel) {
		run(&out, slices.Concat([]string{"list", "--seed-env", "SEED", "--count", "5"}, network, store)...)
		return out
	}
	for i, c := range list() {
		if c.Address != created.Channels[i] || c.State != soroban.ChannelFree || c.Balance == 0 || c.Sequence == 0 {
			t.Errorf("%+v", c)
		}
	}
	run(nil, slices.Concat([]string{"retire", created.Channels[1], "--reason", "moved"}, network, store)...)
	if c := list()[1]; c.State != soroban.ChannelRetired || c.Reason != "moved" {
		t.Errorf("retired: %+v", c)
	}
	run(nil, slices.Concat([]string{"release", created.Channels[1]}, network, store)...)
	if c := list()[1]; c.State != soroban.ChannelFree || c.Reason != "" {
		t.Errorf("released: %+v", c)
	}
	out, _, ok := command(t, env, slices.Concat([]string{"channels", "list", "--seed-env", "SEED", "--rpc", url, "--passphrase", chain.Passphrase()}, store)...)
	if !ok || !strings.Contains(out, "missing") || !strings.Contains(out, "STATE") {
		t.Errorf("as text: %s", out)
	}
}

// What is wrong says what to do, and tells no secret.
func TestChannelsMistakes(t *testing.T) {
	t.Parallel()
	chain, url := chainURL(t)
	env := []string{"SEED=hex:zz-secret", "SHORT=secret", "FUNDER=secret"}
	network := []string{"--rpc", url, "--passphrase", chain.Passphrase()}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"create", "--seed-env", "UNSET"}, "UNSET is not set"},
		{[]string{"create", "--seed-env", "SEED"}, "not hexadecimal"},
		{[]string{"create", "--seed-env", "SHORT"}, "16 to 64 bytes"},
		{[]string{"list", "--seed-env", "UNSET", "--store", "x"}, "UNSET"},
		{[]string{"retire", "G", "--store", "mongodb://x"}, "has no store"},
		{[]string{"retire", "G", "--store", "sqlite:/does/not/exist"}, "no such file"},
		{[]string{"retire", "G", "--store", "sqlite:" + emptyStore(t)}, "account address"},
		{[]string{"create", "--seed-env", "LONG", "--funder-env", "FUNDER"}, "FUNDER does not hold"},
	} {
		_, errs, ok := command(t, append(env, "LONG=0123456789abcdef"), slices.Concat([]string{"channels"}, c.args, network)...)
		if ok || !strings.Contains(errs, c.want) || strings.Contains(errs, "secret\"") || strings.Contains(errs, "zz-secret") {
			t.Errorf("%v: %v, %s", c.args, ok, errs)
		}
	}
}
