"""OfflineIMAP: a Maildir and the server's mailboxes, kept the same both ways, over TLS and compressed."""
import contextlib
import re
import subprocess

import pytest

from harness import Server, letter, tokens_in, wait_for

ALICE = "alice@example.test"
BOB = "bob@example.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("offlineimap")
    for path in [folder, folder.parent, folder.parent.parent]:
        path.chmod(0o755)
    server = Server(folder).start()
    yield server
    server.stop()


class OfflineImap:
    def __init__(self, server, folder, user, more=""):
        self.home, self.mail, self.rc = folder, folder / "mail", folder / "rc"
        self.rc.write_text(f"""
[general]
accounts = posthorn
metadata = {folder}/metadata
ui = basic

[Account posthorn]
localrepository = near
remoterepository = far
utf8foldernames = yes
{more}

[Repository near]
type = Maildir
localfolders = {self.mail}
sync_deletes = yes
customflag_a = $Label1

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {server.ports['imaps']}
ssl = yes
starttls = no
sslcacertfile = {server.certificate()}
remoteuser = {user}
remotepass = {server.passwords[user]}
usecompression = yes
idlefolders = ['INBOX']
maxconnections = 2
""")

    def command(self, *more):
        return ["offlineimap", "-c", str(self.rc), *more]

    def sync(self):
        done = subprocess.run(self.command("-o"), capture_output=True, text=True, timeout=120, env={"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
        assert done.returncode == 0 and "ERROR" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done.stdout + done.stderr

    def file(self, mailbox, token):
        found = [p for p in (self.mail / mailbox).glob("*/*") if tokens_in([as_sent(p)]) == [token]]
        assert len(found) == 1, (token, found)
        return found[0]

    def rename(self, mailbox, token, flags):
        path = self.file(mailbox, token)
        path.rename(self.mail / mailbox / "cur" / (path.name.split(":2,")[0] + ":2," + flags))

    def state(self, mailbox):
        """token -> flags, of what lies here."""
        out = {}
        for path in (self.mail / mailbox).glob("*/*"):
            with contextlib.suppress(FileNotFoundError):  # it may just get another name
                out.update(dict.fromkeys(tokens_in([as_sent(path)]), flags_of(path)))
        return out


def as_sent(path):
    return re.sub(rb"\r?\n", b"\r\n", path.read_bytes())


def flags_of(path):
    return "".join(sorted(path.name.rpartition(":2,")[2]))


LETTERS = {"\\Answered": "R", "\\Flagged": "F", "\\Seen": "S", "\\Draft": "D", "\\Deleted": "T", "$Label1": "a"}


def far_state(server, user, mailbox):
    """token -> flags as a Maildir has them, of what lies on the server."""
    client = server.imap(user)
    assert client.select(f'"{mailbox}"', readonly=True)[0] == "OK", mailbox
    _, found = client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER])")
    out = {}
    for part in found:
        if isinstance(part, tuple):
            words = re.search(rb"FLAGS \(([^)]*)\)", part[0]).group(1).decode().split()
            out[tokens_in([part[1]])[0]] = "".join(sorted(LETTERS.get(w, "?") for w in words))
    client.logout()
    return out


def deliver(server, user, *tokens, body="Grüße und 日本語\r\n"):
    client = server.smtp()
    for token in tokens:
        message = letter(token, user, body=body, extra="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")
        client.sendmail("x@remote.test", [user], message, ["BODY=8BITMIME"])
    client.quit()


def change(server, mailbox, token, command, *arguments):
    client = server.imap(ALICE)
    client.select(f'"{mailbox}"')
    _, found = client.uid("SEARCH", "HEADER", "X-Token", token)
    assert client.uid(command, found[0].decode(), *arguments)[0] == "OK"
    client.expunge()
    client.logout()


def test_both_ways(server, folder):
    """Messages, flags, keywords and mailboxes; what both sides did meanwhile; and what both did to the same message."""
    names = [f"m{i}" for i in range(12)]
    deliver(server, ALICE, *names)
    client = server.imap(ALICE)
    client.create('"Projekte/Gr&APwA3w-e"')
    client.append('"Projekte/Gr&APwA3w-e"', r"(\Seen)", '"24-Nov-2026 12:00:00 +0100"', letter("filed"))
    client.logout()
    sync = OfflineImap(server, folder, ALICE)
    sync.sync()
    deep = "Projekte.Grüße"
    assert sync.state("INBOX") == dict.fromkeys(names, "") and sync.state(deep) == {"filed": "S"}
    assert sorted(as_sent(p) for p in (sync.mail / "INBOX").glob("*/*")) == sorted(server.messages(ALICE)), "byte for byte, but for the line ends"

    # on this side
    sync.rename("INBOX", "m0", "FS")
    sync.rename("INBOX", "m1", "RS")
    sync.rename("INBOX", "m2", "FRS")
    sync.file("INBOX", "m3").unlink()
    moved = sync.file("INBOX", "m4")
    moved.rename(sync.mail / deep / "cur" / (moved.name.split(",U=")[0] + ":2,S"))
    fresh = letter("fresh", body="Ärger\r\n", extra="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n")
    (sync.mail / "INBOX/new/1.fresh.host").write_bytes(fresh.replace(b"\r\n", b"\n"))
    for name in ("Neu", "Neu.Ordner"):  # without the first it stumbles over the mailbox above, which comes into being there
        for part in ("cur", "new", "tmp"):
            (sync.mail / name / part).mkdir(parents=True)
    (sync.mail / "Neu.Ordner/cur/2.noted.host:2,S").write_bytes(letter("noted").replace(b"\r\n", b"\n"))
    # on the other
    change(server, "INBOX", "m5", "STORE", "+FLAGS", r"(\Flagged $Label1)")
    change(server, "INBOX", "m6", "STORE", "+FLAGS", r"(\Deleted)")
    change(server, "INBOX", "m7", "MOVE", "Archive")
    deliver(server, ALICE, "late")
    # and both at once: flagged here and there, flagged here and gone there, gone here and flagged there, gone on both
    sync.rename("INBOX", "m8", "F")
    change(server, "INBOX", "m8", "STORE", "+FLAGS", r"(\Seen)")
    sync.rename("INBOX", "m9", "F")
    change(server, "INBOX", "m9", "STORE", "+FLAGS", r"(\Deleted)")
    sync.file("INBOX", "m10").unlink()
    change(server, "INBOX", "m10", "STORE", "+FLAGS", r"(\Answered)")
    sync.file("INBOX", "m11").unlink()
    change(server, "INBOX", "m11", "STORE", "+FLAGS", r"(\Deleted)")

    sync.sync()
    sync.sync()
    inbox = {"m0": "FS", "m1": "RS", "m2": "FRS", "m5": "Fa", "m8": "FS", "late": "", "fresh": ""}
    assert far_state(server, ALICE, "INBOX") == inbox and sync.state("INBOX") == inbox
    assert far_state(server, ALICE, "Projekte/Gr&APwA3w-e") == sync.state(deep) == {"filed": "S", "m4": "S"}
    assert far_state(server, ALICE, "Archive") == sync.state("Archive") == {"m7": ""}
    assert far_state(server, ALICE, "Neu/Ordner") == {"noted": "S"}
    [appended] = [m for m in server.messages(ALICE) if tokens_in([m]) == ["fresh"]]
    assert "Ärger".encode() in appended
    assert "Copy message" not in sync.sync(), "now there is nothing left to do"
    log = server.log_text()
    assert "name=OfflineIMAP" in log and "tls=TLSv1.3" in log


def test_idle(server, folder):
    """It waits in IDLE: what comes is here at once, though it looks by itself once an hour only. Over TLS: after STARTTLS its
    imaplib2 now and then never writes the next command."""
    sync = OfflineImap(server, folder, BOB, more="autorefresh = 60")
    deliver(server, BOB, "first")
    output = open(folder / "output", "wb")
    process = subprocess.Popen(sync.command("-d", "imap"), stdout=output, stderr=output, env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})

    def said():
        return (folder / "output").read_text(errors="replace")

    def until(condition, what):
        try:
            return wait_for(condition, 30, what)
        except TimeoutError as e:
            raise AssertionError(f"{e}:\n{said()[-4000:]}") from e

    def idles(times):
        return len(re.findall(r"writer > b'\w+ IDLE", said())) >= times
    try:
        until(lambda: idles(1), "it idles")
        assert set(sync.state("INBOX")) == {"first"}
        deliver(server, BOB, "second")
        until(lambda: "second" in sync.state("INBOX"), "what came is here")
        mark = until(lambda: idles(2) and len(said()), "it idles again")
        client = server.imap(BOB)
        client.select("INBOX")
        client.store("1", "+FLAGS", r"(\Flagged)")
        client.logout()
        until(lambda: sync.state("INBOX").get("first") == "F", "the flag is here")
        assert re.search(r"reader < b'\* 1 FETCH .*Flagged", said()[mark:]), "it was told while it idled"
        until(lambda: idles(3), "it idles again")
        sync.rename("INBOX", "second", "S")
        deliver(server, BOB, "third")
        until(lambda: far_state(server, BOB, "INBOX") == sync.state("INBOX") == {"first": "F", "second": "S", "third": ""}, "both ways")
    finally:
        process.kill()  # it looks for SIGTERM every ten seconds only
        process.wait()
        output.close()
    assert "COMPRESS DEFLATE" in said() and "Compressed from here on" in said()
    assert not re.search(r"reader < b'\w+ (BAD|NO) ", said()), "it asked for nothing that was refused"
