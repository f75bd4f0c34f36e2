"""Policy services: one that says what the test wants, beside a real Postfix with the same one; postgrey; policyd-spf; and services that hang."""
import os
import pathlib
import re
import smtplib
import socket
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from harness import Postfix, Server, free_port, letter, port_is_open, wait_for  # noqa: E402

ALICE, BOB = "alice@example.test", "bob@example.test"


class Service:
    """Says `says[state]`, an action or a function of the request."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"inet:127.0.0.1:{self.port}"
        self.says, self.asked, self.connections = {}, [], 0
        threading.Thread(target=self._accept, daemon=True).start()

    def script(self, **says):
        self.says, self.asked = says, []

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer, peer.makefile("rwb") as stream:
            request = {}
            for line in stream:
                if line != b"\n":
                    name, _, value = line.decode().rstrip("\n").partition("=")
                    request[name] = value
                    continue
                self.asked.append(request)
                action = self.says.get(request["protocol_state"], "DUNNO")
                action = action(request) if callable(action) else action
                request = {}
                if action is None:
                    return
                if action == "hang":
                    threading.Event().wait(5)
                    return
                stream.write(action if isinstance(action, bytes) else b"action=" + action.encode() + b"\n\n")
                stream.flush()


def open_to_all(folder):
    for path in [folder, *folder.parents]:
        if path == pathlib.Path("/tmp"):
            return folder
        path.chmod(0o755)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = open_to_all(tmp_path_factory.mktemp("policy"))
    service, second = Service(), Service()
    authority = folder / "authority"
    authority.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", authority / "ca.key", "-out", authority / "ca.pem",
                    "-days", "2", "-subj", "/CN=Phones"], check=True, capture_output=True)
    stages = "connect helo mail rcpt data end-of-message"
    server = Server(folder, replace=((r"^tls:$", f"tls:\n  client_authorities: {authority}/ca.pem"),), settings=f"smtp:\n  xclient_from: [127.0.0.1]\n  policy_services:\n  - {{address: '{service.address}', stages: {stages}, timeout: 1s, "
                    f"context: here, listeners: smtp submission}}\n  - {{address: '{second.address}'}}\n")
    server.authority = authority
    server.start()
    postfix = Postfix(folder, domains=("example.test",))
    with open(postfix.dir / "etc/main.cf", "a") as f:
        f.write(f"smtpd_delay_reject = no\nsmtpd_relay_restrictions = permit\nsmtpd_recipient_restrictions = reject_unauth_destination, "
                f"check_policy_service inet:127.0.0.1:{service.port}\nsmtpd_data_restrictions = check_policy_service "
                f"inet:127.0.0.1:{service.port}\nsmtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:{service.port}\n")
    try:
        yield server, service, second, postfix.start()
    finally:
        postfix.stop()
        server.stop()


def converse(port, token="policy", recipients=(ALICE,)):
    """The codes and texts of the session's answers."""
    try:
        client = smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=20)
    except smtplib.SMTPConnectError as e:
        return [(e.smtp_code, e.smtp_error)]
    answers = []
    with client:
        for ask in (client.ehlo, lambda: client.mail("sender@remote.test"), *(lambda r=r: client.rcpt(r) for r in recipients)):
            answers.append(ask())
            if answers[-1][0] >= 400:
                return answers
        try:
            answers.append(client.data(letter(token)))
        except smtplib.SMTPDataError as e:
            answers.append((e.smtp_code, e.smtp_error))
    return answers


def test_what_it_is_told(world):
    server, service, second, postfix = world
    service.script()
    second.script()
    assert converse(server.ports["smtp"], recipients=(ALICE, BOB))[-1][0] == 250
    states = [r["protocol_state"] for r in service.asked]
    assert states == ["CONNECT", "EHLO", "MAIL", "RCPT", "RCPT", "DATA", "END-OF-MESSAGE"]
    assert [r["protocol_state"] for r in second.asked] == ["RCPT", "RCPT"]
    rcpt, end = service.asked[3], service.asked[-1]
    assert rcpt["request"] == "smtpd_access_policy" and rcpt["client_address"] == "127.0.0.1" and rcpt["helo_name"] == "client.test"
    assert rcpt["sender"] == "sender@remote.test" and rcpt["recipient"] == ALICE and rcpt["recipient_count"] == "0"
    assert rcpt["policy_context"] == "here" and rcpt["protocol_name"] == "ESMTP" and rcpt["server_port"] == str(server.ports["smtp"])
    assert end["recipient_count"] == "2" and end["recipient"] == "" and int(end["size"]) > 100
    assert len({r["instance"] for r in service.asked[2:]}) == 1 and rcpt["instance"]
    # All that Postfix tells, and the same names.
    service.script()
    assert converse(postfix.port)[-1][0] == 250
    theirs = next(r for r in service.asked if r["protocol_state"] == "RCPT")
    assert set(theirs) - set(rcpt) <= {"compatibility_level", "server_name"}, set(theirs) - set(rcpt)
    for name in ("request", "protocol_name", "client_address", "client_name", "helo_name", "sender", "recipient", "recipient_count",
                 "sasl_username", "encryption_protocol", "encryption_keysize", "etrn_domain", "stress", "ccert_subject"):
        assert rcpt[name] == theirs[name], name


def test_a_user_over_tls(world):
    server, service, _, _ = world
    service.script()
    with server.smtp("submission", ALICE) as client:
        client.sendmail(ALICE, [BOB], letter("user", sender=ALICE))
    rcpt = next(r for r in service.asked if r["protocol_state"] == "RCPT")
    assert rcpt["sasl_username"] == ALICE and rcpt["sasl_method"] and rcpt["encryption_protocol"].startswith("TLSv1")
    assert int(rcpt["encryption_keysize"]) >= 128


def test_a_client_with_a_certificate(world, tmp_path):
    server, service, _, _ = world
    service.script()

    def openssl(*args):
        return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=tmp_path).stdout.decode()
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "request", "-subj", "/CN=Alice's phone")
    (tmp_path / "extensions").write_text("extendedKeyUsage=clientAuth\n")
    openssl("x509", "-req", "-in", "request", "-CA", server.authority / "ca.pem", "-CAkey", server.authority / "ca.key", "-CAcreateserial",
            "-out", "certificate", "-days", "2", "-extfile", "extensions")
    context = server.tls()
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=20) as client:
        client.starttls(context=context)
        client.login(ALICE, server.passwords[ALICE])
        client.sendmail(ALICE, [BOB], letter("certificate", sender=ALICE))
    rcpt = next(r for r in service.asked if r["protocol_state"] == "RCPT")
    assert rcpt["ccert_subject"] == "Alice's phone" and rcpt["ccert_issuer"] == "Phones"
    assert rcpt["ccert_fingerprint"] == openssl("x509", "-in", "certificate", "-noout", "-fingerprint", "-sha256").strip().partition("=")[2]
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", rcpt["ccert_pubkey_fingerprint"])


ACTIONS = ["DUNNO", "OK", "REJECT", "REJECT not today", "REJECT 5.7.9 not today", "DEFER", "DEFER later", "DEFER_IF_PERMIT",
           "DEFER_IF_PERMIT 4.2.0 Greylisted", "450 4.7.9 later", "550 go away", "571 5.7.1 no", "1234567", "WARN hm", "INFO hm",
           "reject_nonsense", "", "PREPEND no field", "REDIRECT nobody", "450"]


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_as_postfix_takes_them(world, action):
    server, service, _, postfix = world
    for state in ("RCPT", "DATA", "END-OF-MESSAGE"):
        service.script(**{state: action})
        ours, theirs = converse(server.ports["smtp"])[-1], converse(postfix.port)[-1]
        if action.startswith(("PREPEND", "REDIRECT", "WARN", "INFO")) or theirs[0] == 250:
            # Postfix lets through what has no value that it can use; we say that it is mistaken.
            assert ours[0] == (451 if action in ("PREPEND no field", "REDIRECT nobody", "") else 250)
        else:
            assert ours[0] == theirs[0] and ours[1].split()[0] == theirs[1].split()[0], (ours, theirs)
            if theirs[0] != 451:
                assert ours[1].split(b"rejected: ")[1] == theirs[1].split(b"rejected: ")[1]


def test_the_steps_before(world):
    server, service, _, _ = world
    service.script(CONNECT="REJECT")
    assert converse(server.ports["smtp"])[0][0] == 554
    for state, count in (("EHLO", 1), ("MAIL", 2)):
        service.script(**{state: "REJECT no"})
        answers = converse(server.ports["smtp"])
        assert answers[-1][0] == 554 and len(answers) == count
    # Who goes on nevertheless is told so again; nor does a proxy that has told the name pass by.
    service.script(EHLO="REJECT no")
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=20) as client:
        assert client.docmd("EHLO", "client.test")[0] == 554
        assert client.mail("sender@remote.test")[0] == 554
        service.script()
        assert client.mail("sender@remote.test")[0] == 250
        service.script(EHLO="REJECT no", HELO="REJECT no")
        client.rset()
        assert client.docmd("XCLIENT", "ADDR=192.0.2.9 HELO=other.test")[0] == 220
        assert client.mail("sender@remote.test")[0] == 554


def test_the_second_is_asked_unless_the_first_says_ok(world):
    server, service, second, _ = world
    second.script(RCPT="REJECT")
    service.script(RCPT="OK")
    assert converse(server.ports["smtp"])[-1][0] == 250
    assert not second.asked
    service.script(RCPT="DEFER_IF_REJECT 4.5.0 perhaps")
    assert converse(server.ports["smtp"])[-1][1].startswith(b"4.5.0 <alice@example.test>: Recipient address rejected: perhaps")
    service.script(RCPT="DEFER_IF_PERMIT later")
    assert converse(server.ports["smtp"])[-1][0] == 554
    second.script()


def test_what_is_done_to_the_message(world):
    server, service, _, postfix = world
    alice, bob = server.count(), server.count(BOB)
    service.script(RCPT="PREPEND X-First: 1", DATA="PREPEND X-Second: two")
    for port in (server.ports["smtp"], postfix.port):
        assert converse(port, "prepend")[-1][0] == 250
    theirs = wait_for(lambda: [m for m in postfix.received() if b"prepend@" in m], 20, "delivery by Postfix")[0]
    for message in (server.messages()[-1], theirs):
        names = re.findall(rb"^([A-Za-z-]+):", message.split(b"\r\n\r\n" if b"\r\n" in message else b"\n\n")[0], re.M)
        assert [n for n in names if n in (b"X-First", b"X-Second", b"Received", b"From")] == [b"X-First", b"X-Second", b"Received", b"From"]
    service.script(RCPT=f"BCC {BOB}")
    assert converse(server.ports["smtp"])[-1][0] == 250
    assert (server.count(), server.count(BOB)) == (alice + 2, bob + 1)
    service.script(RCPT=f"REDIRECT {BOB}")
    assert converse(server.ports["smtp"])[-1][0] == 250
    assert (server.count(), server.count(BOB)) == (alice + 2, bob + 2)
    service.script(RCPT="REDIRECT nobody-there@example.test")
    assert converse(server.ports["smtp"])[-1][0] == 451
    service.script(RCPT="DISCARD")
    assert converse(server.ports["smtp"])[-1][0] == 250
    service.script(**{"END-OF-MESSAGE": "DISCARD"})
    assert converse(server.ports["smtp"])[-1][0] == 250
    assert (server.count(), server.count(BOB)) == (alice + 2, bob + 2)


def test_hold(world):
    server, service, _, _ = world
    before = server.count()
    service.script(RCPT="HOLD looks odd")
    assert converse(server.ports["smtp"], "held")[-1][0] == 250
    assert server.count() == before
    listed = server.cli("queue", "list").stdout
    assert "held" in listed and ALICE in listed
    server.cli("queue", "release", "--all")
    wait_for(lambda: server.count() == before + 1, 20, "delivery of what was released")
    assert b"held@remote.test" in server.messages()[-1]
    wait_for(lambda: ALICE not in server.cli("queue", "list").stdout, 20, "an empty queue")


def test_connections_are_kept(world):
    server, service, _, _ = world
    service.script()
    converse(server.ports["smtp"])
    before = service.connections
    for _ in range(3):
        assert converse(server.ports["smtp"])[-1][0] == 250
    assert service.connections == before
    # One that was closed meanwhile is replaced.
    service.script(**{"END-OF-MESSAGE": lambda request: None})
    assert converse(server.ports["smtp"])[-1][0] == 451
    service.script()
    assert converse(server.ports["smtp"])[-1][0] == 250


@pytest.mark.parametrize("fault", ("hang", b"nonsense\n\n", b"action=" + b"x" * 20000 + b"\n\n", b"a=b\n" * 200, b"\n"))
def test_a_service_that_fails(world, fault):
    server, service, _, _ = world
    service.script(RCPT=fault)
    answer = converse(server.ports["smtp"])[-1]
    assert answer[0] == 451 and answer[1].startswith(b"4.3.5")
    service.script()
    assert converse(server.ports["smtp"])[-1][0] == 250


def test_postgrey_and_spf(tmp_path):
    open_to_all(tmp_path)
    port, spf = free_port(), tmp_path / "spf.sock"
    (tmp_path / "db").mkdir()
    grey = subprocess.Popen(["postgrey", f"--inet=127.0.0.1:{port}", f"--dbdir={tmp_path}/db", "--delay=1", "--user=nobody", "--group=nogroup"])
    (tmp_path / "spf.conf").write_text("debugLevel = 0\nHELO_reject = False\nMail_From_reject = Fail\nHeader_Type = SPF\n"
                                       "skip_addresses = 10.0.0.0/8\n")
    (tmp_path / "db").chmod(0o777)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(spf))
    listener.listen()

    def serve_spf():  # as Postfix's spawn(8) does
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            subprocess.Popen(["policyd-spf", str(tmp_path / "spf.conf")], stdin=peer, stdout=peer)
            peer.close()
    threading.Thread(target=serve_spf, daemon=True).start()
    server = Server(tmp_path, settings=f"smtp:\n  policy_services:\n  - address: unix:{spf}\n  - address: inet:127.0.0.1:{port}\n")
    try:
        wait_for(lambda: port_is_open(port), 20, "postgrey listening")
        server.start()
        answer = converse(server.ports["smtp"])[-1]
        assert answer[0] == 450 and b"reylisted" in answer[1]
        wait_for(lambda: converse(server.ports["smtp"])[-1][0] == 250, 20, "postgrey lets it in", every=0.5)
        header = server.messages()[-1].split(b"\r\n\r\n")[0]
        assert b"Received-SPF: " in header or b"X-Comment: SPF" in header
        assert b"X-Greylist: delayed" in header
    finally:
        server.stop()
        grey.terminate()
        grey.wait()
        listener.close()
