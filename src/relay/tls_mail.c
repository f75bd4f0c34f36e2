#include "relay/tls_mail.h"

#include <zlib.h>

#include "base/base64.h"
#include "base/clock.h"

#define DAY_S       INT64_C(86400)
#define GZIP_WINDOW (15 + 16)
#define LINE        54 /* bytes that make 72 characters */

bool tls_mail_pack(struct buf *out, struct slice json)
{
	z_stream stream = {.next_in = (Bytef *)json.data, .avail_in = (uInt)json.len};
	char *room;
	int result;

	if (json.len > UINT32_MAX || deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	size_t bound = deflateBound(&stream, json.len);

	room = buf_reserve(out, bound);
	stream.next_out = (Bytef *)room;
	stream.avail_out = (uInt)bound;
	result = room ? deflate(&stream, Z_FINISH) : Z_MEM_ERROR;
	if (result == Z_STREAM_END)
		buf_advance(out, stream.total_out);
	deflateEnd(&stream);
	return result == Z_STREAM_END;
}

/* RFC 5322 section 3.3 */
static void write_date(struct buf *out, int64_t now_ms)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct civil_time now = clock_civil(now_ms, 0);

	buf_printf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[now.weekday], now.day, months[now.month - 1], now.year,
		   now.hour, now.minute, now.second);
}

static void write_id(struct buf *out, const struct tls_mail *mail)
{
	struct civil_time day = clock_civil(mail->day * DAY_S * 1000, 0);

	buf_printf(out, "%04d-%02d-%02d_%.*s@%.*s", day.year, day.month, day.day, SLICE_ARG(mail->domain), SLICE_ARG(mail->hostname));
}

static void write_header(struct buf *out, const struct tls_mail *mail)
{
	buf_printf(out, "From: <%.*s>\r\nTo: <%.*s>\r\n", SLICE_ARG(mail->from), SLICE_ARG(mail->to));
	write_date(out, mail->now_ms);
	buf_printf(out, "Subject: Report Domain: %.*s\r\n Submitter: %.*s\r\n Report-ID: <", SLICE_ARG(mail->domain),
		   SLICE_ARG(mail->hostname));
	write_id(out, mail);
	buf_add_literal(out, ">\r\nMessage-ID: <tlsrpt_");
	write_id(out, mail);
	/* RFC 8460 section 3: it must arrive despite the very trouble that it tells of (RFC 8689 section 3). */
	buf_printf(out, ">\r\nTLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\nTLS-Required: No\r\n"
			"Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
			"Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"=_tlsrpt\"\r\n\r\n",
		   SLICE_ARG(mail->domain), SLICE_ARG(mail->hostname));
}

static void write_base64(struct buf *out, struct slice bytes)
{
	for (; bytes.len > 0; bytes = slice_skip(bytes, LINE)) {
		base64_encode(out, slice_sub(bytes, 0, LINE));
		buf_add_literal(out, "\r\n");
	}
}

/* RFC 8460 section 5.1 */
static void write_file_name(struct buf *out, const struct tls_mail *mail)
{
	buf_printf(out, "%.*s!%.*s!%lld!%lld.json.gz", SLICE_ARG(mail->hostname), SLICE_ARG(mail->domain), (long long)(mail->day * DAY_S),
		   (long long)((mail->day + 1) * DAY_S - 1));
}

void tls_mail_write(struct buf *out, const struct tls_mail *mail)
{
	write_header(out, mail);
	buf_printf(out, "--=_tlsrpt\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
			"This is a report on TLS with the mail hosts of %.*s, from %.*s.\r\n\r\n"
			"--=_tlsrpt\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
			"Content-Disposition: attachment;\r\n\tfilename=\"",
		   SLICE_ARG(mail->domain), SLICE_ARG(mail->hostname));
	write_file_name(out, mail);
	buf_add_literal(out, "\"\r\n\r\n");
	write_base64(out, mail->packed);
	buf_add_literal(out, "--=_tlsrpt--\r\n");
}
