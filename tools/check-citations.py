#!/usr/bin/env python3
"""RFC citations have one form: `RFC 9051 section 6.4.5`. With --list: each RFC and the sections that code and tests cite, as a table
for docs/standards.md."""
import collections
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
GOOD = re.compile(r"RFC (\d{3,5})(?: sections? ([0-9A-Z]+(?:\.[0-9]+)*))?")
# "rfc822" is a word of the protocols themselves (RFC822.SIZE, message/rfc822).
BAD = re.compile(r"\b(?:RFC-?(?!822\b)\d{3,5}|rfc(?!822\b) ?\d{3,5}|RFC \d{3,5},? ?(?:§|sec\.|Section|s\.))")
faults, code, tests = [], collections.defaultdict(set), collections.defaultdict(set)
for path in sorted([*root.glob("src/*/*.[ch]"), *root.glob("tests/unit/*/*.[ch]"), *root.glob("tests/system/*.py")]):
    where = code if path.parts[len(root.parts)] == "src" else tests
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if BAD.search(line):
            faults.append(f"{path.relative_to(root)}:{number}: write `RFC 1234 section 5.6`: {line.strip()}")
        for match in GOOD.finditer(line):
            where[int(match.group(1))].add(match.group(2) or "")
if "--list" in sys.argv:
    for rfc in sorted(set(code) | set(tests)):
        def cell(s): return ", ".join(sorted(filter(None, s))) or ("cited" if s else "")
        print(f"| RFC {rfc} | {cell(code[rfc])} | {cell(tests[rfc])} |")
print("\n".join(faults) if faults else f"{sum(map(len, code.values()))} sections of {len(code)} RFCs cited in code", file=sys.stderr)
sys.exit(bool(faults))
