/* SPDX-License-Identifier: MIT */
#include "service/logs.h"

#include "log_stream.h"

#include "docker/container.h"
#include "docker/events.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

VEC_TYPE(stream_vec, struct log_stream *);

struct watch {
	struct host *host;
	struct docker_events *events;
};

struct merge {
	const struct logs_request *req;
	struct stream_vec streams, heap;
	struct watch *watches;
	size_t watches_len;
	int stopped; /* what req->line returned */
};

static int open_stream(
	struct merge *m, struct log_stream *s, const char *since, long tail, struct error *err)
{
	struct docker_logs_request req = {
		.follow = m->req->follow,
		.timestamps = true,
		.tail = tail < 0    ? 0
			: tail == 0 ? -1
				    : (int)tail,
		.since = since,
		.until = m->req->until,
		.tty = s->tty,
	};
	struct docker_stream *in =
		docker_container_logs_open(s->host->docker, s->container, &req, err);
	if (!in) {
		return -1;
	}
	log_stream_begin(s, in);
	return 0;
}

static struct log_stream *add_stream(
	struct merge *m, struct host *host, const char *container, const char *name, bool tty)
{
	struct log_stream *s = log_stream_new(host, container, name, tty);
	vec_push(&m->streams, s);
	return s;
}

static void emit(struct merge *m, struct log_stream *s)
{
	const struct log_line *l = log_stream_head(s);
	const char *stamp = log_stream_stamp(s);
	struct logs_line line = {
		.host = s->host->name,
		.container = s->name,
		.time = stamp,
		.time_len = LOG_STAMP_LEN,
		.text = stamp + LOG_STAMP_LEN + 1,
		.len = l->len - LOG_STAMP_LEN - 1,
		.is_err = l->is_err,
	};
	if (!m->req->grep || memmem(line.text, line.len, m->req->grep, strlen(m->req->grep))) {
		m->stopped = m->req->line(m->req->ctx, &line);
	}
	log_stream_drop(s);
}

static void flush(const struct merge *m)
{
	if (m->req->flush) {
		m->req->flush(m->req->ctx);
	}
}

/* -- Those that have a line, as a heap: the oldest first -- */

static bool is_older(const struct log_stream *a, const struct log_stream *b)
{
	return memcmp(log_stream_stamp(a), log_stream_stamp(b), LOG_STAMP_LEN) < 0;
}

static void sift_down(struct stream_vec *heap, size_t at)
{
	struct log_stream *moved = heap->p[at];
	for (size_t child; (child = 2 * at + 1) < heap->len; at = child) {
		if (child + 1 < heap->len && is_older(heap->p[child + 1], heap->p[child])) {
			child++;
		}
		if (!is_older(heap->p[child], moved)) {
			break;
		}
		heap->p[at] = heap->p[child];
	}
	heap->p[at] = moved;
}

static void gather(struct merge *m)
{
	m->heap.len = 0;
	VEC_FOREACH (&m->streams, i) {
		if (!log_stream_empty(m->streams.p[i])) {
			vec_push(&m->heap, m->streams.p[i]);
		}
	}
	for (size_t i = m->heap.len / 2; i-- > 0;) {
		sift_down(&m->heap, i);
	}
}

/* The first one's next line is not the oldest any more, or it has none. */
static void settle(struct stream_vec *heap)
{
	if (log_stream_empty(heap->p[0])) {
		heap->p[0] = heap->p[--heap->len];
	}
	if (heap->len > 0) {
		sift_down(heap, 0);
	}
}

/* Until it has a line, or has ended. */
static int await_line(const struct merge *m, struct log_stream *s, struct error *err)
{
	while (s->in && log_stream_empty(s)) {
		int got = log_stream_read(s, 0, err);
		if (got == 0) {
			flush(m);
			got = log_stream_read(s, -1, err);
		}
		if (got < 0 && err->kind != ERROR_NONE) {
			return -1;
		}
	}
	return 0;
}

/* Exact: a line goes out when every log that has not ended shows its next one. */
static int merge_ended(struct merge *m, struct error *err)
{
	VEC_FOREACH (&m->streams, i) {
		if (await_line(m, m->streams.p[i], err) < 0) {
			return -1;
		}
	}
	gather(m);
	while (m->heap.len > 0 && !m->stopped) {
		struct log_stream *s = m->heap.p[0];
		emit(m, s);
		if (await_line(m, s, err) < 0) {
			return -1;
		}
		settle(&m->heap);
	}
	return 0;
}

/* -- Following -- */

static void emit_older(struct merge *m, int64_t arrived_before_ms)
{
	gather(m);
	while (m->heap.len > 0 && !m->stopped &&
		log_stream_head(m->heap.p[0])->arrived_ms <= arrived_before_ms) {
		emit(m, m->heap.p[0]);
		settle(&m->heap);
	}
	flush(m);
}

static struct log_stream *find(
	const struct merge *m, const struct host *host, const char *container)
{
	VEC_FOREACH (&m->streams, i) {
		struct log_stream *s = m->streams.p[i];
		if (s->host == host &&
			(str_eq(s->container, container) || str_eq(s->name, container))) {
			return s;
		}
	}
	return NULL;
}

/*
 * Opens the log of a container that was started anew: from behind the line that was read last.  Its
 * first lines may be older than the daemon's event that tells of the start, so that is only for a
 * log of which nothing was read.
 */
static int open_again(
	struct merge *m, struct log_stream *s, const char *started_at, struct error *err)
{
	int64_t ms = s->last[0] ? clock_parse_rfc3339(s->last) : -1;
	if (ms < 0) {
		return open_stream(m, s, started_at, -1, err);
	}
	long ns = strtol(s->last + LOG_STAMP_LEN - 10, NULL, 10) + 1;
	CLEANUP_FREE char *since =
		xasprintf("%lld.%09ld", (long long)(ms / 1000) + ns / 1000000000, ns % 1000000000);
	return open_stream(m, s, since, -1, err);
}

/* A container started: a new one, or one that we know and whose log ended with its last run. */
static int started(
	struct merge *m, struct watch *w, const struct docker_event *e, struct error *err)
{
	struct log_stream *s = find(m, w->host, e->id);
	s = s ? s : find(m, w->host, e->name);
	CLEANUP_FREE char *since = xasprintf("%lld.%09lld", (long long)(e->time_ns / 1000000000),
		(long long)(e->time_ns % 1000000000));
	if (s && s->in) {
		free(s->again);
		s->again = xstrdup(since);
		return 0;
	}
	if (!s) {
		s = add_stream(m, w->host, e->id, e->name, false);
		return open_stream(m, s, NULL, -1, err);
	}
	return open_again(m, s, since, err);
}

static int watch_hosts(
	struct merge *m, const struct logs_source *sources, size_t n, struct error *err)
{
	m->watches = xcalloc(n + 1, sizeof(*m->watches));
	for (size_t i = 0; i < n; i++) {
		bool known = false;
		for (size_t j = 0; j < m->watches_len; j++) {
			known = known || m->watches[j].host == sources[i].host;
		}
		if (known) {
			continue;
		}
		struct docker_filters filters = {0};
		for (size_t j = 0; m->req->labels && j < m->req->labels->len; j++) {
			vec_push(&filters, m->req->labels->p[j]);
		}
		vec_push(&filters, ((struct docker_filter){"type", "container"}));
		vec_push(&filters, ((struct docker_filter){"event", "start"}));
		struct watch *w = &m->watches[m->watches_len++];
		w->host = sources[i].host;
		w->events = docker_events_open(w->host->docker, &filters, 0, err);
		vec_fini(&filters);
		if (!w->events) {
			return -1;
		}
	}
	return 0;
}

static int wait_for_any(struct merge *m, int timeout_ms)
{
	struct pollfd *fds = xcalloc(m->streams.len + m->watches_len + 1, sizeof(*fds));
	size_t n = 0;
	VEC_FOREACH (&m->streams, i) {
		struct log_stream *s = m->streams.p[i];
		if (s->in && !log_stream_full(s)) {
			fds[n++] = (struct pollfd){docker_stream_fd(s->in), POLLIN, 0};
		}
	}
	for (size_t i = 0; i < m->watches_len; i++) {
		fds[n++] = (struct pollfd){docker_events_fd(m->watches[i].events), POLLIN, 0};
	}
	fds[n++] = (struct pollfd){cancel_fd(), POLLIN, 0};
	int ready = poll(fds, n, timeout_ms);
	free(fds);
	return ready;
}

static int take_events(struct merge *m, struct error *err)
{
	for (size_t i = 0; i < m->watches_len; i++) {
		struct docker_event event;
		int got;
		while ((got = docker_events_next(m->watches[i].events, &event, 0, err)) == 1) {
			if (started(m, &m->watches[i], &event, err) < 0) {
				return -1;
			}
		}
		if (got < 0) {
			return -1;
		}
	}
	return 0;
}

static int follow(struct merge *m, struct error *err)
{
	while (!m->stopped) {
		wait_for_any(m, LOGS_WINDOW_MS / 2);
		if (cancel_requested()) {
			return 0;
		}
		for (size_t i = 0; i < m->streams.len; i++) {
			struct log_stream *s = m->streams.p[i];
			while (s->in && !log_stream_full(s)) {
				int got = log_stream_read(s, 0, err);
				if (got < 0 && err->kind != ERROR_NONE) {
					return -1;
				}
				if (got <= 0) {
					break;
				}
			}
			if (!s->in && s->again) {
				CLEANUP_FREE char *since = s->again;
				s->again = NULL;
				if (open_again(m, s, since, err) < 0) {
					return -1;
				}
			}
		}
		if (take_events(m, err) < 0) {
			return -1;
		}
		emit_older(m, clock_mono_ms() - LOGS_WINDOW_MS);
	}
	return 0;
}

/* "10m" or a time -> seconds since 1970, which is all that Docker takes; NULL stays NULL. */
static int absolute(const char *when, char **out, struct error *err)
{
	int64_t then = when ? clock_parse_rfc3339(when) : -1;
	int64_t back = when && then < 0 ? docker_parse_duration(when) : -1;
	*out = NULL;
	if (when && then < 0 && (back < 0 || !strpbrk(when, "smhd"))) {
		error_set(err, ERROR_USAGE, "'%.100s' is no time", when);
		return error_hint(err, "an age (30s, 10m, 2h, 3d) or 2026-01-31T08:00:00Z");
	}
	if (when) {
		then = then < 0 ? clock_wall_ms() - back : then;
		*out = xasprintf("%lld.%03lld", (long long)(then / 1000), (long long)(then % 1000));
	}
	return 0;
}

int logs_merge(const struct logs_source *sources, size_t n, const struct logs_request *req,
	struct error *err)
{
	CLEANUP_FREE char *since = NULL;
	CLEANUP_FREE char *until = NULL;
	struct logs_request own = *req;
	if (absolute(req->since, &since, err) < 0 || absolute(req->until, &until, err) < 0) {
		return -1;
	}
	own.until = until;
	struct merge m = {.req = &own};
	int result = req->follow ? watch_hosts(&m, sources, n, err) : 0;
	for (size_t i = 0; result == 0 && i < n; i++) {
		struct log_stream *s = add_stream(
			&m, sources[i].host, sources[i].container, sources[i].name, sources[i].tty);
		result = open_stream(&m, s, since, req->tail, err);
	}
	if (result == 0) {
		result = req->follow ? follow(&m, err) : merge_ended(&m, err);
	}
	if (result < 0 && req->follow && err->kind == ERROR_INTERRUPTED) {
		result = 0;
		*err = (struct error){0};
	}
	VEC_FOREACH (&m.streams, i) {
		log_stream_free(m.streams.p[i]);
	}
	vec_fini(&m.streams);
	vec_fini(&m.heap);
	for (size_t i = 0; i < m.watches_len; i++) {
		docker_events_close(m.watches[i].events);
	}
	free(m.watches);
	return result;
}
