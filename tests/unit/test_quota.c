/* SPDX-License-Identifier: Apache-2.0 */
/* quota: what a plan allows, said in the right words and order; commit, drop, usage; months; and
 * the checkpoint that keeps the counts over a restart. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "conf/directory/checkpoint.h"
#include "conf/directory/directory_db_sqlite.h"
#include "proxy/limits/quota.h"
#include "proxy/limits/counters_shared.h"

static const char *node = "node";
static char folder[] = "/tmp/byway-quota-XXXXXX";
static char path[64], state_path[64], clock_path[64];

/* ---- the clock ---- */

static void
set_clock(int64_t offset)
{
	int fd = open(clock_path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &offset, sizeof(offset)), sizeof(offset));
	close(fd);
}

/* Noon of the day that is today, or close to it: nothing ends while a test runs. */
static void
go_to_noon(void)
{
	set_clock(0);
	int64_t now = (int64_t)(counters_wall_ms() / 1000);

	set_clock(now / 86400 * 86400 + 43200 + 930 - now);
}

/* ---- a worker ---- */

struct rig {
	struct loop *loop;
	struct work *work;
	struct counters_shared *shared;
	struct counters *counters;
	struct quota *quota;
	struct conf conf;
};

static void
on_answer(void *ctx, uint64_t owner, struct quota_ticket *t)
{
	(void)ctx;
	(void)owner;
	(void)t;
	fail_msg("shared memory answers at once");
}

static void
rig_open(struct rig *r)
{
	char mem[256] = "";
	struct text why = text_over(mem, sizeof(mem));

	*r = (struct rig){ .loop = loop_open() };
	r->conf.directory.path = path;
	r->conf.server.instance = node;
	r->conf.counters.checkpoint_s = 10;
	r->work = work_open(r->loop, "work", 1, 8);
	r->shared = counters_shared_open(1024);
	r->counters = counters_open(r->loop, r->work, &r->conf, r->shared, &why);
	if (!r->counters)
		fail_msg("%s", mem);
	r->quota = quota_open(r->loop, r->counters, on_answer, NULL);
}

static void
rig_close(struct rig *r)
{
	work_close(r->work);
	counters_close(r->counters);
	quota_close(r->quota);
	counters_shared_close(r->shared);
	loop_close(r->loop);
}

static int
setup(void **state)
{
	static struct rig r;
	struct db db;
	char mem[256] = "";
	struct text why = text_over(mem, sizeof(mem));

	unlink(path);
	unlink(state_path);
	if (!db_open(&db, path, DB_MAKE, 100, &why) || !db_migrate(&db, 0, &why))
		fail_msg("%s", mem);
	db_close(&db);
	go_to_noon();
	rig_open(&r);
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	rig_close(*state);
	return 0;
}

static struct sender
sender(struct plan plan, uint64_t rate)
{
	return (struct sender){ .id = 11,
		.name = "u@a.example",
		.rate_per_minute = rate,
		.account = { .id = 5, .name = "a", .plan = plan, .renewal_day = 1 } };
}

static struct quota_ticket *
take(struct rig *r, const struct sender *s, uint64_t n)
{
	return quota_reserve(r->quota, s, n, SLICE("id"), 1);
}

static bool
passes(struct rig *r, const struct sender *s, uint64_t n)
{
	struct quota_ticket *t = take(r, s, n);
	bool ok = quota_state(t) == QUOTA_OK;

	if (ok)
		quota_commit(t, n);
	else
		quota_drop(t);
	return ok;
}

static void
says(struct quota_ticket *t, enum reply_id say, const char *more)
{
	assert_int_equal(quota_state(t), QUOTA_NO);
	assert_int_equal(quota_refusal(t)->say, say);
	/* '*': whatever comes then. */
	size_t n = strcspn(more, "*");

	if (more[n] == '*')
		assert_memory_equal(quota_refusal(t)->more, more, n);
	else
		assert_string_equal(quota_refusal(t)->more, more);
	quota_drop(t);
}

/* ---- words and order ---- */

static void
test_words(void **state)
{
	struct rig *r = *state;
	struct sender s = sender((struct plan){ .account_hour = 4 }, 0);

	assert_true(passes(r, &s, 4));
	says(quota_look(r->quota, &s, 1), SAY_QUOTA_HOUR, "(4 of 4 this hour; next at 13:15 UTC)");
	says(take(r, &s, 1), SAY_QUOTA_HOUR, "(4 of 4 this hour; next at 13:15 UTC)");
	says(take(r, &s, 3), SAY_QUOTA_HOUR,
	    "(this message needs 3, 0 of 4 left this hour; next at 13:15 UTC)");
	says(take(r, &s, 5), SAY_QUOTA_NEVER, "(this message needs 5, your plan allows 4 an hour)");
	s.account.plan = (struct plan){ .account_hour = 4, .account_day = 4 };
	says(take(r, &s, 1), SAY_QUOTA_ACCOUNT_DAY,
	    "(4 of 4 today in all mailboxes; next at 00:00 UTC)");
	s.account.plan.mailbox_day = 3;
	says(take(r, &s, 1), SAY_QUOTA_MAILBOX_DAY, "(4 of 3 today; next at 00:00 UTC)");
	s.account.plan.monthly = 4;
	says(take(r, &s, 1), SAY_QUOTA_MONTH, "(4 of 4 this month; next at *");
	s.account.plan.monthly = 6;
	s.account.plan.mailbox_day = s.account.plan.account_day = 7;
	says(take(r, &s, 3), SAY_QUOTA_MONTH,
	    "(this message needs 3, 2 of 6 left this month; next at *");
	says(take(r, &s, 8), SAY_QUOTA_NEVER, "(this message needs 8, your plan allows 6 a month)");
	s.account.plan.monthly = 0;
	says(take(r, &s, 8), SAY_QUOTA_NEVER, "(this message needs 8, your plan allows 7 a day)");
	s.account.plan.mailbox_day = 0;
	says(take(r, &s, 8), SAY_QUOTA_NEVER,
	    "(this message needs 8, your plan allows 7 a day in all mailboxes)");
	/* A plan change resets nothing and acts at once. */
	s.account.plan = (struct plan){ .account_hour = 6, .account_day = 100 };
	assert_true(passes(r, &s, 2));
	assert_false(passes(r, &s, 1));
}

static void
test_rates(void **state)
{
	struct rig *r = *state;
	struct sender s = sender((struct plan){ 0 }, 2);

	assert_true(passes(r, &s, 2));
	says(quota_look(r->quota, &s, 1), SAY_RATE_USER, "(2 of 2 this minute; next at 12:*");
	says(take(r, &s, 3), SAY_QUOTA_NEVER,
	    "(this message needs 3, your plan allows 2 a minute)");
	s.is_address = true; /* another series, though the id is the same */
	assert_true(passes(r, &s, 2));
	says(quota_look(r->quota, &s, 1), SAY_RATE_ADDRESS, "(2 of 2 this minute; next at 12:*");
}

/* ---- what stays and what goes back ---- */

static void
test_commit_and_drop(void **state)
{
	struct rig *r = *state;
	struct sender s = sender((struct plan){ .account_hour = 10, .mailbox_day = 10 }, 0);
	struct quota_ticket *t = take(r, &s, 10);

	assert_int_equal(quota_recipients(t), 10);
	says(quota_look(r->quota, &s, 1), SAY_QUOTA_MAILBOX_DAY,
	    "(10 of 10 today; next at 00:00 UTC)");
	quota_commit(t, 3);
	t = take(r, &s, 7);
	assert_int_equal(quota_state(t), QUOTA_OK);
	quota_drop(t);
	assert_true(passes(r, &s, 7));
	assert_false(passes(r, &s, 1));
	quota_drop(NULL);
	quota_commit(NULL, 1);
}

static void
test_messages(void **state)
{
	struct rig *r = *state;
	struct sender s = sender((struct plan){ .account_hour = 2, .unit = COUNT_MESSAGES }, 0);
	struct quota_ticket *t = take(r, &s, 50);

	quota_commit(t, 1); /* a message is a message */
	t = take(r, &s, 50);
	quota_drop(t);
	assert_true(passes(r, &s, 50));
	assert_false(passes(r, &s, 1));
}

/* An IP identity has no mailbox to count. */
static void
test_address(void **state)
{
	struct rig *r = *state;
	struct sender s = sender((struct plan){ .mailbox_day = 1, .account_day = 3 }, 0);

	s.is_address = true;
	assert_true(passes(r, &s, 3));
	says(take(r, &s, 1), SAY_QUOTA_ACCOUNT_DAY,
	    "(3 of 3 today in all mailboxes; next at 00:00 UTC)");
}

/* ---- months ---- */

static void
test_months(void **state)
{
	/* days since 1970 of 2027-01-31, 02-28, 03-31; 2028-02-29 */
	static const struct {
		int64_t day;
		unsigned renewal;
		int64_t begins, ends;
	} cases[] = {
		{ 20849, 1, 20819, 20850 },  /* 2027-01-31 */
		{ 20850, 1, 20850, 20878 },  /* 2027-02-01 */
		{ 20876, 31, 20849, 20877 }, /* 2027-02-27: until the 28th, February's last */
		{ 20877, 31, 20877, 20908 }, /* 2027-02-28 */
		{ 20907, 31, 20877, 20908 }, /* 2027-03-30 */
		{ 20908, 31, 20908, 20938 }, /* 2027-03-31, then 04-30 */
		{ 20819, 15, 20802, 20833 }, /* 2027-01-01, from 2026-12-15 */
		{ 21242, 30, 21213, 21243 }, /* 2028-02-28, then the 29th */
		{ 20850, 0, 20850, 20878 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t begins, ends;

		quota_month(cases[i].day, cases[i].renewal, &begins, &ends);
		if (begins != cases[i].begins || ends != cases[i].ends)
			fail_msg("case %zu: %lld to %lld", i, (long long)begins, (long long)ends);
	}
	/* Every day lies in its month, no month is longer than a ring holds. */
	for (int64_t day = 20000; day < 24000; day++) {
		for (unsigned renewal = 1; renewal <= 31; renewal++) {
			int64_t begins, ends, again, end;

			quota_month(day, renewal, &begins, &ends);
			assert_true(begins <= day && day < ends && ends - begins <= 31);
			quota_month(ends, renewal, &again, &end);
			assert_int_equal(again, ends);
		}
	}
}

/* ---- usage and reset ---- */

static char usage[2048];

static void
on_usage(void *ctx, struct slice json)
{
	struct rig *r = ctx;

	snprintf(usage, sizeof(usage), "%.*s", SLICE_FMT(json));
	loop_stop(r->loop);
}

static void
on_reset(void *ctx, bool ok, struct slice unreached)
{
	struct rig *r = ctx;

	assert_true(ok && unreached.n == 0);
	loop_stop(r->loop);
}

static void
test_usage(void **state)
{
	struct rig *r = *state;
	struct sender s = sender((struct plan){ .account_hour = 10, .monthly = 50 }, 5);

	assert_true(passes(r, &s, 3));
	assert_true(quota_usage(r->quota, &s, false, on_usage, r));
	assert_string_equal(usage, ""); /* not from inside the call */
	loop_run(r->loop);
	assert_non_null(strstr(usage,
	    "{\"limit\":\"account_month\",\"used\":3,\"cap\":50,\"resets\":"));
	assert_non_null(strstr(usage, "{\"limit\":\"mailbox_day\",\"used\":3,\"cap\":0,"));
	assert_non_null(strstr(usage,
	    "{\"limit\":\"account_hour\",\"used\":3,\"cap\":10,\"next\":"));
	assert_non_null(strstr(usage, "{\"limit\":\"rate\",\"used\":3,\"cap\":5,"));
	assert_true(quota_usage(r->quota, &s, true, on_usage, r));
	loop_run(r->loop);
	assert_null(strstr(usage, "mailbox_day"));
	assert_true(quota_reset(r->quota, &s, false, on_reset, r));
	loop_run(r->loop);
	assert_true(passes(r, &s, 5));
	usage[0] = '\0';
}

/* ---- checkpoint ---- */

static void
test_checkpoint(void **state)
{
	struct rig *r = *state;
	struct sender s =
	    sender((struct plan){ .account_hour = 10, .account_day = 12, .mailbox_day = 11 }, 0);

	assert_true(passes(r, &s, 6));
	rig_close(r);
	rig_open(r);
	assert_true(passes(r, &s, 4));
	says(take(r, &s, 1), SAY_QUOTA_HOUR, "(10 of 10 this hour; next at 13:15 UTC)");
	rig_close(r);
	/* Another node's counts are not ours. */
	node = "other";
	rig_open(r);
	assert_true(passes(r, &s, 10));
	rig_close(r);
	node = "node";
	rig_open(r);
	assert_false(passes(r, &s, 1));
}

static void
count_row(void *ctx, const struct checkpoint_row *row)
{
	unsigned *n = ctx;

	assert_int_equal(row->kind, 'h');
	assert_int_equal(row->own[5], 7);
	assert_int_equal(row->pushed[6], 8);
	assert_int_equal(row->epoch, 99);
	++*n;
}

static void
damage(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(state_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
test_rows(void **state)
{
	struct checkpoint_row row = { .kind = 'h',
		.id = 3,
		.account = 2,
		.grain_s = 60,
		.keep = 60,
		.latest = 1000,
		.epoch = 99 };
	char mem[256] = "";
	struct text why = text_over(mem, sizeof(mem));
	unsigned n = 0;

	(void)state;
	row.own[5] = 7;
	row.pushed[6] = 8;
	assert_true(checkpoint_save(path, "x", &row, 1, 60000, &why));
	assert_true(checkpoint_save(path, "x", &row, 1, 60000, &why));
	assert_true(checkpoint_load(path, "y", 60000, count_row, &n, &why));
	assert_int_equal(n, 0);
	assert_true(checkpoint_load(path, "x", 60000, count_row, &n, &why));
	assert_int_equal(n, 1);
	/* One that no row holds keeps no other back; damaged ones are passed over. */
	struct checkpoint_row three[] = { row, row, row };

	three[0].epoch = UINT64_MAX;
	three[1].grain_s = 0;
	three[0].id = three[1].id = 4;
	assert_true(checkpoint_save(path, "z", three, 3, 60000, &why));
	n = 0;
	assert_true(checkpoint_load(path, "z", 60000, count_row, &n, &why));
	assert_int_equal(n, 1);
	damage("INSERT INTO tally SELECT node, kind, id + 5, account, grain, keep, latest, epoch,"
	       " x'00', pushed FROM tally WHERE node = 'z'");
	n = 0;
	assert_true(checkpoint_load(path, "z", 60000, count_row, &n, &why));
	assert_int_equal(n, 1);
	n = 1;
	/* What was over goes with the next save. */
	assert_true(checkpoint_save(path, "x", NULL, 0, 60 * 2000, &why));
	assert_true(checkpoint_load(path, "x", 60000, count_row, &n, &why));
	assert_int_equal(n, 1);
	assert_false(checkpoint_save("/nowhere/at/all.db", "x", &row, 1, 60000, &why));
	assert_true(why.n > 0);
}

/* What an earlier version counted in the directory is taken over once; the directory stays as it
 * is. */
static void
test_counts_of_before(void **state)
{
	struct checkpoint_row row = { .kind = 'h',
		.id = 7,
		.account = 7,
		.grain_s = 60,
		.keep = 60,
		.latest = 1000,
		.epoch = 99 };
	char mem[256] = "";
	char sql[256];
	struct text why = text_over(mem, sizeof(mem));
	struct stat before;
	struct stat after;
	unsigned n = 0;

	(void)state;
	row.own[5] = 7;
	row.pushed[6] = 8;
	assert_true(checkpoint_save(path, "x", &row, 1, 60000, &why));
	snprintf(sql, sizeof(sql),
	    "ATTACH '%s' AS d; INSERT INTO d.tally SELECT node, kind, 8, account, grain, keep, latest,"
	    " epoch, own, pushed FROM main.tally",
	    path);
	damage(sql);
	unlink(state_path);
	assert_int_equal(stat(path, &before), 0);
	assert_true(checkpoint_load(path, "x", 60000, count_row, &n, &why));
	assert_int_equal(n, 1);
	assert_true(checkpoint_save(path, "x", &row, 1, 60000, &why));
	n = 0;
	assert_true(checkpoint_load(path, "x", 60000, count_row, &n, &why));
	assert_int_equal(n, 2);
	assert_int_equal(stat(path, &after), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));

	/* One that is none is an error, and stays. */
	unlink(state_path);
	FILE *f = fopen(state_path, "w");

	assert_non_null(f);
	fputs("these are no counts, and no database of SQLite", f);
	fclose(f);
	assert_false(checkpoint_save(path, "x", &row, 1, 60000, &why));
	assert_non_null(strstr(mem, "state.db"));
	unlink(state_path);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(words),
		TEST(rates),
		TEST(commit_and_drop),
		TEST(messages),
		TEST(address),
		cmocka_unit_test(test_months),
		TEST(usage),
		TEST(checkpoint),
		TEST(counts_of_before),
		TEST(rows),
	};

	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof(path), "%s/directory.db", folder);
	snprintf(state_path, sizeof(state_path), "%s/state.db", folder);
	snprintf(clock_path, sizeof(clock_path), "%s/clock", folder);
	set_clock(0);
	setenv("BYWAY_CLOCK", clock_path, 1);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	char sweep[96];

	snprintf(sweep, sizeof(sweep), "rm -rf %s", folder);
	return system(sweep) ? 1 : failed;
}
