/* imap: a session on standard input and output, for mail programs that can start one (mbsync's Tunnel, mutt's tunnel) and for people. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/write.h"
#include "cli/commands.h"
#include "cli/own_session.h"

#define LOOK_MS 2000
#define PIECE   65536

/* Nobody waits for one side only: a client may send much while it is sent much. */
struct carrier {
	struct own_session *own;
	int session;
	char *room, *input; /* a piece each */
	struct slice pending; /* of the input, what the session hasn't taken yet */
	bool at_end;          /* of the input */
};

/* False: standard output takes no more, or the session is over. */
static bool to_standard_output(struct carrier *c)
{
	ssize_t got = recv(c->session, c->room, PIECE, 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	return got > 0 && write_all(STDOUT_FILENO, slice_of(c->room, (size_t)got));
}

static void send_pending(struct carrier *c)
{
	ssize_t sent = send(c->session, c->pending.data, c->pending.len, MSG_NOSIGNAL);

	if (sent > 0)
		c->pending = slice_skip(c->pending, (size_t)sent);
}

/* A client that goes without LOGOUT ends the session too. */
static void read_input(struct carrier *c)
{
	ssize_t got = read(STDIN_FILENO, c->input, PIECE);

	if (got > 0) {
		c->pending = slice_of(c->input, (size_t)got);
	} else if (got == 0 || errno != EINTR) {
		c->at_end = true;
		shutdown(c->session, SHUT_WR);
	}
}

/* Until the session ends. False: it hasn't taken all that it was to be given. */
static bool carry(struct carrier *c)
{
	for (;;) {
		struct pollfd fds[2] = {
			{.fd = c->at_end || c->pending.len > 0 ? -1 : STDIN_FILENO, .events = POLLIN},
			{.fd = c->session, .events = (short)(POLLIN | (c->pending.len > 0 ? POLLOUT : 0))},
		};
		int ready = poll(fds, 2, LOOK_MS);

		if (ready == 0)
			own_session_look(c->own);
		if (ready <= 0)
			continue;
		if (fds[1].revents & (POLLIN | POLLHUP | POLLERR) && !to_standard_output(c))
			return c->pending.len == 0;
		if (fds[1].revents & POLLOUT)
			send_pending(c);
		if (fds[0].revents)
			read_input(c);
	}
}

int command_imap(struct cli *cli)
{
	struct carrier carrier = {.room = arena_alloc(&cli->arena, PIECE), .input = arena_alloc(&cli->arena, PIECE), .pending = SLICE_EMPTY};
	bool whole;

	if (!cli_finish(cli, 1, 1))
		return cli->failed;
	carrier.own = own_session_open(cli, cli_argument(cli, 0));
	if (!carrier.own)
		return cli->failed;
	carrier.session = own_session_take(carrier.own);
	whole = carry(&carrier);
	close(carrier.session);
	own_session_close(carrier.own);
	return whole ? EXIT_OK : EXIT_FAILED;
}
