/* client: one SMTP session as a client, straight-line (RFC 5321 section 3, 4). A client belongs to one thread.
 *
 * client_open brings it to where mail can be sent: greeting, EHLO (HELO if the server is that old), STARTTLS, AUTH.
 * client_send runs one mail transaction for a parcel and leaves each recipient with its outcome. After an error of the
 * transport, 421 or nonsense the client is `broken`: only client_close is left.
 */
#pragma once

#include "net/conn.h"
#include "relay/capabilities.h"
#include "relay/relay.h"
#include "relay/reply.h"
#include "relay/route.h"
#include "relay/scheduler.h"
#include "relay/tls_result.h"

struct client;

/* What the owner of the thread wants to hear. Members may be NULL. */
struct client_hooks {
	void *context;
	/* The descriptor, once it is connected; -1 before it is closed. So that another thread can break the session. */
	void (*watch)(void *context, int fd);
	/* All but the final dot is written. False: don't end the message, break the session. May block. */
	bool (*before_end)(void *context);
	/* How the attempt at TLS with client->host ended; in plain mode none is made. */
	void (*tls_ended)(void *context, const struct client *client, enum tls_result result, struct slice reason);
};

struct client_options {
	struct slice hostname;   /* whoever has it is us */
	struct slice hello_name; /* for EHLO; empty: hostname */
	enum relay_tls tls;
	struct tls_context *tls_opportunistic, *tls_verified;
	struct slice user, password;    /* user empty: no AUTH */
	bool is_lmtp;                   /* RFC 2033 */
	struct net_address source_four, source_six; /* family 0: the system chooses */
	struct relay_timeouts timeouts; /* none 0 */
	struct client_hooks hooks;
};

struct client {
	const struct client_options *options;
	struct arena *arena; /* the session's */
	struct conn *conn;
	struct route_host host;
	struct slice remote;        /* "mx.example.org [192.0.2.1]" */
	struct slice remote_by_tls; /* "mx.example.org [192.0.2.1] (TLSv1.3, verified by DANE)" */
	struct capabilities capabilities;
	struct reply greeting;
	bool needs_reset;
	bool broken;
	struct reply trouble; /* what broke it; code 0: we did */
	bool tls_failed;      /* the handshake, or the first words after it */
	unsigned transactions;
};

/* A message's bytes, piece by piece: struct email_reader in the program. An empty piece is the end. */
struct body_source {
	void *context;
	enum status (*read)(void *context, uint64_t offset, struct slice *bytes);
};

/* With the security that the host has (route.h). NULL: *failure tells why; always worth another host or another time, save for 5.4.6 (we talk
 * to ourselves) and 5.7.10, 5.7.30 (the message demands more than this host has: another may have it). */
struct client *client_open(const struct client_options *options, struct arena *arena, const struct route_host *host,
			   struct reply *failure);
/* For the recipients that are WAITING. Afterwards each is DELIVERED, DEFERRED, FAILED or CROWDED; or still WAITING with a broken
 * session: the body could not be read (TEMPORARY), before_end said no, or the connection was lost before MAIL was answered
 * (`trouble` then tells). Replies are in the parcel's arena. */
MUST_CHECK enum status client_send(struct client *client, struct parcel *parcel, const struct body_source *body);
/* QUIT if there is somebody to say it to. */
void client_close(struct client *client);

/* ---- shared by client.c, client_auth.c and client_send.c ---- */

/* Reads one reply within timeout_ms, all in all. Trouble makes a 4xx reply of our own that names `stage`, and breaks the client. */
void client_read(struct client *client, struct arena *arena, const char *stage, int timeout_ms, struct reply *reply);
/* Sends what is written and reads its reply. */
void client_ask(struct client *client, struct arena *arena, const char *stage, int timeout_ms, struct reply *reply);
/* AUTH with what the server offers. False: *failure is set. */
MUST_CHECK bool client_authenticate(struct client *client, struct reply *failure);
/* Appends `bytes` with each line's first dot doubled (RFC 5321 section 4.5.2). *at_line_start is kept from piece to piece. */
void client_stuff_dots(struct buf *out, struct slice bytes, bool *at_line_start);
