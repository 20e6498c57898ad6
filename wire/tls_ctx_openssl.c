/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_ctx - one side's settings for OpenSSL: trust, and what both sides have in common
 */
#include "wire/pem.h"
#include "wire/tls_openssl.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
	TICKET_LIFETIME_MAX = 86400,
	PRIVATE_CA_MAX = 1024 * 1024,
	CHAIN_MAX = 8, /* certificates between a leaf and what we trust */
};

/* A trust store from a file, parsed once for all contexts of the process. */
struct store {
	struct store *next;
	char *path;
	struct timespec mtime;
	off_t size;
	unsigned refs;
	X509_STORE *certs;
};

struct tls_ctx {
	unsigned refs;
	bool server;
	bool takes_any;
	SSL_CTX *inner;
	struct tls_pairs *pairs;
	struct tls_tickets *tickets;
	SSL_SESSION *session; /* a client's last one; NULL: none, or none is kept */
	struct store *store;
	bool pinned;
	unsigned char pin[32];
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
	static char mem[64];
	struct text t = text_over(mem, sizeof(mem));

	text_fmt(&t, "OpenSSL %s", OpenSSL_version(OPENSSL_VERSION_STRING));
	return mem;
}

bool
tls_init(struct text *why)
{
	bool good = OPENSSL_init_ssl(0, NULL) == 1 && RAND_status() == 1;

	ERR_clear_error();
	return good || fail(why, TLS_FAULT_NO_RANDOM);
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
	X509_STORE_free(s->certs);
	free(s->path);
	free(s);
}

static void
ctx_free(struct tls_ctx *ctx)
{
	SSL_SESSION_free(ctx->session);
	SSL_CTX_free(ctx->inner);
	tls_pairs_free(ctx->pairs);
	tls_tickets_free(ctx->tickets);
	store_put(ctx->store);
	OPENSSL_cleanse(ctx, sizeof(*ctx));
	free(ctx);
	ERR_clear_error();
}

struct tls_ctx *
tls_ctx_ref(struct tls_ctx *ctx)
{
	ctx->refs++;
	return ctx;
}

void
tls_ctx_unref(struct tls_ctx *ctx)
{
	if (ctx && --ctx->refs == 0)
		ctx_free(ctx);
}

/* OpenSSL takes RSA-PSS in TLS 1.2: one hello serves all servers. */
struct tls_ctx *
tls_ctx_second(struct tls_ctx *ctx)
{
	(void)ctx;
	return NULL;
}

/* What both sides have in common. */
static struct tls_ctx *
ctx_new(bool server, bool tls13, bool old, struct text *why)
{
	struct tls_ctx *ctx = calloc(1, sizeof(*ctx));
	SSL_CTX *c = ctx ? SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()) : NULL;

	if (!c) {
		free(ctx);
		ERR_clear_error();
		(void)fail(why, TLS_FAULT_NO_MEMORY);
		return NULL;
	}
	ctx->refs = 1;
	ctx->server = server;
	ctx->inner = c;
	if (!tls_lists_put(c, server, old) ||
	    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(c, tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1) {
		ctx_free(ctx);
		(void)fail(why, TLS_FAULT_NO_MEMORY);
		return NULL;
	}
	SSL_CTX_clear_options(c, SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* What was said is wiped from the record's buffer as it is read: passwords are in there. */
	SSL_CTX_set_options(c,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	        SSL_OP_NO_TICKET | SSL_OP_CLEANSE_PLAINTEXT);
	/* The chain that leaves is the one in the file, not one completed from whom we trust. */
	SSL_CTX_set_mode(c,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify_depth(c, CHAIN_MAX);
	SSL_CTX_set_cert_verify_callback(c, tls_verify, NULL);
	return ctx;
}

struct ssl_ctx_st *
tls_ctx_inner(const struct tls_ctx *ctx)
{
	return ctx->inner;
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

bool
tls_ctx_takes_any(const struct tls_ctx *ctx)
{
	return ctx->takes_any;
}

const struct tls_pairs *
tls_ctx_pairs(const struct tls_ctx *ctx)
{
	return ctx->pairs;
}

struct tls_tickets *
tls_ctx_tickets(const struct tls_ctx *ctx)
{
	return ctx->tickets;
}

/* ---- trust ----------------------------------------------------------------------------------- */

/* A chain may end at any of CERTS, root or not. They are freed. */
static X509_STORE *
store_of(STACK_OF(X509) * certs)
{
	X509_STORE *store = X509_STORE_new();
	bool good = store &&
	    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN) == 1;

	for (int i = 0; good && i < sk_X509_num(certs); i++)
		good = X509_STORE_add_cert(store, sk_X509_value(certs, i)) == 1;
	sk_X509_pop_free(certs, X509_free);
	if (good)
		return store;
	X509_STORE_free(store);
	return NULL;
}

/* EVERY: one that cannot be read is a fault; else one that can be is enough. */
static enum tls_fault
read_certificates(const char *path, bool every, STACK_OF(X509) * *certs_r)
{
	struct pem file;
	unsigned bad = 0;
	enum tls_fault fault = pem_open(&file, path);

	*certs_r = NULL;
	if (fault)
		return fault;
	*certs_r = pem_certificates(slice_of(file.mem, file.n), &bad);
	pem_close(&file);
	if (!*certs_r)
		return TLS_FAULT_NO_MEMORY;
	if (sk_X509_num(*certs_r) > 0 && (bad == 0 || !every))
		return TLS_FAULT_NONE;
	fault = sk_X509_num(*certs_r) > 0 ? TLS_FAULT_FILE_HAS_BAD_CERTIFICATES
	                                  : TLS_FAULT_FILE_HAS_NO_CERTIFICATE;
	sk_X509_pop_free(*certs_r, X509_free);
	*certs_r = NULL;
	return fault;
}

/* One that is known and whose file has not changed, with a reference for the caller. */
static struct store *
store_find(const char *file, const struct stat *st)
{
	for (struct store *s = stores; s; s = s->next) {
		if (strcmp(s->path, file) != 0)
			continue;
		if (s->size == st->st_size && s->mtime.tv_sec == st->st_mtim.tv_sec &&
		    s->mtime.tv_nsec == st->st_mtim.tv_nsec) {
			s->refs++;
			return s;
		}
		/* Its old content goes with its last user; nobody finds it any more. */
		s->path[0] = 0;
		store_put(s);
		break;
	}
	return NULL;
}

/* The cache itself holds a reference, until the file changes. */
static struct store *
store_get(const char *file, struct text *why)
{
	STACK_OF(X509) * certs;
	struct stat st;

	if (stat(file, &st) != 0) {
		(void)fail_file(why, file, TLS_FAULT_FILE_UNREADABLE);
		return NULL;
	}
	struct store *s = store_find(file, &st);

	if (s)
		return s;
	enum tls_fault fault = read_certificates(file, false, &certs);

	if (fault) {
		(void)fail_file(why, file, fault);
		return NULL;
	}
	X509_STORE *made = store_of(certs);

	s = calloc(1, sizeof(*s));
	if (!made || !s || !(s->path = strdup(file))) {
		X509_STORE_free(made);
		free(s);
		(void)fail(why, TLS_FAULT_NO_MEMORY);
		return NULL;
	}
	s->certs = made;
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
	unsigned bad = 0;

	if (pem.n > PRIVATE_CA_MAX)
		return fail(why, TLS_FAULT_PRIVATE_CA_TOO_LONG);
	STACK_OF(X509) *certs = pem_certificates(pem, &bad);

	if (!certs)
		return fail(why, TLS_FAULT_NO_MEMORY);
	if (bad || sk_X509_num(certs) == 0) {
		sk_X509_pop_free(certs, X509_free);
		return fail(why, TLS_FAULT_PRIVATE_CA_BAD);
	}
	X509_STORE *store = store_of(certs);

	if (!store)
		return fail(why, TLS_FAULT_NO_MEMORY);
	SSL_CTX_set_cert_store(ctx->inner, store);
	return true;
}

static bool
load_trust(struct tls_ctx *ctx, const struct tls_client_options *o, struct text *why)
{
	if (o->pinned) {
		ctx->pinned = true;
		memcpy(ctx->pin, o->pin, sizeof(ctx->pin));
		return true;
	}
	if (o->ca_pem.n)
		return load_private_ca(ctx, o->ca_pem, why);
	if (!o->ca_file)
		return fail(why, TLS_FAULT_NO_TRUST);
	ctx->store = store_get(o->ca_file, why);
	if (!ctx->store)
		return false;
	SSL_CTX_set1_cert_store(ctx->inner, ctx->store->certs);
	return true;
}

/* Copies are kept and offered: OpenSSL spoils a session when its connection ends badly or gets
 * another ticket, for all who hold it. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_ctx *ctx = tls_ctx_of(ssl);
	SSL_SESSION *copy = SSL_SESSION_dup(session);

	if (copy) {
		SSL_SESSION_free(ctx->session);
		ctx->session = copy;
	}
	return 0;
}

bool
tls_ctx_offer_session(const struct tls_ctx *ctx, struct ssl_st *ssl)
{
	SSL_SESSION *copy;

	if (!ctx->session)
		return true;
	copy = SSL_SESSION_dup(ctx->session);
	bool taken = copy && SSL_set_session(ssl, copy) == 1;

	SSL_SESSION_free(copy);
	return taken;
}

struct tls_ctx *
tls_client_ctx(const struct tls_client_options *o, struct text *why)
{
	struct tls_ctx *ctx = ctx_new(false, true, o->old_servers, why);

	if (!ctx)
		return NULL;
	if (!load_trust(ctx, o, why)) {
		ctx_free(ctx);
		return NULL;
	}
	SSL_CTX_set_verify(ctx->inner, SSL_VERIFY_PEER, NULL);
	if (o->resume) {
		SSL_CTX_clear_options(ctx->inner, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(ctx->inner,
		    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(ctx->inner, on_session);
	}
	return ctx;
}

/* ---- as a server ----------------------------------------------------------------------------- */

static bool
conf_tickets(struct tls_ctx *ctx, const struct tls_server_options *o, struct text *why)
{
	/* Both listeners and workers are told apart by the key; a resumption wants some context. */
	static const unsigned char context[] = "byway";
	unsigned life = o->ticket_lifetime_s;
	SSL_CTX *c = ctx->inner;

	/* Without a key none are told of: OpenSSL's own for TLS 1.3 would name a cache. */
	if (SSL_CTX_set_num_tickets(c, o->ticket_key ? 1 : 0) != 1 ||
	    SSL_CTX_set_session_id_context(c, context, sizeof(context) - 1) != 1)
		return fail(why, TLS_FAULT_NO_TICKETS);
	if (!o->ticket_key)
		return true;
	/* A longer life breaks TLS 1.3, which knows seven days at most. */
	if (life == 0 || life > TICKET_LIFETIME_MAX)
		life = TICKET_LIFETIME_MAX;
	ctx->tickets = tls_tickets_open(c, o->ticket_key, life);
	SSL_CTX_clear_options(c, SSL_OP_NO_TICKET);
	return ctx->tickets || fail(why, TLS_FAULT_NO_TICKETS);
}

void
tls_ctx_rotate_ticket_key(struct tls_ctx *ctx, const unsigned char key[32])
{
	if (ctx->tickets)
		tls_tickets_rotate(ctx->tickets, key);
}

static bool
conf_client_cert(struct tls_ctx *ctx, const struct tls_server_options *o, struct text *why)
{
	bool required = o->client_cert == TLS_CLIENT_CERT_REQUIRED;
	STACK_OF(X509) * certs;

	if (o->client_cert == TLS_CLIENT_CERT_NONE)
		return true;
	if (!o->client_ca_file)
		return fail(why, TLS_FAULT_NO_CLIENT_CA);
	enum tls_fault fault = read_certificates(o->client_ca_file, true, &certs);

	if (fault)
		return fail_file(why, o->client_ca_file, fault);
	/* Clients are told whose certificates count. */
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (SSL_CTX_add_client_CA(ctx->inner, sk_X509_value(certs, i)) != 1)
			fault = TLS_FAULT_NO_MEMORY;
	X509_STORE *store = store_of(certs);

	if (store)
		SSL_CTX_set_cert_store(ctx->inner, store);
	if (!store || fault)
		return fail(why, TLS_FAULT_NO_MEMORY);
	ctx->takes_any = !required;
	SSL_CTX_set_verify(ctx->inner,
	    SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	return true;
}

struct tls_ctx *
tls_server_ctx(const struct tls_server_options *o, struct text *why)
{
	struct tls_ctx *ctx;

	if (o->pairs_n == 0) {
		(void)fail(why, TLS_FAULT_NO_PAIR);
		return NULL;
	}
	ctx = ctx_new(true, o->tls13, o->old_devices, why);
	if (!ctx)
		return NULL;
	ctx->pairs = tls_pairs_load(ctx->inner, o->pairs, o->pairs_n, why);
	if (ctx->pairs && conf_tickets(ctx, o, why) && conf_client_cert(ctx, o, why))
		return ctx;
	ctx_free(ctx);
	return NULL;
}

bool
tls_ctx_is_for(const struct tls_ctx *ctx, struct slice name)
{
	return tls_pairs_are_for(ctx->pairs, name);
}

long
tls_ctx_days_left(const struct tls_ctx *ctx)
{
	return tls_pairs_days_left(ctx->pairs);
}
