package repotest_test

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxReadmeLines = 150
	codeByLine     = 20
)

func TestReadmeIsShortAndShowsCodeEarly(t *testing.T) {
	t.Parallel()
	holds(t, readme)
}

func TestChangelogExists(t *testing.T) {
	t.Parallel()
	holds(t, changelog)
}

func TestMarkdownLinksResolve(t *testing.T) {
	t.Parallel()
	holds(t, brokenLinks)
}

func TestMentionedMakeTargetsExist(t *testing.T) {
	t.Parallel()
	holds(t, makeTargets)
}

// readme: whoever opens the project sees how it is used without scrolling.
func readme(r *repo) (violations []string) {
	text, ok := r.files["README.md"]
	if !ok {
		return []string{"README.md is missing"}
	}
	if n := countLines(text); n > maxReadmeLines {
		violations = append(violations, fmt.Sprintf("README.md: %d lines, at most %d: move detail to docs/", n, maxReadmeLines))
	}
	lines := strings.SplitN(text, "\n", codeByLine+1)
	top := lines[:min(codeByLine, len(lines))]
	if !slices.ContainsFunc(top, func(l string) bool { return strings.HasPrefix(l, "```") }) {
		violations = append(violations, fmt.Sprintf("README.md: no code block begins in the first %d lines", codeByLine))
	}
	return violations
}

func changelog(r *repo) []string {
	if !strings.Contains(r.files["CHANGELOG.md"], "\n## ") {
		return []string{"CHANGELOG.md is missing or has no entry (a line beginning with ##)"}
	}
	return nil
}

// markdown calls fn with the prose and the code of every Markdown file: code is
// what stands in fences and backquotes, a piece a line.
func markdown(r *repo, fn func(name, prose string, code []string)) {
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		if path.Ext(name) != ".md" {
			continue
		}
		var prose strings.Builder
		var code []string
		fence := ""
		for line := range strings.Lines(r.files[name]) {
			trimmed := strings.TrimSpace(line)
			mark := trimmed[:min(3, len(trimmed))]
			switch {
			case fence != "" && strings.HasPrefix(trimmed, fence):
				fence = ""
			case fence != "":
				code = append(code, trimmed)
			case mark == "```" || mark == "~~~":
				fence = mark
			default:
				for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
					code = append(code, m[1])
				}
				prose.WriteString(inlineCode.ReplaceAllString(line, "code"))
			}
		}
		fn(name, prose.String(), code)
	}
}

var (
	inlineCode = regexp.MustCompile("`([^`]+)`")
	link       = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)|(?m:^\s*\[[^\]]+\]:\s*(\S+))|(?:href|src)="([^"]+)"`)
	elsewhere  = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*:|//)`)
	makeCall   = regexp.MustCompile(`(?:^|\$ |&& )make ([a-z][a-z0-9-]*)`)
	makeTarget = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):(?:[^=]|$)`)
	heading    = regexp.MustCompile(`(?m)^#+\s+(.*?)\s*$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// brokenLinks follows relative links to tracked files or folders, and fragments
// to headings.
func brokenLinks(r *repo) (violations []string) {
	markdown(r, func(name, prose string, _ []string) {
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			target := m[1] + m[2] + m[3]
			if elsewhere.MatchString(target) {
				continue
			}
			file, fragment, _ := strings.Cut(target, "#")
			file, _, _ = strings.Cut(file, "?")
			dest := name
			if file != "" {
				dest = path.Join(path.Dir(name), file)
			}
			if !r.exists(dest) {
				violations = append(violations, fmt.Sprintf("%s: link to %s, which is not in the tree", name, target))
			} else if fragment != "" && path.Ext(dest) == ".md" && !slices.Contains(slugs(r.files[dest]), fragment) {
				violations = append(violations, fmt.Sprintf("%s: link to %s, but no heading makes #%s", name, target, fragment))
			}
		}
	})
	return violations
}

// exists says whether a path is a file, or a folder that holds one.
func (r *repo) exists(p string) bool {
	if _, ok := r.files[p]; ok || p == "." {
		return true
	}
	for name := range r.files {
		if strings.HasPrefix(name, p+"/") {
			return true
		}
	}
	return false
}

// slugs are the fragments that headings are reachable by.
func slugs(text string) (out []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		s := notInSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(s, " ", "-"))
	}
	return out
}

// makeTargets: instructions that name a target must keep working.
func makeTargets(r *repo) (violations []string) {
	var targets []string
	for _, m := range makeTarget.FindAllStringSubmatch(r.files["Makefile"], -1) {
		targets = append(targets, m[1])
	}
	markdown(r, func(name, _ string, code []string) {
		for _, line := range code {
			for _, m := range makeCall.FindAllStringSubmatch(line, -1) {
				if !slices.Contains(targets, m[1]) {
					violations = append(violations, fmt.Sprintf("%s: make %s is no target of the Makefile", name, m[1]))
				}
			}
		}
	})
	return violations
}
