/* Which converter reads which part, in which order; editions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "extract/converters.h"
#include "extract/job.h"

static const struct converter list[] = {
	{{"application/pdf application/x-pdf .pdf", 38}, {"/usr/bin/pdftotext - -", 22}},
	{{"application/rtf text/rtf .rtf", 29}, {"internal:rtf", 12}},
	{{"application/odt .odt", 20}, {"internal:office", 15}},
};
static const struct converters converters = {list, 3, 1000, 100};

static size_t find(const char *fields)
{
	struct arena arena SCOPED_ARENA;
	struct buf text;

	buf_init(&text, &arena, 0);
	buf_printf(&text, "%s\r\n\r\nbody\r\n", fields);
	return converter_for(&converters, message_parse(&arena, buf_slice(&text), NULL)->root);
}

static void test_types(void **state)
{
	(void)state;
	assert_int_equal(find("Content-Type: application/pdf"), 0);
	assert_int_equal(find("Content-Type: APPLICATION/X-PDF; name=a.odt"), 0); /* the type goes first */
	assert_int_equal(find("Content-Type: text/rtf"), 1);
	assert_int_equal(find("Content-Type: application/octet-stream; name=\"A.B.ODT\""), 2);
	assert_int_equal(
		find("Content-Type: application/octet-stream; name=a.pdf\r\nContent-Disposition: attachment; filename=b.rtf"),
		1);
	assert_int_equal(
		find("Content-Type: application/download\r\nContent-Disposition: attachment; filename*=utf-8''%c3%bc.pdf"), 0);
	assert_int_equal(find("Content-Type: application/octet-stream; name=pdf"), CONVERTER_NONE);
	assert_int_equal(find("Content-Type: application/octet-stream; name=a.pdfx"), CONVERTER_NONE);
	assert_int_equal(find("Content-Type: application/octet-stream"), CONVERTER_NONE);
	assert_int_equal(find("Content-Type: text/plain; name=a.pdf"), CONVERTER_NONE); /* read as text */
	assert_int_equal(find("Content-Type: image/png; name=a.pdf"), CONVERTER_NONE);
	assert_int_equal(find("Content-Type: message/rfc822; name=a.pdf"), CONVERTER_NONE);
	assert_int_equal(find("Subject: x"), CONVERTER_NONE);
}

static void test_parts(void **state)
{
	struct arena arena SCOPED_ARENA;
	const struct message *message =
		message_parse(&arena,
			      SLICE("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: "
				    "text/rtf\r\n\r\n1\r\n"
				    "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; "
				    "boundary=c\r\n\r\n--c\r\nContent-Type: "
				    "application/pdf\r\n\r\n2\r\n--c--\r\n--b\r\nContent-Type: "
				    "image/png\r\n\r\nx\r\n--b\r\nContent-Type: application/odt\r\n\r\n"
				    "3\r\n--b--\r\n"),
			      NULL);
	const struct message_part *part = NULL;
	size_t converter;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		static const size_t wanted[] = {1, 0, 2};

		part = converter_next_part(&converters, message, part, &converter);
		assert_non_null(part);
		assert_int_equal(converter, wanted[i]);
		assert_int_equal(message_body(message, part).data[0], '1' + (int)i);
	}
	assert_null(converter_next_part(&converters, message, part, &converter));
}

static void test_editions(void **state)
{
	struct converter others[] = {list[0], list[1], list[2]};
	struct converters other = {others, 3, 1000, 100};
	int64_t edition = converters_edition(&converters);

	(void)state;
	assert_true(edition > 0);
	assert_int_equal(converters_edition(&other), edition);
	other.attachment_text = 101;
	assert_int_not_equal(converters_edition(&other), edition);
	assert_true(converter_number(&other, 0) != converter_number(&converters, 0));
	other.attachment_text = 100;
	other.count = 2;
	assert_int_not_equal(converters_edition(&other), edition);
	assert_true(converter_number(&other, 1) == converter_number(&converters, 1));
	other.count = 3;
	others[2].command = SLICE("internal:rtf");
	assert_int_not_equal(converters_edition(&other), edition);
	assert_true(converter_number(&other, 2) != converter_number(&converters, 2));
	others[2] = list[2];
	others[0].types = SLICE("application/pdf");
	assert_int_not_equal(converters_edition(&other), edition);
	assert_true(converter_number(&other, 0) == converter_number(&converters, 0));
}

static void test_jobs(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct convert_job job = {SLICE("/bin/a  -b c"), 1 << 20, 20, 4711}, read;
	struct buf frame, many;

	(void)state;
	buf_init(&frame, &arena, 0);
	buf_init(&many, &arena, 0);
	convert_job_pack(&frame, &job);
	assert_true(convert_job_unpack(buf_slice(&frame), &read));
	assert_int_equal(read.memory, 1 << 20);
	assert_int_equal(read.time_s, 20);
	assert_int_equal(read.parent, 4711);
	assert_false(convert_job_unpack(slice_sub(buf_slice(&frame), 0, frame.len - 1), &read));
	char **words = convert_job_words(&arena, read.command);

	assert_string_equal(words[0], "/bin/a");
	assert_string_equal(words[1], "-b");
	assert_string_equal(words[2], "c");
	assert_null(words[3]);
	assert_null(convert_job_words(&arena, SLICE_EMPTY));
	for (unsigned i = 0; i < CONVERT_WORDS_MAX + 1; i++)
		buf_add_literal(&many, "w ");
	assert_null(convert_job_words(&arena, buf_slice(&many)));
	assert_true(slice_eq(converter_program(job.command), SLICE("/bin/a")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_editions),
		cmocka_unit_test(test_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
