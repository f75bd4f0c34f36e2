#include "relay/client.h"

#include "base/clock.h"
#include "net/tls.h"

static const char *error_text(enum conn_error error)
{
	switch (error) {
	case CONN_OK:
		return "garbled reply";
	case CONN_CLOSED:
		return "connection closed by the peer";
	case CONN_RESET:
		return "connection lost";
	case CONN_TIMED_OUT:
		return "time-out";
	case CONN_TLS:
		return "TLS error";
	}
	return "error";
}

static void limit_time(struct client *client, int timeout_ms)
{
	conn_set_timeout(client->conn, timeout_ms);
	conn_set_deadline(client->conn, clock_monotonic_ms() + timeout_ms);
}

static void fail_reading(struct client *client, struct arena *arena, const char *stage, struct reply *reply)
{
	enum conn_error error = conn_error(client->conn);
	bool is_garbage = error == CONN_OK;

	client->broken = true;
	*reply = reply_ours(arena, is_garbage ? 451 : 421, is_garbage ? "4.5.0" : "4.4.2", "%s from %.*s at %s",
			    error_text(error), SLICE_ARG(client->remote), stage);
	client->trouble = reply_dup(client->arena, reply);
}

void client_read(struct client *client, struct arena *arena, const char *stage, int timeout_ms, struct reply *reply)
{
	struct reply_builder builder;
	enum status status = STATUS_NEED_MORE;

	reply_begin(&builder, arena);
	if (client->broken && client->trouble.code != 0) { /* nothing more is asked: the answer stays what it was */
		*reply = reply_dup(arena, &client->trouble);
		return;
	}
	limit_time(client, timeout_ms);
	while (status == STATUS_NEED_MORE) {
		struct slice line;
		/* Lenient: a bare LF ends a reply's line too; nothing can be smuggled in a reply. */
		enum conn_line kind = conn_read_line(client->conn, REPLY_LINE_MAX, &line);

		status = kind == CONN_LINE_OK || kind == CONN_LINE_BARE ? reply_add_line(&builder, line) : STATUS_PEER;
	}
	if (status != STATUS_OK) {
		fail_reading(client, arena, stage, reply);
		return;
	}
	*reply = builder.reply;
	if (reply->code == 421) { /* RFC 5321 section 3.8: the server closes */
		client->broken = true;
		client->trouble = reply_dup(client->arena, reply);
	}
}

void client_ask(struct client *client, struct arena *arena, const char *stage, int timeout_ms, struct reply *reply)
{
	limit_time(client, timeout_ms);
	conn_flush(client->conn);
	if (conn_failed(client->conn))
		client->broken = true;
	client_read(client, arena, stage, timeout_ms, reply);
}

/* RFC 5321 section 2.3.5: a name with a dot, or else an address literal. */
static void write_hello(struct client *client, const char *verb)
{
	const struct client_options *options = client->options;
	struct slice name = options->hello_name.len > 0 ? options->hello_name : options->hostname;

	conn_printf(client->conn, "%s ", verb);
	if (slice_find_byte(name, '.') != SLICE_NOT_FOUND || conn_local(client->conn)->family == 0)
		conn_write(client->conn, name);
	else
		net_address_format_literal(conn_output(client->conn), conn_local(client->conn));
	conn_write_literal(client->conn, "\r\n");
}

/* A server that has our name is us: mail would go round and round. */
static bool is_ourselves(struct client *client, struct slice greeting_host, struct reply *failure)
{
	/* One that speaks LMTP delivers: it may well stand on this host and have its name. */
	if (client->options->is_lmtp || !slice_eq_nocase(greeting_host, client->options->hostname))
		return false;
	*failure =
		reply_ours(client->arena, 554, "5.4.6", "%.*s calls itself %.*s, which is my name: mail loops back to myself",
			   SLICE_ARG(client->remote), SLICE_ARG(greeting_host));
	return true;
}

static bool say_hello(struct client *client, struct reply *failure)
{
	struct reply reply;
	bool is_lmtp = client->options->is_lmtp;
	const char *verb = is_lmtp ? "LHLO" : "EHLO"; /* RFC 2033 section 4.1 */

	write_hello(client, verb);
	client_ask(client, client->arena, verb, client->options->timeouts.command_ms, &reply);
	if (!client->broken && !is_lmtp && reply_is_permanent(&reply)) { /* RFC 5321 section 3.2: then HELO */
		write_hello(client, "HELO");
		client_ask(client, client->arena, "HELO", client->options->timeouts.command_ms, &reply);
		client->capabilities = (struct capabilities){0};
	} else {
		client->capabilities = capabilities_parse(reply.text);
	}
	*failure = reply;
	return !client->broken && reply.code / 100 == 2;
}

/* "220 host ESMTP ..." */
static struct slice greeting_host(const struct reply *greeting)
{
	struct slice text = slice_skip(greeting->text, 4);

	return slice_trim(slice_cut(&text, ' '));
}

/* What the certificate must name: the host, or the address of one that is written as "[192.0.2.1]". */
static struct slice tls_name(struct client *client)
{
	struct buf name;

	if (!slice_starts_with(client->host.name, SLICE("[")))
		return client->host.name;
	buf_init(&name, client->arena, 0);
	net_address_format(&name, &client->host.address);
	return buf_slice(&name);
}

static enum security_level level_of(const struct client *client)
{
	static const enum security_level LEVELS[] = {
		[RELAY_TLS_OPPORTUNISTIC] = SECURITY_OPPORTUNISTIC,
		[RELAY_TLS_REQUIRED] = SECURITY_VERIFIED,
		[RELAY_TLS_NONE] = SECURITY_PLAIN,
		[RELAY_TLS_ENCRYPTED] = SECURITY_ENCRYPTED,
		[RELAY_TLS_DANE] = SECURITY_DANE,
	};
	enum security_level level = client->host.security.level;

	return level == SECURITY_BY_OPTIONS ? LEVELS[client->options->tls] : level;
}

static bool is_demanding(const struct client *client)
{
	return level_of(client) >= SECURITY_ENCRYPTED;
}

static enum tls_result result_of(enum conn_tls_fault fault)
{
	static const enum tls_result RESULTS[] = {
		[CONN_TLS_FAULT_NONE] = TLS_RESULT_VALIDATION_FAILURE,
		[CONN_TLS_FAULT_HOST] = TLS_RESULT_HOST_MISMATCH,
		[CONN_TLS_FAULT_EXPIRED] = TLS_RESULT_EXPIRED,
		[CONN_TLS_FAULT_UNTRUSTED] = TLS_RESULT_NOT_TRUSTED,
		[CONN_TLS_FAULT_TLSA] = TLS_RESULT_VALIDATION_FAILURE, /* RFC 8460 section 4.3.2.1 */
		[CONN_TLS_FAULT_OTHER] = TLS_RESULT_VALIDATION_FAILURE,
	};

	return RESULTS[fault];
}

static void tell_result(const struct client *client, enum tls_result result, struct slice reason)
{
	const struct client_hooks *hooks = &client->options->hooks;

	if (hooks->tls_ended)
		hooks->tls_ended(hooks->context, client, result, reason);
}

static void describe_tls(struct client *client, struct slice fault)
{
	const struct security *security = &client->host.security;
	struct buf text;

	buf_init(&text, client->arena, 0);
	buf_add(&text, client->remote);
	buf_printf(&text, " (%.*s, %s", SLICE_ARG(conn_tls_version(client->conn)),
		   security_text(level_of(client), security->policy));
	if (fault.len > 0)
		buf_printf(&text, ", would fail: %.*s", SLICE_ARG(fault));
	if (security->needs_requiretls)
		buf_add_literal(&text, ", REQUIRETLS");
	buf_add_byte(&text, ')');
	client->remote_by_tls = buf_slice(&text);
}

/* What the check of a policy in testing mode would have said (RFC 8461 section 5). */
static void conclude_tls(struct client *client)
{
	bool is_observed = level_of(client) == SECURITY_OBSERVED;
	enum conn_tls_fault fault = is_observed ? conn_tls_fault(client->conn) : CONN_TLS_FAULT_NONE;
	struct slice reason = is_observed ? conn_tls_fault_text(client->conn) : SLICE_EMPTY;

	if (is_observed && client->host.security.is_unlisted)
		reason = SLICE("the policy doesn't name the host");
	describe_tls(client, reason);
	if (fault != CONN_TLS_FAULT_NONE)
		tell_result(client, result_of(fault), reason);
	else
		tell_result(client, reason.len > 0 ? TLS_RESULT_VALIDATION_FAILURE : TLS_RESULT_SUCCESS, reason);
}

static struct conn_tls_demand demand_of(struct client *client)
{
	const struct security *security = &client->host.security;
	enum security_level level = level_of(client);
	struct conn_tls_demand demand = {.host = tls_name(client)};

	if (level == SECURITY_VERIFIED)
		demand.check = CONN_TLS_VERIFIED;
	else if (level == SECURITY_OBSERVED)
		demand.check = CONN_TLS_OBSERVED;
	if (level == SECURITY_DANE) {
		demand.host = security->base;
		demand.tlsa = security->tlsa;
		demand.tlsa_count = security->tlsa_count;
		demand.names = security->names;
		demand.name_count = security->name_count;
	}
	return demand;
}

static bool start_tls(struct client *client, struct reply *failure)
{
	struct conn_tls_demand demand = demand_of(client);
	struct tls_context *tls = demand.check == CONN_TLS_UNCHECKED ? client->options->tls_opportunistic
								     : client->options->tls_verified;

	conn_discard_input(client->conn); /* RFC 3207 section 6: nothing said in plain is taken over */
	limit_time(client, client->options->timeouts.command_ms);
	if (conn_start_tls_demanding(client->conn, tls, &demand)) {
		conclude_tls(client);
		return true;
	}
	client->broken = client->tls_failed = true;
	*failure = reply_ours(client->arena, 454, "4.7.5", "%sTLS handshake with %.*s failed: %.*s",
			      security_demander(&client->host.security), SLICE_ARG(client->remote),
			      SLICE_ARG(conn_tls_error(client->conn)));
	tell_result(client, result_of(conn_tls_fault(client->conn)), conn_tls_error(client->conn));
	return false;
}

/* RFC 8689 section 4.2.1: what demands it may only go to hosts that pass the demand on. */
static bool offers_requiretls(struct client *client, struct reply *failure)
{
	if (!client->host.security.needs_requiretls || (client->capabilities.offered & CAPABILITY_REQUIRETLS))
		return true;
	*failure = reply_ours(client->arena, 550, "5.7.30", "REQUIRETLS: %.*s doesn't offer it", SLICE_ARG(client->remote));
	return false;
}

/* Some servers accept the handshake and then drop the connection: that is TLS trouble too. */
static bool greet_over_tls(struct client *client, struct reply *failure)
{
	bool went_well = say_hello(client, failure);

	client->tls_failed = !went_well && client->broken;
	return went_well && offers_requiretls(client, failure);
}

/* True: TLS runs, or may be done without. */
static bool negotiate_tls(struct client *client, struct reply *failure)
{
	bool offered = client->capabilities.offered & CAPABILITY_STARTTLS;
	bool is_required = client->host.security.needs_requiretls;
	struct reply reply;

	if (conn_is_tls(client->conn))
		return offers_requiretls(client, failure);
	if (level_of(client) == SECURITY_PLAIN)
		return true;
	if (offered) {
		conn_write_literal(client->conn, "STARTTLS\r\n");
		client_ask(client, client->arena, "STARTTLS", client->options->timeouts.command_ms, &reply);
		*failure = reply;
		if (client->broken)
			return false;
		if (reply.code == 220)
			return start_tls(client, failure) && greet_over_tls(client, failure);
	}
	tell_result(client, TLS_RESULT_STARTTLS_NOT_SUPPORTED, SLICE_EMPTY);
	if (!is_demanding(client))
		return true;
	*failure = reply_ours(client->arena, is_required ? 550 : 450, is_required ? "5.7.10" : "4.7.10",
			      "%sTLS is required, but %.*s doesn't offer it", security_demander(&client->host.security),
			      SLICE_ARG(client->remote));
	return false;
}

#define PORT_IMPLICIT_TLS 465 /* RFC 8314 section 3.3 */

static bool begin_session(struct client *client, struct reply *failure)
{
	if (client->host.address.port == PORT_IMPLICIT_TLS && level_of(client) != SECURITY_PLAIN &&
	    !start_tls(client, failure))
		return false;
	client_read(client, client->arena, "greeting", client->options->timeouts.greeting_ms, &client->greeting);
	*failure = client->greeting;
	if (client->broken || client->greeting.code / 100 != 2)
		return false;
	if (is_ourselves(client, greeting_host(&client->greeting), failure) || !say_hello(client, failure))
		return false;
	if (is_ourselves(client, client->capabilities.host, failure) || !negotiate_tls(client, failure))
		return false;
	return client->options->user.len == 0 || client_authenticate(client, failure);
}

static struct slice remote_text(struct arena *arena, const struct route_host *host)
{
	struct buf text;

	buf_init(&text, arena, 0);
	if (host->name.len > 0 && host->name.data[0] != '[') {
		buf_add(&text, host->name);
		buf_add_byte(&text, ' ');
	}
	buf_add_byte(&text, '[');
	net_address_format(&text, &host->address);
	buf_add_byte(&text, ']');
	return buf_slice(&text);
}

static struct client *connect_to(const struct client_options *options, struct arena *arena, const struct route_host *host,
				 struct reply *failure)
{
	const struct net_address *chosen = host->address.family == AF_INET6 ? &options->source_six : &options->source_four;
	const struct net_address *source = chosen->family != 0 ? chosen : NULL;
	struct client *client = ARENA_NEW(arena, struct client);
	struct error error = {0};

	*client = (struct client){.options = options, .arena = arena, .host = *host, .remote = remote_text(arena, host)};
	client->remote_by_tls = client->remote;
	client->conn = conn_connect(&host->address, source, options->timeouts.connect_ms, arena, &error);
	if (!client->conn) {
		*failure = reply_ours(arena, 421, "4.4.1", "connect to %.*s:%u: %.*s", SLICE_ARG(client->remote),
				      host->address.port, SLICE_ARG(error.text));
		return NULL;
	}
	if (options->hooks.watch)
		options->hooks.watch(options->hooks.context, conn_fd(client->conn));
	return client;
}

static struct client *open_once(const struct client_options *options, struct arena *arena, const struct route_host *host,
				bool *tls_failed, struct reply *failure)
{
	struct client *client = connect_to(options, arena, host, failure);

	if (!client || begin_session(client, failure))
		return client;
	*tls_failed = client->tls_failed;
	client_close(client);
	return NULL;
}

struct client *client_open(const struct client_options *options, struct arena *arena, const struct route_host *host,
			   struct reply *failure)
{
	bool tls_failed = false;
	struct client *client = open_once(options, arena, host, &tls_failed, failure);
	struct client_options *plain;
	struct route_host plain_host = *host;
	bool may_be_plain = host->security.level == SECURITY_BY_OPTIONS ? options->tls == RELAY_TLS_OPPORTUNISTIC
									  : host->security.level <= SECURITY_OBSERVED;

	/* RFC 7435 section 3: what can't be encrypted goes in plain, on a fresh connection; but never a password, and not to a port
	 * where nobody would understand it. */
	if (client || !tls_failed || !may_be_plain || options->user.len > 0 || host->address.port == PORT_IMPLICIT_TLS)
		return client;
	plain = ARENA_NEW(arena, struct client_options);
	*plain = *options;
	plain->tls = RELAY_TLS_NONE;
	plain_host.security = (struct security){.level = SECURITY_PLAIN};
	return open_once(plain, arena, &plain_host, &tls_failed, failure);
}

void client_close(struct client *client)
{
	struct reply reply;

	if (!client->broken && !conn_failed(client->conn)) {
		conn_write_literal(client->conn, "QUIT\r\n");
		client_ask(client, client->arena, "QUIT", client->options->timeouts.quit_ms, &reply);
	}
	if (client->options->hooks.watch)
		client->options->hooks.watch(client->options->hooks.context, -1);
	conn_free(client->conn);
	client->conn = NULL;
}
