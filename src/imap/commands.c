#include "imap/session.h"

/* RFC 9051 section 6, and what the extensions of imap.h add. */
static const struct imap_command_spec commands[] = {
	/* name, handler, states, news, UID form, arguments */
	{{"FETCH", 5}, imap_fetch, IMAP_SELECTED, IMAP_NEWS_FLAGS, true, true},
	{{"STORE", 5}, imap_store_flags, IMAP_SELECTED, IMAP_NEWS_FLAGS, true, true},
	{{"SEARCH", 6}, imap_search, IMAP_SELECTED, IMAP_NEWS_FLAGS, true, true},
	{{"ESEARCH", 7}, imap_esearch, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"NOTIFY", 6}, imap_notify, IMAP_LOGGED, IMAP_NEWS_FRESH, false, true},
	{{"CANCELUPDATE", 12}, imap_cancel_update, IMAP_SELECTED, IMAP_NEWS_ALL, false, true},
	{{"SORT", 4}, imap_sort, IMAP_SELECTED, IMAP_NEWS_FLAGS, true, true},
	{{"THREAD", 6}, imap_thread, IMAP_SELECTED, IMAP_NEWS_FLAGS, true, true},
	{{"COPY", 4}, imap_copy, IMAP_SELECTED, IMAP_NEWS_ALL, true, true},
	{{"MOVE", 4}, imap_move, IMAP_SELECTED, IMAP_NEWS_ALL, true, true},
	{{"EXPUNGE", 7}, imap_expunge, IMAP_SELECTED, IMAP_NEWS_FRESH, true, true},
	{{"NOOP", 4}, imap_noop, IMAP_ANY, IMAP_NEWS_FRESH, false, false},
	{{"IDLE", 4}, imap_idle, IMAP_LOGGED, IMAP_NEWS_FRESH, false, false},
	{{"CHECK", 5}, imap_noop, IMAP_SELECTED, IMAP_NEWS_FRESH, false, false},
	{{"STATUS", 6}, imap_status, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"SELECT", 6}, imap_select, IMAP_LOGGED, IMAP_NEWS_NONE, false, true},
	{{"EXAMINE", 7}, imap_examine, IMAP_LOGGED, IMAP_NEWS_NONE, false, true},
	{{"CLOSE", 5}, imap_close, IMAP_SELECTED, IMAP_NEWS_NONE, false, false},
	{{"UNSELECT", 8}, imap_unselect, IMAP_SELECTED, IMAP_NEWS_NONE, false, false},
	{{"APPEND", 6}, imap_append, IMAP_LOGGED, IMAP_NEWS_FRESH, false, true},
	{{"REPLACE", 7}, imap_replace, IMAP_SELECTED, IMAP_NEWS_FRESH, true, true},
	{{"LIST", 4}, imap_list, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"LSUB", 4}, imap_lsub, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"CREATE", 6}, imap_create, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"DELETE", 6}, imap_delete, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"RENAME", 6}, imap_rename, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"SUBSCRIBE", 9}, imap_subscribe, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"UNSUBSCRIBE", 11}, imap_unsubscribe, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"COMPRESS", 8}, imap_compress, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"GETQUOTA", 8}, imap_get_quota, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"GETQUOTAROOT", 12}, imap_get_quota_root, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"SETQUOTA", 8}, imap_set_quota, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"GETMETADATA", 11}, imap_get_metadata, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"SETMETADATA", 11}, imap_set_metadata, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"MYRIGHTS", 8}, imap_my_rights, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"GETACL", 6}, imap_get_acl, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"SETACL", 6}, imap_set_acl, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"DELETEACL", 9}, imap_delete_acl, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"LISTRIGHTS", 10}, imap_list_rights, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"GENURLAUTH", 10}, imap_gen_url_auth, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"URLFETCH", 8}, imap_url_fetch, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"RESETKEY", 8}, imap_reset_key, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"NAMESPACE", 9}, imap_namespace, IMAP_LOGGED, IMAP_NEWS_ALL, false, false},
	{{"ENABLE", 6}, imap_enable, IMAP_LOGGED, IMAP_NEWS_ALL, false, true},
	{{"ID", 2}, imap_id, IMAP_ANY, IMAP_NEWS_ALL, false, true},
	{{"CAPABILITY", 10}, imap_capability, IMAP_ANY, IMAP_NEWS_ALL, false, false},
	{{"LOGIN", 5}, imap_login, IMAP_NOT_AUTHENTICATED, IMAP_NEWS_NONE, false, true},
	{{"AUTHENTICATE", 12}, imap_authenticate, IMAP_NOT_AUTHENTICATED, IMAP_NEWS_NONE, false, true},
	{{"STARTTLS", 8}, imap_starttls, IMAP_NOT_AUTHENTICATED, IMAP_NEWS_NONE, false, false},
	{{"UNAUTHENTICATE", 14}, imap_unauthenticate, IMAP_LOGGED, IMAP_NEWS_NONE, false, false},
	{{"LOGOUT", 6}, imap_logout, IMAP_ANY, IMAP_NEWS_NONE, false, false},
};

const struct imap_command_spec *imap_command_find(struct slice name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (slice_eq_nocase(name, commands[i].name))
			return &commands[i];
	}
	return NULL;
}
