/* `posthorn prepare ROLE`: brings the schema of that role's store up to date, in that role's sandbox, before any role serves. */
#include <stdlib.h>

#include "auth/credential.h"
#include "auth/password_scheme.h"
#include "main/role.h"
#include "main/roles.h"
#include "store/store.h"

static bool prepare_store(struct role_setup *setup, struct error *error)
{
	struct store_options options = {.url = setup->folder_url, .connections = 1};
	struct store *store = store_open(&options, true, &setup->log, &setup->arena, error);

	if (store)
		store_close(store);
	return store != NULL;
}

static bool prepare_credentials(struct role_setup *setup, struct error *error)
{
	struct credential_options options = {.url = setup->folder_url};
	struct credentials *credentials = credentials_open(&options, &setup->log, &setup->arena, error);

	if (credentials)
		credentials_close(credentials);
	return credentials != NULL;
}

int role_prepare(struct role_setup *setup)
{
	struct error error = {0};
	bool for_auth = setup->definition->powers & POWER_AUTH;

	if ((for_auth && !auth_warm_up()) || !role_enter_sandbox(setup))
		return EXIT_FAILURE;
	if (for_auth ? prepare_credentials(setup, &error) : prepare_store(setup, &error))
		return EXIT_SUCCESS;
	LOG_ERROR(&setup->log, "store.not_ready", LOG_STR("reason", error.text),
	          LOG_CSTR("advice", "see `store.url`, and who may write the data folder"));
	return EXIT_FAILURE;
}
