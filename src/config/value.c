#include "config/value.h"

#include "config/config.h"

#define DAY_MS UINT64_C(86400000)

/* ---- what is allowed, in words ---- */

static void add_scaled(struct buf *out, uint64_t value, const uint64_t *factors, const char *const *names, size_t count)
{
	size_t i = 0;

	while (i + 1 < count && (value == 0 || value % factors[i] != 0))
		i++;
	buf_add_u64(out, value / factors[i]);
	buf_add(out, slice_from_cstr(names[i]));
}

static void add_size(struct buf *out, uint64_t bytes)
{
	static const uint64_t factors[] = {1 << 30, 1 << 20, 1 << 10, 1};
	static const char *const names[] = {"GB", "MB", "KB", ""};

	add_scaled(out, bytes, factors, names, 4);
}

static void add_duration(struct buf *out, uint64_t ms)
{
	static const uint64_t factors[] = {86400000, 3600000, 60000, 1000};
	static const char *const names[] = {"d", "h", "m", "s"};

	add_scaled(out, ms, factors, names, 4);
}

/* "a, b or c" of "a|b|c" */
static void add_choices(struct buf *out, const char *choices)
{
	struct slice rest = slice_from_cstr(choices);

	while (rest.len) {
		buf_add(out, slice_cut(&rest, '|'));
		if (rest.len)
			buf_add(out, slice_find_byte(rest, '|') == SLICE_NOT_FOUND ? SLICE(" or ") : SLICE(", "));
	}
}

static void add_range(struct buf *out, const struct setting *setting, void (*add)(struct buf *, uint64_t))
{
	add(out, setting->min);
	buf_add_literal(out, " to ");
	add(out, setting->max);
}

void value_allowed(const struct setting *setting, struct buf *out)
{
	switch (setting->kind) {
	case SETTING_CHOICE:
		add_choices(out, setting->allowed);
		return;
	case SETTING_BOOL:
		buf_add_literal(out, "true or false");
		return;
	case SETTING_NUMBER:
		add_range(out, setting, buf_add_u64);
		return;
	case SETTING_SIZE:
		add_range(out, setting, add_size);
		return;
	case SETTING_DURATION:
		add_range(out, setting, add_duration);
		return;
	default:
		buf_add(out, setting->allowed ? slice_from_cstr(setting->allowed) : SLICE("text"));
	}
}

/* ---- text to value ---- */

static bool is_choice(const char *choices, struct slice text)
{
	struct slice rest = slice_from_cstr(choices);

	while (rest.len) {
		if (slice_eq(slice_cut(&rest, '|'), text))
			return true;
	}
	return false;
}

static bool parse_bool(struct slice text, bool *value)
{
	static const char *const truths[] = {"true", "yes", "on"}, *const lies[] = {"false", "no", "off"};

	for (int i = 0; i < 3; i++) {
		*value = slice_eq_nocase(text, slice_from_cstr(truths[i]));
		if (*value || slice_eq_nocase(text, slice_from_cstr(lies[i])))
			return true;
	}
	return false;
}

/* In the unit of min and max. A duration without a unit counts what the field counts. */
static bool parse_number(const struct setting *setting, struct slice text, uint64_t *value)
{
	int64_t ms;

	if (setting->kind == SETTING_SIZE)
		return config_size(text, value);
	if (!slice_to_u64(text, UINT64_MAX, value)) {
		if (setting->kind != SETTING_DURATION || !config_duration(text, &ms))
			return false;
		*value = (uint64_t)ms;
		return true;
	}
	return setting->kind != SETTING_DURATION || !__builtin_mul_overflow(*value, setting->scale, value);
}

static const char *fault_of(const struct setting *setting, struct slice text)
{
	uint64_t number;
	bool truth;

	switch (setting->kind) {
	case SETTING_NUMBER:
	case SETTING_SIZE:
	case SETTING_DURATION:
		if (!parse_number(setting, text, &number))
			return setting->kind == SETTING_NUMBER ? "is not a number"
			       : setting->kind == SETTING_SIZE ? "is not a size such as 500KB, 50MB or 1GB"
							       : "is not a duration such as 30s, 5m, 4h or 5d";
		return number < setting->min ? "is too small" : number > setting->max ? "is too large" : NULL;
	case SETTING_BOOL:
		return parse_bool(text, &truth) ? NULL : "is neither true nor false";
	case SETTING_CHOICE:
		return is_choice(setting->allowed, text) ? NULL : "is not known here";
	case SETTING_PATH:
		return text.len ? NULL : "is empty";
	default:
		return setting->check && !setting->check(text) ? "is not of the right form" : NULL;
	}
}

static bool has_control_characters(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return true;
	}
	return false;
}

bool value_check(const struct setting *setting, struct slice text, struct arena *arena, struct slice *why)
{
	const char *fault = has_control_characters(text) ? "has control characters in it" : fault_of(setting, text);
	struct buf out;

	if (!fault)
		return true;
	buf_init(&out, arena, 0);
	buf_printf(&out, "\"%.*s\" %s; allowed is ", text.len > 60 ? 60 : (int)text.len, text.data, fault);
	value_allowed(setting, &out);
	*why = buf_slice(&out);
	return false;
}

static void store_number(void *to, size_t size, uint64_t value)
{
	if (size == sizeof(uint64_t))
		memcpy(to, &value, size);
	else
		*(unsigned *)to = (unsigned)value;
}

static char *path_from(struct slice folder, struct slice path, struct arena *arena)
{
	const struct slice parts[] = {folder, SLICE("/"), path};

	if (folder.len == 0 || slice_starts_with(path, SLICE("/")))
		return slice_cstr(arena, path);
	return slice_cstr(arena, slice_join(arena, parts, 3));
}

void value_store(const struct setting *setting, void *base, struct slice text, struct slice folder, struct arena *arena)
{
	void *to = (char *)base + setting->offset;
	uint64_t number;

	switch (setting->kind) {
	case SETTING_BOOL:
		if (!parse_bool(text, to))
			*(bool *)to = false;
		return;
	case SETTING_NUMBER:
	case SETTING_SIZE:
	case SETTING_DURATION:
		if (parse_number(setting, text, &number))
			store_number(to, setting->size, number / setting->scale);
		return;
	case SETTING_PATH:
		*(char **)to = path_from(folder, text, arena);
		return;
	default:
		*(char **)to = slice_cstr(arena, text);
	}
}

/* ---- value to text ---- */

static bool number_text(const struct setting *setting, const void *from, struct buf *out)
{
	uint64_t value = setting->size == sizeof(uint64_t) ? *(const uint64_t *)from : *(const unsigned *)from;

	if (__builtin_mul_overflow(value, setting->scale, &value) || value < setting->min || value > setting->max)
		return false;
	if (setting->kind == SETTING_NUMBER)
		buf_add_u64(out, value);
	else if (setting->kind == SETTING_SIZE)
		add_size(out, value);
	else
		add_duration(out, value);
	return true;
}

bool value_text(const struct setting *setting, const void *base, struct buf *out)
{
	const void *from = (const char *)base + setting->offset;
	const char *text;

	switch (setting->kind) {
	case SETTING_BOOL:
		buf_add(out, *(const bool *)from ? SLICE("true") : SLICE("false"));
		return true;
	case SETTING_NUMBER:
	case SETTING_SIZE:
	case SETTING_DURATION:
		return number_text(setting, from, out);
	default:
		text = *(char *const *)from;
		buf_add(out, slice_from_cstr(text));
		return text != NULL;
	}
}
