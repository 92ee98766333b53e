#!/usr/bin/env bash
# Runs the store contract against a PostgreSQL that is there, such as a Citus
# cluster, in schemas that it makes and drops.
#   DSN='postgres://user@host/database'   where
source "$(dirname "$0")/lib.sh"

[ -n "${DSN:-}" ] || die "say where: make conformance DSN='postgres://user@host/database'"
cd postgres
ONCEWARD_DSN=$DSN go test -count=1 -timeout 30m -v -run '^TestContract$' .
