"""SEARCH in the text of attachments: what converters read, whatever they do, and never a wrong answer."""
import json
import mailbox
import os
import re
import signal
import threading

import attachments as make
import harness
import pytest

ALICE = "alice@example.test"

# Every one of them is a program that does something that it shouldn't, when its attachment says so.
HOSTILE = r"""#!/usr/bin/python3 -IS
import os, sys, time
what = os.read(0, 100000).decode()
def tried(name, call):
    try:
        call()
        os.write(1, (name + "wasallowed ").encode())
    except (OSError, ValueError) as error:
        os.write(1, f"{name}refused{error} ".encode())
    except MemoryError:
        os.write(1, (name + "nomemory ").encode())
if what.startswith("hang"):
    time.sleep(1000)
if what.startswith("eat"):
    held = []
    while True:
        held.append(bytes(10000000) + what.encode())
if what.startswith("flood"):
    os.write(1, b"floodbegins ")
    while True:
        os.write(1, b"water " * 10000)
if what.startswith("crash"):
    os.write(1, b"crashedtext")
    os.abort()
if what.startswith("garbage"):
    os.write(1, b"gar\xff\xfe\x00\x01bage\xc3(\r\n\x1b[31m\ted text\xe2\x82")
if what.startswith("quarrel"):
    os.write(1, b"quarreltext")
    sys.stderr.write("I don't like it\nat all\n")
    sys.exit(3)
if what.startswith("break"):
    import _socket
    tried("fork", os.fork)
    tried("socket", lambda: _socket.socket())
    tried("unix", lambda: _socket.socket(_socket.AF_UNIX))
    tried("pair", lambda: _socket.socketpair())
    tried("passwd", lambda: os.open("/etc/passwd", os.O_RDONLY))
    tried("maps", lambda: os.open("/proc/self/environ", os.O_RDONLY))
    tried("store", lambda: os.open(what.split()[1], os.O_RDONLY))
    tried("listing", lambda: os.listdir("/"))
    tried("write", lambda: os.open("/tmp/converter-was-here", os.O_WRONLY | os.O_CREAT, 0o644))
    tried("kill", lambda: os.kill(os.getppid(), 0))
    tried("memfd", lambda: os.memfd_create("x"))
    tried("raise", lambda: __import__("resource").setrlimit(9, (1 << 40, 1 << 40)))
    os.write(1, f"uid{os.getuid()}end ".encode())
if what.startswith("honest"):
    with open("/dev/stdin", "rb") as again:
        os.write(1, b"reread:" + again.read())
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    path = tmp_path_factory.mktemp("converter") / "hostile"
    path.write_text(HOSTILE)
    path.chmod(0o755)
    for folder in path.parents:
        if str(folder) == "/tmp":
            break
        folder.chmod(0o755)
    return path


SETTINGS = """
search:
  attachments: true
  converter_time: 2s
  converter_memory: 128MB
  attachment_text: 100KB
  attachment_size: 1MB
  wait: 30s
  converters:
    - {types: "application/pdf .pdf", command: "/usr/bin/pdftotext -q -enc UTF-8 -nopgbrk - -"}
    - {types: "%s %s %s %s .docx .odt .xlsx", command: "internal:office"}
    - {types: "application/rtf .rtf", command: "internal:rtf"}
    - {types: "application/x-hostile .hostile", command: "%s"}
    - {types: "application/x-missing .missing", command: "/nonexistent/program -"}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory, hostile):
    folder = tmp_path_factory.mktemp("attachments")
    for path in [folder, *folder.parents]:
        if str(path) == "/tmp":
            break
        path.chmod(0o755)
    server = harness.Server(folder, SETTINGS % (make.WORD, make.SHEET, make.SLIDES, make.ODT, hostile))
    server.start()
    yield server
    server.stop()
    assert "AddressSanitizer" not in server.log_text() and "runtime error" not in server.log_text()


def fill(server, name, *letters):
    client = server.imap()
    client.create(name)
    for one in letters:
        assert client.append(name, None, None, one)[0] == "OK"
    assert client.select(name)[0] == "OK"
    return client


def found(client, *keys, charset="UTF-8"):
    status, data = client.uid("SEARCH", "CHARSET", charset, *keys) if charset else client.uid("SEARCH", *keys)
    assert status == "OK", data
    return [int(uid) for uid in data[0].split()]


@pytest.mark.sanitize
def test_office_documents(server):
    client = fill(
        server, "office",
        make.letter("one", (make.pdf("The quarterly needle", "caf\xe9"), make.PDF, "a.pdf")),
        make.letter("two", (make.docx(("nee", "dle in a hay", "stack"), "Grüße &amp; 日本語"), make.WORD, "b.docx")),
        make.letter("three", (make.xlsx(["Umsatz", "needle&#x20;cell"], [421337, 5]), make.SHEET, "c.xlsx")),
        make.letter("four", (make.pptx("Slide one", "needle point"), make.SLIDES, "d.pptx")),
        make.letter("five", (make.odt("Ein <text:span>Nadel</text:span>öhr", "needle"), make.ODT, "e.odt")),
        make.letter("six", (rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Hidden;}}\uc1 Gr\u252?\u223?e caf\'e9 {\b nee}dle \u26085?\u26412?\par}",
                            "application/rtf", "f.rtf")),
        make.letter("seven", (make.docx("needle by name"), make.OCTETS, "G.DOCX")),
        make.letter("eight", (b"needle in octets", make.OCTETS, "h.bin")),
        make.letter("nine", (make.pdf("inner needle"), make.PDF, "i.pdf"), (make.docx("second thing"), make.WORD, "i.docx")),
        make.letter("ten", body="a plain needle\n"))
    assert found(client, "BODY", "needle") == [1, 2, 3, 4, 5, 6, 7, 9, 10]
    assert found(client, "TEXT", "NEEDLE") == [1, 2, 3, 4, 5, 6, 7, 9, 10]
    assert found(client, "NOT", "BODY", "needle") == [8]
    assert found(client, "BODY", "haystack") == [2]
    assert found(client, "BODY", '"needle in a hay"') == [2]
    assert found(client, "BODY", "421337") == [3]
    assert found(client, "BODY", '"quarterly needle caf"') == [1], "a phrase goes over the ends of lines"
    assert found(client, "SUBJECT", "needle") == []
    assert found(client, "BODY", "Hidden") == []
    assert found(client, "OR", "SUBJECT", "eight", "BODY", '"second thing"') == [8, 9]
    for word, uids in (("grüsse", [2, 6]), ("CAFÉ", [1, 6]), ("日本", [2, 6]), ("日本語", [2]), ("nadelöhr", [5])):
        client.literal = word.encode()
        assert found(client, "BODY") == uids, word
    client.logout()


def hostile_letter(subject, what):
    return make.letter(subject, (what.encode(), "application/x-hostile", "x.hostile"))


def without_text(server, mark):
    return [line for line in server.log_text()[mark:].splitlines() if "event=attachment.without_text" in line]


def test_hostile_converters(server):
    """Whatever one does: the search is answered, the attachment counts as without text, the log says why, once."""
    mark = len(server.log_text())
    kinds = ["hang", "eat", "flood", "crash", "garbage", "quarrel", "honest"]
    client = fill(server, "hostile", *[hostile_letter(kind, kind + " letter") for kind in kinds],
                  make.letter("missing", (b"nothing", "application/x-missing", "x.missing")))
    assert found(client, "BODY", "floodbegins") == [3]
    assert found(client, "BODY", "crashedtext") == [], "half of a text is none"
    assert found(client, "BODY", "quarreltext") == []
    assert found(client, "BODY", "reread:honest") == [7]
    client.literal = b"bage"
    assert found(client, "BODY") == [5]
    lines = without_text(server, mark)
    reasons = sorted(re.search(r'reason="([^"]*)"', line).group(1) for line in lines)
    assert len(reasons) == 4 and reasons[0].startswith("ended by signal 6") and reasons[1].startswith("exit status 1: Traceback"), lines
    assert reasons[2:] == ["exit status 3: I don't like it", "it took too long"], lines
    assert not [line for line in server.log_text()[mark:].splitlines() if "role_ended" in line]
    client.logout()


def test_converter_is_confined(server):
    database = next((server.dir / "data").rglob("posthorn.db"), None) or next(server.dir.rglob("posthorn.db"))
    client = fill(server, "confined", hostile_letter("break", f"break {database}"))
    for name in ("fork", "socket", "unix", "pair", "passwd", "maps", "store", "listing", "write", "kill", "memfd", "raise"):
        assert found(client, "BODY", name + "wasallowed") == [], name
        assert found(client, "BODY", name + "refused") == [1], name
    if harness.IS_ROOT:
        assert found(client, "BODY", "uid0end") == []
    client.logout()


def test_zip_bomb(server):
    """What unpacks to more than is read, what is cut off, what is too large: read so far as is allowed, or without text."""
    import io
    import zipfile
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("word/document.xml", "<w:t>bombstart</w:t>")
        for i in range(4):
            z.writestr(f"word/header{i}.xml", b"<w:p/>" * 5_000_000)
    client = fill(server, "bombs", make.letter("bomb", (out.getvalue(), make.WORD, "a.docx")),
                  make.letter("cut", (make.docx("cut off")[:200], make.WORD, "a.docx")),
                  make.letter("large", (os.urandom(1_100_000), make.WORD, "a.docx")))
    assert found(client, "BODY", "bombstart") == [1]
    client.logout()


def test_killed_role(server):
    """kill -9 of the role, again and again while a search waits for it: the answer is right all the same."""
    client = fill(server, "killed", *[make.letter(str(i), (make.docx(f"thing{i} common"), make.WORD, "a.docx")) for i in range(30)])
    stop = threading.Event()

    def kill():
        for _ in range(3):
            with_pid = server.roles().get("convert")
            if with_pid:
                os.kill(with_pid, signal.SIGKILL)
            if stop.wait(0.15):
                return
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        status, data = client.uid("SEARCH", "BODY", "common")
        if status == "OK":
            assert len(data[0].split()) == 30
        else:
            assert b"UNAVAILABLE" in data[0]
    finally:
        stop.set()
        thread.join()
    assert found(client, "BODY", "common", charset=None) == list(range(1, 31))
    client.logout()


def bring(server, folder, letters):
    """Into INBOX, while the server is down."""
    box = mailbox.mbox(folder / "letters.mbox")
    for one in letters:
        box.add(one.replace(b"\r\n", b"\n"))
    box.close()
    server.cli("import", "mbox", str(folder / "letters.mbox"), "--account", ALICE, "--into", "INBOX")


def settings(hostile):
    return SETTINGS % (make.WORD, make.SHEET, make.SLIDES, make.ODT, hostile)


def selected(server):
    client = server.imap()
    assert client.select("INBOX")[0] == "OK"
    return client


def test_no_answer_without_them(make_server, hostile, tmp_path):
    """A search that can't wait long enough is refused; what the jobs role has read meanwhile is there for the next."""
    server = make_server(settings(hostile).replace("wait: 30s", "wait: 1s"), start=False)
    bring(server, tmp_path, [hostile_letter("hang", "hang"), hostile_letter("honest", "honest thing")])
    server.start()
    client = selected(server)
    status, data = client.uid("SEARCH", "BODY", "thing")
    assert status == "NO" and b"UNAVAILABLE" in data[0], data
    assert found(client, "SUBJECT", "honest") == [2], "what needs no attachment is answered"
    assert found(client, "UID", "2", "BODY", "thing") == [2]
    harness.wait_for(lambda: "event=jobs.attachments_read" in server.log_text(), 20, "jobs have read them")
    assert found(client, "BODY", "thing") == [2]
    client.logout()


def tenth_with_attachment(start, count):
    for i in range(start, start + count):
        attachments = [(make.docx(f"attached{i} shared日本thing"), make.WORD, "a.docx")] if i % 10 == 0 else []
        yield make.letter(f"number{i}", *attachments, body=f"body{i} plain text\n")


def expected(count):
    return [i + 1 for i in range(count) if i % 10 == 0]


def check_answers(client, count):
    client.literal = "日本".encode()
    assert found(client, "TEXT") == expected(count)
    assert found(client, "BODY", "attached30") == [31]
    assert found(client, "BODY", "body31") == [32]
    assert found(client, "BODY", "sharedthing") == []
    assert found(client, "NOT", "BODY", "attached") == [i + 1 for i in range(count) if i % 10]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_index(make_server, hostile, request, tmp_path, kind):
    """Before, while and after the index gets to know attachments the answers are the same; what is gone takes its texts along."""
    server = make_server(store=request.getfixturevalue("postgresql").url if kind == "postgresql" else None, start=False)
    bring(server, tmp_path, tenth_with_attachment(0, 250))
    server.start()
    harness.wait_for(lambda: "event=jobs.messages_indexed" in server.log_text(), 20, "the index without attachments")
    server.stop()
    server.config.write_text(server.config.read_text() + settings(hostile))
    server.start()
    client = selected(server)
    check_answers(client, 250)
    harness.wait_for(lambda: "event=jobs.index_renewed" in server.log_text(), 20, "the index has attachments")
    for one in tenth_with_attachment(250, 11):
        client.append("INBOX", None, None, one)
    check_answers(client, 261)
    rows = json.loads(server.cli("index", "list", ALICE, "--json").stdout)
    assert (rows[0]["messages"], rows[0]["indexed"], rows[0]["attachments_read"]) == (261, 250, 27), rows
    assert [row["uid"] for row in json.loads(server.cli("message", "list", ALICE, "--search", "BODY attached30", "--json").stdout)] == [31]
    client.uid("STORE", "1,11", "+FLAGS", "\\Deleted")
    client.expunge()
    assert found(client, "BODY", "attached") == expected(261)[2:]
    server.cli("index", "rebuild", ALICE)
    assert found(client, "BODY", "attached") == expected(261)[2:]
    assert "is sound" in server.cli("check").stdout
    client.logout()
