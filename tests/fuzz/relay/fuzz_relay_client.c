/* Whole sessions of the client against a server that says whatever it likes. The first byte chooses how we behave, the rest is what
 * the server says, all at once. Afterwards each recipient has an outcome, and no one is delivered who wasn't told so. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/client.h"

enum { WITH_AUTH = 1, MANY_RECIPIENTS = 2, TWO_MESSAGES = 4, EIGHT_BIT = 8 };

#define RECIPIENTS_MAX 5

static int listener = -1;
static struct net_address address = {.family = AF_INET, .bytes = {127, 0, 0, 1}};
static struct slice speech;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void *serve(void *context)
{
	const struct linger at_once = {.l_onoff = 1};
	char heard[4096];
	int fd = accept(listener, NULL, NULL);

	(void)context;
	if (fd < 0)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (send(fd, speech.data, speech.len, MSG_NOSIGNAL) >= 0)
		shutdown(fd, SHUT_WR);
	while (recv(fd, heard, sizeof(heard), 0) > 0)
		;
	close(fd);
	return NULL;
}

static void listen_once(void)
{
	struct sockaddr_storage name;
	socklen_t size = net_address_to_sockaddr(&address, &name);

	if (listener >= 0)
		return;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	must(bind(listener, (struct sockaddr *)&name, size) == 0 && listen(listener, 10) == 0);
	must(getsockname(listener, (struct sockaddr *)&name, &size) == 0);
	address = net_address_from_sockaddr(&name);
}

static enum status read_body(void *context, uint64_t offset, struct slice *bytes)
{
	(void)context;
	*bytes = slice_skip(SLICE("Subject: x\r\n\r\n.\r\n..\nend"), offset);
	return STATUS_OK;
}

static void set_up(struct parcel *parcel, struct recipient *recipients, unsigned how)
{
	unsigned count = how & MANY_RECIPIENTS ? RECIPIENTS_MAX : 1;

	*parcel = (struct parcel){.recipients = recipients, .count = count};
	for (unsigned i = 0; i < count; i++)
		recipients[i] = (struct recipient){
			.item = {.id = i,
				 .sender = SLICE("a@example.org"),
				 .recipient = SLICE("b@example.net"),
				 .original_recipient = SLICE("rfc822;b@example.net"),
				 .envelope_id = SLICE("id"),
				 .notify = NOTIFY_FAILURE,
				 .body_8bit = how & EIGHT_BIT,
				 .size = 24},
			.next = i + 1 < count ? &recipients[i + 1] : NULL,
		};
}

static void check(const struct client *client, const struct parcel *parcel, enum status status)
{
	for (const struct recipient *recipient = parcel->recipients; recipient; recipient = recipient->next) {
		must(recipient->state != RECIPIENT_ACCEPTED);
		must(recipient->state != RECIPIENT_WAITING || client->broken);
		must(recipient->state != RECIPIENT_DELIVERED ||
		     (recipient->reply.code / 100 == 2 && !recipient->reply.is_ours));
		must(recipient->state != RECIPIENT_FAILED || recipient->reply.code / 100 == 5);
		must(recipient->state == RECIPIENT_WAITING || recipient->reply.text.len <= REPLY_TEXT_MAX);
	}
	must(status == STATUS_OK);
}

static void send_mail(struct client *client, unsigned how)
{
	const struct body_source body = {NULL, read_body};
	struct recipient recipients[RECIPIENTS_MAX];
	struct parcel parcel;

	set_up(&parcel, recipients, how);
	enum status status = client_send(client, &parcel, &body);

	check(client, &parcel, status);
	arena_free(&parcel.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena SCOPED_ARENA;
	struct client_options options = {.hostname = SLICE("me.example"),
					 .tls = RELAY_TLS_NONE,
					 .timeouts = {1000, 1000, 1000, 1000, 1000, 1000, 1000, 0}};
	struct reply failure = {0};
	struct client *client;
	pthread_t server;

	if (size == 0 || size > 30000)
		return 0;
	listen_once();
	speech = slice_of((const char *)data + 1, size - 1);
	options.user = data[0] & WITH_AUTH ? SLICE("user") : SLICE_EMPTY;
	options.password = SLICE("pencil");
	must(pthread_create(&server, NULL, serve, NULL) == 0);
	struct route_host host = {SLICE("peer.example"), address};

	client = client_open(&options, &arena, &host, &failure);
	if (client) {
		send_mail(client, data[0]);
		if ((data[0] & TWO_MESSAGES) && !client->broken)
			send_mail(client, data[0]);
		client_close(client);
	} else {
		must(failure.code != 0);
	}
	pthread_join(server, NULL);
	return 0;
}
