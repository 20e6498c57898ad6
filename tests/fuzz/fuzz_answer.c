/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a provider answers over HTTP: a status, a kind, an id and a body. Whatever it says, the
 * client hears one line of printable ASCII, a code of its class and no other, and no refusal as
 * good.
 */
#include "relay/pool/pool.h"
#include "relay/verdict/verdict.h"
#include "relay/web/api_private.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool b)
{
	if (!b)
		abort();
}

static void
check(const struct relay_verdict *v, int status)
{
	must(v->code >= 200 && v->code < 600 && v->code / 100 != 3);
	must(v->code != 421 && v->code != 454 && v->code != 530 && v->code != 534 &&
	    v->code != 535 && v->code != 538);
	must((v->code < 300) <= (status < 300));
	must(slice_is_ascii(v->text) && slice_find(v->text, '\r') == v->text.n);
}

/* Lines: id, kind, then the body; the first octet says the status and whose answer it is. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct api_kind *const kinds[] = { &api_mailgun, &api_ses, &api_sparkpost,
		&api_sendgrid };
	static const int statuses[] = { 200, 202, 204, 400, 401, 402, 403, 404, 413, 421, 429, 500,
		502, 503, 504, 599 };
	static char mem[2 * VERDICT_TEXT_MAX];
	struct text t = text_over(mem, sizeof(mem));
	struct rcpt rcpt = { .accepted = true, .line = SLICE("RCPT TO:<you@elsewhere.example>") };

	if (n < 1 || n > 65536)
		return 0;
	struct slice rest = slice_of((const char *)data + 1, n - 1);
	char user[] = "secret-user";
	struct upstream up = { .username = user };
	struct relay_txn txn = { .first = &rcpt };
	struct api a = { .kind = kinds[data[0] % 4], .up = &up, .txn = &txn };
	struct http_answer answer = { .end = HTTP_ANSWERED, .status = statuses[data[0] / 16] };

	char provider[32];

	(void)snprintf(provider, sizeof(provider), "%s", a.kind->provider);
	up.provider = provider;
	answer.id = slice_cut(&rest, '\n');
	answer.kind = slice_cut(&rest, '\n');
	answer.body = rest;
	arena_init(&txn.arena, 1 << 20);
	struct relay_verdict v = api_verdict(&a, &answer, &t);

	check(&v, answer.status);
	arena_fini(&txn.arena);
	return 0;
}
