/* random: bytes from the kernel, identifiers, and a keyed hash for tables whose keys a peer chooses. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct arena;

/* getrandom(2); never fails (ends the process if the kernel can't). */
void random_bytes(void *out, size_t count);
uint64_t random_u64(void);

/* A queue id: 16 characters of [0-9A-Z] without vowels and look-alikes, 48 bits of time in front so that ids sort by
 * age, the rest random. Unique across nodes. */
#define QUEUE_ID_LENGTH 16
struct slice random_queue_id(struct arena *arena);
/* `count` characters of unreserved base32 (RFC 4648 section 6, lower case), 5 random bits each. */
struct slice random_token(struct arena *arena, size_t count);

/* SipHash-2-4 under a 16-byte key. */
uint64_t siphash(const uint8_t key[16], struct slice s);
