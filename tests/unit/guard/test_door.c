#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guard/door.h"
#include "guard/wire.h"

/* No bucket is filled again while a test runs. */
#define PER_DAY(count)         \
	{                      \
		(count), 86400 \
	}

static unsigned reports;
static enum status answer_with;

void ipc_announce(struct ipc *ipc, struct slice kind, struct slice payload)
{
	struct offence offence;

	(void)ipc;
	assert_true(slice_eq(kind, SLICE("offence")));
	assert_true(guard_unpack_offence(payload, &offence));
	assert_true(slice_eq(offence.reason, SLICE("unknown recipients")) ||
		    slice_eq(offence.reason, SLICE("spoke before the greeting")) ||
		    slice_eq(offence.reason, SLICE("spam trap")));
	reports++;
}

/* Says yes, says no, or can't be asked. */
enum status ipc_call(struct ipc *ipc, enum role to, uint32_t type, struct slice payload, int fd, int timeout_ms,
		     struct arena *arena, struct slice *reply)
{
	struct buf out;
	bool may = answer_with == STATUS_OK;

	(void)ipc, (void)to, (void)payload, (void)fd, (void)timeout_ms;
	buf_init(&out, arena, 0);
	if (type == GUARD_REQUEST_SPEND)
		pack_u8(&out, may);
	else
		pack_u64(&out, may ? 0 : 1000);
	*reply = buf_slice(&out);
	return answer_with == STATUS_TEMPORARY ? STATUS_TEMPORARY : STATUS_OK;
}

struct world {
	struct log log;
	struct door *door;
	struct arena arena;
};

static struct net_prefix exempt;

static const struct slice traps[] = {
	{"a.trap@example.test", 19},
	{"old@example.test", 16},
	{"trap@example.test", 17},
};

static int setup(void **state)
{
	static struct world world;
	struct door_options options = {
		.rates = {.connections = PER_DAY(3),
			  .messages = PER_DAY(4),
			  .recipients = PER_DAY(5),
			  .failures = PER_DAY(2),
			  .network_factor = 2,
			  .domain_messages = PER_DAY(3),
			  .account_messages = PER_DAY(2),
			  .unknown_recipients = PER_DAY(3),
			  .early_talkers = PER_DAY(2)},
		.delays = {.greeting_ms = 3000, .remember_s = 86400, .free_failures = 2, .step_ms = 1000, .longest_ms = 2500},
		.exempt = &exempt,
		.exempt_count = 1,
		.traps = traps,
		.trap_count = 3,
		.limits_accounts = true,
		.greylists = true,
	};

	assert_true(net_prefix_parse(SLICE("127.0.0.0/8"), &exempt));
	arena_init(&world.arena, 0);
	log_init(&world.log, 2, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("test"));
	world.door = door_new(&options, NULL, &world.log);
	reports = 0;
	answer_with = STATUS_OK;
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	door_free(world->door);
	arena_free(&world->arena);
	return 0;
}

static struct door_answer connect_from(struct world *world, struct visitor *visitor, const char *from, bool trusted)
{
	struct net_address peer;

	assert_true(net_address_parse(slice_from_cstr(from), &peer));
	return door_connect(world->door, visitor, &peer, trusted);
}

static void connections(void **state)
{
	struct visitor visitor;

	for (int i = 0; i < 3; i++)
		assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", false).code, 0);
	struct door_answer answer = connect_from(*state, &visitor, "192.0.2.1", false);

	assert_int_equal(answer.code, 421);
	assert_true(answer.ends);
	/* Its neighbours have three more between them. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(connect_from(*state, &visitor, "192.0.2.2", false).code, 0);
	assert_int_equal(connect_from(*state, &visitor, "192.0.2.3", false).code, 421);
	assert_int_equal(connect_from(*state, &visitor, "192.0.3.3", false).code, 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(connect_from(*state, &visitor, "127.0.0.1", false).code, 0);
		assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", true).code, 0);
	}
}

static void without_a_door_everybody_may_come(void **state)
{
	struct net_address peer = {.family = AF_INET};
	struct world *world = *state;
	struct visitor visitor;

	assert_int_equal(door_connect(NULL, &visitor, &peer, false).code, 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(door_sender(&visitor, 0, SLICE("a@b.test")).code, 0);
		assert_int_equal(door_sender(&visitor, 7, SLICE("a@b.test")).code, 0);
		assert_int_equal(door_recipient(&visitor, 0, SLICE("alice@example.test")).code, 0);
		assert_int_equal(door_unknown_recipient(&visitor, 0).code, 0);
		assert_int_equal(door_known_recipient(&visitor, &world->arena, 0, SLICE("a"), SLICE("b")).code, 0);
		assert_int_equal(door_message(&visitor, &world->arena, 7, SLICE("a"), 1).code, 0);
		assert_int_equal(door_failure(&visitor, 0).code, 0);
	}
}

static void messages_and_domains(void **state)
{
	struct visitor visitor, other;

	assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", false).code, 0);
	assert_int_equal(connect_from(*state, &other, "192.0.3.1", false).code, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(door_sender(&visitor, 0, SLICE("a@spam.test")).code, 0);
	/* From wherever they come, and however it is written. */
	assert_int_equal(door_sender(&other, 0, SLICE("b@SPAM.test")).code, 450);
	assert_int_equal(door_sender(&other, 0, SLICE("")).code, 0);
	assert_int_equal(door_sender(&visitor, 0, SLICE("a@fine.test")).code, 0);
	assert_int_equal(door_sender(&visitor, 0, SLICE("a@fine.test")).code, 450);
	/* Who has authenticated has a bucket of his own. */
	assert_int_equal(door_sender(&visitor, 7, SLICE("a@spam.test")).code, 0);
	assert_int_equal(door_sender(&visitor, 7, SLICE("a@spam.test")).code, 0);
	assert_int_equal(door_sender(&other, 7, SLICE("a@spam.test")).code, 450);
	assert_int_equal(door_sender(&other, 8, SLICE("a@spam.test")).code, 0);
}

static void recipients_and_failures(void **state)
{
	struct visitor visitor;

	assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", false).code, 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(door_recipient(&visitor, 0, SLICE("alice@example.test")).code, 0);
	struct door_answer answer = door_recipient(&visitor, 0, SLICE("alice@example.test"));

	assert_int_equal(answer.code, 450);
	assert_false(answer.ends);
	assert_int_equal(door_recipient(&visitor, 7, SLICE("alice@example.test")).code, 0);
	assert_int_equal(door_failure(&visitor, 0).code, 0);
	assert_int_equal(door_failure(&visitor, 0).code, 0);
	answer = door_failure(&visitor, 0);
	assert_int_equal(answer.code, 421);
	assert_true(answer.ends);
}

static void who_asks_for_too_many_is_reported(void **state)
{
	struct visitor visitor;

	assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", false).code, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(door_unknown_recipient(&visitor, 0).code, 0);
	assert_int_equal(reports, 0);
	assert_int_equal(door_unknown_recipient(&visitor, 7).code, 0);
	struct door_answer answer = door_unknown_recipient(&visitor, 0);

	assert_int_equal(answer.code, 421);
	assert_true(answer.ends);
	assert_int_equal(reports, 1);
}

static void strangers_wait_once(void **state)
{
	struct visitor visitor, neighbour;

	assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", false).code, 0);
	assert_int_equal(door_greeting_wait(&visitor), 3000);
	/* Whoever didn't wait is a stranger still. */
	assert_int_equal(door_greeting_wait(&visitor), 3000);
	door_has_waited(&visitor);
	door_has_waited(&visitor);
	assert_int_equal(door_greeting_wait(&visitor), 0);
	assert_int_equal(connect_from(*state, &neighbour, "192.0.2.2", false).code, 0);
	assert_int_equal(door_greeting_wait(&neighbour), 3000);
	/* A peer has all addresses of an IPv6 /64. */
	assert_int_equal(connect_from(*state, &visitor, "2001:db8::1", false).code, 0);
	assert_int_equal(door_greeting_wait(&visitor), 3000);
	door_has_waited(&visitor);
	assert_int_equal(connect_from(*state, &neighbour, "2001:db8::2", false).code, 0);
	assert_int_equal(door_greeting_wait(&neighbour), 0);
	assert_int_equal(connect_from(*state, &visitor, "127.0.0.1", false).code, 0);
	assert_int_equal(door_greeting_wait(&visitor), 0);
	assert_int_equal(connect_from(*state, &visitor, "192.0.2.3", true).code, 0);
	assert_int_equal(door_greeting_wait(&visitor), 0);
	assert_int_equal(door_connect(NULL, &visitor, &visitor.peer, false).code, 0);
	assert_int_equal(door_greeting_wait(&visitor), 0);
}

static void early_talkers_are_reported(void **state)
{
	struct visitor visitor;

	assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", false).code, 0);
	door_early_talker(&visitor);
	door_early_talker(&visitor);
	assert_int_equal(reports, 0);
	door_early_talker(&visitor);
	assert_int_equal(reports, 1);
	assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", true).code, 0);
	door_early_talker(&visitor);
	assert_int_equal(reports, 1);
}

static void who_writes_to_a_trap_is_reported(void **state)
{
	struct visitor visitor;

	assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", false).code, 0);
	assert_int_equal(door_recipient(&visitor, 0, SLICE("trap@example.tes")).code, 0);
	assert_int_equal(door_recipient(&visitor, 0, SLICE("xtrap@example.test")).code, 0);
	assert_int_equal(reports, 0);
	for (unsigned i = 0; i < 3; i++) {
		struct door_answer answer = door_recipient(&visitor, 0, traps[i]);

		assert_int_equal(answer.code, 550);
		assert_true(slice_eq(answer.enhanced, SLICE("5.1.1")) && slice_eq(answer.text, SLICE("No such user here")));
		assert_int_equal(reports, i + 1);
	}
	assert_int_equal(door_recipient(&visitor, 0, SLICE("Old@Example.TEST")).code, 550);
	assert_int_equal(reports, 4);
	/* Our own people may, and whoever is trusted. */
	assert_int_equal(door_recipient(&visitor, 7, traps[0]).code, 0);
	assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", true).code, 0);
	assert_int_equal(door_recipient(&visitor, 0, traps[0]).code, 0);
	assert_int_equal(reports, 4);
}

static void failures_are_answered_later_and_later(void **state)
{
	static const int delays[] = {0, 0, 1000, 2000, 2500, 2500};
	struct visitor visitor;

	assert_int_equal(connect_from(*state, &visitor, "192.0.2.1", false).code, 0);
	for (size_t i = 0; i < sizeof(delays) / sizeof(*delays); i++) {
		(void)door_failure(&visitor, 0);
		assert_int_equal(door_failure_delay(&visitor, 0), delays[i]);
		assert_int_equal(door_failure_delay(&visitor, 7), 0);
	}
	assert_int_equal(connect_from(*state, &visitor, "127.0.0.1", false).code, 0);
	for (int i = 0; i < 10; i++)
		(void)door_failure(&visitor, 0);
	assert_int_equal(door_failure_delay(&visitor, 0), 0);
}

static void what_the_deliver_role_says(void **state)
{
	struct world *world = *state;
	struct visitor visitor;
	struct slice sender = SLICE("a@remote.test"), recipient = SLICE("alice@example.test");

	assert_int_equal(connect_from(world, &visitor, "192.0.2.1", false).code, 0);
	assert_int_equal(door_known_recipient(&visitor, &world->arena, 0, sender, recipient).code, 0);
	assert_int_equal(door_message(&visitor, &world->arena, 7, SLICE("alice"), 1).code, 0);
	answer_with = STATUS_LIMIT;
	assert_int_equal(door_known_recipient(&visitor, &world->arena, 0, sender, recipient).code, 451);
	assert_int_equal(door_known_recipient(&visitor, &world->arena, 7, sender, recipient).code, 0);
	assert_int_equal(door_message(&visitor, &world->arena, 7, SLICE("alice"), 1).code, 451);
	assert_int_equal(door_message(&visitor, &world->arena, 0, SLICE(""), 1).code, 0);
	/* Nobody is greylisted because we are in trouble, but nobody sends without being counted. */
	answer_with = STATUS_TEMPORARY;
	assert_int_equal(door_known_recipient(&visitor, &world->arena, 0, sender, recipient).code, 0);
	assert_int_equal(door_message(&visitor, &world->arena, 7, SLICE("alice"), 1).code, 451);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(connections, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_door_everybody_may_come, setup, teardown),
		cmocka_unit_test_setup_teardown(messages_and_domains, setup, teardown),
		cmocka_unit_test_setup_teardown(recipients_and_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(who_asks_for_too_many_is_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_wait_once, setup, teardown),
		cmocka_unit_test_setup_teardown(early_talkers_are_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(who_writes_to_a_trap_is_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_are_answered_later_and_later, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_deliver_role_says, setup, teardown),
	};

	return cmocka_run_group_tests_name("guard/door", tests, NULL, NULL);
}
