/* FETCH: RFC 9051 section 6.4.5.
 *
 * What the view knows is sent from memory. Texts come from ordered scans over the messages: a scan formats straight into the
 * connection's output until that has OUTPUT_PIECE bytes, then it is left, the output is sent, and the next begins at the next uid.
 * So no read snapshot lasts longer than formatting, however slow the client is. Large messages are streamed from a reader.
 */
#include "imap/fetch.h"
#include "imap/limit.h"
#include "imap/preview.h"
#include "imap/search_run.h"
#include "imap/session.h"
#include "imap/surrogate.h"
#include "imap/write.h"
#include "store/threads.h"

#define OUTPUT_PIECE ((size_t)1024 * 1024)
/* A message of which more than this would be held in memory at once is streamed. */
#define MEMORY_MAX ((uint64_t)4 * 1024 * 1024)
#define FACTS_MAX  256
/* Of a message whose headers have UTF-8 in them, in memory to be downgraded. */
#define SUSPECT_MAX ((size_t)512 * 1024 * 1024)

/* ---- responses ---- */

void fetch_begin(struct buf *out, const struct view_message *message, unsigned items, struct slice flags)
{
	char *start = buf_reserve(out, FACTS_MAX + flags.len), *to = start;

	if (!start)
		return;
	to = imap_write(to, SLICE("* "));
	to = imap_write_u64(to, items & FETCH_UID_ONLY ? message->uid : message->sequence);
	to = imap_write(to, items & FETCH_UID_ONLY ? SLICE(" UIDFETCH (") : SLICE(" FETCH ("));
	if (items & FETCH_UID) {
		to = imap_write(to, SLICE("UID "));
		to = imap_write_u64(to, message->uid);
		*to++ = ' ';
	}
	if (items & FETCH_FLAGS) {
		to = imap_write(to, SLICE("FLAGS ("));
		to = imap_write(to, flags);
		to = imap_write(to, SLICE(") "));
	}
	if (items & FETCH_INTERNALDATE) {
		to = imap_write(to, SLICE("INTERNALDATE "));
		to = imap_write_date_time(to, message->received_ms);
		*to++ = ' ';
	}
	if (items & FETCH_SIZE) {
		to = imap_write(to, SLICE("RFC822.SIZE "));
		to = imap_write_u64(to, message->size);
		*to++ = ' ';
	}
	if (items & FETCH_MODSEQ) {
		to = imap_write(to, SLICE("MODSEQ ("));
		to = imap_write_u64(to, message->modseq);
		to = imap_write(to, SLICE(") "));
	}
	if (items & FETCH_EMAIL_ID) {
		to = imap_write(to, SLICE("EMAILID ("));
		to = imap_write_email_id(to, message->email);
		to = imap_write(to, SLICE(") "));
	}
	if (items & FETCH_THREAD_ID) {
		to = imap_write(to, SLICE("THREADID ("));
		to = imap_write_thread_id(to, message->thread);
		to = imap_write(to, SLICE(") "));
	}
	buf_advance(out, (size_t)(to - start));
}

void fetch_end(struct buf *out)
{
	if (out->len > 0)
		out->data[out->len - 1] = ')';
	buf_add_literal(out, "\r\n");
}

/* ---- one FETCH ---- */

struct fetch {
	struct imap_session *s;
	struct fetch_request request;
	struct imap_flag_texts *texts;
	struct buf *out;
	struct arena scratch; /* for one message */
	/* \Seen was set for these */
	const uint32_t *marked;
	size_t marked_count, marked_at;
	unsigned marked_items;
	/* the piece at work */
	const struct view_message *messages;
	size_t count, next;
	/* a message that is too large for a scan: its line has been begun */
	bool is_streaming;
	int64_t large_email;
	uint64_t large_size;
	struct slice large_structure;
	/* one that is looked at for a surrogate: its line has been begun too */
	bool gives_surrogates, is_suspect;
	struct email suspect;
	struct buf downgraded; /* uint32_t: the client's numbers of surrogates */
	/* how it went */
	bool missing, unknown_encoding, broken;
	struct message_limit limit;
	enum status status;
};

static bool was_marked(struct fetch *f, uint32_t uid)
{
	while (f->marked_at < f->marked_count && f->marked[f->marked_at] < uid)
		f->marked_at++;
	return f->marked_at < f->marked_count && f->marked[f->marked_at] == uid;
}

static void begin_message(struct fetch *f, const struct view_message *message)
{
	unsigned items = f->request.items | (was_marked(f, message->uid) ? f->marked_items : 0);
	struct slice flags = items & FETCH_FLAGS ? imap_flag_text(f->texts, message->flags) : SLICE_EMPTY;

	fetch_begin(f->out, message, items, flags);
}

static void put_item(struct buf *out, struct slice name, struct slice value)
{
	buf_add(out, name);
	buf_add(out, value.len ? value : SLICE("NIL"));
	buf_add_byte(out, ' ');
}

/* RFC 8514 section 4.2. */
static void put_save_date(struct buf *out, int64_t saved_ms)
{
	buf_add_literal(out, "SAVEDATE ");
	if (saved_ms > 0)
		imap_put_date_time(out, saved_ms);
	else
		buf_add_literal(out, "NIL");
	buf_add_byte(out, ' ');
}

/* RFC 8970 section 3.1: an empty string if there is no text. */
static void put_preview(struct fetch *f, const struct email *email)
{
	struct message *message = message_unpack(&f->scratch, email->structure, email->bytes);
	struct buf text;

	buf_init(&text, &f->scratch, 0);
	if (message)
		preview_of(&text, &f->scratch, message);
	buf_add_literal(f->out, "PREVIEW ");
	imap_put_string(f->out, buf_slice(&text), imap_utf8_names(f->s));
	buf_add_byte(f->out, ' ');
	arena_reset(&f->scratch);
}

static void put_texts(struct fetch *f, const struct email *email)
{
	if (f->request.items & FETCH_ENVELOPE)
		put_item(f->out, SLICE("ENVELOPE "), email->envelope);
	if (f->request.items & FETCH_BODY)
		put_item(f->out, SLICE("BODY "), email->body);
	if (f->request.items & FETCH_BODYSTRUCTURE)
		put_item(f->out, SLICE("BODYSTRUCTURE "), email->body_structure);
	if (f->request.items & FETCH_SAVE_DATE)
		put_save_date(f->out, email->saved_ms);
	if (f->request.items & FETCH_PREVIEW)
		put_preview(f, email);
}

static void put_sections(struct fetch *f, struct fetch_source *source, struct slice structure, const struct fetch_sink *sink)
{
	const struct message *message = NULL;

	if (f->request.wanted & EMAIL_STRUCTURE)
		message = message_unpack(&f->scratch, structure, source->bytes);
	for (const struct fetch_section *section = f->request.sections; section && !f->broken; section = section->next) {
		switch (fetch_put_section(section, message, source, &f->scratch, sink)) {
		case FETCH_UNKNOWN_ENCODING:
			f->unknown_encoding = true;
			break;
		case FETCH_BROKEN:
			f->broken = true;
			break;
		case FETCH_SENT:
		case FETCH_ABSENT:
			break;
		}
		buf_add_byte(f->out, ' ');
	}
}

/* ---- large messages ---- */

static bool must_stream(const struct fetch *f, const struct email *email)
{
	if (!(f->request.wanted & EMAIL_BYTES))
		return false;
	return email->bytes.len < email->size || email->size * f->request.section_count > MEMORY_MAX;
}

static void flush_if_high(void *conn)
{
	conn_flush_if_high(conn);
}

/* The message went away, or the store did, after its line was begun. */
static void put_nothing(struct fetch *f)
{
	for (const struct fetch_section *section = f->request.sections; section; section = section->next)
		put_item(f->out, section->label, section->kind == FETCH_BINARY_SIZE ? SLICE(" 0") : SLICE(" NIL"));
}

static void stream_large(struct fetch *f)
{
	struct fetch_sink sink = {.out = f->out, .flush = flush_if_high, .context = imap_conn(f->s)};
	struct fetch_source source = {.size = f->large_size};
	enum status status = email_open(imap_store(f->s), &f->scratch, f->s->selected_account, f->large_email, &source.reader);

	f->is_streaming = false;
	if (status == STATUS_OK) {
		put_sections(f, &source, f->large_structure, &sink);
		email_close(source.reader);
	} else {
		put_nothing(f);
		f->missing |= status == STATUS_NOT_FOUND;
		f->status = status == STATUS_NOT_FOUND ? f->status : status;
	}
	fetch_end(f->out);
	arena_reset(&f->scratch);
}

/* ---- surrogates ---- */

static void note_surrogate(struct fetch *f)
{
	const struct view_message *message = &f->messages[f->next - 1];
	uint32_t number = f->request.items & (FETCH_UID | FETCH_UID_ONLY) ? message->uid : message->sequence;

	buf_add(&f->downgraded, slice_of((const char *)&number, sizeof(number)));
}

static void put_suspect(struct fetch *f)
{
	struct arena arena SCOPED_ARENA;
	struct buf bytes SCOPED_BUF;
	struct email *email = &f->suspect;
	struct fetch_sink sink = {.out = f->out, .flush = flush_if_high, .context = imap_conn(f->s)};
	bool is_changed = false;
	enum status status;

	f->is_suspect = false;
	buf_init(&bytes, NULL, SUSPECT_MAX);
	status = imap_make_surrogate(f->s, &arena, email, &bytes, &is_changed);
	if (status == STATUS_OK) {
		struct fetch_source source = {.bytes = email->bytes, .size = email->bytes.len};

		put_texts(f, email);
		put_sections(f, &source, email->structure, &sink);
	} else {
		put_nothing(f);
		f->missing |= status == STATUS_NOT_FOUND;
		f->status = status == STATUS_NOT_FOUND ? f->status : status;
	}
	if (is_changed)
		note_surrogate(f);
	fetch_end(f->out);
	arena_reset(&f->scratch);
}

static bool is_suspect(struct fetch *f, const struct email *email)
{
	bool is = f->gives_surrogates && imap_may_need_surrogate(&f->scratch, email);

	arena_reset(&f->scratch);
	return is;
}

/* ---- scans ---- */

static bool each_email(void *context, const struct email *email)
{
	struct fetch *f = context;

	while (f->next < f->count && f->messages[f->next].uid < email->uid) {
		f->missing = true;
		f->next++;
	}
	if (f->next == f->count || f->messages[f->next].uid != email->uid)
		return f->next < f->count;
	begin_message(f, &f->messages[f->next++]);
	if (is_suspect(f, email)) {
		f->is_suspect = true;
		f->suspect = (struct email){.uid = email->uid, .id = email->id, .saved_ms = email->saved_ms};
		f->suspect.structure = slice_dup(&f->scratch, email->structure);
		return false;
	}
	put_texts(f, email);
	if (must_stream(f, email)) {
		f->is_streaming = true;
		f->large_email = email->id;
		f->large_size = email->size;
		f->large_structure = slice_dup(&f->scratch, email->structure);
		return false;
	}
	if (f->request.sections) {
		struct fetch_sink sink = {.out = f->out};
		struct fetch_source source = {.bytes = email->bytes, .size = email->bytes.len};

		put_sections(f, &source, email->structure, &sink);
		arena_reset(&f->scratch);
	}
	fetch_end(f->out);
	return f->out->len < OUTPUT_PIECE;
}

static void fetch_piece(struct fetch *f, const struct imap_walk *walk)
{
	struct mailbox_view_state state = mailbox_viewer_state(&f->s->viewer);
	uint32_t uids[IMAP_PIECE];

	f->messages = walk->messages;
	f->count = walk->count;
	f->next = 0;
	for (size_t i = 0; i < walk->count; i++)
		uids[i] = walk->messages[i].uid;
	while (f->next < f->count && f->status == STATUS_OK && !f->broken) {
		size_t before = f->next;

		f->status = email_scan(imap_store(f->s), f->s->selected_account, state.mailbox, uids + f->next,
				       f->count - f->next, f->request.wanted, each_email, f);
		if (f->is_streaming)
			stream_large(f);
		if (f->is_suspect)
			put_suspect(f);
		if (f->next == before) {
			f->missing = true;
			return;
		}
		if (f->out->len >= OUTPUT_PIECE && !conn_flush(imap_conn(f->s)))
			f->broken = true;
	}
}

static void facts_piece(struct fetch *f, const struct imap_walk *walk)
{
	for (size_t i = 0; i < walk->count; i++) {
		begin_message(f, &walk->messages[i]);
		fetch_end(f->out);
	}
}

/* RFC 8474 section 5.3. */
static enum status find_threads(struct fetch *f, struct imap_walk *walk)
{
	int64_t emails[IMAP_PIECE], threads[IMAP_PIECE];
	enum status status;

	if (!(f->request.items & FETCH_THREAD_ID))
		return STATUS_OK;
	for (size_t i = 0; i < walk->count; i++)
		emails[i] = walk->messages[i].email;
	status = threads_of(imap_store(f->s), &f->scratch, imap_viewer_account(f->s), emails, walk->count, threads);
	for (size_t i = 0; i < walk->count; i++)
		walk->messages[i].thread = threads[i];
	arena_reset(&f->scratch);
	return status;
}

static void run(struct fetch *f, const struct imap_set *set)
{
	struct imap_walk walk;

	f->out = imap_output(f->s);
	f->texts = imap_flag_texts_new(f->s);
	f->gives_surrogates = imap_gives_surrogates(f->s);
	if (f->gives_surrogates && f->request.wanted)
		f->request.wanted |= EMAIL_STRUCTURE | EMAIL_HEADER;
	if (f->request.items & FETCH_THREAD_ID)
		f->status = threads_catch_up(imap_store(f->s), imap_viewer_account(f->s));
	imap_walk_begin(&walk, f->s, set);
	while (f->status == STATUS_OK && !f->broken && imap_walk_next(&walk)) {
		uint64_t flags = 0;

		f->status = find_threads(f, &walk);
		if (f->status != STATUS_OK)
			return;

		for (size_t i = 0; i < walk.count; i++)
			flags |= walk.messages[i].flags;
		imap_flag_texts_need(f->s, f->texts, flags);
		if (f->request.wanted)
			fetch_piece(f, &walk);
		else
			facts_piece(f, &walk);
		conn_flush_if_high(imap_conn(f->s));
		f->broken |= conn_failed(imap_conn(f->s));
	}
}

enum status imap_put_messages(struct imap_session *s, const struct fetch_request *request, const struct imap_set *set)
{
	struct fetch f = {.s = s, .request = *request};

	f.request.items |= imap_uid_item(s);
	run(&f, set);
	arena_free(&f.scratch);
	buf_free(&f.downgraded);
	return f.broken ? STATUS_PEER : f.status;
}

/* ---- \Seen ---- */

/* Those of the set that aren't \Seen. */
static uint32_t *unseen_uids(struct imap_session *s, const struct imap_set *set, size_t *count)
{
	uint32_t *uids =
		arena_try_alloc(imap_arena(s), (mailbox_viewer_state(&s->viewer).messages + (size_t)1) * sizeof(*uids));
	struct imap_walk walk;

	*count = 0;
	if (!uids)
		return NULL;
	imap_walk_begin(&walk, s, set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++) {
			if (!(walk.messages[i].flags & FLAG_SEEN))
				uids[(*count)++] = walk.messages[i].uid;
		}
	}
	return uids;
}

/* RFC 9051 section 6.4.5: reading a message sets \Seen, and then its flags are told. A store that can't be written to is no
 * reason not to read. */
static void mark_seen(struct fetch *f, struct imap_command *command, const struct imap_set *set)
{
	struct imap_session *s = f->s;
	struct flag_request request = {.change = FLAGS_ADD, .flags = FLAG_SEEN, .unchanged_since = UINT64_MAX};
	uint32_t *uids = unseen_uids(s, set, &request.uid_count);
	enum status status;

	if (request.uid_count == 0)
		return;
	request.uids = uids;
	request.seen_by = imap_seen_by(s, s->selected_account);
	status = imap_change_flags(s, &request, &command->own, NULL, NULL);
	if (status != STATUS_OK) {
		command->own = (struct view_own_change){0};
		LOG_WARNING(s->context->log, "imap.not_marked_seen", LOG_INT("session", s->env->id),
			    LOG_STR("status", status_name(status)));
		return;
	}
	f->marked = uids;
	f->marked_count = request.uid_count;
	f->marked_items = FETCH_FLAGS | (s->condstore ? FETCH_MODSEQ : 0) | (s->qresync ? imap_uid_item(s) : 0);
}

/* ---- CHANGEDSINCE: RFC 7162 section 3.1.4.1, 3.2.6 ---- */

/* Leaves those that have changed. False: too many for the arena. */
static bool keep_changed(struct imap_session *s, uint64_t since, struct imap_set *set)
{
	size_t most = mailbox_viewer_state(&s->viewer).messages + (size_t)1, count = 0;
	uint32_t *uids = arena_try_alloc(imap_arena(s), most * sizeof(*uids));
	struct imap_walk walk;

	if (!uids)
		return false;
	imap_walk_begin(&walk, s, set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++) {
			if (walk.messages[i].modseq > since)
				uids[count++] = walk.messages[i].uid;
		}
	}
	*set = imap_set_of(imap_arena(s), uids, count);
	return true;
}

/* The set as it is for messages that are gone: its "*" is the last that there ever was. */
static struct imap_set ever_set(struct imap_session *s, const struct imap_set *set)
{
	struct imap_set ever = {.ranges = ARENA_ARRAY(imap_arena(s), struct imap_range, set->count + 1), .count = set->count};

	if (set->count)
		memcpy(ever.ranges, set->ranges, set->count * sizeof(*ever.ranges));
	imap_set_resolve(&ever, mailbox_viewer_state(&s->viewer).told_uid_next - 1);
	return ever;
}

/* RFC 9394 section 3.4: of the messages that there are, a window. */
static enum status clip(struct fetch *f, struct imap_set *set)
{
	size_t count, first, length;
	uint32_t *uids;

	if (!f->request.is_windowed)
		return STATUS_OK;
	uids = imap_uids(f->s, set, &count);
	if (!uids)
		return STATUS_LIMIT;
	search_window_clip(f->request.window, count, &first, &length);
	*set = imap_set_of(imap_arena(f->s), uids + first, length);
	return STATUS_OK;
}

static enum status narrow(struct fetch *f, const struct imap_set *ever, struct imap_set *set)
{
	enum status status = STATUS_OK;

	if (f->request.items & FETCH_MODSEQ)
		imap_use_condstore(f->s);
	if (!f->request.is_conditional)
		return clip(f, set);
	if (f->request.vanished)
		status = imap_put_vanished(f->s, ever, f->request.changed_since, 0);
	if (status == STATUS_OK && !keep_changed(f->s, f->request.changed_since, set))
		status = STATUS_LIMIT;
	return status == STATUS_OK ? clip(f, set) : status;
}

/* RFC 6858 section 3: which were surrogates. */
static struct slice downgraded_code(struct fetch *f)
{
	struct buf code;

	if (f->downgraded.len == 0)
		return SLICE_EMPTY;
	buf_init(&code, imap_arena(f->s), 0);
	buf_add_literal(&code, "DOWNGRADED ");
	imap_put_numbers_as_set(&code, (const uint32_t *)(const void *)f->downgraded.data, f->downgraded.len / sizeof(uint32_t));
	return buf_slice(&code);
}

static enum next answer(struct fetch *f, struct imap_command *command)
{
	if (f->broken)
		return NEXT_CLOSE;
	if (f->status != STATUS_OK)
		return imap_answer(f->s, command, f->status, SLICE_EMPTY);
	if (!f->unknown_encoding && !f->missing)
		return limit_ok(f->s, command, &f->limit, downgraded_code(f), SLICE("FETCH completed"));
	limit_tell(f->s, &f->limit);
	if (f->unknown_encoding)
		return imap_no(f->s, command, SLICE("UNKNOWN-CTE"), SLICE("A part's encoding is not known"));
	return imap_answer_missing(f->s, command);
}

/* RFC 9738 section 3.1: a window that is too large is refused before anything is done. */
static bool is_window_too_large(struct imap_session *s, const struct fetch_request *request)
{
	return request->is_windowed && limit_of_messages(s) &&
	       (uint64_t)request->window.last - request->window.first + 1 > limit_of_messages(s);
}

enum next imap_fetch(struct imap_session *s, struct imap_command *command)
{
	struct imap_parser *p = &command->args;
	struct fetch f = {.s = s};
	struct imap_set set, ever = {0};

	if (!imap_parse_space(p) || !imap_parse_set(p, &set) || !imap_parse_space(p) || !imap_parse_fetch(p, &f.request) ||
	    !imap_parse_fetch_modifiers(p, &f.request) || !imap_parse_end(p))
		return imap_bad_arguments(s, command);
	if (f.request.vanished && (!s->qresync || !command->uid))
		return imap_bad(s, command, SLICE("FETCH: VANISHED takes UID FETCH and ENABLE QRESYNC"));
	if (f.request.is_windowed && !command->uid)
		return imap_bad(s, command, SLICE("FETCH: PARTIAL takes UID FETCH"));
	if (is_window_too_large(s, &f.request))
		return limit_no(s, command, limit_of_messages(s), NULL);
	if (f.request.vanished && !set.saved)
		ever = ever_set(s, &set);
	if (!imap_resolve(s, command->uid, false, &set))
		return imap_bad(s, command, SLICE("FETCH: there are not so many messages"));
	if (command->uid)
		f.request.items |= imap_uid_item(s);
	f.status = narrow(&f, set.saved ? &set : &ever, &set);
	if (f.status == STATUS_OK)
		limit_cut(s, &set, &f.limit);
	if (f.status == STATUS_OK && f.request.sets_seen && !s->read_only && s->rights & RIGHT_SEEN)
		mark_seen(&f, command, &set);
	run(&f, &set);
	enum next next = answer(&f, command);

	arena_free(&f.scratch);
	buf_free(&f.downgraded);
	return next;
}
