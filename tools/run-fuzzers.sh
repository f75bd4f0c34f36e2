#!/bin/bash
# run-fuzzers.sh: builds every fuzz target with clang and runs each for SECONDS_EACH (60). Crashes are left in tests/fuzz/.
set -eu
cd "$(dirname "$0")/.."
seconds=${SECONDS_EACH:-60}
[ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
ninja -C build-fuzz | tail -n 1
find build-fuzz/tests/fuzz -maxdepth 2 -type f -name 'fuzz_*' -perm -u+x | sort | while read -r target; do
	name=$(basename "$target")
	name=${name#fuzz_}
	grown=build-fuzz/corpus/$name
	mkdir -p "$grown" "tests/fuzz/corpus/$name"
	echo "== $name for $seconds s"
	"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=tests/fuzz/crash-"$name"- \
		"$grown" "tests/fuzz/corpus/$name" 2>&1 | grep -E 'stat::number_of_executed|ERROR|SUMMARY|cov:' | tail -n 4
done
