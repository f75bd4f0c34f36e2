/* harness: IMAP sessions over socket pairs, served by a thread as the engine would, on a SQLite store in a temporary folder, or on the
 * PostgreSQL server that POSTHORN_TEST_POSTGRESQL names; the auth role is played by a few lines. Clients send and read in the test's
 * own thread. */
#pragma once

#include "imap/imap.h"
#include "store/store.h"

#define HARNESS_SESSIONS 4
#define HARNESS_USER     "alice@example.test"
#define HARNESS_PASSWORD "secret" /* also bob's and carol's */

struct harness;

struct harness *harness_new(void);
void harness_free(struct harness *h);
struct store *harness_store(struct harness *h);
int64_t harness_account(struct harness *h);
struct imap_context *harness_context(struct harness *h); /* to be changed before the first session */
/* Before the first session: the listener has a certificate (see fake_conn.c for what TLS is here). */
void harness_offer_tls(struct harness *h);
/* What a command of the sessions to come may take of memory; 0: the usual. */
void harness_limit_command(struct harness *h, size_t bytes);
/* What the engine would tell a parked session. */
void harness_event(struct harness *h, int number, enum event_kind kind);
/* The store's statement of that number from now on fails (1: the next; 0: none does). */
void harness_set_fault(struct harness *h, int statements);
/* How many are left until then. */
int harness_until_fault(struct harness *h);
/* As another process would. */
void harness_execute(struct harness *h, const char *sql);

/* Opens session `number` (from 0); its greeting is still to be read. */
void harness_connect(struct harness *h, int number);
void harness_disconnect(struct harness *h, int number);
/* `drip`: a byte at a time, each only when the last has been taken. */
void harness_send(struct harness *h, int number, struct slice bytes, bool drip);
/* One line without its CRLF, valid until the next call. False: the connection was closed, or nothing came for five seconds. */
bool harness_read_line(struct harness *h, int number, struct slice *line);
/* All there is, up to and with a line that begins with `tag`; the bytes read are counted. */
size_t harness_read_until(struct harness *h, int number, struct slice tag);
/* As another role would: a message into INBOX, and the announcement. */
void harness_deliver(struct harness *h, struct slice message);
