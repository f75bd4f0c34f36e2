#include "fixture.h"

#include "mime/imap_structure.h"
#include "mime/message.h"

/* A part as "type/subtype[header,body]", its children in parentheses. */
static void show_part(struct buf *out, const struct message *message, const struct message_part *part)
{
	buf_printf(out, "%.*s/%.*s[%zu,%zu,%u]", SLICE_ARG(part->type), SLICE_ARG(part->subtype),
		   message_header(message, part).len, message_body(message, part).len, part->body_lines);
	if (part->kind == MESSAGE_PART_LEAF)
		return;
	buf_add_byte(out, part->kind == MESSAGE_PART_MULTIPART ? '(' : '<');
	for (const struct message_part *child = part->children; child; child = child->next) {
		show_part(out, message, child);
		if (child->next)
			buf_add_byte(out, ' ');
	}
	buf_add_byte(out, part->kind == MESSAGE_PART_MULTIPART ? ')' : '>');
}

static const char *shown(struct arena *arena, const struct message *message)
{
	struct buf out;

	buf_init(&out, arena, 0);
	show_part(&out, message, message->root);
	return slice_cstr(arena, buf_slice(&out));
}

static void structures(void **state)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{"", "text/plain[0,0,0]"},
		{"\n", "text/plain[1,0,0]"},
		{"\r\n", "text/plain[2,0,0]"},
		{"\nbody", "text/plain[1,4,0]"},
		{"\nbody\n", "text/plain[1,5,1]"},
		{"Subject: x", "text/plain[10,0,0]"},
		{"Subject: x\n", "text/plain[11,0,0]"},
		{"Subject: x\n\n", "text/plain[12,0,0]"},
		{"Subject: x\r\n\r\na\r\nb\r\n", "text/plain[14,6,2]"},
		{"Subject: x\n\na\nb", "text/plain[12,3,1]"},
		{"no field\n\nb\n", "text/plain[10,2,1]"},
		{"Content-Type: text/html\n\nx", "text/html[25,1,0]"},
		{"content-type : TEXT/HTML\n\nx", "TEXT/HTML[26,1,0]"},
		{"Content-Type:\n text/html\n\nx", "text/html[26,1,0]"},
		{"Content-Type: text/html\nContent-Type: text/plain\n\nx", "text/html[50,1,0]"},
		/* RFC 2045 section 5.2 */
		{"Content-Type: text\n\nx", "text/plain[20,1,0]"},
		{"Content-Type: image/\n\nx", "text/plain[22,1,0]"},
		{"Content-Type: ;\n\nx", "text/plain[17,1,0]"},
		{"Content-Type: multipart/mixed\n\n--b\n", "text/plain[31,4,1]"},
		{"Content-Type: multipart/mixed; boundary=\"\"\n\n--\n", "text/plain[44,3,1]"},
		/* RFC 2046 section 5.1.1 */
		{"Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\none\n--b\nA: b\n\ntwo\n\n--b--\npost\n",
		 "multipart/mixed[43,39,11](text/plain[1,3,0] text/plain[6,4,1])"},
		{"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
		 "multipart/mixed[45,19,4](text/plain[2,3,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b \t\n\none\n--b-- \n",
		 "multipart/mixed[43,18,4](text/plain[1,3,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n --b\n-b\nx--b\n---b\n--b--\n",
		 "multipart/mixed[43,29,7](text/plain[1,17,3])"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n", "multipart/mixed[43,9,3](text/plain[1,4,1])"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none", "multipart/mixed[43,8,2](text/plain[1,3,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\nA: b", "multipart/mixed[43,8,1](text/plain[4,0,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b", "multipart/mixed[43,3,0](text/plain[0,0,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b", "multipart/mixed[43,12,3](text/plain[1,3,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n",
		 "multipart/mixed[43,13,4](text/plain[1,3,0] text/plain[0,0,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b--", "multipart/mixed[43,5,0](text/plain[0,0,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n\nnothing\n", "multipart/mixed[43,8,1](text/plain[0,0,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n", "multipart/mixed[42,0,0](text/plain[0,0,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n--b\n\none\n--b--\n",
		 "multipart/mixed[47,10,2](text/plain[0,0,0])"},
		/* empty parts: the line end is the boundary's */
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\n\n\n--b--\n",
		 "multipart/mixed[43,21,7](text/plain[0,0,0] text/plain[0,0,0] text/plain[1,0,0])"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\nA: b\n--b\nA: b\n\n--b--\n",
		 "multipart/mixed[43,25,6](text/plain[4,0,0] text/plain[5,0,0])"},
		/* nested */
		{"Content-Type: multipart/a; boundary=o\n\n--o\nContent-Type: multipart/b; "
		 "boundary=i\n\n--i\n\n1\n--i--\n--o\n\n2\n--o--\n",
		 "multipart/a[39,69,11](multipart/b[39,12,3](text/plain[1,1,0]) text/plain[1,1,0])"},
		{"Content-Type: multipart/a; boundary=o\n\n--o\nContent-Type: multipart/b; "
		 "boundary=i\n\n--i\n\n1\n--o\n\n2\n--o--\n",
		 "multipart/a[39,63,10](multipart/b[39,6,2](text/plain[1,1,0]) text/plain[1,1,0])"},
		{"Content-Type: multipart/a; boundary=o\n\n--o\nContent-Type: multipart/b; boundary=i\n\n--i\n--o--\n",
		 "multipart/a[39,53,5](multipart/b[39,3,0](text/plain[0,0,0]))"},
		/* the longer of two boundaries counts, the inner of two alike */
		{"Content-Type: multipart/a; boundary=o\n\n--o\nContent-Type: multipart/b; "
		 "boundary=oo\n\n--oo\n\n1\n--oo--\n--o--\n",
		 "multipart/a[39,65,8](multipart/b[40,14,3](text/plain[1,1,0]))"},
		{"Content-Type: multipart/a; boundary=oo\n\n--oo\nContent-Type: multipart/b; "
		 "boundary=o\n\n--o\n\n1\n--oo\n\n2\n--oo--\n",
		 "multipart/a[40,66,10](multipart/b[39,6,2](text/plain[1,1,0]) text/plain[1,1,0])"},
		/* before the longer comes one that is all of the line */
		{"Content-Type: multipart/a; boundary=o--\n\n--o--\nContent-Type: multipart/b; "
		 "boundary=o\n\n--o\n\n1\n--o--\n--o----\n",
		 "multipart/a[41,66,8](multipart/b[39,12,3](text/plain[1,1,0]))"},
		{"Content-Type: multipart/a; boundary=o--\r\n\r\n--o--\r\nContent-Type: multipart/b; "
		 "boundary=o\r\n\r\n--o\r\n\r\n1\r\n--o--x\r\n\r\n2\r\n--o----\r\n",
		 "multipart/a[43,80,10](multipart/b[41,8,2](text/plain[2,1,0]) text/plain[2,1,0])"},
		/* messages */
		{"Content-Type: message/rfc822\n\nSubject: x\n\ny\n", "message/rfc822[30,14,3]<text/plain[12,2,1]>"},
		{"Content-Type: message/rfc822\n", "message/rfc822[29,0,0]<text/plain[0,0,0]>"},
		{"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nSubject: x\n\ny\n",
		 "message/rfc822[64,14,3]<text/plain[12,2,1]>"},
		{"Content-Type: message/global\n\nSubject: x\n\ny\n", "message/global[30,14,3]<text/plain[12,2,1]>"},
		{"Content-Type: message/global\nContent-Transfer-Encoding: base64\n\neA==\n", "message/global[64,5,1]"},
		{"Content-Type: message/partial; id=x\n\nSubject: x\n\ny\n", "message/partial[37,14,3]"},
		{"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n--b\nContent-Type: "
		 "message/rfc822\n--b--\n",
		 "multipart/mixed[43,73,6](message/rfc822[29,0,0]<text/plain[0,0,0]> "
		 "message/rfc822[28,0,0]<text/plain[0,0,0]>)"},
		/* RFC 2046 section 5.1.5 */
		{"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n--b\nContent-Type: "
		 "text/plain\n\nz\n--b--\n",
		 "multipart/digest[44,57,10](message/rfc822[1,13,2]<text/plain[12,1,0]> text/plain[26,1,0])"},
		/* a lone CR is no line end */
		{"Subject: a\rb\r\n\r\nx\ry\r\n", "text/plain[16,5,1]"},
		{"Subject: x\r\r\n\r\nx", "text/plain[15,1,0]"},
		{"\r\r\n", "text/plain[3,0,0]"},
		{"\r", "text/plain[1,0,0]"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		struct slice text = slice_from_cstr(table[i].text);
		char *copy = exact_copy(text);
		struct message *message;
		struct buf packed;

		print_message("%s\n", table[i].text);
		message = message_parse(&arena, slice_of(copy, text.len), NULL);
		assert_string_equal(shown(&arena, message), table[i].expected);
		/* What is unpacked lies in its parent and in order, or is refused. */
		buf_init(&packed, &arena, 0);
		message_pack(&packed, message);
		message = message_unpack(&arena, buf_slice(&packed), slice_of(copy, text.len));
		assert_non_null(message);
		assert_string_equal(shown(&arena, message), table[i].expected);
		free(copy);
	}
}

static struct message *parse(struct arena *arena, struct slice text)
{
	return message_parse(arena, text, NULL);
}

/* RFC 9051 section 6.4.5.1's example, in small. */
static const struct slice nested = {
	"Subject: outer\n"
	"Content-Type: multipart/mixed; boundary=m\n"
	"\n"
	"--m\n"
	"\n"
	"one\n"
	"--m\n"
	"Content-Type: application/octet-stream\n"
	"\n"
	"two\n"
	"--m\n"
	"Content-Type: message/rfc822\n"
	"\n"
	"Subject: third\n"
	"Content-Type: multipart/mixed; boundary=n\n"
	"\n"
	"--n\n"
	"\n"
	"three one\n"
	"--n\n"
	"\n"
	"three two\n"
	"--n--\n"
	"--m\n"
	"Content-Type: multipart/mixed; boundary=o\n"
	"\n"
	"--o\n"
	"Content-Type: image/gif\n"
	"\n"
	"GIF\n"
	"--o\n"
	"Content-Type: message/rfc822\n"
	"Content-ID: x\n"
	"\n"
	"Subject: four two\n"
	"\n"
	"inside\n"
	"--o--\n"
	"--m--\n",
	0,
};

static struct slice nested_text(void)
{
	return slice_from_cstr(nested.data);
}

static const struct section_row {
	uint32_t numbers[4];
	unsigned count;
	enum message_section section;
	const char *expected; /* NULL: there is no such section */
} section_rows[] = {
	{{0}, 0, MESSAGE_SECTION_HEADER, "Subject: outer\nContent-Type: multipart/mixed; boundary=m\n\n"},
	{{0}, 0, MESSAGE_SECTION_MIME, NULL},
	{{1}, 1, MESSAGE_SECTION_BODY, "one"},
	{{1}, 1, MESSAGE_SECTION_MIME, "\n"},
	{{1}, 1, MESSAGE_SECTION_HEADER, NULL},
	{{1}, 1, MESSAGE_SECTION_TEXT, NULL},
	{{1, 1}, 2, MESSAGE_SECTION_BODY, NULL},
	{{2}, 1, MESSAGE_SECTION_BODY, "two"},
	{{2}, 1, MESSAGE_SECTION_MIME, "Content-Type: application/octet-stream\n\n"},
	{{3}, 1, MESSAGE_SECTION_MIME, "Content-Type: message/rfc822\n\n"},
	{{3},
	 1,
	 MESSAGE_SECTION_BODY,
	 "Subject: third\nContent-Type: multipart/mixed; boundary=n\n\n--n\n\nthree one\n--n\n\nthree two\n--n--"},
	{{3}, 1, MESSAGE_SECTION_HEADER, "Subject: third\nContent-Type: multipart/mixed; boundary=n\n\n"},
	{{3}, 1, MESSAGE_SECTION_TEXT, "--n\n\nthree one\n--n\n\nthree two\n--n--"},
	{{3, 1}, 2, MESSAGE_SECTION_BODY, "three one"},
	{{3, 2}, 2, MESSAGE_SECTION_BODY, "three two"},
	{{3, 2}, 2, MESSAGE_SECTION_MIME, "\n"},
	{{3, 3}, 2, MESSAGE_SECTION_BODY, NULL},
	{{4, 1}, 2, MESSAGE_SECTION_BODY, "GIF"},
	{{4, 1}, 2, MESSAGE_SECTION_MIME, "Content-Type: image/gif\n\n"},
	{{4, 2}, 2, MESSAGE_SECTION_BODY, "Subject: four two\n\ninside"},
	{{4, 2}, 2, MESSAGE_SECTION_MIME, "Content-Type: message/rfc822\nContent-ID: x\n\n"},
	{{4, 2}, 2, MESSAGE_SECTION_HEADER, "Subject: four two\n\n"},
	{{4, 2}, 2, MESSAGE_SECTION_TEXT, "inside"},
	{{4, 2, 1}, 3, MESSAGE_SECTION_BODY, "inside"},
	{{4, 2, 1}, 3, MESSAGE_SECTION_MIME, "Subject: four two\n\n"},
	{{4, 2, 2}, 3, MESSAGE_SECTION_BODY, NULL},
	{{4, 2, 1, 1}, 4, MESSAGE_SECTION_BODY, NULL},
	{{4}, 1, MESSAGE_SECTION_HEADER, NULL},
	{{5}, 1, MESSAGE_SECTION_BODY, NULL},
	{{0}, 1, MESSAGE_SECTION_BODY, NULL},
	{{UINT32_MAX}, 1, MESSAGE_SECTION_BODY, NULL},
};

static void check_sections(struct arena *arena, const struct message *message, bool is_crlf)
{
	for (size_t i = 0; i < ROWS(section_rows); i++) {
		const struct section_row *row = &section_rows[i];
		uint64_t start = 0, end = 0;
		bool found = message_section_range(message, row->numbers, row->count, row->section, &start, &end);

		assert_int_equal(found, row->expected != NULL);
		if (found) {
			struct slice expected = slice_from_cstr(row->expected);

			if (is_crlf)
				expected = with_crlf(arena, expected);
			assert_slice(arena, slice_sub(message->bytes, start, end), slice_cstr(arena, expected));
		}
	}
}

/* Likewise after packing; and with CRLF, to the byte. */
static void sections(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct message *message = parse(&arena, nested_text());
	struct buf packed;

	(void)state;
	check_sections(&arena, message, false);
	check_sections(&arena, parse(&arena, with_crlf(&arena, nested_text())), true);
	buf_init(&packed, &arena, 0);
	message_pack(&packed, message);
	check_sections(&arena, message_unpack(&arena, buf_slice(&packed), nested_text()), false);
}

/* A message without parts: its body is its part 1. */
static void sections_of_a_single_part(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct message *message = parse(&arena, SLICE("Subject: x\n\nbody\n"));
	uint32_t numbers[] = {1, 1};
	uint64_t start, end;

	(void)state;
	assert_true(message_section_range(message, numbers, 1, MESSAGE_SECTION_BODY, &start, &end));
	assert_int_equal(start, 12);
	assert_int_equal(end, 17);
	assert_true(message_section_range(message, numbers, 0, MESSAGE_SECTION_BODY, &start, &end));
	assert_int_equal(start, 0);
	assert_false(message_section_range(message, numbers, 2, MESSAGE_SECTION_BODY, &start, &end));
	assert_true(message_section_range(message, numbers, 0, MESSAGE_SECTION_TEXT, &start, &end));
	assert_int_equal(start, 12);
}

static void packed_is_unpacked(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct message *message = parse(&arena, nested_text()), *unpacked;
	struct buf packed, damaged;

	(void)state;
	buf_init(&packed, &arena, 0);
	message_pack(&packed, message);
	unpacked = message_unpack(&arena, buf_slice(&packed), nested_text());
	assert_non_null(unpacked);
	assert_string_equal(shown(&arena, unpacked), shown(&arena, message));
	assert_int_equal(unpacked->part_count, message->part_count);
	assert_false(message_packed_has_8bit(buf_slice(&packed)));
	assert_false(message_packed_has_8bit(SLICE_EMPTY));
	buf_init(&damaged, &arena, 0);
	message_pack(&damaged, parse(&arena, SLICE("Subject: x\r\n\r\n\xe4\r\n")));
	assert_true(message_packed_has_8bit(buf_slice(&damaged)));
	/* A byte too few, a byte too many. */
	for (size_t len = 0; len < packed.len; len++)
		assert_null(message_unpack(&arena, slice_of(packed.data, len), nested_text()));
	buf_init(&damaged, &arena, 0);
	buf_add(&damaged, buf_slice(&packed));
	buf_add_byte(&damaged, 0);
	assert_null(message_unpack(&arena, buf_slice(&damaged), nested_text()));
}

/* ---- limits ---- */

static struct slice nested_to(struct arena *arena, unsigned depth)
{
	struct buf out;

	buf_init(&out, arena, 0);
	for (unsigned i = 0; i < depth; i++)
		buf_printf(&out, "Content-Type: multipart/mixed; boundary=b%u.\n\n--b%u.\n", i, i);
	buf_add_literal(&out, "\ncore\n");
	return buf_slice(&out);
}

static void depth_limit(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice text = nested_to(&arena, 1000);
	struct message *message = message_parse(&arena, text, &(struct message_limits){.max_depth = 3});
	const struct message_part *part = message->root;
	struct buf out;

	(void)state;
	assert_true(message->truncated);
	assert_int_equal(message->part_count, 4);
	for (int i = 0; i < 3; i++)
		part = part->children;
	assert_int_equal(part->kind, MESSAGE_PART_LEAF);
	buf_init(&out, &arena, 0);
	imap_body(&out, &arena, message_parse(&arena, text, &(struct message_limits){.max_depth = 1}));
	/* A multipart that wasn't looked into is not called one. */
	assert_true(slice_starts_with(buf_slice(&out), SLICE("((\"application\" \"octet-stream\" (\"boundary\" \"b1.\")")));
	message = message_parse(&arena, text, &(struct message_limits){.max_depth = 1000000});
	assert_int_equal(message->part_count, 101);
	message = parse(&arena, text);
	assert_int_equal(message->part_count, 100);
	assert_false(parse(&arena, nested_to(&arena, 98))->truncated);
}

static void messages_in_messages(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct message *message;
	struct buf text, out;

	(void)state;
	buf_init(&text, &arena, 0);
	buf_init(&out, &arena, 0);
	for (int i = 0; i < 10000; i++)
		buf_add_literal(&text, "Content-Type: message/rfc822\n\n");
	message = parse(&arena, buf_slice(&text));
	assert_int_equal(message->part_count, 100);
	assert_true(message->truncated);
	imap_body_structure(&out, &arena, message);
	assert_true(slice_find(buf_slice(&out), SLICE("\"application\" \"octet-stream\"")) != SLICE_NOT_FOUND);
}

static void part_limit(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct message *message;
	struct buf out;

	(void)state;
	buf_init(&out, &arena, 0);
	buf_add_literal(&out, "Content-Type: multipart/mixed; boundary=b\n\n");
	for (int i = 0; i < 20000; i++)
		buf_add_literal(&out, "--b\n\nx\n");
	message = parse(&arena, buf_slice(&out));
	assert_true(message->truncated);
	assert_int_equal(message->part_count, 10000);
	assert_int_equal(message->root->body_end, out.len);
	message = message_parse(&arena, buf_slice(&out), &(struct message_limits){.max_parts = 3});
	assert_int_equal(message->part_count, 3);
	assert_int_equal(message->root->child_count, 2);
}

static void header_limits(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct message *message;
	struct buf out;

	(void)state;
	message = message_parse(&arena, SLICE("A: b\nC: d\nE: f\n\nx"), &(struct message_limits){.max_header_bytes = 6});
	assert_true(message->truncated);
	assert_int_equal(message->root->body_start, 10);
	message = message_parse(&arena, SLICE("A: b\nC: d\nContent-Type: text/html\n\nx"),
				&(struct message_limits){.max_header_fields = 2});
	assert_true(message->truncated);
	assert_slice(&arena, message->root->subtype, "plain");
	buf_init(&out, &arena, 0);
	for (int i = 0; i < 200000; i++)
		buf_add_literal(&out, "Content-Type: text/html; a=b; c=d; e=f; g=h\n");
	message = parse(&arena, buf_slice(&out));
	assert_true(message->truncated);
	assert_int_equal(message->root->parameter_count, 4);
	assert_true(message->root->body_start < 1100000);
}

/* Of parameters there are so many, in one field and in all. */
static void parameter_limits(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct message *message;
	struct buf out;
	unsigned count = 0;

	(void)state;
	buf_init(&out, &arena, 0);
	buf_add_literal(&out, "Content-Type: multipart/mixed; boundary=b\n\n");
	for (int i = 0; i < 100; i++) {
		buf_add_literal(&out, "--b\nContent-Type: text/plain");
		for (int j = 0; j < 1500; j++)
			buf_add_literal(&out, ";a=b");
		buf_add_literal(&out, "\n\n");
	}
	message = parse(&arena, buf_slice(&out));
	assert_true(message->truncated);
	assert_int_equal(message->root->children->parameter_count, 1000);
	for (const struct message_part *part = message->root->children; part; part = part->next)
		count += part->parameter_count;
	assert_int_equal(count, 50000 - 1);
}

static void eight_bit(void **state)
{
	struct arena arena SCOPED_ARENA;

	(void)state;
	assert_false(parse(&arena, nested_text())->has_8bit);
	assert_true(parse(&arena, SLICE("Subject: ä\n\nx"))->has_8bit);
	for (size_t at = 0; at < 200; at++) {
		char text[200];

		memset(text, 'x', sizeof(text));
		text[at] = '\x80';
		assert_true(parse(&arena, slice_of(text, sizeof(text)))->has_8bit);
		text[at] = '\x7f';
		assert_false(parse(&arena, slice_of(text, sizeof(text)))->has_8bit);
	}
}

static void lines_are_counted(void **state)
{
	(void)state;
	for (size_t len = 0; len < 5000; len += len < 100 ? 1 : 97) {
		struct arena arena SCOPED_ARENA;
		char *text = malloc(len + 1);

		assert_non_null(text);
		text[0] = '\n';
		for (size_t i = 1; i <= len; i++)
			text[i] = i % 3 ? '\n' : 'x';
		assert_int_equal(parse(&arena, slice_of(text, len + 1))->root->body_lines, len - len / 3);
		free(text);
	}
}

/* Bodies are looked at many bytes at a time: a boundary is found wherever it stands, and no line is lost. */
static void boundaries_at_every_offset(void **state)
{
	(void)state;
	for (unsigned pad = 0; pad < 200; pad++) {
		for (unsigned width = 1; width < 80; width += 13) {
			struct arena arena SCOPED_ARENA;
			struct buf text;
			const struct message_part *first;
			char *copy;

			buf_init(&text, &arena, 0);
			buf_add_literal(&text, "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n");
			for (unsigned i = 0; i < pad; i++)
				buf_add_byte(&text, i % width ? 'x' : '\n');
			buf_add_literal(&text, "\n--a\n-\n--b\n\ntwo\n--b--");
			copy = exact_copy(buf_slice(&text));
			first = parse(&arena, slice_of(copy, text.len))->root->children;
			assert_int_equal(first->body_end - first->body_start, pad + 6);
			assert_int_equal(first->body_lines, (pad + width - 1) / width + 2);
			assert_int_equal(first->next->body_end - first->next->body_start, 3);
			assert_null(first->next->next);
			free(copy);
		}
	}
}

/* ---- header fields ---- */

static void fields(void **state)
{
	static const struct {
		const char *header, *expected;
	} table[] = {
		{"A: b\nC:d\n\nX: y\n", "A= b|C=d|"},
		{"A: b\r\n c\r\n\td\r\nE: f\r\n\r\n", "A= b\r\n c\r\n\td|E= f|"},
		{"A : b\n", "A= b|"},
		{"A\t: b", "A= b|"},
		{"A:", "A=|"},
		{"A:\n", "A=|"},
		{": b\nC: d\n", "C= d|"},
		{"nothing\nC: d\n", "C= d|"},
		{"nothing\n : x\nC: d\n", "C= d|"},
		{" first\nC: d\n", "C= d|"},
		{"From someone Mon Jan 1 00:00:00 2026\nC: d\n", "From someone Mon Jan 1 00=00:00 2026|C= d|"},
		{"A: b\rC: d\r\n", "A= b\rC: d|"},
		{"A:b:c\n", "A=b:c|"},
		{"\nA: b", ""},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		size_t len = strlen(table[i].header);
		char *copy = exact_copy(slice_from_cstr(table[i].header));
		struct slice rest = slice_of(copy, len);
		struct header_field field;
		struct buf out;

		buf_init(&out, &arena, 0);
		while (header_next(&rest, &field)) {
			buf_add(&out, field.name);
			buf_add_byte(&out, '=');
			buf_add(&out, field.value);
			buf_add_byte(&out, '|');
		}
		assert_slice(&arena, buf_slice(&out), table[i].expected);
		free(copy);
	}
}

static void fields_found(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice header = SLICE("Received: a\nSubject: b\n c\nsubject: d\nX:\n\nTo: e\n");

	(void)state;
	assert_slice(&arena, header_find(header, SLICE("SUBJECT")), " b\n c");
	assert_slice(&arena, header_unfold(&arena, header_find(header, SLICE("Subject"))), "b c");
	assert_slice(&arena, header_find(header, SLICE("x")), "");
	assert_slice(&arena, header_find(header, SLICE("To")), NULL);
	assert_slice(&arena, header_find(header, SLICE("")), NULL);
	assert_slice(&arena, header_find(header, SLICE("Sub")), NULL);
	assert_slice(&arena, header_unfold(&arena, SLICE(" a\r\n  b\n\tc ")), "a  b\tc");
}

/* ---- bodies ---- */

static void encodings(void **state)
{
	static const struct {
		const char *encoding, *body, *expected;
	} table[] = {
		{"", "a=3D\r\n", "a=3D\r\n"},
		{"8bit", "ä", "ä"},
		{"x-unknown", "a=3D", "a=3D"},
		/* RFC 2045 section 6.7 */
		{"quoted-printable", "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
		 "Now's the time for all folk to come to the aid of their country."},
		{"Quoted-Printable", "a=3Db=3db=20\r\n", "a=b=b \r\n"},
		{"quoted-printable", "end  \t\r\nnext", "end\r\nnext"},
		{"quoted-printable", "soft= \r\nbreak=\nhere=", "softbreakhere"},
		{"quoted-printable", "=4 =zz =", "=4 =zz "},
		{"quoted-printable", "=C3=A4", "ä"},
		{"quoted-printable", "", ""},
		/* RFC 2045 section 6.8 */
		{"base64", "YWJj\r\nZGVm\r\n", "abcdef"},
		{"BASE64", "YWJjZA==", "abcd"},
		{"base64", "YWJjZA", "abcd"},
		{"base64", "Y W!J*j", "abc"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		char *body = exact_copy(slice_from_cstr(table[i].body));
		struct buf out;

		buf_init(&out, &arena, 0);
		message_decode_body(&out, slice_of(body, strlen(table[i].body)), slice_from_cstr(table[i].encoding));
		assert_slice(&arena, buf_slice(&out), table[i].expected);
		free(body);
	}
}

static void texts(void **state)
{
	static const struct {
		const char *message, *expected;
	} table[] = {
		{"\nplain\r\n", "plain\r\n"},
		{"\nä", "ä"},
		{"\n\xe4", "ä"},
		{"Content-Type: text/plain; charset=iso-8859-1\n\n\xe4", "ä"},
		{"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A4=\nx", "äx"},
		{"Content-Type: text/plain; charset=iso-2022-jp\n\n\x1b$BF|\x1b(B", "日"},
		{"Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64\n\n5AA=", "ä"},
		{"Content-Type: text/plain; charset=x-nowhere\n\na\xe4", "a\xef\xbf\xbd"},
		{"Content-Type: text/plain; charset*=us-ascii''utf-8\n\nä", "ä"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		struct message *message = parse(&arena, slice_from_cstr(table[i].message));

		assert_slice(&arena, message_part_text(&arena, message, message->root), table[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structures),
		cmocka_unit_test(sections),
		cmocka_unit_test(sections_of_a_single_part),
		cmocka_unit_test(packed_is_unpacked),
		cmocka_unit_test(depth_limit),
		cmocka_unit_test(messages_in_messages),
		cmocka_unit_test(part_limit),
		cmocka_unit_test(header_limits),
		cmocka_unit_test(parameter_limits),
		cmocka_unit_test(eight_bit),
		cmocka_unit_test(lines_are_counted),
		cmocka_unit_test(boundaries_at_every_offset),
		cmocka_unit_test(fields),
		cmocka_unit_test(fields_found),
		cmocka_unit_test(encodings),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
