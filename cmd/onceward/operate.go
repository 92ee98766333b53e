package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/audit"
	"github.com/onceward/onceward/cmd/onceward/internal/operator"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
)

// usageError is a command line that cannot be meant: exit status 2.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// storeFlags say where the operations are.
type storeFlags struct {
	Store   string `required:"" placeholder:"DSN" help:"Store of the gateways: sqlite:PATH or postgres://…, of several databases all of them, divided by spaces."`
	Keyring string `placeholder:"FILE" type:"path" help:"Keyring of an encrypted store."`

	options storage.OpenOptions
}

// changeFlags are those of every command that changes something.
type changeFlags struct {
	Reason string `required:"" env:"-" placeholder:"TEXT" help:"Why, for the audit log."`
	Actor  string `placeholder:"NAME" help:"Who, for the audit log. Default: the user who runs the command."`
}

// pageFlags choose a page of a list.
type pageFlags struct {
	Limit  int    `default:"50" env:"-" help:"Size of a page, at most 1000 (${default})."`
	Cursor string `env:"-" help:"Where the page begins, as the page before said."`
}

func (f *pageFlags) check() error {
	if f.Limit < 1 || f.Limit > operator.MaxLimit {
		return usagef("--limit is 1 to %d", operator.MaxLimit)
	}
	return nil
}

// outputFlags choose between people and machines.
type outputFlags struct {
	Output string `short:"o" enum:"table,json" default:"table" help:"Output for people or machines (${enum})."`
}

// desk is an open store with an operator at it.
type desk struct {
	*operator.Desk

	store  onceward.Store // for operations: unsealed, when it is sealed
	raw    onceward.Store // for API keys and the audit log
	sealed *seal.Store    // nil when the store is not encrypted
	log    *audit.Log
	handle *storage.Handle
}

// open opens the store for a command. One that does not exist is not created:
// it would be empty, and the answer wrong.
func (f *storeFlags) open(p *process, actor string) (*desk, error) {
	if path, ok := strings.CutPrefix(f.Store, "sqlite:"); ok {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, usagef("there is no database %s; name the one that the gateways use with --store", path)
		}
	}
	h, err := storage.OpenWith(p.ctx, f.Store, f.options)
	if err != nil {
		return nil, err
	}
	d := &desk{raw: h.Store, handle: h, log: audit.New(h.Store, nil)}
	d.store = h.Store
	if f.Keyring != "" {
		if d.sealed, err = f.unseal(p, h.Store); err != nil {
			return nil, errors.Join(err, d.close(p.ctx))
		}
		d.store = d.sealed
	}
	d.Desk, err = operator.New(operator.Config{Store: d.store, Audit: d.log, Actor: actorName(actor), Logger: p.log})
	if err != nil {
		return nil, errors.Join(err, d.close(p.ctx))
	}
	return d, nil
}

func (f *storeFlags) unseal(p *process, raw onceward.Store) (*seal.Store, error) {
	k, err := seal.ReadKeyring(f.Keyring)
	if err != nil {
		return nil, usageError{err}
	}
	if is, err := seal.Sealed(p.ctx, raw); err != nil || !is {
		return nil, errors.Join(err, usagef("this store is not encrypted; leave --keyring out"))
	}
	return seal.Open(p.ctx, raw, k, seal.Config{Logger: p.log, AcceptPlaintext: true})
}

// with opens the store, runs a command and closes it. A sealed store whose
// keyring is not given can be listed, but neither read in full nor written.
func (f *storeFlags) with(p *process, actor string, needsKeys bool, run func(*desk) error) error {
	d, err := f.open(p, actor)
	if err != nil {
		return err
	}
	if needsKeys && d.sealed == nil {
		is, err := seal.Sealed(p.ctx, d.raw)
		if is {
			err = usagef("this store is encrypted; name its keyring with --keyring")
		}
		if err != nil {
			return errors.Join(err, d.close(p.ctx))
		}
	}
	return errors.Join(run(d), d.close(p.ctx))
}

const closeTimeout = 10 * time.Second

func (d *desk) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return d.handle.Close(ctx)
}

// actorName is who the audit log says it was.
func actorName(given string) string {
	if given != "" {
		return given
	}
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if sudo := os.Getenv("SUDO_USER"); sudo != "" {
		name = sudo + " as " + name
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// show writes v as JSON, or lets table write it for people.
func (f *outputFlags) show(p *process, v any, table func(w io.Writer)) error {
	if f.Output == "json" {
		enc := json.NewEncoder(p.stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// row writes one line of a table. What was stored may hold anything, and must
// not reach the terminal as a command to it.
func row(w io.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			_, _ = io.WriteString(w, "\t") // Flush reports what fails
		}
		_, _ = io.WriteString(w, printable(fmt.Sprint(c)))
	}
	_, _ = io.WriteString(w, "\n")
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '�'
	}, s)
}

// when writes a time for people, in UTC; a zero one is a dash.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func more(w io.Writer, next string) {
	if next != "" {
		fmt.Fprintf(w, "\nThere are more: --cursor %s\n", next)
	}
}
