/* SPDX-License-Identifier: MIT */
/*
 * Roles without proxy: what takes the place of an old one after the switch, and how what was begun
 * is taken back.  Nothing is killed at work: all of them are stopped with their stop_timeout.
 */
#include "deploy/container.h"
#include "run.h"
#include "util/thread.h"

#include <stdlib.h>
#include <string.h>

#define STOPS_AT_ONCE 8

/* Of the 2 s that Ctrl-C has to end in. */
#define HURRY_MS 700

/* -- Stopping several side by side -- */

struct stops {
	struct target *t;
	const struct strvec *names;
	const int *grace_s;
	struct error *errors;
};

static void stop_one(void *ctx, size_t i)
{
	struct stops *x = ctx;
	(void)!docker_container_stop(
		x->t->host->docker, x->names->p[i], x->grace_s[i], &x->errors[i]);
}

/* With the grace of each, in seconds; -1: its own. */
static int stop_all(
	struct target *t, const struct strvec *names, const int *grace_s, struct error *err)
{
	struct stops x = {.t = t, .names = names, .grace_s = grace_s};
	int result = 0;
	x.errors = xcalloc(names->len + 1, sizeof(*x.errors));
	pool_run(names->len, STOPS_AT_ONCE, stop_one, &x);
	VEC_FOREACH (names, i) {
		if (x.errors[i].kind != ERROR_NONE) {
			*err = x.errors[i];
			result = -1;
		}
	}
	free(x.errors);
	return result;
}

/* -- Stop-first -- */

/* They keep their restart policy: should the server go down now, the old ones come back. */
static int halt(struct run *r, struct target *t, struct error *err)
{
	struct run_target *rt = run_target_of(r, t);
	int *grace_s = xcalloc(r->plan->steps.len + 1, sizeof(*grace_s));
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		if (s->kind == STEP_STOP && run_is_due(r, t, s)) {
			ui_step(r->d->ui, t->host->name, "stopping %s", s->name);
			grace_s[rt->halted.len] = s->role->stop_timeout_ms / 1000;
			strvec_push(&rt->halted, s->name);
		}
	}
	int result = rt->halted.len > 0 ? stop_all(t, &rt->halted, grace_s, err) : 0;
	free(grace_s);
	return result;
}

/* The new ones are healthy: the old ones stay down from now on. */
static int retire_halted(struct run *r, struct target *t, struct error *err)
{
	struct run_target *rt = run_target_of(r, t);
	VEC_FOREACH (&rt->halted, i) {
		if (docker_container_update_restart(
			    t->host->docker, rt->halted.p[i], "unless-stopped", 0, err) < 0) {
			return -1;
		}
	}
	return 0;
}

static int schedule(struct run *r, struct target *t, const struct plan_step *s, struct error *err)
{
	return s->kind == STEP_SCHEDULE ? schedule_apply(r, t, s, err) : 0;
}

int workers_replace(struct deployment *d, struct target *t, void *run, struct error *err)
{
	struct run *r = run;
	(void)d;
	if (run_may_go_on(r, err) < 0 || halt(r, t, err) < 0) {
		run_abandon(r, t);
		return -1;
	}
	if (candidates_start(r, t, PLAN_REPLACE, err) < 0 || retire_halted(r, t, err) < 0) {
		return -1;
	}
	return run_steps(r, t, PLAN_REPLACE, schedule, err);
}

/* -- Taking it back -- */

/* Tells it to stop, without waiting long.  1: it has ended; 0: it is still at work. */
static int stop_in_a_hurry(struct docker *docker, const char *id, struct error *err)
{
	struct docker_container c = {0};
	if (docker_container_inspect(docker, id, &c, err) < 0) {
		return -1;
	}
	int result = -1, code;
	struct docker_wait *wait = docker_wait_open(docker, id, DOCKER_WAIT_NOT_RUNNING, err);
	if (wait &&
		docker_container_kill(docker, id,
			c.stop_signal && *c.stop_signal ? c.stop_signal : "SIGTERM", err) == 0) {
		result = docker_wait_next(wait, HURRY_MS, &code, err);
	}
	docker_wait_close(wait);
	docker_container_fini(&c);
	return result;
}

/* 1: all have ended; 0: some are still at work, which was told. */
static int end_all(struct run *r, struct target *t, const struct strvec *names, struct error *err)
{
	struct docker *docker = t->host->docker;
	bool hurry = r->release.outcome == RELEASE_INTERRUPTED;
	int *grace_s = xcalloc(names->len + 1, sizeof(*grace_s));
	int ended = 1;
	VEC_FOREACH (names, i) {
		grace_s[i] = -1;
		/* One that is being stopped must not come back by itself. */
		if (docker_container_update_restart(docker, names->p[i], "unless-stopped", 0, err) <
			0) {
			ended = -1;
		} else if (hurry) {
			int one = stop_in_a_hurry(docker, names->p[i], err);
			ended = one < ended ? one : ended;
		}
	}
	if (!hurry && ended == 1 && stop_all(t, names, grace_s, err) < 0) {
		ended = -1;
	}
	free(grace_s);
	if (ended == 0) {
		ui_warn(r->d->ui, t->host->name,
			"a new worker has not ended yet: the next command removes it");
	}
	return ended;
}

int workers_undo(struct run *r, struct target *t, struct error *err)
{
	struct run_target *rt = run_target_of(r, t);
	struct docker *docker = t->host->docker;
	if (schedule_back(r, t, err) < 0) {
		return -1;
	}
	int ended = end_all(r, t, &rt->workers, err);
	if (ended == 1) {
		ended = end_all(r, t, &rt->revived_workers, err);
	}
	/* There may be only one of them: the old one waits for the new one's end. */
	if (ended <= 0) {
		return ended;
	}
	VEC_FOREACH (&rt->halted, i) {
		if (container_start(docker, rt->halted.p[i], err) < 0 ||
			container_keep_up(docker, rt->halted.p[i], err) < 0) {
			return error_wrap(err, "start '%s' again", rt->halted.p[i]);
		}
	}
	/* Last: while it is there the next command knows what the old one stands still for. */
	VEC_FOREACH (&rt->workers, i) {
		if (docker_container_remove(docker, rt->workers.p[i], true, true, err) < 0) {
			return -1;
		}
	}
	return 0;
}
