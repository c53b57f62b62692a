/* SPDX-License-Identifier: MIT */
/* The schedule of a server follows the release: STEP_SCHEDULE, and its undoing. */
#include "cron.h"
#include "run.h"

/* The labels of a container that the crontab is to name: as seen, or as this run has made it. */
static int labels_of(struct run *r, struct target *t, const char *name, struct strmap *labels)
{
	const struct docker_container_entry *c = cron_container(t, name);
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		if (c || s->host == PLAN_NO_HOST || &r->d->targets[s->host] != t ||
			!str_eq(s->name, name)) {
			continue;
		}
		if (s->kind == STEP_CLONE) {
			c = cron_container(&r->d->targets[s->from_host], s->from);
		} else if (s->kind == STEP_PREPARE && s->role->crons.len > 0) {
			cron_labels(
				r->d->config, s->role, &s->role->crons.p[s->replica - 1], labels);
			return 0;
		}
	}
	if (!c || !cron_is_job(c)) {
		return -1;
	}
	strmap_copy(labels, &c->labels);
	return 0;
}

int schedule_apply(struct run *r, struct target *t, const struct plan_step *s, struct error *err)
{
	CLEANUP_STRVEC struct strvec lines = {0};
	VEC_FOREACH (&s->names, i) {
		struct strmap labels = {0};
		if (labels_of(r, t, s->names.p[i], &labels) < 0) {
			strmap_fini(&labels);
			return error_set(
				err, ERROR_INTERNAL, "'%s' has no schedule", s->names.p[i]);
		}
		CLEANUP_FREE char *line = cron_line(r->d, t, s->names.p[i], &labels);
		strvec_push(&lines, line);
		strmap_fini(&labels);
	}
	run_target_of(r, t)->scheduled = true;
	if (cron_write(r->d, t, &lines, err) < 0) {
		return -1;
	}
	ui_done(r->d->ui, t->host->name, "cron runs %zu job%s", lines.len,
		lines.len == 1 ? "" : "s");
	return 0;
}

int schedule_back(struct run *r, struct target *t, struct error *err)
{
	struct run_target *rt = run_target_of(r, t);
	if (!rt->scheduled) {
		return 0;
	}
	rt->scheduled = false;
	return cron_write(r->d, t, &t->seen.schedule_lines, err);
}
