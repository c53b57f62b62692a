/* SPDX-License-Identifier: MIT */
#include "deploy/plan.h"
#include "util/clock.h"

#include <string.h>

static const char *const phase_names[PLAN_PHASES] = {
	[PLAN_MEND] = "mend",
	[PLAN_BUILD] = "build",
	[PLAN_TRANSFER] = "transfer",
	[PLAN_BOOT] = "boot",
	[PLAN_RELEASE] = "release",
	[PLAN_START] = "start",
	[PLAN_WORKERS] = "workers",
	[PLAN_SCHEMA] = "schema",
	[PLAN_SWITCH] = "switch",
	[PLAN_REPLACE] = "replace",
	[PLAN_WATCH] = "watch",
	[PLAN_RECORD] = "record",
	[PLAN_RETIRE] = "retire",
	[PLAN_PRUNE] = "prune",
};

const char *plan_phase_name(enum plan_phase p)
{
	return phase_names[p];
}

static const char *const kind_names[] = {
	[STEP_ROUTES] = "route",
	[STEP_START] = "start",
	[STEP_STOP] = "stop",
	[STEP_REMOVE] = "remove",
	[STEP_END] = "end",
	[STEP_BUILD] = "build",
	[STEP_TRANSFER] = "transfer",
	[STEP_NETWORK] = "network",
	[STEP_PROXY] = "proxy",
	[STEP_ACCESSORY] = "accessory",
	[STEP_BACKUPS] = "backups",
	[STEP_SNAPSHOT] = "snapshot",
	[STEP_COMMAND] = "command",
	[STEP_UNDO] = "undo",
	[STEP_CREATE] = "create",
	[STEP_PREPARE] = "prepare",
	[STEP_LAUNCH] = "launch",
	[STEP_REVIVE] = "revive",
	[STEP_CLONE] = "clone",
	[STEP_SWITCH] = "switch",
	[STEP_SCHEDULE] = "schedule",
	[STEP_WATCH] = "watch",
	[STEP_WAIT] = "wait",
	[STEP_RECORD] = "record",
	[STEP_RETIRE] = "retire",
	[STEP_REMOVE_IMAGE] = "remove-image",
};

static void add_names(const struct strvec *names, struct str *out)
{
	if (names->len == 0) {
		str_add(out, "nothing");
	}
	VEC_FOREACH (names, i) {
		str_addf(out, "%s%s", i ? ", " : "", names->p[i]);
	}
}

void plan_step_text(const struct plan_step *s, struct str *out)
{
	char took[CLOCK_RFC3339_SIZE];
	switch (s->kind) {
	case STEP_ROUTES:
	case STEP_SWITCH:
		str_add(out, "send the traffic to ");
		add_names(&s->names, out);
		break;
	case STEP_START:
	case STEP_REVIVE:
		str_addf(out, "start %s again", s->name);
		break;
	case STEP_STOP:
		str_addf(out, "stop %s (kept)", s->name);
		break;
	case STEP_REMOVE:
		str_addf(out, "remove container %s", s->name);
		break;
	case STEP_END:
		str_addf(out, "put on record that release %ld %s", s->number,
			s->outcome == RELEASE_LIVE ? "is live" : "was interrupted");
		break;
	case STEP_BUILD:
		str_addf(out, "build %s", s->name);
		break;
	case STEP_TRANSFER:
		str_addf(out, "bring image %s", s->name);
		break;
	case STEP_NETWORK:
		str_addf(out, "create network %s", s->name);
		break;
	case STEP_PROXY:
		str_addf(out, "boot the %s proxy", s->name);
		break;
	case STEP_ACCESSORY:
		str_addf(out, "boot accessory %s and wait until it is healthy", s->name);
		break;
	case STEP_BACKUPS:
		str_addf(out,
			s->accessory ? "let cron back up accessory %s"
				     : "let cron back up accessory %s no more",
			s->name);
		break;
	case STEP_SNAPSHOT:
		str_addf(out, "back up accessory %s", s->name);
		break;
	case STEP_COMMAND:
		str_addf(out, "run the release command: %s", s->name);
		break;
	case STEP_UNDO:
		str_addf(out, "run the rollback command of release %ld: %s", s->number, s->name);
		break;
	case STEP_PREPARE:
		str_addf(out, "make %s ready, not started yet", s->name);
		break;
	case STEP_CREATE:
	case STEP_LAUNCH:
	case STEP_CLONE:
		str_addf(out,
			s->stands ? "make %s ready, not started yet"
				  : "start %s and wait until it is healthy",
			s->name);
		break;
	case STEP_SCHEDULE:
		str_add(out, "let cron run ");
		add_names(&s->names, out);
		break;
	case STEP_WATCH:
		str_addf(out, "watch the new containers for %s", clock_duration(s->number, took));
		break;
	case STEP_WAIT:
		str_addf(out, "wait for %s", clock_duration(s->number, took));
		break;
	case STEP_RECORD:
		str_addf(out, "put release %ld on record", s->number);
		break;
	case STEP_RETIRE:
		str_addf(out, "%s%s%s (kept for rollback)",
			s->role && !s->role->proxied ? "stop " : "wait for the requests of ",
			s->name, s->role && !s->role->proxied ? "" : ", stop it");
		break;
	case STEP_REMOVE_IMAGE:
		str_addf(out, "remove image %.19s", s->name);
		break;
	}
	if (s->note) {
		str_addf(out, " (%s)", s->note);
	}
}

void plan_batch_text(const struct plan *p, size_t batch, struct str *out)
{
	if (p->canary) {
		str_addf(out, "%s (batch %zu of %zu)", batch == 1 ? "the canary" : "the rest",
			batch, p->batches);
	} else {
		str_addf(out, "batch %zu of %zu", batch, p->batches);
	}
}

void plan_text(const struct plan *p, const struct plan_hosts *hosts, struct str *out)
{
	VEC_FOREACH (&p->notes, i) {
		str_addf(out, "note: %s\n", p->notes.p[i]);
	}
	VEC_FOREACH (&p->steps, i) {
		const struct plan_step *s = &p->steps.p[i];
		const struct plan_step *before = i > 0 ? s - 1 : NULL;
		if (!before || s->phase != before->phase || s->batch != before->batch) {
			if (s->batch > 0) {
				plan_batch_text(p, s->batch, out);
				str_add(out, ": ");
			}
			str_addf(out, "%s\n", plan_phase_name(s->phase));
		}
		str_add(out, "  ");
		if (s->host != PLAN_NO_HOST) {
			str_addf(out, "%s: ", hosts->p[s->host].name);
		}
		plan_step_text(s, out);
		str_addc(out, '\n');
	}
	if (p->nothing) {
		str_addf(out, "%s is live already on every host: nothing to deploy\n", p->version);
	}
}

static json_t *step_json(const struct plan_step *s, const struct plan_hosts *hosts)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);
	plan_step_text(s, &text);
	json_t *j = json_pack("{s:s, s:s, s:s?, s:s?, s:s}", "phase", plan_phase_name(s->phase),
		"step", kind_names[s->kind], "host",
		s->host == PLAN_NO_HOST ? NULL : hosts->p[s->host].name, "name", s->name, "text",
		str_c(&text));
	if (s->batch > 0) {
		json_object_set_new(j, "batch", json_integer((json_int_t)s->batch));
	}
	if (s->names.len > 0) {
		json_t *names = json_array();
		VEC_FOREACH (&s->names, i) {
			json_array_append_new(names, json_string(s->names.p[i]));
		}
		json_object_set_new(j, "names", names);
	}
	return j;
}

json_t *plan_json(const struct plan *p, const struct plan_hosts *hosts)
{
	json_t *steps = json_array();
	json_t *notes = json_array();
	VEC_FOREACH (&p->steps, i) {
		json_array_append_new(steps, step_json(&p->steps.p[i], hosts));
	}
	VEC_FOREACH (&p->notes, i) {
		json_array_append_new(notes, json_string(p->notes.p[i]));
	}
	return json_pack("{s:s, s:I, s:s?, s:b, s:o, s:o}", "result", "plan", "release",
		(json_int_t)p->number, "version", p->version, "nothing", p->nothing, "notes", notes,
		"steps", steps);
}
