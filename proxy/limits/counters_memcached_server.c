/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters_memcached_server - one batch, one conversation: additions without answer, then one read
 * of all numbers
 *
 *      add <epoch>.h1f.1c8f2a0 0 7320 1 noreply    what is new, gathered with the next line
 *      incr <epoch>.h1f.1c8f2a0 3 noreply
 *      set <epoch>.mark.<link> 0 3600 2 noreply    the batch's number
 *      get byway.epoch <epoch>.h1f.1c8f2a0 ...
 *
 * The mark is behind the additions on the same connection: who finds it, after an answer that never
 * came, knows that all of them arrived.
 *
 * The read comes behind the additions on the same connection, so it has seen them. A connection
 * that failed in the middle is closed at once, lest an answer to an older question be read as the
 * next one's.
 */
#include "proxy/limits/counters_memcached.h"

#include <libmemcached/memcached.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

enum { NAME = 56, TTL_RELATIVE_MAX = 30 * 86400, MARK_TTL_S = 3600 };

static const char epoch_name[] = "byway.epoch";

struct memcached_link {
	memcached_st *mc;
	memcached_result_st result;
	uint64_t id;   /* of this link alone */
	uint64_t mark; /* of the batch that was sent last */
	unsigned sent; /* commands of this conversation that went out, or may have */
	const char *keys[BATCH_OPS + 1];
	size_t lengths[BATCH_OPS + 1];
	char names[BATCH_OPS][NAME];
	size_t name_n[BATCH_OPS];
};

struct memcached_link *
link_open(const struct counter_server *at, unsigned timeout_ms)
{
	struct memcached_link *l = calloc(1, sizeof(*l));
	uint64_t us = (uint64_t)timeout_ms * 1000;
	const struct {
		memcached_behavior_t what;
		uint64_t value;
	} set[] = {
		{ MEMCACHED_BEHAVIOR_VERIFY_KEY, 1 },
		{ MEMCACHED_BEHAVIOR_TCP_NODELAY, 1 },
		{ MEMCACHED_BEHAVIOR_POLL_TIMEOUT, timeout_ms },
		{ MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, timeout_ms },
		{ MEMCACHED_BEHAVIOR_SND_TIMEOUT, us },
		{ MEMCACHED_BEHAVIOR_RCV_TIMEOUT, us },
		{ MEMCACHED_BEHAVIOR_RETRY_TIMEOUT, 0 }, /* the breaker is ours */
		{ MEMCACHED_BEHAVIOR_BUFFER_REQUESTS, 1 },
		{ MEMCACHED_BEHAVIOR_NOREPLY, 1 },
	};

	if (!l || getrandom(&l->id, sizeof(l->id), 0) != (ssize_t)sizeof(l->id) ||
	    !(l->mc = memcached_create(NULL))) {
		free(l);
		return NULL;
	}
	(void)memcached_result_create(l->mc, &l->result);
	bool ok = memcached_success(memcached_server_add(l->mc, at->host, (in_port_t)at->port));

	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		ok = memcached_success(memcached_behavior_set(l->mc, set[i].what, set[i].value)) &&
		    ok;
	if (ok)
		return l;
	link_close(l);
	return NULL;
}

void
link_close(struct memcached_link *l)
{
	if (!l)
		return;
	memcached_result_free(&l->result);
	memcached_free(l->mc);
	free(l);
}

static enum exchange
broken(struct memcached_link *l, memcached_return_t rc)
{
	bool silent = rc == MEMCACHED_TIMEOUT || l->sent > 0;

	memcached_quit(l->mc);
	return silent ? EXCHANGE_SILENT : EXCHANGE_REFUSED;
}

static bool
went_out(struct memcached_link *l, memcached_return_t rc)
{
	if (rc != MEMCACHED_SUCCESS && rc != MEMCACHED_BUFFERED && rc != MEMCACHED_STORED)
		return false;
	l->sent++;
	return true;
}

static time_t
ttl(const struct counters_op *op)
{
	/* What is longer than that memcached takes for a date. */
	return op->ttl_s <= TTL_RELATIVE_MAX ? (time_t)op->ttl_s : time(NULL) + (time_t)op->ttl_s;
}

static memcached_return_t
send_op(struct memcached_link *l, const struct counters_op *op, const char *name, size_t n)
{
	memcached_return_t rc = MEMCACHED_SUCCESS;
	uint64_t ignored;

	/* The flags stay as long as the number: all nodes learn from them that it was set to 0. */
	if (op->zero)
		rc = memcached_set(l->mc, name, n, "0", 1, ttl(op), op->reset_s);
	else if (op->create && op->by > 0)
		rc = memcached_add(l->mc, name, n, "0", 1, ttl(op), 0);
	if (op->by == 0 || (rc != MEMCACHED_SUCCESS && rc != MEMCACHED_BUFFERED))
		return rc;
	l->sent++;
	if (op->by > 0)
		return memcached_increment(l->mc, name, n, (uint32_t)op->by, &ignored);
	return memcached_decrement(l->mc, name, n, (uint32_t)-op->by, &ignored);
}

/* UINT64_MAX: more than anybody would believe, or no number at all. */
static uint64_t
number(const memcached_result_st *r)
{
	struct slice s = slice_of(memcached_result_value(r), memcached_result_length(r));
	uint64_t v;

	/* A number that became shorter keeps blanks behind it. */
	return slice_to_u64(slice_trim(s), &v) ? v : UINT64_MAX;
}

/* Answers come in the order of the keys, with gaps for what is not there. */
static memcached_return_t
read_all(struct memcached_link *l, size_t keys_n, const uint16_t *op_of, struct counters_batch *b,
    uint64_t *epoch_r)
{
	memcached_return_t rc = memcached_mget(l->mc, l->keys, l->lengths, keys_n);
	size_t at = 0;

	if (rc != MEMCACHED_SUCCESS)
		return rc;
	l->sent++;
	while (memcached_fetch_result(l->mc, &l->result, &rc)) {
		const char *name = memcached_result_key_value(&l->result);
		size_t n = memcached_result_key_length(&l->result);

		while (at < keys_n && (l->lengths[at] != n || memcmp(l->keys[at], name, n) != 0))
			at++;
		if (at == keys_n)
			return MEMCACHED_PROTOCOL_ERROR;
		if (at == 0) {
			*epoch_r = number(&l->result);
			if (*epoch_r == 0) /* which is for what is not there */
				*epoch_r = UINT64_MAX;
		} else {
			batch_answer(b, op_of[at], number(&l->result),
			    memcached_result_flags(&l->result));
		}
		at++;
	}
	return rc == MEMCACHED_END || rc == MEMCACHED_NOTFOUND || rc == MEMCACHED_SUCCESS
	    ? MEMCACHED_SUCCESS
	    : rc;
}

static void
write_name(struct memcached_link *l, const struct counters_batch *b, unsigned i)
{
	const struct counters_op *op = &b->op[i];
	struct text t = text_over(l->names[i], NAME);

	text_fmt(&t, "%llx.%c%llx.%x", (unsigned long long)b->epoch, op->kind,
	    (unsigned long long)op->id, op->period);
	l->name_n[i] = t.n;
}

static size_t
write_mark(const struct memcached_link *l, uint64_t epoch, char name[NAME])
{
	struct text t = text_over(name, NAME);

	text_fmt(&t, "%llx.mark.%llx", (unsigned long long)epoch, (unsigned long long)l->id);
	return t.n;
}

static memcached_return_t
send_mark(struct memcached_link *l, uint64_t epoch)
{
	char name[NAME], value[24];
	struct text t = text_over(value, sizeof(value));
	size_t n = write_mark(l, epoch, name);

	text_u64(&t, l->mark);
	return memcached_set(l->mc, name, n, value, t.n, MARK_TTL_S, 0);
}

enum exchange
link_exchange(struct memcached_link *l, struct counters_batch *b, uint64_t *epoch_r)
{
	uint16_t op_of[BATCH_OPS + 1];
	memcached_return_t rc;
	size_t keys_n = 1;
	bool writes = false;

	l->sent = 0;
	l->mark++; /* even if it does not come so far as to send it */
	l->keys[0] = epoch_name;
	l->lengths[0] = sizeof(epoch_name) - 1;
	for (unsigned i = 0; i < b->ops_n; i++) {
		write_name(l, b, i);
		rc = send_op(l, &b->op[i], l->names[i], l->name_n[i]);
		if (!went_out(l, rc))
			return broken(l, rc);
		writes = writes || b->op[i].by != 0 || b->op[i].zero;
		if (!b->op[i].read)
			continue;
		l->keys[keys_n] = l->names[i];
		l->lengths[keys_n] = l->name_n[i];
		op_of[keys_n++] = (uint16_t)i;
	}
	if (writes && !went_out(l, rc = send_mark(l, b->epoch)))
		return broken(l, rc);
	*epoch_r = 0;
	rc = read_all(l, keys_n, op_of, b, epoch_r);
	if (rc != MEMCACHED_SUCCESS)
		return broken(l, rc);
	return *epoch_r == b->epoch ? EXCHANGE_OK : EXCHANGE_EPOCH;
}

/* Gets NAME; 0 where there is none. */
static enum exchange
get(struct memcached_link *l, const char *name, size_t n, uint64_t *value_r)
{
	struct counters_batch *none = NULL;
	memcached_return_t rc;

	l->keys[0] = name;
	l->lengths[0] = n;
	*value_r = 0;
	rc = read_all(l, 1, NULL, none, value_r);
	return rc == MEMCACHED_SUCCESS ? EXCHANGE_OK : broken(l, rc);
}

enum exchange
link_epoch(struct memcached_link *l, uint64_t old, uint64_t next, uint64_t most, uint64_t *epoch_r)
{
	enum exchange e;
	char mem[24];
	struct text t = text_over(mem, sizeof(mem));
	memcached_return_t rc;
	const size_t n = sizeof(epoch_name) - 1;

	l->sent = 0;
	e = get(l, epoch_name, n, epoch_r);
	if (e != EXCHANGE_OK || (*epoch_r > old && *epoch_r <= most))
		return e;
	text_u64(&t, next);
	/* Who meets none makes one, once; who knows of a later one than there is, or finds what is
	 * no epoch, has the last word. */
	rc = *epoch_r == 0 ? memcached_add(l->mc, epoch_name, n, mem, t.n, 0, 0)
	                   : memcached_set(l->mc, epoch_name, n, mem, t.n, 0, 0);
	if (!went_out(l, rc))
		return broken(l, rc);
	e = get(l, epoch_name, n, epoch_r);
	return e == EXCHANGE_OK && *epoch_r > most ? EXCHANGE_SILENT : e;
}

enum exchange
link_arrived(struct memcached_link *l, uint64_t epoch, bool *arrived_r)
{
	char name[NAME];
	size_t n = write_mark(l, epoch, name);
	uint64_t there;

	l->sent = 0;
	enum exchange e = get(l, name, n, &there);

	*arrived_r = e == EXCHANGE_OK && there == l->mark;
	return e;
}

enum exchange
link_claim(struct memcached_link *l, uint64_t epoch, const char *word, uint64_t mine, bool *first_r)
{
	char name[96], mem[24];
	struct text k = text_over(name, sizeof(name)), v = text_over(mem, sizeof(mem));
	memcached_return_t rc;
	uint64_t there;

	text_fmt(&k, "%llx.%s", (unsigned long long)epoch, word);
	text_u64(&v, mine);
	l->sent = 0;
	rc = memcached_add(l->mc, name, k.n, mem, v.n, 0, 0);
	if (!went_out(l, rc))
		return broken(l, rc);
	enum exchange e = get(l, name, k.n, &there);

	*first_r = there == mine;
	return e;
}
