"""The command line as a stranger uses it: what is printed can be pasted, JSON is JSON, errors say what to do, files are hidden."""
import json
import os
import pathlib
import re
import stat
import subprocess

import pytest

from harness import BUILD, IS_ROOT, POSTHORN, ROOT, SANITIZER_ENV, children, free_offset, wait_for


def run(*args, input="", **more):
    env = {k: v for k, v in os.environ.items() if k != "POSTHORN_CONFIG"} | SANITIZER_ENV
    return subprocess.run([str(POSTHORN), *args], capture_output=True, text=True, input=input, timeout=60, env=env, **more)


WRONG = [
    ([], 2, r"usage: posthorn COMMAND"),
    (["frobnicate"], 2, r'there is no command "frobnicate"; see: posthorn help'),
    (["account"], 2, r"account add"),
    (["account", "frobnicate"], 2, r"posthorn help account"),
    (["serve", "--config", "/nonexistent/p.yaml"], 1, r"does not exist; make one with `posthorn setup`"),
    (["domain", "list", "--config", "/nonexistent/p.yaml"], 1, r"does not exist; make one with `posthorn setup`"),
    (["setup", "--demo"], 2, r"a value is wanted behind --demo"),
    (["setup", "--demo", "x", "--domain", "example.org"], 2, r"--demo takes --port-offset"),
    (["setup", "--demo", "x", "--port-offset", "70000"], 2, r"number of at most"),
    (["setup", "--port-offset", "5"], 2, r"is for --demo DIR"),
    (["queue", "retry"], 2, r"say which"),
    (["route", "add", "*.example.org", "direct"], 2, r"is no pattern; there are"),
    (["trace"], 2, r"too few arguments; usage"),
    (["status", "x"], 2, r"too many arguments: x; usage"),
    (["status", "--frob"], 2, r"there is no option --frob; usage"),
]


@pytest.mark.parametrize("args,status,text", WRONG, ids=[" ".join(w[0]) or "nothing" for w in WRONG])
def test_wrong_input_says_what_to_do(args, status, text):
    done = run(*args)
    assert done.returncode == status, done.stdout + done.stderr
    assert re.search(text, done.stdout + done.stderr), done.stdout + done.stderr


def test_every_command_has_help():
    overview = run("help").stdout
    commands = re.findall(r"^  ([a-z]+(?:-[a-z]+)?(?: [a-z]+)?)  +\S", overview, re.M)
    assert len(commands) > 25, overview
    for command in commands:
        done = run(*command.split(), "--help")
        assert done.returncode == 0 and "usage: posthorn " + command in done.stdout and "Example" in done.stdout, command


def test_answers_in_json(make_server):
    server = make_server(start=False)

    def ask(*args, expect=0, input=""):
        done = server.cli(*args, "--json", check=False, input=input)
        assert done.returncode == expect, done.stdout + done.stderr
        return json.loads(done.stdout)

    assert ask("domain", "add", "Example.ORG")["subject"] == "example.org"
    assert [d["domain"] for d in ask("domain", "list")] == ["example.org", "example.test"]
    made = ask("account", "add", "carol@example.org", "--quota", "5M", "--name", 'C "x" D')
    assert made["address"] == "carol@example.org" and len(made["password"]) == 20
    assert ask("account", "add", "dave@example.org", "--password-stdin", input="secret\n")["password"] == ""
    rows = ask("account", "list", "example.org")
    assert [(r["address"], r["name"], r["quota"]) for r in rows] == [("carol@example.org", 'C "x" D', 5 << 20), ("dave@example.org", "", None)]
    batch = ask("account", "add", "--batch", "-", input="\ufeffaddress,password\r\ne@example.org,x\r\nf@example.org,\r\n")
    assert [(r["address"], bool(r["password"])) for r in batch] == [("e@example.org", False), ("f@example.org", True)]
    assert len(ask("alias", "add", "sales@example.org", "carol@example.org", "x@example.net")) == 2
    assert len(ask("alias", "list")) == 2
    for args in (["alias", "remove", "sales@example.org"], ["account", "quota", "e@example.org", "none"], ["account", "disable", "e@example.org"],
                 ["account", "remove", "e@example.org"], ["check-config"], ["check"]):
        assert ask(*args)["done"], args
    assert ask("queue", "list") == []
    assert ask("status", expect=1) == {"running": False, "roles": [], "queue": 0, "store": True}


def test_a_batch_is_checked_first(make_server):
    server = make_server(start=False)
    done = server.cli("account", "add", "--batch", "-", check=False, input='g@example.test,x\n"h@example.test\n\n')
    assert done.returncode == 1 and "-:2: a quote isn't closed" in done.stderr
    done = server.cli("account", "add", "--batch", "-", check=False, input="g@example.test,x\nnobody\n")
    assert done.returncode == 2 and "-:2: nothing was added" in done.stderr
    assert "g@example.test" not in server.cli("account", "list").stdout


def test_files_are_hidden(make_server):
    server = make_server(start=False)
    modes = {str(p.relative_to(server.dir)): stat.S_IMODE(p.stat().st_mode) for p in server.dir.rglob("*")}
    assert modes["passwords.txt"] == 0o600 and modes["data/tls/key.pem"] == 0o600
    assert modes["data/store"] == 0o700 and modes["data/auth"] == 0o700
    assert all(mode & 0o077 == 0 for name, mode in modes.items() if name.startswith(("data/store", "data/auth")))
    if IS_ROOT:
        assert (server.dir / "data/tls/key.pem").stat().st_uid == 0, "roles need no key on disk"
        assert (server.dir / "data/store").stat().st_uid != 0


def make_certificate(certificate, key, days):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj",
                    "/CN=localhost", "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)


def test_check_config_looks_into_certificates(make_server):
    server = make_server(start=False)
    certificate, key = server.dir / "data/tls/certificate.pem", server.dir / "data/tls/key.pem"
    assert server.cli("check-config").stderr == ""
    make_certificate(certificate, key, 3)
    done = server.cli("check-config")
    assert "is good" in done.stdout and "is over in" in done.stderr
    make_certificate(certificate, server.dir / "other.pem", 100)
    done = server.cli("check-config", check=False)
    assert done.returncode == 1 and "private key is not the certificate's" in done.stderr
    key.unlink()
    done = server.cli("check-config", check=False)
    assert done.returncode == 1 and "key.pem can't be read: No such file" in done.stderr


def test_setup_for_real(folder):
    where = folder / "real"
    where.mkdir()
    args = ["setup", "--config", str(where / "etc/posthorn.yaml"), "--data", str(where / "data"), "--user", "nobody"]
    done = run(*args, "--domain", "example.org", "--admin", "me@elsewhere.org")
    assert done.returncode == 2 and "must be in the domain" in done.stderr and not (where / "data").exists()
    done = run(*args, "--domain", "example.org", "--admin", "me@example.org", "--password-stdin", input="secret\n")
    assert done.returncode == 0, done.stderr
    assert "MX" in done.stdout and "secret" not in done.stdout
    assert stat.S_IMODE((where / "etc/posthorn.yaml").stat().st_mode) == 0o640
    assert "is good" in run("check-config", "--config", str(where / "etc/posthorn.yaml")).stdout
    aliases = json.loads(run("alias", "list", "--json", "--config", str(where / "etc/posthorn.yaml")).stdout)
    assert aliases == [{"address": "postmaster@example.org", "target": "me@example.org"}]
    done = run(*args, "--domain", "example.org")
    assert done.returncode == 1 and "is not overwritten" in done.stderr


def pasted(text):
    """The commands that the demo prints: indented, perhaps continued by a backslash."""
    return re.findall(r"^  ((?:swaks|printf|curl|posthorn status)(?:.*\\\n)*.*)$", text, re.M)


def test_what_make_run_prints_can_be_pasted(folder):
    offset, demo = free_offset(), folder / "demo"
    env = dict(os.environ, DEMO_DIR=str(demo), PORT_OFFSET=str(offset), PATH=f"{BUILD}:{os.environ['PATH']}", **SANITIZER_ENV)
    log = folder / "run.log"
    process = subprocess.Popen([str(ROOT / "tools/run-demo.sh"), str(BUILD)], stdout=log.open("wb"), stderr=subprocess.STDOUT, env=env)
    try:
        wait_for(lambda: log.read_text().count("event=supervisor.role_ready") >= 6, 30, "the demo")
        commands = pasted(log.read_text())
        assert len(commands) == 7, log.read_text()
        done = [subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=env, timeout=30) for command in commands]
        for command, result in zip(commands, done):
            assert result.returncode == 0, command + "\n" + result.stdout + result.stderr
        assert "queued as" in done[0].stdout and "queued as" in done[1].stdout
        assert done[3].stdout.count("ENVELOPE") == 2 and "Subject:" in done[4].stdout and "Subject:" in done[5].stdout
        assert len(children(process.pid)) == 6
    finally:
        process.terminate()
        process.wait(20)
    assert pathlib.Path(demo / "demo.txt").stat().st_mode & 0o077 == 0
