#include "relay/sts_fetch.h"

#include "relay/sts_policy.h"

/* RFC 8461 section 3.3: only 200 will do. RFC 8461 section 3.2: text/plain, with or without parameters. */
static enum status judge(const struct https_answer *answer, struct slice *reason)
{
	struct slice type = answer->type;

	if (answer->code != 200) {
		*reason = SLICE("the web server's answer is not 200");
		return STATUS_TEMPORARY;
	}
	if (!slice_eq_nocase(slice_trim(slice_cut(&type, ';')), SLICE("text/plain"))) {
		*reason = SLICE("the policy is not text/plain");
		return STATUS_TEMPORARY;
	}
	return STATUS_OK;
}

enum status sts_fetch(const struct https *https, struct arena *arena, struct slice domain, struct slice *text, struct slice *reason)
{
	const struct https_request request = {
		.host = slice_join(arena, (const struct slice[]){SLICE("mta-sts."), domain}, 2),
		.path = SLICE("/.well-known/mta-sts.txt"),
		.answer_max = STS_POLICY_BYTES_MAX,
	};
	struct https_answer answer = {0};
	enum status status = https_ask(https, arena, &request, &answer);

	*text = answer.body;
	*reason = answer.reason;
	return status == STATUS_OK ? judge(&answer, reason) : status;
}
