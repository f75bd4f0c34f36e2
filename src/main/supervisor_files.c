#include "main/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/paths.h"
#include "main/store_place.h"
#include "net/listen.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define LISTEN_BACKLOG 1024
/* A former life's processes may hold the ports for a moment. */
#define BIND_PATIENCE_MS 5000

static bool fail(struct supervisor *supervisor, const char *event, struct slice what, const char *advice)
{
	LOG_ERROR(&supervisor->log, event, LOG_STR("what", what), LOG_CSTR("reason", strerror(errno)), LOG_CSTR("advice", advice));
	return false;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static bool read_file(struct supervisor *supervisor, const char *path, struct slice *content)
{
	__attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf text;

	if (fd < 0)
		return fail(supervisor, "supervisor.file_unreadable", slice_from_cstr(path), "check that it is there and readable");
	buf_init(&text, &supervisor->arena, FILE_MAX_BYTES);
	for (;;) {
		char *room = buf_reserve(&text, 4096);
		ssize_t got = room ? read(fd, room, 4096) : -1;

		if (got < 0)
			return fail(supervisor, "supervisor.file_unreadable", slice_from_cstr(path), "it may be 1 MB at most");
		if (got == 0)
			break;
		buf_advance(&text, (size_t)got);
	}
	*content = buf_slice(&text);
	return true;
}

/* What others must have vouched for: the authorities of clients' certificates, the keys of tokens. */
static bool read_vouchers(struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;
	struct slice *keys = ARENA_ARRAY(&supervisor->arena, struct slice, config->auth.token_issuers_count + 1);

	if (config->auth.token_issuers_count > ROLE_MAX_TOKEN_KEYS) {
		LOG_ERROR(&supervisor->log, "supervisor.too_many_token_issuers", LOG_INT("allowed", ROLE_MAX_TOKEN_KEYS));
		return false;
	}
	for (unsigned i = 0; i < config->auth.token_issuers_count; i++)
		if (!read_file(supervisor, config->auth.token_issuers[i].keys, &keys[i]))
			return false;
	supervisor->token_keys = keys;
	return !config->tls.client_authorities ||
	       read_file(supervisor, config->tls.client_authorities, &supervisor->client_authorities);
}

/* Of the passwords of routes. */
static bool load_seal_key(struct supervisor *supervisor)
{
	struct error error = {0};
	char *path = config_data_path(supervisor->config, SLICE("relay.key"), &supervisor->arena);

	if (seal_load_key(path, &supervisor->seal_key, &supervisor->arena, &error))
		return true;
	LOG_ERROR(&supervisor->log, "supervisor.no_seal_key", LOG_STR("reason", error.text));
	return false;
}

bool supervisor_read_secrets(struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;
	struct tls_pair *pairs = ARENA_ARRAY(&supervisor->arena, struct tls_pair, config->tls.certificates_count + 1);

	for (unsigned i = 0; i < config->tls.certificates_count; i++) {
		if (!read_file(supervisor, config->tls.certificates[i].certificate, &pairs[i].certificate_chain) ||
		    !read_file(supervisor, config->tls.certificates[i].key, &pairs[i].private_key))
			return false;
	}
	if (config->relay.smarthost_password_file) {
		struct slice password;

		if (!read_file(supervisor, config->relay.smarthost_password_file, &password))
			return false;
		supervisor->smarthost_password = slice_trim(password);
	}
	supervisor->pairs = pairs;
	supervisor->pair_count = config->tls.certificates_count;
	return read_vouchers(supervisor) && load_seal_key(supervisor);
}

bool supervisor_find_user(struct supervisor *supervisor)
{
	const char *name = supervisor->config->user;

	supervisor->is_root = geteuid() == 0;
	supervisor->uid = (uid_t)-1;
	supervisor->gid = (gid_t)-1;
	if (!supervisor->is_root)
		return true;
	struct passwd *user = getpwnam(name);
	if (!user || user->pw_uid == 0) {
		LOG_ERROR(&supervisor->log, "supervisor.no_user", LOG_CSTR("user", name),
		          LOG_CSTR("advice", "make it with `useradd --system --no-create-home posthorn`, or set `user`"));
		return false;
	}
	supervisor->uid = user->pw_uid;
	supervisor->gid = user->pw_gid;
	return true;
}

/* Below the data folder. The roles' user gets what is for roles alone: the folder above may hold other things, if `data` is mistaken. */
static bool make_folder(struct supervisor *supervisor, struct slice name, mode_t mode, bool for_roles)
{
	struct slice parts[] = {slice_from_cstr(supervisor->config->data), SLICE("/"), name};
	struct slice path = slice_join(&supervisor->arena, parts, 3);
	char *folder = slice_cstr(&supervisor->arena, path);

	if (mkdir(folder, mode) != 0 && errno != EEXIST)
		return fail(supervisor, "supervisor.folder_failed", path, "make the data folder writable for whoever starts posthorn");
	if (for_roles && supervisor->is_root && lchown(folder, supervisor->uid, supervisor->gid) != 0)
		return fail(supervisor, "supervisor.folder_failed", path, "its owner could not be changed");
	return true;
}

bool supervisor_make_folders(struct supervisor *supervisor)
{
	return make_folder(supervisor, SLICE(""), 0755, false) && make_folder(supervisor, SLICE(FOLDER_STORE), 0700, true) &&
	       make_folder(supervisor, SLICE(FOLDER_AUTH), 0700, true) && make_folder(supervisor, SLICE(FOLDER_EMPTY), 0555, false);
}

static bool bind_one(struct supervisor *supervisor, const struct config_listener *wanted, uint32_t index)
{
	struct error error = {0};
	int64_t give_up = clock_monotonic_ms() + BIND_PATIENCE_MS;

	for (;;) {
		int fd = slice_starts_with(slice_from_cstr(wanted->address), SLICE("unix:"))
				 ? supervisor_bind_unix(supervisor, wanted, LISTEN_BACKLOG, &error)
				 : listen_tcp(slice_from_cstr(wanted->address), LISTEN_BACKLOG, &supervisor->arena, &error);
		if (fd >= 0) {
			supervisor->listeners[supervisor->listener_count++] =
				(struct role_listener){slice_from_cstr(wanted->protocol), wanted->proxy, fd, index};
			return true;
		}
		if (clock_monotonic_ms() >= give_up)
			break;
		usleep(100 * 1000);
	}
	LOG_ERROR(&supervisor->log, "supervisor.bind_failed", LOG_STR("reason", error.text));
	return false;
}

/* Whoever may write to the socket may ask: the user and group of the roles. */
static int bind_unix(struct supervisor *supervisor, struct slice path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (path.len >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path.data, path.len);
	(void)unlink(address.sun_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0117);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, LISTEN_BACKLOG) == 0;

	umask(mask);
	if (ok && supervisor->is_root)
		ok = lchown(address.sun_path, supervisor->uid, supervisor->gid) == 0;
	if (ok)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool bind_metrics(struct supervisor *supervisor)
{
	struct slice place = slice_from_cstr(supervisor->config->metrics.address), prefix = SLICE("unix:");

	if (place.len == 0)
		return true;
	if (!slice_starts_with(place, prefix)) {
		struct config_listener listener = {.address = supervisor->config->metrics.address, .protocol = (char *)"metrics"};

		return bind_one(supervisor, &listener, UINT32_MAX);
	}
	int fd = bind_unix(supervisor, slice_skip(place, prefix.len));

	if (fd < 0)
		return fail(supervisor, "supervisor.bind_failed", place, "its folder must be there, and be writable for whoever starts posthorn");
	supervisor->listeners[supervisor->listener_count++] = (struct role_listener){SLICE("metrics"), false, fd, UINT32_MAX};
	return true;
}

static bool bind_control(struct supervisor *supervisor)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", supervisor->config->data, SOCKET_CONTROL);

	if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return fail(supervisor, "supervisor.control_failed", slice_from_cstr(supervisor->config->data), "choose a shorter data folder");
	}
	(void)unlink(address.sun_path);
	supervisor->control_listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0177);
	bool ok = supervisor->control_listener >= 0 &&
	          bind(supervisor->control_listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	          listen(supervisor->control_listener, SUPERVISOR_MAX_CLIENTS) == 0;
	umask(mask);
	if (ok && supervisor->is_root)
		ok = lchown(address.sun_path, supervisor->uid, supervisor->gid) == 0;
	return ok || fail(supervisor, "supervisor.control_failed", slice_from_cstr(address.sun_path), "make the data folder writable");
}

bool supervisor_bind(struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;

	if (config->listeners_count >= ROLE_MAX_LISTENERS) { /* one is for metrics */
		LOG_ERROR(&supervisor->log, "supervisor.too_many_listeners", LOG_INT("allowed", ROLE_MAX_LISTENERS - 1));
		return false;
	}
	for (unsigned i = 0; i < config->listeners_count; i++) {
		if (!bind_one(supervisor, &config->listeners[i], i))
			return false;
	}
	return bind_metrics(supervisor) && bind_control(supervisor);
}
