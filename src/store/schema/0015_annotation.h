/* Annotations of mailboxes (store/annotation.h). Private to schema.c.
 *
 * mailbox 0: of the server, as an account has them for itself. viewer 0: shared by all. number: counts changes, of the whole server. value
 * NULL: it was removed, which others are still to be told.
 */
#pragma once

#define MIGRATION_0015_ANNOTATION                                                                                      \
	"CREATE TABLE annotation (account BIGINT NOT NULL, mailbox BIGINT NOT NULL, viewer BIGINT NOT NULL,"            \
	" entry TEXT NOT NULL, number BIGINT NOT NULL, value BYTES,"                                                    \
	" PRIMARY KEY (account, mailbox, viewer, entry)) CLUSTERED;"                                                    \
	"CREATE INDEX annotation_number ON annotation (number);"                                                        \
	"CREATE INDEX annotation_viewer ON annotation (viewer);"                                                        \
	"INSERT INTO counter (name, value) VALUES ('annotation', 0)"
