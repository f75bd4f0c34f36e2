/* The deliver role's requests, answered by the service over a real store. Announcements end here: this program has its own
 * ipc_announce. */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "deliver/service.h"
#include "deliver/wire.h"
#include "store/rights.h"
#include "store_fixture.h"

#define FAULTS_MAX 200

/* ---- what is announced ---- */

struct ipc {
	pthread_mutex_t mutex;
	unsigned mailboxes, queues;
	uint64_t accounts[8]; /* of the last */
	uint32_t account_count;
};

void ipc_announce(struct ipc *ipc, struct slice kind, struct slice payload)
{
	struct unpack in = unpack_begin(payload);

	pthread_mutex_lock(&ipc->mutex);
	if (slice_eq(kind, SLICE("mailbox"))) {
		ipc->mailboxes++;
		ipc->account_count = unpack_count(&in, 8);
		for (uint32_t i = 0; i < ipc->account_count; i++)
			ipc->accounts[i] = unpack_u64(&in);
	} else if (slice_eq(kind, SLICE("queue"))) {
		ipc->queues++;
	} else {
		in.failed = true;
	}
	assert_true(unpack_ok(&in));
	pthread_mutex_unlock(&ipc->mutex);
}

/* ---- the service ---- */

/* Nobody is asked where nothing is local. */
enum status ipc_call(struct ipc *ipc, enum role to, uint32_t type, struct slice payload, int fd, int timeout_ms, struct arena *arena,
		     struct slice *reply)
{
	(void)ipc;
	(void)type;
	(void)payload;
	(void)fd;
	(void)timeout_ms;
	(void)arena;
	*reply = SLICE_EMPTY;
	fail_msg("role %d is asked", (int)to);
	return STATUS_BUG;
}

struct world {
	struct fixture *fixture;
	struct ipc ipc;
	struct deliver_service *service;
	struct arena arena;
	int64_t off, small;
};

static const struct {
	const char *address, *target;
} aliases[] = {
	{"sales@example.test", "alice@example.test"},      {"all@example.test", "sales@example.test"},
	{"all@example.test", "bob@example.test"},          {"all@example.test", "friend@remote.example"},
	{"ring@example.test", "gnir@example.test"},        {"gnir@example.test", "ring@example.test"},
	{"dead@example.test", "nobody@example.test"},      {"@catch.test", "bob@example.test"},
	{"postmaster@example.test", "alice@example.test"},
};

static void fill_directory(struct world *world)
{
	struct store *store = world->fixture->store;

	assert_int_equal(directory_add_domain(store, SLICE("catch.test")), STATUS_OK);
	assert_int_equal(directory_add_domain(store, SLICE("bare.test")), STATUS_OK);
	assert_int_equal(directory_add_account(store, SLICE("off@example.test"), SLICE_EMPTY, 0, &world->off), STATUS_OK);
	assert_int_equal(directory_enable_account(store, SLICE("off@example.test"), false), STATUS_OK);
	assert_int_equal(directory_add_account(store, SLICE("small@example.test"), SLICE_EMPTY, 3000, &world->small),
			 STATUS_OK);
	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
		assert_int_equal(
			directory_add_alias(store, slice_from_cstr(aliases[i].address), slice_from_cstr(aliases[i].target)),
			STATUS_OK);
}

static int setup(void **state)
{
	static struct world world;
	struct deliver_service_options options = {.details = {.separator = '+'},
						  .hostname = SLICE("mx.example.test"),
						  .require_sender_match = true,
						  .max_message_size = 1000000};
	void *fixture;

	fixture_setup(&fixture);
	world = (struct world){.fixture = fixture, .ipc = {.mutex = PTHREAD_MUTEX_INITIALIZER}};
	arena_init(&world.arena, 0);
	fill_directory(&world);
	world.service = deliver_service_new(&options, world.fixture->store, &world.ipc, &world.fixture->log);
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	void *fixture = world->fixture;

	deliver_service_free(world->service);
	arena_free(&world->arena);
	return fixture_teardown(&fixture);
}

/* A verdict as one number: 550 5.1.1 is CODE(550, 1, 1). */
#define CODE(code, subject, detail) ((code)*1000u + (subject)*10u + (detail))
#define OK_MESSAGE                  CODE(250, 0, 0)
#define OK_RECIPIENT                CODE(250, 1, 5)
#define OK_SENDER                   CODE(250, 1, 0)
/* Whoever asked brings the message again. */
#define NO_ANSWER  0u
#define TEMPORARY  CODE(451, 3, 0)
#define CHANGED    CODE(451, 2, 0)
#define OVER_QUOTA CODE(452, 2, 2)
#define UNKNOWN    CODE(550, 1, 1)
#define DENIED     CODE(550, 7, 1)

static unsigned ask(struct world *world, struct arena *arena, uint32_t type, struct slice payload, int fd)
{
	struct ipc_request request = {.from = ROLE_SMTP, .type = type, .payload = payload, .fd = fd};
	struct deliver_verdict verdict;
	struct buf reply;

	buf_init(&reply, arena, 0);
	enum status status = deliver_service_handle(world->service, &request, arena, &reply);

	if (status == STATUS_TEMPORARY)
		return NO_ANSWER;
	assert_int_equal(status, STATUS_OK);
	assert_true(deliver_unpack_verdict(buf_slice(&reply), &verdict));
	return verdict.code * 1000 + (unsigned)(verdict.enhanced.data[2] - '0') * 10 +
	       (unsigned)(verdict.enhanced.data[4] - '0');
}

static unsigned ask_sender(struct world *world, const char *address, int64_t account)
{
	struct deliver_sender sender = {.address = slice_from_cstr(address), .account = account, .login = SLICE_EMPTY};
	struct buf payload;

	buf_init(&payload, &world->arena, 0);
	deliver_pack_sender(&payload, &sender);
	return ask(world, &world->arena, DELIVER_REQUEST_SENDER, buf_slice(&payload), -1);
}

static unsigned ask_recipient(struct world *world, const char *address, bool may_relay, uint64_t size)
{
	struct deliver_sender sender = {.address = SLICE("s@example.org"), .login = SLICE_EMPTY, .may_relay = may_relay};
	struct buf payload;

	buf_init(&payload, &world->arena, 0);
	deliver_pack_sender(&payload, &sender);
	pack_slice(&payload, slice_from_cstr(address));
	pack_u64(&payload, size);
	return ask(world, &world->arena, DELIVER_REQUEST_RECIPIENT, buf_slice(&payload), -1);
}

struct letter {
	const char *queue_id;
	const char *recipients[4];
	const char *sender; /* NULL: s@example.org */
	int64_t account;
	bool may_relay, again;
	size_t size; /* 0: 500 */
};

static struct buf pack_message(struct arena *arena, const struct letter *message)
{
	struct deliver_recipient recipients[4] = {0};
	struct deliver_envelope envelope = {
		.queue_id = slice_from_cstr(message->queue_id),
		.sender = {.address = message->sender ? slice_from_cstr(message->sender) : SLICE("s@example.org"),
			   .account = message->account,
			   .login = SLICE_EMPTY,
			   .may_relay = message->may_relay},
		.envelope_id = SLICE_EMPTY,
		.recipients = recipients,
		.trace_from = SLICE("smtp 192.0.2.1 client.example.org"),
	};
	struct buf payload;

	for (size_t i = 0; i < 4 && message->recipients[i]; i++) {
		recipients[i] = (struct deliver_recipient){slice_from_cstr(message->recipients[i]), SLICE("rfc822;orig"),
							   NOTIFY_FAILURE};
		envelope.recipient_count++;
	}
	buf_init(&payload, arena, 0);
	deliver_pack_envelope(&payload, message->again, &envelope);
	return payload;
}

static unsigned bring(struct world *world, struct arena *arena, const struct letter *message)
{
	struct buf payload = pack_message(arena, message);

	pack_slice(&payload, fixture_message(arena, message->queue_id, message->size ? message->size : 500));
	return ask(world, arena, DELIVER_REQUEST_MESSAGE, buf_slice(&payload), -1);
}

static int64_t count(struct world *world, const char *sql)
{
	return fixture_number(world->fixture, sql);
}

static int64_t count_delivered(struct world *world)
{
	return count(world, "SELECT count(*) FROM mailbox_email");
}

static int64_t count_queued(struct world *world)
{
	return count(world, "SELECT count(*) FROM queue_recipient");
}

/* ---- questions ---- */

static void test_recipients(void **state)
{
	struct world *world = *state;
	static const struct {
		const char *address;
		unsigned verdict;
		bool may_relay;
		uint64_t size;
	} examples[] = {
		{"alice@example.test", OK_RECIPIENT, false, 0},
		{"ALICE@EXAMPLE.TEST", OK_RECIPIENT, false, 0},
		{"alice+lists@example.test", OK_RECIPIENT, false, 0},
		{"+alice@example.test", UNKNOWN, false, 0},
		{"sales+x@example.test", OK_RECIPIENT, false, 0},
		{"all@example.test", OK_RECIPIENT, false, 0},
		{"nobody@example.test", UNKNOWN, false, 0},
		{"nobody+alice@example.test", UNKNOWN, false, 0},
		{"whoever@catch.test", OK_RECIPIENT, false, 0},
		{"ring@example.test", UNKNOWN, false, 0},
		{"dead@example.test", UNKNOWN, false, 0},
		{"off@example.test", CODE(550, 2, 1), false, 0},
		{"small@example.test", OK_RECIPIENT, false, 3000},
		{"small@example.test", CODE(552, 2, 3), false, 3001},
		{"x@remote.example", DENIED, false, 0},
		{"x@remote.example", OK_RECIPIENT, true, 0},
		{"alice@example.test.", CODE(553, 1, 3), false, 0},
		{"alice", CODE(553, 1, 3), false, 0},
		{"", CODE(553, 1, 3), false, 0},
		{"alice@", CODE(553, 1, 3), true, 0},
		{"a\r\nb@example.test", CODE(553, 1, 3), true, 0},
		/* RFC 5321 section 4.5.1 */
		{"postmaster", OK_RECIPIENT, false, 0},
		{"PostMaster", OK_RECIPIENT, false, 0},
		{"postmaster@example.test", OK_RECIPIENT, false, 0},
		{"Postmaster@bare.test", OK_RECIPIENT, false, 0},
		{"somebody@bare.test", CODE(550, 1, 1), false, 0},
		{"postmaster@elsewhere.test", CODE(550, 7, 1), false, 0},
	};

	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		unsigned verdict = ask_recipient(world, examples[i].address, examples[i].may_relay, examples[i].size);

		if (verdict != examples[i].verdict)
			fail_msg("%s: %u instead of %u", examples[i].address, verdict, examples[i].verdict);
	}
}

static void test_senders(void **state)
{
	struct world *world = *state;
	int64_t alice = world->fixture->alice, bob = world->fixture->bob;

	assert_int_equal(ask_sender(world, "", 0), OK_SENDER);
	assert_int_equal(ask_sender(world, "", alice), OK_SENDER);
	assert_int_equal(ask_sender(world, "any@example.org", 0), OK_SENDER);
	assert_int_equal(ask_sender(world, "any@", 0), CODE(553, 1, 7));
	/* RFC 6409 section 6.1: its own, an alias's, with a detail; a catch-all's. */
	assert_int_equal(ask_sender(world, "alice@example.test", alice), OK_SENDER);
	assert_int_equal(ask_sender(world, "Alice+x@Example.Test", alice), OK_SENDER);
	assert_int_equal(ask_sender(world, "sales@example.test", alice), OK_SENDER);
	assert_int_equal(ask_sender(world, "all@example.test", bob), OK_SENDER);
	assert_int_equal(ask_sender(world, "anything@catch.test", bob), OK_SENDER);
	assert_int_equal(ask_sender(world, "anything@catch.test", alice), CODE(553, 7, 1));
	assert_int_equal(ask_sender(world, "sales@example.test", bob), CODE(553, 7, 1));
	assert_int_equal(ask_sender(world, "bob@example.test", alice), CODE(553, 7, 1));
	assert_int_equal(ask_sender(world, "any@example.org", alice), CODE(553, 7, 1));
}

/* ---- messages ---- */

static void check_header(struct world *world, int64_t account, const char *expected)
{
	struct slice bytes = fixture_read(world->fixture, account, MAILBOX_INBOX_ID, 1);

	if (!slice_starts_with(bytes, slice_from_cstr(expected)))
		fail_msg("%.*s", (int)(bytes.len < 200 ? bytes.len : 200), bytes.data);
}

static void test_one_transaction(void **state)
{
	struct world *world = *state;
	struct letter message = {
		"Q1", {"all@example.test", "alice@example.test", "Bob+x@example.test", "f@remote.example"}, NULL, 0, true};

	assert_int_equal(bring(world, &world->arena, &message), OK_MESSAGE);
	assert_int_equal(count_delivered(world), 2);
	assert_int_equal(count_queued(world), 2);
	assert_int_equal(count(world, "SELECT count(*) FROM queue_message"), 1);
	check_header(world, world->fixture->alice,
		     "Return-Path: <s@example.org>\r\nDelivered-To: alice@example.test\r\nX-Original-To: "
		     "all@example.test\r\nDate: ");
	check_header(
		world, world->fixture->bob,
		"Return-Path: <s@example.org>\r\nDelivered-To: bob@example.test\r\nX-Original-To: all@example.test\r\nDate: ");
	assert_int_equal(world->ipc.mailboxes, 1);
	assert_int_equal(world->ipc.account_count, 2);
	assert_int_equal(world->ipc.accounts[0] + world->ipc.accounts[1], world->fixture->alice + world->fixture->bob);
	assert_int_equal(world->ipc.queues, 1);
	fixture_check_invariants(world->fixture);
}

static void test_null_sender(void **state)
{
	struct world *world = *state;
	struct letter message = {"Q1", {"Alice@example.test"}, ""};

	assert_int_equal(bring(world, &world->arena, &message), OK_MESSAGE);
	check_header(world, world->fixture->alice, "Return-Path: <>\r\nDelivered-To: alice@example.test\r\nDate: ");
	assert_int_equal(world->ipc.queues, 0);
}

static void test_queue_rows(void **state)
{
	struct world *world = *state;
	struct letter message = {"Q1", {"all@example.test"}, "Alice@EXAMPLE.test", world->fixture->alice};
	struct queue_filter all = {.state = -1};
	struct queue_item *items;
	size_t found;

	assert_int_equal(bring(world, &world->arena, &message), OK_MESSAGE);
	assert_int_equal(queue_list(world->fixture->store, &world->arena, &all, 10, &items, &found), STATUS_OK);
	assert_int_equal(found, 1);
	assert_true(slice_eq(items[0].recipient, SLICE("friend@remote.example")));
	assert_true(slice_eq(items[0].sender, SLICE("Alice@example.test")));
	assert_true(slice_eq(items[0].original_recipient, SLICE("rfc822;orig")));
	assert_true(slice_eq(items[0].next_hop, SLICE("remote.example")));
	assert_int_equal(items[0].notify, NOTIFY_FAILURE);
}

/* Nothing that was said at RCPT is believed at the end. */
static void test_refused_messages(void **state)
{
	struct world *world = *state;
	int64_t alice = world->fixture->alice;
	const struct {
		struct letter message;
		unsigned verdict;
	} examples[] = {
		{{"Q1", {"nobody@example.test"}}, UNKNOWN},
		{{"Q1", {"off@example.test"}}, CODE(550, 2, 1)},
		{{"Q1", {"x@remote.example"}}, DENIED},
		{{"Q1", {"alice@example.test", "nobody@example.test"}}, CHANGED},
		{{"Q1", {"alice@example.test", "x@remote.example"}}, CHANGED},
		{{"Q1", {"small@example.test"}, .size = 5000}, CODE(552, 2, 3)},
		{{"Q1", {"alice@example.test", "a@@b"}}, CODE(553, 1, 3)},
		{{"Q1", {"alice@example.test"}, .sender = "bob@example.test", .account = alice}, CODE(553, 7, 1)},
		{{"Q1", {"alice@example.test"}, .sender = "@@"}, CODE(553, 1, 7)},
	};

	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++)
		assert_int_equal(bring(world, &world->arena, &examples[i].message), examples[i].verdict);
	assert_int_equal(count_delivered(world) + count_queued(world), 0);
	assert_int_equal(world->ipc.mailboxes + world->ipc.queues, 0);
}

/* The transaction has the last word, and one recipient over quota is nobody's delivery. */
static void test_quota(void **state)
{
	struct world *world = *state;
	struct letter message = {"Q1", {"small@example.test"}, .size = 2000},
		      both = {"Q2", {"alice@example.test", "small@example.test"}};

	assert_int_equal(bring(world, &world->arena, &message), OK_MESSAGE);
	assert_int_equal(ask_recipient(world, "small@example.test", false, 500), OK_RECIPIENT);
	both.size = 1500;
	/* As the cache knows it there is room. */
	assert_int_equal(bring(world, &world->arena, &both), OVER_QUOTA);
	deliver_service_directory_changed(world->service);
	assert_int_equal(bring(world, &world->arena, &both), OVER_QUOTA);
	assert_int_equal(ask_recipient(world, "small@example.test", false, 1500), OVER_QUOTA);
	assert_int_equal(count_delivered(world), 1);
	fixture_check_invariants(world->fixture);
}

/* ---- what is remembered of the directory ---- */

static void test_stale_cache(void **state)
{
	struct world *world = *state;
	struct store *store = world->fixture->store;
	struct letter bob = {"Q1", {"bob@example.test"}}, ring = {"Q2", {"ring@example.test"}};

	assert_int_equal(ask_recipient(world, "bob@example.test", false, 0), OK_RECIPIENT);
	assert_int_equal(directory_remove_account(store, SLICE("bob@example.test")), STATUS_OK);
	assert_int_equal(ask_recipient(world, "bob@example.test", false, 0), OK_RECIPIENT);
	assert_int_equal(bring(world, &world->arena, &bob), UNKNOWN);
	assert_int_equal(directory_add_alias(store, SLICE("bob@example.test"), SLICE("alice@example.test")), STATUS_OK);
	deliver_service_directory_changed(world->service);
	assert_int_equal(bring(world, &world->arena, &bob), OK_MESSAGE);
	assert_int_equal(ask_recipient(world, "ring@example.test", false, 0), UNKNOWN);
	assert_int_equal(directory_add_alias(store, SLICE("ring@example.test"), SLICE("alice@example.test")), STATUS_OK);
	deliver_service_directory_changed(world->service);
	assert_int_equal(bring(world, &world->arena, &ring), OK_MESSAGE);
}

/* An account that came in the place of one that the cache still knew. */
static void test_replaced_account(void **state)
{
	struct world *world = *state;
	struct store *store = world->fixture->store;
	struct letter bob = {"Q1", {"bob@example.test"}};
	int64_t id;

	assert_int_equal(ask_recipient(world, "bob@example.test", false, 0), OK_RECIPIENT);
	assert_int_equal(directory_remove_account(store, SLICE("bob@example.test")), STATUS_OK);
	assert_int_equal(directory_add_account(store, SLICE("bob@example.test"), SLICE_EMPTY, 0, &id), STATUS_OK);
	assert_int_equal(bring(world, &world->arena, &bob), OK_MESSAGE);
	assert_int_equal(fixture_mailbox(world->fixture, id, "INBOX").messages, 1);
}

/* ---- the same again ---- */

static void test_again(void **state)
{
	struct world *world = *state;
	struct letter message = {"Q1", {"all@example.test"}}, again = message,
		      small = {"Q3", {"small@example.test"}, .size = 2900};

	again.again = true;
	assert_int_equal(bring(world, &world->arena, &message), OK_MESSAGE);
	assert_int_equal(bring(world, &world->arena, &again), OK_MESSAGE);
	assert_int_equal(count_delivered(world), 2);
	assert_int_equal(count_queued(world), 1);
	/* Who may have died before it told. */
	assert_int_equal(world->ipc.mailboxes, 2);
	assert_int_equal(world->ipc.queues, 2);
	/* Not committed before: now. */
	again.queue_id = "Q2";
	assert_int_equal(bring(world, &world->arena, &again), OK_MESSAGE);
	assert_int_equal(bring(world, &world->arena, &again), OK_MESSAGE);
	assert_int_equal(count_delivered(world), 4);
	/* What was committed stays so, also if it wouldn't be taken any more. */
	assert_int_equal(bring(world, &world->arena, &small), OK_MESSAGE);
	deliver_service_directory_changed(world->service);
	small.again = true;
	assert_int_equal(bring(world, &world->arena, &small), OK_MESSAGE);
	assert_int_equal(count_delivered(world), 5);
	fixture_check_invariants(world->fixture);
}

#define THREADS 6
#define ROUNDS  20

struct bringer {
	struct world *world;
	pthread_barrier_t *barrier;
	unsigned wrong;
};

static void *bring_again(void *context)
{
	struct bringer *bringer = context;
	struct arena arena SCOPED_ARENA;

	for (int i = 0; i < ROUNDS; i++) {
		char queue_id[16];

		snprintf(queue_id, sizeof queue_id, "QT%d", i);
		struct letter message = {queue_id, {"all@example.test"}, .again = true};

		pthread_barrier_wait(bringer->barrier);
		bringer->wrong += bring(bringer->world, &arena, &message) != OK_MESSAGE;
		arena_reset(&arena);
	}
	return NULL;
}

/* A first try that is still on its way when the second comes: in the same batch, or in another process. */
static void test_again_at_the_same_time(void **state)
{
	struct world *world = *state;
	struct store *store = fixture_open_another(world->fixture);
	struct deliver_service_options options = {.hostname = SLICE("mx.example.test")};
	struct world other = {.fixture = world->fixture, .ipc = {.mutex = PTHREAD_MUTEX_INITIALIZER}};
	struct bringer bringers[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t barrier;

	other.service = deliver_service_new(&options, store, &other.ipc, &world->fixture->log);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		bringers[i] = (struct bringer){i % 2 ? world : &other, &barrier, 0};
		pthread_create(&threads[i], NULL, bring_again, &bringers[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(bringers[i].wrong, 0);
	}
	pthread_barrier_destroy(&barrier);
	deliver_service_free(other.service);
	store_close(store);
	assert_int_equal(count_delivered(world), 2 * ROUNDS);
	assert_int_equal(count_queued(world), ROUNDS);
	fixture_check_invariants(world->fixture);
}

/* ---- faults ---- */

struct fault {
	int countdown;
	bool happened;
};

static enum status fail_once(void *context)
{
	struct fault *fault = context;

	if (--fault->countdown != 0)
		return STATUS_OK;
	fault->happened = true;
	return STATUS_TEMPORARY;
}

static void walk(struct world *world, struct letter message)
{
	for (int n = 1; n < FAULTS_MAX; n++) {
		struct fault fault = {.countdown = n};
		int64_t before = count_delivered(world), queued = count_queued(world);

		deliver_service_directory_changed(world->service);
		fixture_set_fault(world->fixture, fail_once, &fault);
		unsigned verdict = bring(world, &world->arena, &message);

		fixture_set_fault(world->fixture, NULL, NULL);
		if (!fault.happened)
			assert_int_equal(verdict, OK_MESSAGE);
		else
			assert_true(verdict == TEMPORARY || (verdict == NO_ANSWER && message.again));
		assert_int_equal(count_delivered(world), before + (fault.happened ? 0 : 2));
		assert_int_equal(count_queued(world), queued + (fault.happened ? 0 : 1));
		if (!fault.happened) {
			assert_true(n > 15);
			return;
		}
	}
	fail_msg("there is no end to it");
}

static void test_faults(void **state)
{
	struct world *world = *state;

	walk(world, (struct letter){"Q1", {"all@example.test"}});
	walk(world,
	     (struct letter){"Q2", {"all@example.test"}, .sender = "alice@example.test", .account = world->fixture->alice});
	walk(world, (struct letter){"Q3", {"all@example.test"}, .again = true});
	assert_int_equal(world->ipc.mailboxes, 3);
	fixture_check_invariants(world->fixture);
}

/* ---- who is behind an address ---- */

static struct deliver_who who_is(struct world *world, const char *address)
{
	struct deliver_who who = {0};
	struct buf payload, reply;

	buf_init(&payload, &world->arena, 0);
	buf_init(&reply, &world->arena, 0);
	pack_slice(&payload, slice_from_cstr(address));
	struct ipc_request request = {ROLE_SMTP, DELIVER_REQUEST_WHO, buf_slice(&payload), -1, 0};

	assert_int_equal(deliver_service_handle(world->service, &request, &world->arena, &reply), STATUS_OK);
	assert_true(deliver_unpack_who(buf_slice(&reply), &world->arena, &who));
	for (size_t length = 0; length < reply.len; length++)
		assert_false(deliver_unpack_who(slice_sub(buf_slice(&reply), 0, length), &world->arena, &(struct deliver_who){0}));
	return who;
}

static void test_who(void **state)
{
	static const struct {
		const char *address;
		enum directory_kind kind;
		const char *targets;
	} rows[] = {
		{"alice@example.test", DIRECTORY_ACCOUNT, ""},
		{"ALICE@EXAMPLE.test", DIRECTORY_ACCOUNT, ""},
		{"off@example.test", DIRECTORY_ACCOUNT, ""},
		{"alice+detail@example.test", DIRECTORY_UNKNOWN, ""},
		{"all@example.test", DIRECTORY_ALIAS, "bob@example.test friend@remote.example sales@example.test "},
		{"whoever@catch.test", DIRECTORY_UNKNOWN, ""},
		{"@catch.test", DIRECTORY_UNKNOWN, ""},
		{"nobody@example.test", DIRECTORY_UNKNOWN, ""},
		{"x@remote.example", DIRECTORY_NOT_LOCAL, ""},
		{"nonsense", DIRECTORY_UNKNOWN, ""},
		{"", DIRECTORY_UNKNOWN, ""},
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct deliver_who who = who_is(world, rows[i].address);
		struct buf targets;

		buf_init(&targets, &world->arena, 0);
		for (size_t j = 0; j < who.target_count; j++)
			buf_printf(&targets, "%.*s ", SLICE_ARG(who.targets[j]));
		assert_int_equal(who.kind, rows[i].kind);
		assert_string_equal(slice_cstr(&world->arena, buf_slice(&targets)), rows[i].targets);
	}
	assert_int_equal(who_is(world, "alice@example.test").account, world->fixture->alice);
	assert_int_equal(who_is(world, "off@example.test").account, 0);
}

/* ---- what comes in frames ---- */

static void test_memfd(void **state)
{
	struct world *world = *state;
	struct letter message = {"Q1", {"alice@example.test"}};
	struct buf payload = pack_message(&world->arena, &message);
	struct slice body = fixture_message(&world->arena, "in a memfd", 300000);
	int fd = ipc_memfd(body), open_fd = memfd_create("not sealed", MFD_ALLOW_SEALING);

	assert_int_equal(ask(world, &world->arena, DELIVER_REQUEST_MESSAGE, buf_slice(&payload), fd), OK_MESSAGE);
	close(fd);
	struct slice stored = fixture_read(world->fixture, world->fixture->alice, MAILBOX_INBOX_ID, 1);

	assert_true(slice_ends_with(stored, body));
	/* Too large, or changeable by whoever sent it. */
	fd = ipc_memfd(fixture_message(&world->arena, "too large", 2000000));
	assert_int_equal(ask(world, &world->arena, DELIVER_REQUEST_MESSAGE, buf_slice(&payload), fd), TEMPORARY);
	close(fd);
	assert_int_equal(ask(world, &world->arena, DELIVER_REQUEST_MESSAGE, buf_slice(&payload), open_fd), TEMPORARY);
	close(open_fd);
	assert_int_equal(count_delivered(world), 1);
}

/* ---- folders by address (store/detail.h) ---- */

static void use_details(struct world *world, enum detail_folders folders)
{
	struct deliver_service_options options = {.details = {'+', folders}, .hostname = SLICE("mx.example.test")};

	deliver_service_free(world->service);
	world->service = deliver_service_new(&options, world->fixture->store, &world->ipc, &world->fixture->log);
}

static int64_t lie_in(struct world *world, const char *mailbox)
{
	struct mailbox found;

	assert_int_equal(mailbox_find(world->fixture->store, &world->arena, world->fixture->alice, slice_from_cstr(mailbox), &found),
			 STATUS_OK);
	return found.messages;
}

static void bring_to(struct world *world, int64_t account, const char *first, const char *second)
{
	static char names[32][8];
	static int number;
	struct letter message = {names[number % 32], {first, second}, NULL, account};

	snprintf(names[number % 32], sizeof names[0], "D%d", number);
	number++;
	assert_int_equal(bring(world, &world->arena, &message), OK_MESSAGE);
}

/* RFC 4314 section 2.1: the right p. */
static void test_detail_folders(void **state)
{
	struct world *world = *state;
	struct store *store = world->fixture->store;
	int64_t alice = world->fixture->alice, bob = world->fixture->bob, lists;

	assert_int_equal(mailbox_create(store, alice, SLICE("Lists/c"), SLICE_EMPTY, &lists), STATUS_OK);
	assert_int_equal(directory_add_alias(store, SLICE("club@example.test"), SLICE("alice+Lists/c@example.test")), STATUS_OK);
	bring_to(world, 0, "alice+Lists/c@example.test", NULL);
	assert_int_equal(lie_in(world, "INBOX"), 1);

	use_details(world, DETAIL_FOLDERS_PERMITTED);
	bring_to(world, 0, "alice+Lists/c@example.test", NULL);
	bring_to(world, bob, "alice+Lists/c@example.test", NULL);
	assert_int_equal(lie_in(world, "INBOX"), 3);
	bring_to(world, alice, "Alice+Lists/c@Example.Test", NULL);
	assert_int_equal(lie_in(world, "Lists/c"), 1);
	assert_int_equal(acl_change(store, alice, lists, SLICE("bob@example.test"), ACL_REPLACE, RIGHT_POST), STATUS_OK);
	bring_to(world, bob, "alice+Lists/c@example.test", NULL);
	bring_to(world, 0, "alice+Lists/c@example.test", NULL);
	assert_int_equal(lie_in(world, "Lists/c"), 2);
	assert_int_equal(lie_in(world, "INBOX"), 4);
	assert_int_equal(acl_change(store, alice, lists, SLICE("anyone"), ACL_REPLACE, RIGHT_POST), STATUS_OK);
	assert_int_equal(acl_change(store, alice, lists, SLICE("-bob@example.test"), ACL_REPLACE, RIGHT_POST), STATUS_OK);
	bring_to(world, 0, "club@example.test", NULL);
	bring_to(world, bob, "club@example.test", NULL);
	assert_int_equal(lie_in(world, "Lists/c"), 3);
	assert_int_equal(lie_in(world, "INBOX"), 5);

	/* once in each place; what isn't there, or can't hold messages, is INBOX */
	use_details(world, DETAIL_FOLDERS_ALL);
	bring_to(world, 0, "alice+Lists/c@example.test", "club@example.test");
	bring_to(world, 0, "alice+Lists/c@example.test", "alice+lists@example.test");
	assert_int_equal(lie_in(world, "Lists/c"), 5);
	assert_int_equal(lie_in(world, "INBOX"), 6);
	bring_to(world, 0, "alice+INBOX@example.test", "alice+@example.test");
	bring_to(world, 0, "alice++Lists/c@example.test", "alice+Lists//c@example.test");
	assert_int_equal(lie_in(world, "Lists/c"), 5);
	assert_int_equal(lie_in(world, "INBOX"), 8);
	fixture_check_invariants(world->fixture);
}

/* What is held keeps its folder in its address. */
static void test_detail_held(void **state)
{
	struct world *world = *state;
	int64_t lists;
	struct deliver_recipient recipient = {SLICE("alice+Lists@example.test"), SLICE_EMPTY, 0};
	struct deliver_envelope envelope = {.queue_id = SLICE("H1"),
					    .sender = {.address = SLICE("s@example.org"), .login = SLICE_EMPTY},
					    .envelope_id = SLICE_EMPTY,
					    .held_why = SLICE("why"),
					    .is_held = true,
					    .recipients = &recipient,
					    .recipient_count = 1,
					    .trace_from = SLICE("smtp")};
	struct buf payload;

	assert_int_equal(mailbox_create(world->fixture->store, world->fixture->alice, SLICE("Lists"), SLICE_EMPTY, &lists), STATUS_OK);
	use_details(world, DETAIL_FOLDERS_ALL);
	buf_init(&payload, &world->arena, 0);
	deliver_pack_envelope(&payload, false, &envelope);
	pack_slice(&payload, fixture_message(&world->arena, "H1", 500));
	assert_int_equal(ask(world, &world->arena, DELIVER_REQUEST_MESSAGE, buf_slice(&payload), -1), OK_MESSAGE);
	assert_int_equal(count(world, "SELECT count(*) FROM queue_recipient WHERE length(recipient) = 24"), 1);
}

/* A role that holds sockets may have been taken over: what it sends is refused without harm, wherever it is cut. */
static void test_bad_frames(void **state)
{
	struct world *world = *state;
	struct letter message = {"Q1", {"alice@example.test", "bob@example.test"}}, none = {"Q1", {NULL}},
		      nameless = {"", {"alice@example.test"}};
	struct buf reply, payload = pack_message(&world->arena, &message);

	pack_slice(&payload, SLICE("Subject: x\r\n\r\n"));
	buf_init(&reply, &world->arena, 0);
	for (uint32_t type = 0; type < 6; type++)
		for (size_t length = 0; length < payload.len; length++) {
			struct ipc_request request = {ROLE_SMTP, type, slice_sub(buf_slice(&payload), 0, length), -1, 0};

			assert_int_equal(deliver_service_handle(world->service, &request, &world->arena, &reply), STATUS_PEER);
		}
	for (int i = 0; i < 2; i++) {
		struct buf empty = pack_message(&world->arena, i ? &none : &nameless);

		pack_slice(&empty, SLICE("Subject: x\r\n\r\n"));
		struct ipc_request request = {ROLE_SMTP, DELIVER_REQUEST_MESSAGE, buf_slice(&empty), -1, 0};

		assert_int_equal(deliver_service_handle(world->service, &request, &world->arena, &reply), STATUS_PEER);
	}
	assert_int_equal(count_delivered(world), 0);
}

#define WORLD_TEST(test)                           \
	{                                          \
#test, test, setup, teardown, NULL \
	}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_recipients),
		WORLD_TEST(test_senders),
		WORLD_TEST(test_one_transaction),
		WORLD_TEST(test_null_sender),
		WORLD_TEST(test_queue_rows),
		WORLD_TEST(test_refused_messages),
		WORLD_TEST(test_quota),
		WORLD_TEST(test_stale_cache),
		WORLD_TEST(test_replaced_account),
		WORLD_TEST(test_again),
		WORLD_TEST(test_again_at_the_same_time),
		WORLD_TEST(test_faults),
		WORLD_TEST(test_who),
		WORLD_TEST(test_memfd),
		WORLD_TEST(test_bad_frames),
		WORLD_TEST(test_detail_folders),
		WORLD_TEST(test_detail_held),
	};

	return FIXTURE_MAIN(argc, argv, "deliver/service", tests);
}
