/* Expansion against a directory that is a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "deliver/expand.h"

#define TARGETS_MAX 4

struct entry {
	const char *address;
	enum directory_kind kind;
	const char *targets[TARGETS_MAX];
	struct account account;
};

static const struct entry entries[] = {
	{"alice@example.test", DIRECTORY_ACCOUNT, {0}, {.id = 1, .enabled = true}},
	{"bob@example.test", DIRECTORY_ACCOUNT, {0}, {.id = 2, .enabled = true}},
	{"off@example.test", DIRECTORY_ACCOUNT, {0}, {.id = 3, .enabled = false}},
	{"full@example.test", DIRECTORY_ACCOUNT, {0}, {.id = 4, .enabled = true, .quota_bytes = 1000, .used_bytes = 950}},
	{"many@example.test", DIRECTORY_ACCOUNT, {0}, {.id = 5, .enabled = true, .quota_messages = 3, .used_messages = 3}},
	{"one@example.test", DIRECTORY_ALIAS, {"alice@example.test"}, {0}},
	{"two@example.test", DIRECTORY_ALIAS, {"one@example.test", "bob@example.test"}, {0}},
	{"three@example.test", DIRECTORY_ALIAS, {"two@example.test", "one@example.test", "far@remote.example"}, {0}},
	{"remote@example.test", DIRECTORY_ALIAS, {"Far@remote.example"}, {0}},
	{"cases@example.test", DIRECTORY_ALIAS, {"far@remote.example", "Far@remote.example", "far@remote.example"}, {0}},
	{"self@example.test", DIRECTORY_ALIAS, {"self@example.test"}, {0}},
	{"self-and@example.test", DIRECTORY_ALIAS, {"Self-And@example.test", "alice@example.test"}, {0}},
	{"ring1@example.test", DIRECTORY_ALIAS, {"ring2@example.test"}, {0}},
	{"ring2@example.test", DIRECTORY_ALIAS, {"ring3@example.test"}, {0}},
	{"ring3@example.test", DIRECTORY_ALIAS, {"ring1@example.test"}, {0}},
	{"dead@example.test", DIRECTORY_ALIAS, {"nobody@example.test"}, {0}},
	{"half-dead@example.test", DIRECTORY_ALIAS, {"nobody@example.test", "off@example.test", "bob@example.test"}, {0}},
	{"half-full@example.test", DIRECTORY_ALIAS, {"full@example.test", "bob@example.test"}, {0}},
	{"half-away@example.test", DIRECTORY_ALIAS, {"trouble@example.test", "bob@example.test"}, {0}},
	{"program@example.test", DIRECTORY_ALIAS, {"local:tickets"}, {0}},
	{"program-and@example.test", DIRECTORY_ALIAS, {"alice@example.test", "local:tickets"}, {0}},
	{"only-off@example.test", DIRECTORY_ALIAS, {"off@example.test", "nobody@example.test"}, {0}},
};

struct world {
	struct arena arena;
	struct expansion expansion;
	struct slice targets[TARGETS_MAX];
	unsigned asked;
};

/* chainN leads to chainN+1, treeN to two of treeN+1. */
static bool look_up_generated(struct world *world, struct arena *arena, struct slice address, struct directory_entry *entry)
{
	bool is_tree = slice_starts_with(address, SLICE("tree"));
	uint64_t n;
	struct slice local = slice_cut(&address, '@'), rest = slice_skip(local, is_tree ? 4 : 5);
	struct slice number = slice_cut(&rest, '-');

	if ((!is_tree && !slice_starts_with(local, SLICE("chain"))) || !slice_to_u64(number, 1000000, &n))
		return false;
	entry->kind = DIRECTORY_ALIAS;
	entry->targets = ARENA_ARRAY(arena, struct slice, 2);
	entry->target_count = is_tree ? 2 : 1;
	for (unsigned i = 0; i < entry->target_count; i++) {
		struct buf target;

		buf_init(&target, arena, 0);
		if (is_tree)
			buf_printf(&target, "tree%u-%u%.*s@example.test", (unsigned)n + 1, i, SLICE_ARG(rest));
		else
			buf_printf(&target, "chain%u@example.test", (unsigned)n + 1);
		entry->targets[i] = buf_slice(&target);
	}
	world->asked++;
	return true;
}

static enum status look_up(void *context, struct arena *arena, struct slice address, struct directory_entry *found)
{
	struct world *world = context;
	struct slice rest = address, domain = slice_skip(address, slice_cut(&rest, '@').len + 1);

	*found = (struct directory_entry){.kind = DIRECTORY_UNKNOWN};
	if (slice_eq(address, SLICE("trouble@example.test")))
		return STATUS_TEMPORARY;
	if (!slice_eq_nocase(domain, SLICE("example.test"))) {
		found->kind = DIRECTORY_NOT_LOCAL;
		return STATUS_OK;
	}
	if (look_up_generated(world, arena, address, found))
		return STATUS_OK;
	for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
		const struct entry *entry = &entries[i];

		if (!slice_eq_nocase(address, slice_from_cstr(entry->address)))
			continue;
		found->kind = entry->kind;
		found->account = entry->account;
		found->account.address = slice_from_cstr(entry->address);
		found->targets = ARENA_ARRAY(arena, struct slice, TARGETS_MAX);
		while (found->target_count < TARGETS_MAX && entry->targets[found->target_count]) {
			found->targets[found->target_count] = slice_from_cstr(entry->targets[found->target_count]);
			found->target_count++;
		}
	}
	return STATUS_OK;
}

static int setup(void **state)
{
	static struct world world;

	world = (struct world){0};
	arena_init(&world.arena, 0);
	expansion_init(&world.expansion, &world.arena, look_up, &world);
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	expansion_free(&world->expansion);
	arena_free(&world->arena);
	return 0;
}

static enum expand_outcome expand_one(struct world *world, const char *address)
{
	struct deliver_recipient *recipient = ARENA_NEW(&world->arena, struct deliver_recipient);

	recipient->address = slice_from_cstr(address);
	return expand(&world->expansion, recipient);
}

/* Which accounts, as bits of their ids. */
static unsigned accounts_of(const struct world *world)
{
	unsigned bits = 0;

	for (const struct expand_local *local = world->expansion.locals; local; local = local->next)
		bits |= 1u << local->account.id;
	return bits;
}

enum { NONE = 0, ALICE = 1 << 1, BOB = 1 << 2, FULL = 1 << 4 };

struct example {
	const char *address;
	enum expand_outcome outcome;
	unsigned accounts;
	size_t remotes;
	uint64_t size;
	bool may_relay;
};

static const struct example examples[] = {
	{"alice@example.test", EXPAND_OK, ALICE, 0, 0, false},
	{"Alice@Example.Test", EXPAND_OK, ALICE, 0, 0, false},
	{"nobody@example.test", EXPAND_UNKNOWN, NONE, 0, 0, false},
	{"off@example.test", EXPAND_DISABLED, NONE, 0, 0, false},
	{"far@remote.example", EXPAND_RELAY_DENIED, NONE, 0, 0, false},
	{"far@remote.example", EXPAND_OK, NONE, 1, 0, true},
	{"trouble@example.test", EXPAND_TEMPORARY, NONE, 0, 0, false},
	/* aliases in aliases; a remote behind one needs no leave to relay */
	{"one@example.test", EXPAND_OK, ALICE, 0, 0, false},
	{"two@example.test", EXPAND_OK, ALICE | BOB, 0, 0, false},
	{"three@example.test", EXPAND_OK, ALICE | BOB, 1, 0, false},
	{"remote@example.test", EXPAND_OK, NONE, 1, 0, false},
	{"cases@example.test", EXPAND_OK, NONE, 2, 0, false},
	/* circles */
	{"self@example.test", EXPAND_NOTHING, NONE, 0, 0, false},
	{"self-and@example.test", EXPAND_OK, ALICE, 0, 0, false},
	{"ring1@example.test", EXPAND_NOTHING, NONE, 0, 0, false},
	{"ring2@example.test", EXPAND_NOTHING, NONE, 0, 0, false},
	/* a dead target matters only when all are; one to be waited for always does */
	{"dead@example.test", EXPAND_UNKNOWN, NONE, 0, 0, false},
	{"only-off@example.test", EXPAND_DISABLED, NONE, 0, 0, false},
	{"half-dead@example.test", EXPAND_OK, BOB, 0, 0, false},
	{"half-away@example.test", EXPAND_TEMPORARY, BOB, 0, 0, false},
	{"half-full@example.test", EXPAND_OVER_QUOTA, FULL | BOB, 0, 51, false},
	/* quota */
	{"full@example.test", EXPAND_OK, FULL, 0, 0, false},
	{"full@example.test", EXPAND_OK, FULL, 0, 50, false},
	{"full@example.test", EXPAND_OVER_QUOTA, FULL, 0, 51, false},
	{"full@example.test", EXPAND_LARGER_THAN_MAILBOX, FULL, 0, 1001, false},
	{"full@example.test", EXPAND_LARGER_THAN_MAILBOX, FULL, 0, UINT64_MAX, false},
	{"many@example.test", EXPAND_OVER_QUOTA, 1 << 5, 0, 1, false},
};

static void test_examples(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		const struct example *example = &examples[i];

		expansion_free(&world->expansion);
		expansion_init(&world->expansion, &world->arena, look_up, world);
		world->expansion.size = example->size;
		world->expansion.may_relay = example->may_relay;
		enum expand_outcome outcome = expand_one(world, example->address);

		if (outcome != example->outcome || accounts_of(world) != example->accounts)
			fail_msg("%s: outcome %d, accounts %x", example->address, outcome, accounts_of(world));
		assert_int_equal(world->expansion.remote_count, example->remotes);
	}
}

/* What several recipients or paths lead to is taken once, for the recipient that came first. */
static void test_once(void **state)
{
	struct world *world = *state;
	const struct expansion *expansion = &world->expansion;
	static const char *const addresses[] = {"two@example.test", "alice@example.test", "ALICE@example.test",
						"three@example.test", "bob@example.test"};

	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
		assert_int_equal(expand_one(world, addresses[i]), EXPAND_OK);
	assert_int_equal(expansion->local_count, 2);
	assert_int_equal(expansion->remote_count, 1);
	assert_true(slice_eq(expansion->locals->recipient->address, SLICE("two@example.test")));
	assert_true(slice_eq(expansion->remotes->recipient->address, SLICE("three@example.test")));
	assert_true(slice_eq(expansion->remotes->domain, SLICE("remote.example")));
}

/* RFC 5321 section 2.4: local parts of other hosts may differ by case, and are left as they are. */
static void test_remote_case(void **state)
{
	struct world *world = *state;

	world->expansion.may_relay = true;
	assert_int_equal(expand_one(world, "far@remote.example"), EXPAND_OK);
	assert_int_equal(expand_one(world, "remote@example.test"), EXPAND_OK);
	assert_int_equal(expand_one(world, "far@remote.example"), EXPAND_OK);
	assert_int_equal(world->expansion.remote_count, 2);
	assert_true(slice_eq(world->expansion.remotes->next->address, SLICE("Far@remote.example")));
}

static void test_dropped_are_named(void **state)
{
	struct world *world = *state;

	assert_int_equal(expand_one(world, "half-dead@example.test"), EXPAND_OK);
	const struct expand_dropped *dropped = world->expansion.dropped;

	assert_true(slice_eq(dropped->address, SLICE("nobody@example.test")));
	assert_int_equal(dropped->why, EXPAND_UNKNOWN);
	assert_true(slice_eq(dropped->next->address, SLICE("off@example.test")));
	assert_int_equal(dropped->next->why, EXPAND_DISABLED);
	assert_null(dropped->next->next);
}

static void test_depth_is_bounded(void **state)
{
	struct world *world = *state;

	assert_int_equal(expand_one(world, "chain0@example.test"), EXPAND_TOO_MANY);
	assert_in_range(world->asked, 10, 50);
}

static void test_number_is_bounded(void **state)
{
	struct world *world = *state;

	world->expansion.max_visits = 100;
	assert_int_equal(expand_one(world, "tree0-@example.test"), EXPAND_TOO_MANY);
	assert_in_range(world->asked, 50, 100);
	/* And in all, however many recipients ask for it. */
	for (int i = 0; i < 100; i++)
		assert_int_equal(expand_one(world, "tree0-@example.test"), EXPAND_TOO_MANY);
	assert_in_range(world->asked, 1000, 2000);
}

/* What one recipient comes to: who asked to hear of success is told of an expansion if it is more than one (RFC 3461 section 5.2.7). */
static void test_own_counts(void **state)
{
	static const struct {
		const char *address;
		size_t locals, remotes;
	} cases[] = {{"alice@example.test", 1, 0}, {"two@example.test", 2, 0}, {"three@example.test", 2, 1},
		     {"program@example.test", 0, 1}, {"program-and@example.test", 1, 1}};
	struct world *world = *state;

	world->expansion.has_local = true;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(expand_one(world, cases[i].address), EXPAND_OK);
		if (world->expansion.own_locals != cases[i].locals || world->expansion.own_remotes != cases[i].remotes)
			fail_msg("%s: %zu and %zu", cases[i].address, world->expansion.own_locals, world->expansion.own_remotes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_examples, setup, teardown),
		cmocka_unit_test_setup_teardown(test_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remote_case, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dropped_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_depth_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_number_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_counts, setup, teardown),
	};

	return cmocka_run_group_tests_name("deliver/expand", tests, NULL, NULL);
}
