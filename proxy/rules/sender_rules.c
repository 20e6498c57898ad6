/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/rules/sender_rules.h"

#include "wire/mailbox.h"

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
is_verified(const struct account *a, const struct path *address)
{
	const struct domain *d = account_domain(a, address->domain);

	return !a->require_verified_sender || (d != NULL && d->verified) ||
	    is_listed((const char *const *)a->verified, a->verified_n, address);
}

bool
sender_rules_want_from(const struct sender *s)
{
	return s->account.restrict_senders || s->account.require_verified_sender;
}

enum reply_id
sender_rules_envelope(const struct sender *s, const struct path *from)
{
	return from->null || is_allowed(&s->account, from) ? SAY_NONE : SAY_SENDER_NOT_ALLOWED;
}

enum reply_id
sender_rules_from(const struct sender *s, unsigned froms, struct slice value, bool cut)
{
	struct mailboxes all;

	if (!sender_rules_want_from(s))
		return SAY_NONE;
	if (froms != 1)
		return froms == 0 ? SAY_FROM_MISSING : SAY_FROM_TWICE;
	if (cut || !mailboxes_parse(value, &all))
		return SAY_FROM_UNREADABLE;
	if (all.n == 0)
		return SAY_FROM_MISSING;
	for (size_t i = 0; i < all.n; i++)
		if (!is_verified(&s->account, &all.at[i]))
			return SAY_FROM_NOT_VERIFIED;
	for (size_t i = 0; i < all.n; i++)
		if (!is_allowed(&s->account, &all.at[i]))
			return SAY_SENDER_NOT_ALLOWED;
	return SAY_NONE;
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
