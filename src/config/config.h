/* config: the settings, as one table (config/table.c: name, type, unit, default, documentation) and as one struct. Read from
 * YAML by libcyaml; errors name file, line and what is allowed there. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

struct buf;

/* Where programs of this machine bring their mail if nothing else is said. */
#define CONFIG_LOCAL_SOCKET   "/run/posthorn/local.sock"
#define CONFIG_LOCAL_LISTENER "unix:" CONFIG_LOCAL_SOCKET

/* All text is UTF-8 C strings; NULL where not given and without a default. */
struct config_local_target {
	char *name, *user, *to;
};
struct config_listener {
	char *address;  /* "127.0.0.1:25", ":25", "unix:/run/posthorn/lmtp.sock" */
	char *protocol; /* "smtp", "submission", "submissions", "lmtp", "local", "imap", "imaps", "pop3", "pop3s" */
	char *mode;     /* of a Unix socket: "0660"; empty: by protocol */
	char *group;    /* whose it is; empty: as it comes */
	bool proxy;     /* PROXY protocol from limits.proxy_from */
	/* smtp, submission, submissions, lmtp: what differs from the settings for all */
	char *tls;             /* "offered", "required", "off" */
	char *auth;            /* "usual", "required", "offered", "off" */
	bool screen;           /* strangers are strangers here */
	bool relay;            /* smtp.trusted_networks may relay */
	char *hostname;        /* empty: the same */
	uint64_t message_size; /* 0: the same */
	unsigned recipients;   /* 0: the same */
};
struct config_certificate {
	char *certificate, *key; /* PEM files */
};
struct config_token_issuer {
	char *issuer, *audience, *user_claim;
	char *keys; /* file */
};
/* A program that filters mail (milter/client.h). */
struct config_milter {
	char *address;        /* "unix:/PATH", "inet:127.0.0.1:8891" */
	char *default_action; /* "tempfail", "accept", "reject", "quarantine" */
	char *listeners;      /* protocols, separated by a space */
	unsigned connect_timeout_s, command_timeout_s, content_timeout_s;
};
struct config_destination {
	char *domain; /* "example.org", ".example.org", "relay.example.net:587" */
	unsigned connections, messages_per_minute, delay_s; /* 0: none */
	char *source_address, *source_address_ipv6, *hello_name; /* empty: relay's */
};
/* How long messages stay in a mailbox (store/expiry.h). */
struct config_expiry {
	char *mailbox;
	unsigned after_days;
};
/* A program that reads attachments (extract/converters.h). */
struct config_converter {
	char *types;   /* "application/pdf .pdf" */
	char *command; /* "/usr/bin/pdftotext - -", "internal:office" */
};
/* One that says what may come in (milter/policy.h). */
struct config_policy {
	char *address, *default_action, *context;
	char *stages, *listeners; /* separated by a space */
	unsigned timeout_s;
};
struct config {
	char *hostname; /* default: the system's */
	char *data;     /* folder of store, keys, run-time sockets */
	char *user;     /* whose powers the roles have when started by root; default "posthorn" */
	struct config_listener *listeners;
	unsigned listeners_count;
	struct {
		struct config_certificate *certificates;
		unsigned certificates_count;
		char *client_authorities; /* PEM file; NULL: no client is asked for a certificate */
	} tls;
	struct {
		char *url; /* "sqlite" (in `data`) or postgresql://... */
		unsigned connections;
		unsigned compress_from;
	} store;
	struct {
		char *level, *format; /* "info"; "logfmt", "json" */
	} log;
	struct {
		char *address; /* "127.0.0.1:9120", "unix:/run/posthorn/metrics.sock"; NULL: nothing is counted */
	} metrics;
	struct {
		uint64_t message_size;                                  /* bytes; default 50 MB */
		uint64_t message_memory;                                /* bytes, of each role; 0: a quarter of the machine's */
		unsigned recipients;                                    /* per message; default 1,000 */
		unsigned connections, connections_per_address, threads; /* per role */
		unsigned sessions_per_account; /* IMAP and POP3; 0: any number */
		char **exempt; /* prefixes without a per-address limit; default loopback */
		unsigned exempt_count;
		char **proxy_from;
		unsigned proxy_from_count;
		unsigned received_hops; /* loop: default 100 (RFC 5321 section 6.3) */
		unsigned command_timeout_s, session_timeout_s,
			quota_notice, /* percent; 0: none */
			idle_timeout_s; /* 300, 7200 (SMTP), 1800 (IMAP, RFC 9051: 30 min) */
	} limits;
	struct {
		char **trusted_networks; /* may relay without authentication; default none */
		unsigned trusted_networks_count;
		char **xclient_from, **xforward_from; /* may tell who the client is; default none */
		unsigned xclient_from_count, xforward_from_count;
		char *recipient_separator; /* "+" */
		char *detail_folders;      /* "off", "permitted", "all" */
		char *vrfy, *expn, *etrn;  /* "never", "trusted", "always" */
		char *origin;              /* the domain of incomplete addresses of local programs; none: hostname */
		char **local_senders;      /* "USER:SENDER": which senders local users may use */
		unsigned local_senders_count;
		struct config_milter *milters;
		unsigned milters_count;
		struct config_policy *policy_services;
		unsigned policy_services_count;
		bool resolve_clients; /* their names, for milters */
		bool strict_pipelining;
		bool require_sender_match; /* submission: MAIL FROM must be the login's or its alias */
		bool require_from_match;   /* and so must the From field */
		unsigned deliver_by_min_s; /* RFC 2852 */
		char *priority;            /* who may raise it (RFC 6710): "trusted", "users" */
		unsigned future_release_s; /* the longest that a submission may be held (RFC 4865); 0: not offered */
	} smtp;
	struct {
		char *smarthost; /* "relay.example.net:587"; none: MX */
		char *smarthost_user, *smarthost_password_file;
		char *smarthost_tls; /* "opportunistic", "required" (verified), "none" */
		unsigned concurrency, concurrency_per_hop, messages_per_connection; /* 50, 10, 100 */
		unsigned concurrency_per_sender; /* 0: by shares */
		unsigned delivery_delay_s;
		struct config_destination *destinations;
		unsigned destinations_count;
		unsigned connect_timeout_s, command_timeout_s, data_timeout_s, end_timeout_s; /* 30, 300, 180, 600 */
		char *retry;      /* "5m,10m,20m,40m,1h,2h,4h" then the last again */
		char *expire;     /* "5d" */
		char *warn_after; /* "4h" */
		char *double_bounce; /* an address; NULL: nobody is told */
		bool srs;         /* rewrite the sender of forwarded mail */
		char *source_address, *source_address_ipv6, *hello_name;
		char *ip_versions; /* "both", "ipv4", "ipv6" */
		char *ca_file;     /* trust anchors in PEM; NULL: the system's */
		bool tls_reports; /* to domains that ask for them (RFC 8460) */
		char *tls_reports_from; /* NULL: postmaster@HOSTNAME */
		unsigned tls_reports_spread_s;
		char *sts_port;    /* "443"; for tests */
		char *port; /* "25": the port of MX hosts; tests and odd networks */
	} relay;
	struct {
		char **forwarders; /* resolver addresses, "127.0.0.1@5353"; default /etc/resolv.conf */
		unsigned forwarders_count;
		char **insecure_domains;
		unsigned insecure_domains_count;
		char *trust_anchor_file;
	} dns;
	struct {
		char *plaintext; /* "never", "loopback" (default), "always" */
		unsigned check_threads, remember_s, lockout_failures, lockout_s, argon2_memory_kb, argon2_passes,
			scram_iterations;
		struct config_token_issuer *token_issuers;
		unsigned token_issuers_count;
	} auth;
	struct {
		/* per minute and address; 0: no limit */
		unsigned connections, messages, recipients, failures, network_factor, domain_messages, account_messages;
		bool shared;
		char **exempt;
		unsigned exempt_count;
	} rates;
	struct {
		unsigned greeting_s, remember_s, free_failures, step_s, longest_s;
	} delay;
	struct {
		uint64_t messages_per_hour, recipients_per_hour; /* of one account; 0: no limit */
		unsigned undo_s;                                 /* what an account submits waits so long */
		char *alert_to;                                  /* "postmaster" */
	} sending;
	struct {
		unsigned first_s, longest_s, remember_days, unknown_recipients, early_talkers;
		char **exempt, **traps;
		unsigned exempt_count, traps_count;
	} ban;
	struct {
		bool enabled;
		unsigned wait_s, window_s, remember_days, trust_after;
	} greylist;
	struct {
		char **lists; /* guard/dnslist.h */
		char *unknown_sender; /* "off", "defer", "refuse" */
		unsigned lists_count, no_reverse, no_pointer, bad_hello, malformed_hello, greylist_at, tempfail_at, reject_at, timeout_s;
	} screen;
	struct {
		char *comment, *admin; /* what clients are told of the server (RFC 5464); NULL: nothing */
		unsigned message_limit;
		char *message_limit_for; /* "all", "saving" */
		bool surrogates;
		char *literals;        /* "any", "small" */
		char *submitter;       /* may fetch what URLs of submit+ name (RFC 4467); NULL: nobody */
	} imap;
	struct {
		unsigned login_delay_s; /* 0: none */
	} pop3;
	struct {
		unsigned change_log_days; /* in YAML "change_log: 30d", and so for all numbers with a unit in their name */
		unsigned trace_days;
		unsigned deleted_days; /* 0: what is deleted is gone */
		struct config_expiry *expire;
		unsigned expire_count;
	} retention;
	struct {
		bool attachments;
		struct config_converter *converters;
		unsigned converters_count;
		unsigned converter_time_s, converters_at_once, wait_s;
		uint64_t converter_memory, attachment_size, attachment_text; /* bytes */
	} search;
	struct { /* mail for Unix users and programs (local/local.h); none while both lists are empty */
		char **domains;
		unsigned domains_count;
		struct config_local_target *targets;
		unsigned targets_count;
		char *mailbox, *mailbox_command;
		bool forward;
		unsigned minimum_uid, time_limit_s;
	} local;
};

/* Reads and checks; what isn't given has its default. NULL with *error (its text in `arena`): "posthorn.yaml:12:
 * limits.recipients: "abc" is not a number; allowed is 1 to 100000". Relative paths are meant from the file's folder and are
 * made absolute. */
MUST_CHECK struct config *config_load_file(const char *path, struct arena *arena, struct error *error);
/* `name` stands before the line in errors. Relative paths are left alone, and settings aren't checked against each other. */
MUST_CHECK struct config *config_load_text(struct slice text, const char *name, struct arena *arena, struct error *error);
/* All that hangs on it goes too. */
void config_free(struct config *config);
/* The same as YAML: what the supervisor hands to a role, with what isn't its affair left out: a copy whose pointers are NULL
 * and counts 0 for that. Read again, such text has its default, such lists are empty. */
MUST_CHECK bool config_to_text(const struct config *config, struct arena *arena, struct slice *text);
/* "5m", "4h", "5d", "30s" to milliseconds. */
MUST_CHECK bool config_duration(struct slice text, int64_t *ms);
/* "5m,10m,1h" likewise, one after the other: takes the first off *rest. False at the end or at a fault. */
MUST_CHECK bool config_next_duration(struct slice *rest, int64_t *ms);
/* "50MB", "5G", "1000" to bytes; K, M, G, T are powers of 1024. */
MUST_CHECK bool config_size(struct slice text, uint64_t *bytes);
/* The settings for people: for `posthorn help settings`, as the settings part of posthorn.yaml(5), as docs/settings.md. */
enum config_document_form { CONFIG_AS_TEXT, CONFIG_AS_MAN_PAGE, CONFIG_AS_MARKDOWN };
void config_document(struct buf *out, enum config_document_form form);
