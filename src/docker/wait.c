/* SPDX-License-Identifier: MIT */
/* Waiting for exits, and the stream of events: both are one JSON object a line. */
#include "internal.h"

#include "docker/events.h"
#include "docker/lines.h"
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A stream from which one object after the other is taken. */
struct objects {
	struct docker *d;
	struct docker_stream *s;
	struct lines lines;
	VEC_TYPE(, json_t *) queue; /* read, not yet taken; at most those of one read */
	size_t next;
	bool ended;
};

static int on_line(void *ctx, const char *line, size_t len)
{
	struct objects *o = ctx;
	json_error_t je;
	json_t *j = json_loadb(line, len, 0, &je);
	if (!json_is_object(j)) {
		json_decref(j);
		return 1;
	}
	vec_push(&o->queue, j);
	return 0;
}

/* 1: *out is the caller's; 0: time went by; -1 with *err, also at the end. */
static int next_object(struct objects *o, int timeout_ms, json_t **out, struct error *err)
{
	int64_t deadline = timeout_ms < 0 ? -1 : clock_mono_ms() + timeout_ms;
	char buf[8192];
	for (;;) {
		if (o->next < o->queue.len) {
			*out = o->queue.p[o->next++];
			return 1;
		}
		o->next = o->queue.len = 0;
		if (o->ended) {
			return error_sys(
				err, ERROR_REMOTE, ECONNRESET, "the daemon ended the stream");
		}
		int64_t left = deadline < 0 ? -1 : deadline - clock_mono_ms();
		int ms = deadline < 0 ? -1 : left > 0 ? (int)left : 0;
		ssize_t n = docker_stream_read(o->s, buf, sizeof(buf), ms, err);
		if (n == DOCKER_AGAIN) {
			return 0;
		}
		if (n < 0) {
			return -1;
		}
		o->ended = n == 0;
		int rc = n == 0 ? lines_end(&o->lines, on_line, o)
				: lines_feed(&o->lines, buf, (size_t)n, on_line, o);
		if (rc != 0) {
			o->ended = true;
			return error_sys(err, ERROR_REMOTE, rc > 0 ? EPROTO : EMSGSIZE,
				"the daemon's answer is not whole JSON");
		}
	}
}

static int objects_open(struct objects *o, struct docker *d, const char *method, const char *path,
	struct error *err)
{
	struct docker_stream_request req = {.method = method, .path = path};
	o->d = d;
	o->s = docker_stream_open(d, &req, err);
	lines_init(&o->lines);
	return o->s ? 0 : -1;
}

static void objects_close(struct objects *o)
{
	docker_stream_close(o->s);
	lines_fini(&o->lines);
	for (; o->next < o->queue.len; o->next++) {
		json_decref(o->queue.p[o->next]);
	}
	vec_fini(&o->queue);
}

/* -- Exits -- */

struct docker_wait {
	struct objects o;
	char *name;
};

struct docker_wait *docker_wait_open(
	struct docker *d, const char *name, enum docker_wait_for what, struct error *err)
{
	static const char *const words[] = {[DOCKER_WAIT_NOT_RUNNING] = "not-running",
		[DOCKER_WAIT_NEXT_EXIT] = "next-exit",
		[DOCKER_WAIT_REMOVED] = "removed"};
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	struct docker_wait *w = xcalloc(1, sizeof(*w));
	w->name = xstrdup(name);
	docker_path(&path, "/containers/", name, "/wait");
	docker_query(&path, "condition", words[what]);
	if (objects_open(&w->o, d, "POST", str_c(&path), err) != 0) {
		error_wrap(err, "wait for container '%s'", name);
		docker_wait_close(w);
		return NULL;
	}
	return w;
}

int docker_wait_next(struct docker_wait *w, int timeout_ms, int *exit_code, struct error *err)
{
	CLEANUP_JSON json_t *j = NULL;
	int rc = next_object(&w->o, timeout_ms, &j, err);
	if (rc == 1) {
		const char *message = json_str_at(j, "Error.Message", "");
		*exit_code = docker_clamp_int(json_int_at(j, "StatusCode", -1));
		if (*message) {
			rc = docker_message_error(message, err);
		}
	}
	return rc < 0 ? error_wrap(err, "wait for container '%s'", w->name) : rc;
}

int docker_wait_fd(const struct docker_wait *w)
{
	return docker_stream_fd(w->o.s);
}

void docker_wait_close(struct docker_wait *w)
{
	if (w) {
		objects_close(&w->o);
		free(w->name);
		free(w);
	}
}

/* -- Events -- */

struct docker_events {
	struct objects o;
	json_t *last; /* what the caller's strings live in */
};

struct docker_events *docker_events_open(
	struct docker *d, const struct docker_filters *filters, int64_t since_ns, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	struct docker_events *e = xcalloc(1, sizeof(*e));
	str_add(&path, "/events");
	if (since_ns > 0) {
		char since[40];
		snprintf(since, sizeof(since), "%lld.%09lld", (long long)(since_ns / 1000000000),
			(long long)(since_ns % 1000000000));
		docker_query(&path, "since", since);
	}
	docker_query_filters(&path, filters);
	if (objects_open(&e->o, d, "GET", str_c(&path), err) != 0) {
		error_wrap(err, "watch the daemon's events");
		docker_events_close(e);
		return NULL;
	}
	return e;
}

int docker_events_next(
	struct docker_events *e, struct docker_event *out, int timeout_ms, struct error *err)
{
	json_t *j = NULL;
	int rc = next_object(&e->o, timeout_ms, &j, err);
	if (rc <= 0) {
		return rc < 0 ? error_wrap(err, "watch the daemon's events") : 0;
	}
	json_decref(e->last);
	e->last = j;
	const json_t *attributes = json_at(j, "Actor.Attributes");
	const char *name = json_string_value(json_object_get(attributes, "name"));
	const char *code = json_string_value(json_object_get(attributes, "exitCode"));
	long exit_code = -1;
	if (!code || str_to_long(code, 0, 255, &exit_code) != 0) {
		exit_code = -1;
	}
	*out = (struct docker_event){.type = json_str_at(j, "Type", ""),
		.action = json_str_at(j, "Action", ""),
		.id = json_str_at(j, "Actor.ID", ""),
		.name = name ? name : "",
		.exit_code = (int)exit_code,
		.time_ns = json_int_at(j, "timeNano", 0),
		.attributes = attributes};
	return 1;
}

int docker_events_fd(const struct docker_events *e)
{
	return docker_stream_fd(e->o.s);
}

void docker_events_close(struct docker_events *e)
{
	if (e) {
		objects_close(&e->o);
		json_decref(e->last);
		free(e);
	}
}
