/* client_info: what a trusted proxy (XCLIENT) or a filter (XFORWARD) says of the client that stands behind it, as Postfix documents it in
 * XCLIENT_README and XFORWARD_README: "NAME=mail.example.org ADDR=192.0.2.1 HELO=[UNAVAILABLE]". Values are xtext (RFC 3461 section 4).
 * Pure; memory from the arena. */
#pragma once

#include "net/conn.h"
#include "smtp/reply.h"

enum client_attribute {
	CLIENT_NAME = 1 << 0,
	CLIENT_ADDR = 1 << 1,
	CLIENT_PORT = 1 << 2,
	CLIENT_PROTO = 1 << 3,
	CLIENT_HELO = 1 << 4,
	CLIENT_LOGIN = 1 << 5,
	CLIENT_DESTADDR = 1 << 6,
	CLIENT_DESTPORT = 1 << 7,
	CLIENT_IDENT = 1 << 8,
	CLIENT_SOURCE = 1 << 9,
};
#define CLIENT_OF_XCLIENT                                                                                                          \
	(CLIENT_NAME | CLIENT_ADDR | CLIENT_PORT | CLIENT_PROTO | CLIENT_HELO | CLIENT_LOGIN | CLIENT_DESTADDR | CLIENT_DESTPORT)
#define CLIENT_OF_XFORWARD \
	(CLIENT_NAME | CLIENT_ADDR | CLIENT_PORT | CLIENT_PROTO | CLIENT_HELO | CLIENT_IDENT | CLIENT_SOURCE)

struct client_info {
	unsigned given; /* CLIENT_*: they were named */
	unsigned known; /* and of these, that had a value: not [UNAVAILABLE], not [TEMPUNAVAIL] */
	bool name_is_late; /* [TEMPUNAVAIL]: there may be one */
	struct slice name, helo, login, ident;
	struct net_address address, destination; /* with the ports, where they are known */
	bool is_extended;                        /* PROTO=ESMTP */
	bool is_local;                           /* SOURCE=LOCAL */
};
/* Adds to *info what `argument` says; only attributes of `allowed` may be there. REPLY_NONE if all is well. */
MUST_CHECK enum reply_id client_info_parse(struct arena *arena, struct slice argument, unsigned allowed, struct client_info *info);
/* "NAME ADDR PORT": what EHLO offers. */
void client_info_write_names(struct buf *out, unsigned allowed);
