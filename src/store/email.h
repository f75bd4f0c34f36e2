/* email: messages: adding them, reading them. A message's facts never change; they are computed by its bringer with
 * `email_facts` (which parses) before any lock is taken, and committed with body, index rows, counters and change log in one
 * transaction. */
#pragma once

#include "mime/message.h"
#include "store/store.h"

struct email_facts {
	struct slice bytes; /* the message as it will be stored, CRLF line ends */
	uint64_t size;
	int64_t sent_ms;                             /* Date field; 0: none */
	struct slice message_id;                     /* without <>; may be empty */
	struct slice subject;                        /* decoded UTF-8, cut at 1,000 bytes: for traces and lists */
	struct slice envelope, body, body_structure; /* as IMAP sends them */
	struct slice structure;                      /* message_pack */
	struct slice references; /* message ids of References and In-Reply-To, separated by a space: for threads */
};
void email_facts(struct arena *arena, struct slice bytes, struct email_facts *facts);

/* ---- delivery: one message to any number of accounts and into the queue, in one transaction ---- */

struct delivery_target {
	int64_t account;
	struct slice mailbox; /* a name; empty: INBOX, as it becomes if there is no such mailbox */
	uint64_t flags;
	struct slice headers; /* put before the message for this target: Return-Path, Delivered-To, ...; with CRLF */
	/* results */
	enum status status; /* OK; LIMIT: over quota; NOT_FOUND */
	uint32_t uid, uid_validity;
	int64_t email;
};

/* What an envelope says of time and order; zeroed: nothing. The numbers stand in the store. */
enum { BY_NOTIFY = 1, BY_RETURN = 2, BY_TRACE = 4 };
#define PRIORITY_MIN (-9)
#define PRIORITY_MAX 9
struct envelope_timing {
	int64_t release_ms;           /* not to be delivered before (RFC 4865); 0: at once */
	struct slice release_request; /* how that was asked for, as a DSN has it: "for;3600"; or empty */
	int64_t by_ms;                /* RFC 2852: deliver-by-time; with by_mode 0 there is none */
	unsigned by_mode;             /* BY_NOTIFY or BY_RETURN, perhaps with BY_TRACE */
	int priority;                 /* RFC 6710; higher goes first */
	struct slice verp;            /* two delimiters: each recipient's sender is another (verp.h); or empty */
};

struct queue_target {
	struct slice recipient;          /* "user@domain" */
	struct slice original_recipient; /* ORCPT as given (RFC 3461 section 4.2), or empty */
	unsigned notify;                 /* NOTIFY_* ; 0: not given */
	struct slice next_hop;           /* domain or smarthost that groups deliveries */
	int64_t account;                 /* a mailbox here, which waits for the message's time; 0: elsewhere */
	struct slice addressed_to;       /* of such a one: the recipient that led to it, if that is another address */
};
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

/* What a notification is to hold of the message (RFC 3461 section 4.3). The numbers stand in the store. */
enum dsn_return { DSN_RETURN_UNSAID = 0, DSN_RETURN_FULL = 1, DSN_RETURN_HEADERS = 2 };
/* What the message itself asks of the way it goes (RFC 8689): nothing, REQUIRETLS, or "TLS-Required: No". Likewise. */
enum tls_wish { TLS_WISH_NONE = 0, TLS_WISH_REQUIRED = 1, TLS_WISH_OPTIONAL = 2 };

struct delivery {
	struct slice queue_id;
	struct slice sender;        /* reverse path; empty: null */
	struct slice queue_sender;  /* that of what goes into the queue, if it is another; data NULL: `sender` */
	struct slice envelope_id;   /* ENVID (RFC 3461), or empty */
	enum dsn_return dsn_return; /* RET */
	enum tls_wish tls_wish;
	bool needs_utf8, body_8bit; /* SMTPUTF8, BODY=8BITMIME */
	struct envelope_timing timing; /* of what goes into the queue */
	int64_t received_ms;
	bool is_held;          /* in the queue, until a person lets it go */
	struct slice held_why; /* for that person */
	int64_t expires_ms; /* when the queue gives up; 0: five days after it came, or was released */
	struct slice bytes; /* the message without the targets' own headers */
	struct delivery_target *targets;
	size_t target_count;
	struct queue_target *queue;
	size_t queue_count;
	struct slice trace_from; /* "smtp 192.0.2.1 mx.example.org", for the trace */
	bool all_or_nothing;     /* SMTP: one failing target undoes the whole. LMTP and bounces: false */
	struct delivery *notice; /* about it (a DSN), delivered in the same transaction, with its own notice; NULL: none. Who can't have it has none */
	bool again;              /* it may have been committed before under its queue id, which is then left at that */
	/* result */
	bool was_committed; /* with `again`: it was; store_deliver returned STATUS_EXISTS */
	bool in_doubt;      /* it may be committed, although store_deliver returned STATUS_TEMPORARY: to be tried `again` */
};
/* STATUS_OK when all that went well is committed. With all_or_nothing the first failing target's status is returned and nothing is kept. */
MUST_CHECK enum status store_deliver(struct store *store, struct delivery *delivery);
/* Has a message been committed under that queue id? OK or NOT_FOUND. */
MUST_CHECK enum status store_was_delivered(struct store *store, struct slice queue_id);

/* APPEND (RFC 9051 section 6.3.12). */
struct append_request {
	int64_t account, mailbox;
	const struct email_facts *facts;
	uint64_t flags;
	int64_t received_ms;
	int64_t seen_by; /* whose \Seen is meant, if not the owner's; 0: the owner's */
};
/* All or none (MULTIAPPEND, RFC 3502). uids: one per request. */
MUST_CHECK enum status store_append(struct store *store, const struct append_request *requests, size_t count, uint32_t *uids,
				    uint32_t *uid_validity);

/* REPLACE (RFC 8508): the same for one message, while another goes. EXISTS: that other isn't there (any more). */
MUST_CHECK enum status store_replace(struct store *store, const struct append_request *request, int64_t from_account,
				     int64_t from, uint32_t from_uid, uint32_t *uid, uint32_t *uid_validity);

/* ---- reading ---- */

enum {
	EMAIL_ENVELOPE = 1 << 0,
	EMAIL_BODY = 1 << 1,
	EMAIL_BODY_STRUCTURE = 1 << 2,
	EMAIL_STRUCTURE = 1 << 3,
	EMAIL_BYTES = 1 << 4,  /* the whole message; larger than EMAIL_BYTES_MAX: bytes.data NULL, read it with email_open */
	EMAIL_HEADER = 1 << 5, /* at least the message's header, in `bytes` */
	EMAIL_SENT = 1 << 6,
	EMAIL_MESSAGE_ID = 1 << 7,
	EMAIL_SAVED = 1 << 9, /* always there: it costs nothing */
	EMAIL_REFERENCES = 1 << 8,
};
#define EMAIL_BYTES_MAX (1024 * 1024)

struct email {
	uint32_t uid;
	int64_t id;
	uint64_t size;
	int64_t sent_ms, received_ms;
	int64_t saved_ms; /* when it came into this mailbox; 0: unknown. Always there */
	struct slice envelope, body, body_structure, structure, bytes, message_id, references;
};
/* One ordered scan over those uids of the mailbox (ascending; a dense run becomes one range scan). `each` is called inside the
 * read snapshot with slices that are valid during the call: it must not block on a peer; returning false ends the scan early
 * (not an error). */
typedef bool (*email_each)(void *context, const struct email *email);
MUST_CHECK enum status email_scan(struct store *store, int64_t account, int64_t mailbox, const uint32_t *uids, size_t uid_count,
				  unsigned wanted, email_each each, void *context);

/* A large message piece by piece; memory is bounded by a chunk. */
struct email_reader;
MUST_CHECK enum status email_open(struct store *store, struct arena *arena, int64_t account, int64_t email,
				  struct email_reader **reader);
/* For who knows the size (from the mailbox's entry): a single question. */
MUST_CHECK enum status email_open_sized(struct store *store, struct arena *arena, int64_t account, int64_t email, uint64_t size,
					struct email_reader **reader);
uint64_t email_reader_size(const struct email_reader *reader);
/* Up to a chunk beginning at offset; empty at the end. Valid until the next call. */
MUST_CHECK enum status email_read(struct email_reader *reader, uint64_t offset, struct slice *bytes);
void email_close(struct email_reader *reader);
