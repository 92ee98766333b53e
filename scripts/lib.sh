# shellcheck shell=bash
# Sourced by every script here: a strict shell at the repository root, and a Go
# environment that does not depend on whose machine this is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD

# Go keeps its caches under HOME; a bare container may not set it.
export HOME="${HOME:-$(echo ~)}"

# The workspace is always in effect, even where the caller switched it off.
export GOWORK="$ROOT/go.work"

# A caller's -mod flag is an error in workspace mode; VCS stamping fails in a
# clone owned by another user. Every other flag of the caller is kept.
goflags=-buildvcs=false
for flag in ${GOFLAGS:-}; do
	case $flag in
	-mod=* | --mod=* | -buildvcs* | --buildvcs*) ;;
	*) goflags+=" $flag" ;;
	esac
done
export GOFLAGS=$goflags

say() { printf '\n==> %s\n' "$*"; }
die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# modules prints the directory of every module of go.work, relative to the root.
modules() {
	go work edit -json | sed -n 's/.*"DiskPath": "\(.*\)".*/\1/p'
}

# packages DIR prints the import paths of module DIR; an empty module prints none.
packages() {
	(cd "$1" && go list ./... 2> >(grep -v 'matched no packages' >&2))
}
