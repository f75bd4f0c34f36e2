/* IDLE (RFC 9051 section 6.3.13). The session is parked meanwhile: news come by session_event, DONE by imap_idle_input. */
#include "imap/notify.h"
#include "imap/session.h"
#include "imap/url_auth.h"

enum next imap_idle(struct imap_session *s, struct imap_command *command)
{
	s->idling = true;
	s->idle_tag_len = command->tag.len;
	memcpy(s->idle_tag, command->tag.data, command->tag.len);
	if (s->notify)
		imap_notify_event(s);
	else if (mailbox_viewer_is_open(&s->viewer)) {
		url_tell_reset(s);
		imap_refresh(s);
		imap_tell_news(s, true, NULL);
	}
	buf_add_literal(imap_output(s), "+ idling\r\n");
	return NEXT_PARK;
}

enum next imap_idle_input(struct imap_session *s)
{
	struct imap_command command = {
		.tag = slice_of(s->idle_tag, s->idle_tag_len),
		.news = IMAP_NEWS_FRESH,
	};
	struct slice line;

	if (!imap_read_line(s, &line))
		return NEXT_CLOSE;
	s->idling = false;
	if (!slice_eq_nocase(line, SLICE("DONE")))
		return imap_bad(s, &command, SLICE("IDLE is ended by DONE"));
	return imap_ok(s, &command, SLICE("IDLE completed"));
}
