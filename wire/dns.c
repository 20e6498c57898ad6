/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns - lines, turns, deadlines (dns_ares.c: the channel, and what answers say)
 *
 *      dns_look_up() -> in its account's line -> (its turn) asked -> over, a task tells
 *                                 '------------- deadline ---------------^
 */
#include "wire/dns_private.h"

#include <stdlib.h>

enum { ASKED_MAX = 512, FLIGHTS_MAX = 4096, NAME_MAX_OCTETS = 253 };

/* How long addresses of one family wait for the other's. IPv4 is what everybody can reach. */
static const double after_v4_s = 0.05;
static const double after_v6_s = 1;
static const unsigned half_ttl = 10; /* seconds that one family alone is believed */

static void on_deadline(struct ev_loop *ev, ev_timer *t, int revents);

/* ---- lines ----------------------------------------------------------------------------------- */

static struct line *
find_line(const struct dns *d, uint64_t account)
{
	struct line *l = d->turn;

	if (!l)
		return NULL;
	do {
		if (l->account == account)
			return l;
		l = l->next;
	} while (l != d->turn);
	return NULL;
}

/* The newest is served last. */
static struct line *
make_line(struct dns *d, uint64_t account)
{
	struct line *l = find_line(d, account);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->account = account;
	l->last = &l->first;
	l->next = d->turn ? d->turn->next : l;
	if (d->turn)
		d->turn->next = l;
	d->turn = l;
	return l;
}

static void
drop_line(struct dns *d, struct line *l)
{
	struct line *before = l;

	if (l->asked || l->waiting)
		return;
	while (before->next != l)
		before = before->next;
	before->next = l->next;
	if (d->turn == l)
		d->turn = before == l ? NULL : before;
	free(l);
}

static void
enter(struct line *l, struct flight *f)
{
	f->line = l;
	f->next = NULL;
	*l->last = f;
	l->last = &f->next;
	l->waiting++;
}

static void
leave(struct flight *f)
{
	struct line *l = f->line;
	struct flight **at = &l->first;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	if (l->last == &f->next)
		l->last = at;
	l->waiting--;
}

/* ---- flights --------------------------------------------------------------------------------- */

static void
drop_flight(struct flight *f)
{
	struct dns *d = f->dns;
	struct flight **at = &d->asked;

	while (*at && *at != f)
		at = &(*at)->next;
	if (*at)
		*at = f->next;
	ev_timer_stop(loop_ev(d->loop), &f->deadline);
	loop_cancel(d->loop, &f->task);
	if (f->ask)
		f->ask->flight = NULL;
	d->flights--;
	free(f->answer);
	free(f);
}

/* Its place in the line goes to the next; what c-ares still has of it stays until it lets go. */
static void
free_place(struct flight *f)
{
	struct dns *d = f->dns;
	struct line *l = f->line;

	if (!l)
		return;
	if (f->state == FLIGHT_WAITS) {
		leave(f);
	} else {
		l->asked--;
		d->asked_n--;
	}
	f->line = NULL;
	drop_line(d, l);
}

static bool
is_out(const struct flight *f)
{
	return f->at[0].out || f->at[1].out;
}

static void
put_questions(struct flight *f)
{
	f->answer->n = 0;
	f->answer->used = 0;
	f->answer->ttl_s = DNS_NO_TTL;
	dns_channel_ask(f);
}

static void
ask(struct flight *f)
{
	struct dns *d = f->dns;

	leave(f);
	f->line->asked++;
	d->asked_n++;
	f->state = FLIGHT_ASKED;
	f->next = d->asked;
	d->asked = f;
	f->answer = malloc(sizeof(*f->answer));
	if (f->answer && d->channel)
		put_questions(f);
	else
		loop_defer(d->loop, &f->task);
}

static void
reopen(struct dns *d)
{
	dns_channel_close(d);

	bool open = dns_channel_open(d);

	for (struct flight *f = d->asked, *next; f; f = next) {
		next = f->next;
		if (f->state == FLIGHT_OVER)
			drop_flight(f);
		else if (open && f->answer && !f->task.waiting)
			put_questions(f);
	}
}

/* Who may have one more under way, and is next. */
static struct line *
next_line(const struct dns *d)
{
	struct line *l = d->turn;

	if (!l)
		return NULL;
	do {
		l = l->next;
		if (l->waiting && l->asked < DNS_AT_ONCE)
			return l;
	} while (l != d->turn);
	return NULL;
}

static void
feed(struct dns *d)
{
	struct line *l;

	while (d->asked_n < ASKED_MAX && (l = next_line(d)) != NULL) {
		d->turn = l;
		ask(l->first);
	}
}

/* Both families together: one that failed is no reason to do without the other. */
static enum dns_got
sum(const struct flight *f)
{
	enum dns_got a = f->at[0].got, b = f->at[1].got;

	if (f->type != DNS_ADDRESS || a == b)
		return a;
	if (a == DNS_FOUND || b == DNS_FOUND)
		return DNS_FOUND;
	if (a == DNS_FAILED || b == DNS_FAILED)
		return DNS_FAILED;
	return DNS_NO_NAME;
}

static void
tell(struct task *t)
{
	static const struct dns_answer nothing = { .got = DNS_FAILED };
	struct flight *f = (struct flight *)(void *)((char *)t - offsetof(struct flight, task));
	struct dns *d = f->dns;
	struct dns_answer *a = f->answer;
	struct dns_ask *who = f->ask;

	if (a) {
		a->got = sum(f);
		if (a->got == DNS_FOUND && f->type == DNS_ADDRESS &&
		    (f->at[0].got == DNS_FAILED || f->at[1].got == DNS_FAILED) &&
		    a->ttl_s > half_ttl)
			a->ttl_s = half_ttl;
	}
	free_place(f);
	f->state = FLIGHT_OVER;
	f->answer = NULL;
	f->ask = NULL;
	ev_timer_stop(loop_ev(d->loop), &f->deadline);
	if (!is_out(f))
		drop_flight(f);
	if (who) {
		who->flight = NULL;
		who->fn(who, a ? a : &nothing);
	}
	free(a);
	feed(d);
}

static void
set_deadline(struct flight *f, double seconds)
{
	ev_timer_stop(loop_ev(f->dns->loop), &f->deadline);
	ev_timer_set(&f->deadline, seconds > 0 ? seconds : 0., 0.);
	ev_timer_start(loop_ev(f->dns->loop), &f->deadline);
}

static void
on_deadline(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct flight *f = t->data;

	(void)ev;
	(void)revents;
	if (!f->task.waiting)
		loop_defer(f->dns->loop, &f->task);
}

void
dns_heard(struct flight *f)
{
	struct dns *d = f->dns;
	double left = f->until - loop_now(d->loop);
	double grace = f->at[0].out ? after_v6_s : after_v4_s;

	if (f->state == FLIGHT_OVER) {
		if (!is_out(f) && !f->task.waiting)
			drop_flight(f);
		return;
	}
	if (f->task.waiting)
		return;
	if (!is_out(f))
		loop_defer(d->loop, &f->task);
	else if (f->at[0].got == DNS_FOUND || f->at[1].got == DNS_FOUND)
		set_deadline(f, grace < left ? grace : left);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* c-ares reads a backslash as the beginning of an escape. */
static bool
is_name(struct slice name)
{
	return name.n > 0 && name.n <= NAME_MAX_OCTETS && !memchr(name.p, '\0', name.n) &&
	    !memchr(name.p, '\\', name.n);
}

static struct flight *
make_flight(struct dns *d, struct slice name, enum dns_type type, struct dns_ask *who)
{
	struct flight *f = calloc(1, sizeof(*f) + name.n + 1);

	if (!f)
		return NULL;
	memcpy(f->name, name.p, name.n);
	f->name_n = name.n;
	f->dns = d;
	f->ask = who;
	f->type = type;
	f->at[0].got = f->at[1].got = DNS_FAILED;
	f->task.fn = tell;
	ev_init(&f->deadline, on_deadline);
	f->deadline.data = f;
	d->flights++;
	who->flight = f;
	return f;
}

static void
set_until(struct flight *f, double seconds)
{
	f->until = loop_now(f->dns->loop) + seconds;
	set_deadline(f, seconds);
}

bool
dns_look_up(struct dns *d, uint64_t account, struct slice name, enum dns_type type, double seconds,
    struct dns_ask *who)
{
	struct flight *f;
	struct line *l;

	who->flight = NULL;
	if (!is_name(name) || d->flights >= FLIGHTS_MAX || !(l = make_line(d, account)))
		return false;
	if (l->waiting >= DNS_LINE_MAX || !(f = make_flight(d, name, type, who))) {
		drop_line(d, l);
		return false;
	}
	enter(l, f);
	set_until(f, seconds < DNS_PATIENCE_S ? seconds : DNS_PATIENCE_S);
	if (dns_channel_is_old(d))
		reopen(d);
	feed(d);
	return true;
}

void
dns_join(struct dns_ask *who, uint64_t account)
{
	struct flight *f = who->flight;
	struct line *to;

	if (!f || f->state != FLIGHT_WAITS || f->task.waiting || f->line->account == account)
		return;

	struct dns *d = f->dns;
	struct line *from = f->line;

	to = make_line(d, account);
	if (!to || to->waiting >= from->waiting)
		return;
	leave(f);
	enter(to, f);
	drop_line(d, from);
	set_until(f, DNS_PATIENCE_S);
	feed(d);
}

/* One that was asked keeps its account's place: to ask and to go away must not be a way past the
 * line. */
void
dns_forget(struct dns_ask *who)
{
	struct flight *f = who->flight;

	who->flight = NULL;
	if (!f)
		return;
	f->ask = NULL;
	if (f->state != FLIGHT_WAITS)
		return;
	free_place(f);
	drop_flight(f);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct dns *
dns_open(struct loop *l, const struct dns_servers *servers)
{
	struct dns *d;

	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d) {
		ares_library_cleanup();
		return NULL;
	}
	d->loop = l;
	d->servers = *servers;
	if (!dns_channel_open(d)) {
		ares_library_cleanup();
		free(d);
		return NULL;
	}
	return d;
}

static bool
are_same(const struct dns_servers *a, const struct dns_servers *b)
{
	return a->n == b->n && a->timeout_s == b->timeout_s &&
	    memcmp(a->at, b->at, a->n * sizeof(a->at[0])) == 0;
}

void
dns_set_servers(struct dns *d, const struct dns_servers *servers)
{
	if (are_same(&d->servers, servers))
		return;
	d->servers = *servers;
	reopen(d);
}

void
dns_close(struct dns *d)
{
	if (!d)
		return;
	dns_channel_close(d);
	while (d->turn) {
		struct line *l = d->turn;

		while (l->first) {
			struct flight *f = l->first;

			leave(f);
			f->line = NULL;
			drop_flight(f);
		}
		for (struct flight *f = d->asked, *next; f; f = next) {
			next = f->next;
			if (f->line != l)
				continue;
			l->asked--;
			f->line = NULL;
		}
		drop_line(d, l);
	}
	while (d->asked)
		drop_flight(d->asked);
	ares_library_cleanup();
	free(d);
}
