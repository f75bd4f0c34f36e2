/* SELECT and EXAMINE: RFC 9051 section 6.3.2, 6.3.3; RFC 3501 section 6.3.1 for clients that haven't enabled IMAP4rev2; RFC 7162 for those
 * that were here before. */
#include "imap/fetch.h"
#include "imap/session.h"
#include "imap/url_auth.h"

#include "base/clock.h"
#include "imap/name.h"
#include "imap/write.h"

static void put_number(struct buf *out, struct slice before, uint64_t number, struct slice after)
{
	buf_add(out, before);
	buf_add_u64(out, number);
	buf_add(out, after);
}

static void put_state(struct imap_session *s, const struct imap_place *place)
{
	struct mailbox_view_state state = mailbox_viewer_state(&s->viewer);
	struct imap_flag_texts *texts = imap_flag_texts_new(s);
	struct buf *out = imap_output(s);
	uint32_t unseen = s->rev2 || s->uid_only ? 0 : mailbox_viewer_first_unseen(&s->viewer);

	imap_put_flags_response(s, &texts->keywords);
	imap_put_permanent_flags(s, &texts->keywords);
	put_number(out, SLICE("* "), state.messages, SLICE(" EXISTS\r\n"));
	if (!s->rev2)
		put_number(out, SLICE("* "), mailbox_viewer_recent(&s->viewer), SLICE(" RECENT\r\n"));
	if (unseen > 0)
		put_number(out, SLICE("* OK [UNSEEN "), unseen, SLICE("] First unseen\r\n"));
	put_number(out, SLICE("* OK [UIDVALIDITY "), state.uid_validity, SLICE("] UIDs are valid\r\n"));
	put_number(out, SLICE("* OK [UIDNEXT "), state.uid_next, SLICE("] Next UID\r\n"));
	if (s->rev2) {
		buf_add_literal(out, "* LIST () \"/\" ");
		imap_put_mailbox(out, place->name, imap_utf8_names(s));
		buf_add_literal(out, "\r\n");
	}
	buf_add_literal(out, "* OK [");
	buf_add(out, imap_highest_modseq(s));
	buf_add_literal(out, "] Highest\r\n* OK [MAILBOXID (");
	buf_add(out, place->mailbox.mailbox_id);
	buf_add_literal(out, ")] Mailbox id\r\n");
}

/* ---- QRESYNC: RFC 7162 section 3.2.5 ---- */

struct select_request {
	struct slice name;
	bool resync;
	uint32_t uid_validity;
	uint64_t modseq;
	struct imap_set known; /* no ranges: all */
	struct imap_set match_sequences, match_uids;
};

/* RFC 7162 section 7: known-uids and the like have no "*". */
static bool parse_known_set(struct imap_parser *p, struct imap_set *set)
{
	if (!imap_parse_set(p, set))
		return false;
	for (size_t i = 0; i < set->count; i++) {
		if (set->ranges[i].first == 0 || set->ranges[i].last == 0)
			return imap_fault(p, SLICE("what is known has no *"));
	}
	imap_set_resolve(set, UINT32_MAX);
	return !set->saved || imap_fault(p, SLICE("what is known has no $"));
}

static bool parse_match(struct imap_parser *p, struct select_request *request)
{
	return imap_parse_byte(p, '(') && imap_allow_sequence(p) && parse_known_set(p, &request->match_sequences) && imap_parse_space(p) &&
	       parse_known_set(p, &request->match_uids) && imap_parse_byte(p, ')');
}

static bool parse_resync(struct imap_parser *p, struct select_request *request)
{
	request->resync = true;
	if (!imap_parse_space(p) || !imap_parse_byte(p, '(') || !imap_parse_u32(p, &request->uid_validity) ||
	    !imap_parse_space(p) || !imap_parse_u64(p, &request->modseq))
		return false;
	if (request->modseq == 0)
		return imap_fault(p, SLICE("mod-sequences begin with 1"));
	if (imap_accept(p, ' ')) {
		if (imap_peek(p) != '(' && !parse_known_set(p, &request->known))
			return false;
		if ((imap_peek(p) == '(' || imap_accept(p, ' ')) && !parse_match(p, request))
			return false;
	}
	return imap_parse_byte(p, ')');
}

static bool parse_parameters(struct imap_session *s, struct imap_parser *p, struct select_request *request)
{
	if (!imap_accept(p, ' '))
		return true;
	if (!imap_parse_byte(p, '('))
		return false;
	do {
		if (imap_accept_word(p, SLICE("CONDSTORE"))) {
			s->condstore = true;
			continue;
		}
		if (request->resync || !imap_accept_word(p, SLICE("QRESYNC")))
			return imap_fault(p, SLICE("there is no such parameter, or it is there twice"));
		if (!s->qresync)
			return imap_fault(p, SLICE("QRESYNC isn't enabled"));
		if (!parse_resync(p, request))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')');
}

/* A run of numbers that the client says belong to a run of uids: how many of its first are right? The n-th message's uid grows by at
 * least one with n, so once it is too great it stays so. */
static uint32_t last_match(struct imap_session *s, uint32_t sequence, uint32_t uid, uint32_t count)
{
	uint32_t low = 0, high = count, found;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint32_t is = mailbox_viewer_uid(&s->viewer, sequence + middle);

		if (is != 0 && is <= uid + middle)
			low = middle + 1;
		else
			high = middle;
	}
	found = low > 0 ? mailbox_viewer_uid(&s->viewer, sequence + low - 1) : 0;
	return found == uid + low - 1 ? found : 0;
}

/* RFC 7162 section 3.2.5.2: the last uid up to which nothing is missing; 0: unknown. */
static uint32_t matched_up_to(struct imap_session *s, const struct imap_set *sequences, const struct imap_set *uids)
{
	uint32_t matched = 0, offset = 0, uid_offset = 0;

	for (size_t i = 0, j = 0; i < sequences->count && j < uids->count;) {
		uint32_t sequence = sequences->ranges[i].first + offset, uid = uids->ranges[j].first + uid_offset;
		uint32_t left = sequences->ranges[i].last - sequence, uid_left = uids->ranges[j].last - uid;
		uint32_t more = left < uid_left ? left : uid_left, found;

		found = last_match(s, sequence, uid, more == UINT32_MAX ? more : more + 1);
		matched = found > matched ? found : matched;
		offset = left == more ? 0 : offset + more + 1;
		uid_offset = uid_left == more ? 0 : uid_offset + more + 1;
		i += left == more;
		j += uid_left == more;
	}
	return matched;
}

static void tell_changed(struct imap_session *s, const struct imap_set *set, uint64_t since)
{
	struct imap_flag_texts *texts = imap_flag_texts_new(s);
	struct buf *out = imap_output(s);
	struct imap_walk walk;

	imap_walk_begin(&walk, s, set);
	while (imap_walk_next(&walk)) {
		for (size_t i = 0; i < walk.count; i++) {
			const struct view_message *message = &walk.messages[i];

			if (message->modseq <= since)
				continue;
			imap_flag_texts_need(s, texts, message->flags);
			fetch_begin(out, message, imap_uid_item(s) | FETCH_FLAGS | FETCH_MODSEQ,
				    imap_flag_text(texts, message->flags));
			fetch_end(out);
		}
		conn_flush_if_high(imap_conn(s));
	}
}

static enum status tell_missed(struct imap_session *s, const struct select_request *request)
{
	struct imap_range all = {1, UINT32_MAX};
	struct imap_set everything = {.ranges = &all, .count = 1};
	const struct imap_set *known = request->known.count > 0 ? &request->known : NULL;
	uint32_t matched = matched_up_to(s, &request->match_sequences, &request->match_uids);
	enum status status = imap_put_vanished(s, known, request->modseq, matched);

	if (status == STATUS_OK)
		tell_changed(s, known ? known : &everything, request->modseq);
	return status;
}

/* ---- the commands ---- */

/* RFC 9051 has dropped \Recent, but whom a session of IMAP4rev2 has been told of isn't new to another either. What comes to
 * others is theirs to be told of: nothing there is ever \Recent. */
enum view_recent imap_recency(const struct imap_session *s)
{
	if (s->selected_account != s->account)
		return VIEW_RECENT_NONE;
	if (s->rev2)
		return s->read_only ? VIEW_RECENT_NONE : VIEW_RECENT_TAKEN;
	return s->read_only ? VIEW_RECENT_SHOWN : VIEW_RECENT_CLAIMED;
}

static enum status open_mailbox(struct imap_session *s, struct slice name, struct imap_place *place)
{
	enum status status = imap_find_place(s, name, RIGHT_READ, place);

	if (status == STATUS_OK && !place->mailbox.selectable)
		status = STATUS_NOT_FOUND;
	if (status == STATUS_OK)
		status = mailbox_viewer_open_as(s->context->views, place->account, &place->mailbox,
						imap_seen_by(s, place->account), &s->viewer);
	return status;
}

/* RFC 4314 section 5.2: what one can change for others makes it READ-WRITE; \Seen is each user's own. */
static bool is_read_only(const struct imap_session *s)
{
	return s->read_only || !(s->rights & (RIGHT_INSERT | RIGHT_EXPUNGE | RIGHT_WRITE | RIGHT_DELETE));
}

static enum next select_mailbox(struct imap_session *s, struct imap_command *command, bool read_only)
{
	struct select_request request = {0};
	struct imap_place place;
	enum status status;

	if (!imap_parse_space(&command->args) || !imap_parse_mailbox(&command->args, &request.name) ||
	    !parse_parameters(s, &command->args, &request) || !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	/* RFC 9051 section 7.1: CLOSED tells where the old mailbox's responses end. */
	if (mailbox_viewer_is_open(&s->viewer))
		buf_add_literal(imap_output(s), "* OK [CLOSED] Previous mailbox closed\r\n");
	imap_leave_mailbox(s);
	status = open_mailbox(s, request.name, &place);
	if (status != STATUS_OK)
		return imap_answer_place(s, command, &place, status, SLICE_EMPTY);
	s->state = IMAP_SELECTED;
	s->selected_account = place.account;
	buf_add(&s->selected_name, place.name);
	s->rights = place.rights;
	s->read_only = read_only;
	mailbox_viewer_set_recent(&s->viewer, imap_recency(s));
	s->stale = false;
	s->refreshed_ms = clock_monotonic_ms();
	/* A session hears of one account at once: with NOTIFY, of its own. */
	engine_subscribe(s->env, (uint64_t)(s->notify ? s->account : place.account));
	put_state(s, &place);
	if (request.resync && request.uid_validity == place.mailbox.uid_validity)
		status = tell_missed(s, &request);
	if (status != STATUS_OK) {
		imap_leave_mailbox(s);
		return imap_answer(s, command, status, SLICE_EMPTY);
	}
	url_put_mechanisms(s);
	return imap_ok_code(s, command, is_read_only(s) ? SLICE("READ-ONLY") : SLICE("READ-WRITE"), SLICE("Selected"));
}

enum next imap_select(struct imap_session *s, struct imap_command *command)
{
	return select_mailbox(s, command, false);
}

enum next imap_examine(struct imap_session *s, struct imap_command *command)
{
	return select_mailbox(s, command, true);
}
