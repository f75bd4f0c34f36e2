/* service: the deliver role's work: expands aliases, and commits to accounts and queue in one transaction. */
#pragma once

#include "deliver/deliver.h"
#include "ipc/ipc.h"
#include "local/local.h"
#include "store/detail.h"

struct deliver_service;

struct deliver_service_options {
	struct detail_rules details; /* plus-addressing */
	unsigned max_expansion; /* recipients that one may expand to; 0: 1,000 */
	uint64_t max_message_size;
	struct slice smarthost; /* next hop of all that is not local; empty: the recipient's domain */
	struct slice hostname;
	bool srs; /* rewrite the sender of what is forwarded (srs.h) */
	struct local_domains unix_domains;
	bool has_local; /* there is a role for what stays on this machine (local/local.h) */
	bool require_sender_match; /* an authenticated account sends under its own address and its aliases only */
	bool require_from_match;   /* nor in the name of others (author.h) */
	int64_t undo_ms;           /* what an account submits waits so long, and can be taken back */
};
/* Slices of the options must outlive the service. */
struct deliver_service *deliver_service_new(const struct deliver_service_options *options, struct store *store, struct ipc *ipc,
					    const struct log *log);
void deliver_service_free(struct deliver_service *service);
/* Drops what is remembered of the directory: somebody has announced "directory". Any thread. */
void deliver_service_directory_changed(struct deliver_service *service);
/* An ipc_handler; context is the service. After a commit it announces "mailbox" (pack: count, account ids) and "queue". */
enum status deliver_service_handle(void *service, struct ipc_request *request, struct arena *arena, struct buf *reply);
