/* wire: the milter protocol, version 6, as it is on the wire: numbers, packets, replies. Pure. There is no RFC; the protocol is what
 * libmilter of Sendmail 8.14 and later speaks (its mfdef.h), and older versions are parts of it.
 *
 * A packet is a 32-bit length in network order, a byte that says what it is, and data: so many bytes as the length says, less one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

#define MILTER_VERSION     6
#define MILTER_VERSION_MIN 2
#define MILTER_PACKET_MAX  (1024 * 1024 + 64 * 1024) /* of a reply: a piece of a body of the largest size, with room to spare */
#define MILTER_HEAD        4                         /* bytes of the length */

/* What is asked. */
enum milter_command {
	MILTER_ABORT = 'A',
	MILTER_BODY = 'B',
	MILTER_CONNECT = 'C',
	MILTER_MACRO = 'D',
	MILTER_BODY_END = 'E',
	MILTER_HELO = 'H',
	MILTER_HEADER = 'L',
	MILTER_MAIL = 'M',
	MILTER_HEADER_END = 'N',
	MILTER_NEGOTIATE = 'O',
	MILTER_QUIT = 'Q',
	MILTER_RCPT = 'R',
	MILTER_DATA = 'T',
	MILTER_UNKNOWN = 'U',
};

/* What a milter wants to change: its request for rights, in the negotiation. */
enum {
	MILTER_MAY_ADD_HEADERS = 0x1,
	MILTER_MAY_CHANGE_BODY = 0x2,
	MILTER_MAY_ADD_RCPT = 0x4,
	MILTER_MAY_DELETE_RCPT = 0x8,
	MILTER_MAY_CHANGE_HEADERS = 0x10,
	MILTER_MAY_QUARANTINE = 0x20,
	MILTER_MAY_CHANGE_FROM = 0x40,
	MILTER_MAY_ADD_RCPT_ARGS = 0x80,
	MILTER_MAY_CHOOSE_MACROS = 0x100,
	MILTER_RIGHTS = 0x1ff,
};

/* How it wants to be asked: steps that are left out (NO_), that it doesn't answer (QUIET_), and the rest. */
enum {
	MILTER_NO_CONNECT = 0x1,
	MILTER_NO_HELO = 0x2,
	MILTER_NO_MAIL = 0x4,
	MILTER_NO_RCPT = 0x8,
	MILTER_NO_BODY = 0x10,
	MILTER_NO_HEADERS = 0x20,
	MILTER_NO_HEADER_END = 0x40,
	MILTER_QUIET_HEADER = 0x80,
	MILTER_NO_UNKNOWN = 0x100,
	MILTER_NO_DATA = 0x200,
	MILTER_MAY_SKIP = 0x400,
	MILTER_REJECTED_RCPT = 0x800, /* hears of recipients that were refused */
	MILTER_QUIET_CONNECT = 0x1000,
	MILTER_QUIET_HELO = 0x2000,
	MILTER_QUIET_MAIL = 0x4000,
	MILTER_QUIET_RCPT = 0x8000,
	MILTER_QUIET_DATA = 0x10000,
	MILTER_QUIET_UNKNOWN = 0x20000,
	MILTER_QUIET_HEADER_END = 0x40000,
	MILTER_QUIET_BODY = 0x80000,
	MILTER_LEADING_SPACE = 0x100000, /* what stands behind a header field's colon goes both ways as it is */
	MILTER_STEPS = 0x1fffff,
	MILTER_PIECE_256K = 0x10000000,
	MILTER_PIECE_1M = 0x20000000,
	MILTER_PIECES = MILTER_PIECE_256K | MILTER_PIECE_1M,
};
#define MILTER_PIECE_USUAL 65535

/* The steps that version 2 knows; those of 3 to 6 came one by one. */
uint32_t milter_steps_of_version(uint32_t version);

/* ---- asking ---- */

/* A packet is begun, filled by the caller, and ended, which writes its length. */
size_t milter_packet_begin(struct buf *out, enum milter_command command);
void milter_packet_end(struct buf *out, size_t begun);
/* With its end, a NUL. What comes behind a NUL in `text` would be another text: it is cut there. */
void milter_put_text(struct buf *out, struct slice text);
void milter_put_u32(struct buf *out, uint32_t value);
void milter_put_u16(struct buf *out, uint16_t value);

/* ---- answers ---- */

enum milter_reply_kind {
	MILTER_REPLY_CONTINUE,
	MILTER_REPLY_ACCEPT,
	MILTER_REPLY_REJECT,
	MILTER_REPLY_TEMPFAIL,
	MILTER_REPLY_DISCARD,
	MILTER_REPLY_CODE,
	MILTER_REPLY_SHUTDOWN,  /* 421 */
	MILTER_REPLY_CONN_FAIL, /* as if the connection to the milter had failed */
	MILTER_REPLY_SKIP,      /* no more of this kind */
	MILTER_REPLY_PROGRESS,  /* wait on */
	MILTER_REPLY_NEGOTIATE,
	/* modifications: before the answer to MILTER_BODY_END */
	MILTER_REPLY_ADD_HEADER,
	MILTER_REPLY_INSERT_HEADER,
	MILTER_REPLY_CHANGE_HEADER,
	MILTER_REPLY_BODY,
	MILTER_REPLY_ADD_RCPT,
	MILTER_REPLY_DELETE_RCPT,
	MILTER_REPLY_CHANGE_FROM,
	MILTER_REPLY_QUARANTINE,
};

/* Slices point into the packet, or into the arena. */
struct milter_reply {
	enum milter_reply_kind kind;
	unsigned code;            /* MILTER_REPLY_CODE: 400 to 599 */
	struct slice enhanced;    /* empty: none */
	struct slice text;        /* lines separated by LF; of a quarantine: why; of a body: bytes */
	uint32_t index;           /* of a header field */
	struct slice name, value; /* of a header field; of a recipient or sender: address and arguments */
	/* negotiation */
	uint32_t version, rights, steps;
	struct slice macros; /* for milter_next_macros */
};
/* `kind` and `data` are a packet's. STATUS_PEER: it isn't one that a milter may send. */
MUST_CHECK enum status milter_parse_reply(struct arena *arena, char kind, struct slice data, struct milter_reply *reply);
/* What a milter that chooses its macros wants at which step: (number of the step, names) one after the other. False: no more. */
MUST_CHECK bool milter_next_macros(struct slice *rest, uint32_t *step, struct slice *names);
