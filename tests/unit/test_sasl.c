/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/smtp/sasl.h"
#include "wire/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void
test_plain(void **state)
{
	char mem[256];
	struct text t = text_over(mem, sizeof(mem));
	struct secret s;

	(void)state;
	assert_true(secret_init(&s, SLICE("tanstaaftanstaaf")));
	sasl_begin(&t, SASL_PLAIN, SLICE("tim"), &s);
	assert_string_equal(mem, "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n");
	secret_fini(&s);
}

static void
test_login(void **state)
{
	char mem[256];
	struct text t = text_over(mem, sizeof(mem));
	struct secret s;

	(void)state;
	assert_true(secret_init(&s, SLICE("secret")));
	sasl_begin(&t, SASL_LOGIN, SLICE("tim"), &s);
	sasl_user(&t, SLICE("tim"));
	sasl_password(&t, &s);
	assert_string_equal(mem, "AUTH LOGIN\r\ndGlt\r\nc2VjcmV0\r\n");
	secret_fini(&s);
}

/* RFC 2195, section 2. */
static void
test_cram(void **state)
{
	char mem[256];
	struct text t = text_over(mem, sizeof(mem));
	struct secret s;

	(void)state;
	assert_true(crypto_init());
	assert_true(secret_init(&s, SLICE("tanstaaftanstaaf")));
	assert_true(sasl_cram(&t, SLICE("PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"),
	    SLICE("tim"), &s));
	assert_string_equal(mem, "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n");
	text_reset(&t);
	assert_false(sasl_cram(&t, SLICE("not base64!"), SLICE("tim"), &s));
	secret_fini(&s);
}

static void
test_choice(void **state)
{
	(void)state;
	assert_int_equal(sasl_find(SLICE("plain")), SASL_PLAIN);
	assert_int_equal(sasl_find(SLICE("SCRAM-SHA-1")), SASL_NONE);
	assert_int_equal(sasl_find(SLICE("xoauth2")), SASL_XOAUTH2);
	/* A token is no password: neither stands in for the other. */
	assert_int_equal(sasl_best(SASL_XOAUTH2 | SASL_OAUTHBEARER), SASL_NONE);
	assert_int_equal(sasl_best_bearer(SASL_PLAIN), SASL_NONE);
	assert_int_equal(sasl_best_bearer(SASL_XOAUTH2 | SASL_OAUTHBEARER), SASL_XOAUTH2);
	assert_int_equal(sasl_best_bearer(SASL_OAUTHBEARER), SASL_OAUTHBEARER);
	assert_int_equal(sasl_best(SASL_CRAM_MD5 | SASL_LOGIN | SASL_PLAIN), SASL_PLAIN);
	assert_int_equal(sasl_best(SASL_CRAM_MD5 | SASL_LOGIN), SASL_LOGIN);
	assert_int_equal(sasl_best(SASL_CRAM_MD5), SASL_CRAM_MD5);
	assert_int_equal(sasl_best(0), SASL_NONE);
}

/* A password that is too long does not go out cut. */
static void
test_too_long(void **state)
{
	static char mem[SASL_LINE_MAX], word[8000];
	struct text t = text_over(mem, sizeof(mem));
	struct secret s;

	(void)state;
	memset(word, 'x', sizeof(word));
	assert_true(secret_init(&s, slice_of(word, sizeof(word))));
	sasl_begin(&t, SASL_PLAIN, SLICE("tim"), &s);
	assert_true(t.overflow);
	secret_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_cram),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
