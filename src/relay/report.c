#include "relay/report.h"

#include "base/random.h"
#include "mime/words.h"
#include "mime/writer.h"

/* A reply may be 4,000 bytes without a space; a line may not (RFC 5322 section 2.1.1). */
#define LINE_KEPT 800

struct writing {
	struct buf *out;
	struct arena *arena;
	const struct report *report;
	struct slice boundary;
	bool is_utf8;
	unsigned failed, delayed, relayed;
};

struct slice report_decode_xtext(struct arena *arena, struct slice xtext)
{
	struct buf out;

	buf_init(&out, arena, 0);
	for (size_t i = 0; i < xtext.len; i++) {
		uint64_t byte;

		if (xtext.data[i] == '+' && slice_sub(xtext, i + 1, i + 3).len == 2 &&
		    slice_hex_to_u64(slice_sub(xtext, i + 1, i + 3), &byte)) {
			/* No line end comes out of an escape. */
			buf_add_byte(&out, byte < ' ' || byte == 0x7f ? ' ' : (char)byte);
			i += 2;
		} else {
			buf_add_byte(&out, xtext.data[i]);
		}
	}
	return buf_slice(&out);
}

/* What a peer said, as one line of printable ASCII. */
static struct slice harmless(struct arena *arena, struct slice text)
{
	struct slice line = reply_one_line(arena, slice_sub(text, 0, LINE_KEPT));
	char *bytes = arena_alloc(arena, line.len + 1);

	for (size_t i = 0; i < line.len; i++)
		bytes[i] = (unsigned char)line.data[i] >= 0x80 ? '?' : line.data[i];
	return slice_of(bytes, line.len);
}

static void count_actions(struct writing *w)
{
	w->is_utf8 = !slice_is_ascii(w->report->sender);
	for (size_t i = 0; i < w->report->count; i++) {
		const struct report_recipient *recipient = &w->report->recipients[i];

		w->failed += recipient->action == REPORT_FAILED;
		w->delayed += recipient->action == REPORT_DELAYED;
		w->relayed += recipient->action == REPORT_RELAYED;
		if (!slice_is_ascii(recipient->address))
			w->is_utf8 = true;
	}
}

static struct slice subject(const struct writing *w)
{
	if (w->failed > 0)
		return SLICE("Undelivered mail returned to sender");
	if (w->delayed > 0)
		return SLICE("Delayed mail, still being tried");
	return SLICE("Mail was passed on");
}

static void write_date(struct writing *w, struct slice name, int64_t at_ms)
{
	buf_add(w->out, name);
	buf_add_literal(w->out, ": ");
	date_format(w->out, at_ms, 0);
	buf_add_literal(w->out, "\r\n");
}

static void write_header(struct writing *w)
{
	const struct report *report = w->report;

	write_date(w, SLICE("Date"), report->now_ms);
	buf_printf(w->out, "From: Mail Delivery System <MAILER-DAEMON@%.*s>\r\n", SLICE_ARG(report->hostname));
	buf_printf(w->out, "To: <%.*s>\r\n", SLICE_ARG(reply_one_line(w->arena, report->sender)));
	buf_printf(w->out, "Subject: %.*s\r\n", SLICE_ARG(subject(w)));
	buf_printf(w->out, "Message-ID: <%.*s@%.*s>\r\n", SLICE_ARG(random_token(w->arena, 26)), SLICE_ARG(report->hostname));
	/* RFC 3834 section 5; RFC 3464 section 2: the MIME type. */
	buf_printf(w->out,
		   "Auto-Submitted: auto-replied\r\n"
		   "MIME-Version: 1.0\r\n"
		   "Content-Type: multipart/report; report-type=%s;\r\n"
		   "\tboundary=\"%.*s\"\r\n"
		   "\r\n"
		   "This is a delivery status notification in MIME format (RFC 3464).\r\n",
		   w->is_utf8 ? "global-delivery-status" : "delivery-status", SLICE_ARG(w->boundary));
}

static void begin_part(struct writing *w, const char *type, bool is_8bit)
{
	buf_printf(w->out, "\r\n--%.*s\r\nContent-Type: %s\r\n%s\r\n", SLICE_ARG(w->boundary), type,
		   is_8bit ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

static void write_reply_for_people(struct writing *w, struct slice text)
{
	while (text.len > 0)
		buf_printf(w->out, "    %.*s\r\n", SLICE_ARG(harmless(w->arena, slice_cut(&text, '\n'))));
}

static void write_group_for_people(struct writing *w, enum report_action action, unsigned count, const char *introduction)
{
	if (count == 0)
		return;
	buf_printf(w->out, "%s\r\n\r\n", introduction);
	for (size_t i = 0; i < w->report->count; i++) {
		const struct report_recipient *recipient = &w->report->recipients[i];

		if (recipient->action != action)
			continue;
		buf_printf(w->out, "  <%.*s>\r\n", SLICE_ARG(reply_one_line(w->arena, recipient->address)));
		if (recipient->remote.len > 0 && !recipient->reply.is_ours)
			buf_printf(w->out, "    %.*s said:\r\n", SLICE_ARG(harmless(w->arena, recipient->remote)));
		write_reply_for_people(w, recipient->reply.text);
		if (action == REPORT_DELAYED) {
			buf_add_literal(w->out, "    It is tried until ");
			date_format(w->out, recipient->retry_until_ms, 0);
			buf_add_literal(w->out, ".\r\n");
		}
		buf_add_literal(w->out, "\r\n");
	}
}

static void write_for_people(struct writing *w)
{
	begin_part(w, w->is_utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", w->is_utf8);
	buf_printf(w->out, "This is the mail system at %.*s.\r\n\r\n", SLICE_ARG(w->report->hostname));
	write_group_for_people(w, REPORT_FAILED, w->failed, "Your message could not be delivered to:");
	write_group_for_people(w, REPORT_DELAYED, w->delayed,
			       "Your message could not be delivered yet. You need not send it again. It waits for:");
	write_group_for_people(w, REPORT_RELAYED, w->relayed,
			       "Your message was passed on to a host that gives no notice of delivery, for:");
	buf_printf(w->out, "It came here as %.*s; a part of it is below.\r\n", SLICE_ARG(w->report->queue_id));
}

static void write_field(struct writing *w, struct slice name, const char *type, struct slice value)
{
	const struct slice parts[] = {slice_from_cstr(type), value};

	header_write(w->out, name, slice_join(w->arena, parts, 2));
}

/* RFC 3464 section 2.3.5: the name of the host, as "mx.example.org" or "[192.0.2.1]". */
static struct slice remote_name(struct slice remote)
{
	return slice_cut(&remote, ' ');
}

static void write_recipient(struct writing *w, const struct report_recipient *recipient)
{
	static const struct slice ACTIONS[] = {SLICE("failed"), SLICE("delayed"), SLICE("relayed")};
	struct slice address = reply_one_line(w->arena, recipient->address);

	buf_add_literal(w->out, "\r\n");
	if (recipient->original.len > 0)
		write_field(w, SLICE("Original-Recipient"), "",
			    reply_one_line(w->arena, report_decode_xtext(w->arena, recipient->original)));
	write_field(w, SLICE("Final-Recipient"), slice_is_ascii(address) ? "rfc822;" : "utf-8;", address);
	write_field(w, SLICE("Action"), "", ACTIONS[recipient->action]);
	write_field(w, SLICE("Status"), "", recipient->status);
	if (recipient->remote.len > 0)
		write_field(w, SLICE("Remote-MTA"), "dns; ", harmless(w->arena, remote_name(recipient->remote)));
	if (recipient->action != REPORT_RELAYED)
		write_field(w, SLICE("Diagnostic-Code"), recipient->reply.is_ours ? "x-posthorn; " : "smtp; ",
			    harmless(w->arena, recipient->reply.text));
	write_date(w, SLICE("Last-Attempt-Date"), w->report->now_ms);
	if (recipient->action == REPORT_DELAYED)
		write_date(w, SLICE("Will-Retry-Until"), recipient->retry_until_ms);
}

/* RFC 3464 section 2.2, 2.3 */
static void write_for_programs(struct writing *w)
{
	begin_part(w, w->is_utf8 ? "message/global-delivery-status" : "message/delivery-status", w->is_utf8);
	if (w->report->envelope_id.len > 0)
		write_field(w, SLICE("Original-Envelope-Id"), "",
			    reply_one_line(w->arena, report_decode_xtext(w->arena, w->report->envelope_id)));
	write_field(w, SLICE("Reporting-MTA"), "dns; ", w->report->hostname);
	write_field(w, SLICE("X-Posthorn-Queue-Id"), "", w->report->queue_id);
	write_date(w, SLICE("Arrival-Date"), w->report->arrived_ms);
	for (size_t i = 0; i < w->report->count; i++)
		write_recipient(w, &w->report->recipients[i]);
}

static void write_original(struct writing *w)
{
	struct slice original = w->report->original;
	bool is_8bit = !slice_is_ascii(original);

	if (w->is_utf8) /* RFC 6533 section 3 */
		begin_part(w, w->report->original_is_whole ? "message/global" : "message/global-headers", is_8bit);
	else
		begin_part(w, w->report->original_is_whole ? "message/rfc822" : "text/rfc822-headers", is_8bit);
	buf_add(w->out, original);
	buf_printf(w->out, "\r\n--%.*s--\r\n", SLICE_ARG(w->boundary));
}

void report_write(struct buf *out, struct arena *arena, const struct report *report, bool *is_utf8)
{
	struct writing w = {.out = out, .arena = arena, .report = report, .boundary = random_token(arena, 32)};

	count_actions(&w);
	write_header(&w);
	write_for_people(&w);
	write_for_programs(&w);
	write_original(&w);
	*is_utf8 = w.is_utf8;
}
