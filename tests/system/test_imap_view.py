"""What IMAP sessions are told without asking, across roles: NOTIFY, searches kept up to date, \\Recent, threads; on both databases."""
import imaplib
import re
import socket

import pytest

from harness import PostgreSQL, Server, letter, wait_for

ALICE = "alice@example.test"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request, tmp_path_factory):
    database = PostgreSQL(tmp_path_factory.mktemp("pg")).start() if request.param == "postgresql" else None
    server = Server(tmp_path_factory.mktemp("view"), store=database.url if database else None)
    server.start()
    yield server
    server.stop()
    if database:
        database.stop()
        database.remove()


class Listener:
    """A client that sends little and waits for lines."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.ports["imap"]), timeout=20)
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.run(f'LOGIN {ALICE} "{server.passwords[ALICE]}"')

    def run(self, command):
        self.socket.sendall(f"t {command}\r\n".encode())
        lines = []
        while True:
            line = self.file.readline().decode().rstrip("\r\n")
            assert line, "the server closed the connection"
            lines.append(line)
            if line.startswith("t "):
                assert line.startswith("t OK"), (command, line)
                return lines

    def line(self):
        return self.file.readline().decode().rstrip("\r\n")

    def wait(self, pattern):
        """Reads on until a line matches."""
        while True:
            line = self.line()
            assert line, f"closed before {pattern}"
            if re.search(pattern, line):
                return line

    def close(self):
        self.socket.close()


def deliver(server, token, extra=""):
    with server.smtp() as client:
        client.sendmail("sender@remote.test", [ALICE], letter(token, extra=extra))


def test_notify_of_deliveries(server):
    """A message that comes by SMTP is told to a client that waits elsewhere, and one that waits in INBOX gets what it asked for."""
    elsewhere, inside = Listener(server), Listener(server)
    before = int(re.search(r"UIDNEXT (\d+)", elsewhere.run("STATUS INBOX (UIDNEXT)")[0])[1])
    elsewhere.run("NOTIFY SET (inboxes (MessageNew MessageExpunge))")
    inside.run("SELECT INBOX")
    inside.run("NOTIFY SET (selected (MessageNew (UID ENVELOPE) MessageExpunge))")
    inside.run('UID SEARCH RETURN (UPDATE COUNT) SUBJECT "notified"')
    deliver(server, "notified")
    assert f"UIDNEXT {before + 1}" in elsewhere.wait(r'^\* STATUS "INBOX"')
    inside.wait(r"^\* \d+ EXISTS")
    assert f"ADDTO (0 {before})" in inside.wait("^\\* ESEARCH")
    assert f"UID {before} " in inside.wait(r"^\* \d+ FETCH")
    # what one session does another is told
    with server.imap() as other:
        assert other.create("projects")[0] == "OK"
        assert other.subscribe("projects")[0] == "OK"
    elsewhere.run("NOTIFY SET (personal (MailboxName SubscriptionChange))")
    with server.imap() as other:
        assert other.rename("projects", "plans")[0] == "OK"
        assert 'OLDNAME' in elsewhere.wait(r'^\* LIST .*"plans"')
        assert other.unsubscribe("projects")[0] == "OK"
        assert "\\NonExistent" in elsewhere.wait(r'^\* LIST .*"projects"')
    elsewhere.close()
    inside.close()


def test_recent_is_given_once(server):
    """imaplib's RECENT: the first session has it, also after a restart of the server."""
    deliver(server, "recent")
    wait_for(lambda: b"recent" in b"".join(server.messages()), what="the message")
    deliver(server, "recent-again")

    def recent():
        with server.imap() as client:
            client.select("INBOX")
            return int(client.recent()[1][0] or 0)

    wait_for(lambda: b"recent-again" in b"".join(server.messages()), what="the message")
    assert recent() == 2
    assert recent() == 0
    server.stop()
    server.start()
    assert recent() == 0


def test_threads_of_deliveries(server):
    """THREADID of messages that came by SMTP, asked for by imaplib; the store is sound afterwards."""
    deliver(server, "question")
    deliver(server, "another")
    answer = letter("answer", extra="References: <question@remote.test>\r\n").replace(b"Letter answer", b"Re: letter question")
    with server.smtp() as client:
        client.sendmail("sender@remote.test", [ALICE], answer)
    wait_for(lambda: b"Re: letter question" in b"".join(server.messages()), what="the answer")
    with server.imap() as client:
        client.select("INBOX")
        threads = {}
        for token in ("question", "another"):
            for number in client.search(None, "SUBJECT", f'"{token}"')[1][0].split():
                answer = client.fetch(number, "(THREADID)")[1][0].decode()
                threads.setdefault(token, set()).add(re.search(r"THREADID \((T[0-9a-f]+)\)", answer)[1])
        assert len(threads["question"]) == 1
        assert threads["question"] != threads["another"]
        thread = threads["question"].pop()
        assert len(client.search(None, "THREADID", thread)[1][0].split()) == 2
    assert "sound" in server.cli("check", "--all").stdout


def test_many_mailboxes_are_searched(server):
    """ESEARCH over what is below a mailbox."""
    with server.imap() as client:
        for name in ("a", "a/b", "c"):
            client.create(f"tree/{name}")
            client.append(f"tree/{name}", "", imaplib.Time2Internaldate(0), letter("needle"))
    client = Listener(server)
    lines = client.run('ESEARCH IN (subtree tree/a) RETURN (COUNT) SUBJECT "needle"')
    assert [re.search('MAILBOX "([^"]+)"', line)[1] for line in lines[:-1]] == ["tree/a", "tree/a/b"]
    client.close()
