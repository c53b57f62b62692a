/* SPDX-License-Identifier: MIT */
/* Text from outside on its way to the terminal: the first byte says how much of it is a secret. */
#include "../../src/ui/internal.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sanitizer(const char *p, size_t len, bool sgr)
{
	struct sanitizer whole = {.sgr = sgr}, single = {.sgr = sgr}, again = {.sgr = sgr};
	CLEANUP_STR struct str a = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str b = STR_INIT(STR_MAX_FILE);

	sanitize(&whole, p, len, &a);
	for (size_t i = 0; i < len; i++) {
		sanitize(&single, p + i, 1, &b);
	}
	assert(a.len == b.len && memcmp(str_c(&a), str_c(&b), a.len) == 0);
	for (size_t i = 0; i < a.len; i++) {
		unsigned char c = (unsigned char)a.p[i];
		assert((c >= 32 && c != 127) || c == '\n' || c == '\t' || (sgr && c == '\033'));
		assert(c != '\033' || a.p[i + 1] == '[');
	}
	/* What is clean stays as it is. */
	str_reset(&b);
	sanitize(&again, str_c(&a), a.len, &b);
	assert(a.len == b.len && memcmp(str_c(&a), str_c(&b), a.len) == 0);
	assert(text_width(str_c(&a)) >= 0);
	size_t fits = text_fit(str_c(&a), 10);
	CLEANUP_FREE char *cut = xstrndup(str_c(&a), fits);
	assert(fits <= a.len && text_width(cut) <= 10);
}

static void check_line(const char *p, size_t len)
{
	CLEANUP_STR struct str line = STR_INIT(STR_MAX_FILE);
	CLEANUP_FREE char *text = xstrndup(p, len);

	sanitize_line(text, false, &line);
	assert(strchr(str_c(&line), '\033') == NULL && strchr(str_c(&line), '\r') == NULL);
}

static void check_redactor(const char *p, size_t len, size_t secret_length)
{
	struct redactor *r = xcalloc(1, sizeof(*r));
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str parts = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str held = STR_INIT(STR_MAX_FILE);

	redactor_add(r, p, secret_length);
	redactor_apply(r, p, len, &out);
	VEC_FOREACH (&r->patterns, i) {
		const struct secret *s = r->patterns.p[i];
		/* "[REDACTED]" with what is around it may only spell a secret by itself */
		bool own = memmem("[REDACTED][REDACTED]", 20, secret_reveal(s), 4) != NULL ||
			   memchr(secret_reveal(s), '[', secret_len(s)) != NULL ||
			   memchr(secret_reveal(s), ']', secret_len(s)) != NULL;
		assert(own ||
			memmem(str_c(&out), out.len, secret_reveal(s), secret_len(s)) == NULL);
	}
	/* As ui_write() does it: what may begin a secret waits for the next piece. */
	for (size_t at = 0; at < len; at += 7) {
		str_addn(&held, p + at, len - at < 7 ? len - at : 7);
		size_t keep = redactor_held(r, held.p, held.len);
		assert(keep <= held.len);
		redactor_apply(r, held.p, held.len - keep, &parts);
		str_consume(&held, held.len - keep);
	}
	redactor_apply(r, str_c(&held), held.len, &parts);
	VEC_FOREACH (&r->patterns, i) {
		const struct secret *s = r->patterns.p[i];
		bool own = memchr(secret_reveal(s), '[', secret_len(s)) != NULL ||
			   memchr(secret_reveal(s), ']', secret_len(s)) != NULL ||
			   memmem("REDACTED", 8, secret_reveal(s), 4) != NULL;
		assert(own ||
			memmem(str_c(&parts), parts.len, secret_reveal(s), secret_len(s)) == NULL);
	}
	redactor_fini(r);
	free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;

	check_sanitizer(p, size, true);
	check_sanitizer(p, size, false);
	check_line(p, size);
	if (size > 1) {
		check_redactor(p + 1, size - 1, data[0] % size);
	}
	return 0;
}
