/* SPDX-License-Identifier: MIT */
/* The steps of a push or a rollback, on hosts with nothing to mend; those of a role on a host are
 * plan_role.c. */
#include "deploy/names.h"
#include "planner.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Containers of roles that the manifest does not put on this host any more. */
static void plan_retire_gone(const struct plan_request *req, struct plan *p, size_t index)
{
	const struct plan_host *h = &req->hosts->p[index];
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		bool here = false;
		VEC_FOREACH (&req->config->roles, j) {
			const struct config_role *role = &req->config->roles.p[j];
			here = here || (str_eq(role->name, c->role) && plan_runs_role(h, role));
		}
		if (plan_is_app(c) && c->running && !c->cron && !here) {
			struct plan_step *s =
				plan_add_named(p, PLAN_RETIRE, STEP_RETIRE, index, c->name);
			s->number = c->release;
			s->note = xasprintf("role '%s' is not on this host any more", c->role);
		}
	}
}

static void plan_boot(const struct plan_request *req, struct plan *p, size_t index)
{
	const struct plan_host *h = &req->hosts->p[index];
	plan_networks(p, index, h);
	if (plan_proxied_role(req->config, h) && !h->proxy_running) {
		plan_add_named(p, PLAN_BOOT, STEP_PROXY, index, req->config->proxy.driver);
	}
}

/* Is this very release what every host runs and serves? */
static bool role_is_live(const struct plan_request *req, const struct plan_host *h,
	const struct config_role *role, const struct release *live)
{
	CLEANUP_STRVEC struct strvec names = {0};
	bool cron = role->crons.len > 0;
	plan_serving(req->history, h, role, live->runs, &names);
	if (names.len != (size_t)config_role_containers(role)) {
		return false;
	}
	VEC_FOREACH (&names, i) {
		const struct plan_container *c = plan_by_name(h, names.p[i]);
		if (!c || (cron ? !strvec_has(&h->schedule, c->name) : !c->running) ||
			!str_eq(c->digest, strmap_get(&h->digests, role->name)) ||
			(req->image_id && !str_eq(c->image_id, req->image_id))) {
			return false;
		}
	}
	return !role->proxied || (plan_same_names(&names, &h->routes) && h->proxy_running);
}

/* The same containers behind a proxy with other settings, or with a renewed certificate. */
static void plan_settings(const struct plan_request *req, struct plan *p)
{
	VEC_FOREACH (req->hosts, i) {
		const struct plan_host *h = &req->hosts->p[i];
		const struct config_role *role = plan_proxied_role(req->config, h);
		if (!h->selected || !h->routes_differ || !role || !plan_role_selected(req, role)) {
			continue;
		}
		struct plan_step *s = plan_add(p, PLAN_MEND, STEP_ROUTES, i);
		strvec_copy(&s->names, &h->routes);
		s->role = role;
		s->number = history_serving(req->history, h->name, role->name);
		s->note = xstrdup("with the proxy's new settings or certificate");
	}
}

static bool is_live_already(const struct plan_request *req)
{
	bool any = false;
	VEC_FOREACH (req->hosts, i) {
		const struct plan_host *h = &req->hosts->p[i];
		VEC_FOREACH (&req->config->roles, j) {
			const struct config_role *role = &req->config->roles.p[j];
			if (!h->selected || !plan_runs_role(h, role) ||
				!plan_role_selected(req, role) ||
				(role->crons.len > 0 && !plan_is_cron_host(role, h))) {
				continue;
			}
			const struct release *live = history_find_on(req->history,
				history_serving(req->history, h->name, role->name), h->name);
			if (!live || !str_eq(live->version, req->version) ||
				!role_is_live(req, h, role, live)) {
				return false;
			}
			any = true;
		}
	}
	return any;
}

void plan_schema_notes(const struct plan_request *req, struct strvec *notes)
{
	const struct release *to = req->back_to, *left = req->left;
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_REPLY);
	if (left && left->number > to->number) {
		history_schema_text(req->history, to->number, LONG_MAX,
			req->undo ? left->number : 0, SCHEMA_MOVED, &text);
	}
	if (text.len > 0) {
		strvec_pushf(notes, "schema %s: %s",
			req->undo ? "stays moved on, after the rollback command too" : "moved on",
			str_c(&text));
	}
	str_reset(&text);
	if (left && left->number < to->number) {
		history_schema_text(req->history, left->number, to->number, 0, SCHEMA_BACK, &text);
	}
	if (text.len > 0) {
		strvec_pushf(notes,
			"schema is behind: %s, and a rollback took it back (deploy push runs it)",
			str_c(&text));
	}
}

static void note_roles_gone(const struct plan_request *req, struct plan *p)
{
	const char *name;
	json_t *ignored;
	json_object_foreach(json_object_get(req->back_to->config, "servers"), name, ignored)
	{
		if (!config_role_named(req->config, name)) {
			strvec_pushf(&p->notes,
				"role '%s' of release %ld is not in the manifest any more: it does "
				"not "
				"come back",
				name, req->back_to->number);
		}
	}
}

static void plan_once(const struct plan_request *req, struct plan *p)
{
	if (req->back_to) {
		note_roles_gone(req, p);
		plan_schema_notes(req, &p->notes);
		if (req->undo) {
			plan_add_named(p, PLAN_SCHEMA, STEP_UNDO, PLAN_NO_HOST, req->undo)->number =
				req->left->number;
		}
		return;
	}
	CLEANUP_FREE char *image = names_image(req->config, req->version);
	plan_add_named(p, PLAN_BUILD, STEP_BUILD, PLAN_NO_HOST, image);
	plan_snapshots(req, p);
	if (req->config->release.command) {
		plan_add_named(
			p, PLAN_RELEASE, STEP_COMMAND, PLAN_NO_HOST, req->config->release.command);
	}
}

static int plan_one_host(
	const struct plan_request *req, struct plan *p, size_t index, struct error *err)
{
	const struct plan_host *h = &req->hosts->p[index];
	if (!req->back_to) {
		CLEANUP_FREE char *image = names_image(req->config, req->version);
		plan_add_named(p, PLAN_TRANSFER, STEP_TRANSFER, index, image);
	}
	plan_boot(req, p, index);
	VEC_FOREACH (&req->config->roles, j) {
		const struct config_role *role = &req->config->roles.p[j];
		if (plan_runs_role(h, role) && plan_role_selected(req, role) &&
			plan_role(req, p, index, role, err) < 0) {
			return -1;
		}
	}
	if (!req->roles || req->roles->len == 0) {
		plan_retire_gone(req, p, index);
	}
	plan_schedule(req, p, index);
	plan_prune_host(req, p, index);
	return 0;
}

static int by_phase(const void *a, const void *b)
{
	const struct plan_step *x = a, *y = b;
	if (plan_stage(x) != plan_stage(y)) {
		return plan_stage(x) < plan_stage(y) ? -1 : 1;
	}
	if (x->batch != y->batch) {
		return x->batch < y->batch ? -1 : 1;
	}
	if (x->phase != y->phase) {
		return x->phase < y->phase ? -1 : 1;
	}
	/* Within a phase in order of hosts; qsort is not stable, so kinds and names decide too. */
	if (x->host != y->host) {
		return x->host < y->host ? -1 : 1;
	}
	if (x->kind != y->kind) {
		return x->kind < y->kind ? -1 : 1;
	}
	return strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

static int check_external(const struct plan_request *req, struct error *err)
{
	VEC_FOREACH (req->hosts, i) {
		const struct plan_host *h = &req->hosts->p[i];
		VEC_FOREACH (&h->networks_missing, j) {
			const struct config_network *n = h->networks_missing.p[j];
			if (n->external) {
				error_set(err, ERROR_REMOTE,
					"%s: there is no network '%s', and it is external: others "
					"make it",
					h->name, n->name);
				return error_hint(err, "docker network create %s", n->name);
			}
		}
	}
	return 0;
}

int plan_release(const struct plan_request *req, struct plan *p, struct error *err)
{
	if (check_external(req, err) < 0) {
		return -1;
	}
	p->number = history_next_number(req->history);
	free(p->version);
	p->version = xstrdup(req->back_to ? req->back_to->version : req->version);
	if (!req->back_to) {
		plan_accessories(req, p, true);
	}
	if (!req->back_to && !req->force && is_live_already(req)) {
		p->nothing = true;
		plan_settings(req, p);
		return 0;
	}
	plan_once(req, p);
	VEC_FOREACH (req->hosts, i) {
		if (req->hosts->p[i].selected && plan_one_host(req, p, i, err) < 0) {
			return -1;
		}
	}
	if (req->config->rollout.rolling && !req->back_to) {
		plan_batches(req, p);
	}
	plan_add(p, PLAN_RECORD, STEP_RECORD, PLAN_NO_HOST)->number = p->number;
	qsort(p->steps.p, p->steps.len, sizeof(*p->steps.p), by_phase);
	return 0;
}
