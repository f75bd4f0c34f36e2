"""ENVELOPE, BODY, BODYSTRUCTURE and sections of odd messages: ours against Dovecot's. Where we differ on purpose stands, with the reason,
in tests/data/mime/differences.md, which this test reads: a difference that is not listed fails, and so does a listed one that is gone."""
import os
import pathlib
import re
import subprocess

import harness
import pytest

DATA = harness.ROOT / "tests/data/mime"
IMAP = pathlib.Path("/usr/lib/dovecot/imap")
SHOW = harness.BUILD / "tests/unit/mime/show_structure"
LITERAL = re.compile(rb"\{(\d+)\}\r\n$")

pytestmark = pytest.mark.skipif(not IMAP.exists(), reason="Dovecot's imap is not installed")


class Dovecot:
    """Dovecot's imap alone, logged in from the start, on two pipes."""

    def __init__(self, folder):
        user = "nobody" if harness.IS_ROOT else str(os.geteuid())
        for name in ("run", "mail"):
            (folder / name).mkdir()
            if harness.IS_ROOT:
                harness.shutil.chown(folder / name, user)
        config = folder / "dovecot.conf"
        config.write_text(f"""
base_dir = {folder}/run
state_dir = {folder}/run
mail_location = maildir:{folder}/mail
mail_save_crlf = yes
mail_uid = {user}
mail_gid = {"nogroup" if harness.IS_ROOT else os.getegid()}
first_valid_uid = 0
first_valid_gid = 0
ssl = no
protocols = imap
""")
        self.env = dict(os.environ, USER="nobody", HOME=str(folder))
        self.process = subprocess.Popen([str(IMAP), "-c", str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, env=self.env)
        assert self.process.stdout.readline().startswith(b"* PREAUTH")

    def response(self):
        """One response with its literals."""
        out = b""
        while True:
            line = self.process.stdout.readline()
            assert line, "Dovecot went away"
            out += line
            literal = LITERAL.search(line)
            if not literal:
                return out
            out += self.process.stdout.read(int(literal.group(1)))

    def command(self, text):
        """The untagged responses; None if it was refused."""
        self.process.stdin.write(b"t " + text + b"\r\n")
        self.process.stdin.flush()
        out = []
        while True:
            line = self.response()
            if line.startswith(b"t "):
                return out if line.startswith(b"t OK") else None
            out.append(line)

    def append(self, message):
        assert self.command(b"APPEND INBOX {%d+}\r\n%s" % (len(message), message)) is not None

    def fetch(self, number, items):
        """{item: bytes as they were sent}"""
        answers = self.command(b"FETCH %d (%s)" % (number, items.encode()))
        if answers is None:
            return None
        text = next(a for a in answers if b" FETCH (" in a)
        return items_of(text[text.index(b" FETCH (") + 8:])

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def value_end(text, at):
    """The end of the string, number or list at `at`."""
    depth = 0
    while True:
        quoted = re.compile(rb'"(?:[^"\\]|\\.)*"', re.S).match(text, at)
        literal = re.compile(rb"\{(\d+)\}\r\n").match(text, at)
        if quoted:
            at = quoted.end()
        elif literal:
            at = literal.end() + int(literal.group(1))
        elif text[at:at + 1] == b"(":
            depth, at = depth + 1, at + 1
        elif text[at:at + 1] == b")":
            depth, at = depth - 1, at + 1
        elif text[at:at + 1] == b" ":
            at += 1
        else:
            at = re.compile(rb'[^() "{]+').match(text, at).end()
        if depth == 0:
            return at


def items_of(text):
    items = {}
    at = 0
    while text[at:at + 1] not in (b")", b""):
        name = re.compile(rb" ?([A-Z]+(?:\[[^]]*\])?) ").match(text, at)
        at = value_end(text, name.end())
        items[name.group(1).decode()] = text[name.end():at]
    return items


def string_value(value):
    if value.startswith(b"{"):
        return value[value.index(b"\n") + 1:]
    return re.sub(rb"\\(.)", rb"\1", value[1:-1], flags=re.S) if value.startswith(b'"') else None


def ours(path):
    """{item: bytes}"""
    out = subprocess.run([str(SHOW), str(path)], capture_output=True, check=True).stdout
    items = {}
    while out:
        head, out = out.split(b"\n", 1)
        name, length = head.decode().rsplit(" ", 1)
        items[name], out = out[:int(length)], out[int(length) + 1:]
    return items


def listed():
    """{(message, item)} of the table in differences.md."""
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", (DATA / "differences.md").read_text(), re.M)
    return {(message, item) for message, items in rows for item in re.findall(r"`([^`]+)`", items)}


def difference_between(theirs, mine):
    found = {}
    for item in ("ENVELOPE", "BODY", "BODYSTRUCTURE"):
        if theirs[item] != mine[item]:
            found[item] = (theirs[item], mine[item])
    return found


def around(theirs, mine):
    """Where they part, with what is near."""
    at = next((i for i, (a, b) in enumerate(zip(theirs, mine)) if a != b), min(len(theirs), len(mine)))
    at = max(0, at - 40)
    return f"at {at}\n  Dovecot {theirs[at:at + 200]!r}\n  ours    {mine[at:at + 200]!r}"


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dovecot")
    for path in [folder, *folder.parents]:
        if path == pathlib.Path("/tmp"):
            break
        path.chmod(0o755)
    server = Dovecot(folder)
    assert server.command(b"SELECT INBOX") is not None
    server.count = 0
    yield server
    server.close()


@pytest.mark.parametrize("name", sorted(p.stem for p in DATA.glob("*.eml")))
def test_same_as_dovecot(dovecot, tmp_path, name):
    # Dovecot keeps CRLF line ends only.
    message = re.sub(rb"(?<!\r)\n", b"\r\n", (DATA / (name + ".eml")).read_bytes())
    if not message:
        pytest.skip("Dovecot takes no empty message")
    file = tmp_path / "message"
    file.write_bytes(message)
    dovecot.append(message)
    dovecot.count += 1
    assert dovecot.command(b"NOOP") is not None
    mine = ours(file)
    found = difference_between(dovecot.fetch(dovecot.count, "ENVELOPE BODY BODYSTRUCTURE"), mine)
    for item in [i for i in mine if i.startswith("BODY[")]:
        theirs = (dovecot.fetch(dovecot.count, item.replace("[", ".PEEK[", 1)) or {item: b"NIL"})[item]
        if string_value(theirs) != mine[item]:
            found[item] = (theirs, mine[item])
    expected = {item for message, item in listed() if message == name}
    report = "\n".join(f"{item} {around(a, b)}" for item, (a, b) in found.items() if item not in expected)
    assert not report, f"{name}:\n{report}"
    assert expected <= set(found), f"{name}: no longer different: {expected - set(found)}"
