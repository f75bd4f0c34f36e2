"""Where mail goes: domains of other kinds, routes, lists, forwarding; LMTP from a real Postfix; and what programs of this machine bring
by the sendmail command."""
import json
import os
import pwd
import re
import shutil
import smtplib
import subprocess

import pytest

import harness
from harness import Postfix, Sink, free_port, letter, tokens_in, wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"


def listeners(*lines):
    """Listeners beside the usual ones."""
    return [(r"^listeners:$", "\n".join(["listeners:", *(f"  - {{{line}}}" for line in lines)]))]


def refused(call, code):
    with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused)) as trouble:
        call()
    codes = [c for c, _ in trouble.value.recipients.values()] if hasattr(trouble.value, "recipients") else [trouble.value.smtp_code]
    assert codes == [code]


def arrived(sink, token):
    return lambda: token in tokens_in(sink.messages)


def envelope_of(sink, token):
    return next(e for e, m in zip(sink.envelopes, sink.messages) if token in tokens_in([m]))


def test_domains_and_routes(make_server):
    inside, bulk, rest = Sink(), Sink(), Sink()
    server = make_server(f"relay:\n  smarthost: 127.0.0.1:{rest.port}\n  smarthost_tls: none\n")
    server.cli("domain", "add", "other.test", "--alias-of", "example.test")
    server.cli("domain", "add", "backup.test", "--relay", "--listed")
    server.cli("recipient", "add", "--file", "-", input="# known there\nKnown@backup.test  OK\n")
    server.cli("route", "add", "backup.test", f"127.0.0.1:{inside.port}")
    server.cli("route", "add", BOB, f"[127.0.0.1]:{bulk.port}", "--sender")
    assert "backup.test" in server.cli("domain", "list").stdout
    client = server.smtp()
    client.sendmail("s@remote.test", ["Alice+x@Other.test"], letter("aliased"))
    assert tokens_in(server.messages(ALICE)) == ["aliased"]
    refused(lambda: client.sendmail("s@remote.test", ["nobody@other.test"], letter("no")), 550)
    refused(lambda: client.sendmail("s@remote.test", ["nobody@backup.test"], letter("no")), 550)
    refused(lambda: client.sendmail("s@remote.test", ["x@third.test"], letter("no")), 550)
    client.sendmail("s@remote.test", ["known@backup.test"], letter("relayed", "known@backup.test"))
    wait_for(arrived(inside, "relayed"), what="the letter at the host behind")
    assert "s@remote.test" in envelope_of(inside, "relayed")[0]
    for who, sink in ((ALICE, rest), (BOB, bulk)):
        submission = server.smtp("submission", who)
        submission.sendmail(who, ["x@third.test"], letter(who, "x@third.test", who))
        wait_for(arrived(sink, who), what=f"{who}'s letter by its way")
    # Rules are obeyed as soon as they are there, and as long as they are.
    refused(lambda: server.smtp("submission", ALICE).sendmail("boss@elsewhere.test", ["x@third.test"], letter("no")), 553)
    server.cli("account", "may-send", ALICE, "@elsewhere.test")
    server.smtp("submission", ALICE).sendmail("boss@elsewhere.test", ["x@third.test"], letter("as-boss", sender="boss@elsewhere.test"))
    wait_for(arrived(rest, "as-boss"), what="the letter of another sender")
    server.cli("domain", "remove", "other.test")
    refused(lambda: client.sendmail("s@remote.test", ["alice@other.test"], letter("no")), 550)
    for sink in (inside, bulk, rest):
        sink.close()


def test_lists_and_forwarding(make_server):
    """A list for its members; forwarded mail under a sender of ours, whose bounce finds its way back."""
    sink = Sink(replies={"rcpt": lambda a: "550 5.1.1 gone" if "gone@" in a else None})
    server = make_server(f"relay:\n  smarthost: 127.0.0.1:{sink.port}\n  smarthost_tls: none\n")
    server.cli("alias", "add", "staff@example.test", ALICE, "friend@remote.test")
    server.cli("alias", "senders", "staff@example.test", "members")
    server.cli("alias", "add", "moved@example.test", "gone@remote.test", "there@remote.test")
    client = server.smtp()
    refused(lambda: client.sendmail("stranger@remote.test", ["staff@example.test"], letter("no")), 550)
    refused(lambda: client.sendmail(ALICE, ["staff@example.test"], letter("forged")), 550)
    client.sendmail("friend@remote.test", ["staff@example.test"], letter("member"))
    server.smtp("submission", ALICE).sendmail(ALICE, ["staff@example.test"], letter("colleague", sender=ALICE))
    assert sorted(tokens_in(server.messages(ALICE))) == ["colleague", "member"]
    client.sendmail("carol@far.test", ["moved@example.test"], letter("forward", "moved@example.test"))
    wait_for(arrived(sink, "forward"), what="the forwarded letter")
    sender = re.search(r"<(SRS0=\S+=far\.test=carol@example\.test)>", envelope_of(sink, "forward")[0]).group(1)
    # Our own bounce of the one that is gone
    wait_for(lambda: any("carol@far.test" in r for e in sink.envelopes for r in e[1]), what="the bounce at who sent it")
    # and one from elsewhere, by the address it sees.
    client.sendmail("", [sender], letter("bounce", sender, ""))
    wait_for(arrived(sink, "bounce"), what="the other's bounce")
    assert envelope_of(sink, "bounce")[1] == ["TO:<carol@far.test>"] or "carol@far.test" in envelope_of(sink, "bounce")[1][0]
    refused(lambda: client.sendmail("", [sender.replace("carol", "dave")], letter("no")), 550)
    sink.close()


def test_lmtp_from_postfix(make_server, folder):
    """Both kinds of socket; an answer for each recipient."""
    path, port = folder / "lmtp.sock", free_port()
    server = make_server("smtp:\n  trusted_networks: [127.0.0.1]\n",
                         replace=listeners(f'address: "unix:{path}", protocol: lmtp, group: postfix', f'address: "127.0.0.1:{port}", protocol: lmtp'))
    assert oct(path.stat().st_mode & 0o777) == "0o660"
    postfix = Postfix(folder, domains=("example.test", "tcp.test"))
    main = postfix.dir / "etc/main.cf"
    (postfix.dir / "etc/transport").write_text(f"tcp.test lmtp:inet:127.0.0.1:{port}\n")
    main.write_text(main.read_text() + f"virtual_transport = lmtp:unix:{path}\ntransport_maps = texthash:{postfix.dir}/etc/transport\n")
    server.cli("domain", "add", "tcp.test", "--alias-of", "example.test")
    postfix.start()
    try:
        subprocess.run(["sendmail", "-C", str(postfix.dir / "etc"), "-i", "-f", "carol@far.test", ALICE, BOB, "nobody@example.test"],
                       input=letter("by-unix"), check=True)
        postfix.send(letter("by-tcp", "alice@tcp.test"), "carol@far.test", "alice@tcp.test")
        wait_for(lambda: server.count(ALICE) == 2 and server.count(BOB) == 1, 30, "the letters")
        got = server.messages(BOB)[0]
        assert got.startswith(b"Return-Path: <carol@far.test>\r\n") and b"with LMTP\r\n" in got, got
        # nobody is refused alone, and told by Postfix
        wait_for(lambda: re.search(r"to=<nobody@example.test>.*status=bounced.*550 5.1.1", postfix.log.read_text()), 30, "the refusal")
        assert server.count(BOB) == 1
    finally:
        postfix.stop()


EX_USAGE, EX_DATAERR, EX_NOUSER, EX_TEMPFAIL, EX_NOPERM = 64, 65, 67, 75, 77


class Local:
    """The commands sendmail, mailq and newaliases, in a folder as `make install` makes them where it is asked to."""

    def __init__(self, folder, socket):
        self.dir = folder / "bin"
        self.dir.mkdir()
        shutil.copy(harness.POSTHORN, self.dir / "posthorn")
        self.dir.chmod(0o755)
        for name in ("sendmail", "mailq", "newaliases"):
            (self.dir / name).symlink_to("posthorn")
        self.env = os.environ | {"POSTHORN_LOCAL_SOCKET": str(socket), "POSTHORN_CONFIG": "/nonexistent"}

    def run(self, *words, input="", user=None, env=()):
        return subprocess.run([str(self.dir / words[0]), *words[1:]], input=input, text=True, capture_output=True, timeout=60,
                              env=self.env | dict(env), user=user)


def test_sendmail(make_server, folder):
    """As cron, PHP, mailx and mutt call it; who may send as whom; and what it says when something is wrong."""
    path = folder / "local.sock"
    server = make_server('smtp:\n  origin: example.test\n  local_senders: ["root:*", "nobody:@example.test"]\n',
                         replace=listeners(f'address: "unix:{path}", protocol: local'))
    server.cli("alias", "add", "root@example.test", ALICE)
    local = Local(folder, path)
    # cron: no header but this, a recipient without a domain
    done = local.run("sendmail", "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root", input="Subject: cron\nX-Token: cron\n\nout\rput\n.\nend\n")
    assert done.returncode == 0, done.stderr
    got = server.messages(ALICE)[0].decode()
    assert tokens_in([got.encode()]) == ["cron"] and got.endswith("\r\n\r\nout\r\nput\r\n.\r\nend\r\n")
    assert 'From: "CronDaemon" <root@example.test>' in got and "\r\nDate: " in got and "\r\nMessage-ID: <" in got
    assert "(uid=0)" in got and got.startswith("Return-Path: <root@example.test>\r\n")
    # PHP: recipients from the header; Bcc is seen by nobody
    done = local.run("sendmail", "-t", "-i", "-f", "www@example.test", input=f"To: {ALICE}\nBcc: Bob <{BOB}>\nX-Token: php\nSubject: \u00e4\n\nx\n")
    assert done.returncode == 0, done.stderr
    assert "php" in tokens_in(server.messages(ALICE)) and b"Bcc" not in server.messages(BOB)[0]
    # a dot ends it, the null sender
    assert local.run("sendmail", "-f", "<>", ALICE, input="X-Token: dot\n\na\n.\nX-Token: never\n").returncode == 0
    assert server.messages(ALICE)[-1].startswith(b"Return-Path: <>\r\n") and b"never" not in server.messages(ALICE)[-1]
    # another user
    nobody = pwd.getpwnam("nobody").pw_uid
    assert local.run("sendmail", ALICE, input="X-Token: nobody\n\n", user=nobody).returncode == 0
    assert b"(uid=%d)" % nobody in server.messages(ALICE)[-1]
    refused_one = local.run("sendmail", "-fceo@elsewhere.test", ALICE, input="x\n", user=nobody)
    assert refused_one.returncode == EX_NOPERM and "not yours" in refused_one.stderr
    # one of two is unknown: told, and the other has it
    done = local.run("sendmail", "nobody-here", BOB, input="X-Token: half\n\n")
    assert done.returncode == EX_NOUSER and "550 5.1.1" in done.stderr and "half" in tokens_in(server.messages(BOB))
    done = local.run("sendmail", "-bv", "nobody-here", BOB)
    assert done.returncode == EX_NOUSER and done.stdout == f"{BOB}... deliverable\n" and "nobody-here@example.test: 550 5.1.1" in done.stderr
    before = server.count(BOB)
    # what older callers give by habit
    done = local.run("sendmail", "-Am", "-aux", "-ep", "-G", "-m", "-n", "-x", "-U", "-L", "tag", "-h", "5", "-o7", "-odb", "-oem", "-O",
                     "DeliveryMode=b", "-N", "success,failure", "-R", "hdrs", "-V", "id1", "-X", "/dev/null", "-bm", BOB, input="X-Token: habit\n\n")
    assert done.returncode == 0 and server.count(BOB) == before + 1, done.stderr
    for words, status in ((("sendmail", "-bh"), 0), (("sendmail", "-bt"), EX_USAGE), (("sendmail", "-q1h"), EX_USAGE), (("sendmail", "-R", "some", BOB), EX_USAGE), (("sendmail", "-Z", BOB), EX_USAGE), (("sendmail",), EX_USAGE), (("sendmail", "-t"), EX_USAGE), (("sendmail", "-bd"), EX_USAGE),
                          (("sendmail", "-f", "a@b@c", ALICE), EX_DATAERR), (("sendmail", "-N", "a\r\nb", ALICE), EX_USAGE),
                          (("newaliases",), 0), (("sendmail", "-bi"), 0)):
        assert local.run(*words, input="x\n").returncode == status, words
    assert "250 " in local.run("sendmail", "-bs", input="EHLO x\r\nQUIT\r\n").stdout
    own = {"POSTHORN_CONFIG": str(server.config)}
    server.cli("route", "add", "far.test", "127.0.0.1:1")
    assert local.run("sendmail", "x@far.test", input="X-Token: far\n\n").returncode == 0
    for words in (("mailq",), ("sendmail", "-q"), ("sendmail", "-qRfar.test"), ("sendmail", "-qSexample.test")):
        done = local.run(*words, env=own)
        assert done.returncode == 0, (words, done.stderr)
    assert "nothing in the queue fits" in local.run("sendmail", "-qInothing", env=own).stderr
    # programs that others wrote
    rc = folder / "mailrc"
    rc.write_text(f"set sendmail={local.dir}/sendmail\n")
    subprocess.run(["bsd-mailx", "-s", "by mailx", "-r", "root@example.test", BOB], input="hello\n", text=True, check=True,
                   env=local.env | {"MAILRC": str(rc)}, timeout=60)
    subprocess.run(["neomutt", "-n", "-F", "/dev/null", "-e", f'set sendmail="{local.dir}/sendmail -oem -oi"; set copy=no; set from={ALICE}',
                    "-s", "by mutt", BOB], input="hello\n", text=True, check=True, env=local.env | {"HOME": str(folder)}, timeout=60)
    patch = folder / "one.patch"
    patch.write_text(f"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: Alice <{ALICE}>\nDate: Wed, 25 Nov 2026 10:00:00 +0000\n"
                     "Subject: [PATCH] by git\n\n---\n x | 1 +\n")
    subprocess.run(["git", "send-email", "--quiet", "--confirm=never", f"--sendmail-cmd={local.dir}/sendmail", "--from", ALICE, "--envelope-sender", ALICE,
                    "--to", BOB, "--suppress-cc=all", str(patch)], check=True, env=local.env | {"HOME": str(folder), "GIT_COMMITTER_NAME": "Alice", "GIT_COMMITTER_EMAIL": ALICE, "GIT_AUTHOR_NAME": "Alice", "GIT_AUTHOR_EMAIL": ALICE}, timeout=60, cwd=folder)
    subprocess.run(["php", "-n", "-d", f"sendmail_path={local.dir}/sendmail -t -i", "-r",
                    f'exit(mail("{BOB}", "by php", "hello", "From: {ALICE}", "-f{ALICE}") ? 0 : 1);'], check=True, env=local.env, timeout=60)
    wait_for(lambda: {b"by mailx", b"by mutt", b"[PATCH] by git", b"by php"} <= {m.split(b"Subject: ")[1].split(b"\r\n")[0] for m in server.messages(BOB) if b"Subject: " in m},
             what="the letters of mailx, mutt, git and PHP")
    server.stop()
    done = local.run("sendmail", ALICE, input="x\n")
    assert done.returncode == EX_TEMPFAIL and "posthorn" in done.stderr


def test_null_client(make_server, folder):
    """A machine with nothing of its own: the local listener alone, no domain; mail and bounces go to the smarthost."""
    path, sink = folder / "local.sock", Sink(replies={"rcpt": lambda a: "550 5.1.1 gone" if "gone@" in a else None})
    server = make_server(f"relay:\n  smarthost: 127.0.0.1:{sink.port}\n  smarthost_tls: none\n", start=False)
    text = re.sub(r"^listeners:\n(  .*\n)+", f'listeners: [{{address: "unix:{path}", protocol: local}}]\n', server.config.read_text(), flags=re.M)
    server.config.write_text(text)
    for who in (ALICE, BOB):
        server.cli("account", "remove", who, "--yes", check=False)
    server.cli("domain", "remove", "example.test")
    server.start()
    local = Local(folder, path)
    assert local.run("sendmail", "-f", "root", "ops@far.test", input="X-Token: out\n\nx\n").returncode == 0
    assert local.run("sendmail", "-f", "root", "root", input="X-Token: cron\n\nx\n").returncode == 0
    assert local.run("sendmail", "-f", "root", "gone@far.test", input="X-Token: gone\n\nx\n").returncode == 0
    wait_for(lambda: len(sink.messages) == 3, 30, "two letters and a bounce at the smarthost")
    assert "FROM:<root@mail.example.test>" in envelope_of(sink, "out")[0]
    assert "TO:<root@mail.example.test>" in envelope_of(sink, "cron")[1][0]
    bounce = next(e for e in sink.envelopes if "FROM:<>" in e[0])
    assert "TO:<root@mail.example.test>" in bounce[1][0]
    sink.close()


def test_import_aliases(make_server, folder):
    """The maps of a machine that moves here; what has no counterpart is told with its line."""
    server = make_server(start=False)
    maps = {"aliases": 'postmaster: root\nroot: alice,\n  "bob"\n# nothing\nprog: "|/bin/x, y", carol@far.test\nfile: /dev/null\nnothing\n',
            "virtual": "virtual.test  anything\ninfo@virtual.test alice@example.test, bob@example.test\n@virtual.test bob\n",
            "transport": "inside.test smtp:[192.0.2.1]:2525\n.inside.test relay:gate.test:26\nmx.test smtp:other.test\nfar.test smtp:\nx.test lmtp:unix:/x\n"}
    for name, text in maps.items():
        (folder / name).write_text(text)
    done = server.cli("import", "aliases", str(folder / "aliases"), "--domain", "example.test", check=False)
    assert done.returncode == 1
    assert [line.split(":")[2] for line in done.stderr.splitlines()] == ["5", "6", "7"], done.stderr
    assert server.cli("import", "aliases", str(folder / "virtual"), "--format", "virtual", "--domain", "example.test").returncode == 0
    done = server.cli("import", "aliases", str(folder / "transport"), "--format", "transport", check=False)
    assert done.returncode == 1 and ":5: transport lmtp:unix:/x" in done.stderr
    found = {(a["address"], a["target"]) for a in json.loads(server.cli("alias", "list", "--json").stdout)}
    assert {("postmaster@example.test", "root@example.test"), ("root@example.test", ALICE), ("root@example.test", BOB),
            ("prog@example.test", "carol@far.test"), ("info@virtual.test", ALICE), ("info@virtual.test", BOB), ("@virtual.test", BOB)} <= found
    routes = {(r["pattern"], r["next_hop"]) for r in json.loads(server.cli("route", "list", "--json").stdout)}
    assert routes == {("inside.test", "[192.0.2.1]:2525"), (".inside.test", "gate.test:26"), ("mx.test", "mx:other.test"), ("far.test", "direct")}
    again = json.loads(server.cli("import", "aliases", str(folder / "virtual"), "--format", "virtual", "--json", "--domain", "example.test").stdout)
    assert (again["added"], again["there_already"], again["passed_over"]) == (0, 4, 0)


def test_limits_of_a_domain(any_server):
    """A domain takes smaller messages than the server does; its new accounts have its quota, unless another is named."""
    server = any_server
    server.cli("domain", "add", "small.test")
    server.cli("domain", "set", "small.test", "--message-size", "4KB", "--quota", "2G")
    server.cli("account", "add", "a@small.test", "--password-stdin", input="secret\n")
    server.cli("account", "add", "--batch", "-", input="b@small.test\nc@small.test,,,none\nd@small.test,,,3G\n")
    quotas = {row["address"]: row["quota"] for row in json.loads(server.cli("account", "list", "small.test", "--json").stdout)}
    assert [quotas[f"{name}@small.test"] or 0 for name in "abcd"] == [2 << 30, 2 << 30, 0, 3 << 30]
    client = server.smtp("smtp")
    client.ehlo("x")
    assert client.mail("x@remote.test", ["SIZE=5000"])[0] == 250
    code, text = client.rcpt("a@small.test")
    assert (code, text[:5]) == (552, b"5.3.4")
    assert client.rcpt("alice@example.test")[0] == 250
    client.rset()
    assert client.mail("x@remote.test")[0] == 250 and client.rcpt("a@small.test")[0] == 250
    code, text = client.data(letter("large", "a@small.test", body="0123456789\r\n" * 500))
    assert (code, text[:5]) == (552, b"5.3.4")
    assert client.sendmail("x@remote.test", ["a@small.test"], letter("fits", "a@small.test")) == {}
    server.cli("domain", "set", "small.test", "--message-size", "none")
    wait_for(lambda: client.sendmail("x@remote.test", ["a@small.test"], letter("now", "a@small.test", body="0123456789\r\n" * 500)) == {})
    assert server.cli("domain", "set", "elsewhere.test", "--quota", "1G", check=False).returncode != 0
