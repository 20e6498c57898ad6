/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/directory_front.h"

#include <assert.h>
#include <stdlib.h>

#include "wire/log.h"

enum {
	REMEMBER_MAX_S = 60,
	READER_LIMIT = 65536,
	MAILBOXES_MAX = 16384,
	MAILBOXES_OCTETS = 64 << 20,
	ADDRESSES_MAX = 8192,
	ADDRESSES_OCTETS = 16 << 20,
	DOMAINS_MAX = 16384,
	DOMAINS_OCTETS = 8 << 20,
};

/* ---- what came back ---- */

/* Sessions of one mailbox share one snapshot: the cached one where it is no older. */
static struct cache_entry *
share(struct directory *d, struct cache *cache, struct slice key, struct ask *a)
{
	struct cache_entry *e = cache_put(cache, key);

	if (!e)
		return NULL;
	if (e->sender && a->sender && e->sender->id == a->sender->id &&
	    e->sender->revision >= a->sender->revision && directory_is_fresh(d, e->sender)) {
		sender_unref(a->sender);
		a->sender = sender_ref(e->sender);
		e->revision = a->known_at;
	} else {
		cache_set(cache, e, a->sender ? sender_ref(a->sender) : NULL, a->known_at);
	}
	return e;
}

static struct slice
net_key(const struct net *at)
{
	return slice_of((const char *)at, sizeof(*at));
}

static void
learn_login(struct directory *d, struct ask *a)
{
	struct cache_entry *e;

	if (a->result != LOGIN_OK)
		return;
	e = share(d, &d->mailboxes, slice_of(a->name, a->name_n), a);
	if (!e || !d->remember_s)
		return;
	/* A look at the stored hash does not make a log-in younger. */
	bool same = e->remembered > 0 && crypto_equal(e->login, a->key, sizeof(e->login));

	if (!same || e->remembered <= loop_now(d->loop) || !a->expects)
		e->remembered = loop_now(d->loop) + d->remember_s;
	e->checked = a->known_at;
	memcpy(e->login, a->key, sizeof(e->login));
	memcpy(e->hash, a->hash, sizeof(e->hash));
}

static void
learn_domain(struct directory *d, struct ask *a)
{
	struct cache_entry *e = cache_put(&d->domains, slice_of(a->name, a->name_n));

	if (!e)
		return;
	e->account = a->account;
	e->revision = a->known_at;
}

void
directory_learn(struct directory *d, struct ask *a)
{
	struct cache_entry *e;

	if (a->result == LOGIN_UNAVAILABLE)
		return;
	switch (a->kind) {
	case ASK_LOGIN:
		learn_login(d, a);
		break;
	case ASK_ADDRESS:
		share(d, &d->addresses, net_key(&a->at), a);
		break;
	case ASK_REFRESH:
		e = a->is_address ? NULL : cache_find(&d->mailboxes, slice_of(a->name, a->name_n));
		if (e && a->sender)
			share(d, &d->mailboxes, slice_of(a->name, a->name_n), a);
		else if (e && e->sender && e->sender->id == a->id)
			cache_drop(&d->mailboxes, e);
		break;
	case ASK_DOMAIN:
		learn_domain(d, a);
		break;
	case ASK_MAILBOX:
	case ASK_FIND:
	case ASK_POLL:
		break;
	}
}

/* ---- questions ---- */

static void
lower(struct slice s, struct ask *a)
{
	/* Longer than any address: nobody's. */
	a->name_n = s.n < sizeof(a->name) ? s.n : 0;
	for (size_t i = 0; i < a->name_n; i++)
		a->name[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
}

/* Nothing can be asked without memory; then the answer itself needs some. The caller's deadline
 * speaks. */
static struct ask *
begin(struct directory *d, enum ask_kind kind, uint64_t owner, directory_fn *fn)
{
	struct ask *a = ask_new(d, kind, owner, fn);

	if (!a)
		log_say(LOG_ERROR, "directory", "no memory for a question");
	return a;
}

/* What is remembered answers A, or tells it what to expect; true where it answered. */
static bool
answer_from_memory(struct directory *d, struct ask *a)
{
	struct cache_entry *e = cache_find(&d->mailboxes, slice_of(a->name, a->name_n));

	if (!e || !e->sender || e->remembered <= loop_now(d->loop))
		return false;
	if (!crypto_equal(e->login, a->key, sizeof(e->login)))
		return false;
	/* A snapshot may have been refreshed since without a look at the hash: both must be of
	 * today. */
	bool current = directory_is_fresh(d, e->sender) &&
	    directory_is_current(d, e->checked, e->sender->account.id);
	bool may = e->sender->state == MAILBOX_ACTIVE || e->sender->state == MAILBOX_BLOCKED;

	if (current && may) {
		ask_answer(a, LOGIN_OK, sender_ref(e->sender), "");
		return true;
	}
	a->expects = true;
	a->lane = LANE_KNOWN; /* it was right a moment ago */
	memcpy(a->hash, e->hash, sizeof(a->hash));
	return false;
}

struct ask *
directory_login(struct directory *d, struct slice user, struct slice password,
    struct login_from from, uint64_t owner, directory_fn *fn)
{
	struct ask *a = begin(d, ASK_LOGIN, owner, fn);

	if (!a)
		return NULL;
	lower(user, a);
	a->address = from.address;
	a->lane = from.known ? LANE_KNOWN : LANE_STRANGERS;
	struct slice name = slice_of(a->name, a->name_n);
	/* One that crypt(3) cannot take is wrong; it costs the same work all the same. */
	struct slice p = password.n < 512 ? password : SLICE("");

	if (!directory_tag(d, SLICE("login"), name, p, a->key))
		ask_answer(a, LOGIN_UNAVAILABLE, NULL, "cryptography failed");
	else if (d->remember_s && answer_from_memory(d, a))
		return a;
	else if (!secret_init(&a->password, p))
		ask_answer(a, LOGIN_UNAVAILABLE, NULL, "no memory");
	else
		ask_send(a);
	return a;
}

void
directory_address(struct directory *d, const struct sockaddr *from, uint64_t owner,
    directory_fn *fn)
{
	struct ask *a = begin(d, ASK_ADDRESS, owner, fn);
	struct cache_entry *e;

	if (!a)
		return;
	if (!d->has_addresses || !net_of(from, &a->at)) {
		ask_answer(a, LOGIN_REFUSED, NULL, "unknown address");
		return;
	}
	e = cache_find(&d->addresses, net_key(&a->at));
	if (e && e->revision >= d->ip_revision &&
	    (!e->sender || directory_is_fresh(d, e->sender))) {
		ask_answer(a, e->sender ? LOGIN_OK : LOGIN_REFUSED,
		    e->sender ? sender_ref(e->sender) : NULL, e->sender ? "" : "unknown address");
		return;
	}
	memcpy(a->key, &a->at, sizeof(a->at));
	ask_send(a);
}

void
directory_mailbox(struct directory *d, struct slice address, uint64_t owner, directory_fn *fn)
{
	struct ask *a = begin(d, ASK_MAILBOX, owner, fn);
	struct cache_entry *e;

	if (!a)
		return;
	lower(address, a);
	struct slice name = slice_of(a->name, a->name_n);

	e = cache_find(&d->mailboxes, name);
	if (e && e->sender && directory_is_fresh(d, e->sender)) {
		ask_answer(a, LOGIN_OK, NULL, "");
		return;
	}
	if (!directory_tag(d, SLICE("mailbox"), name, SLICE(""), a->key)) {
		ask_answer(a, LOGIN_UNAVAILABLE, NULL, "cryptography failed");
		return;
	}
	ask_send(a);
}

void
directory_refresh(struct directory *d, const struct sender *s, uint64_t owner, directory_fn *fn)
{
	struct ask *a = begin(d, ASK_REFRESH, owner, fn);
	struct cache_entry *e = NULL;

	if (!a)
		return;
	a->id = s->id;
	a->is_address = s->is_address;
	lower(slice_str(s->name), a);
	if (!s->is_address)
		e = cache_find(&d->mailboxes, slice_of(a->name, a->name_n));
	if (e && e->sender && e->sender->id == s->id && directory_is_fresh(d, e->sender)) {
		ask_answer(a, LOGIN_OK, sender_ref(e->sender), "");
		return;
	}
	a->key[0] = s->is_address;
	memcpy(a->key + 1, &s->id, sizeof(s->id));
	ask_send(a);
}

void
directory_find(struct directory *d, struct slice name, uint64_t owner, directory_fn *fn)
{
	struct ask *a = begin(d, ASK_FIND, owner, fn);

	if (!a)
		return;
	lower(name, a);
	if (directory_tag(d, SLICE("find"), slice_of(a->name, a->name_n), SLICE(""), a->key))
		ask_send(a);
	else
		ask_answer(a, LOGIN_UNAVAILABLE, NULL, "cryptography failed");
}

bool
directory_foreign(struct directory *d, struct slice domain, uint64_t account, uint64_t owner,
    directory_fn *fn, enum login_result *result_r)
{
	struct ask *a = begin(d, ASK_DOMAIN, owner, fn);
	struct cache_entry *e;

	*result_r = LOGIN_UNAVAILABLE;
	if (!a)
		return true;
	lower(domain, a);
	struct slice name = slice_of(a->name, a->name_n);
	struct slice asker = slice_of((const char *)&account, sizeof(account));

	e = cache_find(&d->domains, name);
	bool known = e && e->revision >= d->domain_revision;

	if (known)
		*result_r = e->account && e->account != account ? LOGIN_REFUSED : LOGIN_OK;
	if (known || !directory_tag(d, SLICE("domain"), name, asker, a->key)) {
		ask_free(a);
		return true;
	}
	a->id = account;
	ask_send(a);
	return false;
}

/* ---- life ---- */

static void
take_options(struct directory *d, const struct conf *c)
{
	double every = c->directory.poll_ms ? c->directory.poll_ms / 1000.0 : 0.25;

	d->remember_s =
	    c->directory.remember_s < REMEMBER_MAX_S ? c->directory.remember_s : REMEMBER_MAX_S;
	ev_timer_stop(loop_ev(d->loop), &d->timer);
	ev_timer_set(&d->timer, every, every);
	ev_timer_start(loop_ev(d->loop), &d->timer);
}

/* The last one out: who closed it, or the last thread's answer. */
void
directory_put(struct directory *d)
{
	if (!d->closed || d->pending)
		return;
	while (d->idle_n)
		backend_close(d->idle[--d->idle_n]);
	backend_close(d->poller);
	cache_fini(&d->mailboxes);
	cache_fini(&d->addresses);
	cache_fini(&d->domains);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->vault_lock);
	crypto_wipe(d->secret, sizeof(d->secret));
	hashing_close(d->hashing_own);
	free(d->path);
	free(d);
}

static bool
look_first(struct directory *d, struct text *why)
{
	struct backend_changes c;

	d->poller = backend_open(d->path, why);
	if (!d->poller)
		return false;
	if (backend_changes(d->poller, 0, &c) == FOUND_FAILED) {
		text_fmt(why, "%s: %s", d->path, backend_error(d->poller));
		return false;
	}
	d->revision = c.revision;
	d->floor = c.revision;
	d->ip_revision = c.revision;
	d->domain_revision = c.revision;
	d->has_addresses = c.has_addresses;
	free(c.accounts);
	directory_measure(d, d->poller);
	return true;
}

struct directory *
directory_open(struct loop *l, struct work *w, const struct conf *c, struct vault *v, void *ctx,
    struct text *why)
{
	struct directory *d = calloc(1, sizeof(*d));

	if (!d) {
		text_fmt(why, "no memory");
		return NULL;
	}
	d->loop = l;
	d->work = w;
	d->hashing_max = work_threads(w) < HASHING_MAX ? work_threads(w) : HASHING_MAX;
	d->hashing_all = d->hashing_own = hashing_open(1);
	ev_timer_init(&d->again, turn_on_again, 0, 0);
	d->again.data = d;
	d->vault = v;
	d->ctx = ctx;
	d->path = strdup(c->directory.path);
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->vault_lock, NULL);
	ev_timer_init(&d->timer, directory_on_timer, 0, 0);
	d->timer.data = d;
	bool ok = d->path && d->hashing_own && crypto_random(d->secret, sizeof(d->secret)) &&
	    cache_init(&d->mailboxes, MAILBOXES_MAX, MAILBOXES_OCTETS) &&
	    cache_init(&d->addresses, ADDRESSES_MAX, ADDRESSES_OCTETS) &&
	    cache_init(&d->domains, DOMAINS_MAX, DOMAINS_OCTETS) &&
	    (d->reader = work_open(l, "directory", 1, READER_LIMIT));

	if (!ok)
		text_fmt(why, "%s: no memory or no thread", c->directory.path);
	if (!ok || !look_first(d, why)) {
		directory_close(d);
		return NULL;
	}
	take_options(d, c);
	return d;
}

void
directory_share(struct directory *d, struct hashing *h, unsigned p)
{
	assert(d->cells == 0 && p < hashing_processes(h));
	d->hashing_all = h;
	d->process = p;
}

void
directory_close(struct directory *d)
{
	if (!d)
		return;
	d->closed = true;
	ev_timer_stop(loop_ev(d->loop), &d->timer);
	ev_timer_stop(loop_ev(d->loop), &d->again);
	ask_forget_all(d);
	pthread_mutex_lock(&d->vault_lock);
	d->vault = NULL;
	pthread_mutex_unlock(&d->vault_lock);
	/* Held until the reader's last answer is in. */
	d->pending++;
	work_close(d->reader);
	d->pending--;
	directory_put(d);
}

void
directory_reconf(struct directory *d, const struct conf *c, struct vault *v)
{
	if (strcmp(c->directory.path, d->path) != 0)
		log_say(LOG_WARNING, "directory", "%s: another directory needs a restart, %s stays",
		    c->directory.path, d->path);
	pthread_mutex_lock(&d->vault_lock);
	d->vault = v;
	pthread_mutex_unlock(&d->vault_lock);
	take_options(d, c);
}
