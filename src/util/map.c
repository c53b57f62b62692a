/* SPDX-License-Identifier: MIT */
#include "util/map.h"

#include "util/str.h"

#include <stdlib.h>
#include <string.h>

static struct strmap_entry *find(const struct strmap *m, const char *key)
{
	for (size_t i = 0; i < m->len; i++) {
		if (strcmp(m->p[i].key, key) == 0) {
			return &m->p[i];
		}
	}
	return NULL;
}

void strmap_set(struct strmap *m, const char *key, const char *value)
{
	struct strmap_entry *e = find(m, key);
	char *copy = xstrdup(value);

	if (e != NULL) {
		free(e->value);
		e->value = copy;
		return;
	}
	if (m->len == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 8;
		m->p = xrealloc(m->p, m->cap * sizeof(m->p[0]));
	}
	m->p[m->len++] = (struct strmap_entry){.key = xstrdup(key), .value = copy};
}

const char *strmap_get(const struct strmap *m, const char *key)
{
	const struct strmap_entry *e = find(m, key);

	return e != NULL ? e->value : NULL;
}

void strmap_del(struct strmap *m, const char *key)
{
	struct strmap_entry *e = find(m, key);

	if (e == NULL) {
		return;
	}
	free(e->key);
	free(e->value);
	m->len--;
	memmove(e, e + 1, (size_t)(m->p + m->len - e) * sizeof(*e));
}

void strmap_copy(struct strmap *to, const struct strmap *from)
{
	if (to == from) {
		return;
	}
	for (size_t i = 0; i < from->len; i++) {
		strmap_set(to, from->p[i].key, from->p[i].value);
	}
}

static int compare(const void *a, const void *b)
{
	const struct strmap_entry *x = a;
	const struct strmap_entry *y = b;

	return strcmp(x->key, y->key);
}

void strmap_sort(struct strmap *m)
{
	if (m->len > 1) {
		qsort(m->p, m->len, sizeof(m->p[0]), compare);
	}
}

void strmap_fini(struct strmap *m)
{
	if (m == NULL) {
		return;
	}
	for (size_t i = 0; i < m->len; i++) {
		free(m->p[i].key);
		free(m->p[i].value);
	}
	free(m->p);
	*m = (struct strmap){0};
}
