"""The servers of bench/imap.py: Posthorn, Dovecot twice and Cyrus, private instances on loopback from Debian's packages. All of them sync before they say OK.

Users are u0, u1, ..., all with the password "secret"; `user(n)` says what a client calls them. `index(number)` makes a user's full-text index, where the server
`has_index`, and returns how many messages it has put in if that isn't the number in that mailbox."""
import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import time

import harness
from harness import free_port, port_is_open, wait_for
from measure import Group

HERE = pathlib.Path(__file__).resolve().parent
USERS = 120


class Server:
    name, has_index = None, True

    def __init__(self, folder, certificate, key):
        self.folder = pathlib.Path(folder)
        self.certificate, self.key = certificate, key
        self.ports = {name: free_port() for name in ("imap", "imaps", "pop3")}
        self.group = Group(f"posthorn-bench-{self.name.split()[0].lower()}")
        self.process = None
        self.env = dict(os.environ)
        self.prepare()

    def user(self, number):
        return f"u{number}@example.test"

    def launch(self, command):
        log = open(self.folder / "bench.log", "ab")
        self.process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, preexec_fn=self.group.enter, start_new_session=True)
        self.group.root = self.process.pid
        wait_for(lambda: all(map(port_is_open, self.ports.values())), 30, f"{self.name} listening")

    def start(self):
        self.launch(self.command)

    def stop(self):
        self.process.terminate()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and (self.process.poll() is None or self.group.pids()):
            time.sleep(0.1)
        for pid in self.group.pids() if self.group.path else []:
            os.kill(pid, 9)
        self.process.wait()
        time.sleep(0.2)

    def start_filling(self):
        """As start(); who syncs each message by itself doesn't while the mailboxes are filled, which would take minutes."""
        self.start()

    def end_filling(self):
        """From here on all is synced."""

    def restart(self):
        self.stop()
        self.start()

    def remove(self):
        self.stop()
        self.group.remove()


class Posthorn(Server):
    name = "Posthorn"

    def prepare(self):
        self.server = harness.Server(self.folder, "limits:\n  connections: 20000\n")
        self.server.add_accounts(USERS)
        self.ports = {name: self.server.ports[name] for name in ("imap", "imaps", "pop3")}
        self.command = [harness.POSTHORN, "serve", "--config", self.server.config]

    def start(self, hold_jobs=True):
        super().start()
        wait_for(lambda: self.server.cli("status", check=False).stdout.count("running") >= 6, 30, "all roles ready", every=0.2)
        self.server.process = self.process
        if hold_jobs:  # The index is made in the background: not before it is wanted, so that the lines without it are without it.
            time.sleep(1)
            os.kill(self.server.roles()["jobs"], signal.SIGSTOP)

    def index(self, user):
        """Of all accounts; the first round begins right after the start."""
        self.restart()
        seen = [-1] * 10  # accounts with few messages have no index, so that there is no number to wait for
        while len(set(seen)) > 1 or seen[-1] <= 0:
            time.sleep(0.5)
            seen = [*seen[1:], self.ask("SELECT coalesce(sum(emails), 0) FROM text_segment")]
        return seen[-1]

    def ask(self, question):
        with contextlib.closing(sqlite3.connect(self.server.dir / "data/store/posthorn.db")) as db:
            return db.execute(question).fetchone()[0]

    def restart(self):
        self.stop()
        self.start(hold_jobs=False)

    def stop(self):
        if "jobs" in self.server.roles():
            os.kill(self.server.roles()["jobs"], signal.SIGCONT)
        super().stop()


class Dovecot(Server):
    name, has_index, store = "Dovecot, its defaults", False, "maildir:~/Maildir"
    tuning, search, fsync = "", "", "optimized"

    def prepare(self):
        for part in ("run", "mail"):
            (self.folder / part).mkdir()
        shutil.chown(self.folder / "mail", "nobody", "nogroup")
        self.configuration = self.folder / "dovecot.conf"
        self.configure()
        self.command = ["dovecot", "-F", "-c", self.configuration]

    def start_filling(self):
        self.fsync = "never"
        self.configure()
        self.start()

    def end_filling(self):
        self.fsync = "optimized"
        self.configure()
        self.restart()

    def configure(self):
        self.configuration.write_text(f"""base_dir = {self.folder}/run
state_dir = {self.folder}/run
log_path = {self.folder}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{self.certificate}
ssl_key = <{self.key}
disable_plaintext_auth = no
mail_location = {self.store}
mail_fsync = {self.fsync}
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
# limits of connections, which its defaults have too low for this
default_process_limit = 12000
default_client_limit = 24000
default_vsz_limit = 1G
mail_max_userip_connections = 20000
service imap {{
  process_limit = 12000
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={self.folder}/mail/%n allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = {self.ports["imap"]}
  }}
  inet_listener imaps {{
    port = {self.ports["imaps"]}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {self.ports["pop3"]}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
{self.tuning}{self.search}""")


class FastDovecot(Dovecot):
    """Its documentation's advice for performance: mdbox, processes that are used again, everything cached at once, idle sessions hibernated."""
    name, has_index, store = "Dovecot, tuned", True, "mdbox:~/mdbox"
    tuning = """mail_always_cache_fields = flags date.received date.sent size.virtual size.physical imap.envelope imap.bodystructure imap.body mime.parts pop3.uidl pop3.order
mdbox_rotate_size = 64M
mailbox_list_index = yes
mailbox_list_index_very_dirty_syncs = yes
imap_hibernate_timeout = 2s
pop3_no_flag_updates = yes
pop3_fast_size_lookups = yes
auth_cache_size = 10M
service imap-login {
  service_count = 0
  process_min_avail = 2
}
service pop3-login {
  service_count = 0
}
service imap {
  service_count = 100000
  process_min_avail = 2
  unix_listener imap-master {
    user = $default_internal_user
  }
  extra_groups = $default_internal_group
}
service imap-hibernate {
  unix_listener imap-hibernate {
    mode = 0666
  }
}
service pop3 {
  service_count = 100000
}
"""

    def index(self, user):
        unpacked = harness.unpack("dovecot-fts-xapian", "dovecot-fts-xapian")
        modules = self.folder / "modules"
        shutil.copytree("/usr/lib/dovecot/modules", modules, symlinks=True)
        shutil.copy(next(unpacked.rglob("lib21_fts_xapian_plugin.so")), modules)
        self.search = f"""mail_plugin_dir = {modules}
mail_plugins = fts fts_xapian
plugin {{
  fts = xapian
  fts_xapian = partial=3 full=20
  fts_enforced = yes
}}
"""
        self.configure()
        self.restart()
        subprocess.run(["doveadm", "-c", str(self.configuration), "index", "-u", self.user(user), "INBOX"], check=True, preexec_fn=self.group.enter, capture_output=True)


class Cyrus(Server):
    name = "Cyrus"

    def start_filling(self):
        library = self.folder / "nosync.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, HERE / "nosync.c"], check=True)
        self.env["LD_PRELOAD"] = str(library)
        self.start()

    def end_filling(self):
        del self.env["LD_PRELOAD"]
        self.restart()

    def user(self, number):
        return f"u{number}"

    def prepare(self):
        root = harness.unpack("cyrus", "cyrus-common", "cyrus-imapd", "cyrus-pop3d", "sasl2-bin", "libclamav12", "libical3", "libzephyr4", "libmspack0")
        self.programs = root / "usr/lib/cyrus/bin"
        self.env["LD_LIBRARY_PATH"] = str(root / "usr/lib/x86_64-linux-gnu")
        for part in ("lib/socket", "lib/db", "lib/proc", "lib/log", "spool"):
            (self.folder / part).mkdir(parents=True)
        self.configuration = self.folder / "imapd.conf"
        self.configuration.write_text(f"""configdirectory: {self.folder}/lib
defaultpartition: default
partition-default: {self.folder}/spool
admins: cyrus
cyrus_user: nobody
cyrus_group: nogroup
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {self.folder}/sasldb2
sasl_mech_list: PLAIN
servername: mx.example.test
allowplaintext: yes
virtdomains: off
unixhierarchysep: yes
autocreate_users: anyone
autocreate_quota: 0
maxlogins_per_user: 0
maxlogins_per_host: 0
popminpoll: 0
tls_server_cert: {self.certificate}
tls_server_key: {self.key}
""")
        services = "\n".join(f'  {name} cmd="{self.programs}/{program} -C {self.configuration} -U 1000" listen="127.0.0.1:{self.ports[name]}" prefork={prefork} maxchild=12000'
                             for name, program, prefork in (("imap", "imapd", 4), ("imaps", "imapd -s", 0), ("pop3", "pop3d", 1)))
        (self.folder / "cyrus.conf").write_text(f"""START {{
  recover cmd="{self.programs}/ctl_cyrusdb -C {self.configuration} -r"
}}
SERVICES {{
{services}
}}
EVENTS {{
  checkpoint cmd="{self.programs}/ctl_cyrusdb -C {self.configuration} -c" period=30
}}
""")
        for number in range(USERS):
            subprocess.run([str(root / "usr/sbin/saslpasswd2"), "-c", "-p", "-u", "mx.example.test", "-f", str(self.folder / "sasldb2"), self.user(number)],
                           input=b"secret\n", check=True, capture_output=True)
        subprocess.run(["chown", "-R", "nobody:nogroup", str(self.folder)], check=True)
        self.command = [self.programs / "master", "-C", self.configuration, "-M", self.folder / "cyrus.conf", "-p", self.folder / "master.pid", "-D"]

    def index(self, user):
        """Squat answers from its index only, so that it isn't asked before there is one."""
        with open(self.configuration, "a") as out:
            out.write("search_engine: squat\n")
        self.restart()
        subprocess.run([str(self.programs / "squatter"), "-C", str(self.configuration), "-r", f"user/{self.user(user)}"], env=self.env, check=True, preexec_fn=self.group.enter, capture_output=True)


SERVERS = {"posthorn": Posthorn, "dovecot": Dovecot, "dovecot-tuned": FastDovecot, "cyrus": Cyrus}
