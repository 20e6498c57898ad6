/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/limits/counters.h"

#include "proxy/limits/counters_checkpoint.h"

#include <stdlib.h>
#include <time.h>

struct counters {
	struct counters_shared *shared;
	struct counters_remote *remote; /* NULL: shared memory alone */
	struct checkpointer *checkpoints;
	bool open; /* what cannot be counted passes */
};

#ifdef BYWAY_TEST_CLOCK
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Seconds that a test lays over the clock: an int64_t in the file that BYWAY_CLOCK names. No other
 * build knows of it. */
static int64_t
test_offset_ms(void)
{
	static const volatile int64_t none;
	static const volatile int64_t *at;
	const char *path = getenv("BYWAY_CLOCK");

	if (!at) {
		int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		void *mem =
		    fd >= 0 ? mmap(NULL, sizeof(*at), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

		at = mem != MAP_FAILED ? mem : &none;
		if (fd >= 0)
			close(fd);
	}
	return *at * 1000;
}
#else
static int64_t
test_offset_ms(void)
{
	return 0;
}
#endif

uint64_t
counters_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + test_offset_ms());
}

struct counters *
counters_open(struct loop *l, struct work *w, const struct conf *c, struct counters_shared *shared,
    struct text *why)
{
	struct counters *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->shared = shared;
	t->open = c->counters.loss == COUNTER_LOSS_OPEN;
	bool ok = (t->checkpoints = checkpointer_open(l, w, c, shared)) != NULL;

	if (ok && c->counters.servers_n > 0)
		ok = (t->remote = counters_remote_open(l, c, shared, why)) != NULL;
	if (ok)
		checkpointer_restore(t->checkpoints, t->remote);
	if (ok && t->remote)
		ok = counters_remote_start(t->remote, checkpointer_node(t->checkpoints));
	if (ok)
		return t;
	counters_close(t);
	return NULL;
}

void
counters_close(struct counters *t)
{
	if (!t)
		return;
	counters_remote_close(t->remote);
	checkpointer_close(t->checkpoints);
	free(t);
}

void
counters_reconf(struct counters *t, const struct conf *c)
{
	t->open = c->counters.loss == COUNTER_LOSS_OPEN;
	checkpointer_reconf(t->checkpoints, c);
	if (t->remote)
		counters_remote_reconf(t->remote, c);
}

static enum counters_when
ask(struct counters *t, struct counters_order *o, enum counters_verb verb)
{
	o->verb = verb;
	o->here = false;
	if (t->remote)
		return counters_remote_ask(t->remote, o);
	if (verb >= COUNTERS_BARE_ADD) {
		o->verdict = COUNTERS_LOST;
		return COUNTERS_NOW;
	}
	o->server = 0;
	if (counters_shared_do(t->shared, o, counters_wall_ms()) == COUNTERS_LOST && t->open)
		o->verdict = COUNTERS_FITS;
	return COUNTERS_NOW;
}

enum counters_when
counters_reserve(struct counters *t, struct counters_order *o)
{
	return ask(t, o, COUNTERS_RESERVE);
}

enum counters_when
counters_look(struct counters *t, struct counters_order *o)
{
	return ask(t, o, COUNTERS_LOOK);
}

enum counters_when
counters_read(struct counters *t, struct counters_order *o)
{
	return ask(t, o, COUNTERS_READ);
}

enum counters_when
counters_reset(struct counters *t, struct counters_order *o)
{
	return ask(t, o, COUNTERS_RESET);
}

void
counters_write_server(const struct counters *t, const struct counters_order *o, struct text *out)
{
	if (t->remote)
		counters_remote_write_server(t->remote, o->server, out);
}

bool
counters_has_servers(const struct counters *t)
{
	return t->remote != NULL;
}

enum counters_when
counters_bare_add(struct counters *t, struct counters_order *o)
{
	return ask(t, o, COUNTERS_BARE_ADD);
}

enum counters_when
counters_bare_take(struct counters *t, struct counters_order *o, uint32_t when_s)
{
	for (unsigned i = 0; i < o->lines_n; i++)
		o->line[i].at = when_s / o->line[i].grain_s;
	return ask(t, o, COUNTERS_BARE_TAKE);
}

enum counters_when
counters_bare_read(struct counters *t, struct counters_order *o)
{
	return ask(t, o, COUNTERS_BARE_READ);
}

enum counters_when
counters_bare_reset(struct counters *t, struct counters_order *o)
{
	return ask(t, o, COUNTERS_BARE_RESET);
}

void
counters_refund(struct counters *t, const struct counters_order *o, uint32_t n)
{
	if (t->remote)
		counters_remote_refund(t->remote, o, n);
	else
		counters_shared_refund(t->shared, o, n, counters_wall_ms());
}

bool
counters_tell(struct counters *t, const struct counters_line *line, unsigned slot, uint64_t period,
    unsigned level)
{
	return counters_shared_tell(t->shared, line, slot, (uint32_t)period, level,
	    counters_wall_ms());
}

void
counters_status(const struct counters *t, struct text *out)
{
	text_fmt(out, "\"backend\":\"%s\",\"full\":%llu", t->remote ? "memcached" : "shared memory",
	    (unsigned long long)atomic_load(&counters_common(t->shared)->full));
	if (!t->remote)
		return;
	text_char(out, ',');
	counters_remote_status(t->remote, out);
}
