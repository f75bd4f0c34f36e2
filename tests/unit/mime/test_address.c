#include "fixture.h"

#include "mime/address.h"

/* An address as "name|route|local|domain", absent ones as "-", joined by ";". */
static const char *shown(struct arena *arena, const struct address *address)
{
	struct buf out;

	buf_init(&out, arena, 0);
	for (; address; address = address->next) {
		const struct slice fields[] = {address->name, address->route, address->local, address->domain};

		for (size_t i = 0; i < ROWS(fields); i++) {
			buf_add(&out, fields[i].data ? fields[i] : SLICE("-"));
			if (i + 1 < ROWS(fields))
				buf_add_byte(&out, '|');
		}
		if (address->next)
			buf_add_byte(&out, ';');
	}
	return slice_cstr(arena, buf_slice(&out));
}

static void lists(void **state)
{
	static const struct {
		const char *value, *expected;
	} table[] = {
		/* RFC 5322 appendix A.1 */
		{" John Doe <jdoe@machine.example>", "John Doe|-|jdoe|machine.example"},
		{"\"Joe Q. Public\" <john.q.public@example.com>", "Joe Q. Public|-|john.q.public|example.com"},
		{"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
		 "Mary Smith|-|mary|x.test;-|-|jdoe|example.org;Who?|-|one|y.test"},
		{"<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
		 "-|-|boss|nil.test;Giant; \"Big\" Box|-|sysservices|example.net"},
		/* A.1.3: groups */
		{"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
		 "-|-|A Group|-;Ed Jones|-|c|a.test;-|-|joe|where.test;John|-|jdoe|one.test;-|-|-|-"},
		{"Undisclosed recipients:;", "-|-|Undisclosed recipients|-;-|-|-|-"},
		/* A.5: comments and folding */
		{"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|-|pete|silly.test"},
		{"A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org,\r\n"
		 "  John <jdoe@one.test> (my dear friend); (the end of the group)",
		 "-|-|A Group|-;Chris Jones|-|c|public.example;-|-|joe|example.org;John|-|jdoe|one.test;-|-|-|-"},
		{"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "-|-|Hidden recipients|-;-|-|-|-"},
		/* A.6.1: obsolete */
		{"Joe Q. Public <john.q.public@example.com>", "Joe Q. Public|-|john.q.public|example.com"},
		{"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
		 "Mary Smith|@node.test|mary|example.net;-|-|jdoe|test.example"},
		{"a . b . c @ d . e", "-|-|a.b.c|d.e"},
		{"< a . b @ c >", "-|-|a.b|c"},
		{"\"a b\".c.\"d\" @e", "-|-|a b.c.d|e"},
		{"<@a,@b:c@d>", "-|@a,@b|c|d"},
		{"< @ a , , @ b : c @ d >", "-|@a,@b|c|d"},
		/* RFC 6532 */
		{"Jörg <jörg@exämple.org>", "Jörg|-|jörg|exämple.org"},
		/* RFC 822's names in comments */
		{"alice@example.org (Alice (the first) Smith)", "Alice (the first) Smith|-|alice|example.org"},
		{"(before) a@b", "before|-|a|b"},
		/* encoded words stay */
		{"=?utf-8?q?J=C3=B6rg?= <j@b>", "=?utf-8?q?J=C3=B6rg?=|-|j|b"},
		/* names */
		{"Alice  \t Smith <a@b>", "Alice Smith|-|a|b"},
		{"Alice\r\n Smith <a@b>", "Alice Smith|-|a|b"},
		{"\"A\" \"B\" C <a@b>", "A B C|-|a|b"},
		{"\"A\"B <a@b>", "AB|-|a|b"},
		{"J. R. R. Tolkien <a@b>", "J. R. R. Tolkien|-|a|b"},
		{"\"\" <a@b>", "-|-|a|b"},
		{"\"a\r\n b\" <a@b>", "a b|-|a|b"},
		/* odd ones */
		{"", ""},
		{" ", ""},
		{",,,", ""},
		{";", ""},
		{"<>", "-|-||"},
		{"alice", "-|-|alice|"},
		/* one atom is a mailbox, anything else somebody's name */
		{"alice smith", "alice smith|-||"},
		{"\"alice\"", "alice|-||"},
		{"alice (Smith)", "Smith|-|alice|"},
		{"alice smith (x), a@b", "alice smith|-||;-|-|a|b"},
		/* behind brackets, or behind what can't be read, a comment is no name */
		{"<a@b> (Alice)", "-|-|a|b"},
		{"a@b (Alice) x (y)", "Alice|-|a|b"},
		{"a@[192.0.2.1] (Alice)", "Alice|-|a|[192.0.2.1]"},
		/* only a dot joins what white space parts */
		{"a@b .c d@e", "-|-|a|b.c"},
		{"a@b. c", "-|-|a|b.c"},
		{"alice@", "-|-|alice|"},
		{"@example.org", "-|-||example.org"},
		{"a b@c", "a|-|b|c"},
		{"a b c@d e@f", "a b|-|c|d"},
		{"a@b c@d, e@f", "-|-|a|b;-|-|e|f"},
		{"a@[192.0.2.1]", "-|-|a|[192.0.2.1]"},
		{"a@[x\\]y]", "-|-|a|[x\\]y]"},
		{"a@[open", "-|-|a|[open"},
		{"g: a@b", "-|-|g|-;-|-|a|b;-|-|-|-"},
		{"g: h: a@b;, c@d", "-|-|g|-;-|-|a|b;-|-|-|-;-|-|c|d"},
		{":;", "-|-||-;-|-|-|-"},
		{"a@b;c@d", "-|-|a|b;-|-|c|d"},
		{"\"open <a@b>", "open <a@b>|-||"},
		{"a@b (open", "open|-|a|b"},
		{"x <a@b", "x|-|a|b"},
		{"x <a@b> y, z@w", "x|-|a|b;-|-|z|w"},
		{"x <a@b, c@d>", "x|-|a|b;-|-|c|d"},
		{"a..b@c..d", "-|-|a..b|c..d"},
		{"\\", ""},
		{"a\\b@c", "-|-|a|"},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		char *value = exact_copy(slice_from_cstr(table[i].value));

		print_message("%s\n", table[i].value);
		assert_string_equal(shown(&arena, address_list_parse(&arena, slice_of(value, strlen(table[i].value)), 1000)),
				    table[i].expected);
		free(value);
	}
}

static unsigned count(const struct address *address)
{
	unsigned found = 0;

	for (; address; address = address->next)
		found++;
	return found;
}

static void list_limits(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct buf many;

	(void)state;
	buf_init(&many, &arena, 0);
	buf_add_literal(&many, "g:");
	for (int i = 0; i < 20000; i++)
		buf_add_literal(&many, "a@b,");
	assert_int_equal(count(address_list_parse(&arena, buf_slice(&many), 1000000)), 10000);
	assert_int_equal(count(address_list_parse(&arena, buf_slice(&many), 5)), 5);
	assert_null(address_list_parse(&arena, buf_slice(&many), 0));
	assert_null(address_list_parse(&arena, buf_slice(&many), 1));
}

static void mailboxes(void **state)
{
	static const struct {
		const char *text, *local, *domain, *formatted; /* local NULL: refused */
		bool is_utf8;
	} table[] = {
		{"user@Example.ORG", "user", "example.org", "user@example.org", false},
		{"User+Tag@example.org", "User+Tag", "example.org", "User+Tag@example.org", false},
		{"\"a b\"@example.org", "a b", "example.org", "\"a b\"@example.org", false},
		{"\"a\\\"\\\\b\"@example.org", "a\"\\b", "example.org", "\"a\\\"\\\\b\"@example.org", false},
		{"\"plain\"@example.org", "plain", "example.org", "plain@example.org", false},
		{"a..b@example.org", "a..b", "example.org", "\"a..b\"@example.org", false},
		{"a@[192.0.2.1]", "a", "[192.0.2.1]", "a@[192.0.2.1]", false},
		{"a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]", false},
		{"a@exämple.org", "a", "xn--exmple-cua.org", "a@xn--exmple-cua.org", false},
		{"jörg@example.org", "jörg", "example.org", "jörg@example.org", true},
		{"\"a@b\"@c.org", "a@b", "c.org", "\"a@b\"@c.org", false},
		{"a@localhost", "a", "localhost", "a@localhost", false},
		{"", NULL, NULL, NULL, false},
		{"user", NULL, NULL, NULL, false},
		{"@example.org", NULL, NULL, NULL, false},
		{"user@", NULL, NULL, NULL, false},
		{"a b@example.org", NULL, NULL, NULL, false},
		{"a@b c", NULL, NULL, NULL, false},
		{"a@-b.org", NULL, NULL, NULL, false},
		{"a@b-.org", NULL, NULL, NULL, false},
		{"a@b..org", NULL, NULL, NULL, false},
		{"a@.org", NULL, NULL, NULL, false},
		{"a@b.org.", NULL, NULL, NULL, false},
		{"a@[999.0.2.1]", NULL, NULL, NULL, false},
		{"a@[2001:db8::1]", NULL, NULL, NULL, false},
		{"a@[192.0.2.1", NULL, NULL, NULL, false},
		{"\"\"@example.org", NULL, NULL, NULL, false},
		{"\"a\"b\"@example.org", NULL, NULL, NULL, false},
		{"\"a\\\"@example.org", NULL, NULL, NULL, false},
		{"\"a\nb\"@example.org", NULL, NULL, NULL, false},
		{"a\r\n@example.org", NULL, NULL, NULL, false},
		{"a@example.org\r\nRCPT", NULL, NULL, NULL, false},
		{"\xff@example.org", NULL, NULL, NULL, false},
		{"a@\xff.org", NULL, NULL, NULL, false},
		{"<a@b.org>", NULL, NULL, NULL, false},
		{"a,b@c.org", NULL, NULL, NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		struct email_address address;
		char *text = exact_copy(slice_from_cstr(table[i].text));
		bool ok = email_address_parse(&arena, slice_of(text, strlen(table[i].text)), &address);
		struct buf out;

		print_message("%s\n", table[i].text);
		assert_int_equal(ok, table[i].local != NULL);
		if (ok) {
			buf_init(&out, &arena, 0);
			assert_slice(&arena, address.local, table[i].local);
			assert_slice(&arena, address.domain, table[i].domain);
			assert_int_equal(address.is_utf8, table[i].is_utf8);
			email_address_format(&out, &address);
			assert_slice(&arena, buf_slice(&out), table[i].formatted);
		}
		free(text);
	}
}

/* RFC 5321 section 4.5.3.1 */
static void mailbox_lengths(void **state)
{
	static const struct {
		size_t local, label_count; /* labels of 63 */
		bool ok;
	} table[] = {{64, 1, true}, {65, 1, false}, {1, 3, true}, {60, 3, true}, {64, 3, false}, {1, 4, false}};

	(void)state;
	for (size_t i = 0; i < ROWS(table); i++) {
		struct arena arena SCOPED_ARENA;
		struct email_address address;
		struct buf text;

		buf_init(&text, &arena, 0);
		for (size_t j = 0; j < table[i].local; j++)
			buf_add_byte(&text, 'a');
		for (size_t j = 0; j < table[i].label_count; j++) {
			buf_add_byte(&text, j ? '.' : '@');
			for (int k = 0; k < 63; k++)
				buf_add_byte(&text, 'b');
		}
		assert_int_equal(email_address_parse(&arena, buf_slice(&text), &address), table[i].ok);
	}
}

static void domains(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice domain;

	(void)state;
	assert_true(domain_parse(&arena, SLICE("BÜCHER.example"), &domain));
	assert_slice(&arena, domain, "xn--bcher-kva.example");
	assert_slice(&arena, domain_to_unicode(&arena, domain), "bücher.example");
	assert_slice(&arena, domain_to_unicode(&arena, SLICE("example.org")), "example.org");
	assert_slice(&arena, domain_to_unicode(&arena, SLICE("xn--\xff")), "xn--\xff");
	assert_false(domain_parse(&arena, SLICE("a\0b"), &domain));
	assert_false(domain_parse(&arena, SLICE("[192.0.2.1]"), &domain));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),           cmocka_unit_test(list_limits), cmocka_unit_test(mailboxes),
		cmocka_unit_test(mailbox_lengths), cmocka_unit_test(domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
