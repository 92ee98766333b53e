#!/usr/bin/env bash
# Runs the tests, race detector on, of every module of go.work in one go: while
# one package is tested, others are compiled. Vetting is lint's; here it would have
# to read every dependency once more.
#   MODULES='soroban bench'   only these modules (default: all)
#   TESTFLAGS='-run TestX'    further flags of go test
source "$(dirname "$0")/lib.sh"

export CGO_ENABLED=1 # the race detector links C
read -ra flags <<<"${TESTFLAGS:-}"
read -ra mods <<<"${MODULES:-$(modules | tr '\n' ' ')}"
all=()

for mod in "${mods[@]}"; do
	pkgs=$(packages "$mod") || die "module $mod cannot be read"
	if [ -n "$pkgs" ]; then mapfile -t -O "${#all[@]}" all <<<"$pkgs"; fi
done
[ "${#all[@]}" -gt 0 ] || die "no module had a package to test"

# Commands first: their tests take longest, and nothing should be left to wait
# for alone.
commands=$(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' "${all[@]}" | sort -r)
mapfile -t all < <({ printf '%s\n' "$commands" "${all[@]}"; } | awk 'NF && !seen[$0]++')

# The tests of the gateway also run it without the race detector. Compiled here
# once, it is not compiled by several of them at the same time.
gateway=$(grep '/cmd/onceward$' <<<"$commands" || true)
if [ -n "$gateway" ]; then
	say 'compiling the gateway as it is delivered'
	go build -tags torture -o /dev/null "$gateway"
fi

say "testing ${#all[@]} packages of ${#mods[@]} modules; the first results take minutes"
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=''
go test -vet=off -race -timeout 20m "${flags[@]}" "${all[@]}" 2>&1 | tee "$out" || failed=yes

say "summary after $((SECONDS / 60)) min $((SECONDS % 60)) s: $(grep -c '^ok' "$out" || true) packages passed"
if [ -n "$failed" ]; then
	grep -E '^(FAIL|panic:|--- FAIL)' "$out" || true
	die 'tests failed'
fi
