/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* What people write; what it is, or what they are told. */
static const struct {
	const char *said;
	const char *normal;
	const char *why;
} hosts[] = {
	{ "smtp.gmail.com", "smtp.gmail.com", NULL },
	{ "SMTP.Gmail.COM", "smtp.gmail.com", NULL },
	{ "localhost", "localhost", NULL },
	{ "mail_relay.example", "mail_relay.example", NULL },
	{ "_smtp.1-2.example", "_smtp.1-2.example", NULL },
	{ "192.0.2.1", "192.0.2.1", NULL },
	{ "2001:DB8::1", "2001:db8::1", NULL },
	{ "[2001:db8::1]", "2001:db8::1", NULL },
	{ "b\xc3\xbc"
	  "cher.example",
	    "xn--bcher-kva.example", NULL },
	{ "B\xc3\x9c"
	  "CHER.Example",
	    "xn--bcher-kva.example", NULL },
	{ "xn--bcher-kva.example", "xn--bcher-kva.example", NULL },
	{ "stra\xc3\x9f"
	  "e.example",
	    "xn--strae-oqa.example", NULL },

	{ "ssl://smtp.gmail.com", NULL, "write --host smtp.gmail.com --port 465 --tls implicit" },
	{ "smtps://h.example:465", NULL, "write --host h.example --port 465 --tls implicit" },
	{ "tls://h.example:587/", NULL, "write --host h.example --port 587 --tls starttls" },
	{ "smtp://h.example", NULL, "write --host h.example --port 587 --tls starttls" },
	{ "https://h.example/v3", NULL, "write --host h.example" },
	{ "h.example:465", NULL, "write --host h.example --port 465 --tls implicit" },
	{ "h.example:2525", NULL, "write --host h.example --port 2525 --tls starttls" },
	{ "h.example.", NULL, "write --host h.example" },
	{ "a.example;b.example", NULL, "one name without ;" },
	{ "a.example, b.example", NULL, "one name without ," },
	{ "a.example b.example", NULL, "one name without blanks" },
	{ " a.example", NULL, "one name without blanks" },
	{ "me@h.example", NULL, "one name without @" },
	{ "h.example/x", NULL, "one name without /" },
	{ "", NULL, "not a host name" },
	{ ".", NULL, "not a host name" },
	{ "a..b", NULL, "not a host name" },
	{ "-a.example", NULL, "not a host name" },
	{ "a-.example", NULL, "not a host name" },
	{ "127.1", NULL, "not a host name" },
	{ "1.2.3.4.5", NULL, "not a host name" },
	{ "[1.2.3.4]", NULL, "one name without [" },
	{ "::1%lo", NULL, "not a host name" },
	{ "b\xfc"
	  "cher.example",
	    NULL, "not a host name" },
	{ "\xe2\x80\x8b.example", NULL, "not a host name" },
};

static void
reads_what_people_write(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		char out[HOST_MAX + 1] = "";
		char mem[512] = "";
		struct text why = text_over(mem, sizeof(mem));
		bool good = host_normal(slice_str(hosts[i].said), out, &why);

		if (good != (hosts[i].normal != NULL) ||
		    (good && strcmp(out, hosts[i].normal) != 0) ||
		    (!good && !strstr(mem, hosts[i].why)))
			fail_msg("%s: %s %s", hosts[i].said, out, mem);
		if (good)
			assert_true(host_is_normal(slice_str(out)));
	}
}

static void
reads_a_labels_back(void **state)
{
	char out[HOST_UTF8_MAX + 1];

	(void)state;
	assert_true(host_in_letters(SLICE("a.XN--bcher-kva.example"), out));
	assert_string_equal(out,
	    "a.b\xc3\xbc"
	    "cher.example");
	assert_false(host_in_letters(SLICE("bucher.example"), out));
	assert_false(host_in_letters(SLICE("xn--\xc3\xbc.example"), out));
	assert_false(host_in_letters(SLICE("xn--99999999.example"), out));
	assert_false(host_in_letters(SLICE(""), out));
}

static void
keeps_to_its_room(void **state)
{
	char name[HOST_MAX + 3];
	char out[HOST_MAX + 1];
	char mem[64];
	struct text why = text_over(mem, sizeof(mem));

	(void)state;
	for (size_t n = HOST_MAX - 1; n <= HOST_MAX + 1; n++) {
		for (size_t i = 0; i < n; i++)
			name[i] = i % 50 == 49 ? '.' : 'a';
		name[n - 1] = 'a';
		assert_int_equal(host_normal(slice_of(name, n), out, &why), n <= HOST_MAX);
		assert_int_equal(host_is_normal(slice_of(name, n)), n <= HOST_MAX);
	}
	assert_false(host_normal(slice_of("a\0b.example", 11), out, &why));
	assert_false(host_is_normal(slice_of("a\0b.example", 11)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_people_write),
		cmocka_unit_test(reads_a_labels_back),
		cmocka_unit_test(keeps_to_its_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
