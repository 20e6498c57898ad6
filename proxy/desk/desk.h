/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_DESK_DESK_H
#define PROXY_DESK_DESK_H

/*
 * desk - the worker's help desk: answers questions of the control socket about one mailbox, address
 * or account (BEHAVIOUR H1, H2)
 *
 *      explain MAILBOX [TO]     what explain.h says; an IP address in place of the mailbox is the
 *                               identity that it has
 *      usage NAME               {"ok":true,"name":"a@b","kind":"mailbox","account":"acme","plan":"pro","state":"active","mailbox_state":"active","limits":[...],
 *                                "refusals":[{"cause":"rcpt","code":550,"count":3,"first":...,"last":...,"sender":"a@b","to":"c@d","words":"550
 *                                5.1.1 ...","id":"..."}],
 *                                "profiles":[{"name":"mg","host":"smtp.example","port":587,"state":"ok","retry_s":0,"sent":5,"failed":0,"last_sent":...,"last_failed":0,
 *                                "class":"ok","said":"250 2.0.0 Ok","id":"..."}]}
 *                               kind: mailbox, address, account; state of a profile: ok, failing
 *                               (its last mail met trouble), refused (its credentials are), unused;
 *                               limits: as quota.h writes them; "native" is among the profiles
 *      limits show NAME         {"ok":true,"name":...,"limits":[...]}
 *      limits reset NAME        {"ok":true}; the counters of an account, or of a mailbox
 *      forgive NAME             {"ok":true}; failed log-ins of that name are forgotten
 *
 * Life:   answers come by FN, once each, from the loop. desk_close() answers nobody.
 */
#include "proxy/process/worker.h"

struct desk;

typedef void desk_fn(void *ctx, uint32_t serial, struct slice json);

struct desk *desk_open(struct worker *w, desk_fn *fn, void *ctx) MUST_CHECK;
void desk_close(struct desk *d);
void desk_ask(struct desk *d, uint32_t serial, struct slice words);

#endif
