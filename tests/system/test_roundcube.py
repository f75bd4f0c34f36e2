"""Roundcube as Debian has it, in PHP's own web server, driven as a browser does it: what it shows, and what the server has then."""
import email
import html.parser
import http.cookiejar
import json
import re
import signal
import sqlite3
import subprocess
import urllib.parse
import urllib.request
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from harness import Server, free_port, port_is_open, wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"
HOME = "/var/lib/roundcube"


class Roundcube:
    """The web server, with a configuration and a database of its own."""

    def __init__(self, folder, server):
        self.folder, self.port = folder, free_port()
        for name in ("config", "logs", "temp", "sessions"):
            (folder / name).mkdir(parents=True)
        for name in ("defaults.inc.php", "mimetypes.php"):
            (folder / "config" / name).symlink_to(f"{HOME}/config/{name}")
        with sqlite3.connect(folder / "roundcube.db") as db:
            db.executescript(open(f"{HOME}/SQL/sqlite.initial.sql").read())
        trust = f"['ssl' => ['verify_peer' => true, 'verify_peer_name' => true, 'cafile' => '{server.certificate()}']]"
        (folder / "config/config.inc.php").write_text(f"""<?php
$config = [
    'db_dsnw' => 'sqlite:///{folder}/roundcube.db?mode=0600',
    'imap_host' => 'ssl://localhost:{server.ports['imaps']}',
    'imap_conn_options' => {trust},
    'smtp_host' => 'tls://localhost:{server.ports['submission']}',
    'smtp_conn_options' => {trust},
    'smtp_user' => '%u', 'smtp_pass' => '%p',
    'imap_cache' => 'db', 'messages_cache' => true, 'messages_cache_threshold' => 500,
    'imap_debug' => true, 'smtp_debug' => true, 'log_driver' => 'file', 'log_dir' => '{folder}/logs', 'temp_dir' => '{folder}/temp',
    'des_key' => '0123456789abcdef01234567', 'plugins' => ['acl', 'archive', 'markasjunk'], 'skin' => 'elastic', 'enable_spellcheck' => false,
];
""")

    def start(self):
        self.process = subprocess.Popen(["php", "-d", f"session.save_path={self.folder}/sessions", "-S", f"127.0.0.1:{self.port}", "-t", HOME], cwd=HOME,
                                        stdout=open(self.folder / "php.log", "wb"), stderr=subprocess.STDOUT,
                                        env={"PATH": "/usr/bin:/bin", "ROUNDCUBE_CONFIG_DIR": str(self.folder / "config"), "LC_ALL": "C.UTF-8"})
        wait_for(lambda: port_is_open(self.port), 20, "PHP's web server")
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def imap_log(self):
        path = self.folder / "logs/imap.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def errors(self):
        path = self.folder / "logs/errors.log"
        return path.read_text(errors="replace") if path.exists() else ""


class Form(html.parser.HTMLParser):
    """The fields of a page's form, as a browser would send them."""

    def __init__(self, text, name):
        super().__init__()
        self.name, self.inside, self.fields, self.select, self.area = name, False, {}, None, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "form":
            self.inside = a.get("name") == self.name or a.get("id") == self.name
        if not self.inside or "name" not in a and tag != "option":
            return
        if tag == "input" and (a.get("type") not in ("checkbox", "radio", "submit") or "checked" in a) or tag == "textarea":
            self.fields[a["name"]] = a.get("value") or ""
            self.area = a["name"] if tag == "textarea" else None
        elif tag == "select":
            self.select = a["name"]
            self.fields[self.select] = None
        elif tag == "option" and self.select and (self.fields[self.select] is None or "selected" in a):
            self.fields[self.select] = a.get("value") or ""

    def handle_data(self, text):
        if self.area:
            self.fields[self.area] += text

    def handle_endtag(self, tag):
        self.area = None
        if tag == "select":
            self.select = None
        elif tag == "form":
            self.inside = False


class Browser:
    def __init__(self, roundcube, user, password):
        self.base = f"http://127.0.0.1:{roundcube.port}/"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        form = Form(self.page("_task=login"), "login-form").fields
        self.start = self.post("_task=login", {**form, "_user": user, "_pass": password})
        self.token = self.env(self.start)["request_token"]

    def page(self, query, data=None, headers=None):
        request = urllib.request.Request(f"{self.base}?{query}", data, headers or {})
        with self.opener.open(request, timeout=60) as answer:
            return answer.read().decode()

    def post(self, query, fields):
        return self.page(query, urllib.parse.urlencode(fields, doseq=True).encode())

    @staticmethod
    def env(page):
        """What the page tells its script."""
        out = {}
        for found in re.findall(r"rcmail\.set_env\((\{.*\})\);", page):
            out.update(json.loads(found))
        return out

    def ajax(self, task, action, data=None, **query):
        query = urllib.parse.urlencode({"_task": task, "_action": action, "_remote": 1, "_unlock": 0, **query}, doseq=True)
        body = urllib.parse.urlencode({**data, "_token": self.token, "_remote": 1}, doseq=True).encode() if data is not None else None
        answer = json.loads(self.page(query, body, {"X-Roundcube-Request": self.token, "X-Requested-With": "XMLHttpRequest"}))
        assert "'error'" not in answer["exec"] and '"error"' not in answer["exec"], answer["exec"]
        return answer

    def mail(self, action, mailbox, **fields):
        return self.ajax("mail", action, {"_mbox": mailbox, **fields})

    def rows(self, mailbox, action="list", **query):
        """uid -> (columns, flags) as the list shows them."""
        answer = self.ajax("mail", action, _mbox=mailbox, **query)
        rows = re.findall(r'add_message_row\("?([^",]+)"?,(\{.*?\}),(\{.*?\}|\[\]),(?:true|false)\);', answer["exec"])
        return {int(uid) if uid.isdigit() else uid: (json.loads(columns), json.loads(flags)) for uid, columns, flags in rows}

    def subjects(self, *args, **query):
        return [columns["subject"] for columns, _ in self.rows(*args, **query).values()]

    def search(self, mailbox, words, headers="subject,from", scope="base"):
        return sorted(self.subjects(mailbox, "search", _q=words, _headers=headers, _scope=scope, _filter="ALL"))

    def download(self, mailbox, uid, part):
        with self.opener.open(f"{self.base}?_task=mail&_action=get&_mbox={mailbox}&_uid={uid}&_part={part}&_download=1&_token={self.token}", timeout=60) as answer:
            return answer.read()

    def compose(self, query="", attachment=None, draft=False, **fields):
        page = self.page(f"_task=mail&_action=compose&{query}")
        form = Form(page, "form").fields
        if attachment:
            name, data = attachment
            body = (f'--xyz\r\nContent-Disposition: form-data; name="_attachments[]"; filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n').encode() + data + b"\r\n--xyz--\r\n"
            answer = self.page(f"_task=mail&_action=upload&_id={form['_id']}&_uploadid=1&_remote=1&_unlock=0&_from=compose", body,
                               {"Content-Type": "multipart/form-data; boundary=xyz", "X-Roundcube-Request": self.token})
            form["_attachments"] = re.search(r"rcmfile(\w+)", answer).group(1)
        form.update({"_draft": "1" if draft else "", **fields})
        answer = self.post("_task=mail&_action=send&_unlock=0&_framed=1", form)
        assert ("set_draft_id" if draft else "sent_successfully") in answer, answer

    def folder(self, name, parent="", old=""):
        page = self.page("_task=settings&_framed=1&_action=" + (f"edit-folder&_mbox={urllib.parse.quote(old)}" if old else "folder-create"))
        answer = self.post("_task=settings", {**Form(page, "form").fields, "_name": name, "_parent": parent})
        assert "successfully" in answer, answer


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("roundcube")
    for path in [folder, folder.parent, folder.parent.parent]:
        path.chmod(0o755)
    server = Server(folder).start()
    roundcube = Roundcube(folder / "web", server)
    try:
        yield server, roundcube.start()
    finally:
        roundcube.stop()
        server.stop()
    log = roundcube.imap_log()
    refused = re.findall(r"S: (A\d+ (?:NO|BAD) .*)", log)
    assert [line for line in refused if "[NOPERM]" not in line] == [], "only what Bob may not do was refused"
    assert roundcube.errors() == ""


def deliver(server, user, *messages):
    client = server.smtp()
    for message in messages:
        client.sendmail("joerg@remote.test", [user], message.as_bytes(policy=SMTP))
    client.quit()


def letter(subject, text, to=ALICE, html=None, attachment=None, more=()):
    message = EmailMessage()
    for name, value in {"From": "Jörg Müller <joerg@remote.test>", "To": to, "Subject": subject, "Message-ID": f"<{abs(hash(subject))}@remote.test>",
                        "Date": "Wed, 25 Nov 2026 12:00:00 +0100", **dict(more)}.items():
        message[name] = value
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    if attachment:
        message.add_attachment(attachment[1], maintype="application", subtype="octet-stream", filename=attachment[0])
    return message


def flags(server, uid, user=ALICE, mailbox="INBOX"):
    client = server.imap(user)
    client.select(mailbox, readonly=True)
    _, found = client.uid("FETCH", str(uid), "(FLAGS)")
    client.logout()
    return set(re.search(rb"FLAGS \(([^)]*)\)", found[0]).group(1).decode().split()) if found[0] else None


BINARY = bytes(range(256)) * 50


def test_reading_and_filing(world):
    server, roundcube = world
    deliver(server, ALICE, letter("Grüße aus Köln – ✓", "Zeile mit Umlauten: äöüß €, und 日本語\n", attachment=("Übersicht.bin", BINARY)),
            letter("Markup", "plain turnips\n", html="<p>Some <b>swedes</b></p>"), letter("Parsnips", "Wurzeln\n"), letter("To go", "bye\n"),
            letter("Re: Parsnips", "noch mehr\n", more={"References": f"<{abs(hash('Parsnips'))}@remote.test>", "Date": "Wed, 25 Nov 2026 13:00:00 +0100"}.items()))
    browser = Browser(roundcube, ALICE, server.passwords[ALICE])
    assert browser.env(browser.start)["mailboxes_list"] == ["INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"]
    rows = browser.rows("INBOX")
    assert [rows[uid][0]["subject"] for uid in (1, 2, 3, 4, 5)] == ["Grüße aus Köln – ✓", "Markup", "Parsnips", "To go", "Re: Parsnips"]
    assert "Jörg Müller" in rows[1][0]["fromto"] and not rows[1][1].get("seen")
    # sorted and threaded by the server
    assert browser.subjects("INBOX", _sort="subject_ASC")[0] == "Grüße aus Köln – ✓"
    threaded = browser.rows("INBOX", _threads=1, _sort="arrival_DESC")
    assert threaded[5][1]["parent_uid"] == 3 and threaded[3][1]["has_children"]
    browser.rows("INBOX", _threads=0)
    # reading
    page = browser.page("_task=mail&_action=show&_mbox=INBOX&_uid=1")
    assert "äöüß €, und 日本語" in page and "Übersicht.bin" in page and flags(server, 1) == {"\\Seen"}
    assert browser.download("INBOX", 1, 2) == BINARY
    assert "<b>swedes</b>" in browser.page("_task=mail&_action=show&_mbox=INBOX&_uid=2&_format=html")
    # marking
    browser.mail("mark", "INBOX", _uid="1,3", _flag="flagged")
    browser.mail("mark", "INBOX", _uid="1", _flag="unread")
    assert flags(server, 1) == {"\\Flagged"} and flags(server, 3) == {"\\Flagged"}
    browser.mail("mark", "INBOX", _uid="1", _flag="unflagged")
    assert flags(server, 1) == set()
    # searching
    assert browser.search("INBOX", "köln") == ["Grüße aus Köln – ✓"]
    assert browser.search("INBOX", "日本", headers="text") == ["Grüße aus Köln – ✓"]
    assert browser.search("INBOX", "swedes", headers="body") == ["Markup"]
    assert browser.search("INBOX", "nowhere", headers="text") == []
    # moving, copying, deleting and back
    browser.mail("move", "INBOX", _uid="4", _target_mbox="Trash")
    assert server.count(ALICE, "Trash") == 1 and browser.subjects("Trash") == ["To go"]
    browser.mail("move", "Trash", _uid="1", _target_mbox="INBOX")
    assert server.count(ALICE, "Trash") == 0 and "To go" in browser.subjects("INBOX")
    browser.mail("copy", "INBOX", _uid="1", _target_mbox="Archive")
    assert browser.search("INBOX", "köln", scope="all") == ["Grüße aus Köln – ✓"] * 2
    browser.mail("plugin.move2archive", "INBOX", _uid="2")
    assert server.count(ALICE, "Archive") == 2 or server.count(ALICE, "Archive/2026") == 1
    browser.mail("plugin.markasjunk.junk", "INBOX", _uid="3")
    assert flags(server, 3) is not None and "Junk" in flags(server, 3)
    browser.mail("move", "INBOX", _uid="6", _target_mbox="Trash")
    browser.mail("delete", "Trash", _uid="2")
    assert server.count(ALICE, "Trash") == 0
    browser.mail("move", "INBOX", _uid="3,5", _target_mbox="Trash")
    browser.mail("purge", "Trash")
    assert server.count(ALICE, "Trash") == 0 and server.count(ALICE) == 1


def test_writing(world):
    server, roundcube = world
    browser = Browser(roundcube, BOB, server.passwords[BOB])
    # sent with an attachment, and filed
    browser.compose(_to="alice@example.test", _subject="Schöne Grüße", _message="Hallo Alice, äöü\n", attachment=("Büro.bin", BINARY))
    [sent] = server.messages(BOB, "Sent")
    [received] = [m for m in server.messages(ALICE) if b"Hallo Alice" in m]
    parsed = email.message_from_bytes(received, policy=SMTP)
    assert parsed["Subject"] == "Schöne Grüße" and [p.get_filename() for p in parsed.iter_attachments()] == ["Büro.bin"]
    assert next(parsed.iter_attachments()).get_content() == BINARY
    assert sent.split(b"\r\n\r\n", 1)[1] == received.split(b"\r\n\r\n", 1)[1]
    # a draft, taken up again
    browser.compose(draft=True, _to="alice@example.test", _subject="Entwurf", _message="first words\n")
    assert len(server.messages(BOB, "Drafts")) == 1 and "\\Seen" in flags(server, 1, BOB, "Drafts")
    browser.compose("_draft_uid=1&_mbox=Drafts", _message="final words\n")
    assert server.messages(BOB, "Drafts") == [] and len(server.messages(BOB, "Sent")) == 2
    assert any(b"final words" in m for m in server.messages(ALICE))
    # a reply
    deliver(server, BOB, letter("Frage", "Und?\n", to=BOB))
    browser.compose("_reply_uid=1&_mbox=INBOX", _message="Ja.\n", _to="alice@example.test")
    assert "\\Answered" in flags(server, 1, BOB)
    assert any(b"Subject: Re: Frage" in m and b"In-Reply-To: <" in m for m in server.messages(ALICE))
    browser.compose("_forward_uid=1&_mbox=INBOX", _message="Siehe.\n", _to="alice@example.test")
    assert "$Forwarded" in flags(server, 1, BOB)


def test_folders_and_rights(world):
    server, roundcube = world
    browser = Browser(roundcube, ALICE, server.passwords[ALICE])
    browser.folder("Büro & Söhne")
    name = "B&APw-ro &- S&APY-hne"
    browser.folder("Akten", parent=name)
    client = server.imap(ALICE)

    def listed(command="list"):
        return {line.decode().split(' "/" ')[1].strip('"') for line in getattr(client, command)()[1]}
    assert {name, f"{name}/Akten"} <= listed("lsub")
    browser.folder("Kanzlei", old=name)
    assert {"Kanzlei", "Kanzlei/Akten"} <= listed("lsub") and name not in listed()
    browser.ajax("settings", "unsubscribe", {"_mbox": "Kanzlei/Akten"})
    assert "Kanzlei/Akten" not in listed("lsub") and "Kanzlei/Akten" in listed()
    browser.ajax("settings", "subscribe", {"_mbox": "Kanzlei/Akten"})
    assert "Kanzlei/Akten" in listed("lsub")
    # shared with Bob, who may read and nothing else
    client.append("Kanzlei", None, None, letter("Mandat", "vertraulich\n").as_bytes(policy=SMTP))
    browser.ajax("settings", "plugin.acl", {"_act": "save", "_mbox": "Kanzlei", "_user": BOB, "_acl": "lr"})
    assert b"lr" in client.getacl("Kanzlei")[1][0].split(BOB.encode())[1]
    bob = Browser(roundcube, BOB, server.passwords[BOB])
    shared = f"Other Users/{ALICE}/Kanzlei"
    bob.ajax("settings", "subscribe", {"_mbox": shared})
    assert shared in bob.env(bob.page("_task=mail"))["mailboxes_list"]
    assert bob.subjects(shared) == ["Mandat"] and "vertraulich" in bob.page(f"_task=mail&_action=show&_uid=1&_mbox={urllib.parse.quote(shared)}")
    with pytest.raises(AssertionError, match="error"):
        bob.mail("mark", shared, _uid="1", _flag="flagged")
    browser.ajax("settings", "plugin.acl", {"_act": "delete", "_mbox": "Kanzlei", "_user": BOB})
    assert BOB.encode() not in client.getacl("Kanzlei")[1][0]
    bob.ajax("settings", "unsubscribe", {"_mbox": shared})
    browser.ajax("settings", "delete-folder", {"_mbox": "Kanzlei/Akten"})
    browser.ajax("settings", "delete-folder", {"_mbox": "Kanzlei"})
    assert not {"Kanzlei", "Kanzlei/Akten"} & (listed() | listed("lsub"))
    client.logout()


def test_beside_another_program(world):
    """Its cache of messages is kept true by QRESYNC while another program changes the mailbox."""
    server, roundcube = world
    server.cli("account", "add", "carol@example.test", "--password-stdin", input="secret\n")
    carol = "carol@example.test"
    deliver(server, carol, *[letter(f"Number {i}", "x\n", to=carol) for i in range(1, 7)])
    browser = Browser(roundcube, carol, "secret")
    assert len(browser.rows("INBOX")) == 6
    client = server.imap(carol)
    client.select("INBOX")
    client.uid("STORE", "2", "+FLAGS", r"(\Flagged)")
    client.uid("STORE", "3,4", "+FLAGS", r"(\Deleted)")
    client.expunge()
    deliver(server, carol, letter("Number 7", "x\n", to=carol))
    rows = browser.rows("INBOX")
    assert set(rows) == {1, 2, 5, 6, 7} and rows[2][1].get("flagged") and not rows[1][1].get("flagged")
    # what it still shows and is gone, it can't change; the rest it can
    client.uid("STORE", "5", "+FLAGS", r"(\Deleted)")
    client.expunge()
    browser.mail("mark", "INBOX", _uid="5,6", _flag="read")
    browser.mail("move", "INBOX", _uid="5,6", _target_mbox="Archive")
    assert server.count(carol) == 3 and server.count(carol, "Archive") == 1
    # it looks for news
    assert set(browser.rows("INBOX")) == {1, 2, 7}
    deliver(server, carol, letter("Number 8", "x\n", to=carol))
    client.uid("STORE", "1", "+FLAGS", r"(\Seen)")
    news = browser.mail("refresh", "INBOX", _list="1", _uids="1,2,7")
    assert "Number 8" in news["exec"] and '"seen":' in news["exec"]
    client.logout()
    assert re.search(r"C: A\d+ UID FETCH \S+ \(FLAGS\) \(CHANGEDSINCE \d+ VANISHED\)", roundcube.imap_log()) and "S: * VANISHED (EARLIER) 3:4" in roundcube.imap_log()
