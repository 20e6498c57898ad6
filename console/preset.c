/* SPDX-License-Identifier: Apache-2.0 */
#include "console/preset.h"

void
preset_json(struct json *j, const struct provider *p)
{
	const struct provider_limits *l = &p->limits;
	const struct provider_region *r;

	json_open(j, NULL, '{');
	json_str(j, "name", slice_str(p->name));
	json_str(j, "title", slice_str(p->title));
	json_open(j, "hosts", '[');
	for (size_t i = 0; (r = provider_region(p, i)) != NULL; i++) {
		json_open(j, NULL, '{');
		json_str(j, "region", slice_str(r->region));
		json_str(j, "host", slice_str(r->host));
		json_close(j, '}');
	}
	json_close(j, ']');
	json_u64(j, "port", p->port);
	json_str(j, "tls", slice_str(upstream_tls_word(p->tls)));
	json_str(j, "ports", slice_str(p->ports));
	json_str(j, "username", slice_str(p->username));
	json_str(j, "mechanisms", slice_str(p->mechanisms));
	json_u64(j, "size", l->size);
	json_u64(j, "recipients", l->recipients);
	json_u64(j, "messages_per_connection", l->messages);
	json_u64(j, "connection_age_s", l->age_s);
	json_u64(j, "connection_idle_s", l->idle_s);
	json_u64(j, "connections", l->connections);
	json_u64(j, "per_minute", l->per_minute);
	json_str(j, "option_headers", slice_str(p->headers));
	json_str(j, "login", slice_str(p->login));
	json_str(j, "key", slice_str(p->key));
	json_close(j, '}');
}
