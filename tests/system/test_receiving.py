"""The receiving side of SMTP as peers and clients see it: binary messages, ..."""
import base64
import os
import re
import socket

import pytest

from harness import letter, wait_for


class Line:
    """A client that says what it is told, byte by byte."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=30)
        self.file = self.socket.makefile("rwb")
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
