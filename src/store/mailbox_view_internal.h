/* mailbox_view_internal: what a view is made of. Private to mailbox_view.c and mailbox_view_cache.c. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* The default hash is a mixer for keys that others choose; these are our own. */
#define HASH_FUNCTION(key, key_len, hash) HASH_FNV(key, key_len, hash)
#include <uthash.h>
#include <utlist.h>

#include "store/mailbox_view.h"

struct view_key {
	int64_t account, mailbox;
};

struct tombstone {
	uint32_t uid;
	uint64_t number; /* of the expunge */
};

struct change {
	uint32_t uid;
	uint64_t modseq;
};

/* Uids whose expunge a viewer wasn't told of, ascending. */
struct view_pending {
	struct pending_key {
		uint64_t told, made_for; /* numbers of expunges */
	} key;
	uint32_t *uids;
	size_t count;
	unsigned references;
	UT_hash_handle hh;
};

struct mailbox_view {
	struct view_key key;
	struct mailbox_view_cache *cache;
	/* Under the cache's mutex. */
	unsigned references;
	size_t counted_bytes;
	struct mailbox_view *prev, *next; /* without viewers: the longest unused is the first */
	UT_hash_handle hh;
	/* Under this mutex. */
	pthread_mutex_t mutex;
	bool loaded, gone;
	uint32_t uid_validity, uid_next;
	uint64_t modseq;
	struct mailbox_entry *entries;
	size_t count, capacity;
	struct tombstone *tombstones;
	size_t tombstone_count, tombstone_capacity;
	uint64_t expunge_number; /* of the latest */
	struct change *journal;
	size_t journal_count, journal_capacity;
	uint64_t journal_first; /* number of journal[0], counted from the view's beginning */
	/* Messages from here on have been claimed by nobody. Written under this mutex, read under the cache's too. */
	_Atomic uint32_t recent_uid;
	uint64_t unseen_modseq; /* what unseen_uid was found for */
	uint32_t unseen_uid;    /* 0: none */
	struct arena keyword_arena;
	struct keyword_table keywords;
	uint64_t keyword_bits;   /* that have names */
	uint64_t keyword_modseq; /* when they were read; 0: never */
	struct mailbox_viewer *viewers;
	size_t viewer_count;
	size_t journal_behind; /* viewers who weren't told of all of the journal */
	size_t expunge_behind; /* who weren't told of the latest expunge */
	size_t takes;          /* of expunges, since it was last tried to compact */
	struct view_pending *pendings;
};

struct mailbox_view_cache {
	struct store *store;
	size_t max_bytes;
	pthread_mutex_t mutex; /* of what follows */
	struct mailbox_view *views;
	struct mailbox_view *unused;
	size_t bytes;
	uint64_t loads;
	struct recent_claim *claims; /* not written yet */
	bool has_writer, ends;
	pthread_t writer;
	pthread_cond_t wake;
};

/* Messages below uid are not recent to anybody else. */
struct recent_claim {
	struct view_key key;
	uint32_t uid;
	UT_hash_handle hh;
};

static inline void *view_must_alloc(void *block)
{
	if (!block)
		abort(); /* as arena.h promises for all memory */
	return block;
}

/* The view of a mailbox, perhaps not loaded yet; it stays until it is released. */
struct mailbox_view *view_cache_acquire(struct mailbox_view_cache *cache, int64_t account, int64_t mailbox);
/* `bytes`: how large the view is now; `keep`: it is worth keeping. */
void view_cache_release(struct mailbox_view *view, size_t bytes, bool keep);
void view_cache_count_load(struct mailbox_view_cache *cache);

/* ---- mailbox_view.c, under the view's mutex ---- */

/* An array with room for `need` elements. */
void *view_grown(void *array, size_t *capacity, size_t need, size_t element);
/* The index of the first entry with at least that uid. */
size_t view_entry_at(const struct mailbox_view *view, uint32_t uid);
/* How many entries below that uid the viewer knows to be gone. */
size_t view_told_below(struct mailbox_view *view, struct mailbox_viewer *viewer, uint32_t uid);

/* ---- mailbox_view_recent.c, under the view's mutex ---- */

/* The mailbox as the store has it. */
void view_recent_heard(struct mailbox_view *view, const struct mailbox *mailbox);
/* The viewer is told of the messages with uids above `after`, up to its known_uid. */
void view_recent_told(struct mailbox_view *view, struct mailbox_viewer *viewer, uint32_t after);
/* FLAG_RECENT or 0. */
uint64_t view_recent_flag(const struct mailbox_viewer *viewer, uint32_t uid);
void view_recent_forget(struct mailbox_viewer *viewer);

/* Waits until all claims have been written; none come any more. */
void view_recent_end(struct mailbox_view_cache *cache);
