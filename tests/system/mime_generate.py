"""Odd messages, made up: the same for the same seed. Header fields from a grammar that allows what people's programs have got wrong, trees of
parts whose boundaries get into each other's way, and damage to both."""
import random

WORDS = ["budget", "Plan", "re", "fwd", "Zoë", "日本", "a.b", "x_y", "=?utf-8?q?J=C3=BCrgen?=", "=?iso-8859-1?Q?=E4_b?=", "=?utf-8?b?w6Q=?=", "(c)", "[list]",
         "\"q\"", "it's", "50%", "0", "=?utf-8?q?open", "&", "~"]
ATOMS = ["alice", "bob", "x.y", "o'neil", "a+b", "user_1", "\"q r\"", "\"a@b\"", "é", "x..y", ".x", "y."]
DOMAINS = ["example.org", "b.test", "[192.0.2.1]", "sub.example.org", "localhost", "münchen.test", "x..test", "host .test"]
SPACES = ["", "", "", " ", " ", "  ", "\t", "\r\n ", "\r\n\t", " (comment) ", "(a (b) \\) c)", " \r\n \r\n "]
TYPES = ["text/plain", "text/html", "TEXT/PLAIN", "image/png", "application/octet-stream", "message/rfc822", "Message/RFC822", "message/delivery-status",
         "message/partial", "text", "text/", "/plain", "", "x-y/z.w+v", "text / plain", "text/plain (c)", "message/global", "multipart/mixed",
         "multipart/alternative", "a/b/c", "text;plain", "\"text\"/plain", "audio/x-wav", "message/external-body"]
ENCODINGS = ["7bit", "8bit", "base64", "BASE64", "quoted-printable", "Quoted-Printable", "binary", "x-uuencode", "", "base64; x", "quoted printable",
             "\"base64\"", "base64 (c)", "8-bit", "none/x", " base64 "]
VALUES = ["utf-8", "\"utf-8\"", "US-ASCII", "us-ascii", "\"a b.txt\"", "a b.txt", "\"open", "=?utf-8?q?=C3=A4?=", "\"x\\\"y\"", "ü.txt", "a/b", "x;y", "\"x;y\"", "",
          "\"\"", "utf-8''%c3%a4", "'x'", "a=b", "(c)x", "x(c)"]
NAMES = ["charset", "name", "CHARSET", "format", "x-a", "filename", "name*", "name*0", "name*1", "name*0*", "name*1*", "filename*", "charset*", "x*",
         "filename*0*", "filename*1", "filename*3"]
DATES = ["Tue, 24 Nov 2026 15:00:00 +0100", "24 Nov 26 15:00 EST", "Tue, 31 Feb 2026 15:00:00 +0100", "Tue Nov 24 15:00:00 2026", "2026-11-24", "",
         "Tue, 24 Nov 2026 15:00:00", "1 Jan 1970 00:00:00 GMT", "Mon, 1 Mar 99 1:2:3 -0000 (x)", "Tue, 24 Nov 2026 25:00:00 +0000", "24 Nov 2026 15:00:60 Z",
         "Fri, 5 Dec 103 08:09:10 PST", "6 Feb 2024 10:11:12 +0530", "Thu, 29 Feb 2024 12:00:00 -1200", "12 Dec 2023 10:11:12.345 +0000"]
BASES = ["b", "bb", "b-", "b--", "=_x", "b b", "B", "bound", "boundary", "boun", "a'()+_,-./:=?", "x" * 70]


class Maker:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def pick(self, items):
        return self.rng.choice(items)

    def some(self, make, least, most, between=""):
        out = []
        for _ in range(self.rng.randint(least, most)):
            out.append(make())
        return (between if isinstance(between, str) else between()).join(out)

    def chance(self, of):
        return self.rng.random() < of

    # ---- fields ----

    def phrase(self):
        return self.some(lambda: self.pick(WORDS), 0, 3, lambda: self.pick([" ", " ", "  ", "\r\n ", ""]))

    def spec(self):
        rest = self.pick(["@", "@", "@", "@", " @ ", "@(c)", "", "@@"])
        return self.pick(ATOMS) + rest + (self.pick(DOMAINS) if rest else "")

    def address(self):
        kind = self.rng.randrange(12)
        space = self.pick(SPACES)
        if kind < 5:
            return self.phrase() + space + "<" + self.spec() + ">"
        if kind < 8:
            return self.spec() + space
        return self.pick([
            lambda: self.spec() + " (" + self.phrase().replace("\r\n", "") + ")", lambda: "<>", lambda: self.phrase(), lambda: "",
            lambda: "<@a.test,@b.test:" + self.spec() + ">", lambda: self.phrase() + ":" + self.some(self.spec, 0, 3, ",") + ";",
            lambda: self.phrase() + " " + self.spec(), lambda: "<" + self.spec(), lambda: self.spec() + ">", lambda: self.phrase() + ":" + self.spec(),
            lambda: "\"" + self.phrase() + "\" <" + self.spec() + ">", lambda: "\"open <" + self.spec() + ">", lambda: "(open " + self.spec(),
            lambda: self.spec() + " " + self.spec(), lambda: self.spec() + ";" + self.spec()])()

    def good_address(self):
        address = f"{self.pick(['alice', 'bob', 'x.y'])}{self.rng.randrange(9)}@{self.pick(['example.org', 'B.test'])}"
        return self.pick([address, f"{self.pick(['Doe', 'Zoe Q. Doe', '=?utf-8?q?J=C3=BCrgen?=', 'Müller'])} <{address}>", f'"Doe, Jane" <{address}>',
                          f"{address} (Jane Doe)"])

    def addresses(self):
        if self.chance(0.85):
            return self.some(self.good_address, 1, 3, lambda: self.pick([",", ", ", ",\r\n "]))
        return self.some(self.address, 0, 4, lambda: self.pick([",", ", ", ",,", " , ", ",\r\n "]))

    def subject(self):
        return self.pick(["", "Re: ", "RE[2]: ", "Fwd: ", "[l] ", "[l] Re: ", "re:re: ", "[Fwd: "]) + self.some(
            lambda: self.pick(WORDS), 0, 5, lambda: self.pick([" ", "  ", "\r\n ", "\t"])) + self.pick(["", "", " ", " (fwd)", "]"])

    def message_id(self):
        return self.pick(["<%d@id.test>", "<%d@id.test> ", "\r\n <%d@id.test>", "<%d@id.test> (c)", "%d@id.test", "<\"%d\"@id.test>", "<%d @id.test>"]) % \
            self.rng.randrange(60)

    def parameters(self):
        out = ""
        for _ in range(self.rng.choice([0, 0, 1, 1, 2, 3, 5])):
            out += self.pick([";", "; ", ";\r\n\t", " ; "] * 4 + [";;", " "]) + self.pick(NAMES) + self.pick(["="] * 20 + [" = ", ""]) + self.pick(VALUES)
        return out + self.pick(["", "", "", ";", " ", " (c)"])

    def field(self):
        name, value = self.pick([
            ("From", self.addresses), ("To", self.addresses), ("Cc", self.addresses), ("Bcc", self.addresses), ("Reply-To", self.addresses),
            ("Sender", self.address), ("Subject", self.subject), ("Subject", self.subject), ("Date", lambda: self.pick(DATES)),
            ("Message-ID", self.message_id), ("In-Reply-To", self.message_id), ("References", lambda: self.some(self.message_id, 0, 4, " ")),
            ("X-Odd", self.subject), ("Received", self.subject), ("Resent-From", self.addresses)])
        name = self.pick([name] * 12 + [name.lower(), name.upper(), name + " ", " " + name])
        return name + ":" + self.pick([" ", " ", " ", "", "  ", "\t", "\r\n "]) + value() + "\r\n"

    def header(self, content=""):
        fields = [self.field() for _ in range(self.rng.randrange(1, 9))]
        if self.chance(0.1):
            fields.insert(self.rng.randrange(len(fields) + 1), self.pick(["no colon here\r\n", "From x@y.test Tue Nov 24\r\n", ": empty name\r\n", ">From: x\r\n",
                                                                          "X\r\n", "\tcontinued\r\n", "-- \r\n", "X-8bit: ä\r\n", "X-Long: " + "x" * 3000 + "\r\n"]))
        if content:
            fields.insert(self.rng.randrange(len(fields) + 1), content)
        return "".join(fields)

    def content(self, kind):
        out = f"Content-Type: {kind}{self.parameters()}\r\n" if kind is not None else ""
        if self.chance(0.3):
            out += f"Content-Transfer-Encoding: {self.pick(ENCODINGS)}\r\n"
        if self.chance(0.2):
            out += f"Content-Disposition: {self.pick(['attachment', 'inline', 'INLINE', '', 'x y', ';'])}{self.parameters()}\r\n"
        if self.chance(0.1):
            out += self.pick(["Content-ID: <x@y>\r\n", "Content-ID:\r\n", "Content-Description: a \"b\"\r\n", "Content-MD5: abc==\r\n", "Content-Language: en, de\r\n",
                              "Content-Language: en (c), x-y;z\r\n", "Content-Location: http://x.test/\r\n y\r\n", "Content-Description: =?utf-8?q?=C3=A4?=\r\n"])
        return out

    # ---- bodies ----

    def text(self):
        lines = [self.pick(["Hello.", "", "--", "-- ", "--b", "--x", ".", "From me", "ä ö", "a" * 90, "=C3=A4=", "SGVsbG8=", "SGVs bG8", "trailing  ", "\tx", "====", "=3D=", "!!"])
                 for _ in range(self.rng.choice([0, 1, 1, 2, 3, 6]))]
        return "\r\n".join(lines) + self.pick(["", "\r\n", "\r\n"])

    def boundary(self, around):
        """Often one that has to do with those around it."""
        if around and self.chance(0.5):
            return self.pick([around[-1], around[-1] + "x", around[-1][:-1] or "b", around[-1] + "--", self.pick(around)])
        return self.pick(BASES) + (str(self.rng.randrange(100)) if self.chance(0.6) else "")

    def boundary_parameter(self, boundary, is_inner):
        quoted = f'"{boundary}"'
        if is_inner or self.chance(0.7):
            return "; boundary=" + quoted
        return self.pick(["; boundary=" + quoted] * 12 + [";\r\n boundary=" + quoted, "; Boundary=" + boundary, "; boundary=" + boundary, "; boundary = " + quoted,
                         "; x=y; boundary=" + quoted, "; boundary=" + quoted + "; boundary=other", "; boundary*=us-ascii''" + boundary,
                         "; boundary*0=\"" + boundary[:1] + "\"; boundary*1=\"" + boundary[1:] + "\"", " boundary=" + quoted, "", "; boundary=" + quoted + ";",
                         "; boundary=\"" + boundary, "; boundary=" + quoted + " (c)", ";; boundary=" + quoted])

    def multipart(self, depth, around):
        boundary = self.boundary(around)
        head = "Content-Type: multipart/" + self.pick(["mixed", "mixed", "alternative", "digest", "related", "signed", "report", "x-odd"]) + \
            self.boundary_parameter(boundary, bool(around)) + "\r\n"
        body = self.pick(["", "", "preamble\r\n", "\r\n", "--\r\n"])
        for _ in range(self.rng.choice([0, 1, 1, 2, 2, 3])):
            body += "--" + boundary + self.pick(["", "", "", "", " ", "\t ", "x"]) + "\r\n"
            body += self.part(depth - 1, [*around, boundary])
            body += self.pick(["\r\n", "\r\n", "\r\n", "\r\n", "", "\r\n\r\n"])
        body += self.pick(["--" + boundary + "--\r\n"] * 6 + ["--" + boundary + "--", "", "--" + boundary + "\r\n", "--" + boundary, "--" + boundary + "--x\r\n", "--" + boundary[:2]])
        return head, body + self.pick(["", "", "", "epilogue\r\n", "\r\n"])

    def part(self, depth, around):
        """Header, blank line and body of a part."""
        kind = self.rng.randrange(10)
        if depth > 0 and kind < 3:
            head, body = self.multipart(depth, around)
        elif depth > 0 and kind < 5:
            head, body = f"Content-Type: {self.pick(['message/rfc822', 'MESSAGE/RFC822', 'message/rfc822; x=y'])}\r\n", self.message(depth - 1, around)
        elif kind < 6:
            return self.pick(["", "\r\n", "Content-Type: text/plain", "Content-Type: text/plain\r\n", "\r\n\r\n"])
        else:
            head, body = self.content(self.pick([*TYPES, None])), self.text()
        if self.chance(0.15):
            head += self.content(None)
        return head + self.pick(["\r\n"] * 12 + ["", " \r\n"]) + body

    def message(self, depth=3, around=()):
        kind = self.rng.randrange(10)
        if depth > 0 and kind < 5:
            head, body = self.multipart(depth, list(around))
        elif depth > 0 and kind < 6:
            head, body = "Content-Type: message/rfc822\r\n", self.message(depth - 1, around)
        else:
            head, body = self.content(self.pick([*TYPES, None])), self.text()
        return self.header(head) + self.pick(["\r\n"] * 15 + [""]) + body

    def letter(self):
        """One whose fields say the same to everybody, for orders, threads and searches."""
        day, hour = self.rng.randrange(1, 29), self.rng.randrange(24)
        words = ["budget", "plan", "re", "fwd", "Zoë", "日本", "Æon", "zebra", "=?utf-8?q?J=C3=BCrgen?=", "=?iso-8859-1?Q?=E4_b?=", "[list]", "it's", "50%"]
        subject = self.pick(["", "", "Re: ", "RE[2]: ", "Fwd: ", "[l] ", "[l] Re: ", "re:re: ", "[Fwd: "]) + \
            self.some(lambda: self.pick(words), 1, 3, " ") + self.pick(["", "", " (fwd)", "]"])
        head = [f"Date: {day} {self.pick(['Jan', 'Feb', 'Mar'])} {self.pick([1999, 2024])} {hour:02}:00:{self.rng.randrange(60):02} "
                f"{self.pick(['+0000', '-0800', '+0530', 'EST', 'GMT'])}",
                "Subject:" + self.pick([" ", "\r\n "]) + subject, f"From: {self.good_address()}", f"To: {self.good_address()}, {self.good_address()}"]
        head += [f"Cc: {self.good_address()}"] if self.chance(0.4) else []
        head += [f"Message-ID: <{self.rng.randrange(200)}@id.test>"] if self.chance(0.95) else []
        head += ["References: " + self.some(lambda: f"<{self.rng.randrange(200)}@id.test>", 1, 4, " ")] if self.chance(0.5) else []
        head += [f"In-Reply-To: <{self.rng.randrange(200)}@id.test>"] if self.chance(0.3) else []
        charset, body = self.pick([("utf-8", "Grüße, Zoë"), ("us-ascii", "Hello"), ("iso-8859-1", "Hello")])
        head += ["MIME-Version: 1.0", f"Content-Type: text/plain; charset={charset}"]
        self.rng.shuffle(head)
        return "\r\n".join(head) + f"\r\n\r\n{body} {self.some(lambda: self.pick(words[:6]), 1, 9, ' ')}\r\n"

    # ---- damage ----

    def damaged(self, text):
        at = self.rng.randrange(len(text)) if text else 0
        end = min(len(text), at + self.rng.randrange(1, 60))
        return self.pick([
            lambda: text[:at], lambda: text[at:], lambda: text[:at] + text[end:], lambda: text[:end] + text[at:],
            lambda: text[:at] + self.pick(list("\"();:,<>@[]\\=.- \t\r") + ["\r\n", "\r\n\r\n", "\r\n ", "é", "--", "=?", "?="]) + text[at:],
            lambda: text.replace("\r\n", "\n"), lambda: text[:at] + text[at:end].upper() + text[end:], lambda: text.replace(":", "", 1),
            lambda: "From x@y.test Tue Nov 24 15:00:00 2026\r\n" + text, lambda: "\r\n" + text, lambda: text.rstrip("\r\n"),
            lambda: text[:at] + text[at:end].replace(" ", "\r\n ") + text[end:], lambda: text[:at] + text[at:end].replace("\r\n", "") + text[end:]])()


def deep(count, kind):
    """One in the other, `count` times."""
    if kind == "message":
        return "Content-Type: message/rfc822\r\n\r\n" * count + "Subject: innermost\r\n\r\nx\r\n"
    head = "".join(f"Content-Type: multipart/mixed; boundary=b{i:03}.\r\n\r\n--b{i:03}.\r\n" for i in range(count))
    return head + "\r\nx\r\n" + "".join(f"--b{i:03}.--\r\n" for i in reversed(range(count)))


def letters(count, seed=5256):
    return [(f"letter-{number}", Maker(seed * 1000003 + number).letter().encode()) for number in range(count)]


def messages(count, seed=2045):
    """[(name, bytes)]"""
    out = []
    for kind in ("message", "multipart"):
        out += [(f"deep-{kind}-{depth}", deep(depth, kind).encode()) for depth in (2, 30, 98, 99, 100, 101, 130)]
    for number in range(count - len(out)):
        maker = Maker(seed * 1000003 + number)
        text = maker.message()
        for _ in range(maker.rng.choice([0, 0, 0, 1, 1, 2, 4])):
            text = maker.damaged(text)
        encoded = text.encode("latin-1" if maker.chance(0.1) and all(ord(c) < 256 for c in text) else "utf-8")
        if encoded:
            out.append((f"made-{number}", encoded))
    return out
