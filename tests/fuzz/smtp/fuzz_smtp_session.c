/* Whole sessions with roles that are played: replies are lines that SMTP knows, and what is delivered is what was sent.
 *
 * The first byte says which listener and what is said: 0 whatever comes; 1 what comes is the text of DATA; 2 it comes in chunks.
 * The second is the size of the pieces in which it arrives. */
#include <stdlib.h>

#include "fake_roles.h"
#include "memory_conn.h"
#include "simple_dots.h"
#include "smtp/smtp.h"

#define PROLOGUE  "HELO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<ok@example.test>\r\n"
#define SAID      "Subject: x\r\n\r\n"
#define LINE_MAX  512   /* RFC 5321 section 4.5.3.1.5 */
#define CHALLENGE 12288 /* RFC 4954 section 4 */

enum mode { MODE_FREE, MODE_DATA, MODE_CHUNKS, MODE_COUNT };

static struct {
	bool is_checked; /* the next message that is brought must be this: */
	struct slice expected;
	unsigned brought;
} world;

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Behind our own trace field. */
static struct slice without_received(struct slice body)
{
	struct slice line;

	must(slice_starts_with(body, SLICE("Received: from ")));
	do
		line = slice_cut(&body, '\n');
	while (slice_starts_with(body, SLICE("\t")) && line.len > 0);
	return body;
}

static void brought(const struct fake_message *message)
{
	must(!simple_text_has_bare(message->body));
	must(message->recipients.len > 0);
	if (world.brought++ == 0 && world.is_checked)
		must(slice_eq(without_received(message->body), world.expected));
	else
		without_received(message->body);
}

static void check_line(struct slice line)
{
	must(line.len >= 4 && line.data[0] >= '2' && line.data[0] <= '5');
	must(ascii_is_digit(line.data[1]) && ascii_is_digit(line.data[2]));
	must(line.data[3] == ' ' || line.data[3] == '-');
	must(line.len + 2 <= (slice_starts_with(line, SLICE("334 ")) ? CHALLENGE : LINE_MAX));
	for (size_t i = 0; i < line.len; i++)
		must(line.data[i] >= ' ' && line.data[i] <= '~');
}

static void check_replies(struct slice output)
{
	while (output.len > 0) {
		size_t end = slice_find(output, SLICE("\r\n"));

		must(end != SLICE_NOT_FOUND);
		check_line(slice_sub(output, 0, end));
		output = slice_skip(output, end + 2);
	}
}

/* ---- what the client says ---- */

static bool nothing_more(void *context, struct conn *conn)
{
	(void)context;
	(void)conn;
	return false;
}

static void say_data(struct arena *arena, struct buf *out, struct slice text)
{
	struct slice whole = slice_join(arena, (const struct slice[]){SLICE(SAID), text}, 2);
	struct simple_text decoded = simple_text_decode(whole, arena_alloc(arena, whole.len));

	buf_add_literal(out, PROLOGUE "DATA\r\n");
	buf_add(out, whole);
	world.is_checked = decoded.ended && !decoded.has_bare && memchr(whole.data, 0, whole.len) == NULL;
	world.expected = slice_of(decoded.bytes, decoded.len);
}

static void say_chunks(struct arena *arena, struct buf *out, struct slice text)
{
	struct slice whole = slice_join(arena, (const struct slice[]){SLICE(SAID), text}, 2), rest = text;

	buf_printf(out, PROLOGUE "BDAT %zu\r\n" SAID, sizeof(SAID) - 1);
	while (rest.len > 0) {
		size_t len = (unsigned char)rest.data[0] % 32;
		struct slice chunk = slice_sub(rest, 0, len);

		buf_printf(out, "BDAT %zu\r\n", chunk.len);
		buf_add(out, chunk);
		rest = len ? slice_skip(rest, len) : slice_of(rest.data, rest.len - 1);
		if (len == 0)
			whole = slice_sub(whole, 0, whole.len - 1);
	}
	buf_add_literal(out, "BDAT 0 LAST\r\n");
	world.is_checked = !simple_text_has_bare(whole) && memchr(whole.data, 0, whole.len) == NULL;
	world.expected = slice_ends_with(whole, SLICE("\r\n"))
				 ? whole
				 : slice_join(arena, (const struct slice[]){whole, SLICE("\r\n")}, 2);
}

static void run(struct arena *arena, uint8_t choice, uint8_t piece, struct slice text)
{
	static const char *const names[] = {"smtp", "submission"};
	static const struct log quiet = {.fd = -1, .level = LOG_LEVEL_ERROR};
	enum mode mode = choice % MODE_COUNT;
	bool may_submit = mode == MODE_FREE && choice & 32;
	struct smtp_context context = {.options = {.hostname = SLICE("mx.example.test"),
						   .max_message_size = 100000,
						   .max_recipients = 3,
						   .max_errors = 50,
						   .plaintext = choice & 64 ? SMTP_PLAINTEXT_ALWAYS : SMTP_PLAINTEXT_NEVER},
				       .log = &quiet};
	struct listener listener = {
		.name = names[may_submit], .context = &context, .tls = choice & 128 ? (struct tls_context *)arena : NULL};
	struct conn conn;

	memory_conn_init(&conn, nothing_more, NULL);
	conn.piece = piece;
	if (mode == MODE_DATA)
		say_data(arena, &conn.input, text);
	else if (mode == MODE_CHUNKS)
		say_chunks(arena, &conn.input, text);
	else
		buf_add(&conn.input, text);
	memory_conn_run(&conn, &smtp_protocol, &listener);
	check_replies(buf_slice(&conn.output));
	must(!world.is_checked || world.brought > 0);
	memory_conn_free(&conn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;

	if (size < 2 || size > 50000)
		return 0;
	fake_roles_reset();
	fake_roles.brought = brought;
	memset(&world, 0, sizeof(world));
	run(&arena, data[0], data[1], slice_of((const char *)data + 2, size - 2));
	fake_roles_reset();
	return 0;
}
