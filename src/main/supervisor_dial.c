/* Connections to programs beside us (milters, policy services), for a role that may make none itself: to what the configuration names, and
 * to nothing else. Invariant: nothing here waits. What takes time (a TCP handshake) goes on while the role has the socket already. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/pack.h"
#include "main/supervisor.h"
#include "net/listen.h"

/* May that role talk to what is there? */
static bool is_named(const struct config *config, enum role from, struct slice address)
{
	if (from != ROLE_SMTP)
		return false;
	for (unsigned i = 0; i < config->smtp.milters_count; i++)
		if (slice_eq(slice_from_cstr(config->smtp.milters[i].address), address))
			return true;
	for (unsigned i = 0; i < config->smtp.policy_services_count; i++)
		if (slice_eq(slice_from_cstr(config->smtp.policy_services[i].address), address))
			return true;
	return false;
}

static socklen_t unix_address(struct slice path, struct sockaddr_storage *out)
{
	struct sockaddr_un *address = (struct sockaddr_un *)out;

	if (path.len >= sizeof(address->sun_path))
		return 0;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path.data, path.len);
	return sizeof(*address);
}

static socklen_t parse(struct slice address, struct sockaddr_storage *out)
{
	struct net_address inet;

	if (slice_starts_with(address, SLICE("unix:")))
		return unix_address(slice_skip(address, sizeof("unix:") - 1), out);
	if (!slice_starts_with(address, SLICE("inet:")) || !listen_parse(slice_skip(address, sizeof("inet:") - 1), &inet))
		return 0;
	return net_address_to_sockaddr(&inet, out);
}

static int dial(struct slice text)
{
	struct sockaddr_storage address = {0};
	socklen_t length = parse(text, &address);
	int fd = length == 0 ? -1 : socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, length) == 0 || errno == EINPROGRESS)
		return fd;
	int number = errno;

	close(fd);
	errno = number;
	return -1;
}

void supervisor_dial(struct supervisor *supervisor, enum role from, struct slice payload)
{
	struct unpack in = unpack_begin(payload);
	uint32_t number = unpack_u32(&in);
	struct slice address = unpack_slice(&in);
	struct buf answer SCOPED_BUF;
	int fd = -1;

	if (!unpack_ok(&in))
		return;
	if (is_named(supervisor->config, from, address)) {
		fd = dial(address);
		if (fd < 0)
			LOG_DEBUG(&supervisor->log, "supervisor.not_dialled", LOG_STR("address", address),
				  LOG_INT("errno", errno));
	} else {
		LOG_WARNING(&supervisor->log, "supervisor.dial_refused", LOG_STR("from", role_name(from)),
			    LOG_STR("address", address));
	}
	buf_init(&answer, NULL, 0);
	pack_u32(&answer, number);
	supervisor_send(supervisor, from, CONTROL_CHANNEL, buf_slice(&answer), fd);
	if (fd >= 0)
		close(fd);
}
