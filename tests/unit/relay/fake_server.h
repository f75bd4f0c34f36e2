/* fake_server: an SMTP server that says what its test wants, on a loopback port, one thread a connection. */
#pragma once

#include <pthread.h>

#include "net/conn.h"
#include "net/tls.h"

enum stage {
	AT_GREETING,
	AT_EHLO,
	AT_HELO,
	AT_STARTTLS,
	AT_AUTH,
	AT_MAIL,
	AT_RCPT,
	AT_DATA,
	AT_BODY,
	AT_END,
	AT_RSET,
	AT_QUIT,
	AT_OTHER
};

/* Answers that are no replies. */
extern const char ANSWER_DEFAULT[]; /* what a good server says */
extern const char ANSWER_DROP[];    /* closes at once */
extern const char ANSWER_HANG[];    /* says nothing until the server is stopped */

struct fake_message {
	char sender[300];
	char recipients[4000]; /* separated by a space */
	char mail_line[600], rcpt_lines[8000];
	char *body; /* dots unstuffed, CRLF */
	size_t size;
	bool over_tls;
	int connection;
};

struct fake_server {
	/* Set before fake_server_start. `line` is the command (for AT_END and AT_BODY: the sender); `count` the recipients accepted so
	 * far. AT_BODY is asked for each line of a body, and takes ANSWER_DROP and ANSWER_HANG. */
	const char *(*answer)(struct fake_server *server, enum stage stage, const char *line, int connection, int count);
	void *context;
	const char *ehlo;        /* the whole reply; default: PIPELINING, SIZE, 8BITMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES */
	struct tls_context *tls; /* STARTTLS is answered with a handshake */
	bool break_tls;          /* ... or with nonsense */
	int delay_ms;            /* before each answer to the final dot */
	struct net_address listen; /* family 0: 127.0.0.1 on any port */

	uint16_t port;
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct fake_message *messages;
	size_t count, room;
	char *commands; /* all lines that came, for the order of things */
	size_t commands_len;
	int commands_at_once; /* that were there when the first of them was looked at, at most */
	int connections, visitors, open_now, open_most;
	bool stopping;
};

void fake_server_start(struct fake_server *server);
void fake_server_stop(struct fake_server *server);
/* Waits until that many messages came. False: not within 10 s. */
bool fake_server_wait(struct fake_server *server, size_t count);
struct net_address fake_server_address(const struct fake_server *server);

/* A self-signed certificate for `name`, or for an address. */
struct tls_context *fake_tls_server(const char *name, struct arena *arena, struct slice *certificate_pem);
