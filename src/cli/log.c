/* log: the lines of Posthorn's log that concern one message or one address, in the order of time; from a file, standard input or systemd's
 * journal. Two passes where a message is meant: the first learns its queue ids (a Message-ID or an address stands in few of its
 * lines, and a bounce has an id of its own), the second takes all their lines. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/log_line.h"
#include "cli/output.h"
#include "cli/when.h"

#define IDS_MAX     10000
#define LINES_MAX   200000 /* that are shown in order; more are shown as they come */
#define ROUNDS_MAX  5      /* a bounce of a forward of ... */
#define UNIT        "posthorn"

struct shown_line {
	int64_t at_ms;
	size_t number;
	struct slice text;
};

struct log_search {
	struct cli *cli;
	struct slice message_id, address, event, role;
	int64_t since_ms, until_ms; /* INT64_MIN, INT64_MAX */
	bool by_message;
	struct slice *ids;
	size_t id_count;
	FILE *file;
	struct shown_line *lines;
	size_t line_count, capacity, number;
	struct buf out;
};

/* ---- which lines ---- */

static bool knows_id(const struct log_search *search, struct slice id)
{
	for (size_t i = 0; i < search->id_count; i++)
		if (slice_eq(search->ids[i], id))
			return true;
	return false;
}

static bool learn_id(struct log_search *search, struct slice id)
{
	if (id.len == 0 || search->id_count == IDS_MAX || knows_id(search, id))
		return false;
	search->ids[search->id_count++] = slice_dup(&search->cli->arena, id);
	return true;
}

static struct slice without_brackets(struct slice id)
{
	return id.len > 2 && id.data[0] == '<' && id.data[id.len - 1] == '>' ? slice_sub(id, 1, id.len - 1) : id;
}

static bool names_message(const struct log_search *search, const struct log_line *line)
{
	struct slice id = without_brackets(log_line_value(line, SLICE("message_id")));

	return search->message_id.len > 0 && slice_eq(id, search->message_id);
}

static bool names_address(const struct log_search *search, const struct log_line *line)
{
	if (search->address.len == 0)
		return false;
	for (size_t i = 0; i < line->count; i++) {
		struct slice value = line->fields[i].value;

		if (search->address.data[0] == '@' ? slice_ends_with_nocase(value, search->address) : slice_eq_nocase(value, search->address))
			return true;
	}
	return false;
}

static bool is_meant(const struct log_search *search, const struct log_line *line)
{
	if (!search->by_message)
		return true;
	return knows_id(search, log_line_value(line, SLICE("id"))) || names_message(search, line) || names_address(search, line);
}

static bool event_fits(const struct log_search *search, struct slice event)
{
	struct arena *arena = &search->cli->arena;

	return search->event.len == 0 || fnmatch(slice_cstr(arena, search->event), slice_cstr(arena, event), 0) == 0;
}

/* ---- passes ---- */

typedef bool (*line_seen)(struct log_search *search, const struct log_line *line, int64_t at_ms);

/* Returns how often `seen` said true. */
static size_t pass(struct log_search *search, line_seen seen)
{
	struct arena arena SCOPED_ARENA;
	char *text = NULL;
	size_t room = 0, count = 0;
	ssize_t len;

	while ((len = getline(&text, &room, search->file)) >= 0) {
		struct log_line line;
		int64_t at_ms = 0;

		arena_reset(&arena);
		if (!log_line_parse(&arena, slice_of(text, (size_t)len), &line) ||
		    !when_parse(log_line_value(&line, SLICE("time")), 0, &at_ms))
			continue;
		count += seen(search, &line, at_ms);
	}
	free(text);
	return count;
}

static bool learn(struct log_search *search, const struct log_line *line, int64_t at_ms)
{
	bool learned = false;

	(void)at_ms;
	if (!is_meant(search, line))
		return false;
	learned |= learn_id(search, log_line_value(line, SLICE("id")));
	learned |= learn_id(search, log_line_value(line, SLICE("bounce")));
	return learned;
}

/* As it is shown: time, role and event without their names. */
static struct slice text_of(struct log_search *search, const struct log_line *line)
{
	struct buf *out = &search->out;

	buf_clear(out);
	if (search->cli->json) {
		for (size_t i = 0; i < line->count; i++) {
			buf_add(out, i ? SLICE(",") : SLICE("{"));
			json_string(out, line->fields[i].key);
			buf_add_byte(out, ':');
			json_string(out, line->fields[i].value);
		}
		buf_add_byte(out, '}');
		return buf_slice(out);
	}
	buf_printf(out, "%.*s %-10.*s %.*s", SLICE_ARG(log_line_value(line, SLICE("time"))), SLICE_ARG(log_line_value(line, SLICE("role"))),
		   SLICE_ARG(log_line_value(line, SLICE("event"))));
	for (size_t i = 0; i < line->count; i++) {
		struct slice key = line->fields[i].key, value = line->fields[i].value;

		if (slice_eq(key, SLICE("time")) || slice_eq(key, SLICE("role")) || slice_eq(key, SLICE("event")) ||
		    (slice_eq(key, SLICE("level")) && slice_eq(value, SLICE("info"))) || value.len == 0)
			continue;
		bool quotes = slice_find_byte(value, ' ') != SLICE_NOT_FOUND;

		buf_printf(out, " %.*s=%s%.*s%s", SLICE_ARG(key), quotes ? "\"" : "", SLICE_ARG(value), quotes ? "\"" : "");
	}
	return buf_slice(out);
}

static bool show(struct log_search *search, const struct log_line *line, int64_t at_ms)
{
	struct arena *arena = &search->cli->arena;

	if (at_ms < search->since_ms || at_ms > search->until_ms || !is_meant(search, line) ||
	    !event_fits(search, log_line_value(line, SLICE("event"))) ||
	    (search->role.len > 0 && !slice_eq(log_line_value(line, SLICE("role")), search->role)))
		return false;
	if (search->line_count == LINES_MAX)
		return true;
	if (search->line_count == search->capacity) {
		size_t capacity = search->capacity ? 2 * search->capacity : 256;
		struct shown_line *lines = ARENA_ARRAY(arena, struct shown_line, capacity);

		if (search->lines)
			memcpy(lines, search->lines, search->line_count * sizeof(*lines));
		search->lines = lines;
		search->capacity = capacity;
	}
	search->lines[search->line_count++] = (struct shown_line){at_ms, search->number++, slice_dup(arena, text_of(search, line))};
	return true;
}

static int earlier(const void *a, const void *b)
{
	const struct shown_line *one = a, *other = b;

	if (one->at_ms != other->at_ms)
		return one->at_ms < other->at_ms ? -1 : 1;
	return one->number < other->number ? -1 : one->number > other->number;
}

static void print_lines(struct log_search *search)
{
	bool json = search->cli->json;

	if (search->line_count > 0)
		qsort(search->lines, search->line_count, sizeof(*search->lines), earlier);
	for (size_t i = 0; i < search->line_count; i++) {
		if (json) {
			fputs(i ? ",\n " : "[", stdout);
			fwrite(search->lines[i].text.data, 1, search->lines[i].text.len, stdout);
		} else {
			print_safely(search->lines[i].text);
			putchar('\n');
		}
	}
	if (json)
		fputs(search->line_count ? "]\n" : "[]\n", stdout);
}

/* ---- where from ---- */

/* What can't be read twice is copied. */
static bool make_seekable(struct log_search *search)
{
	char bytes[65536];
	size_t got;
	FILE *copy;

	if (fseek(search->file, 0, SEEK_SET) == 0)
		return true;
	copy = tmpfile();
	if (!copy)
		return false;
	while ((got = fread(bytes, 1, sizeof(bytes), search->file)) > 0)
		if (fwrite(bytes, 1, got, copy) != got)
			break;
	bool ok = !ferror(search->file) && !ferror(copy) && fseek(copy, 0, SEEK_SET) == 0;

	fclose(search->file);
	search->file = copy;
	return ok;
}

/* The child's end of the pipe becomes its standard output. */
static FILE *open_journal(int64_t since_ms, pid_t *child)
{
	char since[40] = "@0";
	int ends[2];

	if (since_ms > 0)
		snprintf(since, sizeof(since), "@%lld", (long long)(since_ms / 1000));
	if (pipe2(ends, O_CLOEXEC) != 0)
		return NULL;
	fflush(stdout);
	*child = fork();
	if (*child == 0) {
		if (dup2(ends[1], STDOUT_FILENO) >= 0)
			execlp("journalctl", "journalctl", "--unit=" UNIT, "--output=cat", "--no-pager", "--quiet", "--since", since, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	if (*child > 0)
		return fdopen(ends[0], "r");
	close(ends[0]);
	return NULL;
}

static bool open_source(struct log_search *search, pid_t *child)
{
	struct cli *cli = search->cli;

	if (cli->argument_count == 0)
		search->file = open_journal(search->since_ms, child);
	else if (slice_eq(cli_argument(cli, 0), SLICE("-")))
		search->file = stdin;
	else
		search->file = fopen(cli->arguments[0], "re");
	if (search->file)
		return true;
	cli_fail(cli, EXIT_FAILED, "%s can't be read: %s", cli->argument_count ? cli->arguments[0] : "the journal", strerror(errno));
	return false;
}

static bool child_failed(pid_t child)
{
	int status = 0;

	return child > 0 && (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) == 127);
}

/* ---- the command ---- */

static bool take_options(struct log_search *search)
{
	struct cli *cli = search->cli;
	struct slice id = slice_from_cstr(cli_option(cli, "--id"));

	search->message_id = without_brackets(slice_from_cstr(cli_option(cli, "--message-id")));
	search->address = slice_from_cstr(cli_option(cli, "--address"));
	search->event = slice_from_cstr(cli_option(cli, "--event"));
	search->role = slice_from_cstr(cli_option(cli, "--role"));
	search->by_message = id.len || search->message_id.len || search->address.len;
	search->ids = ARENA_ARRAY(&cli->arena, struct slice, IDS_MAX);
	(void)learn_id(search, id);
	return cli_when(cli, "--since", &search->since_ms) && cli_when(cli, "--until", &search->until_ms) && cli_finish(cli, 0, 1);
}

static int search_file(struct log_search *search)
{
	struct cli *cli = search->cli;

	if (search->by_message && !make_seekable(search))
		return cli_fail(cli, EXIT_FAILED, "the log could not be copied for a second look: %s", strerror(errno));
	for (int round = 0; search->by_message && round < ROUNDS_MAX && pass(search, learn) > 0; round++)
		rewind(search->file);
	if (search->by_message)
		rewind(search->file);
	size_t count = pass(search, show);

	print_lines(search);
	if (count > search->line_count)
		fprintf(stderr, "only the first %d lines are shown; narrow it with --since and --until\n", LINES_MAX);
	return EXIT_OK;
}

int command_log(struct cli *cli)
{
	struct log_search search = {.cli = cli, .since_ms = INT64_MIN, .until_ms = INT64_MAX};
	pid_t child = 0;

	if (!take_options(&search) || !open_source(&search, &child))
		return cli->failed;
	buf_init(&search.out, NULL, 0);
	int status = search_file(&search);

	buf_free(&search.out);
	if (search.file && search.file != stdin)
		fclose(search.file);
	if (child_failed(child))
		return cli_fail(cli, EXIT_FAILED, "journalctl can't be run; give the log's FILE, or - for standard input");
	if (status == EXIT_OK && search.line_count == 0 && !cli->json)
		fprintf(stderr, "no line of the log fits\n");
	return status;
}
