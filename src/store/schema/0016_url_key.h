/* Keys that URLs are authorised with (store/url_key.h). Private to schema.c. */
#pragma once

#define MIGRATION_0016_URL_KEY                                                                                         \
	"CREATE TABLE url_key (viewer BIGINT NOT NULL, account BIGINT NOT NULL, mailbox BIGINT NOT NULL,"               \
	" reset_ms BIGINT NOT NULL, value BYTES NOT NULL, PRIMARY KEY (viewer, account, mailbox)) CLUSTERED;"           \
	"CREATE INDEX url_key_mailbox ON url_key (account, mailbox)"
