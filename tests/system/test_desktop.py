"""Thunderbird, steered as its users steer it: what it shows, and what the server has then."""
import email
import re
from email.policy import SMTP

import pytest

from desktop import ALICE, BINARY, BOB, Box, Place, Thunderbird, deliver, letter, mailboxes, seen_by_others
from harness import wait_for


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("desktop"))
    try:
        yield place.start()
    finally:
        place.stop()


@pytest.fixture(scope="module")
def thunderbird(place):
    server = place.server
    deliver(server, ALICE, letter("Grüße aus Köln – ✓", "Zeile mit Umlauten: äöüß €, und 日本語\n", attachment=("Übersicht.bin", BINARY)),
            letter("Markup", "plain turnips\n", html="<p>Some <b>swedes</b></p>"), letter("Parsnips"), letter("To go"), letter("To keep"))
    program = Thunderbird(place, ALICE)
    try:
        program.run("account.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox).getNewMessages(main.msgWindow, null)")
        program.until("paths().length >= 6 && subjects('INBOX').length == 5", "mailboxes and messages are there")
        program.run("await open('INBOX')")
        yield program
    finally:
        program.close()


def test_thunderbird_reads(place, thunderbird):
    server = place.server
    run = thunderbird.run
    special = run("""return Object.fromEntries(["Drafts", "SentMail", "Junk", "Trash", "Archive"].map(
        use => [use, account.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags[use])?.name]))""")
    assert special == {"Drafts": "Drafts", "SentMail": "Sent", "Junk": "Junk", "Trash": "Trash", "Archive": "Archive"}, "found by their uses"
    run("await select('Grüße')")
    assert "Zeile mit Umlauten: äöüß €, und 日本語" in thunderbird.until("shown().includes('Zeile') && shown()", "the text is shown")
    name, size = thunderbird.until("(a => a?.length && [a[0].name, a[0].size])(pane().messageBrowser.contentWindow.currentAttachments)")
    assert name == "Übersicht.bin" and abs(size - len(BINARY)) < 200
    run("await select('Markup')")
    assert "Some swedes" in thunderbird.until("shown().includes('swedes') && shown()", "the HTML is shown")
    wait_for(lambda: [s for s, f in seen_by_others(server).items() if "\\Seen" in f] == ["Grüße aus Köln – ✓", "Markup"], what="what was read is \\Seen")


def test_thunderbird_files(place, thunderbird):
    server = place.server
    run = thunderbird.run
    run("await act('Markup', 'cmd_tag1', 'cmd_markAsUnread'); await act('Parsnips', 'cmd_markAsFlagged')")
    wait_for(lambda: (f := seen_by_others(server)) and f["Markup"] == {"$label1"} and "\\Flagged" in f["Parsnips"], what="marks are on the server")
    run("await act('Parsnips', 'cmd_markAsFlagged')")
    wait_for(lambda: "\\Flagged" not in seen_by_others(server)["Parsnips"], what="the mark is gone")
    # deleted, and taken back
    run("await act('To go', 'cmd_delete')")
    wait_for(lambda: "To go" in seen_by_others(server, "Trash") and "To go" not in seen_by_others(server), what="it is in the trash")
    run("await until('gone', () => row('To go') < 0); main.goDoCommand('cmd_undo')")
    wait_for(lambda: "To go" in seen_by_others(server) and not seen_by_others(server, "Trash"), what="it is back")
    run("await act('To keep', 'cmd_archive')")
    wait_for(lambda: "Archive/2026" in mailboxes(server, command="lsub") and "To keep" in seen_by_others(server, "Archive/2026"), what="it is archived")
    # folders
    run("account.rootFolder.createSubfolder('Büro & Söhne', main.msgWindow)")
    thunderbird.until("folder('Büro & Söhne')")
    assert "B&APw-ro &- S&APY-hne" in mailboxes(server) & mailboxes(server, command="lsub")
    run("folder('Büro & Söhne').rename('Kanzlei', main.msgWindow)")
    thunderbird.until("folder('Kanzlei')")
    run("MailServices.copy.copyMessages(folder('INBOX'), [message('INBOX', 'Parsnips')], folder('Kanzlei'), false, null, main.msgWindow, true)")
    wait_for(lambda: "Parsnips" in seen_by_others(server, "Kanzlei") and "Parsnips" in seen_by_others(server), what="the copy is there")
    run("MailServices.copy.copyFolder(folder('Kanzlei'), folder('Trash'), true, null, main.msgWindow)")
    wait_for(lambda: "Trash/Kanzlei" in mailboxes(server) and "Kanzlei" not in mailboxes(server), what="the folder is in the trash")
    thunderbird.until("folder('Trash/Kanzlei')")
    run("folder('Trash').emptyTrash(null)")
    wait_for(lambda: "Trash/Kanzlei" not in mailboxes(server) and "Trash/Kanzlei" not in mailboxes(server, command="lsub"), what="the trash is empty")


def test_thunderbird_searches(thunderbird):
    search = "return search('INBOX', ...ARG)"
    assert thunderbird.run(search, "Subject", "köln") == ["Grüße aus Köln – ✓"]
    assert thunderbird.run(search, "Body", "日本語") == ["Grüße aus Köln – ✓"]
    assert thunderbird.run(search, "Body", "swedes") == ["Markup"]
    assert thunderbird.run(search, "Body", "nowhere") == []


def test_thunderbird_sends(place, thunderbird):
    server = place.server
    thunderbird.run("""
        const make = (id, type) => Cc["@mozilla.org/messengercompose/" + id + ";1"].createInstance(Ci[type]);
        const params = make("composeparams", "nsIMsgComposeParams"), fields = make("composefields", "nsIMsgCompFields"), file = make("attachment", "nsIMsgAttachment");
        Object.assign(fields, {to: ARG[0], subject: "Schöne Grüße", body: "Hallo Bob, äöü\\n"});
        Object.assign(file, {url: "data:application/octet-stream;base64,AAECAwQF", name: "Büro.bin"});
        fields.addAttachment(file);
        Object.assign(params, {composeFields: fields, format: Ci.nsIMsgCompFormat.PlainText});
        MailServices.compose.OpenComposeWindowWithParams(null, params);""", BOB)
    composer = 'Services.wm.getMostRecentWindow("msgcompose")'
    thunderbird.until(f"{composer}?.document.title.includes('Schöne') && {composer}.document.getElementById('cmd_sendNow')?.getAttribute('disabled') != 'true' && {composer}.gMsgCompose != null"
                      f" && !{composer}.gWindowLocked")
    thunderbird.run(f"{composer}.goDoCommand('cmd_sendNow')")
    wait_for(lambda: server.count(BOB) and server.count(ALICE, "Sent"), 30, "sent, and filed")
    [received], [filed] = server.messages(BOB), server.messages(ALICE, "Sent")
    parsed = email.message_from_bytes(received, policy=SMTP)
    [attachment] = parsed.iter_attachments()
    assert parsed["Subject"] == "Schöne Grüße" and (attachment.get_filename(), attachment.get_content()) == ("Büro.bin", bytes(range(6)))
    assert "Hallo Bob, äöü" in parsed.get_body().get_content() and received.split(b"\r\n\r\n", 1)[1] == filed.split(b"\r\n\r\n", 1)[1]
    thunderbird.until(f"{composer} == null", "its window has closed")


def test_thunderbird_hears(place, thunderbird):
    """While it idles: mail that comes, and what another program does."""
    server = place.server
    deliver(server, ALICE, letter("Fresh"))
    thunderbird.until("row('Fresh') >= 0", "what came is shown")
    with Box(server, ALICE) as box:
        box.do("Fresh", "STORE", "+FLAGS", r"(\Flagged)")
        thunderbird.until("message('INBOX', 'Fresh').isFlagged")
        box.do("Fresh", "MOVE", "Archive")
        thunderbird.until("row('Fresh') < 0", "it is gone")


def test_thunderbird_offline(place, thunderbird):
    """What it did without the network, and what another program did to the same messages meanwhile."""
    server = place.server
    run = thunderbird.run
    # By mod-sequences, which it doesn't use unless told to, it doesn't notice messages that are gone if as many are new.
    run("account.QueryInterface(Ci.nsIImapIncomingServer).useCondStore = false")
    deliver(server, ALICE, *[letter(f"Off {i}") for i in range(1, 9)])
    thunderbird.until("subjects('INBOX').filter(s => s.startsWith('Off')).length == 8 && subjects('INBOX').every(s => folder('INBOX').hasMsgOffline(message('INBOX', s).messageKey))")
    run("main.MailOfflineMgr.toggleOfflineStatus(); await until('offline', () => Services.io.offline)")
    run("""await act('Off 1', 'cmd_markAsFlagged'); await act('Off 2', 'cmd_delete'); await act('Off 3', 'cmd_markAsFlagged');
        MailServices.copy.copyMessages(folder('INBOX'), ['Off 4', 'Off 5'].map(s => message('INBOX', s)), folder('Archive'), true, null, main.msgWindow, true);
        await until('moved away', () => row('Off 4') < 0 && row('Off 2') < 0);""")
    with Box(server, ALICE) as box:
        box.do("Off 3", "STORE", "+FLAGS", r"(\Deleted)")
        box.do("Off 5", "STORE", "+FLAGS", r"(\Deleted)")
        box.client.expunge()
        box.do("Off 1", "STORE", "+FLAGS", r"(\Answered)")
        box.do("Off 6", "STORE", "+FLAGS", r"(\Answered)")
        box.do("Off 7", "MOVE", "Archive")
    deliver(server, ALICE, letter("Off 9"))
    run("main.MailOfflineMgr.toggleOfflineStatus(); await until('online', () => !Services.io.offline)")
    # With any server it does its marks at once, and what it moved when it looks into the mailbox again.
    thunderbird.until("folder('INBOX').msgDatabase.QueryInterface(Ci.nsIMsgOfflineOpsDatabase).listAllOfflineOpIds().length == 3", "its marks are done")
    run("folder('INBOX').getNewMessages(main.msgWindow, null)")
    wait_for(lambda: set(seen_by_others(server, "Archive")) == {"Fresh", "Off 4", "Off 7"} and "Off 2" in seen_by_others(server, "Trash"), 30, "what it did is done")
    left = {"Off 1", "Off 6", "Off 8", "Off 9"}
    thunderbird.until("row('Off 9') >= 0 && row('Off 3') < 0 && row('Off 7') < 0")
    flags = {s: f for s, f in seen_by_others(server).items() if s.startswith("Off")}
    assert set(flags) == set(run("return subjects('INBOX').filter(s => s.startsWith('Off'))")) == left
    assert "\\Flagged" in flags["Off 1"] and "\\Answered" in flags["Off 6"]
    thunderbird.until("message('INBOX', 'Off 6').flags & Ci.nsMsgMessageFlags.Replied", "it has the other's mark")


def test_thunderbird_was_understood(thunderbird):
    """The last one: it ends."""
    thunderbird.close()
    trace = thunderbird.trace()
    assert [line for way, line in trace if way == "S" and re.match(r"\d+ (NO|BAD) ", line)] == []
    for command in ("COMPRESS DEFLATE", "ENABLE UTF8=ACCEPT", "IDLE", "uid move", "return (special-use)", "(CHANGEDSINCE"):
        assert any(way == "C" and command in line for way, line in trace), command
