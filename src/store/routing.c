#include "store/routing.h"

#include "base/random.h"
#include "store/directory_internal.h"

#define TARGETS_MAX 1000
#define SECRET_SIZE 40

static struct slice text_of(struct slice text)
{
	return text.data ? text : SLICE_EMPTY;
}

static struct rule prepared(struct arena *arena, const struct rule *rule)
{
	return (struct rule){rule->kind, slice_lower(arena, slice_trim(rule->subject)), slice_trim(text_of(rule->target)),
			     text_of(rule->detail)};
}

static bool is_valid(const struct rule *rule)
{
	return rule->kind >= RULE_DOMAIN_ALIAS && rule->kind < RULE_KIND_END && rule->subject.len > 0 &&
	       rule->subject.len <= 512 && rule->target.len <= 512;
}

/* ---- writing ---- */

static bool has_one_target(enum rule_kind kind)
{
	return kind == RULE_DOMAIN_ALIAS || kind == RULE_RELAY_DOMAIN || kind == RULE_ROUTE || kind == RULE_SENDER_ROUTE ||
	       kind == RULE_REWRITE_SENDER || kind == RULE_REWRITE_RECIPIENT || kind == RULE_TLS || kind == RULE_DOMAIN_SIZE || kind == RULE_DOMAIN_QUOTA;
}

static void delete_rules(struct db *db, enum rule_kind kind, struct slice subject, struct slice target)
{
	struct db_query query = db_query(db, "DELETE FROM rule WHERE kind = $1 AND subject = $2 AND ($3 = '' OR target = $3)");

	db_bind_i64(&query, kind);
	db_bind_text(&query, subject);
	db_bind_text(&query, target);
	db_run(&query);
}

static void insert_rule(struct db *db, const struct rule *rule)
{
	struct db_query query = db_query(db, "INSERT INTO rule (kind, subject, target, detail) VALUES ($1, $2, $3, $4)"
					     " ON CONFLICT DO NOTHING");

	db_bind_i64(&query, rule->kind);
	db_bind_text(&query, rule->subject);
	db_bind_text(&query, rule->target);
	db_bind_text(&query, rule->detail);
	db_run(&query);
}

/* False: there is no such rule. */
static bool set_detail(struct db *db, const struct rule *rule)
{
	struct db_query query = db_query(db, "UPDATE rule SET detail = $4 WHERE kind = $1 AND subject = $2 AND target = $3");

	db_bind_i64(&query, rule->kind);
	db_bind_text(&query, rule->subject);
	db_bind_text(&query, rule->target);
	db_bind_text(&query, rule->detail);
	db_run(&query);
	return db_changes(db) > 0;
}

static bool read_rule(struct db *db, struct arena *arena, enum rule_kind kind, struct slice subject, struct rule *rule)
{
	struct db_query query =
		db_query(db, "SELECT target, detail FROM rule WHERE kind = $1 AND subject = $2 ORDER BY target LIMIT 1");

	db_bind_i64(&query, kind);
	db_bind_text(&query, subject);
	bool found = db_row(&query);

	if (found)
		*rule = (struct rule){kind, subject, slice_dup(arena, db_slice(&query, 0)),
				      slice_dup(arena, db_slice(&query, 1))};
	db_done(&query);
	return found;
}

static struct slice domain_of(struct slice address)
{
	size_t at = slice_find_last_byte(address, '@');

	return at == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_skip(address, at + 1);
}

/* ---- "news-*@example.org" ---- */

/* Routes alone have them. */
static bool is_pattern(enum rule_kind kind, struct slice subject)
{
	return (kind == RULE_ROUTE || kind == RULE_SENDER_ROUTE) && slice_find_byte(subject, '*') != SLICE_NOT_FOUND &&
	       domain_of(subject).len > 0;
}

static void note_pattern(struct db *db, const struct rule *rule)
{
	if (is_pattern(rule->kind, rule->subject))
		insert_rule(db, &(struct rule){RULE_ROUTE_PATTERN, domain_of(rule->subject), rule->subject, SLICE_EMPTY});
}

/* Routes of recipients and of senders may have the same. */
static void forget_pattern(struct db *db, struct arena *arena, const struct rule *rule)
{
	struct rule other;

	if (is_pattern(rule->kind, rule->subject) && !read_rule(db, arena, RULE_ROUTE, rule->subject, &other) &&
	    !read_rule(db, arena, RULE_SENDER_ROUTE, rule->subject, &other))
		delete_rules(db, RULE_ROUTE_PATTERN, domain_of(rule->subject), rule->subject);
}

/* Stars are few, and what doesn't fit behind one is tried again behind the last only. */
static bool fits(struct slice text, struct slice pattern)
{
	size_t at = 0, p = 0, star = SLICE_NOT_FOUND, back = 0;

	while (at < text.len) {
		if (p < pattern.len && pattern.data[p] == '*') {
			star = p++;
			back = at;
		} else if (p < pattern.len && pattern.data[p] == text.data[at]) {
			p++;
			at++;
		} else if (star != SLICE_NOT_FOUND) {
			p = star + 1;
			at = ++back;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.data[p] == '*')
		p++;
	return p == pattern.len;
}

/* The longest first. */
static size_t list_patterns(struct db *db, struct arena *arena, struct slice domain, struct slice **patterns)
{
	struct db_query query = db_query(db, "SELECT target FROM rule WHERE kind = $1 AND subject = $2"
					     " ORDER BY length(target) DESC, target LIMIT $3");
	size_t count = 0;

	db_bind_i64(&query, RULE_ROUTE_PATTERN);
	db_bind_text(&query, domain);
	db_bind_i64(&query, TARGETS_MAX);
	while (count < TARGETS_MAX && db_row(&query)) {
		if (count == 0)
			*patterns = ARENA_ARRAY(arena, struct slice, TARGETS_MAX);
		(*patterns)[count++] = slice_dup(arena, db_slice(&query, 0));
	}
	db_done(&query);
	return count;
}

static bool find_by_pattern(struct db *db, struct arena *arena, enum rule_kind kind, struct slice address, struct rule *rule)
{
	struct slice *patterns = NULL, domain = domain_of(address);
	size_t count = domain.len > 0 ? list_patterns(db, arena, domain, &patterns) : 0;

	for (size_t i = 0; i < count; i++)
		if (fits(address, patterns[i]) && read_rule(db, arena, kind, patterns[i], rule))
			return true;
	return false;
}

/* ---- adding and removing ---- */

/* A domain is one thing: ours, another's name, or one that is taken for another host. */
static bool contradicts(struct db *db, struct arena *arena, const struct rule *rule)
{
	struct rule other;

	switch (rule->kind) {
	case RULE_DOMAIN_ALIAS:
		return slice_eq_nocase(rule->subject, rule->target) || directory_is_domain(db, rule->subject) ||
		       read_rule(db, arena, RULE_RELAY_DOMAIN, rule->subject, &other);
	case RULE_RELAY_DOMAIN:
		return directory_is_domain(db, rule->subject) || read_rule(db, arena, RULE_DOMAIN_ALIAS, rule->subject, &other);
	default:
		return false;
	}
}

static enum status add_rule(struct db *db, void *context)
{
	const struct rule *rule = context;
	struct arena arena SCOPED_ARENA;
	struct rule former;

	arena_init(&arena, 0);
	if (contradicts(db, &arena, rule))
		return STATUS_REFUSED;
	if (has_one_target(rule->kind) && read_rule(db, &arena, rule->kind, rule->subject, &former)) {
		if (slice_eq(former.target, rule->target) && slice_eq(former.detail, rule->detail))
			return STATUS_EXISTS;
		delete_rules(db, rule->kind, rule->subject, SLICE_EMPTY);
	}
	note_pattern(db, rule);
	insert_rule(db, rule);
	return db_changes(db) == 0 && db_status(db) == STATUS_OK ? STATUS_EXISTS : db_status(db);
}

enum status routing_add(struct store *store, const struct rule *rule)
{
	struct arena arena SCOPED_ARENA;
	struct rule work;

	arena_init(&arena, 0);
	work = prepared(&arena, rule);
	return is_valid(&work) ? db_write(store->pool, add_rule, &work) : STATUS_REFUSED;
}

struct add_work {
	const struct rule *rules;
	size_t count;
};

static enum status add_rules(struct db *db, void *context)
{
	const struct add_work *work = context;

	for (size_t i = 0; i < work->count && db_status(db) == STATUS_OK; i++)
		if (!set_detail(db, &work->rules[i])) {
			note_pattern(db, &work->rules[i]);
			insert_rule(db, &work->rules[i]);
		}
	return db_status(db);
}

enum status routing_add_all(struct store *store, const struct rule *rules, size_t count)
{
	struct arena arena SCOPED_ARENA;
	struct rule *all;

	arena_init(&arena, 0);
	all = ARENA_ARRAY(&arena, struct rule, count);
	for (size_t i = 0; i < count; i++) {
		all[i] = prepared(&arena, &rules[i]);
		if (!is_valid(&all[i]))
			return STATUS_REFUSED;
	}
	return db_write(store->pool, add_rules, &(struct add_work){all, count});
}

static enum status remove_rule(struct db *db, void *context)
{
	const struct rule *rule = context;
	struct arena arena SCOPED_ARENA;

	delete_rules(db, rule->kind, rule->subject, rule->target);
	if (db_changes(db) == 0 && db_status(db) == STATUS_OK)
		return STATUS_NOT_FOUND;
	forget_pattern(db, &arena, rule);
	return db_status(db);
}

enum status routing_remove(struct store *store, enum rule_kind kind, struct slice subject, struct slice target)
{
	struct arena arena SCOPED_ARENA;
	struct rule work;

	arena_init(&arena, 0);
	work = prepared(&arena, &(struct rule){kind, subject, target, SLICE_EMPTY});
	return db_write(store->pool, remove_rule, &work);
}

static enum status remove_relay_domain(struct db *db, void *context)
{
	const struct rule *rule = context;

	delete_rules(db, RULE_RELAY_DOMAIN, rule->subject, SLICE_EMPTY);
	if (db_changes(db) == 0 && db_status(db) == STATUS_OK)
		return STATUS_NOT_FOUND;
	directory_forget_aliases(db, rule->subject);
	struct db_query query = db_query(db, "DELETE FROM rule WHERE kind = $1 AND"
					     " substr(subject, length(subject) - length($2) + 1) = $2");

	db_bind_i64(&query, RULE_RELAY_RECIPIENT);
	db_bind_text(&query, rule->target);
	db_run(&query);
	return db_status(db);
}

enum status routing_remove_relay_domain(struct store *store, struct slice domain)
{
	struct arena arena SCOPED_ARENA;
	struct rule work;

	arena_init(&arena, 0);
	work = prepared(&arena, &(struct rule){RULE_RELAY_DOMAIN, domain, SLICE_EMPTY, SLICE_EMPTY});
	work.target = slice_join(&arena, (const struct slice[]){SLICE("@"), work.subject}, 2);
	return db_write(store->pool, remove_relay_domain, &work);
}

/* ---- listing ---- */

static struct db_query query_list(struct db *db, enum rule_kind kind, struct slice ending)
{
	struct db_query query = db_query(db, "SELECT subject, target, detail FROM rule WHERE kind = $1 AND"
					     " ($2 = '' OR substr(subject, length(subject) - length($2) + 1) = $2)"
					     " ORDER BY subject, target");

	db_bind_i64(&query, kind);
	db_bind_text(&query, ending);
	return query;
}

enum status routing_list(struct store *store, struct arena *arena, enum rule_kind kind, struct slice domain,
			 struct rule **rules, size_t *count)
{
	struct slice ending = domain.len > 0
				      ? slice_join(arena, (const struct slice[]){SLICE("@"), slice_lower(arena, domain)}, 2)
				      : SLICE_EMPTY;
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct rule);
	struct rule *rule;

	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = query_list(db, kind, ending);

	while (db_row(&query) && (rule = list_add(&list)))
		*rule = (struct rule){kind, slice_dup(arena, db_slice(&query, 0)), slice_dup(arena, db_slice(&query, 1)),
				      slice_dup(arena, db_slice(&query, 2))};
	db_done(&query);
	*rules = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

enum status routing_kinds(struct store *store, unsigned *mask)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);

	*mask = 0;
	if (!db)
		return STATUS_TEMPORARY;
	for (int kind = RULE_DOMAIN_ALIAS; kind < RULE_KIND_END; kind++) {
		struct db_query query = db_query(db, "SELECT 1 FROM rule WHERE kind = $1 LIMIT 1");

		db_bind_i64(&query, kind);
		if (db_row(&query))
			*mask |= 1u << kind;
		db_done(&query);
	}
	return db_status(db);
}

/* ---- patterns ---- */

bool routing_address_matches(struct slice address, struct slice pattern)
{
	if (slice_starts_with(pattern, SLICE("@")))
		return slice_eq_nocase(domain_of(address), slice_skip(pattern, 1));
	return slice_eq_nocase(address, pattern);
}

static bool has_rule(struct db *db, struct arena *arena, enum rule_kind kind, struct slice subject, struct rule *rule)
{
	return subject.len > 0 && read_rule(db, arena, kind, subject, rule);
}

static bool has_target(struct db *db, struct arena *arena, enum rule_kind kind, struct slice subject, struct slice *target)
{
	struct rule rule;

	if (!has_rule(db, arena, kind, subject, &rule))
		return false;
	*target = rule.target;
	return true;
}

/* Of the domain, or of those above it. */
static bool find_for_domain(struct db *db, struct arena *arena, enum rule_kind kind, struct slice rest, struct rule *rule)
{
	if (has_rule(db, arena, kind, rest, rule))
		return true;
	for (size_t dot; (dot = slice_find_byte(rest, '.')) != SLICE_NOT_FOUND; rest = slice_skip(rest, dot + 1))
		if (has_rule(db, arena, kind, slice_skip(rest, dot), rule))
			return true;
	return false;
}

static bool find_route(struct db *db, struct arena *arena, enum rule_kind kind, struct slice address, struct rule *rule)
{
	return has_rule(db, arena, kind, address, rule) || find_by_pattern(db, arena, kind, address, rule) ||
	       find_for_domain(db, arena, kind, domain_of(address), rule);
}

static struct slice marked(struct arena *arena, const struct rule *rule, struct slice recipient)
{
	struct slice hop = rule->target, user = routing_parse_terms(rule->detail).user;

	if (slice_starts_with(hop, ROUTE_MX))
		hop = slice_skip(hop, ROUTE_MX.len);
	else if (slice_eq(hop, ROUTE_DIRECT))
		hop = domain_of(recipient);
	return slice_join(arena, (const struct slice[]){ROUTE_MARK, hop, user.len > 0 ? SLICE("/") : SLICE_EMPTY, user}, 4);
}

/* ---- terms ---- */

struct slice routing_format_terms(struct arena *arena, const struct route_terms *terms)
{
	const struct slice parts[] = {SLICE("tls="), terms->tls, SLICE(" secret="), terms->secret, SLICE(" user="), terms->user};
	bool has_some = terms->tls.len > 0 || terms->user.len > 0;

	return has_some ? slice_join(arena, parts, 6) : SLICE_EMPTY;
}

static struct slice take_part(struct slice *rest, struct slice name)
{
	struct slice part = slice_cut(rest, ' ');

	return slice_starts_with(part, name) ? slice_skip(part, name.len) : SLICE_EMPTY;
}

struct route_terms routing_parse_terms(struct slice detail)
{
	struct route_terms terms;

	terms.tls = take_part(&detail, SLICE("tls="));
	terms.secret = take_part(&detail, SLICE("secret="));
	terms.user = take_part(&detail, SLICE("user="));
	return terms;
}

enum status routing_list_terms(struct store *store, struct arena *arena, struct slice hop, struct slice user,
			       struct route_terms **terms, size_t *count)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list found = LIST(arena, struct route_terms);

	*count = 0;
	if (!db)
		return STATUS_TEMPORARY;
	struct db_query query = db_query(db, "SELECT detail FROM rule WHERE kind IN ($1, $2) AND target = $3 ORDER BY kind, subject");

	db_bind_i64(&query, RULE_ROUTE);
	db_bind_i64(&query, RULE_SENDER_ROUTE);
	db_bind_text(&query, hop);
	while (db_row(&query)) {
		struct route_terms said = routing_parse_terms(slice_dup(arena, db_slice(&query, 0))), *added;

		if (slice_eq_nocase(said.user, user) && (added = list_add(&found)))
			*added = said;
	}
	db_done(&query);
	*terms = found.items;
	*count = found.count;
	return found.failed ? STATUS_LIMIT : db_status(db);
}

enum status routing_find_domain(struct store *store, struct arena *arena, enum rule_kind kind, struct slice domain,
				struct slice *target)
{
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct rule rule = {.target = SLICE_EMPTY};

	if (!db)
		return STATUS_TEMPORARY;
	bool found = find_for_domain(db, arena, kind, domain, &rule);

	*target = rule.target;
	return read_status(db, found);
}

enum status routing_domain_limit(struct store *store, enum rule_kind kind, struct slice domain, uint64_t *bytes)
{
	struct arena arena SCOPED_ARENA;
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct rule rule;

	*bytes = 0;
	if (!db)
		return STATUS_TEMPORARY;
	if (read_rule(db, &arena, kind, slice_lower(&arena, domain), &rule))
		(void)!slice_to_u64(rule.target, INT64_MAX, bytes);
	return read_status(db, true);
}

enum status routing_next_hop(struct store *store, struct arena *arena, struct slice sender, struct slice recipient,
			     struct slice *hop)
{
	struct slice from = slice_lower(arena, sender), to = slice_lower(arena, recipient);
	struct rule found;
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	bool has = find_route(db, arena, RULE_ROUTE, to, &found) || find_route(db, arena, RULE_SENDER_ROUTE, from, &found) ||
		   has_rule(db, arena, RULE_ROUTE, SLICE("*"), &found);

	if (has)
		*hop = marked(arena, &found, to);
	return read_status(db, has);
}

static struct slice at_domain(struct arena *arena, struct slice domain)
{
	return slice_join(arena, (const struct slice[]){SLICE("@"), domain}, 2);
}

enum status routing_rewrite(struct store *store, struct arena *arena, enum rule_kind kind, struct slice *address)
{
	struct slice key = slice_lower(arena, *address), domain = domain_of(key), target;
	struct db *db SCOPED_DB = db_acquire(store->pool);

	if (!db)
		return STATUS_TEMPORARY;
	if (domain.len == 0 ||
	    !(has_target(db, arena, kind, key, &target) || has_target(db, arena, kind, at_domain(arena, domain), &target)))
		return db_status(db);
	if (slice_starts_with(target, SLICE("@")))
		target = slice_join(arena,
				    (const struct slice[]){slice_sub(*address, 0, address->len - domain.len - 1), target}, 2);
	*address = target;
	return db_status(db);
}

static void add_targets(struct db *db, struct arena *arena, enum rule_kind kind, struct slice subject, struct list *list)
{
	struct slice *target;
	struct db_query query =
		db_query(db, "SELECT target FROM rule WHERE kind = $1 AND subject = $2 ORDER BY target LIMIT $3");

	db_bind_i64(&query, kind);
	db_bind_text(&query, subject);
	db_bind_i64(&query, TARGETS_MAX);
	while (db_row(&query) && (target = list_add(list)))
		*target = slice_dup(arena, db_slice(&query, 0));
	db_done(&query);
}

enum status routing_targets(struct store *store, struct arena *arena, enum rule_kind kind, struct slice address,
			    struct slice **targets, size_t *count)
{
	struct slice key = slice_lower(arena, address);
	struct db *db SCOPED_DB = db_acquire(store->pool);
	struct list list = LIST(arena, struct slice);

	if (!db)
		return STATUS_TEMPORARY;
	add_targets(db, arena, kind, key, &list);
	if (domain_of(key).len > 0)
		add_targets(db, arena, kind, at_domain(arena, domain_of(key)), &list);
	*targets = list.items;
	*count = list.count;
	return list.failed ? STATUS_LIMIT : db_status(db);
}

/* What the rules of one subject say of the address. */
static void look_for_right(struct db *db, struct slice subject, struct slice address, bool *as, bool *on_behalf)
{
	struct db_query query = db_query(db, "SELECT target, detail FROM rule WHERE kind = $1 AND subject = $2 ORDER BY target LIMIT $3");

	db_bind_i64(&query, RULE_MAY_SEND);
	db_bind_text(&query, subject);
	db_bind_i64(&query, TARGETS_MAX);
	while (db_row(&query)) {
		if (!routing_address_matches(address, db_slice(&query, 0)))
			continue;
		if (slice_eq(db_slice(&query, 1), RULE_ON_BEHALF))
			*on_behalf = true;
		else
			*as = true;
	}
	db_done(&query);
}

enum status routing_may_send(struct store *store, struct slice account, struct slice address, bool *on_behalf)
{
	struct arena arena SCOPED_ARENA;
	struct slice key = slice_lower(&arena, account);
	struct db *db SCOPED_DB = db_acquire(store->pool);
	bool as = false;

	*on_behalf = false;
	if (!db)
		return STATUS_TEMPORARY;
	look_for_right(db, key, address, &as, on_behalf);
	if (domain_of(key).len > 0)
		look_for_right(db, at_domain(&arena, domain_of(key)), address, &as, on_behalf);
	bool found = as || *on_behalf;

	*on_behalf = !as;
	return read_status(db, found);
}

/* ---- secrets ---- */

enum status routing_secret(struct store *store, struct arena *arena, struct slice name, struct slice *secret)
{
	struct rule rule = {RULE_SECRET, name, SLICE_EMPTY, SLICE_EMPTY};
	bool found = false;

	for (int tries = 0; tries < 2 && !found; tries++) {
		struct db *db SCOPED_DB = db_acquire(store->pool);

		if (!db)
			return STATUS_TEMPORARY;
		found = read_rule(db, arena, RULE_SECRET, name, &rule);
		if (db_status(db) != STATUS_OK)
			return db_status(db);
		if (found)
			break;
		/* The primary key has the target in it: two that make one at the same time must make it under the same. */
		struct rule made = {RULE_SECRET, name, SLICE_EMPTY, random_token(arena, SECRET_SIZE)};
		enum status status = db_write(store->pool, add_rule, &made);

		if (status != STATUS_OK && status != STATUS_EXISTS)
			return status;
	}
	*secret = rule.detail;
	return found ? STATUS_OK : STATUS_TEMPORARY;
}

/* ---- the look-up's part ---- */

static void take_domain_alias(struct arena *arena, struct slice address, struct slice domain, struct slice target,
			      struct directory_entry *entry)
{
	struct slice local = slice_sub(address, 0, address.len - domain.len);

	entry->kind = DIRECTORY_ALIAS;
	entry->is_domain_alias = true;
	entry->targets = ARENA_NEW(arena, struct slice);
	entry->targets[0] = slice_join(arena, (const struct slice[]){local, target}, 2);
	entry->target_count = 1;
}

void routing_look_up(struct db *db, struct arena *arena, struct slice address, struct slice domain,
		     struct directory_entry *entry)
{
	struct rule rule, recipient;

	if (read_rule(db, arena, RULE_DOMAIN_ALIAS, domain, &rule))
		take_domain_alias(arena, address, domain, rule.target, entry);
	else if (!read_rule(db, arena, RULE_RELAY_DOMAIN, domain, &rule))
		entry->kind = DIRECTORY_NOT_LOCAL;
	else if (slice_eq(rule.detail, RULE_LISTED) && !read_rule(db, arena, RULE_RELAY_RECIPIENT, address, &recipient))
		entry->kind = DIRECTORY_UNKNOWN;
	else
		entry->kind = DIRECTORY_RELAY;
}

bool routing_is_relay_domain(struct db *db, struct arena *arena, struct slice domain)
{
	struct rule rule;

	return read_rule(db, arena, RULE_RELAY_DOMAIN, domain, &rule);
}

bool routing_is_domain(struct db *db, struct arena *arena, struct slice domain)
{
	struct rule rule;

	return read_rule(db, arena, RULE_DOMAIN_ALIAS, domain, &rule) || read_rule(db, arena, RULE_RELAY_DOMAIN, domain, &rule);
}

void routing_read_senders(struct db *db, struct arena *arena, struct slice address, struct directory_entry *entry)
{
	struct list list = LIST(arena, struct slice);

	add_targets(db, arena, RULE_LIST_SENDER, address, &list);
	entry->senders = list.items;
	entry->sender_count = list.count;
}

void routing_forget(struct db *db, enum rule_kind kind, struct slice subject)
{
	delete_rules(db, kind, subject, SLICE_EMPTY);
}
