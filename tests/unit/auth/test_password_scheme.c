#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/password_scheme.h"
#include "base/buf.h"
#include "base/clock.h"

#define PASSWORD SLICE("tanstaaftanstaaf")

/* Made by the tool that the comment names, of PASSWORD. */
static const struct slice known[] = {
	/* doveadm pw */
	SLICE("{SSHA}YEEngMWf+CVaXA++TA0kvuMCeeF22Ss0"),
	SLICE("{SSHA256}cle2maJ05/luoOnww/+SMPd1ZgVh6ObiIfUlyNPe+BIm1G7T"),
	SLICE("{SSHA512}26hIfR7vl+VLdSJfo4LVgqQbTiCK1+j3l+bxO0DvoXTXlSe96UnSr8lygD+VwHIwDtTaC8egNosmvbt6LaPvsMLcLj0="),
	SLICE("{SHA}HuBr0dbbiKEV0LCm4RYYIaf29J0="),
	SLICE("{SHA256}qaiXMtHAITyGmQjHmwWvrwODspMrrEN6KSrCT9cgKPE="),
	SLICE("{SHA512}MGeWgHmV9IMgkaYRUav7v2kRBWuhgmTTs5KKBQSeUWcXUYFqibTlbSZr2y+buYuH9LpIPtTVXWUsiVSEE8BSiw=="),
	SLICE("{SMD5}U5pz3AWZqHRWpytfFvXvXfIOqnA="),
	SLICE("{PLAIN-MD5}ddc037ad51193028024e43dc7e3237e0"),
	SLICE("{LDAP-MD5}3cA3rVEZMCgCTkPcfjI34A=="),
	SLICE("{SSHA256.HEX}8a02f93f6255ab5d8e78f2dbce4659ef47bce0d07ebee7523f9d0212e32c5045d5882f68"),
	SLICE("{SSHA.B64}lPTfBgTQMkuBam5ZhazeB8IUl8h0dcwX"),
	SLICE("{sha.hex}1ee06bd1d6db88a115d0b0a6e1161821a7f6f49d"),
	SLICE("{MD5-CRYPT}$1$2lYzcWBg$wwaHcv1fXkIsHc0eFjb.o."),
	SLICE("{MD5}$1$2lYzcWBg$wwaHcv1fXkIsHc0eFjb.o."),
	SLICE("{SHA256-CRYPT}$5$vJfMdSOAgg8eimda$uVmPYbhzN5A1mjzxHBVCUpk8QZOC5RWwIMTBU1Z0ES/"),
	SLICE("{SHA512-CRYPT}$6$pGh6nPtReXwZyH20$buBcIgAFdLZKJigjDoaTzmzGst7q/"
	      "qfTKswFd3hgkeTVmR8sWSL5kH2u4s7R1tIw5sqgJQQQ.0YqCES4ynQyy0"),
	SLICE("{BLF-CRYPT}$2y$05$eIRLYeNZWRu3f510Gqg7u.4Z94G850vPfnwvfW3NrqTeYPc2jaMpq"),
	SLICE("{CRYPT}$2y$05$I5bZmM5hkhb/kfdReCDMF.MUSfowIyYZ3lXjMnKGPw7rKxctosdLu"),
	SLICE("{DES-CRYPT}3Q3WteesHAqDE"),
	SLICE("{CRYPT}3Q3WteesHAqDE"),
	SLICE("{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$lQOQ1Vpb0QLbzSrgV7DH5g$TZfQOEFwEf/Qer94LPh2td20QMe9KXuU7PdXS1fFODk"),
	SLICE("{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$45hIsyB3OOktV+/"
	      "WN9Bjag$qRs3wrtNvM2rFE8Ro03pihpwk97V6LBkXeK+RfpGW4w"),
	SLICE("{PBKDF2}$1$acyKjxvkJvO/g1dI$5000$8d26ca41e26259e06ff055628053e169f2d1259a"),
	SLICE("{SCRAM-SHA-256}4096,WB6oTCeFkpbOGbu0jwkNiw==,be6LN9gqiU8SDsp1DgkrfB0/qpQd/mI05C5WUKxNWZI=,"
	      "9pMMV2KjwB3QBE3vVmuJuzhnsBQH+Nb992tVAHRV99Q="),
	SLICE("{SCRAM-SHA-1}4096,OzSdjieF3dlCSMBnOeYgJA==,Z288pJIKUf7wC9qcOmwT7PXCJhg=,FSkGbkO6ANU1XthnQm4+ydzSepI="),
	SLICE("{PLAIN}tanstaaftanstaaf"),
	SLICE("{CLEARTEXT}tanstaaftanstaaf"),
	/* openssl passwd */
	SLICE("$6$saltstring$jiaKavva7/lqATbirU9AOdgWny90a/VK5fWdF3wkfREPxp5TC1Ewv0vuuR71wRG4/EvGhJA0bP9aqywN8vfhT/"),
	SLICE("$5$saltstring$IKznHIHz7yl8eagxp4ht8GG3BeBXNPfCvYfmVddNT/5"),
	SLICE("$1$saltstri$lw24ibqVUrlKcHafxRsrg."),
	/* crypt(3) */
	SLICE("$y$j9T$V7qMYJaNbVKOeh4PhtqPk3bQnFLRqR5Std5Al6nAoI1$MyncSZdejELG2VE2eTawNnEs72GL1gdVPm4T/8zZ0U6"),
	SLICE("$7$CU..../....V7qMYJaNbVKOeh4PhtqPk3bQnFLRqR5Std5Al6nAoI1$jjRSS9t7xxAWGaAFQDJfr7G0A6y5QpeLbtQ2.HlBhn0"),
	SLICE("$gy$j9T$V7qMYJaNbVKOeh4PhtqPk3bQnFLRqR5Std5Al6nAoI1$O1aOXVhP3EFBdw4/G/YMkGgaM8JJDL9kHOygVCGRNeA"),
	SLICE("$2b$05$WUHhXETkX0fnYkrqZU3ta.1bQedYwIWmhPNErI/1z9x0Wb.fCxrnW"),
	SLICE("$2a$05$WUHhXETkX0fnYkrqZU3ta.1bQedYwIWmhPNErI/1z9x0Wb.fCxrnW"),
	SLICE("$2y$05$WUHhXETkX0fnYkrqZU3ta.1bQedYwIWmhPNErI/1z9x0Wb.fCxrnW"),
	SLICE("$sha1$236959$bNKNeZ4OhlqOkxaPn7LQqJ5RtVrRl.XSoAXA$lBnurvzb/mODIOL.dvq6bRtSfrEd"),
	SLICE("$md5,rounds=57698$XFKNaR4O$$gwUwbSKglfZ3Sd4ARiG7E."),
	SLICE("$3$$741ecd185cb6891933dcccdb526c22a7"),
	SLICE("_J9..V7qMqEQk/ENxoGk"),
	/* Python's hashlib, in passlib's and OpenLDAP's form */
	SLICE("$pbkdf2-sha256$29000$c2FsdHNhbHRzYWx0c2FsdA$f474dQSqTECvhxwjMaYfidHhj6UMQECL9lzV9N8x0nQ"),
	SLICE("$pbkdf2-sha512$25000$c2FsdHNhbHRzYWx0c2FsdA$bU9f1yNbfInEPd6XfPMQqurTMKYePR/"
	      "PJz70L552FmTtvroEx5FCJmO3.028l7aJH2OG6Fjj7o4W0vn67LS.vg"),
	SLICE("$pbkdf2$131000$c2FsdHNhbHRzYWx0c2FsdA$EmhH819aySd.EYB85Kzb7fBJwkc"),
	SLICE("{PBKDF2-SHA256}10000$c2FsdHNhbHRzYWx0c2FsdA$ZNtZ65Sv1VaMz1idL6sgnDVkVJ1WDVyaUV6TaT2PyHg"),
	/* libargon2 */
	SLICE("$argon2d$v=19$m=256,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$K7T4BWh9UFUnQS3i0WzON+cL7fL/Sfj0Li6ZjjlROHg"),
	SLICE("$argon2i$v=19$m=1024,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$AfUp1RIWcQ/ozo29RGzCWbBAqQ0LtJKa"),
	SLICE("$argon2i$v=16$m=256,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$WkghfD17dXxKswZql3XqI16xVe72EfzZk3rIM4WwHSY"),
	SLICE("{CRYPT}$argon2d$v=19$m=256,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$K7T4BWh9UFUnQS3i0WzON+cL7fL/Sfj0Li6ZjjlROHg"),
};

static void every_scheme_verifies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (!password_verify(known[i], PASSWORD))
			fail_msg("the right password doesn't fit %.*s", SLICE_ARG(known[i]));
		if (password_verify(known[i], SLICE("tanstaaF")))
			fail_msg("a wrong password fits %.*s", SLICE_ARG(known[i]));
		if (password_verify(known[i], SLICE_EMPTY))
			fail_msg("the empty password fits %.*s", SLICE_ARG(known[i]));
	}
}

/* The end of a hash cut off, byte by byte, is never a hash that the password fits. */
static void cut_hashes_fit_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (slice_starts_with(known[i], SLICE("{ARGON2I")) || slice_starts_with(known[i], SLICE("$7$")) ||
		    slice_starts_with(known[i], SLICE("$md5")) || slice_starts_with(known[i], SLICE("$sha1")) ||
		    slice_starts_with(known[i], SLICE("{SCRAM")))
			continue; /* slow; what stands behind SCRAM's stored key isn't looked at */
		for (size_t cut = 4; cut < known[i].len && cut < 32; cut += 9)
			if (password_verify(slice_sub(known[i], 0, known[i].len - cut), PASSWORD))
				fail_msg("a hash without its last %zu bytes fits: %.*s", cut, SLICE_ARG(known[i]));
	}
}

static void rfc_5802_section_5(void **state)
{
	(void)state;
	assert_true(password_verify(SLICE("{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,"
					  "D+CSWLOshSulAsxiupA+qs2/fTE="),
				    SLICE("pencil")));
}

static const struct slice refused[] = {
	SLICE(""),
	SLICE("plain"),
	SLICE("{PLAIN}"),
	SLICE("{UNKNOWN}x"),
	SLICE("{PLAIN"),
	SLICE("{SSHA.XXX}YEEngMWf+CVaXA++TA0kvuMCeeF22Ss0"),
	SLICE("{SSHA}!!!"),
	SLICE("{SHA}AAAA"),
	SLICE("{SHA}HuBr0dbbiKEV0LCm4RYYIaf29J0AAAA="),
	SLICE("3Q3WteesHAqDE"), /* DES without saying so: any 13 letters */
	SLICE("$9$nosuchscheme"),
	SLICE("*"),
	SLICE("!"),
	/* Too much work. */
	SLICE("$2y$17$eIRLYeNZWRu3f510Gqg7u.4Z94G850vPfnwvfW3NrqTeYPc2jaMpq"),
	SLICE("$2y$99$eIRLYeNZWRu3f510Gqg7u.4Z94G850vPfnwvfW3NrqTeYPc2jaMpq"),
	SLICE("$6$rounds=999999999$saltstring$jiaKavva7"),
	SLICE("$5$rounds=99999999999$saltstring$jiaKavva7"),
	SLICE("$sha1$4000000000$bNKNeZ4OhlqO$lBnurvzb/mODIOL.dvq6bRtSfrEd"),
	SLICE("$md5,rounds=4000000000$XFKNaR4O$$gwUwbSKglfZ3Sd4ARiG7E."),
	SLICE("_zzzzV7qMqEQk/ENxoGk"),
	SLICE("$y$jFT$V7qMYJaNbVKOeh4PhtqPk3$MyncSZdejELG2VE2eTawNnEs72GL1gdVPm4T/8zZ0U6"), /* 1 GB */
	SLICE("$y$jVT$V7qMYJaNbVKOeh4PhtqPk3$MyncSZdejELG2VE2eTawNnEs72GL1gdVPm4T/8zZ0U6"),
	SLICE("$y$zzz$V7qMYJaNbVKOeh4PhtqPk3$MyncSZdejELG2VE2eTawNnEs72GL1gdVPm4T/8zZ0U6"),
	SLICE("$7$zU..../....V7qMYJaNbVKOeh4PhtqPk3$jjRSS9t7xxAWGaAFQDJfr7G0A6y5QpeLbtQ2.HlBhn0"),
	SLICE("$7$CU....zzzzzV7qMYJaNbVKOeh4PhtqPk3$jjRSS9t7xxAWGaAFQDJfr7G0A6y5QpeLbtQ2.HlBhn0"),
	SLICE("$7$Czzzzz/....V7qMYJaNbVKOeh4PhtqPk3$jjRSS9t7xxAWGaAFQDJfr7G0A6y5QpeLbtQ2.HlBhn0"),
	SLICE("$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$K7T4BWh9UFUnQS3i0WzON+cL7fL/Sfj0Li6ZjjlROHg"),
	SLICE("$argon2id$v=19$m=65536,t=4294967295,p=1$c2FsdHNhbHRzYWx0c2FsdA$K7T4BWh9UFUnQS3i0WzON+cL7fL/Sfj0Li6ZjjlROHg"),
	SLICE("$argon2id$v=19$m=256,t=1,p=1000$c2FsdHNhbHRzYWx0c2FsdA$K7T4BWh9UFUnQS3i0WzON+cL7fL/Sfj0Li6ZjjlROHg"),
	SLICE("$argon2id$v=20$m=256,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$K7T4BWh9UFUnQS3i0WzON+cL7fL/Sfj0Li6ZjjlROHg"),
	SLICE("$argon2id$v=19$t=1,m=256,p=1$c2FsdHNhbHRzYWx0c2FsdA$K7T4BWh9UFUnQS3i0WzON+cL7fL/Sfj0Li6ZjjlROHg"),
	SLICE("{PBKDF2}$1$acyKjxvkJvO/g1dI$2000000000$8d26ca41e26259e06ff055628053e169f2d1259a"),
	SLICE("{PBKDF2}$1$acyKjxvkJvO/g1dI$0$8d26ca41e26259e06ff055628053e169f2d1259a"),
	SLICE("{PBKDF2}$1$acyKjxvkJvO/g1dI$5000$8d26"),
	SLICE("{SCRAM-SHA-256}2000000000,WB6oTCeFkpbOGbu0jwkNiw==,be6LN9gqiU8SDsp1DgkrfB0/qpQd/mI05C5WUKxNWZI=,AAAA"),
};

static void what_is_refused_costs_nothing(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct password_hash hash;
	int64_t before = clock_monotonic_ms();

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		if (password_hash_parse(&arena, refused[i], &hash))
			fail_msg("taken for a hash: %.*s", SLICE_ARG(refused[i]));
		assert_false(password_verify(refused[i], PASSWORD));
	}
	assert_true(clock_monotonic_ms() - before < 500);
}

static void a_password_with_nul_fits_nothing(void **state)
{
	(void)state;
	assert_false(password_verify(SLICE("{CRYPT}3Q3WteesHAqDE"), SLICE("tanstaaf\0x")));
	assert_true(password_verify(SLICE("{CRYPT}3Q3WteesHAqDE"), SLICE("tanstaafx")));
	assert_false(password_verify(SLICE("{PLAIN}a\0b"), SLICE("a\0b")));
}

static void own_hashes(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct password_cost cost = {256, 1}, dearer = {512, 1};
	struct password_cost too_large = {PASSWORD_MEMORY_MAX_KB + 1, 1}, too_slow = {PASSWORD_MEMORY_MAX_KB, 1000};
	struct slice one, two;

	(void)state;
	arena_init(&arena, 0);
	assert_true(password_hash_new(&arena, &cost, PASSWORD, &one));
	assert_true(password_hash_new(&arena, &cost, PASSWORD, &two));
	/* what would never fit again isn't made */
	assert_false(password_hash_new(&arena, &too_large, PASSWORD, &two));
	assert_false(password_hash_new(&arena, &too_slow, PASSWORD, &two));
	assert_false(slice_eq(one, two));
	assert_true(slice_starts_with(one, SLICE("{ARGON2ID}$argon2id$v=19$m=256,t=1,p=1$")));
	assert_true(password_verify(one, PASSWORD));
	assert_false(password_verify(one, SLICE("tanstaaftanstaaF")));
	assert_true(password_hash_is_current(one, &cost));
	assert_false(password_hash_is_current(one, &dearer));
	assert_false(password_hash_is_current(known[0], &cost));
}

/* RFC 4013 section 3. */
static void saslprep_examples(void **state)
{
	static const struct {
		struct slice in, out;
		bool valid;
	} examples[] = {
		{SLICE("I\xC2\xADX"), SLICE("IX"), true},      {SLICE("user"), SLICE("user"), true},
		{SLICE("USER"), SLICE("USER"), true},          {SLICE("\xC2\xAA"), SLICE("a"), true},
		{SLICE("\xE2\x85\xA8"), SLICE("IX"), true},    {SLICE("\x07"), SLICE(""), false},
		{SLICE("\xD8\xA7\x31"), SLICE(""), false},     {SLICE("p\xC2\xA0q"), SLICE("p q"), true},
		{SLICE("e\xCC\x81"), SLICE("\xC3\xA9"), true}, {SLICE("\xff\xfe"), SLICE(""), false},
	};
	struct arena arena SCOPED_ARENA;
	struct slice out;

	(void)state;
	arena_init(&arena, 0);
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		assert_int_equal(saslprep(&arena, examples[i].in, &out), examples[i].valid);
		if (examples[i].valid)
			assert_true(slice_eq(out, examples[i].out));
	}
	assert_true(slice_eq(password_prepare(&arena, SLICE("\x07")), SLICE("\x07")));
}

static void addresses(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct slice out;
	static const struct slice wrong[] = {
		SLICE(""),
		SLICE("alice"),
		SLICE("@example.test"),
		SLICE("alice@"),
		SLICE("al\x07@example.test"),
		SLICE("a\0b@example.test"),
	};

	(void)state;
	arena_init(&arena, 0);
	assert_true(address_prepare(&arena, SLICE("Alice@Example.TEST"), &out));
	assert_true(slice_eq(out, SLICE("alice@example.test")));
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(address_prepare(&arena, wrong[i], &out));
	struct buf longest SCOPED_BUF;

	buf_init(&longest, NULL, 0);
	for (size_t i = 0; i < 400; i++)
		buf_add_byte(&longest, 'a');
	buf_add_literal(&longest, "@example.test");
	assert_false(address_prepare(&arena, buf_slice(&longest), &out));
}

static void warm_up(void **state)
{
	(void)state;
	assert_true(auth_warm_up());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(warm_up),
		cmocka_unit_test(every_scheme_verifies),
		cmocka_unit_test(cut_hashes_fit_nothing),
		cmocka_unit_test(rfc_5802_section_5),
		cmocka_unit_test(what_is_refused_costs_nothing),
		cmocka_unit_test(a_password_with_nul_fits_nothing),
		cmocka_unit_test(own_hashes),
		cmocka_unit_test(saslprep_examples),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
