/* ENABLE: RFC 9051 section 6.3.1. */
#include "imap/session.h"

enum { ENABLE_REV2 = 1 << 0, ENABLE_CONDSTORE = 1 << 1, ENABLE_QRESYNC = 1 << 2, ENABLE_UTF8 = 1 << 3, ENABLE_UIDONLY = 1 << 4,
       ENABLE_METADATA = 1 << 5 };

static const struct {
	struct slice name;
	unsigned feature;
} features[] = {
	{{"IMAP4rev2", 9}, ENABLE_REV2},
	{{"CONDSTORE", 9}, ENABLE_CONDSTORE},
	{{"QRESYNC", 7}, ENABLE_QRESYNC},
	{{"UTF8=ACCEPT", 11}, ENABLE_UTF8},
	{{"UIDONLY", 7}, ENABLE_UIDONLY},
	{{"METADATA", 8}, ENABLE_METADATA},
};
#define FEATURES (sizeof(features) / sizeof(features[0]))

/* What isn't known is passed over. */
static bool parse_features(struct imap_parser *p, unsigned *wanted)
{
	do {
		struct slice name;

		if (!imap_parse_space(p) || !imap_parse_atom(p, &name))
			return false;
		for (size_t i = 0; i < FEATURES; i++) {
			if (slice_eq_nocase(name, features[i].name))
				*wanted |= features[i].feature;
		}
	} while (imap_peek(p) == ' ');
	return imap_parse_end(p);
}

enum next imap_enable(struct imap_session *s, struct imap_command *command)
{
	struct buf *out = imap_output(s);
	unsigned wanted = 0;

	if (!parse_features(&command->args, &wanted))
		return imap_bad_arguments(s, command);
	/* What was to be told until now is told in the old way. */
	imap_tell_before_answer(s, command);
	s->rev2 |= (wanted & ENABLE_REV2) != 0;
	if (wanted & ENABLE_REV2 && mailbox_viewer_is_open(&s->viewer))
		mailbox_viewer_set_recent(&s->viewer, imap_recency(s));
	s->utf8 |= (wanted & ENABLE_UTF8) != 0;
	s->uid_only |= (wanted & ENABLE_UIDONLY) != 0;
	s->qresync |= (wanted & ENABLE_QRESYNC) != 0;
	if (wanted & ENABLE_METADATA) {
		s->metadata = true;
		imap_watch_metadata(s);
	}
	buf_add_literal(out, "* ENABLED");
	for (size_t i = 0; i < FEATURES; i++) {
		if (!(wanted & features[i].feature))
			continue;
		buf_add_byte(out, ' ');
		buf_add(out, features[i].name);
	}
	buf_add_literal(out, "\r\n");
	if (wanted & (ENABLE_CONDSTORE | ENABLE_QRESYNC))
		imap_use_condstore(s);
	return imap_ok(s, command, SLICE("ENABLE completed"));
}
