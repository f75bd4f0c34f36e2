/* listen: binding of server sockets; used by the supervisor, which hands the descriptors to the roles. */
#pragma once

#include "net/conn.h"

/* "127.0.0.1:2525", "[::1]:25", ":25" (all addresses, one dual-stack IPv6 socket). TCP, non-blocking, close-on-exec,
 * SO_REUSEADDR, TCP_NODELAY inherited by accepted sockets. -1 with *error set: it names the address and what to do. */
MUST_CHECK int listen_tcp(struct slice address, int backlog, struct arena *arena, struct error *error);
/* Address and port of such text. */
MUST_CHECK bool listen_parse(struct slice text, struct net_address *address);
