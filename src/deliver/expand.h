/* expand: from the recipients of an envelope to the mailboxes and remote addresses that they stand for.
 *
 * Aliases may lead to aliases; a circle ends where it closes. What several paths lead to is taken once. An expansion is bounded
 * in depth and number, for one recipient and for the whole envelope. Memory from the arena; the directory is asked through a
 * function, so that tests and the cache can stand there.
 */
#pragma once

#include "deliver/deliver.h"
#include "store/directory.h"

/* The worse it is, the later it stands: the outcome of an alias is the highest of its targets', so that a dead target doesn't matter
 * beside a living one, but one that must be waited for does. */
enum expand_outcome {
	EXPAND_NOTHING, /* a circle of aliases */
	EXPAND_UNKNOWN,
	EXPAND_DISABLED,
	EXPAND_OK,
	EXPAND_LARGER_THAN_MAILBOX,
	EXPAND_LARGER_THAN_DOMAIN, /* than what the recipient's domain takes: the caller's finding */
	EXPAND_OVER_QUOTA,
	EXPAND_TOO_MANY,
	EXPAND_NOT_ALLOWED,  /* a list, and the sender isn't one of those who may write to it */
	EXPAND_RELAY_DENIED, /* of the recipient itself; an alias may lead anywhere */
	EXPAND_TEMPORARY,
};

struct expand_local {
	struct account account;
	struct slice address; /* under which it was met: perhaps with a detail */
	struct slice folder;  /* a mailbox's name; empty: INBOX */
	struct slice key;    /* under which it was taken */
	const struct deliver_recipient *recipient; /* that of the envelope which led here first */
	struct expand_local *prev, *next;
};
struct expand_remote {
	struct slice address, domain;
	struct slice local_hop; /* it stays on this machine: local:NAME, unix:USER; else empty */
	bool is_forwarded; /* an alias led here, or the like */
	const struct deliver_recipient *recipient;
	struct expand_remote *prev, *next;
};
/* An alias's target that gets nothing: for the log. */
struct expand_dropped {
	struct slice address;
	enum expand_outcome why;
	struct expand_dropped *prev, *next;
};

typedef enum status (*expand_look_up)(void *context, struct arena *arena, struct slice address, struct directory_entry *entry);

/* The folder that an account's mail to that address goes to (store/detail.h); `sender` is an account, or 0. */
typedef enum status (*expand_find_folder)(void *context, struct arena *arena, const struct account *account, struct slice address,
					  int64_t sender, struct slice *folder);

struct expand_node;
struct expansion {
	struct arena *arena;
	expand_look_up look_up;
	expand_find_folder find_folder; /* NULL: all goes to INBOX */
	void *context;
	int64_t sender_account; /* who has authenticated; 0: nobody */
	uint64_t size;       /* of the message; 0: not known */
	struct slice sender; /* who may write to a list is looked at only if its data isn't NULL */
	bool may_relay;
	bool has_local; /* targets that stay on this machine (local/local.h) can be delivered */
	unsigned max_visits; /* addresses for one recipient */
	/* results */
	struct expand_local *locals;
	struct expand_remote *remotes;
	struct expand_dropped *dropped;
	size_t local_count, remote_count;
	size_t own_locals, own_remotes; /* what the last recipient came to, taken before or not */
	/* state */
	const struct deliver_recipient *recipient;
	struct expand_node *taken, *visited;
	unsigned visits, all_visits;
};

void expansion_init(struct expansion *expansion, struct arena *arena, expand_look_up look_up, void *context);
/* Tables are on the heap. */
void expansion_free(struct expansion *expansion);
#define SCOPED_EXPANSION __attribute__((cleanup(expansion_free)))

/* What has been taken so far; and back to that: what a recipient's expansion took who gets nothing after all. */
struct expand_mark {
	struct expand_local *local;
	struct expand_remote *remote;
};
struct expand_mark expansion_mark(const struct expansion *expansion);
void expansion_return_to(struct expansion *expansion, const struct expand_mark *mark);

/* `recipient` has a normalised address ("local@domain") and outlives the expansion. */
MUST_CHECK enum expand_outcome expand(struct expansion *expansion, const struct deliver_recipient *recipient);
