"""Reports on TLS to the domains that ask for them (RFC 8460): by mail and by HTTPS, once, and again after a failure."""
import email
import gzip
import http.server
import json
import re
import sqlite3
import ssl
import subprocess
import threading
import time

import pytest

from harness import Nsd, Sink, wait_for

DAY = int(time.time()) // 86400 - 1
ROW = ("INSERT INTO tls_count (day, domain, policy_type, result, receiving_host, receiving_ip, receiving_helo, sending_ip, reason, policy, sessions)"
       " VALUES (?, CAST(? AS BLOB), CAST('sts' AS BLOB), CAST(? AS BLOB), CAST('mx.rpt.test' AS BLOB), x'', x'', x'', x'',"
       " CAST('version: STSv1\nmode: enforce\nmx: mx.rpt.test\n' AS BLOB), ?)")


class Web:
    """https://report.rpt.test/in"""

    def __init__(self, folder):
        self.answers, self.posts = [], []
        self.cert = folder / "web.pem"
        key = folder / "web.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", "/CN=web",
                        "-addext", "subjectAltName=DNS:report.rpt.test", "-keyout", str(key), "-out", str(self.cert)], check=True, capture_output=True)
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                web.posts.append((self.headers["Host"].split(":")[0] + self.path, self.headers["Content-Type"], body))
                self.send_response(web.answers.pop(0) if web.answers else 201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def world(folder, make_server):
    sink, web = Sink(), Web(folder)
    zones = {"rpt.test": '@ MX 10 mx\nmx A 127.0.0.1\nreport A 127.0.0.1\n_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls%2Bin@rpt.test,https://report.rpt.test/in?x=1"',
             "two.test": '@ MX 10 mx\nmx A 127.0.0.1\n_smtp._tls TXT "v=TLSRPTv1; rua=mailto:a@two.test"\n_smtp._tls TXT "v=TLSRPTv1;rua=mailto:b@two.test"',
             "none.test": "@ MX 10 mx\nmx A 127.0.0.1"}
    nsd = Nsd(folder, zones).start()
    server = make_server(f"relay:\n  port: {sink.port}\n  sts_port: {web.port}\n  ca_file: {web.cert}\n  tls_reports_spread: 0s\n" + nsd.settings(zones),
                         start=False)
    server.start().stop()
    yield server, sink, web
    nsd.stop()
    sink.close()
    web.server.shutdown()


def change(server, sql, *values):
    with sqlite3.connect(server.dir / "data/store/posthorn.db") as db:
        return db.execute(sql, values).fetchall()


def test_reports(world):
    server, sink, web = world
    for domain in ("rpt.test", "two.test", "none.test"):
        change(server, ROW, DAY, domain, "", 3)
        change(server, ROW, DAY, domain, "certificate-expired", 2)
    change(server, ROW, DAY + 1, "rpt.test", "", 7)  # a day that isn't over
    web.answers = [503]
    server.start()
    wait_for(lambda: sink.messages and web.posts, what="both ways")
    wait_for(lambda: server.log_text().count("event=relay.tls_report_failed") == 1, what="the failure")
    message = email.message_from_bytes(sink.messages[0])
    host = message["TLS-Report-Submitter"]
    assert (message["TLS-Report-Domain"], message["TLS-Required"], message.get_content_type(), message.get_param("report-type")) == (
        "rpt.test", "No", "multipart/report", "tlsrpt")
    assert "tls+in@rpt.test" in sink.envelopes[0][1][0] and message["From"] == f"<postmaster@{host}>"
    assert re.match(r"Report Domain: rpt\.test\s+Submitter: " + re.escape(host) + r"\s+Report-ID: <.+>$", message["Subject"])
    part = message.get_payload()[1]
    assert part.get_content_type() == "application/tlsrpt+gzip"
    assert part.get_filename() == f"{host}!rpt.test!{DAY * 86400}!{DAY * 86400 + 86399}.json.gz"
    report = json.loads(gzip.decompress(part.get_payload(decode=True)))
    assert report["policies"][0]["summary"] == {"total-successful-session-count": 3, "total-failure-session-count": 2}
    assert report["contact-info"] == f"postmaster@{host}" and report["date-range"]["start-datetime"].endswith("T00:00:00Z")
    assert web.posts[0][:2] == ("report.rpt.test/in?x=1", "application/tlsrpt+gzip")
    assert json.loads(gzip.decompress(web.posts[0][2])) == report
    # Nobody else asked, or asked rightly.
    wait_for(lambda: change(server, "SELECT count(*) FROM tls_sent WHERE due_ms = 0") == [(2,)], what="the others dealt with")
    # The web server's turn comes again; the mail isn't sent twice, not even if all is forgotten over it.
    server.stop()
    change(server, "UPDATE tls_sent SET due_ms = 1 WHERE domain = CAST('rpt.test' AS BLOB)")
    assert change(server, "SELECT tries, done FROM tls_sent WHERE domain = CAST('rpt.test' AS BLOB)") == [(1, 1)]
    change(server, "UPDATE tls_sent SET done = 0, due_ms = 1 WHERE domain = CAST('rpt.test' AS BLOB)")
    server.start()
    wait_for(lambda: len(web.posts) == 2, what="the second try")
    wait_for(lambda: change(server, "SELECT due_ms, done FROM tls_sent WHERE domain = CAST('rpt.test' AS BLOB)") == [(0, 3)], what="its end")
    assert len(sink.messages) == 1
    # What the report's own sending said of TLS is not in the next one.
    server.stop()
    assert change(server, "SELECT sum(sessions) FROM tls_count WHERE day = ? AND domain = CAST('rpt.test' AS BLOB)", DAY + 1) == [(7,)]


def test_switched_off(world):
    server, sink, web = world
    server.config.write_text(server.config.read_text().replace("tls_reports_spread", "tls_reports: false\n  tls_reports_spread"))
    change(server, ROW, DAY, "rpt.test", "", 3)
    server.start()
    server.smtp().quit()
    server.stop()
    assert change(server, "SELECT count(*) FROM tls_sent") == [(0,)] and not sink.messages and not web.posts
