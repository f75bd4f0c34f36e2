#include "auth_fixture.h"

#include <sys/stat.h>

#include "auth/password_scheme.h"
#include "auth/scram.h"
#include "store/db.h"

#define ALICE SLICE("alice@example.test")

static struct credential find(struct auth_fixture *fixture, struct slice address)
{
	struct credential credential;

	assert_int_equal(credential_find(fixture->credentials, &fixture->arena, address, &credential), STATUS_OK);
	return credential;
}

static int setup(void **state)
{
	struct auth_fixture *fixture = calloc(1, sizeof *fixture);

	auth_fixture_init(fixture, 64);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct auth_fixture *fixture = *state;

	credentials_close(fixture->credentials);
	auth_fixture_remove(fixture);
	free(fixture);
	return 0;
}

static void the_folder_is_closed_to_others(void **state)
{
	struct auth_fixture *fixture = *state;
	char directory[96];
	struct stat stat_buf;

	if (auth_fixture_on_postgresql())
		skip();
	snprintf(directory, sizeof directory, "%s/secrets", fixture->directory);
	assert_int_equal(stat(directory, &stat_buf), 0);
	assert_int_equal(stat_buf.st_mode & 0777, 0700);
	/* Also if somebody opened it. */
	credentials_close(fixture->credentials);
	assert_int_equal(chmod(directory, 0755), 0);
	auth_fixture_open(fixture);
	assert_int_equal(stat(directory, &stat_buf), 0);
	assert_int_equal(stat_buf.st_mode & 0777, 0700);
}

static void set_and_find(void **state)
{
	struct auth_fixture *fixture = *state;
	struct credential credential;
	struct scram_keys keys;

	assert_int_equal(credential_find(fixture->credentials, &fixture->arena, ALICE, &credential), STATUS_NOT_FOUND);
	assert_int_equal(credential_set_password(fixture->credentials, SLICE("Alice@Example.test"), 7, SLICE("secret")),
			 STATUS_OK);
	credential = find(fixture, SLICE("ALICE@example.test"));
	assert_true(slice_eq(credential.address, ALICE));
	assert_int_equal(credential.account, 7);
	assert_true(credential.enabled);
	assert_true(password_verify(credential.password_hash, SLICE("secret")));
	assert_true(scram_keys_parse(&fixture->arena, credential.scram, SCRAM_SHA_256, &keys));
	assert_int_equal(keys.iterations, 4096);
	assert_true(scram_keys_parse(&fixture->arena, credential.scram, SCRAM_SHA_1, &keys));
	assert_true(credential_is_current(fixture->credentials, &credential));
	/* Account 0 keeps what is there. */
	assert_int_equal(credential_set_password(fixture->credentials, ALICE, 0, SLICE("other")), STATUS_OK);
	assert_int_equal(find(fixture, ALICE).account, 7);
	assert_true(find(fixture, ALICE).version > credential.version);
}

static void what_is_refused(void **state)
{
	struct auth_fixture *fixture = *state;
	char *text = calloc(1, CREDENTIAL_PASSWORD_MAX + 1);

	memset(text, 'a', CREDENTIAL_PASSWORD_MAX + 1);
	struct credentials *credentials = fixture->credentials;

	assert_int_equal(credential_set_password(credentials, ALICE, 1, SLICE("")), STATUS_REFUSED);
	assert_int_equal(credential_set_password(credentials, ALICE, 1, SLICE("a\0b")), STATUS_REFUSED);
	assert_int_equal(credential_set_password(credentials, SLICE("alice"), 1, SLICE("secret")), STATUS_REFUSED);
	assert_int_equal(credential_set_password(credentials, ALICE, 1, slice_of(text, CREDENTIAL_PASSWORD_MAX + 1)),
			 STATUS_LIMIT);
	assert_int_equal(credential_set_hash(credentials, ALICE, 1, SLICE("{NOSUCH}x")), STATUS_REFUSED);
	assert_int_equal(credential_set_hash(credentials, ALICE, 1, SLICE("")), STATUS_REFUSED);
	assert_int_equal(credential_set_hash(credentials, ALICE, 1,
					     SLICE("$2y$31$eIRLYeNZWRu3f510Gqg7u.4Z94G850vPfnwvfW3NrqTeYPc2jaMpq")),
			 STATUS_REFUSED);
	assert_int_equal(credential_enable(credentials, ALICE, false), STATUS_NOT_FOUND);
	assert_int_equal(credential_remove(credentials, ALICE), STATUS_NOT_FOUND);
	assert_int_equal(credential_set_password(credentials, ALICE, 1, slice_of(text, CREDENTIAL_PASSWORD_MAX)), STATUS_OK);
	free(text);
}

static void versions_never_come_back(void **state)
{
	struct auth_fixture *fixture = *state;
	uint64_t last = 0;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(credential_set_password(fixture->credentials, ALICE, 1, SLICE("secret")), STATUS_OK);
		assert_true(find(fixture, ALICE).version > last);
		last = find(fixture, ALICE).version;
		assert_int_equal(credential_enable(fixture->credentials, ALICE, false), STATUS_OK);
		assert_false(find(fixture, ALICE).enabled);
		assert_true(find(fixture, ALICE).version > last);
		/* A new password doesn't enable what was disabled. */
		assert_int_equal(credential_set_password(fixture->credentials, ALICE, 1, SLICE("secret")), STATUS_OK);
		assert_false(find(fixture, ALICE).enabled);
		last = find(fixture, ALICE).version;
		assert_int_equal(credential_remove(fixture->credentials, ALICE), STATUS_OK);
	}
}

static void imported_hashes(void **state)
{
	struct auth_fixture *fixture = *state;
	struct slice ssha = SLICE("{SSHA}YEEngMWf+CVaXA++TA0kvuMCeeF22Ss0");
	struct scram_keys keys;

	assert_int_equal(credential_set_hash(fixture->credentials, ALICE, 1, ssha), STATUS_OK);
	struct credential credential = find(fixture, ALICE);

	assert_true(slice_eq(credential.password_hash, ssha));
	assert_int_equal(credential.scram.len, 0);
	assert_false(credential_is_current(fixture->credentials, &credential));
	/* Dovecot's SCRAM form brings the keys. */
	assert_int_equal(
		credential_set_hash(
			fixture->credentials, ALICE, 1,
			SLICE("{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
			      "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")),
		STATUS_OK);
	credential = find(fixture, ALICE);
	assert_true(scram_keys_parse(&fixture->arena, credential.scram, SCRAM_SHA_256, &keys));
	assert_true(password_verify(credential.password_hash, SLICE("pencil")));
	/* No password is kept in clear. */
	assert_int_equal(credential_set_hash(fixture->credentials, ALICE, 1, SLICE("{PLAIN}secret")), STATUS_OK);
	credential = find(fixture, ALICE);
	assert_true(credential_is_current(fixture->credentials, &credential));
	assert_true(password_verify(credential.password_hash, SLICE("secret")));
}

static void an_upgrade_never_overwrites_a_change(void **state)
{
	struct auth_fixture *fixture = *state;
	uint64_t version;

	assert_int_equal(credential_set_hash(fixture->credentials, ALICE, 1, SLICE("{SSHA}YEEngMWf+CVaXA++TA0kvuMCeeF22Ss0")),
			 STATUS_OK);
	uint64_t before = find(fixture, ALICE).version;

	assert_int_equal(credential_upgrade(fixture->credentials, ALICE, before, SLICE("tanstaaftanstaaf"), &version),
			 STATUS_OK);
	assert_int_equal(find(fixture, ALICE).version, version);
	assert_int_equal(credential_set_password(fixture->credentials, ALICE, 0, SLICE("new")), STATUS_OK);
	assert_int_equal(credential_upgrade(fixture->credentials, ALICE, version, SLICE("tanstaaftanstaaf"), &version),
			 STATUS_NOT_FOUND);
	assert_true(password_verify(find(fixture, ALICE).password_hash, SLICE("new")));
}

static void many_at_once(void **state)
{
	struct auth_fixture *fixture = *state;
	enum { COUNT = 1203 };
	struct credential_entry *entries = calloc(COUNT, sizeof *entries);
	char text[64];

	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof text, "user%d@example.test", i);
		entries[i].address = slice_dup(&fixture->arena, slice_from_cstr(text));
		entries[i].account = i + 1;
		snprintf(text, sizeof text, "password %d", i);
		entries[i].password = slice_dup(&fixture->arena, slice_from_cstr(text));
	}
	entries[5].address = SLICE("nobody");
	entries[6] = (struct credential_entry){.address = entries[6].address, .account = 7, .hash = SLICE("{PLAIN}password 6")};
	assert_int_equal(credentials_set_many(fixture->credentials, entries, COUNT, 0), STATUS_REFUSED);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(entries[i].status, i == 5 ? STATUS_REFUSED : STATUS_OK);
		if (i == 5)
			continue;
		struct credential credential = find(fixture, entries[i].address);

		snprintf(text, sizeof text, "password %d", i);
		assert_int_equal(credential.account, i + 1);
		if (i % 50 < 7)
			assert_true(password_verify(credential.password_hash, slice_from_cstr(text)));
	}
	assert_int_equal(credentials_set_many(fixture->credentials, entries, 0, 0), STATUS_OK);
	free(entries);
}

/* Nobody may tell an unknown user from a known one, not even by asking again after a restart. */
static void fake_keys_stay_the_same(void **state)
{
	struct auth_fixture *fixture = *state;
	struct slice before = credentials_fake_scram(fixture->credentials, &fixture->arena, ALICE, SCRAM_SHA_256);
	struct slice other = credentials_fake_scram(fixture->credentials, &fixture->arena, SLICE("bob@example.test"), SCRAM_SHA_256);
	struct scram_keys keys;

	assert_false(slice_eq(before, other));
	/* A real user's salts differ. */
	struct slice of_sha1 = credentials_fake_scram(fixture->credentials, &fixture->arena, ALICE, SCRAM_SHA_1);
	struct scram_keys sha1;

	assert_true(scram_keys_parse(&fixture->arena, of_sha1, SCRAM_SHA_1, &sha1));
	assert_true(scram_keys_parse(&fixture->arena, before, SCRAM_SHA_256, &keys));
	assert_int_equal(keys.iterations, 4096);
	assert_int_equal(keys.salt_len, SCRAM_SALT_LENGTH);
	assert_memory_not_equal(keys.salt, sha1.salt, SCRAM_SALT_LENGTH);
	credentials_close(fixture->credentials);
	auth_fixture_open(fixture);
	assert_true(slice_eq(before, credentials_fake_scram(fixture->credentials, &fixture->arena, ALICE, SCRAM_SHA_256)));
}

static void newer_tables_are_left_alone(void **state)
{
	struct auth_fixture *fixture = *state;
	struct db_options options = {.url = slice_from_cstr(fixture->url)};
	struct error error = {0};
	struct db_pool *pool = db_pool_new(&options, &fixture->log, &fixture->arena, &error);

	assert_non_null(pool);
	struct db *db = db_acquire(pool);

	assert_non_null(db);
	db_execute(db, "INSERT INTO credential_schema (version) VALUES (99)");
	assert_int_equal(db_status(db), STATUS_OK);
	db_release(db);
	assert_null(credentials_open(&fixture->options, &fixture->log, &fixture->arena, &error));
	assert_int_equal(error.status, STATUS_REFUSED);
	db = db_acquire(pool);
	db_execute(db, "DELETE FROM credential_schema WHERE version = 99");
	db_release(db);
	db_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_folder_is_closed_to_others, setup, teardown),
		cmocka_unit_test_setup_teardown(set_and_find, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(versions_never_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(imported_hashes, setup, teardown),
		cmocka_unit_test_setup_teardown(an_upgrade_never_overwrites_a_change, setup, teardown),
		cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(fake_keys_stay_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(newer_tables_are_left_alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
