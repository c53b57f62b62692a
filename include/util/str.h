/* SPDX-License-Identifier: MIT */
/*
 * A growing byte buffer with a mandatory maximum (after curl's dynbuf), always NUL-terminated.
 *
 * Going past the maximum does not abort: the buffer turns `overflow` on, keeps what it had and
 * refuses further appends, so that a caller may append many times and look once.  Out of memory
 * aborts.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Common maxima, bytes. */
#define STR_MAX_LINE  ((size_t)64 << 10)
#define STR_MAX_FILE  ((size_t)16 << 20)
#define STR_MAX_REPLY ((size_t)64 << 20)

struct str {
	char *p; /* never NULL once something was appended; use str_c() to read */
	size_t len;
	size_t cap;
	size_t max;
	bool overflow;
	bool secret; /* the bytes are zeroed before their memory is given back */
};

#define STR_SECRET_INIT(maximum)                                                                   \
	{                                                                                          \
		.max = (maximum), .secret = true                                                   \
	}
#define STR_INIT(maximum)                                                                          \
	{                                                                                          \
		.max = (maximum)                                                                   \
	}

void str_init(struct str *s, size_t max);
void str_fini(struct str *s);  /* frees; zeroes; `s` may be used again with the same max */
void str_reset(struct str *s); /* empties, keeps the memory, clears overflow */

/* All appends: 0, or -1 on overflow (nothing of this append is kept). */
int str_add(struct str *s, const char *text);
int str_addn(struct str *s, const void *bytes, size_t len);
int str_addc(struct str *s, char c);
int str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int str_vaddf(struct str *s, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Cuts it to its first `n` bytes (n <= len). */
void str_truncate(struct str *s, size_t n);
/* Removes the first `n` bytes (n <= len). */
void str_consume(struct str *s, size_t n);

/* The text; "" when nothing was appended. Valid until the next change. */
const char *str_c(const struct str *s);

/* Hands the text to the caller (never NULL; free() it) and empties the buffer. */
char *str_take(struct str *s);

#define CLEANUP_STR __attribute__((cleanup(str_fini)))

/* Small helpers on plain strings.  They abort when out of memory; results are the caller's. */
char *xstrdup(const char *s); /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);

bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Whole decimal number in [min, max], no sign games, no spaces: 0, else -1. */
int str_to_long(const char *s, long min, long max, long *out);

/* free() for a local: `CLEANUP_FREE char *x = NULL;` */
static inline void cleanup_free_(void *pp)
{
	extern void free(void *);
	free(*(void **)pp);
}
#define CLEANUP_FREE __attribute__((cleanup(cleanup_free_)))
void cleanup_close_(int *fd);
#define CLEANUP_FD __attribute__((cleanup(cleanup_close_)))
int take_fd(int *fd); /* returns *fd and sets it to -1 */
