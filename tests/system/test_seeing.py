"""Looking after the queue, and seeing what goes on: by the command, while the server runs."""
import email
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import PostgreSQL, Sink, free_port, letter, wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request, make_server, folder):
    """A server whose smarthost can't be reached: what is sent waits."""
    database = PostgreSQL(folder / "pg") if request.param == "postgresql" else None
    server = make_server(start=False)
    if database:
        database.start()
        request.addfinalizer(database.remove)
        server.use_store(database.url)
    server.config.write_text(server.config.read_text() + f"\nrelay:\n  smarthost: 127.0.0.1:{free_port()}\n  smarthost_tls: none\n"
                             '  retry: "1h"\n')
    server.start()
    yield server
    server.stop()


def ask(server, *words):
    return json.loads(server.cli(*words, "--json").stdout)


def send(server, sender, recipients, token):
    client = server.smtp("submission", sender)
    client.sendmail(sender, recipients, letter(token, recipients[0], sender))
    client.quit()


def states(server):
    return sorted(row["state"] for row in ask(server, "queue", "list"))


def test_queue_care(server):
    send(server, ALICE, ["x@one.test", "y@two.test"], "both")
    send(server, ALICE, ["z@two.test"], "second")
    send(server, BOB, ["x@one.test"], "third")
    wait_for(lambda: states(server) == ["waiting"] * 4, 20, "four attempts that fail")

    def found(*options):
        return sorted(row["recipient"] for row in ask(server, "queue", "list", *options))

    assert found("--sender", BOB) == ["x@one.test"]
    assert found("--sender", "@example.test", "--domain", "two.test") == ["y@two.test", "z@two.test"]
    assert found("--recipient", "x@one.test") == ["x@one.test", "x@one.test"]
    assert len(found("--reason", "REFUSED")) == 4 and found("--reason", "no such user") == []
    assert len(found("--newer", "5m")) == 4 and found("--older", "5m") == []
    assert len(found("--hop", ask(server, "queue", "list")[0]["next_hop"])) >= 2
    assert found("--state", "held") == [] and len(found("--state", "waiting")) == 4
    assert server.cli("queue", "list", "--state", "odd", check=False).returncode == 2
    text = server.cli("queue", "list", "--domain", "two.test").stdout
    assert re.search(r"^QUEUE ID +SENDER +RECIPIENT ", text) and "z@two.test" in text and "one.test" not in text

    second = ask(server, "queue", "list", "--recipient", "z@two.test")[0]["queue_id"]
    shown = ask(server, "queue", "show", second)
    assert shown["recipients"][0]["recipient"] == "z@two.test" and "second" in shown["header"]
    raw = server.cli("queue", "show", second, "--message").stdout
    assert email.message_from_string(raw)["Subject"] and raw.rstrip().endswith("Hello")
    assert ask(server, "queue", "show", second, "--message")["message"].replace("\r\n", "\n") == raw.replace("\r\n", "\n")

    stats = ask(server, "queue", "stats", "--by-sender")
    assert [(row["sender_domain"], row["total"], row["5m"], row["older"]) for row in stats] == [
        ("TOTAL", 4, 4, 0), ("example.test", 4, 4, 0)]
    stats = server.cli("queue", "stats").stdout.split("\n")
    assert stats[0].split()[:3] == ["DESTINATION", "TOTAL", "5M"] and stats[1].split()[:3] == ["TOTAL", "4", "4"]

    assert server.cli("queue", "remove", check=False).returncode == 2
    assert ask(server, "queue", "hold", "--domain", "two.test") == {
        "subject": "2 recipients", "done": "held", "recipients": 2, "in_hand": 0, "notifications": 0}
    assert states(server) == ["held", "held", "waiting", "waiting"]
    # One of a message's two recipients goes back to the sender, at once, and only it.
    done = ask(server, "queue", "bounce", "--recipient", "y@two.test", "--text", "two.test is closed for good")
    assert (done["recipients"], done["notifications"]) == (1, 1)
    assert server.count(ALICE) == 1
    bounce = server.messages(ALICE)[0]
    assert b"Final-Recipient: rfc822; y@two.test" in bounce and b"two.test is closed for good" in bounce
    assert b"Action: failed" in bounce and b"Status: 5.7.1" in bounce and b"x@one.test" not in bounce.split(b"message/rfc822")[0].split(
        b"text/rfc822-headers")[0]
    assert found() == ["x@one.test", "x@one.test", "z@two.test"]
    assert server.cli("queue", "release", second).stdout.startswith("1 recipient released")
    assert server.cli("queue", "remove", second, "NOSUCHID").stdout.startswith("1 recipient removed")
    assert server.cli("queue", "remove", second, check=False).returncode == 1
    assert "removed" in server.cli("trace", second).stdout
    assert ask(server, "status")["queue"] == 2
    server.check_integrity()


def test_queue_in_hand(make_server):
    """What the relay is at is left alone where it must be, and told of."""
    stop = []

    def wait(argument):
        wait_for(lambda: stop, 30, "the test's end")

    hang = Sink(replies={"mail": wait})
    server = make_server(f"\nrelay:\n  smarthost: 127.0.0.1:{hang.port}\n  smarthost_tls: none\n")
    send(server, ALICE, ["x@one.test"], "hanging")
    wait_for(lambda: states(server) == ["in-hand"], 20, "the attempt")
    done = ask(server, "queue", "bounce", "--all")
    assert (done["recipients"], done["in_hand"]) == (0, 1)
    assert "being tried" in server.cli("queue", "retry", "--all").stdout
    assert (ask(server, "queue", "hold", "--all")["in_hand"], states(server)) == (1, ["held"])
    stop.append(True)
    wait_for(lambda: len(hang.messages) == 1, 20, "the attempt's end")
    wait_for(lambda: states(server) == [], 20, "the result")
    assert server.count(ALICE) == 0
    hang.close()


def test_where_is_my_mail(make_server):
    """By the sender, the recipient, the time; with the remote's own words; and the same from the log."""
    sink = Sink(replies={"rcpt": lambda argument: "550 5.1.1 no Fred here" if "fred" in argument else None})
    server = make_server(f"\nrelay:\n  smarthost: 127.0.0.1:{sink.port}\n  smarthost_tls: none\n")
    send(server, ALICE, ["fred@remote.test", "gus@remote.test"], "mixed")
    send(server, BOB, ["gus@remote.test"], "other")
    wait_for(lambda: server.count(ALICE) == 1 and len(sink.messages) == 2, 20, "the bounce and two deliveries")
    wait_for(lambda: states(server) == [], 10, "an empty queue")

    def events(*options):
        return {(row["event"], row["subject"]) for row in ask(server, "trace", *options)}

    mixed = {("received", ALICE), ("bounced", "fred@remote.test"), ("sent", "gus@remote.test"), ("received", "<>"), ("delivered", ALICE)}
    assert mixed <= events("--sender", ALICE) and mixed <= events("fred@remote.test") and mixed <= events("--address", "fred@remote.test")
    assert ("received", BOB) in events("--recipient", "gus@remote.test", "--since", "5m")
    assert ("received", ALICE) not in events("--recipient", "gus@remote.test", "--sender", BOB)
    assert "550 5.1.1 no Fred here" in server.cli("trace", "--recipient", "fred@remote.test").stdout
    assert server.cli("trace", "--until", "1h", check=False).returncode == 1
    assert server.cli("trace", "--since", "lunch", check=False).returncode == 2

    log = str(server.log_path)
    lines = ask(server, "log", log, "--message-id", "<mixed@remote.test>")
    assert [line["event"] for line in lines][0] == "smtp.accepted"
    assert {"relay.delivered", "relay.failed", "relay.bounced"} <= {line["event"] for line in lines}
    assert any(line.get("reply", "").endswith("550 5.1.1 no Fred here") for line in lines)
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    queue_id = lines[0]["id"]
    assert ask(server, "log", log, "--id", queue_id) == lines
    assert all("other@remote.test" != line.get("message_id") for line in lines)
    about_fred = ask(server, "log", log, "--address", "FRED@remote.test")
    assert about_fred == lines, "the message to him, whole"
    relayed = ask(server, "log", log, "--event", "relay.*", "--role", "relay")
    assert relayed and {line["event"].split(".")[0] for line in relayed} == {"relay"}
    assert ask(server, "log", log, "--until", "1h") == []
    piped = server.cli("log", "-", "--id", queue_id, input=server.log_text()).stdout
    assert len(piped.splitlines()) == len(lines) and "no Fred here" in piped and " smtp.accepted id=" in piped
    assert server.cli("log", "/nonexistent", check=False).returncode == 1
    sink.close()


# ---- metrics ----

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:{NAME}="(?:[^"\\\n]|\\\\|\\"|\\n)*",?)+)\}})? (\d+(?:\.\d+)?)$')


def parse_metrics(text):
    """Prometheus' format 0.0.4, strictly: families in one piece with HELP and TYPE, no series twice, histograms that add up."""
    assert text.endswith("\n")
    families, series, family = {}, {}, None
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert family not in families, f"{family} is in two pieces"
            families[family] = None
            assert len(line.split(" ", 3)[3]) > 10
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and families[name] is None and kind in ("counter", "gauge", "histogram")
            assert (kind == "counter") == name.endswith("_total"), line
            families[name] = kind
            continue
        match = SAMPLE.match(line)
        assert match, f"no sample: {line!r}"
        name, labels, value = match.groups()
        allowed = [family + end for end in ("_bucket", "_sum", "_count")] if families[family] == "histogram" else [family]
        assert name in allowed, line
        assert (name, labels) not in series, f"twice: {line}"
        series[(name, labels)] = float(value)
    for name, kind in families.items():
        if kind != "histogram":
            continue
        for (of, labels), count in [item for item in series.items() if item[0][0] == name + "_count"]:
            others = f"{labels}," if labels else ""
            buckets = [value for (n, l), value in series.items() if n == name + "_bucket" and (l or "").startswith(others + 'le="')]
            assert buckets == sorted(buckets) and buckets[-1] == count and len(buckets) > 5, (name, labels)
    return series


def http(server_or_path, target="/metrics", method="GET", raw=None):
    with socket.socket(socket.AF_INET if isinstance(server_or_path, int) else socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(("127.0.0.1", server_or_path) if isinstance(server_or_path, int) else str(server_or_path))
        client.sendall(raw if raw is not None else f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head or method == "HEAD"
    return head.split(b"\r\n")[0].decode(), head.decode(), body.decode()


def all_answer(place):
    try:
        answered = {labels: value for (name, labels), value in parse_metrics(http(place)[2]).items() if name == "posthorn_role_answered"}
    except OSError:
        return False
    return len(answered) == 7 and set(answered.values()) == {1}


@pytest.mark.sanitize
def test_what_readers_did(server):
    """Where a message went after it was delivered: the log says who moved and who expunged it."""
    client = server.imap(ALICE)
    for _ in range(3):
        client.append("INBOX", None, None, letter("kept"))
    client.select("INBOX")
    client.create("Work")
    client.uid("MOVE", "2", "Work")
    client.uid("COPY", "1", "Work")
    client.uid("STORE", "1,3", "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.rename("Work", "Done")
    client.delete("Done")
    client.logout()
    log = server.cli("log", str(server.log_path), "--address", ALICE, "--event", "imap.*", "--json").stdout
    rows = json.loads(log)
    told = [(row["event"], row.get("mailbox"), row.get("uids"), row.get("to") or None, row.get("to_uids") or None)
            for row in rows if row["event"] != "imap.login"]
    assert told == [("imap.appended", "INBOX", "1", None, None), ("imap.appended", "INBOX", "2", None, None),
                    ("imap.appended", "INBOX", "3", None, None), ("imap.mailbox_created", "Work", None, None, None),
                    ("imap.moved", "INBOX", "2", "Work", "1"), ("imap.copied", "INBOX", "1", "Work", "2"),
                    ("imap.expunged", "INBOX", "1,3", None, None), ("imap.mailbox_renamed", "Work", None, "Done", None),
                    ("imap.mailbox_deleted", "Done", None, None, None)], told


def test_metrics(make_server):
    port, dead = free_port(), free_port()
    server = make_server(f"\nmetrics:\n  address: 127.0.0.1:{port}\nrelay:\n  smarthost: 127.0.0.1:{dead}\n  smarthost_tls: none\n")
    wait_for(lambda: all_answer(port), 10, "all roles", every=0.2)
    client = server.smtp("smtp")
    client.sendmail("x@remote.test", [ALICE], letter("one"))
    assert client.rcpt(ALICE)[0] == 503
    client.sendmail("x@remote.test", [ALICE, BOB], letter("two"))
    send(server, ALICE, ["x@one.test"], "out")
    assert server.count(ALICE) == 2
    with pytest.raises(Exception):
        server.imap(ALICE, password="wrong")
    wait_for(lambda: states(server) == ["waiting"], 20, "the failed attempt")
    time.sleep(0.6)  # what was asked just before is still in memory
    status, head, text = http(port)
    assert status == "HTTP/1.1 200 OK" and "Content-Type: text/plain; version=0.0.4" in head
    series = parse_metrics(text)
    expected = {
        ("posthorn_smtp_messages_total", 'code="250"'): 3, ("posthorn_smtp_recipients_total", None): 4,
        ("posthorn_smtp_replies_total", 'code="503"'): 1, ("posthorn_deliver_verdicts_total", 'verdict="accepted"'): 3,
        ("posthorn_deliver_seconds_count", None): 3, ("posthorn_connections", 'role="smtp",listener="smtp"'): 1,
        ("posthorn_connections_total", 'role="smtp",listener="submission"'): 1,
        ("posthorn_auth_attempts_total", 'outcome="refused"'): 1, ("posthorn_queue_recipients", 'state="waiting"'): 1,
        ("posthorn_relay_recipients_total", 'outcome="deferred"'): 1, ("posthorn_imap_sessions_total", None): 1,
        ("posthorn_role_restarts_total", 'role="imap"'): 0,
    }
    assert {key: series.get(key) for key in expected} == expected
    assert series[("posthorn_smtp_message_bytes_total", None)] > 300
    assert series[("posthorn_store_commit_seconds_count", 'role="deliver"')] >= 3
    assert series[("posthorn_relay_hop_in_hand", f'hop="127.0.0.1:{dead}"')] == 0
    for role in ("smtp", "deliver", "relay", "imap", "auth", "jobs", "metrics"):
        assert series[("posthorn_role_up", f'role="{role}"')] == series[("posthorn_role_answered", f'role="{role}"')] == 1
        assert series[("posthorn_memory_bytes", f'role="{role}"')] > 1e6 and series[("posthorn_cpu_seconds_total", f'role="{role}"')] > 0
    if shutil.which("promtool"):
        assert subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True).returncode == 0

    # What is no such request.
    assert http(port, "/")[0].split()[1] == "404" and http(port, method="POST")[0].split()[1] == "405"
    assert http(port, method="HEAD")[2] == "" and http(port, raw=b"garbage\r\n\r\n")[0].split()[1] == "400"
    assert http(port, raw=b"GET /" + b"x" * 9000)[0].split()[1] == "400"
    # A client that says nothing keeps nobody out; a role that is dead is told of, at once.
    with socket.create_connection(("127.0.0.1", port)):
        os.kill(server.roles()["imap"], signal.SIGSTOP)
        os.kill(server.roles()["auth"], signal.SIGKILL)
        time.sleep(0.6)
        began = time.monotonic()
        series = parse_metrics(http(port)[2])
        assert time.monotonic() - began < 4
        assert series[("posthorn_role_answered", 'role="imap"')] == 0 and series[("posthorn_role_restarts_total", 'role="auth"')] == 1
        os.kill(server.roles()["imap"], signal.SIGCONT)


def test_metrics_on_a_socket(make_server):
    server = make_server(start=False)
    place = server.dir / "metrics.sock"
    server.config.write_text(server.config.read_text() + f"\nmetrics:\n  address: unix:{place}\n")
    server.start()
    wait_for(lambda: all_answer(place), 10, "all roles", every=0.2)
    probe = re.findall(r"^(\w+)=(\w+)$", server.cli("probe", "metrics").stdout, re.M)
    assert len(probe) >= 14 and {outcome for _, outcome in probe} == {"refused"}, probe
