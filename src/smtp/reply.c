#include "smtp/reply.h"

#include "base/base64.h"
#include "base/clock.h"
#include "smtp/client_info.h"

/* RFC 5321 section 4.5.3.1.5: a reply line has at most 512 bytes. */
#define TEXT_MAX (512 - sizeof("250 5.7.100 \r\n"))

static const struct {
	unsigned code;
	const char *enhanced, *text;
} replies[REPLY_COUNT] = {
	[REPLY_NONE] = {451, "4.3.0", "Nothing to say"},
	[REPLY_OK] = {250, "2.0.0", "Ok"},
	[REPLY_SENDER_OK] = {250, "2.1.0", "Ok"},
	[REPLY_CHUNK_OK] = {250, "2.0.0", "Chunk received"},
	[REPLY_BYE] = {221, "2.0.0", "Bye"},
	[REPLY_HELP] = {214, "2.0.0", "See RFC 5321"},
	[REPLY_CANNOT_VERIFY] = {252, "2.0.0", "Cannot verify, but will take a message and try"},
	[REPLY_START_TLS] = {220, "2.0.0", "Ready to start TLS"},
	[REPLY_AUTHENTICATED] = {235, "2.7.0", "Authentication successful"},
	[REPLY_GO_AHEAD] = {354, "", "End data with <CR><LF>.<CR><LF>"},
	[REPLY_TIMEOUT] = {421, "4.4.2", "Timeout, closing connection"},
	[REPLY_SESSION_TOO_LONG] = {421, "4.4.2", "Session has lasted too long, closing connection"},
	[REPLY_SHUTDOWN] = {421, "4.3.2", "Service is shutting down, try again later"},
	[REPLY_TOO_MANY_ERRORS] = {421, "4.7.0", "Too many errors, closing connection"},
	[REPLY_NOT_SMTP] = {421, "4.7.0", "This is no HTTP server"},
	[REPLY_OUT_OF_MEMORY] = {421, "4.3.0", "Session has used up its memory"},
	[REPLY_STORAGE] = {452, "4.3.1", "Insufficient system storage, try again later"},
	[REPLY_TOO_MANY_RECIPIENTS] = {452, "4.5.3", "Too many recipients, send the rest in another message"},
	[REPLY_AUTH_TEMPORARY] = {454, "4.7.0", "Temporary authentication failure, try again later"},
	[REPLY_EARLY_TALKER] = {554, "", "You spoke before the greeting"},
	[REPLY_OUT_OF_TURN] = {554, "5.5.0", "You spoke before my answer"},
	[REPLY_LMTP_STRANGER] = {554, "", "LMTP is for trusted peers only"},
	[REPLY_LMTP_NEED_RCPT] = {503, "5.5.1", "No valid recipients"}, /* RFC 2033 section 4.2 */
	[REPLY_SENDER_NOT_YOURS] = {553, "5.7.1", "Sender address is not yours"},
	[REPLY_UNKNOWN_COMMAND] = {500, "5.5.1", "Command not recognized"},
	[REPLY_LINE_TOO_LONG] = {500, "5.5.2", "Line too long"},
	[REPLY_CONTROL_CHARACTER] = {500, "5.5.2", "Control characters are not allowed in commands"},
	[REPLY_BARE_LINE_END] = {500, "5.5.2", "Bare CR or LF is not allowed, lines end with CRLF"},
	[REPLY_NO_ARGUMENT] = {501, "5.5.4", "Command takes no argument"},
	[REPLY_ARGUMENT_MISSING] = {501, "5.5.4", "Argument is missing"},
	[REPLY_SYNTAX_HELLO] = {501, "", "Say EHLO with your host name"},
	[REPLY_SYNTAX_MAIL] = {501, "5.5.2", "Syntax: MAIL FROM:<address> [parameters]"},
	[REPLY_SYNTAX_RCPT] = {501, "5.5.2", "Syntax: RCPT TO:<address> [parameters]"},
	[REPLY_SYNTAX_BDAT] = {501, "5.5.4", "Syntax: BDAT size [LAST]"},
	[REPLY_SYNTAX_AUTH] = {501, "5.5.4", "Syntax: AUTH mechanism [initial-response]"},
	[REPLY_BAD_SENDER] = {501, "5.1.7", "Bad sender address syntax"},
	[REPLY_BAD_RECIPIENT] = {501, "5.1.3", "Bad recipient address syntax"},
	[REPLY_NEEDS_SMTPUTF8] = {553, "5.6.7", "Address needs SMTPUTF8"},
	[REPLY_PARAMETER_VALUE] = {501, "5.5.4", "Bad parameter value"},
	[REPLY_PARAMETER_UNKNOWN] = {555, "5.5.4", "Unsupported parameter"},
	[REPLY_SAY_HELLO] = {503, "5.5.1", "Say EHLO first"},
	[REPLY_NESTED_MAIL] = {503, "5.5.1", "Sender is given already"},
	[REPLY_NEED_MAIL] = {503, "5.5.1", "Say MAIL first"},
	[REPLY_NEED_RCPT] = {554, "5.5.1", "No valid recipients"},
	[REPLY_BDAT_BEGUN] = {503, "5.5.1", "Message was begun with BDAT"},
	[REPLY_BDAT_FAILED] = {503, "5.5.1", "A former chunk was refused, say RSET"},
	[REPLY_SYNTAX_BURL] = {501, "5.5.4", "Syntax: BURL url [LAST]"},
	[REPLY_URL_UNAVAILABLE] = {554, "5.6.6", "What the URL names is not available to you"}, /* RFC 4468 section 5 */
	[REPLY_URL_TEMPORARY] = {451, "4.3.0", "What the URL names is not available now, try again later"},
	[REPLY_BINARY_DATA] = {503, "5.5.1", "BODY=BINARYMIME needs BDAT"},
	[REPLY_WRONG_STATE] = {503, "5.5.1", "Not during a mail transaction"},
	[REPLY_NOT_TRUSTED] = {550, "5.7.0", "You are not trusted to say so"},
	[REPLY_EXPN_DENIED] = {550, "5.7.1", "Lists are not shown to you"},
	[REPLY_REPLY_NEEDS_SMTPUTF8] = {252, "2.6.8", "The answer needs SMTPUTF8; send some mail, I'll try my best"},
	[REPLY_ATTRIBUTE] = {501, "5.5.4", "Bad attribute"},
	[REPLY_NO_EXPN] = {502, "5.5.1", "Lists are not shown"},
	[REPLY_NO_TLS] = {502, "5.5.1", "TLS is not offered here"},
	[REPLY_TLS_ALREADY] = {503, "5.5.1", "TLS is active already"},
	[REPLY_NEED_TLS] = {530, "5.7.0", "Must issue a STARTTLS command first"},
	[REPLY_NEED_AUTH] = {530, "5.7.0", "Authentication required"},
	[REPLY_NO_AUTH] = {502, "5.5.1", "Authentication is not offered here"},
	[REPLY_AUTH_ALREADY] = {503, "5.5.1", "Authenticated already"},
	[REPLY_AUTH_MECHANISM] = {504, "5.5.4", "Mechanism is not offered"},
	[REPLY_AUTH_CANCELLED] = {501, "5.7.0", "Authentication cancelled"},
	[REPLY_AUTH_MALFORMED] = {501, "5.5.2", "Cannot decode response"},
	[REPLY_AUTH_TOO_LONG] = {500, "5.5.6", "Authentication exchange line is too long"},
	[REPLY_AUTH_REFUSED] = {535, "5.7.8", "Authentication credentials invalid"},
	[REPLY_TOO_LARGE] = {552, "5.3.4", "Message is larger than is accepted here"},
	[REPLY_BY_TOO_SHORT] = {555, "5.4.7", "Delivery within so short a time can't be promised"},
	[REPLY_VERP_OF_NOBODY] = {501, "5.5.4", "XVERP needs a sender"},
	[REPLY_BARE_IN_MESSAGE] = {550, "5.6.0", "Bare CR or LF in the message is not allowed, lines end with CRLF"},
	[REPLY_NUL_IN_MESSAGE] = {550, "5.6.0", "NUL in the message is not allowed"},
	[REPLY_LOOP] = {554, "5.4.6", "Too many hops, mail loop"},
};

struct reply reply_make(enum reply_id id)
{
	return (struct reply){.code = replies[id].code,
			      .enhanced = slice_from_cstr(replies[id].enhanced),
			      .text = slice_from_cstr(replies[id].text)};
}

static bool is_printable(char c, bool utf8)
{
	return (c >= ' ' && c <= '~') || (utf8 && (c & 0x80));
}

/* RFC 5321 section 4.2: ASCII. */
static void add_printable(struct buf *out, struct slice text, bool utf8)
{
	char *to;

	text = slice_sub(text, 0, TEXT_MAX);
	to = buf_reserve(out, text.len);

	if (!to)
		return;
	for (size_t i = 0; i < text.len; i++)
		to[i] = is_printable(text.data[i], utf8) ? text.data[i] : '?';
	buf_advance(out, text.len);
}

#define LINES_MAX 32

void reply_write(struct buf *out, const struct reply *reply)
{
	struct slice rest = reply->text, line;
	unsigned lines = 0;

	do {
		line = slice_cut(&rest, '\n');
		buf_add_u64(out, reply->code);
		buf_add_byte(out, reply->goes_on || (rest.len > 0 && ++lines < LINES_MAX) ? '-' : ' ');
		if (reply->enhanced.len > 0) {
			buf_add(out, reply->enhanced);
			buf_add_byte(out, ' ');
		}
		add_printable(out, line, reply->utf8);
		buf_add_literal(out, "\r\n");
	} while (rest.len > 0 && lines < LINES_MAX);
}

void reply_write_greeting(struct buf *out, struct slice hostname)
{
	buf_add_literal(out, "220 ");
	buf_add(out, hostname);
	buf_add_literal(out, " ESMTP Posthorn\r\n");
}

void reply_write_greeting_begin(struct buf *out, struct slice hostname)
{
	buf_add_literal(out, "220-");
	buf_add(out, hostname);
	buf_add_literal(out, " ESMTP Posthorn\r\n");
}

void reply_write_lmtp_greeting(struct buf *out, struct slice hostname)
{
	buf_add_literal(out, "220 ");
	buf_add(out, hostname);
	buf_add_literal(out, " LMTP Posthorn\r\n");
}

void reply_write_challenge(struct buf *out, struct slice challenge)
{
	buf_add_literal(out, "334 ");
	base64_encode(out, challenge);
	buf_add_literal(out, "\r\n");
}

void reply_write_helo(struct buf *out, struct slice hostname)
{
	buf_add_literal(out, "250 ");
	buf_add(out, hostname);
	buf_add_literal(out, "\r\n");
}

/* RFC 4865 section 3: how long, and until when. */
static void write_future_release(struct buf *out, const struct reply_offer *offer)
{
	struct civil_time t = clock_civil(offer->now_ms + offer->future_release_ms, 0);

	buf_printf(out, "\r\n250-FUTURERELEASE %lld %04d-%02d-%02dT%02d:%02d:%02dZ", (long long)offer->future_release_ms / 1000, t.year,
		   t.month, t.day, t.hour, t.minute, t.second);
}

void reply_write_ehlo(struct buf *out, struct slice hostname, const struct reply_offer *offer)
{
	buf_add_literal(out, "250-");
	buf_add(out, hostname);
	buf_add_literal(out, "\r\n250-PIPELINING\r\n250-SIZE ");
	buf_add_u64(out, offer->max_message_size);
	if (offer->starttls)
		buf_add_literal(out, "\r\n250-STARTTLS");
	if (offer->requiretls)
		buf_add_literal(out, "\r\n250-REQUIRETLS");
	if (offer->auth.len > 0) {
		buf_add_literal(out, "\r\n250-AUTH ");
		buf_add(out, offer->auth);
	}
	if (offer->xclient) {
		buf_add_literal(out, "\r\n250-XCLIENT ");
		client_info_write_names(out, offer->xclient);
	}
	if (offer->burl)
		buf_add_literal(out, "\r\n250-BURL imap"); /* RFC 4468 section 3.1 */
	if (offer->etrn)
		buf_add_literal(out, "\r\n250-ETRN");
	if (offer->xforward) {
		buf_add_literal(out, "\r\n250-XFORWARD ");
		client_info_write_names(out, offer->xforward);
	}
	if (offer->future_release_ms > 0)
		write_future_release(out, offer);
	if (offer->deliver_by)
		buf_printf(out, "\r\n250-DELIVERBY %d", offer->deliver_by_min_s);
	if (offer->verp)
		buf_add_literal(out, "\r\n250-XVERP");
	buf_add_literal(out, "\r\n250-MT-PRIORITY");
	buf_add_literal(out, "\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-LIMITS RCPTMAX=");
	buf_add_u64(out, offer->max_recipients); /* RFC 9422 section 4.2 */
	buf_add_literal(out, "\r\n250-HELP\r\n250 CHUNKING\r\n");
}
