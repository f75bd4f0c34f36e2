#include "deliver/author.h"

#include "mime/address.h"
#include "mime/message.h"

#define AUTHORS_MAX 100

static struct slice header_of(struct slice bytes)
{
	size_t end = slice_find(bytes, SLICE("\r\n\r\n"));

	return slice_sub(bytes, 0, end == SLICE_NOT_FOUND ? bytes.len : end + 2);
}

static enum authorship whose(const struct author_check *check, const struct address *address)
{
	const struct slice parts[] = {address->local, SLICE("@"), address->domain};
	struct email_address parsed = {.local = address->local, .domain = address->domain};
	struct buf text;

	if (address->domain.len == 0)
		return AUTHOR_FOREIGN;
	buf_init(&text, check->arena, 0);
	email_address_format(&text, &parsed); /* quotes again what must be quoted */
	return check->whose(check->context, buf_ok(&text) ? buf_slice(&text) : slice_join(check->arena, parts, 3));
}

static enum authorship worse(enum authorship one, enum authorship other)
{
	return one > other ? one : other;
}

/* The worst of the addresses in a field; *count goes up by how many there are. Who can't be read, or stands behind so many that nobody
 * reads on, isn't known to be the account. */
static enum authorship worst_of(const struct author_check *check, struct slice value, size_t *count)
{
	/* One more, and what a group's end would take. */
	const struct address *address = address_list_parse(check->arena, value, AUTHORS_MAX + 2);
	enum authorship worst = address ? AUTHOR_OWN : AUTHOR_FOREIGN;
	size_t entries = 0;

	for (; address && entries < AUTHORS_MAX; address = address->next, entries++) {
		if (!address->domain.data || !address->local.data)
			continue; /* begins or ends a group */
		worst = worse(worst, whose(check, address));
		(*count)++;
	}
	return address ? worse(worst, AUTHOR_FOREIGN) : worst;
}

/* In all fields of that name. */
static enum authorship worst_in(const struct author_check *check, struct slice header, struct slice name, size_t *count)
{
	enum authorship worst = AUTHOR_OWN;
	struct header_field field;

	*count = 0;
	while (header_next(&header, &field))
		if (slice_eq_nocase(field.name, name))
			worst = worse(worst, worst_of(check, field.value, count));
	return worst;
}

static enum verdict_id judge_sender_field(const struct author_check *check, struct slice header, struct slice *bytes)
{
	const struct slice parts[] = {SLICE("Sender: <"), check->login, SLICE(">\r\n"), *bytes};
	size_t count;

	switch (worst_in(check, header, SLICE("Sender"), &count)) {
	case AUTHOR_OWN:
		break;
	case AUTHOR_UNKNOWN:
		return VERDICT_TEMPORARY;
	default:
		return VERDICT_SENDER_FIELD_NOT_OWNED;
	}
	if (count > 0)
		return VERDICT_MESSAGE_OK;
	if (!check->needs_utf8 && !slice_is_ascii(check->login))
		return VERDICT_SENDER_FIELD_NOT_OWNED;
	*bytes = slice_join(check->arena, parts, 4);
	return VERDICT_MESSAGE_OK;
}

enum verdict_id author_judge(const struct author_check *check, struct slice *bytes)
{
	struct slice header = header_of(*bytes);
	size_t count;

	switch (worst_in(check, header, SLICE("From"), &count)) {
	case AUTHOR_OWN:
		return VERDICT_MESSAGE_OK;
	case AUTHOR_ON_BEHALF:
		return judge_sender_field(check, header, bytes);
	case AUTHOR_FOREIGN:
		return check->refuses_foreign ? VERDICT_FROM_NOT_OWNED : VERDICT_MESSAGE_OK;
	case AUTHOR_UNKNOWN:
		break;
	}
	return VERDICT_TEMPORARY;
}
