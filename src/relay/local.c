#include "relay/local.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "ipc/ipc.h"
#include "ipc/pack.h"

#define LOCAL_STACK      (512 * 1024) /* runs SQL and parses messages */
#define TAKE_MAX         100
#define LEASE_MS         (10 * 60 * 1000)
#define LOOK_AT_LEAST_MS (30 * 1000) /* also for a wall clock that was set */
#define LOOK_AGAIN_MS    1000
#define MESSAGE_MAX      (1024 * 1024 * 1024)

struct local {
	struct local_options options;
	pthread_mutex_t lock; /* of what is below */
	pthread_cond_t wake;
	pthread_t thread;
	bool woken, stopping;
};

/* One message to some of its recipients. */
struct handing {
	struct local *local;
	struct parcel parcel;
	struct slice bytes;
	struct settlement settlement;
	struct delivery mailboxes;
	struct delivery *bounce;
};

/* ---- the recipients ---- */

/* An account that was disabled meanwhile takes nothing. Whether it is there at all the delivery finds out. */
static enum status look_up(struct handing *h, struct recipient *recipient)
{
	const struct queue_item *item = &recipient->item;
	struct directory_entry entry;
	enum status status = directory_look_up(h->local->options.store, &h->parcel.arena, item->recipient,
						h->local->options.bounce.details.separator, &entry);

	if (status != STATUS_OK)
		return status;
	if (entry.kind != DIRECTORY_ACCOUNT || entry.account.id != item->account || entry.account.enabled)
		return STATUS_OK;
	recipient->state = RECIPIENT_FAILED;
	recipient->reply = reply_ours(&h->parcel.arena, 550, "5.2.1", "mailbox is disabled");
	return STATUS_OK;
}

static enum status add_recipient(struct handing *h, const struct queue_item *item)
{
	struct parcel *parcel = &h->parcel;
	struct recipient *recipient = ARENA_NEW(&parcel->arena, struct recipient);

	recipient->item = *item;
	recipient->state = RECIPIENT_DELIVERED;
	recipient->is_final = true;
	if (parcel->last_recipient)
		parcel->last_recipient->next = recipient;
	else
		parcel->recipients = recipient;
	parcel->last_recipient = recipient;
	parcel->count++;
	return look_up(h, recipient);
}

/* Somebody else took it out of the queue. */
static void forget(struct parcel *parcel, struct recipient *gone)
{
	struct recipient **at = &parcel->recipients;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	parcel->count--;
}

/* What could not be delivered, by the status of its target. False: that says nothing about the recipient. */
static bool take_status(struct handing *h, struct recipient *recipient, enum status status)
{
	struct arena *arena = &h->parcel.arena;

	switch (status) {
	case STATUS_LIMIT:
		recipient->state = RECIPIENT_DEFERRED;
		recipient->reply = reply_ours(arena, 452, "4.2.2", "mailbox full");
		return true;
	case STATUS_NOT_FOUND:
		recipient->state = RECIPIENT_FAILED;
		recipient->reply = reply_ours(arena, 550, "5.1.1", "no such user here any more");
		return true;
	case STATUS_EXISTS:
		forget(&h->parcel, recipient);
		return true;
	default:
		return false;
	}
}

/* ---- the message ---- */

static enum status read_message(struct handing *h)
{
	struct email_reader *reader;
	struct buf bytes;
	enum status status = queue_open(h->local->options.store, &h->parcel.arena, h->parcel.message, &reader);

	if (status != STATUS_OK)
		return status;
	buf_init(&bytes, &h->parcel.arena, MESSAGE_MAX);
	buf_reserve(&bytes, email_reader_size(reader));
	for (;;) {
		struct slice piece;

		status = email_read(reader, bytes.len, &piece);
		if (status != STATUS_OK || piece.len == 0)
			break;
		buf_add(&bytes, piece);
	}
	email_close(reader);
	h->bytes = buf_slice(&bytes);
	return status == STATUS_OK && !buf_ok(&bytes) ? STATUS_TEMPORARY : status;
}

/* RFC 5321 section 4.4, as the deliver role writes it. */
static struct slice headers_for(struct arena *arena, const struct queue_item *item)
{
	struct buf out;

	buf_init(&out, arena, 0);
	buf_printf(&out, "Return-Path: <%.*s>\r\nDelivered-To: %.*s\r\n", SLICE_ARG(item->sender), SLICE_ARG(item->recipient));
	if (item->addressed_to.len > 0)
		buf_printf(&out, "X-Original-To: %.*s\r\n", SLICE_ARG(item->addressed_to));
	return buf_slice(&out);
}

/* The folder that a recipient's address names: the deliver role has let it in there. */
static enum status find_folder(struct handing *h, const struct queue_item *item, struct slice *folder)
{
	const struct local_options *options = &h->local->options;
	struct detail_rules rules = options->bounce.details;
	struct account account;
	enum status status;

	*folder = SLICE_EMPTY;
	if (rules.folders == DETAIL_FOLDERS_OFF)
		return STATUS_OK;
	rules.folders = DETAIL_FOLDERS_ALL;
	status = directory_get_account(options->store, &h->parcel.arena, item->account, &account);
	if (status == STATUS_OK)
		status = detail_folder(options->store, &h->parcel.arena, &rules, &account, item->recipient, 0, folder);
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status fill_mailboxes(struct handing *h, int64_t now_ms)
{
	struct arena *arena = &h->parcel.arena;
	const struct queue_item *item = &h->parcel.recipients->item;

	h->mailboxes = (struct delivery){
		.queue_id = item->queue_id,
		.sender = item->sender,
		.received_ms = now_ms,
		.bytes = h->bytes,
		.targets = ARENA_ARRAY(arena, struct delivery_target, h->parcel.count),
	};
	for (const struct recipient *at = h->parcel.recipients; at; at = at->next) {
		struct slice folder;

		if (at->state != RECIPIENT_DELIVERED)
			continue;
		if (find_folder(h, &at->item, &folder) != STATUS_OK)
			return STATUS_TEMPORARY;
		h->mailboxes.targets[h->mailboxes.target_count++] = (struct delivery_target){
			.account = at->item.account, .mailbox = folder, .headers = headers_for(arena, &at->item)};
	}
	return STATUS_OK;
}

/* The recipient of the target that stood in the way. NULL: none did. */
static struct recipient *find_hindered(struct handing *h, enum status status)
{
	size_t i = 0;

	for (struct recipient *at = h->parcel.recipients; at; at = at->next) {
		if (at->state != RECIPIENT_DELIVERED)
			continue;
		if (h->mailboxes.targets[i++].status == status)
			return at;
	}
	return NULL;
}

/* All of them in one transaction, with the notification that is due. */
static enum status try_once(struct handing *h)
{
	const struct local_options *options = &h->local->options;
	int64_t now_ms = clock_wall_ms();

	enum status status = fill_mailboxes(h, now_ms);

	if (status != STATUS_OK)
		return status;
	outcome_settle(&options->policy, &h->parcel, now_ms, &h->settlement);
	status = bounce_make(&options->bounce, options->store, options->log, &h->parcel, &h->settlement, now_ms, &h->bounce);
	if (status == STATUS_OK)
		status = queue_finish_local(options->store, h->settlement.results, h->settlement.count, &h->mailboxes,
					    h->bounce);
	return status;
}

/* Whom something hinders is set aside, until the others can have theirs. */
static enum status hand_over(struct handing *h)
{
	enum status status = read_message(h);

	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status; /* removed meanwhile */
	while (h->parcel.count > 0) {
		status = try_once(h);
		if (status == STATUS_OK)
			return STATUS_OK;
		struct recipient *hindered = find_hindered(h, status);

		if (!hindered || !take_status(h, hindered, status))
			return status;
	}
	return STATUS_OK;
}

/* ---- telling ---- */

static uint32_t pack_targets(struct buf *accounts, const struct delivery *delivery)
{
	uint32_t count = 0;

	for (size_t i = 0; i < delivery->target_count; i++)
		if (delivery->targets[i].status == STATUS_OK) {
			pack_u64(accounts, (uint64_t)delivery->targets[i].account);
			count++;
		}
	return count;
}

static void announce(const struct handing *h)
{
	const struct local_options *options = &h->local->options;
	struct buf accounts SCOPED_BUF, payload SCOPED_BUF;

	buf_init(&accounts, NULL, 0);
	buf_init(&payload, NULL, 0);
	uint32_t count = pack_targets(&accounts, &h->mailboxes);

	if (h->bounce) {
		count += pack_targets(&accounts, h->bounce);
		if (h->bounce->queue_count > 0)
			options->queued(options->context);
	}
	if (count == 0 || !options->ipc)
		return;
	pack_u32(&payload, count);
	buf_add(&payload, buf_slice(&accounts));
	ipc_announce(options->ipc, SLICE("mailbox"), buf_slice(&payload));
}

static void log_outcome(const struct handing *h)
{
	static const char *const EVENTS[] = {
		[QUEUE_DELIVERED] = "relay.delivered", [QUEUE_DEFERRED] = "relay.deferred", [QUEUE_FAILED] = "relay.failed"};
	const struct recipient *at = h->parcel.recipients;

	for (size_t i = 0; i < h->settlement.count && at; i++, at = at->next)
		LOG_INFO(h->local->options.log, EVENTS[h->settlement.results[i].outcome], LOG_STR("id", at->item.queue_id),
			 LOG_STR("to", at->item.recipient), LOG_CSTR("remote", "mailbox"), LOG_STR("reply", at->reply.text));
}

/* ---- the thread ---- */

static enum status serve_message(struct local *local, const struct queue_item *items, size_t count)
{
	struct handing h = {.local = local, .parcel = {.message = items[0].message}};
	enum status status = STATUS_OK;

	arena_init(&h.parcel.arena, 0);
	for (size_t i = 0; i < count && status == STATUS_OK; i++)
		status = add_recipient(&h, &items[i]);
	if (status == STATUS_OK)
		status = hand_over(&h);
	if (status == STATUS_OK && h.settlement.count > 0) {
		log_outcome(&h);
		announce(&h);
	} else if (status != STATUS_OK) {
		LOG_ERROR(local->options.log, "relay.mailbox_failed", LOG_STR("id", items[0].queue_id),
			  LOG_STR("status", status_name(status)));
	}
	arena_free(&h.parcel.arena);
	return status;
}

/* Recipients of one message that follow each other are served together. What fails is still leased: it is given up below, so that it comes again. */
static enum status serve_page(struct local *local, const struct queue_item *items, size_t count)
{
	enum status worst = STATUS_OK;

	for (size_t i = 0, next; i < count; i = next) {
		for (next = i + 1; next < count && queue_go_together(&items[i], &items[next]); next++)
			;
		enum status status = serve_message(local, items + i, next - i);

		if (status != STATUS_OK)
			worst = status;
	}
	return worst;
}

enum served { SERVED_ALL, SERVED_SOME /* there may be more at once */, SERVED_TROUBLE };

static enum served take_and_serve(struct local *local)
{
	const struct local_options *options = &local->options;
	struct arena arena SCOPED_ARENA;
	const struct queue_look look = {.local = true, .after = {INT64_MIN, 0}, .now_ms = clock_wall_ms(), .max = TAKE_MAX};
	const struct queue_lease lease = {look.now_ms, LEASE_MS, options->node};
	struct queue_item *items;
	size_t count;

	if (queue_look(options->store, &arena, &look, &items, &count) != STATUS_OK ||
	    queue_take(options->store, &lease, items, &count) != STATUS_OK)
		return SERVED_TROUBLE;
	if (count > 0 && serve_page(local, items, count) != STATUS_OK) {
		if (queue_release_leases(options->store, options->node) != STATUS_OK)
			LOG_WARNING(options->log, "relay.leases_kept");
		return SERVED_TROUBLE;
	}
	return count == TAKE_MAX ? SERVED_SOME : SERVED_ALL;
}

/* Monotonic: when to look again. */
static int64_t next_look(const struct local *local, enum served served)
{
	int64_t now_ms = clock_monotonic_ms(), due_ms, wait_ms;

	if (served == SERVED_SOME)
		return now_ms;
	/* What caused the trouble is due again already. */
	if (served == SERVED_TROUBLE || queue_next_local(local->options.store, &due_ms) != STATUS_OK)
		return now_ms + LOOK_AGAIN_MS;
	if (due_ms == INT64_MAX)
		return now_ms + LOOK_AT_LEAST_MS;
	wait_ms = due_ms - clock_wall_ms();
	return now_ms + (wait_ms < 0 ? 0 : wait_ms > LOOK_AT_LEAST_MS ? LOOK_AT_LEAST_MS : wait_ms);
}

/* With the lock held. */
static void rest_until(struct local *local, int64_t until_ms)
{
	while (!local->stopping && !local->woken && clock_monotonic_ms() < until_ms)
		thread_wait_until(&local->wake, &local->lock, until_ms);
}

static void *run(void *context)
{
	struct local *local = context;
	bool released = queue_release_leases(local->options.store, local->options.node) == STATUS_OK;

	pthread_mutex_lock(&local->lock);
	while (!local->stopping) {
		local->woken = false;
		pthread_mutex_unlock(&local->lock);
		if (!released)
			released = queue_release_leases(local->options.store, local->options.node) == STATUS_OK;
		int64_t until_ms = next_look(local, released ? take_and_serve(local) : SERVED_TROUBLE);

		pthread_mutex_lock(&local->lock);
		rest_until(local, until_ms);
	}
	pthread_mutex_unlock(&local->lock);
	return NULL;
}

struct local *local_start(const struct local_options *options)
{
	struct local *local = calloc(1, sizeof(*local));

	if (!local)
		abort();
	local->options = *options;
	pthread_mutex_init(&local->lock, NULL);
	thread_condition_init(&local->wake);
	if (!thread_start(&local->thread, LOCAL_STACK, run, local))
		abort();
	return local;
}

void local_wake(struct local *local)
{
	pthread_mutex_lock(&local->lock);
	local->woken = true;
	pthread_cond_signal(&local->wake);
	pthread_mutex_unlock(&local->lock);
}

void local_stop(struct local *local)
{
	if (!local)
		return;
	pthread_mutex_lock(&local->lock);
	local->stopping = true;
	pthread_cond_signal(&local->wake);
	pthread_mutex_unlock(&local->lock);
	pthread_join(local->thread, NULL);
	pthread_cond_destroy(&local->wake);
	pthread_mutex_destroy(&local->lock);
	free(local);
}
