/* Which messages belong together (store/threads.h). Never change a migration that was released: add the next.
 *
 * thread_state: accounts whose threads somebody has asked for; messages with ids up to up_to are in them. thread_ref: what a message of a
 * thread is called, or refers to; name: a hash. email_thread: messages in a thread that began before them; others are their own thread's first.
 */
#pragma once

#define MIGRATION_0012_THREADS                                                                                        \
	"CREATE TABLE thread_state (account BIGINT NOT NULL PRIMARY KEY, up_to BIGINT NOT NULL) CLUSTERED;"      \
	"CREATE TABLE thread_ref (account BIGINT NOT NULL, name BIGINT NOT NULL, thread BIGINT NOT NULL,"        \
	" PRIMARY KEY (account, name)) CLUSTERED;"                                                               \
	"CREATE TABLE email_thread (account BIGINT NOT NULL, email BIGINT NOT NULL, thread BIGINT NOT NULL,"     \
	" PRIMARY KEY (account, email)) CLUSTERED;"                                                              \
	"CREATE INDEX email_thread_members ON email_thread (account, thread)"
