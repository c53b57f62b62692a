/* SPDX-License-Identifier: MIT */
/*
 * Lines with a time and a host, for logs of CI jobs, pipes and dumb terminals:
 *
 *	12:03:04  app1  transfer  sending layer 2 of 2
 *	12:03:14  app1  transfer  12.4 MB of 30.1 MB
 */
#include "internal.h"

#include "util/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROGRESS_EVERY_MS 10000
#define MAX_NAME          32
#define COLUMN            9 /* of phases, sources and kinds of lines */

struct host {
	char *name;
	int64_t told; /* when its bytes were told last */
};

struct plain {
	VEC_TYPE(plain_hosts, struct host) hosts;
	struct strvec phases; /* that have begun */
	bool phased;          /* there has been one: lines outside of any keep its column */
	int width;            /* of the widest host so far */
};

static void *plain_init(struct ui *ui)
{
	return xcalloc(1, sizeof(struct plain));
}

static struct host *host_get(struct plain *p, const char *name)
{
	VEC_FOREACH (&p->hosts, i) {
		if (strcmp(p->hosts.p[i].name, name) == 0) {
			return &p->hosts.p[i];
		}
	}
	struct host h = {.name = xstrdup(name), .told = INT64_MIN / 2};
	int width = text_width(name);
	vec_push(&p->hosts, h);
	p->width = width > p->width && width <= MAX_NAME ? width : p->width;
	return &p->hosts.p[p->hosts.len - 1];
}

static void add_time(const struct ui *ui, struct str *out)
{
	time_t now = (time_t)(ui->wall_ms() / 1000);
	struct tm tm = {0};
	char text[16];

	localtime_r(&now, &tm);
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	str_add(out, style_code(ui->options.color, UI_DIM));
	str_add(out, text);
	str_add(out, style_code(ui->options.color, UI_PLAIN));
	str_add(out, "  ");
}

/* Each line of the text behind time, host and column. */
static void say(struct ui *ui, const struct event *e, const char *column, enum ui_style style,
	const char *text)
{
	struct plain *p = ui->state;
	const char *name = e->host != NULL ? e->host : "local";
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_FILE);

	(void)host_get(p, name);
	for (const char *line = text;;) {
		size_t n = strcspn(line, "\n");
		add_time(ui, &out);
		str_add(&out, name);
		for (int i = text_width(name); i < p->width; i++) {
			str_addc(&out, ' ');
		}
		str_add(&out, "  ");
		if (column[0] != '\0' || p->phased) {
			str_add(&out,
				style == UI_PLAIN ? "" : style_code(ui->options.color, style));
			str_add(&out, column);
			str_add(&out,
				style == UI_PLAIN ? "" : style_code(ui->options.color, UI_PLAIN));
			for (int i = text_width(column); i < COLUMN; i++) {
				str_addc(&out, ' ');
			}
			str_add(&out, "  ");
		}
		str_addn(&out, line, n);
		str_addc(&out, '\n');
		if (line[n] == '\0' || line[n + 1] == '\0') {
			break;
		}
		line += n + 1;
	}
	ui_emit(ui->options.err, out.p, out.len);
}

/* "build: step 1" within the phase "build" needs to say it once only. */
static void say_step(struct ui *ui, const struct event *e, const char *phase)
{
	size_t n = strlen(phase);
	bool twice = n > 0 && strncmp(e->text, phase, n) == 0 && str_starts(e->text + n, ": ");

	say(ui, e, phase, UI_PLAIN, twice ? e->text + n + 2 : e->text);
}

/* The phase that an event belongs to, where that is not open to doubt. */
static const char *phase_of(const struct plain *p)
{
	return p->phases.len == 1 ? p->phases.p[0] : "";
}

static void forget_phase(struct plain *p, const char *phase)
{
	for (size_t i = 0; i < p->phases.len; i++) {
		if (strcmp(p->phases.p[i], phase) == 0) {
			free(p->phases.p[i]);
			p->phases.len--;
			memmove(&p->phases.p[i], &p->phases.p[i + 1],
				(p->phases.len - i) * sizeof(p->phases.p[0]));
			return;
		}
	}
}

static void say_progress(struct ui *ui, const struct event *e)
{
	struct plain *p = ui->state;
	struct host *h = host_get(p, e->host != NULL ? e->host : "local");
	int64_t now = ui->mono_ms();
	char done[16];
	char total[16];

	if (now - h->told < PROGRESS_EVERY_MS) {
		return;
	}
	bool first = h->told < 0;
	h->told = now;
	if (first) {
		return; /* the step itself was told just now */
	}
	CLEANUP_FREE char *text = xasprintf("%s%s%s%s%s", e->label != NULL ? e->label : "",
		e->label != NULL ? ": " : "", ui_bytes(e->done, done), e->total > 0 ? " of " : "",
		e->total > 0 ? ui_bytes(e->total, total) : "");
	say(ui, e, phase_of(p), UI_PLAIN, text);
}

static void plain_event(struct ui *ui, const struct event *e)
{
	struct plain *p = ui->state;
	char took[CLOCK_RFC3339_SIZE];
	CLEANUP_FREE char *text = NULL;

	switch (e->kind) {
	case EVENT_PHASE_BEGIN:
		p->phased = true;
		strvec_push(&p->phases, e->label);
		break;
	case EVENT_PHASE_END:
	case EVENT_PHASE_FAIL:
		forget_phase(p, e->label);
		text = xasprintf("%s %s", e->kind == EVENT_PHASE_END ? "done in" : "failed after",
			clock_duration(e->ms, took));
		say(ui, e, e->label, e->kind == EVENT_PHASE_END ? UI_GREEN : UI_RED, text);
		break;
	case EVENT_STEP:
	case EVENT_DONE:
		say_step(ui, e, phase_of(p));
		host_get(p, e->host != NULL ? e->host : "local")->told = INT64_MIN / 2;
		break;
	case EVENT_PROGRESS:
		say_progress(ui, e);
		break;
	case EVENT_OUTPUT:
		text = xasprintf("%s |", e->label != NULL ? e->label : "");
		say(ui, e, e->label != NULL ? text : "|", UI_DIM, e->text);
		break;
	case EVENT_INFO:
		say(ui, e, phase_of(p), UI_PLAIN, e->text);
		break;
	case EVENT_WARN:
		say(ui, e, "warning:", UI_YELLOW, e->text);
		break;
	case EVENT_DEBUG:
		say(ui, e, "debug:", UI_DIM, e->text);
		break;
	case EVENT_NOTE:
	case EVENT_ERROR:
		ui_emit(ui->options.err, e->text, strlen(e->text));
		if (e->text[0] == '\0' || e->text[strlen(e->text) - 1] != '\n') {
			ui_emit(ui->options.err, "\n", 1);
		}
		break;
	}
}

static void plain_pause(struct ui *ui)
{
}

static void plain_fini(struct ui *ui)
{
	struct plain *p = ui->state;

	VEC_FOREACH (&p->hosts, i) {
		free(p->hosts.p[i].name);
	}
	vec_fini(&p->hosts);
	strvec_fini(&p->phases);
	free(p);
}

const struct renderer plain_renderer = {
	.init = plain_init,
	.event = plain_event,
	.pause = plain_pause,
	.resume = plain_pause,
	.fini = plain_fini,
};
