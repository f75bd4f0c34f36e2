"""Programs with windows, on a screen that nobody sees: Xvfb, and Thunderbird steered by Marionette, its own remote control."""
import base64
import contextlib
import email
import json
import os
import pathlib
import re
import socket
import subprocess
from email.message import EmailMessage
from email.policy import SMTP

from harness import Certificates, Server, free_port, wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"
BINARY = bytes(range(256)) * 50

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}


def end(process, seconds=20):
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Screen:
    """An X server of our own."""

    def __init__(self):
        reader, writer = os.pipe()
        self.process = subprocess.Popen(["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x900x24", "-nolisten", "tcp"], pass_fds=[writer],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(writer)
        with open(reader) as told:  # which number it took, once it is ready
            self.display = f":{told.readline().strip()}"

    def close(self):
        end(self.process)


class Place:
    """The server, with a certificate of an authority that programs are told of, and a screen."""

    def __init__(self, folder):
        for path in [folder, folder.parent, folder.parent.parent]:
            path.chmod(0o755)
        authority = Certificates(folder)
        self.folder, self.authority = folder, authority.ca
        self.chain, key = authority.make("localhost", ["localhost"])
        self.server = Server(folder, replace=((r"- certificate: .*", f"- certificate: {self.chain}"), (r"^      key: .*", f"      key: {key}")))
        self.screen = Screen()

    def start(self):
        self.server.start()
        return self

    def stop(self):
        self.screen.close()
        self.server.stop()


def letter(subject, text="Hello\n", to=ALICE, html=None, attachment=None):
    message = EmailMessage()
    for name, value in {"From": "Jörg Müller <joerg@remote.test>", "To": to, "Subject": subject, "Message-ID": f"<{abs(hash(subject))}@remote.test>",
                        "Date": "Wed, 25 Nov 2026 12:00:00 +0100"}.items():
        message[name] = value
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    if attachment:
        message.add_attachment(attachment[1], maintype="application", subtype="octet-stream", filename=attachment[0])
    return message


def deliver(server, user, *messages):
    client = server.smtp()
    for message in messages:
        client.sendmail("joerg@remote.test", [user], message.as_bytes(policy=SMTP))
    client.quit()


class Box:
    """A mailbox as another program sees it."""

    def __init__(self, server, user, name="INBOX"):
        self.client = server.imap(user)
        assert self.client.select(f'"{name}"')[0] == "OK", name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.logout()

    def uid(self, subject):
        return self.client.uid("SEARCH", "SUBJECT", f'"{subject}"')[1][0].decode().replace(" ", ",")

    def do(self, subject, *command):
        assert self.client.uid(command[0], self.uid(subject), *command[1:])[0] == "OK"

    def flags(self):
        """subject -> flags, of all."""
        out = {}
        for part in self.client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
            if isinstance(part, tuple):
                flags = set(re.search(rb"FLAGS \(([^)]*)\)", part[0]).group(1).decode().split()) - {"\\Recent"}
                out[email.message_from_bytes(part[1], policy=SMTP)["Subject"]] = flags
        return out


def seen_by_others(server, mailbox="INBOX", user=ALICE):
    with Box(server, user, mailbox) as box:
        return box.flags()


def mailboxes(server, user=ALICE, command="list"):
    client = server.imap(user)
    try:
        return {line.decode().split(' "/" ')[1].strip('"') for line in getattr(client, command)()[1] if line}
    finally:
        client.logout()


class Marionette:
    """The protocol of Mozilla's remote control: LENGTH:[type, id, command or error, parameters or result]."""

    def __init__(self, port):
        self.socket = wait_for(lambda: self._connect(port), 60, "Marionette listens")
        self.socket.settimeout(90)
        self.stream, self.last = self.socket.makefile("rb"), 0
        self._read()
        self.command("WebDriver:NewSession", capabilities={})
        self.command("Marionette:SetContext", value="chrome")
        self.command("WebDriver:SetTimeouts", script=60000)

    @staticmethod
    def _connect(port):
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port))

    def _read(self):
        length = b""
        while (char := self.stream.read(1)) != b":":
            assert char, "it went away"
            length += char
        return json.loads(self.stream.read(int(length)))

    def command(self, name, **parameters):
        self.last += 1
        data = json.dumps([0, self.last, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(data), data))
        _, _, error, result = self._read()
        if error:
            raise RuntimeError(f"{name}: {error['message']}\n{error.get('stacktrace')}")
        return result

    def run(self, script, *arguments):
        """An async function's body, in the program itself, with its arguments as ARG."""
        script = f"const ARG = [...arguments], done = ARG.pop(); (async () => {{ {script} }})().then(v => done([v]), e => done(e + ' ' + e.stack))"
        value = self.command("WebDriver:ExecuteAsyncScript", script=script, args=list(arguments), sandbox="system", newSandbox=False)["value"]
        if isinstance(value, str):
            raise RuntimeError(value)
        return value[0]

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.command("WebDriver:TakeScreenshot", full=True)["value"]))


# What the scripts of the tests stand on. A message is known by the beginning of its subject.
TOOLS = """
globalThis.MailServices = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs").MailServices;
globalThis.main = Services.wm.getMostRecentWindow("mail:3pane");
globalThis.pane = () => main.document.getElementById("tabmail").currentAbout3Pane;
globalThis.account = MailServices.accounts.allServers.find(s => s.type == "imap");
globalThis.sleep = ms => new Promise(go => main.setTimeout(go, ms));
globalThis.until = async (what, test) => { for (let i = 0; i < 1000; i++) { if (await test()) return; await sleep(20); } throw new Error("never: " + what); };
globalThis.paths = () => account.rootFolder.descendants.map(f => decodeURI(f.URI).split("/").slice(3).join("/"));
globalThis.folder = path => account.rootFolder.descendants.find(f => decodeURI(f.URI).split("/").slice(3).join("/") == path);
globalThis.subjects = path => folder(path) ? [...folder(path).messages].map(m => m.mime2DecodedSubject) : null;
globalThis.message = (path, subject) => [...folder(path).messages].find(m => m.mime2DecodedSubject.startsWith(subject));
globalThis.open = async path => { pane().displayFolder(folder(path).URI); await until("open " + path, () => pane().gDBView?.msgFolder?.URI == folder(path).URI); };
globalThis.row = subject => { const v = pane().gDBView; for (let i = 0; i < v.rowCount; i++) if (v.getMsgHdrAt(i).mime2DecodedSubject.startsWith(subject)) return i; return -1; };
globalThis.select = async subject => { await until("row " + subject, () => row(subject) >= 0); pane().threadTree.selectedIndex = row(subject);
    await until("selected " + subject, () => pane().gDBView.hdrForFirstSelectedMessage?.mime2DecodedSubject.startsWith(subject)); };
globalThis.act = async (subject, ...commands) => { await select(subject); for (const c of commands) main.goDoCommand(c); };
globalThis.shown = () => pane().messageBrowser.contentDocument?.getElementById("messagepane")?.contentDocument?.body?.textContent ?? "";
globalThis.search = (path, attribute, text) => new Promise(done => {
    const s = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession), hits = [];
    s.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(path));
    const t = s.createTerm(), v = t.value;
    t.attrib = v.attrib = Ci.nsMsgSearchAttrib[attribute]; v.str = text; t.value = v; t.op = Ci.nsMsgSearchOp.Contains; t.booleanAnd = true; s.appendTerm(t);
    s.registerListener({onSearchHit(m) { hits.push(m.mime2DecodedSubject) }, onSearchDone() { done(hits.sort()) }, onNewSearch() {}}); s.search(null); });
"""

# It may talk to the server and to nothing else, asks nothing, and shows no page of its own.
QUIET = {
    "app.update.enabled": False, "app.normandy.enabled": False, "browser.safebrowsing.downloads.remote.enabled": False, "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False, "extensions.update.enabled": False, "mail.inappnotifications.enabled": False, "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1, "mail.shell.checkDefaultClient": False, "mail.spotlight.firstRunDone": True, "mailnews.start_page.enabled": False, "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9, "network.proxy.no_proxies_on": "localhost,127.0.0.1",
    "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 9, "network.proxy.type": 1, "services.settings.server": "data:,", "toolkit.telemetry.enabled": False,
    "mail.biff.show_alert": False, "mail.biff.play_sound": False, "intl.locale.requested": "en-US", "offline.send.unsent_messages": 0, "offline.download.download_messages": 2,
}


class Thunderbird:
    def __init__(self, place, user):
        self.folder, self.port, server = place.folder / "thunderbird", free_port(), place.server
        folder = self.folder
        profile = folder / "profile"
        profile.mkdir(parents=True)
        mine, out = "mail.server.server1.", "mail.smtpserver.smtp1."
        preferences = {
            **QUIET, "marionette.port": self.port, "mail.accountmanager.accounts": "account1", "mail.accountmanager.defaultaccount": "account1",
            "mail.account.account1.server": "server1", "mail.account.account1.identities": "id1", "mail.identity.id1.useremail": user, "mail.identity.id1.fullName": "Alice",
            "mail.identity.id1.valid": True, "mail.identity.id1.smtpServer": "smtp1", "mail.smtpservers": "smtp1", "mail.smtp.defaultserver": "smtp1",
            mine + "type": "imap", mine + "hostname": "localhost", mine + "port": server.ports["imaps"], mine + "userName": user, mine + "name": user, mine + "socketType": 3,
            mine + "authMethod": 3, mine + "login_at_startup": False, mine + "use_condstore": True, mine + "spamLevel": 0,
            out + "type": "smtp", out + "hostname": "localhost", out + "port": server.ports["submission"], out + "username": user, out + "try_ssl": 2, out + "authMethod": 3,
        }
        (profile / "prefs.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()))
        self.process = subprocess.Popen(["thunderbird", "--profile", str(profile), "--no-remote", "--marionette", "--remote-allow-system-access"],
                                        stdout=open(folder / "output", "wb"), stderr=subprocess.STDOUT,
                                        env={**ENVIRONMENT, "HOME": str(folder), "DISPLAY": place.screen.display, "MOZ_LOG": "IMAP:4", "MOZ_LOG_FILE": str(folder / "log")})
        try:
            self.remote = Marionette(self.port)
            self.run = self.remote.run
            self.run(TOOLS)
            self.run("""
                Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(ARG[0], "CT,,");
                for (const place of ["imap://localhost", "smtp://localhost"]) {
                    const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
                    login.init(place, null, place, ARG[1], ARG[2], "", "");
                    await Services.logins.addLoginAsync(login);
                }""", "".join(place.authority.read_text().strip().splitlines()[1:-1]), user, server.passwords[user])
        except BaseException:
            self.close()
            raise

    def until(self, expression, what=None, seconds=30):
        """Waits until that is true in the program; returns its value."""
        return wait_for(lambda: self.run(f"const v = {expression}; return typeof v == 'object' && v && !Array.isArray(v) ? true : v"), seconds, what or expression)

    def close(self):
        if self.process.poll() is None:
            with contextlib.suppress(Exception):  # in order, so that all of the log is written
                self.remote.command("Marionette:Quit", flags=["eForceQuit"])
                self.process.wait(20)
        end(self.process)

    def trace(self):
        """What went over the wire, as (to or from, line); whole once the program has ended."""
        text = pathlib.Path(f"{self.folder}/log.moz_log").read_text(errors="replace")
        return [("C" if way == "SendData" else "S", line) for way, line in re.findall(r"IMAP \S+?:localhost:\S*?:(SendData|CreateNewLineFromSocket): (.*)", text)]
