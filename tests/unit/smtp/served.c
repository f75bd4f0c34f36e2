#include "served.h"

#include <stdlib.h>
#include <unistd.h>

#include "net/listen.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

void served_init(struct served *s)
{
	struct engine_limits limits = {.max_threads = 2, .max_connections = 10, .max_connections_per_address = 10};
	struct sockaddr_storage bound;
	socklen_t length = sizeof(bound);
	struct error error;
	int fd;

	*s = (struct served){.client = -1};
	fake_roles_reset();
	log_init(&s->log, -1, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR, SLICE("test"));
	s->context = (struct smtp_context){.options = {.hostname = SLICE("mx.example.test")}, .log = &s->log};
	fd = listen_tcp(SLICE("127.0.0.1:0"), 16, &s->arena, &error);
	must(fd >= 0 && getsockname(fd, (struct sockaddr *)&bound, &length) == 0);
	s->address = net_address_from_sockaddr(&bound);
	s->engine = engine_new(&limits, &s->log);
	struct listener listener = {
		.fd = fd, .protocol = &smtp_protocol, .context = &s->context, .name = "smtp", .refusal = SMTP_REFUSAL};

	must(engine_add_listener(s->engine, &listener) == STATUS_OK);
}

void served_start(struct served *s)
{
	engine_start(s->engine);
}

void served_connect(struct served *s)
{
	struct sockaddr_storage to;
	socklen_t length = net_address_to_sockaddr(&s->address, &to);

	s->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->len = 0;
	must(connect(s->client, (struct sockaddr *)&to, length) == 0);
}

void served_say(struct served *s, struct slice text)
{
	must(send(s->client, text.data, text.len, MSG_NOSIGNAL) == (ssize_t)text.len);
}

struct slice served_hear(struct served *s)
{
	ssize_t got = recv(s->client, s->words + s->len, sizeof(s->words) - s->len, 0);
	struct slice heard = slice_of(s->words + s->len, got > 0 ? (size_t)got : 0);

	s->len += heard.len;
	return heard;
}

static struct slice last_line(struct served *s)
{
	struct slice all = slice_of(s->words, s->len), line = SLICE_EMPTY;

	while (all.len > 0)
		line = slice_cut(&all, '\n');
	return line;
}

bool served_wait_for(struct served *s, struct slice reply)
{
	do {
		if (served_hear(s).len == 0)
			return false;
	} while (s->words[s->len - 1] != '\n' || !slice_starts_with(last_line(s), reply));
	s->len = 0;
	return true;
}

struct slice served_hear_out(struct served *s)
{
	while (served_hear(s).len > 0)
		;
	return slice_of(s->words, s->len);
}

void served_hang_up(struct served *s)
{
	close(s->client);
	s->client = -1;
}

void served_stop(struct served *s)
{
	engine_stop(s->engine, 2000);
	s->engine = NULL;
}

void served_free(struct served *s)
{
	if (s->engine)
		served_stop(s);
	if (s->client >= 0)
		served_hang_up(s);
	arena_free(&s->arena);
	fake_roles_reset();
}
