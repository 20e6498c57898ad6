/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[] = "/tmp/byway-test-log-XXXXXX";
static char written[1024 * 1024];

static void
open_log(enum log_format format, enum log_level level)
{
	char why[200];
	struct log_options o = {
		.path = path, .format = format, .level = level, .process = "worker 1"
	};

	assert_int_equal(truncate(path, 0), 0);
	assert_true(log_open(&o, why, sizeof(why)));
}

static const char *
read_back(void)
{
	log_flush();

	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, written, sizeof(written) - 1);

	assert_true(n >= 0);
	written[n] = '\0';
	close(fd);
	return written;
}

static void
one_line(struct slice from)
{
	struct log_line l;

	assert_true(log_begin(&l, LOG_INFO, "message", SLICE("0abc"),
	    SLICE("after the final dot")));
	log_str(&l, "from", from);
	log_u64(&l, "size", 42);
	log_ms(&l, "took", 12345);
	log_end(&l);
}

static void
writes_text(void **state)
{
	(void)state;
	static const struct {
		struct slice value;
		const char *shown;
	} cases[] = {
		{ SLICE("a@b.example"), "a@b.example" },
		{ SLICE(""), "\"\"" },
		{ SLICE("a b"), "\"a b\"" },
		{ SLICE("a=b"), "\"a=b\"" },
		{ SLICE("a\"b\\"), "\"a\\\"b\\\\\"" },
		{ SLICE("a\r\nb\x1b"), "a\\x0d\\x0ab\\x1b" },
		{ SLICE("\xc3\xa4 x"), "\"\\xc3\\xa4 x\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[256];

		open_log(LOG_TEXT, LOG_INFO);
		one_line(cases[i].value);
		snprintf(want, sizeof(want),
		    " info worker-1 message id=0abc at=\"after the final dot\" from=%s size=42 "
		    "took=12.345\n",
		    cases[i].shown);

		const char *got = read_back();

		/* 2026-11-21T16:40:02.113Z */
		assert_int_equal(strspn(got, "0123456789-T:.Z"), 24);
		assert_true(got[10] == 'T' && got[19] == '.' && got[23] == 'Z');
		assert_string_equal(got + 24, want);
	}
}

/* A JSON string, number or word; what follows it, or NULL. */
static const char *
json_value(const char *p)
{
	if (*p != '"') {
		size_t n = strspn(p, "0123456789.-truefals");

		return n > 0 ? p + n : NULL;
	}
	for (p++; *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p == '\\' && !strchr("\"\\/bfnrtu", *++p))
			return NULL;
	}
	return p + 1;
}

/* One flat object a line; what follows the last line, NULL where something is wrong. */
static bool
is_json_lines(const char *p)
{
	while (*p) {
		if (*p++ != '{')
			return false;
		for (;;) {
			p = *p == '"' ? json_value(p) : NULL;
			if (!p || *p++ != ':')
				return false;
			p = json_value(p);
			if (!p)
				return false;
			if (*p == '}')
				break;
			if (*p++ != ',')
				return false;
		}
		if (*++p != '\n')
			return false;
		p++;
	}
	return true;
}

static void
writes_json(void **state)
{
	(void)state;
	open_log(LOG_JSON, LOG_INFO);
	one_line(SLICE("gr\xc3\xbc\xc3\x9f \"x\"\r\n\xff"));

	const char *got = read_back();

	assert_true(slice_starts(slice_str(got), SLICE("{\"ts\":\"20")));
	assert_non_null(strstr(got,
	    "Z\",\"level\":\"info\",\"proc\":\"worker 1\",\"ev\":\"message\",\"id\":\"0abc\","
	    "\"at\":\"after the final dot\",\"from\":\"gr\xc3\xbc\xc3\x9f \\\"x\\\"\\r\\n\xef\xbf\xbd\","
	    "\"size\":42,\"took\":12.345}\n"));
	assert_true(is_json_lines(got));
}

/* Whatever the fields are: the line keeps to its limit, stays one line, and JSON stays JSON. */
static void
cuts_lines_at_fields(void **state)
{
	(void)state;
	char value[2000];

	for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
		for (int fill = 0; fill < 4; fill++) {
			struct log_line l;

			memset(value, "x\"\n\xe2"[fill], sizeof(value));
			open_log((enum log_format)format, LOG_INFO);
			assert_true(log_begin(&l, LOG_INFO, "long", slice_str("id"),
			    slice_str("at")));
			for (int i = 0; i < 30; i++)
				log_str(&l, "key", slice_of(value, (size_t)i * 60));
			log_u64(&l, "n", 1);
			log_end(&l);

			const char *got = read_back();
			size_t n = strlen(got);

			assert_in_range(n, 2000, LOG_LINE_MAX);
			assert_ptr_equal(strchr(got, '\n'), got + n - 1);
			assert_non_null(strstr(got,
			    format == LOG_JSON ? ",\"cut\":true}\n" : " cut=true\n"));
			assert_true(fill > 0 || strstr(got, "..."));
			if (format == LOG_JSON)
				assert_true(is_json_lines(got));
		}
	}
}

static void
cuts_no_character_in_two(void **state)
{
	(void)state;
	char value[600];

	for (size_t i = 0; i < sizeof(value); i += 3)
		memcpy(value + i, "\xe2\x82\xac", 3);
	open_log(LOG_JSON, LOG_INFO);
	one_line(slice_of(value, sizeof(value)));

	const char *got = read_back();

	assert_null(strstr(got, "\xef\xbf\xbd"));
	assert_non_null(strstr(got, "\xe2\x82\xac...\""));
}

static void
keeps_to_its_level(void **state)
{
	(void)state;
	struct log_line l;

	open_log(LOG_TEXT, LOG_NOTICE);
	assert_false(log_begin(&l, LOG_INFO, "x", SLICE(""), SLICE("")));
	log_say(LOG_INFO, "hidden", "no");
	log_say(LOG_NOTICE, "start", "byway %d is up", 1);

	const char *got = read_back();

	assert_null(strstr(got, "hidden"));
	assert_non_null(strstr(got, " notice worker-1 start msg=\"byway 1 is up\"\n"));
	log_set_level(LOG_DEBUG);
	log_say(LOG_DEBUG, "d", "now");
	assert_non_null(strstr(read_back(), " debug worker-1 d msg=now\n"));
}

static void
gathers_until_flushed(void **state)
{
	(void)state;
	char now[10];

	open_log(LOG_TEXT, LOG_INFO);
	log_say(LOG_INFO, "a", "1");

	int fd = open(path, O_RDONLY);

	assert_int_equal(read(fd, now, 1), 0);
	log_say(LOG_WARNING, "b", "2"); /* written at once, and all before it */
	assert_int_equal(read(fd, now, 1), 1);
	close(fd);

	/* A child starts with nothing gathered. */
	log_say(LOG_INFO, "parent", "3");
	log_child("child");
	assert_null(strstr(read_back(), "parent"));
}

static void
opens_anew(void **state)
{
	(void)state;
	char moved[sizeof(path) + 2];
	char why[100];
	struct log_options bad = { .path = "/nonexistent/dir/log" };

	open_log(LOG_TEXT, LOG_INFO);
	log_say(LOG_INFO, "before", "1");
	snprintf(moved, sizeof(moved), "%s.1", path);
	assert_int_equal(rename(path, moved), 0);
	assert_true(log_reopen());
	log_say(LOG_INFO, "after", "2");
	assert_null(strstr(read_back(), "before"));
	assert_non_null(strstr(written, "after"));
	unlink(moved);
	assert_false(log_open(&bad, why, sizeof(why)));
	assert_non_null(strstr(why, "/nonexistent/dir/log: No such file"));
}

/* The sum of the losses that lines tell of, and how many such lines there are. */
static uint64_t
lost_in(const char *text, size_t *told_r)
{
	const char *at = text;
	uint64_t sum = 0;

	while ((at = strstr(at, " log-lost lines="))) {
		at += strlen(" log-lost lines=");
		sum += strtoull(at, NULL, 10);
		++*told_r;
	}
	return sum;
}

static size_t
lines_in(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* Standard error is PAIR[1] and nobody reads PAIR[0]: nothing blocks, and what was lost is told
 * when somebody does. */
static void
fills_up(int pair[2])
{
	char why[100];
	struct log_options o = { .path = "-", .level = LOG_INFO, .process = "p" };
	int keep = dup(STDERR_FILENO);
	const unsigned sent = 20000;

	alarm(60);
	assert_true(dup2(pair[1], STDERR_FILENO) >= 0);
	assert_true(log_open(&o, why, sizeof(why)));
	for (unsigned i = 0; i < sent; i++) {
		struct log_line l;

		assert_true(log_begin(&l, i % 100 ? LOG_INFO : LOG_WARNING, "flood", SLICE("id"),
		    SLICE("at")));
		log_u64(&l, "number", i);
		log_end(&l);
	}
	assert_true(log_lost() > 1000);
	assert_int_equal(fcntl(pair[1], F_GETFL) & O_NONBLOCK,
	    0); /* the shared description is as it was */

	size_t got = 0;

	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	for (int idle = 0; idle < 2;) {
		ssize_t n = read(pair[0], written + got, sizeof(written) - 1 - got);

		idle = n > 0 ? 0 : idle + 1;
		got += n > 0 ? (size_t)n : 0;
		log_flush();
	}
	written[got] = '\0';

	size_t told = 0;

	assert_int_equal(lost_in(written, &told), log_lost());
	assert_int_equal(lines_in(written) - told + log_lost(), sent);
	assert_int_equal(written[got - 1], '\n');
	log_close();
	dup2(keep, STDERR_FILENO);
	close(keep);
	close(pair[0]);
	close(pair[1]);
	alarm(0);
}

static void
never_blocks_on_a_pipe(void **state)
{
	(void)state;
	int pair[2];

	assert_int_equal(pipe(pair), 0);
	fills_up(pair);
}

static void
never_blocks_on_a_socket(void **state)
{
	(void)state;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fills_up(pair);
}

/* Several processes share one pipe: lines stay whole. */
static void
lines_stay_whole_among_processes(void **state)
{
	(void)state;
	int pair[2];
	char why[100];
	struct log_options o = { .level = LOG_INFO, .process = "p" };
	int keep = dup(STDERR_FILENO);
	pid_t child[3];
	FILE *in;
	char line[8192];
	int n = 0;

	assert_int_equal(pipe(pair), 0);
	/* Room for all: what does not fit is dropped, never waited for. */
	assert_true(fcntl(pair[1], F_SETPIPE_SZ, 1 << 20) >= 1 << 20);
	dup2(pair[1], STDERR_FILENO);
	assert_true(log_open(&o, why, sizeof(why)));
	for (int c = 0; c < 3; c++) {
		child[c] = fork();
		if (child[c] == 0) {
			log_child("child");
			for (int i = 0; i < 500; i++)
				log_say(LOG_INFO, "line", "%0*d", 20 + i % 400, i);
			log_close();
			_exit(0);
		}
	}
	log_close();
	dup2(keep, STDERR_FILENO);
	close(pair[1]);
	in = fdopen(pair[0], "r");
	while (fgets(line, sizeof(line), in)) {
		assert_int_equal(line[strlen(line) - 1], '\n');
		if (strstr(line + 24, " info child line msg=") != line + 24)
			fail_msg("mixed up: %s", line);
		n++;
	}
	assert_int_equal(n, 1500);
	for (int c = 0; c < 3; c++)
		waitpid(child[c], NULL, 0);
	fclose(in);
	close(keep);
}

static int
make_file(void **state)
{
	(void)state;

	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_text),
		cmocka_unit_test(writes_json),
		cmocka_unit_test(cuts_lines_at_fields),
		cmocka_unit_test(cuts_no_character_in_two),
		cmocka_unit_test(keeps_to_its_level),
		cmocka_unit_test(gathers_until_flushed),
		cmocka_unit_test(opens_anew),
		cmocka_unit_test(never_blocks_on_a_pipe),
		cmocka_unit_test(never_blocks_on_a_socket),
		cmocka_unit_test(lines_stay_whole_among_processes),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
