/* queue_select: which of what waits a queue command means: options that all of them have. */
#pragma once

#include "cli/command.h"
#include "store/queue.h"

#define QUEUE_SELECT_USAGE                                                                                     \
	"[--sender ADDRESS] [--recipient ADDRESS] [--domain DOMAIN] [--hop HOP] [--older TIME] [--newer TIME]" \
	" [--reason TEXT] [--state STATE]"
#define QUEUE_SELECT_HELP                                                                                                  \
	"  --sender ADDRESS     from that sender; @DOMAIN: any of that domain; <>: the null sender, of bounces\n"          \
	"  --recipient ADDRESS  to that recipient, or @DOMAIN\n"                                                           \
	"  --domain DOMAIN      to that domain\n"                                                                          \
	"  --hop HOP            by that next hop: a smarthost, or the recipients' domain\n"                                \
	"  --older TIME         come in longer ago than that: 90s, 30m, 2h, 5d\n"                                          \
	"  --newer TIME         come in since then\n"                                                                      \
	"  --reason TEXT        whose last reply holds that text\n"                                                        \
	"  --state STATE        due, waiting (for the next attempt), scheduled (for its release time),\n" \
	"                       in-hand (being tried now) or held\n"

struct queue_selection {
	struct queue_filter filter;
	bool is_narrow; /* an option was given */
	bool all;       /* --all */
};

/* Takes the options. Tells what is wrong with them. */
MUST_CHECK bool queue_select(struct cli *cli, struct queue_selection *selection);
/* "due", ... */
struct slice queue_phase_name(enum queue_phase phase);
