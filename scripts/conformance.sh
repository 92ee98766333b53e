#!/usr/bin/env bash
# Runs the store contract against a PostgreSQL that is there, such as a Citus
# cluster, in schemas that it makes and drops: on plain and partitioned tables,
# and where Citus is installed on distributed ones.
#   DSN='postgres://user@host/database'   where; the role may create schemas there
#   TESTFLAGS='-race'                     further flags of go test
source "$(dirname "$0")/lib.sh"

[ -n "${DSN:-}" ] || die "say where: make conformance DSN='postgres://user@host/database'"
read -ra flags <<<"${TESTFLAGS:-}"
cd postgres
ONCEWARD_DSN=$DSN go test -count=1 -timeout 30m -v -run '^TestContract$' "${flags[@]}" .
