"""OpenSMTPD and Sendmail for the tests and the benches: private instances of Debian's packages, which can't be installed beside Postfix. They
are unpacked, and run in a mount namespace of their own, where the paths and users that are built into them are what the test has made."""
import contextlib
import functools
import os
import pathlib
import pwd
import shutil
import subprocess

import pytest

from harness import Exim, Postfix, free_port, port_is_open, unpack, wait_for

NOBODY = pwd.getpwnam("nobody")
# Users that only exist in the namespaces.
USERS = {"opensmtpd": 64611, "opensmtpq": 64612, "smmta": 64613, "smmsp": 64614}


@functools.cache
def has_namespaces():
    return subprocess.run(["unshare", "--mount", "--propagation", "private", "true"], capture_output=True, check=False).returncode == 0


class Peer:
    """What both have in common. `domains` are kept in a Maildir; all else goes to `relay` ("host:port"), where hosts may be names of `hosts`."""

    name = None
    log_is_output = True

    def __init__(self, folder, hosts=()):
        if not has_namespaces():
            pytest.skip("no mount namespace is to be had here (in a chroot, say)")
        self.dir = pathlib.Path(folder) / self.name
        self.port = free_port()
        self.process = None
        for part in ("etc", "mail", "run", "spool", "lib"):
            (self.dir / part).mkdir(parents=True)
        for path in [self.dir, *self.dir.parents]:
            if path == pathlib.Path("/tmp"):
                break
            path.chmod(0o755)
        shutil.chown(self.dir / "mail", "nobody")
        self.log = self.dir / "log"
        users = "".join(f"{u}:x:{n}:{n}::{self.dir}:/usr/sbin/nologin\n" for u, n in USERS.items())
        groups = "".join(f"{u}:x:{n}:\n" for u, n in USERS.items())
        (self.dir / "etc/passwd").write_text(pathlib.Path("/etc/passwd").read_text() + users)
        (self.dir / "etc/group").write_text(pathlib.Path("/etc/group").read_text() + groups)
        (self.dir / "etc/hosts").write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {h}\n" for h in hosts))
        self.binds = {name: self.dir / name[1:] for name in ("/etc/passwd", "/etc/group", "/etc/hosts")}

    def command(self, *args):
        """In the namespace of the binds."""
        mounts = "".join(f"mount --bind '{source}' '{target}'\n" for target, source in self.binds.items())
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"set -e\n{mounts}exec \"$@\"", "sh", *map(str, args)]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(*self.arguments), stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(lambda: self.process.poll() is None and port_is_open(self.port), 20, f"{self.name} listening")
        except TimeoutError:
            self.stop()
            raise AssertionError(self.log.read_text()) from None
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process = None

    def received(self):
        return [p.read_bytes() for p in (self.dir / "mail").rglob("*") if p.is_file() and p.parent.name in ("new", "cur")]


class OpenSMTPD(Peer):
    """`tls` is (certificate, key); with `trust` (a file of authorities) it relays over verified TLS, with `relay_login` (user, password). As a server it
    offers STARTTLS and then fails in each handshake: Debian's doesn't agree with its OpenSSL 3. Such hosts are out there."""

    name = "opensmtpd"

    def __init__(self, folder, relay="127.0.0.1:25", domains=("opensmtpd.test",), hosts=(), tls=None, trust=None, relay_login=None,
                 plain_domains=(), plain_relay=None, box='maildir "{mail}"', more=""):
        unpacked = unpack("opensmtpd", "opensmtpd")
        super().__init__(folder, hosts)
        (self.dir / "spool/smtpd").mkdir(mode=0o711)
        (self.dir / "lib/opensmtpd/empty").mkdir(parents=True)
        (self.dir / "lib/opensmtpd/empty").chmod(0o711)
        (self.dir / "etc/resolv.conf").write_text("lookup file\n")  # no question leaves this machine
        self.binds |= {"/etc/resolv.conf": self.dir / "etc/resolv.conf", "/var/spool": self.dir / "spool", "/var/lib": self.dir / "lib", "/run": self.dir / "run"}
        libexec = self.dir / "libexec"
        libexec.mkdir()
        shutil.copytree(unpacked / "usr/libexec/opensmtpd", libexec / "opensmtpd")
        self.binds["/usr/libexec"] = libexec
        if trust:
            self.binds["/etc/ssl/certs/ca-certificates.crt"] = trust
        lines = [f'table boxes {{ "box" = "{NOBODY.pw_uid}:{NOBODY.pw_gid}:{self.dir}/mail" }}',
                 "table virtuals { " + ", ".join(f'"@{d}" = box' for d in domains) + " }", more]
        listen = f"listen on 127.0.0.1 port {self.port} hostname mx.opensmtpd.test"
        if tls:
            for path in (self.dir / "etc/cert.pem", self.dir / "etc/key.pem"):
                shutil.copy(tls[path.name == "key.pem"], path)
            (self.dir / "etc/key.pem").chmod(0o600)
            lines += [f'pki mx.opensmtpd.test cert "{self.dir}/etc/cert.pem"', f'pki mx.opensmtpd.test key "{self.dir}/etc/key.pem"']
            lines.append(f"{listen} tls pki mx.opensmtpd.test")
        else:
            lines.append(listen)
        if relay_login:
            (self.dir / "etc/secrets").write_text(f"us {relay_login[0]}:{relay_login[1]}\n")
            lines.append(f"table secrets file:{self.dir}/etc/secrets")
        scheme, label, auth = ("smtp+tls", "us@" if relay_login else "", " auth <secrets>" if relay_login else "")
        out = f'relay host "{scheme}://{label}{relay}"{auth} tls' if trust else f'relay host "smtp+notls://{relay}"'
        lines += [f'action "box" {box.format(mail=self.dir / "mail")} virtual <virtuals> userbase <boxes>',
                  f'action "plain" relay host "smtp+notls://{plain_relay or relay}"', f'action "out" {out}']
        lines += [f'match from any for domain "{d}" action "box"' for d in domains]
        lines += [f'match from any for domain "{d}" action "plain"' for d in plain_domains]
        lines.append('match from any for any action "out"')
        (self.dir / "etc/smtpd.conf").write_text("\n".join(lines) + "\n")
        self.smtpctl = pathlib.Path(shutil.copy(unpacked / "usr/sbin/smtpctl", self.dir))
        os.chown(self.smtpctl, 0, USERS["opensmtpq"])
        self.smtpctl.chmod(0o2755)
        self.arguments = [unpacked / "usr/sbin/smtpd", "-d", "-f", self.dir / "etc/smtpd.conf"]

    def retry_now(self):
        """It tries again after minutes, unless it is told to."""
        subprocess.run(self.command(self.smtpctl, "schedule", "all"), capture_output=True, check=True)


class Sendmail(Peer):
    """The same of Sendmail, without logins. Its configuration is made by its own m4 files."""

    name = "sendmail"

    def __init__(self, folder, relay="127.0.0.1:25", domains=("sendmail.test",), hosts=(), tls=None, trust=None,
                 plain_domains=(), plain_relay="127.0.0.1:25"):
        unpacked = unpack("sendmail", "sendmail-bin", "sendmail-cf", "sendmail-base")
        super().__init__(folder, hosts)
        etc = self.dir / "etc"
        self.binds |= {"/run": self.dir / "run"}
        (self.dir / "run/sendmail/mta").mkdir(parents=True)
        (self.dir / "mail/new").mkdir()
        shutil.chown(self.dir / "mail/new", "nobody")
        deliver = etc / "deliver"
        deliver.write_text(f"#!/bin/sh\nn=$$.$(date +%s%N)\ncat >{self.dir}/mail/$n && mv {self.dir}/mail/$n {self.dir}/mail/new/$n\n")
        deliver.chmod(0o755)
        host, port = relay.rsplit(":", 1)
        source = unpacked / "usr/share/sendmail/cf"
        lines = [f"define(`_CF_DIR_', `{source}/')", f"include(`{source}/m4/cf.m4')", "OSTYPE(`linux')", "define(`confDOMAIN_NAME', `mx.sendmail.test')",
                 "FEATURE(`nouucp', `reject')", "FEATURE(`nocanonify')", "FEATURE(`accept_unqualified_senders')", "FEATURE(`promiscuous_relay')", "FEATURE(`accept_unresolvable_domains')",
                 f"define(`QUEUE_DIR', `{self.dir}/spool')", f"define(`STATUS_FILE', `{self.dir}/status')", "define(`confTO_IDENT', `0')",
                 f"define(`confPID_FILE', `{self.dir}/run/sendmail.pid')", *[f"LOCAL_DOMAIN(`{d}')" for d in domains],
                 f"define(`ALIAS_FILE', `')", f"define(`HELP_FILE', `')", "define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit,GroupReadableKeyFile,GroupReadableSASLDBFile')",
                 f"define(`confDEF_USER_ID', `{NOBODY.pw_uid}:{NOBODY.pw_gid}')", "define(`confTRUSTED_USER', `smmta')",
                 f"define(`SMART_HOST', `relay:[{host}]')", f"define(`RELAY_MAILER_ARGS', `TCP $h {port}')", "define(`confSEPARATE_PROC', `False')",
                 f"define(`LOCAL_MAILER_PATH', `{deliver}')", "define(`LOCAL_MAILER_ARGS', `deliver $u')", "MODIFY_MAILER_FLAGS(`LOCAL', `-wA')",
                 "define(`confSERVICE_SWITCH_FILE', `" + str(etc / "service.switch") + "')", "define(`confMIN_QUEUE_AGE', `0')",
                 "define(`confREJECT_MSG', `550 refused')", "define(`confMAX_DAEMON_CHILDREN', `1500')", "define(`confLOG_LEVEL', `9')",
                 f"DAEMON_OPTIONS(`Port={self.port}, Addr=127.0.0.1, Name=MTA')"]
        (etc / "service.switch").write_text("hosts files\naliases files\n")
        plain = plain_relay.rsplit(":", 1)
        access = f"Try_TLS:{plain[0]} NO\n" if plain_domains else ""
        if tls:
            for path in (etc / "cert.pem", etc / "key.pem"):
                shutil.copy(tls[path.name == "key.pem"], path)
            (etc / "key.pem").chmod(0o600)
            lines += [f"define(`confSERVER_CERT', `{etc}/cert.pem')", f"define(`confSERVER_KEY', `{etc}/key.pem')"]
        if trust:
            shutil.copy(trust, etc / "ca.pem")
            lines += [f"define(`confCACERT', `{etc}/ca.pem')", f"define(`confCACERT_PATH', `{etc}')", f"define(`confCLIENT_CERT', `{etc}/cert.pem')", f"define(`confCLIENT_KEY', `{etc}/key.pem')"]
            access += f"TLS_Srv:{host} VERIFY\n"
        if plain_domains:
            self._map("mailertable", "".join(f"{d} esmtp:[{plain[0]}]\n" for d in plain_domains))
            lines += [f"FEATURE(`mailertable', `hash -o {etc}/mailertable.db')", f"define(`ESMTP_MAILER_ARGS', `TCP $h {plain[1]}')"]
        self._map("access", access)
        lines += [f"FEATURE(`access_db', `hash -T<TMPF> -o {etc}/access.db')", "MAILER(`local')", "MAILER(`smtp')"]
        (etc / "sendmail.mc").write_text("\n".join(f"{line}dnl" for line in lines) + "\n")
        (etc / "sendmail.cf").write_text(subprocess.run(["m4", str(etc / "sendmail.mc")], check=True, capture_output=True, text=True).stdout)
        self.arguments = [unpacked / "usr/libexec/sendmail/sendmail", "-C", etc / "sendmail.cf", "-bD", "-q2s"]

    def _map(self, name, text):
        etc = self.dir / "etc"
        (etc / name).write_text(text)
        subprocess.run([str(unpack("sendmail") / "usr/libexec/sendmail/makemap"), "-C", "/dev/null", "hash", str(etc / f"{name}.db")], input=text.encode(),
                       capture_output=True, check=True)
        (etc / f"{name}.db").chmod(0o600)


class Relayed:
    """Postfix and Exim with what OpenSMTPD and Sendmail are given above: relaying over verified TLS with a login, `plain_domains` without."""

    @staticmethod
    def postfix(folder, relay, plain_relay, tls, trust, relay_login, plain_domains):
        (host, port), (plain_host, plain_port) = relay.split(":"), plain_relay.split(":")
        return Postfix(folder, relay, tls=tls, more={
            "smtp_host_lookup": "native", "smtp_tls_security_level": "secure", "smtp_tls_CAfile": trust, "smtp_tls_secure_cert_match": "hostname",
            "smtp_sasl_auth_enable": "yes", "smtp_sasl_security_options": "noanonymous",
            "smtp_sasl_password_maps": f"inline:{{ {{ [{host}]:{port} = {relay_login[0]}:{relay_login[1]} }} }}",
            "smtp_tls_policy_maps": f"inline:{{ {{ [{plain_host}]:{plain_port} = none }} }}",
            "transport_maps": "inline:{ " + ", ".join(f"{{ {d} = smtp:[{plain_host}]:{plain_port} }}" for d in plain_domains) + " }"})

    @staticmethod
    def exim(folder, relay, plain_relay, tls, trust, relay_login, plain_domains, login):
        peer = Exim(folder, relay, tls=tls)
        plain = plain_relay.split(":")
        text = peer.config.read_text()
        replaced = {
            "smtputf8_advertise_hosts": "dsn_advertise_hosts = *\nsmtputf8_advertise_hosts",
            "acl_smtp_rcpt = accept\n": "acl_smtp_rcpt = rcpt\n",
            "begin routers\n": f"""begin acl
rcpt:
  defer local_parts = grey
        condition = ${{if exists{{{peer.dir}/spool/open}}{{no}}{{yes}}}}
        message = Greylisted, come again later
  accept
begin routers
plain:
  driver = manualroute
  domains = {' : '.join(plain_domains)}
  route_list = * {plain[0]}::{plain[1]} byname
  self = send
  transport = plain
""",
            "begin retry": f"""plain:
  driver = smtp
  port = {plain[1]}
  interface = 127.0.0.1
  allow_localhost
  hosts_avoid_tls = *
begin authenticators
client:
  driver = plaintext
  public_name = PLAIN
  client_send = ^{relay_login[0]}^{relay_login[1]}
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{login[0]}}}}}{{eq{{$auth3}}{{{login[1]}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
begin retry""",
            "  hosts_try_fastopen =\n": f"""  hosts_try_fastopen =
  hosts_require_tls = *
  hosts_require_auth = *
  tls_verify_hosts = *
  tls_verify_certificates = {trust}
""",
        }
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new, 1)
        peer.config.write_text(text)
        peer.auth_port = peer.port
        return peer
