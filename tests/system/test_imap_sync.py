"""IMAP's ways to catch up: QRESYNC by a client that keeps what it has been told, COMPRESS by one that packs with its own zlib."""
import random
import re
import socket
import ssl
import threading
import zlib

import pytest

from harness import letter, wait_for

ALICE = "alice@example.test"


class Client:
    """A line and a literal at a time, on a socket."""

    def __init__(self, server, tls=False):
        self.socket = socket.create_connection(("127.0.0.1", server.ports["imaps" if tls else "imap"]), timeout=30)
        if tls:
            context = ssl.create_default_context(cafile=str(server.certificate()))
            context.check_hostname = False
            self.socket = context.wrap_socket(self.socket)
        self.rest = b""
        self.number = 0
        self.pack = self.unpack = None
        assert self.line().startswith(b"* OK")
        self.run(f'LOGIN {ALICE} "{server.passwords[ALICE]}"')

    def close(self):
        self.socket.close()

    def send(self, data):
        if self.pack:
            data = self.pack.compress(data) + self.pack.flush(zlib.Z_SYNC_FLUSH)
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        assert data, "the server closed the connection"
        self.rest += self.unpack.decompress(data) if self.unpack else data

    def line(self):
        while b"\r\n" not in self.rest:
            self.more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        literal = re.search(rb"\{(\d+)\}$", line)
        if not literal:
            return line
        size = int(literal[1])
        while len(self.rest) < size:
            self.more()
        text, self.rest = self.rest[:size], self.rest[size:]
        return line + b"\r\n" + text + self.line()

    def run(self, command):
        """The untagged responses; the last is the tagged one."""
        self.number += 1
        tag = b"t%d" % self.number
        self.send(tag + b" " + command.encode() + b"\r\n")
        lines = []
        while True:
            lines.append(self.line())
            if lines[-1].startswith(tag + b" "):
                assert lines[-1].startswith(tag + b" OK"), (command, lines[-1])
                return lines

    def append(self, text):
        self.run("APPEND INBOX {%d+}\r\n%s" % (len(text), text))

    def compress(self):
        self.run("COMPRESS DEFLATE")
        self.pack = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.unpack = zlib.decompressobj(-15)


def uids_of(text):
    for piece in text.split(","):
        first, _, last = piece.partition(":")
        yield from range(int(first), int(last or first) + 1)


class Copy:
    """What a client keeps of a mailbox: uid -> flags, and how far it has come."""

    def __init__(self):
        self.validity, self.modseq, self.flags = 1, 1, {}

    def take(self, lines):
        for line in lines:
            line = line.decode()
            if vanished := re.match(r"\* VANISHED (?:\(EARLIER\) )?([\d:,]+)$", line):
                for uid in uids_of(vanished[1]):
                    self.flags.pop(uid, None)
            elif fetch := re.match(r"\* \d+ FETCH \(UID (\d+) FLAGS \((.*?)\) MODSEQ \((\d+)\)\)$", line):
                self.flags[int(fetch[1])] = frozenset(fetch[2].split()) - {"\\Recent"}
            elif code := re.match(r"\* OK \[UIDVALIDITY (\d+)\]", line):
                self.validity = int(code[1])
            elif code := re.match(r"\* OK \[HIGHESTMODSEQ (\d+)\]", line):
                self.modseq = int(code[1])

    def catch_up(self, server):
        client = Client(server)
        client.run("ENABLE QRESYNC")
        known = f" 1:{max(self.flags)}" if self.flags and random.random() < 0.3 else ""
        lines = client.run(f"SELECT INBOX (QRESYNC ({self.validity} {self.modseq}{known}))")
        if self.modseq == 1:
            lines += client.run("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)")
        elif known:
            lines += client.run(f"UID FETCH {max(self.flags) + 1}:* (FLAGS) (CHANGEDSINCE {self.modseq})")
        self.take(lines)
        client.close()


def whole(server):
    client = Client(server)
    client.run("EXAMINE INBOX")
    lines = client.run("UID FETCH 1:* (FLAGS)")
    client.close()
    found = (re.match(rb"\* \d+ FETCH \(UID (\d+) FLAGS \((.*?)\)\)$", line) for line in lines)
    return {int(m[1]): frozenset(m[2].decode().split()) - {"\\Recent"} for m in found if m}


def disturb(client, luck):
    """Something that happens to a mailbox."""
    flag = luck.choice(["\\Seen", "\\Flagged", "$a", "\\Answered"])
    first = luck.randrange(1, 200)
    what = luck.randrange(6)
    if what == 0:
        client.append(f"Subject: {first}\r\n\r\nText\r\n")
    elif what == 1:
        client.run(f"UID STORE {first}:{first + 9} +FLAGS.SILENT ({flag})")
    elif what == 2:
        client.run(f"UID STORE {first}:{first + 9} -FLAGS.SILENT ({flag})")
    elif what == 3:
        client.run(f"UID STORE {first},{first + 3} +FLAGS.SILENT (\\Deleted)")
        client.run("EXPUNGE")
    elif what == 4:
        client.run(f"UID MOVE {first} Archive")
    else:
        client.run(f"UID COPY {first}:{first + 5} INBOX")


@pytest.mark.sanitize
def test_qresync_catches_up(any_server):
    """However a mailbox changes between visits, and during them, a copy that is only told differences ends equal to the mailbox."""
    luck = random.Random(7162)
    one, two, copy = Client(any_server), Client(any_server), Copy()
    for client in (one, two):
        client.run("SELECT INBOX")
    for i in range(60):
        one.append(f"Subject: first {i}\r\n\r\nText\r\n")
    copy.catch_up(any_server)
    assert copy.flags == whole(any_server) and len(copy.flags) == 60
    for _ in range(15):
        for _ in range(luck.randrange(6)):
            disturb(luck.choice([one, two]), luck)
        copy.catch_up(any_server)
        assert copy.flags == whole(any_server)
    stop = threading.Event()

    def go_on():
        while not stop.is_set():
            disturb(two, luck)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for _ in range(15):
            copy.catch_up(any_server)
    finally:
        stop.set()
        thread.join()
    copy.catch_up(any_server)
    assert copy.flags == whole(any_server)


@pytest.mark.sanitize
def test_vanished_to_an_idle_client(any_server):
    """A client that stays is told the same by VANISHED and FETCH as one that comes anew."""
    luck = random.Random(3)
    watcher, other, copy = Client(any_server), Client(any_server), Copy()
    watcher.run("ENABLE QRESYNC")
    other.run("SELECT INBOX")
    for i in range(30):
        other.append(f"Subject: {i}\r\n\r\nText\r\n")
    copy.take(watcher.run("SELECT INBOX"))
    copy.take(watcher.run("UID FETCH 1:* (FLAGS MODSEQ)"))
    known = copy.modseq
    for _ in range(40):
        disturb(other, luck)
        lines = watcher.run("NOOP")
        assert not any(line.endswith(b" EXPUNGE") for line in lines)
        if any(line.endswith(b" EXISTS") for line in lines):
            lines += watcher.run(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {known})")
        copy.take(lines)
    copy.take(watcher.run("NOOP"))
    assert copy.flags == whole(any_server)


@pytest.mark.sanitize
def test_compress(any_server):
    """zlib at the other end, over TLS: large answers, literals, and news to a client that has been parked."""
    client = Client(any_server, tls=True)
    client.compress()
    text = letter("packed", ALICE, body="All work and no play makes a long message.\r\n" * 20000)
    text = text if isinstance(text, str) else text.decode()
    text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    client.append(text)
    client.run("SELECT INBOX")
    for _ in range(20):
        lines = client.run("FETCH 1 (BODY.PEEK[])")
        assert lines[0].endswith(text.encode() + b")")
    client.send(b"i IDLE\r\n")
    assert client.line() == b"+ idling"
    other = Client(any_server)
    other.append("Subject: news\r\n\r\nText\r\n")
    assert [client.line(), client.line()] == [b"* 2 EXISTS", b"* 2 RECENT"]
    client.send(b"DONE\r\n")
    assert client.line().startswith(b"i OK")
    client.run("NOOP")
