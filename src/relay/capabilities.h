/* capabilities: what a server offers in its answer to EHLO (RFC 5321 section 4.1.1.1). Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"

enum {
	CAPABILITY_PIPELINING = 1 << 0, /* RFC 2920 */
	CAPABILITY_SIZE = 1 << 1,       /* RFC 1870 */
	CAPABILITY_8BITMIME = 1 << 2,   /* RFC 6152 */
	CAPABILITY_SMTPUTF8 = 1 << 3,   /* RFC 6531 */
	CAPABILITY_DSN = 1 << 4,        /* RFC 3461 */
	CAPABILITY_STARTTLS = 1 << 5,   /* RFC 3207 */
	CAPABILITY_AUTH = 1 << 6,       /* RFC 4954 */
	CAPABILITY_REQUIRETLS = 1 << 7, /* RFC 8689 */
	CAPABILITY_DELIVERBY = 1 << 8,  /* RFC 2852 */
	CAPABILITY_MT_PRIORITY = 1 << 9, /* RFC 6710 */
};
enum {
	MECHANISM_PLAIN = 1 << 0,
	MECHANISM_LOGIN = 1 << 1,
	MECHANISM_SCRAM_SHA_256 = 1 << 2,
};

struct capabilities {
	unsigned offered;
	unsigned mechanisms;
	uint64_t size_limit; /* 0: none told */
	uint32_t deliver_by_min_s;
	struct slice host;   /* as the server calls itself */
};

/* `text` as struct reply has it: lines with their codes, separated by LF. */
struct capabilities capabilities_parse(struct slice text);
