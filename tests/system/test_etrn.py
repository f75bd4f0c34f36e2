"""ETRN (RFC 1985): a host that was away asks for what has waited for it."""


from harness import Sink, free_port, letter, tokens_in, wait_for

ALICE = "alice@example.test"


def test_etrn(make_server):
    port = free_port()
    server = make_server("smtp:\n  etrn: trusted\nrelay:\n  retry: 1h\n")
    server.cli("domain", "add", "customer.test", "--relay")
    server.cli("route", "add", "customer.test", f"127.0.0.1:{port}")
    server.cli("route", "add", ".customer.test", f"127.0.0.1:{port}")
    client = server.smtp("submission", ALICE)
    client.ehlo("client.test")
    assert client.has_extn("etrn")
    for to in ("x@customer.test", "y@sub.customer.test"):
        client.sendmail(ALICE, [to], letter(to, to, ALICE))
    wait_for(lambda: server.cli("queue", "list", "--json").stdout.count("refused") == 2, 20, "both letters being late", every=0.2)
    back = Sink(port=port)

    assert client.docmd("ETRN")[0] == 501
    assert client.docmd("ETRN", "not a domain")[0] == 501
    assert client.docmd("ETRN", "elsewhere.test")[0] == 459
    assert client.docmd("ETRN", "customer.test") == (250, b"2.0.0 OK, queuing for node customer.test started")
    wait_for(lambda: tokens_in(back.messages) == ["x@customer.test"], 20, "the domain's letter")
    assert client.docmd("ETRN", "@customer.test")[0] == 250
    wait_for(lambda: tokens_in(back.messages) == ["x@customer.test", "y@sub.customer.test"], 20, "the letter below it")
    assert client.docmd("MAIL", f"FROM:<{ALICE}>")[0] == 250
    assert client.docmd("ETRN", "customer.test")[0] == 503  # not inside a transaction
    client.quit()

    # Who hasn't authenticated isn't offered it.
    stranger = server.smtp()
    assert not stranger.has_extn("etrn")
    assert stranger.docmd("ETRN", "customer.test")[0] == 459
    back.close()


def test_never(server):
    client = server.smtp("submission", ALICE)
    assert not client.has_extn("etrn") and client.docmd("ETRN", "example.test")[0] == 500
