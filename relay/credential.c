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
		.host = slice_str(u->host),
		.port = u->port,
		.tls = profile_tls_word(u->tls),
	};
}

static bool
unseal(const struct upstream *u, const char *field, const char *blob, struct secret *plain_r)
{
	struct vault_place at = place_of(u, field);

	if (!blob || !*blob)
		return secret_init(plain_r, SLICE(""));
	return u->r->vault && vault_unseal(u->r->vault, &at, slice_str(blob), plain_r) == VAULT_OK;
}

bool
credential_password(const struct upstream *u, struct secret *password_r)
{
	if (u->native)
		return secret_init(password_r, secret_peek(&u->password));
	return unseal(u, "password", u->sealed, password_r);
}
