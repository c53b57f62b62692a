/* SPDX-License-Identifier: MIT */
/*
 * The release command: once a push, on the primary host, in the new image, before new containers.
 * And the rollback command, in the image that is left.
 */
#include "deploy/container.h"
#include "fresh.h"
#include "run.h"

#include "docker/frames.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/digest.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES  ((size_t)16 << 10)
#define TAIL_MAX_BYTES  ((size_t)4 << 10)
#define POLL_MS         200
#define EXIT_TIMEOUT_MS 10000

/* Cuts the stream into lines for the ui, and keeps the last ones for an error. */
struct output {
	struct ui *ui;
	const char *host;
	const char *source;
	struct str line[2]; /* stdout, stderr */
	struct str tail;
};

static void show_line(struct output *o, bool is_err)
{
	struct str *line = &o->line[is_err];
	ui_output(o->ui, o->host, o->source, is_err, str_c(line));
	if (o->tail.len + line->len + 1 > TAIL_MAX_BYTES) {
		str_consume(&o->tail, o->tail.len / 2);
	}
	str_addn(&o->tail, str_c(line), line->len);
	str_addc(&o->tail, '\n');
	str_reset(line);
}

static int take_output(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	struct output *o = ctx;
	bool is_err = stream == FRAMES_STDERR;
	const char *text = data;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n' || o->line[is_err].len >= LINE_MAX_BYTES - 1) {
			show_line(o, is_err);
		}
		if (text[i] != '\n') {
			str_addc(&o->line[is_err], text[i]);
		}
	}
	return 0;
}

/* Reads the attached output until it ends. -1 on cancel or when the time is over. */
static int stream_output(int fd, struct output *o, int64_t deadline_ms, struct error *err)
{
	struct frames frames;
	char buf[16384];
	frames_init(&frames, false);
	for (;;) {
		struct pollfd fds[2] = {
			{.fd = fd, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
		int ready = poll(fds, 2, POLL_MS);
		if (cancel_check(err) < 0) {
			return -1;
		}
		if (clock_mono_ms() >= deadline_ms) {
			return error_set(err, ERROR_REMOTE, "it ran longer than release.timeout");
		}
		if (ready <= 0 || !fds[0].revents) {
			continue;
		}
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n <= 0) {
			return 0;
		}
		if (frames_feed(&frames, buf, (size_t)n, take_output, o) != 0) {
			return error_set(err, ERROR_REMOTE, "its output is garbled");
		}
	}
}

static int run_it(struct run *r, struct target *t, const char *name, struct output *o, int fd,
	int *code, struct error *err)
{
	struct docker *docker = t->host->docker;
	int64_t deadline = clock_mono_ms() + r->d->config->release.timeout_ms;
	struct docker_wait *wait = docker_wait_open(docker, name, DOCKER_WAIT_NEXT_EXIT, err);
	if (!wait) {
		return -1;
	}
	int result = docker_container_start(docker, name, err);
	if (result == 0) {
		result = stream_output(fd, o, deadline, err);
	}
	if (result == 0) {
		int ended = docker_wait_next(wait, EXIT_TIMEOUT_MS, code, err);
		result = ended == 1 ? 0 : -1;
		if (ended == 0) {
			result = error_set(
				err, ERROR_REMOTE, "it closed its output but did not end");
		}
	}
	docker_wait_close(wait);
	if (result == 0 && *code != 0) {
		error_set(err, ERROR_REMOTE, "it ended with exit code %d", *code);
		err->status = *code;
		result = -1;
	}
	return result;
}

/* Runs what is created under this name, and removes it; what came of it goes on record. */
static int in_container(struct run *r, struct target *t, const char *name, const char *command,
	const char *source, struct error *err)
{
	struct output o = {.ui = r->d->ui,
		.host = t->host->name,
		.source = source,
		.line = {STR_INIT(LINE_MAX_BYTES), STR_INIT(LINE_MAX_BYTES)},
		.tail = STR_INIT(2 * TAIL_MAX_BYTES + LINE_MAX_BYTES)};
	struct release *release = &r->release;
	int64_t begun = clock_mono_ms();
	int fd = docker_container_attach(t->host->docker, name, false, true, err);
	int result = -1;
	if (fd >= 0) {
		free(release->ran);
		release->ran = xstrdup(command);
		release->ran_status = -1;
		result = run_it(r, t, name, &o, fd, &release->ran_status, err);
		release->ran_ms = clock_mono_ms() - begun;
		close(fd);
	}
	for (int i = 0; i < 2; i++) {
		if (o.line[i].len > 0) {
			show_line(&o, i == 1);
		}
		str_fini(&o.line[i]);
	}
	if (result < 0) {
		(void)error_detail(err, str_c(&o.tail), o.tail.len);
	}
	str_fini(&o.tail);
	fresh_remove(r->d, t, name);
	return result;
}

static char *name_of(const struct run *r, const char *what)
{
	char token[9];
	digest_random_hex(4, token);
	return xasprintf("%s-%s-%s-%s", r->d->config->service, what, r->release.version, token);
}

static int in_new_image(struct run *r, struct target *t, struct error *err)
{
	const struct config *c = r->d->config;
	CLEANUP_FREE char *name = name_of(r, "release");
	struct container_request req = {
		.role = c->primary_role,
		.name = name,
		.image = run_target_of(r, t)->image_id,
		.version = r->release.version,
		.commit = r->release.commit,
		.subject = r->release.subject,
		.release_id = r->release.id,
		.release = r->release.number,
		.replica = 1,
		.kind = "release-command",
		.command = c->release.command,
	};
	CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {0};
	CLEANUP_FREE char *id = NULL;
	if (container_spec(r->d, t, &req, &spec, err) < 0) {
		return -1;
	}
	int made = container_create(r->d, t, &spec, &id, err);
	if (made < 0 && id) {
		fresh_remove(r->d, t, name);
	}
	return made < 0 ? -1 : in_container(r, t, name, c->release.command, "release", err);
}

static const struct docker_container_entry *container_of(
	const struct run *r, const struct target *t, const struct release *left)
{
	VEC_FOREACH (&t->seen.containers, i) {
		const struct docker_container_entry *c = &t->seen.containers.p[i];
		if (container_is_app(c, r->d->config->primary_role->name) &&
			str_eq(container_label(c, LABEL_RELEASE_ID), left->id)) {
			return c;
		}
	}
	return NULL;
}

static int in_left_image(
	struct run *r, struct target *t, const struct plan_step *s, struct error *err)
{
	const struct release *left = history_find_on(&r->d->history, s->number, t->address->name);
	const struct docker_container_entry *c = left ? container_of(r, t, left) : NULL;
	CLEANUP_FREE char *name = name_of(r, "rollback");
	CLEANUP_STRVEC struct strvec argv = {0};
	struct fresh_request req = {
		.from = c ? c->id : NULL, .name = name, .kind = "release-command", .argv = &argv};
	if (!c) {
		error_set(err, ERROR_REMOTE, "no container of release %ld is left to run it like",
			s->number);
		return error_hint(err, "--no-migrations goes back without it");
	}
	if (container_command(s->name, &argv, err) < 0 || fresh_create(r->d, t, &req, err) < 0) {
		return -1;
	}
	return in_container(r, t, name, s->name, "rollback", err);
}

int command_undo(struct run *r, struct error *err)
{
	struct target *t = deployment_primary(r->d);
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		if (s->kind != STEP_UNDO) {
			continue;
		}
		ui_step(r->d->ui, t->host->name, "rollback command of release %ld: %s", s->number,
			s->name);
		if (run_may_go_on(r, err) < 0 || in_left_image(r, t, s, err) < 0) {
			(void)error_wrap(err, "rollback command '%s'", s->name);
			(void)host_error(t->host, err);
			t->error = *err;
			return -1;
		}
		ui_done(r->d->ui, t->host->name, "rollback command done");
	}
	return 0;
}

int command_run(struct run *r, struct error *err)
{
	struct target *t = deployment_primary(r->d);
	const char *command = r->d->config->release.command;
	if (!t) {
		ui_warn(r->d->ui, NULL,
			"the release command is not run: --hosts leaves out every host of role "
			"'%s'",
			r->d->config->primary_role->name);
		return 0;
	}
	ui_step(r->d->ui, t->host->name, "release command: %s", command);
	if (in_new_image(r, t, err) < 0) {
		(void)error_wrap(err, "release command '%s'", command);
		(void)host_error(t->host, err);
		t->error = *err;
		return -1;
	}
	ui_done(r->d->ui, t->host->name, "release command done");
	return 0;
}
