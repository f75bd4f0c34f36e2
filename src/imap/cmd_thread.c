/* THREAD: RFC 5256 section 3. */
#include "imap/envelope.h"
#include "imap/gather.h"
#include "imap/search_run.h"
#include "mime/subject.h"
#include "imap/thread.h"
#include "mime/words.h"

struct threading {
	bool uid;
	bool references;
	struct arena kept, scratch;
	struct thread_builder *builder;
};

static void read_subject(struct threading *t, struct thread_message *message, struct slice envelope)
{
	struct slice subject = envelope_text(&t->scratch, envelope, ENVELOPE_SUBJECT);
	struct buf key;

	buf_init(&key, &t->scratch, 0);
	if (subject.data)
		text_collation_key(&key, subject_base(&t->scratch, subject, &message->is_reply));
	message->subject = buf_slice(&key);
}

static bool add_message(void *context, const struct view_message *found, const struct email *email)
{
	struct threading *t = context;
	struct thread_message message = {
		.number = t->uid ? found->uid : found->sequence,
		.sequence = found->sequence,
		.sent_ms = sort_sent_ms(email->sent_ms, found->received_ms),
		.received_ms = found->received_ms,
	};
	bool goes_on;

	read_subject(t, &message, email->envelope);
	if (t->references) {
		struct slice reply = envelope_text(&t->scratch, email->envelope, ENVELOPE_IN_REPLY_TO);

		message.id = email->message_id;
		message.references = thread_references(email->references, reply.data ? reply : SLICE_EMPTY);
	}
	goes_on = thread_add(t->builder, &message);
	arena_reset(&t->scratch);
	return goes_on;
}

static enum status put_threads(struct imap_session *s, struct threading *t, const struct search_hits *hits,
			       enum thread_algorithm algorithm, struct buf *threads)
{
	unsigned wanted = EMAIL_ENVELOPE | EMAIL_SENT;
	enum status status;

	t->references = algorithm != THREAD_ORDEREDSUBJECT;
	if (t->references)
		wanted |= EMAIL_MESSAGE_ID | EMAIL_REFERENCES;
	t->builder = thread_begin(&t->kept, algorithm);
	status = imap_gather(s, hits, wanted, add_message, t);
	return status == STATUS_OK ? thread_end(threads, t->builder) : status;
}

enum next imap_thread(struct imap_session *s, struct imap_command *command)
{
	struct threading t = {.uid = command->uid};
	struct thread_request request;
	struct search_hits hits;
	struct buf threads SCOPED_BUF;
	enum status status;

	if (!imap_parse_space(&command->args) || !imap_parse_thread(&command->args, &request))
		return imap_bad_arguments(s, command);
	if (request.search.unknown_charset)
		return imap_no_charset(s, command, &request.search);
	if (!imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	buf_init(&threads, NULL, GATHER_BYTES_MAX);
	arena_init(&t.kept, GATHER_BYTES_MAX);
	status = imap_search_run(s, &request.search, &hits);
	if (status == STATUS_OK && !hits.limit.is_passed)
		status = put_threads(s, &t, &hits, request.algorithm, &threads);
	arena_free(&t.kept);
	arena_free(&t.scratch);
	if (hits.limit.is_passed)
		return limit_no(s, command, limit_of_messages(s), NULL);
	if (status == STATUS_OK) {
		buf_add(imap_output(s), threads.len ? SLICE("* THREAD ") : SLICE("* THREAD"));
		buf_add(imap_output(s), buf_slice(&threads));
		buf_add_literal(imap_output(s), "\r\n");
	}
	return imap_answer_hits(s, command, status, &hits, SLICE("THREAD completed"));
}
