/* Invariant: what is written to the store is what converters said. Whatever comes between (a role that is down, a database that is away, no
 * time) is told to the caller and written nowhere. */
#include "extract/extractor.h"

#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "extract/service.h"
#include "ipc/pack.h"
#include "mime/words.h"
#include "store/email.h"

#define ATTACHMENTS_MAX  50                         /* of one message; the others count as without text */
#define TEXTS_MAX        ((size_t)16 * 1024 * 1024) /* of one message */
#define TRIES            6
#define FIRST_PAUSE_MS   50
#define WAIT_FOR_TURN_MS (10 * 60 * 1000)
#define TIME_SLACK_MS    5000 /* of a call beyond what the converter may take */

static bool wants(const void *context, struct arena *arena, struct slice structure)
{
	return extractor_wants(context, arena, structure);
}

void extractor_init(struct extractor *extractor, const struct extractor_options *options, struct store *store, struct ipc *ipc,
		    const struct log *log)
{
	*extractor =
		(struct extractor){*options, {converters_edition(&options->converters), wants, extractor}, store, ipc, log};
}

bool extractor_wants(const struct extractor *extractor, struct arena *arena, struct slice structure)
{
	struct message *message = message_unpack(arena, structure, SLICE_EMPTY);
	size_t converter;

	return message && converter_next_part(&extractor->options.converters, message, NULL, &converter) != NULL;
}

/* ---- one attachment ---- */

struct reading {
	const struct extractor *extractor;
	struct arena *arena;
	int64_t account, email, until_ms;
	struct slice former; /* what another edition has read */
	struct buf packed;
};

/* One attachment of it. */
struct attachment {
	const struct message_part *part;
	uint64_t number;
	size_t converter;
};

/* What comes back isn't trusted: made UTF-8, without controls, white space as a blank. */
static void clean(struct buf *out, struct slice text)
{
	struct buf utf8 SCOPED_BUF;
	bool space = false;

	buf_init(&utf8, NULL, 0);
	(void)charset_to_utf8(&utf8, SLICE("utf-8"), text);
	text = buf_slice(&utf8);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c <= ' ' || c == 0x7f) {
			space = out->len > 0;
			continue;
		}
		if (space)
			buf_add_byte(out, ' ');
		space = false;
		buf_add_byte(out, (char)c);
	}
}

static struct slice command_of(const struct reading *reading, const struct attachment *attachment)
{
	return reading->extractor->options.converters.list[attachment->converter].command;
}

static void keep(struct reading *reading, const struct attachment *attachment, struct slice utf8)
{
	const struct attachment_text text = {
		attachment->number, converter_number(&reading->extractor->options.converters, attachment->converter), utf8};

	if (reading->packed.len + utf8.len <= TEXTS_MAX)
		attachment_texts_add(&reading->packed, &text);
}

static bool take_text(struct reading *reading, const struct attachment *attachment, int fd)
{
	struct buf text SCOPED_BUF;
	struct ipc_body body;

	buf_init(&text, NULL, 0);
	if (fd < 0 || !ipc_body_map(fd, (size_t)reading->extractor->options.converters.attachment_text, &body))
		return false;
	clean(&text, body.bytes);
	ipc_body_unmap(&body);
	keep(reading, attachment, buf_slice(&text));
	return buf_ok(&text) && buf_ok(&reading->packed);
}

static void say_without(const struct reading *reading, const struct attachment *attachment, struct slice reason)
{
	LOG_INFO(reading->extractor->log, "attachment.without_text", LOG_INT("account", reading->account),
		 LOG_INT("email", reading->email), LOG_STR("type", attachment->part->subtype),
		 LOG_STR("command", command_of(reading, attachment)), LOG_STR("reason", reason));
}

/* How long a call may take from now on; 0: there is no time. */
static int call_time_ms(const struct reading *reading)
{
	int64_t left_ms = reading->until_ms - clock_monotonic_ms();
	int64_t longest_ms = reading->extractor->options.time_s * INT64_C(1000) + TIME_SLACK_MS + WAIT_FOR_TURN_MS;

	return left_ms <= 0 ? 0 : (int)(left_ms < longest_ms ? left_ms : longest_ms);
}

static enum status call_once(struct reading *reading, size_t converter, int attachment, struct slice *reply, int *text)
{
	struct buf request SCOPED_BUF;
	int time_ms = call_time_ms(reading);

	*text = -1;
	if (time_ms == 0)
		return STATUS_LIMIT;
	buf_init(&request, NULL, 0);
	pack_u64(&request, (uint64_t)reading->extractor->edition.number);
	pack_u32(&request, (uint32_t)converter);
	return ipc_call_fd(reading->extractor->ipc, ROLE_CONVERT, CONVERT_REQUEST, buf_slice(&request), attachment, time_ms,
			   reading->arena, reply, text);
}

/* A role that has just died is there again in a moment. */
static enum status call(struct reading *reading, size_t converter, int attachment, struct slice *reply, int *text)
{
	enum status status = call_once(reading, converter, attachment, reply, text);
	int pause_ms = FIRST_PAUSE_MS;

	for (unsigned i = 1; i < TRIES && status == STATUS_TEMPORARY && call_time_ms(reading) > 0; i++, pause_ms *= 2) {
		struct timespec pause = {pause_ms / 1000, pause_ms % 1000 * 1000000L};

		nanosleep(&pause, NULL);
		status = call_once(reading, converter, attachment, reply, text);
	}
	return status == STATUS_TEMPORARY && call_time_ms(reading) == 0 ? STATUS_LIMIT : status;
}

static enum status convert(struct reading *reading, const struct attachment *attachment, struct slice bytes)
{
	int attachment_fd = ipc_memfd(bytes), text;
	struct slice reply;
	enum status status;

	if (attachment_fd < 0)
		return STATUS_TEMPORARY;
	status = call(reading, attachment->converter, attachment_fd, &reply, &text);
	close(attachment_fd);
	if (status == STATUS_OK) {
		struct unpack in = unpack_begin(reply);
		uint8_t result = unpack_u8(&in);
		struct slice reason = unpack_slice(&in);

		if (!unpack_ok(&in) || !take_text(reading, attachment, text))
			status = STATUS_TEMPORARY;
		else if (result == CONVERT_FAILED || result == CONVERT_LATE)
			say_without(reading, attachment, reason);
	}
	if (text >= 0)
		close(text);
	/* Roles of another configuration answer in a moment. */
	return status == STATUS_OK || status == STATUS_LIMIT ? status : STATUS_TEMPORARY;
}

/* ---- one message ---- */

/* The same converter would say the same again. */
static bool reuse(struct reading *reading, const struct attachment *attachment)
{
	uint64_t reader = converter_number(&reading->extractor->options.converters, attachment->converter);
	struct slice former = reading->former;
	struct attachment_text text;

	while (attachment_texts_next(&former, &text)) {
		if (text.part == attachment->number && text.reader == reader) {
			keep(reading, attachment, text.utf8);
			return true;
		}
	}
	return false;
}

/* The part as it stands in the message; what is larger than any encoding of what may be read isn't. */
static enum status read_body(const struct reading *reading, const struct message_part *part, struct buf *body)
{
	uint64_t size = part->body_end - part->body_start;
	struct arena arena SCOPED_ARENA;
	struct email_reader *reader;
	struct slice piece = SLICE("x");
	enum status status;

	if (size > 4 * reading->extractor->options.converters.attachment_size)
		return STATUS_LIMIT;
	status = email_open(reading->extractor->store, &arena, reading->account, reading->email, &reader);
	if (status != STATUS_OK)
		return status;
	while (status == STATUS_OK && piece.len > 0 && body->len < size) {
		status = email_read(reader, part->body_start + body->len, &piece);
		if (status == STATUS_OK)
			buf_add(body, slice_sub(piece, 0, (size_t)(size - body->len)));
	}
	email_close(reader);
	return status == STATUS_OK && !buf_ok(body) ? STATUS_TEMPORARY : status;
}

static enum status read_part(struct reading *reading, const struct attachment *attachment)
{
	struct buf body SCOPED_BUF, bytes SCOPED_BUF;
	enum status status;

	if (reuse(reading, attachment))
		return STATUS_OK;
	buf_init(&body, NULL, 0);
	buf_init(&bytes, NULL, (size_t)reading->extractor->options.converters.attachment_size);
	status = read_body(reading, attachment->part, &body);
	if (status != STATUS_OK && status != STATUS_LIMIT)
		return status;
	message_decode_body(&bytes, buf_slice(&body), attachment->part->encoding);
	buf_free(&body);
	if (status == STATUS_LIMIT || !buf_ok(&bytes))
		say_without(reading, attachment, SLICE("it is larger than search.attachment_size"));
	else if (bytes.len > 0)
		return convert(reading, attachment, buf_slice(&bytes));
	keep(reading, attachment, SLICE_EMPTY);
	return STATUS_OK;
}

static enum status read_parts(struct reading *reading, const struct message *message)
{
	const struct converters *converters = &reading->extractor->options.converters;
	struct attachment attachment = {NULL, 0, 0};
	enum status status = STATUS_OK;

	for (unsigned i = 0; i < ATTACHMENTS_MAX && status == STATUS_OK; i++) {
		attachment.part = converter_next_part(converters, message, attachment.part, &attachment.converter);
		if (!attachment.part)
			break;
		attachment.number = attachment.part->body_start;
		status = read_part(reading, &attachment);
	}
	return status;
}

static enum status make(struct reading *reading, const struct attachment_source *source)
{
	const struct extractor *extractor = reading->extractor;
	const struct message *message = message_unpack(reading->arena, source->structure, SLICE_EMPTY);
	enum status status = message ? read_parts(reading, message) : STATUS_OK;

	if (status != STATUS_OK)
		return status;
	return attachment_texts_write(extractor->store, reading->account, reading->email, extractor->edition.number,
				      buf_slice(&reading->packed));
}

enum status extractor_read(const struct extractor *extractor, struct arena *arena, int64_t account,
			   const struct attachment_source *source, int64_t until_ms, struct slice *packed)
{
	struct reading reading = {
		.extractor = extractor, .arena = arena, .account = account, .email = source->email, .until_ms = until_ms};
	enum status status =
		attachment_texts_read(extractor->store, arena, account, source->email, extractor->edition.number, packed);

	if (status != STATUS_NOT_FOUND)
		return status;
	if (!extractor->ipc)
		return STATUS_TEMPORARY;
	status =
		attachment_texts_read(extractor->store, arena, account, source->email, ATTACHMENT_ANY_EDITION, &reading.former);
	if (status != STATUS_OK && status != STATUS_NOT_FOUND)
		return status;
	buf_init(&reading.packed, arena, 0);
	status = make(&reading, source);
	*packed = buf_slice(&reading.packed);
	return status;
}
