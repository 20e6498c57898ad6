/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DIALOGUE_SESSION_H
#define PROXY_DIALOGUE_SESSION_H

/*
 * session - one client's SMTP dialogue (RFC 5321, BEHAVIOUR 1 to 3)
 *
 * Owns:   its stream (and so the fd), its transaction, a reference to its lane and to the sender
 *         that logged in.
 * Life:   from session_open() until the client has gone AND no upstream answer is awaited (L7);
 *         freed by the loop.
 * Errors: everything is a reply or a close row (close.def), and exactly one "session" line in the
 * log.
 */
#include <sys/socket.h>

#include "proxy/limits/quota.h"
#include "proxy/process/worker.h"
#include "relay/smtp/callout.h"

/* The worker's sessions: found by id, shed oldest first. */
struct sessions *sessions_open(struct worker *w) MUST_CHECK;
void sessions_close(struct sessions *all);
size_t sessions_count(const struct sessions *all);
/* 421 to each at its next command boundary outside content; sessions that do nothing get it at once
 * (drain). */
void sessions_drain(struct sessions *all);
/* Closes all that are left, now. */
void sessions_kill(struct sessions *all);

/* Takes FD, accepted and non-blocking. Counts it in the scoreboard, holds the caps of P6,
 * greets. */
void session_open(struct lane *lane, int fd, const struct sockaddr *peer, socklen_t peer_len);

/* What the limits call; ctx is the worker. */
quota_fn session_on_quota;
/* What callouts call (sender_check.c); ctx is the worker. */
callout_fn sender_on_callout;
/* What the relay calls; ctx is the worker. */
extern const struct relay_events session_relay_events;

#endif
