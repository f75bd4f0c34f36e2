/* APPEND: RFC 9051 section 6.3.12, RFC 4315 (APPENDUID), RFC 7889 (APPENDLIMIT), RFC 3502 (several messages), RFC 4469 (CATENATE).
 * REPLACE: RFC 8508. Messages are read into memory that grows with them, and committed whole or not at all. */
#include "imap/incoming.h"
#include "imap/limit.h"

#include "base/clock.h"
#include "imap/write.h"
#include "store/email.h"

#define MESSAGES_MAX 1000 /* without imap.message_limit */
/* All messages of one command together are at most so many times as large as one may be. */
#define TOGETHER_MAX 2

struct brought {
	struct incoming_message *messages;
	size_t count, room;
};

static bool make_room(struct imap_session *s, struct brought *brought)
{
	size_t room = brought->room ? 2 * brought->room : 4, size = sizeof(*brought->messages);
	struct incoming_message *messages;

	if (brought->count < brought->room)
		return true;
	messages = arena_try_grow(imap_arena(s), brought->messages, brought->room * size, room * size);
	if (!messages)
		return false;
	brought->messages = messages;
	brought->room = room;
	return true;
}

static void free_brought(struct brought *brought)
{
	for (size_t i = 0; i < brought->count; i++)
		buf_free(&brought->messages[i].bytes);
	brought->count = 0;
}

static bool read_messages(struct incoming *in, struct brought *brought)
{
	uint32_t announced = limit_of_saving(in->s), max = announced ? announced : MESSAGES_MAX;

	do {
		if (announced && brought->count == max)
			return incoming_refuse(in, limit_code(in->s, max, NULL), SLICE("Too many messages at once"));
		if (brought->count == max || !make_room(in->s, brought) || in->bytes > TOGETHER_MAX * imap_append_limit(in->s))
			return incoming_refuse(in, SLICE("LIMIT"), SLICE("Too many messages at once"));
		if (!incoming_read_message(in, &brought->messages[brought->count]))
			return false;
		brought->count++;
	} while (imap_accept(in->p, ' '));
	return imap_parse_end(in->p);
}

/* What the store is given; the facts are made before any lock is taken. */
static enum status make_requests(struct imap_session *s, struct brought *brought, const struct imap_place *place,
				 struct append_request *requests)
{
	uint64_t allowed = rights_flags(place->rights);
	struct email_facts *facts = ARENA_ARRAY(imap_arena(s), struct email_facts, brought->count);
	enum status status = STATUS_OK;

	for (size_t i = 0; i < brought->count && status == STATUS_OK; i++) {
		const struct incoming_message *message = &brought->messages[i];

		requests[i] = (struct append_request){
			.account = place->account,
			.mailbox = place->mailbox.id,
			.seen_by = imap_seen_by(s, place->account),
			.facts = &facts[i],
			.received_ms = message->has_date ? message->received_ms : clock_wall_ms(),
		};
		status = imap_flags_to_bits(s, place->account, &message->flags, (place->rights & RIGHT_WRITE) != 0,
					    &requests[i].flags);
		requests[i].flags &= allowed;
		email_facts(imap_arena(s), buf_slice(&message->bytes), &facts[i]);
	}
	return status;
}

static struct slice append_uid(struct imap_session *s, uint32_t uid_validity, const uint32_t *uids, size_t count)
{
	struct buf code;

	buf_init(&code, imap_arena(s), 0);
	buf_add_literal(&code, "APPENDUID ");
	buf_add_u64(&code, uid_validity);
	buf_add_byte(&code, ' ');
	imap_put_numbers_as_set(&code, uids, count);
	return buf_slice(&code);
}

static enum next append(struct imap_session *s, struct imap_command *command, struct brought *brought,
			const struct imap_place *place)
{
	struct append_request *requests = ARENA_ARRAY(imap_arena(s), struct append_request, brought->count);
	uint32_t *uids = ARENA_ARRAY(imap_arena(s), uint32_t, brought->count), uid_validity;
	enum status status = make_requests(s, brought, place, requests);

	if (status == STATUS_LIMIT)
		return imap_answer(s, command, status, SLICE_EMPTY);
	if (status == STATUS_OK)
		status = store_append(imap_store(s), requests, brought->count, uids, &uid_validity);
	if (status != STATUS_OK)
		return imap_answer_target(s, command, status, SLICE_EMPTY);
	imap_announce_account(s, place->account);
	imap_log_messages(s, "imap.appended", &(struct imap_logged){place->name, uids, brought->count, SLICE_EMPTY, NULL});
	return imap_ok_code(s, command, append_uid(s, uid_validity, uids, brought->count), SLICE("APPEND completed"));
}

enum next imap_append(struct imap_session *s, struct imap_command *command)
{
	struct brought *brought = ARENA_NEW(imap_arena(s), struct brought);
	struct incoming in;
	struct imap_place place;
	enum next next;

	incoming_init(&in, s, command);
	if (incoming_parse_target(&in, &place) && read_messages(&in, brought))
		next = append(s, command, brought, &place);
	else
		next = incoming_fail(&in);
	free_brought(brought);
	incoming_give_back(&in);
	return next;
}

/* ---- REPLACE ---- */

static bool parse_replaced(struct incoming *in, uint32_t *uid)
{
	struct view_message message;
	uint32_t number;

	if (!imap_parse_space(in->p))
		return false;
	if (imap_accept(in->p, '*'))
		number = mailbox_viewer_last_uid(&in->s->viewer);
	else if (!imap_parse_u32(in->p, &number))
		return false;
	else if (!in->command->uid)
		number = mailbox_viewer_uid(&in->s->viewer, number);
	*uid = number;
	if (number == 0 && !in->command->uid)
		return imap_fault(in->p, SLICE("there are not so many messages"));
	if (mailbox_viewer_read(&in->s->viewer, number, number, &message, 1) == 0)
		return incoming_refuse(in, SLICE_EMPTY, SLICE("There is no such message"));
	return !message.expunged || incoming_refuse(in, SLICE("EXPUNGEISSUED"), SLICE("That message no longer exists"));
}

/* RFC 8508 section 4.1: the rights of APPEND there, of STORE \Deleted and EXPUNGE here. */
static bool may_replace(struct incoming *in)
{
	unsigned rights = in->s->rights;

	if (in->s->read_only)
		return incoming_refuse(in, SLICE("CANNOT"), SLICE("The mailbox was opened read-only"));
	return (rights & RIGHT_DELETE && rights & RIGHT_EXPUNGE) ||
	       incoming_refuse(in, SLICE("NOPERM"), SLICE("You may not remove messages here"));
}

/* RFC 8508 section 3.4: APPENDUID before what the replacement changes. */
static enum next replace(struct imap_session *s, struct imap_command *command, struct brought *brought,
			 const struct imap_place *place, uint32_t replaced)
{
	int64_t from = mailbox_viewer_state(&s->viewer).mailbox;
	struct buf *out = imap_output(s);
	struct append_request request;
	uint32_t uid, uid_validity;
	enum status status = make_requests(s, brought, place, &request);

	if (status == STATUS_OK)
		status = store_replace(imap_store(s), &request, s->selected_account, from, replaced, &uid, &uid_validity);
	if (status == STATUS_EXISTS)
		return imap_no(s, command, SLICE("EXPUNGEISSUED"), SLICE("That message no longer exists"));
	if (status != STATUS_OK)
		return imap_answer_target(s, command, status, SLICE_EMPTY);
	imap_announce_account(s, place->account);
	if (place->account != s->selected_account)
		imap_announce_account(s, s->selected_account);
	imap_log_messages(s, "imap.replaced", &(struct imap_logged){imap_selected_name(s), &replaced, 1, place->name, &uid});
	buf_add_literal(out, "* OK [");
	buf_add(out, append_uid(s, uid_validity, &uid, 1));
	buf_add_literal(out, "] Replacement is there\r\n");
	imap_tell_before_answer(s, command);
	return imap_ok_code(s, command, s->qresync ? imap_highest_modseq(s) : SLICE_EMPTY, SLICE("REPLACE completed"));
}

enum next imap_replace(struct imap_session *s, struct imap_command *command)
{
	struct brought *brought = ARENA_NEW(imap_arena(s), struct brought);
	struct incoming in;
	struct imap_place place;
	uint32_t replaced;
	enum next next;

	incoming_init(&in, s, command);
	if (make_room(s, brought) && may_replace(&in) && parse_replaced(&in, &replaced) && incoming_parse_target(&in, &place) &&
	    incoming_read_message(&in, &brought->messages[0]) && ++brought->count && imap_parse_end(in.p))
		next = replace(s, command, brought, &place, replaced);
	else
		next = incoming_fail(&in);
	free_brought(brought);
	incoming_give_back(&in);
	return next;
}
