/* Where reports on TLS go (RFC 8460 section 3), and what they look like as a message (RFC 8460 section 5.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include <cmocka.h>

#include "relay/tls_document.h"
#include "relay/tls_mail.h"
#include "relay/tls_rua.h"

/* The places with ' ' behind each; "none". */
static struct slice find(struct arena *arena, const char *one, const char *two)
{
	const struct slice texts[] = {slice_from_cstr(one), slice_from_cstr(two)};
	struct tls_rua places[TLS_RUA_MAX];
	struct buf out;
	size_t count;

	buf_init(&out, arena, 0);
	if (tls_rua_find(arena, texts, two ? 2 : 1, places, &count) != STATUS_OK)
		return SLICE("none");
	for (size_t i = 0; i < count; i++) {
		buf_add(&out, places[i].is_mail ? places[i].address : places[i].host);
		buf_add(&out, places[i].is_mail ? SLICE_EMPTY : places[i].path);
		buf_add_byte(&out, ' ');
	}
	return buf_slice(&out);
}

static void test_places(void **state)
{
	static const struct {
		const char *one, *two, *places;
	} cases[] = {
		{"v=TLSRPTv1;rua=mailto:reports@example.com", NULL, "reports@example.com "},
		{"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", NULL, "reporting.example.com/v1/tlsrpt "},
		{"v=TLSRPTv1; x=y; rua=mailto:%22a%2Cb%3B!%22@Example.com?subject=x, https://r.example.com:443;", NULL,
		 "\"a,b;!\"@example.com r.example.com/ "},
		{"v=spf1 -all", "v=TLSRPTv1;rua=mailto:a@b.test", "a@b.test "},
		{"v=TLSRPTv1;rua=mailto:a@b.test", "v=TLSRPTv1;rua=mailto:a@b.test", "none"},
		{"v=TLSRPTv2;rua=mailto:a@b.test", NULL, "none"},
		{"rua=mailto:a@b.test;v=TLSRPTv1", NULL, "none"},
		{"v=TLSRPTv1", NULL, "none"},
		{"", NULL, "none"},
		/* no place that we could or would send to */
		{"v=TLSRPTv1;rua=http://r.test/", NULL, "none"},
		{"v=TLSRPTv1;rua=https://127.0.0.1/", NULL, "none"},
		{"v=TLSRPTv1;rua=https://[::1]/", NULL, "none"},
		{"v=TLSRPTv1;rua=https://localhost/", NULL, "none"},
		{"v=TLSRPTv1;rua=https://r.test:8443/", NULL, "none"},
		{"v=TLSRPTv1;rua=https://user@r.test/", NULL, "none"},
		{"v=TLSRPTv1;rua=https://r.test/a b", NULL, "none"},
		{"v=TLSRPTv1;rua=mailto:a%0d%0aRCPT@b.test", NULL, "none"},
		{"v=TLSRPTv1;rua=mailto:a%00@b.test", NULL, "none"},
		{"v=TLSRPTv1;rua=mailto:a%2", NULL, "none"},
	};
	struct arena arena SCOPED_ARENA;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice got = find(&arena, cases[i].one, cases[i].two);

		if (!slice_eq(got, slice_from_cstr(cases[i].places)))
			fail_msg("%s: %.*s", cases[i].one, SLICE_ARG(got));
	}
	assert_true(slice_eq(find(&arena, "v=TLSRPTv1;rua=mailto:1@b.test,mailto:2@b.test,mailto:3@b.test,mailto:4@b.test,mailto:5@b.test,"
					  "mailto:6@b.test,mailto:7@b.test,mailto:8@b.test,mailto:9@b.test", NULL),
			     SLICE("1@b.test 2@b.test 3@b.test 4@b.test 5@b.test 6@b.test 7@b.test 8@b.test ")));
}

static void test_packed(void **state)
{
	struct arena arena SCOPED_ARENA;
	char back[100];
	z_stream stream = {.next_out = (Bytef *)back, .avail_out = sizeof(back)};
	struct buf packed;

	(void)state;
	buf_init(&packed, &arena, 0);
	assert_true(tls_mail_pack(&packed, SLICE("{\"a\":1}\n")));
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	stream.next_in = (Bytef *)packed.data;
	stream.avail_in = (uInt)packed.len;
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_true(slice_eq(slice_of(back, stream.total_out), SLICE("{\"a\":1}\n")));
	inflateEnd(&stream);
}

static void test_mail(void **state)
{
	const struct tls_mail mail = {.hostname = SLICE("mx.here.test"), .from = SLICE("pm@here.test"), .to = SLICE("r@there.test"),
				      .domain = SLICE("there.test"), .day = 20000, .packed = SLICE("packed"), .now_ms = 20001 * 86400000LL};
	struct arena arena SCOPED_ARENA;
	struct buf out;

	(void)state;
	buf_init(&out, &arena, 0);
	tls_mail_write(&out, &mail);
	assert_true(slice_starts_with(buf_slice(&out), SLICE("From: <pm@here.test>\r\nTo: <r@there.test>\r\n"
							     "Date: Sat, 5 Oct 2024 00:00:00 +0000\r\n")));
	assert_int_not_equal(slice_find(buf_slice(&out), SLICE("\r\nSubject: Report Domain: there.test\r\n Submitter: mx.here.test\r\n"
		" Report-ID: <2024-10-04_there.test@mx.here.test>\r\n")), SLICE_NOT_FOUND);
	assert_int_not_equal(slice_find(buf_slice(&out), SLICE("filename=\"mx.here.test!there.test!1728000000!1728086399.json.gz\"")),
			     SLICE_NOT_FOUND);
	assert_int_not_equal(slice_find(buf_slice(&out), SLICE("\r\n\r\ncGFja2Vk\r\n--=_tlsrpt--\r\n")), SLICE_NOT_FOUND);
}

/* A peer's words don't get out of their strings. */
static void test_hostile_words(void **state)
{
	const struct tls_document about = {SLICE("mx.here.test"), SLICE("pm@here.test")};
	const struct tls_count row = {.day = 20000, .domain = SLICE("there.test"), .policy_type = SLICE("sts"), .policy = SLICE_EMPTY,
				      .result = SLICE("validation-failure"), .receiving_host = SLICE("mx"), .receiving_ip = SLICE_EMPTY,
				      .receiving_helo = SLICE("a\"},\\\n\xff"), .sending_ip = SLICE_EMPTY, .reason = SLICE("\x01"), .sessions = 1};
	struct arena arena SCOPED_ARENA;
	struct buf out;

	(void)state;
	buf_init(&out, &arena, 0);
	tls_document_write(&out, &about, &row, 1);
	assert_int_not_equal(slice_find(buf_slice(&out), SLICE("\"receiving-mx-helo\":\"a\\\"},\\\\\\u000a\\u00ff\"")), SLICE_NOT_FOUND);
	assert_int_not_equal(slice_find(buf_slice(&out), SLICE("\"failure-reason-code\":\"\\u0001\"")), SLICE_NOT_FOUND);
	assert_int_not_equal(slice_find(buf_slice(&out), SLICE("\"contact-info\":\"pm@here.test\"")), SLICE_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_places), cmocka_unit_test(test_packed), cmocka_unit_test(test_mail),
					   cmocka_unit_test(test_hostile_words)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
