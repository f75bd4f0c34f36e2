/* store_place: where a role finds what it may open, and how that looks from inside its chroot. */
#pragma once

#include "main/role.h"

struct store_place {
	struct slice chroot_folder; /* empty: no chroot (PostgreSQL's socket may be anywhere) */
	struct slice inside_folder; /* the one folder it may use, as seen after the chroot; empty: none */
	struct slice url;           /* what store_open or credentials_open are given */
	bool unix_sockets;          /* PostgreSQL by Unix socket */
	unsigned port;              /* PostgreSQL by TCP; 0: not */
};

/* In the arena of setup. */
struct store_place store_place_of(struct role_setup *setup);

/* Below the data folder. */
#define FOLDER_STORE "store"
#define FOLDER_AUTH "auth"
#define FOLDER_EMPTY "empty"
#define SOCKET_CONTROL "control.sock"
