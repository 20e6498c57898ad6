/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>

#include "bench/bench.h"

static const char help[] =
    "usage: byway-bench load [options] HOST PORT    sends messages, says how fast\n"
    "       byway-bench sink [options] PORT         takes messages and drops them\n"
    "\n"
    "load: --sessions N      at the same time (20)\n"
    "      --messages N      in all (10000)\n"
    "      --size N          octets of each (4096)\n"
    "      --recipients N    of each (1)\n"
    "      --from A --to A   the envelope\n"
    "      --tls starttls|implicit\n"
    "      --ca FILE         the certificate to trust for localhost\n"
    "      --user NAME --password-file FILE\n"
    "      --reconnect       a new session for each message\n"
    "      --idle SECONDS    logs in, sends nothing, stays for so long\n"
    "      --anywhere        allow targets that are not loopback\n"
    "      --json\n"
    "sink: --chunking        offer CHUNKING\n"
    "      --no-pipelining   do not offer PIPELINING\n"
    "\n"
    "example: byway-bench sink 2600 &\n"
    "         byway-bench load --messages 20000 127.0.0.1 2600\n";

int
main(int argc, char **argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)sigaction(SIGPIPE, &ignore, NULL);
	if (argc > 1 && strcmp(argv[1], "load") == 0)
		return load_main(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "sink") == 0)
		return sink_main(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("byway-bench " BYWAY_VERSION);
		return EX_OK;
	}
	bool asked = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);

	fputs(help, asked ? stdout : stderr);
	return asked ? EX_OK : EX_USAGE;
}
