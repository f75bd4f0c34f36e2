#include "imap/envelope.h"

#include "imap/parse.h"
#include "mime/words.h"

/* RFC 9051 section 9: address. A group is a name without a host, and its end is all NIL. */
static bool take_address(struct imap_parser *p, struct buf *text)
{
	struct slice name, route, mailbox, host;

	if (!imap_accept(p, '(') || !imap_parse_nstring(p, &name) || !imap_accept(p, ' ') || !imap_parse_nstring(p, &route) ||
	    !imap_accept(p, ' ') || !imap_parse_nstring(p, &mailbox) || !imap_accept(p, ' ') || !imap_parse_nstring(p, &host) ||
	    !imap_accept(p, ')'))
		return false;
	if (!text)
		return true;
	if (name.len) {
		buf_add(text, words_decode(p->arena, name));
		buf_add_byte(text, ' ');
	}
	if (!host.data) {
		buf_add(text, mailbox.data ? words_decode(p->arena, mailbox) : SLICE_EMPTY);
		buf_add(text, mailbox.data ? SLICE(": ") : SLICE("; "));
		return true;
	}
	buf_add_byte(text, '<');
	buf_add(text, mailbox);
	buf_add_byte(text, '@');
	buf_add(text, host);
	buf_add_literal(text, ">, ");
	return true;
}

/* `text` NULL: passed over. */
static bool take_addresses(struct imap_parser *p, struct buf *text)
{
	if (imap_accept_word(p, SLICE("NIL")))
		return true;
	if (!imap_accept(p, '('))
		return false;
	while (!imap_accept(p, ')')) {
		if (!take_address(p, text))
			return false;
	}
	return true;
}

static bool is_list(enum envelope_item item)
{
	return item >= ENVELOPE_FROM && item <= ENVELOPE_BCC;
}

struct slice envelope_text(struct arena *arena, struct slice envelope, enum envelope_item item)
{
	struct slice string = {NULL, 0};
	struct imap_parser p;
	struct buf text;

	imap_parser_init(&p, arena, envelope, true);
	buf_init(&text, arena, 0);
	if (!imap_accept(&p, '('))
		return string;
	for (enum envelope_item at = ENVELOPE_DATE; at <= item; at++) {
		if (at > ENVELOPE_DATE && !imap_accept(&p, ' '))
			return slice_of(NULL, 0);
		if (is_list(at) ? !take_addresses(&p, at == item ? &text : NULL) : !imap_parse_nstring(&p, &string))
			return slice_of(NULL, 0);
	}
	if (is_list(item))
		return text.len ? buf_slice(&text) : slice_of(NULL, 0);
	return string.data ? words_decode(arena, string) : string;
}
