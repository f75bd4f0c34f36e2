#include "import/imap_source.h"

#include <stdlib.h>
#include <uthash.h>

#include "base/buf.h"
#include "imap/name.h"
#include "store/mailbox.h"

#define BATCH_MESSAGES 200
#define BATCH_BYTES    (8 * 1024 * 1024)
#define MESSAGES_MAX   10000000

struct mailbox_entry_there {
	struct slice raw;  /* as the server calls it */
	struct slice name; /* as we do */
	struct slice role;
	bool subscribed, is_virtual, can_be_selected;
	UT_hash_handle hh;
};

struct message_there {
	uint32_t uid;
	uint64_t flags;
	uint64_t size;
	int64_t received_ms;
	bool wanted;
};

struct source {
	const struct imap_import *import;
	struct importer *importer;
	struct imap_client *client;
	struct arena arena; /* of the whole */
	struct mailbox_entry_there *mailboxes; /* by what the server calls them; uthash walks them in the order of arrival */
	struct slice prefix; /* "INBOX.", of the personal namespace */
	/* of the mailbox in hand */
	struct arena listing;
	struct message_there *messages;
	size_t message_count, message_capacity;
	uint32_t uid_validity, uid_next;
	enum status status;
};

/* ---- mailboxes ---- */

static const struct {
	struct slice use, role;
} roles[] = {
	{{"\\Drafts", 7}, {"drafts", 6}}, {{"\\Sent", 5}, {"sent", 4}},       {{"\\Junk", 5}, {"junk", 4}},
	{{"\\Trash", 6}, {"trash", 5}},   {{"\\Archive", 8}, {"archive", 7}},
};

static void note_attribute(struct mailbox_entry_there *mailbox, struct slice attribute)
{
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
		if (slice_eq_nocase(attribute, roles[i].use))
			mailbox->role = roles[i].role;
	if (slice_eq_nocase(attribute, SLICE("\\Subscribed")))
		mailbox->subscribed = true;
	/* RFC 6154 section 2: views of messages that are elsewhere too. */
	if (slice_eq_nocase(attribute, SLICE("\\All")) || slice_eq_nocase(attribute, SLICE("\\Flagged")) ||
	    slice_eq_nocase(attribute, SLICE("\\Important")))
		mailbox->is_virtual = true;
	if (slice_eq_nocase(attribute, SLICE("\\Noselect")) || slice_eq_nocase(attribute, SLICE("\\NonExistent")))
		mailbox->can_be_selected = false;
}

/* "INBOX.Lists.foo" with "." and the prefix "INBOX." becomes "Lists/foo". */
static bool decode_name(struct source *source, struct slice raw, struct slice delimiter, struct slice *name)
{
	struct slice rest = raw, decoded;
	struct buf out;

	/* It is going to be sent back in quotes. */
	for (size_t i = 0; i < raw.len; i++)
		if ((unsigned char)raw.data[i] < 0x20)
			return false;

	if (source->prefix.len > 0 && raw.len > source->prefix.len && slice_starts_with_nocase(raw, source->prefix))
		rest = slice_skip(raw, source->prefix.len);
	if (!imap_name_decode(&source->arena, rest, false, &decoded) && !imap_name_decode(&source->arena, rest, true, &decoded))
		return false;
	buf_init(&out, &source->arena, 0);
	for (size_t i = 0; i < decoded.len; i++) {
		bool is_delimiter = delimiter.len == 1 && decoded.data[i] == delimiter.data[0];

		buf_add_byte(&out, is_delimiter ? '/' : decoded.data[i] == '/' ? '_' : decoded.data[i]);
	}
	*name = slice_eq_nocase(buf_slice(&out), SLICE("INBOX")) ? SLICE("INBOX") : buf_slice(&out);
	return true;
}

static struct mailbox_entry_there *find_raw(struct source *source, struct slice raw)
{
	struct mailbox_entry_there *found;

	HASH_FIND(hh, source->mailboxes, raw.data, raw.len, found);
	return found;
}

static void add_mailbox(struct source *source, const struct imap_value *attributes, struct slice delimiter, struct slice raw)
{
	struct mailbox_entry_there *mailbox;

	if (HASH_COUNT(source->mailboxes) >= ACCOUNT_MAILBOXES_MAX) {
		importer_skip(source->importer, raw, "is one mailbox too many");
		return;
	}
	mailbox = ARENA_NEW(&source->arena, struct mailbox_entry_there);
	*mailbox = (struct mailbox_entry_there){
		.raw = slice_dup(&source->arena, raw), .role = SLICE_EMPTY, .can_be_selected = true};
	for (const struct imap_value *attribute = attributes->values; attribute; attribute = attribute->next)
		note_attribute(mailbox, attribute->text);
	if (decode_name(source, mailbox->raw, delimiter, &mailbox->name))
		HASH_ADD_KEYPTR(hh, source->mailboxes, mailbox->raw.data, mailbox->raw.len, mailbox);
}

/* "* LIST (\HasNoChildren \Sent) "/" "Sent"", and LSUB likewise. */
static void note_mailbox(void *context, const struct imap_response *response)
{
	struct source *source = context;
	const struct imap_value *attributes = response->values, *delimiter = attributes ? attributes->next : NULL,
				*raw = delimiter ? delimiter->next : NULL;
	bool is_lsub = slice_eq_nocase(response->name, SLICE("LSUB"));

	if (response->kind != IMAP_RESPONSE_DATA || !raw || (!is_lsub && !slice_eq_nocase(response->name, SLICE("LIST"))))
		return;
	struct mailbox_entry_there *known = find_raw(source, raw->text);

	if (is_lsub) {
		if (known)
			known->subscribed = true;
		return;
	}
	if (!known)
		add_mailbox(source, attributes, delimiter->text, raw->text);
}

/* "* NAMESPACE (("INBOX." ".")) NIL NIL" */
static void note_namespace(void *context, const struct imap_response *response)
{
	struct source *source = context;
	const struct imap_value *personal = response->values;

	if (slice_eq_nocase(response->name, SLICE("NAMESPACE")) && personal && personal->kind == IMAP_LIST &&
	    personal->values && personal->values->kind == IMAP_LIST && personal->values->values)
		source->prefix = slice_dup(&source->arena, personal->values->values->text);
}

static enum status list_mailboxes(struct source *source)
{
	bool can_return = imap_client_can(source->client, SLICE("LIST-EXTENDED"));
	enum status status = STATUS_OK;

	source->prefix = SLICE_EMPTY;
	if (imap_client_can(source->client, SLICE("NAMESPACE")))
		status = imap_client_run(source->client, SLICE("NAMESPACE"), note_namespace, source);
	if (status != STATUS_OK)
		return status;
	if (can_return && imap_client_can(source->client, SLICE("SPECIAL-USE")))
		return imap_client_run(source->client, SLICE("LIST \"\" \"*\" RETURN (SUBSCRIBED SPECIAL-USE)"), note_mailbox,
				       source);
	status = imap_client_run(source->client, SLICE("LIST \"\" \"*\""), note_mailbox, source);
	return status == STATUS_OK ? imap_client_run(source->client, SLICE("LSUB \"\" \"*\""), note_mailbox, source) : status;
}

/* ---- a mailbox's messages ---- */

static void note_code(struct source *source, struct slice code)
{
	struct slice name = slice_cut(&code, ' ');
	uint32_t number;

	if (!slice_to_u32(slice_trim(code), UINT32_MAX, &number))
		return;
	if (slice_eq_nocase(name, SLICE("UIDVALIDITY")))
		source->uid_validity = number;
	else if (slice_eq_nocase(name, SLICE("UIDNEXT")))
		source->uid_next = number;
}

static void note_examine(void *context, const struct imap_response *response)
{
	note_code(context, response->code);
}

static bool uid_of(const struct imap_response *response, uint32_t *uid)
{
	const struct imap_value *list = response->values;
	const struct imap_value *value = list && list->kind == IMAP_LIST ? imap_value_find(list->values, SLICE("UID")) : NULL;

	return response->kind == IMAP_RESPONSE_DATA && slice_eq_nocase(response->name, SLICE("FETCH")) && value &&
	       slice_to_u32(value->text, UINT32_MAX - 1, uid) && *uid > 0;
}

static struct message_there *add_message(struct source *source)
{
	if (source->message_count == source->message_capacity) {
		size_t capacity = source->message_capacity ? 2 * source->message_capacity : 1024;
		struct message_there *messages;

		if (capacity > 2 * MESSAGES_MAX)
			return NULL;
		messages = arena_try_grow(&source->listing, source->messages, source->message_capacity * sizeof *messages,
					  capacity * sizeof *messages);
		if (!messages)
			return NULL;
		source->messages = messages;
		source->message_capacity = capacity;
	}
	return &source->messages[source->message_count++];
}

/* "* 3 FETCH (UID 7 FLAGS (\Seen) INTERNALDATE "..." RFC822.SIZE 321)" */
static void note_message(struct source *source, const struct imap_response *response)
{
	struct message_there *message;
	uint32_t uid;

	if (!uid_of(response, &uid) || !(message = add_message(source)))
		return;
	const struct imap_value *pairs = response->values->values, *flags = imap_value_find(pairs, SLICE("FLAGS")),
				*date = imap_value_find(pairs, SLICE("INTERNALDATE")),
				*size = imap_value_find(pairs, SLICE("RFC822.SIZE"));

	*message = (struct message_there){.uid = uid};
	for (const struct imap_value *flag = flags ? flags->values : NULL; flag; flag = flag->next)
		message->flags |= importer_flag(source->importer, flag->text);
	if (!date || !imap_date_parse(date->text, &message->received_ms))
		message->received_ms = 0;
	if (!size || !slice_to_u64(size->text, UINT32_MAX, &message->size))
		message->size = 0;
}

static int compare_messages(const void *a, const void *b)
{
	const struct message_there *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

static enum status list_messages(struct source *source)
{
	struct imap_response response;

	source->messages = NULL;
	source->message_count = source->message_capacity = 0;
	imap_client_send(source->client, SLICE("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)"));
	while (imap_client_next(source->client, &response)) {
		note_message(source, &response);
		imap_client_forget(source->client);
	}
	/* Some servers refuse an empty mailbox's range. */
	if (!slice_eq_nocase(response.name, SLICE("OK")) && source->message_count == 0 &&
	    !slice_eq_nocase(response.name, SLICE("BAD")))
		return slice_eq_nocase(response.name, SLICE("NO")) ? STATUS_OK : STATUS_TEMPORARY;
	if (source->message_count > 0)
		qsort(source->messages, source->message_count, sizeof *source->messages, compare_messages);
	return STATUS_OK;
}

/* ---- fetching ---- */

static struct message_there *find_message(struct source *source, uint32_t uid)
{
	struct message_there wanted = {.uid = uid};

	return source->message_count > 0
		       ? bsearch(&wanted, source->messages, source->message_count, sizeof wanted, compare_messages)
		       : NULL;
}

/* "UID FETCH 3:5,9 (UID BODY.PEEK[])" of the next wanted messages from *next on. False: none are left. */
static bool put_fetch(struct source *source, struct buf *command, size_t *next)
{
	size_t count = 0;
	uint64_t bytes = 0;
	uint32_t first = 0, last = 0;

	buf_clear(command);
	buf_add_literal(command, "UID FETCH ");
	for (; *next < source->message_count && count < BATCH_MESSAGES && bytes < BATCH_BYTES; (*next)++) {
		const struct message_there *message = &source->messages[*next];

		if (!message->wanted)
			continue;
		count++;
		bytes += message->size;
		if (first > 0 && message->uid == last + 1) {
			last = message->uid;
			continue;
		}
		if (first > 0)
			buf_printf(command, first == last ? "%u," : "%u:%u,", first, last);
		first = last = message->uid;
	}
	if (first > 0)
		buf_printf(command, first == last ? "%u" : "%u:%u", first, last);
	buf_add_literal(command, " (UID BODY.PEEK[])");
	return count > 0;
}

/* The bytes of one message. */
static enum status take_body(struct source *source, const struct imap_response *response)
{
	struct message_there *message;
	uint32_t uid;

	if (!uid_of(response, &uid) || !(message = find_message(source, uid)) || !message->wanted)
		return STATUS_OK;
	const struct imap_value *body = imap_value_find(response->values->values, SLICE("BODY[]"));

	if (!body)
		return STATUS_OK;
	message->wanted = false;
	if (body->kind == IMAP_NIL) {
		importer_skip(source->importer, SLICE("a message"), "has no body at the source");
		return STATUS_OK;
	}
	struct import_brought brought = {
		.item = uid, .uid = uid, .flags = message->flags, .received_ms = message->received_ms, .bytes = body->text};

	return importer_add(source->importer, &brought);
}

/* The server works on the next batch while we store this one. */
static enum status fetch_wanted(struct source *source)
{
	struct buf command SCOPED_BUF;
	struct imap_response response;
	enum status status = STATUS_OK;
	size_t next = 0;

	buf_init(&command, NULL, 0);
	while (status == STATUS_OK && put_fetch(source, &command, &next)) {
		imap_client_send(source->client, buf_slice(&command));
		while (imap_client_next(source->client, &response)) {
			if (status == STATUS_OK)
				status = take_body(source, &response);
			imap_client_forget(source->client);
		}
		if (status == STATUS_OK && slice_eq_nocase(response.name, SLICE("BYE")))
			status = STATUS_TEMPORARY;
		imap_client_forget(source->client);
	}
	return status;
}

static void count_missing(struct source *source)
{
	size_t missing = 0;

	for (size_t i = 0; i < source->message_count; i++)
		missing += source->messages[i].wanted;
	for (size_t i = 0; i < missing; i++)
		importer_skip(source->importer, SLICE("a message"), "was not given by the server; it will be asked for again");
}

static enum status import_mailbox(struct source *source, const struct mailbox_entry_there *there)
{
	struct buf command SCOPED_BUF;

	buf_init(&command, NULL, 0);
	buf_add_literal(&command, "EXAMINE ");
	imap_put_quoted(&command, there->raw);
	source->uid_validity = source->uid_next = 0;
	enum status status = imap_client_run(source->client, buf_slice(&command), note_examine, source);

	imap_client_forget(source->client);
	if (status == STATUS_REFUSED) {
		importer_skip(source->importer, there->name, "can't be opened at the source");
		return STATUS_OK;
	}
	arena_reset(&source->listing);
	if (status == STATUS_OK)
		status = list_messages(source);
	if (status != STATUS_OK)
		return status;
	if (source->message_count > 0 && source->uid_next <= source->messages[source->message_count - 1].uid)
		source->uid_next = source->messages[source->message_count - 1].uid + 1;
	struct import_mailbox mailbox = {
		.source =
			slice_join(&source->listing, (const struct slice[]){source->import->label, SLICE("/"), there->raw}, 3),
		.name = there->name,
		.role = there->role,
		.uid_validity = source->uid_validity,
		.next_uid = source->uid_next,
		.items_are_uids = true,
		.expected = source->message_count,
		.subscribed = there->subscribed,
	};

	status = importer_open(source->importer, &mailbox);
	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	for (size_t i = 0; i < source->message_count; i++)
		source->messages[i].wanted =
			importer_wants(source->importer, source->messages[i].uid, source->messages[i].flags);
	status = fetch_wanted(source);
	if (status == STATUS_OK)
		count_missing(source);
	return status == STATUS_OK ? importer_close(source->importer, true) : status;
}

static bool is_excluded(const struct imap_import *import, struct slice name)
{
	for (size_t i = 0; i < import->excluded_count; i++)
		if (imap_pattern_matches(import->excluded[i], name))
			return true;
	return false;
}

enum status imap_import(const struct imap_import *import)
{
	struct source *source = calloc(1, sizeof *source);

	if (!source)
		return STATUS_TEMPORARY;
	source->import = import;
	source->importer = import->importer;
	source->client = import->client;
	arena_init(&source->arena, 0);
	arena_init(&source->listing, 0);
	enum status status = list_mailboxes(source);

	if (status == STATUS_REFUSED)
		status = STATUS_PEER;
	for (const struct mailbox_entry_there *mailbox = source->mailboxes; mailbox && status == STATUS_OK; mailbox = mailbox->hh.next) {
		if (mailbox->can_be_selected && !mailbox->is_virtual && !is_excluded(import, mailbox->name))
			status = import_mailbox(source, mailbox);
	}
	HASH_CLEAR(hh, source->mailboxes);
	arena_free(&source->arena);
	arena_free(&source->listing);
	free(source);
	return status;
}
