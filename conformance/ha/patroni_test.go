package ha_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// node is a server that Patroni runs.
type node struct {
	pgtest.Server // its port and data directory only
	patroni       *pgtest.Program
}

// kill ends Patroni and its server at once, as losing the machine does.
func (n *node) kill() error {
	if err := n.patroni.Kill(); err != nil {
		return err
	}
	file := filepath.Join(n.Data, "postmaster.pid")
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return err
	}
	return errors.Join(syscall.Kill(pid, syscall.SIGKILL), os.Remove(file))
}

const patroniConfig = `
scope: onceward
name: %[1]s
restapi: {listen: '127.0.0.1:%[2]d', connect_address: '127.0.0.1:%[2]d'}
etcd3: {host: '127.0.0.1:%[3]d'}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    synchronous_mode: true
    synchronous_mode_strict: true
    postgresql:
      use_pg_rewind: false
      parameters: {fsync: 'off', shared_buffers: 32MB, max_connections: 60, wal_retrieve_retry_interval: 200ms}
  initdb: [{encoding: UTF8}, {locale: C}, {auth: trust}, no-sync]
postgresql:
  listen: '127.0.0.1:%[4]d'
  connect_address: '127.0.0.1:%[4]d'
  data_dir: %[5]s/%[1]s
  bin_dir: %[6]s
  pgpass: %[5]s/%[1]s.pgpass
  authentication: {superuser: {username: postgres}, replication: {username: postgres}}
  parameters: {unix_socket_directories: ''}
  pg_hba: [host all all 127.0.0.1/32 trust, host replication all 127.0.0.1/32 trust]
`

func freePort(t *testing.T) int {
	t.Helper()
	port, err := pgtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// startEtcd returns the port on which it serves.
func startEtcd(t *testing.T, dir string) int {
	t.Helper()
	port, peers := freePort(t), freePort(t)
	url, peer := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", peers)
	etcd, err := pgtest.Launch(dir, "etcd", "--data-dir", dir+"/etcd", "--listen-client-urls", url, "--advertise-client-urls", url,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := etcd.Kill(); err != nil {
			t.Error(err)
		}
	})
	err = etcd.Until(t.Context(), func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// startPatroni runs three servers of which one is the primary and another a
// strictly synchronous standby.
func startPatroni(t *testing.T) []*node {
	t.Helper()
	dir, err := pgtest.Directory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	bin, err := pgtest.Binary("postgres")
	if err != nil {
		t.Fatal(err)
	}
	etcd := startEtcd(t, dir)
	var nodes []*node
	t.Cleanup(func() {
		var all sync.WaitGroup
		for _, n := range nodes {
			all.Go(func() {
				if err := n.patroni.Terminate(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
	for _, name := range []string{"n1", "n2", "n3"} {
		n := &node{Server: pgtest.Server{Port: freePort(t), Data: filepath.Join(dir, name)}}
		file := filepath.Join(dir, name+".yml")
		config := fmt.Sprintf(patroniConfig, name, freePort(t), etcd, n.Port, dir, filepath.Dir(bin))
		if err := os.WriteFile(file, []byte(config), 0o644); err != nil { //nolint:gosec // another account reads it
			t.Fatal(err)
		}
		logs := filepath.Join(dir, name+"-logs")
		if err := os.Mkdir(logs, 0o755); err != nil { //nolint:gosec // another account looks into it
			t.Fatal(err)
		}
		if n.patroni, err = pgtest.Launch(logs, "patroni", file); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	until(t, "a primary with a synchronous standby", func() bool {
		for _, n := range nodes {
			if d, err := durability(t, n.DSN("postgres")); err == nil && d.Standbys == 2 && d.Asynchronous == 1 {
				return true
			}
		}
		return false
	})
	return nodes
}

// durability asks a server that may not be there.
func durability(t *testing.T, dsn string) (postgres.Durability, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	pool := connect(t, dsn)
	defer pool.Close()
	return postgres.CheckDurability(ctx, pool)
}

// primary returns the node that takes writes.
func primary(t *testing.T, nodes []*node) *node {
	t.Helper()
	for _, n := range nodes {
		if _, err := durability(t, n.DSN("postgres")); err == nil {
			return n
		}
	}
	t.Fatal("no node takes writes")
	return nil
}

// TestPatroniFailsOver: the primary and its Patroni are killed, and without
// anybody's doing another server takes over; nothing acknowledged is lost, and
// every caller gets its answer through the same connection string.
func TestPatroniFailsOver(t *testing.T) {
	t.Parallel()
	nodes := startPatroni(t)
	var hosts []string
	for _, n := range nodes {
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", n.Port))
	}
	pool := connect(t, fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable&target_session_attrs=read-write",
		pgtest.User, strings.Join(hosts, ",")))
	if err := postgres.Migrate(t.Context(), pool, postgres.MigrateConfig{}); err != nil {
		t.Fatal(err)
	}
	s := open(t, pool, postgres.Config{})
	l := start(t.Context(), 16, s)
	l.awaitMore(t, 20)
	before := l.book.acks.Load()
	old := primary(t, nodes)
	began := time.Now()
	if err := old.kill(); err != nil {
		t.Fatal(err)
	}
	l.awaitMore(t, 5)
	t.Logf("every caller served again %v after the kill", time.Since(began).Round(time.Millisecond))
	b := l.end(t)
	promoted := primary(t, nodes)
	if promoted == old {
		t.Fatal("the primary that was killed is the primary")
	}
	claims, completions := b.lost(t, &promoted.Server)
	t.Logf("%d acknowledgements before the kill, %d in all; lost %d claims, %d completions", before, b.acks.Load(), claims, completions)
	if claims+completions != 0 {
		t.Errorf("%d acknowledged claims and %d completions are lost", claims, completions)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("after the failover: %v", err)
	}
}
