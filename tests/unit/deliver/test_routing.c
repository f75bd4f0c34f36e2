/* What rules of routing do to a delivery, over a real store: domains of other kinds, lists, ways, rewriting, copies, forwarding, and
 * verdicts one by one. */
#include "deliver/service.h"
#include "deliver/wire.h"
#include "store/routing.h"
#include "store_fixture.h"

struct ipc {
	unsigned announced;
};

void ipc_announce(struct ipc *ipc, struct slice kind, struct slice payload)
{
	(void)kind;
	(void)payload;
	ipc->announced++;
}

/* The local role knows one Unix user. */
enum status ipc_call(struct ipc *ipc, enum role to, uint32_t type, struct slice payload, int fd, int timeout_ms, struct arena *arena,
		     struct slice *reply)
{
	(void)ipc;
	(void)fd;
	(void)timeout_ms;
	(void)arena;
	*reply = SLICE_EMPTY;
	assert_int_equal(to, ROLE_LOCAL);
	assert_int_equal(type, LOCAL_REQUEST_USER);
	if (slice_eq(payload, SLICE("slow")))
		return STATUS_TEMPORARY;
	return slice_eq(payload, SLICE("unixer")) ? STATUS_OK : STATUS_NOT_FOUND;
}

struct world {
	struct fixture *fixture;
	struct ipc ipc;
	struct deliver_service *service;
	struct arena arena;
};

static void add_rule(struct world *world, enum rule_kind kind, const char *subject, const char *target, const char *detail)
{
	struct rule rule = {kind, slice_from_cstr(subject), slice_from_cstr(target), slice_from_cstr(detail)};

	assert_int_equal(routing_add(world->fixture->store, &rule), STATUS_OK);
	deliver_service_directory_changed(world->service);
}

static void add_alias(struct world *world, const char *address, const char *target)
{
	assert_int_equal(directory_add_alias(world->fixture->store, slice_from_cstr(address), slice_from_cstr(target)),
			 STATUS_OK);
	deliver_service_directory_changed(world->service);
}

static int setup(void **state)
{
	static struct world world;
	static const struct slice unix_domains[] = {{"unix.test", 9}};
	struct deliver_service_options options = {.details = {.separator = '+'}, .hostname = SLICE("mx.example.test"), .require_sender_match = true,
						  .srs = true, .has_local = true, .unix_domains = {unix_domains, 1, '+'}};
	void *fixture;

	fixture_setup(&fixture);
	world = (struct world){.fixture = fixture};
	arena_init(&world.arena, 0);
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

/* ---- asking ---- */

struct letter {
	const char *queue_id, *sender, *recipients[4];
	bool may_relay, each, again;
};

/* The replies as codes, one for each recipient if `each`. */
static void bring(struct world *world, const struct letter *letter, unsigned codes[4])
{
	struct deliver_recipient recipients[4] = {0};
	struct deliver_envelope envelope = {
		.queue_id = slice_from_cstr(letter->queue_id),
		.sender = {.address = slice_from_cstr(letter->sender), .login = SLICE_EMPTY, .may_relay = letter->may_relay},
		.envelope_id = SLICE_EMPTY,
		.each = letter->each,
		.recipients = recipients,
		.trace_from = SLICE("smtp 192.0.2.1 client.example.org"),
	};
	struct ipc_request request = {.from = ROLE_SMTP, .type = DELIVER_REQUEST_MESSAGE, .fd = -1};
	struct deliver_verdict verdicts[4];
	struct buf payload, reply;

	for (size_t i = 0; i < 4 && letter->recipients[i]; i++)
		recipients[envelope.recipient_count++] =
			(struct deliver_recipient){slice_from_cstr(letter->recipients[i]), SLICE_EMPTY, 0};
	buf_init(&payload, &world->arena, 0);
	buf_init(&reply, &world->arena, 0);
	deliver_pack_envelope(&payload, letter->again, &envelope);
	pack_slice(&payload, fixture_message(&world->arena, letter->queue_id, 500));
	request.payload = buf_slice(&payload);
	assert_int_equal(deliver_service_handle(world->service, &request, &world->arena, &reply), STATUS_OK);
	size_t count = letter->each ? envelope.recipient_count : 1;

	assert_true(deliver_unpack_verdicts(buf_slice(&reply), verdicts, count));
	for (size_t i = 0; i < count; i++)
		codes[i] = verdicts[i].code;
}

static unsigned bring_one(struct world *world, const char *queue_id, const char *sender, const char *recipient, bool may_relay)
{
	struct letter letter = {queue_id, sender, {recipient}, may_relay, false, false};
	unsigned codes[4];

	bring(world, &letter, codes);
	return codes[0];
}

static unsigned ask(struct world *world, uint32_t type, const struct deliver_sender *sender, const char *recipient)
{
	struct ipc_request request = {.from = ROLE_SMTP, .type = type, .fd = -1};
	struct deliver_verdict verdict;
	struct buf payload, reply;

	buf_init(&payload, &world->arena, 0);
	buf_init(&reply, &world->arena, 0);
	deliver_pack_sender(&payload, sender);
	if (recipient) {
		pack_slice(&payload, slice_from_cstr(recipient));
		pack_u64(&payload, 0);
	}
	request.payload = buf_slice(&payload);
	assert_int_equal(deliver_service_handle(world->service, &request, &world->arena, &reply), STATUS_OK);
	assert_true(deliver_unpack_verdict(buf_slice(&reply), &verdict));
	return verdict.code;
}

static unsigned rcpt(struct world *world, const char *sender, const char *recipient, bool may_relay)
{
	struct deliver_sender from = {.address = slice_from_cstr(sender), .login = SLICE_EMPTY, .may_relay = may_relay};

	return ask(world, DELIVER_REQUEST_RECIPIENT, &from, recipient);
}

static int64_t in_inbox(struct world *world, int64_t account)
{
	return fixture_mailbox(world->fixture, account, "INBOX").messages;
}

/* The one item of the queue; it is removed. */
static struct queue_item take_queued(struct world *world)
{
	struct queue_filter all = {.state = -1};
	struct queue_item *items;
	size_t count;

	assert_int_equal(queue_list(world->fixture->store, &world->arena, &all, 10, &items, &count), STATUS_OK);
	assert_int_equal(count, 1);
	struct queue_item item = items[0];

	all.queue_id = item.queue_id;
	assert_int_equal(queue_remove(world->fixture->store, &all, &count), STATUS_OK);
	return item;
}

static void assert_text(struct slice seen, const char *text)
{
	if (!slice_eq(seen, slice_from_cstr(text)))
		fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(seen), text);
}

/* ---- domains ---- */

static void test_domain_alias(void **state)
{
	struct world *world = *state;

	assert_int_equal(rcpt(world, "s@example.org", "alice@other.test", false), 550);
	add_rule(world, RULE_DOMAIN_ALIAS, "other.test", "example.test", "");
	add_rule(world, RULE_DOMAIN_ALIAS, "third.test", "other.test", "");
	add_rule(world, RULE_DOMAIN_ALIAS, "ring.test", "gnir.test", "");
	add_rule(world, RULE_DOMAIN_ALIAS, "gnir.test", "ring.test", "");
	add_rule(world, RULE_DOMAIN_ALIAS, "away.test", "remote.example", "");
	assert_int_equal(rcpt(world, "s@example.org", "alice@other.test", false), 250);
	assert_int_equal(rcpt(world, "s@example.org", "Alice+x@THIRD.test", false), 250);
	assert_int_equal(rcpt(world, "s@example.org", "nobody@other.test", false), 550);
	assert_int_equal(rcpt(world, "s@example.org", "alice@ring.test", false), 550);
	/* Nobody relays through another name of a domain that isn't ours. */
	assert_int_equal(rcpt(world, "s@example.org", "x@away.test", false), 550);
	assert_int_equal(bring_one(world, "Q1", "s@example.org", "alice+x@third.test", false), 250);
	assert_int_equal(in_inbox(world, world->fixture->alice), 1);
	/* A domain is one thing. */
	struct rule rule = {RULE_DOMAIN_ALIAS, SLICE("example.test"), SLICE("other.test"), SLICE_EMPTY};

	assert_int_equal(routing_add(world->fixture->store, &rule), STATUS_REFUSED);
	assert_int_equal(directory_add_domain(world->fixture->store, SLICE("other.test")), STATUS_EXISTS);
	rule = (struct rule){RULE_RELAY_DOMAIN, SLICE("other.test"), SLICE_EMPTY, SLICE_EMPTY};
	assert_int_equal(routing_add(world->fixture->store, &rule), STATUS_REFUSED);
	assert_int_equal(routing_remove(world->fixture->store, RULE_DOMAIN_ALIAS, SLICE("other.test"), SLICE_EMPTY), STATUS_OK);
	deliver_service_directory_changed(world->service);
	assert_int_equal(rcpt(world, "s@example.org", "alice@other.test", false), 550);
}

static void test_relay_domain(void **state)
{
	struct world *world = *state;

	add_rule(world, RULE_RELAY_DOMAIN, "backup.test", "", "");
	add_rule(world, RULE_RELAY_DOMAIN, "listed.test", "", "listed");
	add_rule(world, RULE_RELAY_RECIPIENT, "Known@listed.test", "", "");
	add_alias(world, "here@backup.test", "alice@example.test");
	assert_int_equal(rcpt(world, "s@example.org", "whoever@backup.test", false), 250);
	assert_int_equal(rcpt(world, "s@example.org", "known@Listed.test", false), 250);
	assert_int_equal(rcpt(world, "s@example.org", "other@listed.test", false), 550);
	assert_int_equal(rcpt(world, "s@example.org", "x@sub.backup.test", false), 550);
	assert_int_equal(bring_one(world, "Q1", "s@example.org", "here@backup.test", false), 250);
	assert_int_equal(in_inbox(world, world->fixture->alice), 1);
	assert_int_equal(bring_one(world, "Q2", "s@example.org", "Whoever@backup.test", false), 250);
	struct queue_item item = take_queued(world);

	assert_text(item.recipient, "Whoever@backup.test");
	assert_text(item.next_hop, "backup.test");
	/* It isn't forwarded: it is on its way. */
	assert_text(item.sender, "s@example.org");
	assert_int_equal(routing_remove_relay_domain(world->fixture->store, SLICE("listed.test")), STATUS_OK);
	assert_int_equal(routing_remove_relay_domain(world->fixture->store, SLICE("listed.test")), STATUS_NOT_FOUND);
	deliver_service_directory_changed(world->service);
	assert_int_equal(rcpt(world, "s@example.org", "known@listed.test", false), 550);
	struct rule *rules;
	size_t count;

	assert_int_equal(routing_list(world->fixture->store, &world->arena, RULE_RELAY_RECIPIENT, SLICE_EMPTY, &rules, &count),
			 STATUS_OK);
	assert_int_equal(count, 0);
}

/* ---- lists ---- */

static void test_list_senders(void **state)
{
	struct world *world = *state;

	add_alias(world, "staff@example.test", "alice@example.test");
	add_alias(world, "staff@example.test", "friend@remote.example");
	add_alias(world, "all@example.test", "staff@example.test");
	assert_int_equal(rcpt(world, "anybody@example.org", "staff@example.test", false), 250);
	add_rule(world, RULE_LIST_SENDER, "staff@example.test", "members", "");
	add_rule(world, RULE_LIST_SENDER, "staff@example.test", "boss@example.com", "");
	add_rule(world, RULE_LIST_SENDER, "staff@example.test", "@partner.example", "");
	assert_int_equal(rcpt(world, "anybody@example.org", "staff@example.test", false), 550);
	assert_int_equal(rcpt(world, "anybody@example.org", "staff@example.test", true), 550);
	assert_int_equal(rcpt(world, "", "staff@example.test", false), 550);
	assert_int_equal(rcpt(world, "Friend@remote.example", "staff@example.test", false), 250);
	assert_int_equal(rcpt(world, "BOSS@example.com", "staff+x@example.test", false), 250);
	assert_int_equal(rcpt(world, "x@partner.example", "staff@example.test", false), 250);
	/* One of us, as long as it is known to be. */
	assert_int_equal(rcpt(world, "alice@example.test", "staff@example.test", false), 550);
	assert_int_equal(rcpt(world, "alice@example.test", "staff@example.test", true), 250);
	/* A list that holds it is its owner's choice. */
	assert_int_equal(rcpt(world, "anybody@example.org", "all@example.test", false), 250);
	assert_int_equal(bring_one(world, "Q1", "anybody@example.org", "staff@example.test", false), 550);
	assert_int_equal(in_inbox(world, world->fixture->alice), 0);
	/* Made anew it is open. */
	assert_int_equal(directory_remove_alias(world->fixture->store, SLICE("staff@example.test"), SLICE_EMPTY), STATUS_OK);
	add_alias(world, "staff@example.test", "alice@example.test");
	assert_int_equal(rcpt(world, "anybody@example.org", "staff@example.test", false), 250);
}

static void test_may_send(void **state)
{
	struct world *world = *state;
	struct deliver_sender sender = {.address = SLICE("office@example.net"),
					.account = world->fixture->alice,
					.login = SLICE("alice@example.test"),
					.may_relay = true};

	assert_int_equal(ask(world, DELIVER_REQUEST_SENDER, &sender, NULL), 553);
	add_rule(world, RULE_MAY_SEND, "alice@example.test", "Office@example.net", "");
	assert_int_equal(ask(world, DELIVER_REQUEST_SENDER, &sender, NULL), 250);
	sender.address = SLICE("other@example.net");
	assert_int_equal(ask(world, DELIVER_REQUEST_SENDER, &sender, NULL), 553);
	add_rule(world, RULE_MAY_SEND, "alice@example.test", "@example.net", "");
	assert_int_equal(ask(world, DELIVER_REQUEST_SENDER, &sender, NULL), 250);
	sender.account = world->fixture->bob;
	sender.login = SLICE("bob@example.test");
	assert_int_equal(ask(world, DELIVER_REQUEST_SENDER, &sender, NULL), 553);
	/* It goes with the account. */
	assert_int_equal(directory_remove_account(world->fixture->store, SLICE("alice@example.test")), STATUS_OK);
	bool on_behalf;

	assert_int_equal(routing_may_send(world->fixture->store, SLICE("alice@example.test"), SLICE("x@example.net"), &on_behalf),
			 STATUS_NOT_FOUND);
}

static void test_on_behalf(void **state)
{
	struct world *world = *state;
	struct store *store = world->fixture->store;
	struct slice alice = SLICE("alice@example.test");
	struct rule rule = {RULE_MAY_SEND, alice, SLICE("office@example.net"), RULE_ON_BEHALF};
	bool on_behalf;

	assert_int_equal(routing_add_all(store, &rule, 1), STATUS_OK);
	assert_int_equal(routing_may_send(store, alice, SLICE("Office@example.net"), &on_behalf), STATUS_OK);
	assert_true(on_behalf);
	/* Said again otherwise. */
	rule.detail = SLICE_EMPTY;
	assert_int_equal(routing_add_all(store, &rule, 1), STATUS_OK);
	assert_int_equal(routing_may_send(store, alice, SLICE("office@example.net"), &on_behalf), STATUS_OK);
	assert_false(on_behalf);
	/* The greater right counts. */
	struct rule domain = {RULE_MAY_SEND, alice, SLICE("@example.net"), RULE_ON_BEHALF};

	assert_int_equal(routing_add_all(store, &domain, 1), STATUS_OK);
	assert_int_equal(routing_may_send(store, alice, SLICE("office@example.net"), &on_behalf), STATUS_OK);
	assert_false(on_behalf);
	assert_int_equal(routing_may_send(store, alice, SLICE("other@example.net"), &on_behalf), STATUS_OK);
	assert_true(on_behalf);
	assert_int_equal(routing_may_send(store, alice, SLICE("other@example.org"), &on_behalf), STATUS_NOT_FOUND);
}

/* ---- ways ---- */

static void test_routes(void **state)
{
	struct world *world = *state;
	static const struct {
		const char *sender, *recipient, *hop;
	} examples[] = {
		{"s@example.org", "x@plain.example", "route:all.test:25"},
		{"s@example.org", "x@one.example", "route:one.test:25"},
		{"s@example.org", "X@ONE.example", "route:one.test:25"},
		{"s@example.org", "special@one.example", "route:[192.0.2.1]:2525"},
		{"s@example.org", "x@sub.one.example", "route:sub.test:25"},
		{"s@example.org", "x@a.b.one.example", "route:sub.test:25"},
		{"s@example.org", "x@c.deep.one.example", "route:deep.test:25"},
		{"s@example.org", "x@direct.example", "route:direct.example"},
		{"s@example.org", "x@mx.example", "route:elsewhere.test"},
		{"news@example.org", "x@plain.example", "route:bulk.test:587"},
		{"s@example.net", "x@plain.example", "route:net.test:25"},
		{"s@example.net", "x@one.example", "route:one.test:25"},
		{"", "x@plain.example", "route:all.test:25"},
		{"s@example.org", "news-@one.example", "route:some.test:25"},
		{"s@example.org", "News-Letter@one.example", "route:some.test:25"},
		{"s@example.org", "news-a-daily@one.example", "route:daily.test:25"},
		{"s@example.org", "news-exact@one.example", "route:exact.test:25"},
		{"s@example.org", "new@one.example", "route:one.test:25"},
		{"s@example.org", "xnews-@one.example", "route:one.test:25"},
		{"s@example.org", "news-x@sub.one.example", "route:sub.test:25"},
		{"list-a@example.org", "x@plain.example", "route:lists.test:25"},
	};

	add_rule(world, RULE_ROUTE, "*", "all.test:25", "");
	add_rule(world, RULE_ROUTE, "one.example", "one.test:25", "");
	add_rule(world, RULE_ROUTE, "special@one.example", "[192.0.2.1]:2525", "");
	add_rule(world, RULE_ROUTE, "news-*@one.example", "some.test:25", "");
	add_rule(world, RULE_ROUTE, "news-*-daily@one.example", "daily.test:25", "");
	add_rule(world, RULE_ROUTE, "news-exact@one.example", "exact.test:25", "");
	add_rule(world, RULE_SENDER_ROUTE, "list-*@example.org", "lists.test:25", "");
	add_rule(world, RULE_ROUTE, ".one.example", "sub.test:25", "");
	add_rule(world, RULE_ROUTE, ".deep.one.example", "deep.test:25", "");
	add_rule(world, RULE_ROUTE, "direct.example", "direct", "");
	add_rule(world, RULE_ROUTE, "mx.example", "mx:elsewhere.test", "");
	add_rule(world, RULE_SENDER_ROUTE, "news@example.org", "bulk.test:587", "");
	add_rule(world, RULE_SENDER_ROUTE, "example.net", "net.test:25", "");
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		char queue_id[] = {'Q', (char)('a' + i), '\0'};

		assert_int_equal(bring_one(world, queue_id, examples[i].sender, examples[i].recipient, true), 250);
		struct queue_item item = take_queued(world);

		if (!slice_eq(item.next_hop, slice_from_cstr(examples[i].hop)))
			fail_msg("%s to %s: %.*s", examples[i].sender, examples[i].recipient, SLICE_ARG(item.next_hop));
	}
	/* A pattern that is removed fits nobody any more; the same of senders stays. */
	struct store *store = world->fixture->store;

	add_rule(world, RULE_SENDER_ROUTE, "news-*@one.example", "senders.test:25", "");
	assert_int_equal(routing_remove(store, RULE_ROUTE, SLICE("news-*@one.example"), SLICE_EMPTY), STATUS_OK);
	assert_int_equal(bring_one(world, "P1", "s@example.org", "news-x@one.example", true), 250);
	assert_text(take_queued(world).next_hop, "route:one.test:25");
	assert_int_equal(bring_one(world, "P2", "news-x@one.example", "x@plain.example", true), 250);
	assert_text(take_queued(world).next_hop, "route:senders.test:25");
	/* One target: the next takes its place. */
	add_rule(world, RULE_ROUTE, "one.example", "two.test:25", "");
	assert_int_equal(bring_one(world, "R1", "s@example.org", "x@one.example", true), 250);
	assert_text(take_queued(world).next_hop, "route:two.test:25");
}

static void test_rewriting(void **state)
{
	struct world *world = *state;

	add_rule(world, RULE_REWRITE_SENDER, "@host.example.test", "@example.test", "");
	add_rule(world, RULE_REWRITE_SENDER, "root@host.example.test", "admin@example.test", "");
	add_rule(world, RULE_REWRITE_RECIPIENT, "old@remote.example", "new@remote.example", "");
	add_rule(world, RULE_REWRITE_RECIPIENT, "@gone.example", "@example.test", "");
	assert_int_equal(bring_one(world, "Q1", "www@Host.example.test", "old@remote.example", true), 250);
	struct queue_item item = take_queued(world);

	assert_text(item.sender, "www@example.test");
	assert_text(item.recipient, "new@remote.example");
	assert_int_equal(bring_one(world, "Q2", "root@host.example.test", "x@remote.example", true), 250);
	assert_text(take_queued(world).sender, "admin@example.test");
	assert_int_equal(rcpt(world, "s@example.org", "alice@gone.example", false), 250);
	assert_int_equal(rcpt(world, "s@example.org", "nobody@gone.example", false), 550);
	assert_int_equal(bring_one(world, "Q3", "s@example.org", "alice@gone.example", false), 250);
	assert_int_equal(in_inbox(world, world->fixture->alice), 1);
}

static void test_copies(void **state)
{
	struct world *world = *state;

	add_rule(world, RULE_BCC_SENDER, "@example.org", "bob@example.test", "");
	add_rule(world, RULE_BCC_RECIPIENT, "alice@example.test", "archive@remote.example", "");
	add_rule(world, RULE_BCC_RECIPIENT, "alice@example.test", "nobody@example.test", "");
	assert_int_equal(bring_one(world, "Q1", "s@example.org", "alice@example.test", false), 250);
	assert_int_equal(in_inbox(world, world->fixture->alice), 1);
	assert_int_equal(in_inbox(world, world->fixture->bob), 1);
	assert_text(take_queued(world).recipient, "archive@remote.example");
	/* A full mailbox for copies is in nobody's way. */
	assert_int_equal(directory_set_quota(world->fixture->store, SLICE("bob@example.test"), 10, 0), STATUS_OK);
	deliver_service_directory_changed(world->service);
	assert_int_equal(bring_one(world, "Q2", "s@example.org", "alice@example.test", false), 250);
	assert_int_equal(in_inbox(world, world->fixture->alice), 2);
	assert_int_equal(in_inbox(world, world->fixture->bob), 1);
	/* Who is a recipient anyway gets one. */
	assert_int_equal(directory_set_quota(world->fixture->store, SLICE("bob@example.test"), 0, 0), STATUS_OK);
	deliver_service_directory_changed(world->service);
	assert_int_equal(bring_one(world, "Q3", "s@example.org", "bob@example.test", false), 250);
	assert_int_equal(in_inbox(world, world->fixture->bob), 2);
}

static void test_forwarding(void **state)
{
	struct world *world = *state;

	add_alias(world, "away@example.test", "me@remote.example");
	assert_int_equal(bring_one(world, "Q1", "s@example.org", "away@example.test", false), 250);
	struct queue_item item = take_queued(world);
	struct slice srs = item.sender;

	assert_true(slice_starts_with(srs, SLICE("SRS0=")));
	assert_true(slice_ends_with(srs, SLICE("=example.org=s@example.test")));
	/* The bounce. */
	assert_int_equal(rcpt(world, "", slice_cstr(&world->arena, srs), false), 250);
	assert_int_equal(bring_one(world, "Q2", "", slice_cstr(&world->arena, srs), false), 250);
	item = take_queued(world);
	assert_text(item.recipient, "s@example.org");
	assert_text(item.sender, "");
	/* Nobody can make one up. */
	assert_int_equal(rcpt(world, "", "SRS0=abcdef=AB=example.org=victim@example.test", false), 550);
	/* Ours needs none, and null has none. */
	assert_int_equal(bring_one(world, "Q3", "bob@example.test", "away@example.test", true), 250);
	assert_text(take_queued(world).sender, "bob@example.test");
	assert_int_equal(bring_one(world, "Q4", "", "away@example.test", false), 250);
	assert_text(take_queued(world).sender, "");
	/* The secret is one for all who open the store. */
	struct store *other = fixture_open_another(world->fixture);
	struct slice one, two;

	assert_int_equal(routing_secret(other, &world->arena, SLICE("srs"), &one), STATUS_OK);
	assert_int_equal(routing_secret(world->fixture->store, &world->arena, SLICE("srs"), &two), STATUS_OK);
	assert_int_equal(one.len, 40);
	assert_true(slice_eq(one, two));
	store_close(other);
}

/* ---- a verdict for each ---- */

static void test_each(void **state)
{
	struct world *world = *state;
	struct letter letter = {"Q1",
				"s@example.org",
				{"alice@example.test", "nobody@example.test", "x@remote.example", "bob@example.test"},
				false,
				true,
				false};
	unsigned codes[4];

	bring(world, &letter, codes);
	assert_int_equal(codes[0], 250);
	assert_int_equal(codes[1], 550);
	assert_int_equal(codes[2], 550);
	assert_int_equal(codes[3], 250);
	assert_int_equal(in_inbox(world, world->fixture->alice), 1);
	assert_int_equal(in_inbox(world, world->fixture->bob), 1);
	/* Asked again: the same, once. */
	letter.again = true;
	bring(world, &letter, codes);
	assert_int_equal(codes[0], 250);
	assert_int_equal(codes[1], 550);
	assert_int_equal(in_inbox(world, world->fixture->alice), 1);
}

/* What a refused recipient would have had with others isn't delivered either, unless another one gives it. */
static void test_each_leaves_nothing_behind(void **state)
{
	struct world *world = *state;
	struct letter letter = {"Q1", "s@example.org", {"both@example.test"}, false, true, false};
	unsigned codes[4];

	add_alias(world, "both@example.test", "alice@example.test");
	add_alias(world, "both@example.test", "bob@example.test");
	assert_int_equal(directory_set_quota(world->fixture->store, SLICE("bob@example.test"), 10, 1), STATUS_OK);
	deliver_service_directory_changed(world->service);
	bring(world, &letter, codes);
	assert_int_equal(codes[0], 552);
	assert_int_equal(in_inbox(world, world->fixture->alice), 0);
	letter = (struct letter){"Q2", "s@example.org", {"both@example.test", "alice@example.test"}, false, true, false};
	bring(world, &letter, codes);
	assert_int_equal(codes[0], 552);
	assert_int_equal(codes[1], 250);
	assert_int_equal(in_inbox(world, world->fixture->alice), 1);
	assert_int_equal(in_inbox(world, world->fixture->bob), 0);
}

/* ---- what stays on this machine ---- */

static struct slice only_hop(struct world *world, const char *recipient)
{
	struct queue_filter filter = {.recipient = slice_from_cstr(recipient), .state = -1};
	struct queue_item *items;
	size_t count;

	assert_int_equal(queue_list(world->fixture->store, &world->arena, &filter, 10, &items, &count), STATUS_OK);
	assert_int_equal(count, 1);
	return items[0].next_hop;
}

static void test_unix_users(void **state)
{
	struct world *world = *state;

	assert_int_equal(rcpt(world, "s@elsewhere.test", "Unixer+x@Unix.test", false), 250);
	assert_int_equal(rcpt(world, "s@elsewhere.test", "nobody@unix.test", false), 550);
	assert_int_equal(rcpt(world, "s@elsewhere.test", "no/body@unix.test", false), 550);
	assert_int_equal(rcpt(world, "s@elsewhere.test", "slow@unix.test", false), 451);
	assert_int_equal(rcpt(world, "s@elsewhere.test", "unixer@other.test", false), 550);
	assert_int_equal(bring_one(world, "Q1", "s@elsewhere.test", "unixer+x@unix.test", false), 250);
	assert_true(slice_eq(only_hop(world, "unixer+x@unix.test"), SLICE("unix:unixer")));
	/* Aliases and accounts go before, the catch-all after. */
	assert_int_equal(directory_add_domain(world->fixture->store, SLICE("unix.test")), STATUS_OK);
	add_alias(world, "@unix.test", "far@elsewhere.test");
	assert_int_equal(bring_one(world, "Q2", "s@elsewhere.test", "unixer@unix.test", false), 250);
	assert_true(slice_eq(only_hop(world, "unixer@unix.test"), SLICE("unix:unixer")));
	add_alias(world, "unixer@unix.test", "local:keep");
	assert_int_equal(bring_one(world, "Q3", "s@elsewhere.test", "unixer+y@unix.test", false), 250);
	assert_true(slice_eq(only_hop(world, "unixer+y@unix.test"), SLICE("local:keep")));
	/* Only an alias says so. */
	assert_int_equal(rcpt(world, "s@elsewhere.test", "local:keep@unix.test", true), 553);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_domain_alias, setup, teardown),
		cmocka_unit_test_setup_teardown(test_relay_domain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_senders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_may_send, setup, teardown),
		cmocka_unit_test_setup_teardown(test_on_behalf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rewriting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forwarding, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_leaves_nothing_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unix_users, setup, teardown),
	};

	return FIXTURE_MAIN(argc, argv, "deliver_routing", tests);
}
