/* maildir: what stands in the names and small files of a Maildir: file names with their flags, Dovecot's dovecot-uidlist, dovecot-keywords
 * and subscriptions, Maildir++ folder names. Pure: texts in, slices of them out.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/* "1276528487.M364837P9451.host,S=1355,W=1394:2,FS" */
struct maildir_name {
	struct slice base;   /* up to the ":"; what Dovecot's list knows it by */
	struct slice unique; /* up to the first "," too: the same for ever */
	struct slice flags;  /* letters behind ":2,"; others than letters never */
	int64_t time_s;      /* ",T=": when it was received; 0: not told */
};
/* False: it is no message's name (a dot in front, or a lock, or a control character in it). */
MUST_CHECK bool maildir_name_parse(struct slice name, struct maildir_name *parsed);
/* FLAG_* of one of the letters P R S T D F; 0: another. */
uint64_t maildir_flag(char letter);
/* The letters of the system flags, in their order. */
void maildir_put_flags(struct buf *out, uint64_t flags);

/* dovecot-uidlist, versions 1 and 3. */
struct maildir_uid {
	struct slice base;
	uint32_t uid;
};
struct maildir_uidlist {
	uint32_t uid_validity, next_uid; /* 0: none: there is no list, or one that can't be read */
	struct maildir_uid *uids;        /* by base */
	size_t count;
};
/* Lines that make no sense are passed over; a list whose first line makes none is none. */
void maildir_uidlist_parse(struct arena *arena, struct slice text, struct maildir_uidlist *list);
/* 0: not in it. */
uint32_t maildir_uidlist_find(const struct maildir_uidlist *list, struct slice base);

/* dovecot-keywords: names[n] is the keyword of the letter 'a' + n; empty: none. */
#define MAILDIR_KEYWORDS 26
void maildir_keywords_parse(struct slice text, struct slice names[MAILDIR_KEYWORDS]);

/* subscriptions, both versions: calls `each` with names in UTF-8, "/" between levels. `separator`: of version 1's names. */
void maildir_subscriptions_parse(struct arena *arena, struct slice text, char separator,
				 void (*each)(void *context, struct slice name), void *context);

/* A name as it is on disk (modified UTF-7, or UTF-8) in UTF-8 with "/" between levels. False if it is none. */
MUST_CHECK bool maildir_folder_decode(struct arena *arena, struct slice folder, char separator, struct slice *name);
/* ".Lists.Caf&AOk-" of "Lists/Café"; a "." inside a level becomes "_". */
void maildir_folder_encode(struct buf *out, struct slice name);
