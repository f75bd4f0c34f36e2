#include "imap/envelope.h"
#include "imap/fetch.h"
#include "imap/search.h"

#include "mime/words.h"

struct search_parser {
	struct imap_parser *p;
	unsigned depth, keys;
	unsigned fuzzy; /* FUZZY keys around */
	bool has_fuzzy;
};

static struct search_key *parse_key(struct search_parser *sp);

/* ---- arguments of keys ---- */

/* RFC 5051: compared without case and in canonical decomposition. */
static bool parse_text(struct imap_parser *p, struct slice *text)
{
	struct slice raw;
	struct buf folded;

	if (!imap_parse_astring(p, &raw))
		return false;
	if (!slice_is_utf8(raw))
		return imap_fault(p, SLICE("a search text is UTF-8"));
	buf_init(&folded, p->arena, 0);
	text_fold(&folded, raw);
	*text = buf_slice(&folded);
	return true;
}

typedef bool (*argument)(struct imap_parser *p, struct search_key *key);

static bool take_nothing(struct imap_parser *p, struct search_key *key)
{
	(void)p;
	(void)key;
	return true;
}

static bool take_text(struct imap_parser *p, struct search_key *key)
{
	return imap_parse_space(p) && parse_text(p, &key->text);
}

static bool take_header(struct imap_parser *p, struct search_key *key)
{
	return imap_parse_space(p) && imap_parse_astring(p, &key->name) && imap_parse_space(p) && parse_text(p, &key->text);
}

static bool take_date(struct imap_parser *p, struct search_key *key)
{
	return imap_parse_space(p) && imap_parse_date(p, &key->number);
}

static bool take_size(struct imap_parser *p, struct search_key *key)
{
	uint64_t size;

	if (!imap_parse_space(p) || !imap_parse_u64(p, &size))
		return false;
	key->number = (int64_t)size;
	return true;
}

/* RFC 5032 section 3: seconds, not 0. */
static bool take_interval(struct imap_parser *p, struct search_key *key)
{
	uint32_t seconds;

	if (!imap_parse_space(p) || !imap_parse_u32(p, &seconds))
		return false;
	key->number = seconds;
	return seconds > 0 || imap_fault(p, SLICE("an interval is at least a second"));
}

static bool take_keyword(struct imap_parser *p, struct search_key *key)
{
	return imap_parse_space(p) && imap_parse_atom(p, &key->text);
}

/* RFC 7162 section 3.1.5: the name of a flag and whose it is may stand before the number; all metadata have one mod-sequence here. */
static bool take_modseq(struct imap_parser *p, struct search_key *key)
{
	struct slice name;
	uint64_t number;

	if (!imap_parse_space(p))
		return false;
	if (imap_peek(p) == '"') {
		if (!imap_parse_string(p, &name) || !imap_parse_space(p))
			return false;
		if (!slice_starts_with_nocase(name, SLICE("/flags/")))
			return imap_fault(p, SLICE("MODSEQ is of /flags/"));
		if (!imap_accept_word(p, SLICE("all")) && !imap_accept_word(p, SLICE("priv")) &&
		    !imap_accept_word(p, SLICE("shared")))
			return imap_fault(p, SLICE("MODSEQ is of all, priv or shared"));
		if (!imap_parse_space(p))
			return false;
	}
	if (!imap_parse_u64(p, &number))
		return false;
	key->number = (int64_t)number;
	return true;
}

static bool take_object_id(struct imap_parser *p, struct search_key *key)
{
	return imap_parse_space(p) && imap_parse_astring(p, &key->text);
}

static bool take_uids(struct imap_parser *p, struct search_key *key)
{
	if (!imap_parse_space(p) || !imap_parse_set(p, &key->given))
		return false;
	key->set = key->given;
	return true;
}

/* RFC 9738 section 3.2: the uids on one side of another, which is none of them. */
static bool take_uid_side(struct imap_parser *p, struct search_key *key, bool after)
{
	struct imap_range *range = ARENA_NEW(p->arena, struct imap_range);
	uint32_t uid;

	if (!imap_parse_space(p) || !imap_parse_u32(p, &uid))
		return false;
	if (uid == 0)
		return imap_fault(p, SLICE("uids begin with 1"));
	if (uid == (after ? UINT32_MAX : 1))
		key->type = SEARCH_NONE;
	*range = after ? (struct imap_range){uid + 1, UINT32_MAX} : (struct imap_range){1, uid - 1};
	key->set = key->given = (struct imap_set){.ranges = range, .count = 1};
	return true;
}

static bool take_uid_after(struct imap_parser *p, struct search_key *key)
{
	return take_uid_side(p, key, true);
}

static bool take_uid_before(struct imap_parser *p, struct search_key *key)
{
	return take_uid_side(p, key, false);
}

/* RFC 9051 section 6.4.4 and, for NEW, OLD and RECENT, RFC 3501 section 6.4.4. */
static const struct {
	struct slice name;
	enum search_type type;
	uint64_t mask, value;
	argument take;
} key_table[] = {
	{{"ALL", 3}, SEARCH_ALL, 0, 0, take_nothing},
	{{"ANSWERED", 8}, SEARCH_FLAGS, FLAG_ANSWERED, FLAG_ANSWERED, take_nothing},
	{{"DELETED", 7}, SEARCH_FLAGS, FLAG_DELETED, FLAG_DELETED, take_nothing},
	{{"DRAFT", 5}, SEARCH_FLAGS, FLAG_DRAFT, FLAG_DRAFT, take_nothing},
	{{"FLAGGED", 7}, SEARCH_FLAGS, FLAG_FLAGGED, FLAG_FLAGGED, take_nothing},
	{{"SEEN", 4}, SEARCH_FLAGS, FLAG_SEEN, FLAG_SEEN, take_nothing},
	{{"UNANSWERED", 10}, SEARCH_FLAGS, FLAG_ANSWERED, 0, take_nothing},
	{{"UNDELETED", 9}, SEARCH_FLAGS, FLAG_DELETED, 0, take_nothing},
	{{"UNDRAFT", 7}, SEARCH_FLAGS, FLAG_DRAFT, 0, take_nothing},
	{{"UNFLAGGED", 9}, SEARCH_FLAGS, FLAG_FLAGGED, 0, take_nothing},
	{{"UNSEEN", 6}, SEARCH_FLAGS, FLAG_SEEN, 0, take_nothing},
	{{"NEW", 3}, SEARCH_FLAGS, FLAG_RECENT | FLAG_SEEN, FLAG_RECENT, take_nothing},
	{{"RECENT", 6}, SEARCH_FLAGS, FLAG_RECENT, FLAG_RECENT, take_nothing},
	{{"OLD", 3}, SEARCH_FLAGS, FLAG_RECENT, 0, take_nothing},
	{{"KEYWORD", 7}, SEARCH_KEYWORD, 0, 1, take_keyword},
	{{"UNKEYWORD", 9}, SEARCH_KEYWORD, 0, 0, take_keyword},
	{{"UID", 3}, SEARCH_UIDS, 0, 0, take_uids},
	{{"UIDAFTER", 8}, SEARCH_UIDS, 0, 0, take_uid_after},
	{{"UIDBEFORE", 9}, SEARCH_UIDS, 0, 0, take_uid_before},
	{{"LARGER", 6}, SEARCH_LARGER, 0, 0, take_size},
	{{"SMALLER", 7}, SEARCH_SMALLER, 0, 0, take_size},
	{{"BEFORE", 6}, SEARCH_BEFORE, 0, 0, take_date},
	{{"ON", 2}, SEARCH_ON, 0, 0, take_date},
	{{"SINCE", 5}, SEARCH_SINCE, 0, 0, take_date},
	{{"OLDER", 5}, SEARCH_OLDER, 0, 0, take_interval},
	{{"YOUNGER", 7}, SEARCH_YOUNGER, 0, 0, take_interval},
	{{"MODSEQ", 6}, SEARCH_MODSEQ, 0, 0, take_modseq},
	{{"EMAILID", 7}, SEARCH_EMAIL_ID, 0, 0, take_object_id},
	{{"THREADID", 8}, SEARCH_THREAD_ID, 0, 0, take_object_id},
	{{"SAVEDBEFORE", 11}, SEARCH_SAVED_BEFORE, 0, 0, take_date},
	{{"SAVEDON", 7}, SEARCH_SAVED_ON, 0, 0, take_date},
	{{"SAVEDSINCE", 10}, SEARCH_SAVED_SINCE, 0, 0, take_date},
	{{"SAVEDATESUPPORTED", 17}, SEARCH_ALL, 0, 0, take_nothing},
	{{"SENTBEFORE", 10}, SEARCH_SENT_BEFORE, 0, 0, take_date},
	{{"SENTON", 6}, SEARCH_SENT_ON, 0, 0, take_date},
	{{"SENTSINCE", 9}, SEARCH_SENT_SINCE, 0, 0, take_date},
	{{"BCC", 3}, SEARCH_ENVELOPE, 0, ENVELOPE_BCC, take_text},
	{{"CC", 2}, SEARCH_ENVELOPE, 0, ENVELOPE_CC, take_text},
	{{"FROM", 4}, SEARCH_ENVELOPE, 0, ENVELOPE_FROM, take_text},
	{{"SUBJECT", 7}, SEARCH_ENVELOPE, 0, ENVELOPE_SUBJECT, take_text},
	{{"TO", 2}, SEARCH_ENVELOPE, 0, ENVELOPE_TO, take_text},
	{{"HEADER", 6}, SEARCH_HEADER, 0, 0, take_header},
	{{"BODY", 4}, SEARCH_BODY, 0, 0, take_text},
	{{"TEXT", 4}, SEARCH_TEXT, 0, 0, take_text},
};

/* ---- the tree ---- */

static struct search_key *new_key(struct search_parser *sp, enum search_type type)
{
	struct search_key *key = ARENA_NEW(sp->p->arena, struct search_key);

	key->type = type;
	if (++sp->keys <= SEARCH_KEYS_MAX)
		return key;
	(void)imap_fault(sp->p, SLICE("too many search keys"));
	return NULL;
}

/* Keys one after the other, all of which must match, up to the end or a ")". */
static struct search_key *parse_all_of(struct search_parser *sp)
{
	struct search_key *all = new_key(sp, SEARCH_AND), **end;

	if (!all)
		return NULL;
	end = &all->children;
	do {
		*end = parse_key(sp);
		if (!*end)
			return NULL;
		end = &(*end)->next;
	} while (imap_accept(sp->p, ' '));
	return all;
}

static struct search_key *parse_list(struct search_parser *sp)
{
	struct search_key *all = parse_all_of(sp);

	return all && imap_parse_byte(sp->p, ')') ? all : NULL;
}

static struct search_key *parse_not(struct search_parser *sp)
{
	struct search_key *key = new_key(sp, SEARCH_NOT);

	if (!key || !imap_parse_space(sp->p))
		return NULL;
	key->children = parse_key(sp);
	return key->children ? key : NULL;
}

/* RFC 6203 section 3. */
static struct search_key *parse_fuzzy(struct search_parser *sp)
{
	struct search_key *key = new_key(sp, SEARCH_FUZZY);

	if (!key || !imap_parse_space(sp->p))
		return NULL;
	sp->fuzzy++;
	sp->has_fuzzy = true;
	key->children = parse_key(sp);
	sp->fuzzy--;
	return key->children ? key : NULL;
}

static struct search_key *parse_or(struct search_parser *sp)
{
	struct search_key *key = new_key(sp, SEARCH_OR);

	if (!key || !imap_parse_space(sp->p))
		return NULL;
	key->children = parse_key(sp);
	if (!key->children || !imap_parse_space(sp->p))
		return NULL;
	key->children->next = parse_key(sp);
	return key->children->next ? key : NULL;
}

static struct search_key *parse_sequences(struct search_parser *sp)
{
	struct search_key *key = new_key(sp, SEARCH_SEQUENCES);

	if (!key || !imap_parse_set(sp->p, &key->set))
		return NULL;
	return key->set.saved || imap_allow_sequence(sp->p) ? key : NULL;
}

static struct search_key *parse_named(struct search_parser *sp)
{
	struct search_key *key;
	struct slice word;

	if (!imap_parse_word(sp->p, &word))
		return NULL;
	if (slice_eq_nocase(word, SLICE("NOT")))
		return parse_not(sp);
	if (slice_eq_nocase(word, SLICE("OR")))
		return parse_or(sp);
	if (slice_eq_nocase(word, SLICE("FUZZY")))
		return parse_fuzzy(sp);
	for (size_t i = 0; i < sizeof(key_table) / sizeof(key_table[0]); i++) {
		if (!slice_eq_nocase(word, key_table[i].name))
			continue;
		key = new_key(sp, key_table[i].type);
		if (!key)
			return NULL;
		key->mask = key_table[i].mask;
		key->value = key_table[i].value;
		if (!key_table[i].take(sp->p, key))
			return NULL;
		/* RFC 6203 section 5: other keys mean the same fuzzily. */
		key->fuzzy = sp->fuzzy > 0 && key->text.len > 0 && key->type >= SEARCH_ENVELOPE && key->type <= SEARCH_TEXT;
		return key;
	}
	(void)imap_fault(sp->p, SLICE("there is no such search key"));
	return NULL;
}

static struct search_key *parse_key(struct search_parser *sp)
{
	struct search_key *key;
	char first = imap_peek(sp->p);

	if (++sp->depth > IMAP_DEPTH_MAX) {
		(void)imap_fault(sp->p, SLICE("the search is nested too deeply"));
		return NULL;
	}
	if (imap_accept(sp->p, '('))
		key = parse_list(sp);
	else if (ascii_is_digit(first) || first == '*' || first == '$')
		key = parse_sequences(sp);
	else
		key = parse_named(sp);
	sp->depth--;
	return key;
}

/* ---- what to return ---- */

static const struct {
	struct slice name;
	unsigned bit;
} return_table[] = {
	{{"MIN", 3}, SEARCH_RETURN_MIN},     {{"MAX", 3}, SEARCH_RETURN_MAX},   {{"ALL", 3}, SEARCH_RETURN_ALL},
	{{"COUNT", 5}, SEARCH_RETURN_COUNT}, {{"SAVE", 4}, SEARCH_RETURN_SAVE}, {{"PARTIAL", 7}, SEARCH_RETURN_PARTIAL},
	{{"RELEVANCY", 9}, SEARCH_RETURN_RELEVANCY},
	{{"CONTEXT", 7}, SEARCH_RETURN_CONTEXT},
	{{"UPDATE", 6}, SEARCH_RETURN_UPDATE},
};

static bool parse_window_number(struct imap_parser *p, bool from_end, uint32_t *number)
{
	if (from_end && !imap_parse_byte(p, '-'))
		return false;
	return imap_parse_u32(p, number) && (*number > 0 || imap_fault(p, SLICE("results are counted from 1")));
}

bool imap_parse_window(struct imap_parser *p, struct search_window *window)
{
	uint32_t other;

	*window = (struct search_window){.from_end = imap_peek(p) == '-'};
	if (!parse_window_number(p, window->from_end, &window->first) || !imap_parse_byte(p, ':') ||
	    !parse_window_number(p, window->from_end, &window->last))
		return false;
	other = window->first;
	if (window->last < other) {
		window->first = window->last;
		window->last = other;
	}
	return true;
}

/* RFC 5465 section 7: "UPDATE (UID FLAGS)". */
static bool parse_update(struct imap_parser *p, struct search_request *request)
{
	struct fetch_request items;

	if (!slice_starts_with(p->rest, SLICE(" (")))
		return true;
	if (!imap_parse_space(p))
		return false;
	request->update = *p;
	request->has_items = true;
	return imap_parse_fetch(p, &items);
}

static bool parse_return_option(struct imap_parser *p, struct search_request *request)
{
	struct slice word;

	if (!imap_parse_word(p, &word))
		return false;
	for (size_t i = 0; i < sizeof(return_table) / sizeof(return_table[0]); i++) {
		unsigned bit = return_table[i].bit;

		if (!slice_eq_nocase(word, return_table[i].name))
			continue;
		/* RFC 9394 section 3.1: one window, and it instead of ALL. */
		if (bit & request->returns & SEARCH_RETURN_PARTIAL)
			return imap_fault(p, SLICE("PARTIAL is given once"));
		request->returns |= bit;
		if ((request->returns & SEARCH_RETURN_PARTIAL) && (request->returns & SEARCH_RETURN_ALL))
			return imap_fault(p, SLICE("PARTIAL or ALL, not both"));
		if (bit == SEARCH_RETURN_UPDATE)
			return parse_update(p, request);
		return bit != SEARCH_RETURN_PARTIAL || (imap_parse_space(p) && imap_parse_window(p, &request->window));
	}
	return imap_fault(p, SLICE("there is no such thing to return"));
}

/* RFC 9051 section 6.4.4: "RETURN ()" is the same as "RETURN (ALL)". */
bool imap_parse_search_return(struct imap_parser *p, struct search_request *request)
{
	if (!imap_accept_word(p, SLICE("RETURN")))
		return true;
	request->extended = true;
	if (!imap_parse_space(p) || !imap_parse_byte(p, '('))
		return false;
	if (imap_peek(p) != ')') {
		do {
			if (!parse_return_option(p, request))
				return false;
		} while (imap_accept(p, ' '));
	}
	if ((request->returns & ~(unsigned)SEARCH_RETURN_CONTEXT) == 0)
		request->returns |= SEARCH_RETURN_ALL;
	return imap_parse_byte(p, ')') && imap_parse_space(p);
}

/* ---- the command ---- */

static bool parse_charset(struct imap_parser *p, struct search_request *request)
{
	struct slice charset;

	if (!imap_parse_astring(p, &charset) || !imap_parse_space(p))
		return false;
	request->unknown_charset = !slice_eq_nocase(charset, SLICE("UTF-8")) && !slice_eq_nocase(charset, SLICE("US-ASCII"));
	return true;
}

static bool parse_keys(struct imap_parser *p, struct search_request *request)
{
	struct search_parser sp = {.p = p};

	if (request->unknown_charset)
		return true;
	request->key = parse_all_of(&sp);
	request->has_fuzzy = sp.has_fuzzy;
	request->wants_scores |= (request->returns & SEARCH_RETURN_RELEVANCY) != 0;
	/* RFC 6203 section 4. */
	if (request->key && request->wants_scores && !request->has_fuzzy)
		return imap_fault(p, SLICE("RELEVANCY takes a FUZZY key"));
	return request->key != NULL;
}

bool imap_parse_search_program(struct imap_parser *p, struct search_request *request)
{
	request->program = *p;
	return parse_charset(p, request) && parse_keys(p, request);
}

bool imap_parse_search(struct imap_parser *p, struct search_request *request)
{
	*request = (struct search_request){0};
	return imap_parse_search_return(p, request) && imap_parse_search_keys(p, request);
}

bool imap_parse_search_keys(struct imap_parser *p, struct search_request *request)
{
	request->program = *p;
	if (imap_accept_word(p, SLICE("CHARSET")) && (!imap_parse_space(p) || !parse_charset(p, request)))
		return false;
	return parse_keys(p, request);
}
