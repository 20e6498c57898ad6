/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pem.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE_MAX = 16 * 1024 * 1024 };

/* False with errno. */
static bool
read_all(int fd, struct pem *p)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	if (S_ISDIR(st.st_mode) || st.st_size > FILE_SIZE_MAX) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EFBIG;
		return false;
	}
	/* A file that grows meanwhile is read as long as it was. */
	p->mem = malloc((size_t)st.st_size + 1);
	if (!p->mem)
		return false;
	while (p->n < (size_t)st.st_size) {
		ssize_t got = read(fd, p->mem + p->n, (size_t)st.st_size - p->n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			break;
		p->n += (size_t)got;
	}
	return true;
}

enum tls_fault
pem_open(struct pem *p, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good;
	int e;

	*p = (struct pem){ .mem = NULL };
	if (fd < 0)
		return TLS_FAULT_FILE_UNREADABLE;
	good = read_all(fd, p);
	e = errno;
	close(fd);
	if (good)
		return TLS_FAULT_NONE;
	pem_close(p);
	errno = e;
	return TLS_FAULT_FILE_UNREADABLE;
}

void
pem_close(struct pem *p)
{
	if (p->mem)
		OPENSSL_cleanse(p->mem, p->n);
	free(p->mem);
	*p = (struct pem){ .mem = NULL };
}

static BIO *
bio_over(struct slice text)
{
	return text.n <= INT_MAX ? BIO_new_mem_buf(text.n ? text.p : "", (int)text.n) : NULL;
}

struct stack_st_X509 *
pem_certificates(struct slice text, unsigned *bad_r)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	BIO *bio = bio_over(text);
	int left;

	*bad_r = 0;
	if (!all || !bio)
		goto failed;
	do {
		left = BIO_pending(bio);
		X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

		if (cert && sk_X509_push(all, cert) <= 0) {
			X509_free(cert);
			goto failed;
		}
		if (!cert && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
			break;
		if (!cert)
			++*bad_r;
		ERR_clear_error();
	} while (BIO_pending(bio) < left);
	ERR_clear_error();
	BIO_free(bio);
	return all;
failed:
	ERR_clear_error();
	BIO_free(bio);
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

/* Nobody is there who could type a password. */
static int
on_password(char *mem, int size, int writing, void *asked)
{
	(void)mem;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

enum tls_fault
pem_key(struct slice text, struct evp_pkey_st **key_r)
{
	BIO *bio = bio_over(text);
	bool locked = false;
	int kind;

	*key_r = bio ? PEM_read_bio_PrivateKey(bio, NULL, on_password, &locked) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	if (!*key_r)
		return locked ? TLS_FAULT_KEY_LOCKED : TLS_FAULT_FILE_HAS_NO_KEY;
	kind = EVP_PKEY_get_base_id(*key_r);
	if (kind == EVP_PKEY_RSA || kind == EVP_PKEY_EC)
		return TLS_FAULT_NONE;
	EVP_PKEY_free(*key_r);
	*key_r = NULL;
	return TLS_FAULT_KEY_OF_OTHER_KIND;
}
