#include "deliver/wire.h"

#define RECIPIENTS_MAX 100000

enum { RETURN_FULL = 1, NEEDS_UTF8 = 2, BODY_8BIT = 4, EACH = 8, RETURN_HEADERS = 16, REQUIRES_TLS = 32, IS_HELD = 64 };

static void pack_address(struct buf *out, const struct net_address *address)
{
	pack_u32(out, (uint32_t)address->family);
	pack_slice(out, slice_of((const char *)address->bytes, sizeof(address->bytes)));
	pack_u32(out, address->port);
}

static void unpack_address(struct unpack *in, struct net_address *address)
{
	struct slice bytes;

	*address = (struct net_address){.family = (int)unpack_u32(in)};
	bytes = unpack_slice(in);
	address->port = (uint16_t)unpack_u32(in);
	if (bytes.len == sizeof(address->bytes))
		memcpy(address->bytes, bytes.data, bytes.len);
	else
		in->failed = true;
}

void deliver_pack_sender(struct buf *out, const struct deliver_sender *sender)
{
	pack_slice(out, sender->address);
	pack_u64(out, (uint64_t)sender->account);
	pack_slice(out, sender->login);
	pack_u8(out, sender->may_relay);
	pack_address(out, &sender->peer);
}

void deliver_unpack_sender(struct unpack *in, struct deliver_sender *sender)
{
	sender->address = unpack_slice(in);
	sender->account = (int64_t)unpack_u64(in);
	sender->login = unpack_slice(in);
	sender->may_relay = unpack_u8(in);
	unpack_address(in, &sender->peer);
}

void deliver_pack_verdict(struct buf *out, const struct deliver_verdict *verdict)
{
	pack_u32(out, verdict->status);
	pack_u32(out, verdict->code);
	pack_slice(out, verdict->enhanced);
	pack_slice(out, verdict->text);
}

static bool unpack_verdict(struct unpack *in, struct deliver_verdict *verdict)
{
	verdict->status = (enum status)unpack_u32(in);
	verdict->code = unpack_u32(in);
	verdict->enhanced = unpack_slice(in);
	verdict->text = unpack_slice(in);
	return !in->failed && verdict->status <= STATUS_BUG && verdict->code >= 200 && verdict->code <= 599;
}

bool deliver_unpack_verdict(struct slice frame, struct deliver_verdict *verdict)
{
	struct unpack in = unpack_begin(frame);

	return unpack_verdict(&in, verdict) && unpack_ok(&in);
}

bool deliver_unpack_verdicts(struct slice frame, struct deliver_verdict *verdicts, size_t count)
{
	struct unpack in = unpack_begin(frame);

	for (size_t i = 0; i < count; i++)
		if (!unpack_verdict(&in, &verdicts[i]))
			return false;
	return unpack_ok(&in);
}

static void pack_timing(struct buf *out, const struct envelope_timing *timing)
{
	pack_u64(out, (uint64_t)timing->release_ms);
	pack_slice(out, timing->release_request);
	pack_u64(out, (uint64_t)timing->by_ms);
	pack_u32(out, timing->by_mode);
	pack_u32(out, (uint32_t)(timing->priority - PRIORITY_MIN));
	pack_slice(out, timing->verp);
}

static void unpack_timing(struct unpack *in, struct envelope_timing *timing)
{
	uint32_t priority;

	timing->release_ms = (int64_t)unpack_u64(in);
	timing->release_request = unpack_slice(in);
	timing->by_ms = (int64_t)unpack_u64(in);
	timing->by_mode = unpack_u32(in);
	priority = unpack_u32(in);
	timing->verp = unpack_slice(in);
	if (priority > PRIORITY_MAX - PRIORITY_MIN || timing->release_ms < 0 || (timing->verp.len != 0 && timing->verp.len != 2))
		in->failed = true;
	timing->priority = in->failed ? 0 : (int)priority + PRIORITY_MIN;
}

static void pack_recipient(struct buf *out, const struct deliver_recipient *recipient)
{
	pack_slice(out, recipient->address);
	pack_slice(out, recipient->original);
	pack_u32(out, recipient->notify);
	pack_u8(out, recipient->is_added);
}

void deliver_pack_envelope(struct buf *out, bool again, const struct deliver_envelope *envelope)
{
	unsigned flags = (envelope->dsn_return == DSN_RETURN_FULL ? RETURN_FULL : 0) |
			 (envelope->dsn_return == DSN_RETURN_HEADERS ? RETURN_HEADERS : 0) |
			 (envelope->requires_tls ? REQUIRES_TLS : 0) | (envelope->needs_utf8 ? NEEDS_UTF8 : 0) |
			 (envelope->is_held ? IS_HELD : 0) | (envelope->body_8bit ? BODY_8BIT : 0) | (envelope->each ? EACH : 0);

	pack_u8(out, again);
	pack_slice(out, envelope->queue_id);
	deliver_pack_sender(out, &envelope->sender);
	pack_slice(out, envelope->envelope_id);
	pack_u32(out, flags);
	pack_slice(out, envelope->trace_from);
	pack_slice(out, envelope->held_why);
	pack_timing(out, &envelope->timing);
	pack_slice(out, envelope->forwarded_by);
	pack_u32(out, (uint32_t)envelope->recipient_count);
	for (size_t i = 0; i < envelope->recipient_count; i++)
		pack_recipient(out, &envelope->recipients[i]);
}

static struct deliver_recipient *unpack_recipients(struct unpack *in, struct arena *arena, size_t *count)
{
	struct deliver_recipient *recipients;

	*count = unpack_count(in, RECIPIENTS_MAX);
	/* The count is the peer's word: no more memory than its frame could fill. */
	if (*count > in->rest.len / (3 * sizeof(uint32_t)))
		in->failed = true;
	if (in->failed)
		*count = 0;
	recipients = ARENA_ARRAY(arena, struct deliver_recipient, *count);
	for (size_t i = 0; i < *count; i++) {
		recipients[i].address = unpack_slice(in);
		recipients[i].original = unpack_slice(in);
		recipients[i].notify = unpack_u32(in);
		recipients[i].is_added = unpack_u8(in);
	}
	return recipients;
}

void deliver_unpack_envelope(struct unpack *in, struct arena *arena, bool *again, struct deliver_envelope *envelope)
{
	unsigned flags;

	*envelope = (struct deliver_envelope){0};
	*again = unpack_u8(in);
	envelope->queue_id = unpack_slice(in);
	deliver_unpack_sender(in, &envelope->sender);
	envelope->envelope_id = unpack_slice(in);
	flags = unpack_u32(in);
	envelope->dsn_return = flags & RETURN_FULL      ? DSN_RETURN_FULL
			       : flags & RETURN_HEADERS ? DSN_RETURN_HEADERS
							: DSN_RETURN_UNSAID;
	envelope->requires_tls = flags & REQUIRES_TLS;
	envelope->needs_utf8 = flags & NEEDS_UTF8;
	envelope->body_8bit = flags & BODY_8BIT;
	envelope->each = flags & EACH;
	envelope->is_held = flags & IS_HELD;
	envelope->trace_from = unpack_slice(in);
	envelope->held_why = unpack_slice(in);
	unpack_timing(in, &envelope->timing);
	envelope->forwarded_by = unpack_slice(in);
	envelope->recipients = unpack_recipients(in, arena, &envelope->recipient_count);
}

void deliver_pack_who(struct buf *out, const struct deliver_who *who)
{
	pack_u8(out, (uint8_t)who->kind);
	pack_u64(out, (uint64_t)who->account);
	pack_u32(out, (uint32_t)who->target_count);
	for (size_t i = 0; i < who->target_count; i++)
		pack_slice(out, who->targets[i]);
}

bool deliver_unpack_who(struct slice frame, struct arena *arena, struct deliver_who *who)
{
	struct unpack in = unpack_begin(frame);
	uint8_t kind = unpack_u8(&in);

	who->kind = (enum directory_kind)kind;
	who->account = (int64_t)unpack_u64(&in);
	who->target_count = unpack_count(&in, DELIVER_TARGETS_MAX);
	who->targets = ARENA_ARRAY(arena, struct slice, who->target_count + 1);
	for (size_t i = 0; i < who->target_count; i++)
		who->targets[i] = unpack_slice(&in);
	return unpack_ok(&in) && kind <= DIRECTORY_RELAY;
}
