"""Milters: one on libmilter that does what it is told, beside a real Postfix with the same milter; opendkim and rspamd; and programs that hang,
die and talk nonsense."""
import json
import os
import pathlib
import re
import shutil
import smtplib
import socket
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from harness import Postfix, Server, free_port, letter, port_is_open, wait_for  # noqa: E402

PROGRAM = pathlib.Path(__file__).parent / "milter_program.py"
ALICE, BOB = "alice@example.test", "bob@example.test"


class Milter:
    """The scripted one."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir()
        self.script_path, self.log_path = self.dir / "script.json", self.dir / "log"
        self.port = free_port()
        self.address = f"inet:127.0.0.1:{self.port}"
        self.process = None
        self.script()

    def start(self):
        self.process = subprocess.Popen(["/usr/bin/python3", str(PROGRAM), f"inet:{self.port}@127.0.0.1", str(self.script_path),
                                         str(self.log_path)])
        wait_for(lambda: port_is_open(self.port), 20, "milter listening")
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def script(self, **steps):
        self.script_path.write_text(json.dumps(steps))
        self.log_path.write_text("")

    def log(self, until="eom", connections=1):
        """What it heard over so many connections, the last of which has come so far. One before may write its end late."""
        def read():
            lines = [json.loads(line) for line in self.log_path.read_text().splitlines()]
            begun = [line["id"] for line in lines if line["step"] == "connect"]
            lines = [line for line in lines if line["id"] in begun]
            return lines if len(begun) == connections and any(line["step"] == until for line in lines if line["id"] == begun[-1]) else None
        return wait_for(read, 20, f"{until} in the milter's log")


def open_to_all(folder):
    """The roles and Postfix are other users."""
    for path in [folder, *folder.parents]:
        if path == pathlib.Path("/tmp"):
            return folder
        path.chmod(0o755)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = open_to_all(tmp_path_factory.mktemp("milter"))
    milter = Milter(folder / "milter").start()
    socket_path, lmtp_path = folder / "local.sock", folder / "lmtp.sock"
    server = Server(folder, replace=((r"^listeners:", f"listeners:\n  - {{address: 'unix:{socket_path}', protocol: local}}\n"
                                      f"  - {{address: 'unix:{lmtp_path}', protocol: lmtp}}"),),
                    settings=f"smtp:\n  xclient_from: [127.0.0.1]\n  milters:\n  - address: {milter.address}\n    command_timeout: 1s\n    content_timeout: 1s\n")
    server.local_socket, server.lmtp_socket = socket_path, lmtp_path
    server.start()
    postfix = Postfix(folder, domains=("example.test",))
    with open(postfix.dir / "etc/main.cf", "a") as f:
        f.write(f"smtpd_milters = {milter.address}\nmilter_protocol = 6\n")
    try:
        postfix.start()
        milter.log("close")  # of the connection by which it was seen to listen
        yield server, milter, postfix
    finally:
        milter.stop()
        postfix.stop()
        server.stop()


def converse(server, token="answer"):
    """The first answer that isn't positive, or the last."""
    try:
        client = smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30)
    except smtplib.SMTPConnectError as e:
        return e.smtp_code, e.smtp_error.decode()
    with client:
        for ask in (lambda: client.ehlo("client.test"), lambda: client.mail("sender@remote.test"), lambda: client.rcpt(ALICE)):
            code, text = ask()
            if code >= 400:
                return code, text.decode()
        try:
            code, text = client.data(letter(token))
        except smtplib.SMTPDataError as e:
            code, text = e.smtp_code, e.smtp_error
        return code, text.decode()


# ---- what a milter is told ----

def test_what_it_is_told(world):
    server, milter, _ = world
    milter.script()
    with server.smtp() as client:
        client.docmd("NONSENSE")
        client.sendmail("sender@remote.test", [ALICE, BOB], letter("told", body="x\r\n" * 100000), mail_options=["BODY=8BITMIME"],
                        rcpt_options=["NOTIFY=NEVER"])
    log = milter.log("close")
    steps = [line["step"] for line in log if line["step"] != "header"]
    assert steps == ["connect", "hello", "unknown", "envfrom", "envrcpt", "envrcpt", "data", "eoh", *["body"] * 5, "eom", "close"]
    told = {line["step"]: line["told"] for line in log}
    assert told["connect"][0] == "localhost" and told["connect"][2][0] == "127.0.0.1"
    assert told["hello"] == ["client.test"] and told["unknown"] == ["NONSENSE"]
    assert told["envfrom"][0] == "<sender@remote.test>" and "BODY=8BITMIME" in told["envfrom"]
    assert told["envrcpt"] == [f"<{BOB}>", "NOTIFY=NEVER"]
    assert [line["told"][0] for line in log if line["step"] == "header"] == ["From", "To", "Subject", "Message-ID", "X-Token", "Date"]
    assert sum(line["told"][0] for line in log if line["step"] == "body") == 300000
    macros = {line["step"]: line["macros"] for line in log}
    assert macros["connect"]["{daemon_name}"] == "smtp" and macros["connect"]["{client_port}"].isdigit()
    assert macros["envrcpt"]["{rcpt_addr}"] == BOB and macros["envrcpt"]["{rcpt_host}"] == "example.test"
    assert macros["eom"]["i"] and macros["eom"]["{msg_id}"] == "<told@remote.test>"


def test_macros_of_a_user_over_tls(world):
    server, milter, _ = world
    milter.script()
    with server.smtp("submission", ALICE) as client:
        client.sendmail(ALICE, [BOB], letter("user", sender=ALICE))
    log = milter.log("eom")
    macros = next(line["macros"] for line in log if line["step"] == "envfrom")
    assert macros["{auth_authen}"] == ALICE and macros["{auth_type}"] in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256")
    assert macros["{tls_version}"].startswith("TLSv1.") and macros["{cipher}"] and int(macros["{cipher_bits}"]) >= 128
    # What we add to a submission is there to be signed.
    assert macros["{mail_addr}"] == ALICE and macros["{daemon_name}"] == "submission"


def test_mail_of_local_programs(world):
    server, milter, _ = world
    milter.script(changes=[["addheader", "X-Local", "seen"]])
    before = server.count()
    with socket.socket(socket.AF_UNIX) as s, s.makefile("rwb", buffering=0) as f:
        s.connect(str(server.local_socket))
        f.readline()
        for command in (b"HELO here", b"MAIL FROM:<root@example.test>", b"RCPT TO:<alice@example.test>", b"DATA"):
            f.write(command + b"\r\n")
            assert f.readline()[:1] in b"23"
        f.write(b"Subject: cron\r\n\r\nhello\r\n.\r\n")
        assert f.readline().startswith(b"250")
    log = milter.log("eom")
    assert log[0]["told"][:1] == ["localhost"] and log[0]["told"][2][0] == "127.0.0.1"
    assert {"Date", "Message-ID", "From"} <= {line["told"][0] for line in log if line["step"] == "header"}
    assert server.count() == before + 1 and b"X-Local: seen" in server.messages()[-1]


def test_macros_that_it_chooses(world):
    server, milter, _ = world
    milter.script(macros={"M_ENVRCPT": "{client_addr} {rcpt_addr}", "M_EOM": "{nbytes}"})
    assert converse(server)[0] == 250
    macros = {line["step"]: line["macros"] for line in milter.log("eom")}
    assert "{rcpt_mailer}" not in macros["envrcpt"] and macros["envrcpt"]["{rcpt_addr}"] == ALICE
    assert "{nbytes}" in macros["eom"] and "{msg_id}" not in macros["eom"]


# ---- what it changes: as with Postfix ----

def comparable(message):
    """Without what each server writes of its own."""
    message = re.sub(rb"^(Return-Path|X-Original-To|Delivered-To): .*\r?\n", b"", message.replace(b"\r\n", b"\n"), flags=re.M)
    return re.sub(rb"^Received: from client\.test.*\n([ \t].*\n)*", b"RECEIVED\n", message, flags=re.M)


CHANGES = {
    "add": [["addheader", "X-A", "one"], ["addheader", "X-B", "two\n\tfolded\n more"], ["addheader", "x-c", "  spaces"]],
    "lines without a space": [["addheader", "X-A", "one\ntwo\nthree"]],
    "insert": [["addheader", "X-Top", "0", 0], ["addheader", "X-One", "1", 1], ["addheader", "X-Three", "3", 3],
               ["addheader", "X-Far", "99", 99]],
    "insert the same place": [["addheader", "X-A", "a", 1], ["addheader", "X-B", "b", 1], ["addheader", "X-C", "c", 1]],
    "change": [["chgheader", "Subject", 1, "new"], ["chgheader", "SUBJECT", 1, "newer"], ["chgheader", "X-None", 1, "added"]],
    "change by index": [["chgheader", "X-Many", 2, "second"], ["chgheader", "X-Many", 0, "first"], ["chgheader", "X-Many", 9, "ninth"]],
    "remove": [["chgheader", "X-Many", 2, ""], ["chgheader", "X-Many", 2, "third"], ["chgheader", "X-None", 1, ""]],
    "received of others": [["chgheader", "Received", 1, "changed"], ["addheader", "Received", "inserted", 1]],
    "folded ones": [["chgheader", "X-Folded", 1, "flat"], ["addheader", "X-Behind", "folded", 6]],
    "remove and insert": [["chgheader", "From", 1, ""], ["addheader", "From", "<new@remote.test>", 2]],
    "body": [["replacebody", "New\r\n"], ["replacebody", "body\r\n.dot\r\nno end"]],
    "body of LF lines": [["replacebody", "one\ntwo\n"]],
    "all": [["addheader", "X-A", "a"], ["chgheader", "Subject", 1, "s"], ["addheader", "X-0", "0", 0], ["replacebody", "b\r\n"],
            ["chgheader", "X-Many", 1, ""]],
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_as_postfix_makes_them(world, name):
    server, milter, postfix = world
    milter.script(changes=CHANGES[name], progress=2)
    message = (b"Received: from elsewhere\r\n\tby somewhere; date\r\nFrom: <sender@remote.test>\r\nTo: <alice@example.test>\r\n"
               b"Subject: old\r\nX-Many: 1\r\nX-Many:2\r\nX-Folded: a\r\n b\r\n\tc\r\nX-Many:  3\r\nMessage-ID: <%s@remote.test>\r\n"
               b"Date: Tue, 24 Nov 2026 15:00:00 +0000\r\n\r\nold body\r\n" % name.replace(" ", "-").encode())
    for port in (server.ports["smtp"], postfix.port):
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=20) as client:
            client.sendmail("sender@remote.test", [ALICE], message)
    mark = b"Message-ID: <%s@" % name.replace(" ", "-").encode()
    theirs = wait_for(lambda: [m for m in postfix.received() if mark in m], 20, "delivery by Postfix")
    ours = [m for m in server.messages() if mark in m]
    assert len(ours) == 1
    assert comparable(ours[0]) == comparable(theirs[0])


def test_envelope(world):
    server, milter, _ = world
    milter.script(changes=[["addrcpt", BOB, "NOTIFY=NEVER"], ["delrcpt", f"<{ALICE}>"], ["chgfrom", "<other@remote.test>", "RET=HDRS"],
                           ["addrcpt", "<nobody-there@example.test>"], ["addrcpt", "<<nonsense"]])
    alice, bob = server.count(), server.count(BOB)
    assert converse(server, "envelope")[0] == 250
    assert (server.count(), server.count(BOB)) == (alice, bob + 1)
    assert server.messages(BOB)[-1].startswith(b"Return-Path: <other@remote.test>")
    # Where nobody is left it goes nowhere.
    milter.script(changes=[["delrcpt", ALICE]])
    assert converse(server, "envelope")[0] == 250
    assert (server.count(), server.count(BOB)) == (alice, bob + 1)


def test_quarantine(world):
    server, milter, _ = world
    milter.script(changes=[["quarantine", "looks bad"], ["addheader", "X-Judged", "yes"]])
    before = server.count()
    assert converse(server, "quarantined")[0] == 250
    assert server.count() == before
    assert "looks bad" in server.cli("queue", "list", "--json").stdout
    server.cli("queue", "release", "--all")
    wait_for(lambda: server.count() == before + 1, 20, "delivery of what was released")
    assert b"X-Judged: yes" in server.messages()[-1]


def test_over_lmtp(world):
    server, milter, _ = world
    milter.script(changes=[["delrcpt", ALICE], ["addheader", "X-Lmtp", "yes"]])
    alice, bob = server.count(), server.count(BOB)

    def converse_lmtp():
        with socket.socket(socket.AF_UNIX) as s, s.makefile("rwb", buffering=0) as f:
            s.connect(str(server.lmtp_socket))
            f.readline()
            f.write(b"LHLO here\r\n")
            while f.readline()[3:4] == b"-":
                pass
            for command in (b"MAIL FROM:<sender@remote.test>", b"RCPT TO:<alice@example.test>", b"RCPT TO:<bob@example.test>", b"DATA"):
                f.write(command + b"\r\n")
                assert f.readline()[:1] in b"23"
            f.write(letter("lmtp") + b".\r\n")
            return [f.readline()[:3], f.readline()[:3]]
    assert converse_lmtp() == [b"250", b"250"]
    assert (server.count(), server.count(BOB)) == (alice, bob + 1) and b"X-Lmtp: yes" in server.messages(BOB)[-1]
    milter.script(eom="reject")
    assert converse_lmtp() == [b"550", b"550"]
    milter.script(eom="discard")
    assert converse_lmtp() == [b"250", b"250"]
    assert (server.count(), server.count(BOB)) == (alice, bob + 1)


def test_in_chunks(world):
    server, milter, _ = world
    milter.script(data="reject")
    with server.smtp() as client:
        client.mail("sender@remote.test")
        client.rcpt(ALICE)
        message = letter("chunks")
        client.send(b"BDAT %d\r\n" % 10 + message[:10])
        assert client.getreply()[0] == 250
        client.send(b"BDAT %d LAST\r\n" % (len(message) - 10) + message[10:])
        assert client.getreply()[0] == 550
    assert "data" in [line["step"] for line in milter.log("close")]


def test_xclient_is_another_client(world):
    server, milter, _ = world
    milter.script()
    with server.smtp() as client:
        assert client.docmd("XCLIENT", "ADDR=192.0.2.9 NAME=other.remote.test")[0] == 220
        client.ehlo("client.test")
        client.sendmail("sender@remote.test", [ALICE], letter("xclient"))
    peers = [line["told"] for line in milter.log("close", connections=2) if line["step"] == "connect"]
    assert [(name, address[0]) for name, _, address in peers] == [("localhost", "127.0.0.1"), ("other.remote.test", "192.0.2.9")]


def test_a_large_message_is_changed(world):
    server, milter, _ = world
    milter.script(changes=[["addheader", "X-Large", "yes"]])
    body = "".join(f"{i:063d}\r\n" for i in range(100000))
    with server.smtp() as client:
        client.sendmail("sender@remote.test", [ALICE], letter("large", body=body))
    message = server.messages()[-1]
    assert b"X-Large: yes\r\n\r\n" in message and message.endswith(body.encode())


# ---- what it answers ----

STEPS = ("connect", "hello", "envfrom", "envrcpt", "data", "header", "eoh", "body", "eom")


@pytest.mark.parametrize("step", STEPS)
def test_answers(world, step):
    server, milter, _ = world
    before = server.count()
    milter.script(**{step: "reject"})
    assert converse(server)[0] == 550
    milter.script(**{step: "tempfail"})
    assert converse(server)[0] == 451
    if step not in ("connect",):  # libmilter has no reply there
        milter.script(**{step: ["reply", 554, "5.7.9", "first 100%%", "second"]})
        code, text = converse(server)
        assert code == 554 and text == "5.7.9 first 100%\n5.7.9 second"
        milter.script(**{step: ["reply", 421, "4.7.2", "go away"]})
        assert converse(server)[0] == 421
    assert server.count() == before
    milter.script(**{step: "discard"})
    assert converse(server)[0] == 250
    assert server.count() == before + (step in ("connect", "hello"))
    milter.script(**{step: "accept", "changes": [["addheader", "X-Never", "1"]] if step != "eom" else []})
    assert converse(server)[0] == 250
    assert b"X-Never" not in server.messages()[-1]
    milter.script()
    assert converse(server)[0] == 250


def test_one_recipient_refused(world):
    server, milter, _ = world
    milter.script(envrcpt="reject")
    with server.smtp() as client:
        client.mail("sender@remote.test")
        assert client.rcpt(ALICE)[0] == 550
        milter.script()
        assert client.rcpt(BOB)[0] == 250
        assert client.data(letter("one"))[0] == 250


def test_a_transaction_that_ends_early(world):
    server, milter, _ = world
    milter.script()
    with server.smtp() as client:
        client.mail("sender@remote.test")
        client.rset()
        client.mail("sender@remote.test")
    steps = [line["step"] for line in milter.log("close")]
    assert steps == ["connect", "hello", "envfrom", "abort", "envfrom", "abort", "close"]


# ---- what goes wrong ----

@pytest.mark.parametrize("step", ("connect", "envfrom", "envrcpt", "data", "header", "body", "eom"))
@pytest.mark.parametrize("fault", ("hang", "die"))
def test_a_milter_that_fails(world, step, fault):
    server, milter, _ = world
    before = server.count()
    milter.script(**{step: fault})
    assert converse(server)[0] == 451
    milter.script()
    if fault == "die":
        milter.process.wait()
        assert converse(server)[0] == 451
        milter.start()
    assert server.count() == before
    assert converse(server)[0] == 250
    assert server.count() == before + 1


class Nonsense:
    """Answers the negotiation with `first`, and all that follows with `then`."""

    def __init__(self, first, then):
        self.first, self.then = first, then
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                try:
                    if peer.recv(65536):
                        peer.sendall(self.first)
                    while peer.recv(65536):
                        peer.sendall(self.then)
                except OSError:
                    pass


def packet(kind, data=b""):
    return (len(data) + 1).to_bytes(4, "big") + kind + data


def negotiation(version=6, rights=0, steps=0):
    return packet(b"O", b"".join(n.to_bytes(4, "big") for n in (version, rights, steps)))


NONSENSE = {
    "http": (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x"),
    "too long a packet": (negotiation(), b"\xff\xff\xff\xffc"),
    "no length": (negotiation(), b"\0\0\0\0"),
    "an unknown answer": (negotiation(), packet(b"Z")),
    "data behind an answer": (negotiation(), packet(b"c", b"more")),
    "a reply that isn't one": (negotiation(), packet(b"y", b"250 2.0.0 fine\0")),
    "a change before the end": (negotiation(rights=1), packet(b"h", b"X-A\0b\0")),
    "version 7": (negotiation(version=7), packet(b"c")),
    "rights that don't exist": (negotiation(rights=0x10000), packet(b"c")),
    "closed at once": (negotiation(), b""),
}


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """A server with a milter of nonsense, one that is away, and one that may be missing."""
    folder = open_to_all(tmp_path_factory.mktemp("strange"))
    port = free_port()
    server = Server(folder, settings=f"smtp:\n  milters:\n  - address: inet:127.0.0.1:{port}\n    command_timeout: 1s\n    connect_timeout: 1s\n"
                    f"  - address: unix:{folder}/nobody.sock\n    default_action: accept\n"
                    f"  - address: unix:{folder}/never.sock\n    default_action: reject\n    listeners: submissions\n").start()
    server.milter_port = port
    yield server
    server.stop()


def test_nonsense(strange):
    for name, (first, then) in NONSENSE.items():
        program = Nonsense(first, then)
        strange_port = socket.create_server(("127.0.0.1", strange.milter_port), reuse_port=True)
        program.listener.close()
        program.listener = strange_port
        threading.Thread(target=program._serve, daemon=True).start()
        assert converse(strange)[0] == 451, name
        strange_port.shutdown(socket.SHUT_RDWR)
        strange_port.close()
    assert strange.count() == 0
    assert set(strange.roles()) >= {"smtp"} and "restarts=" not in strange.log_text()


def test_default_actions(strange):
    good = Nonsense(negotiation(), packet(b"c"))
    relay = socket.create_server(("127.0.0.1", strange.milter_port), reuse_port=True)
    good.listener.close()
    good.listener = relay
    threading.Thread(target=good._serve, daemon=True).start()
    assert converse(strange)[0] == 250
    client = strange.smtp("submissions", ALICE)
    assert client.mail(ALICE)[0] == 550
    client.quit()
    relay.shutdown(socket.SHUT_RDWR)
    relay.close()


# ---- opendkim ----

def test_opendkim_signs_and_verifies(tmp_path):
    folder = tmp_path / "dkim"
    folder.mkdir()
    open_to_all(folder)
    subprocess.run(["opendkim-genkey", "-D", str(folder), "-d", "example.test", "-s", "key"], check=True)
    record = "".join(re.findall(r'"([^"]*)"', (folder / "key.txt").read_text()))
    (folder / "keys").write_text(f"key._domainkey.example.test {record}\n")
    programs = []
    try:
        for name, more in (("sign", f"Mode s\nDomain example.test\nSelector key\nKeyFile {folder}/key.private\n"),
                           ("verify", f"Mode v\nTestPublicKeys {folder}/keys\nAuthservID mx.example.test\nAlwaysAddARHeader yes\n")):
            config = folder / f"{name}.conf"
            config.write_text(f"Socket local:{folder}/{name}.sock\n{more}Background no\nRequireSafeKeys no\nInternalHosts {folder}/internal\n")
            (folder / "internal").write_text("127.0.0.1\n" if name == "sign" else "192.0.2.1\n")
            programs.append(subprocess.Popen([shutil.which("opendkim") or "/usr/sbin/opendkim", "-x", str(config)]))
            wait_for(lambda n=name: (folder / f"{n}.sock").exists(), 20, "opendkim listening")
        (folder / "internal").write_text("127.0.0.1\n")
        server = Server(tmp_path, settings="smtp:\n  milters:\n"
                        f"  - {{address: 'unix:{folder}/sign.sock', listeners: submission submissions}}\n"
                        f"  - {{address: 'unix:{folder}/verify.sock', listeners: smtp}}\n").start()
        try:
            with server.smtp("submission", ALICE) as client:
                client.sendmail(ALICE, [BOB], letter("dkim", sender=ALICE, body="Hello\r\n\r\n" * 1000))
            signed = server.messages(BOB)[-1]
            # Above the header that it signs, below our trace.
            names = re.findall(rb"^([A-Za-z-]+):", signed.split(b"\r\n\r\n")[0], re.M)
            assert names.index(b"DKIM-Signature") < names.index(b"From")
            message = signed[signed.index(b"DKIM-Signature:"):]
            for token, text in (("pass", message), ("fail", message.replace(b"Hello", b"Hallo", 1))):
                with server.smtp() as client:
                    client.sendmail(ALICE, [BOB], text)
                results = server.messages(BOB)[-1]
                assert f"dkim={token}".encode() in re.search(rb"^Authentication-Results:.*\r\n([ \t].*\r\n)*", results, re.M).group(0)
        finally:
            server.stop()
    finally:
        for program in programs:
            program.kill()
            program.wait()


# ---- rspamd ----

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
RSPAMD = """
options {{ pidfile = "{dir}/pid"; hs_cache_dir = "{dir}"; url_tld = "{dir}/tld"; filters = ""; dns {{ nameserver = ["127.0.0.1:9"]; timeout = 1s; retransmits = 1; }} }}
logging {{ type = "file"; filename = "{dir}/log"; }}
actions {{ reject = 15; add_header = 6; }}
modules {{ path = "/usr/share/rspamd/plugins/milter_headers.lua"; }}
milter_headers {{ use = ["x-spamd-result", "x-rspamd-queue-id"]; skip_local = false; skip_authenticated = false; }}
worker "rspamd_proxy" {{ bind_socket = "127.0.0.1:{port}"; milter = yes; timeout = 10s; count = 1; upstream "local" {{ default = yes; self_scan = yes; }} }}
"""


def test_rspamd_marks_and_refuses(tmp_path):
    folder = tmp_path / "rspamd"
    folder.mkdir()
    open_to_all(folder)
    folder.chmod(0o777)
    port = free_port()
    (folder / "tld").write_text("test\n")
    (folder / "conf").write_text(RSPAMD.format(dir=folder, port=port))
    program = subprocess.Popen([shutil.which("rspamd") or "/usr/bin/rspamd", "-f", "-i", "-c", str(folder / "conf")], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: port_is_open(port), 30, "rspamd listening")
        server = Server(tmp_path, settings=f"smtp:\n  milters:\n  - {{address: 'inet:127.0.0.1:{port}'}}\n").start()
        try:
            with server.smtp() as client:
                client.sendmail("carol@remote.test", [BOB], letter("good", body="Hello\r\n" * 3000))
                with pytest.raises(smtplib.SMTPDataError) as trouble:
                    client.sendmail("carol@remote.test", [BOB], letter("spam", body=GTUBE))
                assert trouble.value.smtp_code == 554 and b"Gtube" in trouble.value.smtp_error, trouble.value
                client.sendmail("carol@remote.test", [BOB], letter("next"))
            got = server.messages(BOB)
            assert len(got) == 2 and b"Hello\r\n" * 3000 in got[0]
            for message in got:
                assert re.search(rb"^X-Spamd-Result: default: False", message, re.M), message
                queue_id = re.search(rb"^X-Rspamd-Queue-Id: (\S+)", message, re.M).group(1)
                assert b"id " + queue_id in message.split(b"\r\nFrom:")[0], "it was told our queue id"
            log = (folder / "log").read_text()
            assert "from: <carol@remote.test>" in log and "rcpts: <bob@example.test>" in log and "ip: 127.0.0.1" in log, log
        finally:
            server.stop()
    finally:
        program.terminate()
        program.wait()
