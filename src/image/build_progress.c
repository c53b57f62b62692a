/* SPDX-License-Identifier: MIT */
#include "build_progress.h"

#include "util/digest.h"

#include <string.h>

#define LINE_MAX_BYTES ((size_t)4096)

/* Names of steps that are BuildKit's own housekeeping. */
static bool is_internal(const char *step)
{
	return str_starts(step, "[internal]") || str_starts(step, "[auth]") ||
	       str_starts(step, "exporting") || str_starts(step, "importing") ||
	       str_starts(step, "copy /context") || str_starts(step, "http://") ||
	       str_starts(step, "resolve image");
}

static void on_trace(
	void *ctx, enum trace_event event, const char *step, const char *text, bool is_err)
{
	struct build_progress *p = ctx;

	switch (event) {
	case TRACE_STARTED:
		if (is_internal(step)) {
			ui_debug(p->ui, p->host, "build: %s", step);
		} else {
			ui_step(p->ui, p->host, "build: %s", step);
		}
		break;
	case TRACE_CACHED:
		ui_debug(p->ui, p->host, "build: %s (cached)", step);
		break;
	case TRACE_DONE:
		ui_debug(p->ui, p->host, "build: %s (done)", step);
		break;
	case TRACE_FAILED:
		ui_debug(p->ui, p->host, "build: %s failed: %s", step, text ? text : "");
		break;
	case TRACE_OUTPUT:
		ui_output(p->ui, p->host, "build", is_err, text);
		break;
	case TRACE_WARNING:
		ui_warn(p->ui, p->host, "build: %s", text);
		break;
	}
}

void build_progress_init(struct build_progress *p, struct ui *ui, const char *host)
{
	*p = (struct build_progress){.ui = ui, .host = host};
	str_init(&p->line, LINE_MAX_BYTES);
	str_init(&p->tail, TRACE_TAIL);
	p->trace = trace_new(on_trace, p);
}

void build_progress_fini(struct build_progress *p)
{
	trace_free(p->trace);
	str_fini(&p->line);
	str_fini(&p->tail);
	free(p->step);
}

static void keep_tail(struct build_progress *p, const char *line)
{
	while (p->tail.len && p->tail.len + strlen(line) + 1 > p->tail.max) {
		const char *nl = memchr(p->tail.p, '\n', p->tail.len);
		str_consume(&p->tail, nl ? (size_t)(nl - p->tail.p) + 1 : p->tail.len);
	}
	str_addf(&p->tail, "%s\n", line);
}

/* One line of the classic builder. */
static void take_line(struct build_progress *p, const char *line)
{
	if (str_starts(line, "Step ")) {
		free(p->step);
		p->step = xstrdup(line + strlen("Step "));
		str_reset(&p->tail);
		ui_step(p->ui, p->host, "build: %s", p->step);
	} else if (str_starts(line, " ---> ") || str_starts(line, "Removing intermediate ") ||
		   str_starts(line, "Successfully ")) {
		ui_debug(p->ui, p->host, "build: %s", line);
	} else if (*line) {
		keep_tail(p, line);
		ui_output(p->ui, p->host, "build", false, line);
	}
}

static void take_stream(struct build_progress *p, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n' || p->line.len == LINE_MAX_BYTES - 1) {
			if (p->line.len && p->line.p[p->line.len - 1] == '\r') {
				p->line.p[--p->line.len] = '\0';
			}
			take_line(p, str_c(&p->line));
			str_reset(&p->line);
		}
		if (*text != '\n') {
			str_addc(&p->line, *text);
		}
	}
}

void build_progress_take(void *ctx, const struct docker_progress *d)
{
	struct build_progress *p = ctx;

	if (d->id && str_eq(d->id, "moby.buildkit.trace") && json_is_string(d->aux)) {
		size_t len = 0;
		unsigned char *raw = digest_unbase64(json_string_value(d->aux), &len);
		if (!raw || trace_feed(p->trace, raw, len) != 0) {
			ui_debug(p->ui, p->host, "build: progress that is not understood");
		}
		free(raw);
	} else if (d->stream) {
		take_stream(p, d->stream);
	} else if (d->status && d->total > 0) {
		ui_progress(p->ui, p->host, d->status, (uint64_t)d->current, (uint64_t)d->total);
	}
}

int build_progress_error(struct build_progress *p, struct error *err)
{
	const char *step = trace_failed_step(p->trace);

	if (p->line.len) {
		take_line(p, str_c(&p->line));
	}
	if (err->kind != ERROR_REMOTE) {
		return -1;
	}
	const struct error old = *err;
	if (step) {
		const char *tail = trace_failed_tail(p->trace);
		error_set(err, ERROR_REMOTE, "step '%s': %s", step, trace_failed_error(p->trace));
		error_detail(err, tail, strlen(tail));
	} else if (p->step) {
		const char *own =
			str_starts(old.text, "build: ") ? old.text + strlen("build: ") : old.text;
		error_set(err, ERROR_REMOTE, "step '%s': %s", p->step, own);
		error_detail(err, str_c(&p->tail), p->tail.len);
	}
	err->status = old.status;
	err->sys = old.sys;
	return *old.host ? error_host(err, old.host) : -1;
}
