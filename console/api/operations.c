/* SPDX-License-Identifier: Apache-2.0 */
#include "console/api/call.h"

#define A "/v1/accounts/{account}"

/* clang-format off */
#define OBJECTS(Name, Names, k, scope, base, brace, noun) \
	{ "list" Names, "GET", base, SCOPE_READ, call_list, &k, SHAPE_NONE, SHAPE_LIST, "All " noun "s, by name" }, \
	{ "get" Name, "GET", base "/" brace, SCOPE_READ, call_get, &k, SHAPE_NONE, SHAPE_OBJECT, "One " noun }, \
	{ "put" Name, "PUT", base "/" brace, scope, call_put, &k, SHAPE_OBJECT, SHAPE_OBJECT, \
	    "Makes a " noun ", or brings it to what is said; what is not said stays" }, \
	{ "patch" Name, "PATCH", base "/" brace, scope, call_patch, &k, SHAPE_OBJECT, SHAPE_OBJECT, "Changes a " noun }, \
	{ "delete" Name, "DELETE", base "/" brace, scope, call_delete, &k, SHAPE_NONE, SHAPE_DOCUMENT, "Removes a " noun },

const struct operation operations[] = {
	OBJECTS("Plan", "Plans", kind_plan, SCOPE_OPERATOR, "/v1/plans", "{plan}", "plan")
	OBJECTS("Account", "Accounts", kind_account, SCOPE_ACCOUNTS, "/v1/accounts", "{account}", "account")
	OBJECTS("Domain", "Domains", kind_domain, SCOPE_ACCOUNTS, A "/domains", "{domain}", "domain")
	OBJECTS("Mailbox", "Mailboxes", kind_mailbox, SCOPE_MAILBOXES, A "/mailboxes", "{mailbox}", "mailbox")
	OBJECTS("Profile", "Profiles", kind_profile, SCOPE_PROFILES, A "/profiles", "{profile}", "profile")
	OBJECTS("Ip", "Ips", kind_ip, SCOPE_ACCOUNTS, A "/ips", "{ip}", "network")
	{ "suspendAccount", "POST", A "/suspend", SCOPE_ACCOUNTS, call_suspend, &kind_account, SHAPE_REASON, SHAPE_STATE,
	    "No mail of the account from its next MAIL on: billing, deliverability or abuse" },
	{ "resumeAccount", "POST", A "/resume", SCOPE_ACCOUNTS, call_resume_account, &kind_account, SHAPE_NONE, SHAPE_STATE,
	    "Ends a suspension" },
	{ "verifyOwner", "POST", A "/verify-owner", SCOPE_ACCOUNTS, call_verify_owner, &kind_account, SHAPE_NONE, SHAPE_STATE,
	    "The owner's address was confirmed elsewhere" },
	{ "pauseMailbox", "POST", A "/mailboxes/{mailbox}/pause", SCOPE_MAILBOXES, call_pause, &kind_mailbox, SHAPE_BY, SHAPE_STATE,
	    "Pauses a mailbox, by owner, admin or abuse" },
	{ "resumeMailbox", "POST", A "/mailboxes/{mailbox}/resume", SCOPE_MAILBOXES, call_resume, &kind_mailbox, SHAPE_NONE, SHAPE_STATE,
	    "Ends a pause" },
	{ "blockMailbox", "POST", A "/mailboxes/{mailbox}/block", SCOPE_ACCOUNTS, call_block, &kind_mailbox, SHAPE_NONE, SHAPE_STATE,
	    "Blocks a mailbox" },
	{ "unblockMailbox", "POST", A "/mailboxes/{mailbox}/unblock", SCOPE_ACCOUNTS, call_unblock, &kind_mailbox, SHAPE_NONE, SHAPE_STATE,
	    "Ends a block" },
	{ "setMailboxPassword", "POST", A "/mailboxes/{mailbox}/password", SCOPE_MAILBOXES, call_password, &kind_mailbox, SHAPE_SECRET, SHAPE_MADE,
	    "A new password; one is made, and shown this once, where none is said" },
	{ "getUsage", "GET", A "/usage", SCOPE_READ, call_usage, &kind_account, SHAPE_NONE, SHAPE_DOCUMENT,
	    "What was used of the plan's limits, and what was refused of late" },
	{ "getMailboxUsage", "GET", A "/mailboxes/{mailbox}/usage", SCOPE_READ, call_usage, &kind_mailbox, SHAPE_NONE, SHAPE_DOCUMENT,
	    "The same of one mailbox" },
	{ "explainMailbox", "GET", A "/mailboxes/{mailbox}/explain", SCOPE_READ, call_explain, &kind_mailbox, SHAPE_NONE, SHAPE_DOCUMENT,
	    "What would become of its mail now, and why" },
	{ "resetLimits", "POST", A "/limits/reset", SCOPE_OPERATOR, call_limits_reset, &kind_account, SHAPE_NONE, SHAPE_DOCUMENT,
	    "The account's counters start again from zero" },
	{ "resetMailboxLimits", "POST", A "/mailboxes/{mailbox}/limits/reset", SCOPE_OPERATOR, call_limits_reset, &kind_mailbox, SHAPE_NONE, SHAPE_DOCUMENT,
	    "A mailbox's counters start again from zero" },
	{ "getStatus", "GET", "/v1/status", SCOPE_OPERATOR, call_status, NULL, SHAPE_NONE, SHAPE_DOCUMENT,
	    "The running daemon: workers, listeners, counters" },
	{ "reload", "POST", "/v1/reload", SCOPE_OPERATOR, call_reload, NULL, SHAPE_NONE, SHAPE_DOCUMENT,
	    "The daemon reads its configuration anew" },
	/* What a running daemon is asked and told. */
	{ "explainAccount", "GET", A "/explain", SCOPE_READ, call_explain_account, &kind_account, SHAPE_NONE, SHAPE_DOCUMENT,
	    "What would become of the mail of one of its mailboxes, in ten checks" },
	{ "getRefusals", "GET", A "/refusals", SCOPE_READ, call_refusals, &kind_account, SHAPE_NONE, SHAPE_DOCUMENT,
	    "What was refused of late, by cause, the latest first" },
	{ "getProfileHealth", "GET", A "/profiles/{profile}/health", SCOPE_READ, call_health, &kind_profile, SHAPE_NONE, SHAPE_DOCUMENT,
	    "What the daemon knows of the profile's server" },
	{ "drain", "POST", "/v1/drain", SCOPE_OPERATOR, call_drain, NULL, SHAPE_NONE, SHAPE_DOCUMENT,
	    "The daemon takes no new connections, and ends when what is under way is done" },
	/* Domains and routes. */
	{ "getRecords", "GET", A "/domains/{domain}/records", SCOPE_READ, call_records, &kind_domain, SHAPE_NONE, SHAPE_DOCUMENT,
	    "What its name servers should say, as JSON or as lines of a zone file" },
	{ "verifyDomain", "POST", A "/domains/{domain}/verify", SCOPE_MAILBOXES, call_verify_domain, &kind_domain, SHAPE_NONE, SHAPE_DOCUMENT,
	    "Looks for its records now, and sets whether it is verified" },
	{ "listRoutes", "GET", A "/routes", SCOPE_READ, call_routes, &kind_account, SHAPE_NONE, SHAPE_DOCUMENT,
	    "Where the mail of the account and of each of its domains goes" },
	{ "getRoute", "GET", A "/route", SCOPE_READ, call_route, &kind_account, SHAPE_NONE, SHAPE_DOCUMENT,
	    "Where the account's mail goes" },
	{ "putRoute", "PUT", A "/route", SCOPE_PROFILES, call_route_put, &kind_account, SHAPE_ROUTE, SHAPE_DOCUMENT,
	    "Says where the account's mail goes: native, a profile or inherit" },
	{ "deleteRoute", "DELETE", A "/route", SCOPE_PROFILES, call_route_delete, &kind_account, SHAPE_NONE, SHAPE_DOCUMENT,
	    "As its plan says" },
	{ "getDomainRoute", "GET", A "/domains/{domain}/route", SCOPE_READ, call_route, &kind_domain, SHAPE_NONE, SHAPE_DOCUMENT,
	    "Where the domain's mail goes" },
	{ "putDomainRoute", "PUT", A "/domains/{domain}/route", SCOPE_PROFILES, call_route_put, &kind_domain, SHAPE_ROUTE, SHAPE_DOCUMENT,
	    "Says where the domain's mail goes: native, a profile or inherit" },
	{ "deleteDomainRoute", "DELETE", A "/domains/{domain}/route", SCOPE_PROFILES, call_route_delete, &kind_domain, SHAPE_NONE, SHAPE_DOCUMENT,
	    "As its account says" },
	{ "listProviders", "GET", "/v1/providers", SCOPE_READ, call_providers, NULL, SHAPE_NONE, SHAPE_DOCUMENT,
	    "Presets of providers: hosts, ports, what the user name is and where the password is found" },
	/* The machine. */
	{ "getConfig", "GET", "/v1/config", SCOPE_OPERATOR, call_config, NULL, SHAPE_NONE, SHAPE_DOCUMENT,
	    "The configuration as its file says it now" },
	{ "trace", "GET", "/v1/trace", SCOPE_OPERATOR, call_trace, NULL, SHAPE_NONE, SHAPE_DOCUMENT,
	    "The story of a message or a session, out of the log" },
	{ "getOpenapi", "GET", "/v1/openapi.json", SCOPE_READ, call_openapi, NULL, SHAPE_NONE, SHAPE_DOCUMENT,
	    "This document" },
	{ NULL, NULL, NULL, SCOPE_OPERATOR, NULL, NULL, SHAPE_NONE, SHAPE_NONE, NULL },
};
/* clang-format on */
