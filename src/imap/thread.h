/* thread: messages as conversations (RFC 5256 section 3: THREAD), whatever their References say. Pure.
 *
 * REFS is REFERENCES without looking at subjects, and with the threads in the order of their latest arrival.
 *
 * Time is n log n for n messages and ids: whether a link would make a loop is asked of a link-cut tree, since a walk up to the
 * root would be quadratic for who sends chains. Memory is some 200 bytes for each message: ids and subjects are kept as keyed hashes only.
 */
#pragma once

#include "imap/sort.h"

struct thread_message {
	uint32_t number, sequence; /* what is told; what decides between equals */
	int64_t sent_ms, received_ms;
	struct slice id;         /* without <>; empty: none */
	struct slice references; /* ids of those before it, the oldest first, a space between them */
	struct slice subject;    /* the base subject's collation key */
	bool is_reply;
};

struct thread_builder;
/* `arena` for the work. */
struct thread_builder *thread_begin(struct arena *arena, enum thread_algorithm algorithm);
/* Messages in the order of their sequence numbers; the texts needn't live on. False: the arena is full. */
MUST_CHECK bool thread_add(struct thread_builder *builder, const struct thread_message *message);
/* Appends "(1)(2 3)(4 (5)(6 7))". LIMIT: there was no memory. */
MUST_CHECK enum status thread_end(struct buf *out, struct thread_builder *builder);
/* RFC 5256 section 3: the ids that count. References and In-Reply-To as the store keeps them together; `in_reply_to` the field. */
struct slice thread_references(struct slice references, struct slice in_reply_to);
