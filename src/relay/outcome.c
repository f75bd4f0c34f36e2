#include "relay/outcome.h"

#include "mime/xtext.h"

struct settling {
	const struct outcome_policy *policy;
	struct parcel *parcel;
	int64_t now_ms;
	struct settlement *settlement;
};

static bool may_hear(const struct queue_item *item)
{
	return item->sender.len > 0 && !(item->notify & NOTIFY_NEVER);
}

/* RFC 3461 section 4.1; without NOTIFY failures and delays are told. */
static bool wants(const struct queue_item *item, unsigned what)
{
	if (!may_hear(item))
		return false;
	return item->notify == 0 ? what != NOTIFY_SUCCESS : (item->notify & what) != 0;
}

/* Time is counted from when the message might go. */
static int64_t begins_at(const struct queue_item *item)
{
	return item->timing.release_ms > item->created_ms ? item->timing.release_ms : item->created_ms;
}

static int64_t expires_at(const struct outcome_policy *policy, const struct queue_item *item)
{
	int64_t by_policy = begins_at(item) + policy->expire_ms;

	int64_t expires = item->expires_ms > 0 && item->expires_ms < by_policy ? item->expires_ms : by_policy;

	/* RFC 2852 section 4.1.3 */
	return (item->timing.by_mode & BY_RETURN) && item->timing.by_ms < expires ? item->timing.by_ms : expires;
}

/* It has a time of its own, of which its sender wants to hear when it has passed (RFC 2852 section 4.1.3). If it had when the message came
 * that was told by others. */
static bool has_deadline(const struct queue_item *item)
{
	return (item->timing.by_mode & BY_NOTIFY) && item->timing.by_ms > item->created_ms;
}

/* When its sender is told of a delay; INT64_MAX: never. */
static int64_t warns_at(const struct outcome_policy *policy, const struct queue_item *item)
{
	if (item->delay_warned || !wants(item, NOTIFY_DELAY))
		return INT64_MAX;
	if (has_deadline(item))
		return item->timing.by_ms;
	if (policy->warn_after_ms < 0)
		return INT64_MAX;
	return begins_at(item) + policy->warn_after_ms;
}

bool outcome_is_urgent(const struct outcome_policy *policy, const struct queue_item *item, int64_t now_ms)
{
	return now_ms >= expires_at(policy, item) || now_ms >= warns_at(policy, item);
}

int64_t outcome_put_off(const struct outcome_policy *policy, const struct queue_item *item, int64_t until_ms)
{
	int64_t expires = expires_at(policy, item), warns = warns_at(policy, item);

	if (warns < until_ms)
		until_ms = warns;
	return expires < until_ms ? expires : until_ms;
}

static void report(struct settling *s, const struct recipient *recipient, enum dsn_action action, struct slice status)
{
	struct slice remote = recipient->remote;

	s->settlement->reports[s->settlement->report_count++] = (struct dsn_recipient){
		.final = recipient->item.recipient,
		.original = xtext_decode_original(&s->parcel->arena, recipient->item.original_recipient),
		.action = action,
		.status = status,
		.remote_mta = slice_cut(&remote, ' '),
		.diagnostic = action == DSN_RELAYED || action == DSN_DELIVERED ? SLICE_EMPTY : recipient->reply.text,
		.diagnostic_is_ours = recipient->reply.is_ours,
		.last_attempt_ms = s->now_ms,
		.retry_until_ms = action == DSN_DELAYED ? expires_at(s->policy, &recipient->item) : 0,
	};
	s->settlement->has_failed_report |= action == DSN_FAILED;
}

static void settle_delivered(struct settling *s, const struct recipient *recipient, struct queue_result *result)
{
	result->outcome = QUEUE_DELIVERED;
	s->settlement->delivered++;
	if (recipient->is_final && wants(&recipient->item, NOTIFY_SUCCESS))
		report(s, recipient, DSN_DELIVERED, SLICE("2.0.0"));
	/* RFC 3461 section 6.1 */
	if ((recipient->relayed_plainly && wants(&recipient->item, NOTIFY_SUCCESS)) ||
	    (recipient->tells_relayed && may_hear(&recipient->item)))
		report(s, recipient, DSN_RELAYED, SLICE("2.0.0"));
}

/* RFC 5321 section 4.5.5: nothing is sent back to nobody. But to who looks after the host. */
static bool is_double_bounce(const struct outcome_policy *policy, const struct queue_item *item)
{
	return policy->double_bounces && item->sender.len == 0 && !slice_eq(item->envelope_id, DOUBLE_BOUNCE_ID);
}

static void settle_failed(struct settling *s, const struct recipient *recipient, struct queue_result *result,
			  struct slice status)
{
	result->outcome = QUEUE_FAILED;
	s->settlement->failed++;
	if (wants(&recipient->item, NOTIFY_FAILURE) || is_double_bounce(s->policy, &recipient->item))
		report(s, recipient, DSN_FAILED, status);
}

/* When the next attempt is made: after the delay that follows so many failures, or when a dead host is tried again; but never behind the
 * time the message is given up, so that the last attempt is made then. */
static int64_t next_attempt(const struct settling *s, const struct queue_item *item)
{
	const struct outcome_policy *policy = s->policy;
	const struct parcel *parcel = s->parcel;
	size_t step = item->attempts < policy->retry_count ? item->attempts : policy->retry_count - 1;
	int64_t delay = policy->retry_ms[step], expires = expires_at(policy, item), due;

	if (parcel->put_off_ms > 0 && (!parcel->was_tried || parcel->put_off_ms > delay))
		delay = parcel->put_off_ms;
	due = s->now_ms + delay;
	if (due > expires && expires > s->now_ms)
		due = expires;
	if (has_deadline(item) && !item->delay_warned && due > item->timing.by_ms && item->timing.by_ms > s->now_ms)
		due = item->timing.by_ms;
	return due;
}

/* RFC 3463 section 2: what will be tried again is of class 4, whatever the last answer said. */
static struct slice temporary(struct arena *arena, struct slice status)
{
	const struct slice parts[] = {SLICE("4"), slice_skip(status, 1)};

	return slice_join(arena, parts, 2);
}

static void settle_deferred(struct settling *s, struct recipient *recipient, struct queue_result *result)
{
	const struct queue_item *item = &recipient->item;

	if (s->now_ms >= expires_at(s->policy, item)) {
		/* RFC 3463 section 3.5: delivery time expired; RFC 2852 section 4.1.3 */
		settle_failed(s, recipient, result, item->timing.by_mode & BY_RETURN ? SLICE("5.4.7") : SLICE("4.4.7"));
		return;
	}
	result->outcome = QUEUE_DEFERRED;
	result->due_ms = next_attempt(s, item);
	result->is_untried = s->parcel->put_off_ms > 0 && !s->parcel->was_tried;
	result->delay_warned = item->delay_warned;
	s->settlement->deferred++;
	if (s->now_ms >= warns_at(s->policy, item)) {
		struct arena *arena = &s->parcel->arena;

		report(s, recipient, DSN_DELAYED,
		       has_deadline(item) ? SLICE("4.4.7") : temporary(arena, reply_status(arena, &recipient->reply)));
		result->delay_warned = true;
	}
}

void outcome_settle(const struct outcome_policy *policy, struct parcel *parcel, int64_t now_ms, struct settlement *settlement)
{
	struct settling s = {policy, parcel, now_ms, settlement};

	*settlement = (struct settlement){
		.results = ARENA_ARRAY(&parcel->arena, struct queue_result, parcel->count),
		.reports = ARENA_ARRAY(&parcel->arena, struct dsn_recipient, parcel->count),
	};
	for (struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next) {
		if (recipient->state == RECIPIENT_REPLACED)
			continue;
		struct queue_result *result = &settlement->results[settlement->count++];

		*result = (struct queue_result){
			.id = recipient->item.id,
			.message = parcel->message,
			.reply = recipient->reply.text,
			.remote = recipient->remote,
		};
		if (recipient->state == RECIPIENT_DELIVERED)
			settle_delivered(&s, recipient, result);
		else if (recipient->state == RECIPIENT_FAILED)
			settle_failed(&s, recipient, result, reply_status(&parcel->arena, &recipient->reply));
		else
			settle_deferred(&s, recipient, result);
	}
}
