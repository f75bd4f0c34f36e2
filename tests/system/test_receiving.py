"""The receiving side of SMTP as peers and clients see it: binary messages, proxies and filters that tell of their clients, EXPN, waits."""
import base64
import os
import re
import socket
import subprocess
import time

import pytest

from harness import Postfix, letter, wait_for


class Line:
    """A client that says what it is told, byte by byte."""

    def __init__(self, port, proxied=None, early=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rwb")
        if proxied:
            self.socket.sendall(f"PROXY TCP4 {proxied} 127.0.0.1 4000 25\r\n".encode())
        self.socket.sendall(early)
        self.greeting = self.reply()

    def reply(self):
        """The last line of a reply."""
        while (line := self.file.readline().decode().strip())[3:4] == "-":
            pass
        return line

    def say(self, text):
        self.file.write((text.encode() if isinstance(text, str) else text) + b"\r\n")
        self.file.flush()
        return self.reply()

    def lines(self, text):
        """All lines of a reply."""
        self.file.write(text.encode() + b"\r\n")
        self.file.flush()
        out = [self.file.readline().decode().strip()]
        while out[-1][3:4] == "-":
            out.append(self.file.readline().decode().strip())
        return out

    def chunk(self, data, last=False):
        self.file.write(b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b"") + data)
        self.file.flush()
        return self.reply()

    def is_over(self):
        return self.file.read(1) == b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


@pytest.mark.parametrize("size", [3000, 3_000_000])
def test_binary(server, size):
    """RFC 3030: what is binary comes out of IMAP as it went in, in a message of lines."""
    blob = os.urandom(size) + b"\0\r\n.\r\n\n\r--b\n\r"
    head = letter(f"binary{size}", extra="MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
                  "Content-Transfer-Encoding: binary\r\n", body="")
    message = (head + b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: application/octet-stream\r\n"
               b"Content-Transfer-Encoding: binary\r\n\r\n" + blob + b"\r\n--b--\r\n")
    before = server.count()
    with Line(server.ports["smtp"]) as client:
        assert "250-BINARYMIME" in client.lines("EHLO client.test")
        assert client.say("MAIL FROM:<sender@remote.test> BODY=BINARYMIME").startswith("250")
        assert client.say("RCPT TO:<alice@example.test>").startswith("250")
        for at in range(0, len(message), 1_000_000):
            assert client.chunk(message[at:at + 1_000_000]).startswith("250 2.0.0 Chunk")
        assert client.chunk(b"", last=True).startswith("250 2.0.0 Ok: queued")
    imap = server.imap()
    imap.select("INBOX", readonly=True)
    _, found = imap.fetch(str(before + 1), "(BINARY.PEEK[2] BODYSTRUCTURE)")
    literal = next(part for part in found if isinstance(part, tuple))
    assert literal[1] == blob
    whole = server.messages()[-1]
    assert b"\0" not in whole and not re.search(rb"(?<!\r)\n|\r(?!\n)", whole)
    assert base64.b64encode(blob[:57]) in whole
    imap.logout()


def swaks(server, *arguments):
    """What was said, line by line."""
    command = ["swaks", "--server", "127.0.0.1", "--port", str(server.ports["smtp"]), "--helo", "proxy.test", "--from", "sender@remote.test",
               "--header", "X-Token: swaks", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


def test_xclient(make_server):
    """A proxy tells who the client is, and everything goes by that: Received, relaying, rates, bans."""
    server = make_server("smtp:\n  trusted_networks: [127.0.0.0/8]\n  xclient_from: [127.0.0.0/8]\nrates:\n  messages: 2\n")
    said = swaks(server, "--to", "alice@example.test", "--xclient", "ADDR=192.0.2.7 NAME=mail.remote.test HELO=remote.test PROTO=ESMTP")
    assert "queued as" in said, said
    assert re.search(rb"Received: from proxy.test \(mail.remote.test \[192.0.2.7\]\)", server.messages()[-1])
    # The proxy may relay; the client may not, but if it has authenticated.
    assert "Relaying denied" in swaks(server, "--to", "x@elsewhere.test", "--xclient", "ADDR=192.0.2.7")
    said = swaks(server, "--to", "x@elsewhere.test", "--from", "alice@example.test", "--xclient", "ADDR=192.0.2.8 LOGIN=alice@example.test")
    assert "queued as" in said, said
    assert "Too many messages from you" in swaks(server, "--to", "alice@example.test", "--xclient", "ADDR=192.0.2.7")
    with Line(server.ports["smtp"]) as proxy, Line(server.ports["smtp"]) as other:
        assert proxy.say("XCLIENT ADDR=198.51.100.1 HELO=c.test").startswith("220")
        server.cli("ban", "add", "198.51.100.0/24")
        # Whoever is banned meanwhile is gone at the next command, and comes in through no proxy.
        answer = wait_for(lambda: (line := proxy.say("NOOP")).startswith("554") and line, what="the ban")
        assert answer == "554 You are banned here" and proxy.is_over()
        assert other.say("XCLIENT ADDR=198.51.100.2") == "554 You are banned here" and other.is_over()
    with Line(server.ports["smtp"]) as proxy:
        assert proxy.say("XCLIENT ADDR=192.0.2.9").startswith("220")


def test_xclient_is_for_proxies(server):
    with Line(server.ports["smtp"]) as client:
        assert not any("XCLIENT" in line or "XFORWARD" in line for line in client.lines("EHLO client.test"))
        assert client.say("XCLIENT ADDR=127.0.0.1").startswith("550 5.7.0")


def test_xforward_from_postfix(make_server, folder):
    """A Postfix in front tells by XFORWARD where its mail came from: that is in log and trace."""
    server = make_server("smtp:\n  xforward_from: [127.0.0.0/8]\n")
    postfix = Postfix(folder, relay=f"127.0.0.1:{server.ports['smtp']}")
    with open(postfix.dir / "etc/main.cf", "a") as out:
        out.write("smtp_send_xforward_command = yes\nsmtpd_authorized_xclient_hosts = 127.0.0.0/8\nrelay_domains = example.test\n")
    postfix.start()
    try:
        with Line(postfix.port) as client:
            assert client.say("XCLIENT ADDR=192.0.2.77 NAME=far.remote.test HELO=hello.remote.test PROTO=ESMTP").startswith("220")
            assert client.say("EHLO hello.remote.test").startswith("250")
            for command in ("MAIL FROM:<sender@remote.test>", "RCPT TO:<alice@example.test>", "DATA"):
                assert client.say(command)[0] in "23"
            assert client.say(letter("forwarded").decode() + ".").startswith("250")
        wait_for(lambda: server.count() == 1, what="the message")
    finally:
        postfix.stop()
    line = next(line for line in server.log_text().splitlines() if "event=smtp.accepted" in line)
    assert 'forwarded="far.remote.test[192.0.2.77] helo=hello.remote.test id=' in line, line
    traced = server.cli("trace", "alice@example.test").stdout
    assert "far.remote.test[192.0.2.77]" in traced, traced


def test_expn(any_server):
    """RFC 5321 section 3.5.2, for who has authenticated."""
    any_server.cli("alias", "add", "all@example.test", "alice@example.test")
    any_server.cli("alias", "add", "all@example.test", "friend@elsewhere.test")
    any_server.config.write_text(any_server.config.read_text() + "\nsmtp:\n  expn: trusted\n")
    any_server.stop()
    any_server.start()
    with Line(any_server.ports["smtp"]) as stranger:
        stranger.say("EHLO client.test")
        assert stranger.say("EXPN all@example.test").startswith("550 5.7.1")
    client = any_server.smtp("submission", "alice@example.test")
    assert client.docmd("EXPN all@example.test") == (250, b"2.1.5 <alice@example.test>\n2.1.5 <friend@elsewhere.test>")
    assert client.docmd("EXPN alice@example.test") == (250, b"2.1.5 <alice@example.test>")
    assert client.docmd("EXPN nobody@example.test")[0] == 550
    assert client.docmd("EXPN x@elsewhere.test")[0] == 252
    client.quit()


PROXIED = ((r"protocol: (smtp|submission)\}", r"protocol: \1, proxy: true}"),)


def test_waits(make_server):
    """Strangers wait for the greeting; who can't is refused, and banned when it goes on. Failures are answered late."""
    server = make_server("limits:\n  proxy_from: [127.0.0.1]\ndelay:\n  greeting: 1s\n  free_failures: 1\n  longest: 1s\n"
                         "ban:\n  early_talkers: 2\n", replace=PROXIED)
    port = server.ports["smtp"]

    def time_to_greet(address, port=port):
        began = time.monotonic()
        with Line(port, address) as client:
            assert client.greeting.startswith("220 ")
            return time.monotonic() - began
    assert time_to_greet("192.0.2.1") > 0.9
    with Line(port, "192.0.2.1") as client:
        # It is known now; three failures, of which the first is answered at once.
        began = time.monotonic()
        client.file.write(b"NONSENSE\r\n" * 3 + b"QUIT\r\n")
        client.file.flush()
        assert [client.reply()[:3] for _ in range(4)] == ["500", "500", "500", "221"]
        assert time.monotonic() - began > 1.5
    for _ in range(3):
        with Line(port, "192.0.2.2", early=b"EHLO spam.test\r\n") as client:
            assert client.greeting == "554 You spoke before the greeting" and client.is_over()
    wait_for(lambda: "guard.banned" in server.log_text(), what="the ban")
    assert "192.0.2.2" in server.cli("ban", "list").stdout
    # Submission isn't for strangers: there nobody waits, and many can wait elsewhere at the same time.
    waiting = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(100)]
    for number, one in enumerate(waiting):
        one.sendall(f"PROXY TCP4 198.51.100.{number} 127.0.0.1 4000 25\r\n".encode())
    time_to_greet("192.0.2.3", server.ports["submission"])
    for one in waiting:
        words = b""
        while not re.search(rb"^220 .*\n", words, re.M):
            words += one.recv(1000)
        one.close()


def test_listeners_differ(make_server):
    """What master.cf's -o is for: one listener's own TLS, name, limits and door."""
    server = make_server("limits:\n  proxy_from: [127.0.0.1]\ndelay:\n  greeting: 2s\n",
                         replace=((r"protocol: smtp\}", "protocol: smtp, proxy: true, tls: required, screen: false, hostname: door.test, "
                                   "message_size: 100KB, recipients: 2}"),))
    began = time.monotonic()
    with Line(server.ports["smtp"], "192.0.2.1") as client:
        assert client.greeting == "220 door.test ESMTP Posthorn" and time.monotonic() - began < 2
        lines = client.lines("EHLO client.test")
        assert "250-SIZE 102400" in lines and "250-LIMITS RCPTMAX=2" in lines and "250-STARTTLS" in lines
        assert client.say("MAIL FROM:<sender@remote.test>").startswith("530 5.7.0")
        assert client.say("STARTTLS").startswith("220")
        client.socket = server.tls().wrap_socket(client.socket)
        client.file = client.socket.makefile("rwb")
        assert client.say("EHLO client.test").startswith("250")
        assert client.say("MAIL FROM:<sender@remote.test>").startswith("250")
        assert client.say("RCPT TO:<alice@example.test>").startswith("250")
    with Line(server.ports["submission"]) as client:
        assert "250-SIZE 52428800" in client.lines("EHLO client.test") and "door.test" not in client.greeting
    good = server.config.read_text()
    assert server.cli("check-config", check=False).returncode == 0
    for wrong in ("message_size: 100MB", "tls: never", "auth: perhaps"):
        server.config.write_text(good.replace("message_size: 100KB", wrong))
        assert server.cli("check-config", check=False).returncode != 0


def test_recipients_that_are_refused(any_server):
    """Each reason has its code; whoever is refused keeps nobody else from his mail."""
    any_server.cli("account", "add", "off@example.test", "--password-stdin", input="secret\n")
    any_server.cli("account", "disable", "off@example.test")
    any_server.cli("account", "add", "small@example.test", "--quota", "1K", "--password-stdin", input="secret\n")
    client = any_server.smtp()
    client.ehlo("client.test")
    client.mail("carol@remote.test", ["SIZE=5000"])
    codes = {who: client.rcpt(who) for who in ("nobody@example.test", "off@example.test", "small@example.test", "x@elsewhere.test", "alice@example.test")}
    assert {who: (code, text.split()[0]) for who, (code, text) in codes.items()} == {
        "nobody@example.test": (550, b"5.1.1"), "off@example.test": (550, b"5.2.1"), "small@example.test": (552, b"5.2.3"),
        "x@elsewhere.test": (550, b"5.7.1"), "alice@example.test": (250, b"2.1.5")}
    assert client.data(letter("good"))[0] == 250
    client.quit()
    assert any_server.count("alice@example.test") == 1
