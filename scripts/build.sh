#!/usr/bin/env bash
# Compiles every package of every module of go.work; the command goes to bin/.
#   MODULES='soroban'   only these modules (default: all)
source "$(dirname "$0")/lib.sh"

mkdir -p bin
for mod in ${MODULES:-$(modules)}; do
	pkgs=$(packages "$mod")
	if [ -z "$pkgs" ]; then continue; fi
	say "building module $mod"
	(cd "$mod" && go build ./...)
	if (cd "$mod" && [ "$(go list -f '{{.Name}}' . 2>/dev/null)" = main ]); then
		(cd "$mod" && go build -o "$ROOT/bin/$(basename "$mod")" .)
	fi
done
