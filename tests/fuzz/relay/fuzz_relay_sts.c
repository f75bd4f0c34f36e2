/* MTA-STS from strangers: the first line is a TXT record, the rest a policy. */
#include <stdlib.h>

#include "relay/sts_policy.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size), record = slice_cut(&rest, '\n'), id;
	const struct slice twice[] = {record, record};
	struct arena arena SCOPED_ARENA;
	struct sts_policy policy;

	if (sts_record_find(&record, 1, &id)) {
		must(id.len >= 1 && id.len <= 32 && slice_starts_with(record, SLICE("v=STSv1")));
		must(!sts_record_find(twice, 2, &id));
	}
	if (!sts_policy_parse(&arena, rest, &policy))
		return 0;
	must(policy.mode <= STS_ENFORCE && policy.max_age_s >= 0 && policy.max_age_s <= STS_MAX_AGE_S);
	must(policy.host_count <= STS_HOSTS_MAX && (policy.host_count > 0 || policy.mode == STS_NONE));
	for (size_t i = 0; i < policy.host_count; i++) {
		struct slice host = policy.hosts[i];

		must(host.len > 0 && slice_find_byte(host, '\n') == SLICE_NOT_FOUND);
		must(host.data[0] == '*' || sts_policy_names(&policy, host));
	}
	return 0;
}
