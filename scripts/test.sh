#!/usr/bin/env bash
# Runs the tests, race detector on, in every module of go.work. Vetting is
# lint's: here it would have to read every dependency once more.
# A failing module does not stop the others; the summary names it.
#   MODULES='soroban bench'   only these modules (default: all)
#   TESTFLAGS='-run TestX'    further flags of go test
source "$(dirname "$0")/lib.sh"

export CGO_ENABLED=1 # the race detector links C
read -ra flags <<<"${TESTFLAGS:-}"
read -ra mods <<<"${MODULES:-$(modules | tr '\n' ' ')}"
summary=() failed=0 tested=0

# check DIR tests one module; every go test line reaches the caller.
check() {
	(
		cd "$1"
		# Tests of a command also run it without the race detector. Compiled here
		# once, it is not compiled by several of them at the same time.
		if [ "$(go list -f '{{.Name}}' . 2>/dev/null)" = main ]; then
			go build -tags torture -o /dev/null .
		fi
		go test -vet=off -race -timeout 10m "${flags[@]}" ./...
	)
}

n=0
for mod in "${mods[@]}"; do
	n=$((n + 1)) started=$SECONDS
	if ! pkgs=$(packages "$mod"); then
		result=FAILED
	elif [ -z "$pkgs" ]; then
		result='no packages'
	else
		say "[$n/${#mods[@]}] module $mod: $(wc -l <<<"$pkgs") packages, compiling"
		tested=$((tested + 1))
		if check "$mod"; then result=passed; else result=FAILED; fi
	fi
	if [ "$result" = FAILED ]; then failed=$((failed + 1)); fi
	summary+=("$(printf '%-11s %5ds  %s' "$result" $((SECONDS - started)) "$mod")")
done

say 'summary'
printf '%s\n' "${summary[@]}"
[ "$failed" -eq 0 ] || die "$failed of ${#mods[@]} modules failed"
[ "$tested" -gt 0 ] || die "no module had a package to test"
