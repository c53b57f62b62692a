/* SPDX-License-Identifier: MIT */
/*
 * The strategies rolling and canary: which containers a batch changes, and which ones have the
 * traffic then.  A rollback is in a hurry: it is never in batches.
 */
#include "planner.h"

#include <limits.h>

int plan_stage(const struct plan_step *s)
{
	return s->phase < PLAN_START ? 0 : s->phase < PLAN_RECORD ? 1 : 2;
}

/* How many containers a host has of the role that has most, and whether they change together. */
static int replicas_on(const struct plan_request *req, const struct plan_host *h, bool *together)
{
	int most = 1;
	*together = false;
	VEC_FOREACH (&req->config->roles, i) {
		const struct config_role *role = &req->config->roles.p[i];
		if (!plan_runs_role(h, role) || !plan_role_selected(req, role)) {
			continue;
		}
		if (role->replicas > most) {
			most = role->replicas;
		}
		if (role->proxied) {
			*together = !h->routes_mix || h->routes.len != (size_t)role->replicas;
		}
	}
	return most;
}

/* Fills batches with `parallelism` containers each; those that change together may be more.  After
 * a canary there is one more batch, for all others. */
static void share_out(const struct plan_request *req, struct plan *p)
{
	int size = req->config->rollout.parallelism, room = 0;
	VEC_FOREACH (req->hosts, i) {
		bool together;
		if (!req->hosts->p[i].selected) {
			continue;
		}
		int of = replicas_on(req, &req->hosts->p[i], &together);
		for (int first = 1, n; first <= of; first += n) {
			if (room == 0 || (together && room < of && room < size)) {
				size = p->canary && p->batches > 0 ? INT_MAX : size;
				p->batches++;
				room = size;
			}
			n = of - first + 1;
			n = together || n < room ? n : room;
			room = n < room ? room - n : 0;
			struct plan_share share = {.batch = p->batches,
				.host = i,
				.first = first,
				.last = first + n - 1,
				.of = of};
			vec_push(&p->shares, share);
		}
	}
}

/* Where the canary is not what the manifest asks for. */
static void note_canary(const struct plan_request *req, struct plan *p)
{
	int wanted = req->config->rollout.parallelism, n = 0;
	VEC_FOREACH (&p->shares, i) {
		const struct plan_share *share = &p->shares.p[i];
		n += share->batch == 1 ? share->last - share->first + 1 : 0;
	}
	if (p->batches == 1) {
		strvec_pushf(&p->notes,
			"the canary is the whole release: while it is watched no old container "
			"serves beside it");
	} else if (n != wanted) {
		strvec_pushf(&p->notes,
			"the canary is %d container%s, not %d: replicas of a host change together "
			"on a first push, and where their number or app_port changes",
			n, n == 1 ? "" : "s", wanted);
	}
}

/* Of a step of stage 1: what starts beside the old ones goes one by one, all else comes last. */
static size_t batch_of(const struct plan *p, const struct plan_step *s)
{
	size_t batch = 0;
	VEC_FOREACH (&p->shares, i) {
		const struct plan_share *share = &p->shares.p[i];
		if (share->host == s->host) {
			batch = share->batch;
			if (s->kind == STEP_CREATE && s->replica <= share->last) {
				break;
			}
		}
	}
	return batch;
}

/* Until the last container is there the traffic goes to the first new and the other old ones. */
static void switch_in_turn(const struct plan_request *req, struct plan *p, size_t index)
{
	const size_t host = p->steps.p[index].host;
	const struct strvec *old = &req->hosts->p[host].routes;
	VEC_FOREACH (&p->shares, i) {
		const struct plan_share *share = &p->shares.p[i];
		if (share->host != host) {
			continue;
		}
		if ((size_t)share->last >= p->steps.p[index].names.len) {
			p->steps.p[index].batch = share->batch;
			break;
		}
		struct plan_step *s = plan_add(p, PLAN_SWITCH, STEP_SWITCH, host);
		const struct plan_step *whole = &p->steps.p[index];
		s->batch = share->batch;
		s->role = whole->role;
		for (size_t k = 0; k < whole->names.len; k++) {
			strvec_push(
				&s->names, k < (size_t)share->last ? whole->names.p[k] : old->p[k]);
		}
	}
}

void plan_batches(const struct plan_request *req, struct plan *p)
{
	const struct config_rollout *rollout = &req->config->rollout;
	const size_t steps = p->steps.len;
	p->canary = rollout->canary;
	share_out(req, p);
	if (p->canary) {
		note_canary(req, p);
	}
	for (size_t i = 0; i < steps; i++) {
		if (p->steps.p[i].kind == STEP_SWITCH) {
			switch_in_turn(req, p, i);
		} else if (plan_stage(&p->steps.p[i]) == 1) {
			p->steps.p[i].batch = batch_of(p, &p->steps.p[i]);
		}
	}
	for (size_t i = 1; i <= p->batches; i++) {
		if (rollout->monitor_ms > 0) {
			struct plan_step *s = plan_add(p, PLAN_WATCH, STEP_WATCH, PLAN_NO_HOST);
			s->batch = i;
			s->number = rollout->monitor_ms;
		}
		if (rollout->delay_ms > 0 && i < p->batches) {
			struct plan_step *s = plan_add(p, PLAN_WATCH, STEP_WAIT, PLAN_NO_HOST);
			s->batch = i;
			s->number = rollout->delay_ms;
		}
	}
}
