#include "mime/auto_message.h"

#include "mime/words.h"

void auto_message_header(struct buf *out, const struct auto_message *message)
{
	bool is_full = slice_find_byte(message->to, '@') != SLICE_NOT_FOUND;

	buf_printf(out, "From: Posthorn <postmaster@%.*s>\r\nTo: %.*s%s%.*s\r\nDate: ", SLICE_ARG(message->hostname),
		   SLICE_ARG(message->to), is_full ? "" : "@", SLICE_ARG(is_full ? SLICE_EMPTY : message->hostname));
	date_format(out, message->now_ms, 0);
	buf_printf(out, "\r\nMessage-ID: <%.*s@%.*s>\r\nSubject: %.*s\r\n", SLICE_ARG(message->queue_id), SLICE_ARG(message->hostname),
		   SLICE_ARG(message->subject));
	buf_add_literal(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
			     "Content-Transfer-Encoding: 8bit\r\n\r\n");
}
