#!/usr/bin/python3
"""stress.py BUILD --imaptest PROGRAM [--store sqlite|postgresql] [--seconds 600] [--clients 50] [--mode checked|loose] [--users 1] [--shared]
          [--profile imap|pop3] [--more MORE]

imaptest's stress mode with a weight for every one of its commands against a server of its own: its state tracking compares every answer with what the clients
have done. Then `posthorn check` on all accounts. Exit status 1 where imaptest reports an error or a lost connection, or the check finds something.
--mode checked compares every 20 seconds what all clients think of the mailbox, loose drops connections and compresses them. (imaptest's checkpoints
lose count where it does that, and where there are several users; it stops reading after a pipelined COMPRESS: all weights, but in two modes.)
--users 1 has all clients in one mailbox, --shared those of many users. --profile runs its emulated clients (with LMTP deliveries) instead. MORE goes to imaptest."""
import argparse
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests/system")]

WEIGHTS = """auth=50 login=50,0 listroot=20 list=50 mcreate=20 mdelete=20 mrename=20 msubs=20 status=50 select=100 uidfetch=30 fetch=100 fetch2=100,30
search=50 sort=50 thread=50 copy=33,5 move=20 store=50 delete=100 expunge=100 append=100,5 noop=30 check=30 logout=100 delay=20""".split()
MODES = {"checked": "mech=LOGIN checkpoint=20 compress=0 disconnect=0", "loose": "mech=PLAIN no_pipelining compress=30 disconnect=10"}

PROFILE = """lmtp_port = {lmtp}
lmtp_max_parallel_count = 100
total_user_count = 20
rampup_time = 5s
user busy {{
  username_format = u%n@example.test
  count = 100%
  mail_inbox_delivery_interval = 3s
  mail_spam_delivery_interval = 5s
  mail_action_delay = 2s
  mail_action_repeat_delay = 1s
  mail_session_length = 20s
  mail_send_interval = 5s
  mail_write_duration = 2s
  mail_inbox_reply_percentage = 50
  mail_inbox_delete_percentage = 5
  mail_inbox_move_percentage = 5
  mail_inbox_move_filter_percentage = 10
}}
{client}"""
SHARED = "Shared Folders/team@example.test/INBOX"
CLIENTS = {
    "imap": """client Thunderbird {
  count = 100%
  connection_max_count = 5
  imap_idle = yes
  imap_fetch_immediate = UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type)]
  imap_fetch_manual = RFC822.SIZE BODY[]
}
""",
    "pop3": """client keeps {
  count = 50%
  connection_max_count = 1
  protocol = pop3
  pop3_keep_mails = yes
  login_interval = 1s
}
client takes {
  count = 50%
  connection_max_count = 1
  protocol = pop3
  pop3_keep_mails = no
  login_interval = 2s
}
"""}


def write_mbox(path, count=1000):
    """Messages with Message-IDs of their own, as imaptest tells them apart by these."""
    rng = random.Random(7)
    with open(path, "w", newline="") as out:
        for i in range(count):
            body = "".join("".join(rng.choice("abcdefghij klmnopq") for _ in range(70)) + "\r\n" for _ in range(rng.choice((2, 10, 40, 400))))
            kind = rng.choice(("plain", "mixed"))
            text = f'Content-Type: multipart/mixed; boundary="x{i}"\r\n\r\n--x{i}\r\n\r\n{body}--x{i}\r\nContent-Type: text/html\r\n\r\n<p>{i}</p>\r\n--x{i}--\r\n'
            out.write(f"From load@load.test Tue Nov 24 10:00:00 2026\r\nFrom: Sender {i % 50} <s{i % 50}@load.test>\r\nTo: <u1@example.test>\r\n"
                      f"Subject: {rng.choice(('', 'Re: '))}Matter {i % 97}\r\nDate: Tue, {i % 27 + 1} Nov 2026 10:{i % 60:02}:00 +0100\r\nMessage-ID: <m{i}@load.test>\r\n")
            if i % 3:
                out.write(f"In-Reply-To: <m{i - i % 3}@load.test>\r\nReferences: <m{i - i % 3}@load.test>\r\n")
            out.write(("\r\n" + body if kind == "plain" else text) + "\r\n")


def command(options, server, folder):
    mbox = folder / "mbox"
    write_mbox(mbox)
    common = [options.imaptest, "host=127.0.0.1", f"mbox={mbox}", "pass=secret", f"clients={options.clients}", f"secs={options.seconds},20"]
    if options.profile:
        port = server.ports["pop3" if options.profile == "pop3" else "imap"]
        profile = folder / "profile.conf"
        profile.write_text(PROFILE.format(lmtp=options.lmtp, client=CLIENTS[options.profile]))
        return [*common, f"port={port}", "user=u1@example.test", f"profile={profile}"]
    box = [f"box={SHARED}"] if options.shared else []
    return [*common, f"port={server.ports['imap']}", "user=u%d@example.test", f"users=1-{options.users}", "copybox=copies",
            *box, *WEIGHTS, *MODES[options.mode].split(), *options.more.split()]


def prepare(options, server):
    """imaptest makes a missing target of COPY itself, but trips over another client that does the same."""
    for user in range(1, options.users + 1):
        server.cli("mailbox", "create", f"u{user}@example.test", "copies")
        if options.shared:
            server.cli("mailbox", "share", "team@example.test", "INBOX", f"u{user}@example.test", "lrswipkxte")


def run_imaptest(options, server, folder):
    """The lines that mean something went wrong."""
    environment = dict(os.environ, LD_LIBRARY_PATH="/usr/lib/dovecot")
    bad, last = [], ""
    call = list(map(str, command(options, server, folder)))
    print(" ".join(call), flush=True)
    with subprocess.Popen(["nice", "-n", str(options.nice), *call], cwd=folder, env=environment, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as load:
        for number, line in enumerate(load.stdout):
            if re.search(r"Error|Fatal|Panic|Warning|stalled|isconnect|BUG", line) and not re.match(r"\s*\d+", line):
                bad.append(line.rstrip())
                print(line, end="", flush=True)
            elif number % 60 == 0 or "Totals" in line or "ms/cmd" in line:
                print(line, end="", flush=True)
            last = line
    print(last, end="")
    return bad + ([f"imaptest ended with {load.returncode}"] if load.returncode else [])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--imaptest", required=True)
    parser.add_argument("--store", default="sqlite", choices=["sqlite", "postgresql"])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--users", type=int, default=1)
    parser.add_argument("--mode", choices=MODES, default="checked")
    parser.add_argument("--nice", type=int, default=10)
    parser.add_argument("--profile", choices=["imap", "pop3"])
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--more", default="")
    options = parser.parse_args()
    options.imaptest, options.lmtp = pathlib.Path(options.imaptest).resolve(), harness.free_port()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="posthorn-stress-"))
    folder.chmod(0o755)
    database = harness.PostgreSQL(folder).start() if options.store == "postgresql" else None
    server = harness.Server(folder, "smtp:\n  trusted_networks: [127.0.0.0/8]\nlog:\n  level: warning\n")
    while not harness.port_is_free(options.lmtp) or options.lmtp in server.ports.values():
        options.lmtp = harness.free_port()
    text = server.config.read_text()
    server.config.write_text(text.replace("listeners:\n", f'listeners:\n  - {{address: "127.0.0.1:{options.lmtp}", protocol: lmtp}}\n', 1))
    if database:
        server.use_store(database.url)
    server.add_accounts(max(options.users, 20) + 1)
    server.cli("account", "add", "team@example.test", "--shared")
    prepare(options, server)
    server.process = subprocess.Popen([str(harness.POSTHORN), "serve", "--config", str(server.config)], stdout=open(server.log_path, "ab"), stderr=subprocess.STDOUT)
    harness.wait_for(lambda: server.cli("status", check=False).stdout.count("running") >= 6, 30, "all roles ready", every=0.2)
    print(f"in {folder}", flush=True)
    said = len(server.log_text())
    bad = run_imaptest(options, server, folder)
    bad += [f"log: {line}" for line in server.log_text()[said:].splitlines()]
    server.stop(60)
    checked = server.cli("check", "--all", check=False, timeout=900)
    print(checked.stdout)
    if checked.returncode != 0:
        bad.append(f"check: {checked.stdout}{checked.stderr}")
    if database:
        database.remove()
    if not options.keep and not bad:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(bad)} complaints", *bad[:50], sep="\n")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        os.environ["POSTHORN_BUILD"] = str(pathlib.Path(sys.argv[1]).resolve())
    import harness
    main()
