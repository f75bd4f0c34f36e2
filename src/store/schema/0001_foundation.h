/* Migration 1. Never change one that was released: add the next. */
#pragma once

#define MIGRATION_0001_FOUNDATION                                                                                                   \
	"CREATE TABLE domain (name TEXT NOT NULL PRIMARY KEY, created_ms BIGINT NOT NULL) CLUSTERED;"                               \
                                                                                                                                    \
	/* Numbers that are never given out twice. */                                                                               \
	"CREATE TABLE counter (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL) CLUSTERED;"                                   \
	"INSERT INTO counter (name, value) VALUES ('account', 0);"                                                                  \
                                                                                                                                    \
	/* Account 0 is the queue's: its next_email numbers queue rows and their bodies. */                                         \
	"CREATE TABLE account ("                                                                                                    \
	" id BIGINT NOT NULL PRIMARY KEY, address TEXT NOT NULL, domain TEXT NOT NULL, name TEXT NOT NULL,"                         \
	" enabled BIGINT NOT NULL, created_ms BIGINT NOT NULL, quota_bytes BIGINT NOT NULL, quota_messages BIGINT NOT NULL,"        \
	" used_bytes BIGINT NOT NULL, used_messages BIGINT NOT NULL, modseq BIGINT NOT NULL, log_modseq BIGINT NOT NULL,"           \
	" next_email BIGINT NOT NULL, next_mailbox BIGINT NOT NULL, next_uid_validity BIGINT NOT NULL) CLUSTERED;"                  \
	"CREATE UNIQUE INDEX account_address ON account (address);"                                                                 \
	"CREATE INDEX account_domain ON account (domain);"                                                                          \
	"INSERT INTO account VALUES (0, '', '', '', 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1);"                                              \
                                                                                                                                    \
	/* Accounts that are gone but for their rows, which are deleted piece by piece. */                                          \
	"CREATE TABLE removal (account BIGINT NOT NULL PRIMARY KEY) CLUSTERED;"                                                     \
                                                                                                                                    \
	"CREATE TABLE alias (address TEXT NOT NULL, target TEXT NOT NULL, domain TEXT NOT NULL,"                                    \
	" PRIMARY KEY (address, target)) CLUSTERED;"                                                                                \
	"CREATE INDEX alias_domain ON alias (domain);"                                                                              \
                                                                                                                                    \
	"CREATE TABLE mailbox ("                                                                                                    \
	" account BIGINT NOT NULL, id BIGINT NOT NULL, uid_validity BIGINT NOT NULL, uid_next BIGINT NOT NULL,"                     \
	" highest_modseq BIGINT NOT NULL, messages BIGINT NOT NULL, unseen BIGINT NOT NULL, deleted BIGINT NOT NULL,"               \
	" size_bytes BIGINT NOT NULL, selectable BIGINT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL,"                          \
	" PRIMARY KEY (account, id)) CLUSTERED;"                                                                                    \
	"CREATE UNIQUE INDEX mailbox_name ON mailbox (account, name);"                                                              \
	"CREATE TABLE subscription (account BIGINT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (account, name)) CLUSTERED;"           \
	"CREATE TABLE keyword (account BIGINT NOT NULL, bit BIGINT NOT NULL, name TEXT NOT NULL,"                                   \
	" PRIMARY KEY (account, bit)) CLUSTERED;"                                                                                   \
                                                                                                                                    \
	/* id = account << 32 | number. copies: rows of mailbox_email that refer to it. */                                          \
	"CREATE TABLE email ("                                                                                                      \
	" account BIGINT NOT NULL, copies BIGINT NOT NULL, chunks BIGINT NOT NULL, size BIGINT NOT NULL,"                           \
	" sent_ms BIGINT NOT NULL,"                                                                                                 \
	" envelope BYTES NOT NULL, body_structure BYTES NOT NULL, body BYTES NOT NULL, structure BYTES NOT NULL,"                   \
	" message_id BYTES NOT NULL, subject BYTES NOT NULL, refers_to BYTES NOT NULL, KEY(id));"                                   \
	"CREATE TABLE mailbox_email ("                                                                                              \
	" account BIGINT NOT NULL, mailbox BIGINT NOT NULL, uid BIGINT NOT NULL, flags BIGINT NOT NULL, modseq BIGINT NOT "         \
	"NULL,"                                                                                                                     \
	" size BIGINT NOT NULL, email BIGINT NOT NULL, received_ms BIGINT NOT NULL,"                                                \
	" PRIMARY KEY (account, mailbox, uid)) CLUSTERED;"                                                                          \
                                                                                                                                    \
	/* Chunk n of a message has the id of the message plus n, which is why a message takes as many numbers as it has chunks. */ \
	"CREATE TABLE blob (account BIGINT NOT NULL, encoding BIGINT NOT NULL, size BIGINT NOT NULL, bytes BYTES NOT NULL,"         \
	" KEY(id));"                                                                                                                \
                                                                                                                                    \
	/* Runs of uids; kind: see changes.h. */                                                                                    \
	"CREATE TABLE change ("                                                                                                     \
	" account BIGINT NOT NULL, modseq BIGINT NOT NULL, mailbox BIGINT NOT NULL, first_uid BIGINT NOT NULL,"                     \
	" last_uid BIGINT NOT NULL, kind BIGINT NOT NULL, at_ms BIGINT NOT NULL,"                                                   \
	" PRIMARY KEY (account, modseq, mailbox, first_uid)) CLUSTERED;"                                                            \
                                                                                                                                    \
	"CREATE TABLE queue_message ("                                                                                              \
	" account BIGINT NOT NULL, recipients BIGINT NOT NULL, chunks BIGINT NOT NULL, size BIGINT NOT NULL, created_ms "           \
	"BIGINT NOT NULL,"                                                                                                          \
	" return_full BIGINT NOT NULL, needs_utf8 BIGINT NOT NULL, body_8bit BIGINT NOT NULL, queue_id BYTES NOT NULL,"             \
	" sender BYTES NOT NULL, envelope_id BYTES NOT NULL, message_id BYTES NOT NULL, KEY(id));"                                  \
	"CREATE TABLE queue_recipient ("                                                                                            \
	" account BIGINT NOT NULL, message BIGINT NOT NULL, state BIGINT NOT NULL, due_ms BIGINT NOT NULL,"                         \
	" expires_ms BIGINT NOT NULL, attempts BIGINT NOT NULL, delay_warned BIGINT NOT NULL, notify BIGINT NOT NULL,"              \
	" recipient BYTES NOT NULL, original_recipient BYTES NOT NULL, next_hop BYTES NOT NULL, last_reply BYTES NOT NULL,"         \
	" node BYTES NOT NULL, KEY(id));"                                                                                           \
	"CREATE INDEX queue_due ON queue_recipient (state, due_ms);"                                                                \
	"CREATE INDEX queue_recipients ON queue_recipient (message);"                                                               \
                                                                                                                                    \
	"CREATE TABLE trace ("                                                                                                      \
	" queue_id BYTES NOT NULL, at_ms BIGINT NOT NULL, step BIGINT NOT NULL, message_id BYTES NOT NULL,"                         \
	" event BYTES NOT NULL, subject BYTES NOT NULL, detail BYTES NOT NULL, followed_by BYTES NOT NULL,"                         \
	" PRIMARY KEY (queue_id, at_ms, step)) CLUSTERED"
