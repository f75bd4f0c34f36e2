#!/bin/bash
# run-demo.sh BUILD: what `make run` does: a complete demo server on loopback, in a folder of its own, until Ctrl-C.
# PORT_OFFSET (10000) and DEMO_DIR (BUILD/demo) may be set.
set -eu
build=$1
dir=${DEMO_DIR:-$build/demo}
offset=${PORT_OFFSET:-10000}
if [ ! -f "$dir/posthorn.yaml" ]; then
	"$build/posthorn" setup --demo "$dir" --port-offset "$offset"
else
	echo "The demo in $dir is there already; users and passwords:"
	cat "$dir/passwords.txt"
fi
echo
echo "Serving; Ctrl-C ends it."
exec "$build/posthorn" serve --config "$dir/posthorn.yaml"
