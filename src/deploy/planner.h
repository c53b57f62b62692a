/* SPDX-License-Identifier: MIT */
/* What the parts of the planner share. */
#pragma once

#include "deploy/plan.h"

/* A step at the end of the plan; borrowed until the next one is added. */
struct plan_step *plan_add(
	struct plan *p, enum plan_phase phase, enum plan_step_kind kind, size_t host);
struct plan_step *plan_add_named(struct plan *p, enum plan_phase phase, enum plan_step_kind kind,
	size_t host, const char *name);

bool plan_runs_role(const struct plan_host *h, const struct config_role *role);
bool plan_is_app(const struct plan_container *c);
/*
 * Does it run, as this role, what is release `runs` on this host?  Histories that grew apart may
 * have two releases of one number.
 */
bool plan_is_of(const struct history *history, const char *host, const struct plan_container *c,
	long runs, const char *role);
const struct plan_container *plan_by_name(const struct plan_host *h, const char *name);
bool plan_same_names(const struct strvec *a, const struct strvec *b);
/* The role whose traffic goes through the proxy of this host, or NULL. */
const struct config_role *plan_proxied_role(const struct config *c, const struct plan_host *h);
/* Does the request's --roles choose it? */
bool plan_role_selected(const struct plan_request *req, const struct config_role *role);
/* Adds the removals of one host; what `p` makes live, or (p->number 0) what is live, stays. */
void plan_prune_host(const struct plan_request *req, struct plan *p, size_t index);
