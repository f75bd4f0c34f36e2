"""Documents with a text, made here, and letters that bring them."""
import io
import zipfile
from email.message import EmailMessage

PDF = "application/pdf"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
ODT = "application/vnd.oasis.opendocument.text"
OCTETS = "application/octet-stream"


def archive(files, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as z:
        for name, text in files.items():
            z.writestr(name, text)
    return out.getvalue()


def docx(*paragraphs, **more):
    """A paragraph that is a tuple is one of several runs, as word processors leave them behind."""
    def runs(paragraph):
        parts = paragraph if isinstance(paragraph, tuple) else (paragraph,)
        return "".join(f'<w:r><w:rPr/><w:t xml:space="preserve">{part}</w:t></w:r>' for part in parts)
    body = "".join(f"<w:p>{runs(p)}</w:p>" for p in paragraphs)
    return archive({"[Content_Types].xml": "<Types/>", "word/document.xml":
                    f'<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="x"><w:body>{body}</w:body></w:document>'}, **more)


def xlsx(strings, numbers=()):
    shared = "".join(f"<si><t>{s}</t></si>" for s in strings)
    cells = "".join(f'<c r="A{i}" t="s"><v>{i}</v></c>' for i in range(len(strings)))
    cells += "".join(f'<c r="B{i}"><v>{n}</v></c>' for i, n in enumerate(numbers))
    return archive({"xl/sharedStrings.xml": f"<sst>{shared}</sst>",
                    "xl/worksheets/sheet1.xml": f"<worksheet><sheetData><row>{cells}</row></sheetData></worksheet>"})


def pptx(*lines):
    slide = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in lines)
    return archive({"ppt/slides/slide1.xml": f"<p:sld>{slide}</p:sld>"})


def odt(*paragraphs):
    text = "".join(f"<text:p>{p}</text:p>" for p in paragraphs)
    return archive({"mimetype": ODT, "content.xml":
                    f"<office:document-content><office:body><office:text>{text}</office:text></office:body></office:document-content>"})


def pdf(*lines):
    """One page in Helvetica."""
    shown = "\n".join(f"({line}) Tj T*" for line in lines).encode("cp1252")
    stream = b"BT /F1 12 Tf 14 TL 72 720 Td\n" + shown + b"\nET"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
               b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
               b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
               b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start


def letter(subject, *attachments, body="See there.\n"):
    """Attachments: (content, type, name)."""
    message = EmailMessage()
    message["From"] = "sender@remote.test"
    message["To"] = "alice@example.test"
    message["Subject"] = subject
    message.set_content(body)
    for content, kind, name in attachments:
        main, sub = kind.split("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
