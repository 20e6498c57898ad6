/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_OAUTH_H
#define RELAY_WEB_OAUTH_H

/*
 * oauth - the access token of one profile (RFC 6749): had by its refresh token, or by its client's
 * own credentials, before the old one ends
 *
 * One request at a time, whoever waits. The token is in this worker's memory alone. A refresh token
 * that the provider replaces is sealed and stored (refresh.h) before the access token that came
 * with it is used, or else kept in memory until it can be; the next request takes the new one.
 *
 *      a 4xx: invalid_grant, invalid_client and their like      OAUTH_REFUSED: class auth, which
 *      the breaker counts
 *      no answer, 429, 5xx, temporarily_unavailable             OAUTH_FAILED: class auth_temp
 *
 * Owns:   the token, wiped. Life: its upstream's.
 * Never:  logs a token; asks any host but the token endpoint, which the secrets are sealed for.
 */
#include "relay/web/http.h"
#include "relay/pool/pool.h"

struct oauth;

enum oauth_got { OAUTH_OK, OAUTH_LATER, OAUTH_REFUSED, OAUTH_FAILED };

/* NULL: no memory. */
struct oauth *oauth_open(struct upstream *u, const struct profile *p) MUST_CHECK;
void oauth_close(struct oauth *o);
/* The profile may have another refresh token now. False: no memory. */
bool oauth_update(struct oauth *o, const struct profile *p) MUST_CHECK;
bool oauth_is_same(const struct oauth *o, const struct profile *p) MUST_CHECK;
/* The token, borrowed until the loop's next turn. LATER: smtp_on_token() tells each connection of
 * the upstream that waits. */
enum oauth_got oauth_get(struct oauth *o, struct slice *token_r) MUST_CHECK;
/* The server did not take it: the next one asks anew. */
void oauth_drop(struct oauth *o);
const char *oauth_why(const struct oauth *o);
/* relay_token_kept(). */
void oauth_kept(struct oauth *o, bool good);

#endif
