"""SORT, THREAD and SEARCH as clients that others wrote use them, and as Dovecot answers them."""
import random
import re
import subprocess

import harness
import pytest
from test_structure_peers import DATA, IMAP, Dovecot, listed

ALICE = "alice@example.test"
WORDS = ["budget", "Café", "ärger", "re", "Plan", "日本語", "[list] news", "fwd", "Æon", "zebra", "Ω", ""]
PREFIXES = ["", "Re: ", "RE[2]: ", "Fwd: ", "[list] ", "[a][b] re: ", "re [x]: ", "  fw:", "[Fwd: ", "Re: [list] Re: "]
SUFFIXES = ["", " (fwd)", "  (FWD) ", " ]", "]", "\t"]


def address(rng):
    name = rng.choice(["", "Müller", "=?utf-8?q?J=C3=BCrgen?=", '"Doe, Jane"', "bob", "_under", "Zoe"])
    return f"{name} <{rng.choice(['a', 'B', 'x_y', 'Zed', 'm'])}{rng.randrange(4)}@{rng.choice(['b', 'a'])}.test>"


def odd_messages(count, seed=5256):
    """Messages that answer each other, some whose parents aren't there, some without what they should have, some that lie."""
    rng = random.Random(seed)
    for i in range(count):
        head = []
        if rng.random() < 0.95:
            head.append(f"Date: {rng.randrange(1, 28):02} {rng.choice(['Jan', 'Feb', 'Mar'])} 2024 "
                        f"{rng.randrange(24):02}:{rng.randrange(60):02}:{i % 60:02} {rng.choice(['+0000', '-0800', '+0530'])}")
        if rng.random() < 0.95:
            head.append("Subject: " + rng.choice(PREFIXES) + rng.choice(WORDS) + rng.choice(SUFFIXES))
        head.append("From: " + address(rng))
        if rng.random() < 0.9:
            head.append("To: " + ", ".join(address(rng) for _ in range(rng.randrange(1, 3))))
        if rng.random() < 0.5:
            head.append("Cc: " + address(rng))
        if rng.random() < 0.95:
            head.append(f"Message-ID: <{i if rng.random() < 0.95 else 1}@id.test>")
        if rng.random() < 0.6:
            near = [f"<{max(0, i + rng.randrange(-40, 8))}@{rng.choice(['id', 'id', 'id', 'lost'])}.test>"
                    for _ in range(rng.randrange(1, 6))]
            head.append("References: " + rng.choice([" ", "\r\n "]).join(near))
        if rng.random() < 0.3:
            head.append(f"In-Reply-To: <{max(0, i - rng.randrange(1, 30))}@id.test>")
        yield ("\r\n".join(head) + "\r\n\r\n" + "x" * rng.randrange(2000) + "\r\n").encode()


# Dovecot reads their headers in other ways than we do: lone CRs, Latin-1, fields twice; and those whose envelopes differ.
READ_OTHERWISE = {"cr-at-ends", "lone-cr", "latin1-headers", "repeated-fields"}
READ_OTHERWISE |= {message for message, item in listed() if item == "ENVELOPE"}


def real_messages():
    for path in sorted(DATA.glob("*.eml")):
        if path.stem in READ_OTHERWISE:
            continue
        message = re.sub(rb"(?<!\r)\n", b"\r\n", path.read_bytes())
        if message and b"\0" not in message:
            yield message


COMMANDS = [b"SORT (%s) UTF-8 ALL" % key for key in (
    b"ARRIVAL", b"DATE", b"SIZE", b"SUBJECT", b"FROM", b"TO", b"CC", b"DISPLAYFROM", b"DISPLAYTO", b"REVERSE DATE",
    b"SUBJECT REVERSE DATE", b"REVERSE SUBJECT DATE", b"FROM SUBJECT DATE", b"REVERSE FROM REVERSE SIZE", b"CC TO ARRIVAL")]
COMMANDS += [b"THREAD %s UTF-8 ALL" % algorithm for algorithm in (b"ORDEREDSUBJECT", b"REFERENCES", b"REFS")]
COMMANDS += [b"THREAD REFERENCES US-ASCII 1:100", b"UID THREAD REFS UTF-8 SUBJECT plan",
             b"UID SORT RETURN (MIN MAX COUNT ALL) (SUBJECT) UTF-8 ALL", b"SORT RETURN (COUNT MIN) (REVERSE SIZE) UTF-8 1:50"]


def answer_of(line, is_refs):
    """What doesn't depend on the order of an ESEARCH's items, or on that of REFS' threads: Dovecot orders them by the Date field of the
    latest, we by the latest arrival."""
    if b"ESEARCH" in line:
        return sorted(re.findall(rb" (MIN|MAX|COUNT|ALL) (\S+)", line))
    return threads_of(line) if is_refs else line


def threads_of(line):
    """The top-level threads of a THREAD response."""
    out, depth = [b""], 0
    for byte in line.strip()[len(b"* THREAD "):]:
        depth += {ord("("): 1, ord(")"): -1}.get(byte, 0)
        out[-1] += bytes([byte])
        if depth == 0:
            out.append(b"")
    return sorted(out)


@pytest.mark.skipif(not IMAP.exists(), reason="Dovecot's imap is not installed")
def test_same_order_as_dovecot(server, tmp_path):
    peer_folder = tmp_path / "dovecot"
    peer_folder.mkdir()
    for path in [peer_folder, *peer_folder.parents]:
        if str(path) == "/tmp":
            break
        path.chmod(0o755)
    peer = Dovecot(peer_folder)
    mine = server.imap(ALICE)
    for i, message in enumerate([*real_messages(), *odd_messages(400)]):
        when = b'"%02d-Mar-2024 10:%02d:%02d +0000"' % (1 + i * 7 % 28, i % 60, i // 60)
        peer.command(b"APPEND INBOX %s {%d+}\r\n%s" % (when, len(message), message))
        mine.append("INBOX", None, when.decode(), message)
    mine.select("INBOX")
    peer.command(b"SELECT INBOX")
    different = []
    for command in COMMANDS:
        tag = mine._new_tag()
        mine.send(tag + b" " + command + b"\r\n")
        ours = []
        while not (line := mine.readline()).startswith(tag):
            ours.append(re.sub(rb'\(TAG "[^"]*"\)', b'(TAG "t")', line))
        assert b" OK " in line, line
        theirs = [answer_of(line, b"REFS" in command) for line in peer.command(command) if line.startswith((b"* SORT", b"* THREAD", b"* ESEARCH"))]
        ours = [answer_of(line, b"REFS" in command) for line in ours if line.startswith((b"* SORT", b"* THREAD", b"* ESEARCH"))]
        if ours != theirs:
            different.append((command, theirs, ours))
    peer.close()
    assert not different, "\n".join(f"{c}\n  Dovecot {t!r}\n  ours    {o!r}" for c, t, o in different)


def curl(server, command):
    """The untagged answer to one command, by curl."""
    done = subprocess.run(["curl", "-s", "--insecure", "--url", f"imaps://127.0.0.1:{server.ports['imaps']}/INBOX", "--user",
                           f"{ALICE}:{server.passwords[ALICE]}", "--request", command], capture_output=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout.split()


@pytest.mark.sanitize
def test_found_by_real_clients_with_and_without_the_index(any_server):
    """imaplib and curl get the same answers before and after the index is made, which happens at the start."""
    server = any_server
    smtp = server.smtp("smtp")
    for i in range(260):
        smtp.sendmail("x@remote.test", [ALICE], harness.letter(f"m{i}", body=f"Grüße {'needle' if i % 13 == 0 else 'hay'} {i}.\r\n"))
    smtp.quit()

    def ask():
        imap = server.imap(ALICE)
        imap.select("INBOX")
        answers = [imap.search("UTF-8", "TEXT", "needle"), imap.search("UTF-8", "BODY", '"hay 7."'),
                   imap.sort("(REVERSE ARRIVAL)", "UTF-8", "TEXT", "needle"), imap.thread("REFERENCES", "UTF-8", "BODY", "needle"),
                   curl(server, "SEARCH BODY needle"), curl(server, "SEARCH RETURN (PARTIAL 1:3) TEXT needle")]
        imap.logout()
        return [re.sub(r'TAG "[^"]*"', "", str(answer)) for answer in answers]

    before = ask()
    assert before[0].count(" ") == 20
    server.stop()
    server.start()
    harness.wait_for(lambda: "event=jobs.messages_indexed" in server.log_text(), 30, "the index")
    assert ask() == before
