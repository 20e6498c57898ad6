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

enum inspect_topic {
#define INSPECT_TOPIC(name, word, when, what) TOPIC_##name,
#include "conf/check/topic.def"
#undef INSPECT_TOPIC
	TOPICS
};

enum inspect_grade { INSPECT_GOOD = '+', INSPECT_WARNING = '!', INSPECT_CROSS = '-' };

struct inspect_finding {
	enum inspect_grade grade;
	struct slice topic; /* the word of one in topic.def */
	struct slice words; /* one line */
};

enum {
	INSPECT_PORTS = 1,   /* whether the listeners' addresses can be bound now */
	INSPECT_ONLINE = 2,  /* names, counter servers, MTAs, the clock; takes seconds */
	INSPECT_MIGRATE = 4, /* a sound directory of an older schema is brought to this program's */
	INSPECT_WORDS_MAX = 65536,
	INSPECT_LINE_MAX = 8192 /* of one finding's words */
};

/* Waits for a check of PATH. SAID has the findings. 0, or what is to be the exit status: 78 behind
 * a cross, 75 where a migration has to wait, 71 where there is no process, 70 where it died. WHAT:
 * INSPECT_* or-ed. */
int inspect_now(const char *path, unsigned what, struct text *said) MUST_CHECK;
/* The child alone; *FD_R is the end to read from. -1: errno. */
pid_t inspect_spawn(const char *path, unsigned what, int *fd_r) MUST_CHECK;
/* Waits for its end; its status, as above. SAID has what it said; where it died, that is added. */
int inspect_end(pid_t pid, struct text *said);
/* The next finding of what was gathered. False: there are no more. */
bool inspect_next(struct slice *said, struct inspect_finding *f_r) MUST_CHECK;

bool inspect_is_about(const struct inspect_finding *f, enum inspect_topic topic) MUST_CHECK;

/* ---- for inspect*.c ---- */

struct inspect {
	int fd;
	unsigned what;
	bool crossed;
	bool makes_folder; /* of the control socket: a start by root does */
	bool busy; /* the only cross passes by itself: another process writes to the directory */
	const struct conf *conf;
};

void inspect_say(struct inspect *in, enum inspect_grade grade, enum inspect_topic topic,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same about an option, with the line where it was set; WORDS is one sentence. */
void inspect_say_of(struct inspect *in, enum inspect_grade grade, enum inspect_topic topic,
    const char *section, const char *name, const char *key, const char *words);
/* Each line of LINES. */
void inspect_say_lines(struct inspect *in, enum inspect_grade grade, enum inspect_topic topic,
    struct slice lines);
/* WITH_VAULT: the key ring can be opened. */
void inspect_directory(struct inspect *in, bool with_vault);
void inspect_online(struct inspect *in);
void inspect_ports(struct inspect *in);

#endif
