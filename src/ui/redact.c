/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <string.h>

#define MIN_VALUE 4                  /* shorter ones would be found everywhere */
#define MIN_LINE  8                  /* of a value with several lines */
#define MAX_HELD  ((size_t)64 << 10) /* of patterns that overlap without end */

static unsigned pair_of(const char *p)
{
	return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static void add_pattern(struct redactor *r, const char *p, size_t len)
{
	if (len < MIN_VALUE) {
		return;
	}
	VEC_FOREACH (&r->patterns, i) {
		const struct secret *have = r->patterns.p[i];
		if (secret_len(have) == len && memcmp(secret_reveal(have), p, len) == 0) {
			return;
		}
	}
	vec_push(&r->patterns, secret_new(p, len));
	r->pairs[pair_of(p) >> 3] |= (unsigned char)(1u << (pair_of(p) & 7));
	r->longest = len > r->longest ? len : r->longest;
}

/* As it stands in JSON; `html`: as Go writes it, with <, > and & escaped too. */
static void add_escaped(struct redactor *r, const char *p, size_t len, bool html)
{
	static const char letters[] = "btnvfr"; /* 8 to 13; there is no \v in JSON */
	CLEANUP_STR struct str out = STR_SECRET_INIT(6 * len + 1);
	bool differs = false;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];
		size_t before = out.len;
		if (c == '"' || c == '\\') {
			str_addf(&out, "\\%c", c);
		} else if (c >= 8 && c <= 13 && c != 11) {
			str_addf(&out, "\\%c", letters[c - 8]);
		} else if (c < 0x20 || (html && strchr("<>&", c) != NULL)) {
			str_addf(&out, "\\u%04x", c);
		} else {
			str_addc(&out, (char)c);
		}
		differs = differs || out.len - before > 1;
	}
	if (differs) {
		add_pattern(r, out.p, out.len);
	}
}

static void add_forms(struct redactor *r, const char *p, size_t len)
{
	add_pattern(r, p, len);
	add_escaped(r, p, len, false);
	add_escaped(r, p, len, true);
}

static void trim(const char **p, size_t *len)
{
	while (*len > 0 && strchr(" \t\r\n", **p) != NULL) {
		(*p)++;
		(*len)--;
	}
	while (*len > 0 && strchr(" \t\r\n", (*p)[*len - 1]) != NULL) {
		(*len)--;
	}
}

void redactor_add(struct redactor *r, const char *value, size_t len)
{
	trim(&value, &len);
	add_forms(r, value, len);
	const char *end = value + len;
	const char *newline = len > 0 ? memchr(value, '\n', len) : NULL;
	if (newline == NULL) {
		return;
	}
	for (const char *p = value; p < end; p = newline != NULL ? newline + 1 : end) {
		newline = memchr(p, '\n', (size_t)(end - p));
		const char *line = p;
		size_t n = (size_t)((newline != NULL ? newline : end) - p);
		trim(&line, &n);
		if (n >= MIN_LINE) {
			add_forms(r, line, n);
		}
	}
}

/* Length of the longest pattern at p, or 0. */
static size_t match(const struct redactor *r, const char *p, size_t len)
{
	size_t longest = 0;

	VEC_FOREACH (&r->patterns, i) {
		const struct secret *s = r->patterns.p[i];
		size_t n = secret_len(s);
		if (n <= len && n > longest && memcmp(secret_reveal(s), p, n) == 0) {
			longest = n;
		}
	}
	return longest;
}

static bool may_begin(const struct redactor *r, const char *p)
{
	unsigned pair = pair_of(p);

	return (r->pairs[pair >> 3] >> (pair & 7) & 1) != 0;
}

void redactor_apply(const struct redactor *r, const char *p, size_t len, struct str *out)
{
	size_t copied = 0;  /* what is before it is in `out`, or covered */
	size_t covered = 0; /* end of the last match; they may overlap */

	for (size_t i = 0; r->patterns.len > 0 && i + MIN_VALUE <= len; i++) {
		size_t n = may_begin(r, p + i) ? match(r, p + i, len - i) : 0;
		if (n == 0) {
			continue;
		}
		if (i >= covered) {
			str_addn(out, p + copied, i - copied);
			str_add(out, SECRET_REDACTED);
		}
		covered = i + n > covered ? i + n : covered;
		copied = covered;
	}
	str_addn(out, p + copied, len - copied);
}

static bool is_prefix(const struct redactor *r, const char *p, size_t len)
{
	VEC_FOREACH (&r->patterns, i) {
		const struct secret *s = r->patterns.p[i];
		if (secret_len(s) > len && memcmp(secret_reveal(s), p, len) == 0) {
			return true;
		}
	}
	return false;
}

/* Length of the longest end that is the begin of a pattern, but not all of it. */
static size_t open_end(const struct redactor *r, const char *p, size_t len)
{
	if (r->patterns.len == 0) {
		return 0;
	}
	for (size_t n = len < r->longest ? len : r->longest - 1; n > 0; n--) {
		const char *tail = p + len - n;
		if ((n == 1 || may_begin(r, tail)) && is_prefix(r, tail, n)) {
			return n;
		}
	}
	return 0;
}

/*
 * The end may lie in a whole pattern that ends as it begins ("abXab"): to part that would show the
 * first half of it.  Then it is held from where it begins, with those that it overlaps.
 */
size_t redactor_held(const struct redactor *r, const char *p, size_t len)
{
	size_t cut = len - open_end(r, p, len);
	size_t begin = 0;
	size_t covered = 0;

	for (size_t i = 0; cut < len && i < cut && i + MIN_VALUE <= len; i++) {
		size_t n = may_begin(r, p + i) ? match(r, p + i, len - i) : 0;
		if (n == 0) {
			continue;
		}
		begin = i >= covered ? i : begin;
		covered = i + n > covered ? i + n : covered;
	}
	if (covered <= cut) {
		return len - cut;
	}
	return len - begin <= MAX_HELD ? len - begin : len - covered;
}

void redactor_fini(struct redactor *r)
{
	VEC_FOREACH (&r->patterns, i) {
		secret_unref(r->patterns.p[i]);
	}
	vec_fini(&r->patterns);
	memset(r, 0, sizeof(*r));
}
