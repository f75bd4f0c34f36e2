#include "fake_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

const char ANSWER_DEFAULT[] = "default";
const char ANSWER_DROP[] = "drop";
const char ANSWER_HANG[] = "hang";

struct visitor {
	struct fake_server *server;
	struct conn *conn;
	int number;
	struct fake_message mail;
	int accepted;
	bool in_mail, has_left;
};

static void note(struct fake_server *server, struct slice line)
{
	pthread_mutex_lock(&server->lock);
	server->commands = realloc(server->commands, server->commands_len + line.len + 2);
	memcpy(server->commands + server->commands_len, line.data, line.len);
	server->commands_len += line.len;
	server->commands[server->commands_len++] = '\n';
	server->commands[server->commands_len] = '\0';
	pthread_mutex_unlock(&server->lock);
}

static bool is_stopping(struct fake_server *server)
{
	bool stopping;

	pthread_mutex_lock(&server->lock);
	stopping = server->stopping;
	pthread_mutex_unlock(&server->lock);
	return stopping;
}

/* False: the connection is over. `*code` is the first digit. */
static bool answer(struct visitor *v, enum stage stage, const char *line, const char *usual, char *code)
{
	struct fake_server *server = v->server;
	const char *text = server->answer ? server->answer(server, stage, line, v->number, v->accepted) : ANSWER_DEFAULT;

	if (text == ANSWER_DEFAULT)
		text = usual;
	if (text == ANSWER_DROP)
		return false;
	if (text == ANSWER_HANG)
		conn_flush(v->conn);
	while (text == ANSWER_HANG) {
		if (is_stopping(server))
			return false;
		usleep(10000);
	}
	conn_write(v->conn, slice_from_cstr(text));
	if (code)
		*code = text[0];
	return text[0] != '\0' && strncmp(text, "421", 3) != 0;
}

static void keep_message(struct visitor *v)
{
	struct fake_server *server = v->server;

	pthread_mutex_lock(&server->lock);
	if (server->count == server->room) {
		server->room = server->room ? server->room * 2 : 16;
		server->messages = realloc(server->messages, server->room * sizeof(*server->messages));
	}
	v->mail.over_tls = conn_is_tls(v->conn);
	v->mail.connection = v->number;
	server->messages[server->count++] = v->mail;
	v->mail.body = NULL;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

/* False: the connection is over. */
static bool hear_line(struct visitor *v)
{
	struct fake_server *server = v->server;
	const char *text =
		server->answer ? server->answer(server, AT_BODY, v->mail.sender, v->number, v->accepted) : ANSWER_DEFAULT;

	while (text == ANSWER_HANG && !is_stopping(server))
		usleep(10000);
	return text == ANSWER_DEFAULT;
}

static bool take_body(struct visitor *v)
{
	size_t room = 1024;
	struct slice line;
	char code = '2';

	v->mail.body = malloc(room);
	v->mail.size = 0;
	for (;;) {
		if (conn_read_line(v->conn, 100000, &line) != CONN_LINE_OK || !hear_line(v))
			break;
		if (slice_eq(line, SLICE("."))) {
			if (v->server->delay_ms)
				usleep((unsigned)v->server->delay_ms * 1000);
			if (!answer(v, AT_END, v->mail.sender, "250 2.0.0 taken\r\n", &code))
				break;
			if (code == '2')
				keep_message(v);
			free(v->mail.body);
			v->mail.body = NULL;
			return true;
		}
		if (line.len > 0 && line.data[0] == '.')
			line = slice_skip(line, 1);
		while (v->mail.size + line.len + 3 > room)
			v->mail.body = realloc(v->mail.body, room *= 2);
		memcpy(v->mail.body + v->mail.size, line.data, line.len);
		memcpy(v->mail.body + v->mail.size + line.len, "\r\n", 3);
		v->mail.size += line.len + 2;
	}
	free(v->mail.body);
	v->mail.body = NULL;
	return false;
}

static void copy_path(char *out, size_t size, const char *line)
{
	const char *from = strchr(line, '<'), *to = from ? strchr(from, '>') : NULL;

	snprintf(out, size, "%.*s", from && to ? (int)(to - from - 1) : 0, from ? from + 1 : "");
}

static bool take_rcpt(struct visitor *v, const char *line)
{
	char code, path[300];

	if (!answer(v, AT_RCPT, line, v->in_mail ? "250 2.1.5 ok\r\n" : "503 5.5.1 MAIL first\r\n", &code))
		return false;
	if (code != '2')
		return true;
	v->accepted++;
	copy_path(path, sizeof(path), line);
	strncat(v->mail.recipients, path, sizeof(v->mail.recipients) - strlen(v->mail.recipients) - 2);
	strncat(v->mail.recipients, " ", 2);
	strncat(v->mail.rcpt_lines, line, sizeof(v->mail.rcpt_lines) - strlen(v->mail.rcpt_lines) - 2);
	strncat(v->mail.rcpt_lines, "\n", 2);
	return true;
}

static bool take_mail(struct visitor *v, const char *line)
{
	char code;

	v->mail = (struct fake_message){0};
	v->accepted = 0;
	copy_path(v->mail.sender, sizeof(v->mail.sender), line);
	snprintf(v->mail.mail_line, sizeof(v->mail.mail_line), "%.*s", (int)sizeof(v->mail.mail_line) - 1, line);
	if (!answer(v, AT_MAIL, line, "250 2.1.0 ok\r\n", &code))
		return false;
	v->in_mail = code == '2';
	return true;
}

static bool take_starttls(struct visitor *v, const char *line)
{
	char code;

	if (!answer(v, AT_STARTTLS, line, "220 go\r\n", &code) || code != '2')
		return code != '2';
	conn_flush(v->conn);
	if (v->server->break_tls) {
		conn_write(v->conn, SLICE("this is no TLS at all, but a long line of plain text\r\n"));
		conn_flush(v->conn);
		return false;
	}
	return conn_start_tls_server(v->conn, v->server->tls);
}

static bool take_data(struct visitor *v, const char *line)
{
	char code;

	if (!answer(v, AT_DATA, line, v->accepted > 0 ? "354 go\r\n" : "503 5.5.1 RCPT first\r\n", &code))
		return false;
	if (code != '3')
		return true;
	v->in_mail = false;
	return conn_flush(v->conn) && take_body(v);
}

/* The lines that are there already, without a wait: sets how many came together. */
static void count_lines(struct visitor *v)
{
	char waiting[4000];
	ssize_t size = recv(conn_fd(v->conn), waiting, sizeof(waiting), MSG_PEEK | MSG_DONTWAIT);
	int lines = 0;

	for (ssize_t i = 0; i < size; i++)
		lines += waiting[i] == '\n';
	pthread_mutex_lock(&v->server->lock);
	if (lines > v->server->commands_at_once)
		v->server->commands_at_once = lines;
	pthread_mutex_unlock(&v->server->lock);
}

static bool is_verb(const char *line, const char *verb)
{
	return strncasecmp(line, verb, strlen(verb)) == 0;
}

/* Before the answer to QUIT: the client's next connection may come right after it. */
static void leave(struct visitor *v)
{
	pthread_mutex_lock(&v->server->lock);
	if (!v->has_left)
		v->server->open_now--;
	v->has_left = true;
	pthread_mutex_unlock(&v->server->lock);
}

static bool take_command(struct visitor *v, const char *line)
{
	if (is_verb(line, "EHLO"))
		return answer(v, AT_EHLO, line, v->server->ehlo, NULL);
	if (is_verb(line, "HELO"))
		return answer(v, AT_HELO, line, "250 peer.example\r\n", NULL);
	if (is_verb(line, "STARTTLS"))
		return take_starttls(v, line);
	if (is_verb(line, "MAIL"))
		return take_mail(v, line);
	if (is_verb(line, "RCPT"))
		return take_rcpt(v, line);
	if (is_verb(line, "DATA"))
		return take_data(v, line);
	if (is_verb(line, "RSET")) {
		v->in_mail = false;
		v->accepted = 0;
		return answer(v, AT_RSET, line, "250 ok\r\n", NULL);
	}
	if (is_verb(line, "QUIT")) {
		leave(v);
		answer(v, AT_QUIT, line, "221 bye\r\n", NULL);
		return false;
	}
	if (is_verb(line, "AUTH"))
		return answer(v, AT_AUTH, line, "535 5.7.8 no\r\n", NULL);
	return answer(v, AT_OTHER, line, "500 5.5.2 what?\r\n", NULL);
}

static void wait_for_input(struct visitor *v)
{
	struct pollfd ready = {.fd = conn_fd(v->conn), .events = POLLIN};

	if (poll(&ready, 1, 20000) > 0)
		count_lines(v);
}

static void *visit(void *context)
{
	struct visitor *v = context;
	struct slice line;
	char text[2000];

	conn_set_timeout(v->conn, 20000);
	if (answer(v, AT_GREETING, "", "220 peer.example ESMTP\r\n", NULL))
		for (;;) {
			if (!conn_has_input(v->conn)) {
				if (!conn_flush(v->conn))
					break;
				wait_for_input(v);
			}
			if (conn_read_line(v->conn, sizeof(text), &line) != CONN_LINE_OK)
				break;
			note(v->server, line);
			snprintf(text, sizeof(text), "%.*s", (int)line.len, line.data);
			if (!take_command(v, text))
				break;
		}
	conn_flush(v->conn);
	leave(v);
	conn_free(v->conn);
	pthread_mutex_lock(&v->server->lock);
	v->server->visitors--;
	pthread_cond_broadcast(&v->server->changed);
	pthread_mutex_unlock(&v->server->lock);
	free(v);
	return NULL;
}

static void admit(struct fake_server *server, int fd, const struct sockaddr_storage *peer)
{
	struct visitor *v = calloc(1, sizeof(*v));
	struct net_address address = net_address_from_sockaddr(peer);
	pthread_t thread;

	v->server = server;
	v->conn = conn_new(fd, &address, &address);
	pthread_mutex_lock(&server->lock);
	v->number = server->connections++;
	server->visitors++;
	server->open_now++;
	if (server->open_now > server->open_most)
		server->open_most = server->open_now;
	pthread_mutex_unlock(&server->lock);
	pthread_create(&thread, NULL, visit, v);
	pthread_detach(thread);
}

static void *accept_all(void *context)
{
	struct fake_server *server = context;

	while (!is_stopping(server)) {
		struct pollfd ready = {.fd = server->fd, .events = POLLIN};
		struct sockaddr_storage peer;
		socklen_t size = sizeof(peer);
		int fd;

		if (poll(&ready, 1, 20) <= 0)
			continue;
		fd = accept4(server->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			admit(server, fd, &peer);
	}
	return NULL;
}

void fake_server_start(struct fake_server *server)
{
	static const struct net_address ANY = {.family = AF_INET, .bytes = {127, 0, 0, 1}};
	struct sockaddr_storage address;
	socklen_t size = net_address_to_sockaddr(server->listen.family ? &server->listen : &ANY, &address);
	int reuse = 1;

	if (!server->ehlo)
		server->ehlo = "250-peer.example\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
			       "250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n";
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->changed, NULL);
	server->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
	assert(bind(server->fd, (struct sockaddr *)&address, size) == 0);
	assert(listen(server->fd, 100) == 0);
	assert(getsockname(server->fd, (struct sockaddr *)&address, &size) == 0);
	server->listen = net_address_from_sockaddr(&address);
	server->port = server->listen.port;
	pthread_create(&server->thread, NULL, accept_all, server);
}

void fake_server_stop(struct fake_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	pthread_mutex_unlock(&server->lock);
	pthread_join(server->thread, NULL);
	close(server->fd);
	pthread_mutex_lock(&server->lock);
	while (server->visitors > 0)
		pthread_cond_wait(&server->changed, &server->lock);
	pthread_mutex_unlock(&server->lock);
	for (size_t i = 0; i < server->count; i++)
		free(server->messages[i].body);
	free(server->messages);
	free(server->commands);
	pthread_cond_destroy(&server->changed);
	pthread_mutex_destroy(&server->lock);
}

bool fake_server_wait(struct fake_server *server, size_t count)
{
	int64_t until = clock_monotonic_ms() + 10000;
	bool there = false;

	while (!there && clock_monotonic_ms() < until) {
		pthread_mutex_lock(&server->lock);
		there = server->count >= count;
		pthread_mutex_unlock(&server->lock);
		if (!there)
			usleep(2000);
	}
	return there;
}

struct net_address fake_server_address(const struct fake_server *server)
{
	return server->listen;
}

static struct slice pem(struct arena *arena, BIO *bio)
{
	char *data;
	long size = BIO_get_mem_data(bio, &data);
	struct slice text = slice_dup(arena, slice_of(data, (size_t)size));

	BIO_free(bio);
	return text;
}

struct tls_context *fake_tls_server(const char *name, struct arena *arena, struct slice *certificate_pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);
	BIO *certificate_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
	struct tls_context *context = tls_server_new();
	X509_EXTENSION *extension;
	struct tls_pair pair;
	struct error error;
	struct net_address address;
	bool is_address = net_address_parse(slice_from_cstr(name), &address);
	char alternative[300];

	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 365 * 24 * 3600);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, subject);
	X509_set_pubkey(certificate, key);
	snprintf(alternative, sizeof(alternative), "%s:%s", is_address ? "IP" : "DNS", name);
	extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	X509_sign(certificate, key, EVP_sha256());
	PEM_write_bio_X509(certificate_bio, certificate);
	PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
	pair = (struct tls_pair){pem(arena, certificate_bio), pem(arena, key_bio)};
	*certificate_pem = pair.certificate_chain;
	assert(tls_context_load(context, &pair, 1, arena, &error) == STATUS_OK);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return context;
}
