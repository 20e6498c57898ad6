/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/replies.h"

#include "conf/conf.h"
#include "wire/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char mistakes[64 * 1024];

static void
on_wrong(void *ctx, unsigned line, struct slice words)
{
	text_fmt(ctx, "%u: %.*s\n", line, SLICE_FMT(words));
}

static bool
read_ini(struct slice ini, struct reply_row *rows, struct arena *mem)
{
	struct text t = text_over(mistakes, sizeof(mistakes));

	memcpy(rows, replies_catalogue(), SAY_COUNT * sizeof(*rows));
	return replies_read(rows, ini, mem, on_wrong, &t);
}

/* ---- the catalogue ---- */

static void
test_catalogue(void **state)
{
	const struct reply_row *rows = replies_catalogue();

	(void)state;
	for (size_t i = 0; i < SAY_COUNT; i++) {
		enum reply_id id;

		assert_true(reply_find(slice_str(rows[i].name), &id));
		assert_int_equal(id, i);
		assert_true(rows[i].enhanced.cls == 0 ||
		    rows[i].enhanced.cls == rows[i].code / 100);
		assert_true(rows[i].code == 354 || rows[i].enhanced.cls != 0);
		assert_true(slice_is_ascii(slice_str(rows[i].text)));
		assert_in_range(strlen(rows[i].text), 1, REPLY_TEXT_MAX);
		for (const char *p = rows[i].name; *p; p++)
			assert_true((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
			    *p == '_');
	}
}

/* What is printed is a profile that says the same. */
static void
test_print_and_read(void **state)
{
	static char out[64 * 1024];
	struct text t = text_over(out, sizeof(out));
	struct reply_row rows[SAY_COUNT];
	struct arena mem;

	(void)state;
	arena_init(&mem, 1 << 20);
	replies_print(replies_catalogue(), false, &t);
	assert_false(t.overflow);
	if (!read_ini(text_slice(&t), rows, &mem))
		fail_msg("%s", mistakes);
	for (size_t i = 0; i < SAY_COUNT; i++) {
		assert_string_equal(rows[i].text, replies_catalogue()[i].text);
		assert_int_equal(rows[i].code, replies_catalogue()[i].code);
	}
	arena_fini(&mem);
}

/* ---- profiles ---- */

static void
test_built_in(void **state)
{
	struct reply_row rows[SAY_COUNT];
	struct arena mem;

	(void)state;
	arena_init(&mem, 1 << 20);
	for (const char *const *name = replies_built_in; *name; name++)
		if (!read_ini(replies_of(slice_str(*name)), rows, &mem))
			fail_msg("%s: %s", *name, mistakes);
	assert_string_equal(rows[SAY_AUTH_FAILED].text, "Incorrect authentication data");
	assert_null(replies_of(SLICE("other")).p);
	arena_fini(&mem);
}

/* The tests run at the root of the sources. */
static void
test_shipped_file(void **state)
{
	static char mem[16384];
	FILE *f = fopen("dist/replies/smtp2go.ini", "r");
	size_t n;

	(void)state;
	if (!f)
		skip();
	n = fread(mem, 1, sizeof(mem), f);
	fclose(f);
	assert_true(slice_eq(slice_of(mem, n), replies_of(SLICE("smtp2go"))));
}

static void
test_mistakes(void **state)
{
	static const struct {
		const char *ini;
		const char *said;
	} cases[] = {
		{ "[replies]\nauth_faild = 535 5.7.8 x\n",
		    "2: there is no reply \"auth_faild\"; did you mean \"auth_failed\"?\n" },
		{ "auth_failed = 535 5.7.8 x\n", "1: a row before [replies]\n" },
		{ "[reply]\n", "1: unknown section (expected [replies])\n" },
		{ "[replies]\nauth_failed 535\n",
		    "2: no \"=\" behind the id (expected: id = CODE X.Y.Z TEXT)\n" },
		{ "[replies]\nauth_failed = 450 4.7.8 x\n",
		    "2: auth_failed: 450 is of another class than 535 (expected 5xx)\n" },
		{ "[replies]\nauth_failed = 550 5.7.8 x\n",
		    "2: auth_failed: 550 is not what tells clients that the login failed\n" },
		{ "[replies]\nuser_blocked = 535 5.7.8 x\n",
		    "2: user_blocked: 535 would make clients ask for a password\n" },
		{ "[replies]\nauth_too_many = 450 4.7.0 x\n",
		    "2: auth_too_many: 421 must stay: we close then\n" },
		{ "[replies]\ndirectory_down = 421 4.3.0 x\n",
		    "2: directory_down: 421 would mean that we close, and we do not (it is 451)\n" },
		{ "[replies]\nuser_blocked = 550 4.7.1 x\n",
		    "2: user_blocked: code 550 and enhanced code 4.x.x are of different classes\n" },
		{ "[replies]\nuser_blocked = 550 x\n",
		    "2: user_blocked: no enhanced code (expected CODE X.Y.Z TEXT)\n" },
		{ "[replies]\nuser_blocked = x\n",
		    "2: user_blocked: not a reply (expected CODE X.Y.Z TEXT, as it goes over the wire)\n" },
		{ "[replies]\nuser_blocked = 550 5.7.1\n", "2: user_blocked: no text\n" },
		{ "[replies]\nuser_blocked = 550 5.7.1 caf\xc3\xa9\n",
		    "2: user_blocked: the text must be printable ASCII\n" },
		{ "[replies]\nok = 251 2.0.0 x\n", "2: ok: 250 must stay: clients go by it\n" },
		{ "[replies]\nuser_blocked = 550 5.7.1 x\n\nuser_blocked = 550 5.7.1 y\n",
		    "4: user_blocked stands twice; first in line 2\n" },
	};
	struct reply_row rows[SAY_COUNT];
	struct arena mem;

	(void)state;
	arena_init(&mem, 1 << 20);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		mistakes[0] = '\0';
		assert_false(read_ini(slice_str(cases[i].ini), rows, &mem));
		if (strcmp(mistakes, cases[i].said) != 0)
			fail_msg("case %zu: %s", i, mistakes);
	}
	arena_fini(&mem);
}

static void
test_too_long(void **state)
{
	static char ini[1024] = "[replies]\nuser_blocked = 550 5.7.1 ";
	struct reply_row rows[SAY_COUNT];
	struct arena mem;
	size_t at = strlen(ini);

	(void)state;
	arena_init(&mem, 1 << 20);
	memset(ini + at, 'x', REPLY_TEXT_MAX);
	assert_true(read_ini(slice_str(ini), rows, &mem));
	ini[at + REPLY_TEXT_MAX] = 'x';
	assert_false(read_ini(slice_str(ini), rows, &mem));
	assert_non_null(strstr(mistakes, "a text of 401 characters"));
	arena_fini(&mem);
}

/* ---- named in the configuration ---- */

#define MIN "[listener l]\naddress = 127.0.0.1:2525\ntls = none\n"

static struct conf *
conf_with(const char *path, const char *value)
{
	struct text t = text_over(mistakes, sizeof(mistakes));
	char ini[1024];

	snprintf(ini, sizeof(ini), "[server]\nreplies = %s\n" MIN, value);
	return conf_parse(path, slice_str(ini), false, &t);
}

static void
test_conf_names(void **state)
{
	struct conf *c = conf_with("byway.ini", "smtp2go");

	(void)state;
	assert_non_null(c);
	assert_string_equal(c->replies[SAY_AUTH_FAILED].text, "Incorrect authentication data");
	conf_unref(c);
	c = conf_with("byway.ini", "trekmail");
	assert_non_null(c);
	assert_string_equal(c->replies[SAY_AUTH_FAILED].text, "Authentication failed");
	conf_unref(c);
	assert_null(conf_with("byway.ini", "smtp2g"));
	assert_string_equal(mistakes,
	    "byway.ini:2: [server] replies: there is no reply profile \"smtp2g\"; did you mean \"smtp2go\"?\n");
}

static void
test_conf_file(void **state)
{
	char folder[] = "/tmp/byway-replies.XXXXXX", main_path[64], path[64];
	struct conf *c;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(main_path, sizeof(main_path), "%s/byway.ini", folder);
	snprintf(path, sizeof(path), "%s/ours.ini", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("[replies]\nuser_blocked = 550 5.7.1 No\nloop = 451 4.4.6 x\n", f);
	fclose(f);
	assert_null(conf_with(main_path, "ours.ini"));
	assert_non_null(strstr(mistakes, "/ours.ini:3: loop: 451 is of another class than 554"));
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("[replies]\nuser_blocked = 553 5.7.1 No\n", f);
	fclose(f);
	c = conf_with(main_path, path);
	assert_non_null(c);
	assert_string_equal(c->replies[SAY_USER_BLOCKED].text, "No");
	assert_int_equal(c->replies[SAY_USER_BLOCKED].code, 553);
	conf_unref(c);
	unlink(path);
	assert_null(conf_with(main_path, "./ours.ini"));
	assert_non_null(strstr(mistakes, "cannot be opened"));
	rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_catalogue),
		cmocka_unit_test(test_print_and_read),
		cmocka_unit_test(test_built_in),
		cmocka_unit_test(test_shipped_file),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_conf_names),
		cmocka_unit_test(test_conf_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
