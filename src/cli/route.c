/* route, tls-policy: by which way mail goes, and on what terms. */
#include <stdio.h>

#include "auth/seal.h"
#include "cli/rules.h"
#include "config/paths.h"
#include "net/conn.h"
#include "relay/way.h"

#define TEXT_MAX     200
#define USER_MAX     255
#define PASSWORD_MAX 1000

/* ---- hops ---- */

/* Takes ":port" off, if there is one. */
static bool cut_port(struct slice *host, struct slice *port)
{
	size_t colon = slice_find_last_byte(*host, ':');
	uint32_t number;

	if (slice_ends_with(*host, SLICE("]")) || colon == SLICE_NOT_FOUND)
		return true;
	*port = slice_skip(*host, colon + 1);
	*host = slice_sub(*host, 0, colon);
	return slice_to_u32(*port, UINT16_MAX, &number) && number > 0;
}

/* A host with its port. An address may stand in brackets, as a host may that others write so to say: no MX. */
static bool take_host(struct cli *cli, struct slice text, struct slice port, struct slice *hop)
{
	struct slice host = text, domain;
	struct net_address address;
	bool is_bracketed, is_address;

	if (!cut_port(&host, &port)) {
		cli_fail(cli, EXIT_USAGE, "\"%.*s\" has no port from 1 to 65535", SLICE_ARG(text));
		return false;
	}
	is_bracketed = slice_starts_with(host, SLICE("[")) && slice_ends_with(host, SLICE("]"));
	if (is_bracketed)
		host = slice_sub(host, 1, host.len - 1);
	is_address = net_address_parse(host, &address);
	if (!is_address && !cli_domain(cli, host, &domain))
		return false;
	const struct slice parts[] = {is_address ? SLICE("[") : SLICE_EMPTY, is_address ? host : domain,
				      is_address ? SLICE("]:") : SLICE(":"), port};

	*hop = slice_join(&cli->arena, parts, 4);
	return true;
}

/* "5.1.1 no such user" */
static bool take_text(struct cli *cli, struct slice text, char class, struct slice *hop)
{
	struct slice rest = slice_trim(text), code = slice_cut(&rest, ' '), digits = code;
	uint32_t number;
	bool is_good = rest.len > 0 && text.len <= TEXT_MAX && slice_is_ascii(text) && code.data[0] == class;

	for (int i = 0; i < 3 && is_good; i++)
		is_good = slice_to_u32(slice_cut(&digits, '.'), 999, &number);
	for (size_t i = 0; i < rest.len && is_good; i++)
		is_good = rest.data[i] >= ' ' && rest.data[i] < 127;
	if (!is_good || digits.len > 0) {
		cli_fail(cli, EXIT_USAGE, "\"%.*s\" is no status and text, such as \"%c.1.1 no such user\"", SLICE_ARG(text), class);
		return false;
	}
	const struct slice parts[] = {class == '5' ? ROUTE_ERROR : ROUTE_RETRY, code, SLICE(" "), rest};

	*hop = slice_join(&cli->arena, parts, 4);
	return true;
}

static bool take_lmtp(struct cli *cli, struct slice text, struct slice *hop)
{
	struct slice host;

	if (!take_host(cli, text, SLICE("24"), &host))
		return false;
	*hop = slice_join(&cli->arena, (const struct slice[]){ROUTE_LMTP, host}, 2);
	return true;
}

bool rules_hop(struct cli *cli, struct slice text, struct slice *hop)
{
	struct slice domain;

	*hop = text;
	if (slice_eq(text, ROUTE_DIRECT) || slice_eq(text, ROUTE_DISCARD))
		return true;
	if (slice_starts_with(text, ROUTE_LMTP))
		return take_lmtp(cli, slice_skip(text, ROUTE_LMTP.len), hop);
	if (slice_starts_with(text, ROUTE_ERROR))
		return take_text(cli, slice_skip(text, ROUTE_ERROR.len), '5', hop);
	if (slice_starts_with(text, ROUTE_RETRY))
		return take_text(cli, slice_skip(text, ROUTE_RETRY.len), '4', hop);
	if (!slice_starts_with(text, ROUTE_MX))
		return take_host(cli, text, SLICE("25"), hop);
	if (!cli_domain(cli, slice_skip(text, ROUTE_MX.len), &domain))
		return false;
	*hop = slice_join(&cli->arena, (const struct slice[]){ROUTE_MX, domain}, 2);
	return true;
}

/* ---- terms ---- */

static bool take_level(struct cli *cli, const char *text, struct slice *level)
{
	enum relay_tls tls;

	*level = slice_lower(&cli->arena, slice_from_cstr(text));
	if (relay_tls_parse(*level, &tls))
		return true;
	cli_fail(cli, EXIT_USAGE, "\"%s\" is none of: none, opportunistic, encrypted, required, dane", text);
	return false;
}

/* The file's first line. */
static bool read_password(struct cli *cli, const char *path, struct slice *password)
{
	FILE *file = path ? fopen(path, "re") : NULL;
	char *line = arena_alloc(&cli->arena, PASSWORD_MAX + 2);
	bool is_read = file && fgets(line, PASSWORD_MAX + 2, file);

	if (file)
		fclose(file);
	*password = slice_trim(slice_from_cstr(line));
	if (is_read && password->len > 0 && password->len <= PASSWORD_MAX)
		return true;
	if (path)
		cli_fail(cli, EXIT_FAILED, "%s can't be read, or has no password in its first line", path);
	else
		cli_fail(cli, EXIT_USAGE, "give the password of --user with --password-file FILE");
	return false;
}

/* As whoever has started us: the store's user may not read the key. */
static bool seal(struct cli *cli, struct slice target, struct slice user, struct slice password, struct slice *sealed)
{
	struct error error = {0};
	struct seal_key key;

	if (!cli_load_config(cli))
		return false;
	if (!seal_load_key(config_data_path(cli->config, SLICE("relay.key"), &cli->arena), &key, &cli->arena, &error)) {
		cli_fail(cli, EXIT_FAILED, "%.*s", SLICE_ARG(error.text));
		return false;
	}
	*sealed = seal_close(&cli->arena, &key, way_seal_context(&cli->arena, target, user), password);
	return true;
}

static bool is_user(struct slice user)
{
	bool is_good = user.len > 0 && user.len <= USER_MAX && slice_is_utf8(user);

	for (size_t i = 0; i < user.len && is_good; i++)
		is_good = (unsigned char)user.data[i] > ' ' && user.data[i] != 127;
	return is_good;
}

/* Only a host of its own can have them: not a domain's mail exchangers, and not what is no host. */
static bool has_host(struct slice target)
{
	const struct slice others[] = {ROUTE_DIRECT, ROUTE_MX, ROUTE_ERROR, ROUTE_RETRY, ROUTE_DISCARD};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (slice_starts_with(target, others[i]) && (i > 0 || slice_eq(target, ROUTE_DIRECT)))
			return false;
	return true;
}

struct given_terms {
	const char *user, *password_file, *tls;
};

static bool take_terms(struct cli *cli, const struct given_terms *given, struct rule *rule)
{
	struct route_terms terms = {SLICE_EMPTY, SLICE_EMPTY, slice_from_cstr(given->user)};
	struct slice password;

	if (!given->user && !given->tls && !given->password_file)
		return true;
	if (!has_host(rule->target)) {
		cli_fail(cli, EXIT_USAGE, "%.*s is no host of its own; for TLS to a domain's mail exchangers there is: posthorn tls-policy add",
			 SLICE_ARG(rule->target));
		return false;
	}
	if ((given->password_file && !given->user) || (given->user && !is_user(terms.user)) ||
	    (given->user && slice_starts_with(rule->target, ROUTE_LMTP))) {
		cli_fail(cli, EXIT_USAGE, "a log-in needs --user (without spaces) and --password-file, and not LMTP");
		return false;
	}
	/* A password goes only to whom it is meant for, unless somebody wants it otherwise. */
	if (!take_level(cli, given->tls ? given->tls : "required", &terms.tls) ||
	    (given->user && (!read_password(cli, given->password_file, &password) ||
			     !seal(cli, rule->target, terms.user, password, &terms.secret))))
		return false;
	rule->detail = routing_format_terms(&cli->arena, &terms);
	return true;
}

/* ---- routes ---- */

int command_route_add(struct cli *cli)
{
	bool is_sender = cli_flag(cli, "--sender");
	const struct given_terms given = {cli_option(cli, "--user"), cli_option(cli, "--password-file"), cli_option(cli, "--tls")};
	struct rule rule = {.kind = is_sender ? RULE_SENDER_ROUTE : RULE_ROUTE};

	if (!cli_finish(cli, 2, 2) || !rules_pattern(cli, cli_argument(cli, 0), is_sender, &rule.subject) ||
	    !rules_hop(cli, cli_argument(cli, 1), &rule.target) || !take_terms(cli, &given, &rule) || !cli_open_store(cli))
		return cli->failed;
	return rules_add(cli, &rule, "has its route");
}

/* Never the password. */
static bool list_routes(struct cli *cli, struct listing *list, enum rule_kind kind, const char *label)
{
	struct rule *rules;
	size_t count;
	enum status status = routing_list(cli->store, &cli->arena, kind, SLICE_EMPTY, &rules, &count);

	if (status != STATUS_OK) {
		cli_status(cli, status, SLICE("the list"));
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		struct route_terms terms = routing_parse_terms(rules[i].detail);

		listing_text(list, slice_from_cstr(label));
		listing_text(list, rules[i].subject);
		listing_text(list, rules[i].target);
		listing_text(list, terms.tls);
		listing_text(list, terms.user);
	}
	return true;
}

int command_route_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "of,pattern,next_hop,tls,user");

	if (!cli_finish(cli, 0, 0) || !cli_open_store(cli) || !list_routes(cli, &list, RULE_ROUTE, "recipient") ||
	    !list_routes(cli, &list, RULE_SENDER_ROUTE, "sender"))
		return cli->failed;
	listing_print(&list);
	if (list.cell_count == 0)
		listing_hint(&list, "no routes; add one with: posthorn route add PATTERN HOST[:PORT]");
	return EXIT_OK;
}

int command_route_remove(struct cli *cli)
{
	bool is_sender = cli_flag(cli, "--sender");
	struct slice pattern;

	if (!cli_finish(cli, 1, 1) || !rules_pattern(cli, cli_argument(cli, 0), is_sender, &pattern) || !cli_open_store(cli))
		return cli->failed;
	return rules_remove(cli, is_sender ? RULE_SENDER_ROUTE : RULE_ROUTE, pattern, SLICE_EMPTY);
}

/* ---- TLS by destination ---- */

/* "example.org", ".example.org" */
static bool take_destination(struct cli *cli, struct slice text, struct slice *subject)
{
	if (slice_find_byte(text, '@') == SLICE_NOT_FOUND && !slice_eq(text, SLICE("*")))
		return rules_pattern(cli, text, true, subject);
	cli_fail(cli, EXIT_USAGE, "a destination is a domain, .DOMAIN (all domains below it), or a route's host");
	return false;
}

int command_tls_policy_add(struct cli *cli)
{
	struct rule rule = {.kind = RULE_TLS};

	if (!cli_finish(cli, 2, 2) || !take_destination(cli, cli_argument(cli, 0), &rule.subject) ||
	    !take_level(cli, slice_cstr(&cli->arena, cli_argument(cli, 1)), &rule.target) || !cli_open_store(cli))
		return cli->failed;
	return rules_add(cli, &rule, "has its TLS policy");
}

int command_tls_policy_list(struct cli *cli)
{
	struct listing list = listing_new(cli, "destination,tls");

	if (!cli_finish(cli, 0, 0) || !cli_open_store(cli) || !rules_list(cli, &list, RULE_TLS, SLICE_EMPTY, NULL))
		return cli->failed;
	listing_print(&list);
	return EXIT_OK;
}

int command_tls_policy_remove(struct cli *cli)
{
	struct slice subject;

	if (!cli_finish(cli, 1, 1) || !take_destination(cli, cli_argument(cli, 0), &subject) || !cli_open_store(cli))
		return cli->failed;
	return rules_remove(cli, RULE_TLS, subject, SLICE_EMPTY);
}
