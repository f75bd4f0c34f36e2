#!/usr/bin/env python3
"""Nothing reaches up: a folder of src/ includes only headers of folders named before it in src/meson.build."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent / "src"
order = re.findall(r"^subdir\('(\w+)'\)", (root / "meson.build").read_text(), re.M)
# Protocol code takes an options struct; only the command line and main/ read the configuration.
only_for = {"config": {"config", "cli", "main"}}
faults = []
for path in sorted(root.glob("*/*.[ch]")):
    folder = path.parent.name
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'#include "(\w+)/', line)
        if not match:
            continue
        other = match.group(1)
        if other not in order:
            faults.append(f"{path.relative_to(root.parent)}:{number}: unknown folder {other}/")
        elif order.index(other) > order.index(folder):
            faults.append(f"{path.relative_to(root.parent)}:{number}: {folder}/ may not include {other}/")
        elif other in only_for and folder not in only_for[other]:
            faults.append(f"{path.relative_to(root.parent)}:{number}: {other}/ is for {', '.join(sorted(only_for[other]))}")
print("\n".join(faults) if faults else f"layers hold: {' < '.join(order)}")
sys.exit(bool(faults))
