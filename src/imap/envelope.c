#include "imap/envelope.h"

#include "imap/parse.h"
#include "mime/words.h"

static bool take_words(struct imap_parser *p, struct slice *name, struct slice *mailbox, struct slice *host)
{
	struct slice route;

	return imap_accept(p, '(') && imap_parse_nstring(p, name) && imap_accept(p, ' ') && imap_parse_nstring(p, &route) &&
	       imap_accept(p, ' ') && imap_parse_nstring(p, mailbox) && imap_accept(p, ' ') && imap_parse_nstring(p, host) &&
	       imap_accept(p, ')');
}

/* RFC 9051 section 9: address. A group is a name without a host, and its end is all NIL. */
static bool take_address(struct imap_parser *p, struct buf *text)
{
	struct slice name, mailbox, host;

	if (!take_words(p, &name, &mailbox, &host))
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

/* To where the item begins. */
static bool skip_to(struct imap_parser *p, enum envelope_item item)
{
	struct slice string;

	if (!imap_accept(p, '('))
		return false;
	for (enum envelope_item at = ENVELOPE_DATE; at < item; at++) {
		if (is_list(at) ? !take_addresses(p, NULL) : !imap_parse_nstring(p, &string))
			return false;
		if (!imap_accept(p, ' '))
			return false;
	}
	return true;
}

struct envelope_address envelope_first_address(struct arena *arena, struct slice envelope, enum envelope_item item)
{
	struct envelope_address first = {SLICE_EMPTY, SLICE_EMPTY};
	struct slice name, mailbox, host;
	struct imap_parser p;
	struct buf display;

	imap_parser_init(&p, arena, envelope, true);
	if (!skip_to(&p, item) || imap_accept_word(&p, SLICE("NIL")) || !imap_accept(&p, '(') ||
	    !take_words(&p, &name, &mailbox, &host))
		return first;
	first.mailbox = mailbox.data ? mailbox : SLICE_EMPTY;
	first.display = slice_trim(words_decode(arena, name.len || host.data ? name : first.mailbox));
	if (first.display.len || !host.data)
		return first;
	buf_init(&display, arena, 0);
	buf_add(&display, first.mailbox);
	buf_add_byte(&display, '@');
	buf_add(&display, host);
	first.display = buf_slice(&display);
	return first;
}

struct slice envelope_text(struct arena *arena, struct slice envelope, enum envelope_item item)
{
	struct slice string = {NULL, 0};
	struct imap_parser p;
	struct buf text;

	imap_parser_init(&p, arena, envelope, true);
	buf_init(&text, arena, 0);
	if (!skip_to(&p, item) || (is_list(item) ? !take_addresses(&p, &text) : !imap_parse_nstring(&p, &string)))
		return slice_of(NULL, 0);
	if (is_list(item))
		return text.len ? buf_slice(&text) : slice_of(NULL, 0);
	return string.data ? words_decode(arena, string) : string;
}
