"""The client of bench/imap.py: raw connections that only look for the end of an answer, so that the client costs little, and the messages."""
import base64
import os
import random
import re
import signal
import socket
import ssl
import sys

PIECE = 1 << 20
RARE_WORD = "quaggazebra"


class Failed(Exception):
    pass


class Connection:
    """IMAP. Answers are counted; `text` asks for them."""

    def __init__(self, port, user=None, tls=False):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(300)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = TLS.wrap_socket(self.socket)
        self.room, self.number = None, 0
        self._line()
        if user:
            self.run(f"LOGIN {user} secret")

    def _line(self):
        got = b""
        while not got.endswith(b"\r\n"):
            piece = self.socket.recv(4096)
            if not piece:
                raise Failed("closed")
            got += piece
        return got

    def send(self, command):
        """Returns the tag."""
        self.number += 1
        tag = b"zq%d" % self.number
        self.socket.sendall(tag + b" " + (command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        return tag

    def wait(self, tag, text=False):
        """Bytes until the tagged answer (or all of them), which must be OK."""
        total, tail, kept = 0, b"", []
        self.room = self.room or bytearray(PIECE)
        while True:
            got = self.socket.recv_into(self.room)
            if got == 0:
                raise Failed("closed")
            total += got
            piece = bytes(memoryview(self.room)[max(0, got - 4096):got]) if got > 4096 and not text else bytes(memoryview(self.room)[:got])
            if text:
                kept.append(piece)
            tail = (tail + piece)[-4096:]
            if not tail.endswith(b"\r\n"):
                continue
            at = tail.rfind(b"\r\n", 0, len(tail) - 2)
            last = tail[at + 2:] if at >= 0 else tail
            if last.startswith(tag + b" "):
                if not last.startswith(tag + b" OK"):
                    raise Failed(last.decode(errors="replace"))
                return b"".join(kept) if text else total

    def run(self, command, text=False):
        return self.wait(self.send(command), text)

    def append(self, messages):
        """One transaction where there are several (MULTIAPPEND)."""
        parts = b"".join(b" {%d+}\r\n%s" % (len(m), m) for m in messages)
        return self.run(b"APPEND INBOX" + parts)

    def idle(self):
        self.socket.sendall(b"i IDLE\r\n")
        self._line()

    def close(self):
        self.socket.close()


class Pop3:
    def __init__(self, port, user):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(300)
        self.kept = b""
        self._line()
        for line in (f"USER {user}", "PASS secret"):
            self.command(line)

    def _line(self):
        while b"\r\n" not in self.kept:
            piece = self.socket.recv(65536)
            if not piece:
                raise Failed("closed")
            self.kept += piece
        line, self.kept = self.kept.split(b"\r\n", 1)
        if not line.startswith(b"+OK"):
            raise Failed(line.decode(errors="replace"))
        return line

    def command(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self._line()

    def retrieve_all(self, at_once=20):
        """Messages fetched; so many RETRs are under way at a time (RFC 2449 section 6.6)."""
        count = int(self.command("STAT").split()[1])
        for first in range(1, count + 1, at_once):
            numbers = range(first, min(first + at_once, count + 1))
            self.socket.sendall(b"".join(b"RETR %d\r\n" % n for n in numbers))
            ends, tail = 0, b""
            while ends < len(numbers):
                piece = self.socket.recv(PIECE)
                if not piece:
                    raise Failed("closed")
                # each answer ends with a line that has only a dot; it may come in two pieces
                ends += (tail + piece).count(b"\r\n.\r\n")
                tail = (tail + piece)[-4:]
        self.command("QUIT")
        self.socket.close()
        return count


TLS = ssl._create_unverified_context()


def words(rng, count):
    """Lines of some 70 characters."""
    out, line = [], []
    for _ in range(count):
        line.append(VOCABULARY[min(int(rng.expovariate(1 / 300)), len(VOCABULARY) - 1)])
        if len(line) == 11:
            out.append(" ".join(line))
            line = []
    return "\r\n".join(out) + "\r\n"


VOCABULARY = [("".join(random.Random(n * 10 + i).choice("aeioubcdfglmnprst") for i in range(n % 8 + 2))) for n in range(5000)]
TEXTS = [words(random.Random(n), 150) for n in range(300)]  # a kilobyte each
BINARY = base64.encodebytes(random.Random(1).randbytes(60000)).replace(b"\n", b"\r\n").decode()


def message(number):
    """The same for everybody: plain ones, alternatives, attachments; 1 to 80 KB, 5 on average. One in 10,000 has the rare word."""
    rng = random.Random(number)
    text = TEXTS[rng.randrange(len(TEXTS))] * rng.choice((1, 1, 1, 2, 3, 4))
    if number % 10000 == 4999:
        text += RARE_WORD + "\r\n"
    head = (f"Return-Path: <sender{number % 500}@remote.test>\r\nReceived: from mx.remote.test (mx.remote.test [192.0.2.{number % 250}])\r\n\tby mx.example.test with ESMTP id {number:x}\r\n"
            f"\tfor <u@example.test>; Tue, {number % 28 + 1} Oct 2025 10:{number % 60:02}:00 +0000\r\nFrom: Sender {number % 500} <sender{number % 500}@remote.test>\r\n"
            f"To: =?utf-8?q?J=C3=BCrgen?= <u@example.test>, Other <o{number % 90}@example.test>\r\nCc: <list{number % 7}@lists.test>\r\nSubject: {'Re: ' if number % 3 else ''}Matter {number % 9973} of {VOCABULARY[number % 5000]}\r\n"
            f"Date: Tue, {number % 28 + 1} Oct 2025 10:{number % 60:02}:00 +0000\r\nMessage-ID: <m{number}@remote.test>\r\nIn-Reply-To: <m{number // 2}@remote.test>\r\n"
            f"References: <m{number // 2}@remote.test>\r\nX-Mailer: Something 1.0\r\nMIME-Version: 1.0\r\n")
    kind = number % 20
    if kind < 12:
        return (head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text).encode()
    parts = f"--b{number}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}--b{number}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>{text}</p></body></html>\r\n"
    if kind < 18:
        return (head + f'Content-Type: multipart/alternative; boundary="b{number}"\r\n\r\n{parts}--b{number}--\r\n').encode()
    attachment = (f'--b{number}\r\nContent-Type: application/pdf; name="paper{number}.pdf"\r\nContent-Disposition: attachment; filename="paper{number}.pdf"\r\n'
                  f"Content-Transfer-Encoding: base64\r\n\r\n{BINARY[:rng.choice((4, 8, 16, 64)) * 1024 // 78 * 78]}--b{number}--\r\n")
    return (head + f'Content-Type: multipart/mixed; boundary="b{number}"\r\n\r\n{parts}{attachment}').encode()


def in_processes(count, work):
    """Runs work(index) in so many processes and returns the sum of what they return."""
    pipes = []
    for index in range(count):
        read, write = os.pipe()
        if os.fork() == 0:
            status = 1
            try:
                os.write(write, str(work(index)).encode())
                status = 0
            except Exception as e:  # noqa: BLE001 (the parent reports it)
                os.write(write, f"failed: {e!r}".encode())
            finally:
                os._exit(status)
        os.close(write)
        pipes.append(read)
    results = []
    for read in pipes:
        with os.fdopen(read) as stream:
            results.append(stream.read())
        os.wait()
    bad = [r for r in results if not re.fullmatch(r"\d+", r)]
    if bad:
        raise Failed(bad[0])
    return sum(map(int, results))


class Idlers:
    """Processes that hold sessions over TLS in IDLE."""

    def __init__(self, port, users, count, processes=2):
        self.pids, ready = [], []
        for index in range(processes):
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    held = []
                    for n in range(index, count, processes):
                        held.append(Connection(port, users[n % len(users)], tls=True))
                        held[-1].room = bytearray(16384)
                        held[-1].run("SELECT INBOX")
                        held[-1].idle()
                        held[-1].room = None
                    os.write(write, b"ready")
                    signal.pause()
                except Exception as e:  # noqa: BLE001
                    print(f"   idle session {len(held)}: {e!r}", file=sys.stderr)
                finally:
                    os._exit(0)
            os.close(write)
            self.pids.append(pid)
            ready.append(read)
        self.all_there = all([os.read(read, 5) == b"ready" for read in ready])
        for read in ready:
            os.close(read)

    def end(self):
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.waitpid(pid, 0)
