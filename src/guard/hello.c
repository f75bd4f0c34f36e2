#include "guard/hello.h"

#include "net/conn.h"

#define NAME_MAX_LENGTH  255
#define LABEL_MAX_LENGTH 63

static bool is_label_byte(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_' || (c & 0x80);
}

static bool is_label(struct slice label)
{
	if (label.len == 0 || label.len > LABEL_MAX_LENGTH || label.data[0] == '-' || label.data[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++)
		if (!is_label_byte(label.data[i]))
			return false;
	return true;
}

/* An address without its brackets is no name. */
static bool is_number(struct slice label)
{
	for (size_t i = 0; i < label.len; i++)
		if (!ascii_is_digit(label.data[i]))
			return false;
	return true;
}

static bool is_full_name(struct slice name)
{
	struct slice label = SLICE_EMPTY;
	unsigned labels = 0;

	if (slice_ends_with(name, SLICE(".")) || name.len > NAME_MAX_LENGTH)
		return false;
	for (; name.len > 0; labels++) {
		label = slice_cut(&name, '.');
		if (!is_label(label))
			return false;
	}
	return labels > 1 && !is_number(label);
}

static bool is_literal(struct slice hello)
{
	struct slice inside = slice_sub(hello, 1, hello.len - 1);
	struct net_address address;

	if (hello.len < 3 || !slice_ends_with(hello, SLICE("]")))
		return false;
	if (slice_starts_with_nocase(inside, SLICE("IPv6:")))
		return net_address_parse(slice_skip(inside, 5), &address);
	return net_address_parse(inside, &address) && address.family == AF_INET;
}

bool hello_is_well_formed(struct slice hello)
{
	return slice_starts_with(hello, SLICE("[")) ? is_literal(hello) : is_full_name(hello);
}
