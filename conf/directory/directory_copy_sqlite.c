/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/directory_db_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_PAGES = 1024, COPY_PAUSE_MS = 10, COPY_BUSY_MAX = 500 };

static bool
copy_into(sqlite3 *to, struct db *from, struct text *why)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from->h, "main");
	int rc = b ? SQLITE_OK : sqlite3_errcode(to);

	/* Somebody who writes meanwhile makes it begin anew, or wait. */
	for (int busy = 0; b && busy < COPY_BUSY_MAX;) {
		rc = sqlite3_backup_step(b, COPY_PAGES);
		if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
			busy++;
			(void)sqlite3_sleep(COPY_PAUSE_MS);
		} else if (rc != SQLITE_OK) {
			break;
		}
	}
	int end = b ? sqlite3_backup_finish(b) : rc;

	if (rc == SQLITE_DONE && end == SQLITE_OK)
		return true;
	text_fmt(why, "%s", rc == SQLITE_DONE ? sqlite3_errstr(end) : sqlite3_errstr(rc));
	return false;
}

static bool
fill(const char *path, struct db *from, struct text *why)
{
	sqlite3 *to = NULL;
	bool ok = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
	    SQLITE_OK;

	if (!ok)
		text_fmt(why, "%s", to ? sqlite3_errmsg(to) : "no memory");
	ok = ok && copy_into(to, from, why);
	sqlite3_close(to);
	return ok;
}

bool
db_copy(struct db *from, const char *path, unsigned mode, struct text *why)
{
	char part[PATH_MAX];
	char reason[512] = "";
	struct text t = text_over(reason, sizeof(reason));
	int fd = -1;

	if (snprintf(part, sizeof(part), "%s.part", path) < (int)sizeof(part)) {
		(void)unlink(part);
		fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	if (fd < 0) {
		text_fmt(why, "%s: cannot be made: %s", path, strerror(errno));
		return false;
	}
	bool ok = fill(part, from, &t);

	ok = ok && fchmod(fd, mode) == 0 && fsync(fd) == 0 && rename(part, path) == 0;
	if (!ok) {
		text_fmt(why, "%s: %s", path, reason[0] ? reason : strerror(errno));
		(void)unlink(part);
	}
	close(fd);
	return ok;
}
