#include "deliver/policy.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "deliver/srs.h"
#include "mime/address.h"

#define KEEP_MS 800

struct policy {
	struct policy_options options;
	struct store *store;
	pthread_mutex_t lock; /* of all below */
	unsigned kinds;       /* bits 1 << enum rule_kind */
	int64_t until_ms;
	struct arena arena;
	struct slice secret; /* once it was needed */
};

struct policy *policy_new(const struct policy_options *options, struct store *store)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		abort();
	policy->options = *options;
	policy->store = store;
	pthread_mutex_init(&policy->lock, NULL);
	arena_init(&policy->arena, 0);
	return policy;
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	arena_free(&policy->arena);
	pthread_mutex_destroy(&policy->lock);
	free(policy);
}

void policy_drop(struct policy *policy)
{
	pthread_mutex_lock(&policy->lock);
	policy->until_ms = 0;
	pthread_mutex_unlock(&policy->lock);
}

static enum status has_kind(struct policy *policy, enum rule_kind kind, bool *has)
{
	int64_t now_ms = clock_monotonic_ms();
	enum status status = STATUS_OK;

	pthread_mutex_lock(&policy->lock);
	if (now_ms >= policy->until_ms) {
		status = routing_kinds(policy->store, &policy->kinds);
		policy->until_ms = status == STATUS_OK ? now_ms + KEEP_MS : 0;
	}
	*has = policy->kinds & 1u << kind;
	pthread_mutex_unlock(&policy->lock);
	return status;
}

enum status policy_next_hop(struct policy *policy, struct arena *arena, struct slice sender, struct slice recipient,
			    struct slice domain, struct slice *hop)
{
	struct slice smarthost = policy->options.smarthost;
	bool by_recipient, by_sender;
	enum status status = has_kind(policy, RULE_ROUTE, &by_recipient);

	if (status == STATUS_OK)
		status = has_kind(policy, RULE_SENDER_ROUTE, &by_sender);
	if (status != STATUS_OK)
		return status;
	if (by_recipient || by_sender)
		status = routing_next_hop(policy->store, arena, sender, recipient, hop);
	if (status == STATUS_NOT_FOUND || !(by_recipient || by_sender)) {
		*hop = smarthost.len > 0 ? smarthost : domain;
		status = STATUS_OK;
	}
	return status;
}

enum status policy_rewrite(struct policy *policy, struct arena *arena, enum rule_kind kind, struct slice *address)
{
	bool has;
	enum status status = has_kind(policy, kind, &has);

	return status == STATUS_OK && has && address->len > 0 ? routing_rewrite(policy->store, arena, kind, address) : status;
}

enum status policy_copies(struct policy *policy, struct arena *arena, enum rule_kind kind, struct slice address,
			  struct slice **targets, size_t *count)
{
	bool has;
	enum status status = has_kind(policy, kind, &has);

	*count = 0;
	if (status != STATUS_OK || !has || address.len == 0)
		return status;
	return routing_targets(policy->store, arena, kind, address, targets, count);
}

enum status policy_message_size(struct policy *policy, struct slice address, uint64_t *bytes)
{
	size_t at = slice_find_last_byte(address, '@');
	bool has;
	enum status status = has_kind(policy, RULE_DOMAIN_SIZE, &has);

	*bytes = 0;
	if (status != STATUS_OK || !has || at == SLICE_NOT_FOUND)
		return status;
	return routing_domain_limit(policy->store, RULE_DOMAIN_SIZE, slice_skip(address, at + 1), bytes);
}

enum status policy_has_rights(struct policy *policy, bool *has)
{
	return has_kind(policy, RULE_MAY_SEND, has);
}

enum status policy_may_send(struct policy *policy, struct slice account, struct slice address, bool *on_behalf)
{
	bool has;
	enum status status = has_kind(policy, RULE_MAY_SEND, &has);

	if (status != STATUS_OK)
		return status;
	*on_behalf = false;
	return has ? routing_may_send(policy->store, account, address, on_behalf) : STATUS_NOT_FOUND;
}

/* ---- forwarding ---- */

static enum status secret_of(struct policy *policy, struct slice *secret)
{
	enum status status = STATUS_OK;

	pthread_mutex_lock(&policy->lock);
	if (policy->secret.len == 0)
		status = routing_secret(policy->store, &policy->arena, SLICE("srs"), &policy->secret);
	*secret = policy->secret;
	pthread_mutex_unlock(&policy->lock);
	return status;
}

static struct slice domain_of(struct slice address)
{
	size_t at = slice_find_last_byte(address, '@');

	return at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(address, at + 1);
}

/* Whose domain is ours sends from here rightly. */
static enum status is_ours(struct policy *policy, struct arena *arena, struct slice sender)
{
	struct directory_entry entry;
	enum status status = directory_look_up(policy->store, arena, sender, '\0', &entry);

	return status != STATUS_OK ? status : entry.kind == DIRECTORY_NOT_LOCAL ? STATUS_NOT_FOUND : STATUS_OK;
}

enum status policy_forward_sender(struct policy *policy, struct arena *arena, struct slice sender, struct slice recipient,
				  struct slice *rewritten)
{
	struct slice secret;
	enum status status;

	*rewritten = sender;
	if (!policy->options.srs || sender.len == 0)
		return STATUS_OK;
	status = is_ours(policy, arena, sender);
	if (status != STATUS_NOT_FOUND)
		return status;
	status = secret_of(policy, &secret);
	/* What can't be rewritten goes as it is. */
	if (status == STATUS_OK && !srs_rewrite(arena, secret, clock_wall_ms(), sender, domain_of(recipient), rewritten))
		*rewritten = sender;
	return status;
}

enum status policy_original_sender(struct policy *policy, struct arena *arena, struct slice address, struct slice *original)
{
	struct email_address parsed;
	struct slice secret, text;
	struct buf out;

	if (!srs_is_rewritten(address))
		return STATUS_NOT_FOUND;
	enum status status = secret_of(policy, &secret);

	if (status != STATUS_OK)
		return status;
	if (!srs_reverse(arena, secret, clock_wall_ms(), address, &text) || !email_address_parse(arena, text, &parsed))
		return STATUS_NOT_FOUND;
	buf_init(&out, arena, 0);
	email_address_format(&out, &parsed);
	*original = buf_slice(&out);
	return buf_ok(&out) ? STATUS_OK : STATUS_TEMPORARY;
}
