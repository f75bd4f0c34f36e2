#include "relay_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "relay/route.h"

const char *scripted(struct fake_server *server, enum stage stage, const char *line, int connection, int count)
{
	(void)count;
	for (const struct script_line *say = server->context; say && say->text; say++)
		if (say->stage == stage && (say->connection < 0 || say->connection == connection) &&
		    (!say->of || strstr(line, say->of)))
			return say->text;
	return ANSWER_DEFAULT;
}

/* ---- names ---- */

void relay_fixture_add_record(struct relay_fixture *f, const char *name, int preference, const char *value)
{
	assert_true(f->record_count < RECORDS_MAX);
	f->records[f->record_count++] = (struct name_record){name, preference, value};
}

static enum status find_mx(void *context, struct arena *arena, struct slice domain, struct dns_mx **records, size_t *count,
			   bool *secure, bool *exists)
{
	const struct relay_fixture *f = context;

	*count = 0;
	*exists = false;
	*secure = f->is_secure;
	*records = ARENA_ARRAY(arena, struct dns_mx, RECORDS_MAX);
	for (size_t i = 0; i < f->record_count; i++) {
		const struct name_record *record = &f->records[i];

		if (!slice_eq(slice_from_cstr(record->name), domain))
			continue;
		*exists = true;
		if (record->preference >= 0)
			(*records)[(*count)++] = (struct dns_mx){(uint16_t)record->preference, slice_from_cstr(record->value)};
	}
	return *count > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

static enum status find_host(void *context, struct arena *arena, struct slice name, struct dns_host *host)
{
	const struct relay_fixture *f = context;

	*host = (struct dns_host){
		.addresses = ARENA_ARRAY(arena, struct net_address, RECORDS_MAX),
		.secure = f->is_secure,
		.canonical = SLICE_EMPTY,
	};
	for (size_t i = 0; i < f->record_count; i++) {
		const struct name_record *record = &f->records[i];

		if (record->preference < 0 && slice_eq(slice_from_cstr(record->name), name) &&
		    net_address_parse(slice_from_cstr(record->value), &host->addresses[host->count]))
			host->count++;
	}
	return host->count > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

/* One for all hosts. */
static enum status find_tlsa(void *context, struct arena *arena, struct slice name, struct dns_tlsa **records, size_t *count,
			     bool *secure)
{
	const struct relay_fixture *f = context;

	(void)name;
	*secure = true;
	*count = 1;
	*records = ARENA_NEW(arena, struct dns_tlsa);
	if (f->tlsa_status == STATUS_OK)
		**records = f->tlsa;
	return f->tlsa_status;
}

/* ---- life ---- */

static const int64_t RETRY_MS[] = {60000, 120000, 300000};

int relay_fixture_setup(void **state)
{
	struct relay_fixture *f = calloc(1, sizeof(*f));
	void *store;

	assert_int_equal(fixture_setup(&store), 0);
	f->store = store;
	f->options = (struct relay_options){
		.hostname = SLICE("me.example.test"),
		.retry_ms = RETRY_MS,
		.retry_count = 3,
		.timeouts = {1000, 1000, 1000, 1000, 1000, 1000, 200, -1},
	};
	f->environment = (struct relay_environment){
		.store = f->store->store,
		.resolver = {.context = f, .mx = find_mx, .host = find_host, .tlsa = find_tlsa},
		.log = &f->store->log,
	};
	f->environment.tls_opportunistic = tls_client_new(SLICE_EMPTY);
	f->tlsa_status = STATUS_NOT_FOUND;
	relay_fixture_add_record(f, "remote.example", -1, "127.0.0.1");
	*state = f;
	return 0;
}

void relay_fixture_start(struct relay_fixture *f, uint16_t port)
{
	f->options.port = port;
	f->environment.store = f->store->store;
	f->relay = relay_new(&f->options, &f->environment);
	relay_start(f->relay);
}

void relay_fixture_stop(struct relay_fixture *f)
{
	relay_stop(f->relay, 2000);
	relay_free(f->relay);
	f->relay = NULL;
}

int relay_fixture_teardown(void **state)
{
	struct relay_fixture *f = *state;
	void *store = f->store;

	if (f->relay)
		relay_fixture_stop(f);
	fixture_check_invariants(f->store);
	tls_context_free(f->environment.tls_opportunistic);
	tls_context_free(f->environment.tls_verified);
	(void)fixture_teardown(&store);
	free(f);
	return 0;
}

/* ---- mail ---- */

struct slice relay_fixture_queue(struct relay_fixture *f, const struct letter *letter)
{
	struct arena *arena = &f->store->arena;
	struct queue_target targets[8];
	char subject[32];
	struct delivery delivery = {
		.queue_id = random_queue_id(arena),
		.sender = letter->sender ? slice_from_cstr(letter->sender) : SLICE("alice@example.test"),
		.envelope_id = slice_from_cstr(letter->envelope_id),
		.dsn_return = letter->dsn_return,
		.tls_wish = letter->tls_wish,
		.needs_utf8 = letter->needs_utf8,
		.body_8bit = letter->body_8bit,
		.received_ms = clock_wall_ms() - letter->age_ms,
		.queue = targets,
		.trace_from = SLICE("test"),
		.all_or_nothing = true,
	};

	snprintf(subject, sizeof(subject), "letter-%u", f->queued++);
	delivery.bytes = fixture_message(arena, subject, letter->size);
	for (; letter->recipients[delivery.queue_count]; delivery.queue_count++) {
		struct slice recipient = slice_from_cstr(letter->recipients[delivery.queue_count]);

		targets[delivery.queue_count] = (struct queue_target){
			.recipient = recipient,
			.original_recipient = slice_from_cstr(letter->original_recipient),
			.notify = letter->notify,
			.next_hop = letter->next_hop ? slice_from_cstr(letter->next_hop) : route_domain_of(arena, recipient),
		};
	}
	assert_int_equal(store_deliver(f->store->store, &delivery), STATUS_OK);
	if (f->relay)
		relay_wake(f->relay);
	return delivery.queue_id;
}

struct slice relay_fixture_queue_to(struct relay_fixture *f, const char *recipient)
{
	return relay_fixture_queue(f, &(struct letter){.recipients = {recipient}});
}

bool relay_fixture_wait(struct relay_fixture *f, uint64_t delivered, uint64_t deferred, uint64_t failed)
{
	int64_t until = clock_monotonic_ms() + 20000;

	while (clock_monotonic_ms() < until) {
		struct relay_counts counts = relay_counts(f->relay);

		if (counts.delivered == delivered && counts.deferred == deferred && counts.failed == failed)
			return true;
		usleep(2000);
	}
	return false;
}

struct queue_items relay_fixture_items(struct relay_fixture *f)
{
	const struct queue_filter all = {.state = -1};
	struct queue_items found;

	assert_int_equal(queue_list(f->store->store, &f->store->arena, &all, 1000, &found.items, &found.count), STATUS_OK);
	return found;
}

size_t relay_fixture_inbox(struct relay_fixture *f, int64_t account, struct slice *last)
{
	struct mailbox inbox = fixture_mailbox(f->store, account, "INBOX");

	if (inbox.messages > 0 && last)
		*last = fixture_read(f->store, account, inbox.id, inbox.uid_next - 1);
	return inbox.messages;
}

bool has(struct slice text, const char *part)
{
	return slice_find(text, slice_from_cstr(part)) != SLICE_NOT_FOUND;
}
