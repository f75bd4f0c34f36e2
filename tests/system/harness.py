"""What the system tests stand on: a private Posthorn, and private peers from Debian's packages, all on loopback."""
import contextlib
import csv
import hashlib
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("POSTHORN_BUILD", "build"))
BUILD = BUILD if BUILD.is_absolute() else ROOT / BUILD
POSTHORN = BUILD / "posthorn"
IS_ROOT = os.geteuid() == 0
PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995}

# The sandbox keeps LeakSanitizer from its work; everything else of the sanitizers is fatal.
SANITIZER_ENV = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


def wait_for(condition, seconds=20, what="condition", every=0.02):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {seconds} s")
        time.sleep(every)


def port_is_open(port, host="127.0.0.1"):
    with contextlib.closing(socket.socket()) as s:
        s.settimeout(1)
        return s.connect_ex((host, port)) == 0


# Below the ports that the system gives to outgoing connections (32768 and up): one of those may stand in our way at any time.
# Workers beside us (pytest -n) have slices of their own, or two would find the same port free.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
SLICE = (31000 - 10000) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
FIRST_PORT = 10000 + WORKER * SLICE
OFFSETS = SLICE - max(PORTS.values())
_next_offset = os.getpid() * 37 % OFFSETS


def port_is_free(port):
    with contextlib.closing(socket.socket()) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_offset():
    """A port offset at which all our standard ports are free."""
    global _next_offset
    while True:
        _next_offset = (_next_offset + 997) % OFFSETS
        if all(port_is_free(p + FIRST_PORT + _next_offset) for p in PORTS.values()):
            return FIRST_PORT + _next_offset


def free_port():
    while not port_is_free(port := random.randrange(FIRST_PORT, FIRST_PORT + SLICE)):
        pass
    return port


def children(pid):
    out = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            out += [int(p) for p in task.read_text().split()]
    return out


class Server:
    """A demo set up by `posthorn setup --demo` in a folder of its own."""

    def __init__(self, folder, settings="", store=None, replace=()):
        self.folder = pathlib.Path(folder)
        self.dir = self.folder / "demo"
        self.offset = free_offset()
        self.ports = {name: port + self.offset for name, port in PORTS.items()}
        self.log_path = self.folder / "posthorn.log"
        self.process = None
        self.env = dict(os.environ, **SANITIZER_ENV)
        self.folder.chmod(0o755)
        self.cli("setup", "--demo", str(self.dir), "--port-offset", str(self.offset), config=False)
        self.config = self.dir / "posthorn.yaml"
        text = self.config.read_text()
        for pattern, value in replace:
            text, count = re.subn(pattern, value, text, flags=re.M)
            assert count, f"{pattern} is not in posthorn.yaml"
        self.config.write_text(text + "\n" + settings)
        self.passwords = dict(re.findall(r"^(\S+@\S+)[\s:,]+(\S+)\s*$", (self.dir / "passwords.txt").read_text(), re.M))
        if store:
            self.use_store(store)

    def use_store(self, url):
        """The same server on another store: domain and users are made anew there."""
        self.config.write_text(self.config.read_text() + f"\nstore:\n  url: {url}\n")
        self.cli("domain", "add", "example.test", check=False)
        for address, password in self.passwords.items():
            self.cli("account", "add", address, "--password-stdin", input=password + "\n")

    def cli(self, *args, config=True, check=True, input=None, timeout=60):
        command = [str(POSTHORN), *args]
        if config:
            command += ["--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, input=input, timeout=timeout, env=self.env)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, seconds=30):
        self.log = open(self.log_path, "ab")
        mark = self.log_path.stat().st_size
        self.process = subprocess.Popen([str(POSTHORN), "serve", "--config", str(self.config)], stdout=self.log, stderr=self.log,
                                        env=self.env, start_new_session=True)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"posthorn ended with {self.process.returncode}:\n{self.log_text()[-4000:]}")
            return {"smtp", "deliver", "relay", "imap", "auth", "jobs"} <= set(
                re.findall(r"event=supervisor.role_ready which=(\w+)", self.log_text()[mark:]))
        wait_for(ready, seconds, "all roles ready")
        return self

    def stop(self, seconds=20):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(seconds)
        self.process = None

    def kill_tree(self):
        """kill -9 of supervisor and roles, as a power cut would."""
        pids = [self.process.pid, *children(self.process.pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def roles(self):
        """name -> pid of what runs now."""
        out = {}
        for pid in children(self.process.pid):
            with contextlib.suppress(OSError):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if len(words) > 2 and words[1] == b"role":
                    out[words[2].decode()] = pid
        return out

    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def add_accounts(self, count, password="secret", prefix="u"):
        path = self.folder / "accounts.csv"
        with open(path, "w", newline="") as out:
            writer = csv.writer(out)
            for i in range(count):
                writer.writerow([f"{prefix}{i}@example.test", password])
        self.cli("account", "add", "--batch", str(path), timeout=300)

    def check_integrity(self):
        """SQLite's own opinion, while nothing runs."""
        with contextlib.closing(sqlite3.connect(self.dir / "data/store/posthorn.db")) as db:
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"

    # ---- clients of the standard library ----

    def tls(self):
        context = ssl.create_default_context(cafile=str(self.certificate()))
        context.check_hostname = False
        return context

    def certificate(self):
        return next(p for p in self.dir.rglob("*.pem") if "CERTIFICATE" in p.read_text() and "PRIVATE" not in p.read_text())

    def imap(self, user="alice@example.test", password=None, tls=False):
        import imaplib
        if tls:
            client = imaplib.IMAP4_SSL("127.0.0.1", self.ports["imaps"], ssl_context=self.tls(), timeout=60)
        else:
            client = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=60)
        client.login(user, password or self.passwords.get(user, "secret"))
        return client

    def smtp(self, listener="smtp", user=None, host="127.0.0.1"):
        import smtplib
        if listener == "submissions":
            client = smtplib.SMTP_SSL(host, self.ports[listener], timeout=60, context=self.tls())
        else:
            client = smtplib.SMTP(host, self.ports[listener], timeout=60)
        client.ehlo("client.test")
        if user:
            if listener == "submission":
                client.starttls(context=self.tls())
                client.ehlo("client.test")
            client.login(user, self.passwords.get(user, "secret"))
        return client

    def messages(self, user="alice@example.test", mailbox="INBOX", item="BODY.PEEK[]"):
        """The whole messages of a mailbox, by uid."""
        client = self.imap(user)
        try:
            status, _ = client.select(mailbox, readonly=True)
            assert status == "OK", mailbox
            _, found = client.uid("FETCH", "1:*", f"({item})")
            return [part[1] for part in found if isinstance(part, tuple)]
        finally:
            client.logout()

    def count(self, user="alice@example.test", mailbox="INBOX"):
        client = self.imap(user)
        try:
            _, found = client.status(mailbox, "(MESSAGES)")
            return int(re.search(rb"MESSAGES (\d+)", found[0]).group(1))
        finally:
            client.logout()


def tokens_in(messages):
    """The values of X-Token header fields, each as often as it is there."""
    out = []
    for message in messages:
        out += re.findall(rb"^X-Token: (\S+)", message.split(b"\r\n\r\n", 1)[0], re.M)
    return [t.decode() for t in out]


def letter(token, to="alice@example.test", sender="sender@remote.test", body="Hello\r\n", extra=""):
    return (f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: Letter {token}\r\nMessage-ID: <{token}@remote.test>\r\n"
            f"X-Token: {token}\r\nDate: Tue, 24 Nov 2026 15:00:00 +0000\r\n{extra}\r\n{body}").encode()


class Sink:
    """A scripted remote mail host: takes everything, remembers it, and misbehaves on demand."""

    def __init__(self, host="127.0.0.1", port=0, replies=None, extensions=("PIPELINING", "8BITMIME", "SIZE 50000000")):
        self.replies = replies or {}
        self.extensions = extensions
        self.messages, self.envelopes = [], []
        self.lock = threading.Lock()
        self.listener = socket.create_server((host, port))
        self.host, self.port = self.listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _reply(self, stream, stage, default, argument=""):
        answer = self.replies.get(stage, default)
        if callable(answer):
            answer = answer(argument) or default
        stream.write(answer.encode() + b"\r\n")
        stream.flush()
        return answer[:1] in "23"

    def _serve(self, peer):
        with contextlib.suppress(OSError, ValueError), peer, peer.makefile("rwb") as stream:
            self._reply(stream, "banner", "220 sink.test ESMTP")
            sender, recipients = None, []
            for line in stream:
                word, argument = line[:4].upper(), line.decode(errors="replace").strip()
                if word in (b"EHLO", b"HELO"):
                    lines = ["sink.test", *self.extensions]
                    text = "\r\n".join(f"250{'-' if i + 1 < len(lines) else ' '}{l}" for i, l in enumerate(lines))
                    self._reply(stream, "ehlo", text, argument)
                elif word == b"MAIL":
                    if self._reply(stream, "mail", "250 2.1.0 ok", argument):
                        sender, recipients = argument, []
                elif word == b"RCPT":
                    if self._reply(stream, "rcpt", "250 2.1.5 ok", argument):
                        recipients.append(argument)
                elif word == b"DATA":
                    if not recipients:
                        stream.write(b"554 5.5.1 no recipients\r\n")
                        stream.flush()
                    elif self._reply(stream, "data", "354 go on"):
                        body = b""
                        while (line := stream.readline()) not in (b".\r\n", b""):
                            body += line[1:] if line.startswith(b".") else line
                        if not line:
                            return
                        if self._reply(stream, "final", "250 2.0.0 taken"):
                            with self.lock:
                                self.messages.append(body)
                                self.envelopes.append((sender, list(recipients)))
                elif word == b"QUIT":
                    self._reply(stream, "quit", "221 2.0.0 bye")
                    return
                else:
                    self._reply(stream, "other", "250 ok")


class Postfix:
    """A private Postfix on loopback. Mail for `domains` is kept in Maildirs; the rest goes to `relay` ("host:port")."""

    def __init__(self, folder, relay=None, domains=("postfix.test",), tls=None, more=()):
        self.dir = pathlib.Path(folder) / "postfix"
        self.port = free_port()
        self.log = self.dir / "log"
        self.mail = self.dir / "mail"
        for name in ("etc", "spool", "data", "mail"):
            (self.dir / name).mkdir(parents=True)
        pathlib.Path(folder).chmod(0o755)
        self.dir.chmod(0o755)
        shutil.chown(self.dir / "data", "postfix")
        shutil.chown(self.mail, "nobody")
        master = pathlib.Path("/usr/share/postfix/master.cf.dist")
        lines = master.read_text().splitlines()
        out = []
        for line in lines:
            if re.match(r"smtp\s+inet", line):
                line = f"127.0.0.1:{self.port} inet n - n - - smtpd"
            # nothing chrooted: the spool is a bare folder
            out.append(re.sub(r"^([a-z]\S*\s+(?:unix|inet|unix-dgram)\s+[-ny]\s+[-ny]\s+)y\s", r"\1n ", line))
        (self.dir / "etc/master.cf").write_text("\n".join(out) + "\n")
        import pwd
        nobody = pwd.getpwnam("nobody")
        settings = {
            "compatibility_level": "3.6", "queue_directory": self.dir / "spool", "data_directory": self.dir / "data",
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin", "myhostname": "mx.postfix.test",
            "mydestination": "", "mynetworks": "127.0.0.0/8", "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
            "virtual_mailbox_domains": " ".join(domains), "virtual_mailbox_base": self.mail, "virtual_mailbox_maps": "static:box/",
            "virtual_uid_maps": f"static:{nobody.pw_uid}", "virtual_gid_maps": f"static:{nobody.pw_gid}", "virtual_minimum_uid": 1,
            "maillog_file": self.log, "maillog_file_prefixes": "/", "smtp_tls_security_level": "may", "smtputf8_enable": "yes",
            "relayhost": f"[{relay.split(':')[0]}]:{relay.split(':')[1]}" if relay else "", "minimal_backoff_time": "1s",
            "queue_run_delay": "1s", "smtp_bind_address": "127.0.0.1",
        }
        if tls:
            settings |= {"smtpd_tls_cert_file": tls[0], "smtpd_tls_key_file": tls[1], "smtpd_tls_security_level": "may",
                         "smtpd_tls_received_header": "yes"}
        settings |= dict(more)
        (self.dir / "etc/main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))

    def start(self):
        done = subprocess.run(["postfix", "-c", str(self.dir / "etc"), "start"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
        wait_for(lambda: port_is_open(self.port), 20, "Postfix listening")
        return self

    def stop(self):
        subprocess.run(["postfix", "-c", str(self.dir / "etc"), "stop"], capture_output=True)

    def received(self):
        return [p.read_bytes() for p in self.mail.rglob("*") if p.is_file() and p.parent.name in ("new", "cur")]

    def send(self, message, sender, recipient):
        """By Postfix's own sendmail command."""
        return subprocess.run(["sendmail", "-C", str(self.dir / "etc"), "-i", "-f", sender, recipient], input=message, check=True)


def unpack(name, *packages):
    """The folder with what is in these packages, fetched once."""
    cache = ROOT / "build" / "peers" / name
    if not (cache / "whole").exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "download", "-qq", *packages], cwd=folder, check=True, capture_output=True)
            for package in pathlib.Path(folder).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(package), str(cache)], check=True)
        (cache / "whole").touch()
    return cache


class Exim:
    """A private Exim, unpacked from its Debian package (it can't be installed beside Postfix)."""

    @staticmethod
    def program():
        program = unpack("exim", "exim4-daemon-light") / "usr/sbin/exim4"
        if subprocess.run(["id", "Debian-exim"], capture_output=True).returncode != 0:
            subprocess.run(["useradd", "--system", "--no-create-home", "Debian-exim"], check=True)
        return program

    def __init__(self, folder, relay=None, domains=("exim.test",), tls=None):
        unpacked = self.program()
        self.dir = pathlib.Path(folder) / "exim"
        self.port = free_port()
        self.process = None
        for name in ("spool", "mail", "log"):
            (self.dir / name).mkdir(parents=True)
            shutil.chown(self.dir / name, "Debian-exim")
        pathlib.Path(folder).chmod(0o755)
        self.dir.chmod(0o755)
        # It executes itself, also as its own user, who may not be able to enter our build folder.
        self.binary = pathlib.Path(shutil.copy(unpacked, self.dir / "exim4"))
        host, port = relay.split(":") if relay else ("127.0.0.1", "25")
        tls_text = f"tls_advertise_hosts = *\ntls_certificate = {tls[0]}\ntls_privatekey = {tls[1]}\n" if tls else "tls_advertise_hosts =\n"
        self.config = self.dir / "exim.conf"
        self.config.write_text(f"""exim_path = {self.binary}
primary_hostname = mx.exim.test
domainlist local_domains = {' : '.join(domains)}
spool_directory = {self.dir}/spool
log_file_path = {self.dir}/log/%slog
pid_file_path = {self.dir}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
{tls_text}smtputf8_advertise_hosts = *
acl_smtp_rcpt = accept
acl_smtp_data = accept
never_users =
keep_environment =
begin routers
local:
  driver = accept
  domains = +local_domains
  transport = box
out:
  driver = manualroute
  domains = !+local_domains
  route_list = * {host}::{port} byname
  self = send
  transport = out
begin transports
box:
  driver = appendfile
  maildir_format
  directory = {self.dir}/mail
  create_directory
  user = Debian-exim
out:
  driver = smtp
  port = {port}
  interface = 127.0.0.1
  allow_localhost
  hosts_try_fastopen =
begin retry
* * F,1h,2s
""")

    def start(self):
        self.process = subprocess.Popen([str(self.binary), "-C", str(self.config), "-bdf", "-q2s"], stdout=subprocess.DEVNULL,
                                        stderr=open(self.dir / "stderr", "wb"))
        wait_for(lambda: port_is_open(self.port), 20, "Exim listening")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)

    def received(self):
        return [p.read_bytes() for p in (self.dir / "mail").rglob("*") if p.is_file() and p.parent.name in ("new", "cur")]

    def send(self, message, sender, recipient):
        return subprocess.run([str(self.binary), "-C", str(self.config), "-i", "-f", sender, recipient], input=message, check=True)


def openssl(*args, **more):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, **more).stdout


class Certificates:
    """An authority of the test's own, and what it signs."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder) / "certificates"
        self.dir.mkdir()
        self.ca = self.dir / "ca.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.dir / "ca.key", "-out", self.ca, "-subj", "/CN=Test CA",
                "-days", 10, "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")

    def make(self, name, hosts):
        """(chain, key)"""
        key, request, cert, extra = (self.dir / f"{name}.{end}" for end in ("key", "csr", "pem", "ext"))
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={hosts[0]}")
        extra.write_text("subjectAltName=" + ",".join(f"DNS:{h}" for h in hosts))
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.dir / "ca.key", "-CAcreateserial", "-days", 10, "-extfile",
                extra, "-out", cert)
        cert.write_text(cert.read_text() + self.ca.read_text())
        for path in (cert, key):
            path.chmod(0o644)
        return cert, key

    @staticmethod
    def digest(data, kind="sha256"):
        return hashlib.new(kind, data).hexdigest()

    def records(self, cert):
        der = openssl("x509", "-in", cert, "-outform", "DER")
        key = openssl("pkey", "-pubin", "-outform", "DER", input=openssl("x509", "-in", cert, "-noout", "-pubkey"))
        return {"whole": key.hex(), "key": self.digest(key), "cert512": self.digest(der, "sha512"),
                "ca": self.digest(openssl("x509", "-in", self.ca, "-outform", "DER"))}


class PostgreSQL:
    """A private PostgreSQL, run by an ordinary user, on a Unix socket in a folder of its own."""

    def __init__(self, folder):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="posthorn-pg-"))
        self.user = "nobody" if IS_ROOT else None
        if IS_ROOT:
            shutil.chown(self.dir, "nobody")
        self.dir.chmod(0o755)
        self.bin = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self._run("initdb", "-D", str(self.dir / "data"), "-U", "posthorn", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        with open(self.dir / "data/postgresql.conf", "a") as out:
            out.write(f"listen_addresses = ''\nunix_socket_directories = '{self.dir}'\nmax_connections = 200\n")
        self.url = f"postgresql:///postgres?host={self.dir}&user=posthorn"

    def _run(self, program, *args):
        command = [str(self.bin / program), *args]
        if self.user:
            command = ["runuser", "-u", self.user, "--", *command]
        done = subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, f"{program}: {done.stderr}"

    def start(self):
        self._run("pg_ctl", "-D", str(self.dir / "data"), "-w", "-l", str(self.dir / "log"), "start")
        return self

    def stop(self, mode="fast"):
        self._run("pg_ctl", "-D", str(self.dir / "data"), "-w", "-m", mode, "stop")

    def remove(self):
        with contextlib.suppress(AssertionError):
            self.stop("immediate")
        shutil.rmtree(self.dir, ignore_errors=True)


class Nsd:
    """A private authoritative DNS server for a few zones, on a loopback port."""

    def __init__(self, folder, zones):
        self.dir = pathlib.Path(folder) / "nsd"
        self.dir.mkdir()
        self.port = free_port()
        text = f"""server:
  ip-address: 127.0.0.1@{self.port}
  username: ""
  zonesdir: {self.dir}
  database: ""
  pidfile: {self.dir}/nsd.pid
  xfrdfile: {self.dir}/xfrd.state
  zonelistfile: {self.dir}/zone.list
  xfrdir: {self.dir}
  server-count: 1
remote-control:
  control-enable: no
"""
        for name, records in zones.items():
            (self.dir / name).write_text(f"$ORIGIN {name}.\n$TTL 1\n@ SOA ns.{name}. hostmaster.{name}. 1 3600 600 86400 1\n@ NS ns.{name}.\n"
                                         f"ns A 127.0.0.1\n{records}\n")
            text += f"zone:\n  name: {name}\n  zonefile: {self.dir / name}\n"
        (self.dir / "nsd.conf").write_text(text)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", str(self.dir / "nsd.conf")], stdout=open(self.dir / "log", "wb"),
                                        stderr=subprocess.STDOUT, start_new_session=True)
        wait_for(lambda: port_is_open(self.port), 10, "nsd listening")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def settings(self, zones):
        return "dns:\n  forwarders:\n" + f"    - 127.0.0.1@{self.port}\n" + "  insecure_domains:\n" + "".join(f"    - {z}\n" for z in zones)
