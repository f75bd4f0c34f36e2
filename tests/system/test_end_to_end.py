"""The path that everything stands on: a message comes in from a real Postfix (and Exim), is read with others' clients, and the
reply, submitted with authentication over TLS, leaves through the queue and arrives at a real Postfix (and Exim)."""
import re
import subprocess

import pytest

from harness import Exim, Nsd, Postfix, Sink, letter, tokens_in, wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"


def peer_of(kind, folder, relay=None, tls=None):
    return (Postfix if kind == "postfix" else Exim)(folder, relay, tls=tls)


@pytest.mark.sanitize
@pytest.mark.parametrize("kind", ["postfix", "exim"])
def test_letter_and_reply(make_server, folder, kind):
    server = make_server(start=False)
    key = next(p for p in server.dir.rglob("*.pem") if "PRIVATE" in p.read_text())
    peer = peer_of(kind, folder, f"127.0.0.1:{server.ports['smtp']}", tls=None)
    server.config.write_text(server.config.read_text() + f"\nrelay:\n  smarthost: 127.0.0.1:{peer.port}\n  smarthost_tls: none\n")
    server.start()
    peer.start()
    try:
        assert key.exists()
        peer.send(letter("from-peer", ALICE), f"carol@{kind}.test", ALICE)
        wait_for(lambda: server.count(ALICE) == 1, 30, "the letter in the mailbox")
        got = server.messages(ALICE)[0]
        assert tokens_in([got]) == ["from-peer"]
        assert got.startswith(b"Return-Path: <carol@%s.test>\r\n" % kind.encode())
        assert re.search(rb"^Received: from mx\.%s\.test" % kind.encode(), got, re.M)

        client = server.smtp("submission", ALICE)
        client.sendmail(ALICE, [f"carol@{kind}.test"], letter("reply", f"carol@{kind}.test", ALICE))
        client.quit()
        wait_for(lambda: "reply" in tokens_in([m.replace(b"\n", b"\r\n") for m in peer.received()]), 30, "the reply at the peer")
        wait_for(lambda: "empty" in server.cli("queue", "list").stdout.lower() or server.cli("queue", "list", "--json").stdout.strip() == "[]",
                 10, "an empty queue")
    finally:
        peer.stop()


def test_mx_and_starttls(make_server, folder):
    """By MX from the DNS, with STARTTLS, the best preference first and the next when it is down."""
    server = make_server(start=False)
    cert = server.certificate()
    key = next(p for p in server.dir.rglob("*.pem") if "PRIVATE" in p.read_text())
    peer = Postfix(folder, domains=("remote.test",), tls=(cert, key)).start()
    zones = {"remote.test": f"@ MX 5 dead\n@ MX 10 mx\ndead A 127.0.0.9\nmx A 127.0.0.1", "null.test": "@ MX 0 ."}
    dns = Nsd(folder, zones).start()
    server.config.write_text(server.config.read_text() + f"\nrelay:\n  port: {peer.port}\n" + dns.settings(zones))
    server.start()
    try:
        client = server.smtp("submissions", ALICE)
        client.sendmail(ALICE, ["dave@remote.test"], letter("by-mx", "dave@remote.test", ALICE))
        wait_for(lambda: peer.received(), 30, "the letter at the MX")
        assert b"with ESMTPS" in peer.received()[0], "STARTTLS was offered and should have been used"
        # RFC 7505: a domain that takes no mail is told at once, by a bounce
        client.sendmail(ALICE, ["nobody@null.test"], letter("null-mx", "nobody@null.test", ALICE))
        wait_for(lambda: server.count(ALICE) == 1, 30, "the bounce")
        bounce = server.messages(ALICE)[0]
        assert b"5.1.10" in bounce and b"multipart/report" in bounce
    finally:
        dns.stop()
        peer.stop()


def test_bounce_and_retry(make_server):
    """5xx: a DSN at once. 4xx: kept, and sent when the peer is well again. The trace tells both."""
    refuse = {"fred@remote.test": "550 5.1.1 no Fred here", "slow@remote.test": "450 4.2.1 not now"}
    sink = Sink(replies={"rcpt": lambda a: next((r for who, r in refuse.items() if who in a), None)})
    server = make_server(f"relay:\n  smarthost: 127.0.0.1:{sink.port}\n  smarthost_tls: none\n  retry: 1s,1s\n")
    client = server.smtp("submission", ALICE)
    client.sendmail(ALICE, ["fred@remote.test", "slow@remote.test", "good@remote.test"], letter("mixed", "good@remote.test", ALICE))
    wait_for(lambda: server.count(ALICE) == 1, 30, "the bounce")
    bounce = server.messages(ALICE)[0]
    assert b"Final-Recipient: rfc822; fred@remote.test" in bounce
    assert b"550 5.1.1 no Fred here" in bounce and b"slow@" not in bounce.split(b"Content-Type: message/delivery-status")[1].split(b"--")[0]
    assert re.search(rb"^From: .*(mailer-daemon|postmaster)", bounce, re.M | re.I)
    wait_for(lambda: sink.messages, 10, "the good one")
    listed = server.cli("queue", "list").stdout
    assert "slow@remote.test" in listed and "fred@remote.test" not in listed
    del refuse["slow@remote.test"]
    wait_for(lambda: len(sink.messages) == 2, 30, "the retried one")
    trace = server.cli("trace", "<mixed@remote.test>").stdout
    for word in ("received", "bounced", "deferred", "sent", "not now", "no Fred here"):
        assert word in trace, trace
    assert server.count(ALICE) == 1, "only one bounce"
    sink.close()


def test_no_open_relay(server):
    client = server.smtp("smtp")
    assert client.mail("x@remote.test")[0] == 250
    code, text = client.rcpt("y@elsewhere.test")
    assert (code, text[:5]) == (550, b"5.7.1") or (code, text[:5]) == (554, b"5.7.1")
    assert client.rcpt("nobody@example.test")[0] == 550
    assert client.rcpt(ALICE)[0] == 250
    client.quit()
    client = server.smtp("submission")
    assert client.mail("x@example.test")[0] == 530


def test_swaks_and_curl(server, folder):
    """The commands that `make run` prints."""
    done = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(server.ports["submission"]), "--tls", "--auth", "PLAIN",
                           "--auth-user", ALICE, "--auth-password", server.passwords[ALICE], "--from", ALICE, "--to", BOB,
                           "--header", "X-Token: swaks", "--body", "hello"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(["curl", "-sS", "--insecure", "--user", f"{BOB}:{server.passwords[BOB]}",
                           f"imaps://127.0.0.1:{server.ports['imaps']}/INBOX;MAILINDEX=1"], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"X-Token: swaks" in done.stdout
    path = folder / "mail.txt"
    path.write_bytes(letter("curl", BOB, ALICE))
    done = subprocess.run(["curl", "-sS", "--ssl-reqd", "--insecure", "--user", f"{ALICE}:{server.passwords[ALICE]}", "--mail-from", ALICE,
                           "--mail-rcpt", BOB, "--upload-file", str(path), f"smtp://127.0.0.1:{server.ports['submission']}"], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert sorted(tokens_in(server.messages(BOB))) == ["curl", "swaks"]


def test_routing(make_server):
    server = make_server()
    server.cli("alias", "add", "team@example.test", ALICE)
    server.cli("alias", "add", "team@example.test", BOB)
    server.cli("alias", "add", "loop@example.test", "pool@example.test")
    server.cli("alias", "add", "pool@example.test", "loop@example.test")
    server.cli("alias", "add", "pool@example.test", "team@example.test")
    server.cli("domain", "add", "catch.test")
    server.cli("alias", "add", "@catch.test", BOB)
    client = server.smtp("smtp")
    client.sendmail("x@remote.test", ["team@example.test", ALICE], letter("team"))
    client.sendmail("x@remote.test", ["Alice+lists@Example.TEST"], letter("plus"))
    client.sendmail("x@remote.test", ["anyone@catch.test"], letter("catch"))
    client.sendmail("x@remote.test", ["loop@example.test"], letter("loop"))
    assert sorted(tokens_in(server.messages(ALICE))) == ["loop", "plus", "team"], "each once, however often it was named"
    assert sorted(tokens_in(server.messages(BOB))) == ["catch", "loop", "team"]


@pytest.mark.sanitize
def test_large_message(any_server):
    """20 MB through a memfd, into chunks, and out again, byte for byte."""
    body = "".join(f"{i:075d}\r\n" for i in range(270000))
    client = any_server.smtp("smtp")
    client.sendmail("x@remote.test", [ALICE], letter("large", body=body))
    got = any_server.messages(ALICE)[0]
    assert got.split(b"\r\n\r\n", 1)[1] == body.encode()
    imap = any_server.imap(ALICE)
    imap.select("INBOX")
    _, found = imap.fetch("1", "(BODY.PEEK[TEXT]<10000000.100>)")
    assert found[0][1] == body.encode()[10000000:10000100]
    imap.logout()


def test_over_quota_and_too_large(make_server):
    server = make_server("limits:\n  message_size: 100000\n")
    client = server.smtp("smtp")
    assert client.mail("x@remote.test", ["SIZE=200000"])[0] == 552
    client.rset()
    client.mail("x@remote.test")
    client.rcpt(ALICE)
    code, text = client.data(letter("big", body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 3000))
    assert (code, text[:5]) == (552, b"5.3.4")
    assert server.count(ALICE) == 0
