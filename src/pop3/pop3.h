/* pop3: POP3 (RFC 1939) as a protocol of net/engine, served by the imap role beside IMAP. The maildrop is INBOX.
 *
 * Offered (RFC 2449): TOP, UIDL, USER and SASL as the connection is (RFC 5034), STLS (RFC 2595), PIPELINING, RESP-CODES,
 * AUTH-RESP-CODE (RFC 3206), EXPIRE, LOGIN-DELAY where there is one, LANG and UTF8 (RFC 6856), IMPLEMENTATION. APOP is not: it needs passwords in plain text.
 *
 * A session that hasn't said UTF8 gets messages with UTF-8 in their headers as surrogates (RFC 6858, mime/downgrade.h), whose sizes STAT,
 * LIST and RETR tell; one that has gets them as they are.
 *
 * What a session sees is fixed at log-in: numbers, sizes and unique ids are those of the messages that lay in INBOX then, whatever IMAP
 * sessions, deliveries and other POP3 sessions do meanwhile. A message that has gone since keeps its number and can't be retrieved. DELE marks;
 * QUIT removes all that is marked in one transaction.
 *
 * Deviation: the maildrop isn't locked (RFC 1939 section 3), so nobody is ever told [IN-USE] (RFC 2449 section 8.1.2). A lock keeps two sessions
 * from confusing each other's numbers, which nothing can here; what it did for users was to shut them out for ten minutes after a
 * connection was lost.
 *
 * A unique id is the uid and the mailbox's UIDVALIDITY, each as 8 hexadecimal digits: Dovecot's default, so that messages brought from there
 * with their uids and UIDVALIDITY keep their unique ids too.
 *
 * A session subscribes to its account's topic, as IMAP's do: see imap/imap.h.
 */
#pragma once

#include "base/log.h"
#include "net/engine.h"

struct ipc;
struct mailbox_view_cache;
struct pop3_known;
struct pop3_logins;
struct store;

enum pop3_plaintext {
	POP3_PLAINTEXT_NEVER,    /* passwords need TLS */
	POP3_PLAINTEXT_LOOPBACK, /* or a peer on this machine */
	POP3_PLAINTEXT_ALWAYS,
};

/* Slices outlive the engine. */
struct pop3_options {
	struct slice hostname;
	enum pop3_plaintext plaintext;
	bool takes_tokens;           /* OAUTHBEARER and XOAUTH2 */
	unsigned max_bad_commands;   /* in a row; then the connection is closed; 0: 20 */
	unsigned max_login_failures; /* likewise; 0: 5 */
	unsigned expire_days;        /* after which messages are removed from INBOX; 0: never */
	unsigned login_delay_s;      /* between two log-ins of an account (RFC 2449 section 6.5); 0: none */
	int login_timeout_ms;        /* from the greeting to the log-in; 0: 180,000 */
	int idle_timeout_ms;         /* after it (RFC 1939 section 3: at least 10 minutes); 0: 600,000 */
	int command_timeout_ms;      /* for each wait inside a command; 0: 60,000 */
};

/* The context of a listener whose protocol is pop3_protocol. Outlives the engine. */
struct pop3_context {
	struct pop3_options options;
	struct store *store;
	struct ipc *ipc; /* NULL: nothing is announced to other roles */
	struct mailbox_view_cache *views;
	struct pop3_known *known; /* NULL: each log-in looks at all messages */
	struct pop3_logins *logins; /* NULL: there is no LOGIN-DELAY */
	const struct log *log;
};

/* When accounts logged in last. */
struct pop3_logins *pop3_logins_new(void);
void pop3_logins_free(struct pop3_logins *logins);

/* What sessions found out about messages, for those that come after them. */
struct pop3_known *pop3_known_new(void);
void pop3_known_free(struct pop3_known *known);

extern const struct protocol pop3_protocol;

/* For struct listener's refusal: what a connection over the limits is told. */
#define POP3_REFUSAL SLICE("-ERR [SYS/TEMP] Too many connections, try again later\r\n")
