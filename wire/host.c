/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/host.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdlib.h>

enum { LABEL_MAX = 63, PORT_SMTPS = 465, PORT_SUBMISSION = 587 };

bool
host_is_address(struct slice s, int family)
{
	char z[INET6_ADDRSTRLEN];
	unsigned char addr[16];

	if (s.n == 0 || s.n >= sizeof(z) || memchr(s.p, '\0', s.n))
		return false;
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return inet_pton(family, z, addr) == 1;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_label_octet(char c)
{
	return is_digit(c) || c == '-' || c == '_' || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* A last label of digits alone makes an address of it for some resolvers: 127.1 */
static bool
is_name(struct slice s)
{
	bool digits = true;

	if (s.n == 0 || s.n > HOST_MAX || s.p[s.n - 1] == '.')
		return false;
	while (s.n > 0) {
		struct slice label = slice_cut(&s, '.');

		if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' ||
		    label.p[label.n - 1] == '-')
			return false;
		digits = true;
		for (size_t i = 0; i < label.n; i++) {
			if (!is_label_octet(label.p[i]))
				return false;
			digits = digits && is_digit(label.p[i]);
		}
	}
	return !digits;
}

bool
host_is_normal(struct slice s)
{
	return is_name(s) || host_is_address(s, AF_INET) || host_is_address(s, AF_INET6);
}

/* ---- what people write ----------------------------------------------------------------------- */

/* "ssl://h:465/", "h:465": the host in it, and what the rest stands for. */
static bool
say_parts(struct slice s, struct text *why)
{
	size_t at = slice_find(s, ':');
	bool scheme = slice_starts(slice_skip(s, at), SLICE("://"));
	struct slice how = slice_head(s, scheme ? at : 0);
	struct slice rest = scheme ? slice_skip(s, at + 3) : s;
	struct slice host = slice_cut(&rest, ':');
	uint64_t port = 0;

	host = slice_head(host, slice_find(host, '/'));
	rest = slice_head(rest, slice_find(rest, '/'));
	if (!is_name(host) && !host_is_address(host, AF_INET))
		return false;
	if (rest.n > 0 && !slice_to_u64(rest, &port))
		return false;
	bool implicit = port == PORT_SMTPS ||
	    (port == 0 &&
	        (slice_eq_nocase(how, SLICE("ssl")) || slice_eq_nocase(how, SLICE("tls")) ||
	            slice_eq_nocase(how, SLICE("smtps"))));

	if (port == 0)
		port = implicit ? PORT_SMTPS : PORT_SUBMISSION;
	text_fmt(why, "a host name alone: write --host %.*s --port %llu --tls %s", SLICE_FMT(host),
	    (unsigned long long)port, implicit ? "implicit" : "starttls");
	return true;
}

static void
say_wrong(struct slice s, struct text *why)
{
	struct slice shorter = s;

	while (shorter.n > 0 && shorter.p[shorter.n - 1] == '.')
		shorter.n--;
	if (shorter.n < s.n && is_name(shorter)) {
		text_fmt(why, "without the dot at its end: write --host %.*s", SLICE_FMT(shorter));
		return;
	}
	if (slice_find(s, ':') < s.n && say_parts(s, why))
		return;
	text_put(why, SLICE("not a host name or IP address"));
	for (size_t i = 0; i < s.n; i++) {
		if (is_label_octet(s.p[i]) || s.p[i] == '.')
			continue;
		text_put(why, SLICE(": one name without "));
		text_put(why, s.p[i] == ' ' ? SLICE("blanks") : slice_of(&s.p[i], s.p[i] > ' '));
		return;
	}
}

/* IDNA2008 (RFC 5891). */
static bool
to_ascii(struct slice s, char out[HOST_MAX + 1], struct text *why)
{
	char in[HOST_UTF8_MAX + 1];
	char *ascii = NULL;
	int rc = IDN2_TOO_BIG_DOMAIN;

	if (s.n < sizeof(in) && !memchr(s.p, '\0', s.n)) {
		memcpy(in, s.p, s.n);
		in[s.n] = '\0';
		rc = idn2_to_ascii_8z(in, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	}
	bool ok = rc == IDN2_OK && strlen(ascii) <= HOST_MAX && is_name(slice_str(ascii));

	if (ok)
		memcpy(out, ascii, strlen(ascii) + 1);
	else
		text_fmt(why, "not a host name: %s", rc == IDN2_OK ? "no IDN" : idn2_strerror(rc));
	idn2_free(ascii);
	return ok;
}

bool
host_normal(struct slice s, char out[HOST_MAX + 1], struct text *why)
{
	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']' &&
	    host_is_address(slice_of(s.p + 1, s.n - 2), AF_INET6))
		s = slice_of(s.p + 1, s.n - 2);
	if (!slice_is_ascii(s))
		return to_ascii(s, out, why);
	if (!host_is_normal(s)) {
		say_wrong(s, why);
		return false;
	}
	for (size_t i = 0; i < s.n; i++)
		out[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
	out[s.n] = '\0';
	return true;
}

static bool
has_a_label(struct slice s)
{
	while (s.n > 0)
		if (slice_starts_nocase(slice_cut(&s, '.'), SLICE("xn--")))
			return true;
	return false;
}

bool
host_in_letters(struct slice s, char out[HOST_UTF8_MAX + 1])
{
	char in[HOST_MAX + 1];
	char *utf8 = NULL;

	if (!is_name(s) || !has_a_label(s))
		return false;
	memcpy(in, s.p, s.n);
	in[s.n] = '\0';
	bool ok = idn2_to_unicode_8z8z(in, &utf8, 0) == IDN2_OK && strlen(utf8) <= HOST_UTF8_MAX;

	if (ok)
		memcpy(out, utf8, strlen(utf8) + 1);
	idn2_free(utf8);
	return ok;
}
