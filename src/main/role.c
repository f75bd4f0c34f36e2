/* Order at start, and why: what needs system files (resolver, trust anchors, time zone) is set up while they can still be seen; then
 * root goes into its chroot and becomes the unprivileged user; only then are the store opened and threads started. */
#include "main/role.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "ipc/pack.h"
#include "main/confine.h"
#include "main/programs.h"
#include "main/roles.h"
#include "main/sandbox.h"
#include "main/store_place.h"
#include "store/store.h"

#define MAX_DESCRIPTORS 65536

/* Two threads allocate at a time on average; more malloc arenas would only spread idle connections' memory. */
#define MALLOC_ARENAS 4

static void tune_process(void)
{
	struct rlimit files = {MAX_DESCRIPTORS, MAX_DESCRIPTORS};
	struct rlimit no_core = {0, 0};

	/* It was executed by way of /proc, whose name for it would stand in ps and top. */
	(void)prctl(PR_SET_NAME, "posthorn");
	mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	signal(SIGPIPE, SIG_IGN);
	/* A terminal's Ctrl-C reaches the whole group: the supervisor alone decides when a role ends. */
	signal(SIGINT, SIG_IGN);
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	/* A core file would hold other people's letters. */
	(void)setrlimit(RLIMIT_CORE, &no_core);
}

static bool take_configuration(struct role_setup *setup, struct slice frame)
{
	struct role_configuration configuration;
	struct error error = {0};

	if (!role_configuration_unpack(&setup->arena, frame, &configuration))
		return false;
	setup->config = config_load_text(configuration.config_text, "configuration", &setup->arena, &error);
	if (!setup->config)
		return false;
	setup->smarthost_password = configuration.smarthost_password;
	setup->seal_key = configuration.seal_key;
	setup->uid = configuration.uid;
	setup->gid = configuration.gid;
	setup->client_authorities = configuration.client_authorities;
	setup->token_keys = configuration.token_keys;
	setup->token_key_count = configuration.token_key_count;
	setup->pairs = configuration.pairs;
	setup->pair_count = configuration.pair_count;
	return true;
}

static bool take_listener(struct role_setup *setup, struct slice frame, int fd)
{
	struct unpack in = unpack_begin(frame);
	struct role_listener listener = {.protocol = unpack_slice(&in), .proxy = unpack_u8(&in) != 0, .fd = fd, .index = unpack_u32(&in)};

	if (!unpack_ok(&in) || fd < 0 || setup->listener_count == ROLE_MAX_LISTENERS)
		return false;
	setup->listeners[setup->listener_count++] = listener;
	return true;
}

/* Everything the supervisor says up to CONTROL_START. */
static bool take_setup(struct role_setup *setup)
{
	for (;;) {
		enum control_type type;
		struct slice payload;
		int fd;
		bool ok;

		if (!control_receive(setup->control_fd, &setup->arena, &type, &payload, &fd))
			return false;
		switch (type) {
		case CONTROL_CONFIGURE:
			ok = take_configuration(setup, payload);
			break;
		case CONTROL_LISTENER:
			ok = take_listener(setup, payload, fd);
			break;
		case CONTROL_START:
			return setup->config != NULL;
		default:
			ok = false;
		}
		if (!ok)
			return false;
	}
}

static enum log_level level_of(const struct config *config)
{
	enum log_level level;

	return log_level_parse(slice_from_cstr(config->log.level), &level) ? level : LOG_LEVEL_INFO;
}

static void start_log(struct role_setup *setup)
{
	struct slice format = slice_from_cstr(setup->config->log.format);

	log_init(&setup->log, STDERR_FILENO, slice_eq(format, SLICE("json")) ? LOG_FORMAT_JSON : LOG_FORMAT_LOGFMT,
	         level_of(setup->config), role_name(setup->definition->role));
	if (setup->config->metrics.address)
		setup->log.metrics = metrics_new();
}

void role_take_log_level(struct role_setup *setup, struct slice config_text)
{
	struct arena arena SCOPED_ARENA;
	struct error error = {0};
	struct config *config = config_load_text(config_text, "configuration", &arena, &error);

	if (config)
		atomic_store(&setup->log.level, level_of(config));
	config_free(config);
}

static bool drop_privileges(struct role_setup *setup, const struct store_place *place)
{
	if (setup->uid == (uid_t)-1)
		return true;
	if (place->chroot_folder.len > 0) {
		if (chroot(slice_cstr(&setup->arena, place->chroot_folder)) != 0 || chdir("/") != 0) {
			LOG_ERROR(&setup->log, "role.chroot_failed", LOG_STR("folder", place->chroot_folder), LOG_INT("errno", errno));
			return false;
		}
	}
	if (setgroups(0, NULL) != 0 || setresgid(setup->gid, setup->gid, setup->gid) != 0 ||
	    setresuid(setup->uid, setup->uid, setup->uid) != 0 || setuid(0) == 0) {
		LOG_ERROR(&setup->log, "role.drop_failed", LOG_INT("uid", setup->uid), LOG_INT("errno", errno));
		return false;
	}
	return true;
}

bool role_asks_dns(const struct role_setup *setup)
{
	const struct config *config = setup->config;

	return setup->definition->role == ROLE_SMTP &&
	       (config->smtp.resolve_clients || config->screen.lists_count > 0 || config->screen.no_reverse > 0 || config->screen.no_pointer > 0 ||
		config->screen.bad_hello > 0 || config->screen.malformed_hello > 0 || !slice_eq(slice_from_cstr(config->screen.unknown_sender), SLICE("off")));
}

#define DNS_PORT      53
#define DNS_PORTS_MAX 16

/* Those of dns.forwarders, or the usual one. */
static size_t dns_ports(const struct config *config, unsigned *ports)
{
	size_t count = 0;

	for (unsigned i = 0; i < config->dns.forwarders_count && count < DNS_PORTS_MAX; i++) {
		struct slice port = slice_from_cstr(config->dns.forwarders[i]);
		uint32_t number = DNS_PORT;

		(void)slice_cut(&port, '@');
		if (port.len == 0 || slice_to_u32(port, UINT16_MAX, &number))
			ports[count++] = number;
	}
	if (count == 0)
		ports[count++] = DNS_PORT;
	return count;
}

bool role_enter_sandbox(struct role_setup *setup)
{
	unsigned ports[DNS_PORTS_MAX];
	struct store_place place = store_place_of(setup);
	unsigned powers = setup->definition->powers;
	struct program_files files = {.null = -1};

	if (powers & POWER_USERS)
		return confine(&setup->log);
	if (powers & POWER_PROGRAMS)
		program_files_open(&files, setup->config);
	if (!drop_privileges(setup, &place))
		return false;
	/* The supervisor's death is ours; set after the change of user, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
		return false;

	struct sandbox sandbox = {.powers = powers, .folder_fd = -1, .unix_sockets = place.unix_sockets, .connect_port = place.port,
				  .dns_ports = ports, .dns_port_count = role_asks_dns(setup) ? dns_ports(setup->config, ports) : 0, .programs = &files};
	if (place.inside_folder.len > 0) {
		sandbox.folder_fd = open(slice_cstr(&setup->arena, place.inside_folder), O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (sandbox.folder_fd < 0) {
			LOG_ERROR(&setup->log, "role.folder_missing", LOG_STR("folder", place.inside_folder), LOG_INT("errno", errno));
			return false;
		}
	}
	setup->folder_url = place.url;
	bool ok = sandbox_enter(&sandbox, &setup->log);
	if (sandbox.folder_fd >= 0)
		close(sandbox.folder_fd);
	program_files_close(&files);
	return ok;
}

struct local_domains role_unix_domains(struct role_setup *setup)
{
	const struct config *config = setup->config;
	struct slice separator = slice_from_cstr(config->smtp.recipient_separator);
	struct slice *domains = ARENA_ARRAY(&setup->arena, struct slice, config->local.domains_count + 1);

	for (unsigned i = 0; i < config->local.domains_count; i++)
		domains[i] = slice_from_cstr(config->local.domains[i]);
	return (struct local_domains){domains, config->local.domains_count, separator.len > 0 ? separator.data[0] : '\0'};
}

bool role_say_ready(struct role_setup *setup)
{
	return control_send(setup->control_fd, CONTROL_READY, SLICE_EMPTY, -1);
}

struct store *role_open_store(struct role_setup *setup, struct error *error)
{
	struct store_options options = {.url = setup->folder_url, .connections = setup->config->store.connections,
	                                .compress_from = setup->config->store.compress_from,
	                                .maps_file = setup->definition->role == ROLE_IMAP,
	                                .keep_deleted = setup->config->retention.deleted_days > 0};

	return store_open(&options, false, &setup->log, &setup->arena, error);
}

int role_main(enum role role, bool only_prepare)
{
	struct role_setup *setup = calloc(1, sizeof(*setup));

	if (!setup)
		return EXIT_FAILURE;
	setup->definition = role_definition(role);
	setup->control_fd = ROLE_CONTROL_FD;
	arena_init(&setup->arena, 0);
	log_init(&setup->log, STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO, role_name(role));
	tune_process();
	if (!setup->definition || !take_setup(setup)) {
		LOG_ERROR(&setup->log, "role.no_configuration", LOG_CSTR("advice", "roles are started by `posthorn serve`"));
		return EXIT_FAILURE;
	}
	start_log(setup);
	(void)clock_local_zone_minutes(clock_wall_ms());
	(void)random_u64();
	int status = only_prepare ? role_prepare(setup) : setup->definition->run(setup);
	if (!only_prepare)
		LOG_INFO(&setup->log, "role.stopped");
	config_free(setup->config);
	arena_free(&setup->arena);
	metrics_free(setup->log.metrics);
	free(setup);
	return status;
}
