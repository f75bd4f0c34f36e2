"""Conversations with the mail servers that people run: Postfix, Exim, OpenSMTPD and Sendmail, in both directions. Ours and theirs hand each other
everything over verified TLS and with a login, but for mail to plain.test and from bulk, which goes in the clear, and is put off once by our greylist."""
import hashlib
import base64
import json
import re
import smtplib
import ssl

import pytest

from harness import Certificates, Server, letter, tokens_in, wait_for
from peers import OpenSMTPD, Relayed, Sendmail

ALICE, BOB = "alice@example.test", "bob@example.test"
PEERS = ["postfix", "exim", "opensmtpd", "sendmail"]
LOGIN = ("posthorn", "hand it over")
PLAIN = "127.0.0.9"  # where we are told apart from localhost
MANY = 60
BODIES = {
    "plain": b"Hello\r\n",
    "dots": b".\r\n..\r\n.x\r\n\r\n.\r\nend..\r\n",
    "eight": "Grüße, 日本語\r\n".encode() + b"\xff\xfe is no text\r\n",
    "long": b"y" * 980 + b"\r\n" + b". " * 490 + b"\r\n",
    "empty": b"",
    "from": b"From here on\r\n>From there\r\n \r\n\t\r\ntrailing blanks  \r\n",
    "large": b"".join(b"%075d\r\n" % i for i in range(40000)),
}


class Pair:
    def __init__(self, folder, kind, certificates):
        self.kind, self.domain = kind, f"{kind}.test"
        tls = certificates.make("host", ["localhost"])
        self.server = Server(folder, replace=[(r"certificate: .*", f'certificate: "{tls[0]}"'), (r"key: .*", f'key: "{tls[1]}"')])
        s = self.server
        text = s.config.read_text()
        s.config.write_text(text.replace("listeners:\n", f"listeners:\n  - {{address: '{PLAIN}:{s.ports['smtp']}', protocol: smtp}}\n"))
        s.tls = lambda: ssl.create_default_context(cafile=certificates.ca)
        relay = dict(relay=f"localhost:{s.ports['submission']}", plain_relay=f"{PLAIN}:{s.ports['smtp']}", tls=tls, trust=certificates.ca,
                     relay_login=(ALICE, s.passwords[ALICE]), plain_domains=["plain.test"])
        if kind == "postfix":
            self.peer = Relayed.postfix(folder, **relay)
        elif kind == "exim":
            self.peer = Relayed.exim(folder, **relay, login=LOGIN)
        elif kind == "opensmtpd":
            self.peer = OpenSMTPD(folder, hosts=["mx.opensmtpd.test"], **relay)
        else:
            del relay["relay_login"]
            self.peer = Sendmail(folder, hosts=["mx.sendmail.test"], **relay | {"relay": f"localhost:{s.ports['smtp']}"})
        auth_port = getattr(self.peer, "auth_port", None)
        secret = folder / "secret"
        secret.write_text(LOGIN[1] + "\n")
        user = f"  smarthost_user: {LOGIN[0]}\n  smarthost_password_file: {secret}\n" if auth_port else ""
        s.config.write_text(s.config.read_text() + f"relay:\n  smarthost: localhost:{auth_port or self.peer.port}\n  ca_file: {certificates.ca}\n"
                            f"  smarthost_tls: {'opportunistic' if kind == 'opensmtpd' else 'required'}\n"
                            f"  retry: 1s\n  hello_name: out.example.test\n{user}smtp:\n  require_sender_match: false\ngreylist:\n  enabled: true\n  wait: 1s\n"
                            "rates:\n  exempt: [192.0.2.1]\n  connections: 0\n  recipients: 0\n")
        s.cli("domain", "add", "plain.test")
        s.cli("alias", "add", "@plain.test", BOB)
        s.cli("alias", "add", "jörg@example.test", BOB)
        s.cli("route", "add", "bulk@example.test", f"127.0.0.1:{self.peer.port}", "--sender")
        salted = "{SSHA}" + base64.b64encode(hashlib.sha1(b"secretsalt").digest() + b"salt").decode()
        batch = folder / "many.csv"
        batch.write_text("".join(f"many{i}@example.test,{salted}\n" for i in range(MANY)))
        s.cli("account", "add", "--batch", str(batch))

    def start(self):
        self.server.start()
        self.peer.start()
        return self

    def stop(self):
        self.peer.stop()
        self.server.stop()

    def from_peer(self, message, sender, recipients, **options):
        with smtplib.SMTP("127.0.0.1", self.peer.port, timeout=60) as client:
            client.ehlo("client.test")
            client.sendmail(sender, recipients, message, **options)

    def to_peer(self, message, recipients, sender=ALICE, **options):
        client = self.server.smtp("submission", ALICE, host="localhost")
        client.sendmail(sender, recipients, message, **options)
        client.quit()

    def kept(self):
        """What the peer has in its mailbox, by token: with CRLF."""
        messages = [m.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for m in self.peer.received()]
        return {token: m for m in messages for token in tokens_in([m])}

    def trace(self, token):
        done = self.server.cli("trace", f"<{token}@remote.test>", "--json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else []

    def ours(self, user):
        return {token: m for m in self.server.messages(user) for token in tokens_in([m])}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peers")
    for path in [folder, folder.parent, folder.parent.parent]:
        path.chmod(0o755)
    return Certificates(folder)


@pytest.fixture(scope="module", params=PEERS)
def pair(request, tmp_path_factory, certificates):
    pair = Pair(tmp_path_factory.mktemp(request.param), request.param, certificates)
    try:
        yield pair.start()
    finally:
        pair.stop()


def message(token, to, sender, body):
    head = letter(token, to, sender, body="", extra="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")
    return head.removesuffix(b"\r\n") + b"\r\n" + body


def body_of(message):
    return message.split(b"\r\n\r\n", 1)[1]


def test_what_comes(pair):
    """From the peer, with STARTTLS verified and AUTH: each byte as it was."""
    for name, body in BODIES.items():
        pair.from_peer(message(f"in-{name}", ALICE, f"carol@{pair.domain}", body), f"carol@{pair.domain}", [ALICE],
                       mail_options=["BODY=8BITMIME"] if name == "eight" else [])
    got = wait_for(lambda: (m := pair.ours(ALICE)) and len([t for t in m if t.startswith("in-")]) == len(BODIES) and m, 30, "the letters", every=0.1)
    for name, body in BODIES.items():
        assert body_of(got[f"in-{name}"]) == body, name
        assert (b"with ESMTPS " if pair.kind == "sendmail" else b"with ESMTPSA ") in got[f"in-{name}"].split(b"\r\nFrom:")[0]
    if pair.kind == "exim":
        assert re.search(r"=> alice@example\.test .* K ", (pair.peer.dir / "log/mainlog").read_text()), "BDAT was offered and should have been used"


def test_what_goes(pair):
    """To the peer, the same; to one that offers STARTTLS and can't do it, in the clear."""
    for name, body in BODIES.items():
        pair.to_peer(message(f"out-{name}", f"dave@{pair.domain}", ALICE, body), [f"dave@{pair.domain}"],
                     mail_options=["BODY=8BITMIME"] if name == "eight" else [])
    got = wait_for(lambda: (m := pair.kept()) and len([t for t in m if t.startswith("out-")]) == len(BODIES) and m, 30, "the letters", every=0.1)
    for name, body in BODIES.items():
        assert body_of(got[f"out-{name}"]) == body, name
        assert b"out.example.test" in got[f"out-{name}"].split(b"\r\nFrom:")[0], "our name for other hosts"
    trace = pair.server.cli("trace", "<out-plain@remote.test>").stdout
    assert ("certificate verified" in trace) == (pair.kind != "opensmtpd"), trace


def test_many_recipients(pair):
    many = [f"many{i}@example.test" for i in range(MANY)]
    pair.from_peer(letter("in-many"), f"carol@{pair.domain}", many)
    pair.to_peer(letter("out-many", f"box0@{pair.domain}", ALICE), [f"box{i}@{pair.domain}" for i in range(MANY)])
    wait_for(lambda: [s["event"] for s in pair.trace("in-many")].count("delivered") == MANY, 30, "a copy for each", every=0.2)
    assert all(pair.server.count(m) == 1 for m in many[::20])
    wait_for(lambda: tokens_in([m.replace(b"\n", b"\r\n") for m in pair.peer.received()]).count("out-many") in (1, MANY), 30, "the letter at the peer", every=0.1)


def test_in_the_clear(pair):
    """Without TLS and login, as between hosts that know nothing of each other; our greylist puts it off, and the peer comes again."""
    pair.from_peer(letter("in-clear", "x@plain.test"), f"carol@{pair.domain}", ["x@plain.test"])

    def arrived():
        if pair.kind == "opensmtpd":
            pair.peer.retry_now()
        return pair.ours(BOB).get("in-clear")
    got = wait_for(arrived, 40, "the letter that came again", every=0.5)
    assert re.search(rb"\bwith ESMTP\b", got) and b"ESMTPS" not in got.split(b"\r\nFrom:")[0].split(b"Received:")[1]
    assert "guard.greylisted" in pair.server.log_text()
    pair.to_peer(letter("out-clear", f"dave@{pair.domain}", "bulk@example.test"), [f"dave@{pair.domain}"], sender="bulk@example.test")
    wait_for(lambda: "out-clear" in pair.kept(), 20, "the letter at the peer")


def test_notifications(pair):
    """RFC 3461, both ways: who asks is told of the delivery, and unknown recipients come back with our own words."""
    def reports(messages, token):
        return [m for m in messages if b"message/delivery-status" in m and token.encode() in m]

    carol = f"carol@{pair.domain}"
    pair.to_peer(letter("out-dsn", f"dave@{pair.domain}", ALICE), [f"dave@{pair.domain}"], mail_options=["RET=HDRS", "ENVID=out+2B1"],
                 rcpt_options=["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;dave@{pair.domain}"])
    report = wait_for(lambda: reports(pair.server.messages(ALICE), "out-dsn"), 20, "their report", every=0.2)[0]
    assert re.search(rb"^Action: (delivered|relayed)", report, re.M) and f"dave@{pair.domain}".encode() in report
    assert re.search(rb"^Original-Envelope-Id: out\+1", report, re.M | re.I) or pair.kind in ("exim", "opensmtpd"), report.decode()

    pair.from_peer(letter("in-dsn"), carol, [ALICE], mail_options=["RET=HDRS", "ENVID=in+2B1"], rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;alice@example.test"])
    report = wait_for(lambda: reports(pair.peer.received(), "in-dsn"), 20, "our report", every=0.2)[0]
    assert b"Action: delivered" in report and b"alice@example.test" in report

    pair.from_peer(letter("in-unknown"), carol, ["nobody@example.test"])
    bounce = wait_for(lambda: reports(pair.peer.received(), "in-unknown"), 20, "their bounce", every=0.2)[0]
    assert b"5.1.1" in bounce


def test_smtputf8(pair):
    """Where it is offered it is used; where it isn't the message comes back."""
    to = f"jörg@{pair.domain}"
    client = pair.server.smtp("submission", ALICE, host="localhost")
    text = letter("out-utf8", to, ALICE).replace(b"Subject: Letter", "Subject: Grüße".encode())
    client.sendmail(ALICE, [to], text, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    if pair.kind in ("opensmtpd", "sendmail"):
        bounce = wait_for(lambda: [m for m in pair.server.messages(ALICE) if b"5.6.7" in m], 20, "the bounce", every=0.2)[0]
        assert to.encode() in bounce or b"utf-8" in bounce
        return
    wait_for(lambda: "out-utf8" in pair.kept(), 20, "the letter at the peer")
    pair.from_peer(letter("in-utf8", "jörg@example.test"), f"zoë@{pair.domain}", ["jörg@example.test"], mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    got = wait_for(lambda: pair.ours(BOB).get("in-utf8"), 20, "the letter", every=0.2)
    assert got.startswith(f"Return-Path: <zoë@{pair.domain}>".encode())


@pytest.mark.parametrize("pair", ["exim"], indirect=True)
def test_their_greylist(pair):
    client = pair.server.smtp("submission", ALICE, host="localhost")
    client.sendmail(ALICE, [f"grey@{pair.domain}", f"dave@{pair.domain}"], letter("grey", f"grey@{pair.domain}", ALICE))

    def steps():
        return [(s["event"], s["detail"]) for s in pair.trace("grey")]
    wait_for(lambda: any(e == "deferred" and "Greylisted" in d for e, d in steps()) and any(e == "sent" for e, _ in steps()), 20, "a deferral and a delivery")
    (pair.peer.dir / "spool/open").touch()
    wait_for(lambda: [e for e, _ in steps()].count("sent") == 2, 20, "the second delivery")
