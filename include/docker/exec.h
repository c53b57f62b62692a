/* SPDX-License-Identifier: MIT */
/* Docker: commands in a running container. */
#pragma once

#include "docker/client.h"
#include "docker/frames.h"

struct docker_exec_request {
	const struct strvec *cmd;            /* argv; no shell */
	const struct strmap *env;            /* or NULL */
	const struct secret_map *secret_env; /* or NULL */
	const char *user, *workdir;          /* or NULL */
	bool tty, with_stdin, privileged;
	int rows, columns; /* of the TTY, 0: not known */
};

/* *id is the caller's. */
ERROR_CHECKED int docker_exec_create(struct docker *d, const char *container,
	const struct docker_exec_request *req, char **id, struct error *err);
/* A descriptor for both directions: framed output (frames.h), raw with a TTY; the caller's.  End of
 * input: shutdown(fd, SHUT_WR). */
ERROR_CHECKED int docker_exec_start(struct docker *d, const char *id, bool tty, struct error *err);
ERROR_CHECKED int docker_exec_resize(
	struct docker *d, const char *id, int rows, int columns, struct error *err);
/* *running, *exit_code (-1 while it runs). */
ERROR_CHECKED int docker_exec_inspect(
	struct docker *d, const char *id, bool *running, int *exit_code, struct error *err);

/*
 * Create, start, read to the end, exit code.  `input` (may be NULL) goes to its stdin.  timeout_ms
 * 0: none; when it goes by: ERROR_REMOTE with ETIMEDOUT (Docker cannot kill an exec: the process
 * may go on).  A sink's number other than 0 ends it early, as success with *exit_code -1.
 */
ERROR_CHECKED int docker_exec_run(struct docker *d, const char *container,
	const struct docker_exec_request *req, const struct http_source *input, int timeout_ms,
	frames_sink *sink, void *ctx, int *exit_code, struct error *err);
