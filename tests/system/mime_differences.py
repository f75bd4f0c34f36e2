"""Where we differ from Dovecot on purpose: each rule says how both answers must look, so that nothing else passes under its name. `REASONS` says
why; tests/data/mime/differences.md shows them."""
import base64
import binascii
import quopri
import re

SPACE = b" \t"
KNOWN_ENCODINGS = (b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable")

REASONS = {
    "addresses": "RFC 5322 section 4.4: obsolete and broken addresses are read as far as they go, and what follows them is kept; Dovecot puts "
                 "SYNTAX_ERROR or MISSING_MAILBOX there and drops the rest of the list.",
    "adjacent words": "RFC 5322 section 3.2.5: words of a name without white space between them are joined; Dovecot puts a space between.",
    "binary part": "RFC 3516 section 4.4: binary parts become base64 when they are stored; the header's order and the line ends differ.",
    "blank line": "RFC 9051 section 6.4.5.1: where a header has no blank line, its fields have none either. Dovecot adds one in some cases.",
    "boundary": "RFC 2046 section 5.1.1: the line end before a boundary belongs to the boundary, also behind an inner multipart.",
    "broken encoding": "RFC 2045 section 6.8: what isn't of the encoding is passed over, and the first of several counts; Dovecot refuses BINARY for "
                       "such parts, or goes by the last.",
    "Dovecot fails": "RFC 3516 section 4.3: BINARY of some parts makes Dovecot 2.3 end the session with an internal error.",
    "encoding": "RFC 2045 section 6.1: a known encoding counts also with something behind it; Dovecot takes it for 7bit.",
    "header runs on": "RFC 2046 section 5.1.1: a message's header ends at the boundary of what it is in; Dovecot's field lists run on.",
    "inside": "RFC 9051 section 6.4.5.1: follows from another difference; the part is another one here.",
    "invalid type": "RFC 2045 section 5.2: an invalid Content-Type is as none, so text/plain; Dovecot sends empty strings.",
    "letters": "RFC 2045 section 5.1: a plain text without parameters that are understood is sent in lower case, as others are.",
    "lone CR": "RFC 5322 section 2.2: a CR alone is no part of a field; it isn't sent in strings.",
    "not MIME": "RFC 2045 section 4: Content fields count also without MIME-Version and Content-Type; Dovecot ignores them then.",
    "long boundary": "RFC 2046 section 5.1.1: Dovecot looks at 70 bytes only.",
    "message/global": "RFC 6532 section 3.7: message/global is a message; Dovecot 2.3 doesn't know it.",
    "no boundary": "RFC 2045 section 5.2: a multipart without a boundary is invalid, so text/plain and readable; Dovecot shows one empty part.",
    "NUL": "RFC 9051 section 4.3: no string has a NUL, so no message with one outside of binary parts is taken; Dovecot changes them to 0x80.",
    "parameters": "RFC 2231 section 7: values with unquoted spaces and parameters behind something odd are kept; sections are percent-encoded where "
                  "they are joined to encoded ones.",
    "white space": "RFC 5322 section 2.2.3: the white space around a folded value is no part of it.",
    "NIL with NO": "RFC 3516 section 4.3: the answer is NO; that NIL is sent before it says nothing else.",
}


def without_cr(value):
    return value.replace(b"\r", b"")


def has_lone_cr(message):
    return re.search(rb"\r(?!\n)", message) is not None


def same_string(theirs, ours, message):
    """The class of a difference between two header values; None: not explained."""
    if theirs is None or ours is None:
        return None
    if has_lone_cr(message) and re.sub(rb"\s", b"", theirs) == re.sub(rb"\s", b"", ours):
        return "lone CR"
    return "white space" if theirs.strip(SPACE) == ours else None


# ---- addresses ----

def is_broken(entry):
    return entry[3] in (b"SYNTAX_ERROR", b"MISSING_DOMAIN") or entry[2] == b"MISSING_MAILBOX" or entry[1] == b"INVALID_ROUTE"


def squeezed(entry):
    """Without the spaces of its name, be it a person's or a group's."""
    return [value and at in (0, 2) and (at == 0 or entry[3] is None) and value.replace(b" ", b"") or value for at, value in enumerate(entry)]


def addresses(theirs, ours, message):
    theirs, ours = theirs or [], ours or []
    if len(theirs) == len(ours) and all(squeezed(a) == squeezed(b) for a, b in zip(theirs, ours)):
        return "adjacent words"
    readable = [squeezed(entry) for entry in theirs if not is_broken(entry)]
    rest = iter(map(squeezed, ours))
    if all(any(entry in (other, [None, *other[1:]]) for other in rest) for entry in readable) and \
            (len(readable) < len(theirs) or len(theirs) < len(ours) or theirs != ours and b"@(" in message):
        return "addresses"
    return None


def envelope(theirs, ours, message):
    found = set()
    for at, (a, b) in enumerate(zip(theirs, ours)):
        if a != b:
            found.add(addresses(a, b, message) if 2 <= at <= 7 else same_string(a, b, message))
    return found


# ---- structures ----

def pairs(parameters):
    parameters = parameters or []
    return list(zip(parameters[::2], parameters[1::2]))


def unquoted(pair):
    name, value = pair
    return name.lower(), re.sub(rb"%([0-9a-fA-F]{2})", lambda m: bytes([int(m.group(1), 16)]), value).replace(b"\r", b"")


def parameters(theirs, ours):
    theirs, ours = pairs(theirs), pairs(ours)
    # Which it adds where it saw no charset.
    if theirs[-1:] == [(b"charset", b"us-ascii")] and any(name.lower() in (b"charset", b"charset*") for name, _ in ours):
        theirs.pop()
    theirs = [(n, v) for n, v in theirs if n and not re.search(rb"\*\d+\*?$", n)]
    left = [unquoted(p) for p in ours]
    for pair in map(unquoted, theirs):
        match = next((p for p in left if p == pair), None)
        match = match or next((p for p in left if p[0] == pair[0] and p[1].startswith(pair[1])), None)
        # "x*=a; x*1=b" are one for Dovecot.
        match = match or next((p for p in left if p[0] == pair[0] and p[0].endswith(b"*") and pair[1].startswith(p[1])), None)
        if match is None:
            return None
        left.remove(match)
    return "parameters"


def is_multipart(part):
    return isinstance(part[0], list)


def children_of(part):
    return [child for child in part if isinstance(child, list) and child and isinstance(child[0], (list, bytes)) and is_part(child)]


def is_part(value):
    return isinstance(value[0], list) or (len(value) >= 7 and (value[2] is None or isinstance(value[2], list)))


def is_message(part):
    return len(part) > 9 and isinstance(part[0], bytes) and isinstance(part[7], list) and isinstance(part[8], list)


def basic(part):
    """The BODY that belongs to a BODYSTRUCTURE."""
    if is_multipart(part):
        children = children_of(part)
        return [*map(basic, children), part[len(children)]]
    out = part[:7]
    if is_message(part):
        return [*out, part[7], basic(part[8]), part[9]]
    return [*out, part[7]] if part[0].lower() == b"text" else out


def boundary_of(part):
    found = dict(pairs(part[len(children_of(part)) + 1]))
    return found.get(b"boundary", found.get(b"boundary*"))


class Structures:
    """The differences of a message's two structures: `classes`, and the numbers of the parts that are others here."""

    def __init__(self, message, theirs, ours):
        self.message = message
        self.classes, self.others = set(), {}
        if theirs and ours:
            self.part(theirs, ours, b"" if is_multipart(ours) or is_multipart(theirs) else b"1")

    def has_odd_parameters(self):
        """What no grammar covers: an open quote, something between or instead of parameters, sections twice or out of order."""
        odd = re.compile(rb";[\s]*(;|$)|=\s*(;|$)|=\s|\*\d|[^;\s]\s+[^;\s=(]+=|=[^;\"]*[/()=\"]")
        return any(value.count(b'"') % 2 or odd.search(value) for value in self.content_fields())

    def content_fields(self):
        return re.findall(rb"^content-(?:type|disposition)[ \t]*:((?:.*\r\n[ \t])*.*)", self.message, re.M | re.I)

    def other(self, number, name):
        self.others[number] = name
        self.classes.add(name)

    def part(self, theirs, ours, number):
        if theirs == ours:
            return
        name = self.shape(theirs, ours)
        if name:
            self.other(number, name)
        elif is_multipart(theirs) and is_multipart(ours):
            self.multipart(theirs, ours, number)
        elif is_multipart(theirs) or is_multipart(ours):
            self.other(number, None)
        else:
            self.single(theirs, ours, number)

    def shape(self, theirs, ours):
        """The class of a part that is another one here; None: it is the same."""
        if not is_multipart(theirs) and b"" in theirs[:2]:
            return "invalid type"
        if not is_multipart(theirs) and [name.lower() for name in theirs[:2]] == [b"message", b"global"] and (is_message(ours) or ours[:2] == [b"application", b"octet-stream"]):
            return "message/global"
        if theirs[:2] == [b"application", b"octet-stream"] and ours[:2] == [b"text", b"plain"] and b"multipart" in self.message.lower():
            return "no boundary"
        if not is_multipart(theirs):
            return None
        first = children_of(theirs)[0]
        if ours[:2] in ([b"text", b"plain"], [b"message", b"rfc822"]):
            is_empty = not is_multipart(first) and first[6] == b"0"
            return "no boundary" if is_empty or boundary_of(theirs) == b"" else None
        if is_multipart(ours):
            return self.boundary_shape(theirs, ours)
        return None

    def boundary_shape(self, theirs, ours):
        is_other = len(children_of(theirs)) != len(children_of(ours))
        if boundary_of(theirs) is None and boundary_of(ours) or is_other and self.has_odd_boundary():
            return "parameters"
        if is_other and b"message/global" in self.message.lower():
            return "message/global"
        return "long boundary" if is_other and re.search(rb"boundary=[\"']?[^\"\r\n]{71}", self.message) else None

    def has_odd_boundary(self):
        """One that Dovecot can't read: behind an empty parameter, or with an open quote."""
        for value in self.content_fields():
            if b"boundary" in value.lower() and (value.count(b'"') % 2 or re.search(rb";[^=\"]*;\s*boundary", value, re.I)):
                return True
        return False

    def multipart(self, theirs, ours, number):
        a, b = children_of(theirs), children_of(ours)
        if len(a) != len(b):
            self.other(number, None)
            return
        prefix = number + b"." if number else b""
        for at, (x, y) in enumerate(zip(a, b)):
            self.part(x, y, prefix + b"%d" % (at + 1))
        self.fields(theirs[len(a):], ours[len(b):], ["type", "parameters", "disposition", "language", "text"])

    def single(self, theirs, ours, number):
        if self.is_plain(theirs) and ours[1].lower() == b"plain" and self.is_no_mime(number):
            self.classes.add("not MIME")
            return
        names = ["type", "type", "parameters", "text", "text", "encoding", "size"]
        if is_message(theirs) != is_message(ours) or theirs[0].lower() != ours[0].lower():
            self.other(number, None)
            return
        if is_message(theirs):
            names += ["envelope", "inside", "size"]
        elif theirs[0].lower() == b"text":
            names += ["size"]
        self.fields(theirs, ours, names + ["text", "disposition", "language", "text"], number)

    @staticmethod
    def is_plain(part):
        return part[:6] == [b"text", b"plain", [b"charset", b"us-ascii"], None, None, b"7bit"] and not any(part[8:])

    def is_no_mime(self, number):
        """Whether the message, or one inside, says nothing of MIME."""
        heads = [self.message.split(b"\r\n\r\n")[0], *(head for head in self.message.split(b"\r\n\r\n")[1:] if number)]
        return any(not re.search(rb"^(mime-version|content-type)[ \t]*:", head, re.M | re.I) for head in heads)

    def fields(self, theirs, ours, names, number=b""):
        for at, name in enumerate(names):
            a, b = ([*side, *[None] * len(names)][at] for side in (theirs, ours))
            if a == b:
                continue
            if name == "envelope":
                self.classes |= envelope(a, b, self.message)
            elif name == "inside":
                self.part(a, b, number if is_multipart(a) or is_multipart(b) else number + b".1")
            else:
                self.classes.add(self.field(name, a, b))

    def field(self, name, a, b):
        if name == "text":
            return same_string(a, b, self.message)
        if name == "parameters":
            return parameters(a, b) or ("parameters" if self.has_odd_parameters() else None)
        if name == "disposition":
            if a is None or b is None:
                return "parameters" if self.has_odd_parameters() or a and a[0] == b"" else None
            if a[0] == b"":
                return "parameters"
            same = a[0] == b[0] and parameters(a[1], b[1])
            return same or ("parameters" if self.has_odd_parameters() else None)
        if name == "encoding":
            return "encoding" if a == b"7bit" and b.lower() in KNOWN_ENCODINGS else None
        if name == "type":
            if a.lower() == b in (b"text", b"plain"):
                return "letters"
            return "letters" if b.lower() == a and self.has_odd_parameters() else None
        if name == "size":
            return "boundary" if int(a) - int(b) in (1, 2) else None
        return None


# ---- sections ----

def decoded(body, encoding):
    """By Python, leniently."""
    if encoding == b"quoted-printable":
        return quopri.decodestring(body)
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", body.split(b"=")[0])
    with_end = letters[:len(letters) - (len(letters) % 4 == 1)]
    try:
        return base64.b64decode(with_end + b"=" * (-len(with_end) % 4))
    except binascii.Error:
        return None


def explain(item, theirs, ours, structures):
    """The classes that a difference belongs to; one of them is None if it isn't explained."""
    message = structures.message
    if b"\0" in message and re.search(rb"content-transfer-encoding: *binary", message, re.I):
        return {"binary part"}
    if item == "ENVELOPE" and isinstance(theirs, list) and isinstance(ours, list):
        return envelope(theirs, ours, message)
    if item == "BODYSTRUCTURE" and isinstance(theirs, list) and isinstance(ours, list):
        return structures.classes
    if b"\0" in message:
        return {"NUL" if theirs != ours else None}
    number = re.match(r"(?:BODY|BINARY(?:\.SIZE|\.PEEK)?)\[([\d.]*)", item)
    number = number.group(1).strip(".").encode() if number else None
    if theirs == b"went away":
        return {"Dovecot fails"}
    if number is not None and any(not at or number == at or number.startswith(at + b".") for at in structures.others):
        return {"inside"}
    if item.startswith("BINARY"):
        if (theirs, ours) == (b"NO", b"OK") or len(re.findall(rb"^content-transfer-encoding", message, re.M | re.I)) > 1:
            return {"broken encoding"}
        if theirs == b"(not sent)" and ours in (None, b"0"):
            return {"NIL with NO"}
        return {None}
    if isinstance(theirs, bytes) and isinstance(ours, bytes):
        # What is around a part that is another one here may end elsewhere.
        if number and any(at.startswith(number + b".") for at in structures.others) and (theirs.startswith(ours) or ours.startswith(theirs)):
            return {"inside"}
        if "HEADER.FIELDS (" in item and number and theirs.startswith(ours) and b"multipart/" in message.lower():
            return {"header runs on"}
        if "HEADER.FIELDS" in item and has_lone_cr(message) and without_cr(theirs).rstrip() == without_cr(ours).rstrip():
            return {"lone CR"}
        if theirs.startswith(ours) and theirs[len(ours):] in (b"\r\n", *((b"\r", b"\n") if item.endswith("<5>") else (b"\r\n\r\n",))):
            if "HEADER.FIELDS" in item:
                return {"blank line"}
            return {"boundary" if b"multipart/" in message.lower() else None}
        if "HEADER.FIELDS" in item and theirs.startswith(ours) and re.match(rb"(\r\n)?--", theirs[len(ours):]):
            return {"header runs on"}
    return {None}


# ---- orders and searches ----

FIELDS = (b"subject", b"date", b"from", b"to", b"cc", b"message-id", b"references", b"in-reply-to")
CHARSETS = (b"utf-8", b"us-ascii", b"iso-8859-1", b"iso-8859-2", b"iso-8859-15", b"iso-2022-jp", b"koi8-r", b"windows-1251", b"windows-1252")
DATE = re.compile(rb"\s*(?:[A-Z][a-z]{2},\s+)?\d{1,2}\s+[A-Z][a-z]{2}\s+(?:19[789]\d|20[0-3]\d)\s+\d\d:\d\d(?::\d\d)?\s+(?:[+-]\d{4}|GMT|UT|EST|EDT|CST|CDT|MST|"
                  rb"MDT|PST|PDT)(?:\s+\([^()]*\))?\s*", re.S)


def is_orderly(message):
    """Whether the fields that orders and threads are made of say the same to everybody: none twice, a date, text in a known charset. Dovecot
    orders by the first of fields that stand twice though it shows the last, keeps dates from 1970 to 2106, reads 8-bit text that is no UTF-8
    as nothing, takes no id without brackets, and doesn't collapse the white space of subjects, as RFC 5256 section 2.1 wants it."""
    header = message.split(b"\r\n\r\n", 1)[0] + b"\r\n"
    found = [(name.lower(), value) for name, value in re.findall(rb"^([^:\s]+)[ \t]*:((?:.*\r\n[ \t])*.*)", header, re.M)]
    values = dict(found)
    if re.search(rb"\S\s{2,}\S", values.get(b"subject", b"")) or any(re.search(rb'(^|,)\s*"\s|\s"\s*<', values.get(f, b"")) for f in (b"from", b"to", b"cc")):
        return False
    if any([name for name, _ in found].count(field) > 1 for field in FIELDS) or has_lone_cr(header) or re.search(rb"\A\s|^[^:\s][^:]*$", header, re.M):
        return False
    if re.search(rb"[^<]", values.get(b"message-id", b"<").strip()[:1]) or any(
            values.get(f, b"").count(b"<") != values.get(f, b"").count(b">") for f in (b"message-id", b"references", b"in-reply-to")):
        return False
    for charset, text in re.findall(rb"=\?([^?]*)\?[bBqQ]\?(.*?)\?=", header, re.S):
        if charset.lower() not in CHARSETS or re.search(rb"=[01][0-9A-F]|=[89A-F][0-9A-F]$|[\s\"]", text):
            return False
    try:
        header.decode()
    except UnicodeDecodeError:
        return False
    return DATE.fullmatch(values.get(b"date", b"")) is not None


def is_plain_text(message):
    """Whether BODY and TEXT look into the same there: no HTML, whose tags only Dovecot finds; no charset and no encoding that only one reads;
    each multipart with parts, for Dovecot also finds what stands around them."""
    lowered = message.lower()
    body = b"\r\n" + message.partition(b"\r\n\r\n")[2]
    boundaries = re.findall(rb"boundary\s*=\s*\"?([^\";\r\n]*)", message, re.I)
    if b"html" in lowered or len(boundaries) < lowered.count(b"multipart/") or any(b"\r\n--%s\r\n" % b not in body for b in boundaries):
        return False
    charsets = re.findall(rb"charset\*?=\s*\"?([^\s\";]*)", lowered)
    encodings = re.findall(rb"content-transfer-encoding:\s*(\S*)", lowered)
    return all(c in CHARSETS for c in charsets) and all(e in (b"7bit", b"8bit", b"quoted-printable", b"base64") for e in encodings)
