"""When mail goes: held until its time, taken back, by priority, by a deadline; and what its sender is told."""
import email
import json
import os
import re
import signal
import time

from harness import Sink, letter, tokens_in, wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"


def submit(server, token, recipients, mail=(), rcpt=(), sender=ALICE, user=ALICE, listener="submission", extra="", header_from=None):
    """One message by an authenticated user; the queue id that was answered."""
    client = server.smtp(listener, user)
    try:
        code, text = client.mail(sender, list(mail))
        assert code == 250, (code, text)
        for recipient in recipients:
            code, text = client.rcpt(recipient, list(rcpt))
            assert code == 250, (code, text)
        code, text = client.data(letter(token, recipients[0], header_from or sender or ALICE, extra=extra))
        assert code == 250, (code, text)
        return text.decode().split()[-1]
    finally:
        client.close()


def refused(server, parameters, listener="submission", user=ALICE):
    client = server.smtp(listener, user)
    try:
        code, text = client.mail(ALICE, parameters)
        return code, text.decode()
    finally:
        client.close()


def queue(server, *options):
    done = server.cli("queue", "list", "--json", *options, check=False)
    return json.loads(done.stdout or "[]")


def to_sink(server, sink, pattern="*"):
    server.cli("route", "add", pattern, f"127.0.0.1:{sink.port}")


def notifications(server, user=ALICE):
    """The delivery reports in a mailbox: a list of fields of the second part, as one text each."""
    out = []
    for raw in server.messages(user):
        message = email.message_from_bytes(raw)
        if message.get_content_type() == "multipart/report":
            out.append(str(message.get_payload()[1]))
    return out


# ---- held until its time ----

def test_hold(any_server):
    """RFC 4865: nobody has it before its time, here or elsewhere; then everybody has it, once."""
    server, sink = any_server, Sink()
    to_sink(server, sink)
    queue_id = submit(server, "held", [BOB, "far@remote.test"], ["HOLDFOR=3600"])
    rows = queue(server, queue_id)
    assert sorted(r["recipient"] for r in rows) == [BOB, "far@remote.test"]
    assert all(r["state"] == "scheduled" and r["scheduled_until"] for r in rows)
    # What others do to the queue doesn't let it go.
    server.cli("queue", "retry", "--all", check=False)
    server.cli("queue", "hold", queue_id)
    server.cli("queue", "release", queue_id)
    submit(server, "at-once", [BOB])
    wait_for(lambda: server.count(BOB) == 1, 20, "the other letter", every=0.1)
    assert sink.messages == [] and len(queue(server, "--state", "scheduled")) == 2
    server.cli("queue", "schedule", queue_id, "--at", "now")
    wait_for(lambda: server.count(BOB) == 2 and sink.messages, 30, "both having it", every=0.1)
    wait_for(lambda: queue(server) == [], 20, "an empty queue", every=0.1)
    assert sorted(tokens_in(server.messages(BOB))) == ["at-once", "held"] and tokens_in(sink.messages) == ["held"]
    header = next(m for m in server.messages(BOB) if b"X-Token: held" in m).split(b"\r\n\r\n")[0]
    assert header.startswith(b"Return-Path: <alice@example.test>\r\nDelivered-To: bob@example.test\r\n")
    trace = server.cli("trace", queue_id).stdout
    assert re.search(r"queued.*bob.*until 2", trace) and "scheduled" in trace and re.search(r"delivered.*bob.*INBOX", trace)


def test_time_comes(server):
    """By itself, without anybody's help."""
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    server.cli("alias", "add", "team@example.test", ALICE, BOB)
    submit(server, "for", ["team@example.test"], ["HOLDFOR=1"])
    submit(server, "until", ["team+x@example.test"], [f"HOLDUNTIL={until}"])
    for user in (ALICE, BOB):
        wait_for(lambda: sorted(tokens_in(server.messages(user))) == ["for", "until"], 30, f"{user} having both", every=0.2)
    first = next(m for m in server.messages(BOB) if b"X-Token: for" in m)
    assert b"\r\nX-Original-To: team@example.test\r\n" in first


def test_hold_is_offered(make_server):
    server = make_server("smtp:\n  future_release: 1h\n")
    client = server.smtp("submission", ALICE)
    client.ehlo("client.test")
    seconds, until = client.esmtp_features["futurerelease"].split()
    assert seconds == "3600" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", until.upper())
    client.close()
    assert not server.smtp("smtp").has_extn("futurerelease")
    for bad in (["HOLDFOR=3601"], ["HOLDFOR=0"], ["HOLDFOR=x"], ["HOLDFOR=60", "HOLDUNTIL=2999-01-01T00:00:00Z"],
                ["HOLDUNTIL=2001-01-01T00:00:00Z"], ["HOLDUNTIL=2999-01-01T00:00:00Z"], ["HOLDUNTIL=tomorrow"]):
        code, text = refused(server, bad)
        assert code == 501 and text.startswith("5.5.4"), (bad, code, text)
    assert refused(server, ["HOLDFOR=60"], "smtp", None)[0] == 555


def test_taken_back(make_server):
    """sending.undo: what an account submits waits; what strangers bring doesn't."""
    server, sink = make_server("sending:\n  undo: 1h\n"), Sink()
    to_sink(server, sink)
    first = submit(server, "regretted", [BOB, "far@remote.test"])
    submit(server, "meant", [BOB, "far@remote.test"])
    client = server.smtp()
    client.sendmail("x@remote.test", [BOB], letter("inbound", BOB))
    wait_for(lambda: server.count(BOB) == 1, 20, "the inbound letter", every=0.1)
    assert "2 recipients removed" in server.cli("queue", "remove", first).stdout
    assert "2 recipients scheduled" in server.cli("queue", "schedule", "--sender", ALICE, "--state", "scheduled", "--at", "now").stdout
    wait_for(lambda: server.count(BOB) == 2 and sink.messages, 30, "the other one", every=0.1)
    wait_for(lambda: queue(server) == [], 20, "an empty queue", every=0.1)
    assert sorted(tokens_in(server.messages(BOB))) == ["inbound", "meant"] and tokens_in(sink.messages) == ["meant"]


def test_mailbox_changes_meanwhile(any_server):
    """Full: it waits. Disabled or gone: the sender is told."""
    server = any_server
    for name in ("full", "gone", "off"):
        server.cli("account", "add", f"{name}@example.test", "--password-stdin", input="secret\n")
    queue_id = submit(server, "later", [f"{name}@example.test" for name in ("full", "gone", "off")] + [BOB], ["HOLDFOR=3600"],
                      ["NOTIFY=SUCCESS,FAILURE"])
    server.cli("account", "quota", "full@example.test", "100")
    server.cli("account", "remove", "gone@example.test", "--yes")
    server.cli("account", "disable", "off@example.test")
    server.cli("queue", "schedule", queue_id, "--at", "now")
    wait_for(lambda: tokens_in(server.messages(BOB)) == ["later"], 30, "the others having it", every=0.2)
    report = wait_for(lambda: notifications(server), 30, "a notification", every=0.2)
    assert len(report) == 1
    assert re.search(r"Final-Recipient: rfc822; gone@example.test\s+Action: failed\s+Status: 5.1.1", report[0])
    assert re.search(r"Final-Recipient: rfc822; off@example.test\s+Action: failed\s+Status: 5.2.1", report[0])
    assert re.search(r"Final-Recipient: rfc822; bob@example.test\s+Action: delivered", report[0])
    assert "Future-Release-Request: for;3600" in report[0] and "full@" not in report[0]
    row, = queue(server)
    assert row["recipient"] == "full@example.test" and "mailbox full" in row["last_reply"]
    server.cli("account", "quota", "full@example.test", "1GB")
    server.cli("queue", "retry", queue_id)
    wait_for(lambda: server.count("full@example.test") == 1, 30, "the mailbox with room", every=0.1)


def kill(server, name):
    before = wait_for(lambda: server.roles().get(name), 20, f"{name} running")
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: server.roles().get(name) not in (None, before), 40, f"{name} restarted")


def test_killed_while_they_fall_due(any_server):
    """kill -9 of the relay and deliver roles while held messages fall due: each is in its mailboxes once."""
    server = any_server
    server.add_accounts(3)
    users = [f"u{i}@example.test" for i in range(3)]
    client = server.smtp("submission", ALICE)
    tokens = [f"t{i}" for i in range(60)]
    for token in tokens:
        assert client.mail(ALICE, ["HOLDFOR=3600"])[0] == 250
        for user in users:
            assert client.rcpt(user)[0] == 250
        assert client.data(letter(token, users[0], ALICE))[0] == 250
    client.close()
    ids = sorted({row["queue_id"] for row in queue(server)})
    assert len(ids) == len(tokens)
    for i in range(6):
        server.cli("queue", "schedule", *ids[i * 10:(i + 1) * 10], "--at", "now")
        kill(server, "deliver" if i % 3 == 2 else "relay")
    wait_for(lambda: queue(server) == [], 60, "an empty queue", every=0.2)
    for user in users:
        assert sorted(tokens_in(server.messages(user))) == sorted(tokens)


# ---- deadlines (RFC 2852), priorities (RFC 6710), VERP ----

OFFERS = ("PIPELINING", "8BITMIME", "SIZE 50000000", "DSN")


def envelope(sink, recipient):
    return next((e for e in sink.envelopes if any(recipient in r for r in e[1])), None)


def test_offers(make_server):
    server = make_server("smtp:\n  deliver_by_min: 2m\n  trusted_networks:\n    - 127.0.0.2/32\n  priority: trusted\n")
    submission, stranger = server.smtp("submission", ALICE), server.smtp("smtp")
    submission.ehlo("client.test")
    assert submission.esmtp_features["deliverby"] == "120" and submission.has_extn("mt-priority") and submission.has_extn("xverp")
    assert stranger.has_extn("deliverby") and stranger.has_extn("mt-priority") and not stranger.has_extn("xverp")
    for client in (submission, stranger):
        client.close()
    assert refused(server, ["BY=119;R"]) == (555, "5.4.7 Delivery within so short a time can't be promised")
    for bad in ("BY=0;R", "BY=60", "BY=60;X", "MT-PRIORITY=10", "MT-PRIORITY=+1", "XVERP=ab"):
        assert refused(server, [bad])[0] == 501, bad
    assert refused(server, ["BY=60;N", "HOLDFOR=3600"])[0] == 501  # it would be late before it may go
    assert refused(server, ["BY=7200;N", "HOLDFOR=3600"])[0] == 250
    assert refused(server, ["XVERP"], "smtp", None)[0] == 555
    # Users may not raise here; everybody may step back.
    assert refused(server, ["MT-PRIORITY=4"])[1].startswith("2.3.6 0 ")
    assert refused(server, ["MT-PRIORITY=-4"])[1].startswith("2.1.0 ")
    assert refused(server, ["MT-PRIORITY=4"], "smtp", None)[1].startswith("2.3.6 0 ")


def test_deadline_is_passed_on(make_server):
    """To who offers DELIVERBY with what is left of the time; else by the mode."""
    server = make_server()
    knows, slow, plain = Sink(extensions=(*OFFERS, "DELIVERBY 10", "MT-PRIORITY")), Sink(extensions=(*OFFERS, "DELIVERBY 7200")), Sink(
        extensions=OFFERS)
    for sink, domain in ((knows, "knows.test"), (slow, "slow.test"), (plain, "plain.test")):
        to_sink(server, sink, domain)
    submit(server, "return", ["x@knows.test", "x@slow.test", "x@plain.test"], ["BY=3600;R", "MT-PRIORITY=3"])
    submit(server, "notify", ["n@knows.test", "n@slow.test", "n@plain.test"], ["BY=3600;N"])
    submit(server, "trace", ["t@knows.test"], ["BY=3600;RT"])
    submit(server, "never", ["q@plain.test"], ["BY=3600;N"], ["NOTIFY=NEVER"])
    wait_for(lambda: queue(server) == [], 30, "an empty queue", every=0.1)
    sender = envelope(knows, "x@knows.test")[0]
    assert 3500 < int(re.search(r" BY=(\d+);R(?: |$)", sender).group(1)) <= 3600 and " MT-PRIORITY=3" in sender
    assert re.search(r" BY=3[0-9]{3};N(?: |$)", envelope(slow, "n@slow.test")[0])
    assert envelope(slow, "x@slow.test") is None and envelope(plain, "x@plain.test") is None
    sender, recipients = envelope(plain, "n@plain.test")
    assert " BY=" not in sender and "MT-PRIORITY" not in sender and recipients == ["RCPT TO:<n@plain.test> NOTIFY=FAILURE,DELAY"]
    assert envelope(plain, "q@plain.test")[1] == ["RCPT TO:<q@plain.test> NOTIFY=NEVER"]
    reports = wait_for(lambda: len(r := notifications(server)) >= 4 and r, 30, "notifications", every=0.2)
    text = "\n".join(reports)
    told = {m[0]: m[1:] for m in re.findall(r"Final-Recipient: rfc822; (\S+)\s+Action: (\w+)\s+Status: (\S+)", text)}
    assert told == {"x@slow.test": ("failed", "5.4.7"), "x@plain.test": ("failed", "5.3.3"), "n@plain.test": ("relayed", "2.0.0"),
                    "t@knows.test": ("relayed", "2.0.0")}
    assert text.count("Deliver-By-Date: ") == 4


def test_deadline_passes(make_server):
    """A host that is away: returned, or told of, when the time is over."""
    server = make_server("relay:\n  retry: 1h\nsmtp:\n  deliver_by_min: 1s\n")
    busy = Sink(replies={"rcpt": "450 4.2.0 later"}, extensions=(*OFFERS, "DELIVERBY"))
    to_sink(server, busy)
    submit(server, "return", ["r@remote.test"], ["BY=3;R"])
    submit(server, "notify", ["n@remote.test"], ["BY=3;N"])
    reports = wait_for(lambda: len(r := notifications(server)) >= 2 and r, 60, "notifications", every=0.3)
    text = "\n".join(reports)
    assert re.search(r"r@remote.test\s+Action: failed\s+Status: 5.4.7", text)
    assert re.search(r"n@remote.test\s+Action: delayed\s+Status: 4.4.7", text)
    assert [row["recipient"] for row in queue(server)] == ["n@remote.test"]


def test_urgent_mail_goes_first(make_server):
    """One connection, and letters that wait for it: the urgent one goes before those that came earlier, the low one after all."""
    server = make_server("relay:\n  concurrency: 1\n")
    sink = Sink()
    to_sink(server, sink)
    ids = [submit(server, "low", ["l@remote.test"], ["MT-PRIORITY=-5", "HOLDFOR=3600"])]
    ids += [submit(server, f"normal{i}", [f"n{i}@remote.test"], ["HOLDFOR=3600"]) for i in range(5)]
    ids += [submit(server, "urgent", ["u@remote.test"], ["MT-PRIORITY=5", "HOLDFOR=3600"])]
    assert [row["priority"] for row in queue(server)] == [-5, 0, 0, 0, 0, 0, 5]
    server.cli("queue", "schedule", *ids, "--at", "now")
    wait_for(lambda: len(sink.messages) == 7, 30, "all of them", every=0.1)
    order = tokens_in(sink.messages)
    assert order.index("urgent") <= 1 and order.index("low") >= 5  # the first page may be taken in pieces
    header = next(m for m in sink.messages if b"X-Token: urgent" in m).split(b"\r\n\r\n")[0]
    assert re.search(rb"^Received:[^\0]*?\r\n\tPRIORITY 5;\r\n", header, re.M)


def test_verp(server):
    """One sender for each recipient, here and elsewhere; the notification finds its way by it."""
    sink = Sink(replies={"rcpt": lambda line: "550 5.1.1 nobody" if "no@" in line else None})
    to_sink(server, sink)
    queue_id = submit(server, "list", [BOB, "a@remote.test", "b@remote.test", "no@remote.test"], ["XVERP"], sender="alice+list@example.test")
    wait_for(lambda: queue(server) == [], 30, "an empty queue", every=0.1)
    assert sorted((e[0].split()[1], e[1][0].split()[1]) for e in sink.envelopes) == [
        (f"FROM:<alice+list+{u}=remote.test@example.test>", f"TO:<{u}@remote.test>") for u in "ab"]
    assert server.messages(BOB)[0].startswith(b"Return-Path: <alice+list+bob=example.test@example.test>\r\n")
    wait_for(lambda: notifications(server), 30, "the notification", every=0.2)
    assert b"To: <alice+list+no=remote.test@example.test>" in server.messages(ALICE)[0]
    assert "bounced" in server.cli("trace", queue_id).stdout


# ---- notifications ----

def told(reports):
    text = "\n".join(reports)
    return {m[0]: m[1] for m in re.findall(r"Final-Recipient: rfc822; (\S+)\s+Action: (\w+)", text)}


def test_success_is_told(any_server):
    """NOTIFY=SUCCESS (RFC 3461 section 5.2): a mailbox: delivered; several behind an alias: expanded; one elsewhere behind it: its host tells."""
    server, sink = any_server, Sink(extensions=OFFERS)
    to_sink(server, sink)
    server.cli("alias", "add", "team@example.test", BOB, "far@remote.test")
    server.cli("alias", "add", "away@example.test", "away@remote.test")
    client = server.smtp("submission", ALICE)
    client.mail(ALICE, ["RET=HDRS", "ENVID=e+2B1"])
    for recipient, options in ((BOB, ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;b+2Bob@other.test"]), ("team@example.test", ["NOTIFY=SUCCESS,DELAY"]),
                               ("away@example.test", ["NOTIFY=SUCCESS", "ORCPT=rfc822;away@example.test"]), (ALICE, [])):
        assert client.rcpt(recipient, options)[0] == 250
    client.data(letter("told", BOB, ALICE))
    client.close()
    report, = wait_for(lambda: notifications(server), 30, "the notification", every=0.2)
    assert told([report]) == {BOB: "delivered", "team@example.test": "expanded"}
    assert "Original-Envelope-Id: e+1" in report and "Original-Recipient: rfc822;b+ob@other.test" in report
    wait_for(lambda: len(sink.envelopes) == 1 and queue(server) == [], 30, "the mail for others", every=0.1)
    sender, recipients = sink.envelopes[0]
    assert "RET=HDRS ENVID=e+2B1" in sender
    assert sorted(recipients) == ["RCPT TO:<away@remote.test> NOTIFY=SUCCESS ORCPT=rfc822;away@example.test", "RCPT TO:<far@remote.test> NOTIFY=DELAY"]
    assert sorted(tokens_in(server.messages(BOB))) == ["told"]


def test_success_is_told_elsewhere(make_server):
    """To the sender of a message from outside, and by VERP to each address; not for the null sender, and not unasked."""
    server, sink = make_server(), Sink(extensions=OFFERS)
    to_sink(server, sink)
    client = server.smtp()
    for sender in ("<stranger@remote.test>", "<>"):
        assert client.docmd("MAIL", f"FROM:{sender}")[0] == 250
        assert client.docmd("RCPT", f"TO:<{BOB}> NOTIFY=SUCCESS")[0] == 250
        assert client.data(letter(f"from-{len(sender)}", BOB))[0] == 250
    client.sendmail("stranger@remote.test", [BOB], letter("unasked", BOB))
    client.close()
    submit(server, "verp", [BOB, ALICE], ["XVERP"], ["NOTIFY=SUCCESS"], sender="alice+l@example.test")
    reports = wait_for(lambda: len(r := notifications(server)) == 2 and r, 30, "two notifications", every=0.2)
    assert told(reports) == {BOB: "delivered", ALICE: "delivered"}
    wait_for(lambda: sink.messages and queue(server) == [], 30, "the stranger's notification", every=0.1)
    assert [e[0].split()[1] for e in sink.envelopes] == ["FROM:<>"] and b"Action: delivered" in sink.messages[0]


def test_double_bounce(make_server):
    """What can't be told to its sender is told to the postmaster, if he wants; what can't be told to him is dropped."""
    server = make_server(f"relay:\n  double_bounce: {BOB}\n")
    sink = Sink(replies={"rcpt": "550 5.1.1 nobody"})
    to_sink(server, sink)
    server.cli("account", "add", "temp@example.test", "--password-stdin", input="secret\n")
    client = server.smtp("submission", ALICE)
    assert client.mail("<>")[0] == 250 and client.rcpt("x@remote.test")[0] == 250 and client.data(letter("null", "x@remote.test"))[0] == 250
    client.close()
    submit(server, "gone", ["y@remote.test"], ["HOLDFOR=3600"], sender="temp@example.test", user="temp@example.test")
    server.cli("account", "remove", "temp@example.test", "--yes")
    server.cli("queue", "schedule", "--all", "--at", "now")
    reports = wait_for(lambda: len(r := notifications(server, BOB)) == 2 and r, 30, "two notifications", every=0.2)
    assert told(reports) == {"x@remote.test": "failed", "y@remote.test": "failed"}
    assert queue(server) == []


def test_with_postfix(make_server, folder):
    """A real Postfix, which knows DSN and neither DELIVERBY nor MT-PRIORITY: it tells of the delivery itself."""
    from harness import Postfix
    server = make_server()
    postfix = Postfix(folder, relay=f"127.0.0.1:{server.ports['smtp']}").start()
    try:
        server.cli("route", "add", "postfix.test", f"127.0.0.1:{postfix.port}")
        submit(server, "to-postfix", ["p@postfix.test"], ["BY=3600;N", "MT-PRIORITY=4", "HOLDFOR=1", "XVERP"], ["NOTIFY=SUCCESS"],
               sender="alice+l@example.test")
        received = wait_for(postfix.received, 20, "Postfix having it at its time, not at the next round", every=0.2)
        assert received[0].startswith(b"Return-Path: <alice+l+p=postfix.test@example.test>") and tokens_in(received) == ["to-postfix"]
        # Ours: that it was relayed to who knows no DELIVERBY; Postfix's: that it was delivered.
        reports = wait_for(lambda: len(r := notifications(server)) == 2 and r, 60, "both notifications", every=0.3)
        assert sorted(re.search(r"Action: (\w+)", r).group(1) for r in reports) == ["delivered", "relayed"]
    finally:
        postfix.stop()


# ---- in whose name ----

def test_on_behalf(make_server):
    """Send-as: From is the other. On behalf: Sender is the account, added where it lacks. Others are refused, if that is set."""
    server, sink = make_server("smtp:\n  require_from_match: true\n"), Sink()
    to_sink(server, sink)
    server.cli("account", "may-send", ALICE, "as@office.test")
    server.cli("account", "may-send", ALICE, "for@office.test", "--on-behalf")
    listed = json.loads(server.cli("account", "may-send", ALICE, "--json").stdout)
    assert [(r["may_send_as"], r["how"]) for r in listed] == [("as@office.test", "as"), ("for@office.test", "on-behalf")]

    def say(token, header_from, sender=ALICE, extra=""):
        client = server.smtp("submission", ALICE)
        try:
            assert client.mail(sender)[0] == 250 and client.rcpt("x@remote.test")[0] == 250
            return client.data(letter(token, "x@remote.test", header_from, extra=extra))[0]
        finally:
            client.close()
    assert say("own", "alice+x@example.test") == 250
    assert say("as", "as@office.test", "as@office.test") == 250
    assert say("for", "for@office.test", "for@office.test") == 250
    assert say("given", "for@office.test", extra=f"Sender: Alice <{ALICE}>\r\n") == 250
    assert say("other", "for@office.test", extra=f"Sender: <{BOB}>\r\n") == 550
    assert say("bob", BOB) == 550
    wait_for(lambda: len(sink.messages) == 4, 30, "the four that may", every=0.1)
    senders = {t: re.findall(rb"^Sender: ([^\r]*)", m.split(b"\r\n\r\n")[0], re.M) for m in sink.messages for t in tokens_in([m])}
    assert senders == {"own": [], "as": [], "for": [b"<alice@example.test>"], "given": [b"Alice <alice@example.test>"]}
    # A grant that is given again is the new one.
    server.cli("account", "may-send", ALICE, "for@office.test")
    assert say("now-as", "for@office.test") == 250
