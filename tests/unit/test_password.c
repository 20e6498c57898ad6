/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <crypt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "conf/vault/password.h"
#include "wire/crypto.h"

static struct secret
secret_of(const char *s)
{
	struct secret secret;

	assert_true(secret_init(&secret, slice_str(s)));
	return secret;
}

static bool
verifies(struct vault *v, const char *hash, const char *password)
{
	struct secret plain = secret_of(password);
	bool right = password_verify(v, slice_str(hash), &plain);

	secret_fini(&plain);
	return right;
}

/* By the system's crypt(3), for any scheme: HASH of PASSWORD. */
static const char *
made(const char *scheme, unsigned long cost, const char *password)
{
	static struct crypt_data data;
	static char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	assert_non_null(crypt_gensalt_rn(scheme, cost, NULL, 0, setting, sizeof(setting)));
	const char *hash = crypt_r(password, setting, &data);

	assert_true(hash && hash[0] != '*');
	return hash;
}

static void
test_schemes(void **state)
{
	static const struct {
		const char *scheme;
		unsigned long cost;
	} cases[] = { { "$y$", 1 }, { "$gy$", 1 }, { "$7$", 6 }, { "$2b$", 4 }, { "$2y$", 4 },
		{ "$6$", 1000 }, { "$5$", 1000 }, { "$1$", 0 }, { "", 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char hash[PASSWORD_HASH_MAX];

		snprintf(hash, sizeof(hash), "%s",
		    made(cases[i].scheme, cases[i].cost, "Tr0ub4d.."));
		if (!password_hash_is_usable(slice_str(hash)) || !verifies(NULL, hash, "Tr0ub4d.."))
			fail_msg("%s does not verify", hash);
		if (verifies(NULL, hash, "tr0ub4d..") || verifies(NULL, hash, ""))
			fail_msg("%s verifies anything", hash);
		hash[strlen(hash) - 1] ^= 1;
		if (verifies(NULL, hash, "Tr0ub4d.."))
			fail_msg("%s verifies although cut", hash);
	}
}

static void
test_never(void **state)
{
	static const char *const hashes[] = { "", "*", "!", "*0", "*1", "!!", "x", "$", "$y$",
		"$y$j9T$", "$6$", "$6$salt", "$6$salt$", "$2b$05$", "$1$$", "$hm1$", "$hm1$k1$",
		"$hm1$k1$salt$", "$hm1$$$", "$nosuch$abcdefghijklmnop", "plain text password" };
	char hash[PASSWORD_HASH_MAX];
	static const char *const passwords[] = { "", "x", "$6$salt", "plain text password", "*0" };

	(void)state;
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		for (size_t k = 0; k < sizeof(passwords) / sizeof(passwords[0]); k++) {
			if (verifies(NULL, hashes[i], passwords[k]))
				fail_msg("\"%s\" takes \"%s\"", hashes[i], passwords[k]);
		}
	}
	/* Locked as passwd -l does it. */
	snprintf(hash, sizeof(hash), "!%s", made("$6$", 1000, "x"));
	assert_false(password_hash_is_usable(slice_str(hash)));
	assert_false(verifies(NULL, hash, "x"));

	/* An octet of the hash that C's strings would not see. */
	size_t n = strlen(hash + 1);

	hash[n + 1] = '\0';
	hash[n + 2] = 'x';
	struct secret plain = secret_of("x");

	assert_true(password_verify(NULL, slice_of(hash + 1, n), &plain));
	assert_false(password_verify(NULL, slice_of(hash + 1, n + 2), &plain));
	secret_fini(&plain);
}

static void
test_own(void **state)
{
	char mem[PASSWORD_HASH_MAX];
	struct text hash = text_over(mem, sizeof(mem));
	struct secret plain = secret_of("correct horse");
	char longest[513];

	(void)state;
	assert_true(password_hash(&plain, &hash));
	assert_int_equal(strncmp(mem, "$y$j9T$", 7), 0);
	assert_true(password_hash_is_usable(text_slice(&hash)));
	assert_true(verifies(NULL, mem, "correct horse"));
	assert_false(verifies(NULL, mem, "correct horsf"));
	secret_fini(&plain);

	/* What crypt(3) would cut or refuse is not hashed. */
	memset(longest, 'x', sizeof(longest));
	const struct slice bad[] = { SLICE(""), SLICE("a\0b"), slice_of(longest, 512),
		slice_of(longest, 513) };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct secret s;

		assert_true(secret_init(&s, bad[i]));
		text_reset(&hash);
		assert_false(password_hash(&s, &hash));
		assert_false(password_verify(NULL, SLICE("$6$rounds=1000$a$b"), &s));
		secret_fini(&s);
	}
}

static void
test_machine(void **state)
{
	char folder[] = "/tmp/byway-password-XXXXXX";
	char keys[64];
	char words[256];
	char mem[PASSWORD_HASH_MAX];
	struct text why = text_over(words, sizeof(words));
	struct text hash = text_over(mem, sizeof(mem));
	struct secret plain;
	struct secret weak = secret_of("only 25 characters long..");

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(keys, sizeof(keys), "%s/keys", folder);
	assert_true(vault_create(keys, &why));
	struct vault *v = vault_open(keys, &why);

	assert_non_null(v);
	assert_true(secret_generate(&plain, 20));
	assert_true(password_hash_machine(v, &plain, &hash));
	assert_int_equal(strncmp(mem, "$hm1$", 5), 0);
	assert_true(password_is_machine(text_slice(&hash)));
	assert_true(password_hash_is_usable(text_slice(&hash)));
	assert_true(password_verify(v, text_slice(&hash), &plain));
	assert_true(password_verify_machine(v, text_slice(&hash), &plain));
	assert_false(password_verify(NULL, text_slice(&hash), &plain));
	plain.p[3] ^= 1;
	assert_false(password_verify(v, text_slice(&hash), &plain));
	plain.p[3] ^= 1;

	/* The ring turns: the old key still checks. */
	assert_true(vault_add_key(keys, &why));
	struct vault *ring = vault_open(keys, &why);

	assert_non_null(ring);
	assert_true(password_verify(ring, text_slice(&hash), &plain));
	mem[hash.n - 1] = mem[hash.n - 1] == '0' ? '1' : '0';
	assert_false(password_verify(ring, text_slice(&hash), &plain));

	text_reset(&hash);
	assert_false(password_hash_machine(v, &weak, &hash));
	secret_fini(&weak);
	secret_fini(&plain);
	vault_close(v);
	vault_close(ring);
	unlink(keys);
	rmdir(folder);
}

/* ---- time tells nothing (A1): the work of each refusal, in CPU time of this thread ---- */

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

enum { TRIES = 41 };

static void
test_timing(void **state)
{
	char real[PASSWORD_HASH_MAX];
	char other[PASSWORD_HASH_MAX];
	const char *hashes[] = { real, "", "*", "nonsense",
		"$hm1$k1$salt$0123456789012345678901234567890123" };
	enum { KINDS = sizeof(hashes) / sizeof(hashes[0]) };
	static double took[KINDS][TRIES];
	double apart = 1;

	(void)state;
	snprintf(real, sizeof(real), "%s", made("$6$", 1000, "right"));
	snprintf(other, sizeof(other), "%s", made("$6$", 1000, "nobody's"));
	password_set_dummy(other);
	/* A noisy machine gets three chances. */
	for (int round = 0; round < 3 && apart > 0.05; round++) {
		for (size_t i = 0; i < TRIES; i++) {
			for (size_t k = 0; k < KINDS; k++) {
				double start = cpu_us();

				assert_false(verifies(NULL, hashes[k], "wrong"));
				took[k][i] = cpu_us() - start;
			}
		}
		for (size_t k = 0; k < KINDS; k++)
			qsort(took[k], TRIES, sizeof(double), compare);
		apart = 0;
		for (size_t k = 1; k < KINDS; k++) {
			double ratio = took[k][TRIES / 2] / took[0][TRIES / 2];

			ratio = ratio > 1 ? ratio - 1 : 1 - ratio;
			apart = ratio > apart ? ratio : apart;
		}
	}
	password_set_dummy(NULL);
	if (apart > 0.05)
		fail_msg("medians are %.1f %% apart", 100 * apart);
}

static void *
many(void *hash)
{
	for (int i = 0; i < 20; i++) {
		if (!verifies(NULL, hash, "x") || verifies(NULL, hash, "y"))
			return hash;
	}
	return NULL;
}

static void
test_threads(void **state)
{
	char hash[PASSWORD_HASH_MAX];
	pthread_t threads[4];
	void *bad;

	(void)state;
	snprintf(hash, sizeof(hash), "%s", made("$6$", 1000, "x"));
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many, hash), 0);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
}

static void
test_oddities(void **state)
{
	static const struct {
		struct slice plain;
		const char *word; /* of what is said; NULL: nothing */
	} rows[] = {
		{ SLICE("s3cret"), NULL },
		{ SLICE("two words"), NULL },
		{ SLICE("p\xc3\xa4ss"), NULL },
		{ SLICE(""), NULL },
		{ SLICE("\xef\xbb\xbfs3cret"), "byte-order" },
		{ SLICE("s3\xc2\xa0"
		        "cret"),
		    "no-break" },
		{ SLICE("s3cret\xe2\x80\x8b"), "U+200B" },
		{ SLICE("s3\xc2\xad"
		        "cret"),
		    "soft hyphen" },
		{ SLICE("s3cret "), "blank" },
		{ SLICE("\ts3cret"), "blank" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *said = password_oddity(rows[i].plain);

		if (!rows[i].word != !said || (said && !strstr(said, rows[i].word)))
			fail_msg("row %zu: %s", i, said ? said : "nothing");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schemes),
		cmocka_unit_test(test_oddities),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_timing),
		cmocka_unit_test(test_threads),
	};

	if (!crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
