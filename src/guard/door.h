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
	struct rate early_talkers;      /* likewise who speaks before the greeting */
};

/* What strangers are made to wait; nobody's thread waits with them. */
struct door_delays {
	int greeting_ms;          /* before the greeting; 0: none */
	uint32_t remember_s;      /* whoever has waited in this time needn't again */
	unsigned free_failures;   /* in a session, that are answered at once */
	int step_ms, longest_ms;  /* the answer to each further one comes so much later; longest 0: none does */
};

/* What becomes of mail whose sender's domain can't be answered. */
enum door_sender_policy { DOOR_SENDER_ANY, DOOR_SENDER_DEFER, DOOR_SENDER_REFUSE };

struct door_options {
	struct door_rates rates;
	struct door_delays delays;
	const struct net_prefix *exempt; /* from the rates; slices and prefixes outlive the door */
	size_t exempt_count;
	bool limits_accounts; /* the deliver role counts what accounts send (outflow.h) */
	bool greylists;
	bool shares_rates; /* with other nodes on the store */
	struct screen *screen;                   /* NULL: nobody is looked up */
	int greylist_at, tempfail_at, reject_at; /* points of the screen; 0: never */
	enum door_sender_policy unknown_sender;  /* needs the screen */
	const struct slice *traps;               /* addresses in lower case, sorted: who writes to one is reported */
	size_t trap_count;
};
/* `ipc` and `log` outlive the door. Never NULL. */
struct door *door_new(const struct door_options *options, struct ipc *ipc, const struct log *log);
/* Nobody else is asked from now on. */
void door_stop_sharing(struct door *door);
void door_free(struct door *door);

struct visitor {
	struct door *door; /* NULL: the guard has nothing to say to this one */
	struct net_address peer;
	bool is_counted;               /* neither trusted nor exempt */
	struct assessment *assessment; /* begun by door_hello */
	struct assessment *sender;     /* of the domain that MAIL gave */
	int points;
	bool is_judged;
	unsigned failures;
};

/* What to answer; code 0: nothing, go on. */
struct door_answer {
	unsigned code;
	struct slice enhanced, text;
	bool ends; /* and close */
};

/* At connect. door may be NULL. Who is banned isn't here any more: net/engine.h has turned it away. */
struct door_answer door_connect(struct door *door, struct visitor *visitor, const struct net_address *peer, bool is_trusted);
/* Neither trusted nor exempt nor authenticated. */
bool door_is_stranger(const struct visitor *visitor, int64_t account);
/* Milliseconds to wait before the greeting; 0: none. Only on listeners for other mail servers. */
int door_greeting_wait(const struct visitor *visitor);
/* It has waited in silence. */
void door_has_waited(struct visitor *visitor);
/* It has not, or not for another answer: an offence if it does so again and again. */
void door_early_talker(struct visitor *visitor);
/* EHLO or HELO: only on listeners for other mail servers. */
void door_hello(struct visitor *visitor, struct slice hello, enum screen_reverse reverse);
/* The session is over. */
void door_leave(struct visitor *visitor);
/* account 0: not authenticated. */
struct door_answer door_sender(struct visitor *visitor, int64_t account, struct slice sender);
/* Before anybody is asked whether there is such a recipient, ... */
struct door_answer door_recipient(struct visitor *visitor, int64_t account, struct slice recipient);
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
/* How long to wait with the answer to the last that has failed, in milliseconds. */
int door_failure_delay(const struct visitor *visitor, int64_t account);
