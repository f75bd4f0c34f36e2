/* remember: credentials that were verified a short while ago, as HMAC-SHA256 under a key that lives and dies with the process.
 *
 * The hash covers address, credential version and password: after any change of the credential nothing fits any more. The
 * table's size is fixed; when a set is full what is over goes first, else one at random. Any thread may call; time is the
 * caller's (monotonic).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct remember;

#define REMEMBER_TAG_LENGTH 32
/* However often it is used, a credential is verified anew after so many times the time it is remembered unused. */
#define REMEMBER_AT_MOST 12

struct remember_tag {
	uint8_t bytes[REMEMBER_TAG_LENGTH];
};

struct remember *remember_new(int remember_ms);
void remember_free(struct remember *remember);
MUST_CHECK bool remember_make_tag(const struct remember *remember, struct slice address, uint64_t version,
				  struct slice password, struct remember_tag *tag);
/* A short form of the tag for telling wrong guesses apart; never 0. */
uint64_t remember_guess(const struct remember_tag *tag);
bool remember_has(struct remember *remember, const struct remember_tag *tag, int64_t now_ms);
void remember_add(struct remember *remember, const struct remember_tag *tag, struct slice address, int64_t now_ms);
/* Empty address: everything. */
void remember_forget(struct remember *remember, struct slice address);
