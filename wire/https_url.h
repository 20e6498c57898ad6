/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_HTTPS_URL_H
#define WIRE_HTTPS_URL_H

/*
 * https_url - "https://host[:port]/path", taken apart: what an operator may name as an endpoint
 *
 * Never:  another scheme, a user, a query, a fragment, or anything that is not printable ASCII.
 */
#include "wire/slice.h"

struct https_url {
	struct slice host; /* IPv6 without brackets */
	unsigned port;
	struct slice path; /* begins with '/' */
};

bool https_url_parse(struct slice s, struct https_url *url_r) MUST_CHECK;

#endif
