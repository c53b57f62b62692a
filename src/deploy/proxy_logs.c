/* SPDX-License-Identifier: MIT */
/* proxy logs: access and error logs of the proxies of all servers, merged in order of time. */
#include "deploy/operations.h"
#include "internal.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_LINES  100
#define LINE_MAX_BYTES ((size_t)1 << 20)

struct entry {
	int64_t us;      /* since 1970 */
	size_t host, nr; /* nr: as it was read, for lines of one time */
	char *text;
};
VEC_TYPE(entry_vec, struct entry);

/* The lines of one server. */
struct host_log {
	struct entry_vec entries;
	int64_t last_us;
};

struct reading {
	struct deployment *d;
	const struct logs_options *options;
	int64_t since_us, until_us;
	struct host_log *logs; /* one a target */
	bool following, many;
};

struct reader {
	struct reading *r;
	struct target *t;
	size_t index;
};

/* JSON lines have "ts" in seconds; nginx' error log begins with "2006/01/02 15:04:05", in UTC. */
static int64_t time_of(const char *line, int64_t before)
{
	const char *ts = strstr(line, "\"ts\":");
	if (line[0] == '{' && ts) {
		double s = strtod(ts + 5, NULL);
		return s > 0 && s < 1e11 ? (int64_t)(s * 1e6) : before;
	}
	if (strlen(line) > 19 && line[4] == '/' && line[7] == '/' && line[10] == ' ') {
		CLEANUP_FREE char *text =
			xasprintf("%.4s-%.2s-%.2sT%.8sZ", line, line + 5, line + 8, line + 11);
		int64_t ms = clock_parse_rfc3339(text);
		return ms > 0 ? ms * 1000 : before;
	}
	return before;
}

/* "10m" or a time of RFC 3339; `otherwise` where there is none. */
static int parse_limit(const char *text, int64_t otherwise, int64_t *us, struct error *err)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	*us = otherwise;
	if (!text) {
		return 0;
	}
	char *end = NULL;
	double n = strtod(text, &end);
	for (size_t i = 0; end != text && i < sizeof(units) / sizeof(units[0]); i++) {
		if (end[0] == units[i].unit && end[1] == '\0' && n >= 0 && n < 1e9) {
			*us = (clock_wall_ms() - (int64_t)(n * 1000) * units[i].s) * 1000;
			return 0;
		}
	}
	int64_t ms = clock_parse_rfc3339(text);
	if (ms <= 0) {
		error_set(err, ERROR_USAGE, "'%s' is no time", text);
		return error_hint(err, "an age (30s, 10m, 2h, 3d) or 2026-01-31T08:00:00Z");
	}
	*us = ms * 1000;
	return 0;
}

static void show(struct reading *r, const char *host, int64_t us, const char *text)
{
	char when[CLOCK_RFC3339_SIZE];
	const char *grep = r->options->grep;
	if (us < r->since_us || us >= r->until_us || (grep && !strstr(text, grep))) {
		return;
	}
	clock_rfc3339(us / 1000, when);
	if (ui_is_json(r->d->ui)) {
		CLEANUP_FREE char *name = proxy_container_name(r->d->config->proxy.driver);
		json_t *line = json_string(text);
		ui_json(r->d->ui, json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "result", "log",
					  "time", when, "host", host, "container", name, "stream",
					  "stdout", "line", line ? line : json_string("?")));
		return;
	}
	struct str out = STR_INIT(LINE_MAX_BYTES);
	if (r->options->timestamps) {
		str_addf(&out, "%s ", when);
	}
	if (r->many) {
		str_addf(&out, "%s | ", host);
	}
	str_addn(&out, text, strlen(text));
	str_addc(&out, '\n');
	ui_write(r->d->ui, str_c(&out), out.len);
	str_fini(&out);
}

static void take_line(void *ctx, const char *text)
{
	struct reader *rd = ctx;
	struct host_log *log = &rd->r->logs[rd->index];
	int64_t us = time_of(text, log->last_us);
	if (rd->r->following) {
		if (us > log->last_us) { /* the others were shown already */
			show(rd->r, rd->t->host->name, us, text);
		}
		return;
	}
	log->last_us = us;
	struct entry e = {us, rd->index, log->entries.len, xstrdup(text)};
	vec_push(&log->entries, e);
}

static int by_time(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->us != y->us) {
		return x->us < y->us ? -1 : 1;
	}
	if (x->host != y->host) {
		return x->host < y->host ? -1 : 1;
	}
	return x->nr < y->nr ? -1 : x->nr > y->nr;
}

static void sort_entries(struct entry_vec *v)
{
	if (v->len > 1) {
		qsort(v->p, v->len, sizeof(*v->p), by_time);
	}
}

static int read_one(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct reading *r = ctx;
	struct reader rd = {r, t, (size_t)(t - d->targets)};
	if (!t->selected || !target_proxied(d, t)) {
		return 0;
	}
	int lines = r->options->tail >= 0 ? (int)r->options->tail : DEFAULT_LINES;
	if (proxy_logs(t->host, d->config->proxy.driver, lines, r->following, take_line, &rd, err) <
		0) {
		return -1;
	}
	struct host_log *log = &r->logs[rd.index];
	sort_entries(&log->entries);
	log->last_us =
		log->entries.len > 0 ? log->entries.p[log->entries.len - 1].us : log->last_us;
	return 0;
}

/* The last lines of each server, of both of its logs together. */
static void show_all(struct reading *r)
{
	struct entry_vec all = {0};
	size_t last = r->options->tail >= 0 ? (size_t)r->options->tail : DEFAULT_LINES;
	for (size_t i = 0; i < r->d->n; i++) {
		struct entry_vec *v = &r->logs[i].entries;
		for (size_t j = v->len > last ? v->len - last : 0; j < v->len; j++) {
			vec_push(&all, v->p[j]);
		}
	}
	sort_entries(&all);
	VEC_FOREACH (&all, i) {
		show(r, r->d->targets[all.p[i].host].address->name, all.p[i].us, all.p[i].text);
	}
	vec_fini(&all);
}

int operation_proxy_logs(
	struct deployment *d, const struct logs_options *options, struct error *err)
{
	struct reading r = {.d = d, .options = options};
	if (!d->config->proxy.enabled) {
		return error_set(err, ERROR_USAGE, "'%s' has no proxy", d->config->file);
	}
	if (parse_limit(options->since, 0, &r.since_us, err) < 0 ||
		parse_limit(options->until, INT64_MAX, &r.until_us, err) < 0 ||
		deployment_look(d, err) < 0) {
		return -1;
	}
	r.many = d->n > 1 || options->follow;
	r.logs = xcalloc(d->n, sizeof(*r.logs));
	int result = deployment_each(d, read_one, &r, err);
	if (result == 0) {
		show_all(&r);
	}
	if (result == 0 && options->follow) {
		r.following = true;
		result = deployment_each(d, read_one, &r, err);
		if (result < 0 && err->kind == ERROR_INTERRUPTED) {
			*err = (struct error){0}; /* as it is meant to end */
			result = 0;
		}
	}
	for (size_t i = 0; i < d->n; i++) {
		VEC_FOREACH (&r.logs[i].entries, j) {
			free(r.logs[i].entries.p[j].text);
		}
		vec_fini(&r.logs[i].entries);
	}
	free(r.logs);
	return result;
}
