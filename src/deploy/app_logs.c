/* SPDX-License-Identifier: MIT */
/* app logs: of the live release's containers on all hosts, merged in order of time. */
#include "deploy/operations.h"
#include "internal.h"
#include "labels.h"
#include "service/logs.h"

#include <stdlib.h>
#include <string.h>

#define WRITE_SIZE ((size_t)64 << 10)

struct shown {
	struct deployment *d;
	const struct logs_options *options;
	bool many;                    /* several containers: each line says whose it is */
	const char *host, *container; /* of the line before */
	struct str prefix;            /* what each line of it has in front */
	struct str text;              /* lines that wait to be written together */
};

static const char *color_of(const struct shown *s, const char *host)
{
	static const enum ui_style styles[] = {UI_CYAN, UI_GREEN, UI_YELLOW, UI_BOLD};
	for (size_t i = 0; i < s->d->n; i++) {
		if (str_eq(s->d->targets[i].address->name, host)) {
			return ui_style(s->d->ui, styles[i % (sizeof(styles) / sizeof(*styles))]);
		}
	}
	return "";
}

static void show_json(struct shown *s, const struct logs_line *l)
{
	json_t *text = json_stringn(l->text, l->len);
	ui_json(s->d->ui,
		json_pack("{s:s, s:s#, s:s, s:s, s:s, s:o}", "result", "log", "time", l->time,
			(int)l->time_len, "host", l->host, "container", l->container, "stream",
			l->is_err ? "stderr" : "stdout", "line", text ? text : json_string("?")));
}

/* Most lines come behind one of the same container. */
static void say_whose(struct shown *s, const struct logs_line *l)
{
	if (l->host == s->host && l->container == s->container) {
		return;
	}
	s->host = l->host;
	s->container = l->container;
	str_reset(&s->prefix);
	if (s->many) {
		str_addf(&s->prefix, "%s%s %s%s | ", color_of(s, l->host), l->host, l->container,
			ui_style(s->d->ui, UI_PLAIN));
	}
}

static void flush(void *ctx)
{
	struct shown *s = ctx;
	if (s->text.len > 0) {
		ui_write(s->d->ui, str_c(&s->text), s->text.len);
		str_reset(&s->text);
	}
}

static int show_line(void *ctx, const struct logs_line *l)
{
	struct shown *s = ctx;
	if (ui_is_json(s->d->ui)) {
		show_json(s, l);
		return 0;
	}
	say_whose(s, l);
	if (s->options->timestamps) {
		str_addn(&s->text, l->time, l->time_len);
		str_addc(&s->text, ' ');
	}
	str_addn(&s->text, s->prefix.p, s->prefix.len);
	str_addn(&s->text, l->text, l->len);
	str_addc(&s->text, '\n');
	if (s->text.len >= WRITE_SIZE) {
		flush(s);
	}
	return 0;
}

int logs_show(struct deployment *d, const struct logs_source *sources, size_t n,
	const struct docker_filters *labels, bool many, const struct logs_options *options,
	struct error *err)
{
	struct shown shown = {.d = d,
		.options = options,
		.many = many,
		.prefix = STR_INIT(STR_MAX_LINE),
		.text = STR_INIT(WRITE_SIZE + 2 * LOGS_LINE_MAX)};
	struct logs_request req = {
		.since = options->since,
		.until = options->until,
		.tail = options->tail,
		.grep = options->grep,
		.follow = options->follow,
		.labels = labels,
		.line = show_line,
		.flush = flush,
		.ctx = &shown,
	};
	int result = logs_merge(sources, n, &req, err);
	flush(&shown);
	str_fini(&shown.prefix);
	str_fini(&shown.text);
	return result;
}

/* Containers whose logs are asked for: of the live release, or whatever is there before the first.
 */
static void collect(struct deployment *d, struct logs_source *sources, size_t *n)
{
	const struct release *live = deployment_live(d);
	for (size_t i = 0; i < d->n; i++) {
		const struct target *t = &d->targets[i];
		for (size_t j = 0; t->selected && j < t->seen.containers.len; j++) {
			const struct docker_container_entry *c = &t->seen.containers.p[j];
			if (container_is_app(c, NULL) && container_is_chosen(d, c) &&
				(!live || container_is_live(d, t, c))) {
				sources[(*n)++] = (struct logs_source){
					.host = t->host, .container = c->id, .name = c->name};
			}
		}
	}
}

static size_t count_containers(const struct deployment *d)
{
	size_t n = 0;
	for (size_t i = 0; i < d->n; i++) {
		n += d->targets[i].seen.containers.len;
	}
	return n;
}

int operation_app_logs(struct deployment *d, const struct logs_options *options, struct error *err)
{
	if (deployment_look(d, err) < 0) {
		return -1;
	}
	struct logs_source *sources = xcalloc(count_containers(d) + 1, sizeof(*sources));
	CLEANUP_FILTERS struct label_filters labels;
	size_t n = 0;
	label_filters_init(&labels, d->config);
	label_filters_add(&labels, LABEL_KIND, "app");
	collect(d, sources, &n);
	int result = n > 0 ? logs_show(d, sources, n, &labels.list, n > 1 || options->follow,
				     options, err)
			   : error_set(err, ERROR_USAGE, "no container of '%s' is there",
				     d->config->service);
	free(sources);
	return result;
}
