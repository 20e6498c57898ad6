/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_CONFINE_H
#define WIRE_CONFINE_H

/*
 * confine - what a process of ours gives up for good once it has what it needs (libseccomp,
 * Landlock)
 *
 * A worker keeps nearly all of the kernel, less what only an intruder wants: other programs, other
 * processes' memory, mounts, modules, other users, new processes. What it writes lies in the
 * directories that confine_writes() was told. A process that runs a parser over a customer's
 * content keeps only what the parser needs.
 *
 * Errors: false, with errno: this kernel cannot do it. Nothing has been given up then.
 * Never:  takes anything back. An instrumented build (ASan) leaves out what its run time needs
 *         itself.
 */
#include <stdbool.h>
#include <stddef.h>

#include "wire/slice.h"

/* Before the process has threads: files are opened for writing, made and removed below the
 * directories of these N files only. A NULL or empty name is none. */
bool confine_writes(const char *const *files, size_t n) MUST_CHECK;
/* All threads that there are: no exec, no fork, no ptrace ... A call of these kills the process;
 * signals for others are EPERM. */
bool confine_worker(void) MUST_CHECK;
/* One that forks parsers and tells what became of them: its descriptors, fork, wait, kill; all else
 * kills it. */
bool confine_nursery(void) MUST_CHECK;
/* A parser: memory, and writing to the descriptor OUT; all else kills it. */
bool confine_parser(int out) MUST_CHECK;

#endif
