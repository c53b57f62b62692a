/* SPDX-License-Identifier: MIT */
#include "log_stream.h"

#include "service/logs.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK      65536
#define MAX_QUEUED 4096              /* lines that wait; then it is not read */
#define MAX_TEXT   ((size_t)1 << 20) /* and bytes */
#define MAX_BUFFER ((size_t)8 << 20) /* MAX_TEXT, and a chunk of the shortest lines, stamped */

struct log_stream *log_stream_new(
	struct host *host, const char *container, const char *name, bool tty)
{
	struct log_stream *s = xcalloc(1, sizeof(*s));
	s->host = host;
	s->container = xstrdup(container);
	s->name = xstrdup(name);
	s->tty = tty;
	str_init(&s->partial[0], LOGS_LINE_MAX + CHUNK);
	str_init(&s->partial[1], LOGS_LINE_MAX + CHUNK);
	str_init(&s->text, MAX_BUFFER);
	return s;
}

void log_stream_free(struct log_stream *s)
{
	if (!s) {
		return;
	}
	docker_stream_close(s->in);
	vec_fini(&s->lines);
	str_fini(&s->partial[0]);
	str_fini(&s->partial[1]);
	str_fini(&s->text);
	free(s->again);
	free(s->container);
	free(s->name);
	free(s);
}

void log_stream_begin(struct log_stream *s, struct docker_stream *in)
{
	frames_init(&s->frames, s->tty);
	s->in = in;
}

bool log_stream_full(const struct log_stream *s)
{
	return s->lines.len - s->first >= MAX_QUEUED ||
	       (!log_stream_empty(s) && s->text.len - log_stream_head(s)->at >= MAX_TEXT);
}

static void push_line(struct log_stream *s, bool is_err, const char *p, size_t len)
{
	struct log_line line = {.at = s->text.len, .arrived_ms = s->now_ms, .is_err = is_err};
	/* A piece of a cut line has no stamp of its own. */
	if (len > LOG_STAMP_LEN && p[LOG_STAMP_LEN - 1] == 'Z') {
		memcpy(s->last, p, LOG_STAMP_LEN);
	} else {
		str_addf(&s->text, "%-*s ", LOG_STAMP_LEN, s->last);
	}
	str_addn(&s->text, p, len);
	line.len = s->text.len - line.at;
	vec_push(&s->lines, line);
}

static void push_partial(struct log_stream *s, bool is_err)
{
	push_line(s, is_err, str_c(&s->partial[is_err]), s->partial[is_err].len);
	str_reset(&s->partial[is_err]);
}

static int take(void *ctx, enum frames_stream kind, const void *data, size_t len)
{
	struct log_stream *s = ctx;
	bool is_err = kind == FRAMES_STDERR;
	struct str *partial = &s->partial[is_err];
	const char *p = data;
	while (len > 0) {
		const char *newline = memchr(p, '\n', len);
		size_t n = newline ? (size_t)(newline - p) : len;
		if (partial->len + n >= LOGS_LINE_MAX) {
			push_partial(s, is_err);
			n = n < LOGS_LINE_MAX / 2 ? n : LOGS_LINE_MAX / 2;
			newline = NULL;
		}
		if (newline && partial->len == 0) {
			push_line(s, is_err, p, n);
		} else {
			str_addn(partial, p, n);
			if (newline) {
				push_partial(s, is_err);
			}
		}
		n += newline != NULL;
		p += n;
		len -= n;
	}
	return 0;
}

/* Forgets the lines that are dropped, as soon as they are most of what is kept. */
static void compact(struct log_stream *s)
{
	size_t at = log_stream_empty(s) ? s->text.len : log_stream_head(s)->at;
	if (s->first == 0 || at < s->text.len / 2) {
		return;
	}
	size_t left = s->lines.len - s->first;
	memmove(s->lines.p, log_stream_head(s), left * sizeof(*s->lines.p));
	s->lines.len = left;
	s->first = 0;
	str_consume(&s->text, at);
	VEC_FOREACH (&s->lines, i) {
		s->lines.p[i].at -= at;
	}
}

int log_stream_read(struct log_stream *s, int timeout_ms, struct error *err)
{
	char buf[CHUNK];
	compact(s);
	ssize_t n = docker_stream_read(s->in, buf, sizeof(buf), timeout_ms, err);
	if (n == DOCKER_AGAIN) {
		return 0;
	}
	s->now_ms = clock_mono_ms();
	if (n > 0 && frames_feed(&s->frames, buf, (size_t)n, take, s) == 0) {
		return 1;
	}
	if (n > 0) {
		error_set(err, ERROR_REMOTE, "the log of '%s' is garbled", s->name);
	}
	for (int i = 0; i < 2; i++) {
		if (s->partial[i].len > 0) {
			push_partial(s, i == 1);
		}
	}
	docker_stream_close(s->in);
	s->in = NULL;
	return -1;
}
