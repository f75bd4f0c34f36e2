#include "pop3/surrogate.h"

#include "pop3/known.h"
#include "store/email.h"
#include "store/surrogate.h"

struct lookup {
	struct arena *arena;
	struct message *structure;
};

static bool take_structure(void *context, const struct email *email)
{
	struct lookup *lookup = context;

	lookup->structure = message_unpack(lookup->arena, slice_dup(lookup->arena, email->structure), SLICE_EMPTY);
	return true;
}

static enum status read_structure(struct pop3_session *s, struct arena *arena, uint32_t uid, struct message **structure)
{
	int64_t mailbox = mailbox_viewer_state(&s->viewer).mailbox;
	struct lookup lookup = {arena, NULL};
	enum status status =
		email_scan(s->context->store, s->account, mailbox, &uid, 1, EMAIL_STRUCTURE, take_structure, &lookup);

	*structure = lookup.structure;
	return status == STATUS_OK && !lookup.structure ? STATUS_NOT_FOUND : status;
}

enum status pop3_give_surrogate(struct pop3_session *s, const struct view_message *message, struct email_reader *reader,
				surrogate_sink sink, void *context)
{
	struct arena arena SCOPED_ARENA;
	struct message *structure;
	struct surrogate_result result;
	enum status status = read_structure(s, &arena, message->uid, &structure);

	return status == STATUS_OK ? surrogate_give(reader, structure, sink, context, &result) : status;
}

/* ---- all messages ---- */

struct sieve {
	struct arena arena; /* for one message */
	bool by_headers;
	uint32_t *uids; /* what stays in it */
	size_t count;
};

static bool needs_look(struct sieve *sieve, const struct email *email)
{
	if (!sieve->by_headers)
		return message_packed_has_8bit(email->structure);
	arena_reset(&sieve->arena);
	const struct message *message = message_unpack(&sieve->arena, email->structure, email->bytes);

	return message && surrogate_may_be_needed(message, email->bytes);
}

static bool sift(void *context, const struct email *email)
{
	struct sieve *sieve = context;

	if (needs_look(sieve, email))
		sieve->uids[sieve->count++] = email->uid;
	return true;
}

/* Leaves those of the uids that pass. */
static enum status sift_all(struct pop3_session *s, uint32_t *uids, size_t *count, bool by_headers)
{
	struct sieve sieve = {.by_headers = by_headers, .uids = ARENA_ARRAY(pop3_arena(s), uint32_t, *count)};
	enum status status = STATUS_OK;

	if (*count > 0)
		status = email_scan(s->context->store, s->account, mailbox_viewer_state(&s->viewer).mailbox, uids, *count,
				    by_headers ? EMAIL_STRUCTURE | EMAIL_HEADER : EMAIL_STRUCTURE, sift, &sieve);
	memcpy(uids, sieve.uids, sieve.count * sizeof(*uids));
	*count = sieve.count;
	arena_free(&sieve.arena);
	return status;
}

static enum status measure(struct pop3_session *s, const struct view_message *message)
{
	struct arena arena SCOPED_ARENA;
	struct email_reader *reader;
	struct surrogate_result result;
	struct message *structure;
	enum status status = read_structure(s, &arena, message->uid, &structure);

	if (status == STATUS_OK)
		status = email_open_sized(s->context->store, &arena, s->account, message->email, message->size, &reader);
	if (status != STATUS_OK)
		return status;
	status = surrogate_give(reader, structure, NULL, NULL, &result);
	email_close(reader);
	if (status == STATUS_OK && result.is_changed) {
		struct pop3_surrogate found = {.uid = message->uid, .size = result.octets};

		buf_add(&s->surrogates, slice_of((const char *)&found, sizeof(found)));
	}
	return status;
}

/* What has gone meanwhile can't be retrieved, so its size doesn't matter. */
static enum status measure_all(struct pop3_session *s, const uint32_t *uids, size_t count)
{
	struct view_message message;
	enum status status = STATUS_OK;

	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		if (mailbox_viewer_read(&s->viewer, uids[i], uids[i], &message, 1) == 1)
			status = measure(s, &message);
		if (status == STATUS_NOT_FOUND)
			status = STATUS_OK;
	}
	return status;
}

enum status pop3_find_surrogates(struct pop3_session *s)
{
	struct view_message *messages = ARENA_ARRAY(pop3_arena(s), struct view_message, POP3_PIECE);
	uint32_t *uids = ARENA_ARRAY(pop3_arena(s), uint32_t, POP3_PIECE);
	struct pop3_maildrop maildrop = {s->account, mailbox_viewer_state(&s->viewer).mailbox, s->uid_validity};
	uint32_t known = pop3_known_take(s->context->known, &maildrop, &s->surrogates);
	uint64_t next = (uint64_t)known + 1;
	size_t count;
	enum status status = STATUS_OK;

	while (status == STATUS_OK && next <= UINT32_MAX &&
	       (count = mailbox_viewer_read(&s->viewer, (uint32_t)next, UINT32_MAX, messages, POP3_PIECE)) > 0) {
		next = (uint64_t)messages[count - 1].uid + 1;
		for (size_t i = 0; i < count; i++)
			uids[i] = messages[i].uid;
		status = sift_all(s, uids, &count, false);
		if (status == STATUS_OK)
			status = sift_all(s, uids, &count, true);
		if (status == STATUS_OK)
			status = measure_all(s, uids, count);
	}
	if (status == STATUS_OK && next - 1 > known)
		pop3_known_put(s->context->known, &maildrop, (uint32_t)(next - 1), buf_slice(&s->surrogates));
	return status;
}

bool pop3_has_surrogate(const struct pop3_session *s, uint32_t uid, uint64_t *size)
{
	size_t low = 0, high = s->surrogates.len / sizeof(struct pop3_surrogate);

	while (low < high) {
		size_t middle = (low + high) / 2;
		struct pop3_surrogate found;

		memcpy(&found, s->surrogates.data + middle * sizeof(found), sizeof(found));
		*size = found.size;
		if (found.uid == uid)
			return true;
		if (found.uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}
