#!/usr/bin/python3
"""Loads the same messages into Dovecot and into us by APPEND, asks both everything that IMAP tells of a message, and compares the answers.

    tests/system/mime_compare.py FOLDER...      all files there that begin as messages do, mbox files message by message
    tests/system/mime_compare.py --made 10000   what mime_generate.py makes

It tells how many answers were compared, how many differ for which reason (mime_differences.py), and each that no reason explains; the exit
status is then 1."""
import argparse
import bisect
import collections
import hashlib
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from mime_differences import REASONS, Structures, basic, children_of, explain, is_message, is_multipart, is_orderly, is_plain_text

PARTS_MAX = 150 # of one message are asked for
ITEMS_MAX = 30
HEADER_FIELDS = b"DATE FROM TO SUBJECT CONTENT-TYPE RECEIVED X-MAILER"
WHOLE = [b"RFC822.SIZE", b"ENVELOPE", b"BODY", b"BODYSTRUCTURE", b"BODY.PEEK[]", b"BODY.PEEK[HEADER]", b"BODY.PEEK[TEXT]", b"BODY.PEEK[1]",
         b"BODY.PEEK[HEADER.FIELDS (%s)]" % HEADER_FIELDS, b"BODY.PEEK[HEADER.FIELDS.NOT (%s)]" % HEADER_FIELDS, b"BODY.PEEK[]<3.200>",
         b"BODY.PEEK[TEXT]<0.7>"]
PART = [b"BODY.PEEK[%s]", b"BODY.PEEK[%s.MIME]", b"BODY.PEEK[%s]<5.60>"]
INNER = [b"BODY.PEEK[%s.HEADER]", b"BODY.PEEK[%s.TEXT]", b"BODY.PEEK[%s.HEADER.FIELDS (SUBJECT FROM)]", b"BODY.PEEK[%s.HEADER.FIELDS.NOT (SUBJECT FROM)]"]
DECODED = [b"BINARY.PEEK[%s]", b"BINARY.SIZE[%s]"]

SORT_KEYS = (b"ARRIVAL", b"DATE", b"SIZE", b"SUBJECT", b"FROM", b"TO", b"CC", b"DISPLAYFROM", b"DISPLAYTO", b"REVERSE SUBJECT DATE")

LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|(~?\{(\d+)\}\r\n)|(\()|(\))|([^ ()"{\[\r\n]+(?:\[[^\]]*\](?:<\d+>)?)?)| |\r\n', re.S)


class WentAway(Exception):
    pass


class Connection:
    """An IMAP connection by a pair of files."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def response(self):
        """One response with its literals; b"" at the end."""
        pieces = []
        while True:
            line = self.reader.readline()
            if not line:
                return b""
            pieces.append(line)
            literal = LITERAL.search(line)
            if not literal:
                return b"".join(pieces)
            pieces.append(self.reader.read(int(literal.group(1))))

    def send(self, text):
        self.writer.write(b"t " + text + b"\r\n")
        self.writer.flush()

    def answer(self):
        """([untagged responses], the tagged one)"""
        out = []
        while True:
            line = self.response()
            if not line:
                raise WentAway(b"".join(out[-1:]))
            if line.startswith(b"t "):
                return out, line
            out.append(line)

    def command(self, text):
        self.send(text)
        return self.answer()


def connect(port, user, password):
    sock = socket.create_connection(("127.0.0.1", port), timeout=300)
    connection = Connection(sock.makefile("rb"), sock.makefile("wb"))
    connection.response()
    assert b" OK " in connection.command(b'LOGIN "%s" "%s"' % (user.encode(), password.encode()))[1]
    return connection


def parse(text, at=0):
    """The values in `text`: bytes for strings and atoms, None for NIL, lists. Atoms and strings are the same here, so are the forms of strings."""
    stack = [[]]
    while at < len(text):
        token = TOKEN.match(text, at)
        assert token, f"no IMAP: {text[at:at + 60]!r}"
        at = token.end()
        if token.group(2):
            end = at + int(token.group(3))
            stack[-1].append(text[at:end])
            at = end
        elif token.group(4):
            stack.append([])
        elif token.group(5):
            done = stack.pop()
            stack[-1].append(done)
        elif token.group(6):
            stack[-1].append(None if token.group(6) == b"NIL" else token.group(6))
        elif token.group(1) is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", token.group(1), flags=re.S))
    assert len(stack) == 1, "brackets"
    return stack[0]


def fetched(answers):
    """{number: {item: value}}"""
    out = {}
    for line in answers:
        head = re.match(rb"\* (\d+) FETCH ", line)
        if head:
            values = parse(line, head.end())[0]
            out.setdefault(int(head.group(1)), {}).update(zip(values[::2], values[1::2]))
    return out


def part_numbers(structure, prefix=b""):
    """[(section number, part)] of a BODYSTRUCTURE, in order."""
    out = []
    for i, part in enumerate(children_of(structure) if is_multipart(structure) else [structure]):
        number = prefix + b"%d" % (i + 1)
        out.append((number, part))
        if is_multipart(part):
            out += part_numbers(part, number + b".")
        elif is_message(part):
            out += part_numbers(part[8], number + b".")
    return out


def load(connection, messages, mailbox=b"INBOX"):
    """({index: number in the mailbox} of those that it took, {index: what it said to the others})"""
    taken, refused = {}, {}
    count = 0
    for i, message in enumerate(messages):
        day = b'"%02d-Mar-2024 %02d:%02d:%02d +0000"' % (1 + i * 7 % 28, i * 13 % 24, i // 60 % 60, i % 60)
        connection.writer.write(b"t APPEND %s %s %s{%d+}\r\n%s\r\n" % (mailbox, day, b"~" if b"\0" in message else b"", len(message), message))
        connection.writer.flush()
        _, tagged = connection.answer()
        if b" OK " in tagged[:6]:
            count += 1
            taken[i] = count
        else:
            refused[i] = tagged
    return taken, refused


class Comparison:
    """`found` is called with (index, item, theirs, ours) for each difference. Dovecot fails at some messages: `restart` makes another
    connection to it."""

    def __init__(self, theirs, ours, messages, found, restart):
        self.sides = [theirs, ours]
        self.restart = restart
        self.messages = messages
        self.compared = 0
        self.odd = set() # messages about which something differed
        self._found = found

    def found(self, index, item, theirs, ours):
        self.odd.add(index)
        self._found(index, item, theirs, ours)

    # ---- what is told of a message ----

    def ask(self, numbers, items):
        for side, number in zip(self.sides, numbers):
            side.send(b"FETCH %d (%s)" % (number, b" ".join(items)))
        return [self.values(at, number) for at, number in enumerate(numbers)]

    def values(self, at, number):
        try:
            untagged, tagged = self.sides[at].answer()
        except WentAway as why:
            assert at == 0, why
            self.sides[0] = self.restart()
            self.sides[0].command(b"SELECT INBOX")
            return {None: b"went away"}
        values = fetched(untagged).get(number, {})
        values.pop(b"UID", None)
        values.pop(b"FLAGS", None)
        values[None] = re.match(rb"t (\w+)", tagged).group(1)
        return values

    def compare(self, index, theirs, ours):
        for item in sorted(set(theirs) | set(ours), key=lambda i: i or b""):
            self.compared += 1
            mine, other = ours.get(item, b"(not sent)"), theirs.get(item, b"(not sent)")
            if mine != other:
                self.found(index, (item or b"status").decode("latin-1"), other, mine)

    def message(self, index, numbers):
        theirs, ours = self.ask(numbers, WHOLE)
        structures = [side.get(b"BODYSTRUCTURE") for side in (theirs, ours)]
        for side in (theirs, ours):
            if side.get(b"BODYSTRUCTURE") and side.get(b"BODY") == basic(side[b"BODYSTRUCTURE"]):
                side[b"BODY"] = b"as in BODYSTRUCTURE"
        self.compare(index, theirs, ours)
        parts = [dict(part_numbers(structure)[:PARTS_MAX]) if structure else {} for structure in structures]
        items, decoded = [], []
        for number in sorted({*parts[0], *parts[1]}):
            found = [side[number] for side in parts if number in side]
            inside = any(is_message(part) for part in found)
            items += [item % number for item in PART + (INNER if inside else [])]
            if not inside and not any(is_multipart(part) for part in found):
                decoded.append([item % number for item in DECODED])
        for at in range(0, len(items), ITEMS_MAX):
            self.compare(index, *self.ask(numbers, items[at:at + ITEMS_MAX]))
        for pair in decoded:
            theirs, ours = self.ask(numbers, pair)
            if theirs[None] != ours[None]:
                self.found(index, pair[0].decode(), theirs[None], ours[None])
            else:
                self.compare(index, theirs, ours)

    def everything(self):
        loaded, refused = zip(*(load(side, self.messages) for side in self.sides))
        for side in self.sides:
            side.command(b"SELECT INBOX")
        for index in range(len(self.messages)):
            numbers = [side.get(index) for side in loaded]
            if None in numbers:
                self.found(index, "APPEND", *[side.get(index, b"taken") for side in refused])
            else:
                self.message(index, numbers)
        # What one side refused has moved the numbers behind it.
        self.indexes = [{number: index for index, number in side.items()} for side in loaded]
        self.numbers = loaded

    # ---- what is told of all ----

    def mark(self, keyword, indexes):
        """Gives these messages the keyword, on both sides."""
        for side, numbers in zip(self.sides, self.numbers):
            for at in range(0, len(indexes), 300):
                numbers_here = b",".join(b"%d" % numbers[index] for index in indexes[at:at + 300])
                _, tagged = side.command(b"STORE %s +FLAGS.SILENT (%s)" % (numbers_here, keyword))
                assert b" OK " in tagged[:6], tagged

    def ask_all(self, command, response):
        """Both answers, with indexes in place of numbers."""
        out = []
        for side, indexes in zip(self.sides, self.indexes):
            untagged, tagged = side.command(command)
            assert b" OK " in tagged[:6], (command, tagged)
            lines = b"".join(line[len(response):].strip() for line in untagged if line.startswith(response))
            out.append(re.sub(rb"\d+", lambda m: b"%d" % indexes[int(m.group())], lines))
        self.compared += 1
        return out

    def orders(self):
        """SORT and THREAD of the messages whose fields say the same to everybody."""
        self.orderly = [i for i, m in enumerate(self.messages) if i not in self.odd and is_orderly(m)]
        self.mark(b"orderly", self.orderly)
        for key in SORT_KEYS:
            theirs, ours = self.ask_all(b"SORT (%s) UTF-8 KEYWORD orderly" % key, b"* SORT")
            assert len(ours.split()) == len(self.orderly)
            for index in moved([int(i) for i in theirs.split()], [int(i) for i in ours.split()]):
                self.found(index, f"SORT {key.decode()}", b"another place", b"this place")
        for algorithm in (b"ORDEREDSUBJECT", b"REFERENCES", b"REFS"):
            threads = [split_threads(t) for t in self.ask_all(b"THREAD %s UTF-8 KEYWORD orderly" % algorithm, b"* THREAD")]
            # REFS goes by the latest message: by its Date there, by its arrival here (RFC 5256 section 3 knows no REFS).
            theirs, ours = map(sorted, threads) if algorithm == b"REFS" else threads
            for at, thread in enumerate(ours):
                if theirs[at:at + 1] != [thread]:
                    self.found(int(re.search(rb"\d+", thread).group()), f"THREAD {algorithm.decode()}", b" ".join(theirs[at:at + 1]), thread)
                    break

    def searches(self, words):
        """[(key, word)] in the messages that are texts, and about which all else is the same."""
        plain = [i for i, m in enumerate(self.messages) if i not in self.odd and is_orderly(m) and is_plain_text(m)]
        self.mark(b"plain", plain)
        for key, word in words:
            if b"BODY" not in key and b"TEXT" not in key:
                keyword = b"orderly"
            else:
                keyword = b"plain"
            theirs, ours = (set(answer.split()) for answer in self.ask_all(
                b"SEARCH CHARSET UTF-8 KEYWORD %s %s {%d+}\r\n%s" % (keyword, key, len(word), word), b"* SEARCH"))
            for index in theirs ^ ours:
                self.found(int(index), f"SEARCH {key.decode()} {word.decode(errors='replace')}", index in theirs, index in ours)
        return len(plain)


def moved(theirs, ours):
    """Those of `ours` that must be moved to make it `theirs`: all but a longest common subsequence."""
    place = {index: at for at, index in enumerate(theirs)}
    tails, chains, before = [], [], {}
    for index in ours:
        at = bisect.bisect_left(tails, place[index])
        tails[at:at + 1] = [place[index]]
        chains[at:at + 1] = [index]
        before[index] = chains[at - 1] if at else None
    kept, last = set(), chains[-1] if chains else None
    while last is not None:
        kept.add(last)
        last = before[last]
    return [index for index in ours if index not in kept]


def split_threads(answer):
    """The threads at the top of a THREAD response."""
    out, depth = [b""], 0
    for byte in answer:
        depth += {ord("("): 1, ord(")"): -1}.get(byte, 0)
        out[-1] += bytes([byte])
        if depth == 0:
            out.append(b"")
    return [thread for thread in out if thread]


def words_of(messages, count, seed=9051):
    """[(search key, word)] that some of the messages have."""
    rng = random.Random(seed)
    out = [(b"HEADER " + name, b"") for name in (b"Subject", b"Date", b"X-Mailer", b"Content-Type", b"Bcc", b"References")]
    for message in messages:
        header, _, body = message.partition(b"\r\n\r\n")
        for name in (b"Subject", b"From", b"To", b"Cc", b"Received", b"Content-Type", b"X-Mailer", b"Message-ID"):
            value = re.search(rb"^" + name + rb":(.*)", header, re.M | re.I)
            found = re.findall(rb"[A-Za-z0-9@.]{3,}", value.group(1)) if value else []
            if found:
                out.append((rng.choice([b"HEADER " + name, name.upper()] if len(name) < 8 else [b"HEADER " + name]), rng.choice(found)))
        found = re.findall("[A-Za-z0-9\u00c0-\u024f\u0400-\u04ff]{4,}", body[:5000].decode("utf-8", "ignore"))
        out += [(key, rng.choice(found).encode()) for key in (b"BODY", b"TEXT") if found]
    rng.shuffle(out)
    known = (b"HEADER", b"SUBJECT", b"FROM", b"TO", b"CC", b"BODY", b"TEXT")
    return [(key, word) for key, word in out if key.split()[0] in known][:count]


# ---- what is compared ----

FIRST_FIELD = re.compile(rb"[A-Za-z0-9-]+\s?:")
KNOWN_FIELD = re.compile(rb"^(From|To|Cc|Subject|Date|Received|Content-[A-Za-z-]+|MIME-Version|Message-ID|Return-Path|X-[A-Za-z-]+|Delivered-To|Reply-To|Sender)"
                         rb"\s*:", re.M | re.I)
FILE_MAX = 1500000
NO_MESSAGE = {".c", ".h", ".cc", ".java", ".py", ".pl", ".pm", ".t", ".rb", ".js", ".ts", ".go", ".rs", ".php", ".cs", ".html", ".md", ".rst", ".xml", ".json",
              ".yml", ".yaml", ".conf", ".toml", ".patch", ".diff", ".po"}


def begins_as_message(data):
    head = re.sub(rb"\A(\xef\xbb\xbf)?[\r\n]*(From [^\n]*\n)?", b"", data[:6000])
    return FIRST_FIELD.match(head) and len({name.lower() for name in KNOWN_FIELD.findall(head)}) >= 2


def messages_in(folders):
    """[(name, bytes)], none twice."""
    seen, out = set(), []
    for folder in folders:
        for path in sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file() and p.suffix.lower() not in NO_MESSAGE):
            data = path.read_bytes() if path.stat().st_size < FILE_MAX else b""
            if not begins_as_message(data):
                continue
            pieces = re.split(rb"(?:^|(?<=\n))From \S+[^\n]*\d\d:\d\d[^\n]*\n", data) if data.startswith(b"From ") else [data]
            for number, piece in enumerate(piece for piece in pieces if piece.strip() and (len(pieces) == 1 or begins_as_message(piece))):
                if (digest := hashlib.sha256(with_crlf(piece)).digest()) not in seen:
                    seen.add(digest)
                    out.append((f"{path.relative_to(folder)}:{number}", piece))
    return out


def with_crlf(message):
    """Dovecot keeps CRLF line ends only."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", message)


class Found:
    """Sorts differences by their reasons."""

    def __init__(self, named):
        self.named = named
        self.structures = {}
        self.reasons = collections.Counter()
        self.unexplained = []

    def __call__(self, index, item, theirs, ours):
        name, message = self.named[index]
        if item == "BODYSTRUCTURE" and isinstance(theirs, list) and isinstance(ours, list):
            self.structures[index] = Structures(message, theirs, ours)
        reasons = explain(item, theirs, ours, self.structures.get(index) or Structures(message, None, None))
        assert None in reasons or reasons <= set(REASONS), reasons
        if None in reasons or not reasons:
            self.unexplained.append(f"{name} {item}{around(theirs, ours)}")
        else:
            self.reasons.update(reasons)


def shown(value):
    if isinstance(value, list):
        return b"(" + b" ".join(map(shown, value)) + b")"
    return b"NIL" if value is None else value if isinstance(value, bytes) else str(value).encode()


def around(theirs, ours):
    theirs, ours = shown(theirs), shown(ours)
    at = next((i for i, (a, b) in enumerate(zip(theirs, ours)) if a != b), min(len(theirs), len(ours)))
    at = max(0, at - 40)
    return f"\n  Dovecot {theirs[at:at + 200]!r}\n  ours    {ours[at:at + 200]!r}"


def compare(named, dovecot, port, user, password, search_count):
    """(the comparison, what was found). `dovecot` is test_structure_peers.Dovecot."""
    named = [(name, with_crlf(message)) for name, message in named]
    messages = [message for _, message in named]
    found = Found(named)

    def restart():
        dovecot.process.kill()
        dovecot.process.wait()
        dovecot.process = subprocess.Popen(dovecot.process.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dovecot.env)
        dovecot.process.stdout.readline()
        return Connection(dovecot.process.stdout, dovecot.process.stdin)

    comparison = Comparison(Connection(dovecot.process.stdout, dovecot.process.stdin), connect(port, user, password), messages, found, restart)
    comparison.everything()
    comparison.orders()
    comparison.plain = comparison.searches(words_of(messages, search_count))
    return comparison, found


def main():
    arguments = argparse.ArgumentParser(description="Compares our IMAP answers with Dovecot's.")
    arguments.add_argument("folders", nargs="*")
    arguments.add_argument("--made", type=int, default=0, help="how many messages to make")
    arguments.add_argument("--seed", type=int, default=2045)
    arguments.add_argument("--searches", type=int, default=400)
    options = arguments.parse_args()
    import harness
    import mime_generate
    from test_structure_peers import Dovecot
    named = messages_in(options.folders)
    if options.made:
        named += mime_generate.messages(options.made, options.seed) + mime_generate.letters(options.made // 4, options.seed)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mime-compare-"))
    for path in (folder, folder / "dovecot", folder / "posthorn"):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
    dovecot, server = Dovecot(folder / "dovecot"), harness.Server(folder / "posthorn").start()
    try:
        user = "alice@example.test"
        comparison, found = compare(named, dovecot, server.ports["imap"], user, server.passwords[user], options.searches)
    finally:
        dovecot.close()
        server.stop()
        shutil.rmtree(folder)
    print(f"{len(named)} messages, {comparison.compared} answers compared; {len(comparison.orderly)} messages in orders and threads, {comparison.plain} searched")
    for reason, count in found.reasons.most_common():
        print(f"{count:7} {reason}")
    print(f"{len(found.unexplained):7} not explained", *found.unexplained, sep="\n")
    return 1 if found.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
