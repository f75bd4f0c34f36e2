"""Remote hosts that misbehave at each stage of a conversation. Each letter is told of with the right reason and arrives in the end, once;
twice only where the answer to its final dot was lost."""
import contextlib
import json
import socket
import threading
import time

import pytest

from harness import Nsd, letter, tokens_in, wait_for

ALICE = "alice@example.test"
TLS_NAMES = ("starttls", "handshake")
# stage, what is done there, what the sender's side says of it. None: the letter isn't even late.
CASES = [
    ("connect", "hang", "connect to"), ("connect", "refuse", "connect to"),
    *[(stage, "hang", f"time-out from {{host}} at {words}") for stage, words in (
        ("greeting", "greeting"), ("ehlo", "EHLO"), ("starttls", "STARTTLS"), ("mail", "MAIL FROM"), ("rcpt", "RCPT TO"), ("data", "DATA"),
        ("final", "end of data"))],
    *[(stage, "drop", f"from {{host}} at {words}") for stage, words in (
        ("greeting", "greeting"), ("ehlo", "EHLO"), ("starttls", "STARTTLS"), ("mail", "MAIL FROM"), ("rcpt", "RCPT TO"), ("data", "DATA"),
        ("body", "end of data"), ("final", "end of data"))],
    *[(stage, "garbage", f"garbled reply from {{host}} at {words}") for stage, words in (
        ("greeting", "greeting"), ("ehlo", "EHLO"), ("starttls", "STARTTLS"), ("mail", "MAIL FROM"), ("rcpt", "RCPT TO"), ("data", "DATA"),
        ("final", "end of data"))],
    *[(stage, "endless", f"from {{host}} at {words}") for stage, words in (
        ("greeting", "greeting"), ("ehlo", "EHLO"), ("mail", "MAIL FROM"), ("rcpt", "RCPT TO"), ("data", "DATA"), ("final", "end of data"))],
    *[(stage, "drip", f"time-out from {{host}} at {words}") for stage, words in (
        ("greeting", "greeting"), ("mail", "MAIL FROM"), ("final", "end of data"))],
    *[(stage, "421", "421 4.3.2 going down") for stage in ("greeting", "ehlo", "starttls", "mail", "rcpt", "data", "final")],
    ("body", "hang", "time-out from {host}"),
    ("handshake", "hang", None), ("handshake", "drop", None), ("handshake", "garbage", None),  # then in plain, at once
    ("quit", "hang", None), ("quit", "drop", None), ("quit", "garbage", None), ("quit", "endless", None), ("quit", "421", None),
]
NAMES = [f"{stage}-{action}" for stage, action, _ in CASES]
AFTER_THE_DOT = {name for name in NAMES if name.startswith("final-") and not name.endswith("421")}


class Peer:
    """Misbehaves on its first connection only."""

    def __init__(self, host, port, stage, action):
        self.stage, self.action = stage, action
        self.messages, self.connections = [], 0
        self.extensions = ["PIPELINING", "8BITMIME"] + (["STARTTLS"] if stage in TLS_NAMES else [])
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.open = []
        self.ready = threading.Event()
        if stage == "connect":
            if action == "hang":  # a full queue of connections: the kernel doesn't answer
                self.listener.listen(0)
                for _ in range(2):
                    filler = socket.socket()
                    filler.setblocking(False)
                    filler.connect_ex((host, port))
                    self.open.append(filler)
        else:
            self.behave()
        threading.Thread(target=self._accept, daemon=True).start()

    def behave(self):
        """From now on connections are taken."""
        if self.stage == "connect":
            for filler in self.open:
                filler.close()
        self.listener.listen(20)
        self.ready.set()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.open:
            peer.close()

    def _accept(self):
        self.ready.wait()
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(peer)
            threading.Thread(target=self._serve, args=(peer, self.connections == 1 and self.stage != "connect"), daemon=True).start()

    def _misbehave(self, peer):
        if self.action == "hang":
            time.sleep(30)
        elif self.action == "garbage":
            peer.sendall(b"\x16\x03\x01 what\r\n" if self.stage != "handshake" else b"250 this is no TLS at all\r\n")
            time.sleep(0.5)
        elif self.action == "421":
            peer.sendall(b"421 4.3.2 going down\r\n")
        elif self.action == "endless":
            code = {"greeting": b"220", "data": b"354"}.get(self.stage, b"250")
            while True:
                peer.sendall((code + b"-and more\r\n") * 100)
        elif self.action == "drip":
            for _ in range(100):
                peer.sendall(b"250-one more\r\n")
                time.sleep(0.3)
        peer.close()

    def _serve(self, peer, bad):
        def at(stage):
            if bad and stage == self.stage:
                self._misbehave(peer)
                raise OSError

        def say(text):
            peer.sendall(text.encode() + b"\r\n")
        with contextlib.suppress(OSError, ValueError), peer, peer.makefile("rb") as stream:
            at("greeting")
            say("220 peer.test ESMTP")
            recipients = 0
            while line := stream.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    at("ehlo")
                    words = ["peer.test", *self.extensions]
                    say("\r\n".join(f"250{'-' if w is not words[-1] else ' '}{w}" for w in words))
                elif verb == b"STAR":
                    at("starttls")
                    say("220 go ahead")
                    at("handshake")
                    return  # nobody here can
                elif verb == b"MAIL":
                    at("mail")
                    say("250 ok")
                elif verb == b"RCPT":
                    at("rcpt")
                    recipients += 1
                    say("250 ok")
                elif verb == b"DATA":
                    at("data")
                    say("354 go on")
                    body = bytearray(stream.readline())
                    at("body")
                    while (line := stream.readline()) not in (b".\r\n", b""):
                        body += line
                    if not line:
                        return
                    if not (bad and self.stage == "final" and self.action == "421"):  # that one says it didn't take it
                        self.messages.append(bytes(body))
                    at("final")
                    say("250 taken")
                elif verb == b"QUIT":
                    at("quit")
                    say("221 bye")
                    return
                else:
                    say("250 ok")


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    from harness import Server, free_port
    folder = tmp_path_factory.mktemp("peers")
    for path in [folder, folder.parent, folder.parent.parent]:
        path.chmod(0o755)
    port = free_port()
    made = {name: Peer(f"127.0.1.{i + 1}", port, stage, action) for i, (name, (stage, action, _)) in enumerate(zip(NAMES, CASES))}
    nsd = Nsd(folder, {"peers.test": "\n".join(f"{name} A 127.0.1.{i + 1}" for i, name in enumerate(NAMES))}).start()
    server = Server(folder, f"relay:\n  port: {port}\n  connect_timeout: 2s\n  command_timeout: 2s\n  data_timeout: 2s\n  end_timeout: 2s\n"
                    "  retry: 2s\n  concurrency: 100\n" + nsd.settings(["peers.test"]))
    server.start()
    client = server.smtp("submission", ALICE)
    for name in NAMES:
        body = "x" * 70 + "\r\n"
        to = f"x@{name}.peers.test"
        client.sendmail(ALICE, [to], letter(name, to, ALICE, body=body * (150000 if name == "body-hang" else 1)))
    client.quit()
    try:
        yield server, made
    finally:
        server.stop()
        nsd.stop()
        for peer in made.values():
            peer.close()


def steps(server, name):
    done = server.cli("trace", f"<{name}@remote.test>", "--json", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else []


@pytest.mark.parametrize("name, reason", [(name, reason) for name, (_, _, reason) in zip(NAMES, CASES)])
def test_misbehaves(peers, name, reason):
    server, made = peers
    peer = made[name]
    if reason:
        late = wait_for(lambda: [s for s in steps(server, name) if s["event"] == "deferred"], 30, f"{name} being late", every=0.2)[0]
        host = f"{name}.peers.test [{peer.listener.getsockname()[0]}]"
        assert reason.format(host=host) in late["detail"], late
    if name.startswith("connect-"):
        peer.behave()
    wait_for(lambda: [s for s in steps(server, name) if s["event"] == "sent"], 40, f"{name} being sent", every=0.2)
    events = [s["event"] for s in steps(server, name)]
    assert events.count("sent") == 1 and "bounced" not in events
    assert ("deferred" in events) == bool(reason), events
    assert len(tokens_in(peer.messages)) == (2 if name in AFTER_THE_DOT else 1)
