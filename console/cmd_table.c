/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

/*
 * The one table of commands. Rows of a family stand together.
 */

static const struct cli_option of_init[] = {
	{ "dir", "DIR", "where the configuration and the keys go (default /etc/byway)" },
	{ "state", "DIR",
	    "where the directory's database goes (default /var/lib/byway, or DIR if --dir is given)" },
	{ "name", "HOST", "the relay's host name (default this machine's)" },
	{ "listen", "LIST",
	    "addresses for clients that speak STARTTLS, with commas between; without a port: 25, 587, 2525 (and 465 with TLS)" },
	{ "listen-tls", "LIST",
	    "addresses for clients that speak TLS at once; without a port: 465" },
	{ "control", "PATH", "the daemon's control socket (default /run/byway/control.sock)" },
	{ "user", "USER",
	    "who the daemon becomes (default byway, where root runs this and there is such a user)" },
	{ "certificate", "FILE", "your certificate with its chain, PEM (default: one is made)" },
	{ "certificate-key", "FILE", "its key, PEM" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_setup[] = {
	{ "dir", "DIR", "where the configuration and the keys go (default /etc/byway)" },
	{ "state", "DIR", "where the directory's database goes, as in byway init" },
	{ "control", "PATH", "the daemon's control socket, as in byway init" },
	{ "user", "USER", "who the daemon becomes, as in byway init" },
	{ "name", "HOST", "the relay's host name (default this machine's)" },
	{ "certificate", "FILE", "your certificate with its chain, PEM (default: one is made)" },
	{ "certificate-key", "FILE", "its key, PEM" },
	{ "listen", "LIST",
	    "addresses for STARTTLS (default: those of 587, 25, 2525, 8025, 80 that are free)" },
	{ "listen-tls", "LIST",
	    "addresses for TLS at once (default: those of 465, 8465, 443 that are free)" },
	{ "mta", "HOST", "your own mail server, HOST or HOST:PORT, for native mail" },
	{ "provider", "PROVIDER", "or a provider, see byway provider list" },
	{ "region", "REGION", "of its hosts" },
	{ "host", "HOST", "or any other server that customers may name" },
	{ "port", "PORT", "of --host" },
	{ "tls", "starttls|implicit|none", "of --mta or --host (default starttls)" },
	{ "ca", "FILE", "PEM file with a private CA for --mta or --host" },
	{ "username", "NAME", "login at the provider; its password is asked for" },
	{ "domain", "DOMAIN", "mailgun: the sending domain" },
	{ "password-stdin", NULL, "take the provider's password from standard input" },
	{ "password-file", "FILE", "take the provider's password from a file" },
	{ "mailbox", "ADDRESS", "the first mailbox; its password is made and shown once" },
	{ "account", "ACCOUNT", "whose it is (default: the first word of its domain)" },
	{ "plan", "PLAN", "of a new account (default pro)" },
	{ "to", "ADDRESS", "who gets the test message (default: the mailbox)" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_account_list[] = {
	{ "account", "ACCOUNT", "of this account only" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_remove[] = {
	{ "yes", NULL, "do not ask" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_remove_whole[] = {
	{ "whole", NULL, "with all that hangs on it" },
	{ "yes", NULL, "do not ask" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_authorize[] = {
	{ "token-stdin", NULL, "take a refresh token that was had elsewhere from standard input" },
	{ "port", "PORT", "of 127.0.0.1, where the browser comes back to (default: any)" },
	{ "consent", "URL", "of the page that asks for consent (default: the provider's)" },
	{ NULL, NULL, NULL },
};

#define MAILGUN_DOMAIN                                                                                                     \
	{                                                                                                                  \
		"domain", "DOMAIN",                                                                                        \
		    "mailgun: the sending domain; the user name is postmaster@DOMAIN then, or DOMAIN with --transport api" \
	}

#define FORCE                                                                \
	{                                                                    \
		"force", NULL, "take a port whose usual TLS mode is another" \
	}

static const struct cli_option of_profile_set[] = {
	FORCE,
	{ NULL, NULL, NULL },
};

static const struct cli_option of_profile_add[] = {
	MAILGUN_DOMAIN,
	FORCE,
	{ NULL, NULL, NULL },
};

static const struct cli_option of_test[] = {
	MAILGUN_DOMAIN,
	{ "to", "ADDRESS", "send a message there; without it the test ends after AUTH" },
	{ "from", "ADDRESS", "as this sender (default: the user name, or the address of --to)" },
	{ "check-only", NULL, "with --to: MAIL and RCPT, no content" },
	{ "own", NULL,
	    "the server is your own, so it may be in any network: with --host, as for an [mta]" },
	{ "transcript", NULL, "show all that was said, secrets aside" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_route[] = {
	{ "fallback", "ROUTE",
	    "where mail goes that the route could not take: native, a profile, or none; not said: as it was" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_export[] = {
	{ "brief", NULL, "leave out what a new row would have anyway" },
	{ "hashes", NULL,
	    "write the hashes of mailboxes' passwords too, so that they go on; FILE is closed to others then" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_backup[] = {
	{ "passphrase-file", "FILE",
	    "the passphrase that seals the key ring; else BYWAY_PASSPHRASE of the environment, or it is asked for" },
	{ "without-ring", NULL, "leave the key ring out" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_restore[] = {
	{ "to", "DIR", "a folder that is not there yet, or is empty" },
	{ "passphrase-file", "FILE", "the passphrase of the backup; else as in byway backup" },
	{ "without-ring", NULL, "leave the key ring in the backup" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_apply[] = {
	{ "dry-run", NULL, "show the difference and change nothing" },
	{ "prune", NULL, "remove what the file does not name (plans only if it names any)" },
	{ "passwords", NULL, "set the file's passwords for those that have one already, too" },
	{ "generate", NULL,
	    "make passwords for new mailboxes that the file gives none, and print them once" },
	{ "passwords-later", NULL,
	    "new profiles may come without the password that they need; byway profile set gives it" },
	{ "yes", NULL, "do not ask" },
	{ NULL, NULL, NULL },
};

#define OF_IMPORT                                                                      \
	{ "account", "ACCOUNT", "add the domains, too, as this account's" },           \
	    { "dry-run", NULL, "show the difference and change nothing" },             \
	    { "passwords", NULL,                                                       \
		    "set the file's passwords for those that have one already, too" }, \
	    { "yes", NULL, "do not ask" },                                             \
	{                                                                              \
		NULL, NULL, NULL                                                       \
	}

static const struct cli_option of_import_mailboxes[] = {
	{ "map", "LIST", "which columns are what: address=Email,password=Passwort" },
	{ "generate", NULL, "make passwords where the file gives none, and print them once" },
	{ "passwords-to", "FILE",
	    "make them, and write them to a new file of mode 0600: ADDRESS,PASSWORD" },
	OF_IMPORT,
};

static const struct cli_option of_import_passwd[] = {
	{ "domain", "DOMAIN", "of users without one" },
	OF_IMPORT,
};

static const struct cli_option of_records[] = {
	{ "zone", NULL, "as lines of a zone file" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_check[] = {
	{ "online", NULL,
	    "look too whether names, counter servers and the native pool's servers answer, and at the clock" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_print[] = {
	{ "changed", NULL, "only what is not the default" },
	{ "origins", NULL, "the file and line of each value, or that it is the default" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_names[] = {
	{ "names", "KIND", "the names of all plans, accounts, ... one a line, for completion" },
	{ NULL, NULL, NULL },
};

#define SOCKET                                                                          \
	{                                                                               \
		"socket", "PATH",                                                       \
		    "the daemon's control socket (default what the configuration says)" \
	}

static const struct cli_option of_daemon[] = {
	SOCKET,
	{ NULL, NULL, NULL },
};

static const struct cli_option of_status[] = {
	SOCKET,
	{ "all", NULL, "counters that are zero, too" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_explain[] = {
	SOCKET,
	{ "to", "ADDRESS", "whom the mail is for: refusals of that recipient's server are told" },
	{ "all", NULL, "all ten checks, not the first that fails alone" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_suspend[] = {
	{ "reason", "billing|deliverability|abuse", "why" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_pause[] = {
	{ "by", "owner|admin|abuse", "who pauses it (default admin)" },
	{ NULL, NULL, NULL },
};

static const struct cli_option of_trace[] = {
	{ "log", "FILE",
	    "another log than the configuration's; its rotated neighbours are read, too" },
	{ NULL, NULL, NULL },
};

static const char words_open[] = "It counts from the next message of sessions that are open.";

static const char words_apply[] =
    "Each section is one row: [plan NAME], [account NAME], [profile ACCOUNT/NAME], [domain NAME], [mailbox ADDRESS], "
    "[ip NETWORK]; its keys are the options of `byway KIND add` with _ for -. What a section does not say stays as it is, or is the "
    "default in a new row. The difference is shown first: + added, ~ changed, - removed (with --prune only); at a terminal you are "
    "asked. All of it is one transaction; applying the same file again changes nothing. A mailbox may have password_file = PATH or "
    "password_hash = HASH (see byway password), a profile password_file = PATH; they count where there is no password yet.";

#define NEW(of, key_, summary_, details_, example_, ...)                                         \
	{                                                                                        \
#of " add", key_, 1, 1, cmd_add, summary_, details_, example_, NULL, &kind_##of, \
		    true, true, __VA_ARGS__                                                      \
	}
#define CHANGE(of, key_, summary_, details_, example_, ...)                                      \
	{                                                                                        \
#of " set", key_, 1, 1, cmd_set, summary_, details_, example_, NULL, &kind_##of, \
		    true, false, __VA_ARGS__                                                     \
	}
#define SHOW(of, key_, summary_, example_)                                                     \
	{                                                                                      \
#of " show", key_, 1, 1, cmd_show, summary_, NULL, example_, NULL, &kind_##of, \
		    false, false, false, false                                                 \
	}
#define LIST(of, options_, summary_, example_)                                                   \
	{                                                                                        \
#of " list", "", 0, 0, cmd_list, summary_, NULL, example_, options_, &kind_##of, \
		    false, false, false, false                                                   \
	}
#define REMOVE(of, key_, options_, summary_, example_)                                     \
	{                                                                                  \
#of " remove", key_, 1, 1, cmd_remove, summary_, NULL, example_, options_, \
		    &kind_##of, false, false, false, false                                 \
	}
#define PLAIN(words_, args_, min_, max_, run_, options_, summary_, details_, example_)         \
	{                                                                                      \
		words_, args_, min_, max_, run_, summary_, details_, example_, options_, NULL, \
		    false, false, false, false                                                 \
	}

const struct cli_group cli_groups[] = {
	{ "init", "Setting up" },
	{ "account add", "The directory: accounts and what is theirs" },
	{ "explain", "Helping people" },
	{ "suspend", "In short" },
	{ "export", "The whole directory" },
	{ "config check", "The configuration" },
	{ "reload", "The daemon" },
	{ "key list", "Keys and passwords" },
	{ "help", "Help" },
	{ NULL, NULL },
};

const struct cli_command cli_commands[] = {
	PLAIN("init", "", 0, 0, cmd_init, of_init,
	    "Makes a new installation: configuration, certificate, keys, directory.",
	    "The certificate is self-signed (ECDSA, for HOST, localhost and the loopback addresses): put your own in its place. "
	    "Nothing that is there already is overwritten.",
	    "byway init --name relay.example.net\n"
	    "byway init --dir ~/byway --listen 127.0.0.1:2525 --listen-tls 127.0.0.1:8465 --control ~/byway/control.sock"),
	PLAIN("setup", "", 0, 0, cmd_setup, of_setup,
	    "Makes an installation that sends: asks for what it needs and tries it.",
	    "At a terminal it asks for what no option says: host name, certificate, ports, upstream, first mailbox. It runs the commands "
	    "that you would type, and shows them. The upstream is tried at once: it must take a test message. What is there already "
	    "stays, so it can be run again. With --json each of those commands writes its own document.",
	    "byway setup\n"
	    "byway setup --name relay.example.net --mta mx.example.net:25 --mailbox alice@acme.example --to you@elsewhere.example"),

	NEW(account, "ACCOUNT", "Adds an account.", NULL,
	    "byway account add acme --plan pro --owner-email owner@acme.example --owner-verified yes",
	    false, false),
	LIST(account, NULL, "Lists the accounts.", "byway account list"),
	SHOW(account, "ACCOUNT", "Shows an account.", "byway account show acme --json"),
	CHANGE(account, "ACCOUNT",
	    "Changes an account; it counts from the next message of sessions that are open.", NULL,
	    "byway account set acme --state suspended-billing", false, false),
	REMOVE(account, "ACCOUNT", of_remove_whole, "Removes an account.",
	    "byway account remove acme --whole"),

	PLAIN("account suspend", "ACCOUNT", 1, 1, cmd_suspend, of_suspend,
	    "Suspends an account: none of its mailboxes sends, by no route.", words_open,
	    "byway account suspend acme --reason billing"),
	PLAIN("account resume", "ACCOUNT", 1, 1, cmd_resume, NULL, "Ends an account's suspension.",
	    words_open, "byway account resume acme"),
	PLAIN("account verify", "ACCOUNT", 1, 1, cmd_verify, NULL,
	    "Notes that the owner's address is confirmed.", words_open,
	    "byway account verify acme"),

	NEW(mailbox, "ADDRESS", "Adds a mailbox, which may log in.",
	    "Its domain must be there; the account is the domain's.",
	    "byway mailbox add alice@acme.example --generate\n"
	    "byway mailbox add bob@acme.example --password-stdin < bob.password",
	    true, true),
	LIST(mailbox, of_account_list, "Lists the mailboxes.", "byway mailbox list --account acme"),
	SHOW(mailbox, "ADDRESS", "Shows a mailbox.", "byway mailbox show alice@acme.example"),
	CHANGE(mailbox, "ADDRESS", "Changes a mailbox.", NULL,
	    "byway mailbox set alice@acme.example --state paused-admin", true, true),
	PLAIN("mailbox devices", "ADDRESS", 1, 1, cmd_mailbox_devices, NULL,
	    "Tells what to type into a mail program or a device: server, ports, encryption, user name.",
	    "The best choice comes first: TLS from the first octet, then STARTTLS. Listeners behind a balancer are left out.",
	    "byway mailbox devices alice@acme.example"),
	{ "mailbox passwd", "ADDRESS", 1, 1, cmd_passwd, "Gives a mailbox a new password.",
	    "Without an option it is asked for at the terminal, twice. The old one stops working within a minute everywhere.",
	    "byway mailbox passwd alice@acme.example", NULL, &kind_mailbox, false, false, true,
	    true },
	REMOVE(mailbox, "ADDRESS", of_remove, "Removes a mailbox.",
	    "byway mailbox remove bob@acme.example"),

	PLAIN("mailbox pause", "ADDRESS", 1, 1, cmd_pause, of_pause,
	    "Pauses a mailbox: it cannot log in, and open sessions send nothing more.", NULL,
	    "byway mailbox pause bob@acme.example --by abuse"),
	PLAIN("mailbox resume", "ADDRESS", 1, 1, cmd_resume, NULL, "Ends a mailbox's pause.", NULL,
	    "byway mailbox resume bob@acme.example"),
	PLAIN("mailbox block", "ADDRESS", 1, 1, cmd_block, NULL,
	    "Blocks a mailbox: it logs in, and hears at MAIL that it may not send.", words_open,
	    "byway mailbox block bob@acme.example"),
	PLAIN("mailbox unblock", "ADDRESS", 1, 1, cmd_unblock, NULL, "Ends a mailbox's block.",
	    words_open, "byway mailbox unblock bob@acme.example"),

	NEW(domain, "DOMAIN", "Adds a domain to an account.", NULL,
	    "byway domain add acme.example --account acme", false, false),
	LIST(domain, of_account_list, "Lists the domains.", "byway domain list --account acme"),
	SHOW(domain, "DOMAIN", "Shows a domain.", "byway domain show acme.example"),
	CHANGE(domain, "DOMAIN", "Changes a domain.", NULL,
	    "byway domain set acme.example --verified yes", false, false),
	PLAIN("domain records", "DOMAIN", 1, 1, cmd_domain_records, of_records,
	    "Tells what a domain's name servers should say: SPF, DKIM, DMARC, and where its clients send.",
	    "SPF names what [dns] says, else the native pool's hosts. The DKIM key is the signing server's and is not known here. Records of "
	    "a provider that a profile uses are told by the provider.",
	    "byway domain records acme.example\nbyway domain records acme.example --zone"),
	PLAIN("domain verify", "DOMAIN", 1, 1, cmd_domain_verify, NULL,
	    "Looks for a domain's SPF, DKIM, DMARC and MX records, and says which is missing and what it should be.",
	    "With SPF and DKIM as they should be the domain is Active, else it is not verified; its flag is set so. Where name servers do not "
	    "answer nothing is changed and the exit status is 75; 65 stands for not verified. [dns] says what SPF must include.",
	    "byway domain verify acme.example\nbyway domain verify acme.example --json"),
	REMOVE(domain, "DOMAIN", of_remove_whole, "Removes a domain.",
	    "byway domain remove acme.example --whole"),

	{ "profile add", "ACCOUNT/PROFILE", 1, 1, cmd_add,
	    "Adds an upstream of an account's own, with its credentials.",
	    "The password is sealed and never shown again. It is bound to provider, transport, host, port, TLS mode, user name, way of login, CA and pin: who changes one of those says it again.",
	    "byway profile add acme/mg --provider mailgun --region eu --domain mg.acme.example\n"
	    "byway profile add acme/provider --host smtp.provider.example --username acme-relay\n"
	    "byway profile add acme/provider --host smtp.provider.example --port 465 --username acme-relay --password-stdin < secret",
	    of_profile_add, &kind_profile, true, true, true, false },
	LIST(profile, of_account_list, "Lists the profiles.", "byway profile list --account acme"),
	SHOW(profile, "ACCOUNT/PROFILE", "Shows a profile; of its password only when it was set.",
	    "byway profile show acme/provider"),
	{ "profile set", "ACCOUNT/PROFILE", 1, 1, cmd_set, "Changes a profile.", NULL,
	    "byway profile set acme/provider --max-connections 5", of_profile_set, &kind_profile,
	    true, false, true, false },
	{ "profile passwd", "ACCOUNT/PROFILE", 1, 1, cmd_passwd, "Gives a profile a new password.",
	    NULL, "byway profile passwd acme/provider", NULL, &kind_profile, false, false, true,
	    false },
	PLAIN("profile authorize", "ACCOUNT/PROFILE", 1, 1, cmd_authorize, of_authorize,
	    "Gets an OAuth2 profile its refresh token, by consent in a browser.",
	    "The profile says auth = oauth2, its client's id and, as its password, the client's secret if it has one. The token is sealed and never shown.",
	    "byway profile add acme/gmail --provider gmail --username me@acme.example --auth oauth2 --oauth-client ID --password-stdin < secret\n"
	    "byway profile authorize acme/gmail"),
	PLAIN("profile health", "ACCOUNT/PROFILE", 1, 1, cmd_profile_health, of_daemon,
	    "Shows how a profile's server is doing: its last word, since when it fails, for how long nobody asks it.",
	    "Over all workers of the daemon on this machine, since it started.",
	    "byway profile health acme/provider"),
	{ "profile test", "[ACCOUNT/PROFILE]", 0, 1, cmd_profile_test,
	    "Tries a profile step by step, and says what to do where it fails.",
	    "Looks up the host, connects, says EHLO, TLS and AUTH as the daemon would, an OAuth2 profile with a token that is had before; with --to it sends a message, with --to and --check-only it stops before the content. "
	    "An API is asked nothing without a message: without --to, or with --check-only, the test ends after TLS. A refresh token that the provider replaces is stored. "
	    "Values given here are tried instead of the stored ones, so that a profile can be tried before it is there; a password that was given for another host, port or TLS "
	    "mode is asked for again. Nothing is counted. The exit status is 0 where all went well, 69 where it did not.",
	    "byway profile test acme/provider --to me@acme.example\n"
	    "byway profile test --provider mailgun --domain mg.acme.example --password-stdin < secret",
	    of_test, &kind_profile, true, true, true, false },
	REMOVE(profile, "ACCOUNT/PROFILE", of_remove, "Removes a profile that no route names.",
	    "byway profile remove acme/provider"),

	PLAIN("provider list", "", 0, 0, cmd_provider_list, NULL,
	    "Lists the presets of providers, for byway profile add --provider.", NULL,
	    "byway provider list"),
	PLAIN("provider show", "PROVIDER", 1, 1, cmd_provider_show, NULL,
	    "Shows a preset: hosts, limits, and where the user name and the password are found.",
	    NULL, "byway provider show mailgun"),

	PLAIN("route set", "ACCOUNT|DOMAIN ROUTE", 2, 2, cmd_route_set, of_route,
	    "Says where the mail of an account or of a domain goes: native, inherit, or the name of a profile.",
	    "inherit means: a domain does as its account, an account sends natively where its plan can send.",
	    "byway route set acme provider --fallback native\nbyway route set acme.example native"),
	PLAIN("route add", "ACCOUNT|DOMAIN ROUTE", 2, 2, cmd_route_set, of_route,
	    "The same as route set.", NULL, "byway route add acme provider"),
	PLAIN("route list", "", 0, 0, cmd_route_list, NULL,
	    "Lists all routes, with what they come to.", NULL, "byway route list"),
	PLAIN("route show", "ACCOUNT|DOMAIN", 1, 1, cmd_route_show, NULL,
	    "Shows one route, with what it comes to.", NULL, "byway route show acme.example"),
	PLAIN("route remove", "ACCOUNT|DOMAIN", 1, 1, cmd_route_remove, NULL,
	    "Takes a route and its fallback back: inherit, none.", NULL,
	    "byway route remove acme.example"),

	NEW(ip, "NETWORK", "Lets an address or a network send without login, for an account.", NULL,
	    "byway ip add 192.0.2.0/24 --account acme", false, false),
	LIST(ip, of_account_list, "Lists the IP identities.", "byway ip list"),
	SHOW(ip, "NETWORK", "Shows an IP identity.", "byway ip show 192.0.2.0/24"),
	CHANGE(ip, "NETWORK", "Changes an IP identity.", NULL,
	    "byway ip set 192.0.2.0/24 --state blocked", false, false),
	REMOVE(ip, "NETWORK", of_remove, "Removes an IP identity.", "byway ip remove 192.0.2.0/24"),

	PLAIN("ip block", "NETWORK", 1, 1, cmd_block, NULL, "Blocks an IP identity.", words_open,
	    "byway ip block 192.0.2.0/24"),
	PLAIN("ip unblock", "NETWORK", 1, 1, cmd_unblock, NULL, "Ends an IP identity's block.",
	    words_open, "byway ip unblock 192.0.2.0/24"),

	NEW(plan, "PLAN", "Adds a plan.", "nano, starter, pro and agency come with the directory.",
	    "byway plan add club --account-day 3000 --account-hour 300 --recipients 200", false,
	    false),
	LIST(plan, NULL, "Lists the plans.", "byway plan list"),
	SHOW(plan, "PLAN", "Shows a plan.", "byway plan show pro"),
	CHANGE(plan, "PLAN", "Changes a plan for all its accounts, at once; no count is reset.",
	    NULL, "byway plan set pro --account-hour 2000", false, false),
	REMOVE(plan, "PLAN", of_remove, "Removes a plan that no account has.",
	    "byway plan remove club"),

	PLAIN("explain", "MAILBOX", 1, 1, cmd_explain, of_explain,
	    "Tells why a mailbox cannot send: ten checks against the running daemon, in order; the first that fails is almost always the cause.",
	    "The checks are those of the SMTP path itself, of the directory as it is now, with the counters and upstreams as they are now. An IP address in place of "
	    "the mailbox is the identity that sends without login from there. The exit status is 0 where its mail would go, 69 where something stands against it.",
	    "byway explain alice@acme.example\nbyway explain alice@acme.example --to bob@elsewhere.example --all"),
	PLAIN("usage", "MAILBOX|ACCOUNT", 1, 1, cmd_usage, of_daemon,
	    "Shows what was used of the plan's limits and when there is room again, what was refused of late by cause, and how each upstream is, with its last words.",
	    NULL, "byway usage alice@acme.example\nbyway usage acme --json"),
	PLAIN("limits show", "MAILBOX|ACCOUNT", 1, 1, cmd_limits_show, of_daemon,
	    "Shows the counters against the plan's limits.", NULL, "byway limits show acme"),
	PLAIN("limits reset", "MAILBOX|ACCOUNT", 1, 1, cmd_limits_reset, of_daemon,
	    "Sets the counters of an account, or of a mailbox and its account, to zero.", NULL,
	    "byway limits reset acme"),
	PLAIN("trace", "ID", 1, 1, cmd_trace, of_trace,
	    "Tells the story of a message or a session out of the log: the id stands in the last line of a refusal, in the reply to a message, and in `Received:`.",
	    "Of a session with all its messages, of a message with its session. Both formats of the log are read, compressed files too, and the journal where the log goes there.",
	    "byway trace 1m7zr3krf01005m"),
	PLAIN("forgive", "LOGIN", 1, 1, cmd_forgive, of_daemon,
	    "Forgets the failed log-ins of a name, so that it may be tried again from everywhere.",
	    "What addresses have guessed stays; it leaks away within [guessing] window.",
	    "byway forgive alice@acme.example"),

	PLAIN("suspend", "ACCOUNT", 1, 1, cmd_suspend, of_suspend, "The same as account suspend.",
	    NULL, "byway suspend acme --reason abuse"),
	PLAIN("resume", "MAILBOX|ACCOUNT", 1, 1, cmd_resume, NULL,
	    "The same as mailbox resume or account resume, by the name.", NULL,
	    "byway resume alice@acme.example"),
	PLAIN("pause", "MAILBOX", 1, 1, cmd_pause, of_pause, "The same as mailbox pause.", NULL,
	    "byway pause bob@acme.example --by owner"),
	PLAIN("verify", "ACCOUNT", 1, 1, cmd_verify, NULL, "The same as account verify.", NULL,
	    "byway verify acme"),
	PLAIN("block", "MAILBOX|NETWORK", 1, 1, cmd_block, NULL,
	    "The same as mailbox block or ip block, by the name.", NULL,
	    "byway block bob@acme.example"),
	PLAIN("unblock", "MAILBOX|NETWORK", 1, 1, cmd_unblock, NULL,
	    "The same as mailbox unblock or ip unblock, by the name.", NULL,
	    "byway unblock 192.0.2.0/24"),

	PLAIN("backup", "FILE", 1, 1, cmd_backup, of_backup,
	    "Writes directory, configuration and key ring of one moment to one file, while all runs on.",
	    "The key ring is sealed with a passphrase, or left out with a warning. Certificates are named, not taken along. "
	    "FILE (mode 0600) is an SQLite database: the directory's tables, and one with the files.",
	    "byway backup /var/backups/byway.backup --passphrase-file /etc/byway/passphrase"),
	PLAIN("restore", "FILE", 1, 1, cmd_restore, of_restore,
	    "Unpacks a backup to a folder of its own.",
	    "The paths of directory and key ring in byway.ini are changed to that folder; all else stays as it was.",
	    "byway restore /var/backups/byway.backup --to /srv/byway --passphrase-file /etc/byway/passphrase"),
	PLAIN("export", "[FILE]", 0, 1, cmd_export, of_export,
	    "Writes the whole directory as the file that apply reads; passwords aside, but for --hashes.",
	    NULL, "byway export directory.ini"),
	PLAIN("apply", "FILE", 1, 1, cmd_apply, of_apply,
	    "Makes the directory as a file says, or all *.ini of a folder.", words_apply,
	    "byway apply directory.ini --dry-run\nbyway apply directory.d\nbyway export | byway apply -"),

	PLAIN("import mailboxes", "FILE", 1, 1, cmd_import_mailboxes, of_import_mailboxes,
	    "Adds mailboxes from a table (CSV), or changes them.",
	    "The first row names the columns: address, password, password_hash, and the options of `byway mailbox add` with _ for -; others "
	    "are named by --map or not used. Commas, semicolons or tabs stand between. A file with passwords must be closed to others. "
	    "It goes the way of `byway apply`: all mistakes at once, the difference, one transaction.",
	    "byway import mailboxes users.csv --map address=Email --account acme --passwords-to made.csv"),
	PLAIN("import passwd-file", "FILE", 1, 1, cmd_import_passwd_file, of_import_passwd,
	    "Adds mailboxes with their hashed passwords from Dovecot's passwd-file.",
	    "Hashes of crypt(3) are taken as they are; other schemes are told line by line.",
	    "byway import passwd-file /etc/dovecot/users --domain acme.example --account acme"),

	PLAIN("check", "", 0, 0, cmd_check, of_check,
	    "Checks all that bywayd needs: configuration, files, key ring, certificates, directory, ports.",
	    "Every finding is told at once: what is well, what will not work (!), and what keeps bywayd from starting; there is one of the last where the status is 78. "
	    "It is the check of bywayd -t, of a start and of a reload, and looks as the daemon's user where it is run as root.",
	    "byway check --online"),
	PLAIN("config check", "", 0, 0, cmd_check, of_check, "The same as byway check.", NULL,
	    "byway config check -c /etc/byway/byway.ini"),
	PLAIN("config print", "", 0, 0, cmd_config_print, of_print,
	    "Prints the configuration that holds, secrets masked.", NULL,
	    "byway config print --changed"),
	PLAIN("config options", "", 0, 0, cmd_config_options, NULL,
	    "Lists every option of byway.ini with its default and what it may be.", NULL,
	    "byway config options --json"),

	PLAIN("replies print", "[PROFILE]", 0, 1, cmd_replies_print, NULL,
	    "Prints what clients hear of us, row by row: of a reply profile, or as the configuration has it.",
	    "PROFILE is trekmail, smtp2go, or a file, which is checked. The output is a profile: change what you like, leave out the rest, "
	    "and name the file in [server] replies.",
	    "byway replies print smtp2go\nbyway replies print > /etc/byway/replies.ini"),

	PLAIN("reload", "", 0, 0, cmd_reload, of_daemon,
	    "Has the daemon read its configuration anew, and tells whether it did.",
	    "If something is wrong with it, the old configuration goes on, the mistakes are told, and the exit status is 78.",
	    "byway reload"),
	PLAIN("status", "", 0, 0, cmd_status, of_status,
	    "Shows how the daemon is: workers, sessions, counters.", NULL, "byway status --json"),
	PLAIN("reopen", "", 0, 0, cmd_reopen, of_daemon,
	    "Has the daemon open its log file anew, after it was moved away.", NULL,
	    "byway reopen"),
	PLAIN("drain", "", 0, 0, cmd_drain, of_daemon,
	    "Ends the daemon when what is under way is done.", NULL, "byway drain"),

	PLAIN("key list", "", 0, 0, cmd_key_list, NULL, "Lists the keys of the ring by their ids.",
	    NULL, "byway key list"),
	PLAIN("key rotate", "", 0, 0, cmd_key_rotate, NULL,
	    "Adds a key and seals all credentials with it.",
	    "The new key is added to the ring, the running daemon reads the ring, then everything is sealed anew, in one transaction. "
	    "Machine-made mailbox passwords stay with the key that they were made under: keep old keys in the ring.",
	    "byway key rotate"),
	PLAIN("key reseal", "", 0, 0, cmd_key_reseal, NULL,
	    "Seals what is not under the newest key anew: the second half of rotate.", NULL,
	    "byway key reseal"),

	{ "password", "", 0, 0, cmd_password,
	    "Prints the hash of a password, for password_hash in the file of apply.",
	    "The password is read from standard input, or asked for.",
	    "byway password < alice.password", NULL, NULL, false, false, true, false },
	PLAIN("help", "[COMMAND ...]", 0, 2, cmd_help, NULL,
	    "Tells what a command does, or lists all of them; with --json, all with their options.",
	    NULL, "byway help mailbox add"),
	PLAIN("list", "", 0, 0, cmd_names, of_names, "", NULL, "byway list --names mailbox"),
	{ 0 },
};
