/* Loading: examine the text (errors with lines), let libcyaml load it as text values, put those into the struct. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/config.h"
#include "config/examine.h"
#include "config/schema.h"
#include "config/value.h"

#define FILE_MAX (1024 * 1024)

/* A config owns its memory. */
struct owner {
	struct arena arena;
	struct config config;
};

struct loading {
	struct owner *owner;
	struct slice folder;
	const struct examination *examination;
	const struct raw *root; /* NULL: an empty document */
};

void config_free(struct config *config)
{
	struct owner *owner;

	if (!config)
		return;
	owner = (struct owner *)((char *)config - offsetof(struct owner, config));
	arena_free(&owner->arena);
	free(owner);
}

/* ---- values into the struct ---- */

static void store_list(struct loading *l, const struct setting *setting, char **items, unsigned count)
{
	char *base = (char *)&l->owner->config;
	char **copies = ARENA_ARRAY(&l->owner->arena, char *, count + 1);

	for (unsigned i = 0; i < count; i++)
		copies[i] = slice_cstr(&l->owner->arena, slice_from_cstr(items[i]));
	memcpy(base + setting->offset, &copies, sizeof(copies));
	memcpy(base + setting->count_offset, &count, sizeof(count));
}

static void store_default_list(struct loading *l, const struct setting *setting)
{
	struct slice rest = slice_from_cstr(setting->default_text);
	char *items[8];
	unsigned count = 0;

	while (rest.len && count < 8)
		items[count++] = slice_cstr(&l->owner->arena, slice_trim(slice_cut(&rest, ',')));
	store_list(l, setting, items, count);
}

static void store_record(struct loading *l, const struct setting *setting, char *const *texts, void *record)
{
	for (size_t i = 0; i < setting->field_count; i++) {
		const struct setting *field = &setting->fields[i];
		const char *text = texts[i] && (texts[i][0] || field->kind == SETTING_TEXT) ? texts[i] : field->default_text;

		value_store(field, record, slice_from_cstr(text), l->folder, &l->owner->arena);
	}
}

static void store_records(struct loading *l, const struct setting *setting, char *const *texts, unsigned count)
{
	char *base = (char *)&l->owner->config;
	char *records = arena_alloc_array(&l->owner->arena, count + 1, setting->record_size);

	for (unsigned i = 0; i < count; i++)
		store_record(l, setting, texts + i * setting->field_count, records + i * setting->record_size);
	memcpy(base + setting->offset, &records, sizeof(records));
	memcpy(base + setting->count_offset, &count, sizeof(count));
}

static void store_setting(struct loading *l, size_t index)
{
	const struct setting *setting = &settings[index];
	bool given = l->root && l->examination->given[index];
	const struct raw *raw = given ? schema_get(l->root, index) : NULL;

	if (setting->kind == SETTING_RECORDS)
		store_records(l, setting, raw ? raw->data : NULL, raw ? raw->count : 0);
	else if (setting->kind == SETTING_LIST && raw)
		store_list(l, setting, raw->data, raw->count);
	else if (setting->kind == SETTING_LIST)
		store_default_list(l, setting);
	else if (raw || setting->default_text)
		value_store(setting, &l->owner->config, slice_from_cstr(raw ? raw->data : setting->default_text), l->folder,
			    &l->owner->arena);
}

/* ---- defaults that aren't constant ---- */

static void default_listeners(struct config *config, struct arena *arena)
{
	static const char *const defaults[][2] = {
		{":25", "smtp"}, {":587", "submission"}, {":465", "submissions"}, {":143", "imap"}, {":993", "imaps"},
		{":110", "pop3"}, {":995", "pop3s"}, {CONFIG_LOCAL_LISTENER, "local"}};

	config->listeners_count = sizeof(defaults) / sizeof(defaults[0]);
	config->listeners = ARENA_ARRAY(arena, struct config_listener, config->listeners_count);
	for (unsigned i = 0; i < config->listeners_count; i++) {
		config->listeners[i].address = slice_cstr(arena, slice_from_cstr(defaults[i][0]));
		config->listeners[i].protocol = slice_cstr(arena, slice_from_cstr(defaults[i][1]));
		/* As one that was given has them. */
		config->listeners[i].mode = config->listeners[i].group = slice_cstr(arena, SLICE_EMPTY);
		config->listeners[i].hostname = config->listeners[i].mode;
		config->listeners[i].tls = slice_cstr(arena, SLICE("offered"));
		config->listeners[i].auth = slice_cstr(arena, SLICE("usual"));
		config->listeners[i].screen = config->listeners[i].relay = true;
	}
}

static void default_converters(struct config *config, struct arena *arena)
{
#define OPEN_XML "application/vnd.openxmlformats-officedocument."
#define MACROS	 ".macroenabled.12"
#define OASIS	 "application/vnd.oasis.opendocument."
	static const struct config_converter defaults[] = {
		{(char *)"application/pdf application/x-pdf .pdf", (char *)"/usr/bin/pdftotext -q -enc UTF-8 -nopgbrk - -"},
		{(char *)OPEN_XML "wordprocessingml.document " OPEN_XML "wordprocessingml.template application/vnd.ms-word.document" MACROS
				  " " OPEN_XML "spreadsheetml.sheet " OPEN_XML "spreadsheetml.template application/vnd.ms-excel.sheet" MACROS
				  " " OPEN_XML "presentationml.presentation " OPEN_XML "presentationml.slideshow " OPEN_XML
				  "presentationml.template application/vnd.ms-powerpoint.presentation" MACROS " " OASIS "text " OASIS
				  "text-template " OASIS "spreadsheet " OASIS "spreadsheet-template " OASIS "presentation " OASIS
				  "presentation-template " OASIS "graphics application/epub+zip"
				  " .docx .docm .dotx .xlsx .xlsm .xltx .pptx .pptm .ppsx .potx .odt .ott .ods .ots .odp .otp .odg .epub",
		 (char *)"internal:office"},
		{(char *)"application/rtf text/rtf application/x-rtf .rtf", (char *)"internal:rtf"},
		{(char *)"application/msword .doc .dot", (char *)"/usr/bin/catdoc -w -d utf-8"},
		{(char *)"application/vnd.ms-excel .xls .xlt", (char *)"/usr/bin/xls2csv -d utf-8 /dev/stdin"},
		{(char *)"application/vnd.ms-powerpoint .ppt .pps", (char *)"/usr/bin/catppt -d utf-8 /dev/stdin"},
	};

	config->search.converters_count = sizeof(defaults) / sizeof(defaults[0]);
	config->search.converters = ARENA_ARRAY(arena, struct config_converter, config->search.converters_count);
	memcpy(config->search.converters, defaults, sizeof(defaults));
}

static bool is_given(const struct loading *l, struct slice section, struct slice key)
{
	return l->root && l->examination->given[setting_find(section, key) - settings];
}

static void fill_defaults(struct loading *l)
{
	struct config *config = &l->owner->config;
	char name[256] = "localhost";

	if (!is_given(l, SLICE_EMPTY, SLICE("listeners")))
		default_listeners(config, &l->owner->arena);
	if (!is_given(l, SLICE("search"), SLICE("converters")))
		default_converters(config, &l->owner->arena);
	if (!config->hostname) {
		gethostname(name, sizeof(name) - 1);
		config->hostname = slice_cstr(&l->owner->arena, slice_from_cstr(name));
	}
}

/* ---- the text ---- */

static const cyaml_config_t cyaml_settings = {
	.log_level = CYAML_LOG_ERROR,
	.mem_fn = cyaml_mem,
	.flags = CYAML_CFG_NO_ALIAS,
};

static struct config *load(struct slice text, const char *name, struct slice folder, struct arena *arena,
			   struct examination *examination, struct error *error)
{
	const cyaml_schema_value_t *schema = schema_new(arena);
	struct loading l = {.folder = folder, .examination = examination};
	cyaml_data_t *root = NULL;
	cyaml_err_t failed;

	if (!examine(text, name, arena, examination, error))
		return NULL;
	failed = examination->is_empty
			 ? CYAML_OK
			 : cyaml_load_data((const uint8_t *)text.data, text.len, &cyaml_settings, schema, &root, NULL);
	if (failed) {
		error_set(error, arena, STATUS_PEER, "%s: %s", name, cyaml_strerror(failed));
		return NULL;
	}
	l.root = root;
	l.owner = calloc(1, sizeof(*l.owner));
	if (!l.owner)
		abort();
	for (size_t i = 0; i < setting_count; i++)
		store_setting(&l, i);
	fill_defaults(&l);
	if (root)
		cyaml_free(&cyaml_settings, schema, root, 0);
	return &l.owner->config;
}

struct config *config_load_text(struct slice text, const char *name, struct arena *arena, struct error *error)
{
	struct examination examination;

	return load(text, name, SLICE_EMPTY, arena, &examination, error);
}

/* ---- a file ---- */

static bool read_all(int fd, struct buf *out)
{
	ssize_t got;

	do {
		char *to = buf_reserve(out, 16384);

		got = to ? read(fd, to, 16384) : -1;
		if (got > 0)
			buf_advance(out, (size_t)got);
	} while (got > 0);
	return got == 0;
}

static enum status read_file(const char *path, struct arena *arena, struct slice *text, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf out;
	bool ok;

	if (fd < 0 && errno == ENOENT)
		return error_set(error, arena, STATUS_NOT_FOUND,
				 "%s does not exist; make one with `posthorn setup`, or name another with --config FILE", path);
	if (fd < 0)
		return error_set(error, arena, STATUS_REFUSED, "%s can't be read: %s", path, strerror(errno));
	buf_init(&out, arena, FILE_MAX);
	ok = read_all(fd, &out);
	close(fd);
	*text = buf_slice(&out);
	return ok ? STATUS_OK : error_set(error, arena, STATUS_REFUSED, "%s can't be read, or is larger than 1 MB", path);
}

static struct slice folder_of(const char *path, struct arena *arena)
{
	char *whole = realpath(path, NULL);
	struct slice folder = slice_dup(arena, slice_from_cstr(whole));

	free(whole);
	return slice_sub(folder, 0, slice_find_last_byte(folder, '/'));
}

/* ---- what settings say to each other ---- */

struct fitting {
	const struct config *config;
	const char *path;
	const struct examination *examination;
	struct arena *arena;
	struct error *error;
};

/* Always false. Line 1 where the setting isn't given. */
static bool unfit(const struct fitting *f, const char *name, const char *what, const char *advice)
{
	struct slice key = slice_from_cstr(name), section = slice_cut(&key, '.');
	const struct setting *setting = key.len ? setting_find(section, key) : setting_find(SLICE_EMPTY, section);
	unsigned line = setting ? f->examination->lines[setting - settings] : 0;

	error_set(f->error, f->arena, STATUS_PEER, "%s:%u: %s: %s%s", f->path, line ? line : 1, name, what, advice);
	return false;
}

static bool is_unix(const struct config_listener *listener)
{
	return slice_starts_with(slice_from_cstr(listener->address), SLICE("unix:"));
}

static bool is_there_twice(const struct config *config, unsigned index)
{
	for (unsigned i = 0; i < index; i++) {
		if (strcmp(config->listeners[i].address, config->listeners[index].address) == 0)
			return true;
	}
	return false;
}

static bool takes_mail(struct slice protocol)
{
	return slice_eq(protocol, SLICE("smtp")) || slice_eq(protocol, SLICE("lmtp")) ||
	       slice_starts_with(protocol, SLICE("submission"));
}

/* What only those who take mail understand. */
static bool policy_fits(const struct fitting *f, const struct config_listener *listener)
{
	bool has_policy = strcmp(listener->tls, "offered") != 0 || strcmp(listener->auth, "usual") != 0 || !listener->screen ||
			  !listener->relay || listener->hostname[0] || listener->message_size || listener->recipients;

	if (has_policy && !takes_mail(slice_from_cstr(listener->protocol)))
		return unfit(f, "listeners", listener->protocol,
			     " takes no mail from other hosts: tls, auth, screen, relay, hostname, message_size and recipients are not for it");
	if (strcmp(listener->tls, "required") == 0 && f->config->tls.certificates_count == 0)
		return unfit(f, "listeners", listener->address, " requires TLS, which needs a certificate; name one in tls.certificates");
	if (strcmp(listener->tls, "off") == 0 && strcmp(listener->protocol, "submissions") == 0)
		return unfit(f, "listeners", listener->address, " begins with TLS: it can't be off there; use submission");
	if (listener->message_size > f->config->limits.message_size)
		return unfit(f, "listeners", listener->address, " can't take larger messages than limits.message_size; raise that");
	return true;
}

static bool listener_fits(const struct fitting *f, unsigned index)
{
	const struct config *config = f->config;
	const struct config_listener *listener = &config->listeners[index];
	struct slice protocol = slice_from_cstr(listener->protocol);

	if (config->tls.certificates_count == 0 &&
	    (slice_eq(protocol, SLICE("imaps")) || slice_eq(protocol, SLICE("pop3s")) || slice_eq(protocol, SLICE("submissions"))))
		return unfit(f, "listeners", listener->protocol,
			     " needs a certificate; name one in tls.certificates, or list other listeners only");
	if (is_unix(listener) && !slice_eq(protocol, SLICE("lmtp")) && !slice_eq(protocol, SLICE("local")))
		return unfit(f, "listeners", listener->address,
			     " is for lmtp and local only; give this protocol an address and a port");
	if (!is_unix(listener) && slice_eq(protocol, SLICE("local")))
		return unfit(f, "listeners", listener->address,
			     " can't tell who its peers are; give local a Unix socket, as unix:/run/posthorn/local.sock");
	if (is_there_twice(config, index))
		return unfit(f, "listeners", listener->address, " is there twice");
	if (!policy_fits(f, listener))
		return false;
	if (listener->proxy && config->limits.proxy_from_count == 0)
		return unfit(f, "listeners", listener->address,
			     " has proxy: true, but limits.proxy_from names no proxy; name those that are believed");
	return true;
}

static bool limits_fit(const struct fitting *f)
{
	uint64_t memory = f->config->limits.message_memory;

	return memory == 0 || memory >= f->config->limits.message_size ||
	       unfit(f, "limits.message_memory", "less than limits.message_size", ": such a message would never come in; raise it");
}

static bool smarthost_fits(const struct fitting *f)
{
	const struct config *config = f->config;

	if (!config->relay.smarthost_user)
		return true;
	if (!config->relay.smarthost)
		return unfit(f, "relay.smarthost_user", "there is no relay.smarthost", "; name it, or leave the user out");
	if (!config->relay.smarthost_password_file)
		return unfit(f, "relay.smarthost_user", "the password is missing",
			     "; put it into a file and name that in relay.smarthost_password_file");
	if (strcmp(config->relay.smarthost_tls, "none") == 0)
		return unfit(f, "relay.smarthost_tls", "a password is never sent without TLS",
			     "; allowed with relay.smarthost_user is required or opportunistic");
	return true;
}

static bool fits_together(const struct fitting *f)
{
	for (unsigned i = 0; i < f->config->listeners_count; i++) {
		if (!listener_fits(f, i))
			return false;
	}
	return limits_fit(f) && smarthost_fits(f);
}

struct config *config_load_file(const char *path, struct arena *arena, struct error *error)
{
	struct examination examination;
	struct fitting fitting;
	struct config *config;
	struct slice text;

	if (read_file(path, arena, &text, error) != STATUS_OK)
		return NULL;
	config = load(text, path, folder_of(path, arena), arena, &examination, error);
	fitting = (struct fitting){config, path, &examination, arena, error};
	if (config && !fits_together(&fitting)) {
		config_free(config);
		return NULL;
	}
	return config;
}
