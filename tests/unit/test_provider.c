/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct {
	const char *provider, *region, *host; /* HOST NULL: none */
} hosts[] = {
	{ "mailgun", "", "smtp.mailgun.org" },
	{ "Mailgun", "EU", "smtp.eu.mailgun.org" },
	{ "mailgun", "mars", NULL },
	{ "ses", "eu-west-1", "email-smtp.eu-west-1.amazonaws.com" },
	{ "ses", "", NULL },
	{ "ses", "a.b", NULL },
	{ "ses", "-x", NULL },
	{ "ses", "x\r\n", NULL },
	{ "brevo", "", "smtp-relay.brevo.com" },
	{ "custom", "", NULL },
};

static void
test_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		const struct provider *p = provider_find(slice_str(hosts[i].provider));
		char mem[256] = "";
		struct text host = text_over(mem, sizeof(mem));

		assert_non_null(p);
		assert_int_equal(provider_host(p, slice_str(hosts[i].region), &host),
		    hosts[i].host != NULL);
		assert_string_equal(mem, hosts[i].host ? hosts[i].host : "");
		if (hosts[i].host)
			assert_ptr_equal(provider_by_host(slice_str(mem)), p);
	}
}

static void
test_regions(void **state)
{
	const struct provider *ses = provider_find(SLICE("ses"));

	(void)state;
	assert_true(slice_eq(provider_region_of(ses, SLICE("email-smtp.us-east-2.amazonaws.com")),
	    SLICE("us-east-2")));
	assert_int_equal(provider_region_of(ses, SLICE("email-smtp..amazonaws.com")).n, 0);
	assert_int_equal(provider_region_of(ses, SLICE("smtp.mailgun.org")).n, 0);
	assert_null(provider_by_host(SLICE("smtp.example.com")));
	assert_null(provider_find(SLICE("acme")));
	assert_int_equal(provider_of("acme")->id, PROVIDER_CUSTOM);
	assert_int_equal(provider_of(NULL)->id, PROVIDER_CUSTOM);
}

/* What every row must have, whoever adds one. */
static void
test_rows(void **state)
{
	struct slice headers[PROVIDER_HEADERS_MAX];

	(void)state;
	for (enum provider_id id = 0; id < PROVIDER_COUNT; id++) {
		const struct provider *p = provider_at(id);

		assert_int_equal(p->id, id);
		assert_true(*p->name && *p->title && *p->kin && *p->ports && *p->login && *p->key);
		assert_true(p->port > 0 && p->port < 65536);
		assert_non_null(provider_find(slice_str(p->kin)));
		assert_int_equal(p->tls == UPSTREAM_TLS_NONE, 0);
		assert_int_equal(provider_region(p, 0) == NULL, id == PROVIDER_CUSTOM);
	}
	assert_true(provider_headers(headers) >= 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
