/* sts_policy: what a domain says about its mail hosts by MTA-STS: the DNS record and the policy (RFC 8461 section 3). Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define STS_POLICY_BYTES_MAX (64 * 1024) /* RFC 8461 section 3.3 */
#define STS_HOSTS_MAX        256
#define STS_MAX_AGE_S        31557600 /* RFC 8461 section 3.2: about a year */

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };

struct sts_policy {
	enum sts_mode mode;
	int64_t max_age_s;
	struct slice *hosts; /* lower case; "*.example.org" */
	size_t host_count;
	struct slice text; /* as it came */
};

/* Of all TXT records at _mta-sts.DOMAIN the one that counts. False: there is none, or more than one. */
MUST_CHECK bool sts_record_find(const struct slice *texts, size_t count, struct slice *id);
/* Points into `text`, but for the hosts. False: it is no policy. */
MUST_CHECK bool sts_policy_parse(struct arena *arena, struct slice text, struct sts_policy *policy);
/* RFC 8461 section 4.1: a wildcard stands for one label, on the left. */
bool sts_policy_names(const struct sts_policy *policy, struct slice host);
