/* SPDX-License-Identifier: MIT */
/* Streamed answers, and connections that are taken over. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct docker_stream {
	struct docker *d;
	struct http_conn *c;
};

static void queue(struct docker *d, struct http_conn *c, const struct docker_stream_request *req)
{
	CLEANUP_STR struct str target = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_HEADERS struct strmap headers = {0};
	docker_versioned(d, req->path, &target);
	if (req->headers) {
		strmap_copy(&headers, req->headers);
	}
	if (!strmap_get(&headers, "Content-Type")) {
		if (req->source) {
			strmap_set(&headers, "Content-Type", "application/x-tar");
		} else if (req->body) {
			strmap_set(&headers, "Content-Type", "application/json");
		}
	}
	http_conn_request(c,
		&(struct http_request){.method = req->method,
			.target = str_c(&target),
			.headers = &headers,
			.repeated_name = req->repeated_name,
			.repeated = req->repeated,
			.body = req->body,
			.body_len = req->body_len,
			.source = req->source},
		false);
}

static bool is_get(const struct docker_stream_request *req)
{
	return strcmp(req->method, "GET") == 0;
}

/* Sends, and reads the head; `exact` for a connection that is taken over. */
static int start(struct docker *d, struct http_conn *c, const struct docker_stream_request *req,
	bool exact, struct error *err)
{
	bool ping = docker_api(d) == 0 && is_get(req) && !exact;
	if (!ping && docker_negotiate(d, c, err) != 0) {
		return -1;
	}
	if (exact) {
		http_conn_exact(c);
	}
	if (ping) {
		struct http_request first = {.method = "GET", .target = "/_ping"};
		http_conn_request(c, &first, false);
	}
	queue(d, c, req);
	docker_count(d, c, 1 + ping, 1);
	if (ping && docker_read_ping(d, c, err) != 0) {
		return -1;
	}
	struct http_timer t =
		http_timer_start(req->head_timeout_ms ? req->head_timeout_ms : docker_head_ms(d));
	if (http_conn_head(c, false, &t, err) != 0) {
		return -1;
	}
	if (http_conn_status(c) >= 300) {
		t = http_timer_start(docker_head_ms(d));
		return docker_reply_error(d, c, &t, err);
	}
	return 0;
}

/* A connection whose answer's head is read. */
static struct http_conn *open_conn(
	struct docker *d, const struct docker_stream_request *req, bool exact, struct error *err)
{
	for (bool fresh = false;; fresh = true) {
		bool reused;
		struct http_conn *c = docker_acquire(d, fresh, &reused, err);
		if (!c) {
			return NULL;
		}
		if (start(d, c, req, exact, err) == 0) {
			return c;
		}
		bool again = reused && is_get(req) && http_conn_silent(c) && err->sys == ECONNRESET;
		if (err->status != 0 && !exact) {
			docker_release(d, c); /* refused in good order */
		} else {
			http_conn_free(c);
		}
		if (!again) {
			return NULL;
		}
		*err = (struct error){0};
	}
}

struct docker_stream *docker_stream_open(
	struct docker *d, const struct docker_stream_request *req, struct error *err)
{
	struct http_conn *c = open_conn(d, req, false, err);
	if (!c) {
		return NULL;
	}
	struct docker_stream *s = xcalloc(1, sizeof(*s));
	s->d = d;
	s->c = c;
	return s;
}

ssize_t docker_stream_read(
	struct docker_stream *s, void *buf, size_t n, int timeout_ms, struct error *err)
{
	struct http_timer t = http_timer_start(timeout_ms);
	return http_conn_body(s->c, buf, n, &t, err);
}

int docker_stream_fd(const struct docker_stream *s)
{
	return http_conn_fd(s->c);
}

const char *docker_stream_header(const struct docker_stream *s, const char *lower_case_name)
{
	return strmap_get(http_conn_headers(s->c), lower_case_name);
}

void docker_stream_close(struct docker_stream *s)
{
	if (!s) {
		return;
	}
	docker_release(s->d, s->c);
	free(s);
}

int docker_hijack(struct docker *d, const struct docker_stream_request *req, struct error *err)
{
	struct http_conn *c = open_conn(d, req, true, err);
	if (!c) {
		return -1;
	}
	int status = http_conn_status(c);
	int fd = -1;
	if ((status != 101 && status != 200) || http_conn_buffered(c) > 0) {
		error_sys(err, ERROR_REMOTE, EPROTO,
			"the daemon answered HTTP %d to taking the connection over", status);
	} else {
		fd = http_conn_take_fd(c);
	}
	http_conn_free(c);
	return fd;
}
