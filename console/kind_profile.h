/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_KIND_PROFILE_H
#define CONSOLE_KIND_PROFILE_H

/*
 * kind_profile - what a profile's fields mean for one another: presets, regions, port and TLS mode
 *
 * The hooks of struct kind; both see a struct admin_profile.
 */
#include "console/cli.h"

/* Of a new profile, what was not said: from the preset, and from what was. What is wrong, or
 * NULL. */
const char *profile_settle(struct cli *c, void *row, const char *const *said);
/* What will hardly work of one that could be stored (BEHAVIOUR R12); NULL: nothing. */
const char *profile_doubt(struct cli *c, const void *row);
/* The region that the stored host is of. */
void profile_derive(struct cli *c, void *row);

#endif
