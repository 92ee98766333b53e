#!/usr/bin/env bash
# Provides what the tests need beyond Go: a C compiler for the race detector,
# Node.js with npm for the JavaScript clients and for the test vectors that an npm
# package brings (conformance/sfvectors), Python for a backend that the proxy is
# tested with, and the programs of PostgreSQL, PgBouncer, Patroni and etcd, which
# the tests start themselves. Installs through apt-get when run as root, otherwise says what is
# missing and fails.
source "$(dirname "$0")/lib.sh"

NODE_MAJOR=20
updated=

# install PACKAGE... tries apt-get; the caller checks again whether it helped.
install() {
	if ! have apt-get || [ "$(id -u)" -ne 0 ]; then
		return 0
	fi
	say "installing $*"
	if [ -z "$updated" ]; then
		apt-get update -q
		updated=yes
	fi
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" ||
		printf 'warning: apt-get could not install %s\n' "$*" >&2
}

have_cc() {
	local cc
	cc=$(go env CC)
	have "${cc%% *}" && printf '#include <stdlib.h>\n' | $cc -x c -fsyntax-only - 2>/dev/null
}

have_node() {
	have node && have npm &&
		[ "$(node -p 'process.versions.node.split(".")[0]')" -ge "$NODE_MAJOR" ]
}

have_pg() {
	local program
	for program in initdb postgres pg_basebackup; do
		have "$program" || compgen -G "/usr/lib/postgresql/*/bin/$program" >/dev/null ||
			compgen -G "/usr/pgsql-*/bin/$program" >/dev/null || return 1
	done
}

have_pgbouncer() { have pgbouncer || [ -x /usr/sbin/pgbouncer ]; }

have_failover() { have patroni && have etcd; }

# install_servers PACKAGE... installs without starting anything: Debian would
# make a cluster and run it, and start services.
install_servers() {
	local conf=/etc/postgresql-common/createcluster.conf policy=/usr/sbin/policy-rc.d
	local saved='' ours=''
	if ! have apt-get || [ "$(id -u)" -ne 0 ]; then
		return 0
	fi
	if [ ! -e "$policy" ]; then
		ours=yes
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
	fi
	install postgresql-common
	if [ -e "$conf" ]; then
		saved=$(mktemp)
		cp -p "$conf" "$saved"
		printf '\ncreate_main_cluster = false\n' >>"$conf"
	fi
	install "$@"
	[ -z "$saved" ] || mv "$saved" "$conf"
	[ -z "$ours" ] || rm -f "$policy"
}

have go || die "install Go $(sed -n 's/^go //p' go.work) or newer and put it on PATH"

have_cc || install gcc libc6-dev
have_cc || die "the race detector needs a C compiler with its headers: install gcc and libc6-dev (or set CC)"

have python3 || install python3
have python3 || die "the tests of the proxy run a Python backend: install python3"

have_pg && have_pgbouncer || install_servers postgresql pgbouncer
have_pg || die "the tests start PostgreSQL servers of their own: install postgresql (14 or newer) and put its bin directory with initdb and postgres on PATH"
have_pgbouncer || die "the tests start a PgBouncer of their own: install pgbouncer"

have_failover || install_servers patroni etcd-server
have_failover || die "a test lets Patroni fail over: install patroni (3 or newer) and etcd (3.4 or newer; Debian's etcd-server)"

# Every npm package of the tree has a lock file next to its package.json. Those
# of bench/ are installed by scripts/bench.sh: no test needs them.
mapfile -t locks < <(find . -path ./bench -prune -o -name node_modules -prune -o -name package-lock.json -print | sort)
if [ "${#locks[@]}" -gt 0 ]; then
	have_node || install nodejs npm
	have_node || die "the JavaScript client tests and the test vectors need Node.js $NODE_MAJOR or newer and npm; found: $(node --version 2>/dev/null || echo none)"
fi
for lock in "${locks[@]}"; do
	dir=$(dirname "$lock")
	# npm writes this file last, so an older one means a changed lock file.
	if [ "$dir/node_modules/.package-lock.json" -ot "$lock" ]; then
		say "npm ci in $dir"
		(cd "$dir" && npm ci --no-audit --no-fund --loglevel=error)
	fi
done
