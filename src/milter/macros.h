/* macros: what a milter is told beside the commands: values by the names that Sendmail gave them, and which are told at which step: what
 * Postfix and Sendmail tell if nothing is said, or what the milter has chosen. Pure.
 */
#pragma once

#include "milter/wire.h"

enum milter_macro {
	MACRO_HOSTNAME, /* j */
	MACRO_PEER,     /* _: "client.example.org [192.0.2.1]" */
	MACRO_PRODUCT,  /* v */
	MACRO_QUEUE_ID, /* i */
	MACRO_HELO,     /* s */
	MACRO_PROTOCOL, /* r */
	MACRO_DAEMON_NAME,
	MACRO_DAEMON_ADDR,
	MACRO_DAEMON_PORT,
	MACRO_IF_NAME,
	MACRO_IF_ADDR,
	MACRO_CLIENT_NAME,
	MACRO_CLIENT_PTR,
	MACRO_CLIENT_ADDR,
	MACRO_CLIENT_PORT,
	MACRO_CLIENT_RESOLVE,
	MACRO_CLIENT_CONNECTIONS,
	MACRO_TLS_VERSION,
	MACRO_CIPHER,
	MACRO_CIPHER_BITS,
	MACRO_CERT_SUBJECT,
	MACRO_CERT_ISSUER,
	MACRO_AUTH_TYPE,
	MACRO_AUTH_AUTHEN,
	MACRO_AUTH_AUTHOR,
	MACRO_AUTH_SSF,
	MACRO_MAIL_ADDR,
	MACRO_MAIL_HOST,
	MACRO_MAIL_MAILER,
	MACRO_SENDER, /* f */
	MACRO_RCPT_ADDR,
	MACRO_RCPT_HOST,
	MACRO_RCPT_MAILER,
	MACRO_NRCPTS,
	MACRO_NBYTES,
	MACRO_MSG_ID,
	MACRO_COUNT,
};
_Static_assert(MACRO_COUNT <= 64, "sets of macros are 64-bit words");

/* Numbers of the steps as a milter chooses macros for them. */
enum milter_step {
	MILTER_STEP_CONNECT,
	MILTER_STEP_HELO,
	MILTER_STEP_MAIL,
	MILTER_STEP_RCPT,
	MILTER_STEP_DATA,
	MILTER_STEP_BODY_END,
	MILTER_STEP_HEADER_END,
	MILTER_STEP_COUNT,
};

/* Empty: it has no value now, and isn't told. */
struct milter_macros {
	struct slice values[MACRO_COUNT];
};
/* All empty. */
void milter_macros_clear(struct milter_macros *macros);

/* Bits 1 << enum milter_macro, for each step. */
struct milter_macro_sets {
	uint64_t sets[MILTER_STEP_COUNT];
};
void milter_macro_sets_default(struct milter_macro_sets *sets);
/* "i, {mail_addr} {auth_type}": names that we don't know are passed over. */
uint64_t milter_macro_set_parse(struct slice names);
/* Which steps' macros a command is told with; MILTER_STEP_COUNT: none. */
enum milter_step milter_step_of(enum milter_command command);
/* A packet for `command`, if there is a value in the set. */
void milter_macros_write(struct buf *out, enum milter_command command, uint64_t set, const struct milter_macros *macros);
