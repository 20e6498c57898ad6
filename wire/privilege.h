/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_PRIVILEGE_H
#define WIRE_PRIVILEGE_H

/*
 * privilege - what a process of ours may do, and how root becomes nobody in particular
 *
 * Errors: words in WHY.
 * Never:  keeps anything of root: groups, saved ids and capabilities go with setuid, and it is
 *         tried whether they could come back.
 */
#include <sys/types.h>

#include "wire/slice.h"
#include "wire/text.h"

/* umask, core dumps, SIGPIPE, descriptors: first thing in main, needs no right. */
void privilege_harden(void);

struct privilege_target {
	bool change; /* false: we are not root, or the operator wrote `user = root` */
	uid_t uid;
	gid_t gid;
	char user[65];
};

/* Who we shall be, from [server] user and group. As root without a user it is an error: the
 * operator has to say what is wanted. */
bool privilege_find(const char *user, const char *group, struct privilege_target *to_r,
    struct text *why) MUST_CHECK;
/* Become it, for good. Also: no new privileges through exec, no ptrace and no dump by others of our
 * user. */
bool privilege_drop(const struct privilege_target *to, struct text *why) MUST_CHECK;

/* Whether PATH's folder is one directly below /run that is not there: what a boot takes away, and
 * root makes again at a start (privilege_make_folder()). */
bool privilege_lacks_folder(const char *path) MUST_CHECK;
/* As root: that folder, for TO and its group. True too where there is nothing to do. */
bool privilege_make_folder(const char *path, const struct privilege_target *to, struct text *why)
    MUST_CHECK;

#endif
