/* imap: IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501) as a protocol of net/engine. The role holds clients' sockets and the
 * store; credentials are judged by the auth role.
 *
 * A session that has a mailbox selected is subscribed to its account's topic (the account's id): the role's main calls
 * engine_announce(engine, id) for each account id of a "mailbox" announcement, and an idling session tells its client at once.
 * Sessions of one process hear of each other without that.
 *
 * What is offered stands in the table of reply.c.
 */
#pragma once

#include "base/log.h"
#include "net/engine.h"

struct extractor;
struct ipc;
struct mailbox_view_cache;
struct store;

enum imap_plaintext {
	IMAP_PLAINTEXT_NEVER,    /* passwords need TLS */
	IMAP_PLAINTEXT_LOOPBACK, /* or a peer on this machine */
	IMAP_PLAINTEXT_ALWAYS,
};

/* Whose session it is from the greeting on (PREAUTH, RFC 9051 section 7.1.4). */
struct imap_preauth {
	int64_t account; /* 0: nobody's; who comes logs in */
	struct slice address;
};

/* Slices outlive the engine. */
struct imap_options {
	struct slice hostname;
	enum imap_plaintext plaintext;
	bool takes_tokens;           /* OAUTHBEARER and XOAUTH2 */
	uint64_t append_limit;       /* bytes of a message, advertised by APPENDLIMIT; 0: 50 MB */
	struct budget *memory;       /* for messages that are coming in; NULL: as much as they take */
	uint32_t message_limit;      /* messages that one command works on (RFC 9738); 0: any number */
	bool limits_saving_only;     /* that is of APPEND and COPY alone */
	bool surrogates;             /* for who takes no UTF-8 in headers (RFC 6858); else messages are sent as they are */
	bool small_literals;         /* LITERAL-: what is sent unasked is at most 4,096 bytes; else LITERAL+ */
	unsigned max_bad_commands;   /* then BYE; 0: 20 */
	unsigned max_login_failures; /* then BYE; 0: 5 */
	struct slice comment;        /* /shared/comment of the server (RFC 5464), or empty */
	struct slice admin;          /* /shared/admin: an URI such as mailto:postmaster@example.org, or empty */
	struct slice submitter;      /* the account that fetches what URLs of submit+ name (RFC 4467), or empty */
	int login_timeout_ms;        /* from the greeting to the log-in; 0: 180,000 */
	int idle_timeout_ms;         /* idle after it (RFC 9051 section 5.4: at least 30 minutes); 0: 1,860,000 */
	int progress_ms;             /* between reports on a command that takes long (RFC 9585); 0: 10,000; negative: none between them */
	int attachments_wait_ms;     /* for those that a search finds unread; 0: 30,000 */
	int command_timeout_ms;      /* for each wait inside a command; 0: 60,000 */
	struct imap_preauth preauth;
};

/* The context of a listener whose protocol is imap_protocol. Outlives the engine. */
struct imap_context {
	struct imap_options options;
	struct store *store;
	struct ipc *ipc; /* NULL: there are no other roles; nobody can log in */
	/* Then this tells other processes that an account's mailboxes have changed; from any thread. NULL: nobody is told. */
	void (*announce)(void *context, int64_t account);
	void *announce_context;
	const struct extractor *extractor; /* of attachments that SEARCH looks into; NULL: it looks into none */
	struct mailbox_view_cache *views;
	const struct log *log;
};

extern const struct protocol imap_protocol;

/* For struct listener's refusal: what a connection over the limits is told. */
#define IMAP_REFUSAL SLICE("* BYE [UNAVAILABLE] Too many connections, try again later\r\n")
