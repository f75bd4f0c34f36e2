#include "import/imap_client.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/buf.h"
#include "net/tls.h"

#define LINE_MAX_BYTES   (1024 * 1024)
#define RESPONSE_MAX     (300u * 1024 * 1024)
#define CONNECT_MS       30000
#define ANSWER_MS        300000
#define CAPABILITIES_MAX 8192

struct imap_client {
	struct conn *conn;
	struct tls_context *tls;
	struct arena arena; /* of responses */
	struct buf bytes;   /* of the response in hand */
	struct slice capabilities;
	char capability_room[CAPABILITIES_MAX];
	unsigned tags;
	char tag[16];
	char error[400];
	bool failed;
};

static void fail(struct imap_client *client, const char *what, struct slice detail)
{
	struct buf text;

	if (client->failed)
		return;
	client->failed = true;
	buf_init(&text, NULL, sizeof client->error - 1);
	buf_printf(&text, "%s%s%.*s", what, detail.len > 0 ? ": " : "", (int)(detail.len > 200 ? 200 : detail.len),
		   detail.data);
	memcpy(client->error, text.data, text.len);
	client->error[text.len] = 0;
	buf_free(&text);
}

struct slice imap_client_error(const struct imap_client *client)
{
	return slice_from_cstr(client->error);
}

/* ---- reading ---- */

/* A line, and while it announces a literal, that and the next. */
static bool read_bytes(struct imap_client *client)
{
	struct slice line;
	uint64_t size;

	buf_init(&client->bytes, &client->arena, RESPONSE_MAX);
	for (;;) {
		enum conn_line result = conn_read_line(client->conn, LINE_MAX_BYTES, &line);

		if (result != CONN_LINE_OK && result != CONN_LINE_BARE)
			return false;
		buf_add(&client->bytes, line);
		if (!imap_line_announces(line, &size))
			return buf_ok(&client->bytes);
		buf_add_literal(&client->bytes, "\r\n");
		char *to = size < RESPONSE_MAX ? buf_reserve(&client->bytes, size + 1) : NULL;

		if (!to || !conn_read_exact(client->conn, to, size))
			return false;
		buf_advance(&client->bytes, size);
	}
}

static bool read_response(struct imap_client *client, struct imap_response *response)
{
	if (client->failed)
		return false;
	if (!read_bytes(client)) {
		fail(client, "the connection was lost", conn_tls_error(client->conn));
		return false;
	}
	if (imap_response_parse(&client->arena, buf_slice(&client->bytes), response))
		return true;
	/* What isn't understood is passed over as something that nobody asked for. */
	*response = (struct imap_response){
		.kind = IMAP_RESPONSE_DATA, .name = SLICE_EMPTY, .text = SLICE_EMPTY, .code = SLICE_EMPTY};
	return true;
}

static void take_capabilities(struct imap_client *client, struct slice text)
{
	if (text.len >= CAPABILITIES_MAX)
		return;
	memcpy(client->capability_room, text.data, text.len);
	client->capabilities = slice_of(client->capability_room, text.len);
}

static void look_for_capabilities(struct imap_client *client, const struct imap_response *response)
{
	struct slice code = response->code;

	if (slice_eq_nocase(slice_cut(&code, ' '), SLICE("CAPABILITY")))
		take_capabilities(client, code);
	if (response->kind != IMAP_RESPONSE_DATA || !slice_eq_nocase(response->name, SLICE("CAPABILITY")))
		return;
	struct buf text SCOPED_BUF;

	buf_init(&text, NULL, CAPABILITIES_MAX);
	for (const struct imap_value *value = response->values; value; value = value->next) {
		buf_add(&text, value->text);
		buf_add_byte(&text, ' ');
	}
	take_capabilities(client, buf_slice(&text));
}

bool imap_client_can(const struct imap_client *client, struct slice capability)
{
	struct slice rest = client->capabilities;

	while (rest.len > 0)
		if (slice_eq_nocase(slice_cut(&rest, ' '), capability))
			return true;
	return false;
}

bool imap_client_next(struct imap_client *client, struct imap_response *response)
{
	if (!read_response(client, response)) {
		*response = (struct imap_response){.kind = IMAP_RESPONSE_TAGGED, .name = SLICE("BYE"), .text = SLICE_EMPTY};
		return false;
	}
	look_for_capabilities(client, response);
	return response->kind != IMAP_RESPONSE_TAGGED || !slice_eq(response->tag, slice_from_cstr(client->tag));
}

void imap_client_forget(struct imap_client *client)
{
	arena_reset(&client->arena);
}

/* ---- commands ---- */

void imap_client_send(struct imap_client *client, struct slice command)
{
	struct buf tag;

	buf_init(&tag, NULL, sizeof client->tag - 1);
	buf_printf(&tag, "a%u", ++client->tags);
	memcpy(client->tag, tag.data, tag.len);
	client->tag[tag.len] = 0;
	buf_free(&tag);
	conn_printf(client->conn, "%s ", client->tag);
	conn_write(client->conn, command);
	conn_write_literal(client->conn, "\r\n");
	if (!conn_flush(client->conn))
		fail(client, "the connection was lost", SLICE_EMPTY);
}

enum status imap_client_run(struct imap_client *client, struct slice command,
			    void (*each)(void *context, const struct imap_response *response), void *context)
{
	struct imap_response response;

	imap_client_send(client, command);
	while (imap_client_next(client, &response)) {
		if (each)
			each(context, &response);
		imap_client_forget(client);
	}
	if (client->failed)
		return STATUS_TEMPORARY;
	if (slice_eq_nocase(response.name, SLICE("OK")))
		return STATUS_OK;
	struct buf text;

	buf_init(&text, NULL, sizeof client->error - 1);
	buf_printf(&text, "%.*s", (int)(response.text.len > 300 ? 300 : response.text.len), response.text.data);
	memcpy(client->error, text.len > 0 ? text.data : "", text.len);
	client->error[text.len] = 0;
	buf_free(&text);
	return STATUS_REFUSED;
}

void imap_put_quoted(struct buf *out, struct slice text)
{
	buf_add_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '"' || text.data[i] == '\\')
			buf_add_byte(out, '\\');
		buf_add_byte(out, text.data[i]);
	}
	buf_add_byte(out, '"');
}

/* ---- opening ---- */

static bool connect_to(struct imap_client *client, const struct imap_server *server, struct arena *arena)
{
	struct error error = {.text = SLICE("it has no address")};

	for (size_t i = 0; i < server->address_count && !client->conn; i++)
		client->conn = conn_connect(&server->addresses[i], NULL, CONNECT_MS, arena, &error);
	if (!client->conn) {
		fail(client, "no connection", error.text);
		return false;
	}
	conn_set_timeout(client->conn, ANSWER_MS);
	return true;
}

static bool start_tls(struct imap_client *client, const struct imap_server *server)
{
	client->tls = tls_client_new(server->trust_anchors);
	if (client->tls && conn_start_tls_client(client->conn, client->tls, server->host, !server->any_certificate))
		return true;
	fail(client, "no TLS", conn_tls_error(client->conn));
	return false;
}

static bool greet(struct imap_client *client)
{
	struct imap_response greeting;

	if (!read_response(client, &greeting))
		return false;
	look_for_capabilities(client, &greeting);
	if (greeting.kind == IMAP_RESPONSE_CONDITION &&
	    (slice_eq_nocase(greeting.name, SLICE("OK")) || slice_eq_nocase(greeting.name, SLICE("PREAUTH"))))
		return true;
	fail(client, "it doesn't want to talk to us", greeting.text);
	return false;
}

static bool has_answered(struct imap_client *client, const char *command)
{
	enum status status = imap_client_run(client, slice_from_cstr(command), NULL, NULL);

	if (status == STATUS_REFUSED)
		fail(client, client->error, SLICE_EMPTY);
	return status == STATUS_OK;
}

static bool prepare(struct imap_client *client, const struct imap_server *server)
{
	if (server->tls == IMAP_TLS && !start_tls(client, server))
		return false;
	if (!greet(client))
		return false;
	if (server->tls != IMAP_STARTTLS)
		return client->capabilities.len > 0 || has_answered(client, "CAPABILITY");
	if (!has_answered(client, "STARTTLS"))
		return false;
	conn_discard_input(client->conn);
	return start_tls(client, server) && has_answered(client, "CAPABILITY");
}

/* RFC 4616 section 2; RFC 4959 section 3 where the server knows it. */
static enum status log_in_plain(struct imap_client *client, struct slice user, struct slice password)
{
	struct buf message SCOPED_BUF, command SCOPED_BUF;
	struct imap_response response;
	bool at_once = imap_client_can(client, SLICE("SASL-IR"));

	buf_init(&message, NULL, 0);
	buf_init(&command, NULL, 0);
	buf_add_byte(&message, 0);
	buf_add(&message, user);
	buf_add_byte(&message, 0);
	buf_add(&message, password);
	buf_add_literal(&command, "AUTHENTICATE PLAIN");
	if (at_once) {
		buf_add_byte(&command, ' ');
		base64_encode(&command, buf_slice(&message));
		return imap_client_run(client, buf_slice(&command), NULL, NULL);
	}
	imap_client_send(client, buf_slice(&command));
	while (imap_client_next(client, &response)) {
		bool asks = response.kind == IMAP_RESPONSE_GO_ON;

		imap_client_forget(client);
		if (!asks)
			continue;
		buf_clear(&command);
		base64_encode(&command, buf_slice(&message));
		buf_add_literal(&command, "\r\n");
		conn_write(client->conn, buf_slice(&command));
		conn_flush(client->conn);
	}
	if (client->failed)
		return STATUS_TEMPORARY;
	return slice_eq_nocase(response.name, SLICE("OK")) ? STATUS_OK : STATUS_REFUSED;
}

/* What would end the line, or the string. */
static bool has_control(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] == '\r' || text.data[i] == '\n' || text.data[i] == 0)
			return true;
	return false;
}

static enum status log_in(struct imap_client *client, struct slice user, struct slice password)
{
	struct buf command SCOPED_BUF;

	if (has_control(user) || has_control(password)) {
		fail(client, "user and password can't hold line ends", SLICE_EMPTY);
		return STATUS_REFUSED;
	}
	if (imap_client_can(client, SLICE("AUTH=PLAIN")))
		return log_in_plain(client, user, password);
	buf_init(&command, NULL, 0);
	buf_add_literal(&command, "LOGIN ");
	imap_put_quoted(&command, user);
	buf_add_byte(&command, ' ');
	imap_put_quoted(&command, password);
	return imap_client_run(client, buf_slice(&command), NULL, NULL);
}

static struct imap_client *new_client(void)
{
	struct imap_client *client = calloc(1, sizeof *client);

	if (!client)
		abort();
	client->capabilities = SLICE_EMPTY;
	arena_init(&client->arena, 0);
	return client;
}

struct imap_client *imap_client_attach(int fd, struct error *error, struct arena *arena)
{
	struct imap_client *client = new_client();
	struct net_address nowhere = {0};

	client->conn = conn_new(fd, &nowhere, &nowhere);
	conn_set_timeout(client->conn, ANSWER_MS);
	if (greet(client))
		return client;
	error_set(error, arena, STATUS_TEMPORARY, "%s", client->error);
	imap_client_free(client);
	return NULL;
}

struct imap_client *imap_client_open(const struct imap_server *server, struct slice user, struct slice password,
				     struct error *error, struct arena *arena)
{
	struct imap_client *client = new_client();
	enum status status = STATUS_TEMPORARY;

	if (connect_to(client, server, arena) && prepare(client, server)) {
		status = log_in(client, user, password);
		/* It may offer more now. */
		if (status == STATUS_OK && !has_answered(client, "CAPABILITY"))
			status = STATUS_TEMPORARY;
	}
	if (status == STATUS_OK)
		return client;
	error_set(error, arena, status, "%.*s: %s%s", SLICE_ARG(server->host),
		  status == STATUS_REFUSED ? "log-in refused: " : "",
		  client->error[0] ? client->error : "wrong user or password");
	imap_client_free(client);
	return NULL;
}

void imap_client_free(struct imap_client *client)
{
	if (!client)
		return;
	if (client->conn)
		conn_free(client->conn);
	if (client->tls)
		tls_context_free(client->tls);
	arena_free(&client->arena);
	free(client);
}
