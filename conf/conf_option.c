/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <unistd.h>

#include "conf/option.h"

/* ---- the tables ---- */

static const char *const words_log_format[] = { [LOG_TEXT] = "text", [LOG_JSON] = "json", NULL };
static const char *const words_log_level[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_NOTICE] = "notice",
	[LOG_WARNING] = "warning",
	[LOG_ERROR] = "error",
	NULL,
};
static const char *const words_line_ends[] = {
	[DOTS_REFUSE] = "refuse",
	[DOTS_REPAIR] = "repair",
	NULL,
};
static const char *const words_eight_bit[] = {
	[EIGHT_BIT_PASS] = "pass",
	[EIGHT_BIT_REFUSE] = "refuse",
	NULL,
};
static const char *const words_partial[] = {
	[PARTIAL_REJECT] = "reject",
	[PARTIAL_ACCEPT] = "accept",
	NULL,
};
static const char *const words_on_quota[] = {
	[QUOTA_DEFER] = "defer",
	[QUOTA_REJECT] = "reject",
	NULL,
};
static const char *const words_counter_loss[] = {
	[COUNTER_LOSS_LOCAL] = "local",
	[COUNTER_LOSS_CLOSED] = "closed",
	[COUNTER_LOSS_OPEN] = "open",
	NULL,
};
static const char *const words_unverified_owner[] = {
	[UNVERIFIED_AT_MAIL] = "mail",
	[UNVERIFIED_AT_AUTH] = "auth",
	NULL,
};
static const char *const words_tls[] = {
	[LISTENER_PLAIN] = "none",
	[LISTENER_STARTTLS] = "starttls",
	[LISTENER_IMPLICIT] = "implicit",
	NULL,
};
static const char *const words_client_cert[] = {
	[TLS_CLIENT_CERT_NONE] = "none",
	[TLS_CLIENT_CERT_OPTIONAL] = "optional",
	[TLS_CLIENT_CERT_REQUIRED] = "required",
	NULL,
};

_Static_assert((int)LISTENER_PLAIN == (int)UPSTREAM_TLS_NONE &&
        (int)LISTENER_STARTTLS == (int)UPSTREAM_TLS_STARTTLS &&
        (int)LISTENER_IMPLICIT == (int)UPSTREAM_TLS_IMPLICIT,
    "words_tls serves both");
_Static_assert(sizeof(enum log_level) == sizeof(unsigned), "an enum is stored as unsigned");

const struct conf_section_info conf_sections[SECTION_COUNT] = {
#define SECTION(id, word_, type, named_, manual_) \
	[SECTION_##                               \
	    id] = { .word = word_, .named = named_, .size = sizeof(type), .manual = manual_ },
#define OPTION(...)
#define CHOICE(...)
#include "conf/option.def"
#undef SECTION
#undef OPTION
#undef CHOICE
};

/* The struct that a section's fields lie in. */
#define IN_SERVER      struct conf
#define IN_REPLIES     struct conf
#define IN_LOG         struct conf
#define IN_TLS         struct conf
#define IN_LIMITS      struct conf
#define IN_TIMEOUTS    struct conf
#define IN_CONTENT     struct conf
#define IN_DIRECTORY   struct conf
#define IN_COUNTERS    struct conf
#define IN_VAULT       struct conf
#define IN_UPSTREAM    struct conf
#define IN_GUESSING    struct conf
#define IN_NATIVE      struct conf
#define IN_SENDERS     struct conf
#define IN_DNS         struct conf
#define IN_CERTIFICATE struct conf_certificate
#define IN_LISTENER    struct conf_listener
#define IN_MTA         struct conf_mta

/* A list has its length beside it. */
#define COUNT_BOOL(s, f)        0
#define COUNT_UNSIGNED(s, f)    0
#define COUNT_SIZE(s, f)        0
#define COUNT_MEMORY(s, f)      0
#define COUNT_SECONDS(s, f)     0
#define COUNT_MILLIS(s, f)      0
#define COUNT_STRING(s, f)      0
#define COUNT_DOMAIN(s, f)      0
#define COUNT_HOST(s, f)        0
#define COUNT_PATH(s, f)        0
#define COUNT_PIN(s, f)         0
#define COUNT_SECRET(s, f)      0
#define COUNT_SECRET_FILE(s, f) 0
#define COUNT_NETWORKS(s, f)    offsetof(s, f##_n)
#define COUNT_PORTS(s, f)       offsetof(s, f##_n)
#define COUNT_WORDS(s, f)       offsetof(s, f##_n)
#define COUNT_ADDRESSES(s, f)   offsetof(s, f##_n)

enum { RESTART, RELOAD };

const struct conf_option conf_options[] = {
#define SECTION(...)
#define OPTION(section_, key_, type_, field, fallback_, min_, max_, when, manual_) \
	{ .section = SECTION_##section_,                                           \
		.type = OPTION_##type_,                                            \
		.key = key_,                                                       \
		.at = offsetof(IN_##section_, field),                              \
		.count_at = COUNT_##type_(IN_##section_, field),                   \
		.fallback = fallback_,                                             \
		.min = min_,                                                       \
		.max = max_,                                                       \
		.reload = when,                                                    \
		.manual = manual_ },
#define CHOICE(section_, key_, words_, field, fallback_, when, manual_) \
	{ .section = SECTION_##section_,                                \
		.type = OPTION_CHOICE,                                  \
		.key = key_,                                            \
		.at = offsetof(IN_##section_, field),                   \
		.fallback = fallback_,                                  \
		.words = words_,                                        \
		.reload = when,                                         \
		.manual = manual_ },
#include "conf/option.def"
#undef SECTION
#undef OPTION
#undef CHOICE
};
const size_t conf_options_n = sizeof(conf_options) / sizeof(*conf_options);

/* The field has the C type that its row says. */
#define IS(s, f, t)            _Generic(&((s *)0)->f, t * : 1, default : 0)
#define FITS_BOOL(s, f)        IS(s, f, bool)
#define FITS_UNSIGNED(s, f)    IS(s, f, unsigned)
#define FITS_SIZE(s, f)        IS(s, f, uint64_t)
#define FITS_MEMORY(s, f)      IS(s, f, size_t)
#define FITS_SECONDS(s, f)     IS(s, f, unsigned)
#define FITS_MILLIS(s, f)      IS(s, f, unsigned)
#define FITS_STRING(s, f)      IS(s, f, const char *)
#define FITS_DOMAIN(s, f)      IS(s, f, const char *)
#define FITS_HOST(s, f)        IS(s, f, const char *)
#define FITS_PATH(s, f)        IS(s, f, const char *)
#define FITS_PIN(s, f)         IS(s, f, const char *)
#define FITS_SECRET(s, f)      IS(s, f, const char *)
#define FITS_SECRET_FILE(s, f) IS(s, f, const char *)
#define FITS_NETWORKS(s, f)    IS(s, f, struct net *)
#define FITS_PORTS(s, f)       IS(s, f, unsigned *)
#define FITS_WORDS(s, f)       IS(s, f, const char **)
#define FITS_ADDRESSES(s, f)   IS(s, f, struct conf_address *)
#define SECTION(...)
#define OPTION(section, key, type, field, ...) \
	_Static_assert(FITS_##type(IN_##section, field), "[" #section "] " key " is no " #type);
#define CHOICE(section, key, words, field, ...) \
	_Static_assert(sizeof(((IN_##section *)0)->field) == sizeof(unsigned), key " is no enum");
#include "conf/option.def"
#undef SECTION
#undef OPTION
#undef CHOICE

/* ---- looking up ---- */

const struct conf_option *
option_find(enum conf_section section, struct slice key)
{
	for (size_t i = 0; i < conf_options_n; i++)
		if (conf_options[i].section == section &&
		    slice_eq(slice_str(conf_options[i].key), key))
			return &conf_options[i];
	return NULL;
}

bool
section_find(struct slice word, enum conf_section *section_r)
{
	for (unsigned i = 0; i < SECTION_COUNT; i++)
		if (slice_eq(slice_str(conf_sections[i].word), word)) {
			*section_r = (enum conf_section)i;
			return true;
		}
	return false;
}

enum { GUESS_MAX = 48, SLIPS_MAX = 2 };

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edit distance (insert, delete, replace, swap of neighbours); ASCII case does not count. */
static size_t
slips(struct slice a, struct slice b)
{
	size_t row[3][GUESS_MAX + 1];

	if (a.n > GUESS_MAX || b.n > GUESS_MAX)
		return GUESS_MAX;
	for (size_t j = 0; j <= b.n; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *now = row[i % 3], *up = row[(i + 2) % 3], *upper = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			bool same = lower(a.p[i - 1]) == lower(b.p[j - 1]);

			now[j] = least(least(up[j], now[j - 1]) + 1, up[j - 1] + !same);
			if (i > 1 && j > 1 && lower(a.p[i - 1]) == lower(b.p[j - 2]) &&
			    lower(a.p[i - 2]) == lower(b.p[j - 1]))
				now[j] = least(now[j], upper[j - 2] + 1);
		}
	}
	return row[a.n % 3][b.n];
}

void
guess_try(struct guess *g, const char *candidate)
{
	struct slice c = slice_str(candidate);
	size_t d = slips(g->word, c);

	/* "connect" for "connect_timeout", "idle_s" for "idle": no slip, but meant. */
	if (d > SLIPS_MAX && g->word.n >= 3 && slice_starts_nocase(c, g->word))
		d = SLIPS_MAX;
	/* Two slips in a word of three letters make any other. */
	if (d > SLIPS_MAX || d * 2 > c.n)
		return;
	if (!g->best || d < g->distance) {
		g->best = candidate;
		g->distance = d;
	}
}

const void *
section_at(const struct conf *c, enum conf_section section, size_t i, const char **name_r)
{
	*name_r = NULL;
	if (section == SECTION_CERTIFICATE) {
		if (i >= c->certificates_n)
			return NULL;
		*name_r = c->certificates[i].name;
		return &c->certificates[i];
	}
	if (section == SECTION_LISTENER) {
		if (i >= c->listeners_n)
			return NULL;
		*name_r = c->listeners[i].name;
		return &c->listeners[i];
	}
	if (section == SECTION_MTA) {
		if (i >= c->mtas_n)
			return NULL;
		*name_r = c->mtas[i].name;
		return &c->mtas[i];
	}
	return i == 0 ? c : NULL;
}

/* ---- a conf and its defaults ---- */

enum { MEMORY_MAX = 32 << 20 };

struct conf_owned *
conf_owned_open(void)
{
	struct conf_owned *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	arena_init(&o->mem, MEMORY_MAX);
	o->c.refs = 1;
	return o;
}

void
conf_owned_close(struct conf_owned *o)
{
	for (struct conf_held *h = o->held; h; h = h->next)
		secret_fini(&h->secret);
	arena_fini(&o->mem);
	free(o);
}

bool
section_defaults(struct conf_owned *o, enum conf_section section, void *base)
{
	char mem[256];

	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *opt = &conf_options[i];
		struct text why = text_over(mem, sizeof(mem));

		if (opt->section != section || !opt->fallback || !*opt->fallback)
			continue;
		if (!value_set(o, opt, base, slice_str(opt->fallback), &why))
			return false;
	}
	return true;
}

/* The machine's name where it can be said in EHLO. */
static const char *
machine_name(struct conf_owned *o)
{
	const struct conf_option *opt = option_find(SECTION_SERVER, SLICE("name"));
	char name[256] = "", mem[256];
	struct text why = text_over(mem, sizeof(mem));

	if (gethostname(name, sizeof(name) - 1) == 0 && *name &&
	    value_set(o, opt, &o->c, slice_str(name), &why))
		return o->c.server.name;
	return "localhost";
}

static const struct conf_certificate *
certificate_find(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->certificates_n; i++)
		if (slice_eq(slice_str(c->certificates[i].name), slice_str(name)))
			return &c->certificates[i];
	return NULL;
}

/* A listener's certificates by name become files; one that names none has all. */
static bool
settle_listener(struct conf_owned *o, struct conf_listener *l)
{
	const struct conf *c = &o->c;
	size_t n = l->certificates_n ? l->certificates_n : c->certificates_n;

	l->pairs_n = 0;
	if (l->tls == LISTENER_PLAIN || n == 0)
		return true;
	l->pairs = arena_zalloc(&o->mem, n * sizeof(*l->pairs));
	if (!l->pairs)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct conf_certificate *cert = l->certificates_n
		    ? certificate_find(c, l->certificates[i])
		    : &c->certificates[i];

		if (cert)
			l->pairs[l->pairs_n++] = (struct tls_pair){ .chain_file = cert->chain_file,
				.key_file = cert->key_file };
	}
	return true;
}

bool
conf_settle(struct conf_owned *o)
{
	struct conf *c = &o->c;

	if (!c->server.name)
		c->server.name = machine_name(o);
	if (!c->replies)
		c->replies = replies_catalogue();
	if (!c->server.instance)
		c->server.instance = c->server.name;
	for (size_t i = 0; i < c->mtas_n; i++) {
		struct conf_mta *m = &c->mtas[i];

		if (m->port == 0)
			m->port = m->tls == UPSTREAM_TLS_IMPLICIT ? 465 : 25;
		if (m->max_connections == 0)
			m->max_connections = c->upstream.max_connections;
		if (m->messages_per_connection == 0)
			m->messages_per_connection = c->upstream.messages_per_connection;
	}
	for (size_t i = 0; i < c->listeners_n; i++)
		if (!settle_listener(o, &c->listeners[i]))
			return false;
	return true;
}

struct conf_owned *
conf_defaults(void)
{
	struct conf_owned *o = conf_owned_open();
	struct conf *c;

	if (!o)
		return NULL;
	c = &o->c;
	c->certificates = arena_zalloc(&o->mem, sizeof(*c->certificates));
	c->listeners = arena_zalloc(&o->mem, sizeof(*c->listeners));
	c->mtas = arena_zalloc(&o->mem, sizeof(*c->mtas));
	if (!c->certificates || !c->listeners || !c->mtas)
		goto fail;
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		enum conf_section s = (enum conf_section)i;
		void *base = s == SECTION_CERTIFICATE ? (void *)c->certificates
		    : s == SECTION_LISTENER           ? (void *)c->listeners
		    : s == SECTION_MTA                ? (void *)c->mtas
		                                      : (void *)c;

		if (!section_defaults(o, s, base))
			goto fail;
	}
	c->certificates_n = c->listeners_n = c->mtas_n = 1;
	if (conf_settle(o))
		return o;
fail:
	conf_owned_close(o);
	return NULL;
}
