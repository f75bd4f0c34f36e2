/* sandbox: takes from the calling process all that its role's powers don't name, for ever: no_new_privs, Landlock (files and, where
 * the kernel knows it, TCP ports) and a seccomp filter. To be called before the process has a second thread.
 *
 * seccomp answers EPERM rather than killing: a library that tries something unneeded (a locale, a name service) goes on without it. */
#pragma once

#include "base/log.h"
#include "base/error.h"

struct program_files;

struct sandbox {
	unsigned powers;        /* POWER_* of main/roles.h */
	int folder_fd;          /* the one folder that may be read and written; -1: none */
	bool unix_sockets;      /* may connect to Unix sockets: PostgreSQL */
	const unsigned *dns_ports; /* may ask these ports of any host by UDP and TCP; Landlock knows TCP only */
	size_t dns_port_count;
	const struct program_files *programs; /* with POWER_PROGRAMS */
	unsigned connect_port;  /* with unix_sockets' sister: TCP port of PostgreSQL; 0: none */
};

/* False if the kernel refused what it should know: a role without its sandbox must not run. A kernel without Landlock is logged and
 * accepted: seccomp and the unprivileged user remain. */
MUST_CHECK bool sandbox_enter(const struct sandbox *sandbox, const struct log *log);

/* What a converter's process gives up beyond what its role has given up already (main/agent_convert.h): sockets, processes, threads, signals
 * to others, shared memory. SANDBOX_PROGRAM may open what Landlock shows it, and execute; SANDBOX_READER can but read, write and take
 * memory. */
enum sandbox_converter { SANDBOX_PROGRAM, SANDBOX_READER };
MUST_CHECK bool sandbox_enter_converter(enum sandbox_converter kind);
