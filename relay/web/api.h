/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_API_H
#define RELAY_WEB_API_H

/*
 * api - a transaction that goes to a provider's HTTP API: one request a message (BEHAVIOUR 6, 7)
 *
 * What a dialogue does command by command is one request here, so each recipient is accepted by us
 * where it is acceptable in form, the content is gathered (relay/web/spool.h) already in the shape
 * in which it goes, and the answer to the request is the last word. The envelope is what
 * relay_rcpt() was told, never what the header says.
 *
 *      api_open -> api_pump (recipients, go-ahead) -> api_content ... -> api_pump (finish) -> transaction_done
 *
 * A provider is a row of api_kinds: what it takes, how a body begins, goes on and ends, which
 * headers the request has.
 *
 * Owns:   the body and the request. An upstream's connections are the http's of the upstream.
 * Never:  sends twice; sends what was not given whole.
 */
#include "relay/transaction.h"
#include "relay/web/http.h"
#include "relay/pool/pool.h"

struct api;

/* The kind of P, or NULL where its provider has no API that we speak. */
const struct api_kind *api_kind_of(const struct profile *p) MUST_CHECK;
struct relay_offer api_offer(const struct api_kind *k);
/* T goes by U from now on. NULL: no memory. */
struct api *api_open(struct upstream *u, struct relay_txn *t) MUST_CHECK;
void api_pump(struct api *a);
size_t api_room(const struct api *a);
enum verdict_class api_content(struct api *a, struct slice octets) MUST_CHECK;
/* The transaction has gone: so does the request, wherever it is. */
void api_let_go(struct api *a);

#endif
