/* SPDX-License-Identifier: MIT */
/* Output of containers, attaching to them, and files in them. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int docker_frames_read(struct docker_stream *s, bool tty, int timeout_ms, frames_sink *sink,
	void *ctx, struct error *err)
{
	struct frames frames;
	char *buf = xcalloc(1, DOCKER_READ_SIZE);
	int rc = 0;
	frames_init(&frames, tty);
	while (rc == 0) {
		ssize_t n = docker_stream_read(s, buf, DOCKER_READ_SIZE, timeout_ms, err);
		if (n == 0) {
			if (frames_torn(&frames)) {
				rc = error_sys(
					err, ERROR_REMOTE, ECONNRESET, "the output breaks off");
			}
			break;
		}
		if (n == DOCKER_AGAIN) {
			rc = error_sys(
				err, ERROR_REMOTE, ETIMEDOUT, "silent for %d s", timeout_ms / 1000);
		} else if (n < 0) {
			rc = -1;
		} else {
			rc = frames_feed(&frames, buf, (size_t)n, sink, ctx);
			if (rc == -1) {
				error_sys(err, ERROR_REMOTE, EPROTO, "the output is not framed");
			}
		}
	}
	free(buf);
	return rc == -1 ? -1 : 0;
}

static void logs_path(const char *name, const struct docker_logs_request *r, struct str *out)
{
	docker_path(out, "/containers/", name, "/logs");
	docker_query(out, "stdout", r->no_stdout ? "0" : "1");
	docker_query(out, "stderr", r->no_stderr ? "0" : "1");
	if (r->follow) {
		docker_query(out, "follow", "1");
	}
	if (r->timestamps) {
		docker_query(out, "timestamps", "1");
	}
	if (r->tail != 0) {
		docker_query_int(out, "tail", r->tail > 0 ? r->tail : 0);
	}
	if (r->since) {
		docker_query(out, "since", r->since);
	}
	if (r->until) {
		docker_query(out, "until", r->until);
	}
}

struct docker_stream *docker_container_logs_open(struct docker *d, const char *name,
	const struct docker_logs_request *req, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	logs_path(name, req, &path);
	struct docker_stream_request r = {.method = "GET", .path = str_c(&path)};
	struct docker_stream *s = docker_stream_open(d, &r, err);
	if (!s) {
		error_wrap(err, "logs of container '%s'", name);
	}
	return s;
}

int docker_container_logs(struct docker *d, const char *name, const struct docker_logs_request *req,
	frames_sink *sink, void *ctx, struct error *err)
{
	CLEANUP_DOCKER_STREAM struct docker_stream *s =
		docker_container_logs_open(d, name, req, err);
	if (!s) {
		return -1;
	}
	int timeout_ms = req->follow ? -1 : docker_head_ms(d);
	if (docker_frames_read(s, req->tty, timeout_ms, sink, ctx, err) != 0) {
		return error_wrap(err, "logs of container '%s'", name);
	}
	return 0;
}

/* Keeps the end of what comes. */
static int keep_end(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	struct str *out = ctx;
	const char *from = data;
	(void)stream;
	if (len > out->max) {
		from += len - out->max;
		len = out->max;
	}
	if (out->len + len > out->max) {
		str_consume(out, out->len + len - out->max);
	}
	str_addn(out, from, len);
	return 0;
}

/* Is it raw? The daemon says so in newer versions; else the container has to be asked. */
static int is_tty(struct docker *d, const char *name, const struct docker_stream *s, bool *tty,
	struct error *err)
{
	const char *type = docker_stream_header(s, "content-type");
	if (type && strstr(type, "docker.multiplexed-stream")) {
		*tty = false;
		return 0;
	}
	struct docker_container c = {0};
	int rc = docker_container_inspect(d, name, &c, err);
	*tty = c.tty;
	docker_container_fini(&c);
	return rc;
}

int docker_container_tail(
	struct docker *d, const char *name, int lines, struct str *out, struct error *err)
{
	struct docker_logs_request req = {.tail = lines > 0 ? lines : -1};
	CLEANUP_DOCKER_STREAM struct docker_stream *s =
		docker_container_logs_open(d, name, &req, err);
	bool tty = false;
	if (!s || is_tty(d, name, s, &tty, err) != 0) {
		return -1;
	}
	if (docker_frames_read(s, tty, docker_head_ms(d), keep_end, out, err) != 0) {
		return error_wrap(err, "logs of container '%s'", name);
	}
	return 0;
}

int docker_container_attach(
	struct docker *d, const char *name, bool with_stdin, bool with_logs, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_STRMAP struct strmap headers = {0};
	docker_path(&path, "/containers/", name, "/attach?stream=1&stdout=1&stderr=1");
	if (with_stdin) {
		docker_query(&path, "stdin", "1");
	}
	if (with_logs) {
		docker_query(&path, "logs", "1");
	}
	strmap_set(&headers, "Connection", "Upgrade");
	strmap_set(&headers, "Upgrade", "tcp");
	struct docker_stream_request req = {
		.method = "POST", .path = str_c(&path), .headers = &headers};
	int fd = docker_hijack(d, &req, err);
	return fd >= 0 ? fd : error_wrap(err, "attach to container '%s'", name);
}

struct docker_stream *docker_container_archive_get(
	struct docker *d, const char *name, const char *path, struct error *err)
{
	CLEANUP_STR struct str target = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&target, "/containers/", name, "/archive");
	docker_query(&target, "path", path);
	struct docker_stream_request req = {.method = "GET", .path = str_c(&target)};
	struct docker_stream *s = docker_stream_open(d, &req, err);
	if (!s) {
		error_wrap(err, "read '%s' in container '%s'", path, name);
	}
	return s;
}

int docker_container_archive_put(struct docker *d, const char *name, const char *path,
	const struct http_source *tar, struct error *err)
{
	CLEANUP_STR struct str target = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&target, "/containers/", name, "/archive");
	docker_query(&target, "path", path);
	struct docker_stream_request req = {.method = "PUT",
		.path = str_c(&target),
		.source = tar,
		.head_timeout_ms = DOCKER_TRANSFER_IDLE_MS};
	CLEANUP_DOCKER_STREAM struct docker_stream *s = docker_stream_open(d, &req, err);
	if (!s) {
		return error_wrap(err, "write '%s' in container '%s'", path, name);
	}
	char rest[256]; /* so that the connection can be used again */
	struct error ignored = {0};
	while (docker_stream_read(s, rest, sizeof(rest), docker_head_ms(d), &ignored) > 0) {
	}
	return 0;
}
