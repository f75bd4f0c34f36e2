/* Each entry begins with a phrase; what follows it tells what it was: "<" a display name, ":" a group's name, "@" a local part,
 * anything else a local part without a domain. */
#include "mime/address.h"
#include "mime/lexer.h"

#define ENTRIES_MAX 10000

struct reader {
	struct lexer lexer;
	struct address *first, **link;
	unsigned count;
	bool in_group;
};

/* Words that follow each other; those with a dot between them are one. Where the text stands in the field as it is wanted, with one
 * space between two words, it is not copied. */
struct phrase {
	struct slice plain; /* if copy is empty */
	struct buf copy;
	struct buf local;     /* the last word without the white space around its dots, if it has any */
	size_t last_word;     /* where it begins in the text: the local part, if "@" comes */
	struct slice comment; /* the last one; data NULL: none */
	bool is_plain, is_spaced;
	bool is_quoted; /* it begins so */
};

static const struct slice absent = {NULL, 0};

static void add_entry(struct reader *reader, struct slice name, struct slice route, struct slice local, struct slice domain)
{
	struct address *entry = ARENA_NEW(reader->lexer.arena, struct address);

	*entry = (struct address){.name = name, .route = route, .local = local, .domain = domain};
	*reader->link = entry;
	reader->link = &entry->next;
	reader->count++;
}

/* ---- phrases ---- */

static struct slice phrase_text(const struct phrase *phrase)
{
	return phrase->copy.len > 0 ? buf_slice(&phrase->copy) : phrase->plain;
}

static struct slice phrase_local(const struct phrase *phrase)
{
	return phrase->is_spaced ? buf_slice(&phrase->local) : slice_skip(phrase_text(phrase), phrase->last_word);
}

static struct slice phrase_name(const struct phrase *phrase)
{
	struct slice text = phrase_text(phrase);

	return text.len > 0 ? text : absent;
}

static void append(struct phrase *phrase, bool spaced, struct slice word, bool is_atom)
{
	struct slice *plain = &phrase->plain;

	if (plain->len == 0 && phrase->copy.len == 0) {
		*plain = word;
		phrase->is_plain = is_atom;
		phrase->is_quoted = !is_atom;
		return;
	}
	if (phrase->copy.len == 0 && phrase->is_plain && is_atom && word.data == plain->data + plain->len + spaced &&
	    (!spaced || plain->data[plain->len] == ' ')) {
		plain->len += spaced + word.len;
		return;
	}
	if (phrase->copy.len == 0)
		buf_add(&phrase->copy, *plain);
	if (spaced)
		buf_add_byte(&phrase->copy, ' ');
	buf_add(&phrase->copy, word);
}

/* A word that stands behind white space begins anew, unless a dot joins it to what is before (RFC 5322 section 4.4). */
static void add_word(struct phrase *phrase, struct slice word, bool after_space, bool is_atom)
{
	struct slice text = phrase_text(phrase);
	bool spaced = text.len > 0 && after_space;

	if (spaced && text.data[text.len - 1] != '.') {
		phrase->last_word = text.len + 1;
		phrase->is_spaced = false;
	} else if (spaced && !phrase->is_spaced) {
		buf_clear(&phrase->local);
		buf_add(&phrase->local, slice_skip(text, phrase->last_word));
		phrase->is_spaced = true;
	}
	append(phrase, spaced, word, is_atom);
	if (phrase->is_spaced)
		buf_add(&phrase->local, word);
}

static struct phrase read_phrase(struct lexer *lexer)
{
	struct phrase phrase = {.plain = SLICE_EMPTY, .comment = absent};

	buf_init(&phrase.copy, lexer->arena, 0);
	buf_init(&phrase.local, lexer->arena, 0);
	for (;;) {
		const char *before = lexer->at;
		bool after_space;

		lexer_skip_space_keep(lexer, &phrase.comment);
		after_space = lexer->at > before;
		if (lexer_is_at(lexer, '"')) {
			add_word(&phrase, lexer_quoted(lexer), after_space, false);
		} else if (lexer_is_at(lexer, '.')) {
			add_word(&phrase, slice_of(lexer->at, 1), false, true);
			lexer->at++;
		} else {
			struct slice atom = lexer_atom(lexer);

			if (atom.len == 0)
				return phrase;
			add_word(&phrase, atom, after_space, true);
		}
	}
}

/* ---- addresses ---- */

/* Words and dots without the white space around the dots; '[' ... ']' as a whole. */
static struct slice read_domain(struct lexer *lexer, struct slice *comment)
{
	const char *start, *end;
	struct buf domain;

	lexer_skip_space_keep(lexer, comment);
	start = end = lexer->at;
	if (lexer_is_at(lexer, '[')) {
		while (lexer->at < lexer->end && *lexer->at != ']' && *lexer->at != '>' && *lexer->at != '\n')
			lexer->at += *lexer->at == '\\' && lexer->at + 1 < lexer->end ? 2 : 1;
		lexer->at += lexer_is_at(lexer, ']');
		return slice_of(start, (size_t)(lexer->at - start));
	}
	/* "example.org" is one run in nearly all mail: it is copied only if it isn't. */
	while (lexer_atom(lexer).len > 0 || lexer_is_at(lexer, '.')) {
		lexer->at += lexer_is_at(lexer, '.');
		end = lexer->at;
	}
	lexer_skip_space_keep(lexer, comment);
	if (!lexer_is_at(lexer, '.') && (end == start || end[-1] != '.'))
		return slice_of(start, (size_t)(end - start));
	buf_init(&domain, lexer->arena, 0);
	buf_add(&domain, slice_of(start, (size_t)(end - start)));
	/* Only a dot joins what white space parts. */
	for (;;) {
		if (lexer_is_at(lexer, '.')) {
			buf_add_byte(&domain, '.');
			lexer->at++;
		} else if (domain.len > 0 && domain.data[domain.len - 1] == '.') {
			struct slice atom = lexer_atom(lexer);

			if (atom.len == 0)
				return buf_slice(&domain);
			buf_add(&domain, atom);
		} else {
			return buf_slice(&domain);
		}
		lexer_skip_space_keep(lexer, comment);
	}
}

/* "@a,@b:" (RFC 5322 section 4.4), without white space. */
static struct slice read_route(struct lexer *lexer, struct slice *comment)
{
	struct buf route;

	if (!lexer_is_at(lexer, '@'))
		return absent;
	buf_init(&route, lexer->arena, 0);
	while (lexer_is_at(lexer, '@') || lexer_is_at(lexer, ',')) {
		if (*lexer->at++ == '@') {
			if (route.len > 0)
				buf_add_byte(&route, ',');
			buf_add_byte(&route, '@');
			buf_add(&route, read_domain(lexer, comment));
		}
		lexer_skip_space_keep(lexer, comment);
	}
	lexer->at += lexer_is_at(lexer, ':');
	return buf_slice(&route);
}

/* To the separator, past what can't be read there. */
static void pass_rest(struct lexer *lexer)
{
	for (;;) {
		lexer_skip_space(lexer);
		if (lexer->at == lexer->end || *lexer->at == ',' || *lexer->at == ';')
			return;
		if (*lexer->at == '"')
			lexer_quoted(lexer);
		else
			lexer->at++;
	}
}

/* At '<'. */
static void read_angle(struct reader *reader, struct phrase *phrase)
{
	struct lexer *lexer = &reader->lexer;
	struct slice route, local, domain = SLICE_EMPTY, name = phrase_name(phrase);
	struct phrase inside;

	lexer->at++;
	lexer_skip_space_keep(lexer, &phrase->comment);
	route = read_route(lexer, &phrase->comment);
	inside = read_phrase(lexer);
	local = inside.last_word == 0 ? phrase_local(&inside) : phrase_text(&inside);
	if (lexer_is_at(lexer, '@')) {
		lexer->at++;
		domain = read_domain(lexer, &phrase->comment);
	}
	pass_rest(lexer);
	add_entry(reader, name, route, local, domain);
}

/* A local part without brackets; "@" may follow. Without it one atom is a local part, and anything else somebody's name. */
static void read_bare(struct reader *reader, struct phrase *phrase)
{
	struct lexer *lexer = &reader->lexer;
	struct slice text = phrase_text(phrase), domain = SLICE_EMPTY;
	struct slice local = phrase_local(phrase), name = slice_trim(slice_sub(text, 0, phrase->last_word));

	if (lexer_is_at(lexer, '@')) {
		lexer->at++;
		domain = read_domain(lexer, &phrase->comment);
	} else if (phrase->last_word > 0 || phrase->is_quoted) {
		name = text;
		local = SLICE_EMPTY;
	}
	lexer_skip_space_keep(lexer, &phrase->comment);
	pass_rest(lexer);
	if (name.len > 0 || local.len > 0 || domain.len > 0)
		add_entry(reader, name.len > 0 ? name : phrase->comment, absent, local, domain);
}

static void read_entry(struct reader *reader)
{
	struct lexer *lexer = &reader->lexer;
	struct phrase phrase = read_phrase(lexer);

	if (lexer->at == lexer->end || *lexer->at == ',' || *lexer->at == ';' || *lexer->at == '@') {
		read_bare(reader, &phrase);
	} else if (*lexer->at == '<') {
		read_angle(reader, &phrase);
	} else if (*lexer->at == ':') {
		lexer->at++;
		/* A group in a group is only its members. */
		if (reader->in_group)
			return;
		reader->in_group = true;
		add_entry(reader, absent, absent, phrase_text(&phrase), absent);
	} else {
		lexer->at++;
		if (phrase_text(&phrase).len > 0)
			read_bare(reader, &phrase);
	}
}

static void end_group(struct reader *reader)
{
	if (reader->in_group)
		add_entry(reader, absent, absent, absent, absent);
	reader->in_group = false;
}

struct address *address_list_parse(struct arena *arena, struct slice field_value, unsigned max)
{
	struct reader reader = {.lexer = lexer_of(arena, field_value)};

	reader.link = &reader.first;
	if (max > ENTRIES_MAX)
		max = ENTRIES_MAX;
	/* A group's end must still fit. */
	while (reader.lexer.at < reader.lexer.end && reader.count + 1 < max) {
		read_entry(&reader);
		if (lexer_is_at(&reader.lexer, ';'))
			end_group(&reader);
		if (lexer_is_at(&reader.lexer, ';') || lexer_is_at(&reader.lexer, ','))
			reader.lexer.at++;
	}
	end_group(&reader);
	return reader.first;
}
