#!/usr/bin/env bash
# bench.sh [all|stores|http|retention|growth] measures, and writes tables, figures
# and a plot to bench/results; all is stores and http. Installs what it needs
# through apt-get when run as root, otherwise says what is missing and fails. The
# servers it measures are its own, and gone afterwards.
#   BENCH_QUICK=1           short rounds, to see whether it works
#   RETENTION_ROWS=5000000  records that `retention` loads
#   GROWTH_KEYS=1,10        sizes of `growth` in millions of keys
#   GROWTH_STORES='sqlite: postgres:'   stores that `growth` fills
source "$(dirname "$0")/lib.sh"

RESULTS=bench/results
PEERS=$ROOT/bench/peers/express
store_for=12s alone_for=4s turns=31 marks=12x
round=2500ms rounds=3
rows=5000000 rate=2000 quiet=30s steady=150s
keys=1,10 growth_for=15s
if [ -n "${BENCH_QUICK:-}" ]; then
	store_for=1s alone_for=1s turns=3 marks=1x
	round=200ms rounds=1
	rows=20000 rate=200 quiet=2s steady=5s
	keys=0.01,0.05 growth_for=1s
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

stores() {
	local storebench overhead store callers length
	storebench=$(tool storebench)
	overhead=$(tool overhead)
	for store in sqlite postgres; do
		for callers in 1 64 256; do
			say "$store: group commit against a commit for each request, $callers callers"
			if [ "$callers" -eq 1 ]; then length=$alone_for; else length=$store_for; fi
			"$storebench" -store "$store:" -callers "$callers" -duration "$length" | tee "$RESULTS/store-$store-$callers.txt"
		done
	done
	say "the middleware's own cost"
	"$overhead" -rounds "$turns" | tee "$RESULTS/overhead.txt"
	say 'what noticing lost writes costs'
	go test ./postgres -run '^$' -bench '^BenchmarkWatermark$' -benchtime "$marks" | tee "$RESULTS/watermark.txt"
}

over_http() {
	if [ "$PEERS/node_modules/.package-lock.json" -ot "$PEERS/package-lock.json" ]; then
		say 'installing the Express servers'
		(cd "$PEERS" && npm ci --no-audit --no-fund --loglevel=error)
	fi
	say 'over HTTP, beside others'
	"$(tool httpbench)" -peers "$PEERS" -duration "$round" -rounds "$rounds" -out "$RESULTS"
	cat "$RESULTS/http.md"
}

retention() {
	say 'sweeping while traffic runs'
	"$(tool retention)" -store postgres: -rows "${RETENTION_ROWS:-$rows}" -rate "$rate" -quiet "$quiet" -steady "$steady" |
		tee "$RESULTS/retention.txt"
}

growth() {
	local growth store
	growth=$(tool growth)
	for store in ${GROWTH_STORES:-sqlite: postgres:}; do
		say "$store latency and memory as the keys grow"
		"$growth" -store "$store" -keys "${GROWTH_KEYS:-$keys}" -duration "$growth_for" | tee "$RESULTS/growth-${store%%:*}.txt"
	done
}

mkdir -p bin "$RESULTS"
if ! has_postgres || ! has_node; then
	scripts/deps.sh # as for the tests
fi
case ${1:-all} in
all)
	need has_redis redis-server
	stores
	over_http
	;;
stores) stores ;;
http)
	need has_redis redis-server
	over_http
	;;
retention) retention ;;
growth) growth ;;
*) die "bench.sh knows all, stores, http, retention and growth" ;;
esac
say "results are in $RESULTS"
