/* SPDX-License-Identifier: MIT */
/* Single values against the schema. */
#include "internal.h"

#include "manifest/syntax.h"

#include <stdio.h>
#include <string.h>

void text_append(char *text, size_t size, size_t *n, const char *more)
{
	int added = snprintf(text + *n, size - *n, "%s", more);

	*n += added < 0 ? 0 : (size_t)added >= size - *n ? size - *n - 1 : (size_t)added;
}

/* What the schema wants, for a message: "a list of hosts or a map". */
static const char *wanted(const struct schema *s, char buf[200])
{
	static const char *const scalars[] = {
		[SCHEMA_NO_SCALAR] = NULL,
		[SCHEMA_TEXT] = "a text",
		[SCHEMA_BOOL] = "true or false",
		[SCHEMA_INT] = "a whole number",
		[SCHEMA_DURATION] = "a duration such as 10s",
		[SCHEMA_SIZE] = "a size such as 512m",
		[SCHEMA_VALUE] = "one value",
		[SCHEMA_BOOL_OR_TEXT] = "true, false or a text",
	};
	const char *scalar = scalars[s->scalar];
	bool map = s->keys != NULL || s->values != NULL || s->special == SCHEMA_ENV ||
		   s->special == SCHEMA_OPTIONS;
	size_t n = 0;

	buf[0] = '\0';
	if (scalar != NULL) {
		text_append(buf, 200, &n, s->format != NULL ? s->format->what : scalar);
	}
	if (s->items != NULL) {
		text_append(buf, 200, &n, n > 0 ? (map ? ", a list" : " or a list") : "a list");
	}
	if (map) {
		text_append(buf, 200, &n, n > 0 ? " or a map" : "a map");
	}
	return buf;
}

void validate_wrong_shape(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	char want[200], shown[NODE_SHOWN_SIZE];
	const char *hint = NULL;

	if (n->kind == NODE_SCALAR && s->items != NULL) {
		hint = "write it as a list: [one, two]";
	}
	n->bad = true;
	diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &n->mark, hint, "'%s' has to be %s, not %s",
		p->shown, wanted(s, want), node_shown(n, shown));
}

void validate_wrong_value(struct validator *v, struct node *n, const struct path *p,
	const char *hint, const char *why)
{
	char shown[NODE_SHOWN_SIZE];

	n->bad = true;
	diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &n->mark, hint, "'%s': %s %s", p->shown,
		node_shown(n, shown), why);
}

static void check_words(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	char want[256], hint[128];
	size_t count = 0, used = 0;

	for (; s->words[count] != NULL; count++) {
		if (strcmp(s->words[count], n->text) == 0) {
			return;
		}
	}
	text_append(want, sizeof(want), &used, "is not one of ");
	for (size_t i = 0; i < count; i++) {
		text_append(want, sizeof(want), &used, i == 0 ? "" : ", ");
		text_append(want, sizeof(want), &used, s->words[i]);
	}
	const char *near = diagnostics_nearest(n->text, s->words, count, sizeof(s->words[0]));

	snprintf(hint, sizeof(hint), "did you mean '%s'?", near != NULL ? near : "");
	validate_wrong_value(v, n, p, near != NULL ? hint : NULL, want);
}

/* Whether a secret itself was written where its name belongs. */
static bool looks_secret(const char *text, const struct schema_format *f)
{
	static const char name_like[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:- ";

	return (f->check == syntax_secret_name || f->check == syntax_secret_ref) &&
	       (strlen(text) > 64 || strspn(text, name_like) != strlen(text) ||
		       strncmp(text, "---", 3) == 0);
}

void validate_format(struct validator *v, struct node *n, const char *text,
	const struct schema_format *f, const struct path *p)
{
	const char *why = f->check(text);

	if (why != NULL && looks_secret(text, f)) {
		struct mark m = n->mark;

		m.hidden = n->bad = true;
		diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &m,
			"name a secret here and put its value into .deploy/secrets",
			"'%s': this is not the name of a secret", p->shown);
	} else if (why != NULL) {
		char hint[200];

		snprintf(hint, sizeof(hint), "it has to be %s", f->what);
		validate_wrong_value(v, n, p, hint, why);
	}
}

/* "a, b": each part. */
static void check_commas(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	const char *t = n->text;

	while (!n->bad) {
		char part[512];
		size_t len;

		t += strspn(t, " ");
		len = strcspn(t, ",");
		size_t keep = len;

		while (keep > 0 && t[keep - 1] == ' ') {
			keep--;
		}
		snprintf(part, sizeof(part), "%.*s",
			(int)(keep < sizeof(part) ? keep : sizeof(part) - 1), t);
		validate_format(v, n, part, s->format, p);
		if (t[len] == '\0') {
			return;
		}
		t += len + 1;
	}
}

static void check_integer(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	int64_t value;
	char why[128];

	if (syntax_integer(n->text, &value) != 0) {
		bool other_base = n->text[0] == '0' && n->text[1] != '\0';

		validate_wrong_value(v, n, p,
			other_base ? "write it in decimal digits, without a leading 0" : NULL,
			"is not a whole number");
	} else if (value < s->min || value > s->max) {
		snprintf(why, sizeof(why), "is not between %lld and %lld", (long long)s->min,
			(long long)s->max);
		validate_wrong_value(v, n, p, NULL, why);
	}
}

static void check_duration(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	int64_t ms = syntax_duration(n->text);
	char why[128];

	if (ms < 0) {
		validate_wrong_value(v, n, p, "seconds, or with a unit: 500ms, 10s, 2m, 1h",
			"is not a duration");
	} else if (ms < s->min || ms > s->max) {
		snprintf(why, sizeof(why), "is not between %gs and %gs", (double)s->min / 1000,
			(double)s->max / 1000);
		validate_wrong_value(v, n, p, NULL, why);
	}
}

static void check_size(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	int64_t bytes = syntax_size(n->text);

	if (bytes < s->min || bytes > s->max) {
		validate_wrong_value(
			v, n, p, "bytes, or with a unit: 512k, 64m, 1g", "is not a size");
	}
}

static void check_null(struct validator *v, struct node *n, const struct path *p)
{
	n->bad = true;
	diagnostics_add(v->diags, DIAGNOSTIC_ERROR, &n->mark,
		"an empty value is written \"\"; to have no such variable, remove the line",
		"'%s' has no value", p->shown);
}

void validate_scalar(
	struct validator *v, struct node *n, const struct schema *s, const struct path *p)
{
	switch (s->scalar) {
	case SCHEMA_NO_SCALAR:
		validate_wrong_shape(v, n, s, p);
		return;
	case SCHEMA_BOOL:
		if (syntax_bool(n->text) < 0) {
			validate_wrong_shape(v, n, s, p);
		}
		return;
	case SCHEMA_BOOL_OR_TEXT:
		if (syntax_bool(n->text) < 0) {
			validate_format(v, n, n->text, s->format, p);
		}
		return;
	case SCHEMA_INT:
		check_integer(v, n, s, p);
		return;
	case SCHEMA_DURATION:
		check_duration(v, n, s, p);
		return;
	case SCHEMA_SIZE:
		check_size(v, n, s, p);
		return;
	case SCHEMA_VALUE:
		if (node_is_null(n)) {
			check_null(v, n, p);
		}
		return;
	case SCHEMA_TEXT:
		break;
	}
	if (s->words != NULL) {
		check_words(v, n, s, p);
	} else if (s->commas) {
		check_commas(v, n, s, p);
	} else {
		validate_format(v, n, n->text, s->format, p);
	}
}
