"""Moving in and out: from a real Dovecot by IMAP and from its Maildir, mbox files, and back; interrupted, run again, and with clients
that must find nothing changed."""
import imaplib
import json
import mailbox
import os
import poplib
import re
import shutil
import signal
import smtplib
import socketserver
import subprocess
import tempfile
import threading
import time

import harness
import pytest
from harness import letter, tokens_in, wait_for

ALICE = "alice@example.test"
BOB = "bob@example.test"
DOVECOT = shutil.which("dovecot", path="/usr/sbin:/usr/bin")

needs_dovecot = pytest.mark.skipif(not DOVECOT, reason="Dovecot is not installed")


class Dovecot:
    """A private Dovecot with one password for everybody; mail in FOLDER/mail/USER/Maildir."""

    def __init__(self, folder):
        self.folder = folder
        # Short: a socket's path has 108 bytes at most, and a test's folder with a long name takes most of them.
        self.run = tempfile.mkdtemp(prefix="dovecot-", dir="/tmp")
        os.chmod(self.run, 0o755)
        self.port, self.tls_port, self.pop3_port = harness.free_port(), harness.free_port(), harness.free_port()
        user = "nobody" if harness.IS_ROOT else str(os.geteuid())
        group = "nogroup" if harness.IS_ROOT else str(os.getegid())
        login = "dovenull" if harness.IS_ROOT else user
        (folder / "mail").mkdir(parents=True)
        if harness.IS_ROOT:
            shutil.chown(folder / "mail", user, group)
        for name in ("key.pem", "cert.pem"):
            (folder / name).touch()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key.pem"),
                        "-out", str(folder / "cert.pem")], check=True, capture_output=True)
        self.config = folder / "dovecot.conf"
        self.config.write_text(f"""
base_dir = {self.run}
state_dir = {self.run}
log_path = {folder}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%n/Maildir
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = {"dovecot" if harness.IS_ROOT else user}
default_login_user = {login}
passdb {{
 driver = static
 args = password=secret
}}
userdb {{
 driver = static
 args = uid={user} gid={group} home={folder}/mail/%n allow_all_users=yes
}}
service imap-login {{
 inet_listener imap {{
  port = {self.port}
 }}
 inet_listener imaps {{
  port = {self.tls_port}
  ssl = yes
 }}
}}
service pop3-login {{
 inet_listener pop3 {{
  port = {self.pop3_port}
 }}
 inet_listener pop3s {{
  port = 0
 }}
}}
namespace inbox {{
 inbox = yes
 separator = .
 mailbox Gesendet {{
  special_use = \\Sent
  auto = create
 }}
}}
""")
        # Not into pipes: its children would keep them open.
        subprocess.run([DOVECOT, "-c", str(self.config)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: harness.port_is_open(self.tls_port), what="Dovecot")

    def imap(self, user):
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        client.login(user, "secret")
        return client

    def maildir(self, user):
        return self.folder / "mail" / user / "Maildir"

    def stop(self):
        subprocess.run([DOVECOT, "-c", str(self.config), "stop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.run, ignore_errors=True)


@pytest.fixture
def dovecot(folder):
    peer = Dovecot(folder / "dovecot")
    yield peer
    peer.stop()


def append(client, name, token, flags="", at="24-Nov-2026 15:00:00 +0000", body="Hello\r\n"):
    assert client.append(name, flags, f'"{at}"', letter(token, body=body))[0] == "OK"


def fill(dovecot, user="alice", count=60):
    """Mailboxes, flags, keywords, dates, gaps in the uids."""
    client = dovecot.imap(user)
    for name in ("Lists", "Lists.Caf&AOk-", "Gesendet"):
        client.create(name)
        client.subscribe(name)
    for i in range(count):
        append(client, "INBOX", f"in{i}", r"\Seen $Forwarded" if i % 3 == 0 else r"\Flagged" if i % 3 == 1 else "",
               at=f"{1 + i % 28:2}-Oct-2025 10:00:{i % 60:02} +0200")
    for i in range(5):
        append(client, '"Lists.Caf&AOk-"', f"list{i}", r"\Answered", body="A line\r\n" * 40000)
        append(client, "Gesendet", f"sent{i}", r"\Seen")
    client.select("INBOX")
    client.store("3:7", "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.close()
    return client


def contents(client, name):
    """{uid: (flags, date, bytes)} and UIDVALIDITY."""
    assert client.select(name, readonly=True)[0] == "OK", name
    validity = int(client.response("UIDVALIDITY")[1][0])
    found = {}
    for part in client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]:
        if isinstance(part, tuple):
            head, text = part
            flags = re.search(rb"FLAGS \(([^)]*)\)", head).group(1).split()
            at = time.mktime(__import__("imaplib").Internaldate2tuple(head))
            found[int(re.search(rb"UID (\d+)", head).group(1))] = (sorted(f for f in flags if f != b"\\Recent"), at, text)
    return validity, found


def names(client):
    return sorted(re.search(rb'"?([^" ]+)"?$', line).group(1).decode() for line in client.list()[1])


def report(done):
    return json.loads(done.stdout)


def import_imap(server, dovecot, *more, user="alice", address=ALICE, **how):
    password = server.folder / "password"
    password.write_text("secret\n")
    return server.cli("import", "imap", "--host", "localhost", "--port", str(dovecot.tls_port), "--ca-file", str(dovecot.folder / "cert.pem"),
                      "--account", address, "--user", user, "--password-file", str(password), "--json", *more, **how)


def check_same(server, dovecot, user="alice", address=ALICE):
    there, here = dovecot.imap(user), server.imap(address)
    for name, ours in (("INBOX", "INBOX"), ('"Lists.Caf&AOk-"', '"Lists/Caf&AOk-"'), ("Gesendet", "Sent")):
        assert contents(there, name) == contents(here, ours), name
    there.logout()
    here.logout()


def mbsync_config(folder, port, certificate, user, password):
    """Two servers that look the same to it: only the port and the log-in differ."""
    (folder / "local").mkdir(exist_ok=True)
    config = folder / "mbsyncrc"
    config.write_text(f"""
IMAPAccount it
Host localhost
Port {port}
User {user}
Pass {password}
SSLType IMAPS
CertificateFile {certificate}

IMAPStore far
Account it

MaildirStore near
Path {folder}/local/
Inbox {folder}/local/INBOX

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync All
Expunge Both
SyncState *
""")
    return config


def mbsync(config):
    done = subprocess.run(["mbsync", "-c", str(config), "-a"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def local_files(folder):
    return sorted((str(p.relative_to(folder)), p.stat().st_ino) for p in (folder / "local").rglob("*") if p.is_file() and p.parent.name in ("cur", "new"))


@needs_dovecot
def test_from_a_running_dovecot(any_server, dovecot):
    server = any_server
    fill(dovecot).logout()
    done = report(import_imap(server, dovecot))
    assert (done["added"], done["already_here"], done["skipped"]) == (65, 0, 0)
    check_same(server, dovecot)
    here = server.imap(ALICE)
    assert b"Lists/Caf&AOk-" in b" ".join(here.lsub()[1])
    # Nothing twice; what is new comes; flags follow, in both directions and without those that were set here.
    assert report(import_imap(server, dovecot))["added"] == 0
    there = dovecot.imap("alice")
    append(there, "INBOX", "late", r"\Draft")
    there.select("INBOX")
    there.uid("STORE", "1", "-FLAGS", r"(\Seen)")
    there.uid("STORE", "2", "+FLAGS", r"(\Answered)")
    there.uid("STORE", "9", "+FLAGS", r"(\Deleted)")
    there.expunge()
    here.select("INBOX")
    here.uid("STORE", "2", "+FLAGS", r"(\Draft)")
    done = report(import_imap(server, dovecot))
    assert (done["added"], done["flags_changed"], done["removed"]) == (1, 2, 0)
    here.select("INBOX")
    _, found = contents(here, "INBOX")
    assert found[2][0] == [b"\\Answered", b"\\Draft", b"\\Flagged"] and b"\\Seen" not in found[1][0]
    assert 9 in found
    assert report(import_imap(server, dovecot, "--delete"))["removed"] == 1
    _, found = contents(here, "INBOX")
    assert 9 not in found
    # What was expunged here is not brought again.
    here.select("INBOX")
    here.uid("STORE", "10", "+FLAGS", r"(\Deleted)")
    here.expunge()
    assert report(import_imap(server, dovecot))["added"] == 0
    assert server.cli("check").stdout.strip() == "the store is sound"


def unique_ids(port, user, password):
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    client.user(user)
    client.pass_(password)
    found = client.uidl()[1]
    client.quit()
    return found


@needs_dovecot
def test_clients_download_nothing_again(server, dovecot, folder):
    """mbsync with Dovecot, then with Posthorn under the same configuration but for the port and the log-in."""
    fill(dovecot).logout()
    mbsync(mbsync_config(folder, dovecot.tls_port, dovecot.folder / "cert.pem", "alice", "secret"))
    before = local_files(folder)
    assert len(before) == 55
    import_imap(server, dovecot)
    config = mbsync_config(folder, server.ports["imaps"], server.certificate(), ALICE, server.passwords[ALICE])
    config.write_text(config.read_text().replace("Host localhost", "Host 127.0.0.1"))
    mbsync(config)
    assert local_files(folder) == before
    assert unique_ids(dovecot.pop3_port, "alice", "secret") == unique_ids(server.ports["pop3"], ALICE, server.passwords[ALICE])
    # Both sides went on: neither message may be taken for the other.
    there = dovecot.imap("alice")
    append(there, "INBOX", "new-there")
    there.logout()
    client = server.smtp("smtp")
    client.sendmail("x@remote.test", [ALICE], letter("new-here", ALICE))
    client.quit()
    mbsync(config)
    assert report(import_imap(server, dovecot))["added"] == 1
    mbsync(config)
    files = [p.read_bytes().replace(b"\n", b"\r\n") for p in (folder / "local/INBOX").rglob("*") if p.parent.name in ("cur", "new")]
    assert sorted(tokens_in(files)) == sorted(tokens_in(server.messages(ALICE)))
    assert {"new-there", "new-here"} <= set(tokens_in(files)) and len(files) == 57


@needs_dovecot
def test_from_dovecots_maildir(any_server, dovecot):
    server = any_server
    fill(dovecot).logout()
    path = str(dovecot.maildir("alice"))
    done = report(server.cli("import", "maildir", path, "--account", ALICE, "--json"))
    assert done["added"] == 65 and done["skipped"] == 0
    there, here = dovecot.imap("alice"), server.imap(ALICE)
    for name, ours in (("INBOX", "INBOX"), ('"Lists.Caf&AOk-"', '"Lists/Caf&AOk-"'), ("Gesendet", "Gesendet")):
        assert contents(there, name) == contents(here, ours), name
    assert b"Lists/Caf&AOk-" in b" ".join(here.lsub()[1])
    append(there, "INBOX", "late")
    there.select("INBOX")
    there.uid("STORE", "1", "+FLAGS", r"(\Deleted $Other)")
    done = report(server.cli("import", "maildir", path, "--account", ALICE, "--json"))
    assert (done["added"], done["flags_changed"]) == (1, 1)
    assert contents(there, "INBOX") == contents(here, "INBOX")
    # Moved to another disk it is the same Maildir.
    copy = server.folder / "copy"
    shutil.copytree(path, copy)
    assert report(server.cli("import", "maildir", str(copy), "--account", ALICE, "--json"))["added"] == 0
    assert server.cli("check", ALICE).returncode == 0


@needs_dovecot
def test_out_and_in_again(any_server, dovecot, folder):
    """import(export(x)) = x, and Dovecot reads what we export as we do."""
    server = any_server
    fill(dovecot).logout()
    import_imap(server, dovecot)
    here = server.imap(ALICE)
    boxes = [b"INBOX", b'"Lists/Caf&AOk-"', b"Sent"]
    wanted = {name: contents(here, name.decode()) for name in boxes}
    for kind in ("maildir", "mbox"):
        out = folder / kind
        assert report(server.cli("export", kind, str(out), "--account", ALICE, "--json"))["messages"] == 65
        assert server.cli("export", kind, str(out), "--account", ALICE, check=False).returncode == 1, "not over something"
        address = f"{kind}@example.test"
        server.cli("account", "add", address, "--password-stdin", input="secret\n")
        server.cli("import", kind, str(out), "--account", address)
        again = server.imap(address)
        for name in boxes:
            assert contents(again, name.decode()) == wanted[name], (kind, name)
        again.logout()
    assert len(mailbox.mbox(folder / "mbox/INBOX")) == 55
    target = dovecot.maildir("back")
    shutil.copytree(folder / "maildir", target)
    if harness.IS_ROOT:
        subprocess.run(["chown", "-R", "nobody:nogroup", str(target.parent)], check=True)
    there = dovecot.imap("back")
    assert contents(there, "INBOX") == wanted[b"INBOX"]
    assert contents(there, '"Lists.Caf&AOk-"') == wanted[b'"Lists/Caf&AOk-"']
    here.logout()


def write_maildir(path, count):
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    for i in range(count):
        (path / "cur" / f"{1700000000 + i}.M{i}.host:2,S").write_bytes(letter(f"t{i}", body="Text\r\n" * 200))
    (path / "dovecot-uidlist").write_text(f"3 V77 N{count + 1} G1\n" + "".join(f"{i + 1} :{1700000000 + i}.M{i}.host\n" for i in range(count)))


def test_killed_in_the_middle(any_server, folder):
    """kill -9 again and again; at the end everything is there once, under its uid."""
    server = any_server
    count = 6000
    write_maildir(folder / "Maildir", count)
    command = [str(harness.POSTHORN), "import", "maildir", str(folder / "Maildir"), "--account", ALICE, "--config", str(server.config)]
    rounds = 0
    for after in (600, 1500, 3000):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: process.poll() is not None or server.count(ALICE) >= after, 60, "messages", 0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            rounds += 1
        process.wait()
    assert rounds >= 2 and 600 <= server.count(ALICE) < count
    server.cli("import", "maildir", str(folder / "Maildir"), "--account", ALICE)
    client = server.imap(ALICE)
    validity, found = contents(client, "INBOX")
    assert validity == 77 and sorted(found) == list(range(1, count + 1))
    assert tokens_in([found[uid][2] for uid in sorted(found)]) == [f"t{i}" for i in range(count)]
    assert server.cli("check").returncode == 0


@needs_dovecot
def test_many_accounts(server, dovecot):
    for user in ("alice", "bob"):
        client = dovecot.imap(user)
        append(client, "INBOX", f"for-{user}")
        client.create("Trash")
        append(client, "Trash", "rubbish")
        client.logout()
    batch = server.folder / "batch.csv"
    batch.write_text(f"address,user,password\n{ALICE},alice,secret\n{BOB},bob,wrong\nnobody@example.test,x,secret\n{BOB},bob,secret\n")
    done = server.cli("import", "imap", "--host", "localhost", "--port", str(dovecot.port), "--tls", "starttls", "--any-certificate",
                      "--batch", str(batch), "--exclude", "Tr%", check=False)
    assert done.returncode == 1
    assert "2 of 4 accounts imported" in done.stderr and "log-in refused" in done.stderr
    assert tokens_in(server.messages(ALICE)) == ["for-alice"] and tokens_in(server.messages(BOB)) == ["for-bob"]
    assert server.count(ALICE, "Trash") == 0
    done = import_imap(server, dovecot, "--ca-file", str(server.certificate()), check=False)
    assert done.returncode != 0, "a certificate that nobody vouches for"


class ManyMailboxes(socketserver.StreamRequestHandler):
    """An IMAP server with LEVELS mere levels and, behind them all, an empty mailbox."""

    LEVELS = 12000

    def handle(self):
        self.wfile.write(b"* OK here\r\n")
        for line in self.rfile:
            tag, command = line.split(None, 1)
            self.wfile.write(self.answer(command.upper()) + tag + b" OK done\r\n")

    def answer(self, command):
        if command.startswith(b"CAPABILITY"):
            return b"* CAPABILITY IMAP4rev1\r\n"
        if command.startswith(b"LIST"):
            levels = b"".join(b'* LIST (\\Noselect) "/" "Level %d"\r\n' % i for i in range(self.LEVELS))
            return levels + b'* LIST () "/" "Last"\r\n'
        if command.startswith(b"LSUB"):
            return b'* LSUB () "/" "Last"\r\n'
        if command.startswith(b"EXAMINE"):
            return b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] here\r\n* OK [UIDNEXT 3] here\r\n"
        return b"* BYE\r\n" if command.startswith(b"LOGOUT") else b""


def test_from_a_server_with_many_mailboxes(server):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), ManyMailboxes) as there:
        threading.Thread(target=there.serve_forever).start()
        try:
            done = server.cli("import", "imap", "--host", "127.0.0.1", "--port", str(there.server_address[1]), "--tls", "none",
                              "--account", ALICE, "--user", "alice", "--password-stdin", "--json", input="secret\n")
        finally:
            there.shutdown()
    assert report(done)["mailboxes"] == 1, done
    client = server.imap(ALICE)
    assert "Last" in [re.search(r'"?([^" ]+)"?$', line.decode()).group(1) for line in client.lsub()[1]]
    client.logout()


def test_what_was_deleted_comes_back(any_server):
    server = any_server
    client = server.imap(ALICE)
    client.create("Work")
    for i in range(3):
        append(client, "INBOX", f"m{i}")
        append(client, "Work", f"w{i}")
    client.select("INBOX")
    client.store("2", "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.delete("Work")
    rows = report(server.cli("message", "list", ALICE, "--deleted", "--json"))
    assert sorted(row["mailbox"] for row in rows) == ["INBOX", "Work", "Work", "Work"]
    assert report(server.cli("account", "list", "--json"))[0]["messages"] == 2, "no quota is used"
    server.cli("message", "undelete", ALICE, "2")
    server.cli("mailbox", "undelete", ALICE, "Work")
    client.noop()
    assert sorted(tokens_in(server.messages(ALICE))) == ["m0", "m1", "m2"]
    assert sorted(tokens_in(server.messages(ALICE, "Work"))) == ["w0", "w1", "w2"]
    assert server.cli("message", "undelete", ALICE, "2", check=False).returncode == 1
    text = server.cli("message", "show", ALICE, "4").stdout
    assert "X-Token: m1" in text
    server.cli("mailbox", "create", ALICE, "A/B")
    server.cli("mailbox", "rename", ALICE, "A", "C")
    assert {"C", "C/B", "Work"} <= {row["name"] for row in report(server.cli("mailbox", "list", ALICE, "--json"))}
    server.cli("mailbox", "remove", ALICE, "C/B")
    assert server.cli("check").returncode == 0


def test_messages_by_command(any_server):
    """Added, found, moved, flagged and removed, while a mail program is logged in."""
    server = any_server
    client = server.imap(ALICE)
    for i in range(6):
        server.cli("message", "add", ALICE, "--set", r"\Flagged" if i == 5 else "Work", input=letter(f"m{i}", extra=f"Subject: ü{i}\r\n").decode())
    client.select("INBOX")
    assert client.search(None, "KEYWORD", "Work")[1] == [b"1 2 3 4 5"]
    assert [row["uid"] for row in report(server.cli("message", "list", ALICE, "--search", 'SUBJECT "ü3"', "--json"))] == [4]
    assert [row["uid"] for row in report(server.cli("message", "list", ALICE, "--search", "NOT FLAGGED", "--max", "2", "--json"))] == [4, 5]
    assert "2 messages moved" in server.cli("message", "move", ALICE, "1", "3", "--to", "Archive").stdout
    assert "1 message copied" in server.cli("message", "copy", ALICE, "--mailbox", "Archive", "--search", "HEADER X-Token m2", "--to", "INBOX").stdout
    server.cli("message", "flag", ALICE, "--search", "FLAGGED", "--set", r"\Seen Kept", "--clear", r"\Flagged")
    server.cli("message", "remove", ALICE, "4:5")
    client.noop()
    assert client.response("EXPUNGE")[1], "a session hears of it"
    assert sorted(tokens_in(server.messages(ALICE))) == ["m1", "m2", "m5"]
    assert sorted(tokens_in(server.messages(ALICE, "Archive"))) == ["m0", "m2"]
    assert client.search(None, "KEYWORD", "Kept", "SEEN", "UNFLAGGED")[1] == [b"2"]
    for wrong, why in ((["--search", "FROB x"], "search key"), (["--search", "SEEN\r\na LOGOUT"], "line ends"), (["1", "--all"], "either"), (["x"], "no uid"),
                       (["9999:*"], "no uid"), (["--search", "SUBJECT {5}"], "SEARCH's keys"), (["--search", "SUBJECT {5+}"], "SEARCH's keys")):
        done = server.cli("message", "remove", ALICE, *wrong, check=False)
        assert done.returncode != 0 and why in done.stderr, done.stderr
    assert server.cli("message", "move", ALICE, "--all", "--to", "No such", check=False).returncode == 1
    assert server.cli("message", "add", ALICE, input="", check=False).returncode == 1
    assert len(report(server.cli("message", "list", ALICE, "--json"))) == 3
    assert server.cli("check").returncode == 0


def test_session_without_a_log_in(make_server, folder):
    """Python's imaplib and mbsync start `posthorn imap` by themselves."""
    server = make_server()
    command = f"{harness.POSTHORN} imap {ALICE} --config {server.config}"
    client = imaplib.IMAP4_stream(command)
    assert client.state == "AUTH"
    append(client, "INBOX", "t0")
    assert "UNAUTHENTICATE" not in client.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="no log-in here"):
        client.xatom("UNAUTHENTICATE")
    other = server.imap(ALICE)
    append(other, "INBOX", "t1")
    client.select("INBOX")
    assert client.search(None, "ALL")[1] == [b"1 2"]
    client.logout()
    config = folder / "mbsyncrc"
    (folder / "local").mkdir()
    config.write_text(f"IMAPStore far\nTunnel \"{command}\"\n\nMaildirStore near\nPath {folder}/local/\nInbox {folder}/local/INBOX\n\n"
                      "Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState *\n")
    done = subprocess.run(["mbsync", "-c", str(config), "-a"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((folder / "local/INBOX").glob("*/*,U=*"))) == 2


def test_much_both_ways_without_a_log_in(make_server):
    """A tunnel's client sends much while it is sent much."""
    server = make_server()
    big = letter("big", body="0123456789\r\n" * 100000)
    append(server.imap(ALICE), "INBOX", "m0")
    for _ in range(3):
        server.cli("message", "add", ALICE, input=big.decode())
    process = subprocess.Popen([str(harness.POSTHORN), "imap", ALICE, "--config", str(server.config)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    sent = b"a SELECT INBOX\r\n" + b"".join(b"b UID FETCH 1:4 BODY.PEEK[]\r\nc APPEND INBOX {%d+}\r\n%s\r\n" % (len(big), big) for _ in range(3)) + b"d LOGOUT\r\n"
    got, _ = process.communicate(sent, timeout=100)
    assert process.returncode == 0
    assert got.count(b"\r\nb OK") == 3 and got.count(b"\r\nc OK") == 3 and got.endswith(b"completed\r\n") and len(got) > 9 * len(big)


def is_over(command):
    """The server is told of ended sessions a moment later."""
    try:
        command()
    except (imaplib.IMAP4.abort, smtplib.SMTPException, OSError):
        return True
    return False


def test_who_is_logged_in(make_server):
    """Listed by account, and logged out: by command, by a new password, by being disabled; others stay."""
    server = make_server()

    def sessions(*who):
        return sorted(row["listener"] for row in report(server.cli("session", "list", *who, "--json")))
    assert sessions() == []
    alice, other = server.imap(ALICE), server.imap(BOB)
    submission = server.smtp("submission", ALICE)
    alice.select("INBOX")
    assert sessions(ALICE) == ["imap", "submission"] and sessions(BOB) == ["imap"] and len(sessions()) == 3
    assert "2 sessions" in server.cli("session", "end", ALICE.upper()).stdout
    wait_for(lambda: is_over(alice.noop) and is_over(lambda: submission.docmd("NOOP")), what="alice's connections to end")
    wait_for(lambda: sessions() == ["imap"], what="alice's sessions to go")
    assert other.noop()[0] == "OK"
    server.cli("account", "disable", BOB)
    wait_for(lambda: is_over(other.noop), what="bob's connection to end")
    alice = server.imap(ALICE)
    server.cli("account", "password", ALICE)
    wait_for(lambda: is_over(alice.noop), what="alice's new connection to end")
    wait_for(lambda: sessions() == [], what="all sessions to go")


def test_check_repairs(make_server):
    import sqlite3
    server = make_server(start=False)
    with sqlite3.connect(server.dir / "data/store/posthorn.db") as db:
        db.execute("UPDATE mailbox SET messages = 5, uid_next = 0 WHERE name = 'INBOX'")
        db.execute("UPDATE account SET used_bytes = 9 WHERE id > 0")
    db.close()
    done = server.cli("check", check=False)
    assert done.returncode == 1 and "a mailbox counts its messages" in done.stdout
    assert server.cli("check", "--all", "--repair").returncode == 0
    assert server.cli("check").stdout.strip() == "the store is sound"
