/* SPDX-License-Identifier: MIT */
/* Doing what plan_mend() found: under the lock, before anything new begins. */
#include "deploy/container.h"
#include "deploy/record.h"
#include "run.h"
#include "state.h"

#include "util/clock.h"

#include <stdlib.h>

/* A container that is in the way is stopped with the grace of its role, or this. */
#define STOP_S 10

static int route(struct run *r, struct target *t, const struct plan_step *s, struct error *err)
{
	if (s->names.len == 0) {
		return proxy_remove_service(t->seen.proxy, err);
	}
	struct run_target *rt = run_target_of(r, t);
	const struct release *serves = history_find_on(&r->d->history, s->number, t->address->name);
	if (traffic_service(r, t, err) < 0) {
		return -1;
	}
	const char *snippet = target_proxy(r->d, t)->snippet;
	if (snippet) {
		rt->service.snippet = snippet_get(r, serves ? serves->commit : NULL, snippet);
	}
	rt->service.release = serves ? serves->version : NULL;
	strvec_fini(&rt->service.live);
	strvec_copy(&rt->service.live, &s->names);
	return proxy_switch(t->seen.proxy, &rt->service, err) < 0 ? -1
								  : proxy_prune(t->seen.proxy, err);
}

/* An interrupted switch may have sent requests there, which are not done yet. */
static void drain(struct target *t, const char *name)
{
	CLEANUP_STRVEC struct strvec names = {0};
	struct error ignored = {0};
	int left;
	strvec_push(&names, name);
	if (t->seen.proxy && target_proxy_runs(t) &&
		proxy_drain(t->seen.proxy, &names, STOP_S * 1000, &left, &ignored) < 0) {
		ui_debug(t->host->ui, t->host->name, "drain: %s", ignored.text);
	}
}

static int mend_step(struct run *r, struct target *t, const struct plan_step *s, struct error *err)
{
	struct docker *docker = t->host->docker;
	if (s->kind == STEP_ROUTES) {
		return route(r, t, s, err);
	}
	if (s->kind == STEP_START) {
		return container_start(docker, s->name, err) < 0
			       ? -1
			       : container_keep_up(docker, s->name, err);
	}
	if (s->kind == STEP_SCHEDULE) {
		return schedule_apply(r, t, s, err);
	}
	int grace_s = s->role ? s->role->stop_timeout_ms / 1000 : STOP_S;
	drain(t, s->name);
	/* With grace also what is removed: it may be a migration that lost its tool. */
	if (container_retire(docker, s->name, grace_s, err) < 0 || s->kind == STEP_STOP) {
		return err->kind == ERROR_NONE ? 0 : -1;
	}
	return docker_container_remove(docker, s->name, true, true, err);
}

static int mend_target(struct deployment *d, struct target *t, void *run, struct error *err)
{
	(void)d;
	return run_steps(run, t, PLAN_MEND, mend_step, err);
}

/* Of the releases that serve; one that is not here stays as the proxy has it. */
static void read_snippets(struct run *r)
{
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		if (s->phase != PLAN_MEND || s->kind != STEP_ROUTES || s->names.len == 0) {
			continue;
		}
		const struct target *t = &r->d->targets[s->host];
		const char *snippet = target_proxy(r->d, t)->snippet;
		const struct release *serves =
			history_find_on(&r->d->history, s->number, t->address->name);
		if (snippet && !snippet_load(r, serves ? serves->commit : NULL, snippet)) {
			ui_debug(r->d->ui, t->host->name, "no proxy.snippet of release %ld",
				s->number);
		}
	}
}

int mend_steps(struct run *r, struct error *err)
{
	read_snippets(r);
	return deployment_each(r->d, mend_target, r, err);
}

static int look_again(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	(void)ctx;
	return observe(d, t, false, err);
}

static const struct release *pending(const struct history *h, long number)
{
	for (size_t i = 0; i < h->len; i++) {
		if (h->p[i].number == number && h->p[i].outcome == RELEASE_PENDING) {
			return &h->p[i];
		}
	}
	return NULL;
}

/* The ends go on record last: until then the next command finds the same work to do. */
static int record_ends(struct run *r, struct error *err)
{
	bool any = false;
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		const struct release *found = pending(&r->d->history, s->number);
		if (s->kind != STEP_END || !found) {
			continue;
		}
		struct release ended;
		release_copy(&ended, found);
		ended.outcome = s->outcome;
		ended.finished_ms = clock_wall_ms();
		ended.recovered = true;
		free(ended.error);
		ended.error =
			s->outcome == RELEASE_LIVE
				? NULL
				: xasprintf("its tool ended before it was done; undone by '%s'",
					  r->d->command);
		history_put(&r->d->history, &ended);
		release_fini(&ended);
		any = true;
	}
	return any ? record_release(r->d, NULL, NULL, err) : 0;
}

static void tell(const struct plan *plan, const struct plan_hosts *hosts, struct ui *ui)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	plan_text(plan, hosts, &text);
	if (plan->steps.len > 0) {
		ui_warn(ui, NULL, "found something to mend:\n%s", str_c(&text));
	} else if (plan->notes.len > 0) {
		ui_warn(ui, NULL, "%s", str_c(&text));
	}
}

int mend(struct deployment *d, struct error *err)
{
	struct plan_hosts hosts = {0};
	struct plan plan;
	struct run run;
	plan_init(&plan);
	state_hosts(d, &hosts);
	struct plan_request req = {.config = d->config, .history = &d->history, .hosts = &hosts};
	int result = plan_mend(&req, &plan, err);
	tell(&plan, &hosts, d->ui);
	if (result == 0 && plan.steps.len > 0) {
		run_init(&run, d, &plan, &hosts);
		result = mend_steps(&run, err);
		if (result == 0) {
			result = record_ends(&run, err);
		}
		if (result == 0) {
			record_audit(d, "mended what an interrupted run left");
			result = deployment_each(d, look_again, NULL, err);
			observe_merge(d);
		}
		run_fini(&run);
	}
	plan_fini(&plan);
	plan_hosts_fini(&hosts);
	return result < 0 ? error_wrap(err, "mend") : 0;
}
