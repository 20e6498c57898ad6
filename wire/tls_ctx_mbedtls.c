/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_ctx - one side's settings for mbedTLS: certificates, tickets, trust
 */
#include "wire/guard.h"
#include "wire/tls_mbedtls.h"

#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum {
	NAME_MAX_LEN = 253,
	KEY_LEN = 32,
	TICKET_NAME_LEN = 4,
	TICKET_LIFETIME_MAX = 86400,
	PEM_FILE_MAX = 1024 * 1024,
};

/* A trust store from a file, parsed once for all contexts of the process. */
struct store {
	struct store *next;
	char *path;
	struct timespec mtime;
	off_t size;
	unsigned refs;
	mbedtls_x509_crt crt;
};

struct pair {
	mbedtls_x509_crt chain;
	mbedtls_pk_context key;
};

struct tls_ctx {
	unsigned refs;
	bool server;
	mbedtls_ssl_config conf;
	/* A client's other hello: a context that lives as long as this one, and in which only CONF,
	 * PARENT and the pin are set. */
	struct tls_ctx *second;
	struct tls_ctx *parent;

	struct pair *pairs;
	size_t pairs_n;
	bool has_tickets;
	unsigned ticket_lifetime_s;
	mbedtls_ssl_ticket_context tickets;

	struct store *store;
	mbedtls_x509_crt own_store; /* a private CA; empty where the leaf is pinned */
	bool pinned;
	unsigned char pin[32];
	bool resume;
	bool has_session;
	mbedtls_ssl_session session; /* the last one's; empty while there is none */
};

static struct store *stores;

static bool
fail(struct text *why, enum tls_fault fault)
{
	text_put(why, slice_str(tls_words(fault)));
	return false;
}

static bool
fail_file(struct text *why, const char *file, enum tls_fault fault)
{
	text_fmt(why, "%s: %s", file,
	    fault == TLS_FAULT_FILE_UNREADABLE && errno ? strerror(errno) : tls_words(fault));
	return false;
}

const char *
tls_library(void)
{
	static char mem[32] = "mbedTLS ";

	mbedtls_version_get_string(mem + sizeof("mbedTLS ") - 1);
	return mem;
}

bool
tls_init(struct text *why)
{
	if (psa_crypto_init() == PSA_SUCCESS)
		return true;
	return fail(why, TLS_FAULT_NO_RANDOM);
}

static struct tls_ctx *
ctx_new(bool server)
{
	struct tls_ctx *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->refs = 1;
	ctx->server = server;
	mbedtls_ssl_config_init(&ctx->conf);
	mbedtls_ssl_ticket_init(&ctx->tickets);
	mbedtls_ssl_session_init(&ctx->session);
	mbedtls_x509_crt_init(&ctx->own_store);
	return ctx;
}

static void
store_put(struct store *s)
{
	if (!s || --s->refs)
		return;
	for (struct store **at = &stores; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			break;
		}
	}
	mbedtls_x509_crt_free(&s->crt);
	free(s->path);
	free(s);
}

static void
ctx_free(struct tls_ctx *ctx)
{
	if (ctx->second)
		ctx_free(ctx->second);
	for (size_t i = 0; i < ctx->pairs_n; i++) {
		mbedtls_x509_crt_free(&ctx->pairs[i].chain);
		mbedtls_pk_free(&ctx->pairs[i].key);
	}
	free(ctx->pairs);
	mbedtls_ssl_ticket_free(&ctx->tickets);
	mbedtls_ssl_session_free(&ctx->session);
	mbedtls_x509_crt_free(&ctx->own_store);
	store_put(ctx->store);
	mbedtls_ssl_config_free(&ctx->conf);
	mbedtls_platform_zeroize(ctx, sizeof(*ctx));
	free(ctx);
}

static struct tls_ctx *
owner_of(struct tls_ctx *ctx)
{
	return ctx->parent ? ctx->parent : ctx;
}

struct tls_ctx *
tls_ctx_ref(struct tls_ctx *ctx)
{
	owner_of(ctx)->refs++;
	return ctx;
}

void
tls_ctx_unref(struct tls_ctx *ctx)
{
	if (ctx && --owner_of(ctx)->refs == 0)
		ctx_free(owner_of(ctx));
}

struct tls_ctx *
tls_ctx_second(struct tls_ctx *ctx)
{
	return ctx->second;
}

/* What both sides have in common. */
static bool
conf_base(struct tls_ctx *ctx, struct text *why)
{
	mbedtls_ssl_config *c = &ctx->conf;
	int endpoint = ctx->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT;

	if (mbedtls_ssl_config_defaults(c, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
	        MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
		return fail(why, TLS_FAULT_NO_MEMORY);
	}
	mbedtls_ssl_conf_rng(c, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
	mbedtls_ssl_conf_min_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_2);
#ifdef MBEDTLS_SSL_RENEGOTIATION
	mbedtls_ssl_conf_renegotiation(c, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
	mbedtls_ssl_conf_legacy_renegotiation(c, MBEDTLS_SSL_LEGACY_NO_RENEGOTIATION);
#endif
	/* No resumption without a new key exchange. */
	mbedtls_ssl_conf_tls13_key_exchange_modes(c,
	    MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
	mbedtls_ssl_conf_session_tickets(c, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
	return true;
}

const struct mbedtls_ssl_config *
tls_ctx_conf(const struct tls_ctx *ctx)
{
	return &ctx->conf;
}

bool
tls_ctx_is_server(const struct tls_ctx *ctx)
{
	return ctx->server;
}

const unsigned char *
tls_ctx_pin(const struct tls_ctx *ctx)
{
	return ctx->pinned ? ctx->pin : NULL;
}

static bool
load_chain(mbedtls_x509_crt *crt, const char *file, bool every, struct text *why)
{
	errno = 0;
	int code = mbedtls_x509_crt_parse_file(crt, file);

	if (code == 0 || (code > 0 && !every && crt->version))
		return true;
	enum tls_fault fault =
	    code > 0 ? TLS_FAULT_FILE_HAS_BAD_CERTIFICATES : tls_fault_of_file(code);

	return fail_file(why, file, fault ? fault : TLS_FAULT_FILE_HAS_NO_CERTIFICATE);
}

static bool
load_pair(struct pair *p, const struct tls_pair *files, struct text *why)
{
	mbedtls_x509_crt_init(&p->chain);
	mbedtls_pk_init(&p->key);
	if (!load_chain(&p->chain, files->chain_file, true, why))
		return false;

	errno = 0;
	int code = mbedtls_pk_parse_keyfile(&p->key, files->key_file, NULL, mbedtls_psa_get_random,
	    MBEDTLS_PSA_RANDOM_STATE);

	if (code != 0) {
		enum tls_fault fault = tls_fault_of_file(code);

		return fail_file(why, files->key_file, fault ? fault : TLS_FAULT_FILE_HAS_NO_KEY);
	}
	if (mbedtls_pk_check_pair(&p->chain.pk, &p->key, mbedtls_psa_get_random,
	        MBEDTLS_PSA_RANDOM_STATE) != 0) {
		text_fmt(why, "%s: %s %s", files->key_file,
		    tls_words(TLS_FAULT_KEY_OF_OTHER_CERTIFICATE), files->chain_file);
		return false;
	}
	return true;
}

/* ---- which certificate ----------------------------------------------------------------------- */

static struct slice
common_name(const mbedtls_x509_crt *crt)
{
	for (const mbedtls_x509_name *n = &crt->subject; n; n = n->next) {
		if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0)
			return slice_of((const char *)n->val.p, n->val.len);
	}
	return slice_of("", 0);
}

/* The next DNS name at or behind *AT among the subject alternative names, and *AT moves behind it;
 * empty at their end. */
static struct slice
next_name(const mbedtls_x509_sequence **at)
{
	for (; *at && (*at)->buf.p; *at = (*at)->next) {
		const mbedtls_x509_buf *b = &(*at)->buf;

		if ((b->tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_DNS_NAME) {
			*at = (*at)->next;
			return slice_of((const char *)b->p, b->len);
		}
	}
	return slice_of("", 0);
}

/* The common name counts where there are no alternative names. */
static bool
pair_fits(const struct pair *p, struct slice name, bool wildcard)
{
	const mbedtls_x509_sequence *at = &p->chain.subject_alt_names;
	struct slice own = next_name(&at);

	if (own.n == 0)
		return tls_name_fits(common_name(&p->chain), name, wildcard);
	for (; own.n; own = next_name(&at)) {
		if (tls_name_fits(own, name, wildcard))
			return true;
	}
	return false;
}

/* Another kind of key for one of the same names. */
static bool
is_twin(const struct pair *a, const struct pair *b)
{
	const mbedtls_x509_sequence *at = &a->chain.subject_alt_names;
	struct slice own = next_name(&at);

	if (mbedtls_pk_get_type(&a->key) == mbedtls_pk_get_type(&b->key))
		return false;
	if (own.n == 0)
		return pair_fits(b, common_name(&a->chain), false);
	for (; own.n; own = next_name(&at)) {
		if (pair_fits(b, own, false))
			return true;
	}
	return false;
}

/* Every pair with that name, so that an RSA and an ECDSA certificate may stand side by side:
 * mbedTLS takes the one that the client can use. */
static int
give_pairs(mbedtls_ssl_context *ssl, struct slice name, bool wildcard, bool *any)
{
	struct tls_ctx *ctx = tls_ctx_of(ssl);

	for (size_t i = 0; i < ctx->pairs_n; i++) {
		if (!pair_fits(&ctx->pairs[i], name, wildcard))
			continue;
		int code =
		    mbedtls_ssl_set_hs_own_cert(ssl, &ctx->pairs[i].chain, &ctx->pairs[i].key);

		if (code != 0)
			return code;
		*any = true;
	}
	return 0;
}

/* After the ClientHello. Without a match the pairs given to mbedtls_ssl_conf_own_cert() are used:
 * the default. */
static int
on_client_hello(mbedtls_ssl_context *ssl)
{
	size_t n = 0;
	const unsigned char *p = mbedtls_ssl_get_hs_sni(ssl, &n);
	struct slice name = slice_of((const char *)p, p ? n : 0);
	bool any = false;

	if (name.n == 0 || name.n > NAME_MAX_LEN || !slice_is_ascii(name))
		return 0;
	tls_note_sni(ssl, name);
	int code = give_pairs(ssl, name, false, &any);

	if (code == 0 && !any)
		code = give_pairs(ssl, name, true, &any);
	return code;
}

static bool
load_pairs(struct tls_ctx *ctx, const struct tls_server_options *o, struct text *why)
{
	if (o->pairs_n == 0) {
		return fail(why, TLS_FAULT_NO_PAIR);
	}
	ctx->pairs = calloc(o->pairs_n, sizeof(*ctx->pairs));
	if (!ctx->pairs) {
		return fail(why, TLS_FAULT_NO_MEMORY);
	}
	for (size_t i = 0; i < o->pairs_n; i++) {
		ctx->pairs_n++;
		if (!load_pair(&ctx->pairs[i], &o->pairs[i], why))
			return false;
	}

	/* The default: the first, and its twins with another kind of key. */
	for (size_t i = 0; i < ctx->pairs_n; i++) {
		struct pair *p = &ctx->pairs[i];

		if (i > 0 && !is_twin(&ctx->pairs[0], p))
			continue;
		if (mbedtls_ssl_conf_own_cert(&ctx->conf, &p->chain, &p->key) != 0) {
			return fail(why, TLS_FAULT_NO_MEMORY);
		}
	}
	mbedtls_ssl_conf_cert_cb(&ctx->conf, on_client_hello);
	return true;
}

/* ---- a client's session ---------------------------------------------------------------------- */

void
tls_ctx_keep_session(struct tls_ctx *ctx, const mbedtls_ssl_context *ssl)
{
	if (!ctx->resume)
		return;
	mbedtls_ssl_session_free(&ctx->session);
	mbedtls_ssl_session_init(&ctx->session);
	ctx->has_session = mbedtls_ssl_get_session(ssl, &ctx->session) == 0;
}

void
tls_ctx_offer_session(struct tls_ctx *ctx, mbedtls_ssl_context *ssl)
{
	/* One that cannot be offered costs a whole handshake, no more. */
	if (ctx->has_session)
		(void)mbedtls_ssl_set_session(ssl, &ctx->session);
}

/* ---- tickets --------------------------------------------------------------------------------- */

static int
on_ticket_read(void *arg, mbedtls_ssl_session *session, unsigned char *mem, size_t n)
{
	int code = mbedtls_ssl_ticket_parse(arg, session, mem, n);

	if (code == 0)
		tls_note_ticket();
	return code;
}

/* The key's name is made of the key, so that every worker that has the one has the other. */
static bool
set_ticket_key(struct tls_ctx *ctx, const unsigned char key[KEY_LEN])
{
	static const char label[] = "byway ticket key name";
	unsigned char mem[sizeof(label) + KEY_LEN];
	unsigned char name[32];

	memcpy(mem, label, sizeof(label));
	memcpy(mem + sizeof(label), key, KEY_LEN);
	int code = mbedtls_sha256(mem, sizeof(mem), name, 0);

	if (code == 0)
		code = mbedtls_ssl_ticket_rotate(&ctx->tickets, name, TICKET_NAME_LEN, key, KEY_LEN,
		    ctx->ticket_lifetime_s);
	mbedtls_platform_zeroize(mem, sizeof(mem));
	return code == 0;
}

static bool
conf_tickets(struct tls_ctx *ctx, const struct tls_server_options *o, struct text *why)
{
	unsigned life = o->ticket_lifetime_s;

	mbedtls_ssl_conf_new_session_tickets(&ctx->conf, o->ticket_key ? 1 : 0);
	if (!o->ticket_key)
		return true;
	/* A longer life breaks TLS 1.3, which knows seven days at most. */
	ctx->ticket_lifetime_s =
	    life == 0 || life > TICKET_LIFETIME_MAX ? TICKET_LIFETIME_MAX : life;
	if (mbedtls_ssl_ticket_setup(&ctx->tickets, mbedtls_psa_get_random,
	        MBEDTLS_PSA_RANDOM_STATE, MBEDTLS_CIPHER_AES_256_GCM,
	        ctx->ticket_lifetime_s) != 0 ||
	    !set_ticket_key(ctx, o->ticket_key)) {
		return fail(why, TLS_FAULT_NO_TICKETS);
	}
	mbedtls_ssl_conf_session_tickets(&ctx->conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
	mbedtls_ssl_conf_session_tickets_cb(&ctx->conf, mbedtls_ssl_ticket_write, on_ticket_read,
	    &ctx->tickets);
	ctx->has_tickets = true;
	return true;
}

void
tls_ctx_rotate_ticket_key(struct tls_ctx *ctx, const unsigned char key[32])
{
	if (ctx->has_tickets)
		(void)set_ticket_key(ctx, key);
}

static bool
conf_client_cert(struct tls_ctx *ctx, const struct tls_server_options *o, struct text *why)
{
	if (o->client_cert == TLS_CLIENT_CERT_NONE) {
		mbedtls_ssl_conf_authmode(&ctx->conf, MBEDTLS_SSL_VERIFY_NONE);
		return true;
	}
	if (!o->client_ca_file) {
		return fail(why, TLS_FAULT_NO_CLIENT_CA);
	}
	if (!load_chain(&ctx->own_store, o->client_ca_file, true, why))
		return false;
	mbedtls_ssl_conf_ca_chain(&ctx->conf, &ctx->own_store, NULL);
	mbedtls_ssl_conf_authmode(&ctx->conf,
	    o->client_cert == TLS_CLIENT_CERT_REQUIRED ? MBEDTLS_SSL_VERIFY_REQUIRED
	                                               : MBEDTLS_SSL_VERIFY_OPTIONAL);
	return true;
}

struct tls_ctx *
tls_server_ctx(const struct tls_server_options *o, struct text *why)
{
	struct tls_ctx *ctx = ctx_new(true);

	if (!ctx) {
		(void)fail(why, TLS_FAULT_NO_MEMORY);
		return NULL;
	}
	if (!conf_base(ctx, why) || !load_pairs(ctx, o, why) || !conf_tickets(ctx, o, why) ||
	    !conf_client_cert(ctx, o, why)) {
		ctx_free(ctx);
		return NULL;
	}
	mbedtls_ssl_conf_ciphersuites(&ctx->conf, tls_suites(true, o->old_devices));
	mbedtls_ssl_conf_max_tls_version(&ctx->conf,
	    o->tls13 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
	return ctx;
}

/* ---- trust ----------------------------------------------------------------------------------- */

/* The cache itself holds a reference, until the file changes. */
static struct store *
store_get(const char *file, struct text *why)
{
	struct stat st;

	if (stat(file, &st) != 0) {
		text_fmt(why, "%s: %s", file, strerror(errno));
		return NULL;
	}
	for (struct store *s = stores; s; s = s->next) {
		if (strcmp(s->path, file) != 0)
			continue;
		if (s->size == st.st_size && s->mtime.tv_sec == st.st_mtim.tv_sec &&
		    s->mtime.tv_nsec == st.st_mtim.tv_nsec) {
			s->refs++;
			return s;
		}
		/* Its old content goes with its last user; nobody finds it any more. */
		s->path[0] = 0;
		store_put(s);
		break;
	}

	struct store *s = calloc(1, sizeof(*s));

	if (!s || !(s->path = strdup(file))) {
		free(s);
		(void)fail(why, TLS_FAULT_NO_MEMORY);
		return NULL;
	}
	mbedtls_x509_crt_init(&s->crt);
	if (!load_chain(&s->crt, file, false, why)) {
		mbedtls_x509_crt_free(&s->crt);
		free(s->path);
		free(s);
		return NULL;
	}
	s->mtime = st.st_mtim;
	s->size = st.st_size;
	s->refs = 2;
	s->next = stores;
	stores = s;
	return s;
}

static bool
load_private_ca(struct tls_ctx *ctx, struct slice pem, struct text *why)
{
	if (pem.n > PEM_FILE_MAX) {
		return fail(why, TLS_FAULT_PRIVATE_CA_TOO_LONG);
	}
	unsigned char *z = malloc(pem.n + 1); /* mbedTLS wants the NUL, and its octet counted */

	if (!z) {
		return fail(why, TLS_FAULT_NO_MEMORY);
	}
	memcpy(z, pem.p, pem.n);
	z[pem.n] = 0;
	int code = mbedtls_x509_crt_parse(&ctx->own_store, z, pem.n + 1);

	free(z);
	return code == 0 || fail(why, TLS_FAULT_PRIVATE_CA_BAD);
}

static bool
conf_client(struct tls_ctx *ctx, mbedtls_x509_crt *trust, bool pss, bool old, struct text *why)
{
	mbedtls_ssl_config *c = &ctx->conf;

	if (!conf_base(ctx, why))
		return false;
	mbedtls_ssl_conf_ca_chain(c, trust, NULL);
	mbedtls_ssl_conf_sig_algs(c, tls_client_signatures(pss));
	mbedtls_ssl_conf_ciphersuites(c, tls_suites(false, old));
	mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_max_tls_version(c,
	    pss ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
	if (ctx->resume) {
		mbedtls_ssl_conf_session_tickets(c, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
		mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(c,
		    MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
	}
	return true;
}

/* The CAs to believe; NULL with the reason in WHY. */
static mbedtls_x509_crt *
load_trust(struct tls_ctx *ctx, const struct tls_client_options *o, struct text *why)
{
	if (o->pinned) {
		ctx->pinned = true;
		memcpy(ctx->pin, o->pin, sizeof(ctx->pin));
		return &ctx->own_store;
	}
	if (o->ca_pem.n)
		return load_private_ca(ctx, o->ca_pem, why) ? &ctx->own_store : NULL;
	if (o->ca_file) {
		ctx->store = store_get(o->ca_file, why);
		return ctx->store ? &ctx->store->crt : NULL;
	}
	(void)fail(why, TLS_FAULT_NO_TRUST);
	return NULL;
}

static bool
add_second(struct tls_ctx *ctx, mbedtls_x509_crt *trust, bool old, struct text *why)
{
	ctx->second = ctx_new(false);
	if (!ctx->second) {
		return fail(why, TLS_FAULT_NO_MEMORY);
	}
	ctx->second->parent = ctx;
	ctx->second->pinned = ctx->pinned;
	memcpy(ctx->second->pin, ctx->pin, sizeof(ctx->pin));
	return conf_client(ctx->second, trust, false, old, why);
}

struct tls_ctx *
tls_client_ctx(const struct tls_client_options *o, struct text *why)
{
	struct tls_ctx *ctx = ctx_new(false);
	mbedtls_x509_crt *trust;

	if (!ctx) {
		(void)fail(why, TLS_FAULT_NO_MEMORY);
		return NULL;
	}
	ctx->resume = o->resume;
	trust = load_trust(ctx, o, why);
	if (trust && conf_client(ctx, trust, true, o->old_servers, why) &&
	    add_second(ctx, trust, o->old_servers, why))
		return ctx;
	ctx_free(ctx);
	return NULL;
}

bool
tls_ctx_is_for(const struct tls_ctx *ctx, struct slice name)
{
	for (size_t i = 0; i < ctx->pairs_n; i++) {
		if (pair_fits(&ctx->pairs[i], name, false) || pair_fits(&ctx->pairs[i], name, true))
			return true;
	}
	return false;
}

long
tls_ctx_days_left(const struct tls_ctx *ctx)
{
	time_t now = time(NULL);
	long least = 36500;

	for (size_t i = 0; i < ctx->pairs_n; i++) {
		const mbedtls_x509_time *end = &ctx->pairs[i].chain.valid_to;
		struct tm tm = {
			.tm_year = end->year - 1900,
			.tm_mon = end->mon - 1,
			.tm_mday = end->day,
			.tm_hour = end->hour,
			.tm_min = end->min,
			.tm_sec = end->sec,
		};
		double days = difftime(timegm(&tm), now) / 86400;
		long whole = days < 0 ? (long)days - 1 : (long)days;

		if (whole < least)
			least = whole;
	}
	return least;
}
