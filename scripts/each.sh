#!/usr/bin/env bash
# each.sh FLAG... runs go test with the given flags in every module that has
# packages and stops at the first failure.
#   MODULES='soroban'   only these modules (default: all)
source "$(dirname "$0")/lib.sh"

for mod in ${MODULES:-$(modules)}; do
	pkgs=$(packages "$mod")
	if [ -z "$pkgs" ]; then continue; fi
	say "module $mod: go test $*"
	(cd "$mod" && go test "$@" ./...)
done
