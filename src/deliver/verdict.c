#include "deliver/verdict.h"

static const struct {
	enum status status;
	unsigned code;
	const char *enhanced, *text;
} verdicts[VERDICT_COUNT] = {
	[VERDICT_SENDER_OK] = {STATUS_OK, 250, "2.1.0", "Ok"},
	[VERDICT_RECIPIENT_OK] = {STATUS_OK, 250, "2.1.5", "Ok"},
	[VERDICT_MESSAGE_OK] = {STATUS_OK, 250, "2.0.0", "Ok"},
	[VERDICT_TEMPORARY] = {STATUS_TEMPORARY, 451, "4.3.0", "Temporary trouble here, try again later"},
	[VERDICT_OVER_QUOTA] = {STATUS_LIMIT, 452, "4.2.2", "Mailbox full"},
	[VERDICT_RECIPIENT_CHANGED] = {STATUS_TEMPORARY, 451, "4.2.0", "A recipient has changed meanwhile, try again"},
	[VERDICT_BAD_SENDER] = {STATUS_PEER, 553, "5.1.7", "The sender's address is malformed"},
	[VERDICT_SENDER_NOT_OWNED] = {STATUS_REFUSED, 553, "5.7.1", "Sender address is not yours"},
	[VERDICT_FROM_NOT_OWNED] = {STATUS_REFUSED, 550, "5.7.1", "The From address of the message is not yours"},
	[VERDICT_SENDER_FIELD_NOT_OWNED] = {STATUS_REFUSED, 550, "5.7.1",
					    "You write on behalf of another, and the Sender of the message is not you"},
	[VERDICT_BAD_RECIPIENT] = {STATUS_PEER, 553, "5.1.3", "The recipient's address is malformed"},
	[VERDICT_UNKNOWN_USER] = {STATUS_NOT_FOUND, 550, "5.1.1", "No such user here"},
	[VERDICT_DISABLED] = {STATUS_REFUSED, 550, "5.2.1", "Mailbox is disabled"},
	[VERDICT_RELAY_DENIED] = {STATUS_REFUSED, 550, "5.7.1", "Relaying denied"},
	[VERDICT_NOT_ALLOWED] = {STATUS_REFUSED, 550, "5.7.1", "You are not allowed to write to this list"},
	[VERDICT_LARGER_THAN_DOMAIN] = {STATUS_LIMIT, 552, "5.3.4", "Message is larger than this domain takes"},
	[VERDICT_LARGER_THAN_MAILBOX] = {STATUS_LIMIT, 552, "5.2.3", "Message is larger than the mailbox may be"},
	[VERDICT_ALIAS_LEADS_NOWHERE] = {STATUS_NOT_FOUND, 550, "5.1.1", "Address leads to no mailbox"},
	[VERDICT_ALIAS_TOO_LARGE] = {STATUS_LIMIT, 550, "5.2.4", "Address stands for too many recipients"},
};

struct deliver_verdict verdict_make(enum verdict_id id)
{
	return (struct deliver_verdict){
		.status = verdicts[id].status,
		.code = verdicts[id].code,
		.enhanced = slice_from_cstr(verdicts[id].enhanced),
		.text = slice_from_cstr(verdicts[id].text),
	};
}

enum verdict_id verdict_of(enum expand_outcome outcome)
{
	switch (outcome) {
	case EXPAND_OK:
		return VERDICT_RECIPIENT_OK;
	case EXPAND_NOTHING:
		return VERDICT_ALIAS_LEADS_NOWHERE;
	case EXPAND_UNKNOWN:
		return VERDICT_UNKNOWN_USER;
	case EXPAND_DISABLED:
		return VERDICT_DISABLED;
	case EXPAND_LARGER_THAN_DOMAIN:
		return VERDICT_LARGER_THAN_DOMAIN;
	case EXPAND_LARGER_THAN_MAILBOX:
		return VERDICT_LARGER_THAN_MAILBOX;
	case EXPAND_OVER_QUOTA:
		return VERDICT_OVER_QUOTA;
	case EXPAND_TOO_MANY:
		return VERDICT_ALIAS_TOO_LARGE;
	case EXPAND_NOT_ALLOWED:
		return VERDICT_NOT_ALLOWED;
	case EXPAND_RELAY_DENIED:
		return VERDICT_RELAY_DENIED;
	case EXPAND_TEMPORARY:
		break;
	}
	return VERDICT_TEMPORARY;
}
