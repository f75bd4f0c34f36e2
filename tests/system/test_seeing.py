"""Looking after the queue, and seeing what goes on: by the command, while the server runs."""
import email
import json
import re

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
