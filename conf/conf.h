/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

/*
 * conf - what the operator set: byway.ini and conf.d/ *.ini, read into one constant structure
 *
 * conf/option.def is the one table of options: key, type, default, bounds, reloadable, manual text.
 * Reading, `byway config print`, `byway config check` and docs/CONFIG.md come from it. All mistakes
 * of all files are told at once, each as `file:line: [section] key: what is wrong (what was
 * expected)`, with a "did you mean" for unknown words.
 *
 * Owns:   everything it points to, reference-counted; a reload builds a new one and swaps.
 * Errors: conf_load() gives NULL and the list of mistakes.
 */
#include "conf/replies.h"
#include "conf/words.h"
#include "wire/dots.h"
#include "wire/log.h"
#include "wire/net.h"
#include "wire/text.h"
#include "wire/tls.h"

enum listener_tls { LISTENER_PLAIN, LISTENER_STARTTLS, LISTENER_IMPLICIT };

/* [certificate NAME] */
struct conf_certificate {
	const char *name;
	const char *chain_file;
	const char *key_file;
};

/* One address of a listener. */
struct conf_address {
	const char *text; /* "[::1]:2525" */
	struct sockaddr_storage addr;
	socklen_t len;
};

/* Where an owner whose address is not confirmed in time hears of it. */
enum unverified_owner { UNVERIFIED_AT_MAIL, UNVERIFIED_AT_AUTH };

/* [listener NAME] */
struct conf_listener {
	const char *name;
	struct conf_address *addresses; /* address = 127.0.0.1:2525, [::1]:2525 */
	size_t addresses_n;
	enum listener_tls tls; /* tls = none | starttls | implicit */
	bool tls_old_devices;
	bool auth; /* auth = yes: offered */
	bool plaintext_auth;
	bool proxy_protocol;
	struct net *
	    /* who may send a PROXY header; with proxy_protocol = yes it may not be empty */
	    trusted_proxies;
	size_t trusted_proxies_n;
	const char **
	    /* certificates = NAME NAME; default: all [certificate] sections in order */
	    certificates;
	size_t certificates_n;
	struct tls_pair *pairs; /* their files, in that order; none with tls = none */
	size_t pairs_n;
	enum tls_client_cert client_certificates;
	const char *client_ca_file;
};

/* What the client hears of a quota used up at the provider. */
enum quota_answer { QUOTA_DEFER, QUOTA_REJECT };
/* 8-bit content where 8BITMIME is not offered. */
enum eight_bit_answer { EIGHT_BIT_PASS, EIGHT_BIT_REFUSE };
/* Recipients that are refused inside a good answer: named to the client, or logged alone. */
enum partial_answer { PARTIAL_REJECT, PARTIAL_ACCEPT };

/* [mta NAME]: one server of the native pool */
struct conf_mta {
	const char *name;
	const char *host;
	unsigned port; /* never 0: 25, or 465 with tls = implicit, where not given */
	enum upstream_tls tls;
	unsigned weight;
	bool xclient;
	const char *username;      /* NULL: no AUTH */
	const char *password;      /* from password or password_file; wiped with the conf */
	const char *password_file; /* where it came from, or NULL */
	const char *ca_file;       /* NULL: [upstream] ca_file */
	const char *pin;           /* hex SHA-256 of its certificate, or NULL */
	unsigned max_connections;  /* never 0: [upstream]'s where not given; so is the next */
	unsigned messages_per_connection;
};

enum counter_loss { COUNTER_LOSS_LOCAL, COUNTER_LOSS_CLOSED, COUNTER_LOSS_OPEN };

/* One of [counters] servers. */
struct counter_server {
	char host[256]; /* or the path of a socket */
	unsigned port;  /* 0: of a socket */
	unsigned weight;
};

struct conf {
	unsigned refs;
	uint64_t revision; /* counts loads in this process */

	struct {
		const char *name; /* host name for the greeting, Received:, EHLO upstream */
		unsigned workers; /* 0: one a core */
		const char *user;
		const char *group;
		unsigned drain_timeout_s;
		const char *control_socket;
		const char *instance; /* loop token seed; default: name */
		const char *replies;  /* the profile's name or file */
		bool strict_addresses;
	} server;
	struct {
		bool reference; /* an id follows (L12) */
	} refusals;
	struct {
		const char *path;
		enum log_format format;
		enum log_level level;
	} log;
	struct {
		bool tls13;
		bool tickets;
		unsigned ticket_lifetime_s;
		const char
		    *ticket_key_file; /* shared by the nodes of a fleet; NULL: random at start */
	} tls;
	struct {
		unsigned connections; /* in all */
		unsigned connections_per_address;
		unsigned connections_per_account;
		uint64_t message_size;    /* octets, upper bound over all plans */
		unsigned bad_commands;    /* 20 */
		unsigned login_failures;  /* 3 */
		unsigned received_fields; /* 50 */
		size_t session_memory;    /* arena cap of one session, octets */
	} limits;
	struct {
		unsigned window_s;
		unsigned name_failures, name_free;
		unsigned address_failures, address_free;
		unsigned per_user;
		unsigned delay_s; /* the longest */
		unsigned remember_s;
	} guessing;
	struct {
		unsigned proxy_header_s;  /* 5 */
		unsigned tls_handshake_s; /* 15 */
		unsigned login_s;         /* 60: all before login */
		unsigned command_s;       /* 300 */
		unsigned data_s;          /* 180: no progress at all */
		unsigned data_rate;       /* 500 octets/s at least */
	} timeouts;
	struct {
		enum dots_policy line_ends; /* refuse | repair */
		bool show_client_address;
		bool add_missing; /* Date:, Message-ID: */
	} content;
	struct {
		const char *path;
		unsigned remember_s; /* a successful log-in, 60 at most */
		unsigned poll_ms;    /* revision */
	} directory;
	struct {
		const char **
		    /* words: "host:port", perhaps a weight behind it; see conf_counter_server() */
		    servers;
		size_t servers_n;
		unsigned timeout_ms;
		enum counter_loss loss;
		unsigned series;
		unsigned checkpoint_s; /* 0: none */
	} counters;
	struct {
		const char *key_file;
	} vault;
	struct {
		const char *ehlo_name;      /* NULL: server.name */
		const char *ca_file;        /* /etc/ssl/certs/ca-certificates.crt */
		struct net *allow_networks; /* private networks that customers' hosts may be in */
		size_t allow_networks_n;
		struct net *deny_networks; /* that they may not be in */
		size_t deny_networks_n;
		unsigned *allow_ports;
		size_t allow_ports_n;
		unsigned max_connections; /* a profile, a worker */
		unsigned messages_per_connection;
		unsigned idle_s;
		unsigned max_age_s;
		unsigned wait_s;      /* for a lease, at most */
		uint64_t api_memory;  /* octets, a worker */
		unsigned hold_wait_s; /* for a profile that is held, inside the dialogue */
		unsigned hold_max_s;  /* that a provider can have us hold a profile */
		enum quota_answer on_quota;
		enum eight_bit_answer eight_bit;
		enum partial_answer partial;
		unsigned connect_s, greeting_s, tls_s, ehlo_s, auth_s, mail_s, rcpt_s, data_s,
		    content_s, final_s;
		unsigned dns_cache_s;
		bool chunking;
	} upstream;
	struct {
		unsigned check_s; /* health checks of the native pool */
		unsigned
		    dead_s; /* how long a dead one is skipped at first; doubles to ten times that */
	} native;
	const struct reply_row
	    *replies; /* SAY_COUNT rows: the catalogue with the profile over it */
	struct {
		enum unverified_owner unverified_owner;
		unsigned callout_port;
	} senders;
	struct {
		struct conf_address *resolvers; /* none: those of resolv.conf */
		size_t resolvers_n;
		unsigned timeout_s;
		const char *spf_include; /* NULL: none is asked for */
	} dns;
	struct conf_certificate *certificates;
	size_t certificates_n;
	struct conf_listener *listeners;
	size_t listeners_n;
	struct conf_mta *mtas;
	size_t mtas_n;
};

/* Reads PATH and, beside it, conf.d/ *.ini in order of name. DEEP also looks at the files that it
 * names (certificates and keys load, key files have the right permissions); tls_init() must have
 * been called then. NULL with all mistakes in MISTAKES, one a line. */
struct conf *conf_load(const char *path, bool deep, struct text *mistakes) MUST_CHECK;
/* INI as if it stood in a file PATH (which need not be there); no conf.d. */
struct conf *conf_parse(const char *path, struct slice ini, bool deep, struct text *mistakes)
    MUST_CHECK;
struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf *c);
/* "FILE:LINE: [SECTION NAME] KEY: ", where that option was set, or its section began; without a line
 * where neither stands in a file. NAME is NULL for sections without one. For sentences about what
 * only the world shows: a file, a port. */
void conf_place(const struct conf *c, const char *section, const char *name, const char *key,
    struct text *out);
/* What differs between two and cannot change without a restart (listeners' addresses, user,
 * workers); empty text if nothing. */
void conf_needs_restart(const struct conf *was, const struct conf *now, struct text *out);
/* The server whose words begin at *AT, which moves behind them. False at the end, or where *WHY_R
 * says what is wrong with a word. */
bool conf_counter_server(const struct conf *c, size_t *at, struct counter_server *server_r,
    const char **why_r) MUST_CHECK;
/* A line for each of them that strangers may reach. LOOK_UP: names too, which may take a while. */
void conf_counter_warnings(const struct conf *c, bool look_up, struct text *out);
/* The whole effective configuration as INI, secrets as ***; CHANGED: only what differs from the
 * defaults. JSON instead of INI where asked. */
void conf_print(const struct conf *c, bool changed, bool json, struct text *out);
/* The same with the origin of each value, "FILE:LINE" or "default": in a comment above it; in JSON
 * a member "origins" of each section holds those that a file says. */
void conf_print_origins(const struct conf *c, bool changed, bool json, struct text *out);
/* dist/byway.ini.sample */
struct slice conf_sample(void);

#endif
