/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/vault/password.h"

#include <crypt.h>
#include <string.h>
#include <time.h>

#include "wire/base64.h"
#include "wire/crypto.h"

#define MACHINE "$hm1$"

enum { MACHINE_MIN = 26, SALT_LEN = 16, TEXT_MAX = CRYPT_MAX_PASSPHRASE_SIZE };

/* A real one of the default scheme and cost (its password is nobody's: 32 random octets,
 * forgotten). */
#define DEFAULT_DUMMY "$y$j9T$NbI6JtourWjsvTt94oGdL0$E1XflXKHAtEbt5zVyUblpzsVNNEYEhsp7iM232/O3K7"

static const char *dummy = DEFAULT_DUMMY;

void
password_set_dummy(const char *hash)
{
	dummy = hash ? hash : DEFAULT_DUMMY;
}

static struct crypt_data *
scratch(void)
{
	static _Thread_local struct crypt_data data;

	return &data;
}

/* PLAIN with a NUL behind it; false where it cannot be a password. */
static bool
terminated(const struct secret *plain, char out[TEXT_MAX])
{
	struct slice p = secret_peek(plain);

	if (p.n == 0 || p.n >= TEXT_MAX || memchr(p.p, '\0', p.n))
		return false;
	memcpy(out, p.p, p.n);
	out[p.n] = '\0';
	return true;
}

/* crypt(3) marks failure with a text that begins with '*'. */
static bool
crypt_matches(const char *hash, const char *plain)
{
	struct crypt_data *data = scratch();
	const char *made = crypt_r(plain, hash, data);
	bool same = made && made[0] != '*' && made[0] != '\0' && strlen(made) == strlen(hash) &&
	    crypto_equal(made, hash, strlen(hash));

	crypto_wipe(data, sizeof(*data));
	return same;
}

/* The work of a comparison, its result aside. */
static void
work_in_vain(const char *plain)
{
	bool ignored = crypt_matches(dummy, plain[0] ? plain : "x");

	(void)ignored;
}

bool
password_hash_is_usable(struct slice hash)
{
	char setting[PASSWORD_HASH_MAX];

	if (hash.n == 0 || hash.n >= sizeof(setting) || !slice_is_ascii(hash))
		return false;
	if (password_is_machine(hash))
		return true;
	memcpy(setting, hash.p, hash.n);
	setting[hash.n] = '\0';
	int how = crypt_checksalt(setting);

	/* A bare setting passes crypt_checksalt() too; a hash of ours and of any modern scheme has
	 * a '$' or 13 characters. */
	return (how == CRYPT_SALT_OK || how == CRYPT_SALT_METHOD_LEGACY ||
	           how == CRYPT_SALT_TOO_CHEAP) &&
	    hash.n >= 13;
}

double
password_cost(struct slice hash)
{
	char setting[PASSWORD_HASH_MAX];
	struct timespec began, ended;

	if (password_is_machine(hash) || !password_hash_is_usable(hash))
		return 0;
	memcpy(setting, hash.p, hash.n);
	setting[hash.n] = '\0';
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
	bool ignored = crypt_matches(setting, "x");

	(void)ignored;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
	return (double)(ended.tv_sec - began.tv_sec) +
	    (double)(ended.tv_nsec - began.tv_nsec) * 1e-9;
}

bool
password_is_up_to_date(struct slice hash)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct slice made, scheme;

	if (password_is_machine(hash))
		return true;
	if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)))
		return true; /* there is no better one to be had */
	/* "$y$j9T$": the scheme and its cost, before the salt. */
	made = slice_str(setting);
	scheme = slice_skip(made, 3);
	return slice_starts(hash, slice_head(made, 3 + slice_find(scheme, '$') + 1));
}

bool
password_hash(const struct secret *plain, struct text *hash_r)
{
	char text[TEXT_MAX];
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	if (!terminated(plain, text))
		return false;
	struct crypt_data *data = scratch();
	const char *made = NULL;

	if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)))
		made = crypt_r(text, setting, data);
	bool ok = made && made[0] == '$';

	if (ok)
		text_put(hash_r, slice_str(made));
	crypto_wipe(data, sizeof(*data));
	crypto_wipe(text, sizeof(text));
	return ok && !hash_r->overflow;
}

/* The keyed hash over salt and password. */
static bool
machine_mac(struct vault *v, struct slice key, struct slice salt, struct slice plain,
    unsigned char mac[32])
{
	char in[64 + TEXT_MAX];
	struct text t = text_over(in, sizeof(in));

	text_put(&t, salt);
	text_char(&t, '$');
	text_put(&t, plain);
	bool ok =
	    !t.overflow && vault_mac_by(v, key, SLICE("mailbox password"), text_slice(&t), mac);

	crypto_wipe(in, sizeof(in));
	return ok;
}

bool
password_hash_machine(struct vault *v, const struct secret *plain, struct text *hash_r)
{
	struct slice p = secret_peek(plain);
	unsigned char salt[SALT_LEN];
	unsigned char mac[32];
	char hex[2 * SALT_LEN + 1];
	struct text salt_text = text_over(hex, sizeof(hex));

	if (p.n < MACHINE_MIN || p.n >= TEXT_MAX || !crypto_random(salt, sizeof(salt)))
		return false;
	text_hex(&salt_text, slice_of((const char *)salt, sizeof(salt)));
	struct slice key = slice_str(vault_current(v));

	if (!machine_mac(v, key, text_slice(&salt_text), p, mac))
		return false;
	text_put(hash_r, SLICE(MACHINE));
	text_put(hash_r, key);
	text_char(hash_r, '$');
	text_put(hash_r, text_slice(&salt_text));
	text_char(hash_r, '$');
	text_hex(hash_r, slice_of((const char *)mac, sizeof(mac)));
	return !hash_r->overflow;
}

bool
password_is_machine(struct slice hash)
{
	return slice_starts(hash, SLICE(MACHINE));
}

bool
password_verify_machine(struct vault *v, struct slice hash, const struct secret *plain)
{
	struct slice p = secret_peek(plain);
	struct slice rest = slice_skip(hash, sizeof(MACHINE) - 1);
	struct slice key = slice_cut(&rest, '$');
	struct slice salt = slice_cut(&rest, '$');
	unsigned char mac[32];
	char hex[65];
	struct text t = text_over(hex, sizeof(hex));

	if (!v || !password_is_machine(hash) || p.n < MACHINE_MIN || p.n >= TEXT_MAX)
		return false;
	if (key.n == 0 || salt.n == 0 || salt.n > 2 * SALT_LEN || rest.n != 64)
		return false;
	if (!machine_mac(v, key, salt, p, mac))
		return false;
	text_hex(&t, slice_of((const char *)mac, sizeof(mac)));
	return crypto_equal(hex, rest.p, 64);
}

bool
password_verify(struct vault *v, struct slice hash, const struct secret *plain)
{
	char text[TEXT_MAX] = "";
	char setting[PASSWORD_HASH_MAX];
	bool good = terminated(plain, text);
	bool same = false;

	if (password_is_machine(hash)) {
		same = password_verify_machine(v, hash, plain);
		if (!same)
			work_in_vain(text);
	} else if (good && password_hash_is_usable(hash)) {
		memcpy(setting, hash.p, hash.n);
		setting[hash.n] = '\0';
		same = crypt_matches(setting, text);
	} else {
		work_in_vain(text);
	}
	crypto_wipe(text, sizeof(text));
	return same;
}

const char *
password_oddity(struct slice plain)
{
	static const struct {
		const char *octets; /* UTF-8 */
		const char *said;
	} odd[] = {
		{ "\xef\xbb\xbf", "holds a byte-order mark, as some editors write it" },
		{ "\xc2\xa0", "holds a no-break space" },
		{ "\xe2\x80\x8b", "holds an invisible character (U+200B)" },
		{ "\xe2\x80\x8c", "holds an invisible character (U+200C)" },
		{ "\xe2\x80\x8d", "holds an invisible character (U+200D)" },
		{ "\xc2\xad", "holds an invisible character (a soft hyphen)" },
	};

	for (size_t i = 0; plain.n && i < sizeof(odd) / sizeof(odd[0]); i++)
		if (memmem(plain.p, plain.n, odd[i].octets, strlen(odd[i].octets)))
			return odd[i].said;
	return slice_eq(slice_trim(plain), plain) ? NULL : "begins or ends with a blank";
}
