"""Routes that log in, that demand TLS, that speak LMTP, and that lead to no host."""
import json
import re
import socket
import threading

from harness import letter, wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"


def send(server, sender, to, token):
    client = server.smtp("submission", sender)
    client.sendmail(sender, to if isinstance(to, list) else [to], letter(token, "x@remote.test", sender))
    client.quit()


def steps(server, token):
    done = server.cli("trace", f"<{token}@remote.test>", "--json", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else []


def ended(server, token, count=1):
    """(event, recipient) -> detail"""
    def look():
        found = [s for s in steps(server, token) if s["event"] in ("sent", "deferred", "bounced")]
        return found if len(found) >= count else None
    return {(s["event"], s["subject"]): s["detail"] for s in wait_for(look, 30, f"the end of {token}", every=0.2)}


def test_log_in_by_sender(make_server, folder):
    """Each sender's mail goes to the same relay under a log-in of its own; the passwords are in no list and not in the store's file."""
    second = make_server(replace=[(r"^hostname: .*$", "hostname: second.test")], subfolder="second",
                         settings="smtp:\n  require_sender_match: false\n")
    for user in ("carol", "dave"):
        second.cli("account", "add", f"{user}@example.test", "--password-stdin", input=f"Secret-of-{user}\n")
    first = make_server(f"relay:\n  ca_file: {second.certificate()}\n  retry: 1h\n", subfolder="first")
    hop = f"localhost:{second.ports['submission']}"
    for sender, user in ((ALICE, "carol"), (BOB, "dave")):
        path = folder / user
        path.write_text(f"Secret-of-{user}\n")
        first.cli("route", "add", sender, hop, "--sender", "--user", f"{user}@example.test", "--password-file", str(path), "--tls", "encrypted")
    for sender in (ALICE, BOB):
        send(first, sender, f"{sender.split('@')[0]}@example.test.invalid", f"by-{sender[:3]}")
        wait_for(lambda: steps(first, f"by-{sender[:3]}"), 20)
    for token, user in (("by-ali", "carol"), ("by-bob", "dave")):
        found = ended(first, token)
        assert [event for event, _ in found] == ["sent"], found
        assert re.search(rf"message_id=<{token}@remote.test>.* login={user}@example.test", second.log_text()), token
    listed = first.cli("route", "list").stdout + first.cli("route", "list", "--json").stdout
    assert "carol@example.test" in listed and "encrypted" in listed and "Secret" not in listed and "secret=" not in listed
    for kept in (first.dir / "data/store").iterdir():
        assert not kept.is_file() or b"Secret-of" not in kept.read_bytes(), kept
    assert (first.dir / "data/relay.key").stat().st_mode & 0o777 == 0o600

    # A wrong password: the mail waits, with the reason.
    wrong = folder / "wrong"
    wrong.write_text("Wrong\n")
    first.cli("route", "add", "wrong.invalid", hop, "--user", "alice@example.test", "--password-file", str(wrong), "--tls", "encrypted")
    send(first, ALICE, "x@wrong.invalid", "wrong")
    (event, _), detail = ended(first, "wrong").popitem()
    assert event == "deferred" and "535" in detail
    # Nobody's DNSSEC vouches for localhost.
    first.cli("route", "add", "y2.invalid", hop, "--tls", "dane")
    send(first, ALICE, "x@y2.invalid", "dane")
    (event, _), detail = ended(first, "dane").popitem()
    assert event == "deferred" and "DANE is demanded" in detail
    assert first.cli("route", "add", ALICE, hop, "--sender", "--user", "carol", check=False).returncode == 2
    assert first.cli("route", "add", "x.invalid", "direct", "--tls", "required", check=False).returncode == 2
    assert first.cli("route", "add", "x.invalid", hop, "--tls", "perhaps", check=False).returncode == 2


class Lmtp:
    """Takes three kinds of recipients apart: yes*, later*, never*, each after the final dot."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.messages, self.verbs = [], []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer, peer.makefile("rwb") as stream:
            def say(text):
                stream.write(text.encode() + b"\r\n")
                stream.flush()
            say("220 mail.example.test LMTP")  # the sender's own name: it may well be the same machine
            recipients = []
            while line := stream.readline():
                verb = line[:4].upper()
                self.verbs.append(verb)
                if verb == b"LHLO":
                    say("250-mail.example.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES")
                elif verb == b"RCPT":
                    if b"<refused" in line:
                        say("550 5.1.1 not here")
                    else:
                        recipients.append(line.decode())
                        say("250 2.1.5 ok")
                elif verb == b"DATA":
                    say("354 go on")
                    body = b""
                    while (line := stream.readline()) not in (b".\r\n", b""):
                        body += line
                    for recipient in recipients:
                        if "<yes" in recipient:
                            self.messages.append(body)
                            say("250 2.0.0 delivered")
                        elif "<later" in recipient:
                            say("450 4.2.2 mailbox full for now")
                        else:
                            say("550 5.2.1 mailbox disabled")
                    recipients = []
                elif verb == b"QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 ok")


def test_lmtp(make_server):
    """RFC 2033: an answer for each recipient after the final dot."""
    lmtp = Lmtp()
    server = make_server("relay:\n  retry: 1h\n")
    server.cli("route", "add", "boxes.test", f"lmtp:127.0.0.1:{lmtp.port}")
    names = ["yes1", "later", "refused", "never", "yes2"]
    send(server, ALICE, [f"{name}@boxes.test" for name in names], "lmtp")
    found = ended(server, "lmtp", 5)
    for name, event, text in (("yes1", "sent", "2.0.0"), ("yes2", "sent", "2.0.0"), ("later", "deferred", "450 4.2.2"),
                              ("never", "bounced", "550 5.2.1"), ("refused", "bounced", "550 5.1.1")):
        assert text in found[event, f"{name}@boxes.test"], found
    assert len(lmtp.messages) == 2 and b"EHLO" not in lmtp.verbs and b"HELO" not in lmtp.verbs
    lmtp.listener.close()


def test_routes_to_no_host(make_server, folder):
    server = make_server("relay:\n  retry: 1h\n")
    server.cli("route", "add", "closed.test", "error:5.7.1 this domain is closed")
    server.cli("route", "add", "paused.test", "retry:4.3.2 come back tomorrow")
    server.cli("route", "add", "noreply@gone.test", "discard:")
    assert server.cli("route", "add", "bad.test", "error:no status", check=False).returncode == 2
    maps = folder / "transport"
    maps.write_text("more.test error:no mail here\nlm.test lmtp:inet:127.0.0.1:24\n")
    server.cli("import", "aliases", str(maps), "--format", "transport")
    listed = server.cli("route", "list").stdout
    assert "error:5.0.0 no mail here" in listed and "lmtp:[127.0.0.1]:24" in listed
    for to, token, event, text in (("x@closed.test", "closed", "bounced", "this domain is closed"),
                                   ("x@paused.test", "paused", "deferred", "come back tomorrow"),
                                   ("noreply@gone.test", "gone", "sent", "discarded")):
        send(server, ALICE, to, token)
        assert text in ended(server, token)[event, to]
    bounce = wait_for(lambda: server.messages(ALICE), 20, "the bounce")
    assert b"5.7.1" in bounce[0] and b"This domain is closed".lower() in bounce[0].lower()
