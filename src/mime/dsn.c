/* RFC 3464, RFC 6533. What others said is cleaned on its way in, so that no line end, control character or overlong line of theirs
 * gets into the notification. */
#include "mime/dsn.h"

#include "mime/words.h"
#include "mime/writer.h"

#define TEXT_MAX     800 /* a line may not have more than 998 bytes (RFC 5322 section 2.1.1), and a reply may be without a space */
#define LINES_MAX    50 /* of one diagnostic, for people */
#define BOUNDARY_MAX 60 /* RFC 2046 section 5.1.1 allows 70 */

struct writing {
	struct buf *out;
	const struct dsn *dsn;
	struct slice boundary;
	bool is_utf8;
	unsigned counts[DSN_EXPANDED + 1];
};

static const struct slice ACTIONS[] = {SLICE("failed"), SLICE("delayed"), SLICE("delivered"), SLICE("relayed"),
					SLICE("expanded")};

bool dsn_needs_utf8(const struct dsn *dsn)
{
	if (!slice_is_ascii(dsn->to))
		return true;
	for (size_t i = 0; i < dsn->recipient_count; i++)
		if (!slice_is_ascii(dsn->recipients[i].final) || !slice_is_ascii(dsn->recipients[i].original))
			return true;
	return false;
}

/* ---- what others said ---- */

/* At most `max` bytes, and no character cut through. */
static struct slice cut_text(struct slice text, size_t max)
{
	size_t end = text.len < max ? text.len : max;

	while (end > 0 && end < text.len && ((unsigned char)text.data[end] & 0xc0) == 0x80)
		end--;
	return slice_sub(text, 0, end);
}

static char clean_byte(char c, bool may_be_8bit)
{
	unsigned char byte = (unsigned char)c;

	if (byte < ' ' || byte == 0x7f)
		return ' ';
	return byte >= 0x80 && !may_be_8bit ? '?' : c;
}

/* One line of it. Non-ASCII stays where the notification is in UTF-8 and so is the text. */
static void add_clean(const struct writing *w, struct buf *out, struct slice text)
{
	bool may_be_8bit;

	text = cut_text(slice_trim(text), TEXT_MAX);
	may_be_8bit = w->is_utf8 && slice_is_utf8(text);
	for (size_t i = 0; i < text.len; i++)
		buf_add_byte(out, clean_byte(text.data[i], may_be_8bit));
}

/* "Name: type value\r\n"; nothing if the value is empty. */
static void write_field(const struct writing *w, struct slice name, struct slice type, struct slice value)
{
	struct buf text SCOPED_BUF;

	if (value.len == 0)
		return;
	buf_init(&text, NULL, 0);
	buf_add(&text, type);
	add_clean(w, &text, value);
	header_write(w->out, name, buf_slice(&text));
}

static void write_date(const struct writing *w, struct slice name, int64_t at_ms)
{
	if (at_ms == 0)
		return;
	buf_add(w->out, name);
	buf_add_literal(w->out, ": ");
	date_format(w->out, at_ms, 0);
	buf_add_literal(w->out, "\r\n");
}

/* ---- the header ---- */

static struct slice subject(const struct writing *w)
{
	if (w->counts[DSN_FAILED] > 0)
		return SLICE("Undelivered mail returned to sender");
	if (w->counts[DSN_DELAYED] > 0)
		return SLICE("Delayed mail, still being tried");
	if (w->counts[DSN_DELIVERED] > 0 || w->counts[DSN_EXPANDED] > 0)
		return SLICE("Mail was delivered");
	return SLICE("Mail was passed on");
}

static void write_header(const struct writing *w)
{
	const struct dsn *dsn = w->dsn;
	bool is_8bit = w->is_utf8 || !slice_is_ascii(dsn->original);

	write_date(w, SLICE("Date"), dsn->now_ms);
	buf_printf(w->out, "From: Mail Delivery System <MAILER-DAEMON@%.*s>\r\nTo: <", SLICE_ARG(dsn->reporting_mta));
	add_clean(w, w->out, dsn->to);
	buf_printf(w->out,
		   ">\r\n"
		   "Subject: %.*s\r\n"
		   "Message-ID: <%.*s@%.*s>\r\n"
		   "Auto-Submitted: auto-replied\r\n" /* RFC 3834 section 5 */
		   "MIME-Version: 1.0\r\n",
		   SLICE_ARG(subject(w)), SLICE_ARG(dsn->token), SLICE_ARG(dsn->reporting_mta));
	/* RFC 6522 section 3; RFC 6533 section 6 */
	buf_printf(w->out,
		   "Content-Type: multipart/report; report-type=%s;\r\n"
		   "\tboundary=\"%.*s\"\r\n"
		   "%s"
		   "\r\n"
		   "This is a delivery status notification in MIME format (RFC 3464).\r\n",
		   w->is_utf8 ? "global-delivery-status" : "delivery-status", SLICE_ARG(w->boundary),
		   is_8bit ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

static void begin_part(const struct writing *w, const char *type, bool is_8bit)
{
	buf_printf(w->out, "\r\n--%.*s\r\nContent-Type: %s\r\n%s\r\n", SLICE_ARG(w->boundary), type,
		   is_8bit ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

/* ---- for people ---- */

static const char *introduction(enum dsn_action action)
{
	switch (action) {
	case DSN_FAILED:
		return "Your message could not be delivered to:";
	case DSN_DELAYED:
		return "Your message could not be delivered yet. You need not send it again. It waits for:";
	case DSN_DELIVERED:
		return "Your message was delivered to:";
	case DSN_EXPANDED:
		return "Your message was delivered to a list, and passed on to its members, who give no notice of delivery:";
	case DSN_RELAYED:
		break;
	}
	return "Your message was passed on to a host that gives no notice of delivery, for:";
}

static void write_recipient_for_people(const struct writing *w, const struct dsn_recipient *recipient)
{
	struct slice rest = recipient->diagnostic;

	buf_add_literal(w->out, "  <");
	add_clean(w, w->out, recipient->final);
	buf_add_literal(w->out, ">\r\n");
	if (recipient->remote_mta.len > 0 && rest.len > 0 && !recipient->diagnostic_is_ours) {
		buf_add_literal(w->out, "    ");
		add_clean(w, w->out, recipient->remote_mta);
		buf_add_literal(w->out, " said:\r\n");
	}
	for (unsigned lines = 0; rest.len > 0 && lines < LINES_MAX; lines++) {
		buf_add_literal(w->out, "    ");
		add_clean(w, w->out, slice_cut(&rest, '\n'));
		buf_add_literal(w->out, "\r\n");
	}
	if (recipient->retry_until_ms != 0) {
		buf_add_literal(w->out, "    It is tried until ");
		date_format(w->out, recipient->retry_until_ms, 0);
		buf_add_literal(w->out, ".\r\n");
	}
	buf_add_literal(w->out, "\r\n");
}

static void write_action_for_people(const struct writing *w, enum dsn_action action)
{
	if (w->counts[action] == 0)
		return;
	buf_printf(w->out, "%s\r\n\r\n", introduction(action));
	for (size_t i = 0; i < w->dsn->recipient_count; i++)
		if (w->dsn->recipients[i].action == action)
			write_recipient_for_people(w, &w->dsn->recipients[i]);
}

static void write_for_people(const struct writing *w)
{
	begin_part(w, w->is_utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", w->is_utf8);
	buf_printf(w->out, "This is the mail system at %.*s.\r\n\r\n", SLICE_ARG(w->dsn->reporting_mta));
	write_action_for_people(w, DSN_FAILED);
	write_action_for_people(w, DSN_DELAYED);
	write_action_for_people(w, DSN_DELIVERED);
	write_action_for_people(w, DSN_RELAYED);
	write_action_for_people(w, DSN_EXPANDED);
	if (w->dsn->queue_id.len > 0)
		buf_printf(w->out, "It came here as %.*s. ", SLICE_ARG(w->dsn->queue_id));
	buf_printf(w->out, "%s is below.\r\n", w->dsn->original_is_whole ? "The message" : "Its header");
}

/* ---- for programs ---- */

/* RFC 3464 section 2.3 */
static void write_recipient(const struct writing *w, const struct dsn_recipient *recipient)
{
	bool is_ascii = slice_is_ascii(recipient->final);

	buf_add_literal(w->out, "\r\n");
	/* RFC 3464 section 2.3.1: without its type it says nothing. */
	if (slice_find_byte(recipient->original, ';') != SLICE_NOT_FOUND)
		write_field(w, SLICE("Original-Recipient"), SLICE_EMPTY, recipient->original);
	write_field(w, SLICE("Final-Recipient"), is_ascii ? SLICE("rfc822; ") : SLICE("utf-8; "), recipient->final);
	write_field(w, SLICE("Action"), SLICE_EMPTY, ACTIONS[recipient->action]);
	write_field(w, SLICE("Status"), SLICE_EMPTY, recipient->status);
	write_field(w, SLICE("Remote-MTA"), SLICE("dns; "), recipient->remote_mta);
	write_field(w, SLICE("Diagnostic-Code"), recipient->diagnostic_is_ours ? SLICE("x-posthorn; ") : SLICE("smtp; "),
		    recipient->diagnostic);
	write_date(w, SLICE("Last-Attempt-Date"), recipient->last_attempt_ms);
	write_date(w, SLICE("Will-Retry-Until"), recipient->retry_until_ms);
}

/* RFC 3464 section 2.1 */
static void write_for_programs(const struct writing *w)
{
	begin_part(w, w->is_utf8 ? "message/global-delivery-status" : "message/delivery-status", w->is_utf8);
	write_field(w, SLICE("Original-Envelope-Id"), SLICE_EMPTY, w->dsn->envelope_id);
	write_field(w, SLICE("Reporting-MTA"), SLICE("dns; "), w->dsn->reporting_mta);
	write_field(w, SLICE("X-Posthorn-Queue-Id"), SLICE_EMPTY, w->dsn->queue_id);
	write_date(w, SLICE("Arrival-Date"), w->dsn->arrival_ms);
	write_date(w, SLICE("Deliver-By-Date"), w->dsn->deliver_by_ms);
	write_field(w, SLICE("Future-Release-Request"), SLICE_EMPTY, w->dsn->future_release);
	for (size_t i = 0; i < w->dsn->recipient_count; i++)
		write_recipient(w, &w->dsn->recipients[i]);
}

/* ---- the message ---- */

static void write_original(const struct writing *w)
{
	struct slice rest = w->dsn->original;
	bool is_whole = w->dsn->original_is_whole, is_8bit = !slice_is_ascii(rest);

	if (w->is_utf8) /* RFC 6533 section 4, 5 */
		begin_part(w, is_whole ? "message/global" : "message/global-headers", is_8bit);
	else /* RFC 6522 section 3, 4 */
		begin_part(w, is_whole ? "message/rfc822" : "text/rfc822-headers", is_8bit);
	while (rest.len > 0) {
		struct slice line = slice_cut(&rest, '\n');

		if (line.len > 0 && line.data[line.len - 1] == '\r')
			line.len--;
		buf_add(w->out, line);
		buf_add_literal(w->out, "\r\n");
	}
	buf_printf(w->out, "\r\n--%.*s--\r\n", SLICE_ARG(w->boundary));
}

void dsn_write(struct buf *out, const struct dsn *dsn)
{
	struct writing w = {
		.out = out,
		.dsn = dsn,
		.boundary = slice_sub(dsn->token, 0, BOUNDARY_MAX),
		.is_utf8 = dsn_needs_utf8(dsn),
	};

	for (size_t i = 0; i < dsn->recipient_count; i++)
		w.counts[dsn->recipients[i].action]++;
	write_header(&w);
	write_for_people(&w);
	write_for_programs(&w);
	write_original(&w);
}
