/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_WEB_CONVERT_PRIVATE_H
#define RELAY_WEB_CONVERT_PRIVATE_H

/*
 * convert_private - what convert.c (a worker) and nursery.c say to each other: packets over a
 * SOCK_SEQPACKET pair
 *
 * An order bears two descriptors: message and JSON. An answer with the serial 0 says that the
 * nursery has begun anew: what was out is lost.
 */
#include "relay/web/convert.h"

enum {
	CONVERT_FDS = 2,
	CONVERT_FACTOR = 2, /* base64 and escapes ... */
	CONVERT_SLACK = 65536,
	CONVERT_WALL_S = 30, /* of a parser */
	CONVERT_CPU_S = 5,
};

struct convert_ask {
	uint64_t serial;
	uint64_t size;
	uint64_t recipients;
	uint64_t strict;
};

struct convert_answer {
	uint64_t serial;
	uint64_t end; /* enum convert_end */
};

/* What the JSON of a message of SIZE octets may have: beyond it is what no API would take
 * either. */
static inline uint64_t
convert_json_max(uint64_t size)
{
	return CONVERT_FACTOR * size + CONVERT_SLACK;
}

#endif
