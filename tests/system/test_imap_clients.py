"""IMAP as clients that others wrote use it."""
import re
import subprocess
import threading
import time

import pytest

from harness import letter, tokens_in, wait_for

ALICE = "alice@example.test"


def fill(server, count, user=ALICE):
    client = server.smtp("smtp")
    for i in range(count):
        client.sendmail("x@remote.test", [user], letter(f"m{i}", user, body=f"Body {i}\r\n" * (1 + i % 50)))
    client.quit()


def mbsync_config(server, folder, user=ALICE):
    (folder / "local").mkdir(exist_ok=True)
    config = folder / "mbsyncrc"
    config.write_text(f"""
IMAPAccount posthorn
Host 127.0.0.1
Port {server.ports['imaps']}
User {user}
Pass {server.passwords[user]}
SSLType IMAPS
SSLVersions TLSv1.2 TLSv1.3
CertificateFile {server.certificate()}

IMAPStore far
Account posthorn

MaildirStore near
Path {folder}/local/
Inbox {folder}/local/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")
    return config


def mbsync(config):
    done = subprocess.run(["mbsync", "-c", str(config), "-a"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.sanitize
def test_mbsync_both_ways(any_server, folder):
    """1,000 messages down; changes on both sides; then no difference."""
    server = any_server
    fill(server, 1000)
    config = mbsync_config(server, folder)
    mbsync(config)
    local = folder / "local" / "INBOX"
    files = sorted([*local.glob("cur/*"), *local.glob("new/*")], key=lambda p: int(re.search(r",U=(\d+)", p.name).group(1)))
    assert len(files) == 1000
    # on this side: flag some, delete some, add one
    for path in files[:10]:
        flags = "FS"
        path.rename(local / "cur" / (re.sub(r":2,.*$", "", path.name) + ":2," + flags))
    for path in files[10:20]:
        path.unlink()
    (local / "new" / "1.fresh.host").write_bytes(letter("fresh").replace(b"\r\n", b"\n"))
    # on the other: delete one, flag one
    imap = server.imap(ALICE)
    imap.select("INBOX")
    imap.uid("STORE", "1000", "+FLAGS", r"(\Deleted)")
    imap.expunge()
    imap.uid("STORE", "999", "+FLAGS", r"(\Flagged)")
    imap.close()
    mbsync(config)
    mbsync(config)
    messages = server.messages(ALICE)
    assert len(messages) == 1000 - 10 - 1 + 1
    assert "fresh" in tokens_in(messages)
    imap.select("INBOX", readonly=True)
    assert len(imap.uid("SEARCH", "FLAGGED")[1][0].split()) == 11
    now = sorted([*local.glob("cur/*"), *local.glob("new/*")])
    assert len(now) == 990
    assert sorted(t for t in tokens_in([p.read_bytes().replace(b"\n", b"\r\n") for p in now])) == sorted(tokens_in(messages))
    before = {p.name for p in now}
    mbsync(config)
    assert {p.name for p in [*local.glob("cur/*"), *local.glob("new/*")]} == before, "a third sync changes nothing"
    imap.logout()


def test_neomutt(server, folder):
    fill(server, 3)
    rc = folder / "muttrc"
    rc.write_text(f"""
set ssl_starttls = yes
set ssl_force_tls = no
set imap_user = "{ALICE}"
set imap_pass = "{server.passwords[ALICE]}"
set folder = "imap://127.0.0.1:{server.ports['imap']}/"
set spoolfile = "+INBOX"
set record = "+Sent"
set header_cache = ""
set ssl_verify_host = no
set ssl_verify_dates = no
set certificate_file = {server.certificate()}
set smtp_url = "smtp://{ALICE}@127.0.0.1:{server.ports['submission']}/"
set smtp_pass = "{server.passwords[ALICE]}"
# left to itself it chooses SCRAM-SHA-256-PLUS, for which this one has no channel binding
set smtp_authenticators = "plain"
set from = {ALICE}
set realname = Alice
set copy = yes
set sleep_time = 0
set editor = true
set abort_unmodified = no
set abort_nosubject = no
set fast_reply = no
set autoedit = no
set edit_headers = no
set mbox_type = mbox
""")
    run_in_terminal(["neomutt", "-F", str(rc), "-n", "-e",
                     'push "<mail>bob@example.test<enter>From mutt<enter><send-message><quit>y"'], folder)
    assert b"Subject: From mutt" in server.messages("bob@example.test")[0]
    assert len(server.messages(ALICE, "Sent")) == 1, "the copy in Sent"
    # reading: save the first message to a file, delete the second, and quit
    saved = folder / "saved"
    screen = run_in_terminal(["neomutt", "-F", str(rc), "-n", "-e",
                              f'push "<first-entry><copy-message>{saved}<enter>y<next-entry><delete-message><quit>y"'], folder)
    assert server.count(ALICE) == 2, screen[-500:]
    assert b"X-Token: m0" in saved.read_bytes()


def run_in_terminal(command, home, seconds=60):
    """Runs it to its end in a terminal of its own; returns what it showed."""
    import os, pty, select, time
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, {"TERM": "xterm", "HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    shown, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break
    else:
        os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert time.monotonic() < deadline, shown[-2000:]
    return shown


def test_idle_between_sessions_and_on_delivery(server):
    idle = server.imap(ALICE)
    idle.select("INBOX")
    idle.send(b"i1 IDLE\r\n")
    assert idle.readline().startswith(b"+")
    heard = []

    def listen():
        try:
            while True:
                line = idle.readline()
                heard.append(line)
                if line.startswith(b"i1 "):
                    return
        except OSError:
            return
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    fill(server, 1)
    wait_for(lambda: any(b"1 EXISTS" in line for line in heard), 10, "EXISTS on delivery")
    other = server.imap(ALICE)
    other.select("INBOX")
    other.store("1", "+FLAGS", r"(\Flagged)")
    wait_for(lambda: any(b"FETCH" in line and b"\\Flagged" in line for line in heard), 10, "FETCH of the other session's change")
    other.store("1", "+FLAGS", r"(\Deleted)")
    other.expunge()
    wait_for(lambda: any(b"1 EXPUNGE" in line for line in heard), 10, "EXPUNGE")
    idle.send(b"DONE\r\n")
    thread.join(5)
    assert heard[-1].startswith(b"i1 OK")
    idle.logout()
    other.logout()


def test_imaplib_tour(any_server):
    server = any_server
    imap = server.imap(ALICE, tls=True)
    assert imap.create('"Work/Projects &- Co"')[0] == "OK"
    names = b"\n".join(imap.list()[1])
    assert b"Work/Projects" in names and b"\\Sent" in names and b"\\Trash" in names
    message = letter("appended", body="Grüße\r\n")
    assert imap.append("INBOX", r"(\Seen $Label1)", '"24-Nov-2026 12:00:00 +0100"', message)[0] == "OK"
    assert imap.select("INBOX")[1] == [b"1"]
    _, found = imap.fetch("1", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    text = b"".join(p if isinstance(p, bytes) else b"".join(p) for p in found)
    assert b"RFC822.SIZE %d" % len(message) in text and b"$Label1" in text and b"Subject: Letter appended" in text
    assert b'INTERNALDATE "24-Nov-2026' in text
    assert imap.search(None, "SUBJECT", "appended", "SEEN", "KEYWORD", "$Label1")[1] == [b"1"]
    assert imap.search("UTF-8", "BODY", '"Gr"')[1] == [b"1"]
    assert imap.uid("COPY", "1", "Archive")[0] == "OK"
    assert imap.uid("MOVE", "1", "Trash")[0] == "OK"
    assert server.count(ALICE) == 0 and server.count(ALICE, "Archive") == 1 and server.count(ALICE, "Trash") == 1
    assert imap.rename('"Work"', '"Office"')[0] == "OK"
    assert imap.delete('"Office/Projects &- Co"')[0] == "OK"
    assert imap.logout()[0] == "BYE"


def test_wrong_password_and_lock_out(server):
    import imaplib
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login(ALICE, "wrong")
    client.shutdown()
    server.imap(ALICE).logout()


def test_password_change_is_at_once(server):
    import imaplib
    server.imap(ALICE).logout()
    server.imap(ALICE).logout()
    old = server.passwords[ALICE]
    server.cli("account", "password", ALICE, "--password-stdin", input="another one\n")
    with pytest.raises(imaplib.IMAP4.error):
        server.imap(ALICE, old)
    server.imap(ALICE, "another one").logout()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"])
def test_scram(server, mechanism):
    """GNU SASL after STARTTLS; with -PLUS the log-in is bound to the TLS connection."""
    def log_in(password):
        return subprocess.run(["gsasl", "--imap", "--mechanism", mechanism, *([] if "PLUS" in mechanism else ["--no-cb"]), f"--x509-ca-file={server.certificate()}",
                               "--connect", f"127.0.0.1:{server.ports['imap']}", "--authentication-id", ALICE, "--password", password],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    done = log_in(server.passwords[ALICE])
    assert done.returncode == 0 and f"AUTHENTICATE {mechanism}\n" in done.stdout.replace("\r", ""), done.stdout + done.stderr
    assert log_in("wrong").returncode != 0
