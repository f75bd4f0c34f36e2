/* rules: what the commands about rules of routing (store/routing.h) have in common. */
#pragma once

#include "cli/commands.h"
#include "cli/output.h"
#include "store/routing.h"

/* "alice@example.org" or "@example.org". Tells if it is neither. */
MUST_CHECK bool rules_address(struct cli *cli, struct slice text, struct slice *address);
/* A route's pattern and hop, in the forms that `route add` takes. */
MUST_CHECK bool rules_pattern(struct cli *cli, struct slice text, bool is_sender, struct slice *pattern);
MUST_CHECK bool rules_hop(struct cli *cli, struct slice text, struct slice *hop);
/* Each tells what went wrong, announces what went well, and returns the exit status. */
int rules_add(struct cli *cli, const struct rule *rule, const char *done);
int rules_remove(struct cli *cli, enum rule_kind kind, struct slice subject, struct slice target);
/* "500MB", "5G", "none" (0). Tells if it is none of these. */
MUST_CHECK bool rules_size(struct cli *cli, const char *text, uint64_t *bytes);
/* The quota of a new account, where nothing else is said. */
MUST_CHECK bool rules_default_quota(struct cli *cli, struct slice address, uint64_t *bytes);
/* All rules of a subject, or of a kind if it is empty, into the listing: subject, target. */
MUST_CHECK bool rules_list(struct cli *cli, struct listing *list, enum rule_kind kind, struct slice subject, const char *label);
