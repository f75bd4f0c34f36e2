"""Odd messages that mime_generate.py makes: all that IMAP tells of them, their orders, threads and searches, ours against Dovecot's. What
differs must have one of the reasons of mime_differences.py. For more of them, and for collections of others, run mime_compare.py."""
import re

import harness
import mime_compare
import mime_differences
import mime_generate
import pytest
from test_structure_peers import DATA, IMAP, Dovecot

ALICE = "alice@example.test"


@pytest.mark.skipif(not IMAP.exists(), reason="Dovecot's imap is not installed")
def test_same_as_dovecot_or_explained(server, folder):
    (folder / "dovecot").mkdir()
    dovecot = Dovecot(folder / "dovecot")
    named = mime_generate.messages(500) + mime_generate.letters(200)
    named += [(path.stem, path.read_bytes()) for path in sorted(DATA.glob("*.eml")) if path.stat().st_size]
    comparison, found = mime_compare.compare(named, dovecot, server.ports["imap"], ALICE, server.passwords[ALICE], 150)
    dovecot.close()
    assert not found.unexplained, "\n".join(found.unexplained[:20])
    assert comparison.compared > 10000 and len(comparison.orderly) > 150 and comparison.plain > 100


def test_reasons_are_documented():
    rows = dict(re.findall(r"^\| ([^|`]+) \| (RFC [^|]+) \|$", (DATA / "differences.md").read_text(), re.M))
    assert rows == mime_differences.REASONS


MESSAGE = b"Subject: a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nb\r\n"
TEXT = [b"text", b"plain", [b"charset", b"utf-8"], None, None, b"7bit", b"3", b"1", None, None, None, None]
ENVELOPE = [b"d", b"s", *[[[b"N", None, b"l", b"d.test"]]] * 3, None, None, None, None, b"<m>"]


def changed(value, at, to):
    return [*value[:at], to, *value[at + 1:]]


@pytest.mark.parametrize("item, theirs, ours", [
    ("ENVELOPE", ENVELOPE, changed(ENVELOPE, 1, b"t")),
    ("ENVELOPE", ENVELOPE, changed(ENVELOPE, 2, [[b"M", None, b"l", b"d.test"]])),
    ("ENVELOPE", ENVELOPE, changed(ENVELOPE, 2, [[b"N", None, b"k", b"d.test"]])),
    ("ENVELOPE", ENVELOPE, changed(ENVELOPE, 2, None)),
    ("ENVELOPE", ENVELOPE, changed(ENVELOPE, 9, b"<n>")),
    ("BODYSTRUCTURE", TEXT, changed(TEXT, 1, b"html")),
    ("BODYSTRUCTURE", TEXT, changed(TEXT, 2, [b"charset", b"us-ascii"])),
    ("BODYSTRUCTURE", TEXT, changed(TEXT, 5, b"base64x")),
    ("BODYSTRUCTURE", TEXT, changed(TEXT, 6, b"9")),
    ("BODYSTRUCTURE", TEXT, changed(TEXT, 9, [b"inline", None])),
    ("BODYSTRUCTURE", TEXT, [TEXT, b"mixed", None, None, None, None]),
    ("BODY[1]", b"b\r\n", b"c\r\n"),
    ("BODY[1]", b"b\r\n", b""),
    ("BODY[HEADER]", b"Subject: a\r\n\r\n", b"Subject: a\r\n\r\n\r\n"),
    ("RFC822.SIZE", b"9", b"10"),
    ("SORT SUBJECT", b"another place", b"this place"),
    ("SEARCH BODY b", True, False),
])
def test_no_reason_explains_an_error(item, theirs, ours):
    structures = mime_differences.Structures(MESSAGE, theirs, ours) if item == "BODYSTRUCTURE" else mime_differences.Structures(MESSAGE, None, None)
    assert mime_differences.explain(item, theirs, ours, structures) & {None} or not mime_differences.explain(item, theirs, ours, structures)
