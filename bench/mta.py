#!/usr/bin/python3
"""mta.py BUILD [--only posthorn,postfix,opensmtpd,exim] [--scale 1.0] [--load smtp-source|smtpload] [--connections 1,20,200,1000]

The same mail through Posthorn, Postfix, OpenSMTPD and Exim (Debian's, private instances, their defaults but for limits of connections), one after
the other: into mailboxes (theirs: their own delivery into Maildir) with so many connections at a time, and relayed to another host. The load and the
host are Postfix's smtp-source (connections that stay) and smtp-sink, or ours. Everyone promises the same: 250 after fsync. Needs root; a table at the end."""
import argparse
import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests/system")]
from measure import PeakMemory, cpu  # noqa: E402

SIZE = 4096
PR_SET_CHILD_SUBREAPER = 36
USERS = 100


def reap(command):
    """Runs as a process of its own: whatever the command leaves behind becomes its child, so that no CPU second is lost with an orphan."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    subprocess.Popen(command)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.2)


def under_reaper(command, log):
    return subprocess.Popen([sys.executable, __file__, "--reap", *map(str, command)], stdout=log, stderr=log, start_new_session=True)


def tool(name):
    program = pathlib.Path(tempfile.gettempdir()) / f"posthorn-{name}"
    source = HERE / f"{name}.c"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-o", program, source, "-lpthread"], check=True)
    return program


class Candidate:
    def __init__(self, folder, sink):
        self.folder, self.sink, self.process = pathlib.Path(folder), sink, None

    def launch(self, command):
        self.log = open(self.folder / "bench.log", "ab")
        nobody = self.folder / "resolv.conf"  # who asks the DNS about the load's address is answered at once
        nobody.write_text("lookup file\nnameserver 127.0.0.1\n")
        hidden = f"mount --bind {nobody} /etc/resolv.conf && exec \"$@\""
        self.process = under_reaper(["unshare", "--mount", "--propagation", "private", "sh", "-c", hidden, "sh", *command], self.log)
        wait_for(lambda: port_is_open(self.port), 30, f"{self.name} listening")
        time.sleep(1)

    def stop(self):
        for pid in reversed(tree([self.process.pid])):
            try:
                os.kill(pid, 15)
            except ProcessLookupError:
                pass
        time.sleep(1)
        for pid in tree([self.process.pid]):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        self.process.wait()

    def kept(self):
        """Messages in mailboxes."""
        return sum(len(os.listdir(new)) for new in self.mail.rglob("new"))


class Posthorn(Candidate):
    name = "Posthorn"

    def __init__(self, folder, sink):
        super().__init__(folder, sink)
        self.server = Server(folder, f"smtp:\n  trusted_networks: [127.0.0.0/8]\nrelay:\n  smarthost: 127.0.0.1:{sink}\n  smarthost_tls: none\nlog:\n  level: warning\n")
        self.server.add_accounts(USERS)
        self.port = self.server.ports["smtp"]

    def start(self):
        self.launch([harness.POSTHORN, "serve", "--config", self.server.config])

    def kept(self):
        rows = json.loads(self.server.cli("account", "list", "--json").stdout)
        return sum(r["messages"] for r in rows)


class PostfixHere(Candidate):
    name = "Postfix"

    def __init__(self, folder, sink):
        super().__init__(folder, sink)
        self.peer = Postfix(folder, f"127.0.0.1:{sink}", domains=("example.test",), more={
            "smtpd_client_connection_count_limit": 0, "smtp_tls_security_level": "none", "in_flow_delay": "0"})
        master = self.peer.dir / "etc/master.cf"
        text = master.read_text()  # smtpd processes for as many connections as there will be
        master.write_text(text.replace(f"127.0.0.1:{self.peer.port} inet n - n - - smtpd", f"127.0.0.1:{self.peer.port} inet n - n - 1100 smtpd"))
        self.port, self.mail = self.peer.port, self.peer.mail

    def start(self):
        self.launch(["postfix", "-c", self.peer.dir / "etc", "start-fg"])


class OpenSMTPDHere(Candidate):
    name = "OpenSMTPD"

    def __init__(self, folder, sink):
        super().__init__(folder, sink)
        self.peer = OpenSMTPD(folder, f"127.0.0.1:{sink}", domains=("example.test",), more="smtp limit max-mails 100000")
        self.port, self.mail = self.peer.port, self.peer.dir / "mail"

    def start(self):
        self.launch(self.peer.command(*["-F" if a == "-d" else a for a in self.peer.arguments]))  # no log on a terminal


class EximHere(Candidate):
    name = "Exim"

    def __init__(self, folder, sink):
        super().__init__(folder, sink)
        self.peer = Exim(folder, f"127.0.0.1:{sink}", domains=("example.test",))
        text = self.peer.config.read_text()
        self.peer.config.write_text(text.replace("begin routers", "smtp_accept_max = 1200\nsmtp_accept_queue_per_connection = 0\nsmtp_connect_backlog = 1000\n"
                                                 "smtp_accept_max_nonmail = 1000\nbegin routers", 1))
        self.port, self.mail = self.peer.port, self.peer.dir / "mail"

    def start(self):
        self.launch([self.peer.binary, "-C", self.peer.config, "-bdf", "-q10s"])


CANDIDATES = {"posthorn": Posthorn, "postfix": PostfixHere, "opensmtpd": OpenSMTPDHere, "exim": EximHere}


def load_command(options, port, connections, count, domain):
    if options.load == "smtpload":
        return [tool("smtpload"), port, connections, count, SIZE, USERS, 50, domain]
    return ["smtp-source", "-d", "-s", connections, "-m", count, "-l", SIZE, "-f", "load@load.test", "-t", f"u0@{domain}", f"inet:127.0.0.1:{port}"]


def run_load(options, port, connections, count, domain):
    done = subprocess.run([*map(str, load_command(options, port, connections, count, domain))], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        print(f"   the load said: {done.stdout.strip()} {done.stderr.strip()[-300:]}", flush=True)


def measured(candidate, work, connections, count, body):
    """body() returns how many arrived."""
    peak, before, begin = PeakMemory(candidate.process.pid), cpu([candidate.process.pid]), time.monotonic()
    arrived = body()
    seconds, used = time.monotonic() - begin, cpu([candidate.process.pid]) - before
    row = {"work": work, "connections": connections, "server": candidate.name, "arrived": arrived, "of": count, "per_second": round(arrived / seconds, 1),
           "per_cpu_second": round(arrived / max(used, 0.01), 1), "cpu_seconds": round(used, 2), "peak_mb": round(peak.stop() / 1024, 1)}
    print(json.dumps(row), flush=True)
    return row


def inbound(options, candidate, connections, count):
    before = candidate.kept()

    def body():
        run_load(options, candidate.port, connections, count, "example.test")
        deadline = time.monotonic() + 180
        while (arrived := candidate.kept() - before) < count and time.monotonic() < deadline:
            time.sleep(0.2)
        return arrived
    return measured(candidate, "into mailboxes", connections, count, body)


def relayed(options, candidate, count):
    if options.load == "smtpload":
        sink = subprocess.Popen([str(tool("smtpsink")), str(candidate.sink), str(count)], stdout=subprocess.DEVNULL)
    else:
        sink = subprocess.Popen(["smtp-sink", "-u", "nobody", "-M", str(count), f"127.0.0.1:{candidate.sink}", "1000"])
    wait_for(lambda: port_is_open(candidate.sink), 10, "the sink")

    def body():
        run_load(options, candidate.port, 20, count, "remote.test")
        try:
            sink.wait(180)
        except subprocess.TimeoutExpired:
            sink.kill()
            return 0
        return count
    return measured(candidate, "relayed", 20, count, body)


def table(rows):
    print("\n| work | connections | server | messages/s | per CPU second | Posthorn is better by | peak memory, MB |\n| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    ours = {(r["work"], r["connections"]): r for r in rows if r["server"] == "Posthorn"}
    for r in sorted(rows, key=lambda r: (r["work"], r["connections"])):
        best = ours.get((r["work"], r["connections"]))
        ratio = f"{best['per_cpu_second'] / max(r['per_cpu_second'], 0.1):.1f}" if best and best is not r else ""
        lost = "" if r["arrived"] == r["of"] else f" ({r['arrived']} of {r['of']})"
        print(f"| {r['work']} | {r['connections']} | {r['server']} | {r['per_second']:.0f}{lost} | {r['per_cpu_second']:.0f} | {ratio} | {r['peak_mb']:.0f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--only", default="posthorn,postfix,opensmtpd,exim")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--load", default="smtp-source", choices=["smtp-source", "smtpload"])
    parser.add_argument("--connections", default="1,20,200,1000")
    options = parser.parse_args()
    rows = []
    for name in options.only.split(","):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="posthorn-bench-", dir="/tmp"))
        folder.chmod(0o755)
        candidate = CANDIDATES[name](folder, free_port())
        candidate.start()
        try:
            for connections in map(int, options.connections.split(",")):
                rows.append(inbound(options, candidate, connections, int((300 if connections == 1 else 2000) * options.scale)))
            rows.append(relayed(options, candidate, int(2000 * options.scale)))
        finally:
            candidate.stop()
            shutil.rmtree(folder, ignore_errors=True)
    table(rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reap"]:
        reap(sys.argv[2:])
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        os.environ["POSTHORN_BUILD"] = str(pathlib.Path(sys.argv[1]).resolve())
    import harness
    from harness import Exim, Postfix, Server, free_port, port_is_open, wait_for
    from measure import tree
    from peers import OpenSMTPD
    main()
