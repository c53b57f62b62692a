/* SPDX-License-Identifier: MIT */
#include "util/str.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void out_of_memory(void)
{
	static const char text[] = "deploy: out of memory\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n;
	abort();
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (p == NULL) {
		out_of_memory();
	}
	return p;
}

void *xrealloc(void *p, size_t size)
{
	void *q = realloc(p, size ? size : 1);

	if (q == NULL) {
		out_of_memory();
	}
	return q;
}

char *xstrdup(const char *s)
{
	return s == NULL ? NULL : xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
	if (s == NULL) {
		return NULL;
	}
	size_t len = strnlen(s, n);
	char *copy = xcalloc(len + 1, 1);
	memcpy(copy, s, len);
	return copy;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		out_of_memory();
	}
	return text;
}

void str_init(struct str *s, size_t max)
{
	*s = (struct str)STR_INIT(max);
}

void str_fini(struct str *s)
{
	if (s == NULL) {
		return;
	}
	if (s->secret && s->p != NULL) {
		explicit_bzero(s->p, s->cap);
	}
	free(s->p);
	*s = (struct str){.max = s->max, .secret = s->secret};
}

void str_reset(struct str *s)
{
	s->len = 0;
	s->overflow = false;
	if (s->p != NULL) {
		if (s->secret) {
			explicit_bzero(s->p, s->cap);
		}
		s->p[0] = '\0';
	}
}

/* realloc() may leave the old bytes behind: a secret moves by hand. */
static void grow(struct str *s, size_t cap)
{
	if (!s->secret) {
		s->p = xrealloc(s->p, cap);
	} else {
		char *p = xcalloc(cap, 1);
		if (s->p != NULL) {
			memcpy(p, s->p, s->len);
			explicit_bzero(s->p, s->cap);
			free(s->p);
		}
		s->p = p;
	}
	s->cap = cap;
}

/* Room for `add` more bytes and the NUL: 0, or -1 past the maximum. */
static int reserve(struct str *s, size_t add)
{
	if (s->overflow || add > s->max || s->len > s->max - add) {
		s->overflow = true;
		return -1;
	}
	size_t need = s->len + add + 1;
	if (need > s->cap) {
		size_t cap = s->cap ? s->cap : 64;
		while (cap < need) {
			cap *= 2;
		}
		if (cap > s->max + 1) {
			cap = s->max + 1;
		}
		grow(s, cap);
	}
	return 0;
}

int str_addn(struct str *s, const void *bytes, size_t len)
{
	if (reserve(s, len) < 0) {
		return -1;
	}
	if (len > 0) {
		memcpy(s->p + s->len, bytes, len);
	}
	s->len += len;
	s->p[s->len] = '\0';
	return 0;
}

int str_add(struct str *s, const char *text)
{
	return str_addn(s, text, strlen(text));
}

int str_addc(struct str *s, char c)
{
	return str_addn(s, &c, 1);
}

int str_vaddf(struct str *s, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0) {
		s->overflow = true;
		return -1;
	}
	if (reserve(s, (size_t)n) < 0) {
		return -1;
	}
	vsnprintf(s->p + s->len, (size_t)n + 1, fmt, ap);
	s->len += (size_t)n;
	return 0;
}

int str_addf(struct str *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int rc = str_vaddf(s, fmt, ap);
	va_end(ap);
	return rc;
}

void str_truncate(struct str *s, size_t n)
{
	assert(n <= s->len);
	s->len = n;
	if (s->p != NULL) {
		s->p[n] = '\0';
	}
}

void str_consume(struct str *s, size_t n)
{
	assert(n <= s->len);
	if (n == 0) {
		return;
	}
	s->len -= n;
	memmove(s->p, s->p + n, s->len + 1);
}

const char *str_c(const struct str *s)
{
	return s->p != NULL ? s->p : "";
}

char *str_take(struct str *s)
{
	char *text = s->p != NULL ? s->p : xstrdup("");

	*s = (struct str){.max = s->max, .secret = s->secret};
	return text;
}

bool str_eq(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t len = strlen(s);
	size_t n = strlen(suffix);

	return len >= n && memcmp(s + len - n, suffix, n) == 0;
}

int str_to_long(const char *s, long min, long max, long *out)
{
	char *end = NULL;
	const char *digits = s[0] == '-' ? s + 1 : s;

	if (digits[0] < '0' || digits[0] > '9') {
		return -1;
	}
	errno = 0;
	long value = strtol(s, &end, 10);
	if (errno != 0 || *end != '\0' || value < min || value > max) {
		return -1;
	}
	*out = value;
	return 0;
}

void cleanup_close_(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}

int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
