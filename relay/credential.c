/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/credential.h"

static struct vault_place
place_of(const struct upstream *u, const char *field)
{
	return (struct vault_place){
		.account = u->account,
		.profile = u->profile,
		.field = field,
		.version = u->version,
		.bound = slice_of((const char *)u->bound, sizeof(u->bound)),
	};
}

struct vault_place
credential_refresh_place(const struct upstream *u)
{
	return place_of(u, "refresh_token");
}

static bool
unseal(const struct upstream *u, const struct vault_place *at, const char *blob,
    struct secret *plain_r)
{
	if (!blob || !*blob)
		return secret_init(plain_r, SLICE(""));
	return u->r->vault && vault_unseal(u->r->vault, at, slice_str(blob), plain_r) == VAULT_OK;
}

bool
credential_password(const struct upstream *u, struct secret *password_r)
{
	struct vault_place at = place_of(u, "password");

	/* A server's of our own, or a probe's. */
	if (u->native || u->password.n)
		return secret_init(password_r, secret_peek(&u->password));
	return unseal(u, &at, u->sealed, password_r);
}

bool
credential_refresh_token(const struct upstream *u, const char *blob, struct secret *token_r)
{
	struct vault_place at = credential_refresh_place(u);

	if (u->refresh.n)
		return secret_init(token_r, secret_peek(&u->refresh));
	return unseal(u, &at, blob, token_r);
}
