/* smtp: receiving mail (RFC 5321) and submissions (RFC 6409), as a protocol of net/engine. It holds the client's socket and
 * nothing else: recipients and messages are judged by the deliver role, credentials by the auth role.
 *
 * What a listener is follows from its name: "smtp" takes mail for local domains (and relays for trusted networks), "submission"
 * and "submissions" demand authentication; "lmtp" takes mail for local domains from trusted peers, with an answer for each recipient
 * (RFC 2033); "local" takes mail from programs of this machine over a Unix socket, which tells who they are. A listener's policy may
 * differ from that. Offered: PIPELINING, SIZE, 8BITMIME, BINARYMIME, SMTPUTF8, CHUNKING, DSN, ENHANCEDSTATUSCODES, LIMITS (RFC 9422),
 * HELP, DELIVERBY (not by LMTP), MT-PRIORITY, STARTTLS where the listener has a certificate, AUTH and FUTURERELEASE on submission, XVERP
 * there and to trusted networks, XCLIENT and XFORWARD to those who are trusted to tell.
 */
#pragma once

#include <sys/types.h>

#include "base/log.h"
#include "net/engine.h"

struct door;
struct ipc;

enum smtp_plaintext {
	SMTP_PLAINTEXT_NEVER,    /* authentication needs TLS */
	SMTP_PLAINTEXT_LOOPBACK, /* or a peer on this machine */
	SMTP_PLAINTEXT_ALWAYS,
};

/* A user of this machine, and senders that are theirs to use: "*", "@example.org", "alice@example.org". */
struct smtp_local_rule {
	bool is_everybody;
	uid_t uid;
	struct slice senders;
};

/* Whom VRFY tells who exists, and EXPN where aliases lead. */
enum smtp_vrfy { SMTP_VRFY_NEVER, SMTP_VRFY_TRUSTED /* and who has authenticated */, SMTP_VRFY_ALWAYS };

struct milter_service;
/* A milter, and the listeners whose mail it sees: names, separated by a space. */
struct smtp_milter {
	struct milter_service *service;
	struct slice listeners;
};

struct policy_service;
/* Likewise a policy service. */
struct smtp_policy_service {
	struct policy_service *service;
	struct slice listeners;
};

/* What the DNS says of a client's address: `name` leads back to it, `ptr` may not. Empty: none. */
struct smtp_client_names {
	struct slice name, ptr;
	struct slice resolve; /* "OK", "FORGED", "FAIL", "TEMP" */
};
typedef void (*smtp_name_client)(void *context, struct arena *arena, const struct net_address *peer,
				 struct smtp_client_names *names);

/* Slices and prefixes outlive the engine. */
struct smtp_options {
	struct slice hostname;            /* A-labels: greeting, Received, Message-ID */
	uint64_t max_message_size;        /* bytes, advertised by SIZE; 0: 50 MB */
	struct budget *memory;            /* for messages that are coming in; NULL: as much as they take */
	unsigned max_recipients;          /* per message; 0: 1,000 */
	unsigned max_received_hops;       /* Received fields that mean a loop; 0: 100 */
	unsigned max_errors;              /* then 421; 0: 20 */
	int command_timeout_ms;           /* RFC 5321 section 4.5.3.2.7; 0: 300,000 */
	int data_timeout_ms;              /* per piece of a message; RFC 5321 section 4.5.3.2.5; 0: 180,000 */
	int64_t session_timeout_ms;       /* the whole connection; 0: 7,200,000 */
	const struct net_prefix *trusted; /* may relay without authentication */
	size_t trusted_count;
	const struct net_prefix *xclient_from, *xforward_from; /* may tell who the client is; none: nobody may */
	size_t xclient_from_count, xforward_from_count;
	bool strict_pipelining; /* strangers who don't wait where RFC 2920 asks for it are refused */
	enum smtp_plaintext plaintext;
	bool burl; /* there is an IMAP role, whose URLs submission takes (RFC 4468) */
	bool takes_tokens; /* OAUTHBEARER and XOAUTH2 */
	enum smtp_vrfy vrfy, expn, etrn;
	int64_t future_release_ms; /* the longest that a submission may be held (RFC 4865); 0: not offered */
	int deliver_by_min_s;      /* the shortest time within which delivery may be demanded (RFC 2852) */
	bool users_may_raise;      /* who has authenticated may have a priority above 0 (RFC 6710); trusted networks always may */
	struct slice origin; /* the domain of incomplete addresses of local programs: their greeting has it; empty: hostname */
	const struct smtp_local_rule *local_rules; /* which senders they may use; none matches: none but null */
	size_t local_rule_count;
};

enum smtp_tls { SMTP_TLS_OFFERED /* where there is a certificate */, SMTP_TLS_REQUIRED, SMTP_TLS_OFF };
enum smtp_auth { SMTP_AUTH_OFF, SMTP_AUTH_OFFERED, SMTP_AUTH_REQUIRED };

/* The policy of a listener (struct listener), where it isn't what follows from its name: NULL. Slices outlive the engine. */
struct smtp_policy {
	enum smtp_tls tls;
	enum smtp_auth auth;
	bool is_unscreened; /* the door is open to everybody: no rates, no delays, no greylisting */
	bool no_relay;      /* trusted peers may relay no more than others */
	struct slice hostname;     /* empty: as options say, and so on */
	uint64_t max_message_size; /* 0 */
	unsigned max_recipients;   /* 0 */
};

/* The context of a listener whose protocol is smtp_protocol. */
struct smtp_context {
	struct smtp_options options;
	struct ipc *ipc;
	const struct log *log;
	struct door *door;                 /* the guard's; NULL: everybody may come */
	const struct smtp_milter *milters; /* in the order in which they are asked */
	size_t milter_count;
	const struct smtp_policy_service *policies; /* asked before them */
	size_t policy_count;
	smtp_name_client name_client; /* NULL: milters are told addresses only */
	void *name_context;
};

extern const struct protocol smtp_protocol;

/* For struct listener's refusal: what a connection over the limits is told. */
#define SMTP_REFUSAL SLICE("421 4.7.0 Too many connections, try again later\r\n")
