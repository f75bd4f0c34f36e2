#include "import/maildir.h"

#include <stdlib.h>

#include "imap/name.h"
#include "store/mailbox.h"

static const struct {
	char letter;
	uint64_t flag;
} letters[] = {
	{'D', FLAG_DRAFT}, {'F', FLAG_FLAGGED}, {'R', FLAG_ANSWERED}, {'S', FLAG_SEEN}, {'T', FLAG_DELETED},
};
#define LETTERS (sizeof letters / sizeof letters[0])

uint64_t maildir_flag(char letter)
{
	for (size_t i = 0; i < LETTERS; i++)
		if (letters[i].letter == letter)
			return letters[i].flag;
	return 0;
}

void maildir_put_flags(struct buf *out, uint64_t flags)
{
	for (size_t i = 0; i < LETTERS; i++)
		if (flags & letters[i].flag)
			buf_add_byte(out, letters[i].letter);
}

/* ",X=number" of the base. */
static int64_t field_of(struct slice base, char name)
{
	uint64_t value;

	slice_cut(&base, ',');
	while (base.len > 0) {
		struct slice field = slice_cut(&base, ',');

		if (field.len > 2 && field.data[0] == name && field.data[1] == '=' &&
		    slice_to_u64(slice_skip(field, 2), INT64_MAX / 1000, &value))
			return (int64_t)value;
	}
	return 0;
}

bool maildir_name_parse(struct slice name, struct maildir_name *parsed)
{
	struct slice rest = name;

	if (name.len == 0 || name.data[0] == '.')
		return false;
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.data[i] < 0x20 || name.data[i] == '/')
			return false;
	parsed->base = slice_cut(&rest, ':');
	parsed->unique = parsed->base;
	struct slice base = parsed->base;

	parsed->unique = slice_cut(&base, ',');
	parsed->flags = SLICE_EMPTY;
	parsed->time_s = field_of(parsed->base, 'T');
	if (slice_starts_with(rest, SLICE("2,"))) {
		size_t count = 2;

		while (count < rest.len && ascii_is_alpha(rest.data[count]))
			count++;
		parsed->flags = slice_sub(rest, 2, count);
	}
	return parsed->unique.len > 0;
}

/* ---- dovecot-uidlist ---- */

static int compare_uids(const void *a, const void *b)
{
	return slice_compare(((const struct maildir_uid *)a)->base, ((const struct maildir_uid *)b)->base);
}

/* "3 V1275660208 N25022 G3085..." or "1 1275660208 25022" */
static bool parse_head(struct slice line, struct maildir_uidlist *list, bool *is_old)
{
	struct slice version = slice_cut(&line, ' ');

	*is_old = slice_eq(version, SLICE("1"));
	if (*is_old)
		return slice_to_u32(slice_cut(&line, ' '), UINT32_MAX, &list->uid_validity) &&
		       slice_to_u32(slice_cut(&line, ' '), UINT32_MAX, &list->next_uid);
	if (!slice_eq(version, SLICE("3")))
		return false;
	while (line.len > 0) {
		struct slice field = slice_cut(&line, ' ');

		if (slice_starts_with(field, SLICE("V")) &&
		    !slice_to_u32(slice_skip(field, 1), UINT32_MAX, &list->uid_validity))
			return false;
		if (slice_starts_with(field, SLICE("N")) && !slice_to_u32(slice_skip(field, 1), UINT32_MAX, &list->next_uid))
			return false;
	}
	return true;
}

/* "25006 W1394 :1276528487.M364837P9451.host,S=1355" or, in version 1, "25006 1276528487..." */
static bool parse_entry(struct slice line, bool is_old, struct maildir_uid *entry)
{
	struct slice number = slice_cut(&line, ' ');

	if (!slice_to_u32(number, UINT32_MAX - 1, &entry->uid) || entry->uid == 0)
		return false;
	if (!is_old) {
		while (line.len > 0 && line.data[0] != ':')
			slice_cut(&line, ' ');
		line = slice_skip(line, 1);
	}
	entry->base = slice_cut(&line, ':');
	return entry->base.len > 0;
}

void maildir_uidlist_parse(struct arena *arena, struct slice text, struct maildir_uidlist *list)
{
	struct slice rest = text, head = slice_cut(&rest, '\n');
	size_t lines = 0;
	bool is_old;

	*list = (struct maildir_uidlist){0};
	if (!parse_head(head, list, &is_old) || list->uid_validity == 0) {
		*list = (struct maildir_uidlist){0};
		return;
	}
	for (size_t i = 0; i < rest.len; i++)
		lines += rest.data[i] == '\n';
	list->uids = ARENA_ARRAY(arena, struct maildir_uid, lines + 1);
	while (rest.len > 0) {
		struct maildir_uid *entry = &list->uids[list->count];

		if (!parse_entry(slice_cut(&rest, '\n'), is_old, entry))
			continue;
		list->count++;
		if (list->next_uid <= entry->uid)
			list->next_uid = entry->uid + 1;
	}
	qsort(list->uids, list->count, sizeof *list->uids, compare_uids);
}

uint32_t maildir_uidlist_find(const struct maildir_uidlist *list, struct slice base)
{
	struct maildir_uid wanted = {.base = base};
	const struct maildir_uid *found =
		list->count > 0 ? bsearch(&wanted, list->uids, list->count, sizeof wanted, compare_uids) : NULL;

	return found ? found->uid : 0;
}

/* ---- dovecot-keywords, subscriptions ---- */

void maildir_keywords_parse(struct slice text, struct slice names[MAILDIR_KEYWORDS])
{
	for (size_t i = 0; i < MAILDIR_KEYWORDS; i++)
		names[i] = SLICE_EMPTY;
	while (text.len > 0) {
		struct slice line = slice_cut(&text, '\n'), number = slice_cut(&line, ' ');
		uint32_t index;

		if (slice_to_u32(number, MAILDIR_KEYWORDS - 1, &index))
			names[index] = slice_trim(line);
	}
}

void maildir_subscriptions_parse(struct arena *arena, struct slice text, char separator,
				 void (*each)(void *context, struct slice name), void *context)
{
	struct slice name;

	bool has_tabs = slice_starts_with(text, SLICE("V\t2\n"));

	if (has_tabs)
		text = slice_skip(text, 4);
	while (text.len > 0) {
		struct slice line = slice_cut(&text, '\n');

		if (has_tabs) {
			char *copy = slice_cstr(arena, line);

			for (size_t i = 0; i < line.len; i++)
				copy[i] = line.data[i] == '\t' ? '/' : line.data[i];
			line.data = copy;
			separator = '/';
		}

		if (line.len > 0 && maildir_folder_decode(arena, line, separator, &name))
			each(context, name);
	}
}

/* ---- folders ---- */

bool maildir_folder_decode(struct arena *arena, struct slice folder, char separator, struct slice *name)
{
	struct slice decoded;
	struct buf out;

	if (!imap_name_decode(arena, folder, true, &decoded))
		return false;
	/* Dovecot's lists and folders are in modified UTF-7, or in UTF-8 where it was told so. */
	if (slice_is_ascii(folder) && !imap_name_decode(arena, folder, false, &decoded))
		return false;
	buf_init(&out, arena, 0);
	for (size_t i = 0; i < decoded.len; i++)
		buf_add_byte(&out, decoded.data[i] == separator                 ? '/'
				   : decoded.data[i] == '/' && separator != '/' ? '_'
										: decoded.data[i]);
	*name = buf_slice(&out);
	return name->len > 0;
}

void maildir_folder_encode(struct buf *out, struct slice name)
{
	while (name.len > 0) {
		struct slice level = slice_cut(&name, '/');
		struct buf encoded SCOPED_BUF;

		buf_init(&encoded, NULL, 0);
		imap_utf7_encode(&encoded, level);
		buf_add_byte(out, '.');
		for (size_t i = 0; i < encoded.len; i++)
			buf_add_byte(out, encoded.data[i] == '.' ? '_' : encoded.data[i]);
	}
}
