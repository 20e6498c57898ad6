/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_PRESET_H
#define CONSOLE_PRESET_H

/*
 * preset - a provider's preset as JSON, as the tool and the HTTP API tell it
 *
 * Never:  tells more than provider.def does, which is public.
 */
#include "conf/provider.h"
#include "console/out.h"

/* Writes one object, the next of an array or the whole. */
void preset_json(struct json *j, const struct provider *p);

#endif
