/* SPDX-License-Identifier: MIT */
/* lock status, acquire, release; audit. */
#include "deploy/operations.h"
#include "deploy/record.h"
#include "internal.h"

#include "util/clock.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>

int operation_lock_status(struct deployment *d, struct error *err)
{
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	CLEANUP_FREE char *dir = names_state_dir(d->config);
	struct lock_owner o = {0};
	char since[CLOCK_RFC3339_SIZE];
	int held = lock_read(d->targets[d->lock_target].host, dir, &o, err);
	if (held == 0) {
		ui_print(d->ui, "free");
		ui_json(d->ui, json_pack("{s:s, s:b}", "result", "lock", "held", 0));
	} else if (held == 1) {
		ui_print(d->ui, "held by %s on %s since %s: '%s'%s%s%s", o.performer, o.host,
			clock_rfc3339(o.since_ms, since), o.command, o.message ? ": " : "",
			o.message ? o.message : "",
			o.dead ? " (its owner is gone; the next command takes it over)" : "");
		ui_json(d->ui, json_pack("{s:s, s:b, s:s, s:s, s:s, s:s?, s:s, s:b, s:I}", "result",
				       "lock", "held", 1, "performer", o.performer, "host", o.host,
				       "command", o.command, "message", o.message, "since",
				       clock_rfc3339(o.since_ms, since), "dead", o.dead, "silent_s",
				       (json_int_t)o.silent_s));
	}
	lock_owner_fini(&o);
	return held < 0 ? -1 : 0;
}

int operation_lock_acquire(struct deployment *d, const char *message, struct error *err)
{
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	CLEANUP_FREE char *dir = names_state_dir(d->config);
	struct lock_request req = {
		.host = d->targets[d->lock_target].host,
		.dir = dir,
		.performer = d->performer,
		.operator_host = d->operator_host,
		.command = d->command,
		.message = message,
		.manual = true,
		.wait_s = d->lock_wait_s,
	};
	struct lock *lock = lock_acquire(&req, err);
	if (!lock) {
		return -1;
	}
	lock_leave(lock);
	record_audit(d, "took the lock by hand");
	ui_print(d->ui, "locked; deploy lock release gives it back");
	ui_json(d->ui, json_pack("{s:s, s:b}", "result", "lock", "held", 1));
	return 0;
}

int operation_lock_release(struct deployment *d, struct error *err)
{
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	CLEANUP_FREE char *dir = names_state_dir(d->config);
	int was = lock_break(d->targets[d->lock_target].host, dir, err);
	if (was < 0) {
		return -1;
	}
	if (was) {
		record_audit(d, "released the lock by hand");
	}
	ui_print(d->ui, was ? "released" : "it was free");
	ui_json(d->ui, json_pack("{s:s, s:b, s:b}", "result", "lock", "held", 0, "was_held", was));
	return 0;
}

/* Lines of all hosts, each once: an action on several hosts stands on all of them. */
static void show_audit(struct deployment *d, const struct strvec *lines)
{
	VEC_FOREACH (lines, i) {
		struct error ignored = {0};
		if (i > 0 && str_eq(lines->p[i], lines->p[i - 1])) {
			continue;
		}
		json_t *j = json_parse(lines->p[i], strlen(lines->p[i]), "audit", &ignored);
		if (!j) {
			continue;
		}
		ui_print(d->ui, "%.19s  %s  %s (%s)", json_str_at(j, "time", "?"),
			json_str_at(j, "performer", "?"), json_str_at(j, "what", "?"),
			json_str_at(j, "command", "?"));
		json_object_set_new(j, "result", json_string("audit"));
		ui_json(d->ui, j);
	}
}

int operation_audit(struct deployment *d, long lines, struct error *err)
{
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	CLEANUP_STRVEC struct strvec all = {0};
	for (size_t i = 0; i < d->n; i++) {
		CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
		if (record_audit_read(d, &d->targets[i], lines, &text, err) < 0) {
			return host_error(d->targets[i].host, err);
		}
		for (const char *p = str_c(&text); *p;) {
			size_t n = strcspn(p, "\n");
			CLEANUP_FREE char *line = xstrndup(p, n);
			strvec_push(&all, line);
			p += n + (p[n] == '\n');
		}
	}
	/* Each line begins with its time, so order of text is order of time. */
	strvec_sort(&all);
	show_audit(d, &all);
	return 0;
}
