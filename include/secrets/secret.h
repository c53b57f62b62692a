/* SPDX-License-Identifier: MIT */
/*
 * Secret values have a type of their own: the bytes can only be had by secret_reveal(), a call that
 * is easy to look for; they are locked in memory where possible and zeroed when freed.  Printing a
 * secret means printing SECRET_REDACTED.
 */
#pragma once

#include <stddef.h>

#define SECRET_REDACTED "[REDACTED]"

struct secret; /* immutable, reference counted, thread-safe */

struct secret *secret_new(const void *bytes, size_t len); /* copies */
struct secret *secret_ref(const struct secret *s);
void secret_unref(struct secret *s); /* zeroes with the last reference; NULL is fine */

/* The bytes, NUL-terminated behind `len`; borrowed. The only way out. */
const char *secret_reveal(const struct secret *s);
size_t secret_len(const struct secret *s);

/* Ordered name -> secret. */
struct secret_map_entry {
	char *name;
	struct secret *value;
};
struct secret_map {
	struct secret_map_entry *p;
	size_t len;
	size_t cap;
};
void secret_map_set(struct secret_map *m, const char *name, struct secret *value); /* takes ref */
struct secret *secret_map_get(const struct secret_map *m, const char *name); /* borrowed or NULL */
void secret_map_fini(struct secret_map *m);
