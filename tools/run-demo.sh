#!/bin/bash
# run-demo.sh BUILD: what `make run` does: a complete demo server on loopback, in a folder of its own, until Ctrl-C.
# PORT_OFFSET (10000) and DEMO_DIR (BUILD/demo) may be set. Where the demo is there already it goes on, with its ports and mail.
set -euo pipefail
build=$(cd "$1" && pwd)
dir=${DEMO_DIR:-$build/demo}
offset=${PORT_OFFSET:-10000}
export PATH="$build:$PATH"
if [ ! -f "$dir/posthorn.yaml" ]; then
	mkdir -p "$dir"
	install -m 600 /dev/null "$dir/demo.txt" # it shows passwords
	posthorn setup --demo "$dir" --port-offset "$offset" >"$dir/demo.txt"
fi
cat "$dir/demo.txt" 2>/dev/null || cat "$dir/passwords.txt"
echo
echo "posthorn is $(command -v posthorn); to begin anew, remove $dir."
echo "Serving now; Ctrl-C ends it."
exec posthorn serve --config "$dir/posthorn.yaml"
