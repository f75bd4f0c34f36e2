#!/usr/bin/python3
"""imap.py BUILD [LINE...] [--only posthorn,dovecot,dovecot-tuned,cyrus] [--messages 50000] [--idle 1000,10000] [--imaptest PROGRAM] [--json FILE]

The same work on Posthorn, Dovecot (its defaults; tuned) and Cyrus, Debian's, private instances, one after the other; a table at the end. LINEs (all): load
login flags envelopes bodies qresync search append mixed pop3 idle index. CPU seconds are those of the server's control group, or of its process tree.
The line `mixed` needs dovecot's imaptest. A line is run once to warm up, then again for some seconds. Needs root (for the servers); takes some minutes."""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests/system")]

WORKERS = 4
SMALL_USERS, SMALL_MAILBOX = 40, 50  # u1 to u40
POP3_USER, POP3_MESSAGES = 50, 3000
INDEXED_USER, INDEXED_FIRST, INDEXED_MESSAGES = 49, 4500, 1000  # with one rare word; Dovecot takes half a minute to index as many
APPENDERS = range(51, 51 + WORKERS)
MIXED = (61, 80)
IDLE_MEMORY_KB = 8 * 1024 * 1024  # more isn't tried


class Bench:
    def __init__(self, server, options):
        self.server, self.options, self.rows = server, options, []

    def say(self, line, operations, cpu, seconds, unit, **more):
        row = {"server": self.server.name, "line": line, "unit": unit, "operations": operations, "cpu_seconds": round(cpu, 4), "seconds": round(seconds, 3),
               "cost": cpu / operations if operations else None, **more}
        self.rows.append(row)
        each = f"{row['cost'] * 1000:.3f} ms CPU" if row["cost"] is not None else ""
        print(f"   {line}: {operations} {unit}, {seconds:.2f} s, {each} each {more or ''}", flush=True)

    def measure(self, line, unit, work, seconds=1.5, most=1000, warm=True, **more):
        """work() returns how many operations it was; it is run as often as fits into the time."""
        if warm:
            work()
        before, begin, done, runs = self.server.group.seconds(), time.monotonic(), 0, 0
        while runs < most and (runs == 0 or time.monotonic() - begin < seconds * self.options.scale):
            done, runs = done + work(), runs + 1
        # what is still to be done for what has been answered
        wall = time.monotonic() - begin
        self.say(line, done, self.server.group.seconds() - before, wall, unit, **more)

    def open(self, user=0, select=True):
        connection = Connection(self.server.ports["imap"], self.server.user(user))
        if select:
            connection.run("SELECT INBOX")
        return connection

    # ---- the lines ----

    def load(self):
        """u0's mailbox, and small ones: MULTIAPPEND of 100 at a time."""
        def fill(user, count, first=0):
            connection = self.open(user, False)
            for at in range(first, first + count, 100):
                connection.append([message(n) for n in range(at, min(at + 100, first + count))])
            connection.run("LOGOUT")
            return count

        def small(worker):
            return sum(fill(user, SMALL_MAILBOX, user * 1000) for user in range(1 + worker, SMALL_USERS + 1, WORKERS))
        self.measure("load: APPEND of 100 messages at a time, per message", "messages", lambda: fill(0, self.options.messages), most=1, warm=False)
        in_processes(WORKERS, small)
        fill(POP3_USER, POP3_MESSAGES)
        fill(INDEXED_USER, INDEXED_MESSAGES, INDEXED_FIRST)
        self.server.end_filling()

    def login(self):
        def sessions(worker):
            for number in range(100):
                connection = self.open(1 + (worker + number * WORKERS) % SMALL_USERS)
                connection.run("FETCH 31:* (FLAGS ENVELOPE)")
                connection.run("LOGOUT")
                connection.close()
            return 100
        self.measure("log-in, SELECT, FETCH of 20, LOGOUT", "sessions", lambda: in_processes(WORKERS, sessions))

    def fetches(self, line, items):
        connection = self.open()
        self.measure(line, "mailboxes", lambda: connection.run(f"UID FETCH 1:* ({items})") and 1)
        connection.close()

    def flags(self):
        self.fetches("full sync: flags", "FLAGS")

    def envelopes(self):
        self.fetches("full sync: envelopes and structures", "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE")

    def bodies(self):
        self.fetches("full sync: bodies", "BODY.PEEK[]")

    def qresync(self):
        changer = self.open(select=False)
        changer.run("ENABLE QRESYNC")
        text = changer.run("SELECT INBOX", text=True).decode()
        validity, modseq = (re.search(rf"\[{name} (\d+)\]", text)[1] for name in ("UIDVALIDITY", "HIGHESTMODSEQ"))
        count = int(re.search(r"\* (\d+) EXISTS", text)[1])
        changer.run(f"STORE {','.join(map(str, range(7, count - 60, count // 200)))} +FLAGS.SILENT (\\Seen)")
        changer.run(f"STORE {','.join(map(str, range(11, count - 60, count // 50)))} +FLAGS.SILENT (\\Deleted)")
        changer.run("EXPUNGE")
        changer.append([message(500000 + n) for n in range(50)])
        changer.run("LOGOUT")
        client = self.open(select=False)
        client.run("ENABLE QRESYNC")

        def sync():
            client.run(f"SELECT INBOX (QRESYNC ({validity} {modseq}))")
            client.run("UNSELECT")
            return 1
        self.measure("incremental sync: QRESYNC, 300 changes", "syncs", sync)
        client.close()

    def searches(self, kind, user, expected):
        connection = self.open(user)
        for name, key, hits in (("BODY, a rare word", f"BODY {RARE_WORD}", expected), ("BODY, no match", "BODY zzqqxxzz", 0)):
            text = connection.run(f"SEARCH {key}", text=True).decode(errors="replace")
            answer = re.search(r"\* SEARCH([ \d]*)", text)
            found = len(answer[1].split()) if answer else 0
            more = {} if found == hits else {"wrong": f"{found} found"}
            self.measure(f"SEARCH {name}, {kind}", "searches", lambda: connection.run(f"SEARCH {key}") and 1, **more)
        connection.close()

    def search(self):
        self.searches("no index", 0, self.options.messages // 10000)
        connection = self.open()
        self.measure("SEARCH SUBJECT", "searches", lambda: connection.run('SEARCH SUBJECT "matter 77"') and 1)
        connection.close()

    def index(self):
        if not self.server.has_index:
            return
        before, begin = self.server.group.seconds(), time.monotonic()
        count = self.server.index(INDEXED_USER) or INDEXED_MESSAGES
        self.say("making the full-text index, per message", count, self.server.group.seconds() - before, time.monotonic() - begin, "messages")
        self.searches(f"with an index ({INDEXED_MESSAGES:,} messages)", INDEXED_USER, 1)

    def append(self):
        def appends(worker):
            connection = self.open(APPENDERS[worker], False)
            for number in range(100):
                connection.append([message(number * 20 + worker)])
            connection.run("LOGOUT")
            return 100
        self.measure("APPEND, one message at a time", "messages", lambda: in_processes(WORKERS, appends))

    def mixed(self):
        """imaptest's own mix of commands."""
        if not self.options.imaptest:
            return
        mbox = self.server.folder / "mbox"
        with open(mbox, "wb") as out:
            for number in range(500):
                out.write(b"From x@y Tue Nov 24 10:00:00 2026\r\n" + message(number) + b"\r\n")
        mbox.chmod(0o644)
        user = self.server.user(7777).replace("7777", "%d")

        def run():
            done = subprocess.run([self.options.imaptest, "host=127.0.0.1", f"port={self.server.ports['imap']}", f"user={user}", "users={}-{}".format(*MIXED), "pass=secret", "clients=20",
                                   "secs=8,5", "seed=7", "msgs=100", f"mbox={mbox}", "no_tracking"], capture_output=True, text=True, timeout=60, check=False,
                                  env=dict(os.environ, LD_LIBRARY_PATH="/usr/lib/dovecot"))
            return sum(map(int, done.stdout.split("Totals:")[1].split("\n")[-2].split())) if "Totals:" in done.stdout else 0
        self.measure("imaptest's mix, 20 clients", "commands", run, most=1, warm=False)

    def pop3(self):
        self.measure("POP3: log-in, RETR of all, QUIT, per message", "messages", lambda: Pop3(self.server.ports["pop3"], self.server.user(POP3_USER)).retrieve_all())

    def idle(self):
        self.server.restart()
        with contextlib.closing(self.open(1)):  # what the first session brings into memory is the server's, not the session's
            pass
        users = [self.server.user(n) for n in range(1, SMALL_USERS + 1)]
        for count in self.options.idle:
            line = f"memory of an idle session over TLS, {count:,} of them"
            last = next((r for r in self.rows if r["line"].startswith("memory of an idle")), None)
            if last and last["kb"] * count > min(free_kb() / 2, IDLE_MEMORY_KB):
                self.rows.append({"server": self.server.name, "line": line, "unit": "KB", "kb": None, "note": f"not tried: {last['kb'] * count / 1048576:.0f} GB"})
                print(f"   {line}: not tried, they would need {last['kb'] * count / 1048576:.0f} GB", flush=True)
                continue
            kb, cpu, begin = self.server.group.memory_kb(), self.server.group.seconds(), time.monotonic()
            idlers = Idlers(self.server.ports["imaps"], users, count)
            cpu = self.server.group.seconds() - cpu
            took = time.monotonic() - begin
            time.sleep(4)
            each = (self.server.group.memory_kb() - kb) / count
            idlers.end()
            more = {} if idlers.all_there else {"wrong": "some were refused"}
            self.rows.append({"server": self.server.name, "line": line, "unit": "KB", "kb": round(each, 1), **more})
            print(f"   {line}: {each:.1f} KB each {more or ''}", flush=True)
            self.say(f"log-in over TLS, SELECT, IDLE ({count:,})", count, cpu, took, "sessions")
            time.sleep(1)


LINES = ["load", "login", "flags", "envelopes", "bodies", "qresync", "search", "append", "mixed", "pop3", "index", "idle"]


def free_kb():
    return int(re.search(r"MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])


def run_server(kind, lines, options, certificate):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="posthorn-bench-"))
    folder.chmod(0o755)
    print(f"== {kind.name}", flush=True)
    begin = time.monotonic()
    server = kind(folder, *certificate)
    bench = Bench(server, options)
    peak = 0
    server.start_filling()
    try:
        for line in lines:
            try:
                getattr(bench, line)()
            except (Failed, OSError) as e:
                print(f"   {line}: FAILED: {e!r}", flush=True)
            peak = max(peak, server.group.memory_kb()) if line != "idle" else peak
    finally:
        server.remove()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    bench.rows.append({"server": kind.name, "line": "memory of the server, at most after a line", "unit": "MB", "kb": round(peak / 1024)})
    print(f"   {time.monotonic() - begin:.0f} s in all", flush=True)
    return bench.rows


def text_of(row):
    if row is None:
        return "-"
    if "kb" in row:
        return row.get("note") or f"{row['kb']:,}"
    value = row["cost"] * 1000
    return (f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:,.0f}") + (" (!)" if "wrong" in row else "")


def value_of(row):
    return (row.get("kb") or None) if "kb" in row else row["cost"]


def table(rows):
    """CPU milliseconds an operation (or KB); how many times the next best needs."""
    servers = list(dict.fromkeys(r["server"] for r in rows))
    by = {(r["line"], r["server"]): r for r in rows}
    print(f"\n| line | {' | '.join(servers)} | the best other needs | messages, sessions, ... a second: {', '.join(servers)} |\n| --- |{' ---: |' * (len(servers) + 2)}")
    for line in dict.fromkeys(r["line"] for r in rows):
        cells = [by.get((line, s)) for s in servers]
        others = [value_of(c) for c in cells[1:] if c and value_of(c) and "wrong" not in c]
        ratio = f"{min(others) / value_of(cells[0]):.1f} times" if cells[0] and value_of(cells[0]) and others else ""
        rates = ", ".join(f"{c['operations'] / c['seconds']:,.0f}" if c and "cost" in c else "-" for c in cells) if not any(c and "kb" in c for c in cells) else ""
        unit = next(c["unit"] for c in cells if c)
        print(f"| {line}{f', {unit}' if unit in ('KB', 'MB') else ''} | {' | '.join(map(text_of, cells))} | {ratio} | {rates} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("lines", nargs="*", metavar="LINE")
    parser.add_argument("--only", default=",".join(SERVERS))
    parser.add_argument("--messages", type=int, default=50000)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--idle", default="1000,10000", type=lambda s: [int(n) for n in s.split(",")])
    parser.add_argument("--imaptest")
    parser.add_argument("--json")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    wrong = [line for line in options.lines if line not in LINES]
    if wrong:
        parser.error(f"there is no line {wrong[0]}; lines are {' '.join(LINES)}")
    lines = [line for line in LINES if line in options.lines or not options.lines or line == "load"]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder).chmod(0o755)
        certificate = harness.Certificates(folder).make("mx", ["mx.example.test"])
        for name in options.only.split(","):
            rows += run_server(SERVERS[name], lines, options, certificate)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1))
    table(rows)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        os.environ["POSTHORN_BUILD"] = str(pathlib.Path(sys.argv[1]).resolve())
    import resource

    import harness
    from imap_client import RARE_WORD, Connection, Failed, Idlers, Pop3, in_processes, message
    from imap_servers import SERVERS
    main()
