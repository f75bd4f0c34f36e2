"""The defence at the door: rates, bans, what accounts may send, greylisting. Peers of other networks are played through the PROXY protocol."""
import contextlib
import email
import re
import smtplib
import socket
import time

import pytest

from harness import Nsd, letter, wait_for

# Each listener believes what 127.0.0.1 says about where its client comes from.
PROXIED = ((r"protocol: smtp\}", "protocol: smtp, proxy: true}"),)
IMAP_TOO = ((r"protocol: (smtp|imap)\}", r"protocol: \1, proxy: true}"),)
# Nobody waits for the greeting: that is test_receiving.py's.
LIMITS = "limits:\n  proxy_from: [127.0.0.1]\ndelay:\n  greeting: 0s\n"


class Peer:
    """A line-wise client that seems to come from `address`."""

    def __init__(self, server, address, listener="smtp"):
        version = 6 if ":" in address else 4
        self.socket = socket.create_connection(("127.0.0.1", server.ports[listener]), timeout=30)
        self.file = self.socket.makefile("rwb")
        here = "::1" if version == 6 else "127.0.0.1"
        self.socket.sendall(f"PROXY TCP{version} {address} {here} 4000 25\r\n".encode())
        self.greeting = self.line()

    def line(self):
        return self.file.readline().decode().strip()

    def say(self, text):
        """The last line of the reply."""
        self.file.write(text.encode() + b"\r\n")
        self.file.flush()
        while (line := self.line())[3:4] == "-":
            pass
        return line

    def hello(self):
        assert self.greeting.startswith("220"), self.greeting
        assert self.say("EHLO client.test").startswith("250")
        return self

    def is_over(self):
        return self.file.read(1) == b""

    def send(self, sender="sender@remote.test", to="alice@example.test", token="t"):
        """The reply that decides."""
        for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA"):
            answer = self.say(command)
            if answer[0] not in "23":
                self.say("RSET")
                return answer
        return self.say(letter(token).decode() + ".")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def make_on_any(request, make_server):
    """make_server on both stores."""
    if request.param == "sqlite":
        return make_server
    url = request.getfixturevalue("postgresql").url
    return lambda settings="", **more: make_server(settings, store=url, **more)


def bans(server):
    import json
    return {row["network"]: row for row in json.loads(server.cli("ban", "list", "--json").stdout)}


def test_rates(make_server):
    server = make_server(LIMITS + "rates:\n  connections: 5\n  messages: 3\n  recipients: 4\n  failures: 3\n  network_factor: 2\n",
                         replace=PROXIED)
    with Peer(server, "192.0.2.1").hello() as peer:
        assert [peer.send(token=f"a{i}")[:3] for i in range(4)] == ["250", "250", "250", "450"]
    for _ in range(4):
        Peer(server, "192.0.2.1").close()
    with Peer(server, "192.0.2.1") as peer:
        assert peer.greeting.startswith("421 4.7.0") and peer.is_over()
    # The neighbours are not yet at the limit of their network; after five more connections they are.
    for i in range(5):
        with Peer(server, f"192.0.2.{i + 10}") as peer:
            assert peer.greeting.startswith("220")
    with Peer(server, "192.0.2.99") as peer:
        assert peer.greeting.startswith("421")
    with Peer(server, "2001:db8::1").hello() as peer:
        assert peer.say("MAIL FROM:<a@remote.test>").startswith("250")
        assert [peer.say("RCPT TO:<alice@example.test>")[:3] for _ in range(5)] == ["250"] * 4 + ["450"]
        assert [peer.say("NONSENSE")[:3] for _ in range(4)][:3] == ["500"] * 3
        assert peer.line().startswith("421 4.7.0") and peer.is_over()
    assert 'event=guard.refused' in server.log_text() and "limit=rates.failures" in server.log_text()
    assert server.count() == 3


def test_nodes_share_rates(make_server, postgresql):
    """Two nodes on one store: what comes to both counts for both."""
    settings = LIMITS + "rates:\n  connections: 20\n  network_factor: 10\n"
    nodes = [make_server(settings, store=postgresql.url, replace=PROXIED), make_server(settings, start=False, replace=PROXIED)]
    nodes[1].config.write_text(nodes[1].config.read_text() + f"\nstore:\n  url: {postgresql.url}\n")
    nodes[1].start()

    def greetings(node, count):
        out = []
        for _ in range(count):
            with Peer(node, "192.0.2.1") as peer:
                out.append(peer.greeting[:3])
        return out
    # Each hears about once a second; by then both know all of the twenty, of which a few have come back.
    time.sleep(1.5)
    assert greetings(nodes[0], 9) == greetings(nodes[1], 9) == ["220"] * 9
    time.sleep(1.2)
    for node in nodes:
        greetings(node, 1)
    time.sleep(1.2)
    assert "421" in greetings(nodes[0], 8) and "421" in greetings(nodes[1], 8)


def test_bans_by_hand(make_server):
    server = make_server(LIMITS, replace=IMAP_TOO)
    server.cli("ban", "add", "192.0.2.77/24", "--reason", "spam")
    server.cli("ban", "add", "2001:db8::1", "--for", "1h")
    assert server.cli("ban", "add", "127.0.0.1", check=False).returncode == 1
    assert server.cli("ban", "add", "nonsense", check=False).returncode == 2
    assert set(bans(server)) == {"192.0.2.0/24", "2001:db8::1"}
    assert bans(server)["192.0.2.0/24"]["reason"] == "spam"

    def greeting(address, listener="smtp"):
        with Peer(server, address, listener) as peer:
            return peer.greeting
    wait_for(lambda: greeting("192.0.2.5") == "554 You are banned here", what="the ban")
    wait_for(lambda: greeting("2001:db8::1").startswith("421 4.7.1"), what="the other ban")
    wait_for(lambda: greeting("192.0.2.5", "imap").startswith("* BYE"), what="the ban from imap")
    assert greeting("192.0.3.5").startswith("220") and greeting("2001:db8::2").startswith("220")
    assert greeting("192.0.3.5", "imap").startswith("* OK")
    server.cli("ban", "remove", "192.0.2.0/24")
    assert server.cli("ban", "remove", "192.0.2.0/24", check=False).returncode == 1
    wait_for(lambda: greeting("192.0.2.5").startswith("220"), what="the end of the ban")
    # A ban is kept.
    server.stop()
    server.start()
    wait_for(lambda: greeting("2001:db8::1").startswith("421 4.7.1"), what="the ban after a restart")


def test_unknown_recipients_earn_a_ban(make_server):
    server = make_server(LIMITS + "ban:\n  unknown_recipients: 3\n  first: 4s\n", replace=PROXIED)
    with Peer(server, "192.0.2.1").hello() as peer:
        assert peer.say("MAIL FROM:<a@remote.test>").startswith("250")
        answers = [peer.say(f"RCPT TO:<nobody{i}@example.test>")[:3] for i in range(4)]
        assert answers == ["550", "550", "550", "421"] and peer.is_over()

    def banned(address="192.0.2.1"):
        with Peer(server, address) as peer:
            return peer.greeting.startswith("421 4.7.1")
    wait_for(banned, what="the ban")
    assert not banned("192.0.2.2")
    row = bans(server)["192.0.2.1"]
    assert row["reason"] == "unknown recipients" and row["times"] == 1
    wait_for(lambda: not banned(), what="the end of the ban")
    # What it has asked for is still counted: the next one too many, and it is banned for twice as long.
    with Peer(server, "192.0.2.1").hello() as peer:
        assert peer.say("MAIL FROM:<a@remote.test>").startswith("250")
        assert peer.say("RCPT TO:<nobody@example.test>").startswith("421")
    wait_for(banned, what="the second ban")
    assert bans(server)["192.0.2.1"]["times"] == 2
    assert "event=guard.banned" in server.log_text()


def test_wrong_passwords_earn_a_ban(make_server):
    server = make_server(LIMITS + "auth:\n  lockout_failures: 1\n  plaintext: always\nban:\n  exempt: [198.51.100.0/24]\n",
                         replace=IMAP_TOO)

    def guess(address, number):
        with Peer(server, address, "imap") as peer:
            if not peer.greeting.startswith("* OK"):
                return False
            peer.file.write(f"a LOGIN user{number}@example.test guess{number}\r\n".encode())
            peer.file.flush()
            return peer.line().startswith("a NO")
    for address in ("192.0.2.1", "198.51.100.1"):
        assert guess(address, 0)
        for i in range(1, 5):
            guess(address, i)
    wait_for(lambda: not guess("192.0.2.1", 9), what="the ban")
    assert guess("198.51.100.1", 9), "an exempt network is never banned"
    assert bans(server)["192.0.2.1"]["reason"] == "wrong passwords"
    assert "event=guard.not_banned network=198.51.100.1" in server.log_text()


def test_an_account_sends_too_much(make_on_any):
    server = make_on_any("sending:\n  messages_per_hour: 3\n  recipients_per_hour: 100\n")
    server.cli("alias", "add", "postmaster@example.test", "alice@example.test")
    with contextlib.closing(server.smtp("submission", "bob@example.test")) as client:
        for i in range(3):
            client.sendmail("bob@example.test", ["alice@example.test"], letter(f"s{i}", sender="bob@example.test"))
        for _ in range(2):
            with pytest.raises(smtplib.SMTPDataError, match="4.7.1"):
                client.sendmail("bob@example.test", ["alice@example.test"], letter("too-much", sender="bob@example.test"))
    with contextlib.closing(server.smtp("submission", "alice@example.test")) as client:
        client.sendmail("alice@example.test", ["bob@example.test"], letter("other", sender="alice@example.test"))
    log = wait_for(lambda: re.search(r"event=guard.sends_too_much login=bob@example.test.*", server.log_text()), what="the alarm's log line")
    assert "messages_per_hour=3" in log.group(0)

    def alarms():
        found = [email.message_from_bytes(m) for m in server.messages("alice@example.test")]
        return [m for m in found if m["Subject"] == "An account sends too much"]
    letters = wait_for(alarms, what="the alarm in the postmaster's mailbox")
    assert len(letters) == 1 and "bob@example.test" in letters[0].get_payload()
    time.sleep(2.5)  # what is counted is brought into the store every two seconds
    server.stop()
    server.start()
    with contextlib.closing(server.smtp("submission", "bob@example.test")) as client:
        with pytest.raises(smtplib.SMTPDataError, match="4.7.1"):
            client.sendmail("bob@example.test", ["alice@example.test"], letter("still", sender="bob@example.test"))


def test_the_alarm_goes_where_it_is_wanted(make_server):
    server = make_server("sending:\n  messages_per_hour: 1\n  alert_to: bob@example.test\n")
    with contextlib.closing(server.smtp("submission", "alice@example.test")) as client:
        client.sendmail("alice@example.test", ["alice@example.test"], letter("one", sender="alice@example.test"))
        for _ in range(2):
            with pytest.raises(smtplib.SMTPDataError, match="4.7.1"):
                client.sendmail("alice@example.test", ["alice@example.test"], letter("two", sender="alice@example.test"))
    alarm = wait_for(lambda: server.messages("bob@example.test"), what="the alarm")
    assert len(alarm) == 1 and b"\r\nTo: bob@example.test\r\n" in alarm[0] and b"account disable alice@example.test" in alarm[0]


def test_greylisting(make_on_any):
    settings = "greylist:\n  enabled: true\n  wait: 2s\n  trust_after: 2\n"
    server = make_on_any(LIMITS + "smtp:\n  trusted_networks: [203.0.113.0/24]\n" + settings, replace=PROXIED)

    def answer(address, sender="sender@remote.test", to="alice@example.test"):
        with Peer(server, address).hello() as peer:
            return peer.send(sender, to)[:9]
    assert answer("192.0.2.1") == "451 4.7.1"
    assert answer("192.0.2.1") == "451 4.7.1", "too early"
    assert answer("203.0.113.1").startswith("250"), "trusted"
    assert answer("192.0.2.1", to="nobody@example.test") == "550 5.1.1", "nobody waits for what would be refused"
    # From another host of its farm, in time.
    wait_for(lambda: answer("192.0.2.2").startswith("250"), what="the second try", every=0.3)
    assert answer("192.0.2.1").startswith("250")
    assert answer("192.0.2.1", "other@remote.test") == "451 4.7.1"
    wait_for(lambda: answer("192.0.2.1", "other@remote.test").startswith("250"), what="its second try", every=0.3)
    # Two have come again: the network is known to be one of mail servers.
    assert answer("192.0.2.9", "third@remote.test").startswith("250")
    assert answer("192.0.3.9", "third@remote.test") == "451 4.7.1"
    assert "event=guard.greylisted" in server.log_text()


def test_traps(make_server):
    """Who writes to an address that nobody was told of is banned, and learns nothing from it."""
    server = make_server(LIMITS + "ban:\n  traps: [Old.User@example.test]\n", replace=PROXIED)
    with Peer(server, "192.0.2.1").hello() as peer, Peer(server, "192.0.2.1").hello() as other:
        peer.say("MAIL FROM:<a@remote.test>")
        unknown, trapped = (peer.say(f"RCPT TO:<{to}@example.test>") for to in ("nobody", "old.user"))
        assert trapped == unknown == "550 5.1.1 No such user here"
        wait_for(lambda: "192.0.2.1" in bans(server), what="the ban")
        assert bans(server)["192.0.2.1"]["reason"] == "spam trap"
        wait_for(lambda: other.say("NOOP").startswith("421 4.7.1"), what="the end of its other session")
        assert other.is_over()


SCREEN_ZONES = {
    "block.test": "2.2.0.192 A 127.0.0.2\n3.2.0.192 A 127.0.0.9\n4.2.0.192 A 127.0.0.2\n"
                  "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 A 127.0.0.2",
    "allow.test": "4.2.0.192 A 127.0.0.2",
    "2.0.192.in-addr.arpa": "1 PTR mx.remote.test.\n2 PTR mx.remote.test.\n6 PTR liar.remote.test.",
    "8.b.d.0.1.0.0.2.ip6.arpa": "",
    "remote.test": "@ A 192.0.2.1\nmx A 192.0.2.1\nmx A 192.0.2.2\nliar A 198.51.100.1\nnull MX 0 .\nmail MX 10 mx",
}


@pytest.fixture
def resolver(folder):
    nsd = Nsd(folder, SCREEN_ZONES).start()
    yield nsd
    nsd.stop()


def test_screen(make_server, resolver):
    """Lists, reverse names and greetings, with a real name server."""
    server = make_server(LIMITS + resolver.settings(SCREEN_ZONES) + "smtp:\n  trusted_networks: [192.0.2.5]\n" + """
greylist:
  wait: 1h
screen:
  lists: ["block.test=127.0.0.2-4*5", "block.test=127.0.0.9*3", "allow.test*-4"]
  no_reverse: 2
  bad_hello: 1
  malformed_hello: 9
  unknown_sender: refuse
  greylist_at: 3
  tempfail_at: 5
  reject_at: 7
  timeout: 2s
""", replace=PROXIED)

    def answer(address, hello="mx.remote.test"):
        with Peer(server, address) as peer:
            assert peer.say(f"EHLO {hello}").startswith("250")
            return peer.send()[:9]
    assert answer("192.0.2.1").startswith("250 2.")
    assert answer("192.0.2.2") == "450 4.7.1", "on the list: 5"
    assert answer("192.0.2.2", "[192.0.2.9]") == "450 4.7.1", "and greets badly: 6"
    assert answer("2001:db8::1") == "550 5.7.1", "on the list and without a reverse name: 7"
    assert answer("192.0.2.3") == "450 4.7.1", "another answer, which counts 3, and no reverse name"
    assert answer("192.0.2.4") == "451 4.7.1", "on both lists and without a reverse name: 3, greylisted"
    assert answer("192.0.2.6").startswith("250"), "a reverse name that leads elsewhere: 2"
    assert answer("192.0.2.6", "nowhere.remote.test") == "451 4.7.1", "and a name that isn't there: 3"
    assert answer("192.0.2.5", "nowhere").startswith("250"), "trusted"
    log = server.log_text()
    assert re.search(r"event=guard.screened peer=192.0.2.2 points=6 .*block.test 5", log)
    assert "peer=192.0.2.1 " not in "".join(line for line in log.splitlines() if "guard.screened" in line)
    # Whose sender's domain isn't there.
    def answer_to(sender):
        with Peer(server, "192.0.2.1").hello() as peer:
            return peer.send(sender)[:9]
    assert answer_to("a@mail.remote.test").startswith("250"), "it has an MX"
    assert answer_to("a@mx.remote.test").startswith("250"), "it has an address"
    assert answer_to("a@nowhere.remote.test") == "550 5.1.8"
    assert answer_to("a@null.remote.test") == "550 5.7.27"[:9]
    assert answer_to("").startswith("250"), "a bounce"
    assert answer("192.0.2.1", "remote") == "550 5.7.1", "no name in full: 9"
    # Without a name server nothing counts, and nothing is refused.
    resolver.stop()
    assert answer("192.0.2.7").startswith("250")
