#include "milter/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define LINE_MAX_BYTES 8192
#define LINES_MAX      100

struct policy_service {
	struct policy_options options;
	struct pool *pool;
	const struct log *log;
};

struct policy_service *policy_service_new(const struct policy_options *options, pool_dial dial, void *context,
					  const struct log *log)
{
	struct policy_service *service = calloc(1, sizeof(*service));

	if (!service) {
		fputs("out of memory\n", stderr);
		abort();
	}
	service->options = *options;
	service->pool = pool_new(options->address, dial, context);
	service->log = log;
	return service;
}

void policy_service_free(struct policy_service *service)
{
	if (!service)
		return;
	pool_free(service->pool);
	free(service);
}

const struct policy_options *policy_options_of(const struct policy_service *service)
{
	return &service->options;
}

/* Lines up to an empty one. False: there was no action among them, or no end. */
static bool read_reply(struct conn *conn, struct arena *arena, struct slice *action)
{
	struct slice line, found;
	bool has_action = false;

	for (unsigned i = 0; i < LINES_MAX; i++) {
		enum conn_line kind = conn_read_line(conn, LINE_MAX_BYTES, &line);

		if (kind != CONN_LINE_OK && kind != CONN_LINE_BARE)
			return false;
		if (line.len == 0)
			return has_action;
		if (policy_parse_line(line, &found)) {
			*action = slice_dup(arena, found);
			has_action = true;
		}
	}
	return false;
}

/* Over this connection, which is given back or closed. */
static bool ask_over(struct policy_service *service, struct conn *conn, struct arena *arena, struct slice request,
		     struct slice *action)
{
	bool ok;

	if (!conn)
		return false;
	conn_set_timeout(conn, service->options.timeout_ms);
	conn_set_deadline(conn, clock_monotonic_ms() + service->options.timeout_ms);
	conn_write(conn, request);
	ok = conn_flush(conn) && read_reply(conn, arena, action);
	if (ok)
		pool_give(service->pool, conn);
	else
		conn_free(conn);
	return ok;
}

struct policy_verdict policy_ask(struct policy_service *service, struct session_env *env, struct arena *arena,
				 struct slice request)
{
	int timeout_ms = service->options.timeout_ms;
	struct slice action = SLICE_EMPTY;
	int64_t until_ms = clock_monotonic_ms() + timeout_ms;
	bool was_used, ok;

	ok = ask_over(service, pool_take(service->pool, env, timeout_ms, &was_used), arena, request, &action);
	if (!ok && was_used && clock_monotonic_ms() < until_ms)
		ok = ask_over(service, pool_take_new(service->pool, env, timeout_ms), arena, request, &action);
	if (ok)
		return policy_parse_action(action);
	LOG_WARNING(service->log, "policy.failed", LOG_STR("service", service->options.address),
		    LOG_CSTR("reason", "it can't be reached, or gives no answer"));
	return policy_parse_action(service->options.default_action);
}
