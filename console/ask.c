/* SPDX-License-Identifier: Apache-2.0 */
#include "console/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "conf/vault/password.h"
#include "wire/crypto.h"

enum { LINE_MAX_OCTETS = 2048 };

/* ---- reading one line ------------------------------------------------------------------------ */

/* Up to the end of the line or of the input; false where it is longer than MAX or reading
 * failed. */
static bool
read_line(int fd, char *line, size_t max, size_t *n_r, bool *ended_r)
{
	size_t n = 0;

	*ended_r = false;
	while (n < max) {
		ssize_t got = read(fd, line + n, 1);

		if (got < 0)
			return false;
		if (got == 0) {
			*ended_r = true;
			break;
		}
		if (line[n] == '\n')
			break;
		n++;
	}
	*n_r = n;
	return n < max;
}

/* What may be a password; a sentence if not. */
static const char *
password_fault(struct slice s)
{
	if (s.n == 0)
		return "the password is empty";
	if (s.n > ASK_PASSWORD_MAX)
		return "the password is longer than 511 octets";
	return slice_is_text(s) ? NULL : "the password holds control characters or invalid UTF-8";
}

void
ask_warn_of(struct cli *c, const char *whose, struct slice password)
{
	const char *oddity = password_oddity(password);

	if (oddity)
		cli_note(c, "%s %s; it is taken as it is.", whose, oddity);
}

static int
take(struct cli *c, struct slice s, struct credential *cred)
{
	const char *fault = password_fault(s);

	if (fault)
		return cli_fail(c, EX_DATAERR, "%s", fault);
	if (!secret_init(&cred->plain, s))
		return cli_fail(c, EX_OSERR, "out of memory");
	cred->given = true;
	ask_warn_of(c, "The password", s);
	return EX_OK;
}

static int
from_stdin(struct cli *c, struct credential *cred)
{
	char line[LINE_MAX_OCTETS], more;
	bool ended;
	size_t n = 0;
	int status;

	if (!read_line(STDIN_FILENO, line, sizeof(line), &n, &ended))
		status = cli_fail(c, EX_DATAERR,
		    "cannot read a password of one line from standard input");
	else if (!ended && read(STDIN_FILENO, &more, 1) > 0)
		status = cli_fail(c, EX_DATAERR,
		    "standard input has more than one line: it must hold the password alone");
	else
		status = take(c, slice_of(line, n > 0 && line[n - 1] == '\r' ? n - 1 : n), cred);
	crypto_wipe(line, sizeof(line));
	return status;
}

static int
from_file(struct cli *c, const char *path, struct credential *cred)
{
	char why[512] = "";
	struct secret s = { 0 };
	int status;

	if (!secret_read_file(&s, path, false, why, sizeof(why)))
		return cli_fail(c, EX_NOINPUT, "%s", why);
	status = take(c, secret_peek(&s), cred);
	secret_fini(&s);
	return status;
}

/* ---- the terminal ---------------------------------------------------------------------------- */

static volatile sig_atomic_t caught;

static void
on_signal(int signo)
{
	caught = signo;
}

static const int watched[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
enum { WATCHED = sizeof(watched) / sizeof(*watched) };

/* Asks at the terminal FD without echo. A signal ends it, after the echo is on again. */
static bool
read_hidden(int fd, const char *question, char *line, size_t max, size_t *n_r)
{
	struct termios was, quiet;
	struct sigaction old[WATCHED], now = { .sa_handler = on_signal };
	bool ended, good;

	if (tcgetattr(fd, &was) != 0)
		return false;
	caught = 0;
	for (size_t i = 0; i < WATCHED; i++)
		sigaction(watched[i], &now, &old[i]);
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	tcsetattr(fd, TCSAFLUSH, &quiet);
	dprintf(fd, "%s", question);
	good = read_line(fd, line, max, n_r, &ended);
	dprintf(fd, "\n");
	tcsetattr(fd, TCSAFLUSH, &was);
	for (size_t i = 0; i < WATCHED; i++)
		sigaction(watched[i], &old[i], NULL);
	if (caught)
		raise(caught);
	return good && !caught;
}

int
ask_passphrase_at(struct cli *c, bool twice, struct credential *cred)
{
	char first[LINE_MAX_OCTETS], second[LINE_MAX_OCTETS];
	size_t first_n = 0, second_n = 0;
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC), status = EX_OK;

	if (fd < 0)
		return cli_fail(c, EX_NOINPUT, "cannot ask for the passphrase: %s",
		    strerror(errno));
	if (!read_hidden(fd, "Passphrase for the key ring: ", first, sizeof(first), &first_n) ||
	    (twice && !read_hidden(fd, "The same again: ", second, sizeof(second), &second_n)))
		status = cli_fail(c, EX_NOINPUT, "no passphrase was given");
	else if (twice && !slice_eq(slice_of(first, first_n), slice_of(second, second_n)))
		status = cli_fail(c, EX_DATAERR, "the two passphrases are not the same");
	else if (!secret_init(&cred->plain, slice_of(first, first_n)))
		status = cli_fail(c, EX_OSERR, "out of memory");
	crypto_wipe(first, sizeof(first));
	crypto_wipe(second, sizeof(second));
	close(fd);
	return status;
}

static int
from_terminal(struct cli *c, const char *what, struct credential *cred)
{
	char first[LINE_MAX_OCTETS], second[LINE_MAX_OCTETS];
	size_t first_n = 0, second_n = 0;
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC), status;

	if (fd < 0)
		return cli_fail(c, EX_NOINPUT, "cannot ask for the password: %s", strerror(errno));
	if (!read_hidden(fd, cli_print(c, "Password for %s: ", what), first, sizeof(first),
	        &first_n) ||
	    !read_hidden(fd, "The same again: ", second, sizeof(second), &second_n))
		status = cli_fail(c, EX_NOINPUT, "no password was given");
	else if (!slice_eq(slice_of(first, first_n), slice_of(second, second_n)))
		status = cli_fail(c, EX_DATAERR,
		    "the two passwords are not the same; nothing was changed");
	else
		status = take(c, slice_of(first, first_n), cred);
	crypto_wipe(first, sizeof(first));
	crypto_wipe(second, sizeof(second));
	close(fd);
	return status;
}

/* ---- what commands call ---------------------------------------------------------------------- */

bool
ask_has_password(const struct cli *c)
{
	return cli_has(c, "password-stdin") || cli_has(c, "password-file") ||
	    cli_has(c, "generate");
}

bool
ask_can(const struct cli *c)
{
	return !c->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int
ask_password(struct cli *c, bool needed, const char *what, struct credential *cred)
{
	int ways =
	    cli_has(c, "password-stdin") + cli_has(c, "password-file") + cli_has(c, "generate");

	if (ways > 1)
		return cli_usage(c, "say only one of --password-stdin, --password-file%s",
		    c->command->generate ? ", --generate" : "");
	if (cli_has(c, "password-stdin"))
		return from_stdin(c, cred);
	if (cli_has(c, "password-file"))
		return from_file(c, cli_value(c, "password-file"), cred);
	if (cli_has(c, "generate")) {
		if (!crypto_init() || !secret_generate(&cred->plain, ASK_GENERATED_OCTETS))
			return cli_fail(c, EX_OSERR, "no random numbers for a password");
		cred->given = cred->machine = true;
		return EX_OK;
	}
	if (!needed)
		return EX_OK;
	if (isatty(STDIN_FILENO))
		return from_terminal(c, what, cred);
	return cli_usage(c, "%s needs a password: say --password-stdin or --password-file FILE%s",
	    what, c->command->generate ? ", or --generate" : "");
}

int
ask_password_or_stdin(struct cli *c, struct credential *cred)
{
	if (!ask_has_password(c) && !isatty(STDIN_FILENO))
		return from_stdin(c, cred);
	return ask_password(c, true, "the hash", cred);
}

int
ask_hash(struct store *s, struct credential *cred)
{
	struct text hash = text_over(cli_alloc(s->cli, PASSWORD_HASH_MAX), PASSWORD_HASH_MAX);

	/* Without the ring, as for operators: the slow hash does as well. */
	if (cred->machine && s->vault ? !password_hash_machine(s->vault, &cred->plain, &hash)
	                              : !password_hash(&cred->plain, &hash))
		return cli_fail(s->cli, EX_SOFTWARE, "the password could not be hashed");
	cred->hash = hash.mem;
	return EX_OK;
}

bool
ask_yes(struct cli *c, const char *question)
{
	char answer[16];

	fflush(stdout);
	fputs(question, stdout);
	fputs(" [y/N] ", stdout);
	fflush(stdout);
	(void)c;
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	answer[strcspn(answer, "\r\n")] = '\0';
	return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

const char *
ask_line(struct cli *c, const char *question, const char *otherwise)
{
	char answer[LINE_MAX_OCTETS];

	if (otherwise)
		printf("%s [%s]: ", question, otherwise);
	else
		printf("%s: ", question);
	fflush(stdout);
	if (!fgets(answer, sizeof(answer), stdin))
		return otherwise;
	struct slice said = slice_trim(slice_of(answer, strcspn(answer, "\r\n")));

	return said.n > 0 ? cli_dup(c, said) : otherwise;
}
