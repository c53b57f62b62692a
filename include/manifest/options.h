/* SPDX-License-Identifier: MIT */
/*
 * The names that `options:` may have: the long options of `docker run` (20.10 to 28), so that a
 * mistake is found before anything is touched.  The docker layer turns them into an Engine API
 * body (docker_spec_option); a test there goes through this table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_TEXT,
	OPTION_BOOL,
	OPTION_INT,      /* from -1 */
	OPTION_NUMBER,   /* decimal: cpus */
	OPTION_SIZE,     /* bytes: 512m; -1 where Docker takes it */
	OPTION_DURATION, /* 30s */
};

struct option_kind {
	const char *name; /* without dashes */
	enum option_type type;
	bool list;           /* may be given more than once: a list is understood */
	const char *refused; /* why it cannot be given here and what to use, or NULL */
	int64_t min, max;    /* of OPTION_INT; both 0: from -1 */
};

/* NULL when there is no such option. */
const struct option_kind *option_find(const char *name);
const struct option_kind *option_table(size_t *n);

/* NULL, or what is wrong with one value ("is not a size such as 512m"). */
const char *option_check(const struct option_kind *kind, const char *value);
