/* SPDX-License-Identifier: MIT */
#include "image/trace.h"

#include "image/protobuf.h"
#include "util/vec.h"

#include <stdint.h>
#include <string.h>

#define MAX_TEXT ((size_t)4096) /* of names, digests and errors */

struct step {
	char *digest;
	char *name;
	bool started, ended;
	struct str line; /* output without its newline yet */
	struct str tail; /* last output */
};
VEC_TYPE(step_vec, struct step);

struct trace {
	trace_fn *fn;
	void *ctx;
	struct step_vec steps;
	size_t failed; /* index of the step + 1; 0: none */
	char *error;
};

/* What a Vertex message says. */
struct vertex {
	char *digest, *name, *error;
	bool cached, started, completed;
};

struct trace *trace_new(trace_fn *fn, void *ctx)
{
	struct trace *t = xcalloc(1, sizeof(*t));

	t->fn = fn;
	t->ctx = ctx;
	return t;
}

void trace_free(struct trace *t)
{
	if (!t) {
		return;
	}
	VEC_FOREACH (&t->steps, i) {
		free(t->steps.p[i].digest);
		free(t->steps.p[i].name);
		str_fini(&t->steps.p[i].line);
		str_fini(&t->steps.p[i].tail);
	}
	vec_fini(&t->steps);
	free(t->error);
	free(t);
}

static char *text_of(const struct protobuf_field *f)
{
	return xstrndup((const char *)f->data, f->len < MAX_TEXT ? f->len : MAX_TEXT);
}

static struct step *find_step(struct trace *t, const char *digest)
{
	struct step s = {0};

	VEC_FOREACH (&t->steps, i) {
		if (str_eq(t->steps.p[i].digest, digest)) {
			return &t->steps.p[i];
		}
	}
	if (t->steps.len == TRACE_MAX_STEPS) {
		return NULL;
	}
	s.digest = xstrdup(digest);
	s.name = xstrdup("");
	str_init(&s.line, TRACE_MAX_LINE);
	str_init(&s.tail, TRACE_TAIL);
	vec_push(&t->steps, s);
	return &t->steps.p[t->steps.len - 1];
}

static void keep_tail(struct step *s, const char *line, size_t len)
{
	len = len < TRACE_TAIL - 1 ? len : TRACE_TAIL - 1;
	while (s->tail.len + len + 1 > s->tail.max) {
		const char *nl = memchr(s->tail.p, '\n', s->tail.len);
		str_consume(&s->tail, nl ? (size_t)(nl - s->tail.p) + 1 : s->tail.len);
	}
	str_addn(&s->tail, line, len);
	str_addc(&s->tail, '\n');
}

static void flush_line(struct trace *t, struct step *s, bool is_err)
{
	if (s->line.len && s->line.p[s->line.len - 1] == '\r') {
		s->line.p[--s->line.len] = '\0';
	}
	keep_tail(s, str_c(&s->line), s->line.len);
	t->fn(t->ctx, TRACE_OUTPUT, s->name, str_c(&s->line), is_err);
	str_reset(&s->line);
}

static int read_vertex(const struct protobuf_field *message, struct vertex *v)
{
	struct protobuf m;
	struct protobuf_field f;
	int rc;

	protobuf_init(&m, message->data, message->len);
	while ((rc = protobuf_next(&m, &f)) == 1) {
		char **text = f.number == 1   ? &v->digest
			      : f.number == 3 ? &v->name
			      : f.number == 7 ? &v->error
					      : NULL;
		if (text && f.wire == PROTOBUF_BYTES) {
			free(*text);
			*text = text_of(&f);
		} else if (f.number == 4) {
			v->cached = f.value != 0;
		} else if (f.number == 5) {
			v->started = true;
		} else if (f.number == 6) {
			v->completed = true;
		}
	}
	return rc;
}

static void tell_end(struct trace *t, struct step *s, const struct vertex *v)
{
	enum trace_event event = v->error && *v->error ? TRACE_FAILED
				 : v->cached           ? TRACE_CACHED
						       : TRACE_DONE;
	s->ended = true;
	if (s->line.len) {
		flush_line(t, s, false);
	}
	/* A step that is stopped because another failed ends with "context canceled". */
	if (event == TRACE_FAILED && (!t->failed || strstr(t->error, "context canceled"))) {
		t->failed = (size_t)(s - t->steps.p) + 1;
		free(t->error);
		t->error = xstrdup(v->error);
	}
	t->fn(t->ctx, event, s->name, v->error, false);
}

static int take_vertex(struct trace *t, const struct protobuf_field *message)
{
	struct vertex v = {0};
	int rc = read_vertex(message, &v);
	struct step *s = rc == 0 && v.digest ? find_step(t, v.digest) : NULL;

	if (s) {
		if (v.name && *v.name) {
			free(s->name);
			s->name = xstrdup(v.name);
		}
		if (v.started && !s->started) {
			s->started = true;
			if (!v.cached) {
				t->fn(t->ctx, TRACE_STARTED, s->name, NULL, false);
			}
		}
		if ((v.completed || v.cached) && !s->ended) {
			tell_end(t, s, &v);
		}
	}
	free(v.digest);
	free(v.name);
	free(v.error);
	return rc;
}

static void add_output(
	struct trace *t, struct step *s, const unsigned char *data, size_t len, bool is_err)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' || s->line.len == TRACE_MAX_LINE - 1) {
			flush_line(t, s, is_err);
		}
		if (data[i] != '\n') {
			str_addc(&s->line, (char)data[i]);
		}
	}
}

static int take_log(struct trace *t, const struct protobuf_field *message)
{
	struct protobuf m;
	struct protobuf_field f, text = {0};
	char *digest = NULL;
	bool is_err = false;
	int rc;

	protobuf_init(&m, message->data, message->len);
	while ((rc = protobuf_next(&m, &f)) == 1) {
		if (f.number == 1 && f.wire == PROTOBUF_BYTES) {
			free(digest);
			digest = text_of(&f);
		} else if (f.number == 3) {
			is_err = f.value == 2;
		} else if (f.number == 4 && f.wire == PROTOBUF_BYTES) {
			text = f;
		}
	}
	struct step *s = rc == 0 && digest ? find_step(t, digest) : NULL;
	if (s && text.data) {
		add_output(t, s, text.data, text.len, is_err);
	}
	free(digest);
	return rc;
}

static int take_warning(struct trace *t, const struct protobuf_field *message)
{
	struct protobuf m;
	struct protobuf_field f;
	int rc;

	protobuf_init(&m, message->data, message->len);
	while ((rc = protobuf_next(&m, &f)) == 1) {
		if (f.number == 3 && f.wire == PROTOBUF_BYTES) {
			CLEANUP_FREE char *text = text_of(&f);
			t->fn(t->ctx, TRACE_WARNING, "", text, true);
		}
	}
	return rc;
}

int trace_feed(struct trace *t, const void *data, size_t len)
{
	struct protobuf m;
	struct protobuf_field f;
	int rc;

	protobuf_init(&m, data, len);
	while ((rc = protobuf_next(&m, &f)) == 1) {
		if (f.wire != PROTOBUF_BYTES) {
			continue;
		}
		if ((f.number == 1 && take_vertex(t, &f) != 0) ||
			(f.number == 3 && take_log(t, &f) != 0) ||
			(f.number == 4 && take_warning(t, &f) != 0)) {
			return -1;
		}
	}
	return rc;
}

const char *trace_failed_step(const struct trace *t)
{
	return t->failed ? t->steps.p[t->failed - 1].name : NULL;
}

const char *trace_failed_error(const struct trace *t)
{
	return t->failed ? t->error : NULL;
}

const char *trace_failed_tail(const struct trace *t)
{
	return t->failed ? str_c(&t->steps.p[t->failed - 1].tail) : NULL;
}
