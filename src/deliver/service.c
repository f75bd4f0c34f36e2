/* Nothing that a request says is believed before it is checked again: the role that sent it holds sockets. What only it can know (who
 * has authenticated, whether a peer is trusted) it must be believed. */
#include "deliver/service.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "deliver/author.h"
#include "deliver/directory_cache.h"
#include "deliver/expand.h"
#include "deliver/fill.h"
#include "deliver/notice.h"
#include "deliver/policy.h"
#include "deliver/unix_users.h"
#include "deliver/verdict.h"
#include "deliver/wire.h"
#include "mime/address.h"
#include "store/email.h"
#include "store/queue.h"

#define MESSAGE_SIZE_DEFAULT (50 * 1024 * 1024)
/* What the smtp role may make of a message of the largest size: fields before it, and base64 of what was binary. */
#define GROWN_MAX(size) ((size) + (size) / 2 + 64 * 1024)

struct deliver_service {
	struct deliver_service_options options;
	struct store *store;
	struct ipc *ipc;
	const struct log *log;
	struct directory_cache *cache;
	struct policy *policy;
	struct unix_users users;
};

/* One message on its way. */
struct work {
	struct deliver_service *service;
	struct arena *arena;
	struct deliver_envelope envelope;
	struct slice bytes;
	bool again;
	struct expansion expansion;
	bool was_routed;
	struct envelope_timing timing; /* the envelope's, and what is the house's habit */
	struct notices notices;        /* what its sender wants to hear */
	enum verdict_id *verdicts; /* one for each recipient, if the envelope wants them; else NULL */
};

struct deliver_service *deliver_service_new(const struct deliver_service_options *options, struct store *store, struct ipc *ipc,
					    const struct log *log)
{
	struct deliver_service *service = calloc(1, sizeof(*service));

	if (!service)
		abort();
	*service = (struct deliver_service){.options = *options, .store = store, .ipc = ipc, .log = log};
	if (service->options.max_message_size == 0)
		service->options.max_message_size = MESSAGE_SIZE_DEFAULT;
	service->cache = directory_cache_new(store, options->details.separator);
	service->users = (struct unix_users){ipc, options->unix_domains};
	service->policy = policy_new(&(struct policy_options){options->smarthost, options->srs}, store);
	return service;
}

void deliver_service_free(struct deliver_service *service)
{
	if (!service)
		return;
	directory_cache_free(service->cache);
	policy_free(service->policy);
	free(service);
}

void deliver_service_directory_changed(struct deliver_service *service)
{
	directory_cache_drop(service->cache);
	policy_drop(service->policy);
}

static enum status look_up(void *context, struct arena *arena, struct slice address, struct directory_entry *entry)
{
	struct deliver_service *service = context;
	struct slice original;

	/* A bounce of what was forwarded goes to who sent it. */
	switch (policy_original_sender(service->policy, arena, address, &original)) {
	case STATUS_OK:
		*entry = (struct directory_entry){
			.kind = DIRECTORY_ALIAS, .targets = ARENA_NEW(arena, struct slice), .target_count = 1};
		entry->targets[0] = original;
		return STATUS_OK;
	case STATUS_NOT_FOUND:
		if (directory_cache_look_up(service->cache, arena, address, entry) != STATUS_OK)
			return STATUS_TEMPORARY;
		return unix_users_look_up(&service->users, arena, address, entry);
	default:
		return STATUS_TEMPORARY;
	}
}

static enum status find_folder(void *context, struct arena *arena, const struct account *account, struct slice address,
			       int64_t sender, struct slice *folder)
{
	const struct deliver_service *service = context;

	return detail_folder(service->store, arena, &service->options.details, account, address, sender, folder);
}

static void begin_expansion(struct deliver_service *service, struct arena *arena, struct expansion *expansion)
{
	expansion_init(expansion, arena, look_up, service);
	expansion->find_folder = find_folder;
	expansion->has_local = service->options.has_local;
	if (service->options.max_expansion > 0)
		expansion->max_visits = service->options.max_expansion;
}

static bool normalise(struct arena *arena, struct slice text, struct slice *address)
{
	struct email_address parsed;
	struct buf out;

	if (!email_address_parse(arena, text, &parsed))
		return false;
	buf_init(&out, arena, 0);
	email_address_format(&out, &parsed);
	*address = buf_slice(&out);
	return buf_ok(&out);
}

/* ---- postmasters ---- */

static bool is_somebody(struct deliver_service *service, struct arena *arena, struct slice address)
{
	struct directory_entry entry;

	return look_up(service, arena, address, &entry) == STATUS_OK &&
	       (entry.kind == DIRECTORY_ACCOUNT || entry.kind == DIRECTORY_ALIAS);
}

static struct slice postmaster_at(struct arena *arena, struct slice domain)
{
	return slice_join(arena, (const struct slice[]){SLICE("postmaster@"), domain}, 2);
}

/* RFC 5321 section 4.5.1: the postmaster of this host, or of the first domain here that has one. */
static struct slice find_postmaster(struct deliver_service *service, struct arena *arena)
{
	struct slice here = postmaster_at(arena, service->options.hostname), *domains;
	size_t count;

	if (is_somebody(service, arena, here) || directory_list_domains(service->store, arena, &domains, &count) != STATUS_OK)
		return here;
	for (size_t i = 0; i < count; i++) {
		struct slice address = postmaster_at(arena, domains[i]);

		if (is_somebody(service, arena, address))
			return address;
	}
	return count > 0 ? postmaster_at(arena, domains[0]) : here;
}

/* Is it the postmaster of a domain here, or of one that stands for it, which names none? */
static bool lacks_postmaster(struct deliver_service *service, struct arena *arena, struct slice address)
{
	size_t at = slice_find_last_byte(address, '@');
	struct directory_entry entry;

	if (at == SLICE_NOT_FOUND || !slice_eq_nocase(slice_sub(address, 0, at), SLICE("postmaster")) ||
	    look_up(service, arena, address, &entry) != STATUS_OK)
		return false;
	if (entry.is_domain_alias && look_up(service, arena, entry.targets[0], &entry) != STATUS_OK)
		return false;
	return entry.kind == DIRECTORY_UNKNOWN;
}

/* As it stands after rewriting. */
static enum verdict_id recipient_address(struct deliver_service *service, struct arena *arena, struct slice text,
					 struct slice *address)
{
	if (slice_eq_nocase(text, SLICE("postmaster")))
		*address = find_postmaster(service, arena);
	else if (!normalise(arena, text, address))
		return VERDICT_BAD_RECIPIENT;
	else if (lacks_postmaster(service, arena, *address))
		*address = find_postmaster(service, arena);
	return policy_rewrite(service->policy, arena, RULE_REWRITE_RECIPIENT, address) == STATUS_OK ? VERDICT_RECIPIENT_OK
												    : VERDICT_TEMPORARY;
}

/* ---- the questions at MAIL and RCPT ---- */

static bool leads_to(const struct expansion *expansion, int64_t account)
{
	for (const struct expand_local *local = expansion->locals; local; local = local->next)
		if (local->account.id == account)
			return true;
	return false;
}

/* Through an alias, a detail or a catch-all it belongs to the login as well. */
static enum authorship whose_address(struct deliver_service *service, struct arena *arena, const struct deliver_sender *sender,
				     struct slice address)
{
	struct expansion expansion SCOPED_EXPANSION;
	struct deliver_recipient self = {.address = address};
	bool on_behalf;

	begin_expansion(service, arena, &expansion);
	enum expand_outcome outcome = expand(&expansion, &self);

	if (leads_to(&expansion, sender->account))
		return AUTHOR_OWN;
	if (outcome == EXPAND_TEMPORARY)
		return AUTHOR_UNKNOWN;
	switch (policy_may_send(service->policy, sender->login, address, &on_behalf)) {
	case STATUS_OK:
		return on_behalf ? AUTHOR_ON_BEHALF : AUTHOR_OWN;
	case STATUS_NOT_FOUND:
		return AUTHOR_FOREIGN;
	default:
		return AUTHOR_UNKNOWN;
	}
}

/* RFC 6409 section 6.1 */
static enum verdict_id judge_sender(struct deliver_service *service, struct arena *arena, const struct deliver_sender *sender)
{
	struct slice address;

	if (sender->address.len == 0)
		return VERDICT_SENDER_OK;
	if (!normalise(arena, sender->address, &address))
		return VERDICT_BAD_SENDER;
	if (sender->account == 0 || !service->options.require_sender_match)
		return VERDICT_SENDER_OK;
	switch (whose_address(service, arena, sender, address)) {
	case AUTHOR_OWN:
	case AUTHOR_ON_BEHALF:
		return VERDICT_SENDER_OK;
	case AUTHOR_FOREIGN:
		return VERDICT_SENDER_NOT_OWNED;
	case AUTHOR_UNKNOWN:
		break;
	}
	return VERDICT_TEMPORARY;
}

/* For whom a list lets write to it. */
static struct slice sender_of(const struct deliver_sender *sender)
{
	return sender->address.data ? sender->address : SLICE_EMPTY;
}

/* What its domain takes, then where it leads. `size` 0: not known yet. */
static enum expand_outcome lead_on(struct deliver_service *service, struct expansion *expansion, struct deliver_recipient *recipient,
				   uint64_t size)
{
	uint64_t most;

	if (policy_message_size(service->policy, recipient->address, &most) != STATUS_OK)
		return EXPAND_TEMPORARY;
	return most > 0 && size > most ? EXPAND_LARGER_THAN_DOMAIN : expand(expansion, recipient);
}

static enum verdict_id judge_recipient(struct deliver_service *service, struct arena *arena,
				       const struct deliver_sender *sender, struct slice recipient, uint64_t size)
{
	struct expansion expansion SCOPED_EXPANSION;
	struct deliver_recipient single = {0};

	begin_expansion(service, arena, &expansion);
	expansion.size = size;
	expansion.may_relay = sender->may_relay;
	expansion.sender = sender_of(sender);
	expansion.sender_account = sender->account;
	enum verdict_id id = recipient_address(service, arena, recipient, &single.address);

	if (id != VERDICT_RECIPIENT_OK)
		return id;
	return verdict_of(lead_on(service, &expansion, &single, size));
}

/* ---- a message ---- */

static void log_dropped(const struct work *work)
{
	const struct expand_dropped *dropped;

	for (dropped = work->expansion.dropped; dropped; dropped = dropped->next)
		LOG_WARNING(work->service->log, "deliver.dead_alias", LOG_STR("id", work->envelope.queue_id),
			    LOG_STR("target", dropped->address),
			    LOG_CSTR("reason", dropped->why == EXPAND_DISABLED ? "disabled" : "no such user"));
}

/* A single recipient is told what is wrong with it; of several only the next RCPT can tell which. */
static enum verdict_id verdict_for_all(const struct work *work, enum expand_outcome outcome)
{
	enum verdict_id id = verdict_of(outcome);

	if (work->envelope.recipient_count > 1 && outcome != EXPAND_OVER_QUOTA && outcome != EXPAND_TEMPORARY)
		return VERDICT_RECIPIENT_CHANGED;
	return id;
}

/* One that gets nothing leaves nothing behind. */
static enum verdict_id route_one(struct work *work, struct deliver_recipient *recipient)
{
	enum verdict_id id = recipient_address(work->service, work->arena, recipient->address, &recipient->address);
	struct expand_mark mark = expansion_mark(&work->expansion);

	if (id != VERDICT_RECIPIENT_OK)
		return id;
	enum expand_outcome outcome = lead_on(work->service, &work->expansion, recipient, work->bytes.len);

	if (outcome == EXPAND_OK) {
		notices_add(&work->notices, recipient, work->expansion.own_locals, work->expansion.own_remotes);
		return VERDICT_RECIPIENT_OK;
	}
	expansion_return_to(&work->expansion, &mark);
	return work->verdicts ? verdict_of(outcome) : verdict_for_all(work, outcome);
}

/* What can't have its copy gets none, and nobody is told: but trouble that passes is waited for. */
static enum verdict_id add_copies_of(struct work *work, enum rule_kind kind, struct slice address)
{
	struct slice *targets;
	size_t count;

	if (policy_copies(work->service->policy, work->arena, kind, address, &targets, &count) != STATUS_OK)
		return VERDICT_TEMPORARY;
	for (size_t i = 0; i < count; i++) {
		struct deliver_recipient *copy = ARENA_NEW(work->arena, struct deliver_recipient);
		struct expand_mark mark = expansion_mark(&work->expansion);

		*copy = (struct deliver_recipient){targets[i], SLICE_EMPTY, NOTIFY_NEVER};
		enum expand_outcome outcome = expand(&work->expansion, copy);

		if (outcome == EXPAND_OK)
			continue;
		expansion_return_to(&work->expansion, &mark);
		if (outcome == EXPAND_TEMPORARY)
			return VERDICT_TEMPORARY;
		LOG_WARNING(work->service->log, "deliver.no_copy", LOG_STR("id", work->envelope.queue_id),
			    LOG_STR("to", targets[i]));
	}
	return VERDICT_MESSAGE_OK;
}

/* Copies go wherever the administrator says. */
static enum verdict_id add_copies(struct work *work, const struct deliver_recipient *recipients, size_t count)
{
	enum verdict_id id;

	work->expansion.may_relay = true;
	work->expansion.sender.data = NULL;
	id = add_copies_of(work, RULE_BCC_SENDER, work->envelope.sender.address);
	for (size_t i = 0; i < count && id == VERDICT_MESSAGE_OK; i++)
		if (!work->verdicts || work->verdicts[i] == VERDICT_RECIPIENT_OK)
			id = add_copies_of(work, RULE_BCC_RECIPIENT, recipients[i].address);
	return id;
}

static void begin_notices(struct work *work)
{
	work->notices = (struct notices){
		.arena = work->arena,
		.policy = work->service->policy,
		.look_up = look_up,
		.context = work->service,
		.hostname = work->service->options.hostname,
		.envelope = &work->envelope,
		.bytes = work->bytes,
		.waits = work->timing.release_ms > clock_wall_ms() || work->envelope.is_held,
	};
}

static enum verdict_id route(struct work *work)
{
	const struct deliver_sender *sender = &work->envelope.sender;
	size_t count = work->envelope.recipient_count, taken = 0;
	struct deliver_recipient *recipients = ARENA_ARRAY(work->arena, struct deliver_recipient, count);

	work->expansion.size = work->bytes.len;
	work->expansion.sender_account = sender->account;
	work->was_routed = true;
	begin_notices(work);
	for (size_t i = 0; i < count; i++) {
		recipients[i] = work->envelope.recipients[i];
		work->expansion.may_relay = sender->may_relay || recipients[i].is_added;
		work->expansion.sender = recipients[i].is_added ? (struct slice){NULL, 0} : sender_of(sender);
		enum verdict_id id = route_one(work, &recipients[i]);

		if (work->verdicts)
			work->verdicts[i] = id;
		else if (id != VERDICT_RECIPIENT_OK)
			return id;
		taken += id == VERDICT_RECIPIENT_OK;
	}
	return taken > 0 ? add_copies(work, recipients, count) : VERDICT_UNKNOWN_USER; /* each has its own verdict then */
}

/* After the commit: whoever watches these mailboxes, and the relay. */
static void announce(const struct work *work)
{
	struct buf accounts;

	if (work->expansion.local_count > 0) {
		buf_init(&accounts, work->arena, 0);
		pack_u32(&accounts, (uint32_t)work->expansion.local_count);
		for (const struct expand_local *local = work->expansion.locals; local; local = local->next)
			pack_u64(&accounts, (uint64_t)local->account.id);
		ipc_announce(work->service->ipc, SLICE("mailbox"), buf_slice(&accounts));
	}
	if (work->timing.release_ms > 0)
		ipc_announce(work->service->ipc, SLICE("queue"), SLICE("later"));
	else if (work->expansion.remote_count > 0)
		ipc_announce(work->service->ipc, SLICE("queue"), SLICE_EMPTY);
}

/* Payload: u32 count, u64 account ids. */
static void announce_notices(const struct work *work, const struct delivery *notice)
{
	struct buf accounts, payload;
	uint32_t count = 0;

	buf_init(&accounts, work->arena, 0);
	for (; notice; notice = notice->notice) {
		for (size_t i = 0; i < notice->target_count; i++, count++)
			pack_u64(&accounts, (uint64_t)notice->targets[i].account);
		if (notice->queue_count > 0)
			ipc_announce(work->service->ipc, SLICE("queue"), SLICE_EMPTY);
	}
	if (count == 0)
		return;
	buf_init(&payload, work->arena, 0);
	pack_u32(&payload, count);
	buf_add(&payload, buf_slice(&accounts));
	ipc_announce(work->service->ipc, SLICE("mailbox"), buf_slice(&payload));
}

/* RFC 8689 section 3: the field counts unless REQUIRETLS was asked for. Only what goes on to others needs to know. */
static enum tls_wish tls_wish(const struct work *work)
{
	size_t end = slice_find(work->bytes, SLICE("\r\n\r\n"));
	struct slice value;

	if (work->envelope.requires_tls)
		return TLS_WISH_REQUIRED;
	if (work->expansion.remote_count == 0 || end == SLICE_NOT_FOUND)
		return TLS_WISH_NONE;
	value = header_find(slice_sub(work->bytes, 0, end + 2), SLICE("TLS-Required"));
	return slice_eq_nocase(slice_trim(value), SLICE("No")) ? TLS_WISH_OPTIONAL : TLS_WISH_NONE;
}

/* STATUS_OK also if another try had been at it at the same time, and was quicker. */
static enum status commit(const struct work *work, struct slice sender, bool *in_doubt)
{
	const struct deliver_envelope *envelope = &work->envelope;
	struct delivery delivery = {
		.queue_id = envelope->queue_id,
		.sender = sender,
		.envelope_id = envelope->envelope_id,
		.dsn_return = envelope->dsn_return,
		.tls_wish = tls_wish(work),
		.needs_utf8 = envelope->needs_utf8,
		.body_8bit = envelope->body_8bit,
		.received_ms = clock_wall_ms(),
		.timing = work->timing,
		.is_held = envelope->is_held,
		.held_why = envelope->held_why,
		.bytes = work->bytes,
		.trace_from = envelope->trace_from,
		.all_or_nothing = true,
		.again = work->again,
	};

	const struct fill fill = {work->service->policy, work->arena, &work->expansion, work->envelope.forwarded_by};

	if (!fill_must_wait(&delivery))
		fill_targets(&fill, sender, &delivery);
	enum status status = fill_queue(&fill, &delivery);

	if (status == STATUS_OK)
		status = notices_make(&work->notices, &delivery);
	if (status == STATUS_OK)
		status = store_deliver(work->service->store, &delivery);
	if (status == STATUS_OK)
		announce_notices(work, delivery.notice);
	*in_doubt = delivery.in_doubt;
	return delivery.was_committed ? STATUS_OK : status;
}

static enum verdict_id route_and_commit(struct work *work, struct slice sender, bool *stale)
{
	enum verdict_id routed = route(work);
	bool in_doubt;

	*stale = false;
	if (routed != VERDICT_MESSAGE_OK)
		return routed;
	switch (commit(work, sender, &in_doubt)) {
	case STATUS_OK:
		announce(work);
		log_dropped(work);
		return VERDICT_MESSAGE_OK;
	case STATUS_LIMIT:
		return VERDICT_OVER_QUOTA;
	case STATUS_NOT_FOUND:
		*stale = true;
		return VERDICT_RECIPIENT_CHANGED;
	default:
		/* Our own bugs too: the sender keeps the message. */
		return in_doubt ? VERDICT_NONE : VERDICT_TEMPORARY;
	}
}

/* A second time with what the directory says now, if the cache knew an account that is gone. */
static enum verdict_id deliver_anew(struct work *work, struct slice sender)
{
	bool stale;
	enum verdict_id id = route_and_commit(work, sender, &stale);

	if (!stale)
		return id;
	directory_cache_drop(work->service->cache);
	expansion_free(&work->expansion);
	begin_expansion(work->service, work->arena, &work->expansion);
	return route_and_commit(work, sender, &stale);
}

/* The role that died over this message, or the database that went away, may have committed it; since then a quota may be full, or a recipient gone. */
static enum verdict_id deliver_again(struct work *work, struct slice sender)
{
	switch (store_was_delivered(work->service->store, work->envelope.queue_id)) {
	case STATUS_OK:
		if (route(work) == VERDICT_MESSAGE_OK)
			announce(work); /* which the other may not have come to */
		return VERDICT_MESSAGE_OK;
	case STATUS_NOT_FOUND:
		return deliver_anew(work, sender);
	default:
		return VERDICT_NONE;
	}
}

static enum authorship whose_author(void *context, struct slice text)
{
	const struct work *work = context;
	struct slice address;

	if (!normalise(work->arena, text, &address))
		return AUTHOR_FOREIGN;
	return whose_address(work->service, work->arena, &work->envelope.sender, address);
}

/* What users submit; the null sender's as well. */
static enum verdict_id judge_authors(struct work *work)
{
	const struct deliver_sender *sender = &work->envelope.sender;
	const struct author_check check = {
		.arena = work->arena,
		.whose = whose_author,
		.context = work,
		.login = sender->login,
		.refuses_foreign = work->service->options.require_from_match,
		.needs_utf8 = work->envelope.needs_utf8,
	};
	bool has_rights;

	if (sender->account == 0)
		return VERDICT_MESSAGE_OK;
	if (policy_has_rights(work->service->policy, &has_rights) != STATUS_OK)
		return VERDICT_TEMPORARY;
	return has_rights || check.refuses_foreign ? author_judge(&check, &work->bytes) : VERDICT_MESSAGE_OK;
}

static enum verdict_id judge_and_deliver(struct work *work)
{
	enum verdict_id id = judge_sender(work->service, work->arena, &work->envelope.sender);
	struct slice sender = SLICE_EMPTY;

	if (id != VERDICT_SENDER_OK)
		return id;
	id = judge_authors(work);
	if (id != VERDICT_MESSAGE_OK)
		return id;
	if (work->envelope.sender.address.len > 0 && !normalise(work->arena, work->envelope.sender.address, &sender))
		return VERDICT_BAD_SENDER;
	if (policy_rewrite(work->service->policy, work->arena, RULE_REWRITE_SENDER, &sender) != STATUS_OK)
		return VERDICT_TEMPORARY;
	return work->again ? deliver_again(work, sender) : deliver_anew(work, sender);
}

/* A message that is brought again may be committed already: trouble, wherever it shows, says nothing about that. */
static enum verdict_id deliver(struct work *work)
{
	enum verdict_id id = judge_and_deliver(work);

	return id == VERDICT_TEMPORARY && work->again ? VERDICT_NONE : id;
}

/* ---- requests ---- */

static enum status answer(struct buf *reply, enum verdict_id id)
{
	struct deliver_verdict verdict = verdict_make(id);

	deliver_pack_verdict(reply, &verdict);
	return STATUS_OK;
}

static enum status handle_sender(struct deliver_service *service, struct slice frame, struct arena *arena, struct buf *reply)
{
	struct unpack in = unpack_begin(frame);
	struct deliver_sender sender;

	deliver_unpack_sender(&in, &sender);
	return unpack_ok(&in) ? answer(reply, judge_sender(service, arena, &sender)) : STATUS_PEER;
}

static enum status handle_recipient(struct deliver_service *service, struct slice frame, struct arena *arena, struct buf *reply)
{
	struct unpack in = unpack_begin(frame);
	struct deliver_sender sender;
	struct slice recipient;
	uint64_t size;

	deliver_unpack_sender(&in, &sender);
	recipient = unpack_slice(&in);
	size = unpack_u64(&in);
	return unpack_ok(&in) ? answer(reply, judge_recipient(service, arena, &sender, recipient, size)) : STATUS_PEER;
}

/* As it was written down: rules that rewrite aren't looked at. */
static enum status handle_who(struct deliver_service *service, struct slice frame, struct arena *arena, struct buf *reply)
{
	struct deliver_who who = {.kind = DIRECTORY_UNKNOWN};
	struct unpack in = unpack_begin(frame);
	struct slice text = unpack_slice(&in), address;
	struct directory_entry entry;
	enum status status;

	if (!unpack_ok(&in))
		return STATUS_PEER;
	if (!normalise(arena, text, &address)) {
		deliver_pack_who(reply, &who);
		return STATUS_OK;
	}
	status = directory_look_up(service->store, arena, address, '\0', &entry);
	if (status != STATUS_OK)
		return status;
	if (!entry.is_catch_all && !entry.is_domain_alias)
		who.kind = entry.kind;
	if (who.kind == DIRECTORY_ACCOUNT && entry.account.enabled)
		who.account = entry.account.id;
	if (who.kind == DIRECTORY_ALIAS)
		who = (struct deliver_who){DIRECTORY_ALIAS, 0, entry.targets, entry.target_count};
	if (who.target_count > DELIVER_TARGETS_MAX)
		return STATUS_LIMIT;
	deliver_pack_who(reply, &who);
	return STATUS_OK;
}

/* Each has its own verdict; that of the whole is for those that nothing was wrong with. */
static enum status answer_each(struct buf *reply, const struct work *work, enum verdict_id whole)
{
	for (size_t i = 0; i < work->envelope.recipient_count; i++) {
		enum verdict_id id = work->verdicts[i];
		struct deliver_verdict verdict = verdict_make(id != VERDICT_RECIPIENT_OK && work->was_routed ? id : whole);

		deliver_pack_verdict(reply, &verdict);
	}
	return STATUS_OK;
}

/* For the verdict's label. */
static struct slice verdict_name(enum verdict_id id)
{
	if (id == VERDICT_NONE)
		return SLICE("temporary");
	switch (verdict_make(id).status) {
	case STATUS_OK:
		return SLICE("accepted");
	case STATUS_TEMPORARY:
		return SLICE("temporary");
	case STATUS_LIMIT:
		return SLICE("over-quota");
	case STATUS_NOT_FOUND:
		return SLICE("not-found");
	default:
		return SLICE("refused");
	}
}

static void count_message(const struct deliver_service *service, const struct work *work, enum verdict_id id, int64_t began_us)
{
	struct metrics *metrics = service->log->metrics;

	if (!metrics)
		return;
	metrics_add(metrics, METRIC_DELIVER_VERDICTS, metrics_label(METRIC_DELIVER_VERDICTS, verdict_name(id)), 1);
	metrics_add(metrics, METRIC_DELIVER_BYTES, 0, (int64_t)work->bytes.len);
	metrics_observe(metrics, METRIC_DELIVER_SECONDS, (uint64_t)(metrics_now_us(metrics) - began_us));
}

/* What an account submits can be taken back for a while, if it may wait so long. */
static struct envelope_timing timing_of(const struct deliver_service *service, const struct deliver_envelope *envelope)
{
	struct envelope_timing timing = envelope->timing;
	int64_t undo_until_ms = clock_wall_ms() + service->options.undo_ms;
	bool has_time = timing.by_mode == 0 || timing.by_ms > undo_until_ms;

	if (envelope->sender.account != 0 && service->options.undo_ms > 0 && timing.release_ms < undo_until_ms && has_time)
		timing.release_ms = undo_until_ms;
	return timing;
}

static enum status handle_message(struct deliver_service *service, struct ipc_request *request, struct arena *arena,
				  struct buf *reply)
{
	struct work work = {.service = service, .arena = arena};
	struct unpack in = unpack_begin(request->payload);
	struct ipc_body body = {.bytes = SLICE_EMPTY};

	deliver_unpack_envelope(&in, arena, &work.again, &work.envelope);
	work.bytes = request->fd < 0 ? unpack_slice(&in) : SLICE_EMPTY;
	work.timing = timing_of(service, &work.envelope);
	if (!unpack_ok(&in) || work.envelope.recipient_count == 0 || work.envelope.queue_id.len == 0)
		return STATUS_PEER;
	if (request->fd >= 0 && !ipc_body_map(request->fd, GROWN_MAX(service->options.max_message_size), &body)) {
		LOG_ERROR(service->log, "deliver.no_body", LOG_STR("id", work.envelope.queue_id));
		return answer(reply, VERDICT_TEMPORARY);
	}
	if (body.map)
		work.bytes = body.bytes;
	begin_expansion(service, arena, &work.expansion);
	if (work.envelope.each)
		work.verdicts = ARENA_ARRAY(arena, enum verdict_id, work.envelope.recipient_count);
	int64_t began_us = metrics_now_us(service->log->metrics);
	enum verdict_id id = deliver(&work);

	count_message(service, &work, id, began_us);
	LOG_DEBUG(service->log, "deliver.message", LOG_STR("id", work.envelope.queue_id), LOG_INT("size", work.bytes.len),
		  LOG_INT("local", work.expansion.local_count), LOG_INT("remote", work.expansion.remote_count),
		  LOG_INT("verdict", id));
	expansion_free(&work.expansion);
	ipc_body_unmap(&body);
	if (id == VERDICT_NONE)
		return STATUS_TEMPORARY;
	return work.verdicts ? answer_each(reply, &work, id) : answer(reply, id);
}

static void count_request(const struct deliver_service *service, uint32_t type)
{
	struct slice kind = type == DELIVER_REQUEST_RECIPIENT ? SLICE("recipient")
			    : type == DELIVER_REQUEST_SENDER  ? SLICE("sender")
			    : type == DELIVER_REQUEST_MESSAGE ? SLICE("message")
							      : SLICE("other");

	METRIC_ADD(service->log, METRIC_DELIVER_REQUESTS, metrics_label(METRIC_DELIVER_REQUESTS, kind), 1);
}

enum status deliver_service_handle(void *context, struct ipc_request *request, struct arena *arena, struct buf *reply)
{
	struct deliver_service *service = context;

	count_request(service, request->type);
	switch (request->type) {
	case DELIVER_REQUEST_RECIPIENT:
		return handle_recipient(service, request->payload, arena, reply);
	case DELIVER_REQUEST_MESSAGE:
		return handle_message(service, request, arena, reply);
	case DELIVER_REQUEST_SENDER:
		return handle_sender(service, request->payload, arena, reply);
	case DELIVER_REQUEST_WHO:
		return handle_who(service, request->payload, arena, reply);
	}
	return STATUS_PEER;
}
