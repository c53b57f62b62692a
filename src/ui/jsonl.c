/* SPDX-License-Identifier: MIT */
/*
 * One JSON object a line on stdout.  Every event has "time" and "event", and "host" where there is
 * one; what else it has is its own:
 *
 *	{"time":"2026-01-02T03:04:05.678Z","event":"step","host":"app1","text":"starting 2
 *containers"}
 */
#include "internal.h"

#include "util/clock.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>

#define PROGRESS_EVERY_MS 1000

struct jsonl {
	VEC_TYPE(
		jsonl_hosts, struct told_host {
			char *name;
			int64_t told;
		})
	hosts;
};

static void *jsonl_init(struct ui *ui)
{
	return xcalloc(1, sizeof(struct jsonl));
}

/* Whether the bytes of this host are to be told now: the last of them always are. */
static bool is_due(struct ui *ui, const struct event *e)
{
	struct jsonl *state = ui->state;
	const char *name = e->host != NULL ? e->host : "";
	int64_t now = ui->mono_ms();

	VEC_FOREACH (&state->hosts, i) {
		if (strcmp(state->hosts.p[i].name, name) == 0) {
			bool due = now - state->hosts.p[i].told >= PROGRESS_EVERY_MS ||
				   (e->total > 0 && e->done >= e->total);
			state->hosts.p[i].told = due ? now : state->hosts.p[i].told;
			return due;
		}
	}
	struct told_host host = {.name = xstrdup(name), .told = now};
	vec_push(&state->hosts, host);
	return true;
}

static void set_text(json_t *o, const char *key, const char *text)
{
	if (text != NULL && text[0] != '\0') {
		json_object_set_new(o, key, json_string(text));
	}
}

static void add_error(json_t *o, const struct error *err)
{
	set_text(o, "kind", error_kind_name(err->kind));
	json_object_set_new(o, "exit", json_integer(error_exit_status(err->kind)));
	set_text(o, "host", err->host);
	set_text(o, "message", err->text);
	set_text(o, "detail", err->detail);
	set_text(o, "hint", err->hint);
	if (err->status != 0) {
		json_object_set_new(o, "status", json_integer(err->status));
	}
}

static void add_fields(json_t *o, const struct event *e)
{
	switch (e->kind) {
	case EVENT_PHASE_BEGIN:
		set_text(o, "phase", e->label);
		break;
	case EVENT_PHASE_END:
	case EVENT_PHASE_FAIL:
		set_text(o, "phase", e->label);
		json_object_set_new(o, "ms", json_integer(e->ms));
		break;
	case EVENT_PROGRESS:
		set_text(o, "label", e->label);
		json_object_set_new(o, "done", json_integer((json_int_t)e->done));
		json_object_set_new(o, "total", json_integer((json_int_t)e->total));
		break;
	case EVENT_OUTPUT:
		set_text(o, "source", e->label);
		json_object_set_new(o, "stream", json_string(e->is_err ? "stderr" : "stdout"));
		json_object_set_new(o, "text", json_string(e->text));
		break;
	case EVENT_ERROR:
		add_error(o, e->error);
		break;
	case EVENT_STEP:
	case EVENT_DONE:
	case EVENT_INFO:
	case EVENT_WARN:
	case EVENT_DEBUG:
	case EVENT_NOTE:
		json_object_set_new(o, "text", json_string(e->text));
		break;
	}
}

static void jsonl_event(struct ui *ui, const struct event *e)
{
	static const char *const names[] = {
		[EVENT_PHASE_BEGIN] = "phase-begin",
		[EVENT_PHASE_END] = "phase-end",
		[EVENT_PHASE_FAIL] = "phase-fail",
		[EVENT_STEP] = "step",
		[EVENT_DONE] = "done",
		[EVENT_PROGRESS] = "progress",
		[EVENT_OUTPUT] = "output",
		[EVENT_INFO] = "info",
		[EVENT_WARN] = "warning",
		[EVENT_DEBUG] = "debug",
		[EVENT_NOTE] = "note",
		[EVENT_ERROR] = "error",
	};
	char time[CLOCK_RFC3339_SIZE];

	if (e->kind == EVENT_NOTE || (e->kind == EVENT_PROGRESS && !is_due(ui, e))) {
		return;
	}
	CLEANUP_JSON json_t *o = json_object();
	json_object_set_new(o, "time", json_string(clock_rfc3339(ui->wall_ms(), time)));
	json_object_set_new(o, "event", json_string(names[e->kind]));
	set_text(o, "host", e->host);
	add_fields(o, e);
	CLEANUP_FREE char *text = json_text(o);
	CLEANUP_FREE char *line = xasprintf("%s\n", text);
	ui_emit(ui->options.out, line, strlen(line));
}

static void jsonl_pause(struct ui *ui)
{
}

static void jsonl_fini(struct ui *ui)
{
	struct jsonl *state = ui->state;

	VEC_FOREACH (&state->hosts, i) {
		free(state->hosts.p[i].name);
	}
	vec_fini(&state->hosts);
	free(state);
}

const struct renderer json_renderer = {
	.init = jsonl_init,
	.event = jsonl_event,
	.pause = jsonl_pause,
	.resume = jsonl_pause,
	.fini = jsonl_fini,
};
