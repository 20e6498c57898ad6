/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/vault/parcel.h"
#include "conf/vault/password.h"
#include "conf/vault/vault.h"
#include "wire/base64.h"
#include "wire/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/byway-vault.XXXXXX";
static char key_file[256];
static char words[1024];

static const struct vault_place home = {
	.account = 42,
	.profile = 7,
	.field = "password",
	.version = 3,
	.bound = { "smtp.example.net 465", 20 },
};

static struct text
why(void)
{
	return text_over(words, sizeof(words));
}

static void
write_file(const char *content, mode_t mode)
{
	FILE *f = fopen(key_file, "w");

	assert_non_null(f);
	assert_int_equal(fputs(content, f) < 0, 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(key_file, mode), 0);
}

static struct vault *
open_vault(void)
{
	struct text t = why();
	struct vault *v = vault_open(key_file, &t);

	if (!v)
		fail_msg("%s", words);
	return v;
}

static struct text
seal(struct vault *v, const struct vault_place *at, struct slice plain, char *mem, size_t cap)
{
	struct text blob = text_over(mem, cap);
	struct secret s;

	assert_true(secret_init(&s, plain));
	assert_true(vault_seal(v, at, &s, &blob));
	secret_fini(&s);
	return blob;
}

static enum vault_result
unseal(struct vault *v, const struct vault_place *at, struct slice blob, struct slice is)
{
	struct secret s;
	enum vault_result r = vault_unseal(v, at, blob, &s);

	if (r == VAULT_OK && !secret_equal(&s, is))
		fail_msg("opened, but something else");
	if (r != VAULT_OK && s.p)
		fail_msg("refused, but something was given");
	secret_fini(&s);
	return r;
}

static void
fresh_ring(void)
{
	struct text t = why();

	unlink(key_file);
	if (!vault_create(key_file, &t))
		fail_msg("%s", words);
}

/* ---- sealing ---- */

static void
test_round_trip(void **state)
{
	static const struct slice plains[] = { { "s3cret", 6 }, { "", 0 }, { "a\0b", 3 },
		{ "p\xc3\xa4ss", 5 } };
	char a[VAULT_BLOB_MAX], b[VAULT_BLOB_MAX];
	struct vault *v;

	(void)state;
	fresh_ring();
	v = open_vault();
	for (size_t i = 0; i < sizeof(plains) / sizeof(*plains); i++) {
		struct text one = seal(v, &home, plains[i], a, sizeof(a));
		struct text two = seal(v, &home, plains[i], b, sizeof(b));

		assert_int_equal(unseal(v, &home, text_slice(&one), plains[i]), VAULT_OK);
		assert_int_equal(unseal(v, &home, text_slice(&two), plains[i]), VAULT_OK);
		/* A nonce of its own each time. */
		assert_false(slice_eq(text_slice(&one), text_slice(&two)));
		assert_true(vault_is_current(v, text_slice(&one)));
		assert_true(slice_starts(text_slice(&one), SLICE("v2.k20")));
		assert_true(slice_is_ascii(text_slice(&one)));
	}
	vault_close(v);
}

static void
test_longest(void **state)
{
	static char plain[VAULT_PLAIN_MAX + 1], mem[VAULT_BLOB_MAX];
	struct text blob = text_over(mem, sizeof(mem));
	struct secret s;
	struct vault *v;

	(void)state;
	fresh_ring();
	v = open_vault();
	memset(plain, 'x', sizeof(plain));
	blob = seal(v, &home, slice_of(plain, VAULT_PLAIN_MAX), mem, sizeof(mem));
	assert_int_equal(unseal(v, &home, text_slice(&blob), slice_of(plain, VAULT_PLAIN_MAX)),
	    VAULT_OK);
	assert_true(secret_init(&s, slice_of(plain, sizeof(plain))));
	text_reset(&blob);
	assert_false(vault_seal(v, &home, &s, &blob));
	secret_fini(&s);
	/* No room for the blob. */
	blob = text_over(mem, 20);
	assert_true(secret_init(&s, SLICE("x")));
	assert_false(vault_seal(v, &home, &s, &blob));
	secret_fini(&s);
	vault_close(v);
}

/* R3: a swapped row or an edited host cannot be opened. */
static void
test_bound_to_its_place(void **state)
{
	struct vault_place wrong[8];
	char mem[VAULT_BLOB_MAX];
	struct text blob;
	struct vault *v;

	(void)state;
	fresh_ring();
	v = open_vault();
	blob = seal(v, &home, SLICE("s3cret"), mem, sizeof(mem));
	for (size_t i = 0; i < 8; i++)
		wrong[i] = home;
	wrong[0].account = 43;
	wrong[1].profile = 8;
	wrong[2].field = "passwor";
	wrong[3].version = 4;
	wrong[4].bound = SLICE("smtp.example.org 465");
	wrong[5].bound = SLICE("smtp.example.net 465\0");
	wrong[6].bound = SLICE("");
	wrong[7].field = "password\003";
	for (size_t i = 0; i < 8; i++)
		if (unseal(v, &wrong[i], text_slice(&blob), SLICE("s3cret")) != VAULT_FORGED)
			fail_msg("place %zu opens it", i);
	assert_int_equal(unseal(v, &home, text_slice(&blob), SLICE("s3cret")), VAULT_OK);
	vault_close(v);
}

/* What a build with the one library has sealed, a build with the other opens: both rows were made
 * by this code, the first with mbedTLS 3.6.6 behind it and the second with OpenSSL 3.0. */
static void
test_of_both_libraries(void **state)
{
	static const struct {
		const char *blob;
		const char *hash; /* of a password that a machine made */
	} made[] = {
		{ "v2.k20261126a.9hBS3bFEpCQqQP/PE3DMh5syAk4GpUPKzgopl9Ab1PiL4g==",
		    "$hm1$k20261126a$7f5f74808d546e69773059cddd492a4f$"
		    "f4d5e334e98322431851cf31819d66954fd5c3fca0a3be6623c322534b1d8e04" },
		{ "v2.k20261126a.tsM7jCnYVOWOAudkVtu3/ry16IVEs3FiPxI3c+QE8MglZQ==",
		    "$hm1$k20261126a$0e4aa55984db54ec3c203007b9b0e0c0$"
		    "02d7ecd6a16f698fceafb2d7d77315b57a46c6216dad6ea64945f8499e177838" },
	};
	struct secret s;
	struct vault *v;

	(void)state;
	write_file("k20261126a 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
	    0600);
	v = open_vault();
	assert_true(secret_init(&s, SLICE("abcdefghijklmnopqrstuvwxyz")));
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		assert_int_equal(unseal(v, &home, slice_str(made[i].blob), SLICE("s3cret")),
		    VAULT_OK);
		assert_true(password_verify_machine(v, slice_str(made[i].hash), &s));
	}
	s.p[0] = 'b';
	assert_false(password_verify_machine(v, slice_str(made[0].hash), &s));
	secret_fini(&s);
	vault_close(v);
}

/* R5: every octet counts, each bit of it. */
static void
test_every_octet_counts(void **state)
{
	char mem[VAULT_BLOB_MAX];
	struct text blob;
	struct vault *v;

	(void)state;
	fresh_ring();
	v = open_vault();
	blob = seal(v, &home, SLICE("s3cret"), mem, sizeof(mem));
	for (size_t i = 0; i < blob.n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			mem[i] = (char)(mem[i] ^ (1 << bit));
			if (unseal(v, &home, text_slice(&blob), SLICE("s3cret")) == VAULT_OK)
				fail_msg("bit %u of octet %zu does not count", bit, i);
			mem[i] = (char)(mem[i] ^ (1 << bit));
		}
	for (size_t n = 0; n < blob.n; n++)
		if (unseal(v, &home, slice_of(mem, n), SLICE("s3cret")) == VAULT_OK)
			fail_msg("%zu octets are enough", n);
	assert_int_equal(unseal(v, &home, text_slice(&blob), SLICE("s3cret")), VAULT_OK);
	vault_close(v);
}

/* A tag cut short, whole in base64: refused before the cipher sees it, or by it. */
static void
test_short_tag(void **state)
{
	char mem[VAULT_BLOB_MAX], raw[VAULT_BLOB_MAX], cut[VAULT_BLOB_MAX];
	struct text blob, t;
	struct slice rest, id;
	struct vault *v;
	size_t n;

	(void)state;
	fresh_ring();
	v = open_vault();
	blob = seal(v, &home, SLICE(""), mem, sizeof(mem));
	rest = slice_skip(text_slice(&blob), 3);
	id = slice_cut(&rest, '.');
	assert_true(base64_decode(rest, raw, sizeof(raw), &n));
	assert_int_equal(n, 12 + 16);
	for (size_t less = 1; less <= n; less++) {
		t = text_over(cut, sizeof(cut));
		text_fmt(&t, "v2.%.*s.", SLICE_FMT(id));
		base64_encode(&t, slice_of(raw, n - less));
		assert_int_equal(unseal(v, &home, text_slice(&t), SLICE("")), VAULT_FORGED);
	}
	vault_close(v);
}

/* What an earlier version sealed: opened by what seals it anew, and by nothing else. */
static void
test_v1(void **state)
{
	static const struct slice blob =
	    SLICE("v1.k1.AAECAwQFBgcICQoL2/LfN7e0FHJwR554P7viVxkJYeHbcA==");
	const struct vault_place_v1 at = { .account = 42,
		.profile = 7,
		.field = "password",
		.version = 3,
		.host = SLICE("smtp.example.net"),
		.port = 465,
		.tls = "implicit" };
	struct vault_place_v1 wrong = at;
	struct secret plain;
	struct vault *v;

	(void)state;
	write_file("k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 0600);
	v = open_vault();
	assert_true(vault_is_v1(blob));
	assert_false(vault_is_current(v, blob));
	assert_int_equal(unseal(v, &home, blob, SLICE("s3cret")), VAULT_FORGED);
	assert_int_equal(vault_unseal_v1(v, &at, blob, &plain), VAULT_OK);
	assert_true(slice_eq(secret_peek(&plain), SLICE("s3cret")));
	secret_fini(&plain);
	wrong.port = 587;
	assert_int_equal(vault_unseal_v1(v, &wrong, blob, &plain), VAULT_FORGED);
	vault_close(v);
}

static void
test_strange_blobs(void **state)
{
	static char huge[VAULT_BLOB_MAX + 100];
	static const struct {
		const char *blob;
		enum vault_result r;
	} cases[] = {
		{ "", VAULT_FORGED },
		{ "v2", VAULT_FORGED },
		{ "v2.", VAULT_FORGED },
		{ "v1.k1.AAAA", VAULT_FORGED },
		{ "v3.k1.AAAA", VAULT_FORGED },
		{ "v2..AAAA", VAULT_FORGED },
		{ "v2.K1.AAAA", VAULT_FORGED },
		{ "v2.k1/.AAAA", VAULT_FORGED },
		{ "v2.unknown.AAAA", VAULT_NO_KEY },
		{ "v2.unknown", VAULT_NO_KEY },
		{ "v2.thisidislongerthanthirtytwocharacters.AAAA", VAULT_FORGED },
	};
	struct text t;
	struct vault *v;

	(void)state;
	fresh_ring();
	v = open_vault();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (unseal(v, &home, slice_str(cases[i].blob), SLICE("")) != cases[i].r)
			fail_msg("%s", cases[i].blob);
	t = text_over(huge, sizeof(huge));
	text_fmt(&t, "v1.%s.", vault_current(v));
	while (t.n < sizeof(huge) - 1)
		text_char(&t, 'A');
	/* Longer than any blob; and the longest that is none. */
	assert_int_equal(unseal(v, &home, text_slice(&t), SLICE("")), VAULT_FORGED);
	assert_int_equal(unseal(v, &home, slice_of(huge, VAULT_BLOB_MAX), SLICE("")), VAULT_FORGED);
	vault_close(v);
}

/* ---- the ring ---- */

static void
test_rotation(void **state)
{
	char old_mem[VAULT_BLOB_MAX], new_mem[VAULT_BLOB_MAX], was[64];
	unsigned char mac_old[32], mac_new[32], mac_again[32];
	struct text old_blob, new_blob, t = why();
	struct vault *v;
	struct stat st;

	(void)state;
	fresh_ring();
	v = open_vault();
	snprintf(was, sizeof(was), "%s", vault_current(v));
	old_blob = seal(v, &home, SLICE("s3cret"), old_mem, sizeof(old_mem));
	assert_true(vault_mac(v, SLICE("mailbox"), SLICE("in"), mac_old));
	vault_close(v);

	assert_true(vault_add_key(key_file, &t));
	assert_int_equal(stat(key_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	v = open_vault();
	assert_string_not_equal(vault_current(v), was);
	assert_int_equal(unseal(v, &home, text_slice(&old_blob), SLICE("s3cret")), VAULT_OK);
	assert_false(vault_is_current(v, text_slice(&old_blob)));
	new_blob = seal(v, &home, SLICE("s3cret"), new_mem, sizeof(new_mem));
	assert_true(vault_is_current(v, text_slice(&new_blob)));
	assert_int_equal(unseal(v, &home, text_slice(&new_blob), SLICE("s3cret")), VAULT_OK);
	/* What was stored with the old key is checked with it. */
	assert_true(vault_mac(v, SLICE("mailbox"), SLICE("in"), mac_new));
	assert_memory_not_equal(mac_old, mac_new, 32);
	assert_true(vault_mac_by(v, slice_str(was), SLICE("mailbox"), SLICE("in"), mac_again));
	assert_memory_equal(mac_old, mac_again, 32);
	assert_false(vault_mac_by(v, SLICE("nobody"), SLICE("mailbox"), SLICE("in"), mac_again));
	vault_close(v);
}

/* A blob whose key's id was changed to another key's of the ring must not open. */
static void
test_key_id_is_bound(void **state)
{
	static const char ring[] =
	    "a 0000000000000000000000000000000000000000000000000000000000000001\n"
	    "b 0000000000000000000000000000000000000000000000000000000000000001\n";
	char mem[VAULT_BLOB_MAX];
	struct text blob;
	struct vault *v;

	(void)state;
	unlink(key_file);
	write_file(ring, 0600);
	v = open_vault();
	assert_string_equal(vault_current(v), "b");
	blob = seal(v, &home, SLICE("s3cret"), mem, sizeof(mem));
	mem[3] = 'a';
	assert_int_equal(unseal(v, &home, text_slice(&blob), SLICE("s3cret")), VAULT_FORGED);
	vault_close(v);
}

static void
test_mac_separates(void **state)
{
	unsigned char a[32], b[32], c[32];
	struct vault *v;

	(void)state;
	fresh_ring();
	v = open_vault();
	assert_true(vault_mac(v, SLICE("one"), SLICE("in"), a));
	assert_true(vault_mac(v, SLICE("two"), SLICE("in"), b));
	assert_true(vault_mac(v, SLICE("one"), SLICE("im"), c));
	assert_memory_not_equal(a, b, 32);
	assert_memory_not_equal(a, c, 32);
	assert_true(vault_mac(v, SLICE("one"), SLICE("in"), b));
	assert_memory_equal(a, b, 32);
	vault_close(v);
}

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static void
test_reads_rings(void **state)
{
	static const struct {
		const char *ring;
		mode_t mode;
		const char *says; /* NULL: opens */
	} cases[] = {
		{ "k1 " HEX64 "\n", 0600, NULL },
		{ "k1 " HEX64, 0400, NULL },
		{ "# made once\r\n\r\n  k1   " HEX64 "  \r\nk2 " HEX64 "\r\n", 0600, NULL },
		{ "k1 " HEX64 "\n", 0640, "chmod 0600" },
		{ "k1 " HEX64 "\n", 0604, "chmod 0600" },
		{ "k1 " HEX64 "\n", 0610, "chmod 0600" },
		{ "", 0600, "holds no key" },
		{ "# nothing\n", 0600, "holds no key" },
		{ "k1\n", 0600, ":1: expected 64 hex digits" },
		{ HEX64 "\n", 0600, ":1: expected a key's id" },
		{ "k1 " HEX64 "0\n", 0600, ":1: expected 64 hex digits" },
		{ "k1 " HEX64 "\nk2 0011\n", 0600, ":2: expected 64 hex digits" },
		{ "k1 0011223344556677_899aabbccddeeff00112233445566778899aabbccddeeff\n", 0600,
		    ":1: expected 64" },
		{ "k1 " HEX64 "\nk1 " HEX64 "\n", 0600, ":2: this id stands twice" },
		{ "k.1 " HEX64 "\n", 0600, ":1: expected a key's id" },
		{ "K1 " HEX64 "\n", 0600, ":1: expected a key's id" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct text t = why();
		struct vault *v;

		unlink(key_file);
		write_file(cases[i].ring, cases[i].mode);
		v = vault_open(key_file, &t);
		if (!v != !!cases[i].says || (!v && !strstr(words, cases[i].says)))
			fail_msg("case %zu: %s", i, words);
		if (!v) {
			assert_non_null(strstr(words, key_file));
			/* No part of a key in the words. */
			assert_null(strstr(words, "0011"));
		}
		vault_close(v);
	}
}

static void
test_creates_once(void **state)
{
	struct text t = why();
	struct stat st;

	(void)state;
	fresh_ring();
	assert_int_equal(stat(key_file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_false(vault_create(key_file, &t));
	assert_non_null(strstr(words, "File exists"));
	unlink(key_file);
	t = why();
	assert_false(vault_add_key(key_file, &t));
	assert_non_null(strstr(words, "No such file"));
	/* A ring that others can read is not made worse. */
	write_file("k1 " HEX64 "\n", 0644);
	t = why();
	assert_false(vault_add_key(key_file, &t));
}

/* Many who rotate at once: no key is lost. */
static void
test_writers_take_turns(void **state)
{
	enum { WRITERS = 8 };
	char mem[16384];
	size_t lines = 0, n;
	FILE *f;

	(void)state;
	fresh_ring();
	for (size_t i = 0; i < WRITERS; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct text t = why();

			_exit(vault_add_key(key_file, &t) ? 0 : 1);
		}
	}
	for (size_t i = 0; i < WRITERS; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	f = fopen(key_file, "r");
	assert_non_null(f);
	n = fread(mem, 1, sizeof(mem), f);
	fclose(f);
	for (size_t i = 0; i < n; i++)
		lines += mem[i] == '\n';
	assert_int_equal(lines, 1 + WRITERS);
	vault_close(open_vault());
}

/* A link to a ring elsewhere stays a link. */
static void
test_keeps_links(void **state)
{
	char link_path[300];
	struct text t = why();
	struct stat st;

	(void)state;
	fresh_ring();
	snprintf(link_path, sizeof(link_path), "%s/link", folder);
	assert_int_equal(symlink(key_file, link_path), 0);
	if (!vault_add_key(link_path, &t))
		fail_msg("%s", words);
	assert_int_equal(lstat(link_path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	unlink(link_path);
}

static int
set_up(void **state)
{
	(void)state;
	if (!crypto_init() || !mkdtemp(folder))
		return -1;
	snprintf(key_file, sizeof(key_file), "%s/vault.key", folder);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(key_file);
	/* Nothing but the ring was left behind, and no secret lives. */
	return rmdir(folder) == 0 && secret_live() == 0 ? 0 : -1;
}

/* A ring on its way: what one octet less or another passphrase opens is nothing. */
static void
test_parcel(void **state)
{
	static char mem[PARCEL_MAX];
	struct text t = text_over(mem, sizeof(mem));
	struct secret right = { 0 };
	struct secret wrong = { 0 };
	struct secret plain = { 0 };

	(void)state;
	assert_true(secret_init(&right, SLICE("five words that nobody says")));
	assert_true(secret_init(&wrong, SLICE("five words that nobody said")));
	assert_true(parcel_seal(&right, SLICE("k1 00ff\n"), &t));
	assert_null(strstr(mem, "00ff"));
	assert_false(parcel_open(&wrong, text_slice(&t), &plain));
	assert_true(parcel_open(&right, text_slice(&t), &plain));
	assert_true(secret_equal(&plain, SLICE("k1 00ff\n")));
	secret_fini(&plain);
	/* The setting is authenticated as the octets are. */
	for (size_t i = 0; i < 3; i++) {
		const size_t at[] = { 0, 20, t.n - 6 };
		char was = mem[at[i]];

		mem[at[i]] = was == 'x' ? 'y' : 'x';
		assert_false(parcel_open(&right, text_slice(&t), &plain));
		mem[at[i]] = was;
	}
	assert_false(parcel_open(&right, slice_head(text_slice(&t), t.n - 4), &plain));
	assert_false(parcel_open(&right, SLICE(""), &plain));
	assert_false(parcel_open(&right, SLICE("p1:$y$:AAAA"), &plain));
	secret_fini(&right);
	secret_fini(&wrong);
	/* An empty passphrase is none. */
	text_reset(&t);
	assert_true(secret_init(&right, SLICE("")));
	assert_false(parcel_seal(&right, SLICE("k1 00ff\n"), &t));
	secret_fini(&right);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parcel),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_bound_to_its_place),
		cmocka_unit_test(test_of_both_libraries),
		cmocka_unit_test(test_every_octet_counts),
		cmocka_unit_test(test_short_tag),
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_strange_blobs),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_key_id_is_bound),
		cmocka_unit_test(test_mac_separates),
		cmocka_unit_test(test_reads_rings),
		cmocka_unit_test(test_creates_once),
		cmocka_unit_test(test_writers_take_turns),
		cmocka_unit_test(test_keeps_links),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
