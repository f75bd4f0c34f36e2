"""POP3 as clients that others wrote use it, beside IMAP, and with the server killed in the middle of QUIT."""
import base64
import contextlib
import email
import email.policy
import hashlib
import hmac
import mailbox
import os
import poplib
import signal
import ssl
import subprocess
import threading

import pytest

from harness import Sink, letter, wait_for

ALICE = "alice@example.test"


def fill(server, count, user=ALICE, body=lambda i: f".{i}\r\n..\r\nBody {i}\r\n" * (1 + i % 20)):
    client = server.smtp("smtp")
    for i in range(count):
        client.sendmail("x@remote.test", [user], letter(f"m{i}", user, body=body(i)))
    client.quit()


def pop3(server, user=ALICE, tls=False):
    if tls:
        client = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=server.tls(), timeout=60)
    else:
        client = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=60)
    client.user(user)
    client.pass_(server.passwords[user])
    return client


def whole(answer):
    return b"".join(line + b"\r\n" for line in answer[1])


def run(*command, status=0, input=None, env=None):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, input=input, env=env)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.sanitize
def test_beside_imap(any_server):
    """Both see the same bytes; numbers stay while an IMAP session deletes and mail comes in; QUIT is seen by IDLE."""
    server = any_server
    big = "".join(f"{'.' * (i % 3)}{i * 7919}\r\n" for i in range(150000))
    fill(server, 12, body=lambda i: big if i == 3 else f".{i}\r\n..\r\nBody {i}\r\n" * (1 + i % 20))
    imap = server.imap()
    imap.select("INBOX")
    _, found = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")
    bodies = [part[1] for part in found if isinstance(part, tuple)]
    client = pop3(server, tls=True)
    assert client.stat() == (12, sum(map(len, bodies)))
    assert [whole(client.retr(i + 1)) for i in range(12)] == bodies
    assert [int(line.split()[1]) for line in client.list()[1]] == [len(body) for body in bodies]
    head, rest = bodies[3].split(b"\r\n\r\n", 1)
    assert whole(client.top(4, 2)) == head + b"\r\n\r\n" + b"".join(line + b"\r\n" for line in rest.split(b"\r\n")[:2])

    imap.uid("STORE", "2", "+FLAGS", "(\\Deleted)")
    imap.expunge()
    fill(server, 1)
    with pytest.raises(poplib.error_proto, match="no longer there"):
        client.retr(2)
    assert client.stat()[0] == 12
    assert whole(client.retr(3)) == bodies[2]
    ids = {line.split()[0]: line.split()[1] for line in client.uidl()[1]}
    assert len(set(ids.values())) == 12

    imap.noop()
    imap.send(b"i1 IDLE\r\n")
    assert imap.readline().startswith(b"+")
    client.dele(1)
    client.dele(2)
    client.dele(12)
    client.quit()
    seen = []
    while len(seen) < 2:
        line = imap.readline()
        if line.endswith(b"EXPUNGE\r\n"):
            seen.append(line)
    assert sorted(seen) == [b"* 1 EXPUNGE\r\n", b"* 11 EXPUNGE\r\n"]
    imap.send(b"DONE\r\n")
    while not imap.readline().startswith(b"i1 OK"):
        pass
    imap.logout()
    # the same messages have the same unique ids, in another session and after a restart
    server.stop()
    server.start()
    client = pop3(server)
    later = [line.split()[1] for line in client.uidl()[1]]
    assert later[:-1] == [ids[str(n).encode()] for n in range(3, 12)] and later[-1] not in ids.values()
    client.quit()


def test_utf8(any_server):
    """Internationalised mail (RFC 6532): as it is for who says UTF8, else as a surrogate that others can read, of the size that LIST tells."""
    server = any_server
    body = "ö\r\n.\r\n" * 300000
    mails = ["From: Jörg <jörg@bücher.example>\r\nTo: Ännchen <alice@example.test>\r\nSubject: Grüße\r\nX-Own: ä\r\n\r\nö\r\n",
             "From: x@remote.test\r\nSubject: plain header\r\n\r\nö\r\n",
             f"From: x@remote.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{body}--b\r\n"
             f"Content-Disposition: attachment; filename=\"ä b\"\r\n\r\n{body}--b--\r\n"]
    with server.smtp("smtp") as client:
        for mail in mails:
            client.sendmail("x@remote.test", [ALICE], mail.encode(), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    imap = server.imap()
    imap.select("INBOX")
    stored = [part[1] for part in imap.uid("FETCH", "1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
    imap.logout()
    got = {}
    for utf8 in (True, False):
        client = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=60)
        assert client.capa()["UTF8"] == ["USER"]
        if utf8:
            client.utf8()
        client.user(ALICE)
        client.pass_(server.passwords[ALICE])
        got[utf8] = [whole(client.retr(i + 1)) for i in range(3)]
        sizes = [len(message) for message in got[utf8]]
        assert [int(line.split()[1]) for line in client.list()[1]] == sizes and client.stat() == (3, sum(sizes))
        assert whole(client.top(1, 0)) == got[utf8][0].split(b"\r\n\r\n")[0] + b"\r\n\r\n"
        client.quit()
    assert got[True] == stored and got[False][1] == stored[1]
    first, _, third = [email.message_from_bytes(message, policy=email.policy.default) for message in got[False]]
    assert got[False][0].split(b"\r\n\r\n")[0].isascii() and got[False][0].endswith("\r\n\r\nö\r\n".encode())
    assert first["Subject"] == "Grüße" and "X-Own" not in first and first["From"].addresses[0].display_name == "Jörg"
    assert first["From"].addresses[0].domain.endswith(".invalid") and first["To"] == "Ännchen <alice@example.test>"
    assert [part.get_filename() for part in third.iter_parts()] == [None, "ä b"]
    assert [part.get_payload(decode=True).decode().replace("\r\n", "\n") for part in third.iter_parts()] == [body.replace("\r\n", "\n")[:-1]] * 2


def fetchmail(server, folder, keep):
    box = folder / "fetched"
    config = folder / "fetchmailrc"
    config.write_text(f"poll 127.0.0.1 port {server.ports['pop3s']} proto pop3 {'uidl ' if keep else ''}user '{ALICE}' password '{server.passwords[ALICE]}' "
                      f"ssl sslcertck sslcertfile {server.certificate()} sslcommonname mail.example.test "
                      f"mda 'cat >>{box}; echo >>{box}' {'keep' if keep else 'nokeep'}\n")
    config.chmod(0o600)
    env = dict(os.environ, HOME=str(folder), FETCHMAILHOME=str(folder))
    done = subprocess.run(["fetchmail", "-v", "-f", str(config), "--nosyslog"], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return box.read_text().count("X-Token: ") if box.exists() else 0


def getmail(server, folder, sink, delete):
    """Its other destinations make a child for each message, and sometimes miss its end."""
    (folder / "getmailrc").write_text(f"""
[retriever]
type = SimplePOP3SSLRetriever
server = 127.0.0.1
port = {server.ports['pop3s']}
username = {ALICE}
password = {server.passwords[ALICE]}
[destination]
type = MDA_lmtp
host = {sink.host}
port = {sink.port}
override = {ALICE}
[options]
read_all = false
delete = {str(delete).lower()}
""")
    run("getmail", "--getmaildir", folder, "--rcfile", folder / "getmailrc")
    return len(sink.messages)


def mpop(server, folder, keep):
    (folder / "mpoprc").write_text(f"""
account default
host 127.0.0.1
port {server.ports['pop3s']}
user {ALICE}
password {server.passwords[ALICE]}
auth scram-sha-256
tls on
tls_starttls off
tls_certcheck off
pipelining on
keep {'on' if keep else 'off'}
delivery mbox {folder}/mpop.mbox
uidls_file {folder}/mpop.uidls
""")
    (folder / "mpoprc").chmod(0o600)
    run("mpop", "-C", folder / "mpoprc")
    with contextlib.closing(mailbox.mbox(folder / "mpop.mbox")) as found:
        return len(found)


def test_clients(server, folder):
    """fetchmail, getmail and mpop leave mail there, know it again by its unique ids, and take it away."""
    sink = Sink()
    fill(server, 20)
    assert fetchmail(server, folder, True) == 20
    assert getmail(server, folder, sink, False) == 20
    assert mpop(server, folder, True) == 20
    fill(server, 3)
    assert fetchmail(server, folder, True) == 23
    assert getmail(server, folder, sink, False) == 23
    assert mpop(server, folder, False) == 23
    assert server.count() == 0
    fill(server, 2)
    assert getmail(server, folder, sink, True) == 25
    assert server.count() == 0
    fill(server, 2)
    assert fetchmail(server, folder, False) == 25
    assert server.count() == 0
    assert "mechanism=SCRAM-SHA-256" in server.log_text()
    sink.close()


def test_curl(server):
    fill(server, 3)
    user = ["--silent", "--show-error", "--cacert", server.certificate(), "--user", f"{ALICE}:{server.passwords[ALICE]}"]
    wanted = [message.replace(b"\r\n", b"\n").decode() for message in server.messages()]
    plain, tls = (f"pop3://127.0.0.1:{server.ports['pop3']}", f"pop3s://127.0.0.1:{server.ports['pop3s']}")
    for url, options in ((plain, ["--ssl-reqd"]), (plain, []), (tls, []), (tls, ["--login-options", "AUTH=LOGIN"]),
                         (tls, ["--login-options", "AUTH=PLAIN", "--sasl-ir"])):
        assert len(run("curl", *user, *options, url + "/").splitlines()) == 3
        assert run("curl", *user, *options, url + "/2") == wanted[1]
    run("curl", *user, "-X", "DELE", "--head", tls + "/1")
    assert server.count() == 2
    run("curl", *user[:-1], f"{ALICE}:wrong", tls + "/", status=67)


def scram(client, user, password, header, binding):
    """SCRAM-SHA-256-PLUS by the book (RFC 5802 section 3)."""
    nonce = base64.b64encode(os.urandom(12)).decode()
    bare = f"n={user},r={nonce}"
    answer = client._shortcmd("AUTH SCRAM-SHA-256-PLUS " + base64.b64encode((header + bare).encode()).decode())
    first = base64.b64decode(answer[2:]).decode()
    fields = dict(field.split("=", 1) for field in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    final = f"c={base64.b64encode(header.encode() + binding).decode()},r={fields['r']}"
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), f"{bare},{first},{final}".encode(), "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
    client._shortcmd(base64.b64encode(f"{final},p={proof}".encode()).decode())
    return client._shortcmd("")


def test_channel_binding(server):
    """A proof for another connection is worth nothing."""
    context = server.tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=context, timeout=60)
    assert "SCRAM-SHA-256-PLUS" in client.capa()["SASL"]
    binding = client.sock.get_channel_binding("tls-unique")
    assert b"Logged in" in scram(client, ALICE, server.passwords[ALICE], "p=tls-unique,,", binding)
    client.quit()
    client = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=context, timeout=60)
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        scram(client, ALICE, server.passwords[ALICE], "p=tls-unique,,", binding)
    client.close()


def test_policy(make_server):
    """Without TLS no password is taken where auth.plaintext says so; pipelined commands are answered in order."""
    server = make_server("auth:\n  plaintext: never\n")
    fill(server, 1)
    client = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=60)
    assert "USER" not in client.capa() and client.capa()["SASL"] == ["SCRAM-SHA-256", "SCRAM-SHA-1"]
    with pytest.raises(poplib.error_proto, match="over TLS only"):
        client.user(ALICE)
    client.stls(server.tls())
    assert "USER" in client.capa() and "STLS" not in client.capa()
    client.sock.sendall(f"USER {ALICE}\r\nPASS {server.passwords[ALICE]}\r\nSTAT\r\nDELE 1\r\nRSET\r\nNOOP\r\nQUIT\r\n".encode())
    answers = client.file.read().splitlines()
    assert len(answers) == 7 and all(answer.startswith(b"+OK") for answer in answers)
    assert b"1 " in answers[2]


@pytest.mark.skipif(os.geteuid() != 0, reason="kills the roles, which have another user")
def test_killed_in_quit(server):
    """kill -9 around QUIT: all that was marked is gone, or none of it; and a +OK means all."""
    outcomes = set()
    for delay_ms in (0, 1, 2, 4, 8, 60):
        count = server.count()
        fill(server, 300 - count, body=lambda i: "x\r\n")
        client = pop3(server)
        for i in range(1, 300, 2):
            client._putcmd(f"DELE {i}")
        for _ in range(1, 300, 2):
            client._getresp()
        killer = threading.Timer(delay_ms / 1000, os.kill, (server.roles()["imap"], signal.SIGKILL))
        killer.start()
        answer = b""
        with contextlib.suppress(OSError, EOFError):
            client._putcmd("QUIT")
            answer = client.file.readline()
        killer.join()
        client.close()
        wait_for(lambda: logs_in(server), what="the imap role to come back")
        left = server.count()
        assert left in (150, 300)
        if answer.startswith(b"+OK"):
            assert left == 150
        outcomes.add((left, answer[:3]))
    assert (150, b"+OK") in outcomes
    server.stop()
    server.check_integrity()


def logs_in(server):
    with contextlib.suppress(OSError, EOFError, poplib.error_proto):
        return pop3(server).quit().startswith(b"+OK")
    return False
