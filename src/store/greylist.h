/* greylist: who has been told to come again (RFC 6647), and who has. Keys are hashes that the caller makes. */
#pragma once

#include "store/store.h"

struct greylist_question {
	struct slice triplet; /* key of network, sender and recipient */
	struct slice network; /* key of the network alone */
	int64_t wait_ms;      /* who comes earlier comes too early */
	int64_t window_ms;    /* who comes later begins anew */
	int64_t remember_ms;  /* so long after it was last seen a triplet or network stays known */
	unsigned
		passes_before_trust; /* triplets of a network that came again, after which the network is let through; 0: never */
	int64_t now_ms;
};

enum greylist_outcome { GREYLIST_PASS, GREYLIST_FIRST, GREYLIST_EARLY };

/* *left_ms: how long there is to wait still. */
MUST_CHECK enum status greylist_ask(struct store *store, const struct greylist_question *question,
				    enum greylist_outcome *outcome, int64_t *left_ms);
MUST_CHECK enum status greylist_forget(struct store *store, int64_t before_ms, size_t max, size_t *removed);
