/* APPEND: RFC 9051 section 6.3.12, RFC 4315 (APPENDUID), RFC 7889 (APPENDLIMIT). The message is read into memory that grows with it,
 * and committed whole or not at all. */
#include "imap/session.h"

#include "base/clock.h"
#include "store/email.h"

/* The answer to a message that won't be taken. It has to be read all the same if the client doesn't wait. */
static enum next refuse(struct imap_session *s, struct imap_command *command, enum status status, struct slice code,
			struct slice text)
{
	if (!command->literal.waits && (!imap_skip_literal(s, &command->literal) || !imap_skip_command(s)))
		return imap_bye(s, code, text);
	return status == STATUS_OK ? imap_no(s, command, code, text) : imap_answer_target(s, command, status, text);
}

/* Messages are kept with CRLF. Lenient: some clients send bare LF. */
static void make_crlf(struct buf *out, struct slice bytes)
{
	while (bytes.len) {
		size_t end = slice_find_byte(bytes, '\n');

		buf_add(out, slice_sub(bytes, 0, end));
		if (end == SLICE_NOT_FOUND)
			return;
		if (end == 0 || bytes.data[end - 1] != '\r')
			buf_add_byte(out, '\r');
		buf_add_byte(out, '\n');
		bytes = slice_skip(bytes, end + 1);
	}
}

static bool has_bare_lf(struct slice bytes)
{
	for (size_t at = 0; at < bytes.len;) {
		size_t end = slice_find_byte(slice_skip(bytes, at), '\n');

		if (end == SLICE_NOT_FOUND)
			return false;
		at += end;
		if (at == 0 || bytes.data[at - 1] != '\r')
			return true;
		at++;
	}
	return false;
}

static enum next answer_uid(struct imap_session *s, struct imap_command *command, uint32_t uid_validity, uint32_t uid)
{
	struct buf code;

	buf_init(&code, imap_arena(s), 0);
	buf_add_literal(&code, "APPENDUID ");
	buf_add_u64(&code, uid_validity);
	buf_add_byte(&code, ' ');
	buf_add_u64(&code, uid);
	return imap_ok_code(s, command, buf_slice(&code), SLICE("APPEND completed"));
}

static enum next append_message(struct imap_session *s, struct imap_command *command, const struct imap_append *append,
				int64_t mailbox, struct slice bytes)
{
	struct email_facts facts;
	struct append_request request = {
		.account = s->account,
		.mailbox = mailbox,
		.facts = &facts,
		.received_ms = append->has_date ? append->received_ms : clock_wall_ms(),
	};
	uint32_t uid, uid_validity;
	enum status status = imap_flags_to_bits(s, &append->flags, true, &request.flags);

	if (status == STATUS_LIMIT)
		return imap_answer(s, command, status, SLICE_EMPTY);
	if (status == STATUS_OK) {
		email_facts(imap_arena(s), bytes, &facts);
		status = store_append(imap_store(s), &request, 1, &uid, &uid_validity);
	}
	if (status != STATUS_OK)
		return imap_answer_target(s, command, status, SLICE_EMPTY);
	imap_announce(s);
	return answer_uid(s, command, uid_validity, uid);
}

/* Reads the message and the end of the line. */
static enum next take_message(struct imap_session *s, struct imap_command *command, const struct imap_append *append,
			      int64_t mailbox)
{
	struct buf message SCOPED_BUF, fixed SCOPED_BUF;
	struct slice line;

	buf_init(&message, NULL, 0);
	buf_init(&fixed, NULL, 0);
	if (command->literal.waits)
		imap_continue(s, SLICE("Ready for the message"));
	if (!imap_read_literal(s, command->literal.size, &message) || !imap_read_line(s, &line))
		return NEXT_CLOSE;
	if (line.len > 0)
		return imap_bad(s, command, SLICE("APPEND: one message at a time"));
	/* RFC 3516 section 4.4 leaves it to the server whether a mailbox takes binary content; lines have to be lines. */
	if (slice_find_byte(buf_slice(&message), '\0') != SLICE_NOT_FOUND ||
	    (command->literal.binary && has_bare_lf(buf_slice(&message))))
		return imap_no(s, command, SLICE("UNKNOWN-CTE"), SLICE("Messages with binary content are not kept"));
	if (!has_bare_lf(buf_slice(&message)))
		return append_message(s, command, append, mailbox, buf_slice(&message));
	make_crlf(&fixed, buf_slice(&message));
	return append_message(s, command, append, mailbox, buf_slice(&fixed));
}

enum next imap_append(struct imap_session *s, struct imap_command *command)
{
	struct imap_append append;
	struct mailbox mailbox;
	enum status status;

	if (!imap_parse_append(&command->args, &append) || !command->has_literal)
		return imap_bad_arguments(s, command);
	if (command->args.is_impossible)
		return refuse(s, command, STATUS_OK, SLICE("CANNOT"), SLICE("That can't be the name of a mailbox"));
	if (command->literal.size > imap_append_limit(s))
		return refuse(s, command, STATUS_OK, SLICE("TOOBIG"), SLICE("The message is larger than APPENDLIMIT"));
	if (command->literal.size == 0)
		return refuse(s, command, STATUS_OK, SLICE_EMPTY, SLICE("The message is empty"));
	status = mailbox_find(imap_store(s), imap_arena(s), s->account, append.mailbox, &mailbox);
	if (status == STATUS_OK && !mailbox.selectable)
		status = STATUS_NOT_FOUND;
	if (status != STATUS_OK)
		return refuse(s, command, status, SLICE_EMPTY, SLICE_EMPTY);
	return take_message(s, command, &append, mailbox.id);
}
