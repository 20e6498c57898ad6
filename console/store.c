/* SPDX-License-Identifier: Apache-2.0 */
#include "console/store.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "wire/crypto.h"

enum { MISTAKES_MAX = 256 * 1024, WHY_MAX = 4096 };

struct conf *
store_conf(struct cli *c, bool deep, int *status_r)
{
	struct text mistakes = text_over(cli_alloc(c, MISTAKES_MAX), MISTAKES_MAX);

	if (access(c->config, R_OK) != 0 && errno != ENOENT) {
		bool closed = errno == EACCES;

		*status_r = cli_fail(c, closed ? EX_NOPERM : EX_NOINPUT, "cannot read %s: %s%s%s",
		    c->config, strerror(errno), closed ? "; " : "",
		    closed ? cli_who_may(c, c->config) : "");
		return NULL;
	}
	if (access(c->config, F_OK) != 0) {
		*status_r = cli_fail(c, EX_CONFIG,
		    "%s is not there: make one with `byway init`, or name another with --config",
		    c->config);
		return NULL;
	}

	struct conf *conf = conf_load(c->config, deep, &mistakes);

	if (conf)
		return conf;
	*status_r = cli_fail_lines(c, EX_CONFIG, text_slice(&mistakes), "%s in %s",
	    cli_mistakes(c, text_slice(&mistakes)), c->config);
	return NULL;
}

static int
open_directory(struct cli *c, struct store *s)
{
	struct text why = text_over(cli_alloc(c, WHY_MAX), WHY_MAX);
	const char *path = s->conf->directory.path;

	if (access(path, R_OK | W_OK) != 0 && errno == ENOENT)
		return cli_fail(c, EX_NOINPUT,
		    "the directory %s is not there: `byway init` makes it", path);
	if (access(path, R_OK | W_OK) != 0)
		return cli_fail(c, EX_NOPERM, "cannot open %s: %s; %s", path, strerror(errno),
		    cli_who_may(c, path));
	s->admin = admin_open(path, false, s->vault, &why);
	return s->admin ? EX_OK : cli_fail(c, EX_IOERR, "%s", why.mem);
}

static int
open_reader(struct cli *c, struct store *s)
{
	struct text why = text_over(cli_alloc(c, WHY_MAX), WHY_MAX);

	s->reader = backend_open(s->conf->directory.path, &why);
	return s->reader ? EX_OK : cli_fail(c, EX_IOERR, "%s", why.mem);
}

static int
open_vault(struct cli *c, unsigned what, struct store *s)
{
	struct text why = text_over(cli_alloc(c, WHY_MAX), WHY_MAX);

	s->vault = vault_open(s->conf->vault.key_file, &why);
	if (s->vault || (what & STORE_VAULT_MAYBE))
		return EX_OK;
	/* Operators work without the keys. */
	return access(s->conf->vault.key_file, R_OK) != 0 && errno == EACCES
	    ? cli_fail(c, EX_NOPERM, "%s; what needs the key ring needs root or the daemon's user",
	          why.mem)
	    : cli_fail(c, EX_NOPERM, "%s", why.mem);
}

int
store_open(struct cli *c, unsigned what, struct store *s)
{
	int status = EX_OK;

	*s = (struct store){ .cli = c };
	if (!crypto_init())
		return cli_fail(c, EX_SOFTWARE, "the cryptographic library did not start");
	s->conf = store_conf(c, false, &status);
	if (!s->conf)
		return status;
	if (what & (STORE_VAULT | STORE_VAULT_MAYBE))
		status = open_vault(c, what, s);
	if (status == EX_OK && (what & STORE_DIRECTORY))
		status = open_directory(c, s);
	if (status == EX_OK && (what & STORE_READER))
		status = open_reader(c, s);
	if (status != EX_OK)
		store_close(s);
	return status;
}

void
store_close(struct store *s)
{
	backend_close(s->reader);
	if (s->admin)
		admin_close(s->admin);
	if (s->vault)
		vault_close(s->vault);
	if (s->conf)
		conf_unref(s->conf);
	*s = (struct store){ .cli = s->cli };
}

int
store_status(enum admin_result r)
{
	switch (r) {
	case ADMIN_OK:
		return EX_OK;
	case ADMIN_MISSING:
		return EX_NOUSER;
	case ADMIN_EXISTS:
		return EX_CANTCREAT;
	case ADMIN_INVALID:
		return EX_DATAERR;
	case ADMIN_IN_USE:
		return EX_UNAVAILABLE;
	case ADMIN_BUSY:
		return EX_TEMPFAIL;
	case ADMIN_FAILED:
		return EX_IOERR;
	}
	return EX_SOFTWARE;
}

int
store_fail(struct store *s, enum admin_result r)
{
	return cli_fail(s->cli, store_status(r), "%s", admin_why(s->admin));
}
