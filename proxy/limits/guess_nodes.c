/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/limits/guess_nodes.h"

#include "wire/crypto.h"

#include <stdlib.h>

enum { SUBJECT_MAX = 1024 };

/* What is about a name is on the name's server, what is about an address on the address's: two
 * orders, one conversation where that is the same one. */
enum { BY_NAME, BY_ADDRESS, ORDERS };

struct leg {
	struct counters_order order; /* first */
	struct guess_inquiry *query;
};

struct guess_inquiry {
	struct leg leg[ORDERS];
	unsigned waits;
	struct guess_mark *into; /* NULL: nobody wants to know any more */
	guess_answered_fn *fn;
	void *ctx;
	uint64_t owner;
};

struct guess_rules
guess_rules_of(const struct conf *c)
{
	return (struct guess_rules){
		.window_s = c->guessing.window_s,
		.name_failures = c->guessing.name_failures,
		.address_failures = c->guessing.address_failures,
		.name_free = c->guessing.name_free,
		.address_free = c->guessing.address_free,
		.per_user = c->guessing.per_user,
		.delay_max_s = c->guessing.delay_s,
		.remember_s = c->guessing.remember_s,
	};
}

/* ---- series ---- */

static bool
mark(struct vault *v, char kind, struct slice name, const struct sockaddr *from, unsigned width,
    uint64_t *id_r)
{
	char mem[SUBJECT_MAX];
	unsigned char out[SHA256_LEN];
	struct text t = text_over(mem, sizeof(mem));

	guess_write(kind, name, from, width, &t);
	if (t.overflow || !vault_mac(v, SLICE("guessing"), text_slice(&t), out))
		return false;
	memcpy(id_r, out, sizeof(*id_r));
	return true;
}

static void
add_line(struct counters_order *o, char kind, uint64_t id, double over_s)
{
	o->line[o->lines_n++] = (struct counters_line){
		.kind = kind,
		.id = id,
		.grain_s = over_s >= 2 ? (uint32_t)(over_s / 2) : 1,
		.span = 2,
		.adds = true,
	};
}

/* All networks of an address are on the server of the widest. */
static uint64_t
group_of(const struct guess_mark *m, unsigned which)
{
	return which == BY_NAME ? m->name : m->address[m->widths - 1];
}

static void
add_failures(struct counters_order *o, unsigned which, const struct guess_rules *r,
    const struct guess_mark *m)
{
	o->group = group_of(m, which);
	if (which == BY_NAME && r->name_failures > 0)
		add_line(o, 'N', m->name, r->window_s);
	for (unsigned i = 0; which == BY_ADDRESS && r->address_failures > 0 && i < m->widths; i++)
		add_line(o, 'A', m->address[i], r->window_s);
}

static void
add_known(struct counters_order *o, unsigned which, const struct guess_rules *r,
    const struct guess_mark *m)
{
	o->group = group_of(m, which);
	if (which == BY_NAME)
		add_line(o, 'P', m->pair, r->remember_s);
	for (unsigned i = 0; which == BY_ADDRESS && r->address_failures > 0 && i < m->widths; i++)
		add_line(o, 'U', m->address[i], r->remember_s);
}

/* ---- asking ---- */

static unsigned
clamp(uint64_t n)
{
	return n < UINT16_MAX ? (unsigned)n : UINT16_MAX;
}

static void
learn_line(struct guess_mark *m, const struct counters_line *line)
{
	if (line->kind == 'N')
		m->common.name = clamp(line->used);
	if (line->kind == 'P')
		m->common.known = line->used > 0;
	for (unsigned i = 0; i < m->widths; i++) {
		if (line->kind == 'A' && line->id == m->address[i])
			m->common.address[i] = clamp(line->used);
		if (line->kind == 'U' && line->id == m->address[i])
			m->common.users[i] = clamp(line->used);
	}
}

static void
learn(struct guess_inquiry *q)
{
	struct guess_mark *m = q->into;

	m->answered = true;
	for (size_t k = 0; k < ORDERS; k++) {
		const struct counters_order *o = &q->leg[k].order;

		if (o->lines_n > 0 && o->verdict != COUNTERS_FITS)
			m->answered = false;
		for (unsigned i = 0; o->verdict == COUNTERS_FITS && i < o->lines_n; i++)
			learn_line(m, &o->line[i]);
	}
}

static void
on_counters(struct counters_order *o)
{
	struct guess_inquiry *q = ((struct leg *)o)->query;

	if (--q->waits > 0)
		return;
	if (q->into) {
		learn(q);
		q->fn(q->ctx, q->owner);
	}
	free(q);
}

struct guess_inquiry *
guess_ask(struct counters *t, struct vault *v, const struct guess_rules *r,
    const struct sockaddr *from, struct slice name, struct guess_mark *m, guess_answered_fn *fn,
    void *ctx, uint64_t owner)
{
	struct guess_inquiry *q = NULL;

	*m = (struct guess_mark){ 0 };
	if (!counters_has_servers(t) || (r->name_failures == 0 && r->address_failures == 0))
		return NULL;
	m->widths = guess_widths(from);
	m->counts = mark(v, 'n', name, from, 0, &m->name) && mark(v, 'p', name, from, 0, &m->pair);
	for (unsigned i = 0; i < m->widths; i++)
		m->counts = m->counts && mark(v, 'a', name, from, i, &m->address[i]);
	if (!m->counts || !(q = calloc(1, sizeof(*q))))
		return NULL;
	q->into = m;
	q->fn = fn;
	q->ctx = ctx;
	q->owner = owner;
	for (unsigned k = 0; k < ORDERS; k++) {
		struct counters_order *o = &q->leg[k].order;

		q->leg[k].query = q;
		o->done = on_counters;
		add_failures(o, k, r, m);
		add_known(o, k, r, m);
		if (o->lines_n > 0 && counters_bare_read(t, o) == COUNTERS_LATER)
			q->waits++;
	}
	if (q->waits > 0)
		return q;
	learn(q);
	free(q);
	return NULL;
}

void
guess_drop(struct guess_inquiry *q)
{
	if (q)
		q->into = NULL;
}

/* ---- telling ---- */

static void
on_told(struct counters_order *o)
{
	free(o);
}

static struct counters_order *
new_order(void)
{
	struct counters_order *o = calloc(1, sizeof(*o));

	if (o) {
		o->n = 1;
		o->done = on_told;
	}
	return o;
}

static void
add(struct counters *t, struct counters_order *o)
{
	if (o && (o->lines_n == 0 || counters_bare_add(t, o) == COUNTERS_NOW))
		free(o);
}

void
guess_tell_start(struct counters *t, const struct guess_rules *r, struct guess_mark *m)
{
	if (!m->counts)
		return;
	m->told_s = (uint32_t)(counters_wall_ms() / 1000);
	for (unsigned k = 0; k < ORDERS; k++) {
		struct counters_order *o = new_order();

		if (o)
			add_failures(o, k, r, m);
		add(t, o);
	}
}

void
guess_tell_void(struct counters *t, const struct guess_rules *r, struct guess_mark *m)
{
	for (unsigned k = 0; m->told_s > 0 && k < ORDERS; k++) {
		struct counters_order *o = new_order();

		if (!o)
			continue;
		add_failures(o, k, r, m);
		if (o->lines_n == 0 || counters_bare_take(t, o, m->told_s) == COUNTERS_NOW)
			free(o);
	}
	m->told_s = 0;
}

void
guess_tell_right(struct counters *t, const struct guess_rules *r, struct guess_mark *m)
{
	guess_tell_void(t, r, m);
	/* Whether it is known already must be known, lest one user count as many. */
	if (!m->answered || m->common.known)
		return;
	for (unsigned k = 0; k < ORDERS; k++) {
		struct counters_order *o = new_order();

		if (o)
			add_known(o, k, r, m);
		add(t, o);
	}
}

void
guess_tell_forgiven(struct counters *t, struct vault *v, const struct guess_rules *r,
    struct slice name)
{
	struct guess_mark m = { 0 };
	struct counters_order *o;

	if (!counters_has_servers(t) || r->name_failures == 0 ||
	    !mark(v, 'n', name, NULL, 0, &m.name) || !(o = new_order()))
		return;
	add_failures(o, BY_NAME, r, &m);
	if (counters_bare_reset(t, o) == COUNTERS_NOW)
		free(o);
}
