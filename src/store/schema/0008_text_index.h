/* The full-text index (store/text_index.h). Private to schema.c.
 *
 * text_segment: messages with ids above first_email up to last_email. Postings are by bucket first: a question reads few buckets of all
 * segments.
 */
#pragma once

#define MIGRATION_0008_TEXT_INDEX                                                                                     \
	"CREATE TABLE text_segment (account BIGINT NOT NULL, last_email BIGINT NOT NULL, first_email BIGINT NOT NULL," \
	" emails BIGINT NOT NULL, ids BYTES NOT NULL, PRIMARY KEY (account, last_email)) CLUSTERED;"                   \
	"CREATE TABLE text_posting (account BIGINT NOT NULL, bucket BIGINT NOT NULL, segment BIGINT NOT NULL,"         \
	" postings BYTES NOT NULL, PRIMARY KEY (account, bucket, segment)) CLUSTERED"
