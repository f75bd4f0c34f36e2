/* local: mail for Unix users and programs of this machine: what the role is asked, by whom and how. Optional: nothing of it is reachable
 * while neither local.domains nor local.targets is set.
 *
 * Such a recipient stands in the queue with a hop that says where it goes (store/routing.h):
 *
 *     local:NAME         what the administrator has set under that name in local.targets: a command, a Maildir, a file
 *     unix:USER          a Unix user: by .forward, else local.mailbox_command, else local.mailbox
 *     unix:USER:ITEM     one target of that user's .forward: |COMMAND, /FILE, or \ for the user's mailbox
 *     forward:ADDRESS    the recipient is an address that ADDRESS's user forwards to: deliver takes it from here
 *
 * Nothing that could be run stands in the queue or in the directory, which many roles can write: local.targets is the configuration's, which
 * root alone writes, and an ITEM is looked for in the user's .forward before it is done.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "store/routing.h"

struct ipc;

enum local_request_type {
	LOCAL_REQUEST_USER = 1, /* is that a user who may have mail? From deliver. */
	LOCAL_REQUEST_DELIVER,  /* one message to one recipient; the descriptor is the message, a sealed memfd. From relay. */
};

/* What getpwnam may be asked: letters, digits, "._-", not first '-' or '.', at most 32. In lower case. */
MUST_CHECK bool local_user_of(struct arena *arena, struct slice local_part, struct slice *user);
/* The domains that have Unix users, and what stands between a user's name and a detail (0: nothing does). */
struct local_domains {
	const struct slice *domains;
	size_t count;
	char separator;
};
/* Could the address be a Unix user's? Then it is that one. */
MUST_CHECK bool local_user_at(const struct local_domains *domains, struct arena *arena, struct slice address, struct slice *user);
bool local_has_domain(const struct local_domains *domains, struct slice address);
/* OK, NOT_FOUND, TEMPORARY. */
MUST_CHECK enum status local_check_user(struct ipc *ipc, struct arena *arena, struct slice user);

struct local_request {
	struct slice hop, sender, recipient, original_recipient, queue_id;
	int64_t row, created_ms; /* of the recipient in the queue: they make a delivery to a Maildir one that is not done twice */
};
enum local_result { LOCAL_DELIVERED, LOCAL_DEFERRED, LOCAL_FAILED, LOCAL_FORWARDED };
#define LOCAL_TARGETS_MAX 100 /* of one .forward */
struct local_outcome {
	enum local_result result;
	struct slice enhanced; /* "5.3.0" */
	struct slice text;     /* what was done, or why not */
	/* FORWARDED: nothing is done yet; these are to be done instead: addresses, |COMMAND, /FILE, \ */
	struct slice *targets;
	size_t target_count;
};
#define LOCAL_ROLE_AWAY SLICE("4.3.2")
/* Blocks as long as a command may take: timeout_ms. A role that is away is LOCAL_DEFERRED, `enhanced` LOCAL_ROLE_AWAY. Texts are in `arena`. */
void local_deliver(struct ipc *ipc, struct arena *arena, const struct local_request *request, int message, int timeout_ms,
		   struct local_outcome *outcome);

/* ---- as it goes over a channel, and from the agent to the role ---- */

void local_request_pack(struct buf *out, const struct local_request *request);
MUST_CHECK bool local_request_unpack(struct slice frame, struct local_request *request);
void local_outcome_pack(struct buf *out, const struct local_outcome *outcome);
MUST_CHECK bool local_outcome_unpack(struct arena *arena, struct slice frame, struct local_outcome *outcome);
