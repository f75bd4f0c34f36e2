/* imap: a session on standard input and output, for mail programs that can start one (mbsync's Tunnel, mutt's tunnel) and for people. */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/write.h"
#include "cli/commands.h"
#include "cli/own_session.h"

#define LOOK_MS 2000
#define PIECE   65536

/* Waits for room: the session's end is non-blocking. */
static bool send_all(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		struct pollfd room = {.fd = fd, .events = POLLOUT};
		ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);

		if (sent > 0)
			bytes = slice_skip(bytes, (size_t)sent);
		else if (poll(&room, 1, -1) < 0 || room.revents & (POLLERR | POLLHUP))
			return false;
	}
	return true;
}

/* False: there is no more to come from there. */
static bool from_standard_input(int session, char *room)
{
	ssize_t got = read(STDIN_FILENO, room, PIECE);

	return got > 0 && send_all(session, slice_of(room, (size_t)got));
}

static bool to_standard_output(int session, char *room)
{
	ssize_t got = recv(session, room, PIECE, 0);

	return got > 0 && write_all(STDOUT_FILENO, slice_of(room, (size_t)got));
}

/* Until the session ends. A client that goes without LOGOUT ends it too. */
static void carry(struct own_session *own, int session, char *room)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = session, .events = POLLIN}};

	for (;;) {
		int ready = poll(fds, 2, LOOK_MS);

		if (ready == 0)
			own_session_look(own);
		if (ready <= 0)
			continue;
		if (fds[1].revents && !to_standard_output(session, room))
			return;
		if (fds[0].revents && !from_standard_input(session, room)) {
			shutdown(session, SHUT_WR);
			fds[0].fd = -1;
		}
	}
}

int command_imap(struct cli *cli)
{
	struct own_session *own;
	int session;

	if (!cli_finish(cli, 1, 1))
		return cli->failed;
	own = own_session_open(cli, cli_argument(cli, 0));
	if (!own)
		return cli->failed;
	session = own_session_take(own);
	carry(own, session, arena_alloc(&cli->arena, PIECE));
	close(session);
	own_session_close(own);
	return EXIT_OK;
}
