/* SPDX-License-Identifier: MIT */
#include "util/vec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void strvec_push(struct strvec *v, const char *s)
{
	vec_push(v, xstrdup(s));
}

void strvec_pushf(struct strvec *v, const char *fmt, ...)
{
	va_list ap;
	struct str s = STR_INIT(STR_MAX_REPLY);

	va_start(ap, fmt);
	str_vaddf(&s, fmt, ap);
	va_end(ap);
	vec_push(v, str_take(&s));
}

bool strvec_has(const struct strvec *v, const char *s)
{
	VEC_FOREACH (v, i) {
		if (str_eq(v->p[i], s)) {
			return true;
		}
	}
	return false;
}

void strvec_copy(struct strvec *to, const struct strvec *from)
{
	size_t n = from->len; /* `to` may be `from` */

	for (size_t i = 0; i < n; i++) {
		strvec_push(to, from->p[i]);
	}
}

static int compare(const void *a, const void *b)
{
	const char *const *x = a;
	const char *const *y = b;

	return strcmp(*x, *y);
}

void strvec_sort(struct strvec *v)
{
	if (v->len > 1) {
		qsort(v->p, v->len, sizeof(v->p[0]), compare);
	}
}

void strvec_fini(struct strvec *v)
{
	if (v == NULL) {
		return;
	}
	VEC_FOREACH (v, i) {
		free(v->p[i]);
	}
	vec_fini(v);
}
