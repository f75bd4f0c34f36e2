"""URLs of messages: authorised over IMAP (RFC 4467), and put into what is submitted (RFC 4468)."""
import imaplib

from harness import wait_for

imaplib.Commands.update(GENURLAUTH=("AUTH", "SELECTED"), RESETKEY=("AUTH", "SELECTED"))
ALICE, BOB = "alice@example.test", "bob@example.test"
USER = ALICE.replace("@", "%40")


def authorise(client, mailbox, uid, access, more=""):
    url = f"imap://{USER}@mail.example.test/{mailbox}/;UID={uid}{more};URLAUTH={access}"
    client._simple_command("GENURLAUTH", f'"{url}"', "INTERNAL")
    _, (answer,) = client._untagged_response("OK", [None], "GENURLAUTH")
    return answer.decode().strip('"')


def begin(server, user=ALICE):
    client = server.smtp("submission", user)
    client.ehlo("client.example.test")
    assert client.esmtp_features["burl"].strip() == "imap"
    assert client.mail(ALICE)[0] == 250 and client.rcpt(BOB)[0] == 250
    return client


def bdat(client, text, last=False):
    client.send(f"BDAT {len(text)}{' LAST' if last else ''}\r\n{text}")
    return client.getreply()[0]


def burl(client, url, last=False):
    code, text = client.docmd("BURL", url + (" LAST" if last else ""))
    return f"{code} {text.decode().split()[0]}"


def test_burl(make_server):
    server = make_server("limits:\n  message_size: 100K\n")
    imap = server.imap(ALICE)
    draft = b"Subject: draft\r\nX-Token: whole\r\nFrom: alice@example.test\r\n\r\nThe draft.\r\n"
    assert imap.append("Drafts", None, None, draft)[0] == "OK"
    assert imap.append("Drafts", None, None, b"Subject: large\r\n\r\n" + b"a line of text\r\n" * 4000)[0] == "OK"
    whole = authorise(imap, "Drafts", 1, f"submit+{USER}")
    text = authorise(imap, "Drafts", 1, f"submit+{USER}", "/;SECTION=TEXT")
    large = authorise(imap, "Drafts", 2, "authuser", "/;SECTION=TEXT")
    piece = authorise(imap, "Drafts", 2, "anonymous", "/;SECTION=TEXT/;PARTIAL=16.32")
    theirs = authorise(imap, "Drafts", 1, "user+bob%40example.test")

    # Not offered before log-in, nor where mail comes in.
    with_login = server.smtp("submission", ALICE)
    with_login.ehlo("x")
    assert with_login.esmtp_features["burl"].strip() == "imap"
    stranger = server.smtp("smtp")
    stranger.ehlo("x")
    assert "burl" not in stranger.esmtp_features and burl(stranger, whole, True).startswith("500 ")
    stranger.close()
    assert burl(with_login, whole, True) == "503 5.5.1"
    assert burl(with_login, "") == "501 5.5.4"
    with_login.close()

    # Alone; and among pieces that are sent.
    client = begin(server)
    assert burl(client, whole, True) == "250 2.0.0"
    assert client.mail(ALICE)[0] == 250 and client.rcpt(BOB)[0] == 250
    assert bdat(client, "Subject: mixed\r\nX-Token: mixed\r\nFrom: alice@example.test\r\n\r\nBefore.\r\n") == 250
    assert burl(client, text) == "250 2.0.0"
    assert client.docmd("DATA")[0] == 503
    assert bdat(client, "After.\r\n", True) == 250
    wait_for(lambda: server.count(BOB) == 2, 20, "both")
    bodies = sorted(m.split(b"\r\n\r\n", 1)[1] for m in server.messages(BOB))
    assert bodies == [b"Before.\r\nThe draft.\r\nAfter.\r\n", b"The draft.\r\n"]

    # What isn't for her, what isn't there, what has been taken back: no message comes of it.
    for url in (theirs, whole[:-1] + ("0" if whole[-1] != "0" else "1"), "imap://x/INBOX/;UID=1", "nonsense", whole.replace("UID=1", "UID=3")):
        assert client.mail(ALICE)[0] == 250 and client.rcpt(BOB)[0] == 250
        assert bdat(client, "Subject: x\r\n\r\n") == 250
        assert burl(client, url) == "554 5.6.6", url
        assert bdat(client, "x\r\n") == 503 and burl(client, whole) == "503 5.5.1"
        assert client.rset()[0] == 250
    assert client.mail(ALICE)[0] == 250 and client.rcpt(BOB)[0] == 250
    assert burl(client, theirs, True) == "554 5.6.6"
    assert client.mail(ALICE)[0] == 250 and client.rcpt(BOB)[0] == 250
    assert burl(client, large) == "250 2.0.0" and burl(client, large) == "552 5.3.4"
    assert burl(client, piece, True) == "503 5.5.1"
    assert client.mail(ALICE)[0] == 250 and client.rcpt(BOB)[0] == 250
    assert bdat(client, "From: alice@example.test\r\n\r\n") == 250 and burl(client, piece, True) == "250 2.0.0"
    wait_for(lambda: server.count(BOB) == 3, 20, "the piece")
    assert server.messages(BOB)[2].endswith(b"\r\n\r\na line of text\r\na line of text\r\n")
    # Bob has the draft's URL, but not Alice's log-in.
    bob = server.smtp("submission", BOB)
    assert bob.mail(BOB)[0] == 250 and bob.rcpt(ALICE)[0] == 250
    assert burl(bob, whole, True) == "554 5.6.6"
    assert bob.mail(BOB)[0] == 250 and bob.rcpt(ALICE)[0] == 250
    assert burl(bob, theirs, True) == "250 2.0.0"
    bob.close()
    assert imap._simple_command("RESETKEY", "Drafts")[0] == "OK"
    assert client.mail(ALICE)[0] == 250 and client.rcpt(BOB)[0] == 250
    assert burl(client, whole, True) == "554 5.6.6"
    client.quit()
    wait_for(lambda: server.count(ALICE) == 1, 20, "bob's")
    assert server.count(BOB) == 3
