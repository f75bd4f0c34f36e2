#include "import/importer.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/clock.h"
#include "store/mailbox.h"

#define BATCH_MESSAGES  300
#define BATCH_BYTES     (16 * 1024 * 1024)
#define CHANGES_AT_ONCE 500
#define PROGRESS_MS     200
#define KEYWORDS_MAX    64

struct importer_state {
	struct arena arena; /* of the mailbox */
	struct arena batch;
	struct arena keywords; /* of the account */
	struct {
		struct slice name;
		uint64_t flag;
	} keyword[KEYWORDS_MAX];
	size_t keyword_count;
	struct import_source source;
	struct import_mailbox mailbox;
	struct import_item *known;
	bool *is_there; /* parallel to known */
	size_t known_count;
	struct import_item *changed;
	size_t changed_count;
	struct import_message *messages;
	size_t message_count, message_bytes, done;
	int64_t shown_ms;
};

int64_t import_hash(struct slice text)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	uint64_t number = 0;

	if (EVP_Digest(text.data, text.len, digest, NULL, EVP_sha256(), NULL) != 1)
		abort();
	for (size_t i = 0; i < 8; i++)
		number = number << 8 | digest[i];
	return (int64_t)(number & INT64_MAX);
}

void importer_begin(struct importer *importer)
{
	importer->report = (struct import_report){0};
	importer->state = calloc(1, sizeof *importer->state);
	if (!importer->state)
		abort();
}

void importer_end(struct importer *importer)
{
	arena_free(&importer->state->arena);
	arena_free(&importer->state->batch);
	arena_free(&importer->state->keywords);
	free(importer->state);
	importer->state = NULL;
}

static void show(struct importer *importer, bool now)
{
	struct importer_state *state = importer->state;

	if (!importer->progress || (!now && clock_monotonic_ms() - state->shown_ms < PROGRESS_MS))
		return;
	state->shown_ms = clock_monotonic_ms();
	importer->progress(importer->context, &importer->report, state->mailbox.name, state->done, state->mailbox.expected);
}

static void warn(struct importer *importer, struct slice what, const char *why)
{
	if (importer->warn)
		importer->warn(importer->context, what, why);
}

void importer_skip(struct importer *importer, struct slice what, const char *why)
{
	importer->report.skipped++;
	importer->state->done++;
	warn(importer, what, why);
}

/* ---- mailboxes ---- */

/* The account's mailbox of that special use, if it has one. */
static enum status find_by_role(struct importer *importer, struct arena *arena, struct slice role, struct slice *name)
{
	struct mailbox *mailboxes;
	size_t count;
	enum status status;

	if (role.len == 0)
		return STATUS_OK;
	status = mailbox_list(importer->store, arena, importer->account, &mailboxes, &count);
	for (size_t i = 0; status == STATUS_OK && i < count; i++)
		if (slice_eq(mailboxes[i].role, role))
			*name = mailboxes[i].name;
	return status;
}

/* Control characters and what IMAP can't name become "_", empty levels go. */
static struct slice clean_name(struct arena *arena, struct slice name)
{
	struct buf out;

	buf_init(&out, arena, 0);
	while (name.len > 0) {
		struct slice level = slice_cut(&name, '/');

		if (level.len == 0)
			continue;
		if (out.len > 0)
			buf_add_byte(&out, '/');
		for (size_t i = 0; i < level.len; i++) {
			unsigned char c = (unsigned char)level.data[i];

			buf_add_byte(&out, c < 0x20 || c == 0x7f || c == '*' || c == '%' ? '_' : level.data[i]);
		}
	}
	return buf_slice(&out);
}

enum status importer_open(struct importer *importer, const struct import_mailbox *mailbox)
{
	struct importer_state *state = importer->state;
	struct import_request request = {.account = importer->account};

	arena_reset(&state->arena);
	arena_reset(&state->batch);
	state->known = NULL;
	state->changed_count = state->message_count = state->message_bytes = state->done = 0;
	state->mailbox = *mailbox;
	state->mailbox.name = clean_name(&state->arena, mailbox->name);
	enum status status = find_by_role(importer, &state->arena, mailbox->role, &state->mailbox.name);

	request.source = mailbox->source;
	request.uid_validity = mailbox->uid_validity;
	request.items_are_uids = mailbox->items_are_uids;
	request.mailbox = state->mailbox.name;
	request.role = mailbox->role;
	if (status == STATUS_OK)
		status = import_open(importer->store, &request, &state->source);
	if (status == STATUS_REFUSED && state->source.id != 0) {
		warn(importer, mailbox->name,
		     "has another UIDVALIDITY than when it was imported, so that its messages can't be told "
		     "apart; to import it anew, remove its copy here first");
		return STATUS_NOT_FOUND;
	}
	if (status == STATUS_REFUSED || status == STATUS_LIMIT) {
		warn(importer, mailbox->name,
		     status == STATUS_LIMIT ? "is one mailbox too many" : "can't be a mailbox's name here");
		return STATUS_NOT_FOUND;
	}
	if (status == STATUS_OK)
		status = import_items(importer->store, &state->arena, &state->source, &state->known, &state->known_count);
	if (status == STATUS_OK && mailbox->subscribed)
		status = mailbox_subscribe(importer->store, importer->account, state->mailbox.name, true);
	if (status != STATUS_OK)
		return status;
	state->is_there = ARENA_ARRAY(&state->arena, bool, state->known_count + 1);
	state->changed = ARENA_ARRAY(&state->arena, struct import_item, CHANGES_AT_ONCE);
	state->messages = ARENA_ARRAY(&state->arena, struct import_message, BATCH_MESSAGES);
	importer->report.mailboxes++;
	show(importer, true);
	return STATUS_OK;
}

/* ---- flags ---- */

static bool is_keyword(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.data[i] <= 0x20 || name.data[i] == 0x7f || strchr("(){%*\"\\]", name.data[i]))
			return false;
	return name.len > 0;
}

/* Asked of the store once per keyword. */
static uint64_t keyword_flag(struct importer *importer, struct slice name)
{
	struct importer_state *state = importer->state;
	unsigned bit;

	for (size_t i = 0; i < state->keyword_count; i++)
		if (slice_eq_nocase(state->keyword[i].name, name))
			return state->keyword[i].flag;
	if (state->keyword_count == KEYWORDS_MAX)
		return 0;
	uint64_t flag =
		keyword_find(importer->store, importer->account, name, true, &bit) == STATUS_OK ? UINT64_C(1) << bit : 0;

	if (flag == 0)
		warn(importer, name, "is one keyword too many");
	state->keyword[state->keyword_count].name = slice_dup(&state->keywords, name);
	state->keyword[state->keyword_count++].flag = flag;
	return flag;
}

uint64_t importer_flag(struct importer *importer, struct slice name)
{
	static const struct {
		struct slice name;
		uint64_t flag;
	} system_flags[] = {
		{{"\\Seen", 5}, FLAG_SEEN},   {{"\\Answered", 9}, FLAG_ANSWERED}, {{"\\Flagged", 8}, FLAG_FLAGGED},
		{{"\\Draft", 6}, FLAG_DRAFT}, {{"\\Deleted", 8}, FLAG_DELETED},
	};
	for (size_t i = 0; i < sizeof system_flags / sizeof system_flags[0]; i++)
		if (slice_eq_nocase(name, system_flags[i].name))
			return system_flags[i].flag;
	return is_keyword(name) ? keyword_flag(importer, name) : 0;
}

static enum status flush_changes(struct importer *importer)
{
	struct importer_state *state = importer->state;
	enum status status = import_flags(importer->store, &state->source, state->changed, state->changed_count);

	if (status == STATUS_OK)
		importer->report.changed += state->changed_count;
	state->changed_count = 0;
	return status;
}

static int compare_items(const void *a, const void *b)
{
	const struct import_item *x = a, *y = b;

	return (x->item > y->item) - (x->item < y->item);
}

bool importer_wants(struct importer *importer, int64_t item, uint64_t flags)
{
	struct importer_state *state = importer->state;
	struct import_item wanted = {.item = item, .flags = flags};
	struct import_item *found = state->known_count > 0
					    ? bsearch(&wanted, state->known, state->known_count, sizeof wanted, compare_items)
					    : NULL;

	if (!found)
		return true;
	state->is_there[found - state->known] = true;
	state->done++;
	importer->report.known++;
	/* Failing here shows at the next transaction, and the flags are looked at again in the next run. */
	if (found->flags != flags) {
		if (state->changed_count == CHANGES_AT_ONCE && flush_changes(importer) != STATUS_OK)
			return false;
		state->changed[state->changed_count++] = wanted;
	}
	show(importer, false);
	return false;
}

/* ---- messages ---- */

static enum status flush_messages(struct importer *importer)
{
	struct importer_state *state = importer->state;
	size_t added;
	enum status status = import_add(importer->store, &state->source, state->messages, state->message_count,
					state->mailbox.next_uid, &added);

	if (status == STATUS_OK) {
		importer->report.added += added;
		importer->report.bytes += state->message_bytes;
	}
	state->message_count = state->message_bytes = 0;
	arena_reset(&state->batch);
	show(importer, false);
	return status;
}

static size_t count_bare(struct slice bytes)
{
	size_t bare = 0;
	const char *at = bytes.data, *end = bytes.data + bytes.len;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		bare += at == bytes.data || at[-1] != '\r';
		at++;
	}
	return bare;
}

static struct slice copy_with_crlf(struct arena *arena, struct slice bytes)
{
	size_t bare = count_bare(bytes), length = 0;
	char *copy = arena_alloc(arena, bytes.len + bare + 1);
	struct slice rest = bytes;

	if (bare == 0) {
		memcpy(copy, bytes.data, bytes.len);
		return slice_of(copy, bytes.len);
	}
	while (rest.len > 0) {
		size_t end = slice_find_byte(rest, '\n');
		size_t count = end == SLICE_NOT_FOUND ? rest.len : end;

		memcpy(copy + length, rest.data, count);
		length += count;
		if (end != SLICE_NOT_FOUND) {
			if (length == 0 || copy[length - 1] != '\r' || count == 0)
				copy[length++] = '\r';
			copy[length++] = '\n';
		}
		rest = slice_skip(rest, count + 1);
	}
	return slice_of(copy, length);
}

enum status importer_add(struct importer *importer, const struct import_brought *message)
{
	struct importer_state *state = importer->state;
	enum status status = STATUS_OK;

	if (message->bytes.len > IMPORT_MESSAGE_MAX) {
		importer_skip(importer, state->mailbox.name, "has a message that is larger than 256 MB");
		return STATUS_OK;
	}
	if (state->message_count == BATCH_MESSAGES ||
	    (state->message_count > 0 && state->message_bytes + message->bytes.len > BATCH_BYTES))
		status = flush_messages(importer);
	if (status != STATUS_OK)
		return status;
	struct email_facts *facts = ARENA_NEW(&state->batch, struct email_facts);

	email_facts(&state->batch, copy_with_crlf(&state->batch, message->bytes), facts);
	state->messages[state->message_count++] = (struct import_message){.item = message->item,
									  .uid = message->uid,
									  .flags = message->flags,
									  .received_ms = message->received_ms,
									  .facts = facts};
	state->message_bytes += message->bytes.len;
	state->done++;
	return STATUS_OK;
}

/* Known ones that the source didn't name. */
static enum status remove_gone(struct importer *importer)
{
	struct importer_state *state = importer->state;
	int64_t *gone = ARENA_ARRAY(&state->batch, int64_t, CHANGES_AT_ONCE);
	enum status status = STATUS_OK;
	size_t count = 0, removed;

	for (size_t i = 0; i <= state->known_count && status == STATUS_OK; i++) {
		if (i < state->known_count && !state->is_there[i])
			gone[count++] = state->known[i].item;
		if (count < CHANGES_AT_ONCE && i < state->known_count)
			continue;
		status = import_remove(importer->store, &state->source, gone, count, &removed);
		importer->report.removed += removed;
		count = 0;
	}
	return status;
}

enum status importer_close(struct importer *importer, bool is_complete)
{
	struct importer_state *state = importer->state;
	enum status status = flush_messages(importer);

	if (status == STATUS_OK)
		status = flush_changes(importer);
	if (status == STATUS_OK && is_complete && importer->removes)
		status = remove_gone(importer);
	if (status == STATUS_OK)
		status = import_settle(importer->store, &state->source, state->mailbox.next_uid);
	show(importer, true);
	return status;
}
