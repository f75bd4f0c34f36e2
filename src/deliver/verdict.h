/* verdict: every answer that deliver gives, in SMTP's terms (RFC 5321 section 4.2, RFC 3463). No code is made elsewhere. */
#pragma once

#include "deliver/deliver.h"
#include "deliver/expand.h"

enum verdict_id {
	VERDICT_SENDER_OK,
	VERDICT_RECIPIENT_OK,
	VERDICT_MESSAGE_OK,
	VERDICT_TEMPORARY,
	VERDICT_OVER_QUOTA,
	VERDICT_RECIPIENT_CHANGED,
	VERDICT_BAD_SENDER,
	VERDICT_SENDER_NOT_OWNED,
	VERDICT_FROM_NOT_OWNED,
	VERDICT_SENDER_FIELD_NOT_OWNED,
	VERDICT_BAD_RECIPIENT,
	VERDICT_UNKNOWN_USER,
	VERDICT_DISABLED,
	VERDICT_RELAY_DENIED,
	VERDICT_NOT_ALLOWED,
	VERDICT_LARGER_THAN_MAILBOX,
	VERDICT_LARGER_THAN_DOMAIN,
	VERDICT_ALIAS_LEADS_NOWHERE,
	VERDICT_ALIAS_TOO_LARGE,
	VERDICT_COUNT,
	/* No answer at all: the message may be committed or not. Whoever asked asks again, with the same queue id. */
	VERDICT_NONE,
};
struct deliver_verdict verdict_make(enum verdict_id id);
/* What an expansion came to. */
enum verdict_id verdict_of(enum expand_outcome outcome);
