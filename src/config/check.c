#include "config/check.h"

#include <arpa/inet.h>

#include "config/config.h"

static bool all_of(struct slice text, const char *punctuation)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!ascii_is_alnum(text.data[i]) && !strchr(punctuation, text.data[i]))
			return false;
	}
	return text.len > 0;
}

bool check_hostname(struct slice text)
{
	struct slice rest = text;

	if (text.len > 253)
		return false;
	do {
		struct slice label = slice_cut(&rest, '.');

		if (label.len > 63 || !all_of(label, "-_") || label.data[0] == '-' || label.data[label.len - 1] == '-')
			return false;
	} while (rest.len);
	return text.data[text.len - 1] != '.';
}

bool check_port(struct slice text)
{
	uint32_t port;

	return slice_to_u32(text, 65535, &port) && port > 0;
}

/* The family of a numeric address, 0 if it is none. */
static int address_family(struct slice text)
{
	char copy[INET6_ADDRSTRLEN] = {0};
	struct in6_addr binary;

	if (text.len == 0 || text.len >= sizeof(copy))
		return 0;
	memcpy(copy, text.data, text.len);
	if (inet_pton(AF_INET, copy, &binary) == 1)
		return AF_INET;
	return inet_pton(AF_INET6, copy, &binary) == 1 ? AF_INET6 : 0;
}

bool check_ip_address(struct slice text)
{
	return address_family(text) != 0;
}

bool check_source_address(struct slice text)
{
	return text.len == 0 || check_ip_address(text);
}

/* What sockaddr_un holds. */
#define UNIX_PATH_MAX 107

bool check_listen_address(struct slice text)
{
	if (slice_starts_with(text, SLICE("unix:/")))
		return text.len <= UNIX_PATH_MAX + 5 && text.data[text.len - 1] != '/';
	size_t colon = slice_find_last_byte(text, ':');
	struct slice host = slice_sub(text, 0, colon);

	if (colon == SLICE_NOT_FOUND || !check_port(slice_skip(text, colon + 1)))
		return false;
	if (host.len > 1 && host.data[0] == '[' && host.data[host.len - 1] == ']')
		return address_family(slice_sub(host, 1, host.len - 1)) == AF_INET6;
	return host.len == 0 || address_family(host) == AF_INET;
}

bool check_metrics_address(struct slice text)
{
	return slice_starts_with(text, SLICE("unix:/")) ? text.len < 100 : check_listen_address(text);
}

bool check_program_address(struct slice text)
{
	struct slice rest = text, kind = slice_cut(&rest, ':');

	if (slice_eq(kind, SLICE("unix")))
		return check_listen_address(text);
	return slice_eq(kind, SLICE("inet")) && !slice_starts_with(rest, SLICE(":")) && !slice_starts_with(rest, SLICE("unix:")) &&
	       check_listen_address(rest);
}

static bool are_some_of(struct slice text, const char *const *known, size_t count)
{
	while (text.len > 0) {
		struct slice word = slice_cut(&text, ' ');
		bool is_known = false;

		for (size_t i = 0; i < count; i++)
			is_known |= slice_eq(word, slice_from_cstr(known[i]));
		if (!is_known)
			return false;
	}
	return true;
}

bool check_filtered_listeners(struct slice text)
{
	static const char *const known[] = {"smtp", "submission", "submissions", "lmtp", "local"};

	return are_some_of(text, known, sizeof(known) / sizeof(*known));
}

bool check_policy_stages(struct slice text)
{
	static const char *const known[] = {"connect", "helo", "mail", "rcpt", "data", "end-of-message"};

	return text.len > 0 && are_some_of(text, known, sizeof(known) / sizeof(*known));
}

bool check_network(struct slice text)
{
	size_t slash = slice_find_byte(text, '/');
	int family = address_family(slice_sub(text, 0, slash));
	uint32_t bits;

	if (family == 0 || slash == SLICE_NOT_FOUND)
		return family != 0;
	return slice_to_u32(slice_skip(text, slash + 1), family == AF_INET ? 32 : 128, &bits);
}

bool check_forwarder(struct slice text)
{
	struct slice rest = text, address = slice_cut(&rest, '@');

	return check_ip_address(address) && (address.len == text.len || check_port(rest));
}

bool check_smarthost(struct slice text)
{
	struct slice rest = text, host = slice_cut(&rest, ':');

	return check_hostname(host) && (host.len == text.len || check_port(rest));
}

/* A name, a beginning with "*" behind it, or a special use. */
bool check_expiring_mailbox(struct slice text)
{
	static const char *const uses[] = {"\\Trash", "\\Junk", "\\Sent", "\\Drafts", "\\Archive"};

	if (text.len == 0 || text.data[0] != '\\')
		return text.len > 0;
	for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
		if (slice_eq_nocase(text, slice_from_cstr(uses[i])))
			return true;
	return false;
}

bool check_destination(struct slice text)
{
	struct slice rest = text, host = slice_cut(&rest, ':');

	if (slice_starts_with(text, SLICE(".")))
		return text.len > 1 && check_hostname(slice_skip(text, 1));
	return text.len > 0 && check_hostname(host) && (host.len == text.len || check_port(rest));
}

/* "127.0.0.2", "127.0.0.2-11" */
static bool check_list_answers(struct slice text)
{
	struct slice rest = text, first = slice_cut(&rest, '-');
	uint32_t from = 0, to = 0;
	size_t dot = slice_find_last_byte(first, '.');

	return slice_starts_with(first, SLICE("127.")) && check_ip_address(first) &&
	       (first.len == text.len ||
		(slice_to_u32(slice_skip(first, dot + 1), 255, &from) && slice_to_u32(rest, 255, &to) && from <= to));
}

bool check_dns_list(struct slice text)
{
	struct slice points = text, before = slice_cut(&points, '*'), answers = before, zone = slice_cut(&answers, '=');
	int64_t number = 1;

	if (before.len < text.len && !slice_to_i64(points, &number))
		return false;
	return zone.len <= 180 && check_hostname(zone) && slice_find_byte(zone, '.') != SLICE_NOT_FOUND && number != 0 && number >= -100 && number <= 100 &&
	       (zone.len == before.len || check_list_answers(answers));
}

bool check_uri(struct slice text)
{
	struct slice rest = text, scheme = slice_cut(&rest, ':');

	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] == 0x7f)
			return false;
	return rest.len > 0 && scheme.len > 1 && ascii_is_alpha(scheme.data[0]) && all_of(scheme, "+-.");
}

bool check_store_url(struct slice text)
{
	return slice_eq(text, SLICE("sqlite")) || slice_starts_with(text, SLICE("postgresql://")) ||
	       slice_starts_with(text, SLICE("postgres://"));
}

bool check_separator(struct slice text)
{
	return text.len == 0 || (text.len == 1 && strchr("+-_=.", text.data[0]));
}

bool check_user(struct slice text)
{
	return text.len <= 32 && all_of(text, "-_.") && text.data[0] != '-';
}

bool check_user_not_root(struct slice text)
{
	return check_user(text) && !slice_eq(text, SLICE("root"));
}

bool check_mode(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < '0' || text.data[i] > '7')
			return false;
	return text.len == 0 || text.len == 3 || (text.len == 4 && text.data[0] == '0');
}

bool check_group(struct slice text)
{
	return text.len == 0 || check_user(text);
}

bool check_local_sender(struct slice text)
{
	struct slice rest = text, user = slice_cut(&rest, ':');

	if (rest.len == 0 || !(slice_eq(user, SLICE("*")) || check_user(user)))
		return false;
	return slice_eq(rest, SLICE("*")) || slice_find_byte(rest, '@') != SLICE_NOT_FOUND;
}

bool check_trap(struct slice text)
{
	size_t at = slice_find_last_byte(text, '@');

	return at != SLICE_NOT_FOUND && at > 0 && at <= 64 && check_hostname(slice_skip(text, at + 1));
}

bool check_listener_hostname(struct slice text)
{
	return text.len == 0 || check_hostname(text);
}

bool check_alert_to(struct slice text)
{
	return slice_eq_nocase(text, SLICE("postmaster")) || check_trap(text);
}

bool check_duration(struct slice text)
{
	int64_t ms;

	return config_duration(text, &ms);
}

bool check_durations(struct slice text)
{
	int64_t ms;

	while (config_next_duration(&text, &ms)) {
		if (text.len == 0)
			return true;
	}
	return false;
}

bool check_word(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!ascii_is_alnum(text.data[i]) && !strchr("-_.", text.data[i]))
			return false;
	return text.len > 0 && text.len <= 64;
}

bool check_local_target(struct slice text)
{
	if (slice_starts_with(text, SLICE("|")))
		return slice_trim(slice_skip(text, 1)).len > 0;
	return text.len > 1 && text.data[0] == '/';
}

bool check_converter_types(struct slice text)
{
	size_t words = 0;

	while (text.len > 0) {
		struct slice word = slice_cut(&text, ' ');
		size_t slash = slice_find_byte(word, '/');

		if (word.len == 0)
			continue;
		words++;
		if (word.data[0] == '.' ? word.len < 2 || slash != SLICE_NOT_FOUND
					: slash == SLICE_NOT_FOUND || slash == 0 || slash + 1 == word.len)
			return false;
	}
	return words > 0;
}

bool check_converter_command(struct slice text)
{
	if (slice_starts_with(text, SLICE("internal:")))
		return slice_eq(text, SLICE("internal:office")) || slice_eq(text, SLICE("internal:rtf"));
	return text.len > 1 && text.len < 4096 && text.data[0] == '/' && text.data[1] != ' ';
}

bool check_local_mailbox(struct slice text)
{
	if (slice_starts_with(text, SLICE("~/")))
		return text.len > 2;
	return slice_starts_with(text, SLICE("/")) && slice_find(text, SLICE("%u")) != SLICE_NOT_FOUND;
}

bool check_address(struct slice text)
{
	size_t at = slice_find_last_byte(text, '@');

	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] == '<' || text.data[i] == '>' || text.data[i] == 0x7f)
			return false;
	return at != SLICE_NOT_FOUND && at > 0 && at <= 64 && text.len <= 254 && check_hostname(slice_skip(text, at + 1));
}
