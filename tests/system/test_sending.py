"""Sending to hosts that demand security: DANE in a zone that the test signs, MTA-STS from a web server of the test, a real Postfix at
the other end. What was demanded, and how it ended, is told by `posthorn trace` and `posthorn tls-report`."""
import contextlib
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import threading
import time

import pytest

from harness import ROOT, Certificates, Postfix, free_port, letter, port_is_open, tokens_in, wait_for

ALICE = "alice@example.test"
# Which Postfix listener (127.0.0.N) each domain's mail host is: 1 with a certificate for the names below, 2 without TLS.
TLS, PLAIN = 1, 2
OURS = 3  # where Posthorn itself listens
BY_MX = ["unsigned.test", "six.test", "gone.test", "implicit.test", "sub.other.test", "backup.test", "last.test"]
NAMES = ["mx.dane.test", "mx.ta.test", "mx.sts.test"]
SIGNED = {  # domain -> (listener, TLSA records)
    "dane.test": (TLS, "3 1 1 {key}"), "ta.test": (TLS, "2 0 1 {ca}"), "unusable.test": (TLS, "1 1 1 {key}"),
    "full.test": (TLS, "3 0 2 {cert512}\n{at} TLSA 3 1 1 " + "0" * 64), "mismatch.test": (TLS, "3 1 1 " + "0" * 64),
    "whole.test": (TLS, "3 1 0 {whole}"), "taname.test": (TLS, "2 0 1 {ca}"), "strip.test": (PLAIN, "3 1 1 {key}"), "bogus.test": (TLS, ""), "none.test": (TLS, ""),
}
POLICIES = {  # domain -> (listener, policy)
    "sts.test": (TLS, ("enforce", "mx.sts.test")), "ststesting.test": (TLS, ("testing", "mx.ststesting.test")),
    "stsname.test": (TLS, ("enforce", "*.stsname.test")), "stsother.test": (TLS, ("enforce", "mail.stsother.test")),
    "stscert.test": (TLS, ("enforce", "mx.stscert.test")), "stshtml.test": (TLS, ("enforce", "mx.stshtml.test")),
    "stslong.test": (TLS, ("enforce", "mx.stslong.test")), "stsmoved.test": (TLS, ("enforce", "mx.stsmoved.test")),
    "stsjunk.test": (TLS, ("perhaps", "mx.stsjunk.test")), "stsplain.test": (PLAIN, ("enforce", "mx.stsplain.test")), "stsmissing.test": (TLS, None),
}


class Zones:
    """nsd with signed and unsigned zones, and one whose signatures have expired: the TLSA records of mx.bogus.test."""

    HEAD = "$ORIGIN {zone}.\n$TTL 1\n@ SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 1\n@ NS ns.{zone}.\nns A 127.0.0.1\n"

    def __init__(self, folder, port, records):
        self.dir = pathlib.Path(folder) / "dns"
        self.dir.mkdir()
        self.port = free_port()
        self.arguments = []
        for zone, (listener, tlsa) in SIGNED.items():
            at = f"_{port}._tcp.mx"
            text = f"@ MX 10 mx\nmx A 127.0.0.{listener}\n"
            if tlsa:
                text += f"{at} TLSA " + tlsa.format(at=at, **records) + "\n"
            if zone == "bogus.test":
                text += "_tcp.mx NS ns\n"
            self.add(zone, text, "signed")
        self.add("alias.test", "@ MX 10 mx\nmx CNAME mx.dane.test.\n", "signed")
        self.add("_tcp.mx.bogus.test", f"_{port} TLSA 3 1 1 {records['key']}\n", "expired")
        for zone, (listener, policy) in POLICIES.items():
            self.add(zone, f"@ MX 10 mx\nmx A 127.0.0.{listener}\n_mta-sts TXT \"v=STSv1; id=1;\"\nmta-sts A 127.0.0.1\n")
        self.add("plain.test", f"@ MX 10 mx\nmx A 127.0.0.{PLAIN}\n")
        self.add("null.test", "@ MX 0 .\n")
        self.add("unsigned.test", f"@ MX 10 mx\nmx A 127.0.0.{TLS}\n_{port}._tcp.mx TLSA 3 1 1 " + "0" * 64 + "\n")
        self.add("six.test", "@ MX 10 mx\nmx AAAA ::1\n")
        self.add("gone.test", f"@ MX 10 nowhere\n@ MX 20 mx\nmx A 127.0.0.{PLAIN}\n")
        self.add("nohost.test", "@ MX 10 nowhere\n")
        self.add("circle.test", "@ MX 10 a\na CNAME b\nb CNAME a\n")
        self.add("implicit.test", f"@ A 127.0.0.{PLAIN}\n")
        self.add("other.test", f"elsewhere MX 10 mx\nmx A 127.0.0.{PLAIN}\nsub CNAME elsewhere\n")
        self.add("self.test", f"@ MX 10 mx\nmx A 127.0.0.{OURS}\n")
        self.add("backup.test", f"@ MX 10 mx\n@ MX 20 us\nmx A 127.0.0.{PLAIN}\nus A 127.0.0.{OURS}\n")
        self.add("last.test", f"@ MX 10 us\n@ MX 20 mx\nmx A 127.0.0.{PLAIN}\nus A 127.0.0.{OURS}\n")
        self.process = None

    def add(self, zone, text, kind=None):
        (self.dir / f"{zone}.zone").write_text(self.HEAD.format(zone=zone) + text)
        self.arguments.append(f"{zone}={kind}" if kind else zone)

    def start(self):
        self.process = subprocess.Popen(["sh", str(ROOT / "tests/tools/dns-server.sh"), str(self.dir), str(self.port), *self.arguments],
                                        stdout=open(self.dir / "log", "wb"), stderr=subprocess.STDOUT, start_new_session=True)
        wait_for(lambda: port_is_open(self.port), 20, "nsd listening")
        self.anchors = self.dir / "anchors"
        self.anchors.write_text("".join(p.read_text() for p in sorted(self.dir.glob("*.anchor"))))
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class PolicyServer:
    """https://mta-sts.DOMAIN/.well-known/mta-sts.txt"""

    def __init__(self, cert, key):
        policies = self.policies = {f"mta-sts.{d}": p for d, (_, p) in POLICIES.items() if p}
        self.asked = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host = self.headers["Host"].split(":")[0]
                asked.append(host)
                if self.path != "/.well-known/mta-sts.txt" or host not in policies:
                    self.send_error(404)
                    return
                mode, mx = policies[host]
                body = f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n".encode()
                if host == "mta-sts.stslong.test":
                    body += b"future: extension\r\n" * 4000
                if host == "mta-sts.stsmoved.test":
                    self.send_response(301)
                    self.send_header("Location", f"https://mta-sts.sts.test:{self.server.server_address[1]}{self.path}")
                else:
                    self.send_response(200)
                self.send_header("Content-Type", "text/html" if host == "mta-sts.stshtml.test" else "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class World:
    def __init__(self, server, postfix, web, certificates):
        self.server, self.postfix, self.web, self.certificates = server, postfix, web, certificates

    def send(self, domain, extra="", token=None):
        """Returns the Message-ID."""
        token = token or f"{domain}.{time.monotonic_ns()}"
        client = self.server.smtp("submission", ALICE)
        client.sendmail(ALICE, [f"carol@{domain}"], letter(token, f"carol@{domain}", ALICE, extra=extra))
        client.quit()
        return f"<{token}@remote.test>"

    def outcome(self, message_id):
        """What the trace tells: (event, detail)."""
        def ended():
            done = self.server.cli("trace", message_id, "--json", check=False)
            steps = json.loads(done.stdout) if done.returncode == 0 else []
            return [s for s in steps if s["event"] in ("sent", "deferred", "bounced")]
        step = wait_for(ended, 30, f"the end of {message_id}", every=0.1)[0]
        return step["event"], step["detail"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    from harness import Server
    folder = tmp_path_factory.mktemp("sending")
    for path in [folder, folder.parent, folder.parent.parent]:
        path.chmod(0o755)
    certificates = Certificates(folder)
    cert, key = certificates.make("mx", NAMES)
    web = PolicyServer(*certificates.make("web", [f"mta-sts.{d}" for d in POLICIES if d != "stscert.test"]))
    domains = [*SIGNED, *POLICIES, "alias.test", "plain.test", *BY_MX]
    postfix = Postfix(folder, domains=domains, tls=(cert, key), more={"inet_protocols": "all"})
    master = postfix.dir / "etc/master.cf"
    master.write_text(master.read_text() + f"127.0.0.{PLAIN}:{postfix.port} inet n - n - - smtpd\n  -o smtpd_tls_security_level=none\n"
                      f"[::1]:{postfix.port} inet n - n - - smtpd\n")
    postfix.start()
    zones = Zones(folder, postfix.port, certificates.records(cert)).start()
    server = Server(folder, f"relay:\n  port: {postfix.port}\n  sts_port: {web.port}\n  ca_file: {certificates.ca}\n  retry: 1h\n"
                    f"dns:\n  forwarders:\n    - 127.0.0.1@{zones.port}\n  trust_anchor_file: {zones.anchors}\n",
                    replace=[(r"^listeners:$", f'listeners:\n  - {{address: "127.0.0.{OURS}:{postfix.port}", protocol: smtp}}')])
    server.start()
    try:
        yield World(server, postfix, web, certificates)
    finally:
        server.stop()
        zones.stop()
        postfix.stop()
        web.stop()


@pytest.mark.parametrize("domain, event, what", [
    ("dane.test", "sent", "verified by DANE"),                     # 3 1 1
    ("ta.test", "sent", "verified by DANE"),                       # 2 0 1: a trust anchor, and a name
    ("full.test", "sent", "verified by DANE"),                     # one of two records fits: 3 0 2
    ("whole.test", "sent", "verified by DANE"),                    # 3 1 0: the key itself
    ("alias.test", "sent", "verified by DANE"),                    # the records stand at the end of a CNAME
    ("unusable.test", "sent", "demanded by unusable TLSA records"),  # PKIX-EE: TLS without a check
    ("none.test", "sent", "not verified"),                         # a signed zone without TLSA: opportunistic
    ("mismatch.test", "deferred", "DANE: TLS handshake"),
    ("taname.test", "deferred", "DANE: TLS handshake"),            # the anchor fits, the name doesn't
    ("strip.test", "deferred", "DANE: TLS is required"),           # STARTTLS is not offered
    ("bogus.test", "deferred", "DANE: the TLSA records of mx.bogus.test"),
])
def test_dane(world, domain, event, what):
    got, detail = world.outcome(world.send(domain))
    assert (got, what in detail) == (event, True), detail


@pytest.mark.parametrize("domain, event, what", [
    ("sts.test", "sent", "verified by MTA-STS"),
    ("ststesting.test", "sent", "would fail: "),                    # the certificate names another host
    ("stsname.test", "deferred", "MTA-STS: TLS handshake"),        # enforced: the same
    ("stsother.test", "deferred", "MTA-STS: the policy of stsother.test doesn't name its mail host mx.stsother.test"),
    ("stsplain.test", "deferred", "MTA-STS: TLS is required"),
    ("stsmissing.test", "sent", "not verified"),                   # announced, but the web server has none
    ("plain.test", "sent", ""),
])
def test_mta_sts(world, domain, event, what):
    got, detail = world.outcome(world.send(domain))
    assert (got, what in detail) == (event, True), detail


@pytest.mark.parametrize("domain, result", [
    ("stsmissing.test", "sts-policy-fetch-error"),  # 404
    ("stsmoved.test", "sts-policy-fetch-error"),    # a redirect, even to a good policy
    ("stshtml.test", "sts-policy-fetch-error"),     # not text/plain
    ("stslong.test", "sts-policy-fetch-error"),     # over 64 KB
    ("stscert.test", "sts-webpki-invalid"),         # the web server's certificate names others
    ("stsjunk.test", "sts-policy-invalid"),
])
def test_policy_that_cannot_be_had(world, domain, result):
    """RFC 8461 section 5.1: without a policy mail goes as if there were none; the report tells."""
    event, detail = world.outcome(world.send(domain))
    assert event == "sent" and "not verified" in detail

    def told():
        done = world.server.cli("tls-report", domain, check=False)
        return done.returncode == 0 and result in done.stdout
    wait_for(told, 20, f"{result} in the report", every=0.2)


def test_policy_is_kept(world):
    """RFC 8461: fetched once; it holds when the web server is gone, and after a restart of the relay."""
    assert world.outcome(world.send("sts.test"))[0] == "sent"
    before = world.web.asked.count("mta-sts.sts.test")
    policy = world.web.policies.pop("mta-sts.sts.test")
    world.server.stop()
    world.server.start()
    event, detail = world.outcome(world.send("sts.test"))
    assert event == "sent" and "verified by MTA-STS" in detail
    assert world.web.asked.count("mta-sts.sts.test") == before == 1
    world.web.policies["mta-sts.sts.test"] = policy


@pytest.mark.parametrize("domain, level, event, what", [
    ("plain.test", "encrypted", "deferred", "TLS is required"),
    ("plain.test", "required", "deferred", "TLS is required"),
    ("plain.test", "opportunistic", "sent", ""),
    ("none.test", "required", "deferred", "TLS handshake"),   # the certificate names other hosts
    ("none.test", "dane", "deferred", "DANE is demanded"),
    ("none.test", "encrypted", "sent", "not verified"),       # TLS, but by nobody's certificate
    ("dane.test", "dane", "sent", "verified by DANE"),
    ("dane.test", "encrypted", "sent", "verified by DANE"),   # more is more
    ("mismatch.test", "none", "sent", ""),                    # the administrator knows better than the records
])
def test_tls_policy(world, domain, level, event, what):
    world.server.cli("tls-policy", "add", domain, level)
    # What another policy has kept here; and the host isn't held to be dead any more.
    world.server.cli("queue", "retry", "--domain", domain, check=False)
    try:
        assert re.search(rf"{domain}\s+{level}", world.server.cli("tls-policy", "list").stdout)
        got, detail = world.outcome(world.send(domain))
        assert (got, what in detail) == (event, True), detail
    finally:
        world.server.cli("tls-policy", "remove", domain)


def test_requiretls(world):
    """RFC 8689: Postfix doesn't offer it, so the message comes back, without its body. A field may ask for less than the host demands."""
    client = world.server.smtp("submissions", ALICE)
    assert client.has_extn("requiretls")
    client.sendmail(ALICE, ["carol@dane.test"], letter("requiretls", "carol@dane.test", ALICE, body="private words\r\n"),
                    mail_options=["REQUIRETLS", "RET=FULL"])
    event, detail = world.outcome("<requiretls@remote.test>")
    assert event == "bounced" and "REQUIRETLS: mx.dane.test [127.0.0.1] doesn't offer it" in detail
    bounce = wait_for(lambda: [m for m in world.server.messages(ALICE) if b"5.7.30" in m], 20, "the bounce")[0]
    assert b"Letter requiretls" in bounce and b"private words" not in bounce

    event, detail = world.outcome(world.send("mismatch.test", extra="TLS-Required: No\r\n"))
    assert event == "sent" and "not verified" in detail

    plain = world.server.smtp()
    assert plain.has_extn("starttls") and not plain.has_extn("requiretls")
    assert plain.docmd("MAIL FROM:<a@remote.test> REQUIRETLS")[0] == 555


def test_requiretls_is_passed_on(make_server):
    """From one Posthorn to another, which offers it."""
    second = make_server(replace=[(r"^hostname: .*$", "hostname: second.test")], subfolder="second")
    second.cli("domain", "add", "other.test")
    second.cli("account", "add", "carol@other.test", "--password-stdin", input="secret\n")
    first = make_server(f"relay:\n  smarthost: 127.0.0.1:{second.ports['smtp']}\n  ca_file: {second.certificate()}\n")
    client = first.smtp("submissions", ALICE)
    client.sendmail(ALICE, ["carol@other.test"], letter("passed-on", "carol@other.test", ALICE), mail_options=["REQUIRETLS"])
    wait_for(lambda: second.count("carol@other.test") == 1, 20, "the letter at the second server")
    assert "certificate verified, REQUIRETLS" in first.cli("trace", "<passed-on@remote.test>").stdout


def test_tls_report(world):
    """What RFC 8460 wants to be told, of a domain whose certificate doesn't fit and of one where all is well."""
    for domain in ("mismatch.test", "stsname.test", "sts.test"):
        world.outcome(world.send(domain))

    def report(domain):
        done = world.server.cli("tls-report", domain, check=False)
        return json.loads(done.stdout.splitlines()[0]) if done.returncode == 0 else None

    def counted(domain, kind):
        found = wait_for(lambda: report(domain), 20, f"a report about {domain}", every=0.2)
        assert found["organization-name"] and found["contact-info"] and domain in found["report-id"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", found["date-range"]["start-datetime"])
        policy, = [p for p in found["policies"] if p["policy"]["policy-type"] == kind]
        assert policy["policy"]["policy-domain"] == domain
        return policy

    policy = counted("mismatch.test", "tlsa")
    assert policy["policy"]["policy-string"] == ["3 1 1 " + "0" * 64] and policy["policy"]["mx-host"] == ["mx.mismatch.test"]
    assert policy["summary"]["total-failure-session-count"] == sum(d["failed-session-count"] for d in policy["failure-details"]) > 0
    failure = policy["failure-details"][0]
    assert failure["result-type"] == "validation-failure" and failure["receiving-mx-hostname"] == "mx.mismatch.test"
    assert failure["receiving-ip"] == failure["sending-mta-ip"] == "127.0.0.1" and failure["receiving-mx-helo"] == "mx.postfix.test"
    policy = counted("stsname.test", "sts")
    assert policy["policy"]["mx-host"] == ["*.stsname.test"] and "mode: enforce" in policy["policy"]["policy-string"]
    assert policy["failure-details"][0]["result-type"] == "certificate-host-mismatch"
    policy = counted("sts.test", "sts")
    assert policy["summary"]["total-successful-session-count"] > 0 and policy["failure-details"] == []
    today = world.server.cli("tls-report", time.strftime("%Y-%m-%d", time.gmtime())).stdout.splitlines()
    assert len(today) >= 3 and all(json.loads(line)["policies"] for line in today)
    assert world.server.cli("tls-report", "nowhere.test", check=False).returncode == 1
    assert world.server.cli("tls-report", "a.test", "b.test", check=False).returncode == 2


def test_null_mx(world):
    event, detail = world.outcome(world.send("null.test"))
    assert event == "bounced" and "does not accept mail" in detail
    wait_for(lambda: any(b"5.1.10" in m for m in world.server.messages(ALICE)), 20, "the bounce")


@pytest.mark.parametrize("domain, event, what", [
    ("unsigned.test", "sent", "not verified"),            # TLSA records that nobody vouches for are none (RFC 7672 section 2.1.1)
    ("six.test", "sent", "[::1]"),                         # IPv6 alone
    ("gone.test", "sent", "mx.gone.test"),                 # the best host has no address
    ("implicit.test", "sent", "implicit.test [127.0.0.2]"),  # no MX: the domain is the host (RFC 5321 section 5.1)
    ("sub.other.test", "sent", "mx.other.test"),           # the domain is an alias of another
    ("backup.test", "sent", "mx.backup.test"),             # we are its backup: hosts before us only
    ("last.test", "bounced", "loops back"),                          # we are the best, and don't know it: not to those behind us
    ("self.test", "bounced", "loops back"),
    ("nohost.test", "bounced", "none of the mail hosts"),
    ("circle.test", "deferred", "could not be looked up"),
    ("nowhere.null.test", "bounced", "does not exist"),                  # no such domain
])
def test_mail_exchangers(world, domain, event, what):
    got, detail = world.outcome(world.send(domain))
    assert (got, what in detail) == (event, True), detail
