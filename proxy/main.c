/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bywayd - the command line of the daemon
 */
#include "conf/check/inspect.h"
#include "proxy/process/descriptors.h"
#include "proxy/process/master.h"
#include "proxy/process/parsers.h"
#include "wire/options.h"
#include "wire/privilege.h"
#include "wire/text.h"
#include "wire/tls.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define DEFAULT_CONF "/etc/byway/byway.ini"

static const char usage[] =
    "usage: bywayd [-c FILE]          run in the foreground until stopped\n"
    "       bywayd -t [-c FILE]       check all that a start needs, as byway check does\n"
    "       bywayd --migrate [-c FILE]  bring the directory to this version's schema\n"
    "\n"
    "  -c, --config FILE   configuration (default " DEFAULT_CONF ")\n"
    "  -t, --check         check and end: 0 if all is well, 78 with all mistakes if not\n"
    "      --migrate       check, then bring a directory of an earlier version to this one's schema,\n"
    "                      after a copy beside it; a start does the same\n"
    "      --version       what this is, and its TLS library\n"
    "  -h, --help          this text\n"
    "\n"
    "signals: TERM, INT  stop gracefully; twice: at once\n"
    "         HUP        read the configuration anew (byway reload says how it went)\n"
    "         USR1       open the log file anew\n"
    "\n"
    "exit status: 0 well, 64 usage, 69 an address cannot be bound, 71 system, 73 the log or the\n"
    "             control socket cannot be made, 75 the directory is locked by another program,\n"
    "             77 permissions, 78 what byway check marks with a cross\n"
    "\n"
    "example: bywayd -t -c byway.ini && bywayd -c byway.ini\n";

enum { OPTION_VERSION = 256, OPTION_MIGRATE };

static char version[128];

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, 't' },
	{ "migrate", no_argument, NULL, OPTION_MIGRATE },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

enum errand { RUN, CHECK, MIGRATE };

struct choice {
	const char *conf;
	enum errand errand;
	const char *said;
};

/* False: usage was told. */
static bool
parse(int argc, char *argv[], struct choice *to)
{
	int c;

	while ((c = options_next(argc, argv, "c:th", options)) != -1) {
		switch (c) {
		case 'c':
			to->conf = optarg;
			break;
		case 't':
			to->errand = CHECK;
			break;
		case OPTION_MIGRATE:
			to->errand = MIGRATE;
			break;
		case OPTION_VERSION:
			snprintf(version, sizeof(version), "bywayd " BYWAY_VERSION " (%s)\n",
			    tls_library());
			to->said = version;
			break;
		case 'h':
			to->said = usage;
			break;
		default:
			fputs("Try `bywayd --help`.\n", stderr);
			return false;
		}
	}
	if (optind == argc)
		return true;
	fprintf(stderr, "bywayd: '%s' is not expected here\n%s", argv[optind],
	    "Try `bywayd --help`.\n");
	return false;
}

/* Of the process that checks: a unit may have another limit, and its start tells. */
static void
warn_of_descriptors(const char *path)
{
	char mem[512];
	struct text words = text_over(mem, sizeof(mem));
	struct conf *c = conf_load(path, false, &words);

	if (c && descriptors_lack(c, &words))
		fprintf(stderr, "warning: %s\n", mem);
	conf_unref(c);
}

/* WHAT: INSPECT_*. byway check tells what is well, too. */
static int
check(const char *conf, unsigned what)
{
	static char mem[INSPECT_WORDS_MAX];
	struct text said = text_over(mem, sizeof(mem));
	int status = inspect_now(conf, what, &said);
	struct slice rest = text_slice(&said);
	struct inspect_finding f;

	while (inspect_next(&rest, &f)) {
		if (inspect_is_about(&f, TOPIC_SCHEMA))
			printf("%.*s\n", SLICE_FMT(f.words));
		else if (f.grade != INSPECT_GOOD)
			fprintf(stderr, "%s%.*s\n",
			    f.grade == INSPECT_CROSS ? "" : "warning: ", SLICE_FMT(f.words));
	}
	if (status == 0)
		warn_of_descriptors(conf);
	if (status == 0 && !(what & INSPECT_MIGRATE))
		printf("%s: ok\n", conf);
	return status;
}

/* Descriptors 0 to 2 are open, so that no socket of ours becomes standard error. */
static void
open_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

int
main(int argc, char *argv[])
{
	struct choice to = { .conf = DEFAULT_CONF };

	open_standard();
	if (argc > 1 && strcmp(argv[1], PARSERS_OPTION) == 0)
		return parsers_run(argv + 2, argc - 2);
	if (!parse(argc, argv, &to))
		return EX_USAGE;
	if (to.said) {
		fputs(to.said, stdout);
		return EX_OK;
	}
	privilege_harden();
	switch (to.errand) {
	case CHECK:
		return check(to.conf, INSPECT_PORTS);
	case MIGRATE:
		return check(to.conf, INSPECT_MIGRATE);
	case RUN:
		break;
	}
	return master_run(to.conf);
}
