/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the HTTP APIs that need no server: bodies split anywhere, signatures, URLs, spools,
 * what answers mean.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/web/api_private.h"
#include "relay/web/sigv4.h"
#include "wire/base64.h"
#include "wire/https_url.h"

static struct spool_budget budget = { .max = 64 << 20 };

static void
said(const struct api *a, char *mem, size_t cap)
{
	size_t n;

	assert_true(spool_read(&a->body, 0, mem, cap - 1, &n));
	mem[n] = '\0';
}

/* In pieces of each size. */
static void
test_base64_split(void **state)
{
	static const char in[] = "The quick brown fox, jumps.";

	(void)state;
	for (size_t piece = 1; piece <= sizeof(in); piece++) {
		for (size_t n = 0; n < sizeof(in); n++) {
			struct api a = { 0 };
			char want[128], got[128];
			struct text t = text_over(want, sizeof(want));

			spool_init(&a.body, &budget, 0);
			for (struct slice s = slice_of(in, n); s.n; s = slice_skip(s, piece))
				assert_true(api_put_base64(&a, slice_head(s, piece), false));
			assert_true(api_put_base64(&a, SLICE(""), true));
			base64_encode(&t, slice_of(in, n));
			said(&a, got, sizeof(got));
			assert_string_equal(got, want);
			spool_fini(&a.body);
		}
	}
}

static void
test_escaped_split(void **state)
{
	static const char in[] = "a\"\\\r\n\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x98\x01z";
	static const char want[] = "a\\\"\\\\\\r\\n\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x98\\u0001z";

	(void)state;
	for (size_t piece = 1; piece < sizeof(in); piece++) {
		struct api a = { 0 };
		char got[128];

		spool_init(&a.body, &budget, 0);
		for (struct slice s = slice_str(in); s.n; s = slice_skip(s, piece))
			assert_int_equal(api_put_escaped(&a, slice_head(s, piece), false), BODY_OK);
		assert_int_equal(api_put_escaped(&a, SLICE(""), true), BODY_OK);
		said(&a, got, sizeof(got));
		assert_string_equal(got, want);
		spool_fini(&a.body);
	}
}

static void
test_escaped_refuses(void **state)
{
	static const char *const bad[] = { "\xff", "\xc3", "\xe2\x82", "\xe2\x82x", "\xc0\xaf",
		"\xed\xa0\x80", "\xf5\x80\x80\x80", "\x80" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (size_t piece = 1; piece <= 4; piece++) {
			struct api a = { 0 };
			enum body_put put = BODY_OK;

			spool_init(&a.body, &budget, 0);
			for (struct slice s = slice_str(bad[i]); s.n && put == BODY_OK;
			     s = slice_skip(s, piece))
				put = api_put_escaped(&a, slice_head(s, piece), false);
			if (put == BODY_OK)
				put = api_put_escaped(&a, SLICE(""), true);
			assert_int_equal(put, BODY_NOT_TEXT);
			spool_fini(&a.body);
		}
	}
}

/* Worked out with AWS's own example key by another implementation (hmac and hashlib of Python). */
static void
test_signature(void **state)
{
	unsigned char digest[SHA256_LEN];
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));
	struct sigv4 s = {
		.method = SLICE("POST"),
		.path = SLICE("/v2/email/outbound-emails"),
		.content_type = SLICE("application/json"),
		.host = SLICE("email.us-east-1.amazonaws.com"),
		.region = SLICE("us-east-1"),
		.service = SLICE("ses"),
		.access_key = SLICE("AKIDEXAMPLE"),
		.secret_key = SLICE("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
		.now = 1440938160,
		.digest = digest,
	};

	(void)state;
	assert_true(crypto_init());
	assert_true(crypto_sha256(SLICE("{}"), digest));
	assert_true(sigv4_sign(&s, &t));
	assert_string_equal(mem,
	    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/ses/aws4_request, "
	    "SignedHeaders=content-type;host;x-amz-date, Signature=b503625e599c445a22475858513d0eeea1be5207ca0536be15345410d08b51b1");
}

static void
test_urls(void **state)
{
	static const char *const bad[] = { "", "http://x/", "https://", "https:///p",
		"https://u@x/", "https://x/?q", "https://x/#f", "https://x:0/", "https://x:99999/",
		"https://x y/", "https://x:8x/", "https://[::1/", "https://x/\r\nHost: y" };
	struct https_url u;

	(void)state;
	assert_true(https_url_parse(SLICE("https://login.example:8443/common/token"), &u));
	assert_true(slice_eq(u.host, SLICE("login.example")) && u.port == 8443 &&
	    slice_eq(u.path, SLICE("/common/token")));
	assert_true(https_url_parse(SLICE("https://[2001:db8::1]"), &u));
	assert_true(slice_eq(u.host, SLICE("2001:db8::1")) && u.port == 443 &&
	    slice_eq(u.path, SLICE("/")));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (https_url_parse(slice_str(bad[i]), &u))
			fail_msg("%s", bad[i]);
}

/* Memory, then a file, then no more than the budget. */
static void
test_spool(void **state)
{
	struct spool_budget small = { .max = 1 << 20 };
	struct spool s;
	char piece[1000];
	char got[3000];
	size_t n;
	size_t total = 0;

	(void)state;
	spool_init(&s, &small, 0);
	for (unsigned i = 0;; i++) {
		memset(piece, 'a' + (int)(i % 26), sizeof(piece));
		if (!spool_put(&s, slice_of(piece, sizeof(piece))))
			break;
		total += sizeof(piece);
	}
	assert_int_equal(total, small.max / sizeof(piece) * sizeof(piece));
	assert_true(s.fd >= 0 && small.used == total);
	assert_true(spool_read(&s, 26000 - 500, got, 1000, &n) && n == 1000);
	assert_true(got[0] == 'z' && got[499] == 'z' && got[500] == 'a');
	assert_true(spool_read(&s, total - 10, got, sizeof(got), &n) && n == 10);
	assert_true(spool_read(&s, total + 10, got, sizeof(got), &n) && n == 0);
	/* Sealed, nobody can change it any more. */
	assert_true(spool_seal(&s) == s.fd && pwrite(s.fd, "x", 1, 0) == -1);
	spool_fini(&s);
	assert_int_equal(small.used, 0);
}

/* One account holds a quarter always, half while nobody else wants any, and never what is left. */
static void
test_spool_shares(void **state)
{
	enum { KIB = 1024, MANY = 16 };
	struct spool_budget b = { .max = 64 * KIB };
	struct spool one[MANY], two[MANY];
	char piece[4 * KIB] = "";
	struct slice octets = slice_of(piece, sizeof(piece));
	size_t ones = 0, twos = 0;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		spool_init(&one[i], &b, 1);
		spool_init(&two[i], &b, 65); /* in the same bucket */
	}
	for (size_t i = 0; i < MANY; i++)
		ones += spool_put(&one[i], octets);
	assert_int_equal(ones, MANY / 2);
	for (size_t i = 0; i < MANY; i++)
		twos += spool_put(&two[i], octets);
	assert_int_equal(twos, MANY / 4);
	for (size_t i = 0; i < MANY; i++)
		spool_fini(&one[i]);
	/* The first half is free again, and the second account had it all. */
	ones = 0;
	for (size_t i = 0; i < MANY; i++)
		ones += spool_put(&two[i], octets);
	assert_int_equal(ones, MANY / 4);
	for (size_t i = 0; i < MANY; i++)
		spool_fini(&two[i]);
	assert_int_equal(b.used, 0);
	for (size_t i = 0; i < SPOOL_BUCKETS; i++)
		assert_null(b.shares[i]);
}

/* What a parser made takes the place of what it was made of, within the share. */
static void
test_spool_take(void **state)
{
	struct spool_budget b = { .max = 1024 };
	struct spool s;
	char got[8];
	size_t n;
	int fd = memfd_create("test", MFD_CLOEXEC);

	(void)state;
	spool_init(&s, &b, 7);
	assert_true(spool_put(&s, SLICE("message")));
	assert_int_equal(write(fd, "{}", 2), 2);
	assert_true(spool_take(&s, dup(fd), 2) && b.used == 2);
	assert_true(spool_read(&s, 0, got, sizeof(got), &n) && n == 2 && got[0] == '{');
	assert_false(spool_take(&s, dup(fd), 2000));
	assert_int_equal(b.used, 0);
	spool_fini(&s);
	close(fd);
}

static void
test_classes(void **state)
{
	static const struct {
		const char *provider;
		int status;
		const char *said;
		enum verdict_class class;
	} rows[] = {
		{ "mailgun", 403, "Domain x is not allowed to send: Account disabled",
		    VERDICT_ACCOUNT },
		{ "mailgun", 429,
		    "account-requests-per-sec limit exceeded, try again after 120 seconds",
		    VERDICT_RATE },
		{ "postmark", 422, "{\"ErrorCode\":406,\"Message\":\"x\"}", VERDICT_RCPT },
		{ "brevo", 402, "{\"code\":\"not_enough_credits\"}", VERDICT_QUOTA },
		{ "resend", 429, "daily_quota_exceeded", VERDICT_QUOTA },
		{ "mailjet", 401, "mj-0001", VERDICT_ACCOUNT },
		{ "nobody", 302, "", VERDICT_CONFIG },
		{ "nobody", 401, "", VERDICT_AUTH },
		{ "nobody", 429, "", VERDICT_RATE },
		{ "nobody", 500, "", VERDICT_INTERNAL },
		{ "nobody", 504, "", VERDICT_UNKNOWN },
		{ "nobody", 418, "", VERDICT_INTERNAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(api_class_of(rows[i].provider, rows[i].status,
		                     slice_str(rows[i].said)),
		    rows[i].class);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64_split),
		cmocka_unit_test(test_escaped_split),
		cmocka_unit_test(test_escaped_refuses),
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_spool),
		cmocka_unit_test(test_spool_shares),
		cmocka_unit_test(test_spool_take),
		cmocka_unit_test(test_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
