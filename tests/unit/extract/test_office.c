/* Archives, XML, and the documents made of them; whole, cut off, bent and lying. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/arena.h"
#include "extract/office.h"
#include "extract/xml_text.h"
#include "extract/zip.h"

/* ---- archives as they are made ---- */

struct archive {
	struct buf files, directory;
	unsigned count;
};

static void put(struct buf *out, uint64_t number, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		buf_add_byte(out, i < 8 ? (char)(number >> 8 * i) : 0);
}

static struct slice deflated(struct arena *arena, struct slice text)
{
	z_stream stream = {0};
	char *room = arena_alloc(arena, text.len + 1000);

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = (Bytef *)(uintptr_t)text.data;
	stream.avail_in = (uInt)text.len;
	stream.next_out = (Bytef *)room;
	stream.avail_out = (uInt)text.len + 1000;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	return slice_of(room, stream.total_out);
}

/* method 8: deflated. */
static void add_file(struct archive *archive, const char *name, struct slice text, unsigned method, unsigned flags)
{
	struct arena arena SCOPED_ARENA;
	struct slice packed = method == 8 ? deflated(&arena, text) : text;
	size_t at = archive->files.len;

	buf_add_literal(&archive->files, "PK\3\4");
	put(&archive->files, 0, 22);
	put(&archive->files, strlen(name), 2);
	put(&archive->files, 3, 2);
	buf_printf(&archive->files, "%sxyz", name);
	buf_add(&archive->files, packed);
	buf_add_literal(&archive->directory, "PK\1\2");
	put(&archive->directory, 20, 4);
	put(&archive->directory, flags, 2);
	put(&archive->directory, method, 2);
	put(&archive->directory, 0, 8);
	put(&archive->directory, packed.len, 4);
	put(&archive->directory, text.len, 4);
	put(&archive->directory, strlen(name), 2);
	put(&archive->directory, 0, 12);
	put(&archive->directory, at, 4);
	buf_printf(&archive->directory, "%s", name);
	archive->count++;
}

static struct slice finish(struct archive *archive, const char *comment)
{
	size_t start = archive->files.len, size = archive->directory.len;

	buf_add(&archive->files, buf_slice(&archive->directory));
	buf_add_literal(&archive->files, "PK\5\6");
	put(&archive->files, 0, 4);
	put(&archive->files, archive->count, 2);
	put(&archive->files, archive->count, 2);
	put(&archive->files, size, 4);
	put(&archive->files, start, 4);
	put(&archive->files, strlen(comment), 2);
	buf_printf(&archive->files, "%s", comment);
	return buf_slice(&archive->files);
}

static void give_back(struct archive *archive)
{
	buf_free(&archive->files);
	buf_free(&archive->directory);
}
#define SCOPED_ARCHIVE __attribute__((cleanup(give_back))) = {{0}, {0}, 0}

/* ---- zip ---- */

static void test_zip(void **state)
{
	struct archive archive SCOPED_ARCHIVE;
	struct zip_entry entry;
	struct zip zip;
	struct buf text SCOPED_BUF;

	(void)state;
	add_file(&archive, "one", SLICE("stored text"), 0, 0);
	add_file(&archive, "secret", SLICE("not read"), 8, 1);
	add_file(&archive, "bzip", SLICE("not read"), 12, 0);
	add_file(&archive, "two", SLICE("deflated deflated deflated deflated"), 8, 0);
	assert_true(zip_open(&zip, finish(&archive, "a comment with PK\5\6 in it, and some more text behind that")));
	assert_true(zip_next(&zip, &entry));
	assert_true(slice_eq(entry.name, SLICE("one")));
	zip_read(&entry, 6, &text);
	assert_true(slice_eq(buf_slice(&text), SLICE("stored")));
	assert_true(zip_next(&zip, &entry));
	assert_true(slice_eq(entry.name, SLICE("two")));
	buf_clear(&text);
	zip_read(&entry, 100, &text);
	assert_true(slice_eq(buf_slice(&text), SLICE("deflated deflated deflated deflated")));
	buf_clear(&text);
	zip_read(&entry, 11, &text);
	assert_true(slice_eq(buf_slice(&text), SLICE("deflated de")));
	assert_false(zip_next(&zip, &entry));
	assert_false(zip_open(&zip, SLICE("no archive")));
	assert_false(zip_open(&zip, SLICE_EMPTY));
}

/* Wherever it is cut off, and whichever byte is another: no more than is there is read. */
static void test_damaged_zip(void **state)
{
	struct archive archive SCOPED_ARCHIVE;

	(void)state;
	add_file(&archive, "word/document.xml", SLICE("<w:t>text text text text</w:t>"), 8, 0);
	add_file(&archive, "content.xml", SLICE("<a>more</a>"), 0, 0);
	struct slice whole = finish(&archive, "");
	char *copy = malloc(whole.len);

	assert_non_null(copy);
	for (size_t i = 0; i < whole.len; i++) {
		for (unsigned change = 0; change < 4; change++) {
			struct buf out SCOPED_BUF;

			memcpy(copy, whole.data, whole.len);
			copy[i] = (char)(change == 0 ? 0 : change == 1 ? 0xff : copy[i] ^ (1 << change));
			bool is_whole = office_to_text(&out, slice_of(copy, whole.len)),
			     is_part = office_to_text(&out, slice_of(copy, i));

			assert_true(out.len < 1000 && (is_whole || !is_part));
		}
	}
	free(copy);
}

/* ---- XML ---- */

static void test_xml(void **state)
{
	static const struct xml_rules all = {.hidden = "secret", .breaks = "p br"}, some = {.texts = "t", .breaks = "p"},
				      cells = {.texts = "t v", .breaks = "c", .has_cells = true};
	static const struct {
		const struct xml_rules *rules;
		const char *xml, *text;
	} cases[] = {
		{&all, "<?xml version='1.0'?><a>x<b>y</b>z</a>", "xyz\n"},
		{&all, "<a><x:p>one</x:p><p>two</p></a>", "one\ntwo\n\n"},
		{&all, "a<br/>b<br />c<p/><p/>d", "a\nb\nc\nd\n"},
		{&all, "&amp;&lt;&gt;&quot;&apos;&#252;&#xDF;&#x1F600;&unknown;&#0;&#xd800;&#1114112;&;&",
		 "&<>\"'\xc3\xbc\xc3\x9f\xf0\x9f\x98\x80&unknown;&#0;&#xd800;&#1114112;&;&\n"},
		{&all, "a<!-- <p>no</p> -->b<![CDATA[<c>&amp;]]>d", "ab<c>&amp;d\n"},
		{&all, "<!DOCTYPE a [<!ENTITY b \"bomb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>", "&c;\n"},
		{&all, "<!DOCTYPE a>x", "x\n"},
		{&all, "a<secret>b<secret>c</secret>d</secret>e</secret>f", "aef\n"},
		{&all, "<a b=\">\" c='>'>x</a>", "x\n"},
		{&all, "x<a", "x\n"},
		{&all, "x<!--", "x\n"},
		{&all, "x<![CDATA[y", "xy\n"},
		{&all, "x<", "x\n"},
		{&all, "x</", "x\n"},
		{&all, "x<!", "x\n"},
		{&all, "", "\n"},
		{&some, "<p>no<w:t>yes</w:t>no<w:t xml:space='preserve'> too</w:t><t/>no</p>no", "yes too\n\n"},
		{&cells,
		 "<c r='A' t=\"s\"><v>0</v></c><c><v>12</v></c><c t='s'><v>1</v></c><c t='inlineStr'><is><t>in</t></is></c>",
		 "12\nin\n\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out SCOPED_BUF;

		xml_to_text(&out, slice_from_cstr(cases[i].xml), cases[i].rules);
		assert_int_equal(out.len, strlen(cases[i].text));
		assert_memory_equal(out.data, cases[i].text, out.len);
	}
	struct buf out SCOPED_BUF;

	xml_to_text(&out, SLICE("\xff\xfe<\0a\0>\0\xfc\0<\0/\0a\0>\0"), &all);
	assert_true(slice_eq(buf_slice(&out), SLICE("\xc3\xbc\n")));
}

/* What never ends is read once: with quadratic reading this would take hours. */
static void test_long_xml(void **state)
{
	static const char *const pieces[] = {"<",    "<!",   "<!--", "<![CDATA[", "&",  "<a b=\"",
					     "</t>", "<!a>", "<?",   "&#1",       "<t>"};
	static const struct xml_rules rules = {.texts = "t", .hidden = "h", .breaks = "p"};

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct buf xml SCOPED_BUF, out SCOPED_BUF;

		while (xml.len < 1000000)
			buf_add(&xml, slice_from_cstr(pieces[i]));
		xml_to_text(&out, buf_slice(&xml), &rules);
		assert_true(out.len <= xml.len + 1);
	}
}

/* ---- documents ---- */

static void check(struct archive *archive, const char *text)
{
	struct buf out SCOPED_BUF;
	struct slice found, rest;

	assert_true(office_to_text(&out, finish(archive, "")));
	rest = slice_from_cstr(text);
	found = buf_slice(&out);
	while (rest.len > 0) {
		struct slice line = slice_cut(&rest, '|');
		size_t at = slice_find(found, line);

		if (at == SLICE_NOT_FOUND)
			fail_msg("%.*s isn't in %.*s", SLICE_ARG(line), SLICE_ARG(buf_slice(&out)));
		found = slice_skip(found, at + line.len);
	}
	assert_int_equal(slice_find(buf_slice(&out), SLICE("HIDDEN")), SLICE_NOT_FOUND);
}

static void test_word(void **state)
{
	struct archive archive SCOPED_ARCHIVE;

	(void)state;
	add_file(&archive, "[Content_Types].xml", SLICE("<HIDDEN>HIDDEN</HIDDEN>"), 8, 0);
	add_file(&archive, "word/document.xml",
		 SLICE("<w:p><w:r><w:t>di</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>vided</w:t></w:r></"
		       "w:p><w:p><w:instrText>HIDDEN</w:instrText>"
		       "<w:del><w:delText>HIDDEN</w:delText></w:del><w:t>next</w:t><w:tab/><w:t>cell</w:t></w:p>"),
		 8, 0);
	add_file(&archive, "word/styles.xml", SLICE("<w:t>HIDDEN</w:t>"), 8, 0);
	add_file(&archive, "word/footnotes.xml", SLICE("<w:t>note</w:t>"), 0, 0);
	add_file(&archive, "docProps/core.xml", SLICE("<dc:title>The title</dc:title><cp:revision>HIDDEN</cp:revision>"), 8, 0);
	check(&archive, "divided\n|next\ncell|note|The title");
}

static void test_open_document(void **state)
{
	struct archive archive SCOPED_ARCHIVE;

	(void)state;
	add_file(&archive, "mimetype", SLICE("HIDDEN"), 0, 0);
	add_file(&archive, "Pictures/content.xml", SLICE("<a>HIDDEN</a>"), 0, 0);
	add_file(&archive, "content.xml",
		 SLICE("<office:automatic-styles>HIDDEN</office:automatic-styles><text:tracked-changes><text:p>HIDDEN</"
		       "text:p></text:tracked-changes>"
		       "<text:h>Head</text:h><text:p>a<text:s/>b<text:span>c</text:span></text:p><table:table-cell><text:p>7</"
		       "text:p></table:table-cell>"),
		 8, 0);
	add_file(&archive, "meta.xml", SLICE("<dc:title>T</dc:title><meta:generator>HIDDEN</meta:generator>"), 8, 0);
	check(&archive, "Head\n|a\nbc\n|7\n|T");
}

static void test_book(void **state)
{
	struct archive archive SCOPED_ARCHIVE;

	(void)state;
	add_file(&archive, "OEBPS/one.xhtml", SLICE("<p>First <b>chap</b>ter</p><script>HIDDEN</script>"), 8, 0);
	add_file(&archive, "OEBPS/style.css", SLICE("HIDDEN"), 8, 0);
	check(&archive, "First chapter");
}

/* What unpacks to gigabytes is read so far as is allowed; so is what goes to a buffer with a limit. */
static void test_bomb(void **state)
{
	struct archive archive SCOPED_ARCHIVE;
	struct buf zeros SCOPED_BUF, out SCOPED_BUF;

	(void)state;
	while (zeros.len < 40000000)
		buf_add_literal(
			&zeros,
			"<w:t>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx</w:t>");
	for (unsigned i = 0; i < 4; i++) {
		char name[32];
		struct buf text = {.data = name, .cap = sizeof(name), .limit = sizeof(name)};

		buf_printf(&text, "word/header%u.xml%c", i, '\0');
		add_file(&archive, name, buf_slice(&zeros), 8, 0);
	}
	assert_true(archive.files.len < 1000000);
	struct slice bomb = finish(&archive, "");

	assert_true(office_to_text(&out, bomb));
	assert_true(out.len > 30000000 && out.len <= 64 * 1024 * 1024);
	buf_free(&out);
	buf_init(&out, NULL, 5000);
	assert_true(office_to_text(&out, bomb));
	assert_true(out.len <= 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zip),      cmocka_unit_test(test_damaged_zip), cmocka_unit_test(test_xml),
		cmocka_unit_test(test_long_xml), cmocka_unit_test(test_word),        cmocka_unit_test(test_open_document),
		cmocka_unit_test(test_book),     cmocka_unit_test(test_bomb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
