/* SPDX-License-Identifier: MIT */
/* Memory with one lifetime: the manifest's tree and the configuration made of it. */
#pragma once

#include "util/map.h"
#include "util/vec.h"

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *head;
};

/* Zeroed memory, aligned for any type; ends with arena_fini(). Never NULL. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s); /* NULL gives NULL */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_fini(struct arena *a);
#define CLEANUP_ARENA __attribute__((cleanup(arena_fini)))

/* A copy of the array with room for twice as much; the old one stays in the arena. */
void *arena_grow(struct arena *a, const void *p, size_t used, size_t size);

/* vec_push() for a vector whose array is in the arena: never vec_fini() it. */
#define arena_push(a, v, item)                                                                     \
	do {                                                                                       \
		if ((v)->len == (v)->cap) {                                                        \
			(v)->cap = (v)->cap ? (v)->cap * 2 : 4;                                    \
			(v)->p = arena_grow((a), (v)->p, (v)->len * sizeof(*(v)->p),               \
				(v)->cap * sizeof(*(v)->p));                                       \
		}                                                                                  \
		(v)->p[(v)->len++] = (item);                                                       \
	} while (0)

/* strmap_set() in the arena: copies; replaces. */
void arena_map_set(struct arena *a, struct strmap *m, const char *key, const char *value);
