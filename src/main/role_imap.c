#include <stdlib.h>

#include "cli/search_settings.h"
#include "extract/extractor.h"
#include "guard/service.h"
#include "imap/imap.h"
#include "imap/url_service.h"
#include "ipc/metrics.h"
#include "ipc/pack.h"
#include "ipc/urls.h"
#include "main/network_role.h"
#include "pop3/pop3.h"
#include "store/expiry.h"
#include "store/mailbox_view.h"
#include "store/store.h"

#define ANNOUNCED_ACCOUNTS_MAX 100000

struct imap_role {
	struct imap_context imap;
	struct pop3_context pop3;
	struct extractor extractor;
	struct role_setup *setup;
	struct budget memory;
};

static enum imap_plaintext plaintext_from(struct slice name)
{
	if (slice_eq(name, SLICE("never")))
		return IMAP_PLAINTEXT_NEVER;
	return slice_eq(name, SLICE("always")) ? IMAP_PLAINTEXT_ALWAYS : IMAP_PLAINTEXT_LOOPBACK;
}

static struct imap_options options_from(const struct config *config)
{
	return (struct imap_options){
		.hostname = slice_from_cstr(config->hostname),
		.plaintext = plaintext_from(slice_from_cstr(config->auth.plaintext)),
		.takes_tokens = config->auth.token_issuers_count > 0,
		.append_limit = config->limits.message_size,
		.comment = slice_from_cstr(config->imap.comment),
		.admin = slice_from_cstr(config->imap.admin),
		.message_limit = config->imap.message_limit,
		.limits_saving_only = slice_eq(slice_from_cstr(config->imap.message_limit_for), SLICE("saving")),
		.surrogates = config->imap.surrogates,
		.small_literals = slice_eq(slice_from_cstr(config->imap.literals), SLICE("small")),
		.submitter = slice_from_cstr(config->imap.submitter),
		.idle_timeout_ms = (int)config->limits.idle_timeout_s * 1000,
		.command_timeout_ms = (int)config->limits.command_timeout_s * 1000,
		.attachments_wait_ms = (int)config->search.wait_s * 1000,
	};
}

static void start_reading_attachments(struct imap_role *role, struct ipc *ipc)
{
	struct role_setup *setup = role->setup;
	struct extractor_options options;

	if (!extract_is_on(setup->config))
		return;
	extract_options(setup->config, &setup->arena, &options);
	extractor_init(&role->extractor, &options, role->imap.store, ipc, &setup->log);
	role->imap.extractor = &role->extractor;
}

static enum pop3_plaintext pop3_plaintext_from(enum imap_plaintext plaintext)
{
	if (plaintext == IMAP_PLAINTEXT_NEVER)
		return POP3_PLAINTEXT_NEVER;
	return plaintext == IMAP_PLAINTEXT_ALWAYS ? POP3_PLAINTEXT_ALWAYS : POP3_PLAINTEXT_LOOPBACK;
}

/* What `retention.expire` says of the maildrop; 0: nothing. */
static unsigned inbox_expires_after(const struct config *config)
{
	for (unsigned i = 0; i < config->retention.expire_count; i++) {
		struct expiry_rule rule = {.mailbox = slice_from_cstr(config->retention.expire[i].mailbox)};

		if (expiry_rule_fits(&rule, SLICE("INBOX"), SLICE("inbox")))
			return config->retention.expire[i].after_days;
	}
	return 0;
}

/* limits.idle_timeout is IMAP's. */
static struct pop3_options pop3_options_from(const struct config *config, const struct imap_options *imap)
{
	return (struct pop3_options){
		.expire_days = inbox_expires_after(config),
		.login_delay_s = config->pop3.login_delay_s,
		.hostname = imap->hostname,
		.plaintext = pop3_plaintext_from(imap->plaintext),
		.takes_tokens = imap->takes_tokens,
		.command_timeout_ms = imap->command_timeout_ms,
	};
}

static void report(void *context, struct metrics_report *report)
{
	struct imap_role *role = context;
	struct mailbox_view_counts counts = mailbox_view_cache_counts(role->imap.views);

	metrics_set(report->metrics, METRIC_VIEWS, 0, counts.views);
	metrics_set(report->metrics, METRIC_VIEW_BYTES, 0, counts.bytes);
}

static bool start(void *context, struct ipc *ipc)
{
	struct imap_role *role = context;
	struct role_setup *setup = role->setup;
	struct error error = {0};

	role->imap.ipc = ipc;
	role->imap.store = role_open_store(setup, &error);
	if (!role->imap.store) {
		LOG_ERROR(&setup->log, "imap.no_store", LOG_STR("reason", error.text));
		return false;
	}
	start_reading_attachments(role, ipc);
	role->imap.views = mailbox_view_cache_new(role->imap.store, 0);
	ipc_set_metrics_reporter(ipc, report, role);
	role->pop3.ipc = ipc;
	role->pop3.store = role->imap.store;
	role->pop3.views = role->imap.views;
	role->pop3.known = pop3_known_new();
	if (role->pop3.options.login_delay_s > 0)
		role->pop3.logins = pop3_logins_new();
	return true;
}

static bool fetch_bans(void *context, struct arena *arena, struct ban **bans, size_t *count)
{
	struct imap_role *role = context;

	return guard_read_bans(role->imap.store, arena, bans, count);
}

static void stop(void *context)
{
	struct imap_role *role = context;

	if (!role->imap.store)
		return;
	pop3_known_free(role->pop3.known);
	pop3_logins_free(role->pop3.logins);
	mailbox_view_cache_free(role->imap.views);
	store_close(role->imap.store);
}

/* "mailbox": a count and the ids of accounts. */
static void announced(void *context, struct engine *engine, struct slice kind, struct slice payload)
{
	struct unpack in = unpack_begin(payload);
	uint32_t count = unpack_count(&in, ANNOUNCED_ACCOUNTS_MAX);

	(void)context;
	if (!slice_eq(kind, SLICE("mailbox")))
		return;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t account = unpack_u64(&in);

		if (account != 0)
			engine_announce(engine, account);
	}
}

static enum status asked(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	const struct imap_role *role = context;

	return request->type == IPC_URL_FETCH ? imap_url_serve(&role->imap, request, arena, reply) : STATUS_REFUSED;
}

int role_run_imap(struct role_setup *setup)
{
	struct imap_options options = options_from(setup->config);
	struct imap_role role = {
		.imap = {.options = options, .log = &setup->log},
		.pop3 = {.options = pop3_options_from(setup->config, &options), .log = &setup->log},
		.setup = setup,
	};
	const struct network_protocol protocols[] = {
		{"imap imaps", "imaps", "imap imaps", &imap_protocol, &role.imap, IMAP_REFUSAL},
		{"pop3 pop3s", "pop3s", "pop3 pop3s", &pop3_protocol, &role.pop3, POP3_REFUSAL},
	};
	struct network_service service = {
		.protocols = protocols,
		.protocol_count = sizeof(protocols) / sizeof(protocols[0]),
		.context = &role,
		.start = start,
		.fetch_bans = fetch_bans,
		.stop = stop,
		.announced = announced,
		.asked = asked,
		.holds_users = true,
	};

	network_role_budget(setup, &role.memory);
	role.imap.options.memory = &role.memory;
	return network_role_run(setup, &service);
}
