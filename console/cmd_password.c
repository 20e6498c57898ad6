/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "console/ask.h"

int
cmd_password(struct cli *c)
{
	struct credential cred = { 0 };
	struct store s = { .cli = c };
	int status = ask_password_or_stdin(c, &cred);

	if (status == EX_OK)
		status = ask_hash(&s, &cred);
	credential_fini(&cred);
	if (status != EX_OK)
		return status;
	if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '{');
		json_str(&j, "hash", slice_str(cred.hash));
		json_close(&j, '}');
		json_end(&j);
	} else {
		printf("%s\n", cred.hash);
	}
	return EX_OK;
}
