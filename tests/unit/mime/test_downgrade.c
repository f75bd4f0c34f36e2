#include "fixture.h"

#include "mime/downgrade.h"
#include "mime/message.h"

static void downgraded(void **state)
{
#define INVALID "<invalid@internationalized-address.invalid>"
	static const struct {
		const char *header, *expected;
	} table[] = {
		{"", ""},
		{"\r\n", "\r\n"},
		{"Subject:  plain \r\n\tfolded\r\nX : y\n\r\n", "Subject:  plain \r\n\tfolded\r\nX : y\n\r\n"},
		/* texts */
		{"Subject: Grüße\r\n\r\n", "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n\r\n"},
		{"SUBJECT: =?iso-8859-1?q?=E4?= ö\r\n x\r\n", "SUBJECT: =?utf-8?b?w6Qgw7Y=?= x\r\n"},
		{"Content-Description: \xe4\r\n", "Content-Description: =?utf-8?b?w6Q=?=\r\n"},
		/* fields that have no other form, names, what is no field */
		{"Message-ID: <ä@b>\r\nX-Ö: o\r\nnonsense ö\r\nX-Own: ö\r\n ö\r\nDate: x\r\n\r\n", "Date: x\r\n\r\n"},
		/* addresses: a domain has another form, a local part has none (RFC 6858 section 2.1) */
		{"From: Jörg <joerg@bücher.example>\r\n", "From: =?utf-8?b?SsO2cmc=?= <joerg@xn--bcher-kva.example>\r\n"},
		{"From: <jörg@b.example>\r\n", "From: =?utf-8?b?asO2cmdAYi5leGFtcGxl?=\r\n " INVALID "\r\n"},
		{"To: \"A. \\\"B\\\"\" <ö@b.example>, c@d.example\r\n", "To: \"A. \\\"B\\\"\" " INVALID ", <c@d.example>\r\n"},
		{"Cc: grüße: a@b.example, c@d.example;, e@f.example\r\n",
		 "Cc: =?utf-8?b?Z3LDvMOfZQ==?=: <a@b.example>, <c@d.example>;, <e@f.example>\r\n"},
		{"Bcc: \"x ö\"@b.example, \"x y\"@b.example\r\n",
		 "Bcc: =?utf-8?b?eCDDtkBiLmV4YW1wbGU=?=\r\n " INVALID ", <\"x y\"@b.example>\r\n"},
		/* parameters */
		{"Content-Type: text/plain; charset=utf-8; name=\"ä b\"\r\n",
		 "Content-Type: text/plain; charset=\"utf-8\"; name*=utf-8''%C3%A4%20b\r\n"},
		{"Content-Disposition: attachment; size=1; filename*=utf-8''%c3%a4; x=\"ö\"\r\n",
		 "Content-Disposition: attachment; size=\"1\"; filename*=utf-8''%c3%a4;\r\n x*=utf-8''%C3%B6\r\n"},
		{"Content-Type: text/plaïn; charset=utf-8\r\n", ""},
		/* the line end before a boundary isn't the header's */
		{"A: b\r\nSubject: ö", "A: b\r\nSubject: =?utf-8?b?w7Y=?="},
		{"A: b\r\nX: ö", "A: b"},
		{"X: ö", ""},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		struct slice header = slice_from_cstr(table[i].header);
		char *copy = exact_copy(header);
		struct buf out;

		buf_init(&out, &arena, 0);
		downgrade_header(&out, &arena, slice_of(copy, header.len));
		assert_slice(&arena, buf_slice(&out), table[i].expected);
		assert_int_equal(downgrade_is_needed(header), !slice_is_ascii(header));
		free(copy);
	}
}

/* RFC 5322 section 2.1.1: no line gets longer than it may be; what would make one so goes. */
static void lines_stay_short(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct buf header, out;
	struct slice rest;

	(void)state;
	buf_init(&header, &arena, 0);
	buf_init(&out, &arena, 0);
	for (int kind = 0; kind < 3; kind++) {
		buf_add(&header, kind == 0   ? SLICE("Subject: ")
				 : kind == 1 ? SLICE("Content-Type: a/b; c=d; name=\"")
					     : SLICE("To: "));
		for (int i = 0; i < 2000; i++)
			buf_add(&header, kind == 2 ? SLICE("ö@b.example, ") : SLICE("ö"));
		buf_add(&header, kind == 1 ? SLICE("\"\r\n") : SLICE("\r\n"));
	}
	downgrade_header(&out, &arena, buf_slice(&header));
	rest = buf_slice(&out);
	assert_int_not_equal(slice_find(rest, SLICE("Content-Type: a/b; c=\"d\"\r\n")), SLICE_NOT_FOUND);
	while (rest.len > 0)
		assert_true(slice_cut(&rest, '\n').len < 998);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(downgraded),
		cmocka_unit_test(lines_stay_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
