/* sandbox: takes from the calling process all that its role's powers don't name, for ever: no_new_privs, Landlock (files and, where
 * the kernel knows it, TCP ports) and a seccomp filter. To be called before the process has a second thread.
 *
 * seccomp answers EPERM rather than killing: a library that tries something unneeded (a locale, a name service) goes on without it. */
#pragma once

#include "base/log.h"
#include "base/error.h"

struct sandbox {
	unsigned powers;        /* POWER_* of main/roles.h */
	int folder_fd;          /* the one folder that may be read and written; -1: none */
	bool unix_sockets;      /* may connect to Unix sockets: PostgreSQL */
	const unsigned *dns_ports; /* may ask these ports of any host by UDP and TCP; Landlock knows TCP only */
	size_t dns_port_count;
	unsigned connect_port;  /* with unix_sockets' sister: TCP port of PostgreSQL; 0: none */
};

/* False if the kernel refused what it should know: a role without its sandbox must not run. A kernel without Landlock is logged and
 * accepted: seccomp and the unprivileged user remain. */
MUST_CHECK bool sandbox_enter(const struct sandbox *sandbox, const struct log *log);
