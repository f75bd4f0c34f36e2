"""Mail for Unix users and programs: .forward, mailbox_command, Maildir and mbox, as those users, read by programs we did not write."""
import contextlib
import mailbox
import os
import pathlib
import pwd
import re
import shutil
import signal
import smtplib
import signal
import smtplib
import subprocess
import time

import pytest

from harness import IS_ROOT, Postfix, letter, wait_for

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="making Unix users needs root")


@pytest.fixture
def users(folder):
    """users("alice2") -> its home; gone at the end."""
    made = []

    def make(name, uid_option=()):
        home = folder / "home" / name
        home.parent.mkdir(exist_ok=True)
        subprocess.run(["userdel", name], capture_output=True)
        subprocess.run(["useradd", "--no-user-group", "--gid", "nogroup", "--create-home", "--home-dir", str(home), "--shell", "/bin/sh",
                        *uid_option, name], check=True, capture_output=True)
        made.append(name)
        return home
    yield make
    for name in made:
        subprocess.run(["userdel", "-f", name], check=True, capture_output=True)


def write_as(name, path, text, mode=0o600):
    path.write_text(text)
    entry = pwd.getpwnam(name)
    os.chown(path, entry.pw_uid, entry.pw_gid)
    path.chmod(mode)


def start(make_server, settings, **options):
    server = make_server("relay:\n  retry: 1s\n" + settings, **options)
    wait_for(lambda: server.log_text().count("event=supervisor.role_ready") >= 7, what="the local role, too")
    return server


def send(server, to, token, sender="sender@remote.test", body="Hello\r\nFrom here\r\n.dot\r\n", count=1):
    """As a host does: who gets 451 comes again."""
    def taken(message):
        with contextlib.suppress(smtplib.SMTPRecipientsRefused, smtplib.SMTPServerDisconnected), server.smtp() as smtp:
            smtp.sendmail(sender, [to], message)
            return True
    for i in range(count):
        message = letter(f"{token}{i if count > 1 else ''}", to=to, body=body)
        wait_for(lambda m=message: taken(m), what="a letter taken", every=0.1)


def queue(server):
    import json
    return json.loads(server.cli("queue", "list", "--json").stdout or "[]")


def drained(server):
    wait_for(lambda: not queue(server), 20, "an empty queue", every=0.1)


def maildir(home):
    return [p for p in (home / "Maildir/new").glob("*")] if (home / "Maildir/new").exists() else []


USERS = "local:\n  domains: [example.test]\n"


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_maildir_and_forward(request, make_server, users, store):
    ann, ben = users("phann"), users("phben")
    server = start(make_server, USERS, store=request.getfixturevalue("postgresql").url if store == "postgresql" else None)
    send(server, "phann+list@example.test", "one")
    wait_for(lambda: maildir(ann), what="a message in the Maildir")
    path, = maildir(ann)
    entry = pwd.getpwnam("phann")
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (entry.pw_uid, 0o600)
    message = mailbox.Maildir(ann / "Maildir").values()[0]
    assert message["X-Token"] == "one" and message["Return-Path"] == "<sender@remote.test>"
    assert message["Delivered-To"] == "phann+list@example.test"
    assert b"\r" not in path.read_bytes() and b"\n.dot\n" in path.read_bytes()
    smtp = server.smtp()
    for nobody in ("root", "daemon", "nobody", "nosuchuser"):
        smtp.docmd("RSET")
        smtp.mail("sender@remote.test")
        assert smtp.rcpt(f"{nobody}@example.test")[0] == 550, nobody
    smtp.quit()
    # Several targets: each goes its own way; an address goes through accounts and aliases again.
    write_as("phann", ann / ".forward", f"""# a comment
\\phann, "|cat > {ann}/piped; env | sort > {ann}/environment; id > {ann}/id"
~/file,
  bob@example.test, phben
""")
    send(server, "phann@example.test", "two")
    wait_for(lambda: (ann / "id").exists() and maildir(ben) and len(maildir(ann)) == 2, what="all of .forward")
    drained(server)
    assert server.count("bob@example.test") == 1
    piped = (ann / "piped").read_text()
    assert piped.startswith("From sender@remote.test  ") and "\nDelivered-To: phann@example.test\n" in piped
    assert "uid=%d(phann)" % entry.pw_uid in (ann / "id").read_text() and "(root)" not in (ann / "id").read_text()
    environment = dict(line.split("=", 1) for line in (ann / "environment").read_text().splitlines())
    assert {k: environment.get(k) for k in ("HOME", "USER", "LOGNAME", "SHELL", "SENDER", "RECIPIENT", "LOCAL", "DOMAIN")} == {
        "HOME": str(ann), "USER": "phann", "LOGNAME": "phann", "SHELL": "/bin/sh", "SENDER": "sender@remote.test",
        "RECIPIENT": "phann@example.test", "LOCAL": "phann", "DOMAIN": "example.test"}
    assert "POSTHORN_CONFIG" not in environment and environment["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    box = mailbox.mbox(ann / "file")
    assert [m["X-Token"] for m in box] == ["two"] and b"\n>From here\n" in (ann / "file").read_bytes()
    forwarded = mailbox.Maildir(ben / "Maildir").values()[0]
    assert forwarded.get_all("Delivered-To") == ["phben@example.test", "phann@example.test"]
    # A circle ends as a bounce.
    write_as("phann", ann / ".forward", "phben@example.test\n")
    write_as("phben", ben / ".forward", "phann@example.test\n")
    send(server, "phann@example.test", "three", sender="alice@example.test")
    wait_for(lambda: server.count("alice@example.test") == 1, what="the bounce")
    assert b"mail forwarding loop" in server.messages("alice@example.test")[0]
    # What others can write isn't followed.
    write_as("phann", ann / ".forward", "|touch /tmp/posthorn-must-not-be\n", mode=0o666)
    send(server, "phann@example.test", "four")
    wait_for(lambda: len(maildir(ann)) == 3, what="the mailbox instead")
    os.unlink(ann / ".forward")
    write_as("phben", ben / "other", "|touch /tmp/posthorn-must-not-be\n")
    os.symlink(ben / "other", ann / ".forward")
    send(server, "phann@example.test", "five")
    wait_for(lambda: len(maildir(ann)) == 4, what="the mailbox instead")
    assert not os.path.exists("/tmp/posthorn-must-not-be")


TARGETS = """local:
  domains: [example.test]
  mailbox: {mailbox}
  time_limit: 2s
  targets:
    - {{name: keep, user: pheve, to: "|cat >> {home}/kept"}}
    - {{name: later, user: pheve, to: "|echo come again; exit 75"}}
    - {{name: never, user: pheve, to: "|echo go away >&2; exit 77"}}
    - {{name: hangs, user: pheve, to: "|sleep 100 & echo $$ > {home}/pid; sleep 100"}}
    - {{name: file, user: pheve, to: "{home}/archive"}}
    - {{name: folder, user: pheve, to: "{home}/archive.d/"}}
    - {{name: asroot, user: phtoor, to: "|touch {home}/root"}}
"""


def test_targets_of_the_administrator(make_server, users):
    home = users("pheve")
    users("phtoor", ("--non-unique", "--uid", "0"))
    server = start(make_server, TARGETS.format(home=home, mailbox="~/mbox"))
    assert "no \"nothing\"" in server.cli("alias", "add", "x@example.test", "local:nothing", check=False).stderr
    for name in ("keep", "later", "never", "hangs", "file", "folder", "asroot"):
        server.cli("alias", "add", f"{name}@example.test", f"local:{name}")
    for name in ("keep", "never", "file", "folder", "asroot"):
        send(server, f"{name}@example.test", name, sender="alice@example.test")
    drained(server)
    kept = (home / "kept").read_text()
    assert "X-Token: keep" in kept and kept.startswith("From alice@example.test")
    assert [m["X-Token"] for m in mailbox.mbox(home / "archive")] == ["file"]
    assert [m["X-Token"] for m in mailbox.Maildir(home / "archive.d")] == ["folder"]
    assert not (home / "root").exists()
    bounces = b"".join(server.messages("alice@example.test"))
    assert b"go away" in bounces and b"5.7.0" in bounces and server.count("alice@example.test") == 2
    send(server, "later@example.test", "later")
    send(server, "hangs@example.test", "hangs")
    reasons = wait_for(lambda: (r := [q for q in queue(server) if re.search("come again|time_limit", q["last_reply"] or "")]) and len(r) == 2 and r,
                       20, "two deferrals", every=0.2)
    assert {q["recipient"] for q in reasons} == {"later@example.test", "hangs@example.test"}
    pid = int((home / "pid").read_text())
    wait_for(lambda: not os.path.exists(f"/proc/{pid}") or "zombie" in pathlib.Path(f"/proc/{pid}/status").read_text(), what="the command killed")
    # The same by an import of what Postfix had; what nobody is named for is told of.
    listed = home / "listed"
    listed.write_text("bob@example.test\n# nobody\nalice\n")
    aliases = home / "aliases"
    aliases.write_text(f'archive: "{home}/archive"\nother: "|/bin/true"\nstaff: :include:{listed}\n')
    done = server.cli("import", "aliases", str(aliases), "--domain", "example.test", check=False)
    assert "local.targets" in done.stderr and "|/bin/true" in done.stderr and done.returncode == 1
    have = server.cli("alias", "list").stdout
    assert re.search(r"archive@example.test\s+local:file", have) and re.search(r"staff@example.test\s+alice@example.test", have)
    assert "other@" not in have


def test_many_at_one_mbox(make_server, users):
    """Deliveries and a mail reader that locks as mutt does; nothing lost, nothing torn."""
    home = users("phmary")
    server = start(make_server, USERS + "  mailbox: ~/mbox\n")
    send(server, "phmary@example.test", "t", count=40)
    seen = set()
    deadline = time.monotonic() + 30
    while len(seen) < 40 and time.monotonic() < deadline:
        if not (home / "mbox").exists():
            continue
        box = mailbox.mbox(home / "mbox")
        try:
            box.lock()
        except mailbox.ExternalClashError:
            time.sleep(0.01)
            continue
        for message in box:
            assert message["X-Token"] not in seen
            seen.add(message["X-Token"])
        os.truncate(home / "mbox", 0)
        box.unlock()
        box.close()
    assert seen == {f"t{i}" for i in range(40)}
    drained(server)


@pytest.mark.parametrize("command", ["/usr/bin/procmail", "/usr/bin/maildrop -d $USER"])
def test_mailbox_command(make_server, users, command):
    home = users("phpaul")
    if "procmail" in command:
        write_as("phpaul", home / ".procmailrc", "MAILDIR=$HOME\n:0\n* ^X-Token: sorted\nsorted/\n:0:\nrest\n")
    else:
        write_as("phpaul", home / ".mailfilter", 'if (/^X-Token: sorted/)\n{\n  to "$HOME/sorted"\n}\nto "$HOME/rest"\n')
        subprocess.run(["runuser", "-u", "phpaul", "--", "maildirmake.maildrop", str(home / "sorted")], check=True)
    server = start(make_server, USERS + f"  mailbox_command: {command}\n")
    send(server, "phpaul@example.test", "sorted")
    send(server, "phpaul@example.test", "other")
    drained(server)
    assert [m["X-Token"] for m in mailbox.Maildir(home / "sorted")] == ["sorted"]
    # maildrop takes the envelope line for one of the letter's, and quotes it.
    assert (home / "rest").read_text().count("\nX-Token: other\n") == 1
    assert (home / "rest").stat().st_uid == pwd.getpwnam("phpaul").pw_uid


def test_same_environment_as_postfix(make_server, users, folder):
    """A command can't tell whose it is: the variables, the powers, the umask, the letter's first lines."""
    home = users("phenv")
    command = f"env > {home}/env; id > {home}/id; umask > {home}/umask; head -n 4 > {home}/head; mv {home}/head {home}/letter"

    def result():
        wait_for(lambda: (home / "letter").exists(), what="the command's work")
        environment = dict(line.split("=", 1) for line in (home / "env").read_text().splitlines())
        letter_ = re.sub(r"  \w.*", "", (home / "letter").read_text(), count=1)  # the date
        out = environment, (home / "id").read_text(), (home / "umask").read_text(), letter_.splitlines()
        (home / "letter").unlink()
        return out
    sender, to = "o'neil`x`@remote.test", "phenv+x$y@same.test"
    peer = Postfix(folder)
    config = peer.dir / "etc/main.cf"
    config.write_text(config.read_text().replace("mydestination = ", "mydestination = same.test") +
                      f"recipient_delimiter = +\nmailbox_command = {command}\nalias_maps =\nlocal_recipient_maps =\n")
    peer.start()
    try:
        peer.send(b"Subject: x\n\nx\n", sender, to)
        environment, identity, umask, first = result()
    finally:
        peer.stop()
    server = start(make_server, f"local:\n  domains: [same.test]\n  mailbox_command: \"{command}\"\n")
    send(server, to, "same", sender=sender)
    ours = result()
    without = {"MAIL_CONFIG", "LANG", "PWD", "PATH", "OLDPWD", "_"}
    assert {k: v for k, v in ours[0].items() if k not in without} == {k: v for k, v in environment.items() if k not in without}
    assert ours[1:3] == (identity, umask)
    assert ours[3][:2] == first[:2] and set(first[2:]) - {f"X-Original-To: {to}"} <= set(ours[3])


def test_bounces_and_a_role_that_dies(make_server, users):
    """A Unix user is told what became of mail; a role that isn't there only makes mail wait."""
    home = users("phsue")
    server = start(make_server, USERS)
    write_as("phsue", home / ".forward", "\\phsue, nobody-there@example.test\n")
    send(server, "phsue@example.test", "lost", sender="phsue+x@example.test")
    wait_for(lambda: len(maildir(home)) == 2, what="the letter and the bounce")
    bounce, = [m for m in mailbox.Maildir(home / "Maildir") if m["Return-Path"] == "<>"]
    text = bounce.as_string()
    assert bounce["Delivered-To"] == "phsue+x@example.test" and "nobody-there@example.test" in text and "5.1.1" in text
    os.unlink(home / ".forward")
    os.kill(server.roles()["local"], signal.SIGKILL)
    send(server, "phsue@example.test", "later")
    wait_for(lambda: len(maildir(home)) == 3, 30, what="the letter after a restart of the role")


def test_spool_and_disk_full(make_server, users, folder):
    """/var/mail's way: a folder of group mail; a full disk defers and leaves no piece of a message."""
    users("phrita")
    spool = folder / "spool"
    spool.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=2775", "tmpfs", str(spool)], check=True)
    try:
        shutil.chown(spool, "root", "mail")
        spool.chmod(0o2775)
        server = start(make_server, USERS + f"  mailbox: {spool}/%u\n")
        send(server, "phrita@example.test", "small")
        wait_for(lambda: (spool / "phrita").exists() and (spool / "phrita").stat().st_size, what="the mbox")
        found = (spool / "phrita").stat()
        assert (found.st_uid, found.st_mode & 0o777) == (pwd.getpwnam("phrita").pw_uid, 0o660)
        size = found.st_size
        send(server, "phrita@example.test", "large", body="x" * 900 + "\r\n" + ("y" * 900 + "\r\n") * 100)
        wait_for(lambda: any("No space" in (q["last_reply"] or "") for q in queue(server)), what="a deferral", every=0.1)
        assert (spool / "phrita").stat().st_size == size
        subprocess.run(["mount", "-o", "remount,size=1m", str(spool)], check=True)
        server.cli("queue", "retry", "--all")
        drained(server)
        assert [m["X-Token"] for m in mailbox.mbox(spool / "phrita")] == ["small", "large"]
        assert not list(spool.glob("*.lock"))
        # Another's file, and one with two names, are left alone.
        (spool / "phrita").rename(spool / "mine")
        os.link(spool / "mine", spool / "phrita")
        size = (spool / "mine").stat().st_size
        send(server, "phrita@example.test", "linked")
        wait_for(lambda: any("not permitted" in (q["last_reply"] or "") for q in queue(server)), what="a refusal", every=0.1)
        assert (spool / "mine").stat().st_size == size
    finally:
        subprocess.run(["umount", "-l", str(spool)], check=True)


def test_killed_while_it_delivers(make_server, users):
    """kill -9 of everything, again and again: each message is in the Maildir once."""
    home = users("phtom")
    server = start(make_server, USERS)
    for round_ in range(3):
        send(server, "phtom@example.test", f"r{round_}-", count=15)
        wait_for(lambda: len(maildir(home)) > round_ * 15 + 3, what="some of them")
        server.kill_tree()
        server.start()
    wait_for(lambda: len(maildir(home)) >= 45, 30, "all of them", every=0.1)
    drained(server)
    tokens = [m["X-Token"] for m in mailbox.Maildir(home / "Maildir")]
    assert sorted(tokens) == sorted(f"r{r}-{i}" for r in range(3) for i in range(15))
    assert not list((home / "Maildir/tmp").glob("*"))


def test_what_the_role_keeps(make_server, users, server):
    """It is there only where a setting wants it, and then holds three powers and no more."""
    assert "local" not in server.roles()
    assert server.cli("alias", "add", "x@example.test", "local:keep", check=False).returncode != 0
    smtp = server.smtp()
    smtp.mail("sender@remote.test")
    users("phzoe")
    assert smtp.rcpt("phzoe@example.test")[0] == 550
    smtp.quit()
    other = start(make_server, USERS)
    status = pathlib.Path(f"/proc/{other.roles()['local']}/status").read_text()
    kept = {name: int(value, 16) for name, value in re.findall(r"^(Cap\w+):\s+(\w+)$", status, re.M)}
    three = 1 << 5 | 1 << 6 | 1 << 7  # CAP_KILL, CAP_SETGID, CAP_SETUID
    assert (kept["CapEff"], kept["CapPrm"], kept["CapInh"]) == (three, three, 0) and kept["CapBnd"] & ~three == 0
    assert "NoNewPrivs:\t1" in status
