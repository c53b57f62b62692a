/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "docker/exec.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int docker_exec_create(struct docker *d, const char *container, const struct docker_exec_request *r,
	char **id, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_JSON json_t *j = NULL;
	struct docker_body body = {0};
	docker_path(&path, "/containers/", container, "/exec");
	CLEANUP_JSON json_t *base = json_pack("{s:b, s:b, s:b, s:b, s:b}", "AttachStdout", 1,
		"AttachStderr", 1, "AttachStdin", r->with_stdin ? 1 : 0, "Tty", r->tty ? 1 : 0,
		"Privileged", r->privileged ? 1 : 0);
	json_object_set_new(base, "Cmd", docker_js_from_strvec(r->cmd));
	if (r->user) {
		json_object_set_new(base, "User", json_string(r->user));
	}
	if (r->workdir) {
		json_object_set_new(base, "WorkingDir", json_string(r->workdir));
	}
	if (r->tty && r->rows > 0 && docker_api(d) >= 42) {
		json_object_set_new(base, "ConsoleSize", json_pack("[i,i]", r->rows, r->columns));
	}
	int rc = docker_body_with_env(base, r->env, r->secret_env, &body, err);
	if (rc == 0) {
		struct docker_op op = {.method = "POST",
			.path = str_c(&path),
			.body = body.p,
			.body_len = body.len};
		rc = docker_run_op(d, &op, &j, err);
	}
	docker_body_fini(&body);
	if (rc != 0) {
		return error_wrap(err, "exec in container '%s'", container);
	}
	*id = docker_js(j, "Id");
	return 0;
}

/* Path and body of the start. */
static void start_path(const char *id, struct str *path)
{
	docker_path(path, "/exec/", id, "/start");
}

static const char *start_body(bool tty)
{
	return tty ? "{\"Detach\":false,\"Tty\":true}" : "{\"Detach\":false,\"Tty\":false}";
}

int docker_exec_start(struct docker *d, const char *id, bool tty, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_STRMAP struct strmap headers = {0};
	start_path(id, &path);
	strmap_set(&headers, "Connection", "Upgrade");
	strmap_set(&headers, "Upgrade", "tcp");
	struct docker_stream_request req = {.method = "POST",
		.path = str_c(&path),
		.headers = &headers,
		.body = start_body(tty),
		.body_len = strlen(start_body(tty))};
	int fd = docker_hijack(d, &req, err);
	return fd >= 0 ? fd : error_wrap(err, "start exec");
}

int docker_exec_resize(struct docker *d, const char *id, int rows, int columns, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&path, "/exec/", id, "/resize");
	docker_query_int(&path, "h", rows);
	docker_query_int(&path, "w", columns);
	if (docker_call(d, "POST", str_c(&path), NULL, 0, NULL, err) != 0) {
		return error_wrap(err, "resize the terminal");
	}
	return 0;
}

int docker_exec_inspect(
	struct docker *d, const char *id, bool *running, int *exit_code, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_JSON json_t *j = NULL;
	docker_path(&path, "/exec/", id, "/json");
	if (docker_call(d, "GET", str_c(&path), NULL, 0, &j, err) != 0) {
		return error_wrap(err, "inspect exec");
	}
	*running = json_bool_at(j, "Running", 0);
	*exit_code = *running ? -1 : docker_clamp_int(json_int_at(j, "ExitCode", -1));
	return 0;
}

/* -- The whole of it -- */

struct session {
	int fd;
	const struct http_source *input; /* NULL: nothing more to send */
	char *in, *out;                  /* DOCKER_READ_SIZE each */
	size_t in_pos, in_len;
	struct frames frames;
	int64_t deadline; /* 0: none */
};

/* The next piece of input goes out as far as it goes. */
static int send_input(struct session *s, struct error *err)
{
	if (s->in_pos == s->in_len) {
		ssize_t n = s->input->read(s->input->ctx, s->in, DOCKER_READ_SIZE, err);
		if (n < 0) {
			return -1;
		}
		if (n == 0) {
			s->input = NULL;
			shutdown(s->fd, SHUT_WR);
			return 0;
		}
		s->in_pos = 0;
		s->in_len = (size_t)n;
	}
	ssize_t n =
		send(s->fd, s->in + s->in_pos, s->in_len - s->in_pos, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0) {
		s->in_pos += (size_t)n;
	} else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		s->input = NULL; /* the command does not read it */
	}
	return 0;
}

/* 0: go on; 1: the end (or the sink's wish: *stopped); -1. */
static int read_output(
	struct session *s, frames_sink *sink, void *ctx, bool *stopped, struct error *err)
{
	ssize_t n = recv(s->fd, s->out, DOCKER_READ_SIZE, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno == ECONNRESET)) {
		if (frames_torn(&s->frames)) {
			return error_sys(err, ERROR_REMOTE, ECONNRESET, "the output breaks off");
		}
		return 1;
	}
	if (n < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
			return 0;
		}
		return error_sys(err, ERROR_REMOTE, errno, "read its output");
	}
	int rc = frames_feed(&s->frames, s->out, (size_t)n, sink, ctx);
	if (rc == -1) {
		return error_sys(err, ERROR_REMOTE, EPROTO, "the output is not framed");
	}
	*stopped = rc != 0;
	return rc != 0;
}

static int pump(struct session *s, frames_sink *sink, void *ctx, bool *stopped, struct error *err)
{
	for (;;) {
		int64_t left = s->deadline ? s->deadline - clock_mono_ms() : -1;
		if (s->deadline && left <= 0) {
			return error_sys(err, ERROR_REMOTE, ETIMEDOUT, "it did not end in time");
		}
		struct pollfd p[2] = {
			{.fd = s->fd, .events = (short)(POLLIN | (s->input ? POLLOUT : 0))},
			{.fd = cancel_fd(), .events = POLLIN}};
		int n = poll(p, 2, left > 1 << 30 ? 1 << 30 : (int)left);
		if (n < 0 && errno != EINTR) {
			return error_sys(err, ERROR_INTERNAL, errno, "poll");
		}
		if (cancel_check(err) != 0) {
			return -1;
		}
		if (n <= 0) {
			continue;
		}
		if (s->input && (p[0].revents & POLLOUT) && send_input(s, err) != 0) {
			return -1;
		}
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR)) {
			int rc = read_output(s, sink, ctx, stopped, err);
			if (rc != 0) {
				return rc < 0 ? -1 : 0;
			}
		}
	}
}

/* The daemon may say "running" for a moment after the output's end. */
static int exit_status(struct docker *d, const char *id, int *exit_code, struct error *err)
{
	bool running = true;
	for (int ms = 2; ms < 4000; ms *= 2) {
		if (docker_exec_inspect(d, id, &running, exit_code, err) != 0) {
			return -1;
		}
		if (!running) {
			return 0;
		}
		clock_sleep_ms(ms);
		if (cancel_check(err) != 0) {
			return -1;
		}
	}
	return error_sys(err, ERROR_REMOTE, ETIMEDOUT, "its output ended, but it still runs");
}

static int run(struct docker *d, const char *id, const struct docker_exec_request *req,
	const struct http_source *input, int64_t deadline, frames_sink *sink, void *ctx,
	int *exit_code, struct error *err)
{
	bool stopped = false;
	CLEANUP_FD int fd = docker_exec_start(d, id, req->tty, err);
	if (fd < 0) {
		return -1;
	}
	docker_warm(d); /* for the question of its exit code, while the command runs */
	struct session s = {.fd = fd, .input = input, .deadline = deadline};
	frames_init(&s.frames, req->tty);
	s.in = input ? xcalloc(1, DOCKER_READ_SIZE) : NULL;
	s.out = xcalloc(1, DOCKER_READ_SIZE);
	int rc = pump(&s, sink, ctx, &stopped, err);
	free(s.in);
	free(s.out);
	*exit_code = -1;
	return rc == 0 && !stopped ? exit_status(d, id, exit_code, err) : rc;
}

int docker_exec_run(struct docker *d, const char *container, const struct docker_exec_request *req,
	const struct http_source *input, int timeout_ms, frames_sink *sink, void *ctx,
	int *exit_code, struct error *err)
{
	CLEANUP_FREE char *id = NULL;
	struct docker_exec_request r = *req;
	int64_t deadline = timeout_ms > 0 ? clock_mono_ms() + timeout_ms : 0;
	r.with_stdin = input != NULL;
	if (docker_exec_create(d, container, &r, &id, err) != 0) {
		return -1;
	}
	if (run(d, id, &r, input, deadline, sink, ctx, exit_code, err) != 0) {
		return error_wrap(err, "exec in container '%s'", container);
	}
	return 0;
}
