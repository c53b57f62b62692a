/* SPDX-License-Identifier: MIT */
/*
 * Logs of many containers on many hosts, merged in order of time, in bounded memory.
 *
 * Order is that of the daemons' time stamps.  Without follow it is exact (hosts' clocks granted).
 * With follow a line waits LOGS_WINDOW_MS for older ones of other hosts; containers that start
 * later (a push, a restart) are picked up.
 */
#pragma once

#include "docker/frames.h"
#include "host/host.h"
#include "util/error.h"

#include <stdint.h>

#define LOGS_WINDOW_MS 150
#define LOGS_LINE_MAX  ((size_t)256 << 10) /* longer lines are cut into pieces */

struct logs_line {
	const char *host, *container;
	const char *time; /* as Docker stamps it: RFC 3339, UTC, nanoseconds; not NUL-terminated */
	size_t time_len;
	const char *text; /* without the newline; not NUL-terminated */
	size_t len;
	bool is_err;
};

struct logs_request {
	const char *since, *until; /* RFC 3339, a duration back from now ("10m", "2h"), or NULL */
	long tail;                 /* last lines of each container; -1: all */
	const char *grep;          /* only lines that contain it; NULL: all */
	bool follow;
	/* With follow: containers with all of these labels ("a=b") that start later; NULL: none. */
	const struct docker_filters *labels;
	/* Another number than 0 ends it. */
	int (*line)(void *ctx, const struct logs_line *line);
	/* What was kept back has to go out: no line comes for a while. NULL: nothing is kept. */
	void (*flush)(void *ctx);
	void *ctx;
};

struct logs_source {
	struct host *host;
	const char *container; /* name or ID */
	const char *name;      /* shown */
	bool tty;
};

/* Returns at the end of all logs; with follow when cancelled (as success), or at an error. */
ERROR_CHECKED int logs_merge(const struct logs_source *sources, size_t n,
	const struct logs_request *req, struct error *err);
