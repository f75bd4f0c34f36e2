/* The example of RFC 7677 section 3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "relay/scram.h"

static bool is(struct slice got, const char *expected)
{
	return slice_eq(got, slice_from_cstr(expected));
}

#define SERVER_FIRST "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"

static void example(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct scram scram;
	struct slice message;

	(void)state;
	assert_true(is(scram_first(&scram, &arena, SLICE("user"), SLICE("rOprNGfwEbeRWgbNEkqO")),
		       "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
	assert_true(scram_final(&scram, SLICE(SERVER_FIRST), SLICE("pencil"), &message));
	assert_true(is(message, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
	assert_true(scram_verify(&scram, SLICE("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
	assert_false(scram_verify(&scram, SLICE("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
	assert_false(scram_verify(&scram, SLICE("e=invalid-proof")));
	assert_false(scram_verify(&scram, SLICE("")));
}

static void escaped_name(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct scram scram;

	(void)state;
	assert_true(is(scram_first(&scram, &arena, SLICE("a=b,c"), SLICE("n")), "n,,n=a=3Db=2Cc,r=n"));
}

static void bad_servers(void **state)
{
	static const char *const TABLE[] = {
		"",
		"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* nothing added to our nonce */
		"r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096",
		"r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
		"r=rOprNGfwEbeRWgbNEkqO\xff,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* RFC 5802 section 7: printable */
		"r=rOprNGfwEbeRWgbNEkqO x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
		"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
		"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==",
		"s=W22ZaJ0SNY7soEsUEjb6gQ==,r=rOprNGfwEbeRWgbNEkqOx,i=4096",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct arena arena SCOPED_ARENA;
		struct scram scram;
		struct slice message;

		scram_first(&scram, &arena, SLICE("user"), SLICE("rOprNGfwEbeRWgbNEkqO"));
		assert_false(scram_final(&scram, slice_from_cstr(TABLE[i]), SLICE("pencil"), &message));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(example), cmocka_unit_test(escaped_name),
					   cmocka_unit_test(bad_servers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
