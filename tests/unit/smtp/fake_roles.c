#include "fake_roles.h"

#include "auth/auth.h"
#include "ipc/ipc.h"

struct fake_roles fake_roles;

void fake_roles_reset(void)
{
	arena_free(&fake_roles.arena);
	fake_roles = (struct fake_roles){0};
}

static struct deliver_verdict verdict(enum status status, unsigned code, const char *enhanced, const char *text)
{
	return (struct deliver_verdict){status, code, slice_from_cstr(enhanced), slice_from_cstr(text)};
}

static struct deliver_verdict temporary(void)
{
	return verdict(STATUS_TEMPORARY, 451, "4.3.0", "Temporary trouble");
}

struct deliver_verdict deliver_check_sender(struct ipc *ipc, struct arena *arena, const struct deliver_sender *sender)
{
	(void)ipc;
	(void)arena;
	if (sender->address.len > 0 && !slice_eq(sender->address, sender->login))
		return verdict(STATUS_REFUSED, 553, "5.7.1", "Not yours");
	return verdict(STATUS_OK, 250, "2.1.0", "Ok");
}

struct deliver_verdict deliver_check_recipient(struct ipc *ipc, struct arena *arena, const struct deliver_sender *sender,
					       struct slice recipient, uint64_t size)
{
	(void)ipc;
	(void)arena;
	(void)size;
	fake_roles.recipients_checked++;
	if (slice_starts_with(recipient, SLICE("unknown@")))
		return verdict(STATUS_NOT_FOUND, 550, "5.1.1", "No such user here");
	if (slice_starts_with(recipient, SLICE("full@")))
		return verdict(STATUS_LIMIT, 452, "4.2.2", "Mailbox full");
	if (slice_starts_with(recipient, SLICE("temp@")))
		return temporary();
	if (!slice_ends_with(recipient, SLICE("@example.test")) && !slice_eq(recipient, SLICE("postmaster")) &&
	    !sender->may_relay)
		return verdict(STATUS_REFUSED, 550, "5.7.1", "Relaying denied");
	return verdict(STATUS_OK, 250, "2.1.5", "Ok");
}

enum status deliver_look_up(struct ipc *ipc, struct arena *arena, struct slice address, struct deliver_who *who)
{
	(void)ipc;
	*who = (struct deliver_who){.kind = DIRECTORY_UNKNOWN};
	if (slice_starts_with(address, SLICE("temp@")))
		return STATUS_TEMPORARY;
	if (slice_starts_with(address, SLICE("many@")))
		return STATUS_LIMIT;
	if (slice_eq(address, SLICE("alice@example.test"))) {
		*who = (struct deliver_who){.kind = DIRECTORY_ACCOUNT, .account = 7};
	} else if (slice_eq(address, SLICE("all@example.test"))) {
		*who = (struct deliver_who){.kind = DIRECTORY_ALIAS, .targets = ARENA_ARRAY(arena, struct slice, 2), .target_count = 2};
		who->targets[0] = SLICE("alice@example.test");
		who->targets[1] = SLICE("j\xc3\xb6rg@elsewhere.test");
	} else if (!slice_ends_with(address, SLICE("@example.test"))) {
		who->kind = DIRECTORY_NOT_LOCAL;
	}
	return STATUS_OK;
}

static struct slice list_recipients(const struct deliver_envelope *envelope)
{
	struct buf out;

	buf_init(&out, &fake_roles.arena, 0);
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		const struct deliver_recipient *recipient = &envelope->recipients[i];

		buf_add(&out, i ? SLICE(",") : SLICE_EMPTY);
		buf_add(&out, recipient->address);
		if (recipient->original.len > 0) {
			buf_add_byte(&out, ' ');
			buf_add(&out, recipient->original);
		}
		if (recipient->notify)
			buf_printf(&out, " %u", recipient->notify);
	}
	return buf_slice(&out);
}

static struct slice read_body(struct slice bytes, int fd)
{
	struct ipc_body body;
	struct slice copy = SLICE_EMPTY;

	if (bytes.data)
		return slice_dup(&fake_roles.arena, bytes);
	if (ipc_body_map(fd, 100 << 20, &body)) {
		copy = slice_dup(&fake_roles.arena, body.bytes);
		ipc_body_unmap(&body);
	}
	return copy;
}

struct deliver_verdict deliver_message(struct ipc *ipc, struct arena *arena, const struct deliver_envelope *envelope,
				       struct slice bytes, int fd)
{
	struct fake_message *message = &fake_roles.last;

	(void)ipc;
	(void)arena;
	if (fake_roles.counts_only) {
		fake_roles.messages++;
		return verdict(STATUS_OK, 250, "2.0.0", "Ok");
	}
	arena_reset(&fake_roles.arena);
	*message = (struct fake_message){
		.sender = slice_dup(&fake_roles.arena, envelope->sender.address),
		.recipients = list_recipients(envelope),
		.body = read_body(bytes, fd),
		.queue_id = slice_dup(&fake_roles.arena, envelope->queue_id),
		.envelope_id = slice_dup(&fake_roles.arena, envelope->envelope_id),
		.by_memfd = fd >= 0,
		.dsn_return = envelope->dsn_return,
		.requires_tls = envelope->requires_tls,
		.needs_utf8 = envelope->needs_utf8,
		.body_8bit = envelope->body_8bit,
		.account = envelope->sender.account,
	};
	if (fake_roles.brought)
		fake_roles.brought(message);
	if (slice_find(message->body, SLICE("FAIL")) != SLICE_NOT_FOUND)
		return temporary();
	if (slice_find(message->body, SLICE("QUOTA")) != SLICE_NOT_FOUND)
		return verdict(STATUS_LIMIT, 452, "4.2.2", "Mailbox full");
	fake_roles.messages++;
	return verdict(STATUS_OK, 250, "2.0.0", "Ok");
}

/* Whoever is called late@ has got a full mailbox meanwhile. */
void deliver_message_to_each(struct ipc *ipc, struct arena *arena, const struct deliver_envelope *envelope, struct slice bytes,
			     int fd, struct deliver_verdict *verdicts)
{
	struct deliver_verdict whole = deliver_message(ipc, arena, envelope, bytes, fd);

	for (size_t i = 0; i < envelope->recipient_count; i++)
		verdicts[i] = slice_starts_with(envelope->recipients[i].address, SLICE("late@"))
				      ? verdict(STATUS_LIMIT, 452, "4.2.2", "Mailbox full")
				      : whole;
}

/* ---- auth ---- */

enum { LOGIN_USER = 1, LOGIN_PASSWORD, SCRAM_FINAL };

static struct auth_reply outcome(enum auth_outcome outcome)
{
	return (struct auth_reply){.outcome = outcome,
				   .challenge = SLICE_EMPTY,
				   .account = outcome == AUTH_ACCEPTED ? 7 : 0,
				   .address = outcome == AUTH_ACCEPTED ? SLICE("alice@example.test") : SLICE_EMPTY};
}

static struct auth_reply ask(uint64_t exchange, struct slice challenge)
{
	return (struct auth_reply){
		.outcome = AUTH_CONTINUE, .exchange = exchange, .challenge = challenge, .address = SLICE_EMPTY};
}

static struct auth_reply plain(struct slice response)
{
	if (slice_starts_with(response, SLICE("\0locked\0")))
		return outcome(AUTH_LOCKED_OUT);
	if (slice_starts_with(response, SLICE("\0down\0")))
		return outcome(AUTH_UNAVAILABLE);
	if (slice_find_byte(response, '\0') == SLICE_NOT_FOUND)
		return outcome(AUTH_MALFORMED);
	return outcome(slice_eq(response, SLICE("\0alice\0secret")) ? AUTH_ACCEPTED : AUTH_REFUSED);
}

struct auth_reply auth_begin(struct ipc *ipc, struct arena *arena, const struct auth_peer *peer, struct slice mechanism,
			     const struct slice *initial)
{
	(void)ipc;
	(void)arena;
	if (slice_eq_nocase(mechanism, SLICE("PLAIN")))
		return initial ? plain(*initial) : ask(0, SLICE_EMPTY);
	if (slice_eq_nocase(mechanism, SLICE("LOGIN")))
		return ask(LOGIN_USER, SLICE("Username:"));
	/* What the connection can be bound by is told for -PLUS, and lest somebody took that out of the offer. */
	if (peer->is_tls != slice_eq(peer->binding_exporter, SLICE("exported")))
		return outcome(AUTH_UNAVAILABLE);
	return ask(SCRAM_FINAL, SLICE("server-first"));
}

struct auth_reply auth_step(struct ipc *ipc, struct arena *arena, uint64_t exchange, struct slice response)
{
	struct auth_reply accepted = outcome(AUTH_ACCEPTED);

	(void)ipc;
	(void)arena;
	switch (exchange) {
	case LOGIN_USER:
		return slice_eq(response, SLICE("alice")) ? ask(LOGIN_PASSWORD, SLICE("Password:")) : outcome(AUTH_REFUSED);
	case LOGIN_PASSWORD:
		return outcome(slice_eq(response, SLICE("secret")) ? AUTH_ACCEPTED : AUTH_REFUSED);
	case SCRAM_FINAL:
		accepted.challenge = SLICE("server-final");
		return slice_eq(response, SLICE("client-final")) ? accepted : outcome(AUTH_REFUSED);
	}
	return plain(response);
}

void auth_cancel(struct ipc *ipc, uint64_t exchange)
{
	(void)ipc;
	(void)exchange;
	fake_roles.cancelled++;
}
