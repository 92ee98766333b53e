#!/usr/bin/env bash
# Checks formatting, vet, lint and module files in every module of go.work.
# Every check runs in every module before this fails.
#   FIX=1                  repair formatting and what linters can repair
#   MODULES='soroban'      only these modules (default: all)
source "$(dirname "$0")/lib.sh"

VERSION=v2.15.0
# A linter built by an older Go refuses newer sources, hence both versions.
LINTER="$ROOT/bin/golangci-lint-$VERSION-$(go env GOVERSION)"
CONFIG="$ROOT/.golangci.yml"
read -ra mods <<<"${MODULES:-$(modules | tr '\n' ' ')}"

if [ ! -x "$LINTER" ]; then
	say "building golangci-lint $VERSION from source (once; about a minute)"
	mkdir -p bin
	build=$(mktemp -d "$ROOT/bin/build.XXXXXX")
	trap 'rm -rf "$build"' EXIT
	GOBIN=$build GOWORK=off CGO_ENABLED=0 \
		go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$VERSION"
	mv "$build/golangci-lint" "$LINTER"
fi

failed=()
# step NAME COMMAND... runs one check and remembers a failure.
step() {
	local name=$1 started=$SECONDS
	shift
	if "$@"; then
		printf '    %-9s ok (%ds)\n' "$name" $((SECONDS - started))
	else
		printf '    %-9s FAILED (%ds)\n' "$name" $((SECONDS - started))
		failed+=("$mod: $name")
	fi
}

n=0
for mod in "${mods[@]}"; do
	n=$((n + 1))
	say "[$n/${#mods[@]}] module $mod"
	cd "$ROOT/$mod"
	# Every module must be complete on its own: users do not have the workspace.
	step tidy env GOWORK=off go mod tidy -diff
	if ! pkgs=$(packages .); then
		failed+=("$mod: go list")
		continue
	elif [ -z "$pkgs" ]; then
		continue
	fi
	if [ -n "${FIX:-}" ]; then
		step format "$LINTER" fmt -c "$CONFIG" ./...
		step lint "$LINTER" run -c "$CONFIG" --fix ./...
		continue
	fi
	step format "$LINTER" fmt -c "$CONFIG" --diff ./...
	step vet go vet ./...
	step lint "$LINTER" run -c "$CONFIG" ./...
done

if [ "${#failed[@]}" -gt 0 ]; then
	say 'lint failed'
	printf '%s\n' "${failed[@]}"
	exit 1
fi
say 'lint passed'
