/* deliver: what the deliver role is asked, by whom and how: the client's side (smtp, relay) with the numbers and fields of the
 * requests, so that both sides read the same page. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "net/conn.h"
#include "store/directory.h"
#include "store/queue.h"

struct ipc;

enum deliver_request_type {
	DELIVER_REQUEST_RECIPIENT = 1, /* may this recipient be accepted? asked at RCPT */
	DELIVER_REQUEST_MESSAGE,       /* the envelope and the message (inline, or as memfd) */
	DELIVER_REQUEST_SENDER,        /* may this authenticated account send under that address? asked at MAIL */
	DELIVER_REQUEST_WHO,           /* slice address -> u8 directory_kind, u64 account, u32 count, slice target ... */
};

/* What the addresses of one envelope may come to, so that it fits into a frame: sum of deliver_recipient_weight. */
#define DELIVER_ENVELOPE_MAX (80 * 1024)

/* The answer to give, in SMTP's terms: the one place where a reply code is invented. */
struct deliver_verdict {
	enum status status;    /* OK, or why not */
	unsigned code;         /* 250, 450, 452, 550, 552, 554 */
	struct slice enhanced; /* "2.1.5", "5.1.1", ... (RFC 3463) */
	struct slice text;
};

struct deliver_sender {
	struct slice address; /* reverse path; empty: null */
	int64_t account;      /* authenticated as; 0: not */
	struct slice login;   /* its address */
	bool may_relay;       /* authenticated, or from a trusted network */
	struct net_address peer;
};

/* RFC 6409 section 6.1: the reverse path of a submission is the login's address, an alias that leads to it, or one that `account may-send`
 * gave it, else 553 5.7.1. The
 * null path is anybody's. */
struct deliver_verdict deliver_check_sender(struct ipc *ipc, struct arena *arena, const struct deliver_sender *sender);

/* RFC 5321 section 3.3: RCPT is answered from knowledge: unknown user 550 5.1.1, over quota 452 4.2.2, disabled 550 5.2.1, relaying
 * denied 550 5.7.1, temporary 451 4.3.0. `recipient` may be "postmaster" without a domain (RFC 5321 section 4.5.1). `size` is what
 * the client declared; 0: nothing. */
struct deliver_verdict deliver_check_recipient(struct ipc *ipc, struct arena *arena, const struct deliver_sender *sender,
					       struct slice recipient, uint64_t size);

/* What stands behind an address, one step deep: for EXPN, and for who is said to have authenticated elsewhere. */
struct deliver_who {
	enum directory_kind kind;
	int64_t account; /* of DIRECTORY_ACCOUNT, if it is enabled; else 0 */
	struct slice *targets; /* of DIRECTORY_ALIAS; a catch-all's and a domain alias's aren't told: no such address was made */
	size_t target_count;
};
#define DELIVER_TARGETS_MAX 1000
/* OK, LIMIT: there are more targets than that; TEMPORARY. */
MUST_CHECK enum status deliver_look_up(struct ipc *ipc, struct arena *arena, struct slice address, struct deliver_who *who);

struct deliver_recipient {
	struct slice address, original; /* RCPT TO, ORCPT */
	unsigned notify;                /* NOTIFY_* of store/email.h; 0: not given */
	bool is_added;                  /* by a filter: as the administrator wants it, whoever sends */
};
static inline size_t deliver_recipient_weight(const struct deliver_recipient *recipient)
{
	return recipient->address.len + recipient->original.len + 16;
}
struct deliver_envelope {
	struct slice queue_id;
	struct deliver_sender sender;
	struct slice envelope_id;
	enum dsn_return dsn_return;
	bool requires_tls; /* REQUIRETLS (RFC 8689) */
	bool needs_utf8, body_8bit;
	bool is_held; /* into the queue, also for mailboxes here, until somebody lets it go */
	struct slice held_why;
	bool each; /* LMTP: a verdict for each recipient */
	struct envelope_timing timing;
	bool again; /* it may have been brought before under its queue id */
	struct slice forwarded_by; /* whose forwarding this is, an address here; empty: none */
	const struct deliver_recipient *recipients;
	size_t recipient_count;
	struct slice trace_from; /* "smtp 192.0.2.1 mx.example.org" */
};
/* One verdict for all: the message is safe for every recipient, or for none. Body: `bytes`, or if its data is NULL the sealed memfd `fd`. It is complete: Received field on top. Answers once it is on disk.
 * If the deliver role dies meanwhile the same message is brought again for some seconds; what it had committed under this queue id
 * it doesn't commit twice. */
struct deliver_verdict deliver_message(struct ipc *ipc, struct arena *arena, const struct deliver_envelope *envelope,
				       struct slice bytes, int fd);
/* The same for LMTP (RFC 2033 section 4.2): those that can have it get it, in one transaction; verdicts[i] is recipients[i]'s. */
void deliver_message_to_each(struct ipc *ipc, struct arena *arena, const struct deliver_envelope *envelope, struct slice bytes,
			     int fd, struct deliver_verdict *verdicts);
