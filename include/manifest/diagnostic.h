/* SPDX-License-Identifier: MIT */
/*
 * Mistakes in a manifest, collected and shown all at once, each as
 *
 *	deploy.yml:14:3: error: unknown key 'replcas' in 'servers.web'
 *	   14 |   replcas: 2
 *	      |   ^~~~~~~
 *	      = did you mean 'replicas'?
 */
#pragma once

#include "util/str.h"
#include "util/vec.h"

#include <stdbool.h>

enum diagnostic_level { DIAGNOSTIC_ERROR, DIAGNOSTIC_WARNING };

struct diagnostic {
	enum diagnostic_level level;
	char *file;
	int line, column, width; /* from 1; width of the caret line, at least 1 */
	char *message;
	char *source; /* the line itself, or NULL */
	char *hint;   /* or NULL */
};

struct diagnostics {
	struct diagnostic *p;
	size_t len, cap;
	size_t errors;
	size_t dropped; /* beyond DIAGNOSTICS_MAX */
};
#define DIAGNOSTICS_MAX 200

void diagnostics_fini(struct diagnostics *d);
/* Sorted by file, line, column, rendered as above; appends to `out`. */
void diagnostics_render(const struct diagnostics *d, bool color, struct str *out);
