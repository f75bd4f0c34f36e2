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

/* The worst of the addresses in all fields of that name. *count: how many there are. */
static enum authorship worst_in(const struct author_check *check, struct slice header, struct slice name, size_t *count)
{
	enum authorship worst = AUTHOR_OWN;
	struct header_field field;

	*count = 0;
	while (header_next(&header, &field)) {
		if (!slice_eq_nocase(field.name, name))
			continue;
		const struct address *address = address_list_parse(check->arena, field.value, AUTHORS_MAX);

		for (; address; address = address->next) {
			if (!address->domain.data || !address->local.data)
				continue; /* begins or ends a group */
			enum authorship one = whose(check, address);

			worst = one > worst ? one : worst;
			(*count)++;
		}
	}
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
