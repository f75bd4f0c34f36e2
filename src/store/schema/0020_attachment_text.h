/* What is read in attachments (store/attachment_text.h). Private to schema.c.
 *
 * edition: which set of converters read it. attachment_progress: messages up to last_email have their texts. text_segment.edition: the
 * segment holds the texts that this edition read; 0: none.
 */
#pragma once

#define MIGRATION_0020_ATTACHMENT_TEXT                                                                         \
	"CREATE TABLE attachment_text (account BIGINT NOT NULL, email BIGINT NOT NULL, chunk BIGINT NOT NULL," \
	" edition BIGINT NOT NULL, encoding BIGINT NOT NULL, size BIGINT NOT NULL, bytes BYTES NOT NULL,"      \
	" PRIMARY KEY (account, email, chunk)) CLUSTERED;"                                                     \
	"CREATE TABLE attachment_progress (account BIGINT NOT NULL PRIMARY KEY, edition BIGINT NOT NULL,"      \
	" last_email BIGINT NOT NULL) CLUSTERED;"                                                              \
	"ALTER TABLE text_segment ADD COLUMN edition BIGINT NOT NULL DEFAULT 0"
