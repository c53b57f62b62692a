/* SPDX-License-Identifier: MIT */
#include "service/logs.h"

#include "docker/container.h"
#include "docker/events.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK      65536
#define STAMP_LEN  30   /* "2006-01-02T15:04:05.000000000Z": always nine digits, so text sorts */
#define MAX_QUEUED 4096 /* lines of one source that wait; then it is not read */

struct line {
	char *text; /* stamp, blank, text */
	size_t len;
	int64_t arrived_ms;
	bool is_err;
};

/* One container's log, being read. */
struct stream {
	struct host *host;
	char *container, *name;
	bool tty;
	struct docker_stream *in; /* NULL: ended */
	struct frames frames;
	struct str partial[2];
	struct line *lines; /* queue: lines[first .. count) */
	size_t first, count, cap;
	char last[STAMP_LEN + 1]; /* newest time stamp that was read */
	char *again; /* it was started anew at this time, though its old log has not ended yet */
};
VEC_TYPE(stream_vec, struct stream *);

struct watch {
	struct host *host;
	struct docker_events *events;
};

struct merge {
	const struct logs_request *req;
	struct stream_vec streams;
	struct watch *watches;
	size_t watches_len;
	int stopped; /* what req->line returned */
};

static void stream_free(struct stream *s)
{
	docker_stream_close(s->in);
	for (size_t i = s->first; i < s->count; i++) {
		free(s->lines[i].text);
	}
	free(s->lines);
	str_fini(&s->partial[0]);
	str_fini(&s->partial[1]);
	free(s->again);
	free(s->container);
	free(s->name);
	free(s);
}

static void push_line(struct stream *s, bool is_err)
{
	struct str *p = &s->partial[is_err];
	struct line line = {.len = p->len, .arrived_ms = clock_mono_ms(), .is_err = is_err};
	/* A piece of a cut line has no stamp of its own. */
	bool stamped = p->len > STAMP_LEN && p->p[STAMP_LEN - 1] == 'Z';
	if (stamped) {
		memcpy(s->last, p->p, STAMP_LEN);
		line.text = str_take(p);
	} else {
		line.text = xasprintf("%-*s %s", STAMP_LEN, s->last, str_c(p));
		line.len = strlen(line.text);
		str_reset(p);
	}
	if (s->count == s->cap) {
		if (s->first > 0) {
			memmove(s->lines, s->lines + s->first,
				(s->count - s->first) * sizeof(*s->lines));
			s->count -= s->first;
			s->first = 0;
		} else {
			s->cap = s->cap ? s->cap * 2 : 64;
			s->lines = xrealloc(s->lines, s->cap * sizeof(*s->lines));
		}
	}
	s->lines[s->count++] = line;
}

static int take(void *ctx, enum frames_stream kind, const void *data, size_t len)
{
	struct stream *s = ctx;
	bool is_err = kind == FRAMES_STDERR;
	const char *p = data;
	while (len > 0) {
		const char *newline = memchr(p, '\n', len);
		size_t n = newline ? (size_t)(newline - p) : len;
		if (s->partial[is_err].len + n >= LOGS_LINE_MAX) {
			push_line(s, is_err);
			n = n < LOGS_LINE_MAX / 2 ? n : LOGS_LINE_MAX / 2;
			newline = NULL;
		}
		str_addn(&s->partial[is_err], p, n);
		if (newline) {
			push_line(s, is_err);
			n++;
		}
		p += n;
		len -= n;
	}
	return 0;
}

/* 1: something came; 0: nothing within timeout_ms; -1: it ended (s->in is closed then). */
static int read_some(struct stream *s, int timeout_ms, struct error *err)
{
	char buf[CHUNK];
	ssize_t n = docker_stream_read(s->in, buf, sizeof(buf), timeout_ms, err);
	if (n == DOCKER_AGAIN) {
		return 0;
	}
	if (n > 0 && frames_feed(&s->frames, buf, (size_t)n, take, s) == 0) {
		return 1;
	}
	if (n > 0) {
		error_set(err, ERROR_REMOTE, "the log of '%s' is garbled", s->name);
	}
	for (int i = 0; i < 2; i++) {
		if (s->partial[i].len > 0) {
			push_line(s, i == 1);
		}
	}
	docker_stream_close(s->in);
	s->in = NULL;
	return -1;
}

static int open_stream(
	struct merge *m, struct stream *s, const char *since, long tail, struct error *err)
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
	frames_init(&s->frames, s->tty);
	s->in = docker_container_logs_open(s->host->docker, s->container, &req, err);
	return s->in ? 0 : -1;
}

static struct stream *add_stream(
	struct merge *m, struct host *host, const char *container, const char *name, bool tty)
{
	struct stream *s = xcalloc(1, sizeof(*s));
	s->host = host;
	s->container = xstrdup(container);
	s->name = xstrdup(name);
	s->tty = tty;
	str_init(&s->partial[0], LOGS_LINE_MAX + CHUNK);
	str_init(&s->partial[1], LOGS_LINE_MAX + CHUNK);
	vec_push(&m->streams, s);
	return s;
}

static void emit(struct merge *m, struct stream *s)
{
	struct line *l = &s->lines[s->first++];
	const char *text = l->len > STAMP_LEN ? l->text + STAMP_LEN + 1 : "";
	struct logs_line line = {
		.host = s->host->name,
		.container = s->name,
		.time = l->text,
		.time_len = STAMP_LEN,
		.text = text,
		.len = l->len > STAMP_LEN ? l->len - STAMP_LEN - 1 : 0,
		.is_err = l->is_err,
	};
	if (!m->req->grep || memmem(line.text, line.len, m->req->grep, strlen(m->req->grep))) {
		m->stopped = m->req->line(m->req->ctx, &line);
	}
	free(l->text);
	if (s->first == s->count) {
		s->first = s->count = 0;
	}
}

/* The stream whose first line is the oldest; NULL when none has one. */
static struct stream *oldest(const struct merge *m)
{
	struct stream *found = NULL;
	VEC_FOREACH (&m->streams, i) {
		struct stream *s = m->streams.p[i];
		if (s->first < s->count &&
			(!found || memcmp(s->lines[s->first].text, found->lines[found->first].text,
					   STAMP_LEN) < 0)) {
			found = s;
		}
	}
	return found;
}

/* Exact: a line goes out when every log that has not ended shows its next one. */
static int merge_ended(struct merge *m, struct error *err)
{
	for (;;) {
		VEC_FOREACH (&m->streams, i) {
			struct stream *s = m->streams.p[i];
			while (s->in && s->first == s->count) {
				if (read_some(s, -1, err) < 0 && err->kind != ERROR_NONE) {
					return -1;
				}
			}
		}
		struct stream *s = oldest(m);
		if (!s) {
			return 0;
		}
		emit(m, s);
		if (m->stopped) {
			return 0;
		}
	}
}

/* -- Following -- */

static void flush_older(struct merge *m, int64_t arrived_before_ms)
{
	struct stream *s;
	while (!m->stopped && (s = oldest(m)) != NULL &&
		s->lines[s->first].arrived_ms <= arrived_before_ms) {
		emit(m, s);
	}
}

static struct stream *find(const struct merge *m, const struct host *host, const char *container)
{
	VEC_FOREACH (&m->streams, i) {
		struct stream *s = m->streams.p[i];
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
static int open_again(struct merge *m, struct stream *s, const char *started_at, struct error *err)
{
	int64_t ms = s->last[0] ? clock_parse_rfc3339(s->last) : -1;
	if (ms < 0) {
		return open_stream(m, s, started_at, -1, err);
	}
	long ns = strtol(s->last + STAMP_LEN - 10, NULL, 10) + 1;
	CLEANUP_FREE char *since =
		xasprintf("%lld.%09ld", (long long)(ms / 1000) + ns / 1000000000, ns % 1000000000);
	return open_stream(m, s, since, -1, err);
}

/* A container started: a new one, or one that we know and whose log ended with its last run. */
static int started(
	struct merge *m, struct watch *w, const struct docker_event *e, struct error *err)
{
	struct stream *s = find(m, w->host, e->id);
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
		struct stream *s = m->streams.p[i];
		if (s->in && s->count - s->first < MAX_QUEUED) {
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
			struct stream *s = m->streams.p[i];
			while (s->in && s->count - s->first < MAX_QUEUED) {
				int got = read_some(s, 0, err);
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
		flush_older(m, clock_mono_ms() - LOGS_WINDOW_MS);
	}
	return 0;
}

/* "10m" -> seconds since 1970; anything else as it is. The caller frees. */
static char *absolute(const char *when)
{
	int64_t back = when ? docker_parse_duration(when) : -1;
	if (back < 0 || !strpbrk(when, "smhd")) {
		return xstrdup(when);
	}
	int64_t then = clock_wall_ms() - back;
	return xasprintf("%lld.%03lld", (long long)(then / 1000), (long long)(then % 1000));
}

int logs_merge(const struct logs_source *sources, size_t n, const struct logs_request *req,
	struct error *err)
{
	CLEANUP_FREE char *since = absolute(req->since);
	CLEANUP_FREE char *until = absolute(req->until);
	struct logs_request own = *req;
	own.until = until;
	struct merge m = {.req = &own};
	int result = req->follow ? watch_hosts(&m, sources, n, err) : 0;
	for (size_t i = 0; result == 0 && i < n; i++) {
		struct stream *s = add_stream(
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
		stream_free(m.streams.p[i]);
	}
	vec_fini(&m.streams);
	for (size_t i = 0; i < m.watches_len; i++) {
		docker_events_close(m.watches[i].events);
	}
	free(m.watches);
	return result;
}
