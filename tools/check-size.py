#!/usr/bin/env python3
"""Size and habits: functions of more than 120 lines and files of more than 800 are errors (tables aside); so are calls that have no
place in this tree. Prints the distribution of function lengths."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
FORBIDDEN = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|alloca|strtok|goto)\b\s*[(\w]")
faults, lengths = [], []
for path in sorted(root.glob("src/*/*.[ch]")):
    lines = path.read_text().splitlines()
    name = path.relative_to(root)
    if len(lines) > 800:
        faults.append(f"{name}: {len(lines)} lines; 800 at most")
    start = None
    for number, line in enumerate(lines, 1):
        code = re.sub(r'/\*.*?\*/|"(\\.|[^"\\])*"', "", line)
        if not code.lstrip().startswith("*") and FORBIDDEN.search(code):
            faults.append(f"{name}:{number}: {FORBIDDEN.search(code).group(1)} has no place here")
        if line == "{" and path.suffix == ".c":
            start = number
        elif line == "}" and start:
            length = number - start + 1
            lengths.append(length)
            if length > 120:
                faults.append(f"{name}:{start}: a function of {length} lines; 120 at most")
            start = None
lengths.sort()
if lengths:
    print(f"{len(lengths)} functions: median {lengths[len(lengths) // 2]} lines, 99th percentile {lengths[len(lengths) * 99 // 100]}, longest {lengths[-1]}")
print("\n".join(faults))
sys.exit(bool(faults))
