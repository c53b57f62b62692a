/* SPDX-License-Identifier: MIT */
/*
 * Typed growing vectors by macro (after libnbd's vector.h).
 *
 *	VEC_TYPE(host_vec, struct host *);
 *	struct host_vec hosts = {0};
 *	vec_push(&hosts, h);
 *	VEC_FOREACH(&hosts, i) { use(hosts.p[i]); }
 *	vec_fini(&hosts);          frees the array, not what it points to
 */
#pragma once

#include "util/str.h"

#include <stddef.h>
#include <stdlib.h>

#define VEC_TYPE(name, type)                                                                       \
	struct name {                                                                              \
		type *p;                                                                           \
		size_t len;                                                                        \
		size_t cap;                                                                        \
	}

#define vec_push(v, item)                                                                          \
	do {                                                                                       \
		if ((v)->len == (v)->cap) {                                                        \
			(v)->cap = (v)->cap ? (v)->cap * 2 : 8;                                    \
			(v)->p = xrealloc((v)->p, (v)->cap * sizeof(*(v)->p));                     \
		}                                                                                  \
		(v)->p[(v)->len++] = (item);                                                       \
	} while (0)

#define vec_fini(v)                                                                                \
	do {                                                                                       \
		free((v)->p);                                                                      \
		(v)->p = NULL;                                                                     \
		(v)->len = (v)->cap = 0;                                                           \
	} while (0)

#define VEC_FOREACH(v, i) for (size_t i = 0; i < (v)->len; i++)

/* A vector of strings that it owns. */
VEC_TYPE(strvec, char *);
void strvec_push(struct strvec *v, const char *s); /* copies */
void strvec_pushf(struct strvec *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool strvec_has(const struct strvec *v, const char *s);
void strvec_copy(struct strvec *to, const struct strvec *from); /* appends copies */
void strvec_sort(struct strvec *v);
void strvec_fini(struct strvec *v); /* frees the strings too */
#define CLEANUP_STRVEC __attribute__((cleanup(strvec_fini)))
