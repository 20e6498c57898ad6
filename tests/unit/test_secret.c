/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/vault/secret.h"
#include "wire/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/byway-secret.XXXXXX";

static const char *
in_folder(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *path, struct slice s, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(s.p, 1, s.n, f), s.n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
test_copies_and_compares(void **state)
{
	char from[] = "hunter2";
	struct secret s;

	(void)state;
	assert_true(secret_init(&s, slice_str(from)));
	memset(from, 'x', sizeof(from) - 1);
	assert_true(secret_equal(&s, SLICE("hunter2")));
	assert_false(secret_equal(&s, SLICE("hunter3")));
	assert_false(secret_equal(&s, SLICE("hunter")));
	assert_false(secret_equal(&s, SLICE("hunter22")));
	assert_false(secret_equal(&s, SLICE("")));
	assert_int_equal(s.p[s.n], '\0');
	secret_fini(&s);
	assert_null(s.p);
	assert_int_equal(s.n, 0);
	/* Twice does no harm. */
	secret_fini(&s);
}

/* ASan's does nothing. */
int
mlock(const void *p, size_t n)
{
	return (int)syscall(SYS_mlock, p, n);
}

/* VmLck of this process in kB. */
static long
locked_kb(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		(void)sscanf(line, "VmLck: %ld kB", &kb);
	fclose(f);
	return kb;
}

/* A worker's key lies in a region that its master made: locks are not inherited, and must be taken
 * anew. */
static void
test_a_child_locks_what_it_inherits(void **state)
{
	struct secret small;
	struct secret large;
	long before;
	int status;
	pid_t child;

	(void)state;
	assert_true(secret_init(&small, SLICE("hunter2")));
	assert_true(secret_make(&large, 20000));
	before = locked_kb();
	assert_true(before >=
	    64 + 20); /* else the limit for locked memory is too low for this test */
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(locked_kb() == before ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	secret_fini(&large);
	assert_true(locked_kb() < before);
	secret_fini(&small);
}

static void
test_empty_is_valid(void **state)
{
	struct secret s;

	(void)state;
	assert_true(secret_init(&s, slice_of(NULL, 0)));
	assert_int_equal(secret_peek(&s).n, 0);
	assert_true(secret_equal(&s, SLICE("")));
	secret_fini(&s);
	assert_int_equal(secret_peek(&s).n, 0);
}

/* What was given back must not be readable in the next one. */
static void
test_wipes(void **state)
{
	struct secret s, again;
	char *was;

	(void)state;
	assert_true(secret_init(&s, SLICE("correct horse battery staple")));
	was = s.p;
	secret_fini(&s);
	assert_true(secret_make(&again, 28));
	assert_ptr_equal(again.p, was);
	for (size_t i = 0; i < again.n; i++)
		assert_int_equal(again.p[i], 0);
	secret_fini(&again);
}

/* Small ones share a region, large ones have mappings; none overlaps another. */
static void
test_many_of_all_sizes(void **state)
{
	enum { N = 900 };
	static struct secret all[N];
	size_t live = secret_live();

	(void)state;
	for (size_t i = 0; i < N; i++) {
		assert_true(secret_make(&all[i], i * 37 % 3000));
		memset(all[i].p, (int)(i & 0xff), all[i].n);
	}
	assert_int_equal(secret_live(), live + N);
	for (size_t i = 0; i < N; i++) {
		for (size_t k = 0; k < all[i].n; k++)
			assert_int_equal((unsigned char)all[i].p[k], i & 0xff);
		secret_fini(&all[i]);
	}
	assert_int_equal(secret_live(), live);
}

static void *
churn(void *arg)
{
	struct secret s;

	for (size_t i = 0; i < 3000; i++) {
		if (!secret_make(&s, i % 500))
			return arg;
		memset(s.p, 1, s.n);
		secret_fini(&s);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t threads[4];
	size_t live = secret_live();
	void *failed;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, &live), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(secret_live(), live);
}

static void
test_reads_files(void **state)
{
	static const struct {
		const char *name;
		struct slice content;
		mode_t mode;
		bool shared;
		const char *says; /* NULL: read */
		struct slice is;
	} cases[] = {
		{ "plain", { "abc", 3 }, 0600, false, NULL, { "abc", 3 } },
		{ "line", { "abc\n", 4 }, 0400, false, NULL, { "abc", 3 } },
		{ "crlf", { "abc\r\n", 5 }, 0600, false, NULL, { "abc", 3 } },
		{ "two ends", { "abc\n\n", 5 }, 0600, false, NULL, { "abc\n", 4 } },
		{ "a cr alone stays", { "abc\r", 4 }, 0600, false, NULL, { "abc\r", 4 } },
		{ "empty", { "", 0 }, 0600, false, NULL, { "", 0 } },
		{ "an end alone", { "\n", 1 }, 0600, false, NULL, { "", 0 } },
		{ "octets", { "\0\xff\n", 3 }, 0600, false, NULL, { "\0\xff", 2 } },
		{ "group reads", { "abc", 3 }, 0640, false, "chmod 0600", { "", 0 } },
		{ "others read", { "abc", 3 }, 0604, false, "chmod 0600", { "", 0 } },
		{ "group writes", { "abc", 3 }, 0620, false, "chmod 0600", { "", 0 } },
		{ "others run", { "abc", 3 }, 0601, false, "chmod 0600", { "", 0 } },
		{ "shared", { "abc", 3 }, 0644, true, NULL, { "abc", 3 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *path = in_folder(cases[i].name);
		char why[512] = "";
		struct secret s;
		bool ok;

		write_file(path, cases[i].content, cases[i].mode);
		ok = secret_read_file(&s, path, cases[i].shared, why, sizeof(why));
		if (ok != !cases[i].says || (!ok && !strstr(why, cases[i].says)))
			fail_msg("%s: %d %s", cases[i].name, ok, why);
		if (ok)
			assert_true(secret_equal(&s, cases[i].is));
		else
			assert_non_null(strstr(why, path));
		assert_null(strstr(why, "abc"));
		secret_fini(&s);
		unlink(path);
	}
}

static void
test_refuses_what_is_no_file(void **state)
{
	char why[512] = "", big[70 * 1024];
	struct secret s;

	(void)state;
	assert_false(secret_read_file(&s, in_folder("nobody"), false, why, sizeof(why)));
	assert_non_null(strstr(why, "No such file"));
	assert_false(secret_read_file(&s, folder, true, why, sizeof(why)));
	assert_non_null(strstr(why, "not a regular file"));
	assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
	/* Must not wait for a writer. */
	assert_false(secret_read_file(&s, in_folder("fifo"), false, why, sizeof(why)));
	unlink(in_folder("fifo"));
	memset(big, 'x', sizeof(big));
	write_file(in_folder("big"), slice_of(big, sizeof(big)), 0600);
	assert_false(secret_read_file(&s, in_folder("big"), false, why, sizeof(why)));
	assert_non_null(strstr(why, "64 KiB"));
	unlink(in_folder("big"));
}

/* Another user's file is not ours to trust, closed or not. */
static void
test_refuses_a_third_ones_file(void **state)
{
	char why[512] = "";
	struct secret s;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(folder, 0755), 0);
	write_file(in_folder("theirs"), SLICE("abc"), 0600);
	assert_int_equal(chown(in_folder("theirs"), 12345, 12345), 0);
	/* Root may look at what belongs to the daemon's user. */
	assert_true(secret_read_file(&s, in_folder("theirs"), false, why, sizeof(why)));
	secret_fini(&s);
	assert_int_equal(seteuid(12345), 0);
	assert_true(secret_read_file(&s, in_folder("theirs"), false, why, sizeof(why)));
	assert_int_equal(seteuid(0), 0);
	secret_fini(&s);
	assert_int_equal(seteuid(54321), 0);
	assert_false(secret_read_file(&s, in_folder("theirs"), false, why, sizeof(why)));
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(folder, 0700), 0);
	unlink(in_folder("theirs"));
}

static void
test_generates_words(void **state)
{
	struct secret a, b;

	(void)state;
	assert_true(secret_generate(&a, 16));
	assert_true(secret_generate(&b, 16));
	assert_int_equal(a.n, 26); /* 130 bits */
	assert_false(secret_equal(&a, secret_peek(&b)));
	for (size_t i = 0; i < a.n; i++)
		assert_non_null(strchr("0123456789abcdefghjkmnpqrstvwxyz", a.p[i]));
	secret_fini(&a);
	secret_fini(&b);
}

static int
set_up(void **state)
{
	(void)state;
	return crypto_init() && mkdtemp(folder) ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	return rmdir(folder) == 0 && secret_live() == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies_and_compares),
		cmocka_unit_test(test_a_child_locks_what_it_inherits),
		cmocka_unit_test(test_empty_is_valid),
		cmocka_unit_test(test_wipes),
		cmocka_unit_test(test_many_of_all_sizes),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_reads_files),
		cmocka_unit_test(test_refuses_what_is_no_file),
		cmocka_unit_test(test_refuses_a_third_ones_file),
		cmocka_unit_test(test_generates_words),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
