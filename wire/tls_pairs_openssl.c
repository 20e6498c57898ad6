/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_pairs - a listener's own certificates, and which of them a client gets to see
 */
#include "wire/pem.h"
#include "wire/tls_openssl.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <stdlib.h>

/* One certificate of each kind can be shown: the client takes what it can use. */
enum { KIND_RSA, KIND_EC, KINDS };

struct pair {
	X509 *leaf;
	STACK_OF(X509) * rest;
	EVP_PKEY *key;
	GENERAL_NAMES *names; /* NULL: there are no alternative ones */
};

struct tls_pairs {
	struct pair *all;
	size_t n;
	const struct pair *normal[KINDS]; /* shown to whoever asks for no name that is here */
};

static bool
fail(struct text *why, const char *file, enum tls_fault fault)
{
	text_fmt(why, "%s: %s", file,
	    fault == TLS_FAULT_FILE_UNREADABLE && errno ? strerror(errno) : tls_words(fault));
	return false;
}

/* ---- files ----------------------------------------------------------------------------------- */

static enum tls_fault
read_chain(struct pair *p, const char *path)
{
	struct pem file;
	unsigned bad = 0;
	enum tls_fault fault = pem_open(&file, path);

	if (fault)
		return fault;
	p->rest = pem_certificates(slice_of(file.mem, file.n), &bad);
	pem_close(&file);
	if (!p->rest)
		return TLS_FAULT_NO_MEMORY;
	if (sk_X509_num(p->rest) == 0)
		return TLS_FAULT_FILE_HAS_NO_CERTIFICATE;
	if (bad)
		return TLS_FAULT_FILE_HAS_BAD_CERTIFICATES;
	p->leaf = sk_X509_shift(p->rest);
	p->names = X509_get_ext_d2i(p->leaf, NID_subject_alt_name, NULL, NULL);
	return TLS_FAULT_NONE;
}

static enum tls_fault
read_key(struct pair *p, const char *path)
{
	struct pem file;
	enum tls_fault fault = pem_open(&file, path);

	if (fault)
		return fault;
	fault = pem_key(slice_of(file.mem, file.n), &p->key);
	pem_close(&file);
	return fault;
}

static bool
load_pair(struct pair *p, const struct tls_pair *files, struct text *why)
{
	enum tls_fault fault = read_chain(p, files->chain_file);

	if (fault)
		return fail(why, files->chain_file, fault);
	fault = read_key(p, files->key_file);
	if (fault)
		return fail(why, files->key_file, fault);
	if (X509_check_private_key(p->leaf, p->key) == 1)
		return true;
	text_fmt(why, "%s: %s %s", files->key_file, tls_words(TLS_FAULT_KEY_OF_OTHER_CERTIFICATE),
	    files->chain_file);
	return false;
}

/* ---- names ----------------------------------------------------------------------------------- */

static struct slice
common_name(const X509 *cert)
{
	const X509_NAME *dn = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(dn, NID_commonName, -1);
	const ASN1_STRING *s =
	    at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(dn, at));

	return s ? slice_of((const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s))
	         : slice_of("", 0);
}

/* The next DNS name at or behind *AT among the subject alternative names, and *AT moves behind it;
 * empty at their end. */
static struct slice
next_name(const struct pair *p, int *at)
{
	while (*at < sk_GENERAL_NAME_num(p->names)) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(p->names, (*at)++);
		const ASN1_STRING *s = name->type == GEN_DNS ? name->d.dNSName : NULL;

		if (s && ASN1_STRING_length(s) > 0)
			return slice_of((const char *)ASN1_STRING_get0_data(s),
			    (size_t)ASN1_STRING_length(s));
	}
	return slice_of("", 0);
}

/* The common name counts where there are no alternative names. */
static bool
pair_fits(const struct pair *p, struct slice name, bool wildcard)
{
	int at = 0;
	struct slice own = next_name(p, &at);

	if (own.n == 0)
		return tls_name_fits(common_name(p->leaf), name, wildcard);
	for (; own.n; own = next_name(p, &at)) {
		if (tls_name_fits(own, name, wildcard))
			return true;
	}
	return false;
}

static int
kind_of(const struct pair *p)
{
	return EVP_PKEY_get_base_id(p->key) == EVP_PKEY_RSA ? KIND_RSA : KIND_EC;
}

/* Another kind of key for one of the same names. */
static bool
is_twin(const struct pair *a, const struct pair *b)
{
	int at = 0;
	struct slice own = next_name(a, &at);

	if (kind_of(a) == kind_of(b))
		return false;
	if (own.n == 0)
		return pair_fits(b, common_name(a->leaf), false);
	for (; own.n; own = next_name(a, &at)) {
		if (pair_fits(b, own, false))
			return true;
	}
	return false;
}

/* ---- which certificate ----------------------------------------------------------------------- */

/* The first of each kind with that name, so that an RSA and an ECDSA certificate may stand side by
 * side. */
static bool
choose(const struct tls_pairs *p, struct slice name, bool wildcard, const struct pair **chosen)
{
	bool any = false;

	for (size_t i = 0; i < p->n; i++) {
		int kind = kind_of(&p->all[i]);

		if (!chosen[kind] && pair_fits(&p->all[i], name, wildcard)) {
			chosen[kind] = &p->all[i];
			any = true;
		}
	}
	return any;
}

static bool
show(SSL *ssl, const struct pair *const *chosen)
{
	SSL_certs_clear(ssl);
	for (int kind = 0; kind < KINDS; kind++) {
		const struct pair *p = chosen[kind];

		if (p && SSL_use_cert_and_key(ssl, p->leaf, p->key, p->rest, 1) != 1)
			return false;
	}
	return true;
}

/* Called with every ClientHello, with and without a name. */
static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_pairs *p = tls_ctx_pairs(tls_ctx_of(ssl));
	struct slice name = slice_str(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	const struct pair *chosen[KINDS] = { NULL };

	(void)arg;
	if (name.n == 0 || name.n > TLS_HOST_MAX || !slice_is_ascii(name))
		return SSL_TLSEXT_ERR_NOACK;
	tls_note_sni(ssl, name);
	if (!choose(p, name, false, chosen) && !choose(p, name, true, chosen))
		return SSL_TLSEXT_ERR_OK; /* with the default */
	if (memcmp(chosen, p->normal, sizeof(chosen)) == 0 || show(ssl, chosen))
		return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The default: the first, and its first twin with another kind of key. */
static bool
set_normal(struct tls_pairs *p, SSL_CTX *c)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct pair *one = &p->all[i];
		int kind = kind_of(one);

		if (p->normal[kind] || (i > 0 && !is_twin(&p->all[0], one)))
			continue;
		if (SSL_CTX_use_cert_and_key(c, one->leaf, one->key, one->rest, 1) != 1)
			return false;
		p->normal[kind] = one;
	}
	SSL_CTX_set_tlsext_servername_callback(c, on_server_name);
	return true;
}

struct tls_pairs *
tls_pairs_load(struct ssl_ctx_st *c, const struct tls_pair *files, size_t n, struct text *why)
{
	struct tls_pairs *p = calloc(1, sizeof(*p));
	bool good = false;

	if (p)
		p->all = calloc(n, sizeof(*p->all));
	if (!p || !p->all) {
		text_put(why, slice_str(tls_words(TLS_FAULT_NO_MEMORY)));
		tls_pairs_free(p);
		return NULL;
	}
	for (; p->n < n; p->n++) {
		good = load_pair(&p->all[p->n], &files[p->n], why);
		if (!good)
			break;
	}
	/* What it cannot use for a handshake has a weak key or signature. */
	if (good && !set_normal(p, c)) {
		enum tls_fault fault = tls_fault_of_reason(ERR_GET_REASON(ERR_peek_error()));

		good = fail(why, files[0].chain_file, fault ? fault : TLS_FAULT_UNVERIFIED);
	}
	ERR_clear_error();
	if (good)
		return p;
	p->n += p->n < n; /* the one that is half there */
	tls_pairs_free(p);
	return NULL;
}

void
tls_pairs_free(struct tls_pairs *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		X509_free(p->all[i].leaf);
		sk_X509_pop_free(p->all[i].rest, X509_free);
		EVP_PKEY_free(p->all[i].key);
		GENERAL_NAMES_free(p->all[i].names);
	}
	free(p->all);
	free(p);
}

bool
tls_pairs_are_for(const struct tls_pairs *p, struct slice name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (pair_fits(&p->all[i], name, false) || pair_fits(&p->all[i], name, true))
			return true;
	}
	return false;
}

long
tls_pairs_days_left(const struct tls_pairs *p)
{
	long least = 36500;

	for (size_t i = 0; i < p->n; i++) {
		int days = 0;
		int seconds = 0;

		/* Both have the sign of the difference. */
		if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(p->all[i].leaf)) != 1)
			continue;
		if (days < 0 || seconds < 0)
			days--;
		if (days < least)
			least = days;
	}
	return least;
}
