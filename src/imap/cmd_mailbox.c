/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS: RFC 9051 section 6.3.4 to 6.3.8, 6.3.11. */
#include "imap/session.h"

#include "imap/name.h"

static bool parse_one_mailbox(struct imap_command *command, struct slice *name)
{
	return imap_parse_space(&command->args) && imap_parse_mailbox(&command->args, name) && imap_parse_end(&command->args);
}

/* ---- CREATE ---- */

struct create_request {
	struct slice name, role;
	unsigned uses;
	bool unknown_use;
};

static bool parse_uses(struct imap_parser *p, struct create_request *request)
{
	if (!imap_parse_space(p) || !imap_parse_byte(p, '('))
		return false;
	if (imap_accept(p, ')'))
		return true;
	do {
		struct slice use;

		if (!imap_parse_byte(p, '\\') || !imap_parse_atom(p, &use))
			return false;
		request->role = imap_role_of_use(use);
		request->unknown_use |= request->role.len == 0;
		request->uses++;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')');
}

/* RFC 6154 section 3. */
static bool parse_create(struct imap_parser *p, struct create_request *request)
{
	if (!imap_parse_space(p) || !imap_parse_new_mailbox(p, &request->name))
		return false;
	if (imap_peek(p) != ' ')
		return imap_parse_end(p);
	if (!imap_parse_space(p) || !imap_parse_byte(p, '('))
		return false;
	if (!imap_accept_word(p, SLICE("USE")))
		return imap_fault(p, SLICE("there is no such parameter"));
	return parse_uses(p, request) && imap_parse_byte(p, ')') && imap_parse_end(p);
}

/* RFC 8474 section 4.2. */
static enum next answer_created(struct imap_session *s, struct imap_command *command, int64_t account, int64_t id)
{
	struct mailbox mailbox;
	struct buf code;

	if (mailbox_get(imap_store(s), imap_arena(s), account, id, &mailbox) != STATUS_OK)
		return imap_ok(s, command, SLICE("CREATE completed"));
	buf_init(&code, imap_arena(s), 0);
	buf_add_literal(&code, "MAILBOXID (");
	buf_add(&code, mailbox.mailbox_id);
	buf_add_byte(&code, ')');
	return imap_ok_code(s, command, buf_slice(&code), SLICE("CREATE completed"));
}

/* RFC 4314 section 4: the right k on the mailbox above. Where one may not make mailboxes, none is told of. */
static bool may_create(struct imap_session *s, struct imap_command *command, struct slice name, struct imap_place *place,
		       enum next *next)
{
	enum status status = imap_find_new_place(s, name, place);

	if (status == STATUS_OK && place->rights & RIGHT_CREATE)
		return true;
	if (status == STATUS_OK || status == STATUS_NOT_FOUND)
		*next = imap_no(s, command, SLICE("NOPERM"), SLICE("You may not make a mailbox there"));
	else
		*next = imap_answer(s, command, status, SLICE_EMPTY);
	return false;
}

enum next imap_create(struct imap_session *s, struct imap_command *command)
{
	struct create_request request = {0};
	struct imap_place place;
	enum status status;
	enum next next;
	int64_t id;

	if (!parse_create(&command->args, &request))
		return imap_bad_arguments(s, command);
	/* RFC 6154 section 3: one use a mailbox, one mailbox a use. */
	if (request.unknown_use || request.uses > 1)
		return imap_no(s, command, SLICE("USEATTR"), SLICE("A mailbox can't have that use"));
	if (!may_create(s, command, request.name, &place, &next))
		return next;
	if (request.uses && place.account != s->account)
		return imap_no(s, command, SLICE("USEATTR"), SLICE("Others' mailboxes have no use of yours"));
	status = mailbox_create(imap_store(s), place.account, place.mailbox.name, request.role, &id);
	if (status == STATUS_REFUSED && request.uses)
		return imap_no(s, command, SLICE("USEATTR"), SLICE("Another mailbox has that use"));
	if (status != STATUS_OK)
		return imap_answer(s, command, status, SLICE_EMPTY);
	imap_announce_account(s, place.account);
	imap_log_mailbox(s, "imap.mailbox_created", place.name, SLICE_EMPTY);
	return answer_created(s, command, place.account, id);
}

static bool has_children(struct imap_session *s, const struct imap_place *place)
{
	struct slice below = slice_join(imap_arena(s), (struct slice[]){place->mailbox.name, SLICE("/")}, 2);
	struct mailbox *mailboxes;
	size_t count;

	return mailbox_list_prefix(imap_store(s), imap_arena(s), place->account, below, &mailboxes, &count) == STATUS_OK && count > 0;
}

/* RFC 9051 section 6.3.5: a mailbox with children becomes a mere level, which can't be deleted as long as it has some. */
enum next imap_delete(struct imap_session *s, struct imap_command *command)
{
	struct imap_place place;
	struct slice name;
	enum status status;

	if (!parse_one_mailbox(command, &name))
		return imap_bad_arguments(s, command);
	status = imap_find_place(s, name, RIGHT_DELETE_MAILBOX, &place);
	if (status == STATUS_OK && !place.mailbox.selectable && has_children(s, &place))
		return imap_no(s, command, SLICE("HASCHILDREN"), SLICE("There are mailboxes below it"));
	if (status == STATUS_OK)
		status = mailbox_delete(imap_store(s), place.account, place.mailbox.id);
	if (status == STATUS_OK) {
		imap_announce_account(s, place.account);
		imap_log_mailbox(s, "imap.mailbox_deleted", place.name, SLICE_EMPTY);
	}
	return imap_answer_place(s, command, &place, status, SLICE("DELETE completed"));
}

/* Within one account. Of others', INBOX stays: its messages would move. */
static enum status rename_mailbox(struct imap_session *s, const struct imap_place *from, const struct imap_place *to)
{
	bool is_inbox = slice_eq(from->mailbox.name, SLICE("INBOX"));

	if (from->account != to->account || (from->account != s->account && is_inbox))
		return STATUS_REFUSED;
	return mailbox_rename(imap_store(s), from->account, from->mailbox.id, to->mailbox.name);
}

enum next imap_rename(struct imap_session *s, struct imap_command *command)
{
	struct imap_place from, to;
	struct slice name, new_name;
	enum status status;
	enum next next;

	if (!imap_parse_space(&command->args) || !imap_parse_mailbox(&command->args, &name) ||
	    !imap_parse_space(&command->args) || !imap_parse_new_mailbox(&command->args, &new_name) ||
	    !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	if (imap_name_is_below(new_name, name))
		return imap_answer(s, command, STATUS_REFUSED, SLICE_EMPTY);
	status = imap_find_place(s, name, RIGHT_DELETE_MAILBOX, &from);
	if (status != STATUS_OK)
		return imap_answer_place(s, command, &from, status, SLICE_EMPTY);
	if (!may_create(s, command, new_name, &to, &next))
		return next;
	status = rename_mailbox(s, &from, &to);
	if (status == STATUS_OK) {
		imap_announce_account(s, from.account);
		imap_log_mailbox(s, "imap.mailbox_renamed", from.name, to.name);
	}
	return imap_answer(s, command, status, SLICE("RENAME completed"));
}

static enum next subscribe(struct imap_session *s, struct imap_command *command, bool subscribed, struct slice text)
{
	struct slice name;
	enum status status;

	if (!parse_one_mailbox(command, &name))
		return imap_bad_arguments(s, command);
	status = mailbox_subscribe(imap_store(s), s->account, name, subscribed);
	if (status == STATUS_OK)
		imap_announce(s);
	return imap_answer(s, command, status, text);
}

enum next imap_subscribe(struct imap_session *s, struct imap_command *command)
{
	return subscribe(s, command, true, SLICE("SUBSCRIBE completed"));
}

enum next imap_unsubscribe(struct imap_session *s, struct imap_command *command)
{
	return subscribe(s, command, false, SLICE("UNSUBSCRIBE completed"));
}

/* ---- STATUS ---- */

enum status_item {
	ITEM_MESSAGES,
	ITEM_RECENT,
	ITEM_UIDNEXT,
	ITEM_UIDVALIDITY,
	ITEM_UNSEEN,
	ITEM_DELETED,
	ITEM_SIZE,
	ITEM_APPENDLIMIT,     /* RFC 7889 section 3 */
	ITEM_HIGHESTMODSEQ,   /* RFC 7162 section 3.1.7 */
	ITEM_MAILBOXID,       /* RFC 8474 section 4.3 */
	ITEM_DELETED_STORAGE, /* RFC 9208 section 4.1.4 */
	ITEM_COUNT,
};

static const struct slice item_names[ITEM_COUNT] = {
	[ITEM_MESSAGES] = {"MESSAGES", 8},
	[ITEM_RECENT] = {"RECENT", 6},
	[ITEM_UIDNEXT] = {"UIDNEXT", 7},
	[ITEM_UIDVALIDITY] = {"UIDVALIDITY", 11},
	[ITEM_UNSEEN] = {"UNSEEN", 6},
	[ITEM_DELETED] = {"DELETED", 7},
	[ITEM_SIZE] = {"SIZE", 4},
	[ITEM_APPENDLIMIT] = {"APPENDLIMIT", 11},
	[ITEM_HIGHESTMODSEQ] = {"HIGHESTMODSEQ", 13},
	[ITEM_MAILBOXID] = {"MAILBOXID", 9},
	[ITEM_DELETED_STORAGE] = {"DELETED-STORAGE", 15},
};

static uint64_t deleted_bytes(struct imap_session *s, const struct imap_place *place)
{
	uint64_t bytes = 0;

	if (place->mailbox.deleted > 0 &&
	    mailbox_deleted_bytes(imap_store(s), place->account, place->mailbox.id, &bytes) != STATUS_OK)
		LOG_WARNING(s->context->log, "imap.deleted_bytes_failed", LOG_INT("session", s->env->id));
	return bytes;
}

/* Of the selected mailbox those that are recent to this session; of others those that nobody has been told of. */
static uint64_t recent_messages(struct imap_session *s, const struct imap_place *place)
{
	const struct mailbox *mailbox = &place->mailbox;
	uint32_t from = mailbox_view_cache_recent_uid(s->context->views, place->account, mailbox);
	uint64_t count = 0;

	if (place->account != s->account)
		return 0;
	if (mailbox_viewer_is_open(&s->viewer) && s->selected_account == place->account &&
	    mailbox_viewer_state(&s->viewer).mailbox == mailbox->id)
		return mailbox_viewer_recent(&s->viewer);
	if (from < mailbox->uid_next &&
	    mailbox_count_from(imap_store(s), place->account, mailbox->id, from, &count) != STATUS_OK)
		LOG_WARNING(s->context->log, "imap.recent_failed", LOG_INT("session", s->env->id));
	return count;
}

static uint64_t item_value(struct imap_session *s, const struct imap_place *place, enum status_item item)
{
	const struct mailbox *mailbox = &place->mailbox;

	switch (item) {
	case ITEM_MESSAGES:
		return mailbox->messages;
	case ITEM_UIDNEXT:
		return mailbox->uid_next;
	case ITEM_UIDVALIDITY:
		return mailbox->uid_validity;
	case ITEM_UNSEEN:
		return mailbox->unseen;
	case ITEM_DELETED:
		return mailbox->deleted;
	case ITEM_SIZE:
		return mailbox->size_bytes;
	case ITEM_APPENDLIMIT:
		return imap_append_limit(s);
	case ITEM_HIGHESTMODSEQ:
		return mailbox->highest_modseq;
	case ITEM_DELETED_STORAGE:
		return deleted_bytes(s, place);
	case ITEM_RECENT:
		return recent_messages(s, place);
	case ITEM_MAILBOXID:
	case ITEM_COUNT:
		break;
	}
	return 0;
}

static bool parse_status_item(struct imap_parser *p, unsigned *items)
{
	struct slice word;

	if (!imap_parse_word(p, &word))
		return false;
	for (unsigned i = 0; i < ITEM_COUNT; i++) {
		if (slice_eq_nocase(word, item_names[i])) {
			*items |= 1u << i;
			return true;
		}
	}
	return imap_fault(p, SLICE("there is no such status item"));
}

bool imap_parse_status_items(struct imap_parser *p, unsigned *items)
{
	*items = 0;
	if (!imap_parse_byte(p, '('))
		return false;
	do {
		if (!parse_status_item(p, items))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')');
}

void imap_put_status(struct imap_session *s, const struct imap_place *place, unsigned items)
{
	struct buf *out = imap_output(s);
	bool first = true;

	if (items & 1u << ITEM_HIGHESTMODSEQ)
		imap_use_condstore(s);
	buf_add_literal(out, "* STATUS ");
	imap_put_mailbox(out, place->name, imap_utf8_names(s));
	buf_add_literal(out, " (");
	for (unsigned i = 0; i < ITEM_COUNT; i++) {
		if (!(items & 1u << i))
			continue;
		if (!first)
			buf_add_byte(out, ' ');
		first = false;
		buf_add(out, item_names[i]);
		buf_add_byte(out, ' ');
		if (i == ITEM_MAILBOXID) {
			buf_add_byte(out, '(');
			buf_add(out, place->mailbox.mailbox_id);
			buf_add_byte(out, ')');
		} else {
			buf_add_u64(out, item_value(s, place, (enum status_item)i));
		}
	}
	buf_add_literal(out, ")\r\n");
}

enum next imap_status(struct imap_session *s, struct imap_command *command)
{
	struct imap_place place;
	struct slice name;
	unsigned items;
	enum status status;

	if (!imap_parse_space(&command->args) || !imap_parse_mailbox(&command->args, &name) ||
	    !imap_parse_space(&command->args) || !imap_parse_status_items(&command->args, &items) ||
	    !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	status = imap_find_place(s, name, RIGHT_READ, &place);
	if (status == STATUS_OK && !place.mailbox.selectable)
		status = STATUS_NOT_FOUND;
	if (status == STATUS_OK && place.account != s->account)
		status = mailbox_unseen_by(imap_store(s), place.account, &place.mailbox, s->account);
	if (status == STATUS_OK)
		imap_put_status(s, &place, items);
	return imap_answer_place(s, command, &place, status, SLICE("STATUS completed"));
}
