/* SPDX-License-Identifier: MIT */
#include "manifest/expand.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 128

struct expansion {
	const char *text; /* whole, for offsets */
	expand_get *get;
	void *ctx;
	struct str *out;
	struct expand_problem *problem;
};

static int expand_range(struct expansion *x, const char *p, const char *end, int depth);

__attribute__((format(printf, 4, 5))) static int mistake(
	struct expansion *x, const char *at, const char *end, const char *fmt, ...)
{
	va_list ap;

	x->problem->offset = (size_t)(at - x->text);
	x->problem->len = (size_t)(end - at);
	va_start(ap, fmt);
	vsnprintf(x->problem->message, sizeof(x->problem->message), fmt, ap);
	va_end(ap);
	return -1;
}

static bool name_char(char c, bool first)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

/* The `}` that ends the reference whose `{` is at p; references inside are skipped. */
static const char *closing(const char *p, const char *end)
{
	int depth = 0;

	for (; p < end; p++) {
		if (*p == '{' && p[-1] == '$') {
			depth++;
		} else if (*p == '}' && --depth == 0) {
			return p;
		}
	}
	return NULL;
}

static int put(struct expansion *x, const char *at, const char *end, const char *bytes, size_t n)
{
	if (str_addn(x->out, bytes, n) != 0) {
		return mistake(x, at, end, "value with its variables is longer than %zu KiB",
			EXPAND_MAX >> 10);
	}
	return 0;
}

/* `:-word`, `-word`, `:?word`, `?word` or nothing between the name and the end. */
static int apply(struct expansion *x, const char *at, const char *name, const char *op,
	const char *end, int depth)
{
	const char *value = x->get(x->ctx, name);
	const char *ref_end = end + 1;
	bool colon = op < end && *op == ':';
	const char *kind = colon ? op + 1 : op;
	bool missing = value == NULL || (colon && *value == '\0');

	if (op == end) {
		if (value == NULL) {
			snprintf(x->problem->hint, sizeof(x->problem->hint),
				"set it, or give a default: ${%s:-value}", name);
			return mistake(x, at, ref_end, "variable '%s' is not set", name);
		}
		return put(x, at, ref_end, value, strlen(value));
	}
	if (kind >= end || (*kind != '-' && *kind != '?')) {
		snprintf(x->problem->hint, sizeof(x->problem->hint),
			"${%s}, ${%s:-default} or ${%s:?message}; a literal one is $${", name, name,
			name);
		return mistake(x, at, ref_end, "'%.*s' is not understood",
			(int)(ref_end - at > 60 ? 60 : ref_end - at), at);
	}
	if (!missing) {
		return put(x, at, ref_end, value, strlen(value));
	}
	if (*kind == '-') {
		return expand_range(x, kind + 1, end, depth + 1);
	}
	int n = (int)(end - kind - 1 > 300 ? 300 : end - kind - 1);

	if (n == 0) {
		return mistake(x, at, ref_end, "variable '%s' is not set", name);
	}
	return mistake(x, at, ref_end, "variable '%s' is not set: %.*s", name, n, kind + 1);
}

/* At `{` (p) of a reference that began at `at`; *next is set behind it. */
static int reference(struct expansion *x, const char *at, const char *p, const char *end, int depth,
	const char **next)
{
	const char *stop = closing(p, end);
	const char *op = p + 1;
	char name[NAME_MAX_LEN + 1];

	if (stop == NULL) {
		snprintf(x->problem->hint, sizeof(x->problem->hint),
			"a literal '${' is written '$${'");
		return mistake(x, at, end, "'${' without '}'");
	}
	if (depth >= EXPAND_DEPTH_MAX) {
		return mistake(x, at, stop + 1, "more than %d defaults within each other",
			EXPAND_DEPTH_MAX);
	}
	while (op < stop && name_char(*op, op == p + 1)) {
		op++;
	}
	size_t n = (size_t)(op - p - 1);

	if (n == 0 || n > NAME_MAX_LEN) {
		snprintf(x->problem->hint, sizeof(x->problem->hint),
			"a literal '${' is written '$${'");
		return mistake(x, at, stop + 1, "'${' needs the name of a variable");
	}
	memcpy(name, p + 1, n);
	name[n] = '\0';
	*next = stop + 1;
	return apply(x, at, name, op, stop, depth);
}

static int expand_range(struct expansion *x, const char *p, const char *end, int depth)
{
	while (p < end) {
		const char *run = p;

		while (p < end && *p == '$') {
			p++;
		}
		size_t dollars = (size_t)(p - run);

		if (dollars == 0) {
			const char *dollar = memchr(p, '$', (size_t)(end - p));
			const char *stop = dollar != NULL ? dollar : end;

			if (put(x, p, stop, p, (size_t)(stop - p)) != 0) {
				return -1;
			}
			p = stop;
		} else if (p == end || *p != '{') {
			if (put(x, run, p, run, dollars) != 0) {
				return -1;
			}
		} else {
			if (put(x, run, p, run, dollars / 2) != 0) {
				return -1;
			}
			if (dollars % 2 == 1 && reference(x, p - 1, p, end, depth, &p) != 0) {
				return -1;
			}
			if (dollars % 2 == 0) {
				if (put(x, p, p + 1, p, 1) != 0) {
					return -1;
				}
				p++;
			}
		}
	}
	return 0;
}

bool expand_needed(const char *text)
{
	return strstr(text, "${") != NULL;
}

int expand_text(const char *text, expand_get *get, void *ctx, struct str *out,
	struct expand_problem *problem)
{
	struct expansion x = {.text = text, .get = get, .ctx = ctx, .out = out, .problem = problem};

	*problem = (struct expand_problem){0};
	return expand_range(&x, text, text + strlen(text), 0);
}
