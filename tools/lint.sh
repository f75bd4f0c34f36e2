#!/bin/bash
# lint.sh [--tidy]: layers, sizes, forbidden calls, RFC citations, shell scripts (where shellcheck is installed); with --tidy also clang-tidy over all sources (slow).
set -eu
cd "$(dirname "$0")/.."
python3 tools/check-layers.py
python3 tools/check-size.py
python3 tools/check-citations.py
if command -v shellcheck >/dev/null; then
	git ls-files '*.sh' .ci/run | xargs shellcheck -S warning
fi
if [ "${1:-}" = --tidy ]; then
	[ -f build/compile_commands.json ] || meson setup build >/dev/null
	git ls-files 'src/*.c' | xargs clang-tidy -p build --quiet
fi
