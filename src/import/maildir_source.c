#include "import/maildir_source.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "import/maildir.h"

#define SMALL_FILE_MAX (256 * 1024 * 1024)
#define DEPTH_MAX      20

struct file {
	const char *path;
	struct maildir_name name;
	uint32_t uid;
	int64_t item;
	uint64_t flags;
};

struct source {
	struct importer *importer;
	struct opener *opener;
	struct slice root;
	struct arena arena;  /* of the whole */
	struct arena folder; /* of the folder in hand */
	struct slice subscribed[10000];
	size_t subscribed_count;
};

static const char *join(struct arena *arena, struct slice folder, struct slice name)
{
	const struct slice parts[] = {folder, SLICE("/"), name};

	return slice_cstr(arena, slice_join(arena, parts, 3));
}

static bool is_folder(struct source *source, struct slice path)
{
	int fd = opener_open(source->opener, slice_cstr(&source->arena, path), O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool is_maildir(struct source *source, struct slice path)
{
	return is_folder(source, slice_from_cstr(join(&source->arena, path, SLICE("cur"))));
}

/* ---- a folder's files ---- */

static size_t list_files(struct source *source, struct slice folder, const char *sub, struct file **files)
{
	struct slice path = slice_from_cstr(join(&source->folder, folder, slice_from_cstr(sub))), *names;
	size_t count, kept = 0;

	*files = NULL;
	if (!opener_list(source->opener, &source->folder, path.data, &names, &count))
		return 0;
	*files = ARENA_ARRAY(&source->folder, struct file, count + 1);
	for (size_t i = 0; i < count; i++) {
		struct file *file = &(*files)[kept];

		if (!maildir_name_parse(names[i], &file->name))
			continue;
		file->path = join(&source->folder, path, names[i]);
		kept++;
	}
	return kept;
}

/* By uid; those without one last, by name, which begins with the time. */
static int compare_files(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid == 0 ? 1 : y->uid == 0 ? -1 : x->uid < y->uid ? -1 : 1;
	return slice_compare(x->name.base, y->name.base);
}

static void read_keywords(struct source *source, struct slice folder, uint64_t flags[MAILDIR_KEYWORDS])
{
	struct slice names[MAILDIR_KEYWORDS];
	struct slice text = opener_read(source->opener, &source->folder,
					join(&source->folder, folder, SLICE("dovecot-keywords")), SMALL_FILE_MAX);

	maildir_keywords_parse(text.data ? text : SLICE_EMPTY, names);
	for (size_t i = 0; i < MAILDIR_KEYWORDS; i++)
		flags[i] = importer_flag(source->importer, names[i]);
}

static uint64_t flags_of(const struct maildir_name *name, const uint64_t keywords[MAILDIR_KEYWORDS])
{
	uint64_t flags = 0;

	for (size_t i = 0; i < name->flags.len; i++) {
		char letter = name->flags.data[i];

		flags |= letter >= 'a' && letter <= 'z' ? keywords[letter - 'a'] : maildir_flag(letter);
	}
	return flags;
}

/* Between our look at the folder and now a server may have moved it or changed its flags: it is found again under its base. */
static int open_moved(struct source *source, struct slice folder, const struct file *file)
{
	struct file *files;

	for (int i = 0; i < 2; i++) {
		size_t count = list_files(source, folder, i == 0 ? "cur" : "new", &files);

		for (size_t n = 0; n < count; n++)
			if (slice_eq(files[n].name.base, file->name.base))
				return opener_open(source->opener, files[n].path, O_RDONLY | O_NONBLOCK, 0);
	}
	return -1;
}

static bool read_all(int fd, struct arena *arena, size_t size, struct slice *bytes)
{
	char *data = arena_alloc(arena, size + 1);
	size_t length = 0;
	ssize_t got = 1;

	while (length < size && got > 0) {
		got = read(fd, data + length, size - length);
		length += got > 0 ? (size_t)got : 0;
	}
	*bytes = slice_of(data, length);
	return got >= 0;
}

static enum status bring_file(struct source *source, struct slice folder, const struct file *file)
{
	struct arena arena SCOPED_ARENA;
	int fd = opener_open(source->opener, file->path, O_RDONLY | O_NONBLOCK, 0);
	struct slice what = slice_from_cstr(file->path), bytes;
	enum status status = STATUS_OK;
	struct stat facts;

	arena_init(&arena, 0);
	if (fd < 0)
		fd = open_moved(source, folder, file);
	if (fd < 0) {
		importer_skip(source->importer, what, "can't be opened");
		return STATUS_OK;
	}
	if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
		importer_skip(source->importer, what, "is no file");
	} else if ((uint64_t)facts.st_size > IMPORT_MESSAGE_MAX) {
		importer_skip(source->importer, what, "is larger than 256 MB");
	} else if (!read_all(fd, &arena, (size_t)facts.st_size, &bytes)) {
		importer_skip(source->importer, what, "can't be read");
	} else {
		struct import_brought brought = {
			.item = file->item,
			.uid = file->uid,
			.flags = file->flags,
			.received_ms = file->name.time_s > 0 ? file->name.time_s * 1000 : (int64_t)facts.st_mtime * 1000,
			.bytes = bytes,
		};

		status = importer_add(source->importer, &brought);
	}
	close(fd);
	return status;
}

/* cur and new together, in their order. */
static size_t read_files(struct source *source, struct slice folder, const struct maildir_uidlist *uids, struct file **all)
{
	struct file *current, *new;
	size_t current_count = list_files(source, folder, "cur", &current), new_count = list_files(source, folder, "new", &new);
	uint64_t keywords[MAILDIR_KEYWORDS];

	*all = ARENA_ARRAY(&source->folder, struct file, current_count + new_count + 1);
	if (current_count > 0)
		memcpy(*all, current, current_count * sizeof **all);
	if (new_count > 0)
		memcpy(*all + current_count, new, new_count * sizeof **all);
	read_keywords(source, folder, keywords);
	for (size_t i = 0; i < current_count + new_count; i++) {
		struct file *file = &(*all)[i];

		file->uid = maildir_uidlist_find(uids, file->name.base);
		file->item = import_hash(file->name.unique);
		file->flags = flags_of(&file->name, keywords);
	}
	qsort(*all, current_count + new_count, sizeof **all, compare_files);
	return current_count + new_count;
}

static bool is_subscribed(const struct source *source, struct slice name)
{
	for (size_t i = 0; i < source->subscribed_count; i++)
		if (slice_eq(source->subscribed[i], name))
			return true;
	return false;
}

static enum status import_folder(struct source *source, struct slice folder, struct slice name)
{
	struct maildir_uidlist uids;
	struct file *files;

	arena_reset(&source->folder);
	struct slice text = opener_read(source->opener, &source->folder,
					join(&source->folder, folder, SLICE("dovecot-uidlist")), SMALL_FILE_MAX);

	maildir_uidlist_parse(&source->folder, text.data ? text : SLICE_EMPTY, &uids);
	size_t count = read_files(source, folder, &uids, &files);
	struct import_mailbox mailbox = {
		.source = slice_join(&source->folder, (const struct slice[]){SLICE("maildir:"), name}, 2),
		.name = name,
		.role = SLICE_EMPTY,
		.uid_validity = uids.uid_validity,
		.next_uid = uids.next_uid,
		.expected = count,
		.subscribed = is_subscribed(source, name),
	};
	enum status status = importer_open(source->importer, &mailbox);

	if (status != STATUS_OK)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	for (size_t i = 0; i < count && status == STATUS_OK; i++)
		if (importer_wants(source->importer, files[i].item, files[i].flags))
			status = bring_file(source, folder, &files[i]);
	return status == STATUS_OK ? importer_close(source->importer, true) : status;
}

/* ---- the tree ---- */

static void note_subscription(void *context, struct slice name)
{
	struct source *source = context;

	if (source->subscribed_count < sizeof source->subscribed / sizeof source->subscribed[0])
		source->subscribed[source->subscribed_count++] = name;
}

static enum status import_tree(struct source *source, struct slice path, struct slice name, unsigned depth);

static enum status import_child(struct source *source, struct slice path, struct slice entry, struct slice name, unsigned depth)
{
	struct slice child = slice_from_cstr(join(&source->arena, path, entry)), level;
	bool is_plus = entry.data[0] == '.';

	if (!is_maildir(source, child))
		return is_plus || depth >= DEPTH_MAX || !is_folder(source, child) ||
				       !maildir_folder_decode(&source->arena, entry, '/', &level)
			       ? STATUS_OK
			       : import_tree(source, child,
					     name.len > 0 ? slice_join(&source->arena,
								       (const struct slice[]){name, SLICE("/"), level}, 3)
							  : level,
					     depth + 1);
	if (!maildir_folder_decode(&source->arena, is_plus ? slice_skip(entry, 1) : entry, is_plus ? '.' : '/', &level)) {
		importer_skip(source->importer, child, "has no name that can be read");
		return STATUS_OK;
	}
	if (name.len > 0)
		level = slice_join(&source->arena, (const struct slice[]){name, SLICE("/"), level}, 3);
	enum status status = import_folder(source, child, level);

	return status == STATUS_OK && !is_plus && depth < DEPTH_MAX ? import_tree(source, child, level, depth + 1) : status;
}

static bool is_part_of_maildir(struct slice entry)
{
	return slice_eq(entry, SLICE("cur")) || slice_eq(entry, SLICE("new")) || slice_eq(entry, SLICE("tmp"));
}

static enum status import_tree(struct source *source, struct slice path, struct slice name, unsigned depth)
{
	enum status status = STATUS_OK;
	struct slice *entries;
	size_t count;

	if (!opener_list(source->opener, &source->arena, slice_cstr(&source->arena, path), &entries, &count))
		return STATUS_OK;
	for (size_t i = 0; i < count && status == STATUS_OK; i++)
		if (!is_part_of_maildir(entries[i]))
			status = import_child(source, path, entries[i], name, depth);
	return status;
}

enum status maildir_import(struct importer *importer, struct opener *opener, struct slice path)
{
	struct source *source = calloc(1, sizeof *source);
	enum status status = STATUS_NOT_FOUND;

	if (!source)
		return STATUS_TEMPORARY;
	source->importer = importer;
	source->opener = opener;
	arena_init(&source->arena, 0);
	arena_init(&source->folder, 0);
	source->root = path;
	if (opener_set_root(opener, slice_cstr(&source->arena, path)) && is_maildir(source, path)) {
		struct slice text =
			opener_read(opener, &source->arena, join(&source->arena, path, SLICE("subscriptions")), SMALL_FILE_MAX);

		if (text.data)
			maildir_subscriptions_parse(&source->arena, text, '.', note_subscription, source);
		status = import_folder(source, path, SLICE("INBOX"));
		if (status == STATUS_OK)
			status = import_tree(source, path, SLICE_EMPTY, 0);
	}
	arena_free(&source->arena);
	arena_free(&source->folder);
	free(source);
	return status;
}
