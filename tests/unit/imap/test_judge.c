/* What a search makes of attachments that nobody has read: an answer only where they can't change it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "imap/parse.h"
#include "imap/search.h"

static const char letter[] = "Subject: greeting\r\n\r\nplain words\r\n";

static enum search_answer judge(const char *keys, const char *attachment)
{
	struct arena arena SCOPED_ARENA;
	struct buf structure, packed;
	struct search_request request = {.extended = false};
	struct imap_parser p;
	struct email email = {.uid = 7, .bytes = {letter, sizeof(letter) - 1}, .size = sizeof(letter) - 1};
	struct view_message message = {.uid = 7, .sequence = 3, .email = 70};
	struct search_text text = {.email = &email, .attachments_unread = attachment == NULL};

	buf_init(&structure, &arena, 0);
	buf_init(&packed, &arena, 0);
	message_pack(&structure, message_parse(&arena, email.bytes, NULL));
	email.structure = buf_slice(&structure);
	if (attachment)
		attachment_texts_add(&packed, &(struct attachment_text){1, 1, slice_from_cstr(attachment)});
	text.attachments = buf_slice(&packed);
	imap_parser_init(&p, &arena, slice_from_cstr(keys), true);
	assert_true(imap_parse_search(&p, &request) && imap_parse_end(&p));
	return search_judge(request.key, &message, &text, &arena);
}

static const struct {
	const char *keys;
	enum search_answer unread, with_needle;
} cases[] = {
	{"BODY plain", SEARCH_YES, SEARCH_YES},
	{"TEXT greeting", SEARCH_YES, SEARCH_YES},
	{"BODY greeting", SEARCH_UNKNOWN, SEARCH_NO},
	{"BODY needle", SEARCH_UNKNOWN, SEARCH_YES},
	{"TEXT \"n\xc3\xa9"
	 "edle\"",
	 SEARCH_UNKNOWN, SEARCH_NO},
	{"NOT BODY needle", SEARCH_UNKNOWN, SEARCH_NO},
	{"NOT BODY nothing", SEARCH_UNKNOWN, SEARCH_YES},
	{"NOT BODY plain", SEARCH_NO, SEARCH_NO},
	{"HEADER subject greet BODY needle", SEARCH_UNKNOWN, SEARCH_YES},
	{"HEADER subject other BODY needle", SEARCH_NO, SEARCH_NO},
	{"OR HEADER subject greet BODY needle", SEARCH_YES, SEARCH_YES},
	{"OR HEADER subject other BODY needle", SEARCH_UNKNOWN, SEARCH_YES},
	{"BODY needle NOT BODY words", SEARCH_NO, SEARCH_NO},
	{"BODY needle NOT BODY nothing", SEARCH_UNKNOWN, SEARCH_YES},
	{"OR (BODY needle NOT BODY nothing) BODY plain", SEARCH_YES, SEARCH_YES},
	{"LARGER 100000 BODY needle", SEARCH_NO, SEARCH_NO},
	{"NOT (OR BODY plain BODY needle)", SEARCH_NO, SEARCH_NO},
	{"FUZZY BODY needles", SEARCH_UNKNOWN, SEARCH_YES},
	{"FUZZY BODY \"plian words\"", SEARCH_YES, SEARCH_YES},
	{"BODY \"\"", SEARCH_YES, SEARCH_YES},
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (judge(cases[i].keys, NULL) != cases[i].unread)
			fail_msg("unread: %s", cases[i].keys);
		if (judge(cases[i].keys, "a Needle in attachments") != cases[i].with_needle)
			fail_msg("read: %s", cases[i].keys);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
