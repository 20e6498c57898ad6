/* SPDX-License-Identifier: Apache-2.0 */
/* One message over one connection: the fault matrix, phase by phase. */
#include "relay_rig.h"

struct row {
	const char *name;
	const char *script;
	enum verdict_class rcpt; /* of the first */
	int rcpt_code;
	enum verdict_class go; /* GO: then LAST counts */
	int go_code;
	enum verdict_class last;
	int code;
};

#define SAME(c, at_rcpt, at_data) VERDICT_##c, at_rcpt, VERDICT_##c, at_data, 0, 0
#define DATA_IS(c, n)             VERDICT_OK, 250, VERDICT_##c, n, 0, 0
#define LAST_IS(c, n)             VERDICT_OK, 250, VERDICT_GO, 354, VERDICT_##c, n

static const struct row rows[] = {
	{ "good, in one group",
	    HELLO "G 3\n" ENVELOPE
	          "S 250 2.1.0 ok|250 2.1.5 ok|354 go\nD\nS 250 2.0.0 Ok: queued as 4F2\nQ\n",
	    LAST_IS(OK, 250) },
	{ "good, replies in pieces",
	    "R 22\nP 20\nR 0 fake\\r\nP 20\nR \\n\nE\n" ENVELOPE
	    "R 250 2.1.0 o\nP 20\nR k\\r\\n250-2.1.5 a\\r\\n250 2.1.5\nP 20\nR  b\\r\\n354 go\\r\\n\n"
	    "D\nS 250 ok\nQ\n",
	    LAST_IS(OK, 250) },
	{ "good, HELO only",
	    "S 220 x\nC EHLO\nS 502 what\nC HELO me.example\nS 250 x\nC MAIL FROM:<from@a.example>\r\n"
	    "\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\nQ\n",
	    LAST_IS(OK, 250) },
	/* greeting */
	{ "greeting 421", "S 421 busy\nQ\n", SAME(CONNECT, 451, 451) },
	{ "greeting 554", "S 554 no\nQ\n", SAME(GREETING, 451, 451) },
	{ "greeting 250", "S 250 what\nQ\n", SAME(PROTOCOL, 451, 451) },
	{ "greeting close", "X\n", SAME(LOST, 451, 451) },
	{ "greeting garbage", "S HTTP/1.1 200 OK\nQ\n", SAME(PROTOCOL, 451, 451) },
	{ "greeting silence", "W\n", SAME(LOST, 451, 451) },
	{ "greeting mixed", "S 220-a|250 b\nQ\n", SAME(PROTOCOL, 451, 451) },
	/* EHLO */
	{ "EHLO 4xx", "S 220 x\nC EHLO\nS 451 no\nQ\n", SAME(INTERNAL, 451, 451) },
	{ "EHLO and HELO 5xx", "S 220 x\nC EHLO\nS 550 no\nC HELO\nS 550 no\nQ\n",
	    SAME(CONFIG, 451, 451) },
	{ "EHLO close", "S 220 x\nC EHLO\nX\n", SAME(LOST, 451, 451) },
	{ "EHLO silence", "S 220 x\nW\n", SAME(LOST, 451, 451) },
	/* MAIL: told at RCPT */
	{ "MAIL 4xx", HELLO ENVELOPE "S 451 4.7.1 later|503 what|503 what\nQ\n",
	    SAME(DEFERRED, 451, 451) },
	{ "MAIL 452", HELLO ENVELOPE "S 452 4.3.1 full|503 what|503 what\nQ\n",
	    SAME(DEFERRED, 452, 452) },
	{ "MAIL 550", HELLO ENVELOPE "S 550 5.1.8 who|503 what|503 what\nQ\n",
	    SAME(SENDER, 550, 550) },
	{ "MAIL 530", HELLO ENVELOPE "S 530 5.7.0 auth|503 what|503 what\nQ\n",
	    SAME(AUTH, 550, 554) },
	{ "MAIL 552", HELLO ENVELOPE "S 552 big|503 what|503 what\nQ\n", SAME(SIZE, 552, 552) },
	{ "MAIL 550 and close", HELLO ENVELOPE "S 550 5.7.1 S3150\nX\n", SAME(SENDER, 550, 550) },
	{ "MAIL 421", HELLO ENVELOPE "S 421 bye\nX\n", SAME(DEFERRED, 451, 451) },
	{ "MAIL close", HELLO ENVELOPE "X\n", SAME(LOST, 451, 451) },
	{ "MAIL reset", HELLO ENVELOPE "Z\n", SAME(LOST, 451, 451) },
	{ "MAIL 3xx", HELLO ENVELOPE "S 354 go\nQ\n", SAME(PROTOCOL, 451, 451) },
	{ "MAIL garbage", HELLO ENVELOPE "S 25 ok\nQ\n", SAME(PROTOCOL, 451, 451) },
	{ "MAIL mixed", HELLO ENVELOPE "S 250-a|550 b\nQ\n", SAME(PROTOCOL, 451, 451) },
	{ "MAIL silence", HELLO ENVELOPE "W\n", SAME(LOST, 451, 451) },
	{ "MAIL refused, DATA taken", HELLO ENVELOPE "S 550 no|503 x|354 go\nQ\n",
	    SAME(SENDER, 550, 550) },
	/* RCPT */
	{ "RCPT 550", HELLO ENVELOPE "S 250 ok|550 5.1.1 no such user|554 no valid\nQ\n",
	    VERDICT_RCPT, 550, VERDICT_NO_VALID_RCPT, 554, 0, 0 },
	{ "RCPT 554 is 550", HELLO ENVELOPE "S 250 ok|554 5.7.1 no|554 no valid\nQ\n", VERDICT_RCPT,
	    550, VERDICT_NO_VALID_RCPT, 554, 0, 0 },
	{ "RCPT 450, DATA taken", HELLO ENVELOPE "S 250 ok|450 4.2.0 grey|354 go\nW\n",
	    VERDICT_RCPT, 450, VERDICT_NO_VALID_RCPT, 554, 0, 0 },
	{ "RCPT 535 is no 535", HELLO ENVELOPE "S 250 ok|535 auth|554 no valid\nQ\n", VERDICT_AUTH,
	    550, VERDICT_NO_VALID_RCPT, 554, 0, 0 },
	{ "RCPT 421", HELLO ENVELOPE "S 250 ok|421 bye\nX\n", VERDICT_RCPT, 451, VERDICT_RCPT, 451,
	    0, 0 },
	{ "RCPT close", HELLO ENVELOPE "S 250 ok\nX\n", SAME(LOST, 451, 451) },
	{ "RCPT silence", HELLO ENVELOPE "S 250 ok\nW\n", SAME(LOST, 451, 451) },
	{ "RCPT garbage", HELLO ENVELOPE "S 250 ok|hello\nQ\n", SAME(PROTOCOL, 451, 451) },
	/* DATA */
	{ "DATA 451", HELLO ENVELOPE "S 250 ok|250 ok|451 4.3.0 later\nQ\n",
	    DATA_IS(DEFERRED, 451) },
	{ "DATA 550", HELLO ENVELOPE "S 250 ok|250 ok|550 5.7.1 no\nQ\n", DATA_IS(CONTENT, 554) },
	{ "DATA 421", HELLO ENVELOPE "S 250 ok|250 ok|421 bye\nX\n", DATA_IS(DEFERRED, 451) },
	{ "DATA 250", HELLO ENVELOPE "S 250 ok|250 ok|250 ok\nQ\n", DATA_IS(PROTOCOL, 451) },
	{ "DATA close", HELLO ENVELOPE "S 250 ok|250 ok\nX\n", DATA_IS(LOST, 451) },
	{ "DATA silence", HELLO ENVELOPE "S 250 ok|250 ok\nW\n", DATA_IS(LOST, 451) },
	/* the final dot */
	{ "dot 451", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nS 451 4.3.0 x\nQ\n",
	    LAST_IS(DEFERRED, 451) },
	{ "dot 550", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nS 550 5.7.1 spam\nQ\n",
	    LAST_IS(CONTENT, 554) },
	{ "dot 554 5.6.0", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nS 554 5.6.0 mime\nQ\n",
	    LAST_IS(MALFORMED, 554) },
	{ "dot 552", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nS 552 5.3.4 big\nQ\n",
	    LAST_IS(SIZE, 552) },
	{ "dot 421", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nS 421 no\nX\n",
	    LAST_IS(DEFERRED, 451) },
	{ "dot close", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nX\n", LAST_IS(UNKNOWN, 451) },
	{ "dot half a reply", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nR 250-\nX\n",
	    LAST_IS(UNKNOWN, 451) },
	{ "dot silence", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nW\n", LAST_IS(UNKNOWN, 451) },
	{ "dot garbage", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nS ok\nQ\n",
	    LAST_IS(UNKNOWN, 451) },
	{ "dot 354", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nS 354 go\nQ\n",
	    LAST_IS(UNKNOWN, 451) },
	{ "dot two replies", HELLO ENVELOPE "S 250 a|250 b|354 go\nD\nS 250 ok|250 ok\nQ\n",
	    LAST_IS(OK, 250) },
};

static void
check_row(const struct row *row)
{
	struct fake f;
	struct mail m = { 0 };

	fake_start(&f, row->script, NULL);
	rig.conf = rig_conf();
	rig_open();
	struct profile p = rig_profile(&f, UPSTREAM_TLS_NONE);

	m.profile = &p;
	mail_send(&m);
	rig_run();
	rig_close();
	const char *wrong = fake_end(&f, false);

	if (wrong)
		fail_msg("%s: %s", row->name, wrong);
	if (m.told != 1 || m.rcpt[0] != row->rcpt || m.rcpt_code[0] != row->rcpt_code)
		fail_msg("%s: rcpt told %u class %d code %d", row->name, m.told, m.rcpt[0],
		    m.rcpt_code[0]);
	if (!m.went || m.go != row->go || m.go_code != row->go_code)
		fail_msg("%s: go %d class %d code %d", row->name, m.went, m.go, m.go_code);
	if (row->go == VERDICT_GO &&
	    (!m.done || m.last != row->last || m.code != row->code ||
	        m.unknown != (row->last == VERDICT_UNKNOWN)))
		fail_msg("%s: done %d class %d code %d", row->name, m.done, m.last, m.code);
	fake_free(&f);
}

static void
test_matrix(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
