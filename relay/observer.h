/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_OBSERVER_H
#define RELAY_OBSERVER_H

/*
 * watch - who looks over the shoulder of a dialogue, or of an API's request: the probe. A worker's
 * relay has none
 *
 * Told from inside the dialogue's own steps: a watcher notes and returns; it calls nothing of
 * relay/.
 */
#include "relay/smtp/smtp.h"

enum watch_event {
	WATCH_RESOLVED, /* C->all has the addresses */
	WATCH_ALLOWED,  /* C->peer names the one that is tried */
	WATCH_CONNECTED,
	WATCH_SECURED,
	WATCH_TOKEN,  /* an access token is at hand, and AUTH says it next */
	WATCH_SENT,   /* TEXT, an answer to C->sending's step is out */
	WATCH_HEARD,  /* R, the answer to C->answering's step */
	WATCH_READY,  /* the hello is done */
	WATCH_FAILED, /* CLASS, R or TEXT */
};

struct watch_news {
	enum watch_event event;
	const struct smtp *c; /* NULL: of a request by HTTPS */
	const struct reply *r;
	struct slice text;
	enum verdict_class class;
	/* Of HTTPS, where a dialogue says it in C. */
	const char *peer;         /* CONNECTED, SECURED */
	struct slice certificate; /* SECURED, where TEXT is the TLS version */
	bool verified;
};

typedef void watch_fn(void *ctx, const struct watch_news *news);

struct watch {
	watch_fn *fn;
	void *ctx;
	bool look_only; /* a request by HTTPS ends behind TLS: nothing is asked */
};

void watch_tell(const struct smtp *c, enum watch_event event, const struct reply *r,
    struct slice text);

#endif
