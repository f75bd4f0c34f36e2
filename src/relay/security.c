#include "relay/security.h"

#include "relay/dane.h"
#include "relay/route.h"
#include "relay/sts.h"
#include "relay/tls_result.h"

static bool is_same(struct slice a, struct slice b)
{
	return slice_eq_nocase(a, b);
}

/* RFC 7672 section 3.2.2: besides the base domain the name as it was before aliases, and the domain that the mail is for. */
static void add_name(struct security *security, struct slice name)
{
	if (name.len > 0 && !is_same(name, security->base) && security->name_count < SECURITY_NAMES_MAX)
		security->names[security->name_count++] = name;
}

static void set_dane(const struct security_finder *finder, struct route_host *host, const struct dane *dane)
{
	struct security *security = &host->security;

	security->policy = SECURITY_POLICY_TLSA;
	security->level = dane->outcome == DANE_USABLE ? SECURITY_DANE : SECURITY_ENCRYPTED;
	security->base = dane->base;
	security->tlsa = dane->records;
	security->tlsa_count = dane->count;
	add_name(security, host->name);
	add_name(security, finder->domain);
}

/* Asked once for all hosts. False: what the cache holds can't be read. */
static bool ask_sts(struct security_finder *finder)
{
	if (finder->sts_asked || !finder->sts || finder->domain.len == 0)
		return true;
	if (sts_find(finder->sts, finder->arena, finder->domain, &finder->policy) != STATUS_OK)
		return false;
	finder->sts_asked = true;
	return true;
}

/* RFC 8461 section 5: a host that the policy doesn't name must not be used. */
static bool set_sts(struct security_finder *finder, struct route_host *host, enum tls_result *result, struct reply *failure)
{
	const struct sts_policy *policy = finder->policy;

	if (!policy || policy->mode == STS_NONE)
		return true;
	host->security.policy = SECURITY_POLICY_STS;
	host->security.policy_text = policy->text;
	if (policy->mode == STS_TESTING) {
		host->security.level = SECURITY_OBSERVED;
		host->security.is_unlisted = !sts_policy_names(policy, host->name);
		return true;
	}
	if (host->security.level < SECURITY_VERIFIED)
		host->security.level = SECURITY_VERIFIED;
	if (sts_policy_names(policy, host->name))
		return true;
	*result = TLS_RESULT_VALIDATION_FAILURE;
	*failure = reply_ours(finder->arena, 450, "4.7.5", "MTA-STS: the policy of %.*s doesn't name its mail host %.*s",
			      SLICE_ARG(finder->domain), SLICE_ARG(host->name));
	return false;
}

/* RFC 8689 section 4.2.1: the way to the host must be vouched for, too. */
static bool set_required(const struct security_finder *finder, struct route_host *host, enum tls_result *result,
			 struct reply *failure)
{
	bool is_listed = finder->policy && finder->policy->mode != STS_NONE && sts_policy_names(finder->policy, host->name);

	host->security.needs_requiretls = true;
	if (host->security.level < SECURITY_VERIFIED)
		host->security.level = SECURITY_VERIFIED;
	if (host->name_is_secure || is_listed || finder->domain.len == 0)
		return true;
	*result = TLS_RESULT_VALIDATION_FAILURE;
	*failure = reply_ours(finder->arena, 550, "5.7.30",
			      "REQUIRETLS: neither DNSSEC nor MTA-STS vouches for %.*s as a mail host of %.*s",
			      SLICE_ARG(host->name), SLICE_ARG(finder->domain));
	return false;
}

bool security_choose(struct security_finder *finder, struct route_host *host, enum tls_result *result, struct reply *failure)
{
	struct dane dane;

	host->security = (struct security){.level = SECURITY_OPPORTUNISTIC};
	dane_find(finder->resolver, finder->arena, host, &dane);
	if (dane.outcome == DANE_TROUBLE) {
		host->security.policy = SECURITY_POLICY_TLSA;
		*result = TLS_RESULT_DNSSEC_INVALID;
		*failure = reply_ours(finder->arena, 450, "4.7.5",
				      "DANE: the TLSA records of %.*s can't be looked up, or are bogus", SLICE_ARG(host->name));
		return false;
	}
	if (dane.outcome != DANE_ABSENT)
		set_dane(finder, host, &dane);
	/* RFC 8461 section 2: a policy doesn't take the place of DANE. Where DANE asks nothing of the certificate, it may. */
	if (host->security.level != SECURITY_DANE || finder->is_required) {
		if (!ask_sts(finder)) {
			*result = TLS_RESULT_STS_FETCH_ERROR;
			*failure = reply_ours(finder->arena, 451, "4.3.0", "the MTA-STS policies that are kept can't be read");
			return false;
		}
	}
	if (host->security.level != SECURITY_DANE && !set_sts(finder, host, result, failure))
		return false;
	return !finder->is_required || set_required(finder, host, result, failure);
}

const char *security_text(enum security_level level, enum security_policy policy)
{
	switch (level) {
	case SECURITY_DANE:
		return "verified by DANE";
	case SECURITY_VERIFIED:
		return policy == SECURITY_POLICY_STS ? "verified by MTA-STS" : "certificate verified";
	case SECURITY_ENCRYPTED:
		return "demanded by unusable TLSA records, not verified";
	case SECURITY_OBSERVED:
		return "MTA-STS in testing mode";
	default:
		return "not verified";
	}
}

const char *security_demander(const struct security *security)
{
	if (security->policy == SECURITY_POLICY_TLSA)
		return "DANE: ";
	if (security->policy == SECURITY_POLICY_STS && security->level == SECURITY_VERIFIED)
		return "MTA-STS: ";
	return security->needs_requiretls ? "REQUIRETLS: " : "";
}
