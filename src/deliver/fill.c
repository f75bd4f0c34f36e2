#include "deliver/fill.h"

#include "mime/verp.h"

/* RFC 5321 section 4.4: the final delivery adds the Return-Path. What came before an alias is kept for filters. */
static struct slice headers_for(struct arena *arena, struct slice sender, const struct expand_local *local)
{
	struct buf out;

	buf_init(&out, arena, 0);
	buf_reserve(&out, 64 + sender.len + 2 * local->account.address.len + local->recipient->address.len);
	buf_add_literal(&out, "Return-Path: <");
	buf_add(&out, sender);
	buf_add_literal(&out, ">\r\nDelivered-To: ");
	buf_add(&out, local->account.address);
	buf_add_literal(&out, "\r\n");
	if (!slice_eq_nocase(local->recipient->address, local->account.address)) {
		buf_add_literal(&out, "X-Original-To: ");
		buf_add(&out, local->recipient->address);
		buf_add_literal(&out, "\r\n");
	}
	return buf_slice(&out);
}

/* Held whole, for recipients here and elsewhere alike (RFC 4865 section 4.2). */
bool fill_must_wait(const struct delivery *delivery)
{
	return delivery->is_held || delivery->timing.release_ms > delivery->received_ms;
}

void fill_targets(const struct fill *fill, struct slice sender, struct delivery *delivery)
{
	struct delivery_target *target = ARENA_ARRAY(fill->arena, struct delivery_target, fill->expansion->local_count);

	delivery->targets = target;
	delivery->target_count = fill->expansion->local_count;
	for (const struct expand_local *local = fill->expansion->locals; local; local = local->next, target++) {
		target->account = local->account.id;
		target->mailbox = local->folder;
		target->headers = headers_for(
			fill->arena, verp_sender(fill->arena, sender, delivery->timing.verp, local->account.address), local);
	}
}

/* For a mailbox here, whose message has to wait for its time. Where it has been let into a folder its address says which. */
static void queue_local(const struct expand_local *local, struct queue_target *target)
{
	*target = (struct queue_target){
		.recipient = local->folder.len > 0 ? local->address : local->account.address,
		.original_recipient = local->recipient->original,
		.notify = local->recipient->notify,
		.next_hop = QUEUE_HOP_LOCAL,
		.account = local->account.id,
		.addressed_to = SLICE_EMPTY,
	};
	if (!slice_eq_nocase(local->recipient->address, local->account.address))
		target->addressed_to = local->recipient->address;
}

/* Through whom a recipient's mail goes on to others, if it does so. */
static struct slice forwarder(const struct fill *fill, const struct expand_remote *remote)
{
	if (fill->forwarded_by.len > 0)
		return fill->forwarded_by;
	return remote->is_forwarded ? remote->recipient->address : SLICE_EMPTY;
}

/* All of it has one sender: where some is forwarded and some was sent to its recipient, that is rewritten as well. */
enum status fill_queue(const struct fill *fill, struct delivery *delivery)
{
	struct policy *policy = fill->policy;
	size_t local_count = fill_must_wait(delivery) ? fill->expansion->local_count : 0;
	enum status status = STATUS_OK;

	delivery->queue_count = fill->expansion->remote_count + local_count;
	struct queue_target *target = ARENA_ARRAY(fill->arena, struct queue_target, delivery->queue_count);
	delivery->queue = target;
	for (const struct expand_local *local = local_count > 0 ? fill->expansion->locals : NULL; local; local = local->next)
		queue_local(local, target++);
	for (const struct expand_remote *remote = fill->expansion->remotes; remote && status == STATUS_OK;
	     remote = remote->next, target++) {
		target->recipient = remote->address;
		target->original_recipient = remote->recipient->original;
		target->notify = remote->recipient->notify;
		target->next_hop = remote->local_hop;
		if (remote->local_hop.len > 0)
			continue;
		struct slice by = forwarder(fill, remote);

		status = policy_next_hop(policy, fill->arena, delivery->sender, remote->address, remote->domain,
					 &target->next_hop);
		if (status == STATUS_OK && by.len > 0 && !delivery->queue_sender.data && delivery->timing.verp.len == 0)
			status = policy_forward_sender(policy, fill->arena, delivery->sender, by, &delivery->queue_sender);
	}
	return status;
}
