/* SPDX-License-Identifier: MIT */
/* app exec and console: a command in a running container, or in a fresh one of the live release. */
#include "cron.h"
#include "deploy/container.h"
#include "deploy/operations.h"
#include "deploy/output.h"
#include "fresh.h"
#include "internal.h"
#include "terminal.h"

#include "docker/exec.h"
#include "util/cancel.h"
#include "util/digest.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_TIMEOUT_MS 10000

struct app_exec {
	struct exec_round round;
	const struct exec_options *options;
	struct target *only; /* NULL: all */
};

static const struct docker_container_entry *live_of_role(
	struct deployment *d, const struct target *t, const struct config_role *role)
{
	VEC_FOREACH (&t->seen.containers, i) {
		const struct docker_container_entry *c = &t->seen.containers.p[i];
		if (container_is_app(c, role->name) && container_is_live(d, t, c) &&
			!cron_is_job(c) && str_eq(c->state, "running")) {
			return c;
		}
	}
	return NULL;
}

/* Of the primary role where that is chosen, else of the first one that is and runs there. */
static const struct docker_container_entry *live_container(
	struct deployment *d, const struct target *t)
{
	const struct config_role *primary = d->config->primary_role;
	const struct docker_container_entry *found =
		deployment_has_role(d, primary) ? live_of_role(d, t, primary) : NULL;
	for (size_t i = 0; !found && i < d->config->roles.len; i++) {
		const struct config_role *role = &d->config->roles.p[i];
		found = deployment_has_role(d, role) ? live_of_role(d, t, role) : NULL;
	}
	return found;
}

/* -- In a running container -- */

struct exec_window {
	struct docker *docker;
	const char *id;
	bool container; /* the id is a container's, not an exec's */
};

static void resize(void *ctx, int rows, int columns)
{
	struct exec_window *w = ctx;
	struct error ignored = {0};
	int failed = w->container
			     ? docker_container_resize(w->docker, w->id, rows, columns, &ignored)
			     : docker_exec_resize(w->docker, w->id, rows, columns, &ignored);
	(void)failed; /* the process may have ended just now */
}

static int take_output(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	output_bytes(ctx, stream == FRAMES_STDERR, data, len);
	return 0;
}

static int exec_interactive(struct docker *docker, const char *container, const struct strvec *argv,
	int *status, struct error *err)
{
	struct docker_exec_request req = {.cmd = argv, .tty = true, .with_stdin = true};
	CLEANUP_FREE char *id = NULL;
	bool running;
	if (docker_exec_create(docker, container, &req, &id, err) < 0) {
		return -1;
	}
	CLEANUP_FD int fd = docker_exec_start(docker, id, true, err);
	if (fd < 0) {
		return -1;
	}
	struct exec_window window = {.docker = docker, .id = id};
	struct terminal_peer peer = {.fd = fd, .resize = resize, .ctx = &window};
	if (terminal_run(&peer, err) < 0) {
		return -1;
	}
	return docker_exec_inspect(docker, id, &running, status, err);
}

int exec_in_container(struct target *t, const char *container, const struct strvec *argv,
	bool interactive, struct output *output, int *status, struct error *err)
{
	if (interactive) {
		return exec_interactive(t->host->docker, container, argv, status, err);
	}
	struct docker_exec_request req = {.cmd = argv};
	struct output_host *out = output_host_new(output, t->host->name);
	int result = docker_exec_run(
		t->host->docker, container, &req, NULL, 0, take_output, out, status, err);
	output_host_free(out);
	return result;
}

/* -- In a fresh container -- */

/* Reads the attached output of a container without a terminal until it ends. */
static int stream(int fd, struct output_host *out, struct error *err)
{
	struct frames frames;
	char buf[32768];
	frames_init(&frames, false);
	for (;;) {
		struct pollfd fds[2] = {
			{.fd = fd, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
		if (poll(fds, 2, -1) < 0 && errno != EINTR) {
			return error_sys(err, ERROR_INTERNAL, errno, "poll");
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		ssize_t n = fds[0].revents ? read(fd, buf, sizeof(buf)) : -1;
		if (n < 0 && (!fds[0].revents || errno == EINTR)) {
			continue;
		}
		if (n <= 0) {
			return 0;
		}
		if (frames_feed(&frames, buf, (size_t)n, take_output, out) != 0) {
			return error_set(err, ERROR_REMOTE, "its output is garbled");
		}
	}
}

static int run_fresh(
	struct app_exec *x, struct target *t, const char *name, int *status, struct error *err)
{
	struct docker *docker = t->host->docker;
	bool tty = x->options->interactive;
	struct docker_wait *wait = NULL;
	CLEANUP_FD int fd = docker_container_attach(docker, name, tty, true, err);
	int result = fd < 0 ? -1 : 0;
	if (result == 0) {
		wait = docker_wait_open(docker, name, DOCKER_WAIT_NEXT_EXIT, err);
		result = wait ? docker_container_start(docker, name, err) : -1;
	}
	if (result == 0 && tty) {
		struct exec_window window = {.docker = docker, .id = name, .container = true};
		struct terminal_peer peer = {.fd = fd, .resize = resize, .ctx = &window};
		result = terminal_run(&peer, err);
	} else if (result == 0) {
		struct output_host *out = output_host_new(x->round.output, t->host->name);
		result = stream(fd, out, err);
		output_host_free(out);
	}
	if (result == 0) {
		int ended = docker_wait_next(wait, EXIT_TIMEOUT_MS, status, err);
		result = ended == 1   ? 0
			 : ended == 0 ? error_set(err, ERROR_REMOTE, "it did not end")
				      : -1;
	}
	docker_wait_close(wait);
	return result;
}

static int in_fresh(struct app_exec *x, struct deployment *d, struct target *t,
	const struct docker_container_entry *c, int *status, struct error *err)
{
	char token[9];
	digest_random_hex(4, token);
	CLEANUP_FREE char *name = xasprintf("%s-exec-%s", d->config->service, token);
	struct fresh_request req = {.from = c->id,
		.name = name,
		.kind = "exec",
		.argv = &x->round.argv,
		.tty = x->options->interactive};
	if (fresh_create(d, t, &req, err) < 0) {
		return -1;
	}
	int result = run_fresh(x, t, name, status, err);
	fresh_remove(d, t, name);
	return result;
}

static int exec_one(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct app_exec *x = ctx;
	struct exec_end *end = &x->round.ends[t - d->targets];
	if (!t->selected || (x->only && x->only != t)) {
		return 0;
	}
	const struct docker_container_entry *c = live_container(d, t);
	if (!c) {
		error_set(err, ERROR_REMOTE, "no container of the live release runs");
		return error_hint(err, "deploy app start, or deploy push");
	}
	int result = x->options->reuse
			     ? exec_in_container(t, c->id, &x->round.argv, x->options->interactive,
				       x->round.output, &end->status, err)
			     : in_fresh(x, d, t, c, &end->status, err);
	end->ran = result == 0;
	return result;
}

int operation_app_exec(struct deployment *d, const struct exec_options *options, int *exit_status,
	struct error *err)
{
	struct app_exec x = {.options = options};
	size_t selected = 0;
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	for (size_t i = 0; i < d->n; i++) {
		selected += d->targets[i].selected;
	}
	x.only = options->primary || options->interactive ? deployment_primary(d) : NULL;
	exec_round_begin(&x.round, d, options->argv, selected > 1 && !x.only);
	int result = deployment_each(d, exec_one, &x, err);
	exec_round_end(&x.round, d, exit_status);
	return result;
}
