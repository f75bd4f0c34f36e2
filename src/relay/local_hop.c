#include "relay/local_hop.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/write.h"
#include "deliver/deliver.h"
#include "ipc/ipc.h"

#define RECORD_WAIT_MS 60000
#define ROLE_WAIT_MS   5000 /* for a role that is just being started, as at our own start */
#define ROLE_AGAIN_MS  200

/* One parcel: its message, and whoever handles it. */
struct errand {
	struct relay *relay;
	struct parcel *parcel;
	struct slice hop;
	int message; /* sealed memfd */
	bool is_split;
};

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void set(struct errand *errand, struct recipient *recipient, enum recipient_state state, struct slice enhanced,
		struct slice text)
{
	static const unsigned codes[] = {[RECIPIENT_DELIVERED] = 250, [RECIPIENT_DEFERRED] = 451, [RECIPIENT_FAILED] = 550};
	struct arena *arena = &errand->parcel->arena;

	recipient->state = state;
	recipient->reply = reply_ours(arena, codes[state], slice_cstr(arena, enhanced), "%.*s", SLICE_ARG(text));
}

/* ---- the message ---- */

static bool copy_message(struct email_reader *reader, int fd)
{
	struct slice piece;
	uint64_t offset = 0;

	do {
		if (email_read(reader, offset, &piece) != STATUS_OK || !write_all(fd, piece))
			return false;
		offset += piece.len;
	} while (piece.len > 0);
	return true;
}

/* What is forwarded tells where it was, so that circles end (RFC 5321 section 6.3). */
static struct slice header_before(struct errand *errand)
{
	const struct slice field[] = {SLICE("Delivered-To: "), slice_skip(errand->hop, HOP_FORWARD.len), SLICE("\r\n")};

	return slice_starts_with(errand->hop, HOP_FORWARD) ? slice_join(&errand->parcel->arena, field, 3) : SLICE_EMPTY;
}

/* NOT_FOUND: removed while it waited. */
static enum status open_message(struct errand *errand)
{
	struct arena arena SCOPED_ARENA;
	struct email_reader *reader = NULL;
	enum status status = queue_open(errand->relay->environment.store, &arena, errand->parcel->message, &reader);

	if (status != STATUS_OK)
		return status;
	errand->message = ipc_memfd_open();
	bool ok = errand->message >= 0 && write_all(errand->message, header_before(errand)) && copy_message(reader, errand->message) &&
		  ipc_memfd_seal(errand->message);

	email_close(reader);
	return ok ? STATUS_OK : STATUS_TEMPORARY;
}

/* ---- to the local role ---- */

static bool is_stopping(struct relay *relay)
{
	bool stopping;

	pthread_mutex_lock(&relay->lock);
	stopping = relay->stopping;
	pthread_mutex_unlock(&relay->lock);
	return stopping;
}

/* Where one target of a user's .forward goes. */
static struct queue_part part_of(struct errand *errand, const struct recipient *recipient, struct slice target)
{
	struct arena *arena = &errand->parcel->arena;
	bool is_address = !strchr("|/\\", target.data[0]);
	const struct slice forward[] = {HOP_FORWARD, recipient->item.recipient}, item[] = {errand->hop, SLICE(":"), target};

	if (is_address)
		return (struct queue_part){target, slice_join(arena, forward, 2)};
	return (struct queue_part){recipient->item.recipient, slice_join(arena, item, 3)};
}

static void split(struct errand *errand, struct recipient *recipient, const struct local_outcome *outcome)
{
	struct queue_part parts[LOCAL_TARGETS_MAX];
	enum status status;
	size_t count = 0;

	for (size_t i = 0; i < outcome->target_count; i++)
		if (outcome->targets[i].len > 0)
			parts[count++] = part_of(errand, recipient, outcome->targets[i]);
	status = queue_split(errand->relay->environment.store, &recipient->item, parts, count);
	if (status == STATUS_OK || status == STATUS_NOT_FOUND) {
		recipient->state = RECIPIENT_REPLACED;
		errand->is_split = true;
	} else {
		set(errand, recipient, RECIPIENT_DEFERRED, SLICE("4.3.0"), SLICE("the queue could not be written"));
	}
}

/* A moment's absence of the role costs the mail no attempt. */
static void ask_local(struct errand *errand, struct arena *arena, const struct local_request *request, struct local_outcome *outcome)
{
	struct relay *relay = errand->relay;
	int64_t until = clock_monotonic_ms() + ROLE_WAIT_MS;

	local_deliver(relay->environment.ipc, arena, request, errand->message, relay->options.local_wait_ms, outcome);
	while (outcome->result == LOCAL_DEFERRED && slice_eq(outcome->enhanced, LOCAL_ROLE_AWAY) && relay->environment.ipc &&
	       clock_monotonic_ms() < until && !is_stopping(relay)) {
		nanosleep(&(struct timespec){.tv_nsec = ROLE_AGAIN_MS * 1000000L}, NULL);
		local_deliver(relay->environment.ipc, arena, request, errand->message, relay->options.local_wait_ms, outcome);
	}
}

static void hand_to_local(struct errand *errand, struct recipient *recipient)
{
	const struct queue_item *item = &recipient->item;
	struct local_request request = {
		.hop = errand->hop,
		.sender = item->sender,
		.recipient = item->recipient,
		.original_recipient = item->original_recipient,
		.queue_id = item->queue_id,
		.row = item->id,
		.created_ms = item->created_ms,
	};
	struct local_outcome outcome;
	struct arena arena SCOPED_ARENA;

	ask_local(errand, &arena, &request, &outcome);
	switch (outcome.result) {
	case LOCAL_DELIVERED:
		recipient->is_final = true;
		set(errand, recipient, RECIPIENT_DELIVERED, outcome.enhanced, outcome.text);
		break;
	case LOCAL_DEFERRED:
		set(errand, recipient, RECIPIENT_DEFERRED, outcome.enhanced, outcome.text);
		break;
	case LOCAL_FAILED:
		set(errand, recipient, RECIPIENT_FAILED, outcome.enhanced, outcome.text);
		break;
	case LOCAL_FORWARDED:
		split(errand, recipient, &outcome);
		break;
	}
}

/* ---- to deliver ---- */

static struct slice forward_id(struct errand *errand, const struct recipient *recipient)
{
	struct buf id;

	buf_init(&id, &errand->parcel->arena, 0);
	buf_printf(&id, "%.*s-%lld", SLICE_ARG(recipient->item.queue_id), (long long)recipient->item.id);
	return buf_slice(&id);
}

static void hand_to_deliver(struct errand *errand, struct recipient *recipient)
{
	const struct queue_item *item = &recipient->item;
	struct deliver_recipient to = {item->recipient, item->original_recipient, item->notify};
	struct deliver_envelope envelope = {
		.queue_id = forward_id(errand, recipient),
		.sender = {.address = item->sender, .may_relay = true},
		.envelope_id = item->envelope_id,
		.dsn_return = item->dsn_return,
		.requires_tls = item->tls_wish == TLS_WISH_REQUIRED,
		.needs_utf8 = item->needs_utf8,
		.body_8bit = item->body_8bit,
		.again = true,
		.forwarded_by = slice_skip(errand->hop, HOP_FORWARD.len),
		.recipients = &to,
		.recipient_count = 1,
		.trace_from = slice_join(&errand->parcel->arena, (const struct slice[]){SLICE("forward "), item->queue_id}, 2),
	};
	struct arena arena SCOPED_ARENA;
	struct deliver_verdict verdict =
		deliver_message(errand->relay->environment.ipc, &arena, &envelope, (struct slice){NULL, 0}, errand->message);
	const struct slice done[] = {SLICE("forwarded as "), envelope.queue_id};

	if (verdict.code < 300)
		set(errand, recipient, RECIPIENT_DELIVERED, SLICE("2.0.0"), slice_join(&errand->parcel->arena, done, 2));
	else
		set(errand, recipient, verdict.code >= 500 ? RECIPIENT_FAILED : RECIPIENT_DEFERRED, verdict.enhanced, verdict.text);
}

/* ---- a worker's work ---- */

/* When all ends the other roles do too: what they didn't do any more says nothing about the mail. */
static void take_back(struct errand *errand)
{
	for (struct recipient *recipient = errand->parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state == RECIPIENT_DEFERRED)
			recipient->state = RECIPIENT_REPLACED; /* no result: as it was, in the queue */
}

static void do_each(struct errand *errand)
{
	bool forwards = slice_starts_with(errand->hop, HOP_FORWARD);
	struct recipient *recipient;

	for (recipient = errand->parcel->recipients; recipient; recipient = recipient->next)
		if (is_stopping(errand->relay))
			recipient->state = RECIPIENT_DEFERRED; /* taken back below */
		else if (forwards)
			hand_to_deliver(errand, recipient);
		else
			hand_to_local(errand, recipient);
	if (is_stopping(errand->relay))
		take_back(errand);
}

static void defer_all(struct errand *errand)
{
	for (struct recipient *recipient = errand->parcel->recipients; recipient; recipient = recipient->next)
		set(errand, recipient, RECIPIENT_DEFERRED, SLICE("4.3.0"), SLICE("the message could not be read from the store"));
}

static bool has_result(const struct parcel *parcel)
{
	for (const struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next)
		if (recipient->state != RECIPIENT_REPLACED)
			return true;
	return false;
}

/* As with hosts: no more is done while it isn't on disk what became of the message before. Should we die, that one alone is done twice. */
static void wait_for_records(struct worker *worker)
{
	struct relay *relay = worker->relay;

	while (!recorder_wait(relay->recorder, worker->gate, RECORD_WAIT_MS) && !is_stopping(relay))
		;
}

static void run_errand(struct worker *worker, struct parcel *parcel)
{
	struct relay *relay = worker->relay;
	struct errand errand = {.relay = relay, .parcel = parcel, .hop = parcel->hop->name, .message = -1};
	enum status status = open_message(&errand);
	bool is_done;

	wait_for_records(worker);
	if (status == STATUS_OK)
		do_each(&errand);
	else if (status != STATUS_NOT_FOUND)
		defer_all(&errand);
	is_done = status == STATUS_NOT_FOUND || !has_result(parcel);
	close_fd(&errand.message);
	if (errand.is_split)
		relay_wake(relay);
	if (!is_done) {
		recorder_submit(relay->recorder, parcel, worker->gate);
		return;
	}
	pthread_mutex_lock(&relay->lock);
	scheduler_forget(relay->scheduler, parcel);
	pthread_mutex_unlock(&relay->lock);
}

/* With the lock held. */
static struct parcel *next_parcel(struct worker *worker, struct hop *hop, unsigned sent)
{
	struct relay *relay = worker->relay;
	struct parcel *parcel = NULL;

	if (worker->works_for)
		scheduler_end_work(relay->scheduler, worker->works_for);
	worker->works_for = NULL;
	scheduler_succeeded(relay->scheduler, hop);
	workers_dispatch(relay);
	if (!relay->stopping && !workers_must_give_way(relay, sent))
		parcel = scheduler_take_more(relay->scheduler, hop);
	if (parcel)
		worker->works_for = scheduler_begin_work(relay->scheduler, parcel);
	return parcel;
}

void local_hop_serve(struct worker *worker, struct parcel *parcel)
{
	struct relay *relay = worker->relay;
	struct hop *hop = parcel->hop;
	unsigned sent = 0;

	pthread_mutex_lock(&relay->lock);
	scheduler_connected(relay->scheduler, hop);
	while (parcel) {
		pthread_mutex_unlock(&relay->lock);
		run_errand(worker, parcel);
		pthread_mutex_lock(&relay->lock);
		parcel = next_parcel(worker, hop, ++sent);
	}
	scheduler_leave(relay->scheduler, hop, true, clock_monotonic_ms());
	pthread_mutex_unlock(&relay->lock);
}
