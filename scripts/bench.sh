#!/usr/bin/env bash
# bench.sh [all|growth] measures, and writes tables, figures and a plot to
# bench/results. Installs what it needs through apt-get when run as root,
# otherwise says what is missing and fails.
#   BENCH_QUICK=1       short rounds, to see whether it works
#   GROWTH_KEYS=1,10    sizes of `growth` in millions of keys
source "$(dirname "$0")/lib.sh"

RESULTS=bench/results
PEERS=$ROOT/bench/peers/express
store_for=20s round=3s rounds=5 turns=31 growth_for=20s
if [ -n "${BENCH_QUICK:-}" ]; then
	store_for=1s round=200ms rounds=1 turns=3 growth_for=1s
fi

# need COMMAND PACKAGE... installs packages unless the command is there.
need() {
	local command=$1
	shift
	if "$command"; then return 0; fi
	if have apt-get && [ "$(id -u)" -eq 0 ]; then
		say "installing $*"
		apt-get update -q
		DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"
	fi
	"$command" || die "the benchmarks need $*: install them with your system's package manager"
}

has_redis() { have redis-server || have valkey-server; }
has_postgres() { have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_node() { have node && have npm; }

# tool NAME builds bench/NAME and prints where it is.
tool() {
	go build -o "bin/$1" "./bench/$1"
	printf 'bin/%s\n' "$1"
}

mkdir -p bin "$RESULTS"
case ${1:-all} in
all)
	need has_redis redis-server
	need has_postgres postgresql
	need has_node nodejs npm
	if [ "$PEERS/node_modules/.package-lock.json" -ot "$PEERS/package-lock.json" ]; then
		say 'installing the Express servers'
		(cd "$PEERS" && npm ci --no-audit --no-fund --loglevel=error)
	fi
	say 'group commit against a commit for each request'
	storebench=$(tool storebench)
	for callers in 1 64 256; do
		"$storebench" -store sqlite: -callers "$callers" -duration "$store_for" | tee "$RESULTS/store-sqlite-$callers.txt"
	done
	say "the middleware's own cost"
	"$(tool overhead)" -rounds "$turns" | tee "$RESULTS/overhead.txt"
	say 'over HTTP, beside others'
	"$(tool httpbench)" -peers "$PEERS" -duration "$round" -rounds "$rounds" -out "$RESULTS"
	cat "$RESULTS/http.md"
	;;
growth)
	say 'latency and memory as the keys grow'
	"$(tool growth)" -store sqlite: -keys "${GROWTH_KEYS:-1,10}" -duration "$growth_for" | tee "$RESULTS/growth-sqlite.txt"
	;;
*) die "bench.sh knows all and growth" ;;
esac
say "results are in $RESULTS"
