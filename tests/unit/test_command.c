/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define TEN          "0123456789"
#define HUNDRED      TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define FIVE_HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

static void
takes_lines_apart(void **state)
{
	(void)state;
	static const struct {
		struct slice line;
		enum verb verb;
		const char *args;
	} cases[] = {
		{ SLICE("EHLO mail.example"), VERB_EHLO, "mail.example" },
		{ SLICE("NOOP  x \t"), VERB_UNKNOWN, NULL }, /* a tab is a control character */
		{ SLICE("ehlo  x \t"), VERB_EHLO, "x" },
		{ SLICE("ehlo  x  "), VERB_EHLO, "x" },
		{ SLICE("Quit"), VERB_QUIT, "" },
		{ SLICE("QUIT "), VERB_QUIT, "" },
		{ SLICE("MAIL FROM:<a@b>"), VERB_MAIL, "FROM:<a@b>" },
		{ SLICE("MAILFROM:<a@b>"), VERB_UNKNOWN, "" },
		{ SLICE("GET / HTTP/1.1"), VERB_HTTP_GET, "/ HTTP/1.1" },
		{ SLICE("CONNECT x:25 HTTP/1.1"), VERB_HTTP_CONNECT, "x:25 HTTP/1.1" },
		{ SLICE("XCLIENT LOGIN=admin"), VERB_XCLIENT, "LOGIN=admin" },
		{ SLICE("PROXY TCP4 1.2.3.4"), VERB_UNKNOWN, "TCP4 1.2.3.4" },
		{ SLICE("Subject: x"), VERB_UNKNOWN, "x" },
		{ SLICE("RCPT TO:<\xc3\xa4@b>"), VERB_RCPT, "TO:<\xc3\xa4@b>" },
		{ SLICE("?"), VERB_UNKNOWN, "" },
		{ SLICE("EHL"), VERB_UNKNOWN, "" },
		{ SLICE("EHLOX"), VERB_UNKNOWN, "" },
		{ SLICE(""), VERB_UNKNOWN, NULL },
		{ SLICE(" "), VERB_UNKNOWN, NULL },
		{ SLICE(" EHLO x"), VERB_UNKNOWN, NULL },
		/* THREATS A1 */
		{ SLICE("RCPT TO:<b@x>\rRCPT TO:<e@y>"), VERB_UNKNOWN, NULL },
		{ SLICE("RCPT TO:<b@x>\nRCPT TO:<e@y>"), VERB_UNKNOWN, NULL },
		{ SLICE("NOOP \0"), VERB_UNKNOWN, NULL },
		{ SLICE("NOOP \x1b[0m"), VERB_UNKNOWN, NULL },
		{ SLICE("NOOP \x7f"), VERB_UNKNOWN, NULL },
		{ SLICE("NOOP \xc0\x8d"), VERB_UNKNOWN, NULL },
		{ SLICE("NOOP \xff"), VERB_UNKNOWN, NULL },
		{ SLICE("\x16\x03\x01\x02"), VERB_UNKNOWN, NULL }, /* a TLS hello */
		/* P7: a name for itself, in whatever octets */
		{ SLICE("EHLO M\xdcLLER-PC"), VERB_EHLO, "M\xdcLLER-PC" },
		{ SLICE("helo \xcf\xca-\xc1\xf3\xf5"), VERB_HELO, "\xcf\xca-\xc1\xf3\xf5" },
		{ SLICE("EHLO my pc\t\x1b[2J\x7f"), VERB_EHLO, "my pc\t\x1b[2J\x7f" },
		{ SLICE("EHLO \xc0\x8d"), VERB_EHLO, "\xc0\x8d" },
		{ SLICE("EHLO"), VERB_EHLO, "" },
		{ SLICE("HELO "), VERB_HELO, "" },
		{ SLICE("EHLO a\rb"), VERB_EHLO, NULL },
		{ SLICE("EHLO a\nb"), VERB_EHLO, NULL },
		{ SLICE("HELO a\0"), VERB_HELO, NULL },
		{ SLICE("EHLO\t\xdc"), VERB_UNKNOWN, NULL },
		{ SLICE("EHLOX \xdc"), VERB_UNKNOWN, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command cmd = { .verb = VERB_COUNT };
		bool ok = command_parse(cases[i].line, &cmd);

		if (ok != (cases[i].args != NULL))
			fail_msg("case %zu", i);
		if (!ok) {
			assert_int_equal(cmd.verb, VERB_COUNT);
			continue;
		}
		assert_int_equal(cmd.verb, cases[i].verb);
		assert_true(slice_eq(cmd.args, slice_str(cases[i].args)));
	}
}

static void
knows_its_verbs(void **state)
{
	(void)state;
	static const struct slice words[] = {
#define VERB(name, word) [VERB_##name] = { word, sizeof(word) - 1 },
#include "wire/verb.def"
#undef VERB
	};

	for (int v = VERB_UNKNOWN + 1; v < VERB_COUNT; v++) {
		struct command cmd;

		assert_true(command_parse(words[v], &cmd));
		assert_int_equal(cmd.verb, v);
	}
}

static const struct {
	struct slice args;
	enum args_fault fault;
} mails[] = {
	{ SLICE("FROM:<a@b>"), ARGS_OK },
	{ SLICE("from:<a@b>"), ARGS_OK },
	{ SLICE("FROM: <a@b>"), ARGS_OK },
	{ SLICE("FROM:<>"), ARGS_OK },
	{ SLICE("FROM:<a@b>  SIZE=1   BODY=8bitmime"), ARGS_OK },
	{ SLICE("FROM:<a@b> size=1 Body=7Bit smtputf8 ret=full EnvId=x AUTH=<>"), ARGS_OK },
	{ SLICE("FROM:<a@b> AUTH=e+3Dmc2@example.com"), ARGS_OK },

	{ SLICE(""), ARGS_SYNTAX },
	{ SLICE("<a@b>"), ARGS_SYNTAX },
	{ SLICE("FROM"), ARGS_SYNTAX },
	{ SLICE("FROM:"), ARGS_SYNTAX },
	{ SLICE("FROM <a@b>"), ARGS_SYNTAX },
	{ SLICE("TO:<a@b>"), ARGS_SYNTAX },
	{ SLICE("FROM:<a@b>SIZE=1"), ARGS_SYNTAX },
	{ SLICE("FROM:<a@b>,<c@d>"), ARGS_SYNTAX },
	{ SLICE("FROM:<a@b> =1"), ARGS_SYNTAX },
	{ SLICE("FROM:<a@b> SIZE="), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID="), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> RET="), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> BODY="), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> SMTPUTF8="), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> -x=1"), ARGS_SYNTAX },
	{ SLICE("FROM:<a@b> RCPT TO:<c@d>"), ARGS_PARAM_UNKNOWN },
	{ SLICE("FROM:<a@b> TO:<c@d>"), ARGS_SYNTAX },

	{ SLICE("FROM:<a>"), ARGS_PATH },
	{ SLICE("FROM:<Postmaster>"), ARGS_PATH },
	{ SLICE("FROM:<a@b"), ARGS_PATH },
	{ SLICE("FROM:<\"a> SIZE=1\"@b>"), ARGS_PATH },

	{ SLICE("FROM:<a@b> XFOO"), ARGS_PARAM_UNKNOWN },
	{ SLICE("FROM:<a@b> NOTIFY=NEVER"), ARGS_PARAM_UNKNOWN },
	{ SLICE("FROM:<a@b> SIZES=1"), ARGS_PARAM_UNKNOWN },

	/* THREATS A4, C7 */
	{ SLICE("FROM:<a@b> SIZE=0"), ARGS_OK },
	{ SLICE("FROM:<a@b> SIZE=18446744073709551615"), ARGS_OK },
	{ SLICE("FROM:<a@b> SIZE=18446744073709551616"), ARGS_OK },
	{ SLICE("FROM:<a@b> SIZE=18446744073709551617"), ARGS_OK },
	{ SLICE("FROM:<a@b> SIZE=99999999999999999999"), ARGS_OK },
	{ SLICE("FROM:<a@b> SIZE=000000000000000000001"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> SIZE=-1"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> SIZE=+1"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> SIZE=1e3"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> SIZE=0x10"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> SIZE"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> SIZE=1 SIZE=1"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> SIZE=1 size=2"), ARGS_PARAM_BAD },

	{ SLICE("FROM:<a@b> BODY"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> BODY=8BIT"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> BODY=BINARYMIME"), ARGS_OK },
	{ SLICE("FROM:<a@b> SMTPUTF8=1"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> RET=ALL"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> RET=HDRS"), ARGS_OK },
	{ SLICE("FROM:<a@b> ENVID"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=a+2Bb"), ARGS_OK },
	{ SLICE("FROM:<a@b> ENVID=a+2bb"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=a+2"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=a=b"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=\xc3\xa4"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=" HUNDRED), ARGS_OK },
	{ SLICE("FROM:<a@b> ENVID=" HUNDRED "1"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> AUTH"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> AUTH=a=b"), ARGS_OK },
	{ SLICE("FROM:<a@b> AUTH=me+tag@x"), ARGS_OK },
	{ SLICE("FROM:<a@b> AUTH="), ARGS_OK },
	{ SLICE("FROM:<a@b> AUTH=<a@b>"), ARGS_OK },
	{ SLICE("FROM:<a@b> AUTH=\xc3\xa4@b"), ARGS_OK },
	{ SLICE("FROM:<a@b> AUTH=+0D+0A"), ARGS_OK }, /* goes nowhere */
	{ SLICE("FROM:<a@b> AUTH=a AUTH=a"), ARGS_PARAM_BAD },

	/* RFC 3461, 4.4: what xtext stands for is printable */
	{ SLICE("FROM:<a@b> ENVID=ab+0D+0A"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=+00"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=+09"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=+1F"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=+7F"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=+80"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=+FF"), ARGS_PARAM_BAD },
	{ SLICE("FROM:<a@b> ENVID=+20"), ARGS_OK },
	{ SLICE("FROM:<a@b> ENVID=+7E+3D+2B"), ARGS_OK },
};

static void
reads_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		struct mail_args m;

		if (mail_parse(mails[i].args, &m) != mails[i].fault)
			fail_msg("case %zu: %.*s", i, SLICE_FMT(mails[i].args));
	}
}

static void
gives_mails_values(void **state)
{
	(void)state;
	struct mail_args m;

	assert_int_equal(mail_parse(SLICE("FROM:<a@b>"), &m), ARGS_OK);
	assert_false(m.has_size || m.has_body || m.smtputf8 || m.path.null);
	assert_int_equal(m.ret, RET_NONE);
	assert_int_equal(m.envid.n, 0);
	assert_int_equal(
	    mail_parse(SLICE("FROM:<> SIZE=123 BODY=8BITMIME RET=HDRS ENVID=q+2B1 SMTPUTF8"), &m),
	    ARGS_OK);
	assert_true(m.has_size && m.has_body && m.smtputf8 && m.path.null);
	assert_int_equal(m.size, 123);
	assert_int_equal(m.body, BODY_8BITMIME);
	assert_int_equal(m.ret, RET_HDRS);
	assert_true(slice_eq(m.envid, SLICE("q+2B1")));
	assert_int_equal(mail_parse(SLICE("FROM:<\xc3\xa4@b>"), &m), ARGS_OK);
	assert_true(m.path.utf8);
	assert_int_equal(mail_parse(SLICE("FROM:<a@b> BODY=BINARYMIME"), &m), ARGS_OK);
	assert_int_equal(m.body, BODY_BINARYMIME);
}

static const struct {
	struct slice args;
	enum args_fault fault;
	unsigned notify;
	const char *orcpt;
} rcpts[] = {
	{ SLICE("TO:<a@b>"), ARGS_OK, 0, "" },
	{ SLICE("to: <a@b>"), ARGS_OK, 0, "" },
	{ SLICE("TO:<Postmaster>"), ARGS_OK, 0, "" },
	{ SLICE("TO:<a@b> NOTIFY=NEVER"), ARGS_OK, NOTIFY_NEVER, "" },
	{ SLICE("TO:<a@b> notify=success,Delay"), ARGS_OK, NOTIFY_SUCCESS | NOTIFY_DELAY, "" },
	{ SLICE("TO:<a@b> NOTIFY=FAILURE ORCPT=rfc822;a+2Bb@c"), ARGS_OK, NOTIFY_FAILURE,
	    "rfc822;a+2Bb@c" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;j\\x{FC}rgen@x"), ARGS_OK, 0, "utf-8;j\\x{FC}rgen@x" },
	{ SLICE("TO:<a@b> ORCPT=rfc822;" FIVE_HUNDRED), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("FROM:<a@b>"), ARGS_SYNTAX, 0, "" },
	{ SLICE("TO:<>"), ARGS_PATH, 0, "" },
	{ SLICE("TO:<a@b> SIZE=1"), ARGS_PARAM_UNKNOWN, 0, "" },
	{ SLICE("TO:<a@b> NOTIFY"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> NOTIFY=NEVER,DELAY"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> NOTIFY=SUCCESS,"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> NOTIFY=,SUCCESS"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> NOTIFY=ALWAYS"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=a@b"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=;a@b"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=rfc822;"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=rfc822;a=b"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=rfc822;a+0g"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=rfc 822;a"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=rfc822;\xc3\xa4"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;\xc3\xa4"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;\\x{F}"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;\\x{fc}"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;\\x{FC"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;\\x"), ARGS_PARAM_BAD, 0, "" },

	/* RFC 3461, 4.2: what it stands for is printable; the type is a word */
	{ SLICE("TO:<a@b> ORCPT=rfc822;root"), ARGS_OK, 0, "rfc822;root" },
	{ SLICE("TO:<a@b> ORCPT=x400;/S=a"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=x400;/S+3Da"), ARGS_OK, 0, "x400;/S+3Da" },
	{ SLICE("TO:<a@b> ORCPT=rfc822;a+20b@c"), ARGS_OK, 0, "rfc822;a+20b@c" },
	{ SLICE("TO:<a@b> ORCPT=rfc822;user+tag@x"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=rfc822;a+0D+0Ab@c"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=rfc822;a+00@c"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=rfc822;a+C3+A4@c"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=rfc+3B;a@c"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=rfc_822;a@c"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT="), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> NOTIFY="), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;a\\x{0D}\\x{0A}"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;a\\x{00}"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;a\\x{7F}"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;a\\x{85}"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;a\\x{00000D}"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;a\\x{D800}"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;a\\x{110000}"), ARGS_PARAM_BAD, 0, "" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;a\\x{10FFFF}"), ARGS_OK, 0, "utf-8;a\\x{10FFFF}" },
	{ SLICE("TO:<a@b> ORCPT=utf-8;a\\x{20}b"), ARGS_OK, 0, "utf-8;a\\x{20}b" },
};

/*
 * BEHAVIOUR P7, in MAIL and in RCPT alike: what stands behind the keyword, and the address; NULL:
 * refused.
 */
static const struct {
	const char *behind;
	const char *out;
} forms[] = {
	{ " :<a@b>", "a@b" },
	{ "  : <a@b>", "a@b" },
	{ ":a@b", "a@b" },
	{ ": a@b", "a@b" },
	{ " : a@b", "a@b" },
	{ ":< a@b >", "a@b" },
	{ ":<a.@b>", "\"a.\"@b" },
	{ ":a..b@c_d", "\"a..b\"@c_d" },
	{ ":Me <a@b>", "a@b" },
	{ ":Me<a@b>", "a@b" },
	{ ": My Own Self <a@b>", "a@b" },
	{ ":\"Me\" <a@b>", "a@b" },
	{ ":J\xc3\xbcrgen <a@b>", "a@b" },
	{ ":prvs=1=a@b", "prvs=1=a@b" },

	{ " <a@b>", NULL },
	{ "", NULL },
	{ ":", NULL },
	{ " : ", NULL },
	{ "::<a@b>", NULL },
	{ ":a", NULL },
	{ ":a@b,c@d", NULL },
	{ ":a@b;", NULL },
	{ ":<a@b>;", NULL },
	{ ":<a@b>,<c@d>", NULL },
	{ ":<a@b> <c@d>", NULL },
	{ ":<a@b><c@d>", NULL },
	{ ":<a@b>x", NULL },
	{ ":a@b <c@d>", NULL },
	{ ":a@b c@d", NULL },
	{ ":a@b <", NULL },
	{ ":<<a@b>>", NULL },
	{ ":c@d Me <a@b>", NULL },
	{ ":\"c@d\" <a@b>", NULL },
	{ ":\"Me <a@b>", NULL },
	{ ":Me, Too <a@b>", NULL },
	{ ":Me: <a@b>", NULL },
	{ ":(Me) <a@b>", NULL },
	{ ":Me <a@b", NULL },
	{ ":Me <a@b> <c@d>", NULL },
	{ ":Me> <a@b>", NULL },
	{ ":@x <a@b>", NULL },
	{ ":@x:<a@b>", NULL },
	{ ":X=1 <a@b>", NULL },
};

static void
check_form(size_t i, const struct path *path, enum args_fault fault, bool null)
{
	char mem[100];
	struct text t = text_over(mem, sizeof(mem));

	if ((fault == ARGS_OK) != (forms[i].out != NULL))
		fail_msg("%s: %d", forms[i].behind, fault);
	if (fault != ARGS_OK)
		return;
	assert_true(path->loose && path->null == null);
	path_write(&t, path);
	assert_string_equal(mem, forms[i].out);
}

static void
reads_what_devices_write(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		char mem[100];
		struct text t = text_over(mem, sizeof(mem));
		struct mail_args m;
		struct rcpt_args r;

		/* alone, and with a parameter behind it */
		for (int more = 0; more < 2; more++) {
			text_reset(&t);
			text_fmt(&t, "FROM%s%s", forms[i].behind, more ? " SIZE=12" : "");
			check_form(i, &m.path, mail_parse(text_slice(&t), &m), false);
			assert_true(!forms[i].out || m.size == (more ? 12 : 0));
			text_reset(&t);
			text_fmt(&t, "TO%s%s", forms[i].behind, more ? " NOTIFY=DELAY" : "");
			check_form(i, &r.path, rcpt_parse(text_slice(&t), &r), false);
			assert_true(!forms[i].out || r.notify == (more ? NOTIFY_DELAY : 0));
		}
	}
}

/* A parameter where the path should be is none, though it may look like one. */
static void
takes_no_parameter_for_an_address(void **state)
{
	(void)state;
	struct mail_args m;
	struct rcpt_args r;

	assert_int_equal(mail_parse(SLICE("FROM: AUTH=a@b"), &m), ARGS_PATH);
	assert_int_equal(mail_parse(SLICE("FROM: envid=a@b"), &m), ARGS_PATH);
	assert_int_equal(mail_parse(SLICE("FROM: SIZE=1"), &m), ARGS_PATH);
	assert_int_equal(mail_parse(SLICE("FROM: SIZE=1 <a@b>"), &m), ARGS_PATH);
	assert_int_equal(rcpt_parse(SLICE("TO: notify=a@b"), &r), ARGS_PATH);
	assert_int_equal(mail_parse(SLICE("FROM:< >"), &m), ARGS_OK);
	assert_true(m.path.null && m.path.loose);
	assert_int_equal(mail_parse(SLICE("FROM:<>"), &m), ARGS_OK);
	assert_false(m.path.loose);
	assert_int_equal(mail_parse(SLICE("FROM: <a@b>"), &m), ARGS_OK);
	assert_false(m.path.loose);
	assert_int_equal(rcpt_parse(SLICE("TO:< >"), &r), ARGS_PATH);
	assert_int_equal(rcpt_parse(SLICE("TO:postmaster"), &r), ARGS_OK);
	assert_true(r.path.loose);
	assert_int_equal(mail_parse(SLICE("FROM:<a@b> SIZE=99999999999999999999"), &m), ARGS_OK);
	assert_true(m.has_size && m.size == UINT64_MAX);
}

static void
reads_rcpt(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rcpts) / sizeof(rcpts[0]); i++) {
		struct rcpt_args r;

		if (rcpt_parse(rcpts[i].args, &r) != rcpts[i].fault)
			fail_msg("case %zu: %.*s", i, SLICE_FMT(rcpts[i].args));
		if (rcpts[i].fault != ARGS_OK)
			continue;
		assert_int_equal(r.notify, rcpts[i].notify);
		assert_true(slice_eq(r.orcpt, slice_str(rcpts[i].orcpt)));
	}
}

static void
reads_bdat(void **state)
{
	(void)state;
	static const struct {
		struct slice args;
		bool ok;
		uint64_t size;
		bool last;
	} cases[] = {
		{ SLICE("0"), true, 0, false },
		{ SLICE("0 LAST"), true, 0, true },
		{ SLICE("1000 last"), true, 1000, true },
		{ SLICE("10  LAST "), true, 10, true },
		{ SLICE("18446744073709551615"), true, UINT64_MAX, false },
		{ SLICE("18446744073709551616"), false, 0, false },
		{ SLICE("-1"), false, 0, false },
		{ SLICE(""), false, 0, false },
		{ SLICE("LAST"), false, 0, false },
		{ SLICE("10LAST"), false, 0, false },
		{ SLICE("10 LASTX"), false, 0, false },
		{ SLICE("10 LAST LAST"), false, 0, false },
		{ SLICE("1 2"), false, 0, false },
		{ SLICE("000000000000000000001"), false, 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t size = 0;
		bool last = false;

		if (bdat_parse(cases[i].args, &size, &last) != cases[i].ok)
			fail_msg("case %zu", i);
		assert_int_equal(size, cases[i].size);
		assert_int_equal(last, cases[i].last);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_lines_apart),
		cmocka_unit_test(knows_its_verbs),
		cmocka_unit_test(reads_mail),
		cmocka_unit_test(gives_mails_values),
		cmocka_unit_test(reads_rcpt),
		cmocka_unit_test(reads_what_devices_write),
		cmocka_unit_test(takes_no_parameter_for_an_address),
		cmocka_unit_test(reads_bdat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
