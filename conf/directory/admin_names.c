/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/directory/admin_names.h"

#include <arpa/inet.h>

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_utf8(char c)
{
	return (unsigned char)c >= 0x80;
}

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool
name_is_good(struct slice s)
{
	if (s.n == 0 || s.n > NAME_MAX_LEN || !is_alnum(s.p[0]))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && !is_one_of(s.p[i], "._-"))
			return false;
	}
	return true;
}

static bool
label_is_good(struct slice s)
{
	if (s.n == 0 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && !is_utf8(s.p[i]))
			return false;
	}
	return true;
}

bool
domain_normal(struct slice s, char out[DOMAIN_MAX + 1])
{
	struct slice rest = s;

	if (s.n == 0 || s.n > DOMAIN_MAX || s.p[s.n - 1] == '.' || !slice_is_text(s))
		return false;
	while (rest.n) {
		if (!label_is_good(slice_cut(&rest, '.')))
			return false;
	}
	for (size_t i = 0; i < s.n; i++)
		out[i] = lower(s.p[i]);
	out[s.n] = '\0';
	return true;
}

/* RFC 5321, 4.1.2: Dot-string = Atom *("." Atom) */
static bool
local_is_good(struct slice s)
{
	if (s.n == 0 || s.n > LOCAL_MAX || !slice_is_text(s))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool dot = s.p[i] == '.';

		if (dot && (i == 0 || i == s.n - 1 || s.p[i - 1] == '.'))
			return false;
		if (!dot && !is_alnum(s.p[i]) && !is_utf8(s.p[i]) &&
		    !is_one_of(s.p[i], "!#$%&'*+-/=?^_`{|}~"))
			return false;
	}
	return true;
}

bool
address_normal(struct slice s, char out[ADDRESS_MAX + 1])
{
	struct slice domain = s;
	struct slice local = slice_cut(&domain, '@');
	char name[DOMAIN_MAX + 1];

	if (s.n > ADDRESS_MAX || local.n == s.n || !local_is_good(local) ||
	    !domain_normal(domain, name))
		return false;
	memcpy(out, local.p, local.n);
	out[local.n] = '@';
	memcpy(out + local.n + 1, name, domain.n + 1);
	return true;
}

bool
sender_normal(struct slice s, char out[ADDRESS_MAX + 1])
{
	if (s.n == 0 || s.p[0] != '@')
		return address_normal(s, out);
	out[0] = '@';
	return domain_normal(slice_skip(s, 1), out + 1);
}

bool
network_normal(struct slice s, struct net *net_r, char out[NET_TEXT_MAX + 5])
{
	struct net n;
	char host[INET6_ADDRSTRLEN];
	struct text t = text_over(out, NET_TEXT_MAX + 5);

	if (!net_parse(s, &n))
		return false;
	unsigned whole = n.family == 4 ? 32 : 128;

	if (!inet_ntop(n.family == 4 ? AF_INET : AF_INET6, n.addr, host, sizeof(host)))
		return false;
	text_put(&t, slice_str(host));
	if (n.bits != whole) {
		text_char(&t, '/');
		text_u64(&t, n.bits);
	}
	*net_r = n;
	return !t.overflow;
}

bool
pin_is_good(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_one_of(lower(s.p[i]), "0123456789abcdef"))
			return false;
	}
	return s.n == 64;
}

bool
headers_are_good(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' ? s.p[i] != ' ' : s.p[i] == ':' || s.p[i] > '~')
			return false;
	}
	return s.n <= 1000;
}
