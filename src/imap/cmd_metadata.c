/* GETMETADATA, SETMETADATA: RFC 5464. */
#include "imap/metadata.h"
#include "imap/name.h"

_Static_assert(ANNOTATION_VALUE_MAX == 65536, "SETMETADATA tells it");

#define RIGHTS_TO_SEE (RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_POST)

/* RFC 5464 section 4.1: the empty name is the server's. */
static bool parse_target(struct imap_parser *p, struct slice *name)
{
	struct imap_parser ahead = *p;

	if (imap_parse_astring(&ahead, name) && name->len == 0) {
		*p = ahead;
		return true;
	}
	return imap_parse_mailbox(p, name);
}

/* Annotations of what can't be seen, or of which nothing may be known, aren't there. */
static enum status find_target(struct imap_session *s, struct slice name, struct imap_place *place)
{
	enum status status;

	if (name.len == 0) {
		*place = (struct imap_place){.account = s->account, .rights = RIGHTS_ALL, .mailbox = {.id = ANNOTATION_SERVER}};
		return STATUS_OK;
	}
	status = imap_find_place(s, name, RIGHTS_TO_SEE, place);
	return status == STATUS_OK && !metadata_may_see(place->rights) ? STATUS_NOT_FOUND : status;
}

/* ---- GETMETADATA ---- */

static bool parse_get(struct imap_parser *p, struct slice *name, struct metadata_request *request)
{
	request->max_size = UINT64_MAX;
	if (!imap_parse_space(p))
		return false;
	if (metadata_at_options(p) && (!metadata_parse_options(p, request) || !imap_parse_space(p)))
		return false;
	if (!parse_target(p, name) || !imap_parse_space(p))
		return false;
	if (metadata_at_options(p) && (!metadata_parse_options(p, request) || !imap_parse_space(p)))
		return false;
	return metadata_parse_entries(p, request) && imap_parse_end(p);
}

enum next imap_get_metadata(struct imap_session *s, struct imap_command *command)
{
	struct metadata_request *request = ARENA_NEW(imap_arena(s), struct metadata_request);
	struct imap_place place;
	struct slice name;
	enum status status;

	if (!parse_get(&command->args, &name, request))
		return imap_bad_arguments(s, command);
	status = find_target(s, name, &place);
	if (status == STATUS_OK)
		status = metadata_put(s, place.account, place.mailbox.id, place.name, request);
	if (status == STATUS_OK && request->longest > 0)
		return imap_ok_code(s, command, metadata_long_entries(s, request), SLICE("GETMETADATA completed"));
	return imap_answer_place(s, command, &place, status, SLICE("GETMETADATA completed"));
}

/* ---- SETMETADATA ---- */

struct set_request {
	struct slice name;
	struct annotation annotations[METADATA_ENTRIES_MAX];
	size_t count;
	bool is_too_long, sets_shared;
};

static size_t count_components(struct slice entry)
{
	size_t count = 0;

	for (size_t i = 0; i < entry.len; i++)
		count += entry.data[i] == '/';
	return count;
}

/* RFC 5464 section 3.2: two components at least, four in a vendor's. */
static bool can_be_set(struct slice entry)
{
	struct slice rest = slice_skip(entry, 1);

	slice_cut(&rest, '/');
	if (slice_eq(rest, SLICE("vendor")) || slice_starts_with(rest, SLICE("vendor/")))
		return count_components(entry) >= 4;
	return rest.len > 0;
}

/* nstring, or a literal8. */
static bool parse_value(struct imap_parser *p, struct slice *value)
{
	return imap_accept(p, '~') ? imap_parse_string(p, value) : imap_parse_nstring(p, value);
}

static bool parse_pair(struct imap_parser *p, struct set_request *request)
{
	struct annotation *annotation = &request->annotations[request->count];

	if (request->count == METADATA_ENTRIES_MAX)
		return imap_fault(p, SLICE("too many entries"));
	if (!imap_parse_entry(p, &annotation->entry) || !imap_parse_space(p) || !parse_value(p, &annotation->value))
		return false;
	request->count++;
	request->is_too_long |= annotation->value.len > ANNOTATION_VALUE_MAX;
	request->sets_shared |= !annotation_is_private(annotation->entry);
	return can_be_set(annotation->entry) || imap_fault(p, SLICE("that can't be the name of an entry"));
}

static bool parse_set(struct imap_parser *p, struct set_request *request)
{
	if (!imap_parse_space(p) || !parse_target(p, &request->name) || !imap_parse_space(p) || !imap_parse_byte(p, '('))
		return false;
	do {
		if (!parse_pair(p, request))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')') && imap_parse_end(p);
}

/* What all see is changed by those who may write; the server's, by those who run it. */
static bool may_set(const struct imap_place *place, const struct set_request *request)
{
	return !request->sets_shared || (place->mailbox.id != ANNOTATION_SERVER && place->rights & RIGHT_WRITE);
}

enum next imap_set_metadata(struct imap_session *s, struct imap_command *command)
{
	struct set_request *request = ARENA_NEW(imap_arena(s), struct set_request);
	struct imap_place place;
	enum status status;
	int64_t number;

	if (!parse_set(&command->args, request))
		return imap_bad_arguments(s, command);
	status = find_target(s, request->name, &place);
	if (status != STATUS_OK)
		return imap_answer_place(s, command, &place, status, SLICE_EMPTY);
	if (!may_set(&place, request))
		return imap_no(s, command, SLICE("NOPERM"), SLICE("You may not change what others see here"));
	if (request->is_too_long)
		return imap_no(s, command, SLICE("METADATA MAXSIZE 65536"), SLICE("That value is too long"));
	status = annotation_set(imap_store(s), place.account, place.mailbox.id, s->account, request->annotations,
				request->count, &number);
	if (status == STATUS_LIMIT)
		return imap_no(s, command, SLICE("METADATA TOOMANY"), SLICE("There are too many already"));
	if (status == STATUS_OK) {
		imap_tell_metadata(s, true, number);
		imap_announce_account(s, place.account);
	}
	return imap_answer(s, command, status, SLICE("SETMETADATA completed"));
}
