/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_CHECK_INSPECT_H
#define CONF_CHECK_INSPECT_H

/*
 * inspect - whether an installation can run: the one check behind `byway check`, `bywayd -t`, a
 * start and a reload
 *
 * Everything is looked at, and every finding told, as the user who will run: INSPECT_CROSS keeps
 * bywayd from starting, INSPECT_WARNING does not but something will not work, INSPECT_GOOD is well.
 * It runs in a child, which becomes [server] user for good where we are root: no key and no TLS
 * library's state is ever in the caller's memory.
 *
 * The child writes a line a finding: grade, TAB, topic, TAB, words, LF.
 *
 * Errors: are findings. Where the child cannot be made or dies, that is the finding.
 */
#include <sys/types.h>

#include "conf/conf.h"

enum inspect_grade { INSPECT_GOOD = '+', INSPECT_WARNING = '!', INSPECT_CROSS = '-' };

struct inspect_finding {
	enum inspect_grade grade;
	struct slice topic; /* "key ring" */
	struct slice words; /* one line */
};

enum {
	INSPECT_PORTS = 1,   /* whether the listeners' addresses can be bound now */
	INSPECT_ONLINE = 2,  /* names, counter servers, MTAs, the clock; takes seconds */
	INSPECT_MIGRATE = 4, /* a sound directory of an older schema is brought to this program's */
	INSPECT_WORDS_MAX = 65536
};

/* The child that looks at PATH; *FD_R is the end to read from. Status 0, 78 behind a cross, or 75
 * where a migration has to wait. -1: errno. WHAT: INSPECT_* or-ed. */
pid_t inspect_spawn(const char *path, unsigned what, int *fd_r) MUST_CHECK;
/* Appends what FD has to OUT, until the child has said all; then its exit status. */
int inspect_gather(pid_t pid, int fd, struct text *out) MUST_CHECK;
/* The child's status; 70 where it died. */
int inspect_reap(pid_t pid);
/* The next finding of what was gathered. False: there are no more. */
bool inspect_next(struct slice *said, struct inspect_finding *f_r) MUST_CHECK;

/* ---- for inspect*.c ---- */

struct inspect {
	int fd;
	unsigned what;
	bool crossed;
	bool makes_folder; /* of the control socket: a start by root does */
	bool busy; /* the only cross passes by itself: another process writes to the directory */
	const struct conf *conf;
};

void inspect_say(struct inspect *in, enum inspect_grade grade, const char *topic, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));
/* The same about an option, with the line where it was set; WORDS is one sentence. */
void inspect_say_of(struct inspect *in, enum inspect_grade grade, const char *topic,
    const char *section, const char *name, const char *key, const char *words);
void inspect_online(struct inspect *in);
void inspect_ports(struct inspect *in);

#endif
