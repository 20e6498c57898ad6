/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/logins.h"

#include "conf/vault/secret.h"
#include "wire/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_OCTETS_MAX = 1 << 26 };

static const char env[] = "BYWAY_BENCH_PASSWORD";

static void
dump_nothing(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
}

/* A file of more than secret_read_file() takes: lists are long. */
static bool
slurp(struct logins *l, int fd, const char *path, struct text *why)
{
	struct stat st;
	ssize_t got = 1;
	size_t n = 0;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_OCTETS_MAX) {
		text_fmt(why, "%s: not a file of at most %d octets", path, FILE_OCTETS_MAX);
		return false;
	}
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		text_fmt(why, "%s: others may touch it: chmod 600 %s", path, path);
		return false;
	}
	l->size = (size_t)st.st_size + 1;
	l->mem = calloc(1, l->size);
	while (l->mem && got > 0 && n + 1 < l->size) {
		got = read(fd, l->mem + n, l->size - 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	if (!l->mem || got < 0) {
		text_fmt(why, "%s: cannot be read", path);
		return false;
	}
	return true;
}

static bool
add(struct logins *l, struct slice name, struct slice password)
{
	/* Room for 64 at first, and double at each power of two after. */
	if (l->n == 0 || (l->n >= 64 && (l->n & (l->n - 1)) == 0)) {
		struct login *more = realloc(l->at, (l->n ? 2 * l->n : 64) * sizeof(*more));

		if (!more)
			return false;
		l->at = more;
	}
	l->at[l->n++] = (struct login){ .name = name, .password = password };
	return true;
}

static bool
take_lines(struct logins *l, const char *path, struct text *why)
{
	struct slice rest = slice_of(l->mem, strlen(l->mem));

	for (unsigned number = 1; rest.n > 0; number++) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));
		size_t n = 0;

		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
			n++;
		struct slice name = slice_head(line, n);
		struct slice password = slice_trim(slice_skip(line, n));

		/* The words must not show what stands there. */
		if (password.n == 0 || !slice_is_text(name)) {
			text_fmt(why, "%s:%u: a line is NAME PASSWORD", path, number);
			return false;
		}
		if (!add(l, name, password)) {
			text_fmt(why, "%s: no memory for it", path);
			return false;
		}
	}
	if (l->n == 0)
		text_fmt(why, "%s: no log-ins in it", path);
	return l->n > 0;
}

bool
logins_read(struct logins *l, const char *path, struct text *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good;

	*l = (struct logins){ 0 };
	dump_nothing();
	if (fd < 0) {
		text_fmt(why, "%s: %s", path, strerror(errno));
		return false;
	}
	good = slurp(l, fd, path, why) && take_lines(l, path, why);
	close(fd);
	if (!good)
		logins_fini(l);
	return good;
}

static bool
password_of(struct secret *s, const char *path, struct text *why)
{
	char mem[512];
	char *value = getenv(env);

	if (path) {
		if (secret_read_file(s, path, false, mem, sizeof(mem)))
			return true;
		text_fmt(why, "%s", mem);
		return false;
	}
	if (!value) {
		text_fmt(why,
		    "a password is needed: --password-file FILE, or %s in the environment", env);
		return false;
	}
	if (!secret_init(s, slice_str(value))) {
		text_put(why, SLICE("no memory for a password"));
		return false;
	}
	crypto_wipe(value, strlen(value));
	(void)unsetenv(env);
	return true;
}

bool
logins_one(struct logins *l, const char *name, const char *path, struct text *why)
{
	struct secret s = { 0 };
	size_t name_n = strlen(name);

	*l = (struct logins){ 0 };
	dump_nothing();
	if (!password_of(&s, path, why))
		return false;
	l->size = name_n + s.n + 1;
	l->mem = malloc(l->size);
	if (l->mem) {
		memcpy(l->mem, name, name_n);
		memcpy(l->mem + name_n, secret_peek(&s).p, s.n);
	}
	bool good = l->mem && add(l, slice_of(l->mem, name_n), slice_of(l->mem + name_n, s.n));

	secret_fini(&s);
	if (!good) {
		text_put(why, SLICE("no memory for a password"));
		logins_fini(l);
	}
	return good;
}

bool
logins_has(const struct logins *l, struct slice name, struct slice password)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct login *at = &l->at[i];

		if (slice_eq(at->name, name))
			return at->password.n == password.n &&
			    crypto_equal(at->password.p, password.p, password.n);
	}
	return false;
}

void
logins_fini(struct logins *l)
{
	if (l->mem)
		crypto_wipe(l->mem, l->size);
	free(l->mem);
	free(l->at);
	*l = (struct logins){ 0 };
}
