/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/vault/parcel.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "wire/base64.h"
#include "wire/crypto.h"

/* 16 times what a log-in costs in memory: a ring is opened once, not at each log-in. */
enum { COST = 8, RAW_MAX = AEAD_NONCE + PARCEL_PLAIN_MAX + AEAD_TAG };

static const char form[] = "p1";

static bool
make_key(const struct secret *passphrase, const char *setting, unsigned char key[AEAD_KEY])
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	struct slice p = secret_peek(passphrase);
	bool ok = data && p.n > 0 && p.n < CRYPT_MAX_PASSPHRASE_SIZE && !memchr(p.p, '\0', p.n);
	/* A secret has a NUL behind it. */
	const char *made = ok ? crypt_r(p.p, setting, data) : NULL;

	ok = made && made[0] == '$' &&
	    crypto_hkdf_sha256(slice_str(made), SLICE(""), SLICE("byway parcel"), key, AEAD_KEY);
	if (data)
		crypto_wipe(data, sizeof(*data));
	free(data);
	return ok;
}

bool
parcel_seal(const struct secret *passphrase, struct slice plain, struct text *parcel_r)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	unsigned char key[AEAD_KEY];
	unsigned char *raw = malloc(RAW_MAX);
	bool ok = raw && plain.n <= PARCEL_PLAIN_MAX &&
	    crypt_gensalt_rn("$y$", COST, NULL, 0, setting, sizeof(setting)) &&
	    crypto_random(raw, AEAD_NONCE) && make_key(passphrase, setting, key) &&
	    crypto_aead_seal(key, raw, slice_str(setting), plain, raw + AEAD_NONCE);

	if (ok) {
		text_fmt(parcel_r, "%s:%s:", form, setting);
		base64_encode(parcel_r,
		    slice_of((const char *)raw, AEAD_NONCE + plain.n + AEAD_TAG));
	}
	crypto_wipe(key, sizeof(key));
	free(raw);
	return ok && !parcel_r->overflow;
}

static bool
open_raw(const struct secret *passphrase, const char *setting, struct slice raw,
    struct secret *plain_r)
{
	const unsigned char *nonce = (const unsigned char *)raw.p;
	unsigned char key[AEAD_KEY];
	struct slice sealed = slice_skip(raw, AEAD_NONCE);

	if (!secret_make(plain_r, sealed.n - AEAD_TAG))
		return false;
	bool ok = make_key(passphrase, setting, key) &&
	    crypto_aead_open(key, nonce, slice_str(setting), sealed, (unsigned char *)plain_r->p);

	crypto_wipe(key, sizeof(key));
	if (!ok)
		secret_fini(plain_r);
	return ok;
}

bool
parcel_open(const struct secret *passphrase, struct slice parcel, struct secret *plain_r)
{
	struct slice head = slice_cut(&parcel, ':');
	struct slice how = slice_cut(&parcel, ':');
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	char *raw = malloc(RAW_MAX);
	size_t n = 0;
	bool ok = raw && slice_eq(head, slice_str(form)) && slice_starts(how, SLICE("$y$")) &&
	    how.n < sizeof(setting) && base64_decode(parcel, raw, RAW_MAX, &n) &&
	    n > AEAD_NONCE + AEAD_TAG;

	if (ok) {
		memcpy(setting, how.p, how.n);
		setting[how.n] = '\0';
		ok = open_raw(passphrase, setting, slice_of(raw, n), plain_r);
	}
	free(raw);
	return ok;
}
