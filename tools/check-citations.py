#!/usr/bin/env python3
"""RFC citations have one form: `RFC 9051 section 6.4.5`, and every RFC that code cites has a row in docs/standards.md, which says how far
it is obeyed. With --list: each RFC and the sections that code and tests cite, as a table; with --update: puts it into docs/standards.md."""
import collections
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
standards = root / "docs/standards.md"
MARK = "<!-- made by tools/check-citations.py --update -->\n"
GOOD = re.compile(r"RFC (\d{3,5})(?: sections? ([0-9A-Z]+(?:\.[0-9]+)*))?")
# "rfc822" is a word of the protocols themselves (RFC822.SIZE, message/rfc822).
BAD = re.compile(r"\b(?:RFC-?(?!822\b)\d{3,5}|rfc(?!822\b) ?\d{3,5}|RFC \d{3,5},? ?(?:§|sec\.|Section|s\.))")
ROW = re.compile(r"^\| RFC (\d+) \| [^|]+ \| ([^|]*) \|", re.M)
faults, code, tests = [], collections.defaultdict(set), collections.defaultdict(set)
for path in sorted([*root.glob("src/*/*.[ch]"), *root.glob("tests/unit/*/*.[ch]"), *root.glob("tests/system/*.py")]):
    where = code if path.parts[len(root.parts)] == "src" else tests
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if BAD.search(line):
            faults.append(f"{path.relative_to(root)}:{number}: write `RFC 1234 section 5.6`: {line.strip()}")
        for match in GOOD.finditer(line):
            where[int(match.group(1))].add(match.group(2) or "")


def cell(sections):
    """2.1 before 2.10."""
    numbers = sorted(filter(None, sections), key=lambda s: [(not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in s.split(".")])
    return ", ".join(numbers) or ("cited" if sections else "")


text = standards.read_text()
claims, seen = text.split(MARK)[0], set()
for rfc, claim in ROW.findall(claims):
    if claim not in ("Yes", "Partial", "No"):
        faults.append(f"docs/standards.md: RFC {rfc}: Yes, Partial or No is wanted, not {claim!r}")
    if rfc in seen:
        faults.append(f"docs/standards.md: RFC {rfc} stands there twice")
    seen.add(rfc)
faults += [f"docs/standards.md: a row for RFC {rfc} is missing, which {len(code[rfc])} places in src/ cite" for rfc in sorted(code) if str(rfc) not in seen]

table = "".join(f"| RFC {rfc} | {cell(code[rfc])} | {cell(tests[rfc])} |\n" for rfc in sorted(set(code) | set(tests)))
if "--list" in sys.argv:
    print(table, end="")
whole = claims + MARK + "\n| RFC | sections cited in code | in tests |\n| --- | --- | --- |\n" + table
if "--update" in sys.argv:
    standards.write_text(whole)
elif whole != text:
    print("note: docs/standards.md's table of citations is old; tools/check-citations.py --update", file=sys.stderr)
print("\n".join(faults) if faults else f"{sum(map(len, code.values()))} sections of {len(code)} RFCs cited in code", file=sys.stderr)
sys.exit(bool(faults))
