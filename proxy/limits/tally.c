/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/limits/tally.h"

#include "proxy/limits/tally_checkpoint.h"

#include <stdlib.h>
#include <time.h>

struct tally {
	struct tally_shared *shared;
	struct tally_remote *remote; /* NULL: shared memory alone */
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
tally_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + test_offset_ms());
}

struct tally *
tally_open(struct loop *l, struct work *w, const struct conf *c, struct tally_shared *shared,
    struct text *why)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->shared = shared;
	t->open = c->counters.loss == COUNTER_LOSS_OPEN;
	bool ok = (t->checkpoints = checkpointer_open(l, w, c, shared)) != NULL;

	if (ok && c->counters.servers_n > 0)
		ok = (t->remote = tally_remote_open(l, c, shared, why)) != NULL;
	if (ok)
		checkpointer_restore(t->checkpoints, t->remote);
	if (ok && t->remote)
		ok = tally_remote_start(t->remote, checkpointer_node(t->checkpoints));
	if (ok)
		return t;
	tally_close(t);
	return NULL;
}

void
tally_close(struct tally *t)
{
	if (!t)
		return;
	tally_remote_close(t->remote);
	checkpointer_close(t->checkpoints);
	free(t);
}

void
tally_reconf(struct tally *t, const struct conf *c)
{
	t->open = c->counters.loss == COUNTER_LOSS_OPEN;
	checkpointer_reconf(t->checkpoints, c);
	if (t->remote)
		tally_remote_reconf(t->remote, c);
}

static enum tally_when
ask(struct tally *t, struct tally_order *o, enum tally_verb verb)
{
	o->verb = verb;
	if (t->remote)
		return tally_remote_ask(t->remote, o);
	if (verb >= TALLY_BARE_ADD) {
		o->verdict = TALLY_LOST;
		return TALLY_NOW;
	}
	o->server = 0;
	if (tally_shared_do(t->shared, o, tally_wall_ms()) == TALLY_LOST && t->open)
		o->verdict = TALLY_FITS;
	return TALLY_NOW;
}

enum tally_when
tally_reserve(struct tally *t, struct tally_order *o)
{
	return ask(t, o, TALLY_RESERVE);
}

enum tally_when
tally_look(struct tally *t, struct tally_order *o)
{
	return ask(t, o, TALLY_LOOK);
}

enum tally_when
tally_read(struct tally *t, struct tally_order *o)
{
	return ask(t, o, TALLY_READ);
}

enum tally_when
tally_reset(struct tally *t, struct tally_order *o)
{
	return ask(t, o, TALLY_RESET);
}

bool
tally_has_servers(const struct tally *t)
{
	return t->remote != NULL;
}

enum tally_when
tally_bare_add(struct tally *t, struct tally_order *o)
{
	return ask(t, o, TALLY_BARE_ADD);
}

enum tally_when
tally_bare_read(struct tally *t, struct tally_order *o)
{
	return ask(t, o, TALLY_BARE_READ);
}

enum tally_when
tally_bare_reset(struct tally *t, struct tally_order *o)
{
	return ask(t, o, TALLY_BARE_RESET);
}

void
tally_refund(struct tally *t, const struct tally_order *o, uint32_t n)
{
	if (t->remote)
		tally_remote_refund(t->remote, o, n);
	else
		tally_shared_refund(t->shared, o, n, tally_wall_ms());
}

bool
tally_tell(struct tally *t, const struct tally_line *line, unsigned slot, uint64_t period,
    unsigned level)
{
	return tally_shared_tell(t->shared, line, slot, (uint32_t)period, level, tally_wall_ms());
}

void
tally_status(const struct tally *t, struct text *out)
{
	text_fmt(out, "\"backend\":\"%s\",\"full\":%llu", t->remote ? "memcached" : "shared memory",
	    (unsigned long long)atomic_load(&tally_common(t->shared)->full));
	if (!t->remote)
		return;
	text_char(out, ',');
	tally_remote_status(t->remote, out);
}
