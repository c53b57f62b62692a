/* SPDX-License-Identifier: MIT */
#include "manifest/diagnostic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX  ((size_t)2048)
#define SHOWN_BEFORE 100 /* characters of a long line that are shown before the caret */
#define SHOWN_AFTER  60
#define WORD_MAX     64

/* Length of the UTF-8 character at s (n > 0 bytes are there); 1 for a broken one. */
static size_t character(const char *s, size_t n)
{
	unsigned char c = (unsigned char)*s;
	size_t want = c < 0xC2 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 1;

	if (want > n) {
		return 1;
	}
	for (size_t i = 1; i < want; i++) {
		if (((unsigned char)s[i] & 0xC0) != 0x80) {
			return 1;
		}
	}
	return want;
}

/* Appends one character, made harmless for a terminal. */
static void add_safe(struct str *out, const char *s, size_t n)
{
	unsigned char c = (unsigned char)*s;
	bool c1 = n == 2 && c == 0xC2 && (unsigned char)s[1] < 0xA0;

	if (n == 1 && c == '\t') {
		str_addc(out, ' ');
	} else if (c1 || (n == 1 && (c < 0x20 || c >= 0x7F))) {
		for (size_t i = 0; i < n; i++) {
			str_addf(out, "\\x%02x", (unsigned char)s[i]);
		}
	} else {
		str_addn(out, s, n);
	}
}

static char *safe_text(const char *text)
{
	struct str out = STR_INIT(MESSAGE_MAX * 4);
	size_t n = strlen(text);

	for (size_t i = 0; i < n && !out.overflow;) {
		size_t len = character(text + i, n - i);

		add_safe(&out, text + i, len);
		i += len;
	}
	return str_take(&out);
}

/* The line `line` of the source, from 1; NULL when there is none. */
static const char *find_line(const struct source *s, int line, size_t *len)
{
	const char *p = s->text, *end = s->text + s->len;

	for (int i = 1; p < end; i++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl != NULL ? nl : end;

		if (i == line) {
			while (stop > p && stop[-1] == '\r') {
				stop--;
			}
			*len = (size_t)(stop - p);
			return p;
		}
		if (nl == NULL) {
			return NULL;
		}
		p = nl + 1;
	}
	return NULL;
}

/* Copies the part of the line that is shown, and sets where the caret is in it. */
static char *excerpt(const struct mark *m, int *caret)
{
	size_t n = 0;
	const char *line = find_line(m->source, m->line, &n);
	struct str out = STR_INIT(STR_MAX_LINE);
	int first = m->column > SHOWN_BEFORE ? m->column - SHOWN_BEFORE : 1;
	int last = m->column + SHOWN_AFTER;
	int column = 1;

	if (line == NULL) {
		return NULL;
	}
	*caret = 0;
	if (first > 1) {
		str_add(&out, "...");
		*caret = 3;
	}
	for (size_t i = 0; i < n; column++) {
		size_t len = character(line + i, n - i);

		if (column >= first && column <= last) {
			size_t before = out.len;

			add_safe(&out, line + i, len);
			if (column < m->column) {
				*caret += out.len - before > len ? (int)(out.len - before) : 1;
			}
		} else if (column > last) {
			str_add(&out, "...");
			break;
		}
		i += len;
	}
	if (column <= m->column) { /* just behind the end of the line */
		*caret += m->column - (column > first ? column : first);
	}
	return str_take(&out);
}

static bool same(const struct diagnostic *a, const struct diagnostic *b)
{
	return a->level == b->level && a->line == b->line && a->column == b->column &&
	       strcmp(a->file, b->file) == 0 && strcmp(a->message, b->message) == 0;
}

static void fini_one(struct diagnostic *d)
{
	free(d->file);
	free(d->message);
	free(d->source);
	free(d->hint);
}

/* What was told of the same line before does not show it either. */
static void hide_line(struct diagnostics *d, const struct diagnostic *like)
{
	VEC_FOREACH (d, i) {
		if (d->p[i].line == like->line && strcmp(d->p[i].file, like->file) == 0) {
			free(d->p[i].source);
			d->p[i].source = NULL;
			d->p[i].hidden = true;
		}
	}
}

void diagnostics_add(struct diagnostics *d, enum diagnostic_level level, const struct mark *mark,
	const char *hint, const char *fmt, ...)
{
	static const struct mark nowhere;
	const struct mark *m = mark != NULL ? mark : &nowhere;
	struct str text = STR_INIT(MESSAGE_MAX);
	va_list ap;

	if (d->len >= DIAGNOSTICS_MAX) {
		d->errors += level == DIAGNOSTIC_ERROR;
		d->dropped++;
		return;
	}
	va_start(ap, fmt);
	if (str_vaddf(&text, fmt, ap) != 0) {
		str_add(&text, "mistake whose text is too long to show");
	}
	va_end(ap);
	struct diagnostic new = {
		.level = level,
		.file = safe_text(m->source != NULL ? m->source->name : "manifest"),
		.line = m->line,
		.column = m->column,
		.width = m->width > 0 ? m->width : 1,
		.message = safe_text(str_c(&text)),
		.hint = hint != NULL ? safe_text(hint) : NULL,
	};

	str_fini(&text);
	new.hidden = m->hidden;
	for (size_t i = 0; i<d->len &&new.line> 0; i++) {
		if (d->p[i].line == new.line && strcmp(d->p[i].file, new.file) == 0) {
			new.hidden = new.hidden || d->p[i].hidden;
		}
	}
	if (new.hidden) {
		hide_line(d, &new);
	} else if (m->source != NULL && m->line > 0 && m->column > 0) {
		new.source = excerpt(m, &new.caret);
	}
	for (size_t i = 0; i < d->len; i++) {
		if (same(&d->p[i], &new)) {
			fini_one(&new);
			return;
		}
	}
	d->errors += level == DIAGNOSTIC_ERROR;
	vec_push(d, new);
}

void diagnostics_fini(struct diagnostics *d)
{
	if (d == NULL) {
		return;
	}
	VEC_FOREACH (d, i) {
		fini_one(&d->p[i]);
	}
	vec_fini(d);
	d->errors = d->dropped = 0;
}

static int compare(const void *a, const void *b)
{
	const struct diagnostic *const *x = a;
	const struct diagnostic *const *y = b;
	int files = strcmp((*x)->file, (*y)->file);

	if (files != 0) {
		return files;
	}
	if ((*x)->line != (*y)->line) {
		return (*x)->line < (*y)->line ? -1 : 1;
	}
	if ((*x)->column != (*y)->column) {
		return (*x)->column < (*y)->column ? -1 : 1;
	}
	return *x < *y ? -1 : *x > *y; /* in order of finding */
}

static int characters(const char *s)
{
	int n = 0;

	for (size_t i = 0, len = strlen(s); i < len; n++) {
		i += character(s + i, len - i);
	}
	return n;
}

static void render_one(const struct diagnostic *d, bool color, struct str *out)
{
	bool is_error = d->level == DIAGNOSTIC_ERROR;
	const char *tint = is_error ? "\033[31m" : "\033[33m";

	if (!color) {
		tint = "";
	}
	str_addf(out, "%s%s", color ? "\033[1m" : "", d->file);
	if (d->line > 0) {
		str_addf(out, ":%d", d->line);
	}
	if (d->line > 0 && d->column > 0) {
		str_addf(out, ":%d", d->column);
	}
	str_addf(out, ":%s %s%s:%s %s\n", color ? "\033[0m" : "", tint,
		is_error ? "error" : "warning", color ? "\033[0m" : "", d->message);
	if (d->source != NULL) {
		int room = characters(d->source) - d->caret;
		int width = d->width < room ? d->width : room;

		str_addf(out, "%5d | %s\n      | %*s%s^", d->line, d->source, d->caret, "", tint);
		for (int i = 1; i < width; i++) {
			str_addc(out, '~');
		}
		str_addf(out, "%s\n", color ? "\033[0m" : "");
	}
	if (d->hint != NULL) {
		str_addf(out, "      = %s\n", d->hint);
	}
}

void diagnostics_render(const struct diagnostics *d, bool color, struct str *out)
{
	const struct diagnostic **order = xcalloc(d->len + 1, sizeof(*order));

	for (size_t i = 0; i < d->len; i++) {
		order[i] = &d->p[i];
	}
	qsort(order, d->len, sizeof(*order), compare);
	for (size_t i = 0; i < d->len; i++) {
		render_one(order[i], color, out);
	}
	if (d->dropped > 0) {
		str_addf(out, "... and %zu more\n", d->dropped);
	}
	free(order);
}

/* Optimal string alignment: insertions, deletions, substitutions, swaps of neighbours. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *two = rows[0], *one = rows[1], *now = rows[2];

	for (size_t j = 0; j <= nb; j++) {
		one[j] = j;
		two[j] = 0;
	}
	for (size_t i = 1; i <= na; i++) {
		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t best = one[j - 1] + (a[i - 1] != b[j - 1]);

			best = one[j] + 1 < best ? one[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				two[j - 2] + 1 < best) {
				best = two[j - 2] + 1;
			}
			now[j] = best;
		}
		size_t *free_row = two;

		two = one;
		one = now;
		now = free_row;
	}
	return one[nb];
}

const char *diagnostics_nearest(const char *word, const void *words, size_t n, size_t stride)
{
	size_t len = strlen(word);
	size_t best = len <= 3 ? 1 : len <= 6 ? 2 : len / 3;
	const char *found = NULL;

	if (len == 0 || len > WORD_MAX) {
		return NULL;
	}
	best++;
	for (size_t i = 0; i < n; i++) {
		const char *candidate;

		memcpy(&candidate, (const char *)words + i * stride, sizeof(candidate));
		if (candidate == NULL || strlen(candidate) > WORD_MAX) {
			continue;
		}
		size_t d = distance(word, len, candidate, strlen(candidate));

		/* a candidate of which nothing would be left is no suggestion */
		if (d < best && d < strlen(candidate)) {
			best = d;
			found = candidate;
		}
	}
	return found;
}
