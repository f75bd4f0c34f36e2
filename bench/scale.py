#!/usr/bin/env python3
"""One account as large as they come: what commands cost there, in time, server CPU and memory, and how long they keep others waiting.

scale.py BUILD [--messages 1000000] [--mailboxes 50000] [--sessions 1000] [--large 100] [--postgresql] [--folder DIR] [STEP...]
STEP: messages (one mailbox) | mailboxes | sessions (on one mailbox) | large (messages, of so many MB). All of them if none is named.

Each line is printed as JSON and, at the end, as a table: seconds until the answer; CPU seconds of all roles (and of PostgreSQL); by how much the peak of
the busiest role's resident memory lies above what it had before; and the longest that another account's NOOP or a delivery to it waited meanwhile.
"""
import argparse, json, os, pathlib, re, shutil, smtplib, socket, subprocess, sys, tempfile, threading, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
USER, OTHER = "alice@example.test", "bob@example.test"
rows = []


def cpu_of(pids):
    total = 0
    for pid in pids:
        try:
            total += sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:15]))
        except OSError:
            pass
    return total / TICK


def tree(pid):
    out = [pid]
    for p in out:
        out += harness.children(p)
    return out


def status_kb(pid, key):
    try:
        return int(re.search(rf"^{key}:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M).group(1))
    except (OSError, AttributeError):
        return 0


def pss_kb(pid):
    return int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M).group(1))


class Client:
    """An IMAP connection that costs little: it counts bytes and keeps the end of an answer."""

    def __init__(self, server, user=USER):
        self.s = socket.create_connection(("127.0.0.1", server.ports["imap"]))
        self.n, self.kept = 0, b""
        self.s.recv(4096)
        self.run(f"LOGIN {user} {server.passwords[user]}")

    def send(self, command):
        self.n += 1
        self.tag = b"x%d " % self.n
        self.s.sendall(self.tag + (command if isinstance(command, bytes) else command.encode()) + b"\r\n")

    def answer(self, no_is_fine=False):
        total, tail = 0, b""
        while True:
            at = 0 if tail.startswith(self.tag) else tail.rfind(b"\r\n" + self.tag)
            if at >= 0 and tail.endswith(b"\r\n"):
                break
            if len(tail) > 65536:
                total += len(tail) - 4096
                tail = tail[-4096:]
            data = self.s.recv(1 << 20)
            if not data:
                raise SystemExit("closed: " + repr(tail[-300:]))
            tail += data
        if b"OK" not in tail[at:at + 16] and not no_is_fine:
            raise SystemExit(tail[at:at + 300].decode())
        self.kept = tail
        return total + len(tail)

    def run(self, command, no_is_fine=False):
        self.send(command)
        return self.answer(no_is_fine)

    def wait_for(self, text):
        data = b""
        while text not in data:
            data += self.s.recv(65536)

    def close(self):
        self.s.close()


class Others:
    """Somebody else, at work all the time: how long is the longest that an answer takes?"""

    def __init__(self, server):
        self.server, self.ends, self.longest = server, False, {"imap": 0.0, "smtp": 0.0}
        self.threads = [threading.Thread(target=self.imap, daemon=True), threading.Thread(target=self.smtp, daemon=True)]
        for t in self.threads:
            t.start()

    def note(self, kind, began):
        self.longest[kind] = max(self.longest[kind], time.monotonic() - began)

    def imap(self):
        c = Client(self.server, OTHER)
        c.run("SELECT INBOX")
        while not self.ends:
            began = time.monotonic()
            c.run("NOOP")
            self.note("imap", began)
            time.sleep(0.02)
        c.close()

    def smtp(self):
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"]) as c:
            while not self.ends:
                began = time.monotonic()
                c.sendmail("x@remote.test", [OTHER], b"Subject: probe\r\n\r\nx\r\n")
                self.note("smtp", began)
                time.sleep(0.05)

    def end(self):
        self.ends = True
        for t in self.threads:
            t.join()
        return self.longest


class Measure:
    """with Measure(bench, "SELECT") as m: ...; m.note = what is told besides"""

    def __init__(self, bench, name, others=True):
        self.bench, self.name, self.note, self.with_others, self.own = bench, name, "", others, None

    def __enter__(self):
        self.pids = self.bench.pids()
        for pid in self.pids:
            try:
                open(f"/proc/{pid}/clear_refs", "w").write("5")
            except OSError:
                pass
        self.before = {pid: status_kb(pid, "VmRSS") for pid in self.pids}
        self.others = Others(self.bench.server) if self.with_others else None
        if self.others:
            time.sleep(0.1)
        self.cpu = cpu_of(self.pids)
        self.began = time.monotonic()
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            return
        seconds = time.monotonic() - self.began
        cpu = cpu_of(self.pids) - self.cpu
        longest = self.others.end() if self.others else {"imap": 0, "smtp": 0}
        roles = {pid: name for name, pid in self.bench.server.roles().items()}
        peak, pid = max((status_kb(p, "VmHWM") - self.before[p], p) for p in self.before)
        if self.own:
            cpu, peak, pid = cpu + self.own[0], self.own[1], None
        row = {"line": self.name, "seconds": round(seconds, 4), "cpu": round(cpu, 2), "peak_mb": round(peak / 1024, 1),
               "in": "itself" if self.own else roles.get(pid, "postgres"), "imap_waits_ms": round(longest["imap"] * 1000), "smtp_waits_ms": round(longest["smtp"] * 1000),
               "note": self.note}
        rows.append(row)
        print(json.dumps(row), flush=True)


class Bench:
    def __init__(self, args):
        self.args = args
        self.folder = pathlib.Path(args.folder or tempfile.mkdtemp(prefix="posthorn-scale-"))
        self.folder.mkdir(exist_ok=True)
        self.db = harness.PostgreSQL(self.folder).start() if args.postgresql else None
        settings = ("limits:\n  connections: 20000\n  sessions_per_account: 0\n  message_size: 200M\nretention:\n  deleted: 7d\nlog:\n  level: warning\n")
        self.server = harness.Server(self.folder, settings=settings, store=self.db.url if self.db else None)
        text = self.server.config.read_text()
        self.server.log = open(self.server.log_path, "ab")
        self.server.config.write_text(text.replace("level: warning", "level: info"))
        self.server.start()

    def pids(self):
        out = tree(self.server.process.pid)
        if self.db:
            out += tree(int((self.db.dir / "data/postmaster.pid").read_text().split()[0]))
        return out

    def end(self):
        self.server.stop(60)
        if self.db:
            self.db.stop()
            self.db.remove()
        if not self.args.folder:
            shutil.rmtree(self.folder)

    def command(self, client, name, command, note=None, **more):
        with Measure(self, name, **more) as m:
            size = client.run(command, no_is_fine=True)
            end = client.kept.rstrip().rsplit(b"\r\n", 1)[-1]
            m.note = (note or f"{size} bytes") if b" OK" in end[:12] else end.decode()[:80]

    def cli(self, name, *args):
        """A command of its own process: that one's CPU and memory are told."""
        with Measure(self, name, others=False) as m:
            with open(self.folder / "cli.out", "w+") as out:
                process = subprocess.Popen([str(harness.POSTHORN), *args, "--config", str(self.server.config)], stdout=out, stderr=subprocess.STDOUT)
                _, status, usage = os.wait4(process.pid, 0)
                out.seek(0)
                text = out.read().strip()
            assert status == 0, text
            m.own = (usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
            m.note = (text.splitlines() or [""])[-1][:60]

    # ---- one mailbox ----

    def write_mbox(self, path, count):
        with open(path, "wb") as out:
            for i in range(count):
                refers = b"In-Reply-To: <%d@big.test>\r\n" % (i - i % 10) if i % 10 else b""
                out.write(b"From a@b Tue Nov 24 15:00:00 2026\nFrom: P%d <p%d@remote.test>\r\nTo: alice@example.test\r\nSubject: Letter %d\r\n"
                          b"Message-ID: <%d@big.test>\r\n%sDate: Tue, 24 Nov 2026 %02d:%02d:%02d +0000\r\n\r\nText number w%x.\r\n\n"
                          % (i % 997, i % 997, i * 7919 % count, i, refers, i // 3600 % 24, i // 60 % 60, i % 60, i * 2654435761 % (1 << 32)))

    def messages(self):
        n, server = self.args.messages, self.server
        path = self.folder / "Big.mbox"
        self.write_mbox(path, n)
        self.cli("import mbox", "import", "mbox", str(path), "--account", USER, "--into", "Big")
        path.unlink()
        a, b = Client(server), Client(server)
        self.command(a, "SELECT, first", "SELECT Big")
        self.command(b, "SELECT, in memory", "SELECT Big")
        b.run("UNSELECT")
        for name, c in (
                ("STATUS", "STATUS Big (MESSAGES UNSEEN SIZE DELETED HIGHESTMODSEQ)"),
                ("FETCH 1:* (FLAGS)", "FETCH 1:* (FLAGS)"),
                ("UID FETCH n (FLAGS)", f"UID FETCH {n // 2} (FLAGS)"),
                ("UID FETCH n (ENVELOPE BODY[])", f"UID FETCH {n // 2} (ENVELOPE BODY.PEEK[])"),
                ("UID FETCH 1:* (ENVELOPE)", "UID FETCH 1:* (ENVELOPE)"),
                ("SEARCH UNSEEN", "SEARCH RETURN (COUNT) UNSEEN"),
                ("SEARCH ALL", "SEARCH ALL"),
                ("SEARCH SUBJECT", 'SEARCH SUBJECT "Letter 77777"'),
                ("SEARCH BODY, no match", 'SEARCH BODY "zzqqxx"'),
                ("SORT (ARRIVAL)", "SORT (ARRIVAL) UTF-8 ALL"),
                ("SORT (SUBJECT)", "SORT (SUBJECT) UTF-8 ALL"),
                ("SORT RETURN (COUNT) (REVERSE DATE)", "SORT RETURN (COUNT) (REVERSE DATE) UTF-8 ALL"),
                ("THREAD REFERENCES", "THREAD REFERENCES UTF-8 ALL"),
                ("THREAD ORDEREDSUBJECT", "THREAD ORDEREDSUBJECT UTF-8 ALL"),
                ("UID FETCH n (THREADID), first", f"UID FETCH {n // 2} (THREADID)"),
                ("UID FETCH n (THREADID)", f"UID FETCH {n // 2} (THREADID)"),
                ("GETQUOTAROOT", "GETQUOTAROOT Big"),
                ("STORE 1:* +FLAGS.SILENT", "STORE 1:* +FLAGS.SILENT (\\Flagged)"),
                ("STORE 1:* +FLAGS", "STORE 1:* +FLAGS ($kept)"),
                ("STORE n +FLAGS", f"STORE {n // 2} +FLAGS (\\Answered)"),
                ("CREATE", "CREATE Copy"),
                ("COPY a tenth", f"COPY 1:{n // 10} Copy"),
                ("SELECT Copy", "SELECT Copy"),
                ("MOVE back", "MOVE 1:* Big"),
                ("SELECT again", "SELECT Big")):
            self.command(a, name, c)
        b.run("SELECT Big")
        modseq = int(re.search(rb"HIGHESTMODSEQ (\d+)", b.kept).group(1))
        validity = int(re.search(rb"UIDVALIDITY (\d+)", b.kept).group(1))
        b.close()
        message = b"Subject: one more\r\n\r\nx\r\n"
        with Measure(self, "APPEND 100, each") as m:
            for _ in range(100):
                a.send(b"APPEND Big {%d+}\r\n%s" % (len(message), message))
                a.answer()
            m.note = "100 in all"
        a.run("STORE 1:%d +FLAGS.SILENT (\\Deleted)" % (n // 2))
        self.command(a, "EXPUNGE of half", "EXPUNGE")
        a.close()
        c = Client(server)
        c.run("ENABLE QRESYNC")
        self.command(c, "SELECT (QRESYNC), all that", f"SELECT Big (QRESYNC ({validity} {modseq}))")
        c.close()
        self.inbox()
        self.cli("check", "check", USER)
        self.cli("export", "export", "mbox", str(self.folder / "out"), "--account", USER)
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        d = Client(server)
        self.command(d, "DELETE", "DELETE Big")
        d.close()

    # INBOX of as many: POP3, and deliveries
    def inbox(self):
        a = Client(self.server)
        a.run("SELECT Big")
        self.command(a, "MOVE 1:* INBOX", "MOVE 1:* INBOX")
        a.run("SELECT INBOX")
        self.sendmail(1)
        with Measure(self, "SMTP into INBOX, 100") as m:
            self.sendmail(100)
        p = socket.create_connection(("127.0.0.1", self.server.ports["pop3"]))
        f = p.makefile("rwb")

        def pop(line, many=False):
            f.write(line + b"\r\n")
            f.flush()
            size = len(answer := f.readline())
            assert answer.startswith(b"+OK"), answer
            while many and (answer := f.readline()) != b".\r\n":
                size += len(answer)
            return size
        f.readline()
        pop(b"USER " + USER.encode())
        for name, line, many in (("POP3 log-in", b"PASS " + self.server.passwords[USER].encode(), False), ("POP3 STAT", b"STAT", False),
                                 ("POP3 LIST", b"LIST", True), ("POP3 UIDL", b"UIDL", True), ("POP3 RETR", b"RETR 777", True)):
            with Measure(self, name) as m:
                m.note = f"{pop(line, many)} bytes"
        for i in range(1, 101):
            pop(b"DELE %d" % i)
        with Measure(self, "POP3 QUIT, 100 deleted") as m:
            pop(b"QUIT")
        p.close()
        self.command(a, "MOVE 1:* Big", "MOVE 1:* Big")
        a.close()

    def sendmail(self, count, to=USER):
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"]) as c:
            for _ in range(count):
                c.sendmail("x@remote.test", [to], b"Subject: by SMTP\r\n\r\nx\r\n")

    # ---- many mailboxes ----

    def pipeline(self, client, commands, window=200):
        """In pieces, so that neither side waits for the other with full buffers."""
        for i in range(0, len(commands), window):
            piece = commands[i:i + window]
            client.s.sendall(b"".join(b"p%d %s\r\n" % (k, c.encode()) for k, c in enumerate(piece)))
            data = b""
            while b"p%d " % (len(piece) - 1) not in data or not data.endswith(b"\n"):
                data += client.s.recv(1 << 16)
            assert b" NO " not in data and b" BAD " not in data, data[:300]

    def mailboxes(self):
        n, a = self.args.mailboxes, Client(self.server)
        flat, children = n // 2, n // 5
        names = [f"flat{i:06d}" for i in range(flat)] + [f"parent/child{i:06d}" for i in range(children)]
        names += [f"deep{i % 100}/" + "/".join(f"l{k}" for k in range(i // 1000 % 10)) + f"/x{i}" if i // 1000 % 10 else f"deep{i % 100}/x{i}"
                  for i in range(n - flat - children - 120)]
        half = len(names) // 2
        with Measure(self, "CREATE, the first half") as m:
            self.pipeline(a, ["CREATE " + name for name in names[:half]])
            m.note = f"{half}"
        with Measure(self, "CREATE, the second half") as m:
            self.pipeline(a, ["CREATE " + name for name in names[half:]])
            m.note = f"{len(names) - half}"
        with Measure(self, "SUBSCRIBE, all") as m:
            self.pipeline(a, ["SUBSCRIBE " + name for name in names])
        for name, c in (("CREATE, one more", "CREATE onemore"), ('LIST "" "*"', 'LIST "" "*"'), ('LIST "" "%"', 'LIST "" "%"'),
                        ('LIST "" "flat00077*"', 'LIST "" "flat00077*"'), ('LIST "" flat000777', 'LIST "" flat000777'),
                        ("LIST RETURN (STATUS (MESSAGES UNSEEN))", 'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN))'),
                        ("LIST (SUBSCRIBED RECURSIVEMATCH)", 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"'), ('LSUB "" "*"', 'LSUB "" "*"'),
                        ("STATUS", "STATUS flat000777 (MESSAGES UNSEEN)"), ("SELECT", "SELECT flat000777"), ("UNSELECT", "UNSELECT"),
                        ("NOTIFY SET STATUS (personal ...)", "NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange MailboxName))"),
                        ("NOOP", "NOOP"), ("NOTIFY NONE", "NOTIFY NONE"),
                        ("ESEARCH IN (personal) ALL", "ESEARCH IN (personal) RETURN (COUNT) ALL"),
                        ("RENAME of a parent", "RENAME parent parent2"), ("DELETE of a parent (a level remains)", "DELETE parent2"),
                        ("RENAME of a leaf", "RENAME flat000778 flatother"), ("DELETE of a leaf", "DELETE flatother")):
            self.command(a, name, c)
        a.run("CREATE parent3")
        a.run("SETACL parent3 bob@example.test lrs")
        self.sendmail(1)
        with Measure(self, "SMTP into INBOX, 100") as m:
            self.sendmail(100)
        self.cli("mailbox list", "mailbox", "list", USER)
        self.cli("check", "check", USER)
        with Measure(self, "DELETE of all children") as m:
            self.pipeline(a, [f"DELETE parent2/child{i:06d}" for i in range(children)])
            m.note = f"{children}"
        a.close()

    # ---- many sessions ----

    def sessions(self):
        import resource
        n = self.args.sessions
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(4096, 3 * n), max(4096, 3 * n)))
        a = Client(self.server)
        a.run("CREATE Room", no_is_fine=True)
        a.run("SELECT Room")
        message = b"Subject: one\r\n\r\nx\r\n"
        for _ in range(1000):
            a.send(b"APPEND Room {%d+}\r\n%s" % (len(message), message))
            a.answer()
        imap = self.server.roles()["imap"]
        before = pss_kb(imap)
        clients = []
        with Measure(self, "log-in, SELECT and IDLE") as m:
            for _ in range(n):
                c = Client(self.server)
                c.run("SELECT Room")
                c.s.sendall(b"i IDLE\r\n")
                c.wait_for(b"+ ")
                clients.append(c)
            m.note = f"{n} sessions"
        time.sleep(1)
        print(json.dumps({"line": "memory per session", "kb": round((pss_kb(imap) - before) / n, 1)}), flush=True)
        for name, wait, work in (("APPEND wakes all", b"EXISTS", lambda: a.run(b"APPEND Room {%d+}\r\n%s" % (len(message), message))),
                                 ("STORE wakes all", b"FETCH", lambda: a.run("STORE 1:* +FLAGS.SILENT (\\Seen)")),
                                 ("EXPUNGE of 500 wakes all", b"500 EXISTS", lambda: (a.run("STORE 1:500 +FLAGS.SILENT (\\Deleted)"), a.run("EXPUNGE")))):
            with Measure(self, name) as m:
                work()
                m.note = f"own answer after {time.monotonic() - m.began:.3f} s"
                if name.startswith("EXPUNGE"):
                    for c in clients:
                        data = b""
                        while data.count(b"EXPUNGE") < 500:
                            data += c.s.recv(1 << 16)
                else:
                    for c in clients:
                        c.wait_for(wait)
        with Measure(self, "100 APPENDs wake all") as m:
            for _ in range(100):
                a.send(b"APPEND Room {%d+}\r\n%s" % (len(message), message))
                a.answer()
            m.note = f"own answers after {time.monotonic() - m.began:.3f} s"
            last = 501 + 100
            for c in clients:
                c.wait_for(b"* %d EXISTS" % last)
        with Measure(self, "DONE and LOGOUT") as m:
            for c in clients:
                c.s.sendall(b"DONE\r\nz LOGOUT\r\n")
            for c in clients:
                c.wait_for(b"z OK")
        for c in clients:
            c.close()
        a.close()

    # ---- large messages ----

    def large(self):
        size = self.args.large << 20
        a = Client(self.server)
        a.run("CREATE Large", no_is_fine=True)
        import base64
        text = base64.b64encode(os.urandom(57 * 4000))
        chunk = b"".join(text[i:i + 76] + b"\r\n" for i in range(0, len(text), 76))
        head = (b"From: a@remote.test\r\nTo: alice@example.test\r\nSubject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n"
                b"--bb\r\nContent-Type: text/plain\r\n\r\nSmall text.\r\n--bb\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Transfer-Encoding: base64\r\n\r\n")
        count = (size - len(head)) // len(chunk)
        tail = b"--bb--\r\n"
        total = len(head) + count * len(chunk) + len(tail)

        def send(s, dotted):
            s.sendall(head)
            for i in range(count):
                s.sendall(chunk[i % 1000 * 78:] + chunk[:i % 1000 * 78])
            s.sendall(tail + (b".\r\n" if dotted else b""))
        with Measure(self, "SMTP DATA") as m:
            with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"]) as c:
                c.helo()
                c.mail("x@remote.test")
                c.rcpt(USER)
                c.docmd("DATA")
                send(c.sock, True)
                code, text = c.getreply()
                assert code == 250, (code, text)
        with Measure(self, "APPEND") as m:
            a.send(b"APPEND Large {%d+}" % total)
            send(a.s, False)
            a.s.sendall(b"\r\n")
            a.answer()
        a.run("SELECT Large")
        for name, c in (("FETCH BODY[]", "FETCH 1 BODY.PEEK[]"), ("FETCH BODY[1]", "FETCH 1 BODY.PEEK[1]"), ("FETCH BODY[2]", "FETCH 1 BODY.PEEK[2]"),
                        ("FETCH BODY[2]<n.1000>", f"FETCH 1 BODY.PEEK[2]<{size // 2}.1000>"), ("FETCH BINARY[2]", "FETCH 1 BINARY.PEEK[2]"),
                        ("FETCH BINARY.SIZE[2]", "FETCH 1 BINARY.SIZE[2]"),
                        ("FETCH BODY[HEADER]", "FETCH 1 BODY.PEEK[HEADER]"), ("FETCH PREVIEW", "FETCH 1 PREVIEW"),
                        ("SEARCH BODY", 'SEARCH BODY "zzqqxx"'), ("SEARCH TEXT", 'SEARCH TEXT "Small text"'), ("COPY", "COPY 1 INBOX"),
                        ("CATENATE", 'APPEND Large CATENATE (URL "/Large/;UID=1/;SECTION=HEADER" URL "/Large/;UID=1/;SECTION=TEXT")')):
            self.command(a, name, c)
        p = socket.create_connection(("127.0.0.1", self.server.ports["pop3"]))
        f = p.makefile("rwb")
        f.readline()
        for line_ in (b"USER " + USER.encode(), b"PASS " + self.server.passwords[USER].encode()):
            f.write(line_ + b"\r\n")
            f.flush()
            assert f.readline().startswith(b"+OK")
        f.write(b"LIST\r\n")
        f.flush()
        listed = []
        f.readline()
        while (l := f.readline()) != b".\r\n":
            listed.append(tuple(map(int, l.split())))
        number = max(listed, key=lambda x: x[1])[0]
        for name, c in (("POP3 RETR", b"RETR %d" % number), ("POP3 TOP 10", b"TOP %d 10" % number)):
            with Measure(self, name) as m:
                f.write(c + b"\r\n")
                f.flush()
                size = 0
                while (l := f.readline()) != b".\r\n":
                    size += len(l)
                m.note = f"{size} bytes"
        p.close()
        a.close()
        self.cli("export", "export", "maildir", str(self.folder / "out"), "--account", USER)
        shutil.rmtree(self.folder / "out", ignore_errors=True)


def main():
    global harness
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--messages", type=int, default=1000000)
    p.add_argument("--mailboxes", type=int, default=50000)
    p.add_argument("--sessions", type=int, default=1000)
    p.add_argument("--large", type=int, default=100)
    p.add_argument("--postgresql", action="store_true")
    p.add_argument("--folder")
    p.add_argument("steps", nargs="*")
    args = p.parse_intermixed_args()
    os.environ["POSTHORN_BUILD"] = str(pathlib.Path(args.build).resolve())
    sys.path.insert(0, str(ROOT / "tests/system"))
    import harness
    bench = Bench(args)
    try:
        for step in args.steps or ("messages", "mailboxes", "sessions", "large"):
            print(f"== {step}", flush=True)
            getattr(bench, step)()
    finally:
        bench.end()
    print("\n| line | seconds | CPU s | peak MB | others wait: IMAP ms | SMTP ms | |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for r in rows:
        print(f"| {r['line']} | {r['seconds']} | {r['cpu']} | {r['peak_mb']} {r['in']} | {r['imap_waits_ms']} | {r['smtp_waits_ms']} | {r['note']} |")


if __name__ == "__main__":
    main()
