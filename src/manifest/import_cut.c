/* SPDX-License-Identifier: MIT */
#include "import_cut.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH 76

void cut_file_init(struct cut_file *f, const struct source *source, const char *more)
{
	bool bom = source->len >= 3 && memcmp(source->text, "\xEF\xBB\xBF", 3) == 0;
	size_t skip = bom ? 3 : 0, len = source->len - skip;
	bool ends = len == 0 || source->text[source->len - 1] == '\n';

	*f = (struct cut_file){.name = source->name};
	f->original = xasprintf("%.*s%s%s", (int)len, source->text + skip,
		*more != '\0' && !ends ? "\n" : "", more);
	f->text = xstrdup(f->original);
	f->len = strlen(f->text);
}

void cut_file_fini(struct cut_file *f)
{
	VEC_FOREACH (&f->notes, i) {
		free(f->notes.p[i].text);
	}
	vec_fini(&f->notes);
	vec_fini(&f->cuts);
	free(f->original);
	free(f->text);
}

struct source cut_source(const struct cut_file *f)
{
	return (struct source){.name = f->name, .text = f->text, .len = f->len};
}

/* -- Places -- */

/* Columns count characters. */
static size_t offset_of(const struct cut_file *f, int line, int column)
{
	size_t at = 0;

	for (int i = 1; i < line && at < f->len; i++) {
		const char *newline = memchr(f->text + at, '\n', f->len - at);
		at = newline != NULL ? (size_t)(newline - f->text) + 1 : f->len;
	}
	for (int i = 1; i < column && at < f->len && f->text[at] != '\n'; i++) {
		at++;
		while (at < f->len && ((unsigned char)f->text[at] & 0xC0) == 0x80) {
			at++;
		}
	}
	return at;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static size_t line_start(const char *text, size_t at)
{
	while (at > 0 && text[at - 1] != '\n') {
		at--;
	}
	return at;
}

static size_t skip_blanks(const char *text, size_t at)
{
	return at + strspn(text + at, " \t\r");
}

/* Blank lines behind a value are not its, nor are comments that are not deeper than its key. */
static size_t trim(const struct cut_file *f, size_t from, size_t to, int column)
{
	for (;;) {
		while (to > from && (is_blank(f->text[to - 1]) || f->text[to - 1] == '\n')) {
			to--;
		}
		size_t start = line_start(f->text, to), first = skip_blanks(f->text, start);
		if (start <= from || f->text[first] != '#' || first - start > (size_t)column) {
			return to;
		}
		to = start;
	}
}

/* The line of the key at the margin that `at` belongs to: a comment may always stand before it. */
static size_t top_line(const struct cut_file *f, size_t at)
{
	size_t start = line_start(f->text, at);

	while (start > 0 && strchr(" \t\r\n#]}", f->text[start]) != NULL) {
		start = line_start(f->text, start - 1);
	}
	return start;
}

/* -- Cutting -- */

static void add_note(struct cut_file *f, size_t at, int indent, char *text)
{
	struct cut_note note = {.at = at, .indent = indent, .text = text};

	vec_push(&f->notes, note);
}

static void add_cut(struct cut_file *f, struct cut cut)
{
	size_t kept = 0;

	/* what was cut inside of it before */
	VEC_FOREACH (&f->cuts, i) {
		const struct cut *c = &f->cuts.p[i];
		if (c->from < cut.from || c->from >= cut.to) {
			f->cuts.p[kept++] = *c;
		}
	}
	f->cuts.len = kept;
	vec_push(&f->cuts, cut);
	for (size_t i = cut.from; i < cut.to; i++) {
		if (f->text[i] != '\n' && f->text[i] != '\r') {
			f->text[i] = ' ';
		}
	}
}

/* The entry and one comma, for those beside it in the line stay. */
static void cut_part(struct cut_file *f, size_t from, size_t to, const char *reason)
{
	CLEANUP_STR struct str was = STR_INIT(STR_MAX_FILE);

	str_addf(&was, "%s; it was ", reason);
	for (size_t i = from; i < to; i++) {
		bool blank = is_blank(f->original[i]) || f->original[i] == '\n';
		if (!blank || was.p[was.len - 1] != ' ') {
			str_addc(&was, blank ? ' ' : f->original[i]);
		}
	}
	add_note(f, top_line(f, from), 0, xstrdup(str_c(&was)));
	size_t behind = skip_blanks(f->text, to);
	if (f->text[behind] == ',') {
		to = skip_blanks(f->text, behind + 1);
	} else {
		while (from > 0 && is_blank(f->text[from - 1])) {
			from--;
		}
		from -= from > 0 && f->text[from - 1] == ',';
	}
	add_cut(f, (struct cut){.from = from, .to = to, .column = -1});
}

bool cut_entry(struct cut_file *f, const struct node *key, const char *reason)
{
	int column = key->mark.column - 1;
	size_t from = offset_of(f, key->mark.line, key->mark.column);
	size_t to = trim(f, from, offset_of(f, key->end_line, key->end_column), column);
	size_t start = line_start(f->text, from);

	if (to <= from || is_blank(f->text[from])) {
		return false;
	}
	size_t behind = skip_blanks(f->text, to);
	behind = f->text[behind] == ',' ? skip_blanks(f->text, behind + 1) : behind;
	if (skip_blanks(f->text, start) != from || strchr("#\n", f->text[behind]) == NULL) {
		cut_part(f, from, to, reason);
		return true;
	}
	add_note(f, start, column, xstrdup(reason));
	to = behind + strcspn(f->text + behind, "\n");
	add_cut(f, (struct cut){.from = start, .to = to, .column = column});
	return true;
}

void cut_note(struct cut_file *f, const struct node *key, const char *text)
{
	size_t from = offset_of(f, key->mark.line, key->mark.column);
	size_t start = line_start(f->text, from);
	bool first = skip_blanks(f->text, start) == from;

	add_note(f, first ? start : top_line(f, from), first ? key->mark.column - 1 : 0,
		xstrdup(text));
}

/* -- Writing -- */

/* Length of what ends a line for a YAML parser (1.1, 5.4), or is refused by it (5.1); 0: neither.
 */
static size_t no_comment(const char *p, size_t left)
{
	unsigned char c = (unsigned char)*p;
	unsigned char next = left > 1 ? (unsigned char)p[1] : 0;
	if ((c < ' ' && c != '\t') || c == 0x7f) {
		return 1;
	}
	if (c == 0xc2 && next >= 0x80 && next < 0xa0) { /* U+0080 to U+009F, with NEL */
		return 2;
	}
	bool rest = left > 2;
	return rest && (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0 ||
			       memcmp(p, "\xef\xbb\xbf", 3) == 0 ||
			       memcmp(p, "\xef\xbf\xbe", 3) == 0 ||
			       memcmp(p, "\xef\xbf\xbf", 3) == 0)
		       ? 3
		       : 0;
}

/* A name may hold anything, and a comment must not end before its line does. */
static void add_line(struct str *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = no_comment(text + i, len - i);
		str_addc(out, n > 0 ? ' ' : text[i]);
		i += n > 0 ? n : 1;
	}
	str_addc(out, '\n');
}

void import_add_comment(struct str *out, int indent, const char *text)
{
	size_t width = indent < WIDTH / 2 ? (size_t)(WIDTH - indent) : WIDTH / 2;

	for (const char *p = text; *p != '\0';) {
		size_t n = strlen(p) <= width ? strlen(p) : width;
		while (p[n] != '\0' && p[n] != ' ' && n > 0) {
			n--;
		}
		n = n > 0 ? n : strcspn(p, " ");
		str_addf(out, "%*s# ", indent, "");
		add_line(out, p, n);
		p += n + (p[n] == ' ');
	}
}

static void write_commented(const char *line, size_t len, int column, struct str *out)
{
	size_t blanks = 0;

	while (blanks < len && blanks < (size_t)column && is_blank(line[blanks])) {
		blanks++;
	}
	str_addf(out, "%*s#%s", column, "", blanks < len ? " " : "");
	add_line(out, line + blanks, len - blanks);
}

static const struct cut *cut_at(const struct cut_file *f, size_t at)
{
	VEC_FOREACH (&f->cuts, i) {
		if (f->cuts.p[i].from <= at && at < f->cuts.p[i].to) {
			return &f->cuts.p[i];
		}
	}
	return NULL;
}

/* What is left of a line; one of which nothing is left is none. */
static void write_rest(const struct cut_file *f, size_t from, size_t to, struct str *out)
{
	size_t before = out->len;
	bool cut = false, any = false;

	for (size_t i = from; i < to; i++) {
		if (cut_at(f, i) != NULL) {
			cut = true;
			continue;
		}
		any = any || !is_blank(f->original[i]);
		str_addc(out, f->original[i]);
	}
	if (cut && !any) {
		str_truncate(out, before);
	} else {
		str_addc(out, '\n');
	}
}

/* The comments of a line; `last`: the one before, when only cut lines stand between. */
static const char *write_notes(
	const struct cut_file *f, size_t at, const char *last, struct str *out)
{
	VEC_FOREACH (&f->notes, i) {
		const struct cut_note *n = &f->notes.p[i];
		if (n->at == at && (last == NULL || strcmp(last, n->text) != 0)) {
			import_add_comment(out, n->indent, n->text);
			last = n->text;
		}
	}
	return last;
}

void cut_write(const struct cut_file *f, struct str *out)
{
	const char *last = NULL;

	for (size_t at = 0; at < f->len;) {
		size_t len = strcspn(f->original + at, "\n");
		const struct cut *c = cut_at(f, at);

		last = write_notes(f, at, last, out);
		if (c != NULL && c->column >= 0) {
			write_commented(f->original + at, len, c->column, out);
		} else {
			write_rest(f, at, at + len, out);
			last = NULL;
		}
		at += len + 1;
	}
}
