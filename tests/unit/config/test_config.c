#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/config.h"
#include "config/paths.h"

static struct config *load(const char *text, struct arena *arena)
{
	struct error error = {0};
	struct config *config = config_load_text(slice_from_cstr(text), "t.yaml", arena, &error);

	if (!config)
		fail_msg("%.*s", SLICE_ARG(error.text));
	return config;
}

static void an_empty_text_gives_the_defaults(void **state)
{
	static const char *const texts[] = {"", "# nothing\n", "---\n", "limits:\nsmtp:\n", "limits:\n  recipients:\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct arena arena SCOPED_ARENA;
		struct config *config = load(texts[i], &arena);

		assert_string_equal(config->data, "/var/lib/posthorn");
		assert_string_equal(config->user, "posthorn");
		assert_true(strlen(config->hostname) > 0);
		assert_int_equal(config->listeners_count, 8);
		assert_string_equal(config->listeners[7].address, "unix:/run/posthorn/local.sock");
		assert_string_equal(config->listeners[4].address, ":993");
		assert_string_equal(config->listeners[4].protocol, "imaps");
		assert_int_equal(config->tls.certificates_count, 0);
		assert_string_equal(config->store.url, "sqlite");
		assert_int_equal(config->store.compress_from, 8192);
		assert_true(config->limits.message_size == 50 << 20);
		assert_int_equal(config->limits.recipients, 1000);
		assert_int_equal(config->limits.command_timeout_s, 300);
		assert_int_equal(config->limits.exempt_count, 2);
		assert_string_equal(config->limits.exempt[1], "::1");
		assert_int_equal(config->smtp.trusted_networks_count, 0);
		assert_true(config->smtp.require_sender_match);
		assert_null(config->relay.smarthost);
		assert_int_equal(config->auth.argon2_memory_kb, 19 * 1024);
		assert_int_equal(config->retention.change_log_days, 30);
		config_free(config);
	}
}

static const char whole[] = "hostname: mail.example.test\n"
			    "data: data\n"
			    "listeners:\n"
			    "  - {address: '127.0.0.1:2525', protocol: smtp, proxy: yes}\n"
			    "  - address: \"[::1]:993\"\n"
			    "    protocol: imaps\n"
			    "tls:\n"
			    "  certificates:\n"
			    "    - certificate: tls/a.pem\n"
			    "      key: /etc/a.key\n"
			    "store: {url: 'postgresql://u@h/d', connections: 7}\n"
			    "limits:\n"
			    "  message_size: 1.5\n"
			    "  exempt: []\n"
			    "  idle_timeout: 45m\n"
			    "  command_timeout: 90\n"
			    "smtp:\n"
			    "  trusted_networks: [10.0.0.0/8, 'fd00::/8']\n"
			    "  recipient_separator: ''\n"
			    "  require_sender_match: off\n"
			    "relay:\n"
			    "  smarthost_user: 'quo\"te \\ and # more'\n"
			    "retention:\n"
			    "  trace: 2w\n";

static void assert_whole(const struct config *config)
{
	assert_string_equal(config->hostname, "mail.example.test");
	assert_string_equal(config->data, "data");
	assert_int_equal(config->listeners_count, 2);
	assert_string_equal(config->listeners[0].address, "127.0.0.1:2525");
	assert_true(config->listeners[0].proxy);
	assert_string_equal(config->listeners[1].address, "[::1]:993");
	assert_false(config->listeners[1].proxy);
	assert_int_equal(config->tls.certificates_count, 1);
	assert_string_equal(config->tls.certificates[0].certificate, "tls/a.pem");
	assert_string_equal(config->tls.certificates[0].key, "/etc/a.key");
	assert_string_equal(config->store.url, "postgresql://u@h/d");
	assert_int_equal(config->store.connections, 7);
	assert_true(config->limits.message_size == 3 << 20);
	assert_int_equal(config->limits.exempt_count, 0);
	assert_int_equal(config->limits.idle_timeout_s, 45 * 60);
	assert_int_equal(config->limits.command_timeout_s, 90);
	assert_int_equal(config->smtp.trusted_networks_count, 2);
	assert_string_equal(config->smtp.trusted_networks[1], "fd00::/8");
	assert_string_equal(config->smtp.recipient_separator, "");
	assert_false(config->smtp.require_sender_match);
	assert_string_equal(config->relay.smarthost_user, "quo\"te \\ and # more");
	assert_int_equal(config->retention.trace_days, 14);
}

/* The text above with a message size that is one. */
static struct config *load_whole(struct arena *arena)
{
	char text[sizeof(whole)];

	memcpy(text, whole, sizeof(whole));
	memcpy(strstr(text, "1.5"), "3MB", 3);
	return load(text, arena);
}

static void settings_arrive(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct config *config = load_whole(&arena);

	(void)state;
	assert_whole(config);
	config_free(config);
}

static void what_is_written_is_read(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct config *config = load_whole(&arena), *again;
	struct slice text, text_again;

	(void)state;
	assert_true(config_to_text(config, &arena, &text));
	again = load(slice_cstr(&arena, text), &arena);
	assert_whole(again);
	assert_true(config_to_text(again, &arena, &text_again));
	assert_true(slice_eq(text, text_again));
	config_free(config);
	config_free(again);
}

/* The listeners that nobody has given, too. */
static void defaults_are_written_as_they_are_read(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct config *config = load("", &arena), *again;
	struct slice text, text_again;

	(void)state;
	assert_true(config_to_text(config, &arena, &text));
	again = load(slice_cstr(&arena, text), &arena);
	assert_true(config_to_text(again, &arena, &text_again));
	assert_true(slice_eq(text, text_again));
	config_free(config);
	config_free(again);
}

/* The supervisor leaves out what isn't a role's affair. */
static void what_is_left_out_has_its_default(void **state)
{
	struct arena arena SCOPED_ARENA;
	struct config *config = load_whole(&arena), *again;
	struct config reduced = {.hostname = config->hostname, .listeners_count = 3};
	struct slice text;

	(void)state;
	assert_true(config_to_text(&reduced, &arena, &text));
	again = load(slice_cstr(&arena, text), &arena);
	assert_string_equal(again->hostname, "mail.example.test");
	assert_string_equal(again->store.url, "sqlite");
	assert_int_equal(again->listeners_count, 0);
	assert_int_equal(again->limits.recipients, 1000);
	assert_int_equal(again->limits.exempt_count, 0);
	config_free(config);
	config_free(again);
}

static void errors_name_line_and_what_is_allowed(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"limits:\n  recipients: abc\n",
		 "t.yaml:2: limits.recipients: \"abc\" is not a number; allowed is 1 to 100000"},
		{"limits:\n  recipients: 0\n", "t.yaml:2: limits.recipients: \"0\" is too small; allowed is 1 to 100000"},
		{"\nlimits: {recipients: 100001}\n",
		 "t.yaml:2: limits.recipients: \"100001\" is too large; allowed is 1 to 100000"},
		{"limits:\n  message_size: 50XB\n",
		 "t.yaml:2: limits.message_size: \"50XB\" is not a size such as 500KB, 50MB or 1GB; allowed is 1KB to 1GB"},
		{"limits:\n  idle_timeout: 5x\n",
		 "t.yaml:2: limits.idle_timeout: \"5x\" is not a duration such as 30s, 5m, 4h or 5d; allowed is 1m to 7d"},
		{"limits:\n  idle_timeout: 1s\n", "t.yaml:2: limits.idle_timeout: \"1s\" is too small; allowed is 1m to 7d"},
		{"log:\n  level: loud\n",
		 "t.yaml:2: log.level: \"loud\" is not known here; allowed is debug, info, warning or error"},
		{"smtp:\n  require_sender_match: maybe\n",
		 "t.yaml:2: smtp.require_sender_match: \"maybe\" is neither true nor false; allowed is true or false"},
		{"limits:\n  recipient: 5\n",
		 "t.yaml:2: limits: there is no setting \"recipient\"; did you mean \"recipients\"?"},
		{"log:\n  colour: red\n", "t.yaml:2: log: there is no setting \"colour\"; allowed here: level, format"},
		{"limit:\n  recipients: 5\n", "t.yaml:1: there is no setting \"limit\"; did you mean \"limits\"?"},
		{"frobnicate: 1\n", "t.yaml:1: there is no setting \"frobnicate\"; allowed here: hostname, data, user, "
				    "listeners, tls, store, log, search, "
				    "local, metrics, limits, smtp, relay, dns, auth, rates, delay, sending, ban, greylist, screen, imap, pop3, retention"},
		{"data: a\nuser: b\ndata: c\n", "t.yaml:3: data: this stands twice, first in line 1"},
		{"listeners:\n  - address: ':25'\n", "t.yaml:2: listeners: this entry lacks \"protocol\""},
		{"listeners:\n  - address: ':25'\n    protocol: pop2\n",
		 "t.yaml:3: listeners: \"pop2\" is not known here; allowed is smtp, submission, submissions, lmtp, local, imap, imaps, pop3 or pop3s"},
		{"listeners:\n  - address: 25\n",
		 "t.yaml:2: listeners: \"25\" is not of the right form; allowed is ADDRESS:PORT, [IPV6]:PORT, :PORT or unix:/PATH"},
		{"listeners:\n  - {address: 'unix:/run/x', protocol: lmtp, mode: 999}\n",
		 "t.yaml:2: listeners: \"999\" is not of the right form; allowed is three or four octal digits"},
		{"smtp:\n  local_senders: ['www-data']\n",
		 "t.yaml:2: smtp.local_senders: \"www-data\" is not of the right form; allowed is USER:ADDRESS, USER:@DOMAIN or "
		 "USER:*"},
		{"listeners:\n  - port: 25\n",
		 "t.yaml:2: listeners: there is no \"port\" in an entry; allowed here: address, protocol, proxy, mode, group, tls, auth, screen, relay, hostname, message_size, recipients"},
		{"listeners:\n  - ':25'\n",
		 "t.yaml:2: listeners: an entry with these keys is wanted here: address, protocol, proxy, mode, group, tls, auth, screen, relay, hostname, message_size, recipients"},
		{"listeners: ':25'\n",
		 "t.yaml:1: listeners: a list is wanted here: lines that begin with \"- \", or [one, two]"},
		{"smtp:\n  trusted_networks: [10.0.0.0/8,\n   10.0.0.0/33]\n",
		 "t.yaml:3: smtp.trusted_networks: \"10.0.0.0/33\" is not of the right form; allowed is networks such as "
		 "192.0.2.0/24 or 2001:db8::/32"},
		{"data: [a, b]\n", "t.yaml:1: data: one value is wanted here, not several"},
		{"data: &a b\nuser: *a\n", "t.yaml:2: aliases (*name) are not allowed; write the value here"},
		{"limits: 5\n", "t.yaml:1: limits: settings are wanted here, indented, one to a line: NAME: VALUE"},
		{"- a\n", "t.yaml:1: settings are wanted here, one to a line: NAME: VALUE"},
		{"data: a\n---\ndata: b\n", "t.yaml:2: a second document (\"---\") is not allowed"},
		{"data: a\n user: b\n", "t.yaml:2: this is not valid YAML: mapping values are not allowed in this context; "
					"look at indentation, colons and "
					"quotes"},
		{"data: \"a\\nb\"\n", "t.yaml:1: data: \"a\nb\" has control characters in it; allowed is a folder"},
		{"relay:\n  retry: 5m,later\n",
		 "t.yaml:2: relay.retry: \"5m,later\" is not of the right form; allowed is durations such as 5m,10m,1h"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena arena SCOPED_ARENA;
		struct error error = {0};

		assert_null(config_load_text(slice_from_cstr(cases[i].text), "t.yaml", &arena, &error));
		assert_int_equal(error.status, STATUS_PEER);
		assert_string_equal(slice_cstr(&arena, error.text), cases[i].error);
	}
}

static void forms_of_values(void **state)
{
	static const struct {
		const char *line;
		bool valid;
	} cases[] = {
		{"hostname: a", true},
		{"hostname: mail.example.org", true},
		{"hostname: -a.org", false},
		{"hostname: a..org", false},
		{"hostname: a.org.", false},
		{"hostname: 'a b'", false},
		{"store: {url: mysql}", false},
		{"ban: {traps: [Old.User@example.org]}", true},
		{"ban: {traps: ['@example.org']}", false},
		{"ban: {traps: [user]}", false},
		{"sending: {alert_to: Postmaster}", true},
		{"sending: {alert_to: admin@example.org}", true},
		{"sending: {alert_to: admin}", false},
		{"store: {url: 'postgres://x'}", true},
		{"dns: {forwarders: ['127.0.0.1@5353', '::1']}", true},
		{"dns: {forwarders: ['127.0.0.1@']}", false},
		{"dns: {forwarders: [localhost]}", false},
		{"relay: {smarthost: 'a.test:587'}", true},
		{"relay: {smarthost: 'a.test:'}", false},
		{"relay: {smarthost: 'a.test:65536'}", false},
		{"relay: {port: 0}", false},
		{"relay: {source_address: 'fe80::1'}", true},
		{"relay: {destinations: [{domain: a.test, source_address: 192.0.2.1, source_address_ipv6: '::1', hello_name: x.test}]}", true},
		{"relay: {destinations: [{domain: a.test, source_address: ''}]}", true},
		{"relay: {destinations: [{domain: a.test, source_address: x.test}]}", false},
		{"relay: {destinations: [{domain: a.test, hello_name: 'a b'}]}", false},
		{"relay: {expire: 5}", false},
		{"search: {converters: [{types: 'application/pdf  .pdf', command: '/usr/bin/pdftotext - -'}]}", true},
		{"search: {converters: [{types: .rtf, command: 'internal:rtf'}]}", true},
		{"search: {converters: []}", true},
		{"search: {converters: [{types: .rtf, command: 'internal:pdf'}]}", false},
		{"search: {converters: [{types: .rtf, command: 'unrtf'}]}", false},
		{"search: {converters: [{types: rtf, command: /bin/unrtf}]}", false},
		{"search: {converters: [{types: text/, command: /bin/unrtf}]}", false},
		{"search: {converters: [{types: ' ', command: /bin/unrtf}]}", false},
		{"smtp: {recipient_separator: '++'}", false},
		{"limits: {exempt: ['1.2.3.4', '::/0']}", true},
		{"limits: {exempt: ['1.2.3']}", false},
		{"limits: {exempt: ['']}", false},
		{"limits: {message_size: 99999999999999999999GB}", false},
		{"limits: {idle_timeout: 99999999999999999d}", false},
		{"limits: {idle_timeout: 18446744073709552000}", false},
		{"user: 'root;'", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena arena SCOPED_ARENA;
		struct error error = {0};
		struct config *config = config_load_text(slice_from_cstr(cases[i].line), "t.yaml", &arena, &error);

		if (!!config != cases[i].valid)
			fail_msg("%s: %.*s", cases[i].line, SLICE_ARG(error.text));
		config_free(config);
	}
}

static void durations_and_sizes(void **state)
{
	struct slice rest = SLICE("5m,10m, 1h");
	int64_t ms;
	uint64_t bytes;

	(void)state;
	assert_true(config_duration(SLICE("30s"), &ms) && ms == 30000);
	assert_true(config_duration(SLICE("5d"), &ms) && ms == INT64_C(432000000));
	assert_false(config_duration(SLICE("5"), &ms));
	assert_false(config_duration(SLICE("-5s"), &ms));
	assert_false(config_duration(SLICE("9223372036854775807d"), &ms));
	assert_true(config_next_duration(&rest, &ms) && ms == 300000);
	assert_true(config_next_duration(&rest, &ms) && ms == 600000);
	assert_true(config_next_duration(&rest, &ms) && ms == 3600000);
	assert_false(config_next_duration(&rest, &ms));
	assert_true(config_size(SLICE("5G"), &bytes) && bytes == UINT64_C(5) << 30);
	assert_true(config_size(SLICE("10 kb"), &bytes) && bytes == 10240);
	assert_false(config_size(SLICE("G"), &bytes));
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void a_file_gives_paths_from_its_folder(void **state)
{
	struct arena arena SCOPED_ARENA;
	char folder[] = "/tmp/posthorn-config-XXXXXX", expected[128];
	struct error error = {0};
	struct config *config;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	assert_null(config_load_file("posthorn.yaml", &arena, &error));
	assert_int_equal(error.status, STATUS_NOT_FOUND);
	assert_true(slice_find(error.text, SLICE("posthorn setup")) != SLICE_NOT_FOUND);
	write_file("posthorn.yaml", "data: here\nlisteners:\n  - {address: ':1', protocol: imaps}\n");
	assert_null(config_load_file("posthorn.yaml", &arena, &error));
	assert_true(slice_starts_with(error.text, SLICE("posthorn.yaml:2: listeners: imaps needs a certificate")));
	write_file("posthorn.yaml", "data: here\nlisteners:\n  - {address: ':1', protocol: smtp}\n");
	config = config_load_file("posthorn.yaml", &arena, &error);
	assert_non_null(config);
	snprintf(expected, sizeof(expected), "%s/here", folder);
	assert_string_equal(config->data, expected);
	snprintf(expected, sizeof(expected), "sqlite:%s/here/auth/auth.db", folder);
	assert_true(slice_eq(config_credential_url(config, &arena), slice_from_cstr(expected)));
	config->store.url = slice_cstr(&arena, SLICE("postgresql://u@h/d"));
	assert_true(slice_eq(config_store_url(config, &arena), SLICE("postgresql://u@h/d")));
	config_free(config);
	unlink("posthorn.yaml");
	rmdir(folder);
}

static void settings_fit_together(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"listeners:\n  - {address: ':1', protocol: smtp}\n  - {address: ':1', protocol: smtp}\n",
		 "f.yaml:1: listeners: :1 is there twice"},
		{"listeners: [{address: 'unix:/run/x', protocol: smtp}]\n",
		 "f.yaml:1: listeners: unix:/run/x is for lmtp and local only; give this protocol an address and a port"},
		{"listeners: [{address: ':1', protocol: local}]\n",
		 "f.yaml:1: listeners: :1 can't tell who its peers are; give local a Unix socket, as unix:/run/posthorn/local.sock"},
		{"log: {level: info}\nlisteners: [{address: ':1', protocol: smtp, proxy: true}]\n",
		 "f.yaml:2: listeners: :1 has proxy: true, but limits.proxy_from names no proxy; name those that are believed"},
		{"listeners: [{address: ':1', protocol: imap, screen: false}]\n",
		 "f.yaml:1: listeners: imap takes no mail from other hosts: tls, auth, screen, relay, hostname, message_size and recipients are "
		 "not for it"},
		{"listeners: [{address: ':1', protocol: smtp, tls: required}]\n",
		 "f.yaml:1: listeners: :1 requires TLS, which needs a certificate; name one in tls.certificates"},
		{"tls: {certificates: [{certificate: c, key: k}]}\nlisteners: [{address: ':1', protocol: submissions, tls: off}]\n",
		 "f.yaml:2: listeners: :1 begins with TLS: it can't be off there; use submission"},
		{"listeners: [{address: ':1', protocol: lmtp, message_size: 51MB}]\n",
		 "f.yaml:1: listeners: :1 can't take larger messages than limits.message_size; raise that"},
		{"", "f.yaml:1: listeners: submissions needs a certificate; name one in tls.certificates, or list other "
		     "listeners only"},
		{"listeners: []\nrelay:\n  smarthost_user: u\n",
		 "f.yaml:3: relay.smarthost_user: there is no relay.smarthost; name it, or leave the user out"},
		{"listeners: []\nrelay:\n  smarthost: a.test\n  smarthost_user: u\n",
		 "f.yaml:4: relay.smarthost_user: the password is missing; put it into a file and name that in "
		 "relay.smarthost_password_file"},
		{"listeners: []\nrelay: {smarthost: a.test, smarthost_user: u, smarthost_password_file: p, smarthost_tls: "
		 "none}\n",
		 "f.yaml:2: relay.smarthost_tls: a password is never sent without TLS; allowed with relay.smarthost_user is "
		 "required or opportunistic"},
	};
	char folder[] = "/tmp/posthorn-config-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena arena SCOPED_ARENA;
		struct error error = {0};

		write_file("f.yaml", cases[i].text);
		assert_null(config_load_file("f.yaml", &arena, &error));
		assert_string_equal(slice_cstr(&arena, error.text), cases[i].error);
	}
	unlink("f.yaml");
	rmdir(folder);
}

static void the_documentation_names_every_setting(void **state)
{
	struct buf text SCOPED_BUF;
	struct buf page SCOPED_BUF;

	(void)state;
	config_document(&text, CONFIG_AS_TEXT);
	config_document(&page, CONFIG_AS_MAN_PAGE);
	assert_true(slice_find(buf_slice(&text), SLICE("limits.recipients  (number, 1 to 100000; default 1000)\n    ")) !=
		    SLICE_NOT_FOUND);
	assert_true(slice_find(buf_slice(&page), SLICE(".B retention.trace\n")) != SLICE_NOT_FOUND);
}

static void assert_holds(const char *path, enum config_document_form form)
{
	static char page[256 * 1024];
	FILE *file = fopen(path, "r");
	struct buf expected SCOPED_BUF;

	assert_non_null(file);
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	config_document(&expected, form);
	if (slice_find(slice_from_cstr(page), buf_slice(&expected)) == SLICE_NOT_FOUND)
		fail_msg("%s is out of date; run tools/update-docs.sh", path);
}

static void the_pages_are_current(void **state)
{
	(void)state;
	assert_holds(DOCS "/man/posthorn.yaml.5", CONFIG_AS_MAN_PAGE);
	assert_holds(DOCS "/settings.md", CONFIG_AS_MARKDOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_text_gives_the_defaults),
		cmocka_unit_test(settings_arrive),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(defaults_are_written_as_they_are_read),
		cmocka_unit_test(what_is_left_out_has_its_default),
		cmocka_unit_test(errors_name_line_and_what_is_allowed),
		cmocka_unit_test(forms_of_values),
		cmocka_unit_test(durations_and_sizes),
		cmocka_unit_test(a_file_gives_paths_from_its_folder),
		cmocka_unit_test(settings_fit_together),
		cmocka_unit_test(the_documentation_names_every_setting),
		cmocka_unit_test(the_pages_are_current),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
