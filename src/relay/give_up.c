#include "relay/give_up.h"

#include "base/clock.h"
#include "ipc/pack.h"

#define POLICY_RETRY_MS 1 /* nothing is deferred here */

static void add_recipient(struct parcel *parcel, const struct queue_item *item, const struct reply *reply)
{
	struct recipient *recipient = ARENA_NEW(&parcel->arena, struct recipient);

	recipient->item = *item;
	recipient->state = RECIPIENT_FAILED;
	recipient->reply = *reply;
	if (parcel->last_recipient)
		parcel->last_recipient->next = recipient;
	else
		parcel->recipients = recipient;
	parcel->last_recipient = recipient;
	parcel->count++;
}

static void add_up(const struct settlement *settlement, const struct delivery *bounce, struct given_up *sums)
{
	sums->recipients += settlement->failed;
	if (!bounce)
		return;
	sums->notifications++;
	sums->queued |= bounce->queue_count > 0;
	for (size_t i = 0; i < bounce->target_count; i++)
		if (bounce->targets[i].status == STATUS_OK) {
			pack_u64(&sums->accounts, (uint64_t)bounce->targets[i].account);
			sums->account_count++;
		}
}

static enum status settle(const struct bounce_options *options, struct store *store, const struct log *log, struct parcel *parcel,
			  struct given_up *sums)
{
	static const int64_t retry_ms[] = {POLICY_RETRY_MS};
	const struct outcome_policy policy = {
		.retry_ms = retry_ms, .retry_count = 1, .warn_after_ms = -1, .double_bounces = options->double_bounce_to.len > 0};
	int64_t now_ms = clock_wall_ms();
	struct settlement settlement;
	struct delivery *bounce;

	outcome_settle(&policy, parcel, now_ms, &settlement);
	enum status status = bounce_make(options, store, log, parcel, &settlement, now_ms, &bounce);

	if (status == STATUS_OK)
		status = queue_finish(store, settlement.results, settlement.count, bounce);
	if (status == STATUS_OK)
		add_up(&settlement, bounce, sums);
	return status;
}

enum status give_up_message(const struct bounce_options *options, struct store *store, const struct log *log,
			    const struct queue_item *items, size_t count, struct slice reason, struct given_up *sums)
{
	struct parcel parcel = {.message = count > 0 ? items[0].message : 0};

	if (count == 0)
		return STATUS_OK;
	arena_init(&parcel.arena, 0);
	/* RFC 3463 section 3.8: not for the recipient's sake, but by policy. */
	struct reply reply = reply_ours(&parcel.arena, 554, "5.7.1", "%.*s", SLICE_ARG(reason));

	for (size_t i = 0; i < count; i++)
		add_recipient(&parcel, &items[i], &reply);
	enum status status = settle(options, store, log, &parcel, sums);

	arena_free(&parcel.arena);
	return status;
}
