/* served: smtp on the real engine, on a loopback port, with the roles played; and a plain client. One connection at a time: the fake
 * roles know no locks. */
#pragma once

#include "fake_roles.h"
#include "smtp/smtp.h"

struct served {
	struct arena arena;
	struct log log;
	struct smtp_context context;
	struct net_address address;
	struct engine *engine;
	int client;
	char words[8192]; /* that have come */
	size_t len;
};
/* Binds; options may be changed and a client may knock before it is started. */
void served_init(struct served *served);
void served_start(struct served *served);
void served_connect(struct served *served);
void served_say(struct served *served, struct slice text);
/* What one read brings, behind what is there; empty at the end. */
struct slice served_hear(struct served *served);
/* Reads until what has come ends with a line that begins so, and forgets it then. False: the end came first. */
bool served_wait_for(struct served *served, struct slice reply);
/* All until the end. */
struct slice served_hear_out(struct served *served);
void served_hang_up(struct served *served);
void served_stop(struct served *served);
void served_free(struct served *served);
