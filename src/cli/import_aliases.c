/* import aliases: the maps of other mail servers: aliases(5) as all have them, Postfix's virtual(5) and transport(5). */
#include <stdio.h>
#include <unistd.h>

#include "cli/local_target.h"
#include "cli/rules.h"

#define MAP_MAX           (256UL * 1024 * 1024)
#define INCLUDE_DEPTH_MAX 4

struct importing {
	struct cli *cli;
	struct slice domain; /* of names that have none */
	const char *path;
	unsigned line; /* of the entry */
	size_t added, there, passed_over;
};

__attribute__((format(printf, 2, 3))) static void pass_over(struct importing *in, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "posthorn: %s:%u: ", in->path, in->line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	in->passed_over++;
}

/* ---- entries: a line with those behind it that begin with white space ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice cut_line(struct slice *rest)
{
	struct slice line = slice_cut(rest, '\n');

	return slice_ends_with(line, SLICE("\r")) ? slice_sub(line, 0, line.len - 1) : line;
}

/* False at the end. */
static bool next_entry(struct importing *in, unsigned *lines, struct slice *rest, struct slice *entry)
{
	struct buf whole;

	buf_init(&whole, &in->cli->arena, 0);
	while (rest->len > 0) {
		struct slice line;

		if (whole.len > 0 && !is_blank(rest->data[0]) && rest->data[0] != '#' && rest->data[0] != '\n' &&
		    rest->data[0] != '\r')
			break;
		line = slice_trim(cut_line(rest));
		++*lines;
		if (line.len == 0 || line.data[0] == '#')
			continue;
		if (whole.len == 0)
			in->line = *lines;
		else
			buf_add_byte(&whole, ' ');
		buf_add(&whole, line);
	}
	*entry = buf_slice(&whole);
	return entry->len > 0;
}

/* Takes the next target of a list off. Commas may stand in quotes. */
static struct slice cut_target(struct slice *rest)
{
	bool quoted = false;
	size_t end = 0;

	for (; end < rest->len && (quoted || rest->data[end] != ','); end++)
		quoted = quoted != (rest->data[end] == '"');
	struct slice target = slice_trim(slice_sub(*rest, 0, end));

	*rest = slice_skip(*rest, end < rest->len ? end + 1 : end);
	return target;
}

/* "-": standard input. */
static bool read_text(struct arena *arena, const char *path, struct slice *text)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	struct buf all;
	size_t got = 1;

	buf_init(&all, arena, MAP_MAX);
	while (file && got > 0) {
		char *room = buf_reserve(&all, 65536);

		got = room ? fread(room, 1, 65536, file) : 0;
		buf_advance(&all, got);
	}
	*text = buf_slice(&all);
	bool ok = file && !ferror(file) && buf_ok(&all);

	if (file && file != stdin)
		fclose(file);
	return ok;
}

/* ---- adding ---- */

static void count(struct importing *in, enum status status, struct slice what)
{
	if (status == STATUS_OK)
		in->added++;
	else if (status == STATUS_EXISTS)
		in->there++;
	else if (status == STATUS_NOT_FOUND)
		pass_over(in, "the domain of %.*s is not ours; see: posthorn domain add", SLICE_ARG(what));
	else
		pass_over(in, "%.*s could not be added", SLICE_ARG(what));
}

/* Names without a domain get one; a backslash before a name keeps it from being an alias again, which is no matter here. */
static bool whole_address(struct importing *in, struct slice text, struct slice *address)
{
	struct cli *cli = in->cli;

	if (slice_starts_with(text, SLICE("\\")))
		text = slice_skip(text, 1);
	if (text.len > 2 && text.data[0] == '"' && text.data[text.len - 1] == '"' &&
	    slice_find_byte(text, '@') == SLICE_NOT_FOUND)
		text = slice_sub(text, 1, text.len - 1);
	if (slice_find_byte(text, '@') == SLICE_NOT_FOUND)
		text = slice_join(&cli->arena, (const struct slice[]){text, SLICE("@"), in->domain}, 3);
	return rules_address(cli, text, address);
}

/* "|command arg" in quotes, as aliases(5) has it; a backslash takes the next character as it is. */
static struct slice without_quotes(struct importing *in, struct slice text)
{
	struct buf out;

	if (!slice_starts_with(text, SLICE("\"")) && slice_find_byte(text, '"') == SLICE_NOT_FOUND)
		return text;
	buf_init(&out, &in->cli->arena, 0);
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '"')
			continue;
		if (text.data[i] == '\\' && i + 1 < text.len)
			i++;
		buf_add_byte(&out, text.data[i]);
	}
	return buf_slice(&out);
}

/* Whose powers it shall have no map tells: the administrator says it in the configuration. */
static void add_local(struct importing *in, struct slice address, struct slice to)
{
	struct slice target;

	if (local_target_find(in->cli, to, &target))
		count(in, directory_add_alias(in->cli->store, address, target), address);
	else
		pass_over(in, "%.*s: say whose powers it shall have; put {name: NAME, user: USER, to: \"%.*s\"} into local.targets"
			      " of posthorn.yaml and import again", SLICE_ARG(to), SLICE_ARG(to));
}

static void add_targets(struct importing *in, struct slice address, struct slice targets, unsigned depth);

/* What the file holds now. */
static void add_included(struct importing *in, struct slice address, struct slice path, unsigned depth)
{
	struct slice rest;

	if (depth >= INCLUDE_DEPTH_MAX || !read_text(&in->cli->arena, slice_cstr(&in->cli->arena, path), &rest)) {
		pass_over(in, "%.*s can't be included", SLICE_ARG(path));
		return;
	}
	while (rest.len > 0) {
		struct slice line = slice_trim(cut_line(&rest));

		if (!slice_starts_with(line, SLICE("#")))
			add_targets(in, address, line, depth + 1);
	}
}

static void add_target(struct importing *in, struct slice address, struct slice text, unsigned depth)
{
	struct slice target, bare = without_quotes(in, text);

	if (text.len == 0)
		return;
	if (slice_starts_with(bare, SLICE("|")) || slice_starts_with(bare, SLICE("/")))
		add_local(in, address, bare);
	else if (slice_starts_with(bare, SLICE(":include:")))
		add_included(in, address, slice_trim(slice_skip(bare, sizeof(":include:") - 1)), depth);
	else if (!whole_address(in, text, &target) || target.data[0] == '@')
		pass_over(in, "%.*s is no address", SLICE_ARG(text));
	else
		count(in, directory_add_alias(in->cli->store, address, target), address);
}

static void add_targets(struct importing *in, struct slice address, struct slice targets, unsigned depth)
{
	while (targets.len > 0)
		add_target(in, address, cut_target(&targets), depth);
}

/* "name: target, target" */
static void take_alias(struct importing *in, struct slice entry)
{
	struct slice rest = entry, name = slice_trim(slice_cut(&rest, ':')), address;

	if (name.len == entry.len)
		pass_over(in, "this is no alias: a name and a colon are wanted");
	else if (!whole_address(in, name, &address))
		pass_over(in, "%.*s is no address", SLICE_ARG(name));
	else
		add_targets(in, address, slice_trim(rest), 0);
}

static struct slice cut_word(struct slice *rest)
{
	size_t end = 0;

	while (end < rest->len && !is_blank(rest->data[end]))
		end++;
	struct slice word = slice_sub(*rest, 0, end);

	*rest = slice_trim(slice_skip(*rest, end));
	return word;
}

/* "address target, target"; "domain anything" says that the domain is one of these. */
static void take_virtual(struct importing *in, struct slice entry)
{
	struct slice word = cut_word(&entry), address;

	if (slice_find_byte(word, '@') == SLICE_NOT_FOUND && slice_find_byte(word, '.') != SLICE_NOT_FOUND) {
		if (cli_domain(in->cli, word, &address))
			count(in, directory_add_domain(in->cli->store, address), address);
		else
			pass_over(in, "%.*s is no domain", SLICE_ARG(word));
		return;
	}
	if (!whole_address(in, word, &address))
		pass_over(in, "%.*s is no address", SLICE_ARG(word));
	else
		add_targets(in, address, entry, 0);
}

/* "smtp:[host]:port" is a host; "smtp:domain" means that domain's MX hosts. False: another transport. */
/* "inet:host:port", "host" */
static bool lmtp_hop(struct importing *in, struct slice rest, struct slice *hop)
{
	if (slice_starts_with(rest, SLICE("unix:")))
		return false;
	if (slice_starts_with(rest, SLICE("inet:")))
		rest = slice_skip(rest, 5);
	return rules_hop(in->cli, slice_join(&in->cli->arena, (const struct slice[]){ROUTE_LMTP, rest}, 2), hop);
}

/* Postfix's error(8), discard(8): the status may be missing. */
static bool no_host(struct importing *in, struct slice name, struct slice rest, struct slice *hop)
{
	bool is_error = slice_eq(name, SLICE("error")), has_status = rest.len > 0 && ascii_is_digit(rest.data[0]);
	const struct slice parts[] = {is_error ? ROUTE_ERROR : ROUTE_RETRY,
				      has_status ? SLICE_EMPTY : is_error ? SLICE("5.0.0 ") : SLICE("4.0.0 "),
				      rest.len > 0 ? rest : SLICE("mail for this address is not taken")};

	if (slice_eq(name, SLICE("discard")))
		return rules_hop(in->cli, ROUTE_DISCARD, hop);
	return rules_hop(in->cli, slice_join(&in->cli->arena, parts, 3), hop);
}

static bool hop_of(struct importing *in, struct slice transport, struct slice *hop)
{
	struct slice rest = transport, name = slice_cut(&rest, ':');

	if (slice_eq(name, SLICE("lmtp")))
		return lmtp_hop(in, rest, hop);
	if (slice_eq(name, SLICE("error")) || slice_eq(name, SLICE("retry")) || slice_eq(name, SLICE("discard")))
		return no_host(in, name, rest, hop);
	if (!slice_eq(name, SLICE("smtp")) && !slice_eq(name, SLICE("relay")) && name.len > 0)
		return false;
	if (rest.len == 0) {
		*hop = ROUTE_DIRECT;
		return true;
	}
	if (!slice_starts_with(rest, SLICE("[")) && slice_find_byte(rest, ':') == SLICE_NOT_FOUND)
		rest = slice_join(&in->cli->arena, (const struct slice[]){ROUTE_MX, rest}, 2);
	return rules_hop(in->cli, rest, hop);
}

static void take_transport(struct importing *in, struct slice entry)
{
	struct rule rule = {.kind = RULE_ROUTE, .detail = SLICE_EMPTY};
	struct slice word = cut_word(&entry);

	if (!hop_of(in, entry, &rule.target))
		pass_over(in, "transport %.*s has no counterpart: smtp, relay, lmtp (inet), error, retry and discard have", SLICE_ARG(entry));
	else if (!rules_pattern(in->cli, word, false, &rule.subject))
		pass_over(in, "%.*s is no pattern", SLICE_ARG(word));
	else
		count(in, routing_add(in->cli->store, &rule), rule.subject);
}

/* ---- the command ---- */

typedef void (*take_entry)(struct importing *in, struct slice entry);

static take_entry format_of(const char *name)
{
	if (!name || strcmp(name, "aliases") == 0)
		return take_alias;
	if (strcmp(name, "virtual") == 0)
		return take_virtual;
	return strcmp(name, "transport") == 0 ? take_transport : NULL;
}

static bool read_map(struct cli *cli, const char *path, struct slice *text)
{
	bool ok = read_text(&cli->arena, path, text);

	if (!ok)
		cli_fail(cli, EXIT_FAILED, "%s can't be read", path);
	return ok;
}

static bool find_domain(struct cli *cli, const char *given, struct slice *domain)
{
	const char *origin = cli->config->smtp.origin;

	return cli_domain(cli, slice_from_cstr(given ? given : origin && origin[0] ? origin : cli->config->hostname), domain);
}

static int report(struct importing *in)
{
	struct listing list = listing_new(in->cli, "added,there_already,passed_over");

	cli_announce(in->cli, SLICE("directory"), SLICE_EMPTY);
	listing_number(&list, (int64_t)in->added);
	listing_number(&list, (int64_t)in->there);
	listing_number(&list, (int64_t)in->passed_over);
	listing_print_one(&list);
	return in->passed_over > 0 ? EXIT_FAILED : EXIT_OK;
}

int command_import_aliases(struct cli *cli)
{
	const char *format = cli_option(cli, "--format"), *domain = cli_option(cli, "--domain");
	take_entry take = format_of(format);
	struct importing in = {.cli = cli};
	struct slice rest, entry;
	unsigned lines = 0;

	if (!take)
		return cli_fail(cli, EXIT_USAGE, "\"%s\" is no format; give aliases, virtual or transport", format);
	if (!cli_finish(cli, 1, 1) || !read_map(cli, cli->arguments[0], &rest) || !cli_load_config(cli) ||
	    !find_domain(cli, domain, &in.domain) || !cli_open_store(cli))
		return cli->failed;
	in.path = cli->arguments[0];
	while (next_entry(&in, &lines, &rest, &entry))
		take(&in, entry);
	return report(&in);
}
