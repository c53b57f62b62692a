/* SPDX-License-Identifier: MIT */
/* What is looked at before YAML is: size, encoding, control characters, ERB. */
#include "internal.h"

#include "manifest/syntax.h"

#include <stdio.h>
#include <string.h>

/* One UTF-8 character at p: its length, or 0 when it is broken; *code gets its number. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *code)
{
	size_t len = *p < 0x80   ? 1
		     : *p < 0xC2 ? 0
		     : *p < 0xE0 ? 2
		     : *p < 0xF0 ? 3
		     : *p < 0xF5 ? 4
				 : 0;
	uint32_t c = len == 1 ? *p : len == 2 ? *p & 0x1Fu : len == 3 ? *p & 0x0Fu : *p & 0x07u;

	if (len == 0 || len > n) {
		return 0;
	}
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xC0) != 0x80) {
			return 0;
		}
		c = c << 6 | (p[i] & 0x3Fu);
	}
	if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10FFFF)) ||
		(c >= 0xD800 && c <= 0xDFFF)) {
		return 0;
	}
	*code = c;
	return len;
}

bool text_is_utf8(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = decode((const unsigned char *)s + i, n - i, &c);

		if (len == 0) {
			return false;
		}
		i += len;
	}
	return true;
}

/* What YAML 1.1 calls printable. */
static bool printable(uint32_t c)
{
	return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0x7E) || c == 0x85 ||
	       (c >= 0xA0 && c <= 0xD7FF) || (c >= 0xE000 && c <= 0xFFFD) || c >= 0x10000;
}

static bool check_encoding(const struct source *s, struct diagnostics *diags)
{
	const unsigned char *p = (const unsigned char *)s->text;
	struct mark m = {.source = s, .line = 1, .column = 1, .width = 1};

	for (size_t i = 0; i < s->len;) {
		uint32_t c = 0;
		size_t len = decode(p + i, s->len - i, &c);

		if (len == 0) {
			diagnostics_add(diags, DIAGNOSTIC_ERROR, &m, "save the file as UTF-8",
				"byte 0x%02x is not UTF-8", p[i]);
			return false;
		}
		if (!printable(c)) {
			diagnostics_add(diags, DIAGNOSTIC_ERROR, &m,
				"in a value in double quotes it can be written as \\xNN",
				"control character 0x%02x", (unsigned)c);
			return false;
		}
		if (c == '\n') {
			m.line++;
			m.column = 0;
		}
		m.column++;
		i += len;
	}
	return true;
}

/* A text in ' or " at p (blanks before it skipped); NULL, or what is behind it. */
static const char *ruby_string(const char *p, const char *end, char *out, size_t size)
{
	while (p < end && *p == ' ') {
		p++;
	}
	if (p >= end || (*p != '\'' && *p != '"')) {
		return NULL;
	}
	const char *stop = memchr(p + 1, *p, (size_t)(end - p - 1));

	if (stop == NULL || (size_t)(stop - p - 1) >= size || stop == p + 1) {
		return NULL;
	}
	snprintf(out, size, "%.*s", (int)(stop - p - 1), p + 1);
	return stop + 1;
}

/* What begins with `text`, blanks before it skipped; NULL, or what is behind it. */
static const char *ruby_word(const char *p, const char *end, const char *text)
{
	size_t n = strlen(text);

	while (p < end && *p == ' ') {
		p++;
	}
	return (size_t)(end - p) >= n && memcmp(p, text, n) == 0 ? p + n : NULL;
}

/* Puts the ${VAR} that does what `<%= ENV[...] %>` does into buf; false when there is none. */
static bool erb_equal(const char *at, const char *end, char *buf, size_t size)
{
	char name[80], fallback[80];
	const char *p = ruby_word(at, end, "<%=");
	const char *env = p != NULL ? ruby_word(p, end, "ENV") : NULL;
	const char *fetch = env != NULL ? ruby_word(env, end, ".fetch(") : NULL;
	const char *index = env != NULL ? ruby_word(env, end, "[") : NULL;

	if (fetch == NULL && index == NULL) {
		return false;
	}
	p = ruby_string(fetch != NULL ? fetch : index, end, name, sizeof(name));
	if (p == NULL || syntax_secret_name(name) != NULL) {
		return false;
	}
	const char *more = ruby_word(p, end, fetch != NULL ? "," : "] ||");

	if (more != NULL && ruby_string(more, end, fallback, sizeof(fallback)) != NULL) {
		snprintf(buf, size, "write ${%s:-%s}", name, fallback);
	} else if (fetch != NULL) {
		snprintf(
			buf, size, "write ${%s}; ${%s:?message} says why it is needed", name, name);
	} else {
		snprintf(buf, size, "write ${%s}, or ${%s:-} where it may be missing", name, name);
	}
	return true;
}

static void erb_mistake(const struct source *s, int line, const char *start, const char *at,
	const char *end, struct diagnostics *diags)
{
	struct mark m = {.source = s, .line = line, .column = 1};
	const char *stop = memmem(at, (size_t)(end - at), "%>", 2);
	char hint[300];

	for (const char *p = start; p < at; p++) {
		m.column += ((unsigned char)*p & 0xC0) != 0x80;
	}
	m.width = (int)((stop != NULL ? stop + 2 : end) - at);
	if (!erb_equal(at, stop != NULL ? stop : end, hint, sizeof(hint))) {
		snprintf(hint, sizeof(hint),
			"values from the environment are written ${VAR}, ${VAR:-default} or "
			"${VAR:?message}; secrets belong in .deploy/secrets");
	}
	diagnostics_add(diags, DIAGNOSTIC_ERROR, &m, hint, "ERB is not evaluated");
}

/* Each line with `<%` outside of a comment. */
static bool check_erb(const struct source *s, struct diagnostics *diags)
{
	const char *p = s->text, *end = s->text + s->len;
	bool found = false;

	for (int line = 1; p < end; line++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl != NULL ? nl : end;
		const char *at = memmem(p, (size_t)(stop - p), "<%", 2);

		if (at != NULL) {
			const char *hash = memchr(p, '#', (size_t)(at - p));

			while (hash != NULL && hash > p && hash[-1] != ' ' && hash[-1] != '\t') {
				hash = memchr(hash + 1, '#', (size_t)(at - hash - 1));
			}
			if (hash == NULL) {
				erb_mistake(s, line, p, at, stop, diags);
				found = true;
			}
		}
		p = nl != NULL ? nl + 1 : end;
	}
	return found;
}

const char *tree_mask_erb(struct arena *a, const struct source *s)
{
	char *text = arena_strndup(a, s->text, s->len);

	for (char *at = text; (at = strstr(at, "<%")) != NULL;) {
		size_t line = strcspn(at, "\n");
		const char *stop = memmem(at, line, "%>", 2);
		size_t n = stop != NULL ? (size_t)(stop - at) + 2 : line;
		bool output = at[2] == '=';

		/* a value stays one that is known again by its "<%"; a statement is blank */
		memset(output ? at + 2 : at, output ? 'x' : ' ', output ? n - 2 : n);
		at += n;
	}
	return text;
}

bool tree_check_text(const struct source *source, struct diagnostics *diags, bool *has_erb)
{
	if (source->len > TREE_BYTES_MAX) {
		struct mark m = {.source = source};

		diagnostics_add(diags, DIAGNOSTIC_ERROR, &m, NULL,
			"larger than %zu KiB; this is no manifest", TREE_BYTES_MAX >> 10);
		return false;
	}
	if (!check_encoding(source, diags)) {
		return false;
	}
	*has_erb = check_erb(source, diags);
	return true;
}
