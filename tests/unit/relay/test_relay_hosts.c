/* The relay and the way to the next hop: MX, addresses, TLS, smarthosts. */
#include <stdio.h>
#include <unistd.h>

#include "auth/sasl.h"
#include "base/base64.h"
#include "relay/way.h"
#include "relay_fixture.h"
#include "store/routing.h"

/* ---- routes ---- */

static void start_at(struct fake_server *server, const char *address, uint16_t port)
{
	assert_true(net_address_parse(slice_from_cstr(address), &server->listen));
	server->listen.port = port;
	fake_server_start(server);
}

static void no_way(void **state)
{
	static const struct {
		const char *recipient, *status;
	} TABLE[] = {
		{"x@null.example", "5.1.10"},     {"x@missing.example", "5.1.2"}, {"x@loop.example", "5.4.6"},
		{"x@ourselves.example", "5.4.6"}, {"x@nowhere.example", "5.4.4"},
	};
	const struct net_address own = {.family = AF_INET, .bytes = {127, 0, 0, 9}};
	struct relay_fixture *f = *state;
	struct fake_server server = {0};
	struct slice text;

	fake_server_start(&server);
	relay_fixture_add_record(f, "null.example", 0, "");
	relay_fixture_add_record(f, "loop.example", 10, "me.example.test");
	relay_fixture_add_record(f, "me.example.test", -1, "127.0.0.1");
	relay_fixture_add_record(f, "ourselves.example", -1, "127.0.0.9");
	relay_fixture_add_record(f, "nowhere.example", 10, "gone.example");
	f->options.own_addresses = &own;
	f->options.own_address_count = 1;
	relay_fixture_start(f, server.port);
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		relay_fixture_queue_to(f, TABLE[i].recipient);
		assert_true(relay_fixture_wait(f, 0, 0, i + 1));
		assert_int_equal(relay_fixture_inbox(f, f->store->alice, &text), i + 1);
		assert_true(has(text, TABLE[i].recipient));
		assert_true(has(text, TABLE[i].status));
	}
	assert_int_equal(server.connections, 0);
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

/* We did not know our own address: the peer's greeting tells. */
static void greeted_by_ourselves(void **state)
{
	static const struct script_line SCRIPT[] = {{AT_GREETING, NULL, -1, "220 ME.example.test ESMTP\r\n"}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server server = {.answer = scripted, .context = (void *)SCRIPT};
	struct slice text;

	fake_server_start(&server);
	relay_fixture_add_record(f, "first.example", 10, "down.example");
	relay_fixture_add_record(f, "down.example", -1, "127.0.0.3");
	relay_fixture_add_record(f, "first.example", 20, "remote.example");
	relay_fixture_start(f, server.port);
	relay_fixture_queue_to(f, "x@remote.example");
	assert_true(relay_fixture_wait(f, 0, 0, 1));
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, &text), 1);
	assert_true(has(text, "5.4.6"));

	/* But when a better host is only away, its mail waits for it. */
	relay_fixture_queue_to(f, "x@first.example");
	assert_true(relay_fixture_wait(f, 0, 1, 1));
	assert_true(has(relay_fixture_items(f).items[0].last_reply, "no better mail host of first.example"));
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

/* Nobody listens at the best, the second throws us out, the third takes it. */
static void fallback(void **state)
{
	static const struct script_line BUSY[] = {{AT_GREETING, NULL, -1, "421 4.3.2 busy\r\n"}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server busy = {.answer = scripted, .context = (void *)BUSY}, good = {0}, worst = {0};

	start_at(&busy, "127.0.0.3", 0);
	start_at(&good, "127.0.0.4", busy.port);
	start_at(&worst, "127.0.0.5", busy.port);
	relay_fixture_add_record(f, "mx.example", 30, "mx3.example");
	relay_fixture_add_record(f, "mx.example", 10, "mx1.example");
	relay_fixture_add_record(f, "mx.example", 20, "mx2.example");
	relay_fixture_add_record(f, "mx.example", 40, "mx4.example");
	relay_fixture_add_record(f, "mx1.example", -1, "127.0.0.2");
	relay_fixture_add_record(f, "mx2.example", -1, "127.0.0.3");
	relay_fixture_add_record(f, "mx3.example", -1, "127.0.0.4");
	relay_fixture_add_record(f, "mx4.example", -1, "127.0.0.5");
	relay_fixture_start(f, busy.port);
	relay_fixture_queue_to(f, "x@mx.example");
	assert_true(relay_fixture_wait(f, 1, 0, 0));
	assert_int_equal(busy.connections, 1);
	assert_int_equal(good.count, 1);
	assert_int_equal(worst.connections, 0);
	relay_fixture_stop(f);
	fake_server_stop(&busy);
	fake_server_stop(&good);
	fake_server_stop(&worst);
}

static bool has_ipv6(void)
{
	struct sockaddr_storage address;
	struct net_address loopback = {.family = AF_INET6, .bytes = {[15] = 1}};
	socklen_t size = net_address_to_sockaddr(&loopback, &address);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool works = fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0;

	if (fd >= 0)
		close(fd);
	return works;
}

static void ipv6_first(void **state)
{
	static const struct script_line BUSY[] = {{AT_GREETING, NULL, 1, "421 4.3.2 busy\r\n"}, {0}};
	struct relay_fixture *f = *state;
	struct fake_server four = {0}, six = {.answer = scripted, .context = (void *)BUSY};

	if (!has_ipv6())
		skip();
	start_at(&four, "127.0.0.1", 0);
	start_at(&six, "::1", four.port);
	relay_fixture_add_record(f, "both.example", -1, "127.0.0.1");
	relay_fixture_add_record(f, "both.example", -1, "::1");
	relay_fixture_start(f, four.port);
	relay_fixture_queue_to(f, "x@both.example");
	assert_true(relay_fixture_wait(f, 1, 0, 0));
	assert_int_equal(six.count, 1);
	relay_fixture_queue_to(f, "x@both.example");
	assert_true(relay_fixture_wait(f, 2, 0, 0));
	assert_int_equal(four.count, 1);
	relay_fixture_stop(f);
	fake_server_stop(&four);
	fake_server_stop(&six);
}

static void address_literal(void **state)
{
	struct relay_fixture *f = *state;
	struct fake_server server = {0};

	fake_server_start(&server);
	relay_fixture_start(f, server.port);
	relay_fixture_queue_to(f, "x@[127.0.0.1]");
	assert_true(relay_fixture_wait(f, 1, 0, 0));
	assert_string_equal(server.messages[0].recipients, "x@[127.0.0.1] ");
	relay_fixture_stop(f);
	fake_server_stop(&server);
}

/* ---- TLS ---- */

static const char EHLO_TLS[] = "250-remote.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n";
static const char EHLO_PLAIN[] = "250-remote.example\r\n250 PIPELINING\r\n";

static void opportunistic_tls(void **state)
{
	static const struct script_line REFUSED[] = {{AT_STARTTLS, NULL, -1, "454 4.7.0 not now\r\n"}, {0}},
					DROPPED[] = {{AT_EHLO, NULL, -1, EHLO_TLS}, {0}};
	const struct {
		const char *ehlo;
		const struct script_line *script;
		bool break_tls, over_tls;
		int connections;
	} table[] = {
		{EHLO_TLS, DROPPED, false, true, 1},
		{EHLO_TLS, REFUSED, false, false, 1},
		{EHLO_TLS, NULL, true, false, 2},    /* a fresh connection, in plain */
		{EHLO_PLAIN, NULL, false, false, 1}, /* not offered, or taken out on the way */
	};
	struct relay_fixture *f = *state;
	struct slice certificate;
	struct tls_context *tls = fake_tls_server("any.example", &f->store->arena, &certificate);

	for (size_t i = 0; i < 4; i++) {
		struct fake_server server = {.answer = table[i].script ? scripted : NULL,
					     .context = (void *)table[i].script,
					     .ehlo = table[i].ehlo,
					     .tls = tls,
					     .break_tls = table[i].break_tls};

		fake_server_start(&server);
		relay_fixture_queue_to(f, "x@remote.example");
		relay_fixture_start(f, server.port);
		assert_true(relay_fixture_wait(f, 1, 0, 0));
		relay_fixture_stop(f);
		assert_int_equal(server.messages[0].over_tls, table[i].over_tls);
		assert_int_equal(server.connections, table[i].connections);
		fake_server_stop(&server);
	}
	tls_context_free(tls);
}

static const char *drops_behind_tls(struct fake_server *server, enum stage stage, const char *line, int connection, int count)
{
	const char *second = strstr(server->commands ? server->commands : "", "STARTTLS\nEHLO");

	(void)line;
	(void)count;
	return stage == AT_EHLO && connection == 0 && second ? ANSWER_DROP : ANSWER_DEFAULT;
}

/* The handshake goes well and then the connection is gone. */
static void tls_that_does_not_last(void **state)
{
	struct relay_fixture *f = *state;
	struct slice certificate;
	struct tls_context *tls = fake_tls_server("any.example", &f->store->arena, &certificate);
	struct fake_server server = {.answer = drops_behind_tls, .ehlo = EHLO_TLS, .tls = tls};

	fake_server_start(&server);
	relay_fixture_queue_to(f, "x@remote.example");
	relay_fixture_start(f, server.port);
	assert_true(relay_fixture_wait(f, 1, 0, 0));
	assert_int_equal(server.connections, 2);
	assert_false(server.messages[0].over_tls);
	relay_fixture_stop(f);
	fake_server_stop(&server);
	tls_context_free(tls);
}

/* ---- smarthosts ---- */

static void use_smarthost(struct relay_fixture *f, const char *host, const struct fake_server *server, enum relay_tls tls)
{
	struct buf name;

	buf_init(&name, &f->store->arena, 0);
	buf_printf(&name, "%s:%u", host, server->port);
	f->options.smarthost = buf_slice(&name);
	f->options.smarthost_tls = tls;
}

static void smarthost_required_tls(void **state)
{
	const struct {
		const char *host, *name, *ehlo;
		bool trusted, delivered;
		const char *reply;
	} table[] = {
		{"remote.example", "remote.example", EHLO_TLS, true, true, NULL},
		{"remote.example", "remote.example", EHLO_TLS, false, false, "TLS handshake"},
		{"remote.example", "other.example", EHLO_TLS, true, false, "TLS handshake"},
		{"remote.example", "remote.example", EHLO_PLAIN, true, false, "TLS is required"},
		{"[127.0.0.1]", "127.0.0.1", EHLO_TLS, true, true, NULL},
		{"127.0.0.1", "127.0.0.1", EHLO_TLS, true, true, NULL},
		{"[127.0.0.1]", "127.0.0.2", EHLO_TLS, true, false, "TLS handshake"},
	};
	struct relay_fixture *f = *state;
	const struct queue_filter all = {.state = -1};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct slice certificate;
		struct tls_context *tls = fake_tls_server(table[i].name, &f->store->arena, &certificate);
		struct fake_server server = {.ehlo = table[i].ehlo, .tls = tls};
		size_t count;

		fake_server_start(&server);
		tls_context_free(f->environment.tls_verified);
		f->environment.tls_verified = tls_client_new(table[i].trusted ? certificate : SLICE_EMPTY);
		use_smarthost(f, table[i].host, &server, RELAY_TLS_REQUIRED);
		relay_fixture_queue_to(f, "x@anywhere.example");
		relay_fixture_start(f, 25);
		assert_true(relay_fixture_wait(f, table[i].delivered, !table[i].delivered, 0));
		relay_fixture_stop(f);
		assert_int_equal(server.count, table[i].delivered);
		assert_true(!table[i].delivered || server.messages[0].over_tls);
		assert_null(strstr(server.commands ? server.commands : "", table[i].delivered ? "HELO " : "MAIL"));
		if (table[i].reply)
			assert_true(has(relay_fixture_items(f).items[0].last_reply, table[i].reply));
		fake_server_stop(&server);
		tls_context_free(tls);
		assert_int_equal(queue_remove(f->store->store, &all, &count), STATUS_OK);
	}
}

/* A server that checks for real: auth/'s side of the mechanisms. One connection at a time. */
struct checker {
	struct arena arena;
	struct sasl sasl;
	bool in_exchange, accepted;
	char line[2000];
};

static struct slice decode(struct arena *arena, const char *text)
{
	struct buf out;

	buf_init(&out, arena, 0);
	return base64_decode(&out, slice_from_cstr(text)) ? buf_slice(&out) : SLICE("not base64");
}

static const char *say_challenge(struct checker *checker)
{
	struct buf out;

	buf_init(&out, &checker->arena, 0);
	base64_encode(&out, checker->sasl.challenge);
	snprintf(checker->line, sizeof(checker->line), "334 %.*s\r\n", SLICE_ARG(buf_slice(&out)));
	return checker->line;
}

static const char *judge(struct checker *checker, enum sasl_result result)
{
	struct scram_keys keys;
	bool good = slice_eq(checker->sasl.user, SLICE("user"));

	if (result == SASL_NEED_KEYS) {
		if (!scram_keys_from_password(SCRAM_SHA_256, SLICE("pencil"), SLICE("0123456789abcdef"), 4096, &keys))
			return "454 4.7.0 ?\r\n";
		result = sasl_supply_keys(&checker->sasl, &keys);
	}
	if (result == SASL_CHALLENGE)
		return say_challenge(checker);
	if (result == SASL_ACCEPT && !checker->accepted && checker->sasl.mechanism == SASL_SCRAM_SHA_256) {
		checker->accepted = true; /* the client answers the last message with an empty line */
		return say_challenge(checker);
	}
	checker->in_exchange = false;
	if (result == SASL_NEED_PASSWORD)
		good = good && slice_eq(checker->sasl.password, SLICE("pencil"));
	return good && (result == SASL_NEED_PASSWORD || result == SASL_ACCEPT) ? "235 2.7.0 welcome\r\n" : "535 5.7.8 no\r\n";
}

static const char *check_password(struct fake_server *server, enum stage stage, const char *line, int connection, int count)
{
	static const struct sasl_bindings NONE;
	struct checker *checker = server->context;
	char name[40] = "", initial[1000] = "";
	enum sasl_mechanism mechanism;
	struct slice response;

	(void)connection;
	(void)count;
	if (stage == AT_OTHER && checker->in_exchange) {
		if (checker->accepted)
			return judge(checker, SASL_ACCEPT);
		return judge(checker, sasl_step(&checker->sasl, decode(&checker->arena, line)));
	}
	if (stage != AT_AUTH || sscanf(line, "AUTH %39s %999s", name, initial) < 1 ||
	    !sasl_mechanism_parse(slice_from_cstr(name), &mechanism))
		return ANSWER_DEFAULT;
	checker->in_exchange = true;
	checker->accepted = false;
	response = decode(&checker->arena, initial);
	return judge(checker, sasl_begin(&checker->sasl, &checker->arena, mechanism, &NONE, SLICE("server-nonce"),
					 initial[0] ? &response : NULL));
}

static void smarthost_auth(void **state)
{
	static const struct {
		const char *ehlo;
		const char *password;
		const char *command; /* that is used */
		bool delivered;
	} TABLE[] = {
		{"250-remote.example\r\n250 AUTH PLAIN LOGIN\r\n", "pencil", "AUTH PLAIN AHVzZXIAcGVuY2ls", true},
		{"250-remote.example\r\n250 AUTH LOGIN\r\n", "pencil", "AUTH LOGIN\n", true},
		{"250-remote.example\r\n250 AUTH PLAIN LOGIN SCRAM-SHA-256\r\n", "pencil", "AUTH SCRAM-SHA-256", true},
		{"250-remote.example\r\n250 AUTH PLAIN\r\n", "wrong", "AUTH PLAIN", false},
		{"250-remote.example\r\n250 AUTH LOGIN\r\n", "wrong", "AUTH LOGIN", false},
		{"250-remote.example\r\n250 AUTH SCRAM-SHA-256\r\n", "wrong", "AUTH SCRAM-SHA-256", false},
		{"250-remote.example\r\n250 AUTH GSSAPI\r\n", "pencil", "EHLO", false},
		{"250 remote.example\r\n", "pencil", "EHLO", false},
	};
	struct relay_fixture *f = *state;
	const struct queue_filter all = {.state = -1};

	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct checker checker = {0};
		struct fake_server server = {.answer = check_password, .context = &checker, .ehlo = TABLE[i].ehlo};
		size_t count;

		fake_server_start(&server);
		use_smarthost(f, "remote.example", &server, RELAY_TLS_NONE);
		f->options.smarthost_user = SLICE("user");
		f->options.smarthost_password = slice_from_cstr(TABLE[i].password);
		relay_fixture_queue(f, &(struct letter){.recipients = {"x@anywhere.example", "y@else.example"}});
		relay_fixture_start(f, 25);
		assert_true(relay_fixture_wait(f, TABLE[i].delivered ? 2 : 0, TABLE[i].delivered ? 0 : 2, 0));
		relay_fixture_stop(f);
		assert_int_equal(server.count, TABLE[i].delivered); /* both domains in one transaction */
		assert_non_null(strstr(server.commands, TABLE[i].command));
		fake_server_stop(&server);
		arena_free(&checker.arena);
		assert_int_equal(queue_remove(f->store->store, &all, &count), STATUS_OK);
	}
	assert_int_equal(relay_fixture_inbox(f, f->store->alice, NULL), 0); /* nothing is bounced for our own trouble */
}

/* A rule on TLS, meant for whomever, doesn't take the smarthost's password out of TLS. */
static void smarthost_password_keeps_its_tls(void **state)
{
	static const char *const LEVELS[] = {"none", "opportunistic", "encrypted"};
	struct relay_fixture *f = *state;
	const struct queue_filter all = {.state = -1};

	for (size_t i = 0; i < sizeof(LEVELS) / sizeof(LEVELS[0]); i++) {
		struct fake_server server = {.ehlo = "250-remote.example\r\n250 AUTH PLAIN LOGIN\r\n"};
		const struct rule rule = {.kind = RULE_TLS, .subject = SLICE("remote.example"), .target = slice_from_cstr(LEVELS[i]), .detail = SLICE_EMPTY};
		size_t count;

		assert_int_equal(routing_add(f->store->store, &rule), STATUS_OK);
		fake_server_start(&server);
		use_smarthost(f, "remote.example", &server, RELAY_TLS_REQUIRED);
		f->options.smarthost_user = SLICE("user");
		f->options.smarthost_password = SLICE("pencil");
		relay_fixture_queue_to(f, "x@anywhere.example");
		relay_fixture_start(f, 25);
		assert_true(relay_fixture_wait(f, 0, 1, 0));
		relay_fixture_stop(f);
		assert_true(has(relay_fixture_items(f).items[0].last_reply, "TLS is required"));
		assert_null(strstr(server.commands, "AUTH"));
		fake_server_stop(&server);
		assert_int_equal(queue_remove(f->store->store, &all, &count), STATUS_OK);
		assert_int_equal(routing_remove(f->store->store, RULE_TLS, rule.subject, SLICE_EMPTY), STATUS_OK);
	}
}

static void add_route(struct relay_fixture *f, const char *pattern, const char *tls)
{
	const struct route_terms terms = {.tls = slice_from_cstr(tls)};
	const struct rule rule = {.kind = RULE_ROUTE, .subject = slice_from_cstr(pattern), .target = SLICE("hub.example:25"),
				  .detail = tls[0] ? routing_format_terms(&f->store->arena, &terms) : SLICE_EMPTY};

	assert_int_equal(routing_add(f->store->store, &rule), STATUS_OK);
}

/* Several routes lead to one host, whose connections their mail shares: what one of them demands holds. */
static void strictest_route_counts(void **state)
{
	static const struct {
		const char *tls[3]; /* by pattern; NULL: no route */
		bool has_tls;
		enum relay_tls wanted;
	} TABLE[] = {
		{{"required", "", NULL}, true, RELAY_TLS_REQUIRED},	{{"", "required", NULL}, true, RELAY_TLS_REQUIRED},
		{{"none", "encrypted", "dane"}, true, RELAY_TLS_DANE}, {{"none", NULL, NULL}, true, RELAY_TLS_NONE},
		{{"none", "", NULL}, false, RELAY_TLS_OPPORTUNISTIC},	{{"", "", NULL}, false, RELAY_TLS_OPPORTUNISTIC},
	};
	static const char *const PATTERNS[] = {"a.example", "b.example", "c.example"};
	struct relay_fixture *f = *state;
	const struct way way = way_of(SLICE("route:hub.example:25"));

	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		struct way_terms terms;
		struct reply failure;

		for (size_t j = 0; j < 3 && TABLE[i].tls[j]; j++)
			add_route(f, PATTERNS[j], TABLE[i].tls[j]);
		assert_int_equal(way_find_terms(f->store->store, NULL, &f->store->arena, &way, &terms, &failure), STATUS_OK);
		assert_int_equal(terms.has_tls, TABLE[i].has_tls);
		assert_true(!terms.has_tls || terms.tls == TABLE[i].wanted);
		for (size_t j = 0; j < 3 && TABLE[i].tls[j]; j++)
			assert_int_equal(routing_remove(f->store->store, RULE_ROUTE, slice_from_cstr(PATTERNS[j]), SLICE_EMPTY), STATUS_OK);
	}
}

static void users_hops_are_private(void **state)
{
	struct relay_fixture *f = *state;
	struct relay_hop_count hops[4];

	relay_fixture_queue(f, &(struct letter){.recipients = {"al@here.example"}, .next_hop = "unix:al:|tell --password x"});
	relay_fixture_queue(f, &(struct letter){.recipients = {"list@here.example"}, .next_hop = "local:list"});
	relay_fixture_start(f, 25);
	assert_true(relay_fixture_wait(f, 0, 2, 0)); /* there is no local role */
	assert_int_equal(relay_hop_counts(f->relay, &f->store->arena, hops, 4), 1);
	assert_true(slice_eq(hops[0].name, SLICE("local:list")));
	relay_fixture_stop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(no_way),
		RELAY_TEST(greeted_by_ourselves),
		RELAY_TEST(fallback),
		RELAY_TEST(ipv6_first),
		RELAY_TEST(address_literal),
		RELAY_TEST(opportunistic_tls),
		RELAY_TEST(tls_that_does_not_last),
		RELAY_TEST(smarthost_required_tls),
		RELAY_TEST(smarthost_auth),
		RELAY_TEST(smarthost_password_keeps_its_tls),
		RELAY_TEST(strictest_route_counts),
		RELAY_TEST(users_hops_are_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
