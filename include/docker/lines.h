/* SPDX-License-Identifier: MIT */
/*
 * Splits a stream of JSON objects, one a line, as pull, build, events and wait answer.  Pure and
 * incremental; a line longer than LINES_MAX is an error, so memory is bounded.
 */
#pragma once

#include "util/str.h"

#define LINES_MAX ((size_t)4 << 20)

struct lines {
	struct str part; /* the beginning of a line whose end is not there yet */
};
void lines_init(struct lines *l);
void lines_fini(struct lines *l);

/* Gets a line without its end; empty ones are left out. Another number than 0 stops. */
typedef int lines_sink(void *ctx, const char *line, size_t len);

/* 0; -1 when a line is too long; or what the sink returned. */
int lines_feed(struct lines *l, const void *data, size_t len, lines_sink *sink, void *ctx);
/* The input ended: gives the last line when it had no end. */
int lines_end(struct lines *l, lines_sink *sink, void *ctx);
