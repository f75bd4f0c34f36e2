/* commands: the functions of the command table (commands.c), one file per family. */
#pragma once

#include "cli/command.h"

extern const struct command commands[];
extern const size_t command_count;

/* domain.c */
int command_domain_add(struct cli *cli);
int command_domain_list(struct cli *cli);
int command_domain_set(struct cli *cli);
int command_domain_remove(struct cli *cli);
/* import_aliases.c */
int command_import_aliases(struct cli *cli);
/* rules.c */
int command_account_may_send(struct cli *cli);
int command_alias_senders(struct cli *cli);
int command_recipient_add(struct cli *cli);
int command_recipient_list(struct cli *cli);
int command_recipient_remove(struct cli *cli);
int command_route_add(struct cli *cli);
int command_route_list(struct cli *cli);
int command_route_remove(struct cli *cli);
int command_tls_policy_add(struct cli *cli);
int command_tls_policy_list(struct cli *cli);
int command_tls_policy_remove(struct cli *cli);
int command_rewrite_add(struct cli *cli);
int command_rewrite_list(struct cli *cli);
int command_rewrite_remove(struct cli *cli);
int command_copy_add(struct cli *cli);
int command_copy_list(struct cli *cli);
int command_copy_remove(struct cli *cli);
/* account.c */
int command_account_add(struct cli *cli);
int command_account_list(struct cli *cli);
int command_account_password(struct cli *cli);
int command_account_quota(struct cli *cli);
int command_account_remove(struct cli *cli);
int command_account_enable(struct cli *cli);
int command_account_disable(struct cli *cli);
/* account_batch.c: `account add --batch FILE` */
int account_add_batch(struct cli *cli, const char *path);
/* alias.c */
int command_alias_add(struct cli *cli);
int command_alias_list(struct cli *cli);
int command_alias_remove(struct cli *cli);
/* ban.c */
int command_ban_add(struct cli *cli);
int command_ban_list(struct cli *cli);
int command_ban_remove(struct cli *cli);
/* index.c */
int command_index_list(struct cli *cli);
int command_index_rebuild(struct cli *cli);
/* queue.c */
int command_queue_list(struct cli *cli);
int command_queue_show(struct cli *cli);
/* queue_stats.c */
int command_queue_stats(struct cli *cli);
/* queue_change.c */
int command_queue_bounce(struct cli *cli);
int command_queue_retry(struct cli *cli);
int command_queue_hold(struct cli *cli);
int command_queue_release(struct cli *cli);
int command_queue_schedule(struct cli *cli);
int command_queue_remove(struct cli *cli);
/* trace.c */
int command_trace(struct cli *cli);
/* log.c */
int command_log(struct cli *cli);
int command_tls_report(struct cli *cli);
/* server.c */
int command_status(struct cli *cli);
/* check.c */
int command_check(struct cli *cli);
/* import.c, import_imap.c */
int command_import_maildir(struct cli *cli);
int command_import_mbox(struct cli *cli);
int command_import_imap(struct cli *cli);
/* export.c */
int command_export_maildir(struct cli *cli);
int command_export_mbox(struct cli *cli);
/* mailbox.c */
int command_mailbox_list(struct cli *cli);
int command_mailbox_create(struct cli *cli);
int command_mailbox_remove(struct cli *cli);
int command_mailbox_rename(struct cli *cli);
int command_mailbox_undelete(struct cli *cli);
/* share.c */
int command_mailbox_rights(struct cli *cli);
int command_mailbox_share(struct cli *cli);
int command_group_add(struct cli *cli);
int command_group_list(struct cli *cli);
int command_group_remove(struct cli *cli);
/* message.c */
int command_message_list(struct cli *cli);
int command_message_show(struct cli *cli);
int command_message_undelete(struct cli *cli);
/* message_change.c */
int command_message_add(struct cli *cli);
int command_message_copy(struct cli *cli);
int command_message_flag(struct cli *cli);
int command_message_move(struct cli *cli);
int command_message_remove(struct cli *cli);
/* session.c */
int command_session_list(struct cli *cli);
int command_session_end(struct cli *cli);
/* imap.c */
int command_imap(struct cli *cli);
/* check_config.c */
int command_check_config(struct cli *cli);
/* setup.c */
int command_setup(struct cli *cli);
/* cli.c */
int command_help(struct cli *cli);
