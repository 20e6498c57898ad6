/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int
set_up(void **state)
{
	(void)state;
	return crypto_init() && crypto_init() ? 0 : -1;
}

static void
hex_is(const unsigned char *p, size_t n, const char *hex)
{
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));

	text_hex(&t, slice_of((const char *)p, n));
	assert_string_equal(mem, hex);
}

static void
test_hashes(void **state)
{
	unsigned char out[32];

	(void)state;
	/* FIPS 180-4; RFC 4231, case 2; RFC 2202, case 2. */
	assert_true(crypto_sha256(SLICE("abc"), out));
	hex_is(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_true(crypto_sha256(SLICE(""), out));
	hex_is(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_true(crypto_hmac_sha256(SLICE("Jefe"), SLICE("what do ya want for nothing?"), out));
	hex_is(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_true(crypto_hmac_md5(SLICE("Jefe"), SLICE("what do ya want for nothing?"), out));
	hex_is(out, 16, "750c783e6ab0b503eaa86e310a5db738");
	/* An empty password is a password. */
	assert_true(crypto_hmac_md5(SLICE(""), SLICE(""), out));
	hex_is(out, 16, "74e6f7298a9c2d168935f58c001bad88");
	/* The example of RFC 2195. */
	assert_true(crypto_hmac_md5(SLICE("tanstaaftanstaaf"),
	    SLICE("<1896.697170952@postoffice.reston.mci.net>"), out));
	hex_is(out, 16, "b913a602c7eda7a495b4e6e7334d3890");
}

static void
test_hkdf(void **state)
{
	unsigned char key[22];
	unsigned char out[42];

	(void)state;
	/* RFC 5869, A.1 and A.3. */
	memset(key, 0x0b, sizeof(key));
	assert_true(crypto_hkdf_sha256(slice_of((char *)key, 22),
	    SLICE("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c"),
	    SLICE("\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9"), out, 42));
	hex_is(out, 42,
	    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
	assert_true(crypto_hkdf_sha256(slice_of((char *)key, 22), SLICE(""), SLICE(""), out, 42));
	hex_is(out, 42,
	    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

static void
test_aead_vector(void **state)
{
	static const unsigned char key[32];
	static const unsigned char nonce[12];
	unsigned char out[32];
	unsigned char back[16];

	(void)state;
	/* The GCM specification's test cases 13 and 14. */
	assert_true(crypto_aead_seal(key, nonce, SLICE(""), SLICE(""), out));
	hex_is(out, 16, "530f8afbc74536b9a963b4f1c4cb738b");
	memset(back, 0, sizeof(back));
	assert_true(crypto_aead_seal(key, nonce, SLICE(""), slice_of((char *)back, 16), out));
	hex_is(out, 32, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
	memset(back, 1, sizeof(back));
	assert_true(crypto_aead_open(key, nonce, SLICE(""), slice_of((char *)out, 32), back));
	hex_is(back, 16, "00000000000000000000000000000000");
}

/* Every bit of every part counts, and a failure leaves nothing behind. */
static void
test_aead_bit_flips(void **state)
{
	unsigned char key[AEAD_KEY];
	unsigned char nonce[AEAD_NONCE];
	char aad[] = "account|profile|field|1";
	const struct slice in = SLICE("the password of somebody");
	unsigned char sealed[64];
	unsigned char back[64];
	struct {
		unsigned char *p;
		size_t n;
	} parts[] = {
		{ key, sizeof(key) },
		{ nonce, sizeof(nonce) },
		{ (unsigned char *)aad, sizeof(aad) - 1 },
		{ sealed, in.n + AEAD_TAG },
	};

	(void)state;
	assert_true(crypto_random(key, sizeof(key)));
	assert_true(crypto_random(nonce, sizeof(nonce)));
	assert_true(crypto_aead_seal(key, nonce, slice_str(aad), in, sealed));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (size_t bit = 0; bit < parts[i].n * 8; bit++) {
			parts[i].p[bit / 8] ^= (unsigned char)(1 << bit % 8);
			memset(back, 'x', sizeof(back));
			assert_false(crypto_aead_open(key, nonce, slice_str(aad),
			    slice_of((char *)sealed, in.n + AEAD_TAG), back));
			for (size_t k = 0; k < in.n; k++)
				assert_int_equal(back[k], 0);
			assert_int_equal(back[in.n], 'x');
			parts[i].p[bit / 8] ^= (unsigned char)(1 << bit % 8);
		}
	}
	assert_true(crypto_aead_open(key, nonce, slice_str(aad),
	    slice_of((char *)sealed, in.n + AEAD_TAG), back));
	assert_memory_equal(back, in.p, in.n);
	/* Shorter than a tag. */
	for (size_t n = 0; n < AEAD_TAG; n++)
		assert_false(crypto_aead_open(key, nonce, slice_str(aad),
		    slice_of((char *)sealed, n), back));
}

static void
test_random_equal_wipe(void **state)
{
	unsigned char one[64];
	unsigned char two[64];

	(void)state;
	assert_true(crypto_random(one, sizeof(one)));
	assert_true(crypto_random(two, sizeof(two)));
	assert_false(crypto_equal(one, two, sizeof(one)));
	memcpy(two, one, sizeof(two));
	assert_true(crypto_equal(one, two, sizeof(one)));
	two[63] ^= 0x80;
	assert_false(crypto_equal(one, two, sizeof(one)));
	assert_true(crypto_equal(one, two, 63));
	assert_true(crypto_equal(one, two, 0));
	crypto_wipe(one, sizeof(one));
	for (size_t i = 0; i < sizeof(one); i++)
		assert_int_equal(one[i], 0);
	crypto_wipe(NULL, 0);
}

static void
put_file(const char *path, struct slice what)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(what.p, 1, what.n, f), what.n);
	assert_int_equal(fclose(f), 0);
}

static void
test_self_signed(void **state)
{
	const struct slice names[] = { SLICE("mx.example"), SLICE("*.example.net"),
		SLICE("192.0.2.1"), SLICE("2001:db8::1") };
	const struct slice bad[] = { SLICE(""), SLICE("a b"), SLICE("x,O=y"), SLICE("x\n"),
		SLICE("\xc3\xa4") };
	char key_mem[2048];
	char cert_mem[4096];
	char dir[] = "/tmp/byway-crypto-XXXXXX";
	char file[64];
	char cmd[1024];
	struct text key = text_over(key_mem, sizeof(key_mem));
	struct text cert = text_over(cert_mem, sizeof(cert_mem));

	(void)state;
	assert_true(crypto_self_signed(CRYPTO_ECDSA, names, 4, 365, &key, &cert));
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/crt", dir);
	put_file(file, text_slice(&cert));
	snprintf(file, sizeof(file), "%s/key", dir);
	put_file(file, text_slice(&key));

	/* Another library takes it, by each of its names, from a client that has it as its CA file;
	 * and no other name. */
	snprintf(cmd, sizeof(cmd),
	    "cd %s && { openssl verify -x509_strict -purpose sslserver -CAfile crt -verify_hostname mx.example crt && "
	    "openssl verify -CAfile crt -verify_hostname www.example.net crt && "
	    "openssl verify -CAfile crt -verify_ip 192.0.2.1 crt && "
	    "openssl verify -CAfile crt -verify_ip 2001:db8::1 crt && "
	    "! openssl verify -CAfile crt -verify_hostname other.example crt && "
	    "openssl x509 -in crt -noout -text | grep -q CA:FALSE && "
	    "openssl x509 -in crt -noout -checkend $((364 * 86400)) && "
	    "! openssl x509 -in crt -noout -checkend $((366 * 86400)) && "
	    "test \"$(openssl x509 -in crt -noout -pubkey)\" = \"$(openssl pkey -in key -pubout)\"; } >/dev/null 2>&1",
	    dir);
	assert_int_equal(system(cmd), 0);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		text_reset(&key);
		text_reset(&cert);
		assert_false(crypto_self_signed(CRYPTO_ECDSA, &bad[i], 1, 365, &key, &cert));
	}
	assert_false(crypto_self_signed(CRYPTO_ECDSA, names, 0, 365, &key, &cert));
	/* No room: no half of a key. */
	key = text_over(key_mem, 100);
	text_reset(&cert);
	assert_false(crypto_self_signed(CRYPTO_ECDSA, names, 1, 365, &key, &cert));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_hkdf),
		cmocka_unit_test(test_aead_vector),
		cmocka_unit_test(test_aead_bit_flips),
		cmocka_unit_test(test_random_equal_wipe),
		cmocka_unit_test(test_self_signed),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
