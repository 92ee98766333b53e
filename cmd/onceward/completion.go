package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand prints a script made from the command line's own model, so
// that it cannot lag behind.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell (${enum})."`
}

// Help is shown by onceward completion --help.
func (completionCommand) Help() string {
	return teach(`The script completes commands, flags and their values. It is printed, and nothing is installed: put its line into the
file that the shell reads at its start. In zsh it belongs after compinit.`,
		`type "onceward " and press Tab.`,
		`source <(onceward completion bash)`,
		`source <(onceward completion zsh)`,
		`onceward completion fish | source`)
}

// Run implements the command.
func (c *completionCommand) Run(p *process) error {
	words := make(map[string][]string) // command line without flags → what may follow
	values := make(map[string]string)  // flag → its values
	collect(p.model.Node, nil, words, values)
	var b strings.Builder
	switch c.Shell {
	case "fish":
		fishScript(&b, words, values)
	case "zsh":
		b.WriteString("autoload -U +X bashcompinit && bashcompinit\n")
		bashScript(&b, words, values)
	default:
		bashScript(&b, words, values)
	}
	_, err := io.WriteString(p.stdout, b.String())
	return err
}

// collect gathers the commands and flags below a node.
func collect(n *kong.Node, path []string, words map[string][]string, values map[string]string) {
	var next []string
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			next = append(next, child.Name)
			collect(child, append(slices.Clone(path), child.Name), words, values)
		}
	}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			name := "--" + f.Name
			next = append(next, name)
			if f.Enum != "" {
				values[name] = strings.TrimSpace(strings.ReplaceAll(f.Enum, ",", " "))
				if f.Short != 0 {
					values["-"+string(f.Short)] = values[name]
				}
			} else if !f.IsBool() {
				values[name] = "" // anything: a file, perhaps
			}
		}
	}
	for _, arg := range n.Positional {
		if arg.Enum != "" {
			next = append(next, strings.Split(arg.Enum, ",")...)
		}
	}
	slices.Sort(next)
	words[strings.Join(path, " ")] = slices.Compact(next)
}

// bashScript: names are of the kong model's making, and hold no quotes.
func bashScript(b *strings.Builder, words map[string][]string, values map[string]string) {
	b.WriteString(`_onceward() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev= path= next= i w
	[ "$COMP_CWORD" -gt 0 ] && prev=${COMP_WORDS[COMP_CWORD-1]}
	COMPREPLY=()
	case $prev in
`)
	for _, flag := range slices.Sorted(maps.Keys(values)) {
		if values[flag] == "" {
			fmt.Fprintf(b, "	%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", flag)
		} else {
			fmt.Fprintf(b, "	%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", flag, values[flag])
		}
	}
	b.WriteString(`	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		case "$path $w" in
`)
	for _, path := range slices.Sorted(maps.Keys(words)) {
		if path != "" {
			fmt.Fprintf(b, "		' %s') path=' %s' ;;\n", path, path)
		}
	}
	b.WriteString(`		esac
	done
	case $path in
`)
	for _, path := range slices.Sorted(maps.Keys(words)) {
		pattern := "''"
		if path != "" {
			pattern = "' " + path + "'"
		}
		fmt.Fprintf(b, "	%s) next='%s' ;;\n", pattern, strings.Join(words[path], " "))
	}
	b.WriteString(`	esac
	COMPREPLY=($(compgen -W "$next" -- "$cur"))
}
complete -F _onceward onceward
`)
}

func fishScript(b *strings.Builder, words map[string][]string, values map[string]string) {
	b.WriteString("complete -c onceward -f\n")
	for _, path := range slices.Sorted(maps.Keys(words)) {
		condition := "__fish_use_subcommand"
		if path != "" {
			var seen []string
			for word := range strings.SplitSeq(path, " ") {
				seen = append(seen, "__fish_seen_subcommand_from "+word)
			}
			condition = strings.Join(seen, "; and ")
		}
		for _, word := range words[path] {
			flag, isFlag := strings.CutPrefix(word, "--")
			switch v, takes := values[word]; {
			case !isFlag:
				fmt.Fprintf(b, "complete -c onceward -n '%s' -a %s\n", condition, word)
			case v != "":
				fmt.Fprintf(b, "complete -c onceward -n '%s' -l %s -x -a '%s'\n", condition, flag, v)
			case takes:
				fmt.Fprintf(b, "complete -c onceward -n '%s' -l %s -r -F\n", condition, flag)
			default:
				fmt.Fprintf(b, "complete -c onceward -n '%s' -l %s\n", condition, flag)
			}
		}
	}
}
