#!/usr/bin/env bash
# Runs every fuzz target of the tree, one after the other, for FUZZTIME each.
#   MODULES='soroban'   only these modules (default: all)
source "$(dirname "$0")/lib.sh"

FUZZTIME=${FUZZTIME:-20s}
found=0
for mod in ${MODULES:-$(modules)}; do
	packages "$mod" >/dev/null # stops here if the module does not load
	# go test fuzzes one target of one package at a time.
	while IFS=: read -r file target; do
		found=$((found + 1))
		say "$target in $(dirname "$file") for $FUZZTIME"
		(cd "$(dirname "$file")" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" .)
	done < <(
		cd "$mod"
		go list -f '{{$d := .Dir}}{{range .TestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}' ./... |
			xargs -r grep -HoE '^func Fuzz[A-Za-z0-9_]+' /dev/null | sed 's/:func /:/'
	)
done
say "$found fuzz targets ran"
