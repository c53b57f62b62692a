/* SPDX-License-Identifier: MIT */
/*
 * The strategies rolling and canary: the phases that change a host are run for one batch of
 * containers after the other; a canary and the rest are two of them.  What they replace keeps
 * running until the last batch is done, so that to go back is what it is for all-at-once: the
 * traffic is sent back to containers that are up, and no request is lost.  A release is on a host
 * or is not: where one of its containers fails all of them go back.
 */
#include "deploy/hooks.h"
#include "run.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

struct rolling {
	struct run *r;
	const struct config_rollout *c;
	size_t hosts;       /* that the release is for: the first ones of the targets */
	size_t failed;      /* of these */
	bool paused;        /* too many */
	struct error first; /* the first failure */
};

static bool too_many(const struct rolling *x, size_t failed)
{
	/* 0.07 * 100 is a little more than 7 */
	return (double)failed > x->c->max_failure_ratio * (double)x->hosts + 1e-6;
}

static void stay(struct run *r, size_t target, const char *why)
{
	if (!r->targets[target].stays) {
		r->targets[target].stays = xstrdup(why);
	}
}

/* The targets that failed in the phase that has just ended are out. */
static void note_failures(struct rolling *x, const struct error *err)
{
	struct run *r = x->r;
	for (size_t i = r->first; i < r->end; i++) {
		const struct error *own = &r->d->targets[i].error;
		if (own->kind != ERROR_NONE && own->kind != ERROR_INTERRUPTED) {
			stay(r, i, own->text);
			x->failed++;
		}
	}
	if (x->first.kind == ERROR_NONE) {
		x->first = *err;
	}
}

static int take_back(struct deployment *d, struct target *t, void *run, struct error *err)
{
	struct run_target *rt = run_target_of(run, t);
	if (!rt->stays || rt->undone) {
		return 0;
	}
	return traffic_back(d, t, run, err) < 0 ? -1 : candidates_undo(d, t, run, err);
}

/* What a failure means.  -1: all of it goes back. */
static int bear(struct rolling *x, struct error *err)
{
	struct run *r = x->r;
	struct error gone = {0};
	if (err->kind == ERROR_INTERRUPTED) {
		return -1;
	}
	if (run_may_go_on(r, &gone) < 0) {
		*err = gone;
		return -1;
	}
	note_failures(x, err);
	bool beyond = too_many(x, x->failed);
	if (beyond && x->c->failure_action == CONFIG_FAILURE_ROLLBACK) {
		return -1;
	}
	run_phase_fail(r);
	ui_error(r->d->ui, err);
	if (beyond && x->c->failure_action == CONFIG_FAILURE_PAUSE) {
		x->paused = true;
		for (size_t i = r->first; i < x->hosts; i++) {
			stay(r, i, i < r->end ? "taken back with its batch" : "not begun");
		}
	}
	deployment_each_best_effort(r->d, "take it back", take_back, r);
	return 0;
}

static int monitor(struct run *r, struct error *err)
{
	return run_each(r, candidates_monitor, err);
}

/* What the batch changes on a target, where that is not all of it; else NULL. */
static const struct plan_share *part_of(const struct run *r, size_t target)
{
	VEC_FOREACH (&r->plan->shares, i) {
		const struct plan_share *share = &r->plan->shares.p[i];
		if (share->batch == r->batch && share->host == target) {
			return share->last - share->first + 1 < share->of ? share : NULL;
		}
	}
	return NULL;
}

static int settle_part(struct deployment *d, struct target *t, void *run, struct error *err)
{
	return part_of(run, (size_t)(t - d->targets)) ? traffic_settle(d, t, run, err) : 0;
}

static int settle_parts(struct run *r, struct error *err)
{
	return run_each(r, settle_part, err);
}

/* A switch comes after another one on the same host: each waits for its requests to end, since only
 * those of the last one can be told apart later. */
static int settle(struct run *r, struct error *err)
{
	for (size_t i = r->first; i < r->end; i++) {
		if (part_of(r, i) && run_in_hand(r, &r->d->targets[i])) {
			return run_phase(r, "drain", settle_parts, err);
		}
	}
	return 0;
}

static int watch(struct run *r, struct error *err)
{
	return r->d->config->rollout.monitor_ms > 0 ? run_phase(r, "watch", monitor, err) : 0;
}

/* "batch 2 of 5: h1 (replica 3 of 3), h2 (replica 1 of 3)"; "the canary (batch 1 of 2): h1" */
static void tell_batch(const struct rolling *x)
{
	const struct run *r = x->r;
	CLEANUP_STR struct str names = STR_INIT(STR_MAX_LINE);
	plan_batch_text(r->plan, r->batch, &names);
	for (size_t i = r->first; i < r->end; i++) {
		const struct plan_share *part = part_of(r, i);
		str_addf(
			&names, "%s%s", i > r->first ? ", " : ": ", r->d->targets[i].address->name);
		if (part && part->first < part->last) {
			str_addf(&names, " (replicas %d-%d of %d)", part->first, part->last,
				part->of);
		} else if (part) {
			str_addf(&names, " (replica %d of %d)", part->first, part->of);
		}
	}
	ui_info(r->d->ui, NULL, "%s", str_c(&names));
}

/* Those of its hosts that fail, and are borne, are left out of what comes after. */
static int move_batch(struct rolling *x, struct error *err)
{
	static int (*const phases[])(struct run * r, struct error * err) = {
		run_start, run_start_workers, run_switch, settle, run_replace, watch};
	tell_batch(x);
	for (size_t i = 0; !x->paused && i < sizeof(phases) / sizeof(phases[0]); i++) {
		struct error failed = {0};
		if (phases[i](x->r, &failed) < 0 && bear(x, &failed) < 0) {
			*err = failed;
			return -1;
		}
	}
	return 0;
}

static int wait_for_next(struct rolling *x, struct error *err)
{
	if (x->c->delay_ms > 0) {
		ui_info(x->r->d->ui, NULL, "%s comes in %d s",
			x->c->canary ? "the rest" : "the next batch", x->c->delay_ms / 1000);
		clock_sleep_ms(x->c->delay_ms);
	}
	return run_may_go_on(x->r, err);
}

/* "h1, h2" */
static void tell_not_whole(struct rolling *x)
{
	struct run *r = x->r;
	CLEANUP_STR struct str moved = STR_INIT(STR_MAX_LINE);
	for (size_t i = 0; i < x->hosts; i++) {
		if (!r->targets[i].stays) {
			str_addf(&moved, "%s%s", moved.len ? ", " : "",
				r->d->targets[i].address->name);
		}
	}
	error_set(&r->not_whole, ERROR_PARTIAL, "release %ld is live on %s only%s: %s",
		r->release.number, str_c(&moved), x->paused ? ", and paused" : "", x->first.text);
	(void)error_hint(
		&r->not_whole, "the next push or rollback brings all hosts to one release");
}

static void take_in_hand(struct run *r, size_t batch)
{
	r->batch = batch;
	r->first = r->end = 0;
	VEC_FOREACH (&r->plan->shares, i) {
		const struct plan_share *share = &r->plan->shares.p[i];
		if (share->batch == batch) {
			r->first = r->end ? r->first : share->host;
			r->end = share->host + 1;
		}
	}
}

static size_t stayed(const struct rolling *x)
{
	size_t n = 0;
	for (size_t i = 0; i < x->hosts; i++) {
		n += x->r->targets[i].stays != NULL;
	}
	return n;
}

int rolling_move(struct run *r, struct error *err)
{
	struct rolling x = {.r = r, .c = &r->d->config->rollout};
	while (x.hosts < r->d->n && r->d->targets[x.hosts].selected) {
		x.hosts++;
	}
	r->each_alone = x.c->failure_action == CONFIG_FAILURE_CONTINUE || !too_many(&x, 1);
	for (size_t batch = 1; batch <= r->plan->batches && !x.paused; batch++) {
		take_in_hand(r, batch);
		if ((batch > 1 && wait_for_next(&x, err) < 0) || move_batch(&x, err) < 0) {
			return -1;
		}
	}
	r->batch = 0;
	r->first = 0;
	r->end = r->d->n;
	if (stayed(&x) == x.hosts) {
		*err = x.first;
		return -1;
	}
	if (stayed(&x) > 0) {
		tell_not_whole(&x);
	}
	return hooks_run(r->d, "post-app-boot", &r->release, NULL, err);
}
