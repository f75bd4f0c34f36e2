"""Processes killed, and a disk that runs full, while mail is relayed and bounces: nothing is lost, nobody is told of a failure twice, and a
letter arrives twice only if the crash came between the remote host's answer to the final dot and our record of it."""
import os
import random
import re
import shutil
import signal
import smtplib
import subprocess
import threading
import time

import pytest

from harness import IS_ROOT, Sink, letter, tokens_in, wait_for

ALICE = "alice@example.test"
CONNECTIONS = 5  # to the remote host; each may have one message after its dot without a record, one before
SETTINGS = ("smtp:\n  trusted_networks:\n    - 127.0.0.0/8\nrelay:\n  smarthost: 127.0.0.1:{port}\n  smarthost_tls: none\n  retry: 1s\n"
            f"  concurrency: {CONNECTIONS}\n  concurrency_per_hop: {CONNECTIONS}\n")


class Remote(Sink):
    """Takes what is for yes@, refuses no@; remembers what it has answered with 250 after the final dot."""

    def __init__(self):
        super().__init__(replies={"rcpt": lambda line: "550 5.1.1 nobody" if "<no@" in line else None})


class Sender:
    """Sends good and bad letters in turn, and remembers those that were taken."""

    def __init__(self, server):
        self.server, self.stopping, self.codes = server, False, []
        self.good, self.bad, self.unsure = [], [], []
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(2)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        client, serial = None, 0
        while not self.stopping:
            serial += 1
            is_bad = serial % 4 == 0
            token = f"{'bad' if is_bad else 'good'}{number}-{serial}"
            to = f"{'no' if is_bad else 'yes'}@remote.test"
            try:
                if client is None:
                    client = smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], timeout=30)
                    client.ehlo("load.test")
                client.sendmail(ALICE, [to], letter(token, to, ALICE))
                (self.bad if is_bad else self.good).append(token)
            except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as fault:
                self.codes.append(getattr(fault, "smtp_code", 0) or [c for c, _ in fault.recipients.values()][0])
                client = self._drop(client)
            except (OSError, smtplib.SMTPServerDisconnected):
                self.unsure.append(token)
                client = self._drop(client)
                time.sleep(0.02)

    @staticmethod
    def _drop(client):
        if client:
            client.close()
        return None

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(60)

    def taken(self):
        return len(self.good) + len(self.bad)


def bounced(server):
    """The tokens of returned letters, each as often as it was returned."""
    return [t for m in server.messages(ALICE) for t in re.findall(r"^X-Token: (bad\S+)", m.decode(errors="replace"), re.M)]


def check(server, remote, sender, duplicates_at_most):
    wait_for(lambda: set(sender.good) <= set(tokens_in(remote.messages)), 60, "all good letters at the remote host", every=0.2)
    wait_for(lambda: set(sender.bad) <= set(bounced(server)), 60, "all bad letters returned", every=0.5)
    wait_for(lambda: "nothing" in (server.cli("queue", "list").stdout + server.cli("queue", "list").stderr).lower()
             or server.cli("queue", "list", "--json").stdout.strip() == "[]", 30, "an empty queue", every=0.5)
    arrived, returned = tokens_in(remote.messages), bounced(server)
    assert len(returned) == len(set(returned)), "returned twice"
    assert set(arrived) <= set(sender.good) | set(sender.unsure) and set(returned) <= set(sender.bad) | set(sender.unsure)
    duplicates = len(arrived) - len(set(arrived))
    assert duplicates <= duplicates_at_most, (duplicates, duplicates_at_most)
    assert all(400 <= code < 500 or code == -1 for code in sender.codes), sender.codes


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_kills(make_server, request, store):
    """The relay, deliver, and at last everything with the supervisor, killed again and again."""
    remote = Remote()
    url = request.getfixturevalue("postgresql").url if store == "postgresql" else None
    server = make_server(SETTINGS.format(port=remote.port), store=url)
    sender = Sender(server)
    kills = 0
    try:
        for name in ["relay", "deliver", "relay", None, "relay"]:
            mark = len(remote.messages)
            wait_for(lambda: len(remote.messages) > mark + 20, 60, "mail flowing")
            time.sleep(random.uniform(0, 0.1))
            if name:
                before = wait_for(lambda: server.roles().get(name), 20, f"{name} running")
                os.kill(before, signal.SIGKILL)
                wait_for(lambda: server.roles().get(name) not in (None, before), 40, f"{name} restarted")
            else:
                server.kill_tree()
                server.start(60)
            kills += name != "deliver"
    finally:
        sender.stop()
    check(server, remote, sender, kills * CONNECTIONS)
    remote.close()


@pytest.mark.skipif(not IS_ROOT, reason="mounting a small tmpfs needs root")
def test_disk_full(make_server, folder):
    """No result can be recorded for a while: what was sent is not sent again, and what can't be taken is refused for the time being."""
    remote = Remote()
    server = make_server(SETTINGS.format(port=remote.port), start=False)
    data = server.dir / "data"
    aside = folder / "aside"
    shutil.copytree(data, aside)
    owner = (data / "store").stat()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=755", "none", str(data)], check=True)
    try:
        shutil.copytree(aside, data, dirs_exist_ok=True)
        for path in [data, *data.rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid)
        server.start()
        sender = Sender(server)
        wait_for(lambda: len(remote.messages) > 20, 60, "mail flowing")
        ballast = data / "store" / "ballast"
        with open(ballast, "wb") as out:
            try:
                while True:
                    out.write(b"\0" * 65536)
                    out.flush()
            except OSError:
                pass
        wait_for(lambda: 452 in sender.codes or 451 in sender.codes, 60, "the disk being full")
        time.sleep(2)
        ballast.unlink()
        mark = sender.taken()
        wait_for(lambda: sender.taken() > mark + 40, 60, "the service going on")
        sender.stop()
        check(server, remote, sender, 0)
        server.stop()
        server.check_integrity()
    finally:
        server.stop()
        subprocess.run(["umount", "-l", str(data)], check=True)
        remote.close()
