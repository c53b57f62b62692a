/* SPDX-License-Identifier: MIT */
/* app start, stop, restart, containers, version, maintenance, live. */
#include "cron.h"
#include "deploy/container.h"
#include "deploy/operations.h"
#include "deploy/record.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

/* Calls fn for each container of the live release on the target. */
typedef int container_fn(struct deployment *d, struct target *t,
	const struct docker_container_entry *c, struct error *err);

/* What becomes of the jobs of cron. */
enum jobs { JOBS_STAY, JOBS_RUN, JOBS_REST };

struct each_container {
	container_fn *fn;
	enum jobs jobs;
};

/* Live jobs of the chosen roles are scheduled, or not; other lines stay. */
static int set_jobs(struct deployment *d, struct target *t, bool run, struct error *err)
{
	CLEANUP_STRVEC struct strvec lines = {0};
	bool any = false;
	VEC_FOREACH (&t->seen.schedule_lines, i) {
		const struct docker_container_entry *c = cron_container(t, t->seen.schedule.p[i]);
		bool ours = c && container_is_chosen(d, c) && container_is_live(d, t, c);
		any = any || ours;
		if (!ours) {
			strvec_push(&lines, t->seen.schedule_lines.p[i]);
		}
	}
	VEC_FOREACH (&t->seen.containers, i) {
		const struct docker_container_entry *c = &t->seen.containers.p[i];
		if (run && cron_is_job(c) && container_is_chosen(d, c) &&
			container_is_live(d, t, c)) {
			CLEANUP_FREE char *line = cron_line(d, t, c->name, &c->labels);
			strvec_push(&lines, line);
			any = true;
		}
	}
	return t->selected && any ? cron_write(d, t, &lines, err) : 0;
}

static int on_target(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct each_container *e = ctx;
	VEC_FOREACH (&t->seen.containers, i) {
		const struct docker_container_entry *c = &t->seen.containers.p[i];
		if (t->selected && container_is_chosen(d, c) && container_is_live(d, t, c) &&
			!cron_is_job(c) && e->fn(d, t, c, err) < 0) {
			return error_wrap(err, "container '%s'", c->name);
		}
	}
	return e->jobs == JOBS_STAY ? 0 : set_jobs(d, t, e->jobs == JOBS_RUN, err);
}

static int on_live(
	struct deployment *d, const char *what, container_fn *fn, enum jobs jobs, struct error *err)
{
	int result = deployment_begin(d, err);
	if (result == 0) {
		const struct release *live = deployment_live(d);
		struct each_container e = {.fn = fn, .jobs = jobs};
		if (!live) {
			error_set(err, ERROR_USAGE, "no release is live");
			result = error_hint(err, "deploy push makes the first");
		} else {
			result = deployment_each(d, on_target, &e, err);
		}
	}
	if (result == 0) {
		record_audit(d, what);
	}
	deployment_end(d);
	return result;
}

static int start_one(struct deployment *d, struct target *t, const struct docker_container_entry *c,
	struct error *err)
{
	if (container_start(t->host->docker, c->name, err) < 0 ||
		container_keep_up(t->host->docker, c->name, err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name, "%s runs", c->name);
	return 0;
}

static int grace_s(const struct deployment *d, const struct docker_container_entry *c)
{
	const struct config_role *role =
		config_role_named(d->config, container_label(c, LABEL_ROLE));
	return role ? role->stop_timeout_ms / 1000 : -1;
}

static int stop_one(struct deployment *d, struct target *t, const struct docker_container_entry *c,
	struct error *err)
{
	if (container_retire(t->host->docker, c->name, grace_s(d, c), err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name, "%s stands still", c->name);
	return 0;
}

static int restart_one(struct deployment *d, struct target *t,
	const struct docker_container_entry *c, struct error *err)
{
	if (docker_container_restart(t->host->docker, c->name, grace_s(d, c), err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name, "%s restarted", c->name);
	return 0;
}

int operation_app_start(struct deployment *d, struct error *err)
{
	return on_live(d, "started the application", start_one, JOBS_RUN, err);
}

int operation_app_stop(struct deployment *d, struct error *err)
{
	return on_live(d, "stopped the application", stop_one, JOBS_REST, err);
}

int operation_app_restart(struct deployment *d, struct error *err)
{
	return on_live(d, "restarted the application", restart_one, JOBS_STAY, err);
}

static const char *container_state(
	struct deployment *d, const struct target *t, const struct docker_container_entry *c)
{
	if (!container_is_app(c, NULL)) {
		return "left over";
	}
	if (container_is_live(d, t, c)) {
		return observed_route(&t->seen, c->name) || !container_is_proxied(d, c)
			       ? "live"
			       : "live, not routed";
	}
	const struct release *r =
		history_find_id(&d->history, container_label(c, LABEL_RELEASE_ID));
	if (!r) {
		r = history_find_on(&d->history, container_release(c), t->address->name);
	}
	return r && release_was_good(r) ? "retired" : "left over";
}

int operation_app_containers(struct deployment *d, struct error *err)
{
	static const char *const headings[] = {
		"HOST", "CONTAINER", "ROLE", "RELEASE", "VERSION", "STATE", "STATUS"};
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	struct ui_table *table = ui_table_new(7, headings);
	ui_table_right(table, 3);
	for (size_t i = 0; i < d->n; i++) {
		const struct target *t = &d->targets[i];
		VEC_FOREACH (&t->seen.containers, j) {
			const struct docker_container_entry *c = &t->seen.containers.p[j];
			const char *state = container_state(d, t, c);
			if (!t->selected || !container_is_chosen(d, c) ||
				str_eq(container_label(c, LABEL_KIND), "accessory")) {
				continue;
			}
			ui_table_row(table,
				(const char *[]){t->host->name, c->name,
					container_label(c, LABEL_ROLE),
					container_label(c, LABEL_RELEASE),
					container_label(c, LABEL_VERSION), state, c->status});
			ui_json(d->ui,
				json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "result",
					"container", "host", t->host->name, "name", c->name, "id",
					c->id, "role", container_label(c, LABEL_ROLE), "release",
					(json_int_t)container_release(c), "version",
					container_label(c, LABEL_VERSION), "state", state, "status",
					c->status));
		}
	}
	ui_table_print(d->ui, table);
	ui_table_free(table);
	return 0;
}

int operation_app_version(struct deployment *d, struct error *err)
{
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	const struct release *live = deployment_live(d);
	if (!live) {
		error_set(err, ERROR_USAGE, "no release is live");
		return error_hint(err, "deploy push makes the first");
	}
	ui_print(d->ui, "%s", live->version);
	ui_json(d->ui, json_pack("{s:s, s:s, s:I}", "result", "version", "version", live->version,
			       "release", (json_int_t)live->number));
	return 0;
}

/* -- Maintenance -- */

struct maintenance {
	struct run run;
	bool on;
	const char *message;
};

static int set_maintenance(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct maintenance *m = ctx;
	if (!t->selected || !t->seen.proxy) {
		return 0;
	}
	struct proxy_service *service = &run_target_of(&m->run, t)->service;
	if (traffic_service(&m->run, t, err) < 0) {
		return -1;
	}
	const struct proxy_state *state = proxy_live(t->seen.proxy);
	service->maintenance = m->on;
	service->maintenance_message = m->message;
	service->release = state->release && *state->release ? state->release : NULL;
	strvec_fini(&service->live);
	strvec_copy(&service->live, &state->live);
	if (!state->present) {
		return error_set(err, ERROR_USAGE, "the proxy does not know the service yet");
	}
	/* The proxy's state is replaced by the switch, and the release's name stands in it. */
	CLEANUP_FREE char *release = xstrdup(service->release);
	service->release = release;
	if (proxy_switch(t->seen.proxy, service, err) < 0 || proxy_prune(t->seen.proxy, err) < 0) {
		return -1;
	}
	service->release = NULL;
	ui_done(d->ui, t->host->name, m->on ? "in maintenance" : "live again");
	return 0;
}

static int maintenance(struct deployment *d, bool on, const char *message, struct error *err)
{
	struct plan_hosts hosts = {0};
	struct plan plan;
	struct maintenance m = {.on = on, .message = message};
	int result = deployment_begin(d, err);
	if (result == 0) {
		plan_init(&plan);
		run_init(&m.run, d, &plan, &hosts);
		result = deployment_each(d, set_maintenance, &m, err);
		run_fini(&m.run);
		record_audit(d, on ? "maintenance on" : "maintenance off");
	}
	deployment_end(d);
	return result;
}

int operation_app_maintenance(struct deployment *d, const char *message, struct error *err)
{
	return maintenance(d, true, message, err);
}

int operation_app_live(struct deployment *d, struct error *err)
{
	return maintenance(d, false, NULL, err);
}
