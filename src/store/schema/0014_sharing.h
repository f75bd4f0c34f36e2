/* Shared mailboxes: who may do what with whose (store/rights.h). Private to schema.c.
 *
 * mailbox 0 of mailbox_right is what mailboxes at the top are made with. identifier: "bob@example.org", "$team", "@example.org" (the accounts
 * of a domain), "@@example.org" (anyone, as the accounts of that domain say it), or one of these behind a "-".
 * mailbox_seen: which messages somebody has seen who isn't the mailbox's owner: runs of uids (store/seen.h).
 */
#pragma once

#define MIGRATION_0014_SHARING                                                                                             \
	"ALTER TABLE account ADD COLUMN shared BIGINT NOT NULL DEFAULT 0;"                                                 \
	"CREATE TABLE mailbox_right (account BIGINT NOT NULL, mailbox BIGINT NOT NULL, identifier TEXT NOT NULL,"           \
	" rights BIGINT NOT NULL, PRIMARY KEY (account, mailbox, identifier)) CLUSTERED;"                                  \
	"CREATE INDEX mailbox_right_identifier ON mailbox_right (identifier, account);"                                    \
	"CREATE TABLE account_group (name TEXT NOT NULL PRIMARY KEY) CLUSTERED;"                                           \
	"CREATE TABLE group_member (account BIGINT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (account, name)) CLUSTERED;"   \
	"CREATE INDEX group_member_name ON group_member (name);"                                                           \
	"CREATE TABLE mailbox_seen (account BIGINT NOT NULL, mailbox BIGINT NOT NULL, viewer BIGINT NOT NULL,"              \
	" uids BYTES NOT NULL, PRIMARY KEY (account, mailbox, viewer)) CLUSTERED;"                                         \
	"CREATE INDEX mailbox_seen_viewer ON mailbox_seen (viewer)"
