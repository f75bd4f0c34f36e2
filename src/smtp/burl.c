/* BURL (RFC 4468): a piece of the message that is in a mailbox here already. It stands where BDAT may stand, among others or alone. */
#include "ipc/urls.h"
#include "smtp/session.h"

bool smtp_may_burl(const struct smtp_session *s)
{
	return s->options.burl && s->is_submission && s->account != 0;
}

/* "imap://... LAST" */
static bool parse_burl(struct slice argument, struct slice *url, bool *last)
{
	struct slice rest = argument;

	*url = slice_cut(&rest, ' ');
	rest = slice_trim(rest);
	*last = slice_eq_nocase(rest, SLICE("LAST"));
	return url->len > 0 && (*last || rest.len == 0);
}

/* RFC 4468 section 3.3: a message of which a piece lacks is none. */
static enum next refuse_piece(struct smtp_session *s, bool last, enum reply_id fault)
{
	s->transaction.chunk_failed = true;
	smtp_answer(s, fault);
	if (last)
		smtp_transaction_end(s);
	return NEXT_PARK;
}

static enum reply_id fault_of(enum status status)
{
	if (status == STATUS_NOT_FOUND || status == STATUS_PEER)
		return REPLY_URL_UNAVAILABLE;
	return status == STATUS_LIMIT ? REPLY_TOO_LARGE : REPLY_URL_TEMPORARY;
}

enum next cmd_burl(struct smtp_session *s, struct slice argument)
{
	struct url_request request = {.account = s->account, .address = s->login, .max = s->options.max_message_size};
	struct ipc_body body;
	enum reply_id fault;
	enum status status;
	bool last;

	if (!smtp_may_burl(s))
		return smtp_answer(s, smtp_needs_auth(s) ? REPLY_NEED_AUTH : REPLY_UNKNOWN_COMMAND);
	if (!parse_burl(argument, &request.url, &last))
		return smtp_answer(s, REPLY_SYNTAX_BURL);
	fault = smtp_chunk_fault(s);
	if (fault != REPLY_NONE) {
		smtp_answer(s, fault);
		if (last && s->transaction.chunk_failed)
			smtp_transaction_end(s);
		return NEXT_PARK;
	}
	smtp_chunk_begin(s);
	conn_flush(s->conn);
	status = url_fetch(s->ipc, s->env->command_arena, &request, &body);
	if (status != STATUS_OK)
		return refuse_piece(s, last, fault_of(status));
	smtp_chunk_add(s, body.bytes);
	ipc_body_unmap(&body);
	return smtp_chunk_end(s, last);
}
