/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DESK_CONTROL_H
#define PROXY_DESK_CONTROL_H

/*
 * control - the master's control socket (server.control_socket): a local stream socket, mode 0660:
 * members of the daemon's group operate it, and nobody else
 *
 * A client sends one line, a word with its arguments and LF; the answer is one JSON object on one
 * line, then the end of the stream. `reload` is answered when it is over, which may take seconds.
 *
 *      ping      {"ok":true,"version":"0.1.0","pid":4711}
 *      reopen    {"ok":true}                          log files are opened anew
 *      drain     {"ok":true}                          graceful stop has begun, as with TERM
 *      reload    {"ok":true,"revision":2,"warnings":["..."],"mistakes":[]}
 *                {"ok":false,"revision":1,"warnings":[],"mistakes":["byway.ini:12: [listener mx]
 *                tls: ..."]}
 *                    ok false: the old configuration goes on, wholly or (a mistake then names it)
 *                    in the workers that could not change
 *      status    {"ok":true,"version":"0.1.0","pid":4711,"started":1767225600,"uptime_s":5,"state":"up","revision":1,
 *                 "config":"/etc/byway/byway.ini","user":"byway",
 *                 "workers":[{"number":0,"pid":4712,"state":"up","generation":1,"started":1767225600,"sessions":3,"deaths":0,
 *                             "answered":true,"revision":1,"worst_us":420,"relay":{...}}, ...],
 *                 "counters":{"connections_accepted":17, ...},"gauges":{"sessions_open":3, ...},
 *                 "log_lost":0,
 *                 "reload":{"at":1767225603,"ok":true,"revision":2,"warnings":[],"mistakes":[]}}
 *                    state of all: starting, up, reloading, draining; of a worker: starting, up,
 *                    draining, dead; "answered":false: that worker did not answer within half a
 *                    second: revision, worst_us and relay are absent; generation counts the starts
 *                    of that worker; worst_us is the longest turn of its loop since the last
 *                    status; times are unix seconds; "reload" is null before the first
 *      explain NAME [TO], usage NAME, limits show|reset NAME, forgive NAME
 *                what desk.h says; "error" where nobody can answer
 *      profile 7
 *      {"ok":true,"known":true,"connections":2,"refusals":0,"closed_s":0,"held_s":12,"connections_learned":0,"messages_learned":0,
 *                 "class":"rate","line":"421 4.7.0
 *                 ...","said":1767225603,"good":1767225600,"failing_since":1767225603}
 *                    how the upstream of the profile with that id is, over all workers: for how
 *                    long nobody may try (the breaker), for how long it is held for its rate, what
 *                    was learned of its limits (0: nothing), and what it said last about itself;
 *                    "known":false where nothing was sent there since the start; null: never
 *      offer ID VERSION HOST PORT SIZE TRAITS       (offers.h)
 *                {"ok":true}                          what a profile's test has heard its upstream
 *                    offer is known to all workers (P9)
 *      else      {"ok":false,"error":"unknown request: ..."}
 *
 * Owns:   the socket (unlinked by control_close), its clients. A stale socket is replaced; one
 *         where somebody answers is an error.
 * Errors: a client that does not send its line within 5 s, or sends more than CONTROL_LINE_MAX
 * octets, is dropped.
 */
#include "wire/loop.h"
#include "wire/text.h"

enum { CONTROL_LINE_MAX = 2048, CONTROL_CLIENTS_MAX = 16 };

struct control;

/* A request that waits for its answer; its client may be gone by then, which is no matter. */
struct control_ask;

/* ASK must be answered once, now or later. WORD (the line without its end) dies with the call. */
typedef void control_fn(void *ctx, struct control_ask *ask, struct slice word);

struct control *control_open(struct loop *l, const char *path, control_fn *fn, void *ctx,
    struct text *why) MUST_CHECK;
/* Asks without an answer die with it. */
void control_close(struct control *c);
/* In a forked child: the descriptors go, the socket's name stays. */
void control_abandon(struct control *c);
/* JSON is copied; ASK is dead then. */
void control_answer(struct control_ask *ask, struct slice json);

#endif
