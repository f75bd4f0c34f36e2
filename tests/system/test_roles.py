"""What each role may not do, proven from inside its sandbox and from outside on the running processes."""
import pathlib
import re
import subprocess

import pytest

from harness import IS_ROOT, POSTHORN

# What is left to each role of what the probe tries; everything else must be refused.
MAY = {
    "smtp": set(),
    "deliver": {"folder_write"},
    "relay": {"folder_write", "socket_inet", "connect"},
    "imap": {"folder_write"},
    "auth": {"folder_write"},
    "jobs": {"folder_write"},
}
# Only with search.attachments.
MAY_TOO = {"convert": {"fork", "exec"}}


@pytest.mark.parametrize("role", sorted(MAY | MAY_TOO))
def test_probe(make_server, role):
    server = make_server(start=False)
    done = subprocess.run([str(POSTHORN), "probe", role, "--config", str(server.config)], capture_output=True, text=True, timeout=30)
    tried = dict(re.findall(r"^(\w+)=(\w+)$", done.stdout, re.M))
    assert len(tried) >= 14, done.stdout + done.stderr
    allowed = {name for name, outcome in tried.items() if outcome == "allowed"}
    assert allowed == (MAY | MAY_TOO)[role], tried


def test_probe_of_smtp_that_asks_the_dns(make_server):
    """With screen.* it may ask resolvers, and Landlock (where the kernel knows ports) leaves it no other TCP port."""
    server = make_server("screen:\n  lists: [list.test]\n", start=False)
    done = subprocess.run([str(POSTHORN), "probe", "smtp", "--config", str(server.config)], capture_output=True, text=True, timeout=30)
    tried = dict(re.findall(r"^(\w+)=(\w+)$", done.stdout, re.M))
    allowed = {name for name, outcome in tried.items() if outcome == "allowed"}
    assert "socket_inet" in allowed and allowed <= {"socket_inet", "connect"}, tried


def test_running_roles_are_confined(server):
    roles = server.roles()
    assert set(roles) == set(MAY)
    for name, pid in roles.items():
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status, name
        if IS_ROOT:
            uid = re.search(r"^Uid:\t(\d+)", status, re.M).group(1)
            assert uid != "0", name
            assert pathlib.Path(f"/proc/{pid}/root").resolve() != pathlib.Path("/"), f"{name} should be in its chroot"


def test_certificate_reload(make_server, folder):
    """SIGHUP brings a new certificate to new connections and drops none of the old."""
    import signal
    import time
    server = make_server()
    imap = server.imap(tls=True)
    before = imap.sock.getpeercert(True)
    cert = server.certificate()
    key = next(p for p in server.dir.rglob("*.pem") if "PRIVATE" in p.read_text())
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj",
                    "/CN=localhost", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    server.process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert imap.noop()[0] == "OK", "the old session goes on"
    assert imap.sock.getpeercert(True) == before
    fresh = server.imap(tls=True)
    assert fresh.sock.getpeercert(True) != before
    fresh.logout()
    imap.logout()
