#include "cli/sendmail.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/command.h"
#include "mime/address.h"
#include "net/conn.h"

#define MESSAGE_MAX    (1024UL * 1024 * 1024)
#define LINE_MAX_REPLY 4096
#define TIMEOUT_MS     (10 * 60 * 1000) /* RFC 5321 section 4.5.3.2.6 */
#define ENVELOPE_LINE  1200

struct sendmail {
	struct arena arena;
	char mode;
	const char *sender, *full_name, *notify, *envelope_id;
	const char *verp; /* delimiters, or "" for the usual ones; NULL: none */
	const char *queue_part; /* "I4C7X...", "Rexample.org"; NULL: all */
	bool ignores_dots, takes_recipients, returns_full, returns_headers, is_verbose;
	struct buf recipients; /* NUL behind each */
	struct conn *conn;
	struct slice origin; /* what the server calls us */
	bool offers_dsn, offers_utf8;
	int failed; /* the first trouble's exit status */
};

__attribute__((format(printf, 3, 4))) static int fail(struct sendmail *s, int status, const char *format, ...)
{
	va_list args;

	fputs("sendmail: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (s->failed == EX_OK)
		s->failed = status;
	return status;
}

/* ---- the command line ---- */

/* h and H: what is known of other hosts, which isn't kept: nothing to show, nothing to purge. */
static bool take_mode(struct sendmail *s, const char *mode)
{
	bool is_known = strlen(mode) == 1 && strchr("msivphH", mode[0]);

	if (is_known)
		s->mode = strchr("hH", mode[0]) ? 'i' : mode[0];
	else
		fail(s, EX_USAGE, "-b%s is not done here: posthorn serve is the daemon", mode);
	return is_known;
}

/* -q: all there is; -qI, -qR, -qS: a message, a recipient's domain, a sender's domain. */
static bool take_queue(struct sendmail *s, const char *which)
{
	bool is_part = which && strchr("IRS", which[0]) && which[0] && which[1];

	if (which && !is_part) {
		fail(s, EX_USAGE, "-q%s is not done here: posthorn serve tries again as relay.retry says", which);
		return false;
	}
	s->mode = 'q';
	s->queue_part = which;
	return true;
}

static bool take_return(struct sendmail *s, const char *what)
{
	s->returns_full = strcasecmp(what, "full") == 0;
	s->returns_headers = strcasecmp(what, "hdrs") == 0;
	if (!s->returns_full && !s->returns_headers)
		fail(s, EX_USAGE, "-R is full or hdrs");
	return s->returns_full || s->returns_headers;
}

static void take_letter_option(struct sendmail *s, const char *option)
{
	if (strcmp(option, "i") == 0)
		s->ignores_dots = true;
}

/* Options of no meaning here are taken and passed over, as all who replaced sendmail do: callers give them by habit. */
static bool take_options(struct sendmail *s, int argc, char **argv)
{
	int option;

	opterr = 0;
	while ((option = getopt(argc, argv, "A:a:B:b:C:D:d::e:F:f:Gh:IiL:M:mN:nO:o:p:q::R:r:sTtUV:vX:x")) != -1) {
		switch (option) {
		case 'b':
			if (!take_mode(s, optarg))
				return false;
			break;
		case 'F':
			s->full_name = optarg;
			break;
		case 'f':
		case 'r':
			s->sender = optarg;
			break;
		case 'I':
			s->mode = 'i';
			break;
		case 'i':
			s->ignores_dots = true;
			break;
		case 'N':
			s->notify = optarg;
			break;
		case 'o':
			take_letter_option(s, optarg);
			break;
		case 'q':
			if (!take_queue(s, optarg))
				return false;
			break;
		case 'R':
			if (!take_return(s, optarg))
				return false;
			break;
		case 't':
			s->takes_recipients = true;
			break;
		case 'V':
			s->envelope_id = optarg;
			break;
		case 'X': /* -XV, -XVxy: Postfix's; otherwise a file for a log, which is not kept here */
			if (optarg[0] == 'V')
				s->verp = optarg + 1;
			break;
		case 'v':
			s->is_verbose = true;
			break;
		case '?':
			fail(s, EX_USAGE, "there is no option -%c", optopt);
			return false;
		default:
			break;
		}
	}
	return true;
}

/* ---- the connection ---- */

static const char *local_socket_of(const struct config *config)
{
	for (unsigned i = 0; config && i < config->listeners_count; i++)
		if (strcmp(config->listeners[i].protocol, "local") == 0)
			return config->listeners[i].address + sizeof("unix:") - 1;
	return CONFIG_LOCAL_SOCKET;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The configuration tells where the socket is, to whom may read it; others find it at its usual place. */
static int open_socket(struct sendmail *s)
{
	const char *path = getenv("POSTHORN_CONFIG"), *given = getenv("POSTHORN_LOCAL_SOCKET"), *socket_path;
	struct error error = {0};
	struct config *config = config_load_file(path && path[0] ? path : CLI_DEFAULT_CONFIG, &s->arena, &error);
	int fd;

	socket_path = given && given[0] ? given : local_socket_of(config);
	fd = connect_to(socket_path);
	if (fd < 0)
		fail(s, EX_TEMPFAIL, "the mail server can't be reached at %s: %s; is posthorn running?", socket_path,
		     strerror(errno));
	if (config)
		config_free(config);
	return fd;
}

/* The last line of a reply; what EHLO offers is noted. The code, or 0: the connection is lost. */
static unsigned read_reply(struct sendmail *s, struct slice *text)
{
	struct slice line;
	uint64_t code;

	do {
		if (conn_read_line(s->conn, LINE_MAX_REPLY, &line) != CONN_LINE_OK || line.len < 4 ||
		    !slice_to_u64(slice_sub(line, 0, 3), 599, &code))
			return 0;
		if (s->is_verbose)
			fprintf(stderr, "<<< %.*s\n", SLICE_ARG(line));
		s->offers_dsn = s->offers_dsn || slice_eq(slice_skip(line, 4), SLICE("DSN"));
		s->offers_utf8 = s->offers_utf8 || slice_eq(slice_skip(line, 4), SLICE("SMTPUTF8"));
	} while (line.data[3] == '-');
	*text = slice_dup(&s->arena, line);
	return (unsigned)code;
}

static unsigned say(struct sendmail *s, struct slice command, struct slice *text)
{
	if (s->is_verbose)
		fprintf(stderr, ">>> %.*s\n", SLICE_ARG(command));
	conn_write(s->conn, command);
	conn_write_literal(s->conn, "\r\n");
	return conn_flush(s->conn) ? read_reply(s, text) : 0;
}

/* What the exit status is for a refusal; `otherwise` for one that is for good. */
static int refused(struct sendmail *s, unsigned code, struct slice text, const char *what, int otherwise)
{
	if (code == 0)
		return fail(s, EX_TEMPFAIL, "the mail server has gone away");
	return fail(s, code >= 500 ? otherwise : EX_TEMPFAIL, "%s: %.*s", what, SLICE_ARG(text));
}

static bool greet(struct sendmail *s)
{
	const struct net_address nowhere = {0};
	struct slice text, rest;
	int fd = open_socket(s);
	unsigned code;

	if (fd < 0)
		return false;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	s->conn = conn_new(fd, &nowhere, &nowhere);
	conn_set_timeout(s->conn, TIMEOUT_MS);
	code = read_reply(s, &text);
	rest = slice_skip(text, 4);
	if (code == 220)
		s->origin = slice_dup(&s->arena, slice_cut(&rest, ' '));
	if (code == 220)
		code = say(s, SLICE("EHLO localhost"), &text);
	if (code == 250)
		return true;
	refused(s, code, text, "the server", EX_UNAVAILABLE);
	return false;
}

/* ---- the envelope ---- */

static struct slice user_name(struct sendmail *s, struct passwd *user)
{
	struct buf name;

	if (user)
		return slice_from_cstr(user->pw_name);
	buf_init(&name, &s->arena, 0);
	buf_printf(&name, "uid-%u", (unsigned)getuid());
	return buf_slice(&name);
}

/* "<>" is the null sender. */
static bool find_sender(struct sendmail *s, struct slice *sender)
{
	struct slice given = s->sender ? slice_trim(slice_from_cstr(s->sender)) : user_name(s, getpwuid(getuid()));
	struct email_address parsed;
	struct buf out;

	if (slice_starts_with(given, SLICE("<")) && slice_ends_with(given, SLICE(">")))
		given = slice_sub(given, 1, given.len - 1);
	*sender = SLICE_EMPTY;
	if (given.len == 0)
		return true;
	if (slice_find_byte(given, '@') == SLICE_NOT_FOUND)
		given = slice_join(&s->arena, (const struct slice[]){given, SLICE("@"), s->origin}, 3);
	if (!email_address_parse(&s->arena, given, &parsed)) {
		fail(s, EX_DATAERR, "%.*s is no sender's address", SLICE_ARG(given));
		return false;
	}
	buf_init(&out, &s->arena, 0);
	email_address_format(&out, &parsed);
	*sender = buf_slice(&out);
	return true;
}

static bool mail_from(struct sendmail *s, struct slice sender, bool is_8bit, bool is_utf8)
{
	struct buf line;
	struct slice text;

	buf_init(&line, &s->arena, ENVELOPE_LINE);
	buf_add_literal(&line, "MAIL FROM:<");
	buf_add(&line, sender);
	buf_add_byte(&line, '>');
	if (is_8bit)
		buf_add_literal(&line, " BODY=8BITMIME");
	if (is_utf8)
		buf_add_literal(&line, " SMTPUTF8");
	if (s->returns_full || s->returns_headers)
		buf_add(&line, s->returns_full ? SLICE(" RET=FULL") : SLICE(" RET=HDRS"));
	if (s->envelope_id)
		buf_printf(&line, " ENVID=%s", s->envelope_id);
	if (s->verp)
		buf_printf(&line, s->verp[0] ? " XVERP=%s" : " XVERP", s->verp);
	unsigned code = say(s, buf_slice(&line), &text);

	if (code == 250)
		return true;
	refused(s, code, text, "the sender is refused", EX_NOPERM);
	return false;
}

/* One that is refused is told of; the others get the message all the same. */
static bool rcpt_to(struct sendmail *s, struct slice recipient)
{
	struct buf line;
	struct slice text;

	buf_init(&line, &s->arena, ENVELOPE_LINE);
	buf_add_literal(&line, "RCPT TO:<");
	buf_add(&line, recipient);
	buf_add_byte(&line, '>');
	if (s->notify)
		buf_printf(&line, " NOTIFY=%s", s->notify);
	unsigned code = say(s, buf_slice(&line), &text);

	if (code != 250)
		refused(s, code, text, slice_cstr(&s->arena, recipient),
			slice_find(text, SLICE(" 5.1.")) != SLICE_NOT_FOUND ? EX_NOUSER : EX_UNAVAILABLE);
	return code == 250;
}

static bool say_recipients(struct sendmail *s)
{
	struct slice rest = buf_slice(&s->recipients);
	size_t taken = 0;

	while (rest.len > 0)
		taken += rcpt_to(s, slice_cut(&rest, '\0'));
	return taken > 0;
}

/* ---- the message ---- */

static bool read_input(struct sendmail *s, struct slice *input)
{
	struct buf all;

	buf_init(&all, &s->arena, MESSAGE_MAX);
	for (;;) {
		char *room = buf_reserve(&all, 64 * 1024);
		ssize_t got = room ? read(STDIN_FILENO, room, 64 * 1024) : -1;

		if (got < 0 && room && errno == EINTR)
			continue;
		if (got < 0) {
			fail(s, EX_DATAERR, "the message can't be read, or is larger than 1 GB");
			return false;
		}
		if (got == 0)
			break;
		buf_advance(&all, (size_t)got);
	}
	*input = buf_slice(&all);
	return true;
}

/* "From: Full Name <sender>", from -F or the system's list of users. */
static struct slice from_field(struct sendmail *s, struct slice sender)
{
	struct passwd *user = getpwuid(getuid());
	struct slice name = slice_from_cstr(s->full_name ? s->full_name : getenv("NAME"));
	struct buf out;

	if (name.len == 0 && user && !s->sender)
		name = slice_from_cstr(user->pw_gecos);
	name = slice_sub(name, 0, slice_find_byte(name, ','));
	if (sender.len == 0)
		return SLICE_EMPTY;
	buf_init(&out, &s->arena, 0);
	buf_add_literal(&out, "From: ");
	if (name.len > 0 && slice_is_ascii(name) && slice_find_byte(name, '\r') == SLICE_NOT_FOUND &&
	    slice_find_byte(name, '\n') == SLICE_NOT_FOUND) {
		buf_add_byte(&out, '"');
		for (size_t i = 0; i < name.len; i++) {
			if (name.data[i] == '"' || name.data[i] == '\\')
				buf_add_byte(&out, '\\');
			buf_add_byte(&out, name.data[i]);
		}
		buf_add_literal(&out, "\" ");
	}
	buf_add_byte(&out, '<');
	buf_add(&out, sender);
	buf_add_literal(&out, ">\r\n");
	return buf_slice(&out);
}

static int send_data(struct sendmail *s, const struct sendmail_message *message, struct slice sender)
{
	struct slice text;
	struct buf data;
	unsigned code = say(s, SLICE("DATA"), &text);

	if (code != 354)
		return refused(s, code, text, "the message is refused", EX_UNAVAILABLE);
	buf_init(&data, &s->arena, 0);
	sendmail_write_data(&data, message, from_field(s, sender));
	conn_write(s->conn, buf_slice(&data));
	code = conn_flush(s->conn) ? read_reply(s, &text) : 0;
	if (code != 250)
		return refused(s, code, text, "the message is refused", EX_UNAVAILABLE);
	say(s, SLICE("QUIT"), &text);
	return s->failed;
}

static bool gather_recipients(struct sendmail *s, int argc, char **argv, struct slice in_header)
{
	for (int i = optind; i < argc; i++)
		if (!sendmail_addresses(&s->arena, slice_from_cstr(argv[i]), s->origin, &s->recipients))
			fail(s, EX_NOUSER, "%s is no address", argv[i]);
	if (!sendmail_addresses(&s->arena, in_header, s->origin, &s->recipients))
		fail(s, EX_NOUSER, "an address in the message's header can't be read");
	if (s->recipients.len == 0)
		fail(s, EX_USAGE, "there are no recipients; name them, or use -t to take them from the message's header");
	return s->recipients.len > 0;
}

static int send_message(struct sendmail *s, int argc, char **argv)
{
	struct sendmail_message message;
	struct slice input, sender;
	struct buf in_header;

	buf_init(&in_header, &s->arena, 0);
	buf_init(&s->recipients, &s->arena, 0);
	if (optind == argc && !s->takes_recipients)
		return fail(s, EX_USAGE,
			    "there are no recipients; name them, or use -t to take them from the message's header");
	if (!read_input(s, &input) || !greet(s))
		return s->failed;
	sendmail_parse(&s->arena, input, s->ignores_dots, &message, s->takes_recipients ? &in_header : NULL);
	if (!gather_recipients(s, argc, argv, buf_slice(&in_header)) || !find_sender(s, &sender))
		return s->failed;
	bool is_8bit = !slice_is_ascii(message.header) || !slice_is_ascii(message.body);
	bool is_utf8 = !slice_is_ascii(sender) || !slice_is_ascii(buf_slice(&s->recipients)) || !slice_is_ascii(message.header);

	if (!mail_from(s, sender, is_8bit, is_utf8 && s->offers_utf8) || !say_recipients(s))
		return s->failed;
	return send_data(s, &message, sender);
}

/* ---- other modes ---- */

static bool copy(int from, int to)
{
	char bytes[16 * 1024];
	ssize_t got = read(from, bytes, sizeof(bytes));

	for (ssize_t sent = 0, some; sent < got; sent += some) {
		some = write(to, bytes + sent, (size_t)(got - sent));
		if (some <= 0)
			return false;
	}
	return got > 0;
}

/* -bs: the session is the caller's. */
static int speak_smtp(struct sendmail *s)
{
	int fd = open_socket(s);
	struct pollfd polled[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

	while (fd >= 0 && poll(polled, 2, TIMEOUT_MS) > 0) {
		if (polled[1].revents && !copy(fd, STDOUT_FILENO))
			break;
		if (polled[0].revents && !copy(STDIN_FILENO, fd)) {
			(void)shutdown(fd, SHUT_WR);
			polled[0].fd = -1;
		}
	}
	if (fd >= 0)
		close(fd);
	return s->failed;
}

/* -bv: would they be taken? A line for each on standard output; nothing is sent. */
static int verify(struct sendmail *s, int argc, char **argv)
{
	struct slice sender, rest, text;
	int worst = EX_OK;

	buf_init(&s->recipients, &s->arena, 0);
	if (!greet(s) || !gather_recipients(s, argc, argv, SLICE_EMPTY) || !find_sender(s, &sender) ||
	    !mail_from(s, sender, false, s->offers_utf8 && !slice_is_ascii(buf_slice(&s->recipients))))
		return s->failed;
	rest = buf_slice(&s->recipients);
	while (rest.len > 0) {
		struct slice recipient = slice_cut(&rest, '\0');

		if (rcpt_to(s, recipient))
			printf("%.*s... deliverable\n", SLICE_ARG(recipient));
		else
			worst = s->failed;
	}
	(void)say(s, SLICE("QUIT"), &text);
	return worst;
}

static int run_posthorn(const char *const *words, size_t count)
{
	char *arguments[8] = {NULL};

	for (size_t i = 0; i < count; i++)
		arguments[i] = (char *)words[i];
	int status = cli_main((int)count, arguments, NULL, 0);

	return status == EXIT_TEMPORARY ? EX_TEMPFAIL : status == EXIT_OK ? EX_OK : EX_UNAVAILABLE;
}

/* A word that goes into a command as it is. */
static bool is_word(const char *text)
{
	for (; text && *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static int retry(struct sendmail *s)
{
	const char *part = s->queue_part, *words[] = {"posthorn", "queue", "retry", "--all", NULL};
	const struct slice domain[] = {SLICE("@"), slice_from_cstr(part ? part + 1 : "")};

	if (!part)
		return run_posthorn(words, 4);
	if (!is_word(part))
		return fail(s, EX_USAGE, "-q%s names nothing", part);
	words[3] = part + 1;
	if (part[0] == 'I')
		return run_posthorn(words, 4);
	words[3] = part[0] == 'R' ? "--recipient" : "--sender";
	words[4] = strchr(part, '@') ? part + 1 : slice_cstr(&s->arena, slice_join(&s->arena, domain, 2));
	return run_posthorn(words, 5);
}

static int run_mode(struct sendmail *s, int argc, char **argv)
{
	static const char *const list[] = {"posthorn", "queue", "list"};

	switch (s->mode) {
	case 'i': /* aliases are in the store: nothing has to be built */
		return EX_OK;
	case 'p':
		return run_posthorn(list, 3);
	case 'q':
		return retry(s);
	case 'v':
		return verify(s, argc, argv);
	case 's':
		return speak_smtp(s);
	default:
		return send_message(s, argc, argv);
	}
}

static const char *base_name(const char *program)
{
	const char *slash = strrchr(program, '/');

	return slash ? slash + 1 : program;
}

bool sendmail_is_name(const char *program)
{
	const char *name = base_name(program);

	return strcmp(name, "sendmail") == 0 || strcmp(name, "mailq") == 0 || strcmp(name, "newaliases") == 0;
}

int sendmail_main(int argc, char **argv)
{
	struct sendmail s = {.mode = 'm', .origin = SLICE_EMPTY};
	int status = EX_OK;

	signal(SIGPIPE, SIG_IGN);
	arena_init(&s.arena, 0);
	if (strcmp(base_name(argv[0]), "mailq") == 0)
		s.mode = 'p';
	else if (strcmp(base_name(argv[0]), "newaliases") == 0)
		s.mode = 'i';
	if (!take_options(&s, argc, argv))
		status = s.failed;
	else if (!is_word(s.notify) || !is_word(s.envelope_id) || !is_word(s.verp))
		status = fail(&s, EX_USAGE, "-N, -V and -XV take one word without spaces");
	else
		status = run_mode(&s, argc, argv);
	if (s.failed != EX_OK)
		status = s.failed;
	if (s.conn)
		conn_free(s.conn);
	arena_free(&s.arena);
	return status;
}
