/* mailbox_view: mailboxes in memory, for sessions that number their messages (IMAP). One view per mailbox and process, shared by
 * all sessions that have it open and kept for a while afterwards; brought up to date from the change log.
 *
 * A session sees a view through its `mailbox_viewer`: the messages that it has been told of. What happened since (new messages,
 * expunged ones, changed flags) is taken with `mailbox_viewer_take`, when the session may tell its client; until then its numbers
 * do not move. An expunged message stays in the view until every viewer has been told.
 *
 * Views lock themselves; no lock is held when a function returns. A viewer belongs to one session, one thread at a time.
 */
#pragma once

#include "store/mailbox.h"

struct mailbox_view;
struct mailbox_view_cache;

/* What a session has to do with \Recent (RFC 3501 section 2.3.2). Claims are remembered at once and written within seconds; what was
 * lost with a crash is recent again. */
enum view_recent {
	VIEW_RECENT_NONE,
	VIEW_RECENT_SHOWN,   /* it sees what nobody has claimed, and leaves it so */
	VIEW_RECENT_CLAIMED, /* what it is told of first is its own */
	VIEW_RECENT_TAKEN,   /* likewise, but it doesn't want to see it */
};
/* In the flags of what a viewer reads; never stored. */
#define FLAG_RECENT (UINT64_C(1) << 63)

/* Views without viewers are kept as long as all views together have at most max_bytes (0: 256 MB). */
struct mailbox_view_cache *mailbox_view_cache_new(struct store *store, size_t max_bytes);
/* All viewers must be closed. */
void mailbox_view_cache_free(struct mailbox_view_cache *cache);
struct mailbox_view_counts {
	size_t views, bytes;
	uint64_t loads; /* how often a mailbox was read as a whole */
};
struct mailbox_view_counts mailbox_view_cache_counts(struct mailbox_view_cache *cache);

/* A session's place in a view. All fields are private. */
struct mailbox_viewer {
	struct mailbox_view *view;
	struct mailbox_viewer *prev, *next; /* the view's viewers */
	uint32_t known_uid;                 /* messages with greater uids have not been told */
	uint32_t messages;                  /* how many the session counts */
	uint64_t told_expunge;              /* number of the last expunge it was told of */
	uint64_t told_change;               /* how much of the journal of changed flags it was told of */
	uint64_t told_modseq;               /* the view's modseq at that time */
	uint64_t synced_modseq;             /* likewise, when nothing was held back */
	uint32_t told_uid_next;             /* the view's uid_next when it was last told of anything */
	struct view_pending *pending;       /* expunges not told; made when needed, shared with others who were told as much */
	uint64_t pending_expunge;           /* the view's expunge number that `pending` was made for */
	enum view_recent recency;
	struct uid_range *recent; /* ascending, disjoint and not adjacent */
	size_t recent_count, recent_capacity;
	int64_t seen_by;          /* whose \Seen it shows, if not the owner's; 0: the owner's */
	struct uid_range *seen;   /* seen_by's */
	size_t seen_count;
	uint64_t seen_modseq; /* the view's modseq that they were read for */
};

/* Opens `mailbox` as mailbox_find or mailbox_get have just described it, up to date and with everything told. NOT_FOUND: the mailbox has
 * gone meanwhile. */
MUST_CHECK enum status mailbox_viewer_open(struct mailbox_view_cache *cache, int64_t account, const struct mailbox *mailbox,
					   struct mailbox_viewer *viewer);
/* The same for somebody who isn't the owner: flags have \Seen as `seen_by` has it. */
MUST_CHECK enum status mailbox_viewer_open_as(struct mailbox_view_cache *cache, int64_t account, const struct mailbox *mailbox,
					      int64_t seen_by, struct mailbox_viewer *viewer);
void mailbox_viewer_close(struct mailbox_viewer *viewer);
static inline bool mailbox_viewer_is_open(const struct mailbox_viewer *viewer)
{
	return viewer->view != NULL;
}

/* Brings the view up to date. A mailbox that is gone has all its messages expunged (STATUS_OK). */
MUST_CHECK enum status mailbox_viewer_refresh(struct mailbox_viewer *viewer, struct arena *arena);

struct mailbox_view_state {
	int64_t account, mailbox;
	uint32_t uid_validity, uid_next;
	uint64_t highest_modseq;
	uint64_t told_modseq;   /* the session has been told of everything up to here */
	uint32_t told_uid_next; /* the session knows of all messages below */
	uint32_t messages;      /* as the session counts them */
	bool gone;              /* the mailbox is no more */
};
struct mailbox_view_state mailbox_viewer_state(struct mailbox_viewer *viewer);
/* From now on (right after it was opened, or after it was told everything) the viewer has to do with \Recent. */
void mailbox_viewer_set_recent(struct mailbox_viewer *viewer, enum view_recent recency);
/* How many of the messages that the session counts are \Recent to it. */
uint32_t mailbox_viewer_recent(struct mailbox_viewer *viewer);
/* From which uid on nobody has claimed messages of a mailbox: mailbox->recent_uid, or what this process knows better. */
uint32_t mailbox_view_cache_recent_uid(struct mailbox_view_cache *cache, int64_t account, const struct mailbox *mailbox);
/* The sequence number of the first message without \Seen; 0: there is none. */
uint32_t mailbox_viewer_first_unseen(struct mailbox_viewer *viewer);

/* The uid of a sequence number (0 if there is none), and the greatest known uid (0: no messages). */
uint32_t mailbox_viewer_uid(struct mailbox_viewer *viewer, uint32_t sequence);
uint32_t mailbox_viewer_last_uid(struct mailbox_viewer *viewer);

struct view_message {
	uint32_t sequence, uid, size;
	bool expunged; /* but the session doesn't know yet */
	bool changed;  /* since the session was told of its flags, or of news */
	uint64_t flags, modseq;
	int64_t email, received_ms;
	int64_t thread; /* for who fills it in; the view says 0 */
};
/* Copies out the messages with uids from..to that the session knows of, at most `max` of them, ascending. For the rest call
 * again from behind the last. */
size_t mailbox_viewer_read(struct mailbox_viewer *viewer, uint32_t from, uint32_t to, struct view_message *out, size_t max);

/* No message has these. */
#define VIEW_FLAGS_UNKNOWN UINT64_MAX

/* What a session has done itself and answers for: with these modseqs and exactly these flags it isn't news. */
struct view_own_change {
	const uint32_t *uids;  /* ascending */
	const uint64_t *flags; /* what they should be now (VIEW_FLAGS_UNKNOWN: to be told); NULL: no matter, the session tells them as they are */
	size_t count;
	uint64_t first_modseq, last_modseq; /* it may have been done in parts */
};
struct view_news {
	uint32_t *expunged; /* sequence numbers, each as it is when those before it in the array are gone: descending */
	uint32_t *vanished; /* their uids, ascending; as many */
	size_t expunged_count;
	bool grown;                   /* there are new messages */
	uint32_t messages;            /* in all, now */
	struct view_message *changed; /* flags; numbered as after expunges and growth */
	size_t changed_count;
};
/* Everything that the session hasn't been told; it counts as told afterwards. Expunges are only taken with `expunges`. */
void mailbox_viewer_take(struct mailbox_viewer *viewer, struct arena *arena, bool expunges, const struct view_own_change *own,
			 struct view_news *news);

/* The account's keywords; read anew when bits of `needed` have no name. Names live as long as the viewer is open. */
MUST_CHECK enum status mailbox_viewer_keywords(struct mailbox_viewer *viewer, uint64_t needed, struct keyword_table *table);
