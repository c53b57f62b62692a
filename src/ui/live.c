/* SPDX-License-Identifier: MIT */
/*
 * The model behind the terminal: what moves now, and the lines that stay.  On the screen:
 *
 *	  ✓ build         3.2s  3f2a1c from the git tree
 *	  • transfer      1.2s
 *	    ✓ app1  1.2 MB in 2 layers
 *	    · app2  sending layer 2 of 2  ━━━━━━━━━━──────────  12.4 MB of 30.1 MB  8.2 MB/s
 */
#include "internal.h"

#include "util/clock.h"

#include <stdio.h>
#include <string.h>

#define BAR_WIDE      20
#define BAR_NARROW    10
#define PHASE_COLUMN  12
#define SUMMARY_HOSTS 8   /* more are only counted below a finished phase */
#define RATE_AFTER_MS 500 /* a rate before that says nothing */
#define MAX_NAME      32  /* columns */
#define MIN_TEXT      12  /* columns that the step's text keeps before the bar gives way */
#define RATE_COLUMNS  80  /* narrower screens show no rate */
#define BYTES_COLUMN  18  /* "12.4 MB of 30.1 MB" */

static const char *glyph(const struct screen *s, const char *utf8, const char *ascii)
{
	return s->utf8 ? utf8 : ascii;
}

static void put(struct str *out, const struct screen *s, enum ui_style style, const char *text)
{
	if (style == UI_PLAIN) {
		str_add(out, text);
	} else {
		str_add(out, style_code(s->color, style));
		str_add(out, text);
		str_add(out, style_code(s->color, UI_PLAIN));
	}
}

static void pad(struct str *out, int columns)
{
	for (; columns > 0; columns--) {
		str_addc(out, ' ');
	}
}

/* Appends `text` in at most `columns`, marked where it is cut; returns what it took. */
static int put_fit(
	struct str *out, const struct screen *s, enum ui_style style, const char *text, int columns)
{
	int width = text_width(text);

	if (columns <= 0) {
		return 0;
	}
	if (width <= columns) {
		put(out, s, style, text);
		return width;
	}
	CLEANUP_FREE char *cut = xstrndup(text, text_fit(text, columns - 1));
	CLEANUP_FREE char *marked = xasprintf(
		"%s%s%s", cut, strchr(cut, '\033') != NULL ? "\033[0m" : "", glyph(s, "…", "~"));
	put(out, s, style, marked);
	return text_width(marked);
}

static const char *host_name(const char *name)
{
	return name[0] != '\0' ? name : "local";
}

/* The first line of a text, tabs as blanks; the caller frees. */
static char *one_line(const char *text)
{
	char *copy = text != NULL ? xstrndup(text, strcspn(text, "\n")) : xstrdup("");

	for (char *c = copy; *c != '\0'; c++) {
		*c = *c == '\t' ? ' ' : *c;
	}
	return copy;
}

static void host_free(struct live_host *h)
{
	free(h->name);
	free(h->phase);
	free(h->text);
	free(h->label);
}

static void host_remove(struct live *l, size_t i)
{
	host_free(&l->hosts.p[i]);
	l->hosts.len--;
	memmove(&l->hosts.p[i], &l->hosts.p[i + 1], (l->hosts.len - i) * sizeof(l->hosts.p[0]));
}

static struct live_host *host_get(struct live *l, const char *name)
{
	name = name != NULL ? name : "";
	VEC_FOREACH (&l->hosts, i) {
		if (strcmp(l->hosts.p[i].name, name) == 0) {
			return &l->hosts.p[i];
		}
	}
	/* In order of names, numbers by value: threads come in any order, lines should not. */
	struct live_host h = {.name = xstrdup(name), .text = xstrdup("")};
	size_t at = l->hosts.len;
	vec_push(&l->hosts, h);
	for (; at > 0 && strverscmp(l->hosts.p[at - 1].name, name) > 0; at--) {
		l->hosts.p[at] = l->hosts.p[at - 1];
	}
	l->hosts.p[at] = h;
	return &l->hosts.p[at];
}

static struct live_phase *phase_find(const struct live *l, const char *name)
{
	VEC_FOREACH (&l->phases, i) {
		if (str_eq(l->phases.p[i].name, name)) {
			return &l->phases.p[i];
		}
	}
	return NULL;
}

static void set(char **field, const char *text)
{
	free(*field);
	*field = text != NULL ? one_line(text) : NULL;
}

/* A step belongs to the youngest phase, unless the host is still busy in an older one. */
static void host_step(struct live *l, const struct event *e)
{
	struct live_host *h = host_get(l, e->host);
	bool busy = !h->finished && h->phase != NULL && phase_find(l, h->phase) != NULL;

	if (!busy) {
		set(&h->phase, l->phases.len > 0 ? l->phases.p[l->phases.len - 1].name : NULL);
	}
	set(&h->text, e->text);
	set(&h->label, NULL);
	h->finished = false;
	h->has_bytes = false;
}

static void host_progress(struct live *l, const struct event *e, int64_t now)
{
	struct live_host *h = host_get(l, e->host);

	if (h->finished || (h->text[0] == '\0' && h->phase == NULL)) {
		host_step(l, &(struct event){.host = e->host, .text = e->label});
	}
	if (!h->has_bytes || e->done < h->done) {
		h->bytes_since = now;
	}
	if (e->label != NULL && !str_eq(e->label, h->label)) {
		set(&h->label, e->label);
	}
	h->has_bytes = true;
	h->done = e->done;
	h->total = e->total;
}

/* "<prefix><first line>", further lines below it, indented by `indent`. */
static void stay(struct strvec *lines, const char *prefix, int indent, const char *text)
{
	const char *p = text != NULL ? text : "";

	for (bool first = true;; first = false) {
		int n = (int)strcspn(p, "\n");
		if (first) {
			strvec_pushf(lines, "%s%.*s", prefix, n, p);
		} else if (n > 0 || p[0] != '\0') {
			strvec_pushf(lines, "%*s%.*s", indent, "", n, p);
		}
		if (p[n] == '\0') {
			return;
		}
		p += n + 1;
	}
}

/* "  ✓ app1  text" and its like. */
static void stay_marked(struct strvec *lines, const struct screen *s, enum ui_style style,
	const char *mark, const struct event *e)
{
	CLEANUP_STR struct str prefix = STR_INIT(STR_MAX_LINE);

	str_add(&prefix, "  ");
	if (mark[0] != '\0') {
		put(&prefix, s, style, mark);
		str_addc(&prefix, ' ');
	}
	if (e->host != NULL) {
		put(&prefix, s, UI_BOLD, e->host);
		str_add(&prefix, "  ");
	}
	stay(lines, str_c(&prefix), mark[0] != '\0' ? 4 : 2, e->text);
}

static void host_done(
	struct live *l, const struct event *e, const struct screen *s, struct strvec *lines)
{
	struct live_host *h = host_get(l, e->host);

	if (h->phase == NULL && l->phases.len > 0) {
		set(&h->phase, l->phases.p[l->phases.len - 1].name);
	}
	if (h->phase == NULL || phase_find(l, h->phase) == NULL) {
		host_remove(l, (size_t)(h - l->hosts.p));
		stay_marked(lines, s, UI_GREEN, glyph(s, "✓", "+"), e);
		return;
	}
	set(&h->text, e->text);
	h->finished = true;
	h->has_bytes = false;
}

/* What the hosts of an ended phase have to say about it. */
struct summary {
	size_t hosts;
	const struct live_host *first;
	bool same;
	int name_width;
};

static bool belongs(const struct live_host *h, const char *phase, bool finished)
{
	return h->finished == finished && str_eq(h->phase, phase) && h->text[0] != '\0';
}

static struct summary summarize(const struct live *l, const char *phase, bool finished)
{
	struct summary sum = {.same = true};

	VEC_FOREACH (&l->hosts, i) {
		const struct live_host *h = &l->hosts.p[i];
		if (!belongs(h, phase, finished)) {
			continue;
		}
		sum.first = sum.first != NULL ? sum.first : h;
		sum.same = sum.same && str_eq(h->text, sum.first->text);
		sum.hosts++;
		int width = text_width(host_name(h->name));
		sum.name_width = width > sum.name_width ? width : sum.name_width;
	}
	return sum;
}

/* On the phase's own line, where it can be said there. */
static void put_summary(struct str *line, const struct screen *s, const struct summary *sum)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);

	if (sum->hosts == 0) {
		return;
	}
	if (sum->hosts == 1) {
		str_addf(&text, "  %s%s%s", sum->first->name,
			sum->first->name[0] != '\0' ? ": " : "", sum->first->text);
	} else if (sum->same) {
		str_addf(&text, "  %zu hosts: %s", sum->hosts, sum->first->text);
	} else if (sum->hosts > SUMMARY_HOSTS) {
		str_addf(&text, "  %zu hosts", sum->hosts);
	}
	put(line, s, UI_DIM, str_c(&text));
}

static void stay_phase(struct live *l, const struct event *e, const struct screen *s, bool failed,
	struct strvec *lines)
{
	struct summary sum = summarize(l, e->label, !failed);
	CLEANUP_STR struct str line = STR_INIT(STR_MAX_LINE);
	char took[CLOCK_RFC3339_SIZE];

	str_add(&line, "  ");
	put(&line, s, failed ? UI_RED : UI_GREEN, failed ? glyph(s, "✗", "x") : glyph(s, "✓", "+"));
	str_addf(&line, " %s", e->label);
	pad(&line, PHASE_COLUMN - text_width(e->label));
	str_addf(&line, " %6s", clock_duration(e->ms, took));
	put_summary(&line, s, &sum);
	strvec_push(lines, str_c(&line));
	if (sum.hosts < 2 || sum.same || sum.hosts > SUMMARY_HOSTS) {
		return;
	}
	VEC_FOREACH (&l->hosts, i) {
		const struct live_host *h = &l->hosts.p[i];
		if (belongs(h, e->label, !failed)) {
			str_reset(&line);
			str_addf(&line, "      %s", host_name(h->name));
			pad(&line, sum.name_width - text_width(host_name(h->name)));
			str_addf(&line, "  %s", h->text);
			CLEANUP_STR struct str dim = STR_INIT(STR_MAX_LINE);
			put(&dim, s, UI_DIM, str_c(&line));
			strvec_push(lines, str_c(&dim));
		}
	}
}

static void phase_end(struct live *l, const struct event *e, const struct screen *s, bool failed,
	struct strvec *lines)
{
	struct live_phase *phase = phase_find(l, e->label);

	stay_phase(l, e, s, failed, lines);
	for (size_t i = l->hosts.len; i > 0; i--) {
		if (str_eq(l->hosts.p[i - 1].phase, e->label)) {
			host_remove(l, i - 1);
		}
	}
	if (phase != NULL) {
		free(phase->name);
		l->phases.len--;
		memmove(phase, phase + 1,
			(size_t)(l->phases.p + l->phases.len - phase) * sizeof(*phase));
	}
}

void live_abandon(struct live *l, const struct screen *s, int64_t now, struct strvec *lines)
{
	while (l->phases.len > 0) {
		CLEANUP_FREE char *name = xstrdup(l->phases.p[0].name);
		struct event e = {.label = name, .ms = now - l->phases.p[0].since};
		phase_end(l, &e, s, true, lines);
	}
	while (l->hosts.len > 0) {
		host_remove(l, l->hosts.len - 1);
	}
}

static void stay_output(struct strvec *lines, const struct screen *s, const struct event *e)
{
	CLEANUP_STR struct str prefix = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str plain = STR_INIT(STR_MAX_LINE);

	str_addf(&plain, "  %s%s%s %s ", e->host != NULL ? e->host : "",
		e->host != NULL && e->label != NULL ? " " : "", e->label != NULL ? e->label : "",
		glyph(s, "│", "|"));
	put(&prefix, s, UI_DIM, str_c(&plain));
	stay(lines, str_c(&prefix), text_width(str_c(&plain)), e->text);
}

void live_event(struct live *l, const struct event *e, const struct screen *s, int64_t now,
	struct strvec *lines)
{
	switch (e->kind) {
	case EVENT_PHASE_BEGIN:
		if (phase_find(l, e->label) == NULL) {
			struct live_phase phase = {.name = one_line(e->label), .since = now};
			vec_push(&l->phases, phase);
		}
		break;
	case EVENT_PHASE_END:
		phase_end(l, e, s, false, lines);
		break;
	case EVENT_PHASE_FAIL:
		phase_end(l, e, s, true, lines);
		break;
	case EVENT_STEP:
		host_step(l, e);
		break;
	case EVENT_DONE:
		host_done(l, e, s, lines);
		break;
	case EVENT_PROGRESS:
		host_progress(l, e, now);
		break;
	case EVENT_OUTPUT:
		stay_output(lines, s, e);
		break;
	case EVENT_INFO:
		stay_marked(lines, s, UI_PLAIN, "", e);
		break;
	case EVENT_WARN:
		stay_marked(lines, s, UI_YELLOW, "!", e);
		break;
	case EVENT_DEBUG:
		stay_marked(lines, s, UI_DIM, glyph(s, "·", "."), e);
		break;
	case EVENT_ERROR:
		live_abandon(l, s, now, lines);
		stay(lines, "", 0, e->text);
		break;
	case EVENT_NOTE:
		stay(lines, "", 0, e->text);
		break;
	}
}

/* Widths that all drawn host lines share. */
struct columns {
	int name;
	int text;
	int bar;
};

static void put_bar(
	struct str *out, const struct screen *s, int width, uint64_t done, uint64_t total)
{
	int full = done >= total ? width : (int)((double)done / (double)total * width);
	CLEANUP_STR struct str filled = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str empty = STR_INIT(STR_MAX_LINE);

	for (int i = 0; i < width; i++) {
		str_add(i < full ? &filled : &empty,
			i < full ? glyph(s, "━", "=") : glyph(s, "─", "-"));
	}
	put(out, s, UI_CYAN, str_c(&filled));
	put(out, s, UI_DIM, str_c(&empty));
}

/* "  ━━━━────  12.4 MB of 30.1 MB  8.2 MB/s"; bar and rate where the screen is wide enough. */
static void put_bytes(
	struct str *out, const struct screen *s, const struct live_host *h, int64_t now, int bar)
{
	CLEANUP_STR struct str amount = STR_INIT(STR_MAX_LINE);
	char buf[16];
	int64_t ms = now - h->bytes_since;

	str_add(out, "  ");
	if (h->total > 0 && bar > 0) {
		put_bar(out, s, bar, h->done, h->total);
		str_add(out, "  ");
	}
	str_add(&amount, ui_bytes(h->done, buf));
	if (h->total > 0) {
		str_addf(&amount, " of %s", ui_bytes(h->total, buf));
	}
	str_add(out, str_c(&amount));
	if (ms >= RATE_AFTER_MS && h->done > 0 && s->columns >= RATE_COLUMNS) {
		uint64_t rate = (uint64_t)((double)h->done * 1000 / (double)ms);
		CLEANUP_FREE char *text = xasprintf("  %s/s", ui_bytes(rate, buf));
		pad(out, BYTES_COLUMN - text_width(str_c(&amount)));
		put(out, s, UI_DIM, text);
	}
}

static const char *step_text(const struct live_host *h)
{
	return h->has_bytes && h->label != NULL ? h->label : h->text;
}

static void draw_host(const struct live_host *h, const struct screen *s, const struct columns *c,
	int64_t now, struct strvec *lines)
{
	CLEANUP_STR struct str line = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str bytes = STR_INIT(STR_MAX_LINE);
	int room = s->columns - 1 - 6;

	str_add(&line, "    ");
	if (h->finished) {
		put(&line, s, UI_GREEN, glyph(s, "✓", "+"));
	} else {
		put(&line, s, UI_CYAN, glyph(s, "·", "."));
	}
	str_addc(&line, ' ');
	int name = put_fit(&line, s, UI_PLAIN, host_name(h->name), c->name < room ? c->name : room);
	room -= c->name + 2;
	pad(&line, c->name - name + 2);
	if (h->has_bytes) {
		put_bytes(&bytes, s, h, now, c->bar);
		int need = text_width(str_c(&bytes));
		int text = room - need < c->text ? room - need : c->text;
		if (text >= MIN_TEXT || text >= c->text) {
			pad(&line, text - put_fit(&line, s, UI_PLAIN, step_text(h), text));
		}
		put_fit(&line, s, UI_PLAIN, str_c(&bytes), room);
	} else {
		put_fit(&line, s, h->finished ? UI_DIM : UI_PLAIN, step_text(h), room);
	}
	/* A screen narrower than name and indent: the whole line is cut. */
	CLEANUP_STR struct str fitted = STR_INIT(STR_MAX_LINE);
	put_fit(&fitted, s, UI_PLAIN, str_c(&line), s->columns - 1);
	strvec_push(lines, str_c(&fitted));
}

static struct columns measure(const struct live *l, const struct screen *s)
{
	struct columns c = {0};
	int cap = s->columns / 3 < MAX_NAME ? s->columns / 3 : MAX_NAME;

	VEC_FOREACH (&l->hosts, i) {
		const struct live_host *h = &l->hosts.p[i];
		int name = text_width(host_name(h->name));
		int text = h->has_bytes ? text_width(step_text(h)) : 0;
		c.name = name > c.name ? name : c.name;
		c.text = text > c.text ? text : c.text;
	}
	c.name = c.name < cap ? c.name : cap;
	c.bar = s->columns >= 90 ? BAR_WIDE : s->columns >= 60 ? BAR_NARROW : 0;
	return c;
}

static void draw_phase(
	const struct live_phase *phase, const struct screen *s, int64_t now, struct strvec *lines)
{
	CLEANUP_STR struct str line = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str fitted = STR_INIT(STR_MAX_LINE);
	char took[CLOCK_RFC3339_SIZE];

	str_add(&line, "  ");
	put(&line, s, UI_CYAN, glyph(s, "•", "*"));
	str_addc(&line, ' ');
	put(&line, s, UI_BOLD, phase->name);
	pad(&line, PHASE_COLUMN - text_width(phase->name));
	/* Whole seconds: what is not over is not known to the tenth, and flickers. */
	clock_duration((now - phase->since) / 1000 * 1000, took);
	char *tenth = strstr(took, ".0s");
	if (tenth != NULL) {
		memcpy(tenth, "s", 2);
	}
	str_addf(&line, " %6s", took);
	put_fit(&fitted, s, UI_PLAIN, str_c(&line), s->columns - 1);
	strvec_push(lines, str_c(&fitted));
}

void live_draw(const struct live *l, const struct screen *s, int64_t now, struct strvec *lines)
{
	struct columns c = measure(l, s);
	size_t rows = s->rows > 2 ? (size_t)s->rows - 1 : 1;
	size_t room = rows > l->phases.len ? rows - l->phases.len : 0;
	size_t shown = l->hosts.len <= room ? l->hosts.len : room > 0 ? room - 1 : 0;
	size_t busy = 0;

	for (size_t i = 0; i < l->phases.len && lines->len < rows; i++) {
		draw_phase(&l->phases.p[i], s, now, lines);
	}
	VEC_FOREACH (&l->hosts, i) {
		busy += !l->hosts.p[i].finished;
	}
	/* Those still at work first, so that they are seen; finished ones as far as there is room.
	 */
	size_t finished_room = shown > busy ? shown - busy : 0;
	size_t left = shown;
	size_t hidden_done = 0;
	for (size_t i = 0; i < l->hosts.len; i++) {
		const struct live_host *h = &l->hosts.p[i];
		if (left > 0 && (!h->finished || finished_room > 0)) {
			draw_host(h, s, &c, now, lines);
			finished_room -= h->finished;
			left--;
		} else {
			hidden_done += h->finished;
		}
	}
	if (shown < l->hosts.len && room > 0) {
		CLEANUP_STR struct str line = STR_INIT(STR_MAX_LINE);
		CLEANUP_FREE char *text = xasprintf(
			"      and %zu more, %zu of them done", l->hosts.len - shown, hidden_done);
		put_fit(&line, s, UI_DIM, text, s->columns - 1);
		strvec_push(lines, str_c(&line));
	}
}

void live_fini(struct live *l)
{
	VEC_FOREACH (&l->hosts, i) {
		host_free(&l->hosts.p[i]);
	}
	VEC_FOREACH (&l->phases, i) {
		free(l->phases.p[i].name);
	}
	vec_fini(&l->hosts);
	vec_fini(&l->phases);
}
