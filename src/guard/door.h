/* door: what the guard has to say to a mail client at each step: one question at connect, MAIL, RCPT and the end of a message. It puts
 * together rates (limiter.h), points (screen.h) and what the deliver role keeps for all (client.h).
 *
 * One door a role, shared by its threads; a visitor is one session's, and belongs to the thread that runs it.
 */
#pragma once

#include "base/log.h"
#include "guard/limiter.h"
#include "guard/screen.h"
#include "ipc/ipc.h"

struct door;

/* count 0 of each: no limit. */
struct door_rates {
	struct rate connections, messages, recipients, failures; /* of an address */
	unsigned network_factor;                                 /* so many times as much for its IPv4 /24 or IPv6 /64 */
	struct rate domain_messages;                             /* of one domain of senders who aren't authenticated */
	struct rate account_messages;
	struct rate unknown_recipients; /* of an address: who asks for more is reported, to be banned */
};

struct door_options {
	struct door_rates rates;
	const struct net_prefix *exempt; /* from the rates; slices and prefixes outlive the door */
	size_t exempt_count;
	bool limits_accounts; /* the deliver role counts what accounts send (outflow.h) */
	bool greylists;
	struct screen *screen;                   /* NULL: nobody is looked up */
	int greylist_at, tempfail_at, reject_at; /* points of the screen; 0: never */
};
/* `ipc` and `log` outlive the door. Never NULL. */
struct door *door_new(const struct door_options *options, struct ipc *ipc, const struct log *log);
void door_free(struct door *door);

struct visitor {
	struct door *door; /* NULL: the guard has nothing to say to this one */
	struct net_address peer;
	bool is_counted;               /* neither trusted nor exempt */
	struct assessment *assessment; /* begun by door_hello */
	int points;
	bool is_judged;
};

/* What to answer; code 0: nothing, go on. */
struct door_answer {
	unsigned code;
	struct slice enhanced, text;
	bool ends; /* and close */
};

/* At connect. door may be NULL. Who is banned isn't here any more: net/engine.h has turned it away. */
struct door_answer door_connect(struct door *door, struct visitor *visitor, const struct net_address *peer, bool is_trusted);
/* EHLO or HELO: only on listeners for other mail servers. */
void door_hello(struct visitor *visitor, struct slice hello, enum screen_reverse reverse);
/* The session is over. */
void door_leave(struct visitor *visitor);
/* account 0: not authenticated. */
struct door_answer door_sender(struct visitor *visitor, int64_t account, struct slice sender);
/* Before anybody is asked whether there is such a recipient, ... */
struct door_answer door_recipient(struct visitor *visitor, int64_t account);
/* ... when there is none, ... */
struct door_answer door_unknown_recipient(struct visitor *visitor, int64_t account);
/* ... and when there is one. */
struct door_answer door_known_recipient(struct visitor *visitor, struct arena *arena, int64_t account, struct slice sender,
					struct slice recipient);
/* A message is complete. */
struct door_answer door_message(struct visitor *visitor, struct arena *arena, int64_t account, struct slice login,
				size_t recipients);
/* A command has failed. */
struct door_answer door_failure(struct visitor *visitor, int64_t account);
