/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/directory/admin.h"
#include "conf/directory/directory_db_sqlite.h"
#include "wire/crypto.h"

#define HASH \
	"$6$rounds=1000$abcdefgh$RKJMvWUrzTfLZyZrDPxzFy7pYFYzMcJ5wPDhBJZuUMEaMh0JS5ZBPzsKbCAzVhCLLZuLlKIY0eWkXUoFH4zVt1"

/* ---- a directory of its own for each test ---- */

struct fixture {
	char folder[64];
	char path[96];
	char keys[96];
	char why[512];
	struct vault *vault;
	struct admin *a;
	struct arena mem;
};

static struct text
why(struct fixture *f)
{
	return text_over(f->why, sizeof(f->why));
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->folder, sizeof(f->folder), "/tmp/byway-admin-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/directory.db", f->folder);
	snprintf(f->keys, sizeof(f->keys), "%s/keys", f->folder);
	struct text t = why(f);

	if (!vault_create(f->keys, &t))
		fail_msg("%s", f->why);
	f->vault = vault_open(f->keys, &t);
	f->a = admin_open(f->path, true, f->vault, &t);
	if (!f->vault || !f->a)
		fail_msg("%s", f->why);
	arena_init(&f->mem, 1 << 20);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "directory.db", "directory.db-wal", "directory.db-shm",
		"keys", "other.db", "other.db-wal", "other.db-shm" };
	char path[160];

	admin_close(f->a);
	vault_close(f->vault);
	arena_fini(&f->mem);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->folder, names[i]);
		unlink(path);
	}
	rmdir(f->folder);
	free(f);
	return 0;
}

#define OK(f, call)                                                                 \
	do {                                                                        \
		enum admin_result ok_ = (call);                                     \
		if (ok_ != ADMIN_OK)                                                \
			fail_msg("%s: %d: %s", #call, (int)ok_, admin_why((f)->a)); \
	} while (0)

static void
add_account(struct fixture *f, const char *name, const char *plan)
{
	struct admin_account row = { .name = name, .plan = plan, .owner_verified = true };

	OK(f, admin_add(f->a, &entity_account, &row));
}

static void
add_domain(struct fixture *f, const char *name, const char *account)
{
	struct admin_domain row = { .name = name, .account = account };

	OK(f, admin_add(f->a, &entity_domain, &row));
}

static void
add_profile(struct fixture *f, const char *account, const char *name, const char *password)
{
	struct secret plain = { 0 };
	struct admin_profile row = { .account = account,
		.name = name,
		.host = "smtp.example.net",
		.port = 465,
		.tls = UPSTREAM_TLS_IMPLICIT,
		.username = "user" };

	assert_true(secret_init(&plain, slice_str(password)));
	OK(f, admin_profile_add(f->a, &row, password ? &plain : NULL));
	secret_fini(&plain);
}

/* ---- the file ---- */

static void
test_creation(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	struct plan p;
	struct text t = why(f);

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);

	/* BEHAVIOUR Q1 */
	static const struct plan shipped[] = {
		{ 0, "agency", true, COUNT_RECIPIENTS, 2500, 40000, 3000, 500, 26214400, 0,
		    SENDERS_OWN },
		{ 0, "nano", false, COUNT_RECIPIENTS, 200, 400, 50, 50, 26214400, 0, SENDERS_OWN },
		{ 0, "pro", true, COUNT_RECIPIENTS, 2000, 15000, 1500, 250, 26214400, 0,
		    SENDERS_OWN },
		{ 0, "starter", true, COUNT_RECIPIENTS, 1000, 6000, 500, 100, 26214400, 0,
		    SENDERS_OWN },
	};

	for (size_t i = 0; i < 4; i++) {
		OK(f, admin_get(f->a, &entity_plan, shipped[i].name, &f->mem, &p));
		assert_int_equal(p.can_send, shipped[i].can_send);
		assert_int_equal(p.unit, shipped[i].unit);
		assert_int_equal(p.mailbox_day, shipped[i].mailbox_day);
		assert_int_equal(p.account_day, shipped[i].account_day);
		assert_int_equal(p.account_hour, shipped[i].account_hour);
		assert_int_equal(p.recipients, shipped[i].recipients);
		assert_int_equal(p.size_max, shipped[i].size_max);
		assert_int_equal(p.monthly, 0);
	}

	/* Made again: the same one, untouched. */
	struct admin *again = admin_open(f->path, true, NULL, &t);

	assert_non_null(again);
	assert_int_equal(admin_remove(again, &entity_plan, "nano", false), ADMIN_OK);
	admin_close(again);
	again = admin_open(f->path, true, NULL, &t);
	assert_non_null(again);
	assert_int_equal(admin_get(again, &entity_plan, "nano", &f->mem, &p), ADMIN_MISSING);
	assert_string_equal(admin_why(again), "no plan nano");
	admin_close(again);
}

static void
test_refused_files(void **state)
{
	struct fixture *f = *state;
	struct text t = why(f);
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/other.db", f->folder);
	assert_null(admin_open(path, false, NULL, &t));
	assert_non_null(strstr(f->why, "No such file"));
	assert_non_null(strstr(f->why, "byway init"));
	assert_int_equal(access(path, F_OK), -1);

	/* Not ours. */
	sqlite3 *h;

	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	sqlite3_busy_timeout(h, 5000);
	assert_int_equal(sqlite3_exec(h, "CREATE TABLE x (y)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(h);
	assert_int_equal(chmod(path, 0600), 0);
	t = why(f);
	assert_null(admin_open(path, false, NULL, &t));
	assert_non_null(strstr(f->why, "not a directory of Byway"));

	/* No database at all. */
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "something else, long enough to look at", 38), 38);
	close(fd);
	t = why(f);
	assert_null(admin_open(path, false, NULL, &t));
	assert_non_null(strstr(f->why, "not a database"));

	/* Open to everybody. */
	assert_int_equal(chmod(f->path, 0644), 0);
	t = why(f);
	assert_null(admin_open(f->path, false, NULL, &t));
	assert_non_null(strstr(f->why, "mode 0644"));
	assert_int_equal(chmod(f->path, 0640), 0);
	assert_int_equal(chmod(f->folder, 0777), 0);
	t = why(f);
	assert_null(admin_open(f->path, false, NULL, &t));
	assert_non_null(strstr(f->why, "everybody can write"));
	assert_int_equal(chmod(f->folder, 0700), 0);
}

static void
shell(struct fixture *f, const char *sql)
{
	sqlite3 *h;

	assert_int_equal(sqlite3_open(f->path, &h), SQLITE_OK);
	sqlite3_busy_timeout(h, 5000);
	if (sqlite3_exec(h, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(h));
	sqlite3_close(h);
}

/* The copy that DONE names is there; it goes. */
static void
drop_copy(const char *done)
{
	char copy[512];

	assert_non_null(strstr(done, "as it was: "));
	snprintf(copy, sizeof(copy), "%s", strstr(done, "as it was: ") + 11);
	copy[strcspn(copy, "\n")] = '\0';
	assert_int_equal(unlink(copy), 0);
}

/* Brings PATH to this schema, as a step of its own: what it was is beside it, under a name with
 * COPY in it. */
static void
migrated(struct fixture *f, const char *path, const char *copy)
{
	char words[512] = "";
	struct text done = text_over(words, sizeof(words));
	struct text t = why(f);
	struct admin_survey found;

	assert_true(admin_survey(path, NULL, &found, &t));
	assert_true(found.is_behind);
	assert_int_equal(admin_migrate(path, NULL, &done, &t), ADMIN_OK);
	assert_non_null(strstr(words, copy));
	drop_copy(words);
	text_reset(&done);
	assert_int_equal(admin_migrate(path, NULL, &done, &t), ADMIN_OK);
	assert_string_equal(words, "");
	assert_true(admin_survey(path, NULL, &found, &t));
	assert_false(found.is_behind);
}

static void
test_migrations(void **state)
{
	struct fixture *f = *state;
	struct text t = why(f);
	struct db db = { 0 };
	char path[160];
	int64_t n;

	/* From the first schema, with rows in it, to the last. */
	snprintf(path, sizeof(path), "%s/other.db", f->folder);
	assert_int_equal(sqlite3_open(path, &db.h), SQLITE_OK);
	assert_true(db_migrate(&db, 1, &t));
	assert_true(db_number(&db, "PRAGMA user_version", &n));
	assert_int_equal(n, 1);
	assert_true(db_exec(&db,
	    "INSERT INTO account (name, plan) SELECT 'old', id FROM plan WHERE name = 'pro';"
	    "INSERT INTO account (name, plan, state) SELECT 'late', id, 'billing' FROM plan"
	    " WHERE name = 'pro';"
	    "INSERT INTO account (name, plan) SELECT 'gone', id FROM plan WHERE name = 'pro';"
	    "UPDATE account SET require_verified_sender = 1 WHERE name = 'late';"
	    "INSERT INTO domain (name, account) VALUES ('old.example', 1);"
	    "DELETE FROM account WHERE name = 'gone'"));
	db_close(&db);
	assert_int_equal(chmod(path, 0600), 0);

	/* Who only opens it changes nothing. */
	assert_null(admin_open(path, false, NULL, &t));
	assert_non_null(strstr(f->why, "of schema 1, "));
	assert_non_null(strstr(f->why, "bywayd --migrate"));
	migrated(f, path, "schema1-");

	t = why(f);
	struct admin *a = admin_open(path, false, NULL, &t);
	struct admin_account row;

	assert_non_null(a);
	assert_int_equal(admin_get(a, &entity_account, "old", &f->mem, &row), ADMIN_OK);
	assert_string_equal(row.plan, "pro");
	assert_string_equal(row.owner_email, "");
	row.verified_senders = "a@b.example";
	assert_int_equal(admin_set(a, &entity_account, &row), ADMIN_OK);
	/* The word of a state is another now; whose a domain is and ids that were given stay. */
	assert_int_equal(admin_get(a, &entity_account, "late", &f->mem, &row), ADMIN_OK);
	assert_int_equal(row.state, ACCOUNT_SUSPENDED_BILLING);
	/* Nobody who sends today is held up by the rules of senders; a new account has them. */
	assert_int_equal(row.senders, ACCOUNT_SENDERS_VERIFIED);
	assert_int_equal(admin_get(a, &entity_account, "old", &f->mem, &row), ADMIN_OK);
	assert_int_equal(row.senders, ACCOUNT_SENDERS_ANY);
	assert_int_equal(admin_remove(a, &entity_account, "old", false), ADMIN_IN_USE);
	assert_int_equal(admin_add(a, &entity_account,
	                     &(struct admin_account){ .name = "new", .plan = "pro" }),
	    ADMIN_OK);
	assert_int_equal(admin_get(a, &entity_account, "new", &f->mem, &row), ADMIN_OK);
	assert_int_equal(row.id, 4);
	assert_int_equal(row.senders, ACCOUNT_SENDERS_INHERIT);
	assert_string_equal(row.senders_rule, "own");
	admin_close(a);

	/* A step that fails leaves the file as it was. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sqlite3_open(path, &db.h), SQLITE_OK);
	assert_true(db_migrate(&db, 1, &t));
	assert_true(db_exec(&db, "CREATE TABLE verified_sender (x)"));
	t = why(f);
	assert_false(db_migrate(&db, 0, &t));
	assert_non_null(strstr(f->why, "schema 2"));
	assert_true(db_number(&db, "PRAGMA user_version", &n));
	assert_int_equal(n, 1);
	assert_true(db_number(&db,
	    "SELECT count(*) FROM sqlite_schema WHERE name = 'allowed_sender'", &n));
	assert_int_equal(n, 0);

	/* From the future. */
	assert_true(db_exec(&db, "PRAGMA user_version = 99"));
	db_close(&db);
	assert_int_equal(chmod(path, 0600), 0);
	t = why(f);
	assert_null(admin_open(path, false, NULL, &t));
	assert_non_null(strstr(f->why, "newer Byway (schema 99"));
	unlink(path);
}

/* One to go back to, and the one before; no more. */
static void
test_copies(void **state)
{
	struct fixture *f = *state;
	char words[512];
	struct text done = text_over(words, sizeof(words));
	struct text t = why(f);
	struct db db = { 0 };
	char path[160];
	char old[256];
	glob_t g;
	int64_t n = 0;

	snprintf(path, sizeof(path), "%s/other.db", f->folder);
	for (int i = 1; i <= 4; i++) {
		struct timespec past[2] = { { .tv_sec = i }, { .tv_sec = i } };

		snprintf(old, sizeof(old), "%s.schema%d-2024010%d", path, i, i);
		int fd = open(old, O_WRONLY | O_CREAT, 0600);

		assert_true(fd >= 0);
		assert_int_equal(futimens(fd, past), 0);
		close(fd);
	}
	assert_int_equal(sqlite3_open(path, &db.h), SQLITE_OK);
	assert_true(db_migrate(&db, 8, &t));
	db_close(&db);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(admin_migrate(path, NULL, &done, &t), ADMIN_OK);
	snprintf(old, sizeof(old), "%s.schema*", path);
	assert_int_equal(glob(old, 0, NULL, &g), 0);
	assert_int_equal(g.gl_pathc, 2);
	assert_non_null(strstr(g.gl_pathv[0], "schema4-20240104"));
	assert_non_null(strstr(g.gl_pathv[1], "schema8-2"));
	assert_int_equal(sqlite3_open(g.gl_pathv[1], &db.h), SQLITE_OK);
	assert_true(db_number(&db, "PRAGMA user_version", &n));
	assert_int_equal(n, 8);
	db_close(&db);
	for (size_t i = 0; i < g.gl_pathc; i++)
		unlink(g.gl_pathv[i]);
	globfree(&g);
	unlink(path);
}

/* What a later version has only added to is as good for this one. */
static void
test_newer_schema(void **state)
{
	struct fixture *f = *state;
	struct text t = why(f);
	struct admin_survey found;

	add_account(f, "acme", "pro");
	shell(f,
	    "ALTER TABLE plan ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';"
	    " PRAGMA user_version = 99; UPDATE meta SET version = 99");
	struct admin *a = admin_open(f->path, false, NULL, &t);
	struct admin_account row;

	assert_non_null(a);
	assert_int_equal(admin_get(a, &entity_account, "acme", &f->mem, &row), ADMIN_OK);
	admin_close(a);
	assert_true(admin_survey(f->path, f->vault, &found, &t));
	assert_false(found.is_behind);
	assert_int_equal(found.native, 1);
	shell(f, "UPDATE meta SET last_compatible = 99");
	assert_null(admin_open(f->path, false, NULL, &t));
	assert_non_null(strstr(f->why, "newer Byway (schema 99"));
	assert_false(admin_survey(f->path, f->vault, &found, &t));
}

/* What the release before has made lacks only what was added: its count of migrations stays, so
 * that it goes on with the file. A file that was made of a dump gets its write-ahead log back. */
static void
test_added_only(void **state)
{
	struct fixture *f = *state;
	struct text t = why(f);
	char words[512] = "";
	struct text done = text_over(words, sizeof(words));
	struct admin_survey found;

	add_account(f, "acme", "pro");
	admin_close(f->a);
	f->a = NULL;
	assert_true(admin_survey(f->path, NULL, &found, &t));
	int64_t before = found.schema;

	assert_false(found.is_plain);
	shell(f, "DROP TABLE meta");
	migrated(f, f->path, "has what this version adds");
	assert_true(admin_survey(f->path, NULL, &found, &t));
	assert_int_equal(found.schema, before);
	shell(f, "PRAGMA journal_mode = DELETE");
	assert_true(admin_survey(f->path, NULL, &found, &t));
	assert_true(found.is_plain);
	assert_int_equal(admin_migrate(f->path, NULL, &done, &t), ADMIN_OK);
	assert_non_null(strstr(words, "had no write-ahead log"));
	assert_null(strstr(words, "as it was"));
	assert_true(admin_survey(f->path, NULL, &found, &t));
	assert_false(found.is_plain);
}

/* The ring opens what is sealed, or it is counted. */
static void
test_survey(void **state)
{
	struct fixture *f = *state;
	struct text t = why(f);
	struct admin_survey found;

	add_account(f, "acme", "pro");
	add_profile(f, "acme", "one", "secret one");
	add_profile(f, "acme", "two", "secret two");
	add_profile(f, "acme", "none", NULL);
	assert_true(admin_survey(f->path, f->vault, &found, &t));
	assert_int_equal(found.sealed, 2);
	assert_int_equal(found.closed, 0);
	shell(f, "UPDATE profile SET host = 'elsewhere.example' WHERE name = 'two'");
	assert_true(admin_survey(f->path, f->vault, &found, &t));
	assert_int_equal(found.sealed, 2);
	assert_int_equal(found.closed, 1);
}

/* ---- rows ---- */

static void
test_accounts(void **state)
{
	struct fixture *f = *state;
	struct admin_account row = { .name = "Acme",
		.plan = "starter",
		.state = ACCOUNT_SUSPENDED_BILLING,
		.registered = 1771459200,
		.owner_email = "owner@acme.example",
		.owner_signup = SIGNUP_GOOGLE,
		.owner_verified = true,
		.renewal_day = 31,
		.restrict_senders = true,
		.senders = ACCOUNT_SENDERS_VERIFIED,
		.check_sender_domain = true,
		.check_sender_callout = true,
		.route = { .kind = ROUTE_NATIVE } };
	struct admin_account got;

	OK(f, admin_add(f->a, &entity_account, &row));
	assert_int_equal(admin_add(f->a, &entity_account, &row), ADMIN_EXISTS);
	assert_string_equal(admin_why(f->a), "account Acme: there is one already");
	OK(f, admin_get(f->a, &entity_account, "aCME", &f->mem, &got));
	assert_string_equal(got.name, "Acme");
	assert_string_equal(got.plan, "starter");
	assert_int_equal(got.state, ACCOUNT_SUSPENDED_BILLING);
	assert_int_equal(got.registered, 1771459200);
	assert_string_equal(got.owner_email, "owner@acme.example");
	assert_int_equal(got.owner_signup, SIGNUP_GOOGLE);
	assert_true(got.owner_verified && got.restrict_senders);
	assert_int_equal(got.senders, ACCOUNT_SENDERS_VERIFIED);
	assert_string_equal(got.senders_rule, "verified");
	assert_true(got.check_sender_domain);
	assert_true(got.check_sender_callout);
	assert_int_equal(got.renewal_day, 31);
	assert_int_equal(got.route.kind, ROUTE_NATIVE);

	got.plan = "pro";
	got.state = ACCOUNT_ACTIVE;
	OK(f, admin_set(f->a, &entity_account, &got));
	OK(f, admin_get(f->a, &entity_account, "acme", &f->mem, &got));
	assert_string_equal(got.plan, "pro");
	assert_int_equal(got.state, ACCOUNT_ACTIVE);

	got.plan = "gold";
	assert_int_equal(admin_set(f->a, &entity_account, &got), ADMIN_MISSING);
	assert_string_equal(admin_why(f->a), "no plan gold");
	assert_int_equal(admin_remove(f->a, &entity_plan, "pro", false), ADMIN_IN_USE);
	got.name = "nobody";
	assert_int_equal(admin_set(f->a, &entity_account, &got), ADMIN_MISSING);
	assert_int_equal(admin_remove(f->a, &entity_account, "nobody", true), ADMIN_MISSING);
	OK(f, admin_remove(f->a, &entity_account, "acme", false));
	assert_int_equal(admin_get(f->a, &entity_account, "acme", &f->mem, &got), ADMIN_MISSING);
}

static void
test_bad_names(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { NULL, "", "-x", ".x", "a b", "a/b", "a\nb", "a]",
		"\xc3\xa4",
		"0123456789012345678901234567890123456789012345678901234567890123456789" };
	static const char *const domains[] = { NULL, "", ".", "a..b", ".a", "a.", "-a.b", "a-.b",
		"a b", "a@b", "a/b", "\xff.example" };
	static const char *const addresses[] = { NULL, "", "a", "@b", "a@", "a b@acme.example",
		"\"a\"@acme.example", ".a@acme.example", "a..b@acme.example", "a@b@acme.example",
		"a\r\n@acme.example", "a@nowhere.example" };
	static const char *const networks[] = { NULL, "", "1.2.3", "10.0.0.1/8", "::/129", "x" };

	add_account(f, "acme", "pro");
	add_domain(f, "acme.example", "acme");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct admin_account a = { .name = names[i], .plan = "pro" };
		struct plan p = { .name = names[i], .recipients = 1, .size_max = 1 };

		assert_int_equal(admin_add(f->a, &entity_account, &a), ADMIN_INVALID);
		assert_int_equal(admin_add(f->a, &entity_plan, &p), ADMIN_INVALID);
	}
	for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
		struct admin_domain d = { .name = domains[i], .account = "acme" };

		assert_int_equal(admin_add(f->a, &entity_domain, &d), ADMIN_INVALID);
	}
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct admin_mailbox m = { .address = addresses[i] };
		enum admin_result r = admin_add(f->a, &entity_mailbox, &m);

		assert_true(r == ADMIN_INVALID || r == ADMIN_MISSING);
		assert_null(strpbrk(admin_why(f->a), "\r\n"));
	}
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		struct admin_ip ip = { .network = networks[i], .account = "acme" };

		assert_int_equal(admin_add(f->a, &entity_ip, &ip), ADMIN_INVALID);
	}
}

static void
test_mailboxes(void **state)
{
	struct fixture *f = *state;
	struct admin_mailbox row = { .address = "Alice@ACME.Example", .rate_per_minute = 30 };
	struct admin_mailbox got;
	struct admin_domain d = { .name = "acme.example", .account = "other" };

	add_account(f, "acme", "pro");
	add_account(f, "other", "pro");
	add_domain(f, "ACME.example", "acme");
	assert_int_equal(admin_add(f->a, &entity_domain, &d), ADMIN_EXISTS);
	assert_int_equal(admin_set(f->a, &entity_domain, &d), ADMIN_INVALID);

	OK(f, admin_add(f->a, &entity_mailbox, &row));
	row.address = "aLICE@acme.example";
	assert_int_equal(admin_add(f->a, &entity_mailbox, &row), ADMIN_EXISTS);
	OK(f, admin_get(f->a, &entity_mailbox, "alice@acme.EXAMPLE", &f->mem, &got));
	assert_string_equal(got.address, "Alice@acme.example");
	assert_string_equal(got.account, "acme");
	assert_int_equal(got.rate_per_minute, 30);
	assert_false(got.has_password);

	OK(f, admin_mailbox_set_hash(f->a, "alice@acme.example", HASH));
	assert_int_equal(admin_mailbox_set_hash(f->a, "alice@acme.example", "$zz$nonsense"),
	    ADMIN_INVALID);
	assert_int_equal(admin_mailbox_set_hash(f->a, "bob@acme.example", HASH), ADMIN_MISSING);
	got.state = MAILBOX_PAUSED_ABUSE;
	got.sandboxed = true;
	OK(f, admin_set(f->a, &entity_mailbox, &got));
	OK(f, admin_get(f->a, &entity_mailbox, "alice@acme.example", &f->mem, &got));
	assert_true(got.has_password && got.sandboxed);
	assert_int_equal(got.state, MAILBOX_PAUSED_ABUSE);

	assert_int_equal(admin_remove(f->a, &entity_domain, "acme.example", false), ADMIN_IN_USE);
	OK(f, admin_remove(f->a, &entity_domain, "acme.example", true));
	assert_int_equal(admin_get(f->a, &entity_mailbox, "alice@acme.example", &f->mem, &got),
	    ADMIN_MISSING);
}

static void
test_addresses(void **state)
{
	struct fixture *f = *state;
	struct admin_ip row = {
		.network = "192.0.2.0/24", .account = "acme", .rate_per_minute = 5
	};
	struct admin_ip got;

	add_account(f, "acme", "pro");
	OK(f, admin_add(f->a, &entity_ip, &row));
	assert_int_equal(admin_add(f->a, &entity_ip, &row), ADMIN_EXISTS);
	row.network = "2001:DB8:0::/32";
	OK(f, admin_add(f->a, &entity_ip, &row));
	OK(f, admin_get(f->a, &entity_ip, "2001:db8::/32", &f->mem, &got));
	assert_string_equal(got.network, "2001:db8::/32");
	assert_int_equal(got.rate_per_minute, 5);
	got.state = MAILBOX_PAUSED_OWNER;
	assert_int_equal(admin_set(f->a, &entity_ip, &got), ADMIN_INVALID);
	got.state = MAILBOX_BLOCKED;
	OK(f, admin_set(f->a, &entity_ip, &got));
	OK(f, admin_get(f->a, &entity_ip, "2001:0db8::/32", &f->mem, &got));
	assert_int_equal(got.state, MAILBOX_BLOCKED);
	OK(f, admin_remove(f->a, &entity_ip, "192.0.2.0/24", false));
	assert_int_equal(admin_remove(f->a, &entity_ip, "192.0.2.0/24", false), ADMIN_MISSING);
}

static void
test_routes(void **state)
{
	struct fixture *f = *state;
	struct admin_domain d;
	struct admin_account a;
	static const struct {
		struct admin_route route;
		enum admin_result result;
	} cases[] = {
		{ { ROUTE_PROFILE, "mg", ROUTE_NATIVE, NULL }, ADMIN_OK },
		{ { ROUTE_PROFILE, "mg", ROUTE_PROFILE, "sg" }, ADMIN_OK },
		{ { ROUTE_NATIVE, NULL, ROUTE_PROFILE, "sg" }, ADMIN_OK },
		{ { ROUTE_PROFILE, "mg", ROUTE_PROFILE, "mg" }, ADMIN_INVALID },
		{ { ROUTE_NATIVE, NULL, ROUTE_NATIVE, NULL }, ADMIN_INVALID },
		{ { ROUTE_INHERIT, NULL, ROUTE_NATIVE, NULL }, ADMIN_INVALID },
		{ { ROUTE_PROFILE, NULL, ROUTE_INHERIT, NULL }, ADMIN_INVALID },
		{ { ROUTE_NATIVE, "mg", ROUTE_INHERIT, NULL }, ADMIN_INVALID },
		/* Another account's. */
		{ { ROUTE_PROFILE, "theirs", ROUTE_INHERIT, NULL }, ADMIN_MISSING },
		{ { ROUTE_PROFILE, "mg", ROUTE_INHERIT, NULL }, ADMIN_OK },
	};

	add_account(f, "acme", "nano");
	add_account(f, "other", "nano");
	add_profile(f, "acme", "mg", "secret");
	add_profile(f, "acme", "sg", NULL);
	add_profile(f, "other", "theirs", "secret");
	add_domain(f, "acme.example", "acme");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (admin_route_set(f->a, "acme", "acme.example", &cases[i].route) !=
		        cases[i].result ||
		    admin_route_set(f->a, "acme", NULL, &cases[i].route) != cases[i].result)
			fail_msg("case %zu: %s", i, admin_why(f->a));
	}
	OK(f, admin_get(f->a, &entity_domain, "acme.example", &f->mem, &d));
	assert_int_equal(d.route.kind, ROUTE_PROFILE);
	assert_string_equal(d.route.profile, "mg");
	assert_string_equal(d.route.fallback_profile, "");
	OK(f, admin_get(f->a, &entity_account, "acme", &f->mem, &a));
	assert_string_equal(a.route.profile, "mg");
	assert_int_equal(admin_route_set(f->a, "other", "acme.example",
	                     &(struct admin_route){ ROUTE_NATIVE, NULL, ROUTE_INHERIT, NULL }),
	    ADMIN_MISSING);

	assert_int_equal(admin_remove(f->a, &entity_profile, "acme/mg", false), ADMIN_IN_USE);
	OK(f, admin_remove(f->a, &entity_profile, "acme/sg", false));
	assert_int_equal(admin_remove(f->a, &entity_account, "acme", false), ADMIN_IN_USE);
	OK(f, admin_remove(f->a, &entity_account, "acme", true));
	assert_int_equal(admin_get(f->a, &entity_domain, "acme.example", &f->mem, &d),
	    ADMIN_MISSING);
}

/* ---- credentials ---- */

static int64_t
number(struct fixture *f, const char *sql)
{
	sqlite3 *h;
	sqlite3_stmt *st;
	int64_t v;

	assert_int_equal(sqlite3_open(f->path, &h), SQLITE_OK);
	sqlite3_busy_timeout(h, 5000);
	assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(h);
	return v;
}

/* What the relay would do: the stored password with V, or "" where it does not open. */
static const char *
opened(struct fixture *f, struct vault *v, const char *name)
{
	static char plain_text[64];
	sqlite3 *h;
	sqlite3_stmt *st;
	struct secret plain = { 0 };
	struct profile p = { 0 };

	assert_int_equal(sqlite3_open(f->path, &h), SQLITE_OK);
	sqlite3_busy_timeout(h, 5000);
	assert_int_equal(
	    sqlite3_prepare_v2(h,
	        "SELECT id, account, provider, transport, host, port, tls, username, auth, "
	        "token_endpoint, pin, ca, version, password FROM profile WHERE name = ?1",
	        -1, &st, NULL),
	    SQLITE_OK);
	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	struct take t = take_from(st);

	p.id = take_u64(&t);
	p.account = take_u64(&t);
	p.provider = take_slice(&t).p;
	assert_true(transport_find(take_slice(&t), &p.transport));
	p.host = take_slice(&t).p;
	p.port = take_unsigned(&t);
	assert_true(upstream_tls_find(take_slice(&t), &p.tls));
	p.username = take_slice(&t).p;
	assert_true(profile_auth_find(take_slice(&t), &p.auth));
	p.token_endpoint = take_slice(&t).p;
	p.pin = take_slice(&t).p;
	p.ca = take_slice(&t).p;
	p.version = take_u64(&t);
	unsigned char bound[PROFILE_BOUND];
	struct vault_place at = profile_place(&p, "password", bound);

	plain_text[0] = '\0';
	if (vault_unseal(v, &at, take_slice(&t), &plain) == VAULT_OK)
		snprintf(plain_text, sizeof(plain_text), "%.*s", SLICE_FMT(secret_peek(&plain)));
	secret_fini(&plain);
	sqlite3_finalize(st);
	sqlite3_close(h);
	return plain_text;
}

/* Another value, good in itself. */
static void
change(struct admin_profile *row, const struct column *c)
{
	char *at = (char *)row + c->at;
	const char *text = c->type == COLUMN_PIN
	    ? "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	    : strcmp(c->name, "provider") == 0       ? "mailgun"
	    : strcmp(c->name, "token_endpoint") == 0 ? "https://evil.example.net/token"
	                                             : "evil.example.net";

	if (column_is_text(c))
		memcpy(at, &text, sizeof(text));
	else
		*(unsigned *)(void *)at = *(unsigned *)(void *)at == 1 ? 0 : 1;
}

static const struct {
	const char *edit;
	const char *back;
} edits[] = {
#define EDIT(column, value)                                                                        \
	{                                                                                          \
		"CREATE TABLE was AS SELECT " column " FROM profile; UPDATE profile SET " column   \
		" = " value,                                                                       \
		    "UPDATE profile SET " column " = (SELECT " column " FROM was); DROP TABLE was" \
	}
	EDIT("provider", "'mailgun'"),
	EDIT("transport", "'api'"),
	EDIT("host", "'evil.example.net'"),
	EDIT("port", "587"),
	EDIT("tls", "'none'"),
	EDIT("username", "'evil'"),
	EDIT("auth", "'oauth2'"),
	EDIT("token_endpoint", "'https://evil.example.net/'"),
	EDIT("pin", "'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'"),
	EDIT("ca", "'-----BEGIN CERTIFICATE-----'"),
	EDIT("version", "version + 1"),
	/* What one column loses, the next one gains. */
	EDIT("host", "host || substr(port, 1, 1)"),
#undef EDIT
};

/* Each column that is bound is edited above. */
static void
test_bound_columns(void **state)
{
	(void)state;
	for (const struct column *c = entity_profile.columns; c->name; c++) {
		char word[64];
		bool found = false;

		snprintf(word, sizeof(word), "SET %s = ", c->name);
		for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++)
			found |= strstr(edits[i].edit, word) != NULL;
		if ((c->flags & COLUMN_BOUND) && !found)
			fail_msg("%s is bound, and nothing edits it", c->name);
	}
}

static void
test_credentials(void **state)
{
	struct fixture *f = *state;
	struct admin_profile row;
	struct secret plain = { 0 };
	uint64_t version;

	add_account(f, "acme", "nano");
	add_profile(f, "acme", "mg", "first");
	assert_string_equal(opened(f, f->vault, "mg"), "first");
	OK(f, admin_get(f->a, &entity_profile, "acme/MG", &f->mem, &row));
	assert_true(row.has_password && row.password_set > 0);
	assert_string_equal(row.provider, "custom");
	assert_int_equal(row.version, 1);

	/* Nothing of the credential: the version stays. */
	row.max_connections = 7;
	row.keep_headers = "X-Mailgun-Tag";
	OK(f, admin_profile_set(f->a, &row, NULL));
	OK(f, admin_get(f->a, &entity_profile, "acme/mg", &f->mem, &row));
	assert_int_equal(row.version, 1);
	assert_int_equal(row.max_connections, 7);

	/* Another place, another way there, another login: only with the password (R3). */
	for (const struct column *c = entity_profile.columns; c->name; c++) {
		struct admin_profile moved = row;

		if (!(c->flags & COLUMN_BOUND))
			continue;
		change(&moved, c);
		moved.oauth_client = moved.auth == PROFILE_OAUTH2 ? "client" : "";
		if (moved.auth == PROFILE_OAUTH2)
			moved.token_endpoint = "https://tokens.example.net/";
		assert_int_equal(admin_profile_set(f->a, &moved, NULL), ADMIN_INVALID);
		if (!strstr(admin_why(f->a), "give it again") || !strstr(admin_why(f->a), c->name))
			fail_msg("%s: %s", c->name, admin_why(f->a));
	}
	assert_string_equal(opened(f, f->vault, "mg"), "first");
	version = row.version;
	row.host = "smtp2.example.net";
	assert_true(secret_init(&plain, SLICE("second")));
	OK(f, admin_profile_set(f->a, &row, &plain));
	secret_fini(&plain);
	OK(f, admin_get(f->a, &entity_profile, "acme/mg", &f->mem, &row));
	assert_int_equal(row.version, version + 1);
	assert_string_equal(opened(f, f->vault, "mg"), "second");

	/* Whoever edits the file has nothing of it, whatever it is that he edits. */
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		shell(f, edits[i].edit);
		if (strcmp(opened(f, f->vault, "mg"), "") != 0)
			fail_msg("opened after %s", edits[i].edit);
		assert_int_equal(admin_profile_unseal(f->a, "acme/mg", &plain), ADMIN_FAILED);
		assert_non_null(strstr(admin_why(f->a), "give it again"));
		shell(f, edits[i].back);
		assert_string_equal(opened(f, f->vault, "mg"), "second");
	}

	/* Taken away. */
	OK(f, admin_profile_set(f->a, &row, &plain));
	OK(f, admin_get(f->a, &entity_profile, "acme/mg", &f->mem, &row));
	assert_false(row.has_password);
	assert_int_equal(row.password_set, 0);
	row.host = "smtp3.example.net";
	OK(f, admin_profile_set(f->a, &row, NULL));
	OK(f, admin_remove(f->a, &entity_profile, "acme/mg", false));
}

static void
test_bad_profiles(void **state)
{
	struct fixture *f = *state;
	const struct admin_profile good = { .account = "acme",
		.name = "mg",
		.host = "smtp.example.net",
		.port = 465,
		.tls = UPSTREAM_TLS_IMPLICIT };
	struct admin_profile rows[8];
	struct secret plain;

	add_account(f, "acme", "nano");
	for (size_t i = 0; i < 8; i++)
		rows[i] = good;
	rows[0].name = "a b";
	rows[1].host = "a host";
	rows[2].host = "";
	rows[3].port = 0;
	rows[4].port = 65536;
	rows[5].username = "a\r\nb";
	rows[6].pin = "abc";
	rows[7].keep_headers = "X-A: b";
	for (size_t i = 0; i < 8; i++) {
		if (admin_profile_add(f->a, &rows[i], NULL) != ADMIN_INVALID)
			fail_msg("case %zu", i);
	}
	/* A vault is needed for a password, for nothing else. */
	struct text t = why(f);
	struct admin *blind = admin_open(f->path, false, NULL, &t);

	assert_non_null(blind);
	assert_true(secret_init(&plain, SLICE("secret")));
	assert_int_equal(admin_profile_add(blind, &good, &plain), ADMIN_FAILED);
	assert_null(strstr(admin_why(blind), "secret "));
	assert_int_equal(admin_profile_add(blind, &good, NULL), ADMIN_OK);
	secret_fini(&plain);
	admin_close(blind);
}

static void
test_reseal(void **state)
{
	struct fixture *f = *state;
	struct text t = why(f);
	char names[256];
	struct text broken = text_over(names, sizeof(names));
	struct reseal_count n;

	add_account(f, "acme", "nano");
	add_profile(f, "acme", "one", "first");
	add_profile(f, "acme", "two", "second");
	add_profile(f, "acme", "none", NULL);
	add_profile(f, "acme", "edited", "third");
	shell(f, "UPDATE profile SET port = 25 WHERE name = 'edited'");
	OK(f, admin_reseal(f->a, &n, &broken));
	assert_int_equal(n.done, 0);
	assert_int_equal(n.broken, 0);

	assert_true(vault_add_key(f->keys, &t));
	struct vault *ring = vault_open(f->keys, &t);
	struct admin *a = admin_open(f->path, false, ring, &t);

	assert_non_null(ring);
	assert_non_null(a);
	assert_int_equal(admin_reseal(a, &n, &broken), ADMIN_OK);
	assert_int_equal(n.done, 2);
	assert_int_equal(n.broken, 1);
	assert_string_equal(names, "acme/edited\n");
	assert_string_equal(opened(f, ring, "one"), "first");
	assert_string_equal(opened(f, ring, "two"), "second");
	/* Under the new key alone. */
	assert_string_equal(opened(f, f->vault, "one"), "");
	assert_int_equal(number(f, "SELECT max(version) FROM profile"), 1);
	assert_int_equal(admin_reseal(a, &n, &broken), ADMIN_OK);
	assert_int_equal(n.done, 0);
	admin_close(a);
	vault_close(ring);
}

/* What an earlier version sealed: refused, until it is sealed anew. */
static void
test_reseal_v1(void **state)
{
	struct fixture *f = *state;
	struct text t = why(f);
	char words[1024] = "";
	struct text done = text_over(words, sizeof(words));
	struct admin_survey found;
	struct secret plain = { 0 };
	FILE *ring = fopen(f->keys, "w");

	assert_non_null(ring);
	fputs("k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", ring);
	fclose(ring);
	struct vault *v = vault_open(f->keys, &t);
	struct admin *a = admin_open(f->path, false, v, &t);

	assert_non_null(v);
	assert_non_null(a);
	add_account(f, "acme", "nano");
	add_profile(f, "acme", "mg", NULL);
	add_profile(f, "acme", "edited", NULL);
	assert_int_equal(number(f, "SELECT account * 10 + id FROM profile WHERE name = 'mg'"), 11);
	assert_int_equal(admin_migrate(f->path, v, &done, &t), ADMIN_OK);
	assert_string_equal(words, "");
	shell(f,
	    "UPDATE profile SET password = 'v1.k1.AAECAwQFBgcICQoLPbRkuO/zExsp+ENAREfg//Xf8yyd', refresh_token = 'v1.k1.AAECAwQFBgcICQoLL7J9rvWuGjLGQfVPseSPL1qSC0PA'");
	assert_string_equal(opened(f, v, "mg"), "");
	assert_int_equal(admin_profile_unseal(a, "acme/mg", &plain), ADMIN_FAILED);
	assert_non_null(strstr(admin_why(a), "earlier version"));

	assert_true(admin_survey(f->path, v, &found, &t));
	assert_int_equal(found.sealed, 4);
	assert_int_equal(found.old, 2);
	assert_int_equal(found.closed, 2);
	/* Without the ring there is nothing to do, with it it is done once, behind a copy. */
	assert_int_equal(admin_migrate(f->path, NULL, &done, &t), ADMIN_OK);
	assert_string_equal(words, "");
	assert_int_equal(admin_migrate(f->path, v, &done, &t), ADMIN_OK);
	assert_non_null(strstr(words, "2 credentials of an earlier version are sealed anew\n"));
	drop_copy(words);
	text_reset(&done);
	assert_int_equal(admin_migrate(f->path, v, &done, &t), ADMIN_OK);
	assert_string_equal(words, "");
	assert_true(admin_survey(f->path, v, &found, &t));
	assert_int_equal(found.old, 0);
	assert_int_equal(found.closed, 2);
	assert_string_equal(opened(f, v, "mg"), "first");
	assert_int_equal(admin_profile_unseal_refresh_token(a, "acme/mg", &plain), ADMIN_OK);
	assert_true(slice_eq(secret_peek(&plain), SLICE("token")));
	secret_fini(&plain);
	admin_close(a);
	vault_close(v);
}

/* A token of an older consent is of no use to who puts it back. */
static void
test_old_token(void **state)
{
	struct fixture *f = *state;
	struct secret plain = { 0 };

	add_account(f, "acme", "nano");
	add_profile(f, "acme", "mg", "first");
	assert_true(secret_init(&plain, SLICE("one")));
	OK(f, admin_profile_authorize(f->a, "acme/mg", &plain));
	shell(f, "CREATE TABLE was AS SELECT refresh_token FROM profile");
	OK(f, admin_profile_authorize(f->a, "acme/mg", &plain));
	secret_fini(&plain);
	OK(f, admin_profile_unseal_refresh_token(f->a, "acme/mg", &plain));
	secret_fini(&plain);
	/* A password of the client's alone leaves the consent as it is. */
	struct admin_profile row;

	OK(f, admin_get(f->a, &entity_profile, "acme/mg", &f->mem, &row));
	assert_true(secret_init(&plain, SLICE("second")));
	OK(f, admin_profile_set(f->a, &row, &plain));
	secret_fini(&plain);
	OK(f, admin_profile_unseal_refresh_token(f->a, "acme/mg", &plain));
	assert_true(slice_eq(secret_peek(&plain), SLICE("one")));
	secret_fini(&plain);
	shell(f, "UPDATE profile SET refresh_token = (SELECT refresh_token FROM was)");
	assert_int_equal(admin_profile_unseal_refresh_token(f->a, "acme/mg", &plain), ADMIN_FAILED);
}

/* ---- transactions, revision ---- */

static void
test_transactions(void **state)
{
	struct fixture *f = *state;
	struct admin_account got;
	uint64_t before;
	uint64_t after;

	OK(f, admin_revision(f->a, &before));
	OK(f, admin_begin(f->a));
	assert_int_equal(admin_begin(f->a), ADMIN_INVALID);
	add_account(f, "one", "pro");
	struct admin_account bad = { .name = "two", .plan = "gold" };

	assert_int_equal(admin_add(f->a, &entity_account, &bad), ADMIN_MISSING);
	add_account(f, "three", "pro");
	OK(f, admin_commit(f->a));
	assert_int_equal(admin_commit(f->a), ADMIN_INVALID);
	OK(f, admin_get(f->a, &entity_account, "one", &f->mem, &got));
	OK(f, admin_get(f->a, &entity_account, "three", &f->mem, &got));
	assert_int_equal(admin_get(f->a, &entity_account, "two", &f->mem, &got), ADMIN_MISSING);
	OK(f, admin_revision(f->a, &after));
	assert_true(after > before);

	OK(f, admin_begin(f->a));
	add_account(f, "four", "pro");
	admin_rollback(f->a);
	assert_int_equal(admin_get(f->a, &entity_account, "four", &f->mem, &got), ADMIN_MISSING);
	OK(f, admin_revision(f->a, &before));
	assert_int_equal(before, after);

	/* The shell moves it too, and the rows that tell of changes are bounded. */
	shell(f, "UPDATE account SET state = 'suspended-abuse' WHERE name = 'one'");
	OK(f, admin_revision(f->a, &after));
	assert_true(after > before);
	shell(f,
	    "BEGIN; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)"
	    " INSERT INTO allowed_sender (account, name) SELECT 1, 'a' || i || '@b.example' FROM n; COMMIT");
	assert_int_equal(number(f, "SELECT count(*) FROM change"), 4096);
	shell(f, "DELETE FROM change");
	OK(f, admin_revision(f->a, &before));
	assert_true(before >= after + 6000);
}

static void
test_locked(void **state)
{
	struct fixture *f = *state;
	sqlite3 *h;

	assert_int_equal(sqlite3_open(f->path, &h), SQLITE_OK);
	sqlite3_busy_timeout(h, 5000);
	assert_int_equal(sqlite3_exec(h, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(admin_begin(f->a), ADMIN_BUSY);
	assert_non_null(strstr(admin_why(f->a), "locked"));
	sqlite3_close(h);
	OK(f, admin_begin(f->a));
}

/* ---- every column ---- */

struct told {
	const struct entity *of;
	struct text *out;
};

static bool
tell_row(void *ctx, const void *row)
{
	const struct told *t = ctx;
	const char *name = *(const char *const *)(const void *)((const char *)row +
	    t->of->columns[t->of->keys - 1].at);

	text_fmt(t->out, "%s ", name);
	return strcmp(name, "stop@z.example") != 0;
}

static const char *
list_of(struct fixture *f, const struct entity *of, const char *account)
{
	static char mem[512];
	struct text out = text_over(mem, sizeof(mem));

	mem[0] = '\0';
	OK(f, admin_each(f->a, of, account, tell_row, &(struct told){ of, &out }));
	return mem;
}

static void
test_lists(void **state)
{
	struct fixture *f = *state;
	static const char *const mailboxes[] = { "b@a.example", "A@b.example", "stop@z.example",
		"z@z.example" };
	static const char *const networks[] = { "192.0.2.0/24", "10.0.0.0/8" };
	struct told t = { &entity_domain, NULL };

	add_account(f, "zeta", "pro");
	add_account(f, "Beta", "nano");
	add_profile(f, "beta", "two", NULL);
	add_profile(f, "beta", "One", NULL);
	add_domain(f, "b.example", "beta");
	add_domain(f, "a.example", "beta");
	add_domain(f, "z.example", "zeta");
	for (size_t i = 0; i < 4; i++)
		OK(f,
		    admin_add(f->a, &entity_mailbox,
		        &(struct admin_mailbox){ .address = mailboxes[i] }));
	for (size_t i = 0; i < 2; i++)
		OK(f,
		    admin_add(f->a, &entity_ip,
		        &(struct admin_ip){ .network = networks[i], .account = "beta" }));
	assert_string_equal(list_of(f, &entity_plan, NULL), "agency nano pro starter ");
	assert_string_equal(list_of(f, &entity_account, NULL), "Beta zeta ");
	assert_string_equal(list_of(f, &entity_profile, "beta"), "One two ");
	assert_string_equal(list_of(f, &entity_domain, NULL), "a.example b.example z.example ");
	assert_string_equal(list_of(f, &entity_domain, "BETA"), "a.example b.example ");
	/* False stops. */
	assert_string_equal(list_of(f, &entity_mailbox, NULL),
	    "A@b.example b@a.example stop@z.example ");
	assert_string_equal(list_of(f, &entity_ip, "beta"), "10.0.0.0/8 192.0.2.0/24 ");
	assert_string_equal(list_of(f, &entity_ip, "zeta"), "");
	assert_int_equal(admin_each(f->a, &entity_domain, "nobody", tell_row, &t), ADMIN_MISSING);
}

/* An account's lists are columns of it, in order, each name once. */
static void
test_senders(void **state)
{
	struct fixture *f = *state;
	struct admin_account row = { .name = "acme", .plan = "pro" };
	uint64_t before, after;

	row.allowed_senders = "b@Two.example, @one.example,a@two.example, @ONE.example";
	row.verified_senders = "me@one.example";
	OK(f, admin_add(f->a, &entity_account, &row));
	OK(f, admin_get(f->a, &entity_account, "acme", &f->mem, &row));
	assert_string_equal(row.allowed_senders, "@one.example, a@two.example, b@two.example");
	assert_string_equal(row.verified_senders, "me@one.example");
	/* What stays is not touched. */
	shell(f,
	    "CREATE TRIGGER stays BEFORE DELETE ON allowed_sender WHEN OLD.name LIKE '@%'"
	    " BEGIN SELECT raise(ABORT, 'touched'); END");
	row.allowed_senders = "@one.example, c@two.example";
	row.verified_senders = "";
	OK(f, admin_set(f->a, &entity_account, &row));
	OK(f, admin_get(f->a, &entity_account, "acme", &f->mem, &row));
	assert_string_equal(row.allowed_senders, "@one.example, c@two.example");
	assert_string_equal(row.verified_senders, "");
	row.allowed_senders = "not an address";
	OK(f, admin_revision(f->a, &before));
	assert_int_equal(admin_set(f->a, &entity_account, &row), ADMIN_INVALID);
	OK(f, admin_revision(f->a, &after));
	assert_int_equal(after, before);
	row.allowed_senders = "@one.example";
	row.verified_senders = "@one.example";
	assert_int_equal(admin_set(f->a, &entity_account, &row), ADMIN_INVALID);
	shell(f, "DROP TRIGGER stays");
	OK(f, admin_remove(f->a, &entity_account, "acme", false));
}

/* Another value than ROW has: TURN 0 or 1. */
static void
change_column(const struct column *c, void *row, unsigned turn)
{
	void *member = (char *)row + c->at;
	uint64_t number = (c->min ? c->min : 1) + turn;
	unsigned word;

	switch (c->type) {
	case COLUMN_TEXT:
	case COLUMN_NAME:
	case COLUMN_HOST:
		*column_text(c, row) = turn ? "other.example" : "one.example";
		break;
	case COLUMN_PEM:
		*column_text(c, row) = turn ? "other\npem" : "a\npem";
		break;
	case COLUMN_PIN:
		*column_text(c, row) = turn
		    ? "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
		    : "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
		break;
	case COLUMN_BOOL:
		*(bool *)member = !*(bool *)member;
		break;
	case COLUMN_NUMBER:
	case COLUMN_SIZE:
		*(uint64_t *)member = number;
		break;
	case COLUMN_SMALL:
		*(unsigned *)member = (unsigned)number;
		break;
	case COLUMN_DATE:
		*(int64_t *)member = 1000 + turn;
		break;
	case COLUMN_WORD:
		memcpy(&word, member, sizeof(word));
		word = (word + 1) % c->words->n;
		memcpy(member, &word, sizeof(word));
		break;
	case COLUMN_LIST:
	case COLUMN_ROUTE:
	case COLUMN_FALLBACK:
	case COLUMN_ROUTE_IDS:
		break;
	}
}

static bool
same_column(const struct column *c, const void *a, const void *b)
{
	const char *of_a = (const char *)a + c->at;
	const char *of_b = (const char *)b + c->at;
	size_t n = c->type == COLUMN_BOOL                       ? sizeof(bool)
	    : c->type == COLUMN_SMALL || c->type == COLUMN_WORD ? sizeof(unsigned)
	                                                        : sizeof(uint64_t);

	if (column_is_text(c))
		return strcmp(*(const char *const *)(const void *)of_a,
		           *(const char *const *)(const void *)of_b) == 0;
	return memcmp(of_a, of_b, n) == 0;
}

union any_row {
	struct plan plan;
	struct admin_account account;
	struct admin_profile profile;
	struct admin_domain domain;
	struct admin_mailbox mailbox;
	struct admin_ip ip;
};

/* What a column's neighbours must be for it to be taken. */
static void
suit(const struct entity *of, const struct column *c, union any_row *row)
{
	if (of == &entity_account && strcmp(c->name, "owner_email") == 0)
		row->account.owner_email = "me@one.example";
	if (of == &entity_ip && strcmp(c->name, "state") == 0)
		row->ip.state = MAILBOX_BLOCKED;
	if (of == &entity_profile && strcmp(c->name, "provider") == 0)
		row->profile.provider = "sendgrid";
	if (of == &entity_profile && strcmp(c->name, "transport") == 0)
		row->profile.tls = UPSTREAM_TLS_IMPLICIT;
	if (of == &entity_profile && strcmp(c->name, "token_endpoint") == 0)
		row->profile.token_endpoint = "https://one.example/token";
	if (of == &entity_profile && strcmp(c->name, "auth") == 0) {
		row->profile.oauth_client = "me";
		row->profile.token_endpoint = "https://one.example/token";
	}
}

/* Each column of each .def goes in and comes out, alone. */
static void
test_every_column(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "pro", "acme", "acme/mg", "acme.example",
		"a@acme.example", "192.0.2.1" };

	add_account(f, "acme", "pro");
	add_domain(f, "acme.example", "acme");
	add_profile(f, "acme", "mg", NULL);
	OK(f,
	    admin_add(f->a, &entity_mailbox,
	        &(struct admin_mailbox){ .address = "a@acme.example" }));
	OK(f,
	    admin_add(f->a, &entity_ip,
	        &(struct admin_ip){ .network = "192.0.2.1", .account = "acme" }));
	for (size_t i = 0; entities[i]; i++) {
		const struct entity *of = entities[i];

		for (const struct column *c = of->columns; c->name; c++) {
			union any_row was = { 0 }, want, got = { 0 };

			if (!(c->flags & COLUMN_WRITTEN) || (c->flags & COLUMN_KEY))
				continue;
			OK(f, admin_get(f->a, of, names[i], &f->mem, &was));
			want = was;
			change_column(c, &want, 0);
			if (same_column(c, &was, &want))
				change_column(c, &want, 1);
			suit(of, c, &want);
			assert_false(same_column(c, &was, &want));
			if (admin_set(f->a, of, &want) != ADMIN_OK)
				fail_msg("%s.%s: %s", of->name, c->name, admin_why(f->a));
			OK(f, admin_get(f->a, of, names[i], &f->mem, &got));
			if (!same_column(c, &want, &got))
				fail_msg("%s.%s is not what was written", of->name, c->name);
			OK(f, admin_set(f->a, of, &was));
		}
	}
}

/* A column that a table lacks is added by the step that migrates, with its preset in every row. */
static void
test_lacking_column(void **state)
{
	struct fixture *f = *state;
	struct text t = why(f);
	struct admin_profile p;

	add_account(f, "acme", "pro");
	add_profile(f, "acme", "mg", NULL);
	admin_close(f->a);
	f->a = NULL;
	shell(f,
	    "ALTER TABLE profile DROP COLUMN per_minute; ALTER TABLE profile DROP COLUMN on_quota;"
	    " ALTER TABLE profile DROP COLUMN keep_headers");
	migrated(f, f->path, "schema11-");
	f->a = admin_open(f->path, false, f->vault, &t);
	assert_non_null(f->a);
	OK(f, admin_get(f->a, &entity_profile, "acme/mg", &f->mem, &p));
	assert_int_equal(p.per_minute, 0);
	assert_int_equal(p.on_quota, ON_QUOTA_DEFAULT);
	assert_string_equal(p.keep_headers, "");
	p.on_quota = ON_QUOTA_REJECT;
	OK(f, admin_set(f->a, &entity_profile, &p));
	/* Its words are a rule of the database too. */
	sqlite3 *h;

	assert_int_equal(sqlite3_open(f->path, &h), SQLITE_OK);
	sqlite3_busy_timeout(h, 5000);
	assert_int_equal(sqlite3_exec(h, "UPDATE profile SET on_quota = 'what'", NULL, NULL, NULL),
	    SQLITE_CONSTRAINT);
	sqlite3_close(h);
}

/* Eight processes find a file that nobody has opened yet; with impatient busy handlers, as workers
 * have. */
static void
test_all_at_once(void **state)
{
	enum { PROCESSES = 8, ROUNDS = 10 };
	struct fixture *f = *state;
	char path[160];

	for (int round = 0; round < ROUNDS; round++) {
		pid_t children[PROCESSES];
		int go[2];

		snprintf(path, sizeof(path), "%s/fresh.db", f->folder);
		assert_int_equal(pipe(go), 0);
		for (size_t i = 0; i < PROCESSES; i++) {
			children[i] = fork();
			if (children[i] == 0) {
				struct text t = why(f);
				struct db db;
				char c;

				close(go[1]);
				if (read(go[0], &c, 1) != 0 ||
				    !db_open(&db, path, DB_MAKE, 500, &t)) {
					fprintf(stderr, "%s\n", f->why);
					_exit(1);
				}
				db_close(&db);
				_exit(0);
			}
		}
		close(go[0]);
		close(go[1]);
		for (size_t i = 0; i < PROCESSES; i++) {
			int status = -1;

			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			assert_int_equal(status, 0);
		}
		unlink(path);
		snprintf(path, sizeof(path), "%s/fresh.db-wal", f->folder);
		unlink(path);
		snprintf(path, sizeof(path), "%s/fresh.db-shm", f->folder);
		unlink(path);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(creation),
		TEST(refused_files),
		TEST(migrations),
		TEST(copies),
		TEST(newer_schema),
		TEST(added_only),
		TEST(survey),
		TEST(accounts),
		TEST(bad_names),
		TEST(mailboxes),
		TEST(addresses),
		TEST(routes),
		TEST(credentials),
		TEST(bad_profiles),
		TEST(bound_columns),
		TEST(reseal),
		TEST(reseal_v1),
		TEST(old_token),
		TEST(transactions),
		TEST(locked),
		TEST(all_at_once),
		TEST(lists),
		TEST(senders),
		TEST(every_column),
		TEST(lacking_column),
	};

	if (!crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
