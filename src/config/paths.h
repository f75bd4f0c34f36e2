/* paths: where things lie below config.data. */
#pragma once

#include "config/config.h"

/* "sqlite:DATA/store/posthorn.db", or the PostgreSQL URL. */
struct slice config_store_url(const struct config *config, struct arena *arena);
/* "sqlite:DATA/auth/auth.db", or the same PostgreSQL URL. */
struct slice config_credential_url(const struct config *config, struct arena *arena);
/* DATA/name, as a C string: "store", "auth", "tls", "control.sock". */
char *config_data_path(const struct config *config, struct slice name, struct arena *arena);
