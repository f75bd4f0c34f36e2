/* relay_fixture: a relay on a real store, with a name service of a few lines and servers that say what the test wants. */
#pragma once

#include "../store/store_fixture.h"
#include "fake_server.h"
#include "relay/relay.h"

/* One answer of a scripted server; the first line that fits is said. The list ends with text NULL. */
struct script_line {
	enum stage stage;
	const char *of; /* only when the command has this; NULL: always */
	int connection; /* only on this one; -1: on all */
	const char *text;
};
/* For struct fake_server: `context` is the list. */
const char *scripted(struct fake_server *server, enum stage stage, const char *line, int connection, int count);

struct name_record {
	const char *name;
	int preference;    /* of an MX; -1: an address */
	const char *value; /* "" with an MX: the null MX */
};

#define RECORDS_MAX 20

struct relay_fixture {
	struct fixture *store;
	struct relay *relay;
	struct relay_options options; /* set before relay_fixture_start */
	struct relay_environment environment;
	struct name_record records[RECORDS_MAX]; /* remote.example: 127.0.0.1 to begin with */
	size_t record_count;
	bool is_secure; /* DNSSEC vouches for all of them */
	enum status tlsa_status;
	struct dns_tlsa tlsa;
	unsigned queued;
};

int relay_fixture_setup(void **state);
int relay_fixture_teardown(void **state);
#define RELAY_TEST(test)                                                       \
	{                                                                      \
#test, test, relay_fixture_setup, relay_fixture_teardown, NULL \
	}
/* Options for a test that has its own time: a server on this port, time-outs of a second. */
void relay_fixture_start(struct relay_fixture *f, uint16_t port);
void relay_fixture_stop(struct relay_fixture *f);
void relay_fixture_add_record(struct relay_fixture *f, const char *name, int preference, const char *value);

struct letter {
	const char *sender; /* NULL: alice@example.test */
	const char *recipients[8];
	const char *next_hop; /* NULL: each recipient's domain */
	const char *envelope_id, *original_recipient;
	unsigned notify;
	enum dsn_return dsn_return;
	enum tls_wish tls_wish;
	bool needs_utf8, body_8bit;
	int64_t age_ms;
	size_t size; /* 0: a few lines */
};
/* Into the queue. Returns the queue id, in the store's arena. */
struct slice relay_fixture_queue(struct relay_fixture *f, const struct letter *letter);
/* One message to one recipient. */
struct slice relay_fixture_queue_to(struct relay_fixture *f, const char *recipient);

/* Waits until so many recipients are recorded. False: not within 20 s. */
bool relay_fixture_wait(struct relay_fixture *f, uint64_t delivered, uint64_t deferred, uint64_t failed);
/* What the queue holds. */
struct queue_items {
	struct queue_item *items;
	size_t count;
};
struct queue_items relay_fixture_items(struct relay_fixture *f);
/* Messages in an account's INBOX, and the last of them. */
size_t relay_fixture_inbox(struct relay_fixture *f, int64_t account, struct slice *last);
/* Whether `text` holds `part`. */
bool has(struct slice text, const char *part);
