/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>

#include "conf/option.h"

/* ---- units ---- */

/* From large to small; the last is what a bare number means. */
static const struct unit units_none[] = { { "", 1 }, { NULL, 0 } };
static const struct unit units_size[] = {
	{ "g", 1u << 30 },
	{ "m", 1u << 20 },
	{ "k", 1u << 10 },
	{ "", 1 },
	{ NULL, 0 },
};
static const struct unit units_seconds[] = {
	{ "d", 86400 },
	{ "h", 3600 },
	{ "m", 60 },
	{ "s", 1 },
	{ "", 1 },
	{ NULL, 0 },
};
static const struct unit units_millis[] = {
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
	{ "", 1 },
	{ NULL, 0 },
};

const struct unit *
value_units(enum option_type type)
{
	if (type == OPTION_SIZE || type == OPTION_MEMORY)
		return units_size;
	if (type == OPTION_SECONDS)
		return units_seconds;
	return type == OPTION_MILLIS ? units_millis : units_none;
}

/* With the largest unit that leaves no rest. */
static void
write_number(const struct unit *u, uint64_t v, struct text *out)
{
	while (u[1].word && *u[1].word && (v == 0 || v % u->factor != 0))
		u++;
	/* No unit at all but for "0s". */
	if (u[1].word && !*u[1].word && v % u->factor != 0)
		u++;
	text_u64(out, v / u->factor);
	text_put(out, slice_str(u->word));
}

/* ---- what is expected ---- */

void
value_expected(const struct conf_option *opt, struct text *out)
{
	switch (opt->type) {
	case OPTION_BOOL:
		text_put(out, SLICE("yes or no"));
		break;
	case OPTION_UNSIGNED:
	case OPTION_SIZE:
	case OPTION_MEMORY:
	case OPTION_SECONDS:
	case OPTION_MILLIS:
		write_number(value_units(opt->type), opt->min, out);
		text_put(out, SLICE(" to "));
		write_number(value_units(opt->type), opt->max, out);
		break;
	case OPTION_CHOICE:
		for (size_t i = 0; opt->words[i]; i++) {
			if (i)
				text_put(out, opt->words[i + 1] ? SLICE(", ") : SLICE(" or "));
			text_put(out, slice_str(opt->words[i]));
		}
		break;
	case OPTION_STRING:
		text_fmt(out, "text of at most %u octets", (unsigned)opt->max);
		break;
	case OPTION_DOMAIN:
		text_put(out, SLICE("a host name, or an address in brackets"));
		break;
	case OPTION_HOST:
		text_put(out, SLICE("a host name or an IP address"));
		break;
	case OPTION_PATH:
	case OPTION_SECRET_FILE:
		text_put(out, SLICE("a path"));
		break;
	case OPTION_PIN:
		text_put(out, SLICE("64 hex digits"));
		break;
	case OPTION_SECRET:
		text_fmt(out, "a secret of at most %u octets", (unsigned)opt->max);
		break;
	case OPTION_NETWORKS:
		text_put(out, SLICE("networks such as 192.0.2.0/24 2001:db8::/32"));
		break;
	case OPTION_PORTS:
		text_put(out, SLICE("ports, 1 to 65535"));
		break;
	case OPTION_WORDS:
		text_put(out, SLICE("names"));
		break;
	case OPTION_ADDRESSES:
		text_put(out, SLICE("addresses such as 192.0.2.1:587 [2001:db8::1]:587"));
		break;
	}
}

/* ---- fields as text ---- */

bool
value_is_secret(const struct conf_option *opt)
{
	return opt->type == OPTION_SECRET;
}

static bool
is_number(enum option_type type)
{
	return type == OPTION_UNSIGNED || type == OPTION_SIZE || type == OPTION_MEMORY ||
	    type == OPTION_SECONDS || type == OPTION_MILLIS;
}

bool
value_is_list(enum option_type type)
{
	return type == OPTION_NETWORKS || type == OPTION_PORTS || type == OPTION_WORDS ||
	    type == OPTION_ADDRESSES;
}

static uint64_t
get_number(const struct conf_option *opt, const void *field)
{
	if (opt->type == OPTION_SIZE)
		return *(const uint64_t *)field;
	if (opt->type == OPTION_MEMORY)
		return *(const size_t *)field;
	return *(const unsigned *)field;
}

const char *
value_str(const struct conf_option *opt, const void *base)
{
	return *(const char *const *)((const char *)base + opt->at);
}

static void
write_net(const struct net *net, struct text *out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	memcpy(&v4.sin_addr, net->addr, sizeof(v4.sin_addr));
	memcpy(&v6.sin6_addr, net->addr, sizeof(v6.sin6_addr));
	net_write(out,
	    net->family == 4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6);
	if (net->bits != (net->family == 4 ? 32 : 128))
		text_fmt(out, "/%u", net->bits);
}

static void
write_element(const struct conf_option *opt, const void *list, size_t i, struct text *out)
{
	if (opt->type == OPTION_NETWORKS)
		write_net(&((const struct net *)list)[i], out);
	else if (opt->type == OPTION_PORTS)
		text_u64(out, ((const unsigned *)list)[i]);
	else if (opt->type == OPTION_ADDRESSES)
		text_put(out, slice_str(((const struct conf_address *)list)[i].text));
	else
		text_put(out, slice_str(((const char *const *)list)[i]));
}

static const void *
list_of(const struct conf_option *opt, const void *base, size_t *n_r)
{
	const void *list;

	memcpy(&list, (const char *)base + opt->at, sizeof(list));
	*n_r = *(const size_t *)((const char *)base + opt->count_at);
	return list;
}

/* The word of a bool or an enum. */
static struct slice
word_of(const struct conf_option *opt, const void *base)
{
	unsigned i;

	if (opt->type == OPTION_BOOL)
		return *(const bool *)((const char *)base + opt->at) ? SLICE("yes") : SLICE("no");
	memcpy(&i, (const char *)base + opt->at, sizeof(i));
	return slice_str(opt->words[i]);
}

void
value_write(const struct conf_option *opt, const void *base, struct text *out)
{
	const void *list;
	size_t n;

	if (is_number(opt->type)) {
		write_number(value_units(opt->type), get_number(opt, (const char *)base + opt->at),
		    out);
	} else if (opt->type == OPTION_BOOL || opt->type == OPTION_CHOICE) {
		text_put(out, word_of(opt, base));
	} else if (value_is_list(opt->type)) {
		list = list_of(opt, base, &n);
		for (size_t i = 0; i < n; i++) {
			if (i)
				text_char(out, ' ');
			write_element(opt, list, i, out);
		}
	} else if (value_is_secret(opt)) {
		text_put(out, value_str(opt, base) ? SLICE("***") : SLICE(""));
	} else {
		text_put(out, slice_str(value_str(opt, base)));
	}
}

void
value_json(const struct conf_option *opt, const void *base, struct text *out)
{
	const void *list;
	size_t n;

	if (is_number(opt->type)) {
		text_u64(out, get_number(opt, (const char *)base + opt->at));
	} else if (opt->type == OPTION_BOOL) {
		text_put(out,
		    slice_eq(word_of(opt, base), SLICE("yes")) ? SLICE("true") : SLICE("false"));
	} else if (value_is_list(opt->type)) {
		list = list_of(opt, base, &n);
		text_char(out, '[');
		for (size_t i = 0; i < n; i++) {
			text_put(out, i ? SLICE(",") : SLICE(""));
			text_put(out, opt->type == OPTION_PORTS ? SLICE("") : SLICE("\""));
			/* Names of sections, networks and addresses hold nothing that JSON
			 * escapes. */
			write_element(opt, list, i, out);
			text_put(out, opt->type == OPTION_PORTS ? SLICE("") : SLICE("\""));
		}
		text_char(out, ']');
	} else if (opt->type != OPTION_CHOICE && !value_str(opt, base)) {
		text_put(out, SLICE("null"));
	} else {
		text_char(out, '"');
		if (opt->type == OPTION_CHOICE)
			text_put(out, word_of(opt, base));
		else
			text_json(out,
			    value_is_secret(opt) ? SLICE("***") : slice_str(value_str(opt, base)));
		text_char(out, '"');
	}
}

/* NULL: what value_expected() says. */
static const char *
kind_word(enum option_type type)
{
	switch (type) {
	case OPTION_BOOL:
		return "yes/no";
	case OPTION_NETWORKS:
		return "list of networks";
	case OPTION_PORTS:
		return "list of ports";
	case OPTION_WORDS:
		return "list of names";
	case OPTION_ADDRESSES:
		return "list of addresses with ports";
	case OPTION_DOMAIN:
		return "host name, or address in brackets";
	case OPTION_HOST:
		return "host name or address";
	case OPTION_PATH:
	case OPTION_SECRET_FILE:
		return "path";
	case OPTION_STRING:
		return "text";
	case OPTION_SECRET:
		return "secret";
	case OPTION_UNSIGNED:
	case OPTION_SIZE:
	case OPTION_MEMORY:
	case OPTION_SECONDS:
	case OPTION_MILLIS:
	case OPTION_CHOICE:
	case OPTION_PIN:
		return NULL;
	}
	return NULL;
}

void
value_kind(const struct conf_option *opt, struct text *out)
{
	const char *word = kind_word(opt->type);

	if (word)
		text_put(out, slice_str(word));
	else
		value_expected(opt, out);
}
