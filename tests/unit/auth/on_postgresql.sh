#!/bin/sh
# Runs a test program with a private PostgreSQL server: on_postgresql.sh SCRIPT PROGRAM, SCRIPT being tests/tools/postgresql.sh.
# Exit status 77 (skipped): there is no PostgreSQL here.
set -u
dir=$(mktemp -d /tmp/test-auth-pg-XXXXXX)
trap 'rm -rf "$dir"' EXIT
POSTHORN_TEST_POSTGRESQL=$("$1" "$dir" start) || exit 77
export POSTHORN_TEST_POSTGRESQL
"$2"
status=$?
"$1" "$dir" stop immediate
exit "$status"
