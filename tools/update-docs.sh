#!/bin/bash
# update-docs.sh [BUILD]: writes anew what docs/ holds of the program's own tables: settings.md, the settings in posthorn.yaml(5), and the
# sections in standards.md. A test (config/config) and the lint tell when it is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
posthorn=${1:-build}/posthorn
[ -x "$posthorn" ] || { echo "update-docs.sh: there is no $posthorn; build it, or name the build folder" >&2; exit 1; }
"$posthorn" help settings --markdown >docs/settings.md
page=docs/man/posthorn.yaml.5
{
	sed '/^\.\\" What follows/q' "$page"
	"$posthorn" help settings --man
	sed -n '/^\.\\" End of that/,$p' "$page"
} >"$page.new"
mv "$page.new" "$page"
python3 tools/check-citations.py --update
