"""A milter for the tests, on libmilter (python3-milter): does what a file of JSON says at each step, and writes down what it was told.

    milter_program.py SOCKET SCRIPT LOG

SCRIPT: {"STEP": "reject" | "tempfail" | "accept" | "discard" | "hang" | "die" | ["reply", code, enhanced, line...], ...,
"changes": [[method, argument...], ...], "macros": {"STEP": "names"}, "ask": [...flags], "progress": n}; read anew at each step.
"""
import json
import os
import sys
import time

import Milter

SOCKET, SCRIPT, LOG = sys.argv[1:4]
MACROS = ("i j _ v {daemon_name} {daemon_addr} {daemon_port} {if_name} {if_addr} {client_addr} {client_name} {client_port} {client_ptr} "
          "{client_resolve} {client_connections} {tls_version} {cipher} {cipher_bits} {auth_type} {auth_authen} {auth_author} {mail_addr} "
          "{mail_host} {mail_mailer} {rcpt_addr} {rcpt_host} {rcpt_mailer} {nbytes} {msg_id}").split()
ANSWERS = {"reject": Milter.REJECT, "tempfail": Milter.TEMPFAIL, "accept": Milter.ACCEPT, "discard": Milter.DISCARD,
           "continue": Milter.CONTINUE, "skip": Milter.SKIP}


def script():
    with open(SCRIPT) as f:
        return json.load(f)


class Scripted(Milter.Base):
    def __init__(self):
        self.id = Milter.uniqueID()

    def note(self, step, *told):
        macros = {m: self.getsymval(m) for m in MACROS}
        told = [t.decode("latin-1") if isinstance(t, bytes) else t for t in told]
        with open(LOG, "a") as f:
            f.write(json.dumps({"id": self.id, "step": step, "told": told, "macros": {k: v for k, v in macros.items() if v}}) + "\n")

    def act(self, step, *told):
        self.note(step, *told)
        wanted = script().get(step, "continue")
        if wanted == "hang":
            time.sleep(60)
        if wanted == "die":
            os._exit(1)
        if isinstance(wanted, list):
            self.setreply(str(wanted[1]), wanted[2], *wanted[3:])
            return Milter.TEMPFAIL if wanted[1] < 500 else Milter.REJECT
        return ANSWERS[wanted]

    def negotiate(self, options):
        wanted = script()
        status = Milter.Base.negotiate(self, options)
        for step, names in wanted.get("macros", {}).items():
            self._ctx.setsymlist(getattr(Milter, step), names)  # pymilter 1.0.5 gives bytes where text is wanted
        return status

    def connect(self, name, family, address):
        return self.act("connect", name, family, address)

    def hello(self, name):
        return self.act("hello", name)

    def envfrom(self, sender, *arguments):
        return self.act("envfrom", sender, *arguments)

    def envrcpt(self, recipient, *arguments):
        return self.act("envrcpt", recipient, *arguments)

    def data(self):
        return self.act("data")

    @Milter.decode("bytes")
    def header(self, name, value):
        return self.act("header", name, value)

    def eoh(self):
        return self.act("eoh")

    def body(self, piece):
        return self.act("body", len(piece))

    def unknown(self, command):
        return self.act("unknown", command)

    def eom(self):
        wanted = script()
        for _ in range(wanted.get("progress", 0)):
            self.progress()
        for method, *arguments in wanted.get("changes", []):
            getattr(self, method)(*[a.encode() if method == "replacebody" else a for a in arguments])
        return self.act("eom")

    def abort(self):
        self.note("abort")
        return Milter.CONTINUE

    def close(self):
        self.note("close")
        return Milter.CONTINUE


Milter.factory = Scripted
Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGBODY | Milter.ADDRCPT | Milter.DELRCPT | Milter.CHGFROM | Milter.ADDRCPT_PAR
                 | Milter.QUARANTINE | Milter.SETSYMLIST)
Milter.runmilter("scripted", SOCKET, 300)
