"""Many letters of one sender, in a queue before a slow host, keep nobody else's waiting: shown by what arrived before what."""
import sqlite3
import threading
import time

from harness import Nsd, Sink, letter, tokens_in, wait_for

ALICE, BOB = "alice@example.test", "bob@example.test"
MAILING = 3000


def slow(seconds):
    """A reply that takes its time."""
    done = threading.Event()

    def answer(_):
        done.wait(seconds)
        return None
    return answer


def waiting(server):
    return int(sqlite3.connect(server.dir / "data/store/posthorn.db").execute("SELECT count(*) FROM queue_recipient").fetchone()[0])


def mailing(server, recipients, token="bulk", sender=ALICE):
    """One recipient a message, as mailing programs do it; several connections, to be quick."""
    def run(part):
        client = server.smtp("submission", sender)
        for i, recipient in part:
            client.sendmail(sender, [recipient], letter(f"{token}{i}", recipient, sender))
        client.quit()
    parts = [list(enumerate(recipients))[i::4] for i in range(4)]
    threads = [threading.Thread(target=run, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def place(sink, token):
    return wait_for(lambda: (t := tokens_in(sink.messages)) and token in t and t.index(token) + 1, 30, token)


def test_letter_overtakes_mailing(make_server, folder):
    """3,000 letters to one slow host: a letter of another sender to it, and one of the same sender elsewhere, overtake them."""
    bulk, other = Sink(replies={"final": slow(0.05)}), Sink(host="127.0.0.2", port=0)
    zones = ["slow.test", "quick.test"]
    nsd = Nsd(folder, {"slow.test": f"@ MX 10 mx\nmx A 127.0.0.1", "quick.test": "@ MX 10 mx\nmx A 127.0.0.2"}).start()
    quick = Sink(host="127.0.0.2", port=bulk.port)
    other.close()
    try:
        server = make_server(f"relay:\n  port: {bulk.port}\n  concurrency_per_hop: 2\n" + nsd.settings(zones))
        mailing(server, [f"r{i}@slow.test" for i in range(MAILING)])
        before = len(bulk.messages)
        assert before < MAILING // 2, "the mailing is too quick for this test"
        for sender, to, token in ((BOB, "x@slow.test", "same-host"), (BOB, "x@quick.test", "other-host"), (ALICE, "y@quick.test", "same-sender")):
            client = server.smtp("submission", sender)
            client.sendmail(sender, [to], letter(token, to, sender))
            client.quit()
        after = place(bulk, "same-host")
        assert after < before + 60, (before, after)
        wait_for(lambda: set(tokens_in(quick.messages)) == {"other-host", "same-sender"}, 30, "letters to the other host")
        assert len(bulk.messages) < MAILING - 500 and waiting(server) > 500
    finally:
        nsd.stop()
        bulk.close()
        quick.close()


def test_mailing_to_many_domains(make_server, folder):
    """3,000 letters to 300 domains whose host is slow: they fill neither the memory nor the connections."""
    bulk = Sink(replies={"final": slow(0.5)})
    quick = Sink(host="127.0.0.2", port=bulk.port)
    nsd = Nsd(folder, {"many.test": "* MX 10 mx\nmx A 127.0.0.1", "quick.test": "@ MX 10 mx\nmx A 127.0.0.2"}).start()
    try:
        server = make_server(f"relay:\n  port: {bulk.port}\n" + nsd.settings(["many.test", "quick.test"]))
        mailing(server, [f"r{i}@d{i % 300}.many.test" for i in range(MAILING)])
        before = len(bulk.messages)
        for sender, to, token in ((BOB, "x@d7.many.test", "same-host"), (BOB, "x@quick.test", "other-host")):
            client = server.smtp("submission", sender)
            client.sendmail(sender, [to], letter(token, to, sender))
            client.quit()
        after = place(bulk, "same-host")
        assert after < before + 200, (before, after)
        assert place(quick, "other-host") == 1
        assert len(bulk.messages) < MAILING - 500, "the mailing is too quick for this test"
    finally:
        nsd.stop()
        bulk.close()
        quick.close()


def test_dead_host_is_put_off_together(make_server, folder):
    """1,000 letters to a host that refuses, 20 to one that lives: few attempts, a reason with each letter, and all arrive when it comes back."""
    alive = Sink(host="127.0.0.2")
    nsd = Nsd(folder, {"dead.test": "@ MX 10 mx\nmx A 127.0.0.1", "alive.test": "@ MX 10 mx\nmx A 127.0.0.2"}).start()
    try:
        server = make_server(f"relay:\n  port: {alive.port}\n  retry: 1h\n" + nsd.settings(["dead.test", "alive.test"]))
        mailing(server, [f"r{i}@dead.test" for i in range(1000)])
        mailing(server, [f"r{i}@alive.test" for i in range(20)], "live")
        wait_for(lambda: len(alive.messages) == 20, 30, "letters to the living host")

        def reasons():
            with sqlite3.connect(server.dir / "data/store/posthorn.db") as db:
                return db.execute("SELECT count(*), max(attempts) FROM queue_recipient WHERE instr(CAST(last_reply AS TEXT), 'refused')"
                                  " AND node = x''").fetchone()
        wait_for(lambda: reasons()[0] == 1000, 30, "a reason with each letter", every=0.2)
        assert reasons()[1] <= 1
        attempts = server.log_text().count("event=relay.host_failed")
        assert 1 <= attempts <= 10, attempts
        back = Sink(port=alive.port)
        server.cli("queue", "retry", "--all")
        wait_for(lambda: len(back.messages) == 1000, 60, "all letters, after the host came back")
        assert len(set(tokens_in(back.messages))) == 1000
        back.close()
    finally:
        nsd.stop()
        alive.close()


def test_limits_of_a_destination(make_server, folder):
    """One connection and an interval to one destination; the others go their way."""
    arrivals, under_way, most = [], [], []

    # From MAIL to the last answer: our QUIT isn't waited for, so that a session may be open still at the sink when the next begins.
    def begun(_):
        under_way.append(1)
        most.append(len(under_way))

    def taken(_):
        arrivals.append(time.monotonic())
        under_way.pop()
    limited = Sink(replies={"mail": begun, "final": taken})
    free = Sink(host="127.0.0.2", port=limited.port)
    nsd = Nsd(folder, {"limited.test": "@ MX 10 mx\nmx A 127.0.0.1", "free.test": "@ MX 10 mx\nmx A 127.0.0.2"}).start()
    try:
        server = make_server(f"relay:\n  port: {limited.port}\n  destinations:\n    - domain: limited.test\n      connections: 1\n"
                             "      messages_per_minute: 120\n" + nsd.settings(["limited.test", "free.test"]))
        mailing(server, [f"r{i}@limited.test" for i in range(10)])
        mailing(server, [f"r{i}@free.test" for i in range(200)], "free")
        wait_for(lambda: len(free.messages) == 200, 30, "letters to the other destination")
        wait_for(lambda: len(limited.messages) == 10, 30, "letters to the limited destination")
        assert arrivals[-1] - arrivals[0] > 3, "there was no interval"  # 9 of half a second; haste is what would be wrong
        assert max(most) == 1
    finally:
        nsd.stop()
        limited.close()
        free.close()


def test_source_of_a_destination(make_server, folder):
    """Each destination sees the address and the name that are set for it; the others see those for all."""
    class Watching(Sink):
        def _serve(self, peer):
            self.sources.append(peer.getpeername()[0])
            super()._serve(peer)
    hosts = {"own.test": "127.0.0.1", "below.test": "127.0.0.2", "free.test": "127.0.0.3"}
    sinks, hellos = {}, {}
    for domain, host in hosts.items():
        hellos[domain] = []
        sinks[domain] = Watching(host=host, port=sinks["own.test"].port if sinks else 0, replies={"ehlo": hellos[domain].append})
        sinks[domain].sources = []
    zones = {d: f"@ MX 10 mx\n* MX 10 mx\nmx A {host}" for d, host in hosts.items()}
    nsd = Nsd(folder, zones).start()
    try:
        server = make_server(f"relay:\n  port: {sinks['own.test'].port}\n  source_address: 127.0.0.30\n  hello_name: all.example.test\n  destinations:\n"
                             "    - {domain: own.test, source_address: 127.0.0.31, hello_name: own.example.test}\n"
                             "    - {domain: .below.test, source_address: 127.0.0.32}\n" + nsd.settings(list(hosts)))
        for to in ("x@own.test", "x@deep.below.test", "x@free.test"):
            mailing(server, [to], to.partition("@")[2])
        for sink in sinks.values():
            wait_for(lambda: len(sink.messages) == 1, 30, "the letter")
        assert [s.sources for s in sinks.values()] == [["127.0.0.31"], ["127.0.0.32"], ["127.0.0.30"]]
        assert list(hellos.values()) == [["EHLO own.example.test"], ["EHLO all.example.test"], ["EHLO all.example.test"]]
    finally:
        nsd.stop()
        for sink in sinks.values():
            sink.close()
