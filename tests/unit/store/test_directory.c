/* Domains, accounts, aliases, and the look-up of routing. */
#include "store/quota_watch.h"
#include "store_fixture.h"

static struct directory_entry look_up(struct fixture *fixture, const char *address)
{
	struct directory_entry entry;

	assert_int_equal(directory_look_up(fixture->store, &fixture->arena, slice_from_cstr(address), '+', &entry), STATUS_OK);
	return entry;
}

static void test_domains(void **state)
{
	struct fixture *fixture = *state;
	struct slice *domains;
	size_t count;

	assert_int_equal(directory_add_domain(fixture->store, SLICE("Example.ORG")), STATUS_OK);
	assert_int_equal(directory_add_domain(fixture->store, SLICE("example.org")), STATUS_EXISTS);
	assert_int_equal(directory_add_domain(fixture->store, SLICE("")), STATUS_REFUSED);
	assert_int_equal(directory_has_domain(fixture->store, SLICE("EXAMPLE.org")), STATUS_OK);
	assert_int_equal(directory_has_domain(fixture->store, SLICE("example.net")), STATUS_NOT_FOUND);
	assert_int_equal(directory_list_domains(fixture->store, &fixture->arena, &domains, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_true(slice_eq(domains[0], SLICE("example.org")));
	assert_int_equal(directory_remove_domain(fixture->store, SLICE("example.org")), STATUS_OK);
	assert_int_equal(directory_remove_domain(fixture->store, SLICE("example.org")), STATUS_NOT_FOUND);
	assert_int_equal(directory_remove_domain(fixture->store, SLICE("example.test")), STATUS_REFUSED);
}

static void test_accounts(void **state)
{
	struct fixture *fixture = *state;
	struct account account, *accounts;
	size_t count;
	int64_t id;

	assert_int_equal(directory_add_account(fixture->store, SLICE("carol@example.net"), SLICE(""), 0, &id), STATUS_NOT_FOUND);
	assert_int_equal(directory_add_account(fixture->store, SLICE("ALICE@example.test"), SLICE(""), 0, &id), STATUS_EXISTS);
	assert_int_equal(directory_add_account(fixture->store, SLICE("nobody"), SLICE(""), 0, &id), STATUS_REFUSED);
	assert_int_equal(directory_add_account(fixture->store, SLICE("Carol@example.test"), SLICE("Carol"), 1000, &id), STATUS_OK);
	assert_int_equal(directory_find_account(fixture->store, &fixture->arena, SLICE("cAROL@example.test"), &account), STATUS_OK);
	assert_int_equal(account.id, id);
	assert_true(slice_eq(account.address, SLICE("carol@example.test")));
	assert_true(slice_eq(account.name, SLICE("Carol")));
	assert_true(account.enabled);
	assert_int_equal(account.quota_bytes, 1000);
	assert_int_equal(directory_enable_account(fixture->store, SLICE("carol@example.test"), false), STATUS_OK);
	assert_int_equal(directory_set_quota(fixture->store, SLICE("carol@example.test"), 5000, 7), STATUS_OK);
	assert_int_equal(directory_get_account(fixture->store, &fixture->arena, id, &account), STATUS_OK);
	assert_false(account.enabled);
	assert_int_equal(account.quota_bytes, 5000);
	assert_int_equal(account.quota_messages, 7);
	assert_int_equal(directory_list_accounts(fixture->store, &fixture->arena, SLICE(""), &accounts, &count), STATUS_OK);
	assert_int_equal(count, 3);
	assert_int_equal(directory_list_accounts(fixture->store, &fixture->arena, SLICE("example.net"), &accounts, &count), STATUS_OK);
	assert_int_equal(count, 0);
	assert_int_equal(directory_enable_account(fixture->store, SLICE("dave@example.test"), false), STATUS_NOT_FOUND);
	/* The queue's own account is nobody's. */
	assert_int_equal(directory_get_account(fixture->store, &fixture->arena, 0, &account), STATUS_NOT_FOUND);
	assert_int_equal(directory_find_account(fixture->store, &fixture->arena, SLICE(""), &account), STATUS_NOT_FOUND);
}

static void test_new_account_has_mailboxes(void **state)
{
	struct fixture *fixture = *state;
	static const char *const roles[] = {"inbox", "drafts", "sent", "junk", "trash", "archive"};
	struct mailbox *mailboxes;
	size_t count, found = 0;

	assert_int_equal(mailbox_list(fixture->store, &fixture->arena, fixture->alice, &mailboxes, &count), STATUS_OK);
	assert_int_equal(count, 6);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < 6; j++)
			found += slice_eq(mailboxes[i].role, slice_from_cstr(roles[j]));
	assert_int_equal(found, 6);
	assert_int_equal(fixture_mailbox(fixture, fixture->alice, "INBOX").id, MAILBOX_INBOX_ID);
	assert_true(mailboxes[0].subscribed);
}

static void test_remove_account(void **state)
{
	struct fixture *fixture = *state;
	int64_t again;

	for (int i = 0; i < 20; i++)
		fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "gone", 2000));
	fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "large", 700000));
	fixture_deliver(fixture, fixture->bob, fixture_message(&fixture->arena, "stays", 2000));
	assert_int_equal(directory_remove_account(fixture->store, SLICE("alice@example.test")), STATUS_OK);
	assert_int_equal(directory_remove_account(fixture->store, SLICE("alice@example.test")), STATUS_NOT_FOUND);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM email"), 1);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM blob"), 1);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM mailbox_email"), 1);
	assert_int_equal(fixture_number(fixture, "SELECT count(*) FROM removal"), 0);
	assert_int_equal(directory_add_account(fixture->store, SLICE("alice@example.test"), SLICE(""), 0, &again), STATUS_OK);
	assert_true(again > fixture->bob); /* never the old number */
	fixture_check_invariants(fixture);
}

static void test_aliases(void **state)
{
	struct fixture *fixture = *state;
	struct alias *aliases;
	size_t count;

	assert_int_equal(directory_add_alias(fixture->store, SLICE("Sales@example.test"), SLICE("alice@example.test")), STATUS_OK);
	assert_int_equal(directory_add_alias(fixture->store, SLICE("sales@example.test"), SLICE("alice@example.test")), STATUS_EXISTS);
	assert_int_equal(directory_add_alias(fixture->store, SLICE("sales@example.test"), SLICE("Who@remote.example")), STATUS_OK);
	assert_int_equal(directory_add_alias(fixture->store, SLICE("alice@example.test"), SLICE("x@y.example")), STATUS_EXISTS);
	assert_int_equal(directory_add_alias(fixture->store, SLICE("a@example.net"), SLICE("x@y.example")), STATUS_NOT_FOUND);
	assert_int_equal(directory_add_account(fixture->store, SLICE("sales@example.test"), SLICE(""), 0, NULL), STATUS_EXISTS);
	assert_int_equal(directory_list_aliases(fixture->store, &fixture->arena, &aliases, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_true(slice_eq(aliases[0].target, SLICE("Who@remote.example")));
	assert_int_equal(directory_remove_alias(fixture->store, SLICE("sales@example.test"), SLICE("Who@remote.example")), STATUS_OK);
	assert_int_equal(directory_remove_alias(fixture->store, SLICE("sales@example.test"), SLICE("")), STATUS_OK);
	assert_int_equal(directory_remove_alias(fixture->store, SLICE("sales@example.test"), SLICE("")), STATUS_NOT_FOUND);
}

static void test_look_up(void **state)
{
	struct fixture *fixture = *state;
	struct directory_entry entry;

	assert_int_equal(directory_add_alias(fixture->store, SLICE("sales@example.test"), SLICE("alice@example.test")), STATUS_OK);
	assert_int_equal(directory_add_alias(fixture->store, SLICE("sales@example.test"), SLICE("bob@example.test")), STATUS_OK);
	assert_int_equal(look_up(fixture, "x@remote.example").kind, DIRECTORY_NOT_LOCAL);
	assert_int_equal(look_up(fixture, "no-at-sign").kind, DIRECTORY_NOT_LOCAL);
	assert_int_equal(look_up(fixture, "nobody@example.test").kind, DIRECTORY_UNKNOWN);
	assert_int_equal(look_up(fixture, "+x@example.test").kind, DIRECTORY_UNKNOWN);
	entry = look_up(fixture, "Alice@Example.TEST");
	assert_int_equal(entry.kind, DIRECTORY_ACCOUNT);
	assert_int_equal(entry.account.id, fixture->alice);
	entry = look_up(fixture, "alice+lists+more@example.test");
	assert_int_equal(entry.kind, DIRECTORY_ACCOUNT);
	assert_int_equal(entry.account.id, fixture->alice);
	entry = look_up(fixture, "sales+spring@example.test");
	assert_int_equal(entry.kind, DIRECTORY_ALIAS);
	assert_int_equal(entry.target_count, 2);
	assert_false(entry.is_catch_all);
	assert_int_equal(directory_add_alias(fixture->store, SLICE("@example.test"), SLICE("bob@example.test")), STATUS_OK);
	entry = look_up(fixture, "whoever@example.test");
	assert_int_equal(entry.kind, DIRECTORY_ALIAS);
	assert_true(entry.is_catch_all);
	assert_true(slice_eq(entry.targets[0], SLICE("bob@example.test")));
	/* An address with a detail may itself be an account. */
	assert_int_equal(directory_add_account(fixture->store, SLICE("alice+x@example.test"), SLICE(""), 0, NULL), STATUS_OK);
	assert_int_not_equal(look_up(fixture, "alice+x@example.test").account.id, fixture->alice);
}

static size_t full_ones(struct fixture *fixture, unsigned percent, unsigned times)
{
	struct quota_full *full;
	size_t count, rest;

	assert_int_equal(quota_find_full(fixture->store, &fixture->arena, percent, 0, 10, &full, &count), STATUS_OK);
	if (count > 0) {
		assert_int_equal(full[0].account, fixture->alice);
		assert_true(slice_eq(full[0].address, SLICE("alice@example.test")));
		assert_int_equal(full[0].times, times);
		assert_int_equal(quota_find_full(fixture->store, &fixture->arena, percent, fixture->alice, 10, &full, &rest), STATUS_OK);
		assert_int_equal(rest, 0);
	}
	return count;
}

static void test_whose_quota_is_nearly_used_up(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = fixture->store;

	fixture_deliver(fixture, fixture->alice, fixture_message(&fixture->arena, "x", 9000));
	assert_int_equal(full_ones(fixture, 90, 0), 0); /* no quota */
	assert_int_equal(directory_set_quota(store, SLICE("alice@example.test"), 20000, 0), STATUS_OK);
	assert_int_equal(full_ones(fixture, 90, 0), 0);
	assert_int_equal(full_ones(fixture, 40, 0), 1);
	assert_int_equal(directory_set_quota(store, SLICE("alice@example.test"), INT64_MAX, 1), STATUS_OK);
	assert_int_equal(full_ones(fixture, 90, 0), 1); /* by messages */
	assert_int_equal(quota_set_told(store, fixture->alice), STATUS_OK);
	assert_int_equal(full_ones(fixture, 90, 0), 0);
	assert_int_equal(quota_forget_told(store, 85), STATUS_OK); /* full still */
	assert_int_equal(full_ones(fixture, 90, 0), 0);
	assert_int_equal(directory_set_quota(store, SLICE("alice@example.test"), 0, 100), STATUS_OK);
	assert_int_equal(quota_forget_told(store, 85), STATUS_OK);
	assert_int_equal(full_ones(fixture, 1, 1), 1);
	assert_int_equal(directory_enable_account(store, SLICE("alice@example.test"), false), STATUS_OK);
	assert_int_equal(full_ones(fixture, 1, 1), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_whose_quota_is_nearly_used_up), FIXTURE_TEST(test_domains),
		FIXTURE_TEST(test_accounts),
		FIXTURE_TEST(test_new_account_has_mailboxes),
		FIXTURE_TEST(test_remove_account),
		FIXTURE_TEST(test_aliases),
		FIXTURE_TEST(test_look_up),
	};

	return FIXTURE_MAIN(argc, argv, "store/directory", tests);
}
