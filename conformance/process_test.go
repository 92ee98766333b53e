package conformance_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres/pgtest"
	"github.com/onceward/onceward/sqlitestore"
)

// writerEnv turns this test binary into a process that writes to a database.
const writerEnv = "ONCEWARD_WRITER"

// orderEnv turns it into one that waits to be killed around its commit.
const orderEnv = "ONCEWARD_TEST_POINT"

func TestMain(m *testing.M) {
	if spec := os.Getenv(writerEnv); spec != "" {
		if err := write(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(orderEnv) != "" {
		orderUntilKilled()
	}
	os.Exit(pgtest.Main(m))
}

// write claims and completes keys and reports each acknowledgement in a line:
// "won KEY TOKEN", "done KEY TOKEN". spec is "from to path".
func write(spec string) error {
	var from, to int
	var path string
	if _, err := fmt.Sscan(spec, &from, &to, &path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx := context.Background()
	s, err := sqlitestore.Open(ctx, db, sqlitestore.Config{BusyTimeout: time.Minute})
	if err != nil {
		return err
	}
	defer s.Close(ctx)
	var mu sync.Mutex
	var firstErr error
	say := func(err error, format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil && firstErr == nil {
			firstErr = err
		} else if err == nil {
			fmt.Printf(format+"\n", args...) //nolint:forbidigo // the protocol of this process
		}
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := from + worker; i < to; i += 8 {
				res, err := s.Claim(ctx, request(i))
				if err != nil || !res.Won {
					say(err, "lost %d", i)
					continue
				}
				say(nil, "won %d %d", i, res.Record.Token)
				err = s.Complete(ctx, completion(res.Record.Claim()))
				say(err, "done %d %d", i, res.Record.Token)
			}
		})
	}
	wg.Wait()
	return firstErr
}

// writer is such a process.
type writer struct {
	*exec.Cmd
	out *bufio.Scanner
	err *strings.Builder
}

func startWriter(t *testing.T, path string, from, to int) writer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), self)
	cmd.Env = append(os.Environ(), writerEnv+"="+fmt.Sprintf("%d %d %s", from, to, path))
	w := writer{Cmd: cmd, err: &strings.Builder{}}
	cmd.Stderr = w.err
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.out = bufio.NewScanner(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // may have ended
		_ = cmd.Wait()
	})
	return w
}

// acks are what a writer was told: key → token.
type acks struct{ won, done map[int]int64 }

// read takes down at most n lines, or all if n is 0.
func (a acks) read(t *testing.T, w writer, n int) {
	t.Helper()
	for lines := 0; (n == 0 || lines < n) && w.out.Scan(); lines++ {
		f := strings.Fields(w.out.Text())
		if len(f) != 3 {
			continue // lost, or cut off by the kill
		}
		key, err1 := strconv.Atoi(f[1])
		token, err2 := strconv.ParseInt(f[2], 10, 64)
		if err1 != nil || err2 != nil {
			t.Errorf("line %q", w.out.Text())
			return
		}
		into := a.won
		if f[0] == "done" {
			into = a.done
		}
		if _, twice := into[key]; twice {
			t.Errorf("key %d: %s twice", key, f[0])
		}
		into[key] = token
	}
}

// Several processes on one file: every key has one winner, and nothing that one
// was told is missing.
func TestSQLiteProcessesShareAFile(t *testing.T) {
	t.Parallel()
	const keys = 300
	f := newFile(t, "")
	s := f.open(t, sqlitestore.Config{BusyTimeout: time.Minute})
	var writers []writer
	for range 3 {
		writers = append(writers, startWriter(t, f.path, 0, keys))
	}
	all := acks{make(map[int]int64), make(map[int]int64)}
	for _, w := range writers { // their pipes hold more than they say
		all.read(t, w, 0)
		if err := w.Wait(); err != nil {
			t.Fatalf("%v: %s", err, w.err)
		}
	}
	if len(all.won) != keys || len(all.done) != keys {
		t.Errorf("%d won, %d done, of %d keys", len(all.won), len(all.done), keys)
	}
	all.check(t, s)
}

// check compares what was acknowledged with what is stored.
func (a acks) check(t *testing.T, s onceward.Store) {
	t.Helper()
	for key, token := range a.won {
		rec, err := s.Get(t.Context(), onceward.GetRequest{Key: request(key).Key, Now: epoch})
		_, done := a.done[key]
		switch {
		case err != nil || rec.Token != token:
			t.Errorf("key %d: the acknowledged claim with token %d is now %d, %v", key, token, rec.Token, err)
		case done && (rec.Status != onceward.StatusCompleted || string(rec.Response.Body) != "paid"):
			t.Errorf("key %d: the acknowledged completion is now %s", key, rec.Status)
		}
	}
}

// A process is killed in the middle of its batches, again and again. What it
// was told stands, nothing is half written, and nothing stays locked.
func TestCrashOfASQLiteWriter(t *testing.T) {
	t.Parallel()
	f := newFile(t, "")
	all := acks{make(map[int]int64), make(map[int]int64)}
	for round := range 8 {
		w := startWriter(t, f.path, round*100_000, (round+1)*100_000)
		all.read(t, w, 20+rand.IntN(200))
		if err := w.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		all.read(t, w, 0) // what it was told before it died
		if err := w.Wait(); err == nil {
			t.Fatal("the writer ended before it was killed")
		}
		s := f.open(t, sqlitestore.Config{}) // the default is time enough: nobody holds a lock
		all.check(t, s)
		claim(t, s, -1-round)
		if got := f.ask(t, "PRAGMA integrity_check"); got != "ok" {
			t.Fatal(got)
		}
		for i, token := range all.won {
			res, err := s.Claim(t.Context(), request(i))
			if err != nil || res.Won || res.Record.Token != token {
				t.Fatalf("key %d: claimed again: won %v, token %d, %v", i, res.Won, res.Record.Token, err)
			}
			break // one of them will do
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if t.Logf("%d acknowledged claims, %d completions", len(all.won), len(all.done)); len(all.done) < 50 {
		t.Error("the writers were killed before they did anything")
	}
}
