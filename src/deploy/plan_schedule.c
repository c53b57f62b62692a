/* SPDX-License-Identifier: MIT */
/* What cron on a server has to start: the jobs of the live release. */
#include "planner.h"

#include <stdlib.h>
#include <string.h>

static bool is_live(
	const struct history *history, const struct plan_host *h, const struct plan_container *c)
{
	return c->cron &&
	       plan_is_of(history, h->name, c, history_serving(history, h->name, c->role), c->role);
}

/* Does the host that the manifest gives the role's jobs have this one too?  Then it runs there. */
static bool runs_elsewhere(const struct plan_request *req, const struct history *history,
	const struct plan_host *h, const struct plan_container *c)
{
	VEC_FOREACH (&req->config->roles, i) {
		const struct config_role *role = &req->config->roles.p[i];
		if (!str_eq(role->name, c->role) || plan_is_cron_host(role, h)) {
			continue;
		}
		for (size_t j = 0; j < req->hosts->len; j++) {
			const struct plan_host *other = &req->hosts->p[j];
			for (size_t k = 0;
				plan_is_cron_host(role, other) && k < other->containers.len; k++) {
				const struct plan_container *same = &other->containers.p[k];
				if (same->replica == c->replica && str_eq(same->role, c->role) &&
					is_live(history, other, same)) {
					return true;
				}
			}
		}
	}
	return false;
}

void plan_scheduled(const struct plan_request *req, const struct history *history,
	const struct plan_host *h, struct strvec *names)
{
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		if (is_live(history, h, c) && !runs_elsewhere(req, history, h, c)) {
			strvec_push(names, c->name);
		}
	}
}

/* Does this push or rollback decide what runs as the role here? */
static bool is_moved(const struct plan_request *req, const char *name)
{
	const struct config_role *role = config_role_named(req->config, name);
	if (role) {
		return plan_role_selected(req, role);
	}
	return !req->roles || req->roles->len == 0; /* the manifest has it no more */
}

/* What roles that --roles leaves out have there stays. */
static void add_staying(
	const struct plan_request *req, const struct plan_host *h, struct strvec *names)
{
	CLEANUP_STRVEC struct strvec live = {0};
	plan_scheduled(req, req->history, h, &live);
	VEC_FOREACH (&live, i) {
		if (!is_moved(req, plan_by_name(h, live.p[i])->role)) {
			strvec_push(names, live.p[i]);
		}
	}
}

/* Jobs of a rollback that are there already. */
static void add_kept(const struct plan_request *req, const struct plan_host *h,
	const struct config_role *role, struct strvec *names)
{
	long runs = history_runs(req->history, req->back_to, h->name, role->name);
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		if (c->cron && plan_is_of(req->history, h->name, c, runs, role->name)) {
			strvec_push(names, c->name);
		}
	}
}

static void add_made(const struct plan *p, size_t index, struct strvec *names)
{
	VEC_FOREACH (&p->steps, i) {
		const struct plan_step *s = &p->steps.p[i];
		bool job = s->kind == STEP_PREPARE ? s->role->crons.len > 0 : s->stands;
		if (s->host == index && job) {
			strvec_push(names, s->name);
		}
	}
}

void plan_schedule(const struct plan_request *req, struct plan *p, size_t index)
{
	const struct plan_host *h = &req->hosts->p[index];
	struct strvec names = {0};
	add_staying(req, h, &names);
	VEC_FOREACH (&req->config->roles, i) {
		const struct config_role *role = &req->config->roles.p[i];
		if (req->back_to && plan_is_cron_host(role, h) && plan_role_selected(req, role)) {
			add_kept(req, h, role, &names);
		}
	}
	add_made(p, index, &names);
	if (plan_same_names(&names, &h->schedule)) {
		strvec_fini(&names);
		return;
	}
	plan_add(p, PLAN_REPLACE, STEP_SCHEDULE, index)->names = names;
}
