/* SPDX-License-Identifier: MIT */
/*
 * One container's log, being read: frames and pieces become whole lines with a time stamp each, in
 * a queue.  A line's text is copied once, into one buffer of the stream.
 */
#pragma once

#include "docker/client.h"
#include "docker/frames.h"
#include "host/host.h"
#include "util/error.h"
#include "util/str.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>

#define LOG_STAMP_LEN 30 /* "2006-01-02T15:04:05.000000000Z": always nine digits, so text sorts */

struct log_line {
	size_t at, len; /* in log_stream.text: stamp, blank, text */
	int64_t arrived_ms;
	bool is_err;
};
VEC_TYPE(log_lines, struct log_line);

struct log_stream {
	struct host *host;
	char *container, *name;
	bool tty;
	struct docker_stream *in; /* NULL: ended */
	struct frames frames;
	struct str partial[2]; /* a line whose end has not come: of stdout, of stderr */
	struct str text;
	struct log_lines lines; /* queue: lines.p[first .. lines.len) */
	size_t first;
	int64_t now_ms;               /* when what is taken in just now arrived */
	char last[LOG_STAMP_LEN + 1]; /* newest time stamp that was read */
	char *again; /* it was started anew at this time, though its old log has not ended yet */
};

/* Copies the names; borrows the host. */
struct log_stream *log_stream_new(
	struct host *host, const char *container, const char *name, bool tty);
void log_stream_free(struct log_stream *s);
/* Begins to read; `in` is taken. */
void log_stream_begin(struct log_stream *s, struct docker_stream *in);
/* 1: something came; 0: nothing within timeout_ms; -1: it ended (s->in is closed then), or *err. */
int log_stream_read(struct log_stream *s, int timeout_ms, struct error *err);

/* Does so much wait that it should not be read now? */
bool log_stream_full(const struct log_stream *s);

static inline bool log_stream_empty(const struct log_stream *s)
{
	return s->first == s->lines.len;
}

/* The oldest line that waits, and its stamp; there is one. */
static inline const struct log_line *log_stream_head(const struct log_stream *s)
{
	return &s->lines.p[s->first];
}

static inline const char *log_stream_stamp(const struct log_stream *s)
{
	return s->text.p + log_stream_head(s)->at;
}

static inline void log_stream_drop(struct log_stream *s)
{
	s->first++;
}
