/* SPDX-License-Identifier: MIT */
/* The messages of pull, push, load and build: one JSON object a line. */
#include "internal.h"

#include "docker/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	docker_progress_fn *progress;
	void *ctx;
	struct error *err;
	bool failed; /* the daemon told an error; the rest is read all the same */
};

static int64_t number(const json_t *j, const char *path)
{
	return json_int_at(j, path, -1);
}

static void tell(struct reader *r, const json_t *j)
{
	if (!r->progress) {
		return;
	}
	struct docker_progress p = {.id = json_str_at(j, "id", NULL),
		.status = json_str_at(j, "status", NULL),
		.stream = json_str_at(j, "stream", NULL),
		.current = number(j, "progressDetail.current"),
		.total = number(j, "progressDetail.total"),
		.aux = json_object_get(j, "aux")};
	r->progress(r->ctx, &p);
}

static int on_line(void *ctx, const char *line, size_t len)
{
	struct reader *r = ctx;
	json_error_t je;
	CLEANUP_JSON json_t *j = json_loadb(line, len, 0, &je);
	if (!json_is_object(j)) {
		error_sys(r->err, ERROR_REMOTE, EPROTO, "the daemon's answer is not whole JSON");
		return 1;
	}
	const char *message = json_str_at(j, "errorDetail.message", json_str_at(j, "error", NULL));
	if (!message) {
		tell(r, j);
		return 0;
	}
	if (!r->failed) {
		r->failed = true;
		docker_message_error(message, r->err);
		int64_t code = json_int_at(j, "errorDetail.code", 0);
		r->err->status = docker_clamp_int(code);
	}
	return 0;
}

int docker_progress_read(struct docker_stream *s, int idle_ms, docker_progress_fn *progress,
	void *ctx, struct error *err)
{
	struct reader r = {.progress = progress, .ctx = ctx, .err = err};
	struct lines lines;
	char buf[16384];
	int rc = 0;
	lines_init(&lines);
	for (;;) {
		struct error broken = {0};
		ssize_t n = docker_stream_read(s, buf, sizeof(buf), idle_ms, &broken);
		if (n == DOCKER_AGAIN) {
			error_sys(&broken, ERROR_REMOTE, ETIMEDOUT, "silent for %d s",
				idle_ms / 1000);
		}
		if (n < 0) {
			if (!r.failed || broken.kind == ERROR_INTERRUPTED) {
				*err = broken;
			}
			rc = -1;
			break;
		}
		rc = n == 0 ? lines_end(&lines, on_line, &r)
			    : lines_feed(&lines, buf, (size_t)n, on_line, &r);
		if (rc < 0) {
			error_sys(err, ERROR_REMOTE, EMSGSIZE, "a line of the daemon's answer");
		}
		if (rc != 0 || n == 0) {
			break;
		}
	}
	lines_fini(&lines);
	return rc != 0 || r.failed ? -1 : 0;
}
