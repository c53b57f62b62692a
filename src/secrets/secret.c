/* SPDX-License-Identifier: MIT */
#include "secrets/secret.h"

#include "util/str.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Each secret has pages of its own, so that locking and wiping one touches no neighbour. */
struct secret {
	atomic_size_t refs;
	size_t mapped;
	size_t len;
	char bytes[];
};

struct secret *secret_new(const void *bytes, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t mapped = (sizeof(struct secret) + len + 1 + page - 1) / page * page;
	struct secret *s =
		mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED) {
		abort();
	}
	/* Beyond RLIMIT_MEMLOCK it may be swapped; it is still kept out of core dumps. */
	(void)mlock(s, mapped);
	(void)madvise(s, mapped, MADV_DONTDUMP);
	atomic_init(&s->refs, 1);
	s->mapped = mapped;
	s->len = len;
	if (len > 0) {
		memcpy(s->bytes, bytes, len);
	}
	return s;
}

struct secret *secret_ref(const struct secret *s)
{
	struct secret *owned;

	/* The count is not part of the value: a const secret can be shared. */
	memcpy(&owned, &s, sizeof(owned));
	if (owned != NULL) {
		atomic_fetch_add(&owned->refs, 1);
	}
	return owned;
}

void secret_unref(struct secret *s)
{
	if (s != NULL && atomic_fetch_sub(&s->refs, 1) == 1) {
		size_t mapped = s->mapped;
		explicit_bzero(s, mapped);
		munmap(s, mapped);
	}
}

const char *secret_reveal(const struct secret *s)
{
	return s->bytes;
}

size_t secret_len(const struct secret *s)
{
	return s->len;
}

static struct secret_map_entry *find(const struct secret_map *m, const char *name)
{
	for (size_t i = 0; i < m->len; i++) {
		if (strcmp(m->p[i].name, name) == 0) {
			return &m->p[i];
		}
	}
	return NULL;
}

void secret_map_set(struct secret_map *m, const char *name, struct secret *value)
{
	struct secret_map_entry *e = find(m, name);

	if (e != NULL) {
		struct secret *old = e->value;
		e->value = value;
		secret_unref(old);
		return;
	}
	if (m->len == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 8;
		m->p = xrealloc(m->p, m->cap * sizeof(m->p[0]));
	}
	m->p[m->len++] = (struct secret_map_entry){.name = xstrdup(name), .value = value};
}

struct secret *secret_map_get(const struct secret_map *m, const char *name)
{
	const struct secret_map_entry *e = find(m, name);

	return e != NULL ? e->value : NULL;
}

void secret_map_fini(struct secret_map *m)
{
	if (m == NULL) {
		return;
	}
	for (size_t i = 0; i < m->len; i++) {
		free(m->p[i].name);
		secret_unref(m->p[i].value);
	}
	free(m->p);
	*m = (struct secret_map){0};
}
