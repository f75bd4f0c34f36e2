"""Messages so large that nobody should have them in memory whole, or many of them at once; and more sessions than one may have."""
import base64
import contextlib
import imaplib
import os
import pathlib
import poplib
import re
import smtplib

import pytest

from harness import BUILD, Server, wait_for

ALICE = "alice@example.test"
MB = 1 << 20
SIZE = 40 * MB
# of growth; sanitizers have needs of their own
MOST = 16 * MB if "asan" not in str(BUILD) else 1 << 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("large"), settings=f"limits:\n  message_size: {SIZE + MB}\n  message_memory: {2 * SIZE}\n"
                    "  sessions_per_account: 5\n")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def message():
    """A small text, and an attachment that doesn't compress to nothing."""
    line = base64.b64encode(os.urandom(57 * 1000))
    lines = b"".join(line[i:i + 76] + b"\r\n" for i in range(0, len(line), 76))
    head = (b"From: a@remote.test\r\nTo: alice@example.test\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\nContent-Type: text/plain\r\n\r\nSmall text.\r\n--bb\r\n"
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
    end = b"--bb\r\nContent-Type: text/plain\r\n\r\nThe very last words.\r\n--bb--\r\n"
    return head + lines * ((SIZE - len(head) - len(end)) // len(lines)) + end


def value(pid, key):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(rf"^{key}:\s+(\d+)", status.read(), re.M)[1]) * 1024


class Growth:
    """By how much a role's resident memory rose above what it was, at its peak."""

    def __init__(self, server, role):
        self.pid = server.roles()[role]

    def __enter__(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as refs:
            refs.write("5")
        self.before = value(self.pid, "VmRSS")
        return self

    def __exit__(self, *_):
        self.bytes = value(self.pid, "VmHWM") - self.before


def in_memory(pid):
    """Bytes of messages on their way in."""
    total = 0
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            total += fd.stat().st_size if "memfd:posthorn" in os.readlink(fd) else 0
    return total


def test_large_message(server, message):
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as client:
        with Growth(server, "smtp") as growth:
            client.sendmail("x@remote.test", [ALICE], message)
        assert growth.bytes < MOST
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=60)
    client.login(ALICE, server.passwords[ALICE])
    client.select("INBOX")
    with Growth(server, "imap") as growth:
        assert message in client.fetch("1", "(BODY.PEEK[])")[1][0][1]
    assert growth.bytes < MOST
    with Growth(server, "imap") as growth:
        assert len(client.fetch("1", "(BODY.PEEK[2])")[1][0][1]) > SIZE - MB
        assert len(client.fetch("1", "(BINARY.PEEK[2])")[1][0][1]) > SIZE * 0.7
        assert client.fetch("1", "(BODY.PEEK[3])")[1][0][1] == b"The very last words."
        # what is searched is read, and no more
        assert client.search(None, "TEXT", '"small text"')[1] == [b"1"]
        assert client.search(None, "BODY", '"very last words"', "HEADER", "Subject", "large")[1] == [b"1"]
        assert client.search(None, "BODY", "elsewhere")[1] == [b""]
        assert client.copy("1", "INBOX")[0] == "OK"
    assert growth.bytes < MOST
    client.logout()
    pop = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=60)
    pop.user(ALICE)
    pop.pass_(server.passwords[ALICE])
    with Growth(server, "imap") as growth:
        assert sum(len(line) + 2 for line in pop.retr(1)[1]) > SIZE - MB
    assert growth.bytes < MOST
    pop.quit()


def test_many_at_once(server, message):
    """Whoever finds no room for a large message is told to come again; small ones go through, and room is found when others have gone."""
    clients = []
    for _ in range(2):
        client = smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60)
        client.helo()
        client.mail("x@remote.test")
        client.rcpt(ALICE)
        assert client.docmd("DATA")[0] == 354
        clients.append(client)
    # all but the end: until it ends it is there
    for client in clients:
        client.sock.sendall(message)
    wait_for(lambda: in_memory(server.roles()["smtp"]) >= 2 * len(message), what="two messages")
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as third:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            third.sendmail("x@remote.test", [ALICE], message)
        assert refused.value.smtp_code == 452
        third.sendmail("x@remote.test", [ALICE], b"Subject: small\r\n\r\nx\r\n")
    for client in clients:
        client.sock.sendall(b".\r\n")
        assert client.getreply()[0] == 250
        client.close()
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as client:
        client.sendmail("x@remote.test", [ALICE], message)


def test_too_many_sessions(server):
    """It is said why, others aren't concerned, and who leaves makes room."""
    clients = [server.imap() for _ in range(5)]
    late = imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=60)
    with pytest.raises(imaplib.IMAP4.error, match=r"\[LIMIT\] This account has too many sessions open"):
        late.login(ALICE, server.passwords[ALICE])
    pop = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=60)
    pop.user(ALICE)
    with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\] This account has too many"):
        pop.pass_(server.passwords[ALICE])
    pop.close()
    server.imap("bob@example.test").logout()
    for client in clients:
        client.logout()

    def logs_in():
        with contextlib.suppress(imaplib.IMAP4.error):
            return late.login(ALICE, server.passwords[ALICE])[0] == "OK"
    wait_for(logs_in, what="room")
    late.logout()
