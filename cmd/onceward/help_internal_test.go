package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stellar/go-stellar-sdk/strkey"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/audit"
	"github.com/onceward/onceward/soroban/devchain"
)

// parse reads a command line and returns the command that it names.
func parse(t testing.TB, words []string) (*cli, string, error) {
	t.Helper()
	var c cli
	p, err := newParser(&c, kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := p.Parse(words)
	if err != nil {
		return &c, "", err
	}
	return &c, ctx.Selected().Path(), nil
}

// everyNode calls f with the root and every command below it.
func everyNode(t testing.TB, f func(n *kong.Node)) {
	t.Helper()
	var c cli
	p, err := newParser(&c)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		f(n)
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(p.Model.Node)
}

// lesson is the form that teach gives to the help of a command.
var lesson = regexp.MustCompile(`(?s)^(.+?)\n\nExamples?:\n\n((?:  [^\n]+\n)+)\nNext: (.+)$`)

// Every command says what it does, what there is to know, and what comes next,
// and its examples can be typed.
func TestHelpTeaches(t *testing.T) {
	t.Parallel()
	seen := 0
	everyNode(t, func(n *kong.Node) {
		seen++
		for _, f := range n.Flags {
			if f.Help == "" {
				t.Errorf("%s: --%s has no help", n.FullPath(), f.Name)
			}
		}
		for _, a := range n.Positional {
			if a.Help == "" {
				t.Errorf("%s: %s has no help", n.FullPath(), a.Summary())
			}
		}
		for _, problem := range lackOf(t, n.Path(), n.Help, n.Detail, n.Leaf()) {
			t.Errorf("%s --help: %s", n.FullPath(), problem)
		}
	})
	if seen < 40 {
		t.Errorf("only %d commands were looked at", seen)
	}
}

// lackOf is what the help of a command lacks.
func lackOf(t testing.TB, path, short, long string, leaf bool) (lacks []string) {
	t.Helper()
	if !strings.HasSuffix(short, ".") {
		lacks = append(lacks, "no sentence that says what it does: "+short)
	}
	parts := lesson.FindStringSubmatch(long)
	if parts == nil {
		return append(lacks, "no text, examples and next step; make them with teach: "+long)
	}
	for _, text := range []string{parts[1], parts[3]} {
		if !strings.HasSuffix(text, ".") {
			lacks = append(lacks, "no sentence: "+text)
		}
	}
	for example := range strings.Lines(parts[2]) {
		words := commandWords(example)
		c, got, err := parse(t, words)
		switch {
		case err != nil:
			lacks = append(lacks, err.Error()+" in "+example)
		case strings.ContainsAny(strings.TrimPrefix(strings.TrimSpace(example), "source <("), "…<>"):
			lacks = append(lacks, "not to be typed: "+example)
		case leaf && got != path, !leaf && path != "" && !strings.HasPrefix(got, path+" "):
			lacks = append(lacks, "of another command: "+example)
		default:
			lacks = append(lacks, wrongValues(c, example)...)
		}
	}
	return lacks
}

// wrongValues are those of an example that the command line takes and the
// command would refuse.
func wrongValues(c *cli, example string) (wrong []string) {
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, err.Error()+" in "+example)
		}
	}
	for _, f := range []*refFlags{
		&c.Keys.Show.refFlags, &c.Keys.Release.refFlags, &c.Keys.Complete.refFlags, &c.Keys.Hold.refFlags, &c.Operations.Show.refFlags,
	} {
		if *f != (refFlags{}) {
			_, err := f.ref()
			note(err)
		}
	}
	for _, s := range c.Losses.Acknowledge.IDs {
		_, err := onceward.ParseID(s) // of the same form
		note(err)
	}
	for _, s := range c.Audit.Verify.Head {
		_, err := audit.ParseHead(s)
		note(err)
	}
	for _, s := range c.Devchain.Fault {
		_, err := devchain.ParseFault(s)
		note(err)
	}
	for _, s := range append(c.Channels.Retire.Address, c.Channels.Release.Address...) {
		if !strkey.IsValidEd25519PublicKey(s) {
			wrong = append(wrong, "no account: "+s)
		}
	}
	return wrong
}

// commandWords are the words of a line of shell after "onceward", up to where
// the command ends.
func commandWords(line string) (words []string) {
	line, sourced := strings.CutPrefix(strings.TrimSpace(line), "source <(")
	if sourced {
		line = strings.TrimSuffix(line, ")")
	}
	for _, quoted := range shellWord.FindAllString(strings.TrimPrefix(line, "onceward"), -1) {
		if strings.HasPrefix(quoted, "#") || quoted == "|" || quoted == ">" {
			break
		}
		words = append(words, strings.NewReplacer(`"`, "", "'", "").Replace(quoted))
	}
	return words
}

// shellWord is a word, parts of which may be quoted.
var shellWord = regexp.MustCompile(`(?:"[^"]*"|'[^']*'|[^\s"'])+`)

// A command without the rest of it is noticed.
func TestHelpThatDoesNotTeachIsNoticed(t *testing.T) {
	t.Parallel()
	const good = "onceward keys show --store sqlite:a 3747cc65-c2f1-8dc7-8117-9b18028db2c6"
	if lacks := lackOf(t, "keys show", "Show one key.", teach("About.", "next.", good), true); len(lacks) > 0 {
		t.Errorf("a good one lacks %q", lacks)
	}
	for says, bad := range map[string][3]string{
		"no sentence that says": {"", "About.", good},
		"make them with teach":  {"Short.", "", good},
		"no sentence: About":    {"Short.", "About", good},
		"unknown flag --sttore": {"Short.", "About.", "onceward keys show --sttore sqlite:a 3747cc65-c2f1-8dc7-8117-9b18028db2c6"},
		"missing flags":         {"Short.", "About.", "onceward keys show 3747cc65-c2f1-8dc7-8117-9b18028db2c6"},
		"unexpected argument":   {"Short.", "About.", "onceward keys shows --store sqlite:a"},
		"of another command":    {"Short.", "About.", "onceward keys list --store sqlite:a"},
		"not to be typed":       {"Short.", "About.", "onceward keys show --store sqlite:a 3747…"},
		"operation id":          {"Short.", "About.", "onceward keys show --store sqlite:a 3747"},
	} {
		if lacks := strings.Join(lackOf(t, "keys show", bad[0], teach(bad[1], "next.", bad[2]), true), "\n"); !strings.Contains(lacks, says) {
			t.Errorf("%q: noticed was %q", says, lacks)
		}
	}
}

var (
	fence  = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	inline = regexp.MustCompile("`(onceward [a-z][^`]+)`")
)

// incomplete is the error of a command without what it needs.
var incomplete = regexp.MustCompile("^missing flags|expected (one of )?[\"<]")

// commandLines are those of a document that are typed, and those that a
// sentence names, which need not be complete.
func commandLines(document string) map[string]bool {
	lines := make(map[string]bool)
	for _, span := range inline.FindAllStringSubmatch(fence.ReplaceAllString(document, ""), -1) {
		lines[span[1]] = false
	}
	for _, block := range fence.FindAllStringSubmatch(document, -1) {
		for line := range strings.Lines(block[1]) {
			if line = strings.TrimPrefix(strings.TrimSpace(line), "$ "); strings.HasPrefix(line, "onceward ") {
				lines[line] = true
			}
		}
	}
	return lines
}

// What documents tell readers to type is a command line.
func TestDocumentsNameCommandsThatExist(t *testing.T) {
	t.Setenv("ONCEWARD_STORE", "sqlite:onceward.db") // as docs/operator.md exports it
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range append(files, "../../README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line, typed := range commandLines(string(data)) {
			seen++
			_, _, err := parse(t, commandWords(line))
			if err != nil && !typed && incomplete.MatchString(err.Error()) {
				continue
			}
			if err != nil {
				t.Errorf("%s: %s: %v", file, line, err)
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d command lines were found", seen)
	}
}
