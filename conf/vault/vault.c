/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "conf/vault/vault.h"
#include "wire/base64.h"
#include "wire/crypto.h"

/*
 * blob   v2.<key id>.<base64>      base64 of nonce (12), ciphertext, tag (16)
 * key    HKDF-SHA256(master, salt = key id, info = "byway credential v1|" account)
 * AAD    each field behind its length (32 bits), numbers as 64 bits, all big-endian: two places
 *        never give the same octets
 */
enum {
	ID_MAX = 32,
	KEYS_MAX = 64,
	AAD_MAX = 4096,
	RAW_MAX = AEAD_NONCE + VAULT_PLAIN_MAX + AEAD_TAG
};

struct key {
	char id[ID_MAX + 1];
	struct secret master;
};

struct vault {
	size_t keys_n;
	struct key keys[KEYS_MAX];
};

/* ---- the key file ---- */

static bool
is_id(struct slice s)
{
	if (s.n == 0 || s.n > ID_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9'))
			return false;
	return true;
}

static const struct key *
key_find(const struct vault *v, struct slice id)
{
	for (size_t i = 0; i < v->keys_n; i++)
		if (slice_eq(slice_str(v->keys[i].id), id))
			return &v->keys[i];
	return NULL;
}

/* NULL, or what is wrong with the line. */
static const char *
key_parse(struct vault *v, struct slice line)
{
	struct slice id = slice_cut(&line, ' ');
	struct slice hex = slice_trim(line);
	struct key *k = &v->keys[v->keys_n];

	if (!is_id(id))
		return "expected a key's id (lower-case letters and digits), a blank and 64 hex digits";
	if (hex.n != 2 * AEAD_KEY)
		return "expected 64 hex digits behind the key's id";
	if (key_find(v, id))
		return "this id stands twice";
	if (v->keys_n == KEYS_MAX)
		return "more than 64 keys";
	if (!secret_make(&k->master, AEAD_KEY))
		return "out of memory";
	v->keys_n++;
	memcpy(k->id, id.p, id.n);
	for (size_t i = 0; i < AEAD_KEY; i++) {
		int high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return "expected 64 hex digits behind the key's id";
		k->master.p[i] = (char)(high << 4 | low);
	}
	return NULL;
}

static bool
ring_parse(struct vault *v, struct slice ring, const char *key_file, struct text *why)
{
	for (unsigned number = 1; ring.n; number++) {
		struct slice line = slice_trim(slice_cut(&ring, '\n'));
		const char *fault;

		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		fault = key_parse(v, line);
		if (fault) {
			text_fmt(why, "%s:%u: %s", key_file, number, fault);
			return false;
		}
	}
	if (v->keys_n == 0)
		text_fmt(why, "%s holds no key", key_file);
	return v->keys_n != 0;
}

struct vault *
vault_open(const char *key_file, struct text *why)
{
	struct vault *v = calloc(1, sizeof(*v));
	struct secret ring;
	char words[512];
	bool ok;

	if (!v) {
		text_put(why, SLICE("out of memory"));
		return NULL;
	}
	if (!secret_read_file(&ring, key_file, false, words, sizeof(words))) {
		text_put(why, slice_str(words));
		free(v);
		return NULL;
	}
	ok = ring_parse(v, secret_peek(&ring), key_file, why);
	secret_fini(&ring);
	if (ok)
		return v;
	vault_close(v);
	return NULL;
}

void
vault_close(struct vault *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->keys_n; i++)
		secret_fini(&v->keys[i].master);
	free(v);
}

static const struct key *
current(const struct vault *v)
{
	return &v->keys[v->keys_n - 1];
}

const char *
vault_current(const struct vault *v)
{
	return current(v)->id;
}

/* ---- places ---- */

static void
put_field(struct text *t, struct slice s)
{
	unsigned char length[4] = { (unsigned char)(s.n >> 24), (unsigned char)(s.n >> 16),
		(unsigned char)(s.n >> 8), (unsigned char)s.n };

	text_put(t, slice_of((const char *)length, sizeof(length)));
	text_put(t, s);
}

static void
put_number(struct text *t, uint64_t v)
{
	char octets[8];

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (char)(v >> (56 - 8 * i));
	put_field(t, slice_of(octets, sizeof(octets)));
}

/* What both forms of a blob are bound to first. */
static void
write_head(struct text *t, struct slice form, const struct key *k, uint64_t account,
    uint64_t profile, const char *field, uint64_t version)
{
	put_field(t, form);
	put_field(t, slice_str(k->id));
	put_number(t, account);
	put_number(t, profile);
	put_field(t, slice_str(field));
	put_number(t, version);
}

/* False where a field is too long, or what it is bound to is not said. */
static bool
write_aad(struct text *t, const struct key *k, const struct vault_place *at)
{
	write_head(t, SLICE("byway credential v2"), k, at->account, at->profile, at->field,
	    at->version);
	put_field(t, at->bound);
	return at->bound.n > 0 && !t->overflow;
}

static bool
write_aad_v1(struct text *t, const struct key *k, const struct vault_place_v1 *at)
{
	write_head(t, SLICE("byway credential v1"), k, at->account, at->profile, at->field,
	    at->version);
	put_field(t, at->host);
	put_number(t, at->port);
	put_field(t, slice_str(at->tls));
	return !t->overflow;
}

static bool
derive(const struct key *k, struct slice info, unsigned char out[AEAD_KEY])
{
	return crypto_hkdf_sha256(secret_peek(&k->master), slice_str(k->id), info, out, AEAD_KEY);
}

static bool
account_key(const struct key *k, uint64_t account, unsigned char out[AEAD_KEY])
{
	char mem[64];
	struct text info = text_over(mem, sizeof(mem));

	text_put(&info, SLICE("byway credential v1|"));
	text_u64(&info, account);
	return derive(k, text_slice(&info), out);
}

/* ---- sealing ---- */

bool
vault_seal(struct vault *v, const struct vault_place *at, const struct secret *plain,
    struct text *blob_r)
{
	const struct key *k = current(v);
	unsigned char key[AEAD_KEY], raw[RAW_MAX];
	char mem[AAD_MAX];
	struct text aad = text_over(mem, sizeof(mem));
	bool ok;

	if (plain->n > VAULT_PLAIN_MAX || !write_aad(&aad, k, at) ||
	    !crypto_random(raw, AEAD_NONCE))
		return false;
	ok = account_key(k, at->account, key) &&
	    crypto_aead_seal(key, raw, text_slice(&aad), secret_peek(plain), raw + AEAD_NONCE);
	crypto_wipe(key, sizeof(key));
	if (!ok)
		return false;
	text_put(blob_r, SLICE("v2."));
	text_put(blob_r, slice_str(k->id));
	text_char(blob_r, '.');
	base64_encode(blob_r, slice_of((const char *)raw, AEAD_NONCE + plain->n + AEAD_TAG));
	return !blob_r->overflow;
}

/* FORM ("v2."), id, rest; false if it is no blob of that form. */
static bool
blob_split(struct slice blob, struct slice form, struct slice *id_r, struct slice *sealed_r)
{
	if (blob.n > VAULT_BLOB_MAX || !slice_starts(blob, form))
		return false;
	blob = slice_skip(blob, form.n);
	*id_r = slice_cut(&blob, '.');
	*sealed_r = blob;
	return is_id(*id_r);
}

static enum vault_result
open_sealed(const struct key *k, uint64_t account, struct slice aad, struct slice sealed,
    struct secret *plain_r)
{
	unsigned char key[AEAD_KEY], raw[RAW_MAX];
	struct slice in;
	size_t n;
	bool ok;

	if (sealed.n > RAW_MAX / 3 * 4 + 4 ||
	    !base64_decode(sealed, (char *)raw, sizeof(raw), &n) || n < AEAD_NONCE + AEAD_TAG)
		return VAULT_FORGED;
	in = slice_of((const char *)raw + AEAD_NONCE, n - AEAD_NONCE);
	if (!account_key(k, account, key) || !secret_make(plain_r, in.n - AEAD_TAG)) {
		crypto_wipe(key, sizeof(key));
		return VAULT_FAILED;
	}
	ok = crypto_aead_open(key, raw, aad, in, (unsigned char *)plain_r->p);
	crypto_wipe(key, sizeof(key));
	if (ok)
		return VAULT_OK;
	secret_fini(plain_r);
	return VAULT_FORGED;
}

/* The key that sealed BLOB, which is of that FORM, and what it sealed. */
static enum vault_result
take_blob(const struct vault *v, struct slice form, struct slice blob, const struct key **k_r,
    struct slice *sealed_r)
{
	struct slice id;

	if (!blob_split(blob, form, &id, sealed_r))
		return VAULT_FORGED;
	*k_r = key_find(v, id);
	return *k_r ? VAULT_OK : VAULT_NO_KEY;
}

enum vault_result
vault_unseal(struct vault *v, const struct vault_place *at, struct slice blob,
    struct secret *plain_r)
{
	char mem[AAD_MAX];
	struct text aad = text_over(mem, sizeof(mem));
	const struct key *k;
	struct slice sealed;
	enum vault_result r = take_blob(v, SLICE("v2."), blob, &k, &sealed);

	*plain_r = (struct secret){ .p = NULL };
	if (r != VAULT_OK)
		return r;
	return write_aad(&aad, k, at)
	    ? open_sealed(k, at->account, text_slice(&aad), sealed, plain_r)
	    : VAULT_FORGED;
}

bool
vault_is_v1(struct slice blob)
{
	return slice_starts(blob, SLICE("v1."));
}

enum vault_result
vault_unseal_v1(struct vault *v, const struct vault_place_v1 *at, struct slice blob,
    struct secret *plain_r)
{
	char mem[AAD_MAX];
	struct text aad = text_over(mem, sizeof(mem));
	const struct key *k;
	struct slice sealed;
	enum vault_result r = take_blob(v, SLICE("v1."), blob, &k, &sealed);

	*plain_r = (struct secret){ .p = NULL };
	if (r != VAULT_OK)
		return r;
	return write_aad_v1(&aad, k, at)
	    ? open_sealed(k, at->account, text_slice(&aad), sealed, plain_r)
	    : VAULT_FORGED;
}

bool
vault_is_current(const struct vault *v, struct slice blob)
{
	struct slice id, sealed;

	return blob_split(blob, SLICE("v2."), &id, &sealed) &&
	    slice_eq(id, slice_str(current(v)->id));
}

/* ---- keyed hashes ---- */

static bool
mac(const struct key *k, struct slice purpose, struct slice in, unsigned char out[32])
{
	unsigned char key[AEAD_KEY];
	char mem[256];
	struct text info = text_over(mem, sizeof(mem));
	bool ok;

	text_put(&info, SLICE("byway mac v1|"));
	text_put(&info, purpose);
	ok = !info.overflow && derive(k, text_slice(&info), key) &&
	    crypto_hmac_sha256(slice_of((const char *)key, sizeof(key)), in, out);
	crypto_wipe(key, sizeof(key));
	return ok;
}

bool
vault_mac(struct vault *v, struct slice purpose, struct slice in, unsigned char out[32])
{
	return mac(current(v), purpose, in, out);
}

bool
vault_mac_by(struct vault *v, struct slice key_id, struct slice purpose, struct slice in,
    unsigned char out[32])
{
	const struct key *k = key_find(v, key_id);

	return k && mac(k, purpose, in, out);
}
