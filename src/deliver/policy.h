/* policy: the rules of routing (store/routing.h) as a delivery asks for them. Which kinds of rules there are is remembered for less than a
 * second, and forgotten at once when the directory changes here, so that who has no rules pays nothing for them. Any thread.
 */
#pragma once

#include "store/routing.h"

struct policy;

struct policy_options {
	struct slice smarthost; /* next hop of all that no rule has another for; empty: the recipient's domain */
	bool srs;               /* the sender of forwarded mail is rewritten */
};
struct policy *policy_new(const struct policy_options *options, struct store *store);
void policy_free(struct policy *policy);
void policy_drop(struct policy *policy);

/* Where the queue shall hand mail to; domain: the recipient's. */
MUST_CHECK enum status policy_next_hop(struct policy *policy, struct arena *arena, struct slice sender, struct slice recipient,
				       struct slice domain, struct slice *hop);
/* kind: RULE_REWRITE_SENDER or RULE_REWRITE_RECIPIENT. */
MUST_CHECK enum status policy_rewrite(struct policy *policy, struct arena *arena, enum rule_kind kind, struct slice *address);
/* kind: RULE_BCC_SENDER or RULE_BCC_RECIPIENT; none for an empty address. */
MUST_CHECK enum status policy_copies(struct policy *policy, struct arena *arena, enum rule_kind kind, struct slice address,
				     struct slice **targets, size_t *count);
/* OK or NOT_FOUND: a rule lets the account's address send as that one, or only on behalf of it. */
MUST_CHECK enum status policy_may_send(struct policy *policy, struct slice account, struct slice address, bool *on_behalf);
/* The largest message that the domain of `address` takes; 0: no limit of its own. */
MUST_CHECK enum status policy_message_size(struct policy *policy, struct slice address, uint64_t *bytes);
/* Is there any such rule? */
MUST_CHECK enum status policy_has_rights(struct policy *policy, bool *has);

/* The sender under which mail is forwarded from `recipient`, a domain of ours in it. As it is: null, or one of our own. */
MUST_CHECK enum status policy_forward_sender(struct policy *policy, struct arena *arena, struct slice sender,
					     struct slice recipient, struct slice *rewritten);
/* Is `address` a sender that was rewritten here? *original is who that was. NOT_FOUND: it isn't. */
MUST_CHECK enum status policy_original_sender(struct policy *policy, struct arena *arena, struct slice address,
					      struct slice *original);
