/* SPDX-License-Identifier: MIT */
/*
 * Variables in a value:
 *
 *	${VAR}            its value; a mistake when it is not set
 *	${VAR:-default}   default when it is not set or empty; ${VAR-default}: when it is not set
 *	${VAR:?message}   a mistake with this message when not set or empty; ${VAR?message}: not set
 *	$${VAR}           the text ${VAR}
 *
 * A default may hold further variables.  Any other `$` is left as it is ("$HOME", "$$", "$1"): a
 * Kamal manifest or a shell command keeps its meaning.  In front of a `{`, each pair of `$` stands
 * for one.  Pure.
 */
#pragma once

#include "util/error.h"
#include "util/str.h"

#include <stdbool.h>
#include <stddef.h>

#define EXPAND_MAX       ((size_t)256 << 10) /* bytes of a result */
#define EXPAND_DEPTH_MAX 8                   /* defaults within defaults */

struct expand_problem {
	size_t offset, len; /* of the reference in the text, bytes */
	char message[512];
	char hint[512];
};

typedef const char *expand_get(void *ctx, const char *name); /* NULL: not set */

/* Whether there is anything to do. */
bool expand_needed(const char *text);

/* Appends the result to `out`: 0, or -1 with the first mistake in *problem. */
ERROR_CHECKED int expand_text(const char *text, expand_get *get, void *ctx, struct str *out,
	struct expand_problem *problem);
