/* role: what every role process does first: take its configuration and its descriptors from the supervisor, give up privileges,
 * enter the sandbox, say that it is ready; and what it does last. A role reads no file but what its folder holds. */
#pragma once

#include <sys/types.h>

#include "base/arena.h"
#include "base/log.h"
#include "config/config.h"
#include "ipc/ipc.h"
#include "local/local.h"
#include "net/tls.h"

struct dns;
struct store;

#define ROLE_CONTROL_FD 3
#define ROLE_MAX_LISTENERS 32
#define ROLE_MAX_CERTIFICATES 256
#define ROLE_MAX_TOKEN_KEYS 32

struct role_listener {
	struct slice protocol;
	bool proxy;
	int fd;
	uint32_t index; /* in config->listeners; beyond them: it isn't from there */
};

/* Lives as long as the process. */
struct role_setup {
	const struct role_definition *definition;
	struct arena arena;
	struct log log;
	struct config *config;      /* with what isn't this role's affair left out */
	int control_fd;
	uid_t uid;                  /* (uid_t)-1: stay who we are */
	gid_t gid;
	struct slice smarthost_password;
	struct slice seal_key; /* of the passwords of routes; the relay's only */
	struct slice client_authorities; /* PEM; empty: no client is asked for a certificate */
	struct slice *token_keys;        /* one of each of auth.token_issuers */
	size_t token_key_count;
	struct tls_pair *pairs;
	size_t pair_count;
	struct role_listener listeners[ROLE_MAX_LISTENERS];
	size_t listener_count;
	struct slice folder_url;    /* "sqlite:..." or "postgresql://...": what the role opens, as seen from inside */
};

/* The process of one role: `posthorn role NAME`, with the control socket as descriptor 3; or, with `only_prepare`, `posthorn prepare NAME`.
 * Returns the exit status. */
int role_main(enum role role, bool only_prepare);

/* Privileges and sandbox, then CONTROL_READY. Called by a role when all that needs system files has been set up and before it opens
 * its store and starts a thread. False (and logged): the role ends. */
MUST_CHECK bool role_enter_sandbox(struct role_setup *setup);
MUST_CHECK bool role_say_ready(struct role_setup *setup);
/* Inside the sandbox. */
MUST_CHECK struct store *role_open_store(struct role_setup *setup, struct error *error);
/* Beyond its powers: screen.* and smtp.resolve_clients need the DNS. Such a role enters its sandbox with the resolver's ports left open. */
bool role_asks_dns(const struct role_setup *setup);
/* A resolver as dns.* says; before the sandbox. timeout_ms 0: its default. NULL: logged. */
MUST_CHECK struct dns *role_make_dns(struct role_setup *setup, int timeout_ms);
/* local.domains; in the role's arena. */
struct local_domains role_unix_domains(struct role_setup *setup);
/* At a reload. */
void role_take_log_level(struct role_setup *setup, struct slice config_text);

/* What CONTROL_CONFIGURE and CONTROL_RELOAD hold. */
struct role_configuration {
	struct slice config_text, smarthost_password, seal_key, client_authorities;
	struct slice *token_keys;
	size_t token_key_count;
	uint32_t uid, gid; /* UINT32_MAX: unchanged */
	struct tls_pair *pairs;
	size_t pair_count;
};
void role_configuration_pack(struct buf *out, const struct role_configuration *configuration);
MUST_CHECK bool role_configuration_unpack(struct arena *arena, struct slice frame, struct role_configuration *configuration);

/* The roles themselves, a file each. */
int role_prepare(struct role_setup *setup);
int role_run_smtp(struct role_setup *setup);
int role_run_deliver(struct role_setup *setup);
int role_run_relay(struct role_setup *setup);
int role_run_imap(struct role_setup *setup);
int role_run_auth(struct role_setup *setup);
int role_run_jobs(struct role_setup *setup);
int role_run_metrics(struct role_setup *setup);
int role_run_local(struct role_setup *setup);
int role_run_convert(struct role_setup *setup);
