/* security: what is asked of the connection to one host, and in whose name: DANE (RFC 7672), MTA-STS (RFC 8461), the message itself
 * (RFC 8689), or the configuration. Chosen host by host, right before it is tried. Blocks for the DNS. */
#pragma once

#include "net/conn.h"
#include "net/dns.h"
#include "relay/reply.h"

struct resolver;
struct route_host;
struct sts;
struct sts_policy;

enum security_level {
	SECURITY_BY_OPTIONS,    /* enum relay_tls of the client's options */
	SECURITY_PLAIN,         /* no TLS */
	SECURITY_OPPORTUNISTIC, /* TLS if offered, certificates not looked at, plain if the handshake fails (RFC 7435) */
	SECURITY_OBSERVED,      /* the same; what a check would have found is reported: MTA-STS in testing mode */
	SECURITY_ENCRYPTED,     /* TLS, but certificates not looked at: there are only unusable TLSA records */
	SECURITY_VERIFIED,      /* TLS and a certificate that is trusted and names the host */
	SECURITY_DANE,          /* TLS and a certificate that a TLSA record fits */
};

/* In whose name, for people and for reports (RFC 8460 section 4.4: policy-type). */
enum security_policy { SECURITY_POLICY_NONE, SECURITY_POLICY_TLSA, SECURITY_POLICY_STS };

#define SECURITY_NAMES_MAX 3

struct security {
	enum security_level level;
	enum security_policy policy;
	bool needs_requiretls;  /* the host must offer REQUIRETLS */
	bool is_unlisted;       /* MTA-STS in testing mode: the policy doesn't name the host */
	struct slice policy_text; /* MTA-STS: as it came */
	struct slice base;      /* DANE: the TLSA base domain, which is asked for by SNI */
	struct dns_tlsa *tlsa;  /* DANE: usable ones */
	size_t tlsa_count;
	struct slice names[SECURITY_NAMES_MAX]; /* DANE: that a certificate of a trust anchor may have instead of the base */
	size_t name_count;
};

struct security_finder {
	const struct resolver *resolver;
	struct arena *arena;
	struct sts *sts;     /* NULL: no MTA-STS */
	struct slice domain; /* whose MX the hosts are; empty: a host of the configuration */
	bool is_required;    /* RFC 8689 section 4.2.1: REQUIRETLS */
	/* ---- found on the way ---- */
	bool sts_asked;
	struct sts_policy *policy; /* NULL: none */
};

/* Fills host->security. False: this host must not be tried; *failure tells why, *result for the report. */
enum tls_result;
MUST_CHECK bool security_choose(struct security_finder *finder, struct route_host *host, enum tls_result *result,
				struct reply *failure);
/* "verified by DANE", "not verified", ...: for traces. */
const char *security_text(enum security_level level, enum security_policy policy);
/* "DANE", "MTA-STS", "REQUIRETLS": in whose name something is demanded. */
const char *security_demander(const struct security *security);
