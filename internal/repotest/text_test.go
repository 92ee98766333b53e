package repotest_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestNoUnfinishedMarks(t *testing.T) {
	t.Parallel()
	holds(t, unfinishedMarks)
}

func TestNoMachinePaths(t *testing.T) {
	t.Parallel()
	holds(t, machinePaths)
}

func TestNoRegistryHosts(t *testing.T) {
	t.Parallel()
	holds(t, registryHosts)
}

// The patterns are written so that they do not match themselves.
var (
	unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)

	// A path begins at the line's start or after a character that no longer
	// path or address would end with.
	machinePath = regexp.MustCompile("(^|[\\s\"'`(=:,\\[])/" + `(work|root|home/[a-z]\w*|Users/\w+|tmp/bash_\w+)/`)

	// Lock files name the registry they were made with unless told not to
	// (npm: omit-lockfile-registry-resolved).
	registryHost = regexp.MustCompile(`\b(registry\.npm` + `js\.org|(proxy|sum)\.golang` + `\.org|pypi` + `\.org|deb\.debian` + `\.org|(index|static)\.crates` + `\.io)\b`)
)

func unfinishedMarks(r *repo) []string {
	return matchingLines(r, unfinished, "finish it or file it")
}

func machinePaths(r *repo) []string {
	return matchingLines(r, machinePath, "a path of somebody's machine")
}

func registryHosts(r *repo) []string {
	return matchingLines(r, registryHost, "a package registry's host; which registry is the reader's choice")
}

// matchingLines reports every line of every tracked text file that matches.
func matchingLines(r *repo, pattern *regexp.Regexp, why string) (violations []string) {
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		n := 0
		for line := range strings.Lines(r.files[name]) {
			n++
			if found := pattern.FindString(line); found != "" {
				violations = append(violations, fmt.Sprintf("%s:%d: %q: %s", name, n, strings.TrimSpace(found), why))
			}
		}
	}
	return violations
}
