/* SPDX-License-Identifier: MIT */
/* The tool's entry: everything that main() does. */
#pragma once

#include <stdio.h>

/*
 * Runs one command line (argv[0] is the program); results go to `out`, all else to `errout`.
 * Returns the exit status, see deploy(1).
 */
int cli_main(int argc, char **argv, FILE *out, FILE *errout);
