/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf/vault/vault.h"
#include "wire/crypto.h"

/*
 * Writing the key ring. A key that was used and then lost is a lost password for every row that it
 * sealed: so writers take turns (a lock on the file), and a new ring replaces the old one only when
 * it is whole and on disk.
 */
enum { KEY_OCTETS = 32, LINE_MAX_OCTETS = 256 };

static bool
fail(struct text *why, const char *path, const char *what)
{
	text_fmt(why, "%s: %s", path, what);
	return false;
}

/* "k20261121a7 <64 hex digits>\n" */
static bool
new_line(struct text *t)
{
	struct secret tail = { .p = NULL };
	unsigned char key[KEY_OCTETS];
	time_t now = time(NULL);
	struct tm tm;
	bool ok =
	    gmtime_r(&now, &tm) && secret_generate(&tail, 2) && crypto_random(key, sizeof(key));

	if (ok) {
		text_fmt(t, "k%04d%02d%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
		text_put(t, secret_peek(&tail));
		text_char(t, ' ');
		text_hex(t, slice_of((const char *)key, sizeof(key)));
		text_char(t, '\n');
	}
	crypto_wipe(key, sizeof(key));
	secret_fini(&tail);
	return ok && !t->overflow;
}

static bool
write_all(int fd, struct slice s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = slice_skip(s, (size_t)n);
	}
	return fsync(fd) == 0;
}

/* So that the name is on disk too. */
static void
sync_folder(const char *path)
{
	char mem[4096];
	struct text dir = text_over(mem, sizeof(mem));
	struct slice s = slice_str(path);
	int fd;

	while (s.n && s.p[s.n - 1] != '/')
		s.n--;
	text_put(&dir, s.n ? s : SLICE("."));
	fd = open(mem, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

bool
vault_create(const char *key_file, struct text *why)
{
	char mem[LINE_MAX_OCTETS];
	struct text line = text_over(mem, sizeof(mem));
	int fd;
	bool ok;

	if (!new_line(&line)) {
		crypto_wipe(mem, sizeof(mem));
		return fail(why, key_file, "no random numbers");
	}
	fd = open(key_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		crypto_wipe(mem, sizeof(mem));
		return fail(why, key_file, strerror(errno));
	}
	ok = fchmod(fd, 0600) == 0 && write_all(fd, text_slice(&line));
	crypto_wipe(mem, sizeof(mem));
	if (!ok) {
		(void)fail(why, key_file, strerror(errno));
		(void)unlink(key_file);
	}
	close(fd);
	if (ok)
		sync_folder(key_file);
	return ok;
}

/* The file that KEY_FILE names now, locked; not one that was renamed over while we waited. */
static int
open_locked(const char *key_file)
{
	for (int tries = 0; tries < 100; tries++) {
		struct stat held, named;
		int fd = open(key_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX) == 0 && fstat(fd, &held) == 0 &&
		    stat(key_file, &named) == 0 && held.st_ino == named.st_ino &&
		    held.st_dev == named.st_dev)
			return fd;
		close(fd);
	}
	errno = EBUSY;
	return -1;
}

/* The new ring under KEY_FILE's name; OLD tells whose it is to be. */
static bool
replace(const char *key_file, int old, struct slice ring, struct text *why)
{
	char temp[4096];
	struct text name = text_over(temp, sizeof(temp));
	struct stat st;
	int fd;
	bool ok;

	text_fmt(&name, "%s.XXXXXX", key_file);
	if (name.overflow)
		return fail(why, key_file, strerror(ENAMETOOLONG));
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return fail(why, temp, strerror(errno));
	ok = fstat(old, &st) == 0 && fchmod(fd, 0600) == 0 &&
	    (st.st_uid == geteuid() || fchown(fd, st.st_uid, st.st_gid) == 0) &&
	    write_all(fd, ring) && rename(temp, key_file) == 0;
	if (!ok) {
		(void)fail(why, key_file, strerror(errno));
		(void)unlink(temp);
	}
	close(fd);
	if (ok)
		sync_folder(key_file);
	return ok;
}

static bool
add_to(const char *key_file, int old, struct text *why)
{
	char mem[LINE_MAX_OCTETS], words[512];
	struct text line = text_over(mem, sizeof(mem)), t;
	struct secret ring, grown = { .p = NULL };
	bool ok = false;

	if (!secret_read_file(&ring, key_file, false, words, sizeof(words))) {
		text_put(why, slice_str(words));
		return false;
	}
	/* An id that is taken would make the whole ring unreadable. */
	do {
		text_reset(&line);
		ok = new_line(&line);
	} while (ok && memmem(ring.p, ring.n, line.mem, slice_find(text_slice(&line), ' ') + 1));
	if (!ok || !secret_make(&grown, ring.n + 1 + line.n)) {
		ok = fail(why, key_file, "no memory or no random numbers");
	} else {
		t = text_over(grown.p, grown.n + 1);
		text_put(&t, secret_peek(&ring));
		if (ring.n)
			text_char(&t, '\n');
		text_put(&t, text_slice(&line));
		ok = replace(key_file, old, text_slice(&t), why);
	}
	crypto_wipe(mem, sizeof(mem));
	secret_fini(&grown);
	secret_fini(&ring);
	return ok;
}

bool
vault_add_key(const char *key_file, struct text *why)
{
	/* What cannot be opened must not be written anew. */
	struct vault *v = vault_open(key_file, why);
	char real[PATH_MAX];
	int fd;
	bool ok;

	if (!v)
		return false;
	vault_close(v);
	/* A link stays one: it is the file behind it that is replaced. */
	if (!realpath(key_file, real))
		return fail(why, key_file, strerror(errno));
	fd = open_locked(real);
	if (fd < 0)
		return fail(why, key_file, strerror(errno));
	ok = add_to(real, fd, why);
	close(fd);
	return ok;
}
