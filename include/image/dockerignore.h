/* SPDX-License-Identifier: MIT */
/*
 * `.dockerignore`, with the semantics of moby's patternmatcher (docs.docker.com, "Dockerignore
 * files"): one pattern a line; `#` in the first column starts a comment; spaces at both ends and a
 * leading or trailing `/` do not count; `*` and `?` stay within one name; `**` is any number of
 * folders; `[a-z]`, `[^a]`, `\c` as Go's filepath.Match; `!` takes back; the last pattern that
 * matches wins; what matches a folder matches all below it.
 *
 * Pure: no files, no I/O.  Bounded: DOCKERIGNORE_MAX_PATTERNS, DOCKERIGNORE_MAX_LINE; matching is
 * polynomial (no backtracking blow-up).
 */
#pragma once

#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>

#define DOCKERIGNORE_MAX_PATTERNS 10000
#define DOCKERIGNORE_MAX_LINE     4096 /* bytes */

struct dockerignore;

/* Parses the file's text. `name` is for errors ("x:3: ..."), ERROR_MANIFEST. */
ERROR_CHECKED struct dockerignore *dockerignore_parse(
	const char *text, size_t len, const char *name, struct error *err);
void dockerignore_free(struct dockerignore *d); /* NULL is fine */

/* Is `path` ("a/b/c", relative, no leading "./") left out?  NULL `d`: never. */
bool dockerignore_match(const struct dockerignore *d, const char *path);

/*
 * May the whole folder `path`, which is left out, be skipped, because no `!` pattern can name
 * anything below it?
 */
bool dockerignore_can_skip(const struct dockerignore *d, const char *path);
