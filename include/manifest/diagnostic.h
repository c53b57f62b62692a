/* SPDX-License-Identifier: MIT */
/*
 * Mistakes in a manifest, collected and shown all at once, each as
 *
 *	deploy.yml:14:3: error: unknown key 'replcas' in 'servers.web'
 *	   14 |   replcas: 2
 *	      |   ^~~~~~~
 *	      = did you mean 'replicas'?
 *
 * Texts may come from hostile files: control characters are shown as \xNN, long lines are cut
 * around the caret.
 */
#pragma once

#include "util/str.h"
#include "util/vec.h"

#include <stdbool.h>

enum diagnostic_level { DIAGNOSTIC_ERROR, DIAGNOSTIC_WARNING };

struct diagnostic {
	enum diagnostic_level level;
	char *file;
	int line, column,
		width; /* from 1; width of the caret line, at least 1; line 0: whole file */
	char *message;
	char *source; /* the line itself (or the part around the column), or NULL */
	int caret;    /* characters of `source` before the caret */
	char *hint;   /* or NULL */
	bool hidden;  /* no line is shown for this place */
};

struct diagnostics {
	struct diagnostic *p;
	size_t len, cap;
	size_t errors;
	size_t dropped; /* beyond DIAGNOSTICS_MAX */
};
#define DIAGNOSTICS_MAX 200

/* The text of a file, for the lines that are shown. Borrowed by what points to it. */
struct source {
	const char *name; /* as shown */
	const char *text;
	size_t len;
};

/* A place in a source; columns count characters, not bytes. */
struct mark {
	const struct source *source; /* NULL: no file */
	int line, column;            /* from 1; 0 = not known */
	int width;
	bool hidden; /* the line is not shown: a secret may be on it */
};

/* Adds one, unless the same is there already. Everything is copied; `hint` may be NULL. */
void diagnostics_add(struct diagnostics *d, enum diagnostic_level level, const struct mark *mark,
	const char *hint, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

void diagnostics_fini(struct diagnostics *d);
/* Sorted by file, line, column, rendered as above; appends to `out`. */
void diagnostics_render(const struct diagnostics *d, bool color, struct str *out);

/*
 * The nearest of `n` words (stride bytes apart, each entry beginning with its `const char *`), by
 * edit distance, or NULL when none is near enough to be meant.
 */
const char *diagnostics_nearest(const char *word, const void *words, size_t n, size_t stride);
