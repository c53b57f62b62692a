/* SPDX-License-Identifier: MIT */
/* Aliases of the manifest. */
#pragma once

#include "internal.h"

/* How often an alias may stand for another one: more is a loop. */
#define ALIAS_DEPTH 8

/*
 * Replaces parsed->unknown in argv by what the manifest's `aliases` say; *out gets the new
 * arguments with a NULL at the end.  The new strings live in *words: keep both as long as out is
 * used.  ERROR_USAGE (unknown command) when there is no such alias, or no manifest that loads.
 */
ERROR_CHECKED int alias_expand(const struct cli *cli, const char *const *argv,
	const struct cli_parsed *parsed, struct strvec *words, struct cli_words *out,
	struct error *err);
