#include "import/mbox_source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "import/mbox.h"

#define DEPTH_MAX 20

struct source {
	struct importer *importer;
	struct opener *opener;
	struct arena arena;
};

/* The items that were met in this file, to number equal ones. Open addressing; 0: free. */
struct met {
	struct arena *arena;
	int64_t *items;
	uint32_t *times;
	size_t capacity, count;
};

static size_t find_place(const struct met *met, int64_t item)
{
	size_t at = (size_t)item & (met->capacity - 1);

	while (met->items[at] != 0 && met->items[at] != item)
		at = (at + 1) & (met->capacity - 1);
	return at;
}

static void grow(struct met *met)
{
	struct met old = *met;

	met->capacity = old.capacity ? old.capacity * 2 : 1024;
	met->items = ARENA_ARRAY(met->arena, int64_t, met->capacity);
	met->times = ARENA_ARRAY(met->arena, uint32_t, met->capacity);
	for (size_t i = 0; i < old.capacity; i++)
		if (old.items[i] != 0) {
			size_t at = find_place(met, old.items[i]);

			met->items[at] = old.items[i];
			met->times[at] = old.times[i];
		}
}

static int64_t number_item(struct met *met, int64_t item)
{
	struct buf text SCOPED_BUF;

	if (item == 0)
		item = 1;
	if (met->count * 2 >= met->capacity)
		grow(met);
	size_t at = find_place(met, item);

	met->count += met->items[at] == 0;
	met->items[at] = item;
	if (met->times[at]++ == 0)
		return item;
	buf_init(&text, NULL, 0);
	buf_printf(&text, "%lld %u", (long long)item, met->times[at]);
	return import_hash(buf_slice(&text));
}

static uint64_t flags_of(struct importer *importer, const struct mbox_message *message)
{
	struct slice rest = message->keywords;
	uint64_t flags = message->flags;

	while (rest.len > 0) {
		struct slice word = slice_trim(slice_cut(&rest, ' '));

		if (word.len > 0)
			flags |= importer_flag(importer, word);
	}
	return flags;
}

/* Uids are the file's only if they ascend, as they must. */
static bool survey(struct slice bytes, struct mbox *last, size_t *count)
{
	struct mbox mbox = {.rest = bytes};
	struct mbox_message message;
	uint32_t uid = 0;
	bool ascend = true;

	*count = 0;
	while (mbox_next(&mbox, &message)) {
		if (message.is_internal)
			continue;
		(*count)++;
		ascend &= message.uid == 0 || message.uid > uid;
		uid = message.uid > uid ? message.uid : uid;
	}
	*last = mbox;
	if (last->last_uid < uid)
		last->last_uid = uid;
	return ascend && mbox.uid_validity != 0;
}

static enum status import_messages(struct source *source, struct slice bytes, bool has_uids)
{
	struct arena arena SCOPED_ARENA;
	struct met met = {.arena = &arena};
	struct mbox mbox = {.rest = bytes};
	struct mbox_message message;
	enum status status = STATUS_OK;
	struct buf text SCOPED_BUF;

	arena_init(&arena, 0);
	buf_init(&text, NULL, 0);
	while (status == STATUS_OK && mbox_next(&mbox, &message)) {
		if (message.is_internal)
			continue;
		buf_clear(&text);
		mbox_restore(&text, &message);
		struct import_brought brought = {
			.item = number_item(&met, import_hash(buf_slice(&text))),
			.uid = has_uids ? message.uid : 0,
			.flags = flags_of(source->importer, &message),
			.received_ms = message.received_ms,
			.bytes = buf_slice(&text),
		};

		if (importer_wants(source->importer, brought.item, brought.flags))
			status = importer_add(source->importer, &brought);
	}
	return status;
}

static enum status import_bytes(struct source *source, struct slice bytes, struct slice name)
{
	struct mbox facts;
	size_t count;
	bool has_uids = survey(bytes, &facts, &count);
	struct import_mailbox mailbox = {
		.source = slice_join(&source->arena, (const struct slice[]){SLICE("mbox:"), name}, 2),
		.name = name,
		.role = SLICE_EMPTY,
		/* Without uids it has none, so that a file that gets some later stays the same source. */
		.uid_validity = has_uids ? facts.uid_validity : 0,
		.next_uid = has_uids ? facts.last_uid + 1 : 0,
		.expected = count,
	};
	enum status status = importer_open(source->importer, &mailbox);

	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	status = import_messages(source, bytes, has_uids);
	return status == STATUS_OK ? importer_close(source->importer, true) : status;
}

static bool begins_as_mbox(struct slice bytes)
{
	int64_t ms;

	return bytes.len == 0 || mbox_is_from_line(slice_cut(&bytes, '\n'), &ms);
}

static enum status import_file(struct source *source, const char *path, int fd, size_t size, struct slice name, bool must_be)
{
	char *data = size > 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	struct slice bytes = slice_of(data ? data : "", size);
	enum status status = STATUS_OK;

	if (data == MAP_FAILED) {
		importer_skip(source->importer, slice_from_cstr(path), "can't be read");
		return STATUS_OK;
	}
	if (begins_as_mbox(bytes))
		status = import_bytes(source, bytes, name);
	else if (must_be)
		importer_skip(source->importer, slice_from_cstr(path), "doesn't begin with a From line: it is no mbox");
	if (data)
		munmap(data, size);
	return status;
}

static struct slice name_of(struct slice path)
{
	size_t slash = slice_find_last_byte(path, '/');
	struct slice name = slash == SLICE_NOT_FOUND ? path : slice_skip(path, slash + 1);

	if (slice_ends_with_nocase(name, SLICE(".mbox")) && name.len > 5)
		name.len -= 5;
	return slice_eq_nocase(name, SLICE("inbox")) || slice_eq_nocase(name, SLICE("mbox")) ? SLICE("INBOX") : name;
}

static enum status import_path(struct source *source, struct slice path, struct slice name, unsigned depth);

static enum status import_folder(struct source *source, struct slice path, struct slice name, unsigned depth)
{
	enum status status = STATUS_OK;
	struct slice *entries;
	size_t count;

	if (!opener_list(source->opener, &source->arena, slice_cstr(&source->arena, path), &entries, &count))
		return STATUS_OK;
	for (size_t i = 0; i < count && status == STATUS_OK; i++) {
		struct slice child = slice_join(&source->arena, (const struct slice[]){path, SLICE("/"), entries[i]}, 3);
		struct slice level = name_of(entries[i]);

		if (entries[i].data[0] == '.')
			continue;
		if (name.len > 0)
			level = slice_join(&source->arena, (const struct slice[]){name, SLICE("/"), level}, 3);
		status = import_path(source, child, level, depth + 1);
	}
	return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* Thunderbird and others put subfolders into "name.sbd"; it stands for "name". */
static struct slice without_sbd(struct slice name)
{
	return slice_ends_with(name, SLICE(".sbd")) ? slice_sub(name, 0, name.len - 4) : name;
}

static enum status import_path(struct source *source, struct slice path, struct slice name, unsigned depth)
{
	const char *place = slice_cstr(&source->arena, path);
	int fd = opener_open(source->opener, place, O_RDONLY | O_NONBLOCK, 0);
	enum status status = STATUS_OK;
	struct stat facts;

	if (fd < 0) {
		if (depth > 0)
			importer_skip(source->importer, path, "can't be opened");
		return depth > 0 ? STATUS_OK : STATUS_NOT_FOUND;
	}
	if (fstat(fd, &facts) != 0)
		status = STATUS_NOT_FOUND;
	else if (S_ISREG(facts.st_mode))
		status = import_file(source, place, fd, (size_t)facts.st_size, name.len > 0 ? name : name_of(path), depth == 0);
	else if (S_ISDIR(facts.st_mode) && depth == 0 && !opener_set_root(source->opener, place))
		status = STATUS_NOT_FOUND;
	else if (S_ISDIR(facts.st_mode) && depth < DEPTH_MAX)
		status = import_folder(source, path, depth == 0 ? SLICE_EMPTY : without_sbd(name), depth);
	close(fd);
	return status;
}

enum status mbox_import(struct importer *importer, struct opener *opener, struct slice path, struct slice into)
{
	struct source source = {.importer = importer, .opener = opener};

	arena_init(&source.arena, 0);
	while (path.len > 1 && slice_ends_with(path, SLICE("/")))
		path.len--;
	enum status status = import_path(&source, path, into, 0);

	arena_free(&source.arena);
	return status;
}
