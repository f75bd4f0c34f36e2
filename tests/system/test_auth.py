"""Logging in without a password: tokens of an identity provider, clients' certificates; with curl, gsasl and openssl as clients."""
import base64
import json
import os
import signal
import subprocess
import time

import pytest

ALICE = "alice@example.test"
ISSUER = "https://id.example.test"


def openssl(*args, input=None):
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, check=True, input=input).stdout


def url64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Provider:
    """An identity provider: a key, its public half as a key set, tokens."""

    def __init__(self, folder):
        self.key = folder / "provider.key"
        openssl("genrsa", "-out", self.key, "2048")
        modulus = bytes.fromhex(openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().split("=")[1])
        self.keys = folder / "keys.json"
        self.keys.write_text(json.dumps({"keys": [{"kty": "RSA", "use": "sig", "kid": "1", "n": url64(modulus), "e": "AQAB"}]}))

    def token(self, **claims):
        claims = {"iss": ISSUER, "aud": "mail", "exp": int(time.time()) + 60, "email": ALICE, **claims}
        text = ".".join(url64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1", "typ": "JWT"}, claims))
        return text + "." + url64(openssl("dgst", "-sha256", "-sign", self.key, input=text.encode()))


class Authority:
    """Signs certificates for people."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.certificate = folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"{name}.key", "-out", self.certificate, "-days", "2",
                "-subj", f"/CN={name}")

    def issue(self, who, address):
        request, certificate = self.folder / f"{who}.csr", self.folder / f"{self.name}-{who}.pem"
        key = self.folder / f"{self.name}-{who}.key"
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={who}")
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName=email:{address}\nextendedKeyUsage=clientAuth\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.folder / f"{self.name}.key", "-CAcreateserial",
                "-out", certificate, "-days", "2", "-extfile", extensions)
        return ["--cert", certificate, "--key", key]


def curl(server, listener, *args):
    scheme = {"submissions": "smtps", "submission": "smtp"}.get(listener, listener)
    words = ["curl", "-sS", "--max-time", "20", "--cacert", server.certificate(), "--ssl-reqd",
             f"{scheme}://localhost:{server.ports[listener]}", *args]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


def succeeds(server, listener, *args):
    worked, text = curl(server, listener, *args)
    # Without a request curl asks IMAP for the mailboxes, POP3 for the messages, SMTP for help.
    return worked and ("INBOX" in text or listener not in ("imap", "imaps"))


@pytest.mark.sanitize
def test_tokens(make_server, folder):
    provider = Provider(folder)
    server = make_server(f"""
auth:
  token_issuers:
    - issuer: {ISSUER}
      audience: mail
      keys: {provider.keys}
""")
    for listener in ("imaps", "imap", "pop3s", "submissions", "submission"):
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            options = ["--user", f"{ALICE}:", "--login-options", f"AUTH={mechanism}", "--oauth2-bearer"]
            assert succeeds(server, listener, *options, provider.token()), (listener, mechanism)
            assert not succeeds(server, listener, *options, provider.token(email="bob@example.test"))
            assert not succeeds(server, listener, *options, provider.token(exp=int(time.time()) - 600))
        # A right password in between, so that wrong tokens don't add up to a lock-out.
        assert succeeds(server, listener, "--user", f"{ALICE}:{server.passwords[ALICE]}")
    # The provider has new keys: after a reload they are the only ones.
    old = provider.token()
    (folder / "new").mkdir()
    newer = Provider(folder / "new")
    provider.keys.write_text(newer.keys.read_text())
    os.kill(server.process.pid, signal.SIGHUP)
    options = ["--user", f"{ALICE}:", "--login-options", "AUTH=OAUTHBEARER", "--oauth2-bearer"]
    deadline = time.monotonic() + 20
    while not succeeds(server, "imaps", *options, newer.token()):
        assert time.monotonic() < deadline, server.log_text()[-2000:]
        time.sleep(0.2)
    assert not succeeds(server, "imaps", *options, old)


def test_without_issuers_nothing_is_offered(server):
    _, text = curl(server, "imaps", "--user", f"{ALICE}:{server.passwords[ALICE]}", "--request", "CAPABILITY", "-v")
    assert "AUTH=SCRAM-SHA-1" in text
    assert "OAUTHBEARER" not in text and "EXTERNAL" not in text


@pytest.mark.sanitize
def test_certificates(make_server, folder):
    authority, stranger = Authority(folder, "authority"), Authority(folder, "stranger")
    server = make_server(replace=[(r"^tls:$", f"tls:\n  client_authorities: {authority.certificate}")])
    alice, false_alice = authority.issue("alice", ALICE), stranger.issue("alice", ALICE)
    nobody = authority.issue("carol", "carol@example.test")
    for listener in ("imaps", "imap", "pop3s", "submissions"):
        options = ["--user", f"{ALICE}:", "--login-options", "AUTH=EXTERNAL"]
        assert succeeds(server, listener, *options, *alice), listener
        assert not succeeds(server, listener, *options, *false_alice)
        assert not succeeds(server, listener, *options, *nobody)
        assert not succeeds(server, listener, *options)
        assert not succeeds(server, listener, "--user", "bob@example.test:", "--login-options", "AUTH=EXTERNAL", *alice)
        # Whoever shows none, or one that means nothing here, may still log in with a password.
        assert succeeds(server, listener, "--user", f"{ALICE}:{server.passwords[ALICE]}", *false_alice)
    # Other mail servers aren't asked.
    asked = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"localhost:{server.ports['smtp']}"], input=b"QUIT\r\n",
                           capture_output=True, check=False, timeout=30).stdout
    assert b"No client certificate CA names sent" in asked and b"-----BEGIN CERTIFICATE-----" in asked
