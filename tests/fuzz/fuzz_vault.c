/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob out of a database that somebody writes: as it came, and as edits of one that was sealed.
 * Nothing opens but what was sealed, octet by octet.
 */
#include "conf/vault/vault.h"
#include "wire/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct vault *vault;
static char sealed[VAULT_BLOB_MAX];
static size_t sealed_n;

static const struct vault_place place = {
	.account = 1,
	.profile = 2,
	.field = "password",
	.version = 3,
	.bound = { "where", 5 },
};

static void
must(bool b)
{
	if (!b)
		abort();
}

static void
open_vault(void)
{
	char path[64];
	char mem[256];
	struct text why = text_over(mem, sizeof(mem));
	struct text blob = text_over(sealed, sizeof(sealed));
	struct secret plain = { 0 };

	(void)snprintf(path, sizeof(path), "/tmp/byway-fuzz-vault-%d", (int)getpid());
	must(crypto_init() && vault_create(path, &why) && (vault = vault_open(path, &why)));
	(void)unlink(path);
	must(secret_init(&plain, SLICE("what is sealed")));
	must(vault_seal(vault, &place, &plain, &blob));
	secret_fini(&plain);
	sealed_n = blob.n;
}

static void
try(struct slice blob)
{
	struct secret plain = { 0 };
	bool same = slice_eq(blob, slice_of(sealed, sealed_n));

	(void)vault_is_v1(blob);
	(void)vault_is_current(vault, blob);
	must((vault_unseal(vault, &place, blob, &plain) == VAULT_OK) == same);
	secret_fini(&plain);
	const struct vault_place_v1 old = { 1, 2, "password", 3, SLICE("h"), 25, "none" };

	must(vault_unseal_v1(vault, &old, blob, &plain) != VAULT_OK);
	secret_fini(&plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char edited[sizeof(sealed)];

	if (!vault)
		open_vault();
	if (n > VAULT_BLOB_MAX)
		return 0;
	try(slice_of((const char *)data, n));
	/* Pairs of a place and an octet that comes there; then cut or not. */
	memcpy(edited, sealed, sealed_n);
	for (size_t i = 0; i + 1 < n; i += 2)
		edited[data[i] % sealed_n] = (char)data[i + 1];
	try(slice_of(edited, sealed_n));
	if (n > 0)
		try(slice_of(edited, data[0] % sealed_n));
	return 0;
}
