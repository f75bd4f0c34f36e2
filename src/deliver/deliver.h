/* deliver: what the deliver role is asked, by whom and how: the client's side (smtp, relay) with the numbers and fields of the
 * requests, so that both sides read the same page. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "net/conn.h"
#include "store/queue.h"

struct ipc;

enum deliver_request_type {
	DELIVER_REQUEST_RECIPIENT = 1, /* may this recipient be accepted? asked at RCPT */
	DELIVER_REQUEST_MESSAGE,       /* the envelope and the message (inline, or as memfd) */
};

/* The answer to give, in SMTP's terms: the one place where a reply code is invented. */
struct deliver_verdict {
	enum status status;      /* OK, or why not */
	unsigned code;           /* 250, 450, 452, 550, 552, 554 */
	struct slice enhanced;   /* "2.1.5", "5.1.1", ... (RFC 3463) */
	struct slice text;
};

struct deliver_sender {
	struct slice address;       /* reverse path; empty: null */
	int64_t account;            /* authenticated as; 0: not */
	struct slice login;         /* its address */
	bool may_relay;             /* authenticated, or from a trusted network */
	struct net_address peer;
};

/* RFC 5321 section 3.3: RCPT is answered from knowledge: unknown user 550 5.1.1, over quota 452 4.2.2, disabled 550 5.2.1, relaying
 * denied 550 5.7.1, temporary 451 4.3.0. */
struct deliver_verdict deliver_check_recipient(struct ipc *ipc, struct arena *arena, const struct deliver_sender *sender,
                                               struct slice recipient, uint64_t size);

struct deliver_recipient {
	struct slice address, original; /* RCPT TO, ORCPT */
	unsigned notify;
};
struct deliver_envelope {
	struct slice queue_id;
	struct deliver_sender sender;
	struct slice envelope_id;
	bool return_full, needs_utf8, body_8bit;
	const struct deliver_recipient *recipients;
	size_t recipient_count;
	struct slice trace_from;
	bool each_alone; /* LMTP: a verdict per recipient; else one for all in verdicts[0] */
};
/* Body: `bytes`, or if its data is NULL the sealed memfd `fd`. It is complete: Received field on top. Answers once it is on disk. */
void deliver_message(struct ipc *ipc, struct arena *arena, const struct deliver_envelope *envelope, struct slice bytes, int fd,
                     struct deliver_verdict *verdicts);
