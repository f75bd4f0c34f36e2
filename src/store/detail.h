/* detail: folders by address. What is sent to alice+Lists@example.org comes into alice's mailbox Lists, if there is one and the rules let it;
 * else into her INBOX. */
#pragma once

#include "store/directory.h"

enum detail_folders {
	DETAIL_FOLDERS_OFF,
	DETAIL_FOLDERS_PERMITTED, /* whose sender has the right p on it (RFC 4314 section 2.1): rights_to_post */
	DETAIL_FOLDERS_ALL,
};
struct detail_rules {
	char separator; /* between user and detail; 0: there are no details */
	enum detail_folders folders;
};
/* As the settings have them; NULL: none. */
struct detail_rules detail_rules_of(const char *separator, const char *folders);
/* Where an account's mail to `address` goes, which `sender` brings (an account; 0: a stranger). *folder is a mailbox's name; empty: INBOX. */
MUST_CHECK enum status detail_folder(struct store *store, struct arena *arena, const struct detail_rules *rules,
				     const struct account *account, struct slice address, int64_t sender, struct slice *folder);
