/* db_sqlite_log: SQLite's write-ahead log, written in large pieces. SQLite writes each frame of its log with two calls, at addresses that
 * fit no page of the system's; a group commit is some hundred of them, and they were a third of what a delivery costs. Here they are
 * gathered until SQLite syncs, reads or does anything else with the file. What SQLite calls written and not synced was never safe, so
 * no promise changes. All other files are left to SQLite. Private to db_sqlite.c.
 */
#pragma once

/* The name of the VFS for sqlite3_open_v2, registered on the first call; NULL: SQLite's own will do. Any thread. */
const char *sqlite_log_vfs(void);
