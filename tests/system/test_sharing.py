"""Shared mailboxes and other users' folders, as clients that others wrote use them."""
import imaplib
import json
import re
import subprocess
import time

import pytest

from harness import letter, tokens_in, wait_for
from test_imap_clients import mbsync, mbsync_config

ALICE, BOB, TEAM = "alice@example.test", "bob@example.test", "team@example.test"
BOX = f'"Shared Folders/{TEAM}/INBOX"'


def unseen(client, mailbox):
    status, found = client.status(mailbox, "(UNSEEN)")
    assert status == "OK", found
    return int(re.search(rb"UNSEEN (\d+)", found[0]).group(1))


def listed(client, pattern="*"):
    return [line.decode().split(' "/" ')[1].strip('"') for line in client.list('""', f'"{pattern}"')[1] if line]


def bring(server, to, tokens):
    client = server.smtp()
    for token in tokens:
        client.sendmail("x@remote.test", [to], letter(token, to))
    client.quit()


@pytest.mark.sanitize
def test_shared_mailbox(any_server, folder):
    """A team's mailbox gets mail, is synchronised by mbsync, and each member has his own \\Seen."""
    server = any_server
    server.cli("account", "add", TEAM, "--shared")
    server.cli("group", "add", "staff", ALICE, BOB)
    assert server.cli("account", "password", TEAM, "--password-stdin", input="secret\n", check=False).returncode == 1
    with pytest.raises(imaplib.IMAP4.error):
        server.imap(TEAM, "secret")
    bring(server, TEAM, [f"t{i}" for i in range(20)])
    alice, bob = server.imap(ALICE), server.imap(BOB)
    assert not [name for name in listed(bob) if name.startswith("Shared")]
    server.cli("mailbox", "share", TEAM, "--all", "$staff", "write")
    rights = json.loads(server.cli("mailbox", "rights", TEAM, "--json").stdout)
    assert {"mailbox": "INBOX", "who": "$staff", "rights": "lrswited"} in rights, rights
    assert [name for name in listed(bob) if name.startswith("Shared")] == [f"Shared Folders/{TEAM}/INBOX"]
    assert unseen(alice, BOX) == unseen(bob, BOX) == 20
    config = mbsync_config(server, folder, BOB)
    config.write_text(config.read_text().replace("Patterns *", 'Patterns "Shared Folders/*"'))
    mbsync(config)
    (local,) = (folder / "local").rglob("INBOX")
    files = sorted([*local.glob("cur/*"), *local.glob("new/*")])
    assert len(files) == 20
    for path in files[:5]:
        path.rename(local / "cur" / (re.sub(r":2,.*$", "", path.name) + ":2,S"))
    files[5].rename(local / "cur" / (re.sub(r":2,.*$", "", files[5].name) + ":2,FS"))
    files[6].unlink()
    (local / "new" / "1.fresh.host").write_bytes(letter("fresh").replace(b"\r\n", b"\n"))
    mbsync(config)
    assert unseen(bob, BOX) == 14, "6 seen, 1 gone, 1 new"
    assert unseen(alice, BOX) == 20
    alice.select(BOX)
    assert len(alice.search(None, "FLAGGED")[1][0].split()) == 1, "but the other flags are everybody's"
    assert alice.fetch("1", "(BODY[])")[0] == "OK"
    alice.close()
    assert unseen(alice, BOX) == 19
    assert unseen(bob, BOX) == 14
    told = subprocess.run(["curl", "-s", "-k", f"imaps://127.0.0.1:{server.ports['imaps']}/", "-X", f"STATUS {BOX} (MESSAGES)",
                           "-u", f"{BOB}:{server.passwords[BOB]}"], capture_output=True, text=True, check=True, timeout=60)
    assert "(MESSAGES 20)" in told.stdout
    # into one's own mailbox and back
    bob.select(BOX)
    assert bob.copy("1:3", "Archive")[0] == "OK"
    assert bob.uid("MOVE", "8", "INBOX")[0] == "OK"
    assert len(server.messages(BOB, "Archive")) == 3 and len(tokens_in(server.messages(BOB))) == 1
    # the rights go, and with them the open session and the folder
    server.cli("group", "remove", "staff", BOB)
    with pytest.raises(imaplib.IMAP4.abort):
        for _ in range(50):
            bob.noop()
            time.sleep(0.1)
    bob = server.imap(BOB)
    assert not [name for name in listed(bob) if name.startswith("Shared")]
    assert bob.select(BOX)[0] == "NO"
    assert unseen(alice, BOX) >= 18
    server.cli("check")


@pytest.mark.sanitize
def test_folder_of_another(any_server):
    """Who shares his folder by IMAP decides by himself; CLI and check agree; a removed account leaves nothing behind."""
    server = any_server
    alice, bob = server.imap(ALICE), server.imap(BOB)
    alice.create("Projects/2026")
    assert alice.append("Projects/2026", r"(\Flagged)", None, letter("p1"))[0] == "OK"
    box = f'"Other Users/{ALICE}/Projects/2026"'
    assert bob.myrights(box)[0] == "NO"
    assert alice.setacl("Projects/2026", BOB, "lrs")[0] == "OK"
    assert alice.getacl("Projects/2026")[1][0].decode().endswith(f'"{BOB}" "lrs"')
    assert listed(bob, "Other Users/*") == [f"Other Users/{ALICE}/Projects/2026"]
    assert listed(bob, "Other Users/%") == [f"Other Users/{ALICE}"]
    assert b"Other Users/" in bob.namespace()[1][0]
    with pytest.raises(imaplib.IMAP4.readonly):
        bob.select(box)
    assert bob.select(box, readonly=True)[0] == "OK"
    status, found = bob.fetch("1", "(FLAGS BODY[])")
    assert status == "OK" and tokens_in([found[0][1]]) == ["p1"]
    assert bob.expunge()[0] == "NO"
    assert bob.append(box, None, None, letter("no"))[0] == "NO"
    server.cli("mailbox", "share", ALICE, "Projects/2026", BOB, "+i")
    assert bob.append(box, r"(\Seen \Flagged)", None, letter("p2"))[0] == "OK"
    assert sorted(tokens_in(server.messages(ALICE, "Projects/2026"))) == ["p1", "p2"]
    bob.noop()
    assert bob.fetch("2", "(FLAGS)")[1][0] == rb"2 (FLAGS (\Seen))"
    rights = json.loads(server.cli("mailbox", "rights", ALICE, "Projects/2026", "--json").stdout)
    assert rights == [{"mailbox": "Projects/2026", "who": BOB, "rights": "lrsi"}]
    assert alice.deleteacl("Projects/2026", BOB)[0] == "OK"
    with pytest.raises(imaplib.IMAP4.abort):
        bob.noop()
    server.cli("mailbox", "share", ALICE, "Projects", BOB, "all")
    server.cli("account", "remove", BOB, "--yes")
    assert json.loads(server.cli("mailbox", "rights", ALICE, "--json").stdout) == []
    server.cli("check")


def metadata(client, *words):
    """imaplib doesn't know it."""
    imaplib.Commands.update(GETMETADATA=("AUTH", "SELECTED"), SETMETADATA=("AUTH", "SELECTED"))
    status, found = client._simple_command(*words)
    return client._untagged_response(status, found, "METADATA")


def test_annotations(make_server):
    """What curl notes about a mailbox, others see as far as they may; it stays when the server is started anew."""
    server = make_server(settings='imap:\n  comment: "Be nice"\n  admin: "mailto:postmaster@example.test"\n')

    def curl(command):
        done = subprocess.run(["curl", "-s", "-k", f"imaps://127.0.0.1:{server.ports['imaps']}/", "-X", command,
                               "-u", f"{ALICE}:{server.passwords[ALICE]}"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, command + done.stderr

    curl('SETMETADATA "Archive" (/shared/comment "Old things" /private/vendor/x/colour "red")')
    alice = server.imap(ALICE)
    status, found = metadata(alice, "GETMETADATA", "(DEPTH infinity)", "Archive", "(/private /shared)")
    assert found == [b'"Archive" ("/private/vendor/x/colour" "red" "/shared/comment" "Old things")'], found
    assert metadata(alice, "GETMETADATA", '""', "/shared/comment")[1] == [b'"" ("/shared/comment" "Be nice")']
    assert metadata(alice, "GETMETADATA", '""', "/shared/admin")[1] == [b'"" ("/shared/admin" "mailto:postmaster@example.test")']
    server.cli("mailbox", "share", ALICE, "Archive", BOB, "read")
    bob, box = server.imap(BOB), f'"Other Users/{ALICE}/Archive"'
    status, found = metadata(bob, "GETMETADATA", "(DEPTH infinity)", box, "(/private /shared)")
    assert status == "OK" and found == [f'{box} ("/shared/comment" "Old things")'.encode()], found
    assert metadata(bob, "SETMETADATA", box, '(/shared/comment "mine")')[0] == "NO"
    assert metadata(bob, "SETMETADATA", box, '(/private/comment "mine")')[0] == "OK"
    server.stop()
    server.start()
    alice = server.imap(ALICE)
    assert metadata(alice, "GETMETADATA", "Archive", "/private/vendor/x/colour")[1] == [b'"Archive" ("/private/vendor/x/colour" "red")']
    assert metadata(alice, "GETMETADATA", "Archive", "/private/comment")[1] == [b'"Archive" ("/private/comment" NIL)']
    server.cli("check")


def count(server, user, mailbox):
    client = server.imap(user)
    _, found = client.status(mailbox, "(MESSAGES)")
    client.logout()
    return int(re.search(rb"MESSAGES (\d+)", found[0]).group(1))


def test_folders_by_address(make_server):
    """The right p: who may send mail into a folder; held mail too."""
    server = make_server("smtp:\n  detail_folders: permitted\n")
    server.cli("mailbox", "create", ALICE, "Lists")
    server.cli("account", "add", TEAM, "--shared")
    server.cli("mailbox", "create", TEAM, "Invoices")
    server.cli("mailbox", "share", TEAM, "Invoices", ALICE, "read")
    to_list, to_invoices = "alice+Lists@example.test", "team+Invoices@example.test"
    bring(server, to_list, ["a1"])
    assert (count(server, ALICE, "INBOX"), count(server, ALICE, "Lists")) == (1, 0)
    server.cli("mailbox", "share", ALICE, "Lists", "anyone", "p")
    server.cli("mailbox", "share", TEAM, "Invoices", BOB, "p")
    bring(server, to_list, ["a2"])
    bring(server, to_invoices, ["a3"])
    client = server.smtp("submission", BOB)
    client.sendmail(BOB, [to_invoices, to_list], letter("a4", to_invoices, BOB))
    client.sendmail(BOB, [to_list], letter("a5", to_list, BOB), mail_options=["HOLDFOR=1"])
    client.quit()
    assert (count(server, ALICE, "INBOX"), count(server, ALICE, f'"Shared Folders/{TEAM}/Invoices"')) == (1, 1)
    wait_for(lambda: count(server, ALICE, "Lists") == 3, 30, "the held one")
    # A bounce goes where its address says.
    client = server.smtp("submission", ALICE)
    client.sendmail(to_list, ["nobody@example.invalid"], letter("a6", "nobody@example.invalid", ALICE))
    client.quit()
    wait_for(lambda: count(server, ALICE, "Lists") == 4, 60, "the bounce")
