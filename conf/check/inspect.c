/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect - what is looked at, in order; each look tells of itself
 */
#include "conf/check/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "wire/crypto.h"
#include "wire/privilege.h"

enum { CERTIFICATE_DAYS = 14 };

static const char *const topic_words[TOPICS] = {
#define INSPECT_TOPIC(name, word, when, what) word,
#include "conf/check/topic.def"
#undef INSPECT_TOPIC
};

/* ---- to tell ---- */

static void
tell(int fd, struct slice what)
{
	while (what.n > 0) {
		ssize_t n = write(fd, what.p, what.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		what = slice_skip(what, (size_t)n);
	}
}

/* Names of files and of people stand in the words: nothing of them ends a line or a field. */
static void
say_words(struct inspect *in, enum inspect_grade grade, enum inspect_topic topic, const char *words)
{
	char mem[INSPECT_LINE_MAX + 64];
	struct text t = text_over(mem, sizeof(mem));

	text_fmt(&t, "%c\t%s\t", (int)grade, topic_words[topic]);
	size_t head = t.n;

	text_put(&t, slice_head(slice_str(words), INSPECT_LINE_MAX - 2));
	for (size_t i = head; i < t.n; i++) {
		if ((unsigned char)t.mem[i] < 0x20 || t.mem[i] == 0x7f)
			t.mem[i] = ' ';
	}
	text_char(&t, '\n');
	tell(in->fd, text_slice(&t));
	in->crossed = in->crossed || grade == INSPECT_CROSS;
}

void
inspect_say(struct inspect *in, enum inspect_grade grade, enum inspect_topic topic, const char *fmt,
    ...)
{
	char words[INSPECT_LINE_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	say_words(in, grade, topic, words);
}

void
inspect_say_of(struct inspect *in, enum inspect_grade grade, enum inspect_topic topic,
    const char *section, const char *name, const char *key, const char *words)
{
	char mem[INSPECT_LINE_MAX];
	struct text t = text_over(mem, sizeof(mem));

	conf_place(in->conf, section, name, key, &t);
	text_put(&t, slice_head(slice_str(words), INSPECT_LINE_MAX - t.n - 1));
	say_words(in, grade, topic, mem);
}

void
inspect_say_lines(struct inspect *in, enum inspect_grade grade, enum inspect_topic topic,
    struct slice lines)
{
	while (lines.n > 0) {
		struct slice line = slice_cut(&lines, '\n');

		inspect_say(in, grade, topic, "%.*s", SLICE_FMT(line));
	}
}

/* ---- who ---- */

/* For good, where we are root. Where nobody says who that is, the rest is looked at as we are. */
static void
become_user(struct inspect *in)
{
	const struct conf *c = in->conf;
	char mem[1024] = "";
	struct text why = text_over(mem, sizeof(mem));
	struct privilege_target to;

	if (geteuid() == 0 &&
	    (!privilege_find(c->server.user, c->server.group, &to, &why) ||
	        !privilege_drop(&to, &why)))
		inspect_say_of(in, INSPECT_CROSS, TOPIC_RIGHTS, "server", NULL, "user", mem);
}

/* ---- files ---- */

/* The folder of PATH must be there, and files can be made in it. */
static bool
can_make(struct inspect *in, const char *path, const char *section, const char *key)
{
	char copy[PATH_MAX];
	char mem[INSPECT_LINE_MAX];
	struct text t = text_over(mem, sizeof(mem));

	if (!path || strlen(path) >= sizeof(copy))
		return true;
	memcpy(copy, path, strlen(path) + 1);
	const char *folder = dirname(copy);

	if (access(folder, W_OK | X_OK) == 0)
		return true;
	text_fmt(&t, "%s: cannot make files in %s: %s", path, folder, strerror(errno));
	inspect_say_of(in, INSPECT_CROSS, TOPIC_RIGHTS, section, NULL, key, mem);
	return false;
}

/* A file of the database, where it is there: SQLite would open it for reading alone, and say so
 * much later, or not say which of them it was. */
static bool
can_write(struct inspect *in, const char *path, const char *which)
{
	char mem[INSPECT_LINE_MAX];
	struct text t = text_over(mem, sizeof(mem));

	text_fmt(&t, "%s%s", path, which);
	if (access(mem, R_OK | W_OK) == 0 || errno == ENOENT)
		return true;
	text_fmt(&t, ": cannot be written to: %s", strerror(errno));
	inspect_say_of(in, INSPECT_CROSS, TOPIC_RIGHTS, "directory", NULL, "path", mem);
	return false;
}

static void
look_at_rights(struct inspect *in)
{
	const struct conf *c = in->conf;
	bool ok = can_make(in, c->directory.path, "directory", "path");

	ok &= can_write(in, c->directory.path, "");
	ok &= can_write(in, c->directory.path, "-wal");
	ok &= can_write(in, c->directory.path, "-shm");
	if (c->server.control_socket && *c->server.control_socket && !in->makes_folder)
		ok &= can_make(in, c->server.control_socket, "server", "control_socket");
	if (c->log.path && strcmp(c->log.path, "-") != 0)
		ok &= can_make(in, c->log.path, "log", "path");
	if (ok)
		inspect_say(in, INSPECT_GOOD, TOPIC_RIGHTS,
		    "the folders of directory, control socket and log can be written to");
}

/* ---- certificates ---- */

static void
look_at_days(struct inspect *in, const char *name, long days)
{
	char mem[256];
	struct text t = text_over(mem, sizeof(mem));

	if (days >= CERTIFICATE_DAYS)
		return;
	if (days < 0)
		text_fmt(&t, "the certificate has ended %ld days ago: clients refuse it", -days);
	else
		text_fmt(&t, "the certificate ends in %ld days: renew it, then byway reload", days);
	inspect_say_of(in, INSPECT_WARNING, TOPIC_CERTIFICATES, "certificate", name, "chain_file",
	    mem);
}

/* Those of a deep load: they can be read, and the keys are theirs. */
static void
look_at_certificates(struct inspect *in)
{
	const struct conf *c = in->conf;
	char mem[1024];
	struct text t = text_over(mem, sizeof(mem));
	long least = LONG_MAX;
	bool named = false;

	for (size_t i = 0; i < c->certificates_n; i++) {
		const struct conf_certificate *cert = &c->certificates[i];
		struct tls_pair pair = { cert->chain_file, cert->key_file };
		struct tls_server_options o = { .pairs = &pair, .pairs_n = 1 };
		struct tls_ctx *ctx = tls_server_ctx(&o, &t);

		if (!ctx)
			continue;
		long days = tls_ctx_days_left(ctx);

		look_at_days(in, cert->name, days);
		least = days < least ? days : least;
		named = named || tls_ctx_is_for(ctx, slice_str(c->server.name));
		tls_ctx_unref(ctx);
	}
	if (c->certificates_n == 0)
		return;
	text_reset(&t);
	if (named)
		inspect_say(in, INSPECT_GOOD, TOPIC_CERTIFICATES,
		    "%zu, with their keys; the first ends in %ld days; for %s", c->certificates_n,
		    least, c->server.name);
	else
		text_fmt(&t,
		    "no certificate is for %s: clients that connect by this name refuse what they are shown",
		    c->server.name);
	if (!named)
		inspect_say_of(in, INSPECT_WARNING, TOPIC_CERTIFICATES, "server", NULL, "name",
		    mem);
}

/* ---- all of it ---- */

/* Who may reach them; names are looked up only where it may take a while. */
static void
say_of_counters(struct inspect *in)
{
	char mem[INSPECT_LINE_MAX];
	struct text t = text_over(mem, sizeof(mem));

	conf_counter_warnings(in->conf, in->what & INSPECT_ONLINE, &t);
	inspect_say_lines(in, INSPECT_WARNING, TOPIC_COUNTERS, text_slice(&t));
}

static void
look_at_conf(struct inspect *in, const char *path)
{
	static char mem[INSPECT_WORDS_MAX];
	struct text mistakes = text_over(mem, sizeof(mem));
	struct conf *deep = conf_load(path, true, &mistakes);

	if (deep) {
		in->conf = deep;
		inspect_say(in, INSPECT_GOOD, TOPIC_CONFIGURATION,
		    "%s: %zu listener%s, and what it names", path, deep->listeners_n,
		    deep->listeners_n == 1 ? "" : "s");
		look_at_certificates(in);
	} else {
		inspect_say_lines(in, INSPECT_CROSS, TOPIC_CONFIGURATION, text_slice(&mistakes));
	}
	look_at_rights(in);
	inspect_directory(in, deep != NULL);
	say_of_counters(in);
	if (in->what & INSPECT_ONLINE)
		inspect_online(in);
	conf_unref(deep);
}

static void
look(struct inspect *in, const char *path)
{
	static char mem[INSPECT_WORDS_MAX];
	struct text t = text_over(mem, sizeof(mem));
	struct conf *shallow = conf_load(path, false, &t);

	if (!shallow) {
		inspect_say_lines(in, INSPECT_CROSS, TOPIC_CONFIGURATION, text_slice(&t));
		return;
	}
	in->conf = shallow;
	/* While we may still bind what only root can. */
	if (in->what & INSPECT_PORTS)
		inspect_ports(in);
	in->makes_folder = geteuid() == 0 && privilege_lacks_folder(shallow->server.control_socket);
	become_user(in);
	if (crypto_init() && tls_init(&t))
		look_at_conf(in, path);
	else
		inspect_say(in, INSPECT_CROSS, TOPIC_CONFIGURATION,
		    "the cryptographic library does not start");
	in->conf = NULL;
	conf_unref(shallow);
}

pid_t
inspect_spawn(const char *path, unsigned what, int *fd_r)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		struct inspect in = { .fd = fds[1], .what = what };

		close(fds[0]);
		look(&in, path);
		_exit(in.busy ? EX_TEMPFAIL : in.crossed ? EX_CONFIG : EX_OK);
	}
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	else
		*fd_r = fds[0];
	return pid;
}

/* About the check itself, as the child would write it. */
static void
add_fault(struct text *said, const char *words)
{
	text_fmt(said, "%c\t%s\t%s\n", (int)INSPECT_CROSS, topic_words[TOPIC_SYSTEM], words);
}

static bool
has_cross(struct slice said)
{
	struct inspect_finding f;

	while (inspect_next(&said, &f)) {
		if (f.grade == INSPECT_CROSS)
			return true;
	}
	return false;
}

int
inspect_end(pid_t pid, struct text *said)
{
	int status = 0;
	pid_t got;

	do {
		got = waitpid(pid, &status, 0);
	} while (got < 0 && errno == EINTR);
	int code = got == pid && WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;

	/* Who ends badly without a cross has died. */
	if (code && !has_cross(text_slice(said)))
		add_fault(said, "the process that checks died");
	return code;
}

int
inspect_now(const char *path, unsigned what, struct text *said)
{
	char mem[4096];
	ssize_t n;
	int fd;
	pid_t pid = inspect_spawn(path, what, &fd);

	if (pid < 0) {
		add_fault(said, strerror(errno));
		return EX_OSERR;
	}
	while ((n = read(fd, mem, sizeof(mem))) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0)
			text_put(said, slice_of(mem, (size_t)n));
	}
	close(fd);
	return inspect_end(pid, said);
}

bool
inspect_next(struct slice *said, struct inspect_finding *f_r)
{
	struct slice line = slice_cut(said, '\n');
	struct slice grade = slice_cut(&line, '\t');

	if (grade.n != 1)
		return false;
	f_r->grade = (enum inspect_grade)grade.p[0];
	f_r->topic = slice_cut(&line, '\t');
	f_r->words = line;
	return true;
}

bool
inspect_is_about(const struct inspect_finding *f, enum inspect_topic topic)
{
	return slice_eq(f->topic, slice_str(topic_words[topic]));
}
