/* SPDX-License-Identifier: MIT */
#include "deploy/output.h"

#include "util/str.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES ((size_t)64 << 10)

struct output {
	struct ui *ui;
	bool prefixed;
	pthread_mutex_t lock; /* one line at a time */
};

struct output_host {
	struct output *o;
	char *name;
	struct str line[2]; /* stdout, stderr */
};

struct output *output_new(struct ui *ui, bool prefixed)
{
	struct output *o = xcalloc(1, sizeof(*o));
	o->ui = ui;
	o->prefixed = prefixed;
	pthread_mutex_init(&o->lock, NULL);
	return o;
}

void output_free(struct output *o)
{
	if (o) {
		pthread_mutex_destroy(&o->lock);
		free(o);
	}
}

struct output_host *output_host_new(struct output *o, const char *name)
{
	struct output_host *h = xcalloc(1, sizeof(*h));
	h->o = o;
	h->name = xstrdup(name);
	str_init(&h->line[0], LINE_BYTES);
	str_init(&h->line[1], LINE_BYTES);
	return h;
}

static void show(struct output_host *h, bool is_err)
{
	struct output *o = h->o;
	struct str *line = &h->line[is_err];
	pthread_mutex_lock(&o->lock);
	if (ui_is_json(o->ui)) {
		json_t *text = json_stringn(str_c(line), line->len);
		ui_json(o->ui, json_pack("{s:s, s:s, s:s, s:o}", "result", "output", "host",
				       h->name, "stream", is_err ? "stderr" : "stdout", "line",
				       text ? text : json_string("?")));
	} else if (is_err) {
		ui_output(o->ui, o->prefixed ? h->name : NULL, NULL, true, str_c(line));
	} else {
		CLEANUP_FREE char *text = xasprintf("%s%s%s\n", o->prefixed ? h->name : "",
			o->prefixed ? ": " : "", str_c(line));
		ui_write(o->ui, text, strlen(text));
	}
	pthread_mutex_unlock(&o->lock);
	str_reset(line);
}

void output_bytes(struct output_host *h, bool is_err, const void *data, size_t len)
{
	const char *p = data;
	if (!h->o->prefixed && !is_err && !ui_is_json(h->o->ui)) {
		pthread_mutex_lock(&h->o->lock);
		ui_write(h->o->ui, data, len);
		pthread_mutex_unlock(&h->o->lock);
		return;
	}
	struct str *line = &h->line[is_err];
	while (len > 0) {
		const char *newline = memchr(p, '\n', len);
		size_t n = newline ? (size_t)(newline - p) : len;
		size_t room = LINE_BYTES - 1 - line->len;
		size_t take = n < room ? n : room;
		str_addn(line, p, take);
		if (take < n || newline) {
			show(h, is_err);
		}
		take += take == n && newline ? 1 : 0;
		p += take;
		len -= take;
	}
}

void output_host_free(struct output_host *h)
{
	for (int i = 0; i < 2; i++) {
		if (h->line[i].len > 0) {
			show(h, i == 1);
		}
		str_fini(&h->line[i]);
	}
	free(h->name);
	free(h);
}
