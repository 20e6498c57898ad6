/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread does with a question: a backend, a slow hash, an answer in the ask. Of the
 * directory it sees the idle backends (under the lock), the vault (under its own) and what never
 * changes.
 */
#include "conf/directory/directory_front.h"

#include <stdio.h>
#include <time.h>

static const double STRETCH_MAX = 8, STRETCH_FADES = 0.95, COST_MIN_S = 0.004;

#include "wire/host.h"

static struct backend *
get_backend(struct directory *d, struct text *why)
{
	struct backend *b = NULL;

	pthread_mutex_lock(&d->lock);
	if (d->idle_n)
		b = d->idle[--d->idle_n];
	pthread_mutex_unlock(&d->lock);
	return b ? b : backend_open(d->path, why);
}

/* One that failed is not used again: the next question opens a new connection. */
static void
put_backend(struct directory *d, struct backend *b, bool good)
{
	pthread_mutex_lock(&d->lock);
	if (good && d->idle_n < BACKENDS_IDLE) {
		d->idle[d->idle_n++] = b;
		b = NULL;
	}
	pthread_mutex_unlock(&d->lock);
	backend_close(b);
}

static void
refuse(struct ask *a, const char *why)
{
	a->result = LOGIN_REFUSED;
	a->why = why;
}

bool
directory_tag(const struct directory *d, struct slice purpose, struct slice a, struct slice b,
    unsigned char tag[CACHE_TAG])
{
	char in[2048];
	struct text t = text_over(in, sizeof(in));

	text_put(&t, purpose);
	text_u64(&t, a.n);
	text_char(&t, ':');
	text_put(&t, a);
	text_put(&t, b);
	struct slice key = slice_of((const char *)d->secret, sizeof(d->secret));
	bool ok = !t.overflow && crypto_hmac_sha256(key, text_slice(&t), tag);

	crypto_wipe(in, sizeof(in));
	return ok;
}

/* ---- log-in ---- */

/* All who asked have left: a hash would be work for nobody. */
static bool
is_unwanted(struct ask *a)
{
	if (a->kind != ASK_LOGIN || atomic_load(&a->wanted) > 0)
		return false;
	a->why = "nobody waits for it";
	return true;
}

/* Machine-made passwords need the vault, and must not hold it while the slow hash of a refusal
 * runs. */
static bool
is_right(struct ask *a, struct slice hash)
{
	struct directory *d = a->d;
	bool right = false;

	if (password_is_machine(hash)) {
		pthread_mutex_lock(&d->vault_lock);
		right = password_verify_machine(d->vault, hash, &a->password);
		pthread_mutex_unlock(&d->vault_lock);
	}
	return right || password_verify(NULL, hash, &a->password);
}

static double
read_clock(clockid_t which)
{
	struct timespec t;

	(void)clock_gettime(which, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double
directory_clock(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static void
note_cost(struct directory *d, double cost)
{
	if (cost > atomic_load(&d->slowest_s))
		atomic_store(&d->slowest_s, cost);
}

/* Others want the processor too. What took next to none of it says little of that. */
static void
note_stretch(struct directory *d, double cost, double took)
{
	double was = atomic_load(&d->stretch) * STRETCH_FADES;
	double now = cost < COST_MIN_S ? 0 : took / cost < STRETCH_MAX ? took / cost : STRETCH_MAX;

	atomic_store(&d->stretch, now > was ? now : was);
}

static void
measure_one(void *ctx, struct slice hash)
{
	note_cost(ctx, password_cost(hash));
}

void
directory_measure(struct directory *d, struct backend *b)
{
	if (!backend_schemes(b, measure_one, d))
		atomic_store(&d->slowest_s, 0);
}

static bool
check_password(struct ask *a, enum found found, const struct backend_login *login)
{
	struct slice hash = found == FOUND ? slice_of(login->hash, login->hash_n) : SLICE("");
	unsigned char tag[CACHE_TAG];

	if (!directory_tag(a->d, SLICE("hash"), hash, SLICE(""), tag)) {
		a->why = "cryptography failed";
		return false;
	}
	double cost = read_clock(CLOCK_THREAD_CPUTIME_ID);

	a->began = directory_clock();
	bool known = a->expects && hash.n && crypto_equal(tag, a->hash, sizeof(tag));

	memcpy(a->hash, tag, sizeof(tag));
	if (known || is_right(a, hash)) {
		a->rehash = known ? NULL : rehash_new(a->d, login->id, hash, &a->password);
		return true;
	}
	cost = read_clock(CLOCK_THREAD_CPUTIME_ID) - cost;
	note_stretch(a->d, cost, directory_clock() - a->began);
	/* A scheme that came after the start is known from its first refusal on. */
	if (cost > 1.5 * atomic_load(&a->d->slowest_s))
		note_cost(a->d, cost);
	refuse(a, found == FOUND ? "wrong password" : "unknown mailbox");
	return false;
}

/* BEHAVIOUR A4. A blocked mailbox does log in: it hears why at MAIL (A6). */
static const char *
why_paused(enum mailbox_state state)
{
	switch (state) {
	case MAILBOX_PAUSED_OWNER:
		return "paused by owner";
	case MAILBOX_PAUSED_ADMIN:
		return "paused by admin";
	case MAILBOX_PAUSED_ABUSE:
		return "paused for abuse";
	case MAILBOX_ACTIVE:
	case MAILBOX_BLOCKED:
		break;
	}
	return NULL;
}

static enum found
run_login(struct ask *a, struct backend *b)
{
	struct backend_login login = { 0 };
	enum found found = backend_login(b, slice_of(a->name, a->name_n), &login);

	if (found == FOUND_FAILED || is_unwanted(a) || !check_password(a, found, &login))
		return found;
	const char *paused = why_paused(login.state);

	if (paused) {
		refuse(a, paused);
		return found;
	}
	found = backend_mailbox(b, login.id, &a->sender);
	paused = a->sender ? why_paused(a->sender->state) : NULL;
	if (paused) {
		sender_unref(a->sender);
		a->sender = NULL;
		refuse(a, paused);
	}
	return found;
}

static enum found
run_find(struct ask *a, struct backend *b)
{
	struct slice name = slice_of(a->name, a->name_n);
	struct backend_login login = { 0 };
	enum found found;

	if (slice_find(name, '@') == name.n)
		return backend_account(b, name, &a->sender);
	found = backend_login(b, name, &login);
	crypto_wipe(login.hash, sizeof(login.hash));
	return found == FOUND ? backend_mailbox(b, login.id, &a->sender) : found;
}

/* A domain stands in the directory as somebody wrote it: in letters, or in A-labels. It is the same
 * one. */
static enum found
find_domain(struct backend *b, struct slice name, uint64_t *account_r)
{
	char ascii[HOST_MAX + 1];
	char letters[HOST_UTF8_MAX + 1];
	char mem[128];
	struct text why = text_over(mem, sizeof(mem));
	enum found found = backend_domain(b, name, account_r);

	if (found != FOUND_NOTHING || !host_normal(name, ascii, &why))
		return found;
	if (!slice_is_ascii(name))
		found = backend_domain(b, slice_str(ascii), account_r);
	if (found == FOUND_NOTHING && host_in_letters(slice_str(ascii), letters))
		found = backend_domain(b, slice_str(letters), account_r);
	return found;
}

/* BEHAVIOUR S6 */
static enum found
run_domain(struct ask *a, struct backend *b)
{
	enum found found = find_domain(b, slice_of(a->name, a->name_n), &a->account);

	if (found == FOUND && a->account != a->id)
		refuse(a, "another account's");
	return found;
}

/* ---- any question ---- */

static enum found
run_one(struct ask *a, struct backend *b)
{
	switch (a->kind) {
	case ASK_LOGIN:
		return run_login(a, b);
	case ASK_ADDRESS:
		return backend_address(b, &a->at, &a->sender);
	case ASK_MAILBOX:
		return backend_login(b, slice_of(a->name, a->name_n), &(struct backend_login){ 0 });
	case ASK_REFRESH:
		return a->is_address ? backend_ip(b, a->id, &a->sender)
		                     : backend_mailbox(b, a->id, &a->sender);
	case ASK_FIND:
		return run_find(a, b);
	case ASK_DOMAIN:
		return run_domain(a, b);
	case ASK_POLL:
		return backend_changes(b, a->id, &a->changes);
	}
	return FOUND_FAILED;
}

static void
run_poll(struct ask *a)
{
	struct directory *d = a->d;
	struct text why = text_over(a->why_mem, sizeof(a->why_mem));

	if (!d->poller)
		d->poller = backend_open(d->path, &why);
	a->found = d->poller ? run_one(a, d->poller) : FOUND_FAILED;
	if (a->found == FOUND_FAILED && d->poller) {
		text_fmt(&why, "%s: %s", d->path, backend_error(d->poller));
		backend_close(d->poller);
		d->poller = NULL;
	}
}

void
ask_run(struct job *j)
{
	struct ask *a = (struct ask *)j;
	struct text why = text_over(a->why_mem, sizeof(a->why_mem));

	if (a->kind == ASK_POLL) {
		run_poll(a);
		return;
	}
	if (is_unwanted(a))
		return;
	struct backend *b = get_backend(a->d, &why);

	if (!b) {
		a->why = a->why_mem;
		return;
	}
	enum found found = run_one(a, b);

	if (found == FOUND_FAILED) {
		snprintf(a->why_mem, sizeof(a->why_mem), "%s", backend_error(b));
		a->why = a->why_mem;
	} else if (a->sender || (a->kind == ASK_MAILBOX && found == FOUND) ||
	    (a->kind == ASK_DOMAIN && !a->why)) {
		a->result = LOGIN_OK;
		a->why = "";
	} else if (!a->why) {
		refuse(a, "unknown");
	}
	put_backend(a->d, b, found != FOUND_FAILED);
}
