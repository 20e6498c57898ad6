/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls_words.h"

#include <arpa/inet.h>

const char *
tls_words(enum tls_fault fault)
{
	static const char *const words[] = {
		[TLS_FAULT_NONE] = "no error",
#define TLS_FAULT(name, text) [TLS_FAULT_##name] = text,
#include "wire/tls_fault.def"
#undef TLS_FAULT
	};

	return words[fault];
}

const char *
tls_words_of_alert(int alert)
{
	static const struct {
		int number;
		const char *words;
	} table[] = {
		{ 10, "peer refused: unexpected message" },
		{ 20, "peer refused: bad record" },
		{ 22, "peer refused: record too long" },
		{ 40, "peer refused: handshake failure" },
		{ 42, "peer refused: bad certificate" },
		{ 43, "peer refused: unsupported certificate" },
		{ 44, "peer refused: certificate revoked" },
		{ 45, "peer refused: certificate expired" },
		{ 46, "peer refused: certificate unknown" },
		{ 47, "peer refused: illegal parameter" },
		{ 48, "peer refused: unknown CA" },
		{ 49, "peer refused: access denied" },
		{ 50, "peer refused: decode error" },
		{ 51, "peer refused: decrypt error" },
		{ 70, "peer refused: protocol version" },
		{ 71, "peer refused: insufficient security" },
		{ 80, "peer refused: internal error" },
		{ 90, "peer refused: cancelled" },
		{ 109, "peer refused: missing extension" },
		{ 110, "peer refused: unsupported extension" },
		{ 112, "peer refused: unrecognised name" },
		{ 116, "peer refused: certificate required" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].number == alert)
			return table[i].words;
	}
	return "peer refused";
}

bool
tls_name_fits(struct slice pattern, struct slice name, bool wildcard)
{
	if (!wildcard)
		return slice_eq_nocase(pattern, name);
	if (!slice_starts(pattern, SLICE("*.")))
		return false;
	size_t label = slice_find(name, '.');

	return label > 0 && slice_eq_nocase(slice_skip(pattern, 1), slice_skip(name, label));
}

enum tls_fault
tls_host_set(struct tls_host *h, struct slice host)
{
	*h = (struct tls_host){ .address_n = 0 };
	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	if (host.n > TLS_HOST_MAX || !slice_is_ascii(host) ||
	    memchr(host.n ? host.p : "", ' ', host.n))
		return TLS_FAULT_BAD_HOST;
	if (host.n)
		memcpy(h->name, host.p, host.n);
	if (inet_pton(AF_INET, h->name, h->address) == 1)
		h->address_n = 4;
	else if (inet_pton(AF_INET6, h->name, h->address) == 1)
		h->address_n = 16;
	return TLS_FAULT_NONE;
}
