/* dns: validating look-ups by libunbound, blocking, with a time limit. Thread-safe; answers are cached by the library.
 *
 * `secure` tells that DNSSEC validated the answer (RFC 4035 AD); a bogus answer is STATUS_TEMPORARY (RFC 7672 section 2.1.1).
 * A resolver made with a fixed list of forwarders reads no file. Names are lower-case A-labels without the final dot.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "net/conn.h"

struct dns;

struct dns_options {
	const struct slice *forwarders; /* "192.0.2.53", "127.0.0.1@5353"; none: /etc/resolv.conf, and if that has none, the root */
	size_t forwarder_count;
	struct slice trust_anchor_text; /* DS or DNSKEY in zone-file form; empty: /usr/share/dns/root.key if there */
	const struct slice *insecure_domains; /* not validated: private zones */
	size_t insecure_domain_count;
	int timeout_ms;                 /* for a whole look-up; 0: 10,000 */
};

/* Reads what files it needs: make it before the sandbox. NULL with *error set on failure. */
MUST_CHECK struct dns *dns_new(const struct dns_options *options, struct arena *arena, struct error *error);
void dns_free(struct dns *dns);

struct dns_mx {
	uint16_t preference;
	struct slice host; /* empty: the null MX "." (RFC 7505) */
};

/* Each: STATUS_OK with count >= 1; STATUS_NOT_FOUND with the difference between a name that doesn't exist and one
 * without such records in *exists (may be NULL); STATUS_TEMPORARY (SERVFAIL, bogus, time-out, no well-formed record, too many
 * questions open). Malformed records are passed over, and so is what comes after the first 256. */
MUST_CHECK enum status dns_mx(struct dns *dns, struct arena *arena, struct slice domain, struct dns_mx **records, size_t *count,
                              bool *secure, bool *exists);
/* IPv6 and IPv4 addresses, port 0. */
MUST_CHECK enum status dns_addresses(struct dns *dns, struct arena *arena, struct slice host, struct net_address **addresses,
                                     size_t *count, bool *secure);
/* IPv4 only: what lists in the DNS answer (RFC 5782). */
MUST_CHECK enum status dns_ipv4_addresses(struct dns *dns, struct arena *arena, struct slice name, struct net_address **addresses,
					  size_t *count);
/* The same with what DANE asks about the way there (RFC 7672 section 2.2.2). */
struct dns_host {
	struct net_address *addresses;
	size_t count;
	bool secure;            /* all of the way: aliases and addresses */
	struct slice canonical; /* what the host is an alias of, at the end of the chain; empty: it is none */
};
MUST_CHECK enum status dns_host(struct dns *dns, struct arena *arena, struct slice name, struct dns_host *host);
/* Is there a CNAME at that very name, and is it secure? NOT_FOUND: there is none. */
MUST_CHECK enum status dns_alias(struct dns *dns, struct arena *arena, struct slice name, bool *secure);
/* Each TXT record's strings joined. */
MUST_CHECK enum status dns_txt(struct dns *dns, struct arena *arena, struct slice name, struct slice **texts, size_t *count,
                               bool *secure);
struct dns_tlsa {
	uint8_t usage, selector, matching;
	struct slice data;
};
MUST_CHECK enum status dns_tlsa(struct dns *dns, struct arena *arena, struct slice name, struct dns_tlsa **records, size_t *count,
                                bool *secure);
/* PTR names of an address. */
MUST_CHECK enum status dns_reverse(struct dns *dns, struct arena *arena, const struct net_address *address, struct slice **names,
                                   size_t *count);
