/* directory_internal: what directory.c and routing.c have of each other. Inside one transaction; names in lower case. */
#pragma once

#include "store/routing.h"
#include "store/store_internal.h"

bool directory_is_domain(struct db *db, struct slice domain);
/* A domain's aliases, with who may write to them. */
void directory_forget_aliases(struct db *db, struct slice domain);

/* What an address is whose domain isn't among ours: another domain's, one that is taken for another host, or none of our affair. */
void routing_look_up(struct db *db, struct arena *arena, struct slice address, struct slice domain,
		     struct directory_entry *entry);
bool routing_is_relay_domain(struct db *db, struct arena *arena, struct slice domain);
/* Has it a rule as a whole domain? */
bool routing_is_domain(struct db *db, struct arena *arena, struct slice domain);
/* Who may write to an alias. */
void routing_read_senders(struct db *db, struct arena *arena, struct slice address, struct directory_entry *entry);
void routing_forget(struct db *db, enum rule_kind kind, struct slice subject);
