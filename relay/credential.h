/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_CREDENTIAL_H
#define RELAY_CREDENTIAL_H

/*
 * credential - the secrets of an upstream, open for as long as a line is written
 */
#include "relay/pool/pool.h"

/* The password, or the API key. False: it cannot be opened (VERDICT_VAULT). The caller ends it. */
bool credential_password(const struct upstream *u, struct secret *password_r) MUST_CHECK;
/* BLOB: as the directory has it; empty: none. */
bool credential_refresh_token(const struct upstream *u, const char *blob, struct secret *token_r)
    MUST_CHECK;
struct vault_place credential_refresh_place(const struct upstream *u);

#endif
