/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege - setuid and its company
 */
#include "wire/privilege.h"

#include "wire/poison.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void
privilege_harden(void)
{
	struct rlimit none = { 0, 0 };
	struct rlimit fds;
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	umask(077);
	sigaction(SIGPIPE, &ignore, NULL);
	(void)setrlimit(RLIMIT_CORE, &none);
	if (getrlimit(RLIMIT_NOFILE, &fds) == 0) {
		fds.rlim_cur = fds.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &fds);
	}
}

static bool
find_group(const char *group, gid_t *gid_r, struct text *why)
{
	const struct group *g;
	uint64_t number;

	/* cppcheck-suppress getgrnamCalled ; one thread */
	if ((g = getgrnam(group))) {
		*gid_r = g->gr_gid;
		return true;
	}
	if (slice_to_u64(slice_str(group), &number) && number <= UINT32_MAX - 1) {
		*gid_r = (gid_t)number;
		return true;
	}
	text_fmt(why, "there is no group '%s', which [server] group names", group);
	return false;
}

bool
privilege_find(const char *user, const char *group, struct privilege_target *to_r, struct text *why)
{
	const struct passwd *p;
	bool root = geteuid() == 0;
	bool named = user && *user;

	*to_r = (struct privilege_target){ .uid = geteuid(), .gid = getegid() };
	if (!root)
		return true;
	if (!named) {
		text_put(why,
		    SLICE(
		        "started as root, and [server] user is not set: write `user = byway` (or "
		        "another user that owns the daemon's files), or `user = root` to stay root"));
		return false;
	}
	/* cppcheck-suppress getpwnamCalled ; one thread */
	if (!(p = getpwnam(user))) {
		text_fmt(why, "there is no user '%s'", user);
		return false;
	}
	to_r->uid = p->pw_uid;
	to_r->gid = p->pw_gid;
	to_r->change = p->pw_uid != 0;
	memcpy(to_r->user, user, slice_head(slice_str(user), sizeof(to_r->user) - 1).n);
	return !(group && *group) || find_group(group, &to_r->gid, why);
}

static bool
become(const struct privilege_target *to, struct text *why)
{
	if (initgroups(to->user, to->gid) != 0 || setgid(to->gid) != 0 || setuid(to->uid) != 0) {
		text_fmt(why, "cannot become user '%s': %s", to->user, strerror(errno));
		return false;
	}
	if (setuid(0) == 0 || getuid() != to->uid || geteuid() != to->uid || getegid() != to->gid) {
		text_fmt(why, "user '%s' could become root again", to->user);
		return false;
	}
	return true;
}

bool
privilege_drop(const struct privilege_target *to, struct text *why)
{
	if (to->change && !become(to, why))
		return false;
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifndef WIRE_HAS_ASAN
	/* The leak checker reads its own process as a debugger would. */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	return true;
}

/* "/run/byway" of "/run/byway/control.sock"; false for any other place. */
static bool
run_folder(const char *path, char folder[64])
{
	struct slice rest = slice_str(path ? path : "");

	if (!slice_starts(rest, SLICE("/run/")))
		return false;
	size_t name = slice_find(slice_skip(rest, 5), '/');
	struct slice file = slice_skip(rest, 5 + name);

	if (name == 0 || file.n < 2 || 5 + name >= 64 ||
	    slice_find(slice_skip(file, 1), '/') < file.n - 1)
		return false;
	memcpy(folder, path, 5 + name);
	folder[5 + name] = '\0';
	return folder[5] != '.';
}

bool
privilege_lacks_folder(const char *path)
{
	char folder[64];

	return run_folder(path, folder) && access(folder, F_OK) != 0 && errno == ENOENT;
}

bool
privilege_make_folder(const char *path, const struct privilege_target *to, struct text *why)
{
	char folder[64];

	if (geteuid() != 0 || !run_folder(path, folder) || !privilege_lacks_folder(path))
		return true;
	/* The umask takes the group's part away. */
	if (mkdir(folder, 0700) == 0 && chown(folder, to->uid, to->gid) == 0 &&
	    chmod(folder, 0750) == 0)
		return true;
	text_fmt(why, "%s: cannot be made: %s", folder, strerror(errno));
	return false;
}
