"""Evolution, as it stands on a desktop: a bus, a keyring with its password, accounts that were set up before; steered by the keyboard."""
import contextlib
import hashlib
import os
import pathlib
import re
import signal
import sqlite3
import ssl
import subprocess
import time
import urllib.parse

from desktop import ENVIRONMENT
from harness import wait_for

ACCOUNT = """[Data Source]
DisplayName={user}
Enabled=true
Parent=
[Mail Account]
BackendName=imapx
IdentityUid=identity
[Authentication]
Host=localhost
Method=PLAIN
Port={imaps}
RememberPassword=true
User={user}
[Security]
Method=ssl-on-alternate-port
[Imapx Backend]
UseSubscriptions=true
UseQresync=true
UseIdle=true
UseRealJunkPath=true
RealJunkPath=Junk
UseRealTrashPath=true
RealTrashPath=Trash
[Offline]
StaySynchronized=false
"""
IDENTITY = """[Data Source]
DisplayName={user}
Enabled=true
Parent=account
[Mail Identity]
Address={user}
Name=Alice
[Mail Submission]
TransportUid=transport
SentFolder=folder://account/Sent
UseSentFolder=true
[Mail Composition]
DraftsFolder=folder://account/Drafts
"""
TRANSPORT = """[Data Source]
DisplayName={user}
Enabled=true
Parent=account
[Mail Transport]
BackendName=smtp
[Authentication]
Host=localhost
Method=PLAIN
Port={submission}
RememberPassword=true
User={user}
[Security]
Method=starttls
"""
SETTINGS = """[org/gnome/evolution/mail]
prompt-on-accel-send=false
prompt-check-if-default-mailer=false
mark-seen-timeout=100
junk-check-incoming=false
show-to-do-bar=false
"""
STATE = """[GlobalSearch]
SearchOption=mail-search-body-contains
[Store account]
Expanded=true
"""
START = """
printf '%s' "$DBUS_SESSION_BUS_ADDRESS" >"$HOME/bus"
printf x | gnome-keyring-daemon --unlock --components=secrets
for uid in account transport; do
	printf '%s' "$PASSWORD" | secret-tool store --label=$uid e-source-uid $uid xdg:schema org.gnome.Evolution.Data.Source
done
unset PASSWORD
exec evolution -c mail
"""


def certificate_record(name, fingerprint):
    """What Camel keeps of a certificate that was accepted for good; numbers have seven bits a byte, the last with the eighth."""
    def text(s):
        return bytes([0x80 | len(s) + 1]) + s.encode()
    return b"\x02\x80\x81" + text("") + text("") + text(name) + text(fingerprint) + b"\x83"


class Evolution:
    def __init__(self, place, user):
        self.home = place.folder / "evolution"
        self.display, server = place.screen.display, place.server
        config, share = self.home / ".config", self.home / ".local/share"
        for folder in (config / "evolution/sources", config / "evolution/mail", config / "glib-2.0/settings", share / "evolution", share / "camel_certs"):
            folder.mkdir(parents=True)
        (self.home / "run").mkdir(mode=0o700)
        for uid, text in (("account", ACCOUNT), ("identity", IDENTITY), ("transport", TRANSPORT)):
            (config / f"evolution/sources/{uid}.source").write_text(text.format(user=user, **server.ports))
        (config / "glib-2.0/settings/keyfile").write_text(SETTINGS)
        (config / "evolution/mail/state.ini").write_text(STATE)
        self._trust(share, place.chain)
        self.environment = {**ENVIRONMENT, "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home / "run"), "DISPLAY": self.display, "GSETTINGS_BACKEND": "keyfile",
                            "GIO_USE_VFS": "local", "NO_AT_BRIDGE": "1", "CAMEL_DEBUG": "imapx:io", "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
                            "WEBKIT_DISABLE_COMPOSITING_MODE": "1"}
        self.process = subprocess.Popen(["dbus-run-session", "--", "sh", "-c", START], env={**self.environment, "PASSWORD": server.passwords[user]},
                                        stdout=open(self.home / "output", "wb"), stderr=subprocess.STDOUT)

    @staticmethod
    def _trust(share, chain):
        pem = chain.read_text()
        der = ssl.PEM_cert_to_DER_cert(pem[:pem.index("-----END")] + "-----END CERTIFICATE-----\n")
        fingerprint = "".join(f"{byte:02x}:" for byte in hashlib.md5(der).digest())
        (share / "camel_certs" / fingerprint).write_bytes(der)
        (share / "evolution/camel-cert.db").write_bytes(certificate_record("localhost", fingerprint))

    def close(self):
        """Its services are children of the bus: everything that has its home."""
        mine = f"HOME={self.home}".encode()
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mine in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGKILL)
        self.process.wait()

    def output(self):
        return (self.home / "output").read_text(errors="replace")

    def summary(self, mailbox="INBOX"):
        """subject -> (read, important, deleted), as its own database has it."""
        path = self.home / ".cache/evolution/mail/account/folders.db"
        try:
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
                return {subject: tuple(map(bool, marks)) for subject, *marks in db.execute(f'SELECT subject, read, important, deleted FROM "{mailbox}"')}
        except sqlite3.Error:
            return {}

    def trace(self):
        """What went over the wire: whole commands and answers, as they came."""
        return re.findall(r"^\[imapx:\w\] I/O: '(.*?)'$", self.output(), re.M | re.S)

    def rest(self):
        """Waits until it has nothing to say to the server any more: what changes while it is at it, it forgets."""
        def still():
            size = len(self.output())
            time.sleep(1)
            return size == len(self.output()) and self.trace()[-1].endswith("+ idling")
        wait_for(still, 60, "it idles")

    # ---- hands ----

    def xdotool(self, *arguments):
        return subprocess.run(["xdotool", *map(str, arguments)], env=self.environment, capture_output=True, text=True, timeout=30).stdout.split()

    def window(self, title):
        """The one with this title; it has the keyboard then."""
        found = wait_for(lambda: self.xdotool("search", "--onlyvisible", "--name", title), 60, f"a window {title}")
        self.xdotool("windowfocus", found[-1])
        return found[-1]

    def keys(self, *names):
        self.xdotool("key", "--delay", 50, *names)

    def click(self, window, x, y):
        self.xdotool("mousemove", "--window", window, x, y, "click", 1)

    def type(self, text):
        self.xdotool("type", "--delay", 20, text)

    def compose(self, to, **fields):
        """Its own command line opens the window."""
        bus = (self.home / "bus").read_text()
        subprocess.run(["evolution", f"mailto:{to}?{urllib.parse.urlencode(fields, quote_via=urllib.parse.quote)}"], env={**self.environment, "DBUS_SESSION_BUS_ADDRESS": bus},
                       capture_output=True, timeout=60)

    def open_inbox(self, window):
        """It stands six rows above the end of the tree: Archive, Drafts, Junk, Sent, Trash and the search folders are below."""
        self.click(window, 100, 590)

        def opened():
            self.keys("End", *["Up"] * 6)
            with contextlib.suppress(TimeoutError):
                return wait_for(lambda: self.xdotool("getwindowname", window)[:2] == ["Inbox", "(4"], 2)
        wait_for(opened, 60, "the INBOX is shown")
