/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_DNS_CONF_H
#define CONF_DNS_CONF_H

/*
 * dns_conf - [dns], as look-ups want it
 */
#include "conf/conf.h"
#include "wire/dns.h"

struct dns_servers dns_conf_servers(const struct conf *c);

#endif
