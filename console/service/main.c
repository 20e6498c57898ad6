/* SPDX-License-Identifier: Apache-2.0 */
/*
 * byway-console api [-c FILE] [--socket PATH], byway-console openapi
 *
 * One process in the foreground; SIGTERM and SIGINT end it. What it prints goes to the journal.
 */
#include <signal.h>
#include <stdio.h>

#include "console/api/front.h"
#include "wire/options.h"

static const char usage[] =
    "usage: byway-console api [-c FILE] [--socket PATH]\n"
    "       byway-console openapi\n\n"
    "  api             the HTTP API at a unix socket, for who may open it\n"
    "  openapi         prints the API's description (OpenAPI 3.1)\n"
    "  -c, --config    the configuration (default /etc/byway/byway.ini)\n"
    "  --socket        where to listen (default /run/byway/api.sock, mode 0660)\n"
    "  -h, --help      this text\n"
    "  --version       the version\n";

static int
serve(struct cli *c, const char *path)
{
	struct front *a = NULL;
	sigset_t ends;
	int signal_got;
	int status;

	/* Before there are threads: they inherit it, and the signal comes here. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	status = front_open(c, path, &a);
	if (status != EX_OK)
		return status;
	fprintf(stderr, "byway-console: the API is at %s\n", path);
	(void)sigwait(&ends, &signal_got);
	front_close(a);
	return EX_OK;
}

int
main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	static struct cli c;
	const char *path = "/run/byway/api.sock", *role;
	int got, status;

	cli_harden();
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	c.config = "/etc/byway/byway.ini";
	while ((got = options_next(argc, argv, "c:h", known)) != -1) {
		if (got == 'c') {
			c.config = optarg;
		} else if (got == 's') {
			path = optarg;
		} else if (got == 'v') {
			printf("byway-console %s\n", BYWAY_VERSION);
			return EX_OK;
		} else if (got == 'h') {
			fputs(usage, stdout);
			return EX_OK;
		} else {
			fputs("Try `byway-console --help`.\n", stderr);
			return EX_USAGE;
		}
	}
	role = optind + 1 == argc ? argv[optind] : "";
	if (strcmp(role, "openapi") == 0) {
		front_describe(stdout);
		return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
	}
	if (strcmp(role, "api") != 0) {
		fprintf(stderr, "byway-console: %s; try `byway-console --help`\n",
		    optind + 1 < argc ? "one word too many" : "say api or openapi");
		return EX_USAGE;
	}
	arena_init(&c.arena, (size_t)CLI_ARENA_MIB << 20);
	status = serve(&c, path);
	arena_fini(&c.arena);
	return status;
}
