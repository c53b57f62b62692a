/* SPDX-License-Identifier: MIT */
/*
 * BuildKit's progress: a stream of moby.buildkit.v1.StatusResponse messages (aux of
 * "moby.buildkit.trace" in the answer to POST /build?version=2) turned into events.
 * https://github.com/moby/buildkit/blob/master/api/services/control/control.proto
 *
 * Pure.  Bounded: TRACE_MAX_STEPS steps, TRACE_TAIL bytes of output kept of each, lines cut at
 * TRACE_MAX_LINE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TRACE_MAX_STEPS 4096
#define TRACE_TAIL      ((size_t)6000) /* fits error.detail */
#define TRACE_MAX_LINE  ((size_t)4096)

enum trace_event {
	TRACE_STARTED,
	TRACE_CACHED,
	TRACE_DONE,
	TRACE_FAILED, /* text is the error */
	TRACE_OUTPUT, /* text is one line */
	TRACE_WARNING
};

/* step: "[2/3] RUN make"; text may be NULL; both borrowed for the call. */
typedef void trace_fn(
	void *ctx, enum trace_event event, const char *step, const char *text, bool is_err);

struct trace;

struct trace *trace_new(trace_fn *fn, void *ctx);
void trace_free(struct trace *t);
/* One message. -1 when it is malformed (what was understood before has been told). */
int trace_feed(struct trace *t, const void *data, size_t len);
/* The failed step's name, its error and last output; NULL when none failed. Borrowed. */
const char *trace_failed_step(const struct trace *t);
const char *trace_failed_error(const struct trace *t);
const char *trace_failed_tail(const struct trace *t);
