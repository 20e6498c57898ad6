/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/rules/sender_rules.h"

#include <string.h>

enum { ADDRESS_ROOM = 512 };

bool
sender_rules_is_own(const struct account *a, struct slice domain)
{
	return account_domain(a, domain) != NULL;
}

/* LIST holds addresses, and "@domain" for all of a domain. */
static bool
is_listed(const char *const *list, size_t n, const struct path *address)
{
	char mem[ADDRESS_ROOM];
	struct text t = text_over(mem, sizeof(mem));

	path_write(&t, address);
	for (size_t i = 0; i < n && !t.overflow; i++) {
		struct slice row = slice_str(list[i]);
		bool whole = slice_starts(row, SLICE("@"));

		if (whole ? slice_eq_nocase(slice_skip(row, 1), address->domain)
		          : slice_eq_nocase(row, text_slice(&t)))
			return true;
	}
	return false;
}

static bool
is_allowed(const struct account *a, const struct path *address)
{
	return !a->restrict_senders ||
	    is_listed((const char *const *)a->allowed, a->allowed_n, address);
}

static bool
is_verified_alone(const struct account *a, const struct path *address)
{
	return is_listed((const char *const *)a->verified, a->verified_n, address);
}

static bool
is_verified(const struct account *a, const struct path *address)
{
	const struct domain *d = account_domain(a, address->domain);

	return (d != NULL && d->verified) || is_verified_alone(a, address);
}

static enum reply_id
may_write_as(const struct account *a, const struct path *address)
{
	if (!is_allowed(a, address))
		return SAY_SENDER_NOT_ALLOWED;
	if (account_senders_rule(a) != SENDERS_OWN || sender_rules_is_own(a, address->domain) ||
	    is_verified_alone(a, address))
		return SAY_NONE;
	return SAY_SENDER_NOT_ALLOWED;
}

enum reply_id
sender_rules_envelope(const struct sender *s, const struct path *from)
{
	return from->null ? SAY_NONE : may_write_as(&s->account, from);
}

bool
sender_rules_must_ask(const struct sender *s, const struct path *address)
{
	return !address->null && address->domain.n > 0 && address->domain.p[0] != '[' &&
	    !sender_rules_is_own(&s->account, address->domain);
}

/* Every @ that could be part of an address, by its domain alone. False: too many. */
static bool
find_domains(struct slice value, struct mailboxes *all_r)
{
	static const char ends[] = " \t<>()[],;:\"@\\";

	all_r->n = 0;
	while (value.n > 0) {
		value = slice_skip(value, slice_find(value, '@') + 1);
		while (value.n > 0 && (value.p[0] == ' ' || value.p[0] == '\t'))
			value = slice_skip(value, 1);
		size_t n = 0;

		while (n < value.n && memchr(ends, value.p[n], sizeof(ends)) == NULL)
			n++;
		if (n == 0)
			continue;
		if (all_r->n == MAILBOXES_MAX)
			return false;
		all_r->at[all_r->n++] = (struct path){ .domain = slice_head(value, n) };
	}
	return true;
}

enum reply_id
sender_rules_read(const struct sender *s, unsigned froms, struct slice value, bool cut,
    struct mailboxes *all_r)
{
	enum senders_rule rule = account_senders_rule(&s->account);
	bool lenient = rule == SENDERS_ANY && !s->account.restrict_senders;
	bool needs = rule == SENDERS_VERIFIED || s->account.restrict_senders;

	all_r->n = 0;
	if (froms == 0)
		return needs ? SAY_FROM_MISSING : SAY_NONE;
	if (froms > 1 && !lenient)
		return SAY_FROM_TWICE;
	if (cut)
		return SAY_FROM_UNREADABLE;
	if (!mailboxes_parse(value, all_r) && !(lenient && find_domains(value, all_r)))
		return SAY_FROM_UNREADABLE;
	return all_r->n == 0 && needs ? SAY_FROM_MISSING : SAY_NONE;
}

enum reply_id
sender_rules_from(const struct sender *s, const struct mailboxes *all)
{
	enum reply_id no = SAY_NONE;

	if (account_senders_rule(&s->account) == SENDERS_VERIFIED)
		for (size_t i = 0; i < all->n; i++)
			if (!is_verified(&s->account, &all->at[i]))
				return SAY_FROM_NOT_VERIFIED;
	for (size_t i = 0; i < all->n && no == SAY_NONE; i++)
		no = may_write_as(&s->account, &all->at[i]);
	return no;
}

enum reply_id
sender_rules_owner(enum login_result asked)
{
	switch (asked) {
	case LOGIN_OK:
		return SAY_NONE;
	case LOGIN_REFUSED:
		return SAY_SENDER_NOT_ALLOWED;
	case LOGIN_UNAVAILABLE:
		break;
	}
	return SAY_DIRECTORY_DOWN;
}

enum reply_id
sender_rules_domain(enum mx_got got)
{
	switch (got) {
	case MX_FOUND:
		return SAY_NONE;
	case MX_NULL:
	case MX_NONE:
		return SAY_UNROUTABLE_DOMAIN;
	case MX_UNKNOWN:
		break;
	}
	return SAY_SENDER_DNS_FAILED;
}
