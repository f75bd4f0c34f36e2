/* relay: takes mail that is due from the queue and sends it to other hosts by SMTP (RFC 5321), as a client.
 *
 *     queue --feeder--> scheduler (per next hop) --workers--> peers --recorders--> queue, bounces
 *
 * One feeder thread takes due recipients in batches. Each active connection has one worker thread running straight-line
 * code; workers are started as they are needed, `concurrency` at most, and end when there is nothing to do. Results go to
 * recorder threads, which write many of them in one transaction.
 *
 * Duplicates: a message that the peer answered with 250 is sent again only if this process dies before the result is
 * committed. A connection doesn't end its next message (the final dot) before the last one is recorded, so a crash
 * repeats at most one message for each open connection. If the store is away, results wait in memory and nothing whose result
 * is known is sent again.
 *
 * Claims are in memory (and a lease in the store, for clusters): after a crash the queue is as it was.
 * All functions may be called from any thread; none of them blocks but relay_stop.
 */
#pragma once

#include "base/error.h"
#include "base/log.h"
#include "base/slice.h"
#include "local/local.h"
#include "net/dns.h"
#include "store/detail.h"

struct dns;
struct ipc;
struct relay;
struct seal_key;
struct store;
struct tls_context;

enum relay_tls {
	RELAY_TLS_OPPORTUNISTIC, /* used if offered, certificates not looked at, plain if the handshake fails (RFC 7435) */
	RELAY_TLS_REQUIRED,      /* no mail without TLS and a certificate that names the host */
	RELAY_TLS_NONE,          /* never */
	RELAY_TLS_ENCRYPTED,     /* no mail without TLS; certificates not looked at, but where DANE or MTA-STS ask for it */
	RELAY_TLS_DANE,          /* no mail without a certificate that a TLSA record fits (RFC 7672) */
};
/* "opportunistic", "required", "none", "encrypted", "dane" */
MUST_CHECK bool relay_tls_parse(struct slice name, enum relay_tls *policy);

/* RFC 5321 section 4.5.3.2: its values where 0. */
struct relay_timeouts {
	int connect_ms;     /* 30 s an address; the RFC has none */
	int greeting_ms;    /* 5 min */
	int command_ms;     /* 5 min: EHLO, MAIL, RCPT, RSET, AUTH */
	int data_ms;        /* 2 min: until 354 */
	int block_ms;       /* 3 min: each piece of the body */
	int end_of_data_ms; /* 10 min */
	int quit_ms;        /* 2 s; ours */
	int linger_ms;      /* 2 s: an open connection waits so long for more mail to the same hop; negative: not at all */
};

/* Limits of what goes to one destination, and how we show ourselves there. */
struct relay_destination {
	struct slice pattern; /* lower case: a next hop ("example.org", "relay.example.net:587"), or ".example.org": domains below it */
	unsigned connections; /* 0: concurrency_per_hop */
	int64_t interval_ms;  /* between two messages */
	struct net_address source_four, source_six; /* family 0: the options' */
	struct slice hello_name;                    /* empty: the options' */
};

/* The slices are copied. 0 stands for the default that is named. */
struct relay_options {
	struct slice hostname;  /* ours: Reporting-MTA, loop detection */
	struct slice hello_name; /* EHLO; empty: hostname */
	struct slice smarthost; /* "relay.example.net:587", "[2001:db8::1]:25"; empty: MX look-up. All mail goes there. */
	struct slice smarthost_user, smarthost_password; /* user empty: no AUTH */
	enum relay_tls smarthost_tls;
	uint16_t port;                           /* of MX hosts; 25 */
	struct net_address source_four, source_six; /* family 0: the system chooses */
	int family;                              /* AF_INET, AF_INET6: addresses of MX hosts that are used; 0: both */
	const struct net_address *own_addresses; /* where we listen for SMTP: an MX that is one of them is a loop */
	size_t own_address_count;
	unsigned concurrency;             /* connections in all; 50 */
	unsigned concurrency_per_hop;     /* 10 */
	unsigned concurrency_per_sender;  /* 0: by shares */
	int64_t interval_ms;              /* between two messages to one destination */
	const struct relay_destination *destinations; /* with settings of their own, the first that fits counts */
	size_t destination_count;
	unsigned messages_per_connection; /* 100 */
	const int64_t *retry_ms; /* delay after the first, second, ... failure, the last one again; 5m 10m 20m 40m 1h 2h 4h */
	size_t retry_count;
	int64_t expire_ms;     /* age at which a message is given up; 5 days. An earlier time in the queue goes first. */
	int64_t warn_after_ms; /* age at which the sender is told of a delay; 4 h; negative: never */
	unsigned in_hand;      /* recipients held in memory at most; 5,000 */
	struct slice node;     /* name of this node for leases; empty: hostname */
	struct slice double_bounce_to; /* whom notifications go to that can't be delivered; empty: nobody */
	struct local_domains unix_domains; /* for bounces to Unix users; outlives the relay */
	struct slice tls_reports_from; /* who reports on TLS (RFC 8460); empty: no reports are sent */
	int64_t tls_reports_spread_ms; /* they are sent within that time after a day's end */
	int local_wait_ms;     /* how long the local role may take for one delivery; 6 min */
	struct detail_rules details; /* of local addresses, as the deliver role has them */
	struct relay_timeouts timeouts;
};

/* Where answers about names come from: struct dns in the program, tables in tests. Functions as in net/dns.h. */
struct resolver {
	void *context;
	enum status (*mx)(void *context, struct arena *arena, struct slice domain, struct dns_mx **records, size_t *count,
			  bool *secure, bool *exists);
	enum status (*host)(void *context, struct arena *arena, struct slice name, struct dns_host *host);
	/* NULL: nothing is secure, DANE isn't used */
	enum status (*tlsa)(void *context, struct arena *arena, struct slice name, struct dns_tlsa **records, size_t *count,
			    bool *secure);
	enum status (*alias)(void *context, struct arena *arena, struct slice name, bool *secure);
	/* NULL: there is no MTA-STS */
	enum status (*txt)(void *context, struct arena *arena, struct slice name, struct slice **texts, size_t *count);
};
struct resolver resolver_from_dns(struct dns *dns);

/* What the relay works with; all of it outlives the relay. */
struct relay_environment {
	struct store *store;
	struct resolver resolver;
	struct tls_context *tls_opportunistic; /* trusts nothing */
	struct tls_context *tls_verified;      /* the system's trust anchors; for RELAY_TLS_REQUIRED and MTA-STS */
	const struct seal_key *seal_key;       /* of routes' passwords; NULL: none can be opened */
	struct slice trust_anchors;            /* the same in PEM, for MTA-STS; outlives the relay. Empty: there is no MTA-STS */
	uint16_t sts_port;                     /* of policies' web servers; 0: 443 */
	struct ipc *ipc;                       /* for announcements: bounces announce "mailbox". NULL: none are made */
	const struct log *log;
};

/* Never NULL. */
struct relay *relay_new(const struct relay_options *options, const struct relay_environment *environment);
/* Starts the feeder, which first gives up the leases of this node's former life. */
void relay_start(struct relay *relay);
/* There may be something new in the queue (announcement "queue"). */
void relay_wake(struct relay *relay);
/* Likewise, and it may be due later than now. */
void relay_expect(struct relay *relay);
/* Likewise, or what was there may be due at another time. */
void relay_look_again(struct relay *relay);
/* Likewise, and hosts that failed are tried again now: for `queue retry`. */
void relay_retry(struct relay *relay);
/* What waits for a domain (".example.org": and those below it) is due now, and its hosts are tried again: for ETRN. Not more often than once
 * a minute for a domain, and a few domains at a time: what is more is not heard. */
void relay_retry_domain(struct relay *relay, struct slice domain);
/* Takes no more, lets transactions that run end for at most grace_ms, breaks those that don't, and records what is known.
 * What isn't sent stays in the queue. */
void relay_stop(struct relay *relay, int grace_ms);
void relay_free(struct relay *relay);

struct relay_counts {
	uint64_t delivered, deferred, failed; /* recipients, recorded */
	uint64_t bounces;                     /* delivery status notifications made */
	uint64_t connections, transactions;
	unsigned in_hand, workers, hops;
};
struct relay_counts relay_counts(struct relay *relay);

struct relay_hop_count {
	struct slice name;
	unsigned active, in_hand; /* connections, recipients */
};
/* The `max` hops with the most in hand, but those of Unix users; names in `arena`. Returns how many. */
size_t relay_hop_counts(struct relay *relay, struct arena *arena, struct relay_hop_count *hops, size_t max);
