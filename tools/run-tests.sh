#!/bin/bash
# run-tests.sh: what `make test` does: builds and tests everything, plain and under the sanitizers, then drives the real server with
# programs that others wrote. Prints one closing line.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/install-packages.sh build test lint
# Meson takes ccache by itself where it is installed.

build() { # FOLDER OPTIONS...
	local folder=$1
	shift
	[ -f "$folder/build.ninja" ] || meson setup "$folder" "$@" >/dev/null || { tail -n 20 "$folder/meson-logs/meson-log.txt"; exit 1; }
	ninja -C "$folder" | tail -n 1
}

echo "== layers and lint"
tools/lint.sh

echo "== unit tests"
build build
meson test -C build --print-errorlogs --no-rebuild

echo "== clang builds it without a warning too"
CC=clang build build-clang

echo "== unit tests under AddressSanitizer and UndefinedBehaviorSanitizer"
build build-sanitize -Db_sanitize=address,undefined
ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	meson test -C build-sanitize --print-errorlogs --no-rebuild

echo "== threaded parts under ThreadSanitizer"
build build-thread -Db_sanitize=thread
TSAN_OPTIONS=suppressions="$PWD/tests/thread.supp:halt_on_error=1" \
	meson test -C build-thread --print-errorlogs --no-rebuild --suite threads

echo "== system tests with real peers"
/usr/bin/python3 -m pytest -q -n 3 --dist loadfile tests/system
echo "== system tests under the sanitizers"
POSTHORN_BUILD=build-sanitize /usr/bin/python3 -m pytest -q -n 3 --dist loadfile -m sanitize tests/system
