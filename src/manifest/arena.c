/* SPDX-License-Identifier: MIT */
#include "manifest/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)32 << 10)

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	alignas(max_align_t) unsigned char bytes[];
};

void *arena_alloc(struct arena *a, size_t size)
{
	size_t need = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	struct arena_block *b = a->head;

	assert(size <= SIZE_MAX / 4);
	if (b == NULL || b->size - b->used < need) {
		size_t room = need > BLOCK_SIZE ? need : BLOCK_SIZE;

		b = xcalloc(1, sizeof(*b) + room);
		b->size = room;
		b->next = a->head;
		a->head = b;
	}
	void *p = b->bytes + b->used;

	b->used += need;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *copy = arena_alloc(a, n + 1);

	if (n > 0) {
		memcpy(copy, s, n);
	}
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s != NULL ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	char *copy = arena_strndup(a, text, (size_t)n);

	free(text);
	return copy;
}

void arena_fini(struct arena *a)
{
	if (a == NULL) {
		return;
	}
	while (a->head != NULL) {
		struct arena_block *next = a->head->next;

		free(a->head);
		a->head = next;
	}
}

void *arena_grow(struct arena *a, const void *p, size_t used, size_t size)
{
	void *bigger = arena_alloc(a, size);

	if (used > 0) {
		memcpy(bigger, p, used);
	}
	return bigger;
}

void arena_map_set(struct arena *a, struct strmap *m, const char *key, const char *value)
{
	for (size_t i = 0; i < m->len; i++) {
		if (strcmp(m->p[i].key, key) == 0) {
			m->p[i].value = arena_strdup(a, value);
			return;
		}
	}
	struct strmap_entry e = {.key = arena_strdup(a, key), .value = arena_strdup(a, value)};

	arena_push(a, m, e);
}
