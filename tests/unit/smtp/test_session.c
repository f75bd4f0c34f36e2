/* Golden transcripts: tests/data/smtp/NAME.txt, replayed through a session as a client would speak it, with what it says coming whole,
 * byte by byte, and in pieces of seven bytes. A line begins with what it is:
 *
 *     set KEY VALUE      before the greeting: listener, tls (offered, broken, on), session, peer, senders (of local programs), vrfy, expn, plaintext, trusted, proxies (XCLIENT, XFORWARD), policy (of the listener), size, recipients, errors, hops;
 *                        files, filesize: what the system gives at most;
 *                        early, buffered: what it said before the greeting, still in the socket or read with a PROXY header
 *     C: text            the client says that, with CRLF; \r \n \0 \xHH are bytes
 *     X: text            likewise without CRLF
 *     fill N             the client sends N bytes of lines
 *     repeat N TEXT      the client says that N times, each with CRLF
 *     replies N TEXT     the server says that N times
 *     long N             the client sends N bytes of base64, and a line end
 *     S: text            the server says that; '*' stands for anything
 *     R: text            the Received field of the message that was delivered last, unfolded
 *     B: text            a line of that message behind it
 *     M: from | to       its envelope
 *     F: words           and its marks
 *     cancelled          one exchange of AUTH was
 *     none               no message has been delivered
 *     sends N            since the last such line the server's words went out in N pieces, if what the client said came whole
 *     event NAME         shutdown, deadline
 *     gone               the client is gone
 *     end                the server closes
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_roles.h"
#include "memory_conn.h"
#include "smtp/smtp.h"

#define FILES_USUAL 256

struct script {
	const char *name;
	struct arena arena;
	struct slice text, rest;
	unsigned line;
	size_t output_at; /* what of the output has been looked at */
	size_t body_at;
	bool body_begun, ended;
	unsigned sends;
	struct log log;
	struct smtp_context context;
	struct listener listener;
	struct net_prefix everybody;
	struct conn conn;
};

static bool glob(struct slice pattern, struct slice text)
{
	size_t star = slice_find_byte(pattern, '*');

	if (star == SLICE_NOT_FOUND)
		return slice_eq(pattern, text);
	if (!slice_starts_with(text, slice_sub(pattern, 0, star)))
		return false;
	pattern = slice_skip(pattern, star + 1);
	for (size_t i = star; i <= text.len; i++)
		if (glob(pattern, slice_skip(text, i)))
			return true;
	return false;
}

static void demand(const struct script *s, struct slice expected, struct slice found)
{
	if (!glob(expected, found))
		fail_msg("%s:%u: expected: %.*s\nfound: %.*s", s->name, s->line, SLICE_ARG(expected), SLICE_ARG(found));
}

/* A line's end with CRLF is taken off *rest; what has none is no line. */
static struct slice cut_line(const struct script *s, struct slice *rest)
{
	size_t end = slice_find(*rest, SLICE("\r\n"));
	struct slice line;

	if (end == SLICE_NOT_FOUND)
		fail_msg("%s:%u: nothing is there (\"%.*s\")", s->name, s->line, SLICE_ARG(*rest));
	line = slice_sub(*rest, 0, end);
	*rest = slice_skip(*rest, end + 2);
	return line;
}

static void check_reply(struct script *s, struct slice expected)
{
	struct slice rest = slice_sub(buf_slice(&s->conn.output), s->output_at, s->conn.sent);

	demand(s, expected, cut_line(s, &rest));
	s->output_at = s->conn.sent - rest.len;
}

/* ---- what was delivered ---- */

static struct slice received_field(struct script *s)
{
	struct slice body = fake_roles.last.body, rest = body;
	struct buf unfolded;

	buf_init(&unfolded, &s->arena, 0);
	buf_add(&unfolded, cut_line(s, &rest));
	while (slice_starts_with(rest, SLICE("\t"))) {
		struct slice line = cut_line(s, &rest);

		buf_add_byte(&unfolded, ' ');
		buf_add(&unfolded, slice_skip(line, 1));
	}
	s->body_at = body.len - rest.len;
	return buf_slice(&unfolded);
}

static void check_body_line(struct script *s, struct slice expected)
{
	struct slice rest;

	if (!s->body_begun)
		received_field(s);
	s->body_begun = true;
	rest = slice_skip(fake_roles.last.body, s->body_at);
	demand(s, expected, cut_line(s, &rest));
	s->body_at = fake_roles.last.body.len - rest.len;
}

static void end_body(struct script *s)
{
	if (s->body_begun && s->body_at != fake_roles.last.body.len)
		fail_msg("%s:%u: the message goes on: %.*s", s->name, s->line,
			 SLICE_ARG(slice_skip(fake_roles.last.body, s->body_at)));
	s->body_begun = false;
}

static void check_envelope(struct script *s, struct slice expected)
{
	const struct fake_message *last = &fake_roles.last;

	demand(s, expected, slice_join(&s->arena, (const struct slice[]){last->sender, SLICE(" | "), last->recipients}, 3));
}

static void check_marks(struct script *s, struct slice expected)
{
	const struct fake_message *last = &fake_roles.last;
	struct buf marks;

	buf_init(&marks, &s->arena, 0);
	buf_printf(&marks, "account=%d%s%s%s%s%s%s envid=%.*s", (int)last->account, last->by_memfd ? " memfd" : "",
		   last->requires_tls ? " tls" : "", last->dsn_return == DSN_RETURN_HEADERS ? " hdrs" : "",
		   last->dsn_return == DSN_RETURN_FULL ? " full" : "", last->needs_utf8 ? " utf8" : "",
		   last->body_8bit ? " 8bit" : "", SLICE_ARG(last->envelope_id));
	demand(s, expected, buf_slice(&marks));
}

/* ---- the client ---- */

static void add_text(struct script *s, struct slice text, bool with_line_end)
{
	struct buf *out = &s->conn.input;
	uint64_t byte;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] != '\\' || ++i == text.len) {
			buf_add_byte(out, text.data[i < text.len ? i : i - 1]);
			continue;
		}
		switch (text.data[i]) {
		case 'r':
			buf_add_byte(out, '\r');
			break;
		case 'n':
			buf_add_byte(out, '\n');
			break;
		case '0':
			buf_add_byte(out, '\0');
			break;
		case 'x':
			assert_true(slice_hex_to_u64(slice_sub(text, i + 1, i + 3), &byte));
			buf_add_byte(out, (char)byte);
			i += 2;
			break;
		default:
			buf_add_byte(out, text.data[i]);
		}
	}
	if (with_line_end)
		buf_add_literal(out, "\r\n");
}

static void fill(struct script *s, struct slice number)
{
	uint64_t count;

	assert_true(slice_to_u64(number, 1 << 30, &count));
	for (uint64_t i = 0; i < count; i++)
		buf_add_byte(&s->conn.input, i % 80 == 78 ? '\r' : i % 80 == 79 ? '\n' : 'x');
}

static uint64_t cut_number(struct slice *text)
{
	uint64_t number;

	assert_true(slice_to_u64(slice_cut(text, ' '), 100000, &number));
	return number;
}

static void say_long(struct script *s, struct slice number)
{
	uint64_t count;

	assert_true(slice_to_u64(number, 1 << 30, &count));
	for (uint64_t i = 0; i < count; i++)
		buf_add_byte(&s->conn.input, 'A');
	buf_add_literal(&s->conn.input, "\r\n");
}

static void check_sends(struct script *s, struct slice number)
{
	uint64_t count;

	assert_true(slice_to_u64(number, 1000, &count));
	if (s->conn.piece == 0 && s->conn.sends - s->sends != count)
		fail_msg("%s:%u: %u pieces", s->name, s->line, s->conn.sends - s->sends);
	s->sends = s->conn.sends;
}

/* ---- the script ---- */

static void set_tls(struct script *s, struct slice value)
{
	s->listener.tls = (struct tls_context *)s;
	s->conn.tls_is_broken = slice_eq(value, SLICE("broken"));
	s->conn.is_tls = slice_eq(value, SLICE("on"));
}

/* Until the end of the transcript. */
static void limit(int resource, uint64_t value)
{
	struct rlimit most;

	assert_int_equal(getrlimit((__rlimit_resource_t)resource, &most), 0);
	most.rlim_cur = value;
	assert_int_equal(setrlimit((__rlimit_resource_t)resource, &most), 0);
}

static void say_early(struct script *s, struct slice text)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(send(pair[0], text.data, text.len, 0), text.len);
	close(pair[0]);
	s->conn.fd = pair[1];
}

/* What the peer says of others is believed; 192.0.2.1 alone may relay. */
static void trust_proxies(struct script *s)
{
	s->everybody = (struct net_prefix){{.family = AF_INET, .bytes = {192, 0, 2, 1}}, 32};
	s->context.options.xclient_from = s->context.options.xforward_from = &s->everybody;
	s->context.options.xclient_from_count = s->context.options.xforward_from_count = 1;
	s->context.options.trusted_count = 1;
}

/* Words: what differs on this listener. */
static void set_policy(struct script *s, struct slice words)
{
	struct smtp_policy *policy = ARENA_NEW(&s->arena, struct smtp_policy);

	while (words.len > 0) {
		struct slice word = slice_cut(&words, ' ');

		if (slice_eq(word, SLICE("tls-required")))
			policy->tls = SMTP_TLS_REQUIRED;
		else if (slice_eq(word, SLICE("tls-off")))
			policy->tls = SMTP_TLS_OFF;
		else if (slice_eq(word, SLICE("auth-offered")))
			policy->auth = SMTP_AUTH_OFFERED;
		else if (slice_eq(word, SLICE("auth-required")))
			policy->auth = SMTP_AUTH_REQUIRED;
		else if (slice_eq(word, SLICE("no-relay")))
			policy->no_relay = true;
		else if (slice_eq(word, SLICE("small")))
			*policy = (struct smtp_policy){.hostname = SLICE("small.test"), .max_message_size = 1000, .max_recipients = 1};
		else
			fail_msg("%s:%u: which policy?", s->name, s->line);
	}
	s->listener.policy = policy;
}

static void allow_senders(struct script *s, struct slice senders)
{
	struct smtp_local_rule *rule = ARENA_NEW(&s->arena, struct smtp_local_rule);

	*rule = (struct smtp_local_rule){.is_everybody = true, .senders = senders};
	s->context.options.origin = SLICE("origin.test");
	s->context.options.local_rules = rule;
	s->context.options.local_rule_count = 1;
}

static void set(struct script *s, struct slice key, struct slice value)
{
	struct smtp_options *options = &s->context.options;
	uint64_t number = 0;
	bool is_number = slice_to_u64(value, UINT64_MAX, &number);

	if (slice_eq(key, SLICE("listener")))
		s->listener.name = slice_cstr(&s->arena, value);
	else if (slice_eq(key, SLICE("tls")))
		set_tls(s, value);
	else if (slice_eq(key, SLICE("session")))
		options->session_timeout_ms = -1;
	else if (slice_eq(key, SLICE("peer")) && slice_eq(value, SLICE("loopback")))
		s->conn.peer.bytes[0] = 127;
	else if (slice_eq(key, SLICE("peer")) && slice_eq(value, SLICE("unix")))
		s->conn.peer.family = 0;
	else if (slice_eq(key, SLICE("vrfy")))
		options->vrfy = slice_eq(value, SLICE("always")) ? SMTP_VRFY_ALWAYS : SMTP_VRFY_TRUSTED;
	else if (slice_eq(key, SLICE("expn")))
		options->expn = slice_eq(value, SLICE("always")) ? SMTP_VRFY_ALWAYS : SMTP_VRFY_TRUSTED;
	else if (slice_eq(key, SLICE("senders")))
		allow_senders(s, value);
	else if (slice_eq(key, SLICE("plaintext")))
		options->plaintext = slice_eq(value, SLICE("always"))     ? SMTP_PLAINTEXT_ALWAYS
				     : slice_eq(value, SLICE("loopback")) ? SMTP_PLAINTEXT_LOOPBACK
									  : SMTP_PLAINTEXT_NEVER;
	else if (slice_eq(key, SLICE("early")))
		say_early(s, value);
	else if (slice_eq(key, SLICE("buffered")))
		buf_add(&s->conn.input, value);
	else if (slice_eq(key, SLICE("proxies")))
		trust_proxies(s);
	else if (slice_eq(key, SLICE("policy")))
		set_policy(s, value);
	else if (slice_eq(key, SLICE("trusted")))
		options->trusted_count = 1;
	else if (slice_eq(key, SLICE("files")) && is_number)
		limit(RLIMIT_NOFILE, number);
	else if (slice_eq(key, SLICE("filesize")) && is_number)
		limit(RLIMIT_FSIZE, number);
	else if (slice_eq(key, SLICE("size")) && is_number)
		options->max_message_size = number;
	else if (slice_eq(key, SLICE("recipients")) && is_number)
		options->max_recipients = (unsigned)number;
	else if (slice_eq(key, SLICE("errors")) && is_number)
		options->max_errors = (unsigned)number;
	else if (slice_eq(key, SLICE("hops")) && is_number)
		options->max_received_hops = (unsigned)number;
	else
		fail_msg("%s:%u: set what?", s->name, s->line);
}

/* A line that isn't the client's. False: it is. */
static bool check_line(struct script *s, struct slice word, struct slice text)
{
	static const struct event events[] = {{EVENT_SHUTDOWN, 0}, {EVENT_DEADLINE, 0}};

	if (slice_eq(word, SLICE("S:")))
		check_reply(s, text);
	else if (slice_eq(word, SLICE("R:")))
		demand(s, text, received_field(s));
	else if (slice_eq(word, SLICE("B:")))
		check_body_line(s, text);
	else if (slice_eq(word, SLICE("M:")))
		check_envelope(s, text);
	else if (slice_eq(word, SLICE("F:")))
		check_marks(s, text);
	else if (slice_eq(word, SLICE("replies")))
		for (uint64_t left = cut_number(&text); left > 0; left--)
			check_reply(s, text);
	else if (slice_eq(word, SLICE("sends")))
		check_sends(s, text);
	else if (slice_eq(word, SLICE("cancelled")))
		assert_int_equal(fake_roles.cancelled, 1);
	else if (slice_eq(word, SLICE("none")))
		assert_int_equal(fake_roles.messages, 0);
	else if (slice_eq(word, SLICE("end")))
		s->ended = true;
	else if (slice_eq(word, SLICE("event")))
		s->conn.event = &events[slice_eq(text, SLICE("deadline"))];
	else
		return false;
	return true;
}

static bool next_line(struct script *s, struct slice *word, struct slice *text)
{
	while (s->rest.len > 0) {
		*text = slice_cut(&s->rest, '\n');
		s->line++;
		if (text->len == 0 || text->data[0] == '#')
			continue;
		*word = slice_cut(text, ' ');
		return true;
	}
	return false;
}

/* The server waits: it must have said what it should; then the client goes on. */
static bool more(void *context, struct conn *conn)
{
	struct script *s = context;
	struct slice word, text, before = s->rest;
	size_t had = conn->input.len;

	while (!conn->event && next_line(s, &word, &text)) {
		if (!slice_eq(word, SLICE("B:")))
			end_body(s);
		if (slice_eq(word, SLICE("C:")) || slice_eq(word, SLICE("X:"))) {
			add_text(s, text, word.data[0] == 'C');
		} else if (slice_eq(word, SLICE("fill"))) {
			fill(s, text);
		} else if (slice_eq(word, SLICE("long"))) {
			say_long(s, text);
		} else if (slice_eq(word, SLICE("repeat"))) {
			for (uint64_t left = cut_number(&text); left > 0; left--)
				add_text(s, text, true);
		} else if (conn->input.len > had) {
			s->rest = before; /* that is for when the server has answered */
			s->line--;
			return true;
		} else if (slice_eq(word, SLICE("gone"))) {
			return false;
		} else if (!check_line(s, word, text)) {
			fail_msg("%s:%u: what is \"%.*s\"?", s->name, s->line, SLICE_ARG(word));
		}
		if (s->ended)
			fail_msg("%s:%u: the server goes on", s->name, s->line);
		before = s->rest;
	}
	return conn->event || conn->input.len > had;
}

static void read_script(struct script *s)
{
	char *path = getenv("SMTP_TRANSCRIPTS"), name[500];
	FILE *file;
	size_t len;
	char *bytes = arena_alloc(&s->arena, 1 << 20);

	snprintf(name, sizeof(name), "%s/%s.txt", path ? path : TRANSCRIPTS, s->name);
	file = fopen(name, "r");
	if (!file)
		fail_msg("%s is missing", name);
	len = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	s->text = s->rest = slice_of(bytes, len);
}

static void settings(struct script *s)
{
	struct slice word, text, before = s->rest;

	while (next_line(s, &word, &text) && slice_eq(word, SLICE("set"))) {
		struct slice key = slice_cut(&text, ' ');

		set(s, key, text);
		before = s->rest;
	}
	s->rest = before;
	s->line--;
}

static void finish(struct script *s)
{
	struct slice word, text;

	while (next_line(s, &word, &text)) {
		if (!slice_eq(word, SLICE("B:")))
			end_body(s);
		if (!check_line(s, word, text))
			fail_msg("%s:%u: the server has closed", s->name, s->line);
	}
	end_body(s);
	if (s->output_at != s->conn.sent)
		fail_msg("%s: the server says more: %.*s", s->name,
			 SLICE_ARG(slice_sub(buf_slice(&s->conn.output), s->output_at, s->conn.sent)));
}

static unsigned open_files(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < FILES_USUAL; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void replay(const char *name, size_t piece)
{
	struct script s = {.name = name, .listener = {.name = "smtp", .protocol = &smtp_protocol}};

	arena_init(&s.arena, 0);
	fake_roles_reset();
	log_init(&s.log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("test"));
	s.everybody.address.family = AF_INET;
	s.context = (struct smtp_context){.options = {.hostname = SLICE("mx.example.test"), .trusted = &s.everybody},
					  .log = &s.log};
	s.listener.context = &s.context;
	memory_conn_init(&s.conn, more, &s);
	s.conn.piece = piece;
	read_script(&s);
	settings(&s);
	s.conn.arrived = s.conn.input.len;
	unsigned files = open_files();

	memory_conn_run(&s.conn, &smtp_protocol, &s.listener);
	limit(RLIMIT_NOFILE, FILES_USUAL);
	limit(RLIMIT_FSIZE, RLIM_INFINITY);
	assert_int_equal(open_files(), files);
	finish(&s);
	if (s.conn.fd >= 0)
		close(s.conn.fd);
	memory_conn_free(&s.conn);
	arena_free(&s.arena);
	fake_roles_reset();
}

static void test_transcript(void **state)
{
	replay(*state, 0);
	replay(*state, 1);
	replay(*state, 7);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"auth",
					    "auth_long",
					    "auth_plain",
					    "author",
					    "basic",
					    "bdat",
					    "bdat_limits",
					    "binary",
					    "data",
					    "deadline",
					    "deadline_mail",
					    "dsn",
					    "early",
					    "early_buffered",
					    "early_submission",
					    "envelope",
					    "errors",
					    "expn",
					    "expn_stranger",
					    "hostile",
					    "http",
					    "implicit_tls",
					    "large",
					    "limits",
					    "lmtp",
					    "lmtp_stranger",
					    "lmtp_trusted",
					    "local",
					    "loop",
					    "lost_chunk",
					    "lost_data",
					    "lost_large",
					    "mail_syntax",
					    "nul",
					    "nul_local",
					    "pipelining",
					    "policy_auth",
					    "policy_no_relay",
					    "policy_open",
					    "policy_small",
					    "policy_tls",
					    "policy_tls_off",
					    "recipients",
					    "sequence",
					    "session_over",
					    "shutdown",
					    "smuggling",
					    "starttls",
					    "storage",
					    "storage_full",
					    "lost_line",
					    "lost_refused",
					    "starttls_auth",
					    "starttls_broken",
					    "submission",
					    "trusted",
					    "utf8",
					    "vrfy",
					    "vrfy_stranger",
					    "xclient",
					    "xclient_banned",
					    "xclient_login",
					    "xclient_stranger",
					    "xforward"};
	struct CMUnitTest tests[sizeof(names) / sizeof(*names)];
	size_t count = 0;

	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (argc < 2 || strcmp(argv[1], names[i]) == 0)
			tests[count++] = (struct CMUnitTest){names[i], test_transcript, NULL, NULL, (void *)names[i]};
	return _cmocka_run_group_tests("transcripts", tests, count, NULL, NULL);
}
