/* Invariant: the store is never asked with the lock held. */
#include "guard/outflow.h"

#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>

#define FLUSH_AT_ONCE 1000

struct sender {
	int64_t account, hour;
	struct sending_count before; /* in the hour before */
	struct sending_count known;  /* in this hour, as the store says */
	struct sending_count fresh;  /* and not brought in yet */
	bool alarmed;
	UT_hash_handle hh;
};

struct outflow {
	struct outflow_limits limits;
	struct store *store;
	const struct log *log;
	pthread_mutex_t mutex;
	struct sender *senders;
};

struct outflow *outflow_new(const struct outflow_limits *limits, struct store *store, const struct log *log)
{
	struct outflow *outflow = calloc(1, sizeof(*outflow));

	if (!outflow)
		abort();
	*outflow = (struct outflow){.limits = *limits, .store = store, .log = log};
	pthread_mutex_init(&outflow->mutex, NULL);
	return outflow;
}

void outflow_free(struct outflow *outflow)
{
	struct sender *sender, *next;

	if (!outflow)
		return;
	HASH_ITER(hh, outflow->senders, sender, next)
	{
		HASH_DEL(outflow->senders, sender);
		free(sender);
	}
	pthread_mutex_destroy(&outflow->mutex);
	free(outflow);
}

/* ---- counting ---- */

static struct sender *find(struct outflow *outflow, int64_t account)
{
	struct sender *sender;

	HASH_FIND(hh, outflow->senders, &account, sizeof(account), sender);
	return sender;
}

/* The hour has changed: what was not brought in belonged to the former one, and is counted with this one. */
static void turn_hour(struct sender *sender, int64_t hour)
{
	if (sender->hour >= hour)
		return;
	sender->before = sender->hour + 1 == hour ? sender->known : (struct sending_count){0};
	sender->known = (struct sending_count){0};
	sender->hour = hour;
	sender->alarmed = false;
}

/* Reads what the store knows of an account that this process has not seen. */
static bool learn(struct outflow *outflow, int64_t account, int64_t hour)
{
	struct sender *sender = calloc(1, sizeof(*sender));

	if (!sender)
		abort();
	*sender = (struct sender){.account = account, .hour = hour};
	bool ok = sending_read(outflow->store, account, hour, &sender->known) == STATUS_OK &&
		  sending_read(outflow->store, account, hour - 1, &sender->before) == STATUS_OK;

	pthread_mutex_lock(&outflow->mutex);
	bool wanted = ok && !find(outflow, account);

	if (wanted)
		HASH_ADD(hh, outflow->senders, account, sizeof(sender->account), sender);
	pthread_mutex_unlock(&outflow->mutex);
	if (!wanted)
		free(sender);
	return ok;
}

static uint64_t estimate(uint64_t before, uint64_t known, uint64_t fresh, int64_t into_hour_ms)
{
	return before * (uint64_t)(SENDING_HOUR_MS - into_hour_ms) / SENDING_HOUR_MS + known + fresh;
}

static bool is_over(uint64_t limit, uint64_t sent, uint64_t more)
{
	return limit > 0 && sent + more > limit;
}

static bool may_send(const struct outflow *outflow, const struct sender *sender, uint64_t recipients, int64_t now_ms)
{
	int64_t into_ms = now_ms % SENDING_HOUR_MS;
	uint64_t messages = estimate(sender->before.messages, sender->known.messages, sender->fresh.messages, into_ms);
	uint64_t sent = estimate(sender->before.recipients, sender->known.recipients, sender->fresh.recipients, into_ms);

	return !is_over(outflow->limits.messages_per_hour, messages, 1) &&
	       !is_over(outflow->limits.recipients_per_hour, sent, recipients);
}

static enum outflow_outcome spend(struct outflow *outflow, struct sender *sender, uint64_t recipients, int64_t now_ms)
{
	turn_hour(sender, now_ms / SENDING_HOUR_MS);
	if (may_send(outflow, sender, recipients, now_ms)) {
		sender->fresh.messages++;
		sender->fresh.recipients += recipients;
		return OUTFLOW_OK;
	}
	bool first = !sender->alarmed;

	sender->alarmed = true;
	return first ? OUTFLOW_ALARM : OUTFLOW_REFUSED;
}

enum outflow_outcome outflow_spend(struct outflow *outflow, int64_t account, uint64_t recipients, int64_t now_ms)
{
	int64_t hour = now_ms / SENDING_HOUR_MS;
	enum outflow_outcome outcome = OUTFLOW_UNKNOWN;

	if (outflow->limits.messages_per_hour == 0 && outflow->limits.recipients_per_hour == 0)
		return OUTFLOW_OK;
	for (int tries = 0; tries < 2 && outcome == OUTFLOW_UNKNOWN; tries++) {
		pthread_mutex_lock(&outflow->mutex);
		struct sender *sender = find(outflow, account);

		if (sender)
			outcome = spend(outflow, sender, recipients, now_ms);
		pthread_mutex_unlock(&outflow->mutex);
		if (!sender && !learn(outflow, account, hour))
			break;
	}
	/* Of several nodes, and before and after a restart, one raises it. */
	if (outcome == OUTFLOW_ALARM && sending_alert(outflow->store, account, hour) != STATUS_OK)
		outcome = OUTFLOW_REFUSED;
	return outcome;
}

/* ---- bringing it into the store ---- */

/* What is to be brought in; and senders of whom nothing counts any more go. */
static size_t collect(struct outflow *outflow, struct sending_change *changes, int64_t hour)
{
	struct sender *sender, *next;
	size_t count = 0;

	HASH_ITER(hh, outflow->senders, sender, next)
	{
		if (sender->fresh.messages > 0 && count < FLUSH_AT_ONCE) {
			changes[count++] = (struct sending_change){
				.account = sender->account, .hour = sender->hour, .added = sender->fresh};
		} else if (sender->fresh.messages == 0 && sender->hour + 1 < hour) {
			HASH_DEL(outflow->senders, sender);
			free(sender);
		}
	}
	return count;
}

static void take_over(struct outflow *outflow, const struct sending_change *change)
{
	struct sender *sender = find(outflow, change->account);

	if (!sender)
		return;
	sender->fresh.messages -= change->added.messages;
	sender->fresh.recipients -= change->added.recipients;
	if (sender->hour == change->hour)
		sender->known = change->now;
	else if (sender->hour == change->hour + 1)
		sender->before = change->now;
}

void outflow_flush(struct outflow *outflow, int64_t now_ms)
{
	struct sending_change *changes = calloc(FLUSH_AT_ONCE, sizeof(*changes));

	if (!changes)
		abort();
	pthread_mutex_lock(&outflow->mutex);
	size_t count = collect(outflow, changes, now_ms / SENDING_HOUR_MS);

	pthread_mutex_unlock(&outflow->mutex);
	enum status status = sending_add(outflow->store, changes, count);

	pthread_mutex_lock(&outflow->mutex);
	for (size_t i = 0; status == STATUS_OK && i < count; i++)
		take_over(outflow, &changes[i]);
	pthread_mutex_unlock(&outflow->mutex);
	if (status != STATUS_OK)
		LOG_WARNING(outflow->log, "guard.sending_not_kept", LOG_STR("status", status_name(status)),
			    LOG_INT("accounts", count));
	free(changes);
}
