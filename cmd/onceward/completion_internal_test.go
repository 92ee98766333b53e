package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// offered is what may follow a command: what is below it, its flags and those of
// the commands above it, and the values that its arguments may have.
func offered(n *kong.Node) (words []string) {
	for _, child := range n.Children {
		words = append(words, child.Name)
	}
	for _, arg := range n.Positional {
		for value := range strings.SplitSeq(arg.Enum, ",") {
			if value != "" {
				words = append(words, value)
			}
		}
	}
	for above := n; above != nil; above = above.Parent {
		for _, f := range above.Flags {
			words = append(words, "--"+f.Name)
		}
	}
	slices.Sort(words)
	return words
}

// The scripts offer the whole command line: bash itself is asked about every
// command, and the script for fish is read.
func TestCompletionKnowsEveryCommand(t *testing.T) {
	t.Parallel()
	scripts := make(map[string]string)
	for _, shell := range []string{"bash", "fish"} {
		var out strings.Builder
		if code := run(t.Context(), []string{"completion", shell}, &out, t.Output()); code != 0 {
			t.Fatalf("completion %s ended with %d", shell, code)
		}
		scripts[shell] = out.String()
	}
	var questions strings.Builder
	var nodes []*kong.Node
	everyNode(t, func(n *kong.Node) {
		nodes = append(nodes, n)
		words := strings.Fields("onceward " + n.Path())
		fmt.Fprintf(&questions, "COMP_WORDS=(%s ''); COMP_CWORD=%d; _onceward; echo \"${COMPREPLY[@]}\"\n", strings.Join(words, " "), len(words))
	})
	out, err := exec.CommandContext(t.Context(), "bash", "--norc", "-c", scripts["bash"]+questions.String()).CombinedOutput()
	if err != nil {
		t.Fatalf("bash: %v\n%s", err, out)
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != len(nodes) {
		t.Fatalf("%d answers about %d commands: %s", len(answers), len(nodes), out)
	}
	for i, n := range nodes {
		got := strings.Fields(answers[i])
		slices.Sort(got)
		if want := offered(n); !slices.Equal(got, want) {
			t.Errorf("bash: %s completes to %q, want %q", n.FullPath(), got, want)
		}
		if got, want := fishWords(scripts["fish"], n), offered(n); !slices.Equal(got, want) {
			t.Errorf("fish: %s completes to %q, want %q", n.FullPath(), got, want)
		}
	}
}

// fishWords are those that the script for fish offers after a command.
func fishWords(script string, n *kong.Node) (words []string) {
	condition := "__fish_use_subcommand"
	if n.Parent != nil {
		condition = "__fish_seen_subcommand_from " + strings.ReplaceAll(n.Path(), " ", "; and __fish_seen_subcommand_from ")
	}
	for line := range strings.Lines(script) {
		rest, ok := strings.CutPrefix(line, "complete -c onceward -n '"+condition+"' ")
		if f := strings.Fields(rest); ok && f[0] == "-l" {
			words = append(words, "--"+f[1])
		} else if ok {
			words = append(words, f[1])
		}
	}
	slices.Sort(words)
	return words
}
