/* imap_client: a client's side of IMAP over a connection: connect, TLS, log in, commands and their responses one by one. Blocking. The
 * first trouble sticks and is told in `error`.
 */
#pragma once

#include "import/imap_response.h"
#include "net/conn.h"

enum imap_client_tls { IMAP_TLS, IMAP_STARTTLS, IMAP_PLAIN };

struct imap_server {
	struct slice host;
	uint16_t port;
	enum imap_client_tls tls;
	bool any_certificate; /* isn't looked at */
	struct slice trust_anchors;
	struct net_address *addresses; /* of the host; tried in order */
	size_t address_count;
};

struct imap_client;

/* Connects, with TLS as wanted, and logs in. NULL with *error: TEMPORARY (no connection), REFUSED (wrong password), PEER. */
MUST_CHECK struct imap_client *imap_client_open(const struct imap_server *server, struct slice user, struct slice password,
						struct error *error, struct arena *arena);
/* On a connected non-blocking socket that is logged in from the greeting on (PREAUTH); owned by the client, also with NULL and *error. */
MUST_CHECK struct imap_client *imap_client_attach(int fd, struct error *error, struct arena *arena);
void imap_client_free(struct imap_client *client);
bool imap_client_can(const struct imap_client *client, struct slice capability);

/* Sends a command without its tag, whole. */
void imap_client_send(struct imap_client *client, struct slice command);
/* The next response: true until the command sent last has its tagged answer, which *response then is with false. Values live until
 * imap_client_forget; a response with literals of more than `max` bytes ends the connection. */
MUST_CHECK bool imap_client_next(struct imap_client *client, struct imap_response *response);
/* Gives back what was read so far. */
void imap_client_forget(struct imap_client *client);
/* Sends, and passes responses to `each` (may be NULL). OK; REFUSED: NO or BAD; TEMPORARY: the connection is gone. */
MUST_CHECK enum status imap_client_run(struct imap_client *client, struct slice command,
				       void (*each)(void *context, const struct imap_response *response), void *context);
/* Why the last thing failed, for people. */
struct slice imap_client_error(const struct imap_client *client);
/* A mailbox's name as a quoted string or literal-free atom. */
void imap_put_quoted(struct buf *out, struct slice text);
