/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Presets of providers, for whoever makes a profile.
 */
#include "console/api/call.h"
#include "console/preset.h"

void
call_providers(struct call *c)
{
	static const char *const query[] = { NULL };

	if (!call_check_query(c, query) || !call_check_empty(c))
		return;
	call_begin(c);
	json_open(&c->out, "items", '[');
	for (enum provider_id id = 0; id < PROVIDER_COUNT; id++)
		preset_json(&c->out, provider_at(id));
	json_close(&c->out, ']');
	call_end(c, 200);
}
