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
/* Jobs of cron run once over all hosts of their role: on the first one, whatever --hosts says. */
bool plan_is_cron_host(const struct config_role *role, const struct plan_host *h);
/* How many containers a host ran of a release: as its manifest said, or as is seen anywhere. 0: the
 * role was not there yet. */
int plan_replicas_of(const struct plan_request *req, const char *host,
	const struct config_role *role, long runs);
/* What is missing is made. */
void plan_networks(struct plan *p, size_t index, const struct plan_host *h);
/* Adds the backups that release.snapshot asks for. */
void plan_snapshots(const struct plan_request *req, struct plan *p);
/* Does the request's --roles choose it? */
bool plan_role_selected(const struct plan_request *req, const struct config_role *role);
/* Adds the removals of one host; what `p` makes live, or (p->number 0) what is live, stays. */
void plan_prune_host(const struct plan_request *req, struct plan *p, size_t index);

/* -- plan_role.c -- */

/* The steps that a push or a rollback takes for a role on a host. */
ERROR_CHECKED int plan_role(const struct plan_request *req, struct plan *p, size_t index,
	const struct config_role *role, struct error *err);

/* -- plan_batches.c -- */

/* 0 up to the first of what a batch does, 1 for that, 2 for what comes once again for all. */
int plan_stage(const struct plan_step *s);
/* Divides the steps of stage 1 among batches, and adds the watch and the pause between them. */
void plan_batches(const struct plan_request *req, struct plan *p);

/* -- plan_schedule.c -- */

/* The step that lets cron on a host run what it has to once the other steps of `p` are done. */
void plan_schedule(const struct plan_request *req, struct plan *p, size_t index);
/* The jobs that are live on a host, as the history says. */
void plan_scheduled(const struct plan_request *req, const struct history *history,
	const struct plan_host *h, struct strvec *names);
