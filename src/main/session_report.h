/* session_report: who is logged in at a role that serves sessions, for `posthorn session list`. */
#pragma once

#include "ipc/ipc.h"
#include "net/engine.h"

/* An ipc_handler; context: the engine. */
enum status session_report(struct engine *engine, const struct ipc_request *request, struct buf *reply);
