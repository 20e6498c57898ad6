/* SPDX-License-Identifier: Apache-2.0 */
#include "console/http/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 250, WAITING_MAX = 256 };

struct visitor {
	struct visitor *prev, *next; /* in the order of their coming */
	void *of;
	int fd;
	int waits_for; /* -1: for nothing */
	uid_t user;
	enum watch_phase phase;
	double since; /* of the phase */
	bool ended;
};

struct watch {
	struct watch_limits limits;
	watch_resume_fn *fn;
	pthread_mutex_t lock;
	pthread_t thread;
	int wake[2];
	bool over;
	struct visitor *first, *last;
};

static double
now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
end(struct visitor *v)
{
	v->ended = true;
	(void)shutdown(v->fd, SHUT_RDWR);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void
end_slow(struct watch *w)
{
	double now = now_s();

	for (struct visitor *v = w->first; v; v = v->next) {
		double bound = w->limits.seconds[v->phase];

		if (!v->ended && bound > 0 && now - v->since > bound)
			end(v);
	}
}

static size_t
gather(struct watch *w, struct pollfd *fds)
{
	size_t n = 1;

	fds[0] = (struct pollfd){ .fd = w->wake[0], .events = POLLIN };
	for (struct visitor *v = w->first; v && n < WAITING_MAX; v = v->next)
		if (v->waits_for >= 0)
			fds[n++] = (struct pollfd){ .fd = v->waits_for, .events = POLLIN };
	return n;
}

static bool
is_ready(const struct pollfd *fds, size_t n, int fd)
{
	for (size_t i = 1; i < n; i++)
		if (fds[i].fd == fd && fds[i].revents)
			return true;
	return false;
}

/* Whoever waits for what can be read now; everybody, at the end. A descriptor that was closed and
 * is another's now wakes that one for nothing, and it waits again. */
static size_t
take_ready(struct watch *w, const struct pollfd *fds, size_t n, void **ready)
{
	size_t ready_n = 0;

	for (struct visitor *v = w->first; v && ready_n < WAITING_MAX; v = v->next) {
		if (v->waits_for < 0 || !(w->over || is_ready(fds, n, v->waits_for)))
			continue;
		v->waits_for = -1;
		ready[ready_n++] = v->of;
	}
	return ready_n;
}

static void *
work(void *arg)
{
	struct watch *w = arg;
	struct pollfd fds[WAITING_MAX];
	void *ready[WAITING_MAX];
	char scrap[64];
	bool over = false;

	while (!over) {
		pthread_mutex_lock(&w->lock);
		size_t n = gather(w, fds);

		pthread_mutex_unlock(&w->lock);
		(void)poll(fds, (nfds_t)n, TICK_MS);
		if (fds[0].revents)
			(void)!read(w->wake[0], scrap, sizeof(scrap));
		pthread_mutex_lock(&w->lock);
		over = w->over;
		n = take_ready(w, fds, n, ready);
		end_slow(w);
		pthread_mutex_unlock(&w->lock);
		/* Without the lock: what is resumed may call us at once. None of them can leave
		 * before it is resumed. */
		for (size_t i = 0; i < n; i++)
			w->fn(ready[i]);
	}
	return NULL;
}

static void
wake(struct watch *w)
{
	/* Full: it is awake. */
	(void)!write(w->wake[1], "", 1);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct watch *
watch_open(const struct watch_limits *limits, watch_resume_fn *fn)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->limits = *limits;
	w->fn = fn;
	if (pipe2(w->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
		free(w);
		return NULL;
	}
	pthread_mutex_init(&w->lock, NULL);
	if (pthread_create(&w->thread, NULL, work, w) == 0)
		return w;
	w->over = true;
	watch_close(w);
	return NULL;
}

void
watch_stop(struct watch *w)
{
	bool first;

	pthread_mutex_lock(&w->lock);
	first = !w->over;
	w->over = true;
	pthread_mutex_unlock(&w->lock);
	wake(w);
	if (first)
		pthread_join(w->thread, NULL);
}

void
watch_close(struct watch *w)
{
	if (!w)
		return;
	if (!w->over)
		watch_stop(w);
	close(w->wake[0]);
	close(w->wake[1]);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* ---- visitors -------------------------------------------------------------------------------- */

/* Makes room for V among its user's. */
static void
keep_few(struct watch *w, struct visitor *v)
{
	struct visitor *idle = NULL;
	unsigned n = 0;

	for (struct visitor *o = w->first; o; o = o->next) {
		if (o->ended || o->user != v->user)
			continue;
		n++;
		if (!idle && o != v && o->phase == WATCH_HEAD)
			idle = o;
	}
	if (n > w->limits.of_user)
		end(idle ? idle : v);
}

struct visitor *
watch_enter(struct watch *w, int fd, void *of)
{
	struct visitor *v = calloc(1, sizeof(*v));
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (!v)
		return NULL;
	*v = (struct visitor){ .of = of, .fd = fd, .waits_for = -1, .since = now_s() };
	v->user = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 ? peer.uid : (uid_t)-1;
	pthread_mutex_lock(&w->lock);
	v->prev = w->last;
	if (w->last)
		w->last->next = v;
	else
		w->first = v;
	w->last = v;
	keep_few(w, v);
	pthread_mutex_unlock(&w->lock);
	return v;
}

void
watch_leave(struct watch *w, struct visitor *v)
{
	pthread_mutex_lock(&w->lock);
	*(v->prev ? &v->prev->next : &w->first) = v->next;
	*(v->next ? &v->next->prev : &w->last) = v->prev;
	pthread_mutex_unlock(&w->lock);
	free(v);
}

void
watch_set(struct watch *w, struct visitor *v, enum watch_phase phase)
{
	pthread_mutex_lock(&w->lock);
	v->phase = phase;
	v->since = now_s();
	pthread_mutex_unlock(&w->lock);
}

bool
watch_wait(struct watch *w, struct visitor *v, int fd)
{
	bool will;

	pthread_mutex_lock(&w->lock);
	will = !w->over;
	if (will)
		v->waits_for = fd;
	pthread_mutex_unlock(&w->lock);
	if (will)
		wake(w);
	return will;
}
