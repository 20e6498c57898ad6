/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of name servers: any octets, taken for an answer to any of our questions.
 */
#include "conf/dns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool b)
{
	if (!b)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT };
	static struct dns_answer a;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		dns_read(slice_of((const char *)data, n), SLICE("a.example"), types[i], &a);
		must((a.got == DNS_FOUND) == (a.n > 0) && a.n <= DNS_RECORDS_MAX);
		for (size_t k = 0; k < a.n; k++)
			must(a.at[k].value.p >= a.mem &&
			    a.at[k].value.p + a.at[k].value.n <= a.mem + sizeof(a.mem));
	}
	return 0;
}
