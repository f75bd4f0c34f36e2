#include "mime/parameters.h"

#include <stdlib.h>

#include "mime/words.h"

#define PIECES_MAX  1000
#define FEW         8 /* that need no memory of their own */
#define SECTION_MAX 9999

/* One "name*1*=value" as it was read. */
struct piece {
	struct slice name; /* without stars and number */
	struct slice value;
	uint32_t section;
	unsigned position; /* among the pieces */
	bool is_section;   /* RFC 2231 section 3 */
	bool is_extended;  /* RFC 2231 section 4: percent-encoded */
};

/* ---- reading ---- */

static void skip_to_semicolon(struct lexer *lexer)
{
	lexer_skip_space(lexer);
	while (lexer->at < lexer->end && *lexer->at != ';')
		lexer->at++;
}

/* "name", "name*", "name*0", "name*0*"; anything else with a star is a name. */
static void split_name(struct piece *piece, struct slice name)
{
	struct slice base = name;
	size_t star;

	piece->name = name;
	if (base.len > 1 && base.data[base.len - 1] == '*') {
		piece->is_extended = true;
		base.len--;
		piece->name = base;
	}
	star = slice_find_byte(base, '*');
	if (star == SLICE_NOT_FOUND || star == 0)
		return;
	piece->is_section = slice_to_u32(slice_skip(base, star + 1), SECTION_MAX, &piece->section);
	if (piece->is_section) {
		piece->name = slice_sub(base, 0, star);
	} else {
		piece->is_extended = false;
		piece->name = name;
	}
}

/* Lenient: file names with spaces are seen without quotes. */
static struct slice with_spaces(struct lexer *lexer, struct slice token)
{
	const char *end = lexer->at;

	while (end < lexer->end && *end != ';' && *end != '"' && *end != '\r' && *end != '\n')
		end++;
	if (end < lexer->end && *end == '"')
		return token;
	lexer->at = end;
	return slice_trim(slice_of(token.data, (size_t)(end - token.data)));
}

/* Lenient: encoded words stand here without quotes ("=?utf-8?b?...?="), which no token may. */
static struct slice read_word(struct lexer *lexer)
{
	const char *start = lexer->at;

	while (lexer->at < lexer->end && *lexer->at != ';' && *lexer->at != ' ' && *lexer->at != '\t' && *lexer->at != '\r' &&
	       *lexer->at != '\n')
		lexer->at++;
	return slice_of(start, (size_t)(lexer->at - start));
}

static struct slice read_value(struct lexer *lexer, struct slice name)
{
	struct slice token;

	if (lexer_is_at(lexer, '"'))
		return lexer_quoted(lexer);
	if (lexer_is_at(lexer, '='))
		return read_word(lexer);
	token = lexer_token(lexer);
	if (slice_eq_nocase(name, SLICE("name")) || slice_eq_nocase(name, SLICE("filename")))
		return with_spaces(lexer, token);
	return token;
}

/* At a ';': one parameter, or nothing. */
static bool read_piece(struct lexer *lexer, struct piece *piece)
{
	struct slice name;

	lexer->at++;
	lexer_skip_space(lexer);
	name = lexer_token(lexer);
	lexer_skip_space(lexer);
	if (name.len == 0 || !lexer_is_at(lexer, '='))
		return false;
	lexer->at++;
	lexer_skip_space(lexer);
	*piece = (struct piece){0};
	split_name(piece, name);
	piece->value = read_value(lexer, name);
	return true;
}

/* Room for one piece per semicolon. */
static unsigned count_semicolons(struct slice text, unsigned max)
{
	unsigned count = 0;
	size_t at;

	while (count < max && (at = slice_find_byte(text, ';')) != SLICE_NOT_FOUND) {
		text = slice_skip(text, at + 1);
		count++;
	}
	return count;
}

/* They lie in `few`, or if these don't suffice in `scratch`. */
static struct piece *read_pieces(struct lexer *lexer, struct arena *scratch, struct piece few[FEW], unsigned *count)
{
	unsigned max = *count < PIECES_MAX ? *count : PIECES_MAX;
	struct piece *pieces;

	*count = 0;
	skip_to_semicolon(lexer);
	max = count_semicolons(slice_of(lexer->at, (size_t)(lexer->end - lexer->at)), max);
	pieces = max <= FEW ? few : ARENA_ARRAY(scratch, struct piece, max);
	for (unsigned tried = 0; lexer->at < lexer->end && tried < max; tried++) {
		if (read_piece(lexer, &pieces[*count])) {
			pieces[*count].position = *count;
			++*count;
		}
		skip_to_semicolon(lexer);
	}
	return pieces;
}

/* ---- joining ---- */

static void add_percent_encoded(struct buf *out, struct slice text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c > ' ' && c < 0x7f && !memchr("%*'()<>@,;:\\\"/[]?=", c, 18)) {
			buf_add_byte(out, (char)c);
			continue;
		}
		buf_add_byte(out, '%');
		buf_add_byte(out, digits[c >> 4]);
		buf_add_byte(out, digits[c & 15]);
	}
}

static struct slice starred(struct arena *arena, struct slice name)
{
	const struct slice parts[] = {name, SLICE("*")};

	return slice_join(arena, parts, 2);
}

/* RFC 2231 section 4.1. In the wire form all sections are percent-encoded if one is, and if the first isn't no charset is known. */
static void join_sections(struct arena *arena, const struct piece *sections, unsigned count, struct mime_parameter *parameter)
{
	bool is_extended = false;
	struct buf wire;

	for (unsigned i = 0; i < count; i++)
		is_extended |= sections[i].is_extended;
	buf_init(&wire, arena, 0);
	if (is_extended && !sections[0].is_extended)
		buf_add_literal(&wire, "''");
	for (unsigned i = 0; i < count; i++) {
		if (is_extended && !sections[i].is_extended)
			add_percent_encoded(&wire, sections[i].value);
		else
			buf_add(&wire, sections[i].value);
	}
	parameter->wire_name = is_extended ? starred(arena, sections->name) : sections->name;
	parameter->wire_value = buf_slice(&wire);
}

static int compare_pieces(const void *left, const void *right)
{
	const struct piece *a = left, *b = right;
	int order = slice_compare_nocase(a->name, b->name);

	if (order == 0)
		order = (a->section > b->section) - (a->section < b->section);
	return order ? order : (a->position > b->position) - (a->position < b->position);
}

/* Of sections with the same number the first counts. */
static unsigned drop_doubles(struct piece *sections, unsigned count)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct piece *last = kept ? &sections[kept - 1] : NULL;

		if (!last || last->section != sections[i].section || !slice_eq_nocase(last->name, sections[i].name))
			sections[kept++] = sections[i];
	}
	return kept;
}

/* How many of the sections, which are sorted, belong to the first and follow each other from number 0. */
static unsigned count_joined(const struct piece *sections, unsigned count)
{
	unsigned joined = 0;

	while (joined < count && sections[joined].section == joined && slice_eq_nocase(sections[joined].name, sections->name))
		joined++;
	return joined;
}

static unsigned join_all(struct arena *arena, struct piece *sections, unsigned count, struct mime_parameter *parameters)
{
	unsigned made = 0;

	qsort(sections, count, sizeof(*sections), compare_pieces);
	count = drop_doubles(sections, count);
	for (unsigned i = 0; i < count;) {
		unsigned joined = count_joined(sections + i, count - i);
		struct slice name = sections[i].name;

		if (joined > 0)
			join_sections(arena, sections + i, joined, &parameters[made++]);
		while (i < count && slice_eq_nocase(sections[i].name, name))
			i++;
	}
	return made;
}

/* ---- decoding ---- */

static struct slice percent_decode(struct arena *arena, struct slice text)
{
	char *start = arena_alloc(arena, text.len + 1), *to = start;

	for (size_t i = 0; i < text.len; i++) {
		int high = text.data[i] == '%' && i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
		int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;

		*to++ = low >= 0 ? (char)(high << 4 | low) : text.data[i];
		i += low >= 0 ? 2 : 0;
	}
	return slice_of(start, (size_t)(to - start));
}

/* "charset'language'text" to UTF-8 (RFC 2231 section 4). Lenient: without a charset it is UTF-8. */
static struct slice decode_extended(struct arena *arena, struct slice value)
{
	struct slice rest = value, charset = slice_cut(&rest, '\'');
	struct buf out;

	if (slice_find_byte(rest, '\'') == SLICE_NOT_FOUND) {
		rest = value;
		charset = SLICE("utf-8");
	} else {
		slice_cut(&rest, '\'');
	}
	buf_init(&out, arena, 0);
	charset_to_utf8(&out, charset.len > 0 ? charset : SLICE("utf-8"), percent_decode(arena, rest));
	return buf_slice(&out);
}

static struct slice lower(struct arena *arena, struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.data[i] >= 'A' && name.data[i] <= 'Z')
			return slice_lower(arena, name);
	}
	return name;
}

void parameter_decode(struct arena *arena, struct mime_parameter *parameter)
{
	struct slice name = parameter->wire_name, value = parameter->wire_value;
	bool is_extended = name.len > 1 && name.data[name.len - 1] == '*';

	parameter->name = lower(arena, slice_sub(name, 0, name.len - is_extended));
	if (is_extended)
		parameter->value = decode_extended(arena, value);
	else if (!slice_is_ascii(value) || slice_find(value, SLICE("=?")) != SLICE_NOT_FOUND)
		parameter->value = words_decode(arena, value);
	else
		parameter->value = value;
}

static bool has_sections(const struct piece *pieces, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (pieces[i].is_section)
			return true;
	}
	return false;
}

void parameters_parse(struct lexer *lexer, struct mime_parameter **parameters, unsigned *count)
{
	struct arena scratch SCOPED_ARENA;
	struct piece few[FEW], *pieces;
	struct mime_parameter *all;
	unsigned piece_count = *count, made = 0, sections = 0;

	arena_init(&scratch, 0);
	pieces = read_pieces(lexer, &scratch, few, &piece_count);
	*count = 0;
	if (piece_count == 0)
		return;
	/* Where pieces are joined there are fewer parameters than pieces: those are copied to a place of their size. */
	all = ARENA_ARRAY(has_sections(pieces, piece_count) ? &scratch : lexer->arena, struct mime_parameter, piece_count);
	for (unsigned i = 0; i < piece_count; i++) {
		if (pieces[i].is_section) {
			pieces[sections++] = pieces[i];
			continue;
		}
		all[made].wire_name = pieces[i].is_extended ? starred(lexer->arena, pieces[i].name) : pieces[i].name;
		all[made++].wire_value = pieces[i].value;
	}
	made += join_all(lexer->arena, pieces, sections, all + made);
	for (unsigned i = 0; i < made; i++)
		parameter_decode(lexer->arena, &all[i]);
	if (sections > 0 && made > 0)
		all = memcpy(ARENA_ARRAY(lexer->arena, struct mime_parameter, made), all, made * sizeof(*all));
	*parameters = made > 0 ? all : NULL;
	*count = made;
}

const struct mime_parameter *parameter_find(const struct mime_parameter *parameters, unsigned count, struct slice name)
{
	for (unsigned i = 0; i < count; i++) {
		if (slice_eq(parameters[i].name, name))
			return &parameters[i];
	}
	return NULL;
}
