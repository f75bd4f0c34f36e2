/* GENURLAUTH, URLFETCH and RESETKEY: RFC 4467 section 7; URLFETCH's parameters: RFC 5524. */
#include "imap/url_auth.h"
#include "imap/url_message.h"

#include "imap/write.h"
#include "store/url_key.h"

#define URLS_MAX 100 /* in one command */

/* ---- GENURLAUTH ---- */

static enum status generate(struct imap_session *s, struct slice text, struct buf *out)
{
	struct imap_url url;
	struct imap_place place;
	struct fetch_section section;
	struct buf full;
	enum status status = STATUS_NOT_FOUND;

	if (imap_url_parse(imap_arena(s), text, &url) && url_section_parse(imap_arena(s), &url, &section))
		status = url_may_generate(s, &url, &place);
	if (status != STATUS_OK)
		return status;
	buf_init(&full, imap_arena(s), 0);
	buf_add(&full, text);
	status = url_put_token(s, &url, &place, &full);
	buf_add_byte(out, ' ');
	imap_put_string(out, buf_slice(&full), false);
	return status;
}

/* RFC 4467 section 9. */
static bool parse_mechanism(struct imap_parser *p, bool *is_known)
{
	struct slice mechanism;

	if (!imap_parse_space(p) || !imap_parse_word(p, &mechanism))
		return false;
	*is_known &= slice_eq_nocase(mechanism, SLICE("INTERNAL"));
	return true;
}

enum next imap_gen_url_auth(struct imap_session *s, struct imap_command *command)
{
	struct imap_parser *p = &command->args;
	struct slice urls[URLS_MAX];
	struct buf out;
	size_t count = 0;
	bool is_known = true;
	enum status status = STATUS_OK;

	do {
		if (count == URLS_MAX)
			return imap_no(s, command, SLICE("LIMIT"), SLICE("Too many URLs at once"));
		if (!imap_parse_space(p) || !imap_parse_astring(p, &urls[count++]) || !parse_mechanism(p, &is_known))
			return imap_bad_arguments(s, command);
	} while (imap_peek(p) == ' ');
	if (!imap_parse_end(p))
		return imap_bad_arguments(s, command);
	if (!is_known)
		return imap_no(s, command, SLICE("CANNOT"), SLICE("The mechanism is INTERNAL"));
	buf_init(&out, imap_arena(s), 0);
	for (size_t i = 0; i < count && status == STATUS_OK; i++)
		status = generate(s, urls[i], &out);
	if (status == STATUS_NOT_FOUND)
		return imap_bad(s, command, SLICE("GENURLAUTH: that URL can't be authorised"));
	if (status != STATUS_OK)
		return imap_answer(s, command, status, SLICE_EMPTY);
	buf_add_literal(imap_output(s), "* GENURLAUTH");
	buf_add(imap_output(s), buf_slice(&out));
	buf_add_literal(imap_output(s), "\r\n");
	return imap_ok(s, command, SLICE("GENURLAUTH completed"));
}

/* ---- URLFETCH ---- */

enum {
	URL_EXTENDED = 1 << 0, /* it has parameters */
	URL_BODY = 1 << 1,
	URL_BINARY = 1 << 2,
	URL_STRUCTURE = 1 << 3,
};

struct fetched_url {
	struct slice text;
	unsigned wanted; /* URL_* */
	struct imap_url url;
	struct imap_place place;
	enum status status;
};

/* RFC 5524 section 3.1: each once, and not both BINARY and BODY. */
static bool parse_parameter(struct imap_parser *p, unsigned *wanted)
{
	struct slice word;
	unsigned one = 0;

	if (!imap_parse_word(p, &word))
		return false;
	if (slice_eq_nocase(word, SLICE("BODY")))
		one = URL_BODY;
	else if (slice_eq_nocase(word, SLICE("BINARY")))
		one = URL_BINARY;
	else if (slice_eq_nocase(word, SLICE("BODYPARTSTRUCTURE")))
		one = URL_STRUCTURE;
	if (!one || *wanted & one)
		return imap_fault(p, SLICE("there is no such parameter, or it is there twice"));
	*wanted |= one | URL_EXTENDED;
	return (*wanted & (URL_BODY | URL_BINARY)) != (URL_BODY | URL_BINARY) ||
	       imap_fault(p, SLICE("BODY and BINARY can't both be had"));
}

static bool parse_fetched(struct imap_parser *p, struct fetched_url *f)
{
	*f = (struct fetched_url){0};
	if (!imap_parse_space(p))
		return false;
	if (!imap_accept(p, '('))
		return imap_parse_astring(p, &f->text);
	if (!imap_parse_astring(p, &f->text))
		return false;
	while (imap_accept(p, ' ')) {
		if (!parse_parameter(p, &f->wanted))
			return false;
	}
	return imap_parse_byte(p, ')');
}

static void put_url(struct buf *out, struct slice text)
{
	buf_add_byte(out, ' ');
	imap_put_string(out, text, false);
}

static void flush_if_high(void *conn)
{
	conn_flush_if_high(conn);
}

static enum fetch_outcome put_section(struct imap_session *s, struct arena *arena, struct url_message *m, struct slice label)
{
	struct fetch_sink sink = {.out = imap_output(s), .flush = flush_if_high, .context = imap_conn(s)};

	m->section.label = label;
	return fetch_put_section(&m->section, m->message, &m->source, arena, &sink);
}

/* The structure, if it is wanted, stands in *structure before anything is told. */
static enum status open_fetched(struct imap_session *s, struct arena *arena, struct fetched_url *f, struct url_message *m,
				struct buf *structure)
{
	enum status status = url_message_open(s, arena, f->place.account, f->place.mailbox.id, &f->url, m);

	if (status != STATUS_OK || !(f->wanted & URL_EXTENDED))
		return status;
	if (!url_message_has_part(m))
		return STATUS_NOT_FOUND;
	if (f->wanted & URL_BINARY)
		url_message_decode(m);
	return f->wanted & URL_STRUCTURE ? url_message_structure(m, arena, structure) : STATUS_OK;
}

/* RFC 5524 section 3.2. */
static bool put_extended(struct imap_session *s, struct arena *arena, struct url_message *m, unsigned wanted,
			 struct slice structure)
{
	struct buf *out = imap_output(s);

	if (wanted & URL_STRUCTURE) {
		buf_add_literal(out, " (BODYPARTSTRUCTURE ");
		buf_add(out, structure);
		buf_add_byte(out, ')');
	}
	if (!(wanted & (URL_BODY | URL_BINARY)))
		return true;
	buf_add_byte(out, ' ');
	if (put_section(s, arena, m, wanted & URL_BINARY ? SLICE("(BINARY") : SLICE("(BODY")) == FETCH_BROKEN)
		return false;
	buf_add_byte(out, ')');
	return true;
}

/* False: a literal was begun and can't be ended. */
static bool put_fetched(struct imap_session *s, struct fetched_url *f)
{
	struct buf *out = imap_output(s), structure;
	struct arena arena SCOPED_ARENA;
	struct url_message m = {0};
	bool is_whole = true;

	buf_init(&structure, &arena, 0);
	put_url(out, f->text);
	if (f->status == STATUS_OK)
		f->status = open_fetched(s, &arena, f, &m, &structure);
	if (f->status != STATUS_OK)
		buf_add_literal(out, " NIL");
	else if (f->wanted & URL_EXTENDED)
		is_whole = put_extended(s, &arena, &m, f->wanted, buf_slice(&structure));
	else
		is_whole = put_section(s, &arena, &m, SLICE_EMPTY) != FETCH_BROKEN;
	if (f->status == STATUS_OK && m.source.failed)
		f->status = STATUS_TEMPORARY;
	url_message_close(&m);
	conn_flush_if_high(imap_conn(s));
	return is_whole && !conn_failed(imap_conn(s));
}

enum next imap_url_fetch(struct imap_session *s, struct imap_command *command)
{
	struct imap_parser *p = &command->args;
	struct fetched_url *urls = ARENA_ARRAY(imap_arena(s), struct fetched_url, URLS_MAX);
	size_t count = 0;
	enum status status = STATUS_OK;

	do {
		if (count == URLS_MAX)
			return imap_no(s, command, SLICE("LIMIT"), SLICE("Too many URLs at once"));
		if (!parse_fetched(p, &urls[count++]))
			return imap_bad_arguments(s, command);
	} while (imap_peek(p) == ' ');
	if (!imap_parse_end(p))
		return imap_bad_arguments(s, command);
	for (size_t i = 0; i < count; i++) {
		struct fetched_url *f = &urls[i];

		f->status = STATUS_NOT_FOUND;
		if (imap_url_parse(imap_arena(s), f->text, &f->url))
			f->status = url_authorize(s, &f->url, &f->place);
		if (f->status != STATUS_OK && f->status != STATUS_NOT_FOUND)
			return imap_answer(s, command, f->status, SLICE_EMPTY);
	}
	buf_add_literal(imap_output(s), "* URLFETCH");
	for (size_t i = 0; i < count; i++) {
		if (!put_fetched(s, &urls[i]))
			return NEXT_CLOSE;
		if (urls[i].status != STATUS_NOT_FOUND && status == STATUS_OK)
			status = urls[i].status;
	}
	buf_add_literal(imap_output(s), "\r\n");
	return imap_answer(s, command, status, SLICE("URLFETCH completed"));
}

/* ---- RESETKEY ---- */

static bool is_selected(struct imap_session *s, const struct imap_place *place)
{
	return mailbox_viewer_is_open(&s->viewer) && s->selected_account == place->account &&
	       mailbox_viewer_state(&s->viewer).mailbox == place->mailbox.id;
}

static enum next reset_one(struct imap_session *s, struct imap_command *command, struct slice name)
{
	struct imap_place place;
	int64_t reset_ms = 0;
	enum status status = imap_find_place(s, name, RIGHT_READ, &place);

	if (status == STATUS_OK && !place.mailbox.selectable)
		status = STATUS_NOT_FOUND;
	if (status == STATUS_OK)
		status = url_key_reset(imap_store(s), s->account, place.account, place.mailbox.id, &reset_ms);
	if (status != STATUS_OK)
		return imap_answer_place(s, command, &place, status, SLICE_EMPTY);
	if (is_selected(s, &place))
		s->url_told_ms = reset_ms + 1;
	imap_announce_account(s, place.account);
	return imap_ok_code(s, command, imap_plaintext_allowed(s) ? SLICE("URLMECH INTERNAL") : SLICE_EMPTY,
			    SLICE("There is a new key"));
}

static enum next reset_all(struct imap_session *s, struct imap_command *command)
{
	int64_t *accounts;
	size_t count;
	enum status status = url_key_reset_all(imap_store(s), imap_arena(s), s->account, &accounts, &count);

	for (size_t i = 0; status == STATUS_OK && i < count; i++)
		imap_announce_account(s, accounts[i]);
	return imap_answer(s, command, status, SLICE("All keys are gone"));
}

enum next imap_reset_key(struct imap_session *s, struct imap_command *command)
{
	struct imap_parser *p = &command->args;
	bool is_known = true;
	struct slice name;

	if (p->rest.len == 0)
		return reset_all(s, command);
	if (!imap_parse_space(p) || !imap_parse_mailbox(p, &name))
		return imap_bad_arguments(s, command);
	while (imap_peek(p) == ' ') {
		if (!parse_mechanism(p, &is_known))
			return imap_bad_arguments(s, command);
	}
	if (!imap_parse_end(p))
		return imap_bad_arguments(s, command);
	if (!is_known)
		return imap_no(s, command, SLICE("CANNOT"), SLICE("The mechanism is INTERNAL"));
	return reset_one(s, command, name);
}
