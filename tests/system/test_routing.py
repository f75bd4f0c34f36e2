"""Where mail goes: domains of other kinds, routes, lists, forwarding; LMTP from a real Postfix; and what programs of this machine bring
by the sendmail command."""
import re
import smtplib
import subprocess

import pytest

from harness import Postfix, Sink, free_port, letter, tokens_in, wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"


def listeners(*lines):
    """Listeners beside the usual ones."""
    return [(r"^listeners:$", "\n".join(["listeners:", *(f"  - {{{line}}}" for line in lines)]))]


def refused(call, code):
    with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused)) as trouble:
        call()
    codes = [c for c, _ in trouble.value.recipients.values()] if hasattr(trouble.value, "recipients") else [trouble.value.smtp_code]
    assert codes == [code]


def arrived(sink, token):
    return lambda: token in tokens_in(sink.messages)


def envelope_of(sink, token):
    return next(e for e, m in zip(sink.envelopes, sink.messages) if token in tokens_in([m]))


def test_domains_and_routes(make_server):
    inside, bulk, rest = Sink(), Sink(), Sink()
    server = make_server(f"relay:\n  smarthost: 127.0.0.1:{rest.port}\n  smarthost_tls: none\n")
    server.cli("domain", "add", "other.test", "--alias-of", "example.test")
    server.cli("domain", "add", "backup.test", "--relay", "--listed")
    server.cli("recipient", "add", "--file", "-", input="# known there\nKnown@backup.test  OK\n")
    server.cli("route", "add", "backup.test", f"127.0.0.1:{inside.port}")
    server.cli("route", "add", BOB, f"[127.0.0.1]:{bulk.port}", "--sender")
    assert "backup.test" in server.cli("domain", "list").stdout
    client = server.smtp()
    client.sendmail("s@remote.test", ["Alice+x@Other.test"], letter("aliased"))
    assert tokens_in(server.messages(ALICE)) == ["aliased"]
    refused(lambda: client.sendmail("s@remote.test", ["nobody@other.test"], letter("no")), 550)
    refused(lambda: client.sendmail("s@remote.test", ["nobody@backup.test"], letter("no")), 550)
    refused(lambda: client.sendmail("s@remote.test", ["x@third.test"], letter("no")), 550)
    client.sendmail("s@remote.test", ["known@backup.test"], letter("relayed", "known@backup.test"))
    wait_for(arrived(inside, "relayed"), what="the letter at the host behind")
    assert "s@remote.test" in envelope_of(inside, "relayed")[0]
    for who, sink in ((ALICE, rest), (BOB, bulk)):
        submission = server.smtp("submission", who)
        submission.sendmail(who, ["x@third.test"], letter(who, "x@third.test", who))
        wait_for(arrived(sink, who), what=f"{who}'s letter by its way")
    # Rules are obeyed as soon as they are there, and as long as they are.
    refused(lambda: server.smtp("submission", ALICE).sendmail("boss@elsewhere.test", ["x@third.test"], letter("no")), 553)
    server.cli("account", "may-send", ALICE, "@elsewhere.test")
    server.smtp("submission", ALICE).sendmail("boss@elsewhere.test", ["x@third.test"], letter("as-boss", sender="boss@elsewhere.test"))
    wait_for(arrived(rest, "as-boss"), what="the letter of another sender")
    server.cli("domain", "remove", "other.test")
    refused(lambda: client.sendmail("s@remote.test", ["alice@other.test"], letter("no")), 550)
    for sink in (inside, bulk, rest):
        sink.close()


def test_lists_and_forwarding(make_server):
    """A list for its members; forwarded mail under a sender of ours, whose bounce finds its way back."""
    sink = Sink(replies={"rcpt": lambda a: "550 5.1.1 gone" if "gone@" in a else None})
    server = make_server(f"relay:\n  smarthost: 127.0.0.1:{sink.port}\n  smarthost_tls: none\n")
    server.cli("alias", "add", "staff@example.test", ALICE, "friend@remote.test")
    server.cli("alias", "senders", "staff@example.test", "members")
    server.cli("alias", "add", "moved@example.test", "gone@remote.test", "there@remote.test")
    client = server.smtp()
    refused(lambda: client.sendmail("stranger@remote.test", ["staff@example.test"], letter("no")), 550)
    refused(lambda: client.sendmail(ALICE, ["staff@example.test"], letter("forged")), 550)
    client.sendmail("friend@remote.test", ["staff@example.test"], letter("member"))
    server.smtp("submission", ALICE).sendmail(ALICE, ["staff@example.test"], letter("colleague", sender=ALICE))
    assert sorted(tokens_in(server.messages(ALICE))) == ["colleague", "member"]
    client.sendmail("carol@far.test", ["moved@example.test"], letter("forward", "moved@example.test"))
    wait_for(arrived(sink, "forward"), what="the forwarded letter")
    sender = re.search(r"<(SRS0=\S+=far\.test=carol@example\.test)>", envelope_of(sink, "forward")[0]).group(1)
    # Our own bounce of the one that is gone
    wait_for(lambda: any("carol@far.test" in r for e in sink.envelopes for r in e[1]), what="the bounce at who sent it")
    # and one from elsewhere, by the address it sees.
    client.sendmail("", [sender], letter("bounce", sender, ""))
    wait_for(arrived(sink, "bounce"), what="the other's bounce")
    assert envelope_of(sink, "bounce")[1] == ["TO:<carol@far.test>"] or "carol@far.test" in envelope_of(sink, "bounce")[1][0]
    refused(lambda: client.sendmail("", [sender.replace("carol", "dave")], letter("no")), 550)
    sink.close()


def test_lmtp_from_postfix(make_server, folder):
    """Both kinds of socket; an answer for each recipient."""
    path, port = folder / "lmtp.sock", free_port()
    server = make_server("smtp:\n  trusted_networks: [127.0.0.1]\n",
                         replace=listeners(f'address: "unix:{path}", protocol: lmtp, group: postfix', f'address: "127.0.0.1:{port}", protocol: lmtp'))
    assert oct(path.stat().st_mode & 0o777) == "0o660"
    postfix = Postfix(folder, domains=("example.test", "tcp.test"))
    main = postfix.dir / "etc/main.cf"
    (postfix.dir / "etc/transport").write_text(f"tcp.test lmtp:inet:127.0.0.1:{port}\n")
    main.write_text(main.read_text() + f"virtual_transport = lmtp:unix:{path}\ntransport_maps = texthash:{postfix.dir}/etc/transport\n")
    server.cli("domain", "add", "tcp.test", "--alias-of", "example.test")
    postfix.start()
    try:
        subprocess.run(["sendmail", "-C", str(postfix.dir / "etc"), "-i", "-f", "carol@far.test", ALICE, BOB, "nobody@example.test"],
                       input=letter("by-unix"), check=True)
        postfix.send(letter("by-tcp", "alice@tcp.test"), "carol@far.test", "alice@tcp.test")
        wait_for(lambda: server.count(ALICE) == 2 and server.count(BOB) == 1, 30, "the letters")
        got = server.messages(BOB)[0]
        assert got.startswith(b"Return-Path: <carol@far.test>\r\n") and b"with LMTP\r\n" in got, got
        # nobody is refused alone, and told by Postfix
        wait_for(lambda: re.search(r"to=<nobody@example.test>.*status=bounced.*550 5.1.1", postfix.log.read_text()), 30, "the refusal")
        assert server.count(BOB) == 1
    finally:
        postfix.stop()
