#include "imap/surrogate.h"

#include "store/surrogate.h"

/* RFC 9051 section 1: who has enabled IMAP4rev2 takes UTF-8 too. */
bool imap_gives_surrogates(const struct imap_session *s)
{
	return s->context->options.surrogates && !s->utf8 && !s->rev2;
}

bool imap_may_need_surrogate(struct arena *arena, const struct email *email)
{
	const struct message *message;

	if (!message_packed_has_8bit(email->structure))
		return false;
	message = message_unpack(arena, email->structure, email->bytes);
	return message && surrogate_may_be_needed(message, email->bytes);
}

static bool take_piece(void *bytes, struct slice piece)
{
	buf_add(bytes, piece);
	return true;
}

enum status imap_make_surrogate(struct imap_session *s, struct arena *arena, struct email *email, struct buf *bytes,
				bool *is_changed)
{
	struct message *structure = message_unpack(arena, email->structure, SLICE_EMPTY);
	struct surrogate_result result;
	struct email_reader *reader;
	struct email_facts facts;
	enum status status;

	if (!structure)
		return STATUS_BUG;
	status = email_open(imap_store(s), arena, s->selected_account, email->id, &reader);
	if (status != STATUS_OK)
		return status;
	status = surrogate_give(reader, structure, take_piece, bytes, &result);
	email_close(reader);
	if (status != STATUS_OK)
		return status;
	if (!buf_ok(bytes))
		return STATUS_LIMIT;
	*is_changed = result.is_changed;
	email_facts(arena, buf_slice(bytes), &facts);
	email->bytes = facts.bytes;
	email->size = facts.bytes.len;
	email->envelope = facts.envelope;
	email->body = facts.body;
	email->body_structure = facts.body_structure;
	email->structure = facts.structure;
	return STATUS_OK;
}
