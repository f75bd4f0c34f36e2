"""Evolution, steered by the keyboard: what its own database says, and what the server has then."""
import contextlib
import email
import re
from email.policy import SMTP

import pytest

from desktop import ALICE, BINARY, BOB, Box, Place, deliver, letter, seen_by_others
from evolution import Evolution
from harness import wait_for


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("evolution"))
    try:
        yield place.start()
    finally:
        place.stop()


@pytest.fixture(scope="module")
def evolution(place):
    deliver(place.server, ALICE, letter("Grüße aus Köln – ✓", "Zeile mit Umlauten: äöüß €, und 日本語\n", attachment=("Übersicht.bin", BINARY)),
            letter("Turnips", "about swedes\n"), letter("To go"), letter("To shun"))
    program = Evolution(place, ALICE)
    try:
        program.main = program.window("^Mail$")
        program.xdotool("windowsize", "--sync", program.main, 1200, 880)
        wait_for(lambda: len(program.summary()) == 4, 60, "the messages are there")
        program.open_inbox(program.main)
        yield program
    finally:
        program.close()


def until(condition, what, seconds=30):
    """It brings its changes to the server some seconds later; asking all the time would only keep both from their work."""
    return wait_for(condition, seconds, what, every=0.3)


def test_reads_and_files(place, evolution):
    """By the order in which they came: the first is left alone, the second is read, the third goes, the fourth is shunned."""
    evolution.rest()
    evolution.click(evolution.main, 640, 500)  # below the messages: the list has the keyboard
    evolution.keys("Home", "Down")
    until(lambda: "\\Seen" in seen_by_others(place.server)["Turnips"], "what was shown is \\Seen")
    evolution.rest()
    evolution.keys("Down", "Delete", "ctrl+j")
    until(lambda: set(seen_by_others(place.server)) == {"Grüße aus Köln – ✓", "Turnips"}, "two are gone")
    assert set(seen_by_others(place.server, "Trash")) == {"To go"} and set(seen_by_others(place.server, "Junk")) == {"To shun"}


def test_searches(place, evolution):
    """What it hasn't got it lets the server look for."""
    evolution.rest()
    evolution.click(evolution.main, 750, 133)
    evolution.type("Umlauten")
    evolution.keys("Return")
    until(lambda: any("UID SEARCH BODY umlauten" in line for line in evolution.trace()), "a search")
    evolution.rest()
    evolution.click(evolution.main, 640, 500)
    evolution.keys("Home", "2")
    until(lambda: any("$Labelwork" in f for f in seen_by_others(place.server).values()), "a label")
    assert [s for s, f in seen_by_others(place.server).items() if "$Labelwork" in f] == ["Grüße aus Köln – ✓"], "it was the only one in the list"
    evolution.click(evolution.main, 750, 133)
    evolution.keys("ctrl+a", "BackSpace", "Return")


def test_sends(place, evolution):
    path = place.folder / "Büro.bin"
    path.write_bytes(BINARY)
    evolution.compose(BOB, subject="Schöne Grüße", body="Hallo Bob, äöü", attach=str(path))
    evolution.window("Schöne Grüße")

    def sent():
        evolution.keys("ctrl+Return")
        with contextlib.suppress(TimeoutError):
            return wait_for(lambda: place.server.count(BOB), 3, every=0.3)
    until(sent, "it is sent")
    until(lambda: place.server.count(ALICE, "Sent") == 1, "it is filed")
    for message in place.server.messages(BOB) + place.server.messages(ALICE, "Sent"):
        parsed = email.message_from_bytes(message, policy=SMTP)
        [attachment] = parsed.iter_attachments()
        assert parsed["Subject"] == "Schöne Grüße" and "Hallo Bob, äöü" in parsed.get_body().get_content()
        assert (attachment.get_filename(), attachment.get_content()) == ("Büro.bin", BINARY)


def test_hears(place, evolution):
    """It asks for NOTIFY: mail that comes, what another program does, and mailboxes that come and go, are told while it idles."""
    deliver(place.server, ALICE, letter("Fresh"), letter("Frail"))
    until(lambda: {"Fresh", "Frail"} <= set(evolution.summary()), "what came is there")
    with Box(place.server, ALICE) as box:
        box.do("Fresh", "STORE", "+FLAGS", r"(\Flagged)")
        until(lambda: evolution.summary()["Fresh"][1], "the other's mark is there")
        box.do("Frail", "STORE", "+FLAGS", r"(\Deleted)")
        box.client.expunge()
        until(lambda: "Frail" not in evolution.summary(), "it is gone")
        box.client.create("Neu")
        until(lambda: any('"/" "Neu"' in line for line in evolution.trace()), "it is told of the mailbox")


def test_was_understood(evolution):
    """The last one: it ends."""
    evolution.close()
    trace = evolution.trace()
    assert [line for line in trace if re.search(r"^[A-Z]\d+ (NO|BAD) ", line, re.M)] == []
    for command in ("NOTIFY SET (selected (MessageNew (", "ENABLE CONDSTORE QRESYNC", "ENABLE UTF8=ACCEPT", "(QRESYNC (", "UID MOVE", "IDLE"):
        assert any(command in line for line in trace), command
    assert any(re.search(r"^\* \d+ FETCH \(UID \d+ FLAGS \(\\Recent\) .*RFC822.HEADER", line, re.M) for line in trace), "new mail came by NOTIFY"
