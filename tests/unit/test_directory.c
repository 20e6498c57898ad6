/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <crypt.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conf/directory/admin.h"
#include "conf/directory/directory_front.h"
#include "conf/vault/password.h"
#include "wire/crypto.h"
#include "wire/log.h"

/* crypt(3) of "alice", "bob" and "other", cheap. */
static char hash_alice[PASSWORD_HASH_MAX];
static char hash_bob[PASSWORD_HASH_MAX];
static char hash_other[PASSWORD_HASH_MAX];

/* ---- a directory, its writer, a loop ---- */

struct answer {
	unsigned n;
	enum login_result result;
	struct sender *sender;
	char why[192];
};

enum { ANSWERS = 256 };

struct fixture {
	char folder[64];
	char path[96];
	char keys[96];
	char why[512];
	struct loop *loop;
	struct work *work;
	struct vault *vault;
	struct admin *a;
	struct directory *d;
	struct conf conf;
	ev_timer guard;
	struct answer answers[ANSWERS];
	unsigned answers_n;
};

static void
on_answer(void *ctx, uint64_t owner, enum login_result result, struct sender *sender,
    const char *why)
{
	struct fixture *f = ctx;
	struct answer *a = &f->answers[owner];

	assert_true((result == LOGIN_OK) == (sender != NULL));
	a->n++;
	a->result = result;
	a->sender = sender;
	snprintf(a->why, sizeof(a->why), "%s", why);
	f->answers_n++;
	loop_stop(f->loop);
}

static void
on_guard(struct ev_loop *ev, ev_timer *t, int events)
{
	(void)ev;
	(void)events;
	loop_stop(((struct fixture *)t->data)->loop);
}

/* Runs the loop for a while, or until one more answer is in. */
static void
turn(struct fixture *f, double seconds)
{
	ev_timer_init(&f->guard, on_guard, seconds, 0);
	f->guard.data = f;
	ev_timer_start(loop_ev(f->loop), &f->guard);
	loop_run(f->loop);
	ev_timer_stop(loop_ev(f->loop), &f->guard);
}

static void
wait_for(struct fixture *f, unsigned answers)
{
	for (int i = 0; f->answers_n < answers && i < 1000; i++)
		turn(f, 15);
	assert_int_equal(f->answers_n, answers);
}

static void
forget(struct fixture *f)
{
	for (unsigned i = 0; i < ANSWERS; i++)
		sender_unref(f->answers[i].sender);
	memset(f->answers, 0, sizeof(f->answers));
	f->answers_n = 0;
}

#define OK(f, call)                                                                 \
	do {                                                                        \
		enum admin_result ok_ = (call);                                     \
		if (ok_ != ADMIN_OK)                                                \
			fail_msg("%s: %d: %s", #call, (int)ok_, admin_why((f)->a)); \
	} while (0)

static void
add_account(struct fixture *f, const char *account, const char *domain, const char *mailbox,
    const char *hash)
{
	OK(f,
	    admin_add(f->a, &entity_account,
	        &(struct admin_account){ .name = account, .plan = "pro", .owner_verified = true }));
	OK(f,
	    admin_add(f->a, &entity_domain,
	        &(struct admin_domain){ .name = domain, .account = account }));
	OK(f, admin_add(f->a, &entity_mailbox, &(struct admin_mailbox){ .address = mailbox }));
	OK(f, admin_mailbox_set_hash(f->a, mailbox, hash));
}

static void
open_directory(struct fixture *f)
{
	struct text why = text_over(f->why, sizeof(f->why));

	f->conf.directory.path = f->path;
	f->conf.directory.poll_ms = 10;
	f->conf.directory.remember_s = 60;
	f->d = directory_open(f->loop, f->work, &f->conf, f->vault, f, &why);
	if (!f->d)
		fail_msg("%s", f->why);
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct text why;

	assert_non_null(f);
	why = text_over(f->why, sizeof(f->why));
	snprintf(f->folder, sizeof(f->folder), "/tmp/byway-directory-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/directory.db", f->folder);
	snprintf(f->keys, sizeof(f->keys), "%s/keys", f->folder);
	assert_true(vault_create(f->keys, &why));
	f->vault = vault_open(f->keys, &why);
	f->a = admin_open(f->path, true, f->vault, &why);
	f->loop = loop_open();
	f->work = work_open(f->loop, "test", 2, 128);
	if (!f->vault || !f->a || !f->loop || !f->work)
		fail_msg("%s", f->why);
	add_account(f, "acme", "acme.example", "alice@acme.example", hash_alice);
	add_account(f, "other", "other.example", "bob@other.example", hash_bob);
	open_directory(f);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "directory.db", "directory.db-wal", "directory.db-shm",
		"away.db", "keys", "log" };
	char path[160];

	directory_close(f->d);
	work_close(f->work);
	forget(f);
	loop_close(f->loop);
	admin_close(f->a);
	vault_close(f->vault);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->folder, names[i]);
		unlink(path);
	}
	rmdir(f->folder);
	free(f);
	return 0;
}

static void
login_as(struct directory *d, struct slice user, struct slice password, uint64_t owner,
    directory_fn *fn)
{
	assert_non_null(directory_login(d, user, password, (struct login_from){ 0 }, owner, fn));
}

/* The answer to one log-in. */
static enum login_result
login(struct fixture *f, const char *user, const char *password)
{
	forget(f);
	login_as(f->d, slice_str(user), slice_str(password), 0, on_answer);
	assert_int_equal(f->answers_n, 0); /* never from inside the call */
	wait_for(f, 1);
	return f->answers[0].result;
}

/* Until what the writer has written is known. */
static void
catch_up(struct fixture *f)
{
	uint64_t revision;

	OK(f, admin_revision(f->a, &revision));
	for (int i = 0; f->d->revision < revision && i < 500; i++)
		turn(f, 0.01);
	/* A hash that is made anew beside it is news too. */
	assert_true(f->d->revision >= revision);
}

static struct sender *
keep(struct fixture *f)
{
	return sender_ref(f->answers[0].sender);
}

static void
set_mailbox(struct fixture *f, const char *address, enum mailbox_state state)
{
	OK(f,
	    admin_set(f->a, &entity_mailbox,
	        &(struct admin_mailbox){ .address = address, .state = state }));
}

/* ---- log-in ---- */

static void
test_login(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *user;
		const char *password;
		enum login_result result;
		const char *why;
	} cases[] = {
		{ "alice@acme.example", "alice", LOGIN_OK, "" },
		{ "ALICE@Acme.EXAMPLE", "alice", LOGIN_OK, "" },
		{ "alice@acme.example", "Alice", LOGIN_REFUSED, "wrong password" },
		{ "alice@acme.example", "", LOGIN_REFUSED, "wrong password" },
		{ "bob@other.example", "alice", LOGIN_REFUSED, "wrong password" },
		{ "bob@other.example", "bob", LOGIN_OK, "" },
		{ "eve@acme.example", "alice", LOGIN_REFUSED, "unknown mailbox" },
		{ "", "", LOGIN_REFUSED, "unknown mailbox" },
		{ "x' OR '1'='1", "alice", LOGIN_REFUSED, "unknown mailbox" },
		{ "%", "alice", LOGIN_REFUSED, "unknown mailbox" },
	};
	char longest[600];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (login(f, cases[i].user, cases[i].password) != cases[i].result ||
		    strcmp(f->answers[0].why, cases[i].why) != 0)
			fail_msg("case %zu: %d, \"%s\"", i, (int)f->answers[0].result,
			    f->answers[0].why);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(login(f, longest, "alice"), LOGIN_REFUSED);
	assert_int_equal(login(f, "alice@acme.example", longest), LOGIN_REFUSED);

	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	const struct sender *s = f->answers[0].sender;

	assert_false(s->is_address);
	assert_string_equal(s->name, "alice@acme.example");
	assert_string_equal(s->account.name, "acme");
	assert_string_equal(s->account.plan.name, "pro");
	assert_int_equal(s->account.plan.account_hour, 1500);
	assert_int_equal(s->account.renewal_day, 1);
	assert_int_equal(s->account.domains_n, 1);
	assert_string_equal(s->account.domains[0].name, "acme.example");
}

/* A4, A6: answered only behind the right password. */
static void
test_states(void **state)
{
	struct fixture *f = *state;
	static const struct {
		enum mailbox_state state;
		enum login_result result;
		const char *why;
	} cases[] = {
		{ MAILBOX_PAUSED_OWNER, LOGIN_REFUSED, "paused by owner" },
		{ MAILBOX_PAUSED_ADMIN, LOGIN_REFUSED, "paused by admin" },
		{ MAILBOX_PAUSED_ABUSE, LOGIN_REFUSED, "paused for abuse" },
		{ MAILBOX_BLOCKED, LOGIN_OK, "" },
		{ MAILBOX_ACTIVE, LOGIN_OK, "" },
	};

	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	struct sender *s = keep(f);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_mailbox(f, "alice@acme.example", cases[i].state);
		catch_up(f);
		assert_false(directory_is_fresh(f->d, s));
		if (login(f, "alice@acme.example", "alice") != cases[i].result ||
		    strcmp(f->answers[0].why, cases[i].why) != 0)
			fail_msg("case %zu: \"%s\"", i, f->answers[0].why);
		assert_int_equal(login(f, "alice@acme.example", "wrong"), LOGIN_REFUSED);
		assert_string_equal(f->answers[0].why, "wrong password");

		/* A session that is open sees the state itself. */
		forget(f);
		directory_refresh(f->d, s, 0, on_answer);
		assert_int_equal(f->answers_n, 0);
		wait_for(f, 1);
		assert_int_equal(f->answers[0].result, LOGIN_OK);
		assert_int_equal(f->answers[0].sender->state, cases[i].state);
		sender_unref(s);
		s = keep(f);
	}
	sender_unref(s);

	/* No hash, or a locked one. */
	OK(f, admin_mailbox_set_hash(f->a, "alice@acme.example", ""));
	catch_up(f);
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_REFUSED);
	assert_int_equal(login(f, "alice@acme.example", ""), LOGIN_REFUSED);
	OK(f, admin_mailbox_set_hash(f->a, "alice@acme.example", "!"));
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_REFUSED);
}

static void
test_remembered(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	struct sender *s = keep(f);

	/* No thread, the same snapshot; a wrong password is not fooled. */
	forget(f);
	for (unsigned i = 0; i < 100; i++)
		login_as(f->d, SLICE("Alice@acme.example"), SLICE("alice"), i, on_answer);
	assert_null(f->d->flying);
	wait_for(f, 100);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(f->answers[i].n, 1);
		assert_ptr_equal(f->answers[i].sender, s);
	}
	forget(f);
	assert_int_equal(s->refs, 2); /* ours and the cache's */
	assert_int_equal(login(f, "alice@acme.example", "alicf"), LOGIN_REFUSED);

	/* Another row of the account is written: the hash is looked at, not computed. The snapshot
	 * is new. */
	OK(f,
	    admin_add(f->a, &entity_domain,
	        &(struct admin_domain){ .name = "acme2.example", .account = "acme" }));
	catch_up(f);
	login_as(f->d, SLICE("alice@acme.example"), SLICE("alice"), 1, on_answer);
	assert_non_null(f->d->flying);
	assert_true(f->d->flying->expects);
	forget(f);
	wait_for(f, 1);
	assert_int_equal(f->answers[1].result, LOGIN_OK);
	assert_int_equal(f->answers[1].sender->account.domains_n, 2);
	sender_unref(s);
	s = sender_ref(f->answers[1].sender);

	/* The password is reset. Sessions that refresh must not bring the old one back. */
	OK(f, admin_mailbox_set_hash(f->a, "alice@acme.example", hash_other));
	catch_up(f);
	forget(f);
	directory_refresh(f->d, s, 0, on_answer);
	wait_for(f, 1);
	assert_true(directory_is_fresh(f->d, f->answers[0].sender));
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_REFUSED);
	assert_int_equal(login(f, "alice@acme.example", "other"), LOGIN_OK);
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_REFUSED);
	sender_unref(s);

	/* Too old. */
	struct cache_entry *e = cache_find(&f->d->mailboxes, SLICE("alice@acme.example"));

	assert_non_null(e);
	assert_true(e->remembered > loop_now(f->loop) + 50 &&
	    e->remembered <= loop_now(f->loop) + 60);
	e->remembered = loop_now(f->loop);
	forget(f);
	login_as(f->d, SLICE("alice@acme.example"), SLICE("other"), 0, on_answer);
	assert_non_null(f->d->flying);
	assert_false(f->d->flying->expects);
	wait_for(f, 1);

	/* Not at all, where the operator says so; never longer than a minute. */
	f->conf.directory.remember_s = 0;
	directory_reconf(f->d, &f->conf, f->vault);
	login_as(f->d, SLICE("alice@acme.example"), SLICE("other"), 1, on_answer);
	assert_non_null(f->d->flying);
	wait_for(f, 2);
	f->conf.directory.remember_s = 3600;
	directory_reconf(f->d, &f->conf, f->vault);
	assert_int_equal(f->d->remember_s, 60);
}

static void
test_machine_made(void **state)
{
	struct fixture *f = *state;
	struct secret plain;
	char mem[PASSWORD_HASH_MAX];
	char text[64];
	struct text hash = text_over(mem, sizeof(mem));
	struct text why = text_over(f->why, sizeof(f->why));

	assert_true(secret_generate(&plain, 16));
	assert_true(password_hash_machine(f->vault, &plain, &hash));
	snprintf(text, sizeof(text), "%.*s", SLICE_FMT(secret_peek(&plain)));
	secret_fini(&plain);
	OK(f, admin_mailbox_set_hash(f->a, "alice@acme.example", mem));
	assert_int_equal(login(f, "alice@acme.example", text), LOGIN_OK);
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_REFUSED);

	/* Under a ring that has turned; without what is remembered. */
	assert_true(vault_add_key(f->keys, &why));
	struct vault *ring = vault_open(f->keys, &why);

	assert_non_null(ring);
	f->conf.directory.remember_s = 0;
	directory_reconf(f->d, &f->conf, ring);
	vault_close(f->vault);
	f->vault = ring;
	assert_int_equal(login(f, "alice@acme.example", text), LOGIN_OK);
}

static unsigned
waiting(const struct fixture *f)
{
	unsigned n = 0;

	for (unsigned lane = 0; lane < LANES; lane++)
		for (const struct ask *a = f->d->line[lane]; a; a = a->behind)
			n++;
	return n;
}

static void
test_joined(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 50; i++)
		login_as(f->d, SLICE("alice@acme.example"), SLICE("alice"), i, on_answer);
	for (unsigned i = 50; i < 60; i++)
		login_as(f->d, SLICE("alice@acme.example"), SLICE("wrong"), i, on_answer);
	assert_int_equal(f->d->hashing_n + waiting(f), 2);
	wait_for(f, 60);
	for (unsigned i = 0; i < 60; i++) {
		assert_int_equal(f->answers[i].n, 1);
		assert_int_equal(f->answers[i].result, i < 50 ? LOGIN_OK : LOGIN_REFUSED);
		assert_ptr_equal(f->answers[i].sender, i < 50 ? f->answers[0].sender : NULL);
	}
	assert_int_equal(f->answers[0].sender->refs, 51);
}

static void
test_too_much(void **state)
{
	struct fixture *f = *state;
	unsigned unavailable = 0;
	char password[16];

	for (unsigned i = 0; i < 250; i++) {
		snprintf(password, sizeof(password), "x%u", i);
		login_as(f->d, SLICE("alice@acme.example"), slice_str(password), i, on_answer);
	}
	wait_for(f, 250);
	for (unsigned i = 0; i < 250; i++) {
		assert_int_equal(f->answers[i].n, 1);
		unavailable += f->answers[i].result == LOGIN_UNAVAILABLE;
	}
	/* 64 of one name wait, and one has a thread. */
	assert_in_range(unavailable, 250 - 66, 250 - 64);
}

static struct ask *
login_from(struct fixture *f, const char *name, uint64_t address, bool known, uint64_t owner)
{
	char password[24];

	snprintf(password, sizeof(password), "guess %u", (unsigned)address);
	struct ask *a = directory_login(f->d, slice_str(name), slice_str(password),
	    (struct login_from){ .address = address, .known = known }, owner, on_answer);

	assert_non_null(a);
	return a;
}

/* Guesses at one name from everywhere, and from one address at all names, have one thread at most
 * and two turns; who is known does not wait behind them. */
static void
test_line(void **state)
{
	struct fixture *f = *state;
	char name[32];

	for (unsigned one_name = 0; one_name < 2; one_name++) {
		for (unsigned i = 0; i < 20; i++) {
			snprintf(name, sizeof(name), "u%u@acme.example", i);
			login_from(f, one_name ? "bob@other.example" : name, one_name ? 100 + i : 7,
			    false, i);
			assert_int_equal(f->d->hashing_n, 1);
		}
		login_from(f, "alice@acme.example", 8, true, 20);
		assert_int_equal(f->d->hashing_n, 2);
		assert_int_equal(f->d->hashing[1]->lane, LANE_KNOWN);
		/* The known wait for their own name alone. */
		login_from(f, "bob@other.example", 9, true, 21);
		while (f->d->line[LANE_KNOWN])
			turn(f, 0.0001);
		assert_in_range(waiting(f), 10, 19);
		wait_for(f, 22);
		for (unsigned i = 0; i < 22; i++)
			assert_int_equal(f->answers[i].n, 1);
		forget(f);
	}
}

/* Two at once of a name, by all processes together; and who waits for another process comes in when
 * that is done, though nobody says so. */
static void
test_line_of_several_processes(void **state)
{
	struct fixture *f = *state;
	struct hashing *all = hashing_open(3);
	uint64_t alice = hashing_name(all, SLICE("Alice@acme.example"));

	assert_non_null(all);
	directory_share(f->d, all, 1);
	for (unsigned others = 0; others < 3; others++) {
		for (unsigned i = 0; i < others; i++)
			assert_true(hashing_take(all, 2 * i, 0, alice, 200 + i));
		for (unsigned i = 0; i < 4; i++)
			login_from(f, "alice@acme.example", 100 + i, true, i);
		assert_int_equal(f->d->hashing_n, 2 - others);
		turn(f, 0.1);
		if (others == 2)
			assert_int_equal(waiting(f), 4);
		for (unsigned i = 0; i < others; i++)
			hashing_clear(all, 2 * i);
		wait_for(f, 4);
		forget(f);
	}
	directory_share(f->d, f->d->hashing_own, 0);
	hashing_close(all);
}

/* Who has left hears nothing, and makes no work. */
static void
test_left(void **state)
{
	struct fixture *f = *state;
	struct ask *a[40];

	for (unsigned i = 0; i < 40; i++)
		a[i] = login_from(f, "alice@acme.example", 1, false, i);
	/* All ask the same: the first is at work, and stays while one of them wants it. */
	for (unsigned i = 0; i < 39; i++)
		directory_drop(a[i]);
	assert_int_equal(atomic_load(&f->d->hashing[0]->wanted), 1);
	wait_for(f, 1);
	assert_int_equal(f->answers[39].result, LOGIN_REFUSED);
	forget(f);

	a[0] = login_from(f, "alice@acme.example", 1, false, 0);
	for (unsigned i = 1; i < 40; i++)
		a[i] = login_from(f, "bob@other.example", 100, false, i);
	assert_int_equal(waiting(f), 1);
	for (unsigned i = 1; i < 40; i++)
		directory_drop(a[i]);
	assert_int_equal(waiting(f), 0);
	directory_drop(a[0]);
	turn(f, 0.2);
	assert_int_equal(f->answers_n, 0);

	a[0] = ask_new(f->d, ASK_LOGIN, 0, on_answer);
	assert_non_null(a[0]);
	atomic_store(&a[0]->wanted, 0);
	assert_true(secret_init(&a[0]->password, SLICE("wrong")));
	ask_run(&a[0]->job);
	assert_int_equal(a[0]->result, LOGIN_UNAVAILABLE);
	assert_true(a[0]->began == 0); /* no hash */
	ask_free(a[0]);
}

/* A1: the work of a thread for a wrong password and for an unknown name. */
static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
work_us(struct fixture *f, const char *user)
{
	struct ask *a = ask_new(f->d, ASK_LOGIN, 0, on_answer);

	assert_non_null(a);
	a->name_n = strlen(user);
	memcpy(a->name, user, a->name_n);
	assert_true(secret_init(&a->password, SLICE("wrong")));
	double start = cpu_us();

	ask_run(&a->job);
	double took = cpu_us() - start;

	assert_int_equal(a->result, LOGIN_REFUSED);
	ask_free(a);
	return took;
}

static void
test_timing(void **state)
{
	struct fixture *f = *state;
	enum { TRIES = 61 };
	static double known[TRIES];
	static double unknown[TRIES];
	double apart = 1;

	password_set_dummy(hash_other);
	for (int round = 0; round < 3 && apart > 0.05; round++) {
		for (size_t i = 0; i < TRIES; i++) {
			known[i] = work_us(f, "alice@acme.example");
			unknown[i] = work_us(f, "nobody@acme.example");
		}
		qsort(known, TRIES, sizeof(double), compare);
		qsort(unknown, TRIES, sizeof(double), compare);
		apart = unknown[TRIES / 2] / known[TRIES / 2];
		apart = apart > 1 ? apart - 1 : 1 - apart;
	}
	password_set_dummy(NULL);
	if (apart > 0.05)
		fail_msg("%.0f us and %.0f us", known[TRIES / 2], unknown[TRIES / 2]);
}

/* ---- freshness ---- */

static void
test_freshness(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	struct sender *alice = keep(f);

	assert_int_equal(login(f, "bob@other.example", "bob"), LOGIN_OK);
	struct sender *bob = keep(f);

	/* Another account's write is nothing to us. */
	set_mailbox(f, "bob@other.example", MAILBOX_PAUSED_ADMIN);
	catch_up(f);
	assert_true(directory_is_fresh(f->d, alice));
	assert_false(directory_is_fresh(f->d, bob));

	/* A plan's concerns all. */
	struct arena mem;
	struct plan plan;

	arena_init(&mem, 4096);
	OK(f, admin_get(f->a, &entity_plan, "pro", &mem, &plan));
	plan.account_hour = 7;
	OK(f, admin_set(f->a, &entity_plan, &plan));
	arena_fini(&mem);
	catch_up(f);
	assert_false(directory_is_fresh(f->d, alice));
	forget(f);
	directory_refresh(f->d, alice, 0, on_answer);
	wait_for(f, 1);
	assert_int_equal(f->answers[0].sender->account.plan.account_hour, 7);
	assert_int_equal(alice->account.plan.account_hour, 1500);
	sender_unref(alice);
	alice = keep(f);
	assert_true(directory_is_fresh(f->d, alice));

	/* A snapshot that is shared is not read again. */
	forget(f);
	directory_refresh(f->d, alice, 0, on_answer);
	assert_null(f->d->flying);
	wait_for(f, 1);
	assert_ptr_equal(f->answers[0].sender, alice);

	/* More changes than are kept. */
	sqlite3 *h;

	assert_int_equal(sqlite3_open(f->path, &h), SQLITE_OK);
	sqlite3_busy_timeout(h, 5000);
	assert_int_equal(
	    sqlite3_exec(h,
	        "BEGIN; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE"
	        " i < 5000) INSERT INTO allowed_sender (account, name) SELECT 2, i || '@b.example' FROM n;"
	        " COMMIT",
	        NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(h);
	catch_up(f);
	assert_false(directory_is_fresh(f->d, alice));

	/* Gone. */
	OK(f, admin_remove(f->a, &entity_mailbox, "alice@acme.example", false));
	catch_up(f);
	forget(f);
	directory_refresh(f->d, alice, 0, on_answer);
	wait_for(f, 1);
	assert_int_equal(f->answers[0].result, LOGIN_REFUSED);
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_REFUSED);
	sender_unref(alice);
	sender_unref(bob);
}

static void
test_many_accounts_change(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	/* As many accounts as can be told apart; the one too many makes all stale. */
	struct ask *a = ask_new(f->d, ASK_POLL, 0, NULL);

	assert_non_null(a);
	a->found = FOUND;
	a->changes.revision = f->d->revision + 1;
	a->changes.accounts_n = CHANGED_MAX;
	a->changes.accounts = calloc(CHANGED_MAX, sizeof(uint64_t));
	for (size_t i = 0; i < CHANGED_MAX; i++)
		a->changes.accounts[i] = 1000 + i * 8192;
	directory_learn_changes(f->d, a);
	assert_true(directory_is_fresh(f->d, f->answers[0].sender));
	a->changes.revision++;
	a->changes.accounts_n = 1;
	a->changes.accounts[0] = 7;
	directory_learn_changes(f->d, a);
	assert_false(directory_is_fresh(f->d, f->answers[0].sender));
	ask_free(a);
}

/* ---- snapshots ---- */

static void
give_senders(struct fixture *f)
{
	struct admin_account lists;
	struct arena mem;

	arena_init(&mem, 1 << 16);
	OK(f, admin_get(f->a, &entity_account, "acme", &mem, &lists));
	lists.allowed_senders = "@Partner.example";
	lists.verified_senders = "Me@x.example";
	OK(f, admin_set(f->a, &entity_account, &lists));
	arena_fini(&mem);
}

static void
test_snapshot(void **state)
{
	struct fixture *f = *state;
	struct secret password;
	char pem[5000];

	memset(pem, 'x', sizeof(pem) - 1);
	pem[sizeof(pem) - 1] = '\0';
	assert_true(secret_init(&password, SLICE("upstream secret")));
	OK(f,
	    admin_profile_add(f->a,
	        &(struct admin_profile){ .account = "acme",
	            .name = "mg",
	            .provider = "mailgun",
	            .host = "smtp.mailgun.example",
	            .port = 587,
	            .tls = UPSTREAM_TLS_STARTTLS,
	            .username = "postmaster",
	            .ca = pem,
	            .keep_headers = "X-Mailgun-Tag",
	            .max_connections = 3 },
	        &password));
	secret_fini(&password);
	for (unsigned i = 0; i < 40; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d%02u.example", i);
		OK(f,
		    admin_add(f->a, &entity_domain,
		        &(struct admin_domain){ .name = name, .account = "acme" }));
	}
	give_senders(f);
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	assert_int_equal(f->answers[0].sender->account.allowed_n, 0);
	OK(f,
	    admin_set(f->a, &entity_account,
	        &(struct admin_account){ .name = "acme",
	            .plan = "nano",
	            .state = ACCOUNT_SUSPENDED_ABUSE,
	            .registered = 1771459200,
	            .allowed_senders = "@Partner.example",
	            .verified_senders = "Me@x.example",
	            .restrict_senders = true,
	            .check_sender_domain = true,
	            .check_sender_callout = true }));
	catch_up(f);
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	struct sender *got = keep(f);

	/* It outlives what it was read from. */
	forget(f);
	OK(f, admin_remove(f->a, &entity_account, "acme", true));
	directory_close(f->d);
	f->d = NULL;

	const struct account *a = &got->account;

	assert_int_equal(got->refs, 1);
	assert_int_equal(a->state, ACCOUNT_SUSPENDED_ABUSE);
	assert_false(a->plan.can_send);
	assert_false(a->owner_verified);
	assert_true(a->check_sender_domain);
	assert_true(a->check_sender_callout);
	assert_int_equal(a->registered, 1771459200);
	assert_int_equal(a->domains_n, 41);
	for (size_t i = 1; i < a->domains_n; i++)
		assert_true(strcmp(a->domains[i - 1].name, a->domains[i].name) < 0);
	assert_int_equal(a->allowed_n, 1);
	assert_string_equal(a->allowed[0], "@partner.example");
	assert_int_equal(a->verified_n, 1);
	assert_string_equal(a->verified[0], "me@x.example");
	assert_int_equal(a->profiles_n, 1);

	const struct profile *p = &a->profiles[0];

	assert_ptr_equal(p, &a->profiles[0]);
	assert_string_equal(p->provider, "mailgun");
	assert_string_equal(p->host, "smtp.mailgun.example");
	assert_int_equal(p->port, 587);
	assert_int_equal(p->tls, UPSTREAM_TLS_STARTTLS);
	assert_string_equal(p->ca, pem);
	assert_string_equal(p->pin, "");
	assert_int_equal(p->max_connections, 3);

	unsigned char bound[PROFILE_BOUND];
	struct vault_place at = profile_place(p, "password", bound);
	struct secret plain = { 0 };

	assert_null(strstr(p->password, "upstream"));
	assert_int_equal(vault_unseal(f->vault, &at, slice_str(p->password), &plain), VAULT_OK);
	assert_true(slice_eq(secret_peek(&plain), SLICE("upstream secret")));
	secret_fini(&plain);
	sender_unref(got);
}

/* Google vouches for its addresses; the others' owners confirm with six digits first (S2). */
static void
test_owner_verified(void **state)
{
	static const struct {
		enum owner_signup how;
		bool confirmed, verified;
	} cases[] = {
		{ SIGNUP_EMAIL, false, false },
		{ SIGNUP_EMAIL, true, true },
		{ SIGNUP_GOOGLE, false, true },
		{ SIGNUP_FACEBOOK, false, false },
		{ SIGNUP_FACEBOOK, true, true },
		{ SIGNUP_X, false, false },
		{ SIGNUP_X, true, true },
		{ SIGNUP_MICROSOFT, false, false },
		{ SIGNUP_MICROSOFT, true, true },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct admin_account row = {
			.name = "acme",
			.plan = "pro",
			.owner_signup = cases[i].how,
			.owner_verified = cases[i].confirmed,
		};

		OK(f, admin_set(f->a, &entity_account, &row));
		catch_up(f);
		assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
		assert_int_equal(f->answers[0].sender->account.owner_verified, cases[i].verified);
	}
}

static void
on_known(void *ctx, uint64_t owner, enum login_result result, struct sender *sender,
    const char *why)
{
	struct fixture *f = ctx;

	(void)why;
	assert_null(sender);
	f->answers[owner].result = result;
	f->answers_n++;
	loop_stop(f->loop);
}

static enum login_result
known(struct fixture *f, const char *address)
{
	forget(f);
	directory_mailbox(f->d, slice_str(address), 0, on_known);
	assert_int_equal(f->answers_n, 0);
	wait_for(f, 1);
	return f->answers[0].result;
}

static void
test_mailbox(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(known(f, "alice@acme.example"), LOGIN_OK);
	assert_int_equal(known(f, "Alice@ACME.example"), LOGIN_OK);
	assert_int_equal(known(f, "nobody@acme.example"), LOGIN_REFUSED);
	assert_int_equal(known(f, ""), LOGIN_REFUSED);
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	assert_int_equal(known(f, "alice@acme.example"), LOGIN_OK);
	OK(f, admin_remove(f->a, &entity_mailbox, "alice@acme.example", false));
	catch_up(f);
	assert_int_equal(known(f, "alice@acme.example"), LOGIN_REFUSED);
}

/* S6: at once where it is known, by the thread where it is not. */
static enum login_result
foreign(struct fixture *f, const char *domain, uint64_t account, bool known_before)
{
	enum login_result result;

	forget(f);
	bool at_once = directory_foreign(f->d, slice_str(domain), account, 0, on_known, &result);

	assert_int_equal(at_once, known_before);
	if (at_once)
		return result;
	wait_for(f, 1);
	return f->answers[0].result;
}

static void
test_foreign(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(foreign(f, "acme.example", 1, false), LOGIN_OK);
	assert_int_equal(foreign(f, "Other.EXAMPLE", 1, false), LOGIN_REFUSED);
	assert_int_equal(foreign(f, "other.example", 2, true), LOGIN_OK);
	assert_int_equal(foreign(f, "ACME.example", 2, true), LOGIN_REFUSED);
	assert_int_equal(foreign(f, "new.example", 1, false), LOGIN_OK);
	assert_int_equal(foreign(f, "new.example", 2, true), LOGIN_OK);
	assert_int_equal(foreign(f, "", 1, false), LOGIN_OK);

	/* One domain, however it is written. */
	OK(f,
	    admin_add(f->a, &entity_domain,
	        &(struct admin_domain){ .name = "b\xc3\xbc"
	                                        "cher.example",
	            .account = "other" }));
	OK(f,
	    admin_add(f->a, &entity_domain,
	        &(struct admin_domain){ .name = "xn--mll-hoa.example", .account = "other" }));
	catch_up(f);
	assert_int_equal(foreign(f, "xn--bcher-kva.example", 1, false), LOGIN_REFUSED);
	assert_int_equal(foreign(f,
	                     "B\xc3\x9c"
	                     "CHER.example",
	                     1, false),
	    LOGIN_REFUSED);
	assert_int_equal(foreign(f,
	                     "b\xc3\xbc"
	                     "cher.example",
	                     1, false),
	    LOGIN_REFUSED);
	assert_int_equal(foreign(f,
	                     "b\xc3\xbc"
	                     "cher.example",
	                     2, true),
	    LOGIN_OK);
	assert_int_equal(foreign(f, "xn--mll-hoa.example", 1, false), LOGIN_REFUSED);
	assert_int_equal(foreign(f,
	                     "m\xc3\xbc"
	                     "ll.example",
	                     1, false),
	    LOGIN_REFUSED);

	/* What is known to be nobody's is asked about again once a domain was added. */
	OK(f,
	    admin_add(f->a, &entity_domain,
	        &(struct admin_domain){ .name = "new.example", .account = "other" }));
	catch_up(f);
	assert_int_equal(foreign(f, "new.example", 1, false), LOGIN_REFUSED);
	OK(f, admin_remove(f->a, &entity_domain, "new.example", false));
	catch_up(f);
	assert_int_equal(foreign(f, "new.example", 1, false), LOGIN_OK);
	set_mailbox(f, "alice@acme.example", MAILBOX_ACTIVE);
	catch_up(f);
	assert_int_equal(foreign(f, "new.example", 1, true), LOGIN_OK);
}

static void
test_routes(void **state)
{
	struct domain domains[] = {
		{ .name = "fallback.example", .route = { ROUTE_PROFILE, 1, ROUTE_NATIVE, 0 } },
		{ .name = "inherit.example", .route = { ROUTE_INHERIT, 0, ROUTE_INHERIT, 0 } },
		{ .name = "native.example", .route = { ROUTE_NATIVE, 0, ROUTE_PROFILE, 2 } },
		{ .name = "profile.example", .route = { ROUTE_PROFILE, 2, ROUTE_INHERIT, 0 } },
		{ .name = "x", .route = { ROUTE_PROFILE, 1, ROUTE_INHERIT, 0 } },
	};
	struct profile profiles[] = { { .id = 1 }, { .id = 2 }, { .id = 3 } };
	/* Ids; 0: native. NONE: there is no fallback. */
	enum { NONE = 9 };
	static const struct {
		const char *domain;
		uint64_t with_default, its_fallback;
		uint64_t without, fallback;
	} cases[] = {
		{ "fallback.example", 1, 0, 1, 0 },
		{ "native.example", 0, 2, 0, 2 },
		{ "PROFILE.Example", 2, NONE, 2, NONE },
		{ "x", 1, NONE, 1, NONE },
		{ "inherit.example", 3, 0, 0, NONE },
		{ "sub.profile.example", 3, 0, 0, NONE },
		{ "unknown.example", 3, 0, 0, NONE },
		{ "", 3, 0, 0, NONE },
	};
	struct account a = { .plan = { .can_send = true },
		.domains = domains,
		.domains_n = 5,
		.profiles = profiles,
		.profiles_n = 3 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int turn = 0; turn < 2; turn++) {
			a.route = turn ? (struct route){ 0 }
			               : (struct route){ ROUTE_PROFILE, 3, ROUTE_NATIVE, 0 };
			struct way way = account_route(&a, slice_str(cases[i].domain));
			uint64_t other = !way.has_fallback ? NONE
			    : way.fallback                 ? way.fallback->id
			                                   : 0;

			assert_int_equal(way.result, ROUTED);
			assert_int_equal(way.profile ? way.profile->id : 0,
			    turn ? cases[i].without : cases[i].with_default);
			assert_int_equal(other, turn ? cases[i].fallback : cases[i].its_fallback);
		}
	}
	a.domains_n = 0;
	assert_null(account_route(&a, SLICE("x")).profile);
}

static void
test_cache(void **state)
{
	struct cache c;
	struct sender loose = { .name = "a", .account = { .name = "b", .plan = { .name = "c" } } };

	(void)state;
	assert_true(cache_init(&c, 4, 100000));
	for (unsigned i = 0; i < 100; i++) {
		char key[8];

		snprintf(key, sizeof(key), "%u", i);
		cache_set(&c, cache_put(&c, slice_str(key)), sender_pack(&loose), i);
		assert_non_null(cache_find(&c, SLICE("0"))); /* in use: it stays */
		assert_true(c.n <= 4);
	}
	assert_int_equal(c.n, 4);
	assert_null(cache_find(&c, SLICE("96")));
	assert_non_null(cache_find(&c, SLICE("97")));
	assert_ptr_equal(cache_put(&c, SLICE("99")), cache_find(&c, SLICE("99")));
	cache_drop(&c, cache_find(&c, SLICE("99")));
	assert_null(cache_find(&c, SLICE("99")));
	cache_fini(&c);

	/* In octets; the one that is just set stays whatever its size. */
	assert_true(cache_init(&c, 100, 2000));
	for (unsigned i = 0; i < 20; i++)
		cache_set(&c, cache_put(&c, slice_of((const char *)&i, sizeof(i))),
		    sender_pack(&loose), i);
	assert_true(c.n < 10 && c.n > 0 && c.octets <= 2000);
	unsigned last = 19;

	assert_non_null(cache_find(&c, slice_of((const char *)&last, sizeof(last))));
	cache_fini(&c);
}

/* ---- addresses ---- */

static const char *
whose(struct fixture *f, const char *address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *from = (const struct sockaddr *)&v4;

	if (!inet_pton(AF_INET, address, &v4.sin_addr)) {
		assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
		from = (const struct sockaddr *)&v6;
	}
	forget(f);
	directory_address(f->d, from, 0, on_answer);
	assert_int_equal(f->answers_n, 0);
	wait_for(f, 1);
	if (f->answers[0].result != LOGIN_OK)
		return f->answers[0].result == LOGIN_REFUSED ? "" : "?";
	assert_true(f->answers[0].sender->is_address);
	return f->answers[0].sender->name;
}

static void
test_addresses(void **state)
{
	struct fixture *f = *state;
	static const char *const networks[] = { "192.0.2.0/24", "192.0.2.128/25", "192.0.2.200",
		"2001:db8::/32", "2001:db8:1::1", "10.0.0.0/8" };
	static const struct {
		const char *address;
		const char *network;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.0/24" },
		{ "192.0.2.129", "192.0.2.128/25" },
		{ "192.0.2.200", "192.0.2.200" },
		{ "192.0.3.1", "" },
		{ "::ffff:192.0.2.200", "192.0.2.200" },
		{ "2001:db8:1::1", "2001:db8:1::1" },
		{ "2001:db8:1::2", "2001:db8::/32" },
		{ "2001:db9::", "" },
		{ "10.255.255.255", "10.0.0.0/8" },
		{ "0.0.0.0", "" },
	};

	assert_false(directory_has_addresses(f->d));
	assert_string_equal(whose(f, "192.0.2.1"), "");
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++)
		OK(f,
		    admin_add(f->a, &entity_ip,
		        &(struct admin_ip){
		            .network = networks[i], .account = "acme", .rate_per_minute = 9 }));
	catch_up(f);
	assert_true(directory_has_addresses(f->d));
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			assert_string_equal(whose(f, cases[i].address), cases[i].network);
	}
	assert_string_equal(whose(f, "192.0.2.1"), "192.0.2.0/24");
	assert_int_equal(f->answers[0].sender->rate_per_minute, 9);
	assert_string_equal(f->answers[0].sender->account.name, "acme");
	struct sender *s = keep(f);

	/* Remembered, strangers too. */
	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_in v4 = { .sin_family = AF_INET };

		assert_int_equal(inet_pton(AF_INET, i ? "192.0.3.1" : "192.0.2.1", &v4.sin_addr),
		    1);
		forget(f);
		directory_address(f->d, (const struct sockaddr *)&v4, 0, on_answer);
		assert_null(f->d->flying);
		wait_for(f, 1);
		assert_int_equal(f->answers[0].result, i ? LOGIN_REFUSED : LOGIN_OK);
	}

	/* A narrower network, a block, and nothing at all. */
	OK(f,
	    admin_add(f->a, &entity_ip,
	        &(struct admin_ip){ .network = "192.0.2.1", .account = "other" }));
	OK(f,
	    admin_add(f->a, &entity_ip,
	        &(struct admin_ip){ .network = "192.0.3.0/24", .account = "other" }));
	OK(f,
	    admin_set(f->a, &entity_ip,
	        &(struct admin_ip){
	            .network = "192.0.2.0/24", .account = "acme", .state = MAILBOX_BLOCKED }));
	catch_up(f);
	assert_string_equal(whose(f, "192.0.2.1"), "192.0.2.1");
	assert_string_equal(f->answers[0].sender->account.name, "other");
	assert_string_equal(whose(f, "192.0.3.1"), "192.0.3.0/24");
	forget(f);
	directory_refresh(f->d, s, 0, on_answer);
	wait_for(f, 1);
	assert_int_equal(f->answers[0].sender->state, MAILBOX_BLOCKED);
	sender_unref(s);
	OK(f, admin_remove(f->a, &entity_account, "acme", true));
	OK(f, admin_remove(f->a, &entity_account, "other", true));
	catch_up(f);
	assert_false(directory_has_addresses(f->d));
	assert_string_equal(whose(f, "192.0.2.1"), "");
}

/* ---- when the file is not well ---- */

/* Every connection of this process is lost. */
static void
lose_connections(struct fixture *f)
{
	while (f->d->polling)
		turn(f, 0.005);
	backend_close(f->d->poller);
	f->d->poller = NULL;
	while (f->d->idle_n)
		backend_close(f->d->idle[--f->d->idle_n]);
	admin_close(f->a);
	f->a = NULL;
}

/* Another process that has the file for itself until it is killed. */
static pid_t
lock_file(struct fixture *f)
{
	int ready[2];
	char c = 0;
	sqlite3 *h;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* no test leaves it behind */
		if (sqlite3_open(f->path, &h) != SQLITE_OK ||
		    sqlite3_exec(h, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", NULL, NULL,
		        NULL) != SQLITE_OK)
			_exit(1);
		c = 'x';
		if (write(ready[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void
test_locked(void **state)
{
	struct fixture *f = *state;

	lose_connections(f);
	pid_t pid = lock_file(f);
	enum login_result result = login(f, "alice@acme.example", "alice");

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(result, LOGIN_UNAVAILABLE);
	assert_non_null(strstr(f->answers[0].why, "locked"));
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
}

static unsigned
count_lines(const char *path, const char *word)
{
	char line[4096];
	unsigned n = 0;
	FILE *in = fopen(path, "r");

	assert_non_null(in);
	while (fgets(line, sizeof(line), in))
		n += strstr(line, word) != NULL;
	fclose(in);
	return n;
}

static void
test_gone(void **state)
{
	struct fixture *f = *state;
	char away[160];
	char log[160];

	snprintf(away, sizeof(away), "%s/away.db", f->folder);
	snprintf(log, sizeof(log), "%s/log", f->folder);
	struct log_options options = { .path = log, .level = LOG_INFO, .process = "test" };

	assert_true(log_open(&options, f->why, sizeof(f->why)));
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	struct sender *s = keep(f);

	/* The file is moved away and every connection is lost. */
	lose_connections(f);
	assert_int_equal(rename(f->path, away), 0);
	turn(f, 0.2);
	assert_int_equal(count_lines(log, "cannot be read"), 1);
	assert_int_equal(login(f, "bob@other.example", "bob"), LOGIN_UNAVAILABLE);
	/* What is known goes on: the snapshot, the log-in that is remembered. */
	assert_true(directory_is_fresh(f->d, s));
	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);

	assert_int_equal(rename(away, f->path), 0);
	turn(f, 0.2);
	assert_int_equal(count_lines(log, "cannot be read"), 1);
	assert_int_equal(count_lines(log, "can be read again"), 1);
	assert_int_equal(login(f, "bob@other.example", "bob"), LOGIN_OK);
	sender_unref(s);
	log_close();
}

static void
test_absent(void **state)
{
	struct fixture *f = *state;
	struct text why = text_over(f->why, sizeof(f->why));
	struct conf c = { .directory = { .path = "/tmp/byway-there-is-no-such-file.db" } };

	assert_null(directory_open(f->loop, f->work, &c, f->vault, f, &why));
	assert_non_null(strstr(f->why, "/tmp/byway-there-is-no-such-file.db: No such file"));
	assert_int_equal(access(c.directory.path, F_OK), -1);
}

static void
test_closed_early(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	forget(f);
	/* One on its way, one that joined it, one that waits for the turn's end. */
	login_as(f->d, SLICE("bob@other.example"), SLICE("bob"), 0, on_answer);
	login_as(f->d, SLICE("bob@other.example"), SLICE("bob"), 1, on_answer);
	login_as(f->d, SLICE("alice@acme.example"), SLICE("alice"), 2, on_answer);
	directory_close(f->d);
	f->d = NULL;
	turn(f, 0.2);
	assert_int_equal(f->answers_n, 0);

	/* The threads end first: who waits is told. */
	open_directory(f);
	login_as(f->d, SLICE("bob@other.example"), SLICE("bob"), 0, on_answer);
	work_close(f->work);
	assert_int_equal(f->answers_n, 1);
	directory_close(f->d);
	f->d = NULL;
	f->work = NULL;
}

/* ---- two processes ---- */

enum { ROUNDS = 150 };

/* Each transaction writes the same number into three tables. */
static void
write_rounds(const char *path)
{
	char words[256];
	struct text why = text_over(words, sizeof(words));
	struct admin *a = admin_open(path, false, NULL, &why);

	if (!a)
		_exit(2);
	for (unsigned i = 1; i <= ROUNDS; i++) {
		struct admin_account account = { .name = "acme", .plan = "pro", .registered = i };
		struct admin_mailbox mailbox = { .address = "alice@acme.example",
			.rate_per_minute = i };
		struct plan plan = {
			.name = "pro", .can_send = true, .recipients = i, .size_max = i
		};

		if (admin_begin(a) != ADMIN_OK ||
		    admin_set(a, &entity_account, &account) != ADMIN_OK ||
		    admin_set(a, &entity_mailbox, &mailbox) != ADMIN_OK ||
		    admin_set(a, &entity_plan, &plan) != ADMIN_OK || admin_commit(a) != ADMIN_OK)
			_exit(3);
		usleep(1000);
	}
	admin_close(a);
	_exit(0);
}

static void
test_two_processes(void **state)
{
	struct fixture *f = *state;
	int status = 0;
	unsigned seen = 0;
	uint64_t last = 0;

	assert_int_equal(login(f, "alice@acme.example", "alice"), LOGIN_OK);
	struct sender *s = keep(f);
	pid_t pid = fork();

	if (pid == 0)
		write_rounds(f->path);
	for (unsigned i = 0; i < 3000 && last < ROUNDS; i++) {
		turn(f, 0.002);
		if (directory_is_fresh(f->d, s))
			continue;
		forget(f);
		directory_refresh(f->d, s, 0, on_answer);
		wait_for(f, 1);
		assert_int_equal(f->answers[0].result, LOGIN_OK);
		sender_unref(s);
		s = keep(f);
		/* Of one moment. */
		assert_int_equal(s->rate_per_minute, s->account.registered);
		assert_int_equal(s->rate_per_minute, s->account.plan.recipients);
		assert_true(s->rate_per_minute >= last);
		seen += s->rate_per_minute > last;
		last = s->rate_per_minute;
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(last, ROUNDS);
	assert_true(seen > 3);
	sender_unref(s);
}

static void
make_hash(const char *password, char hash[PASSWORD_HASH_MAX])
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	static struct crypt_data data;

	if (!crypt_gensalt_rn("$6$", 1000, NULL, 0, setting, sizeof(setting)))
		abort();
	snprintf(hash, PASSWORD_HASH_MAX, "%s", crypt_r(password, setting, &data));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(login),
		TEST(states),
		TEST(remembered),
		TEST(machine_made),
		TEST(joined),
		TEST(too_much),
		TEST(line),
		TEST(line_of_several_processes),
		TEST(left),
		TEST(timing),
		TEST(freshness),
		TEST(many_accounts_change),
		TEST(snapshot),
		TEST(owner_verified),
		TEST(mailbox),
		TEST(foreign),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_cache),
		TEST(addresses),
		TEST(locked),
		TEST(gone),
		TEST(absent),
		TEST(closed_early),
		TEST(two_processes),
	};

	if (!crypto_init())
		return 1;
	make_hash("alice", hash_alice);
	make_hash("bob", hash_bob);
	make_hash("other", hash_other);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
