#include "milter/macros.h"

static const char *const names[MACRO_COUNT] = {
	[MACRO_HOSTNAME] = "j",
	[MACRO_PEER] = "_",
	[MACRO_PRODUCT] = "v",
	[MACRO_QUEUE_ID] = "i",
	[MACRO_HELO] = "s",
	[MACRO_PROTOCOL] = "r",
	[MACRO_DAEMON_NAME] = "{daemon_name}",
	[MACRO_DAEMON_ADDR] = "{daemon_addr}",
	[MACRO_DAEMON_PORT] = "{daemon_port}",
	[MACRO_IF_NAME] = "{if_name}",
	[MACRO_IF_ADDR] = "{if_addr}",
	[MACRO_CLIENT_NAME] = "{client_name}",
	[MACRO_CLIENT_PTR] = "{client_ptr}",
	[MACRO_CLIENT_ADDR] = "{client_addr}",
	[MACRO_CLIENT_PORT] = "{client_port}",
	[MACRO_CLIENT_RESOLVE] = "{client_resolve}",
	[MACRO_CLIENT_CONNECTIONS] = "{client_connections}",
	[MACRO_TLS_VERSION] = "{tls_version}",
	[MACRO_CIPHER] = "{cipher}",
	[MACRO_CIPHER_BITS] = "{cipher_bits}",
	[MACRO_CERT_SUBJECT] = "{cert_subject}",
	[MACRO_CERT_ISSUER] = "{cert_issuer}",
	[MACRO_AUTH_TYPE] = "{auth_type}",
	[MACRO_AUTH_AUTHEN] = "{auth_authen}",
	[MACRO_AUTH_AUTHOR] = "{auth_author}",
	[MACRO_AUTH_SSF] = "{auth_ssf}",
	[MACRO_MAIL_ADDR] = "{mail_addr}",
	[MACRO_MAIL_HOST] = "{mail_host}",
	[MACRO_MAIL_MAILER] = "{mail_mailer}",
	[MACRO_SENDER] = "f",
	[MACRO_RCPT_ADDR] = "{rcpt_addr}",
	[MACRO_RCPT_HOST] = "{rcpt_host}",
	[MACRO_RCPT_MAILER] = "{rcpt_mailer}",
	[MACRO_NRCPTS] = "{nrcpts}",
	[MACRO_NBYTES] = "{nbytes}",
	[MACRO_MSG_ID] = "{msg_id}",
};

void milter_macros_clear(struct milter_macros *macros)
{
	for (size_t i = 0; i < MACRO_COUNT; i++)
		macros->values[i] = SLICE_EMPTY;
}

#define M(macro) (UINT64_C(1) << MACRO_##macro)

void milter_macro_sets_default(struct milter_macro_sets *sets)
{
	*sets = (struct milter_macro_sets){{
		[MILTER_STEP_CONNECT] = M(HOSTNAME) | M(PEER) | M(PRODUCT) | M(DAEMON_NAME) | M(DAEMON_ADDR) | M(DAEMON_PORT) |
					M(IF_NAME) | M(IF_ADDR) | M(CLIENT_NAME) | M(CLIENT_PTR) | M(CLIENT_ADDR) |
					M(CLIENT_PORT) | M(CLIENT_RESOLVE) | M(CLIENT_CONNECTIONS),
		[MILTER_STEP_HELO] = M(TLS_VERSION) | M(CIPHER) | M(CIPHER_BITS) | M(CERT_SUBJECT) | M(CERT_ISSUER),
		[MILTER_STEP_MAIL] = M(QUEUE_ID) | M(AUTH_TYPE) | M(AUTH_AUTHEN) | M(AUTH_AUTHOR) | M(AUTH_SSF) | M(MAIL_ADDR) |
				     M(MAIL_HOST) | M(MAIL_MAILER),
		[MILTER_STEP_RCPT] = M(QUEUE_ID) | M(RCPT_ADDR) | M(RCPT_HOST) | M(RCPT_MAILER),
		[MILTER_STEP_DATA] = M(QUEUE_ID),
		[MILTER_STEP_HEADER_END] = M(QUEUE_ID),
		[MILTER_STEP_BODY_END] = M(QUEUE_ID) | M(MSG_ID) | M(NBYTES),
	}};
}

/* "{i}" and "i" are the same. */
static struct slice bare(struct slice name)
{
	return name.len > 2 && name.data[0] == '{' && name.data[name.len - 1] == '}' ? slice_sub(name, 1, name.len - 1) : name;
}

uint64_t milter_macro_set_parse(struct slice list)
{
	uint64_t set = 0;

	while (list.len > 0) {
		size_t len = 0;

		while (len < list.len && list.data[len] != ' ' && list.data[len] != ',' && list.data[len] != '\t')
			len++;
		struct slice name = bare(slice_sub(list, 0, len));

		for (unsigned i = 0; i < MACRO_COUNT; i++)
			if (slice_eq(name, bare(slice_from_cstr(names[i]))))
				set |= UINT64_C(1) << i;
		list = slice_skip(list, len + 1);
	}
	return set;
}

enum milter_step milter_step_of(enum milter_command command)
{
	switch (command) {
	case MILTER_CONNECT:
		return MILTER_STEP_CONNECT;
	case MILTER_HELO:
		return MILTER_STEP_HELO;
	case MILTER_MAIL:
		return MILTER_STEP_MAIL;
	case MILTER_RCPT:
		return MILTER_STEP_RCPT;
	case MILTER_DATA:
		return MILTER_STEP_DATA;
	case MILTER_HEADER_END:
		return MILTER_STEP_HEADER_END;
	case MILTER_BODY_END:
		return MILTER_STEP_BODY_END;
	default:
		return MILTER_STEP_COUNT;
	}
}

void milter_macros_write(struct buf *out, enum milter_command command, uint64_t set, const struct milter_macros *macros)
{
	size_t begun = out->len, empty;

	begun = milter_packet_begin(out, MILTER_MACRO);
	buf_add_byte(out, (char)command);
	empty = out->len;
	for (unsigned i = 0; i < MACRO_COUNT; i++) {
		if (!(set & UINT64_C(1) << i) || macros->values[i].len == 0)
			continue;
		milter_put_text(out, slice_from_cstr(names[i]));
		milter_put_text(out, macros->values[i]);
	}
	if (out->len == empty)
		out->len = begun;
	else
		milter_packet_end(out, begun);
}
