/* SPDX-License-Identifier: MIT */
/*
 * A small map from string to string that keeps the order of insertion (environment, labels,
 * options).  Look-up is linear: these maps have tens of entries.
 */
#pragma once

#include <stddef.h>

struct strmap_entry {
	char *key;
	char *value;
};

struct strmap {
	struct strmap_entry *p;
	size_t len;
	size_t cap;
};

void strmap_set(struct strmap *m, const char *key, const char *value); /* copies; replaces */
const char *strmap_get(const struct strmap *m, const char *key);       /* NULL when not there */
void strmap_del(struct strmap *m, const char *key);
void strmap_copy(struct strmap *to, const struct strmap *from); /* sets each; later ones win */
void strmap_sort(struct strmap *m);                             /* by key */
void strmap_fini(struct strmap *m);
#define CLEANUP_STRMAP __attribute__((cleanup(strmap_fini)))
