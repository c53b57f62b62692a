/* SPDX-License-Identifier: MIT */
/*
 * JSON bodies that hold secrets.  jansson copies strings into memory that it does not zero, so the
 * secret part is written by hand into one block whose size is known beforehand.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t docker_quoted_size(size_t len)
{
	return len * 6 + 2; /* "\u001f" */
}

char *docker_quote(char *to, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	*to++ = '"';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '"' || c == '\\') {
			*to++ = '\\';
			*to++ = (char)c;
		} else if (c < ' ') {
			memcpy(to, "\\u00", 4);
			to[4] = hex[c >> 4];
			to[5] = hex[c & 15];
			to += 6;
		} else {
			*to++ = (char)c;
		}
	}
	*to++ = '"';
	return to;
}

/* Length of the UTF-8 sequence at p, 0 when it is none (overlong, surrogate, cut, too large). */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len == 0 || len > n || p[0] > 0xf4) {
		return 0;
	}
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
		return 0;
	}
	return len;
}

const char *docker_unquotable(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	if (memchr(text, '\0', len)) {
		return "has a NUL byte, which an environment cannot hold";
	}
	while (len > 0) {
		size_t n = utf8_length(p, len);
		if (n == 0) {
			return "is not UTF-8, which Docker's API cannot carry (encode it: base64)";
		}
		p += n;
		len -= n;
	}
	return NULL;
}

static int check_value(const char *name, const char *value, size_t len, struct error *err)
{
	const char *why = docker_unquotable(value, len);
	if (why) {
		return error_set(err, ERROR_MANIFEST, "environment variable '%s' %s", name, why);
	}
	if (*name == '\0' || strchr(name, '=') || docker_unquotable(name, strlen(name))) {
		return error_set(err, ERROR_MANIFEST, "'%s' is no name of an environment variable",
			docker_unquotable(name, strlen(name)) ? "?" : name);
	}
	return 0;
}

static char *put_env(char *to, const char *name, const char *value, size_t len, bool *first)
{
	if (!*first) {
		*to++ = ',';
	}
	*first = false;
	to = docker_quote(to, name, strlen(name));
	to[-1] = '='; /* instead of the closing quote */
	char *quote = to;
	to = docker_quote(to - 1, value, len);
	quote[-1] = '='; /* instead of the opening one */
	return to;
}

static bool is_secret(const struct secret_map *secrets, const char *name)
{
	return secrets && secret_map_get(secrets, name);
}

/* Checks all, and adds up the room that they need. */
static int env_size(const struct strmap *clear, const struct secret_map *secrets, size_t *size,
	struct error *err)
{
	for (size_t i = 0; clear && i < clear->len; i++) {
		const char *value = clear->p[i].value ? clear->p[i].value : "";
		if (check_value(clear->p[i].key, value, strlen(value), err) != 0) {
			return -1;
		}
		*size += docker_quoted_size(strlen(clear->p[i].key) + strlen(value)) + 4;
	}
	for (size_t i = 0; secrets && i < secrets->len; i++) {
		const struct secret *s = secrets->p[i].value;
		const char *name = secrets->p[i].name;
		if (check_value(name, secret_reveal(s), secret_len(s), err) != 0) {
			return -1;
		}
		*size += docker_quoted_size(strlen(name) + secret_len(s)) + 4;
	}
	return 0;
}

static char *put_all(char *to, const struct strmap *clear, const struct secret_map *secrets)
{
	bool first = true;
	for (size_t i = 0; clear && i < clear->len; i++) {
		const char *value = clear->p[i].value ? clear->p[i].value : "";
		if (!is_secret(secrets, clear->p[i].key)) {
			to = put_env(to, clear->p[i].key, value, strlen(value), &first);
		}
	}
	for (size_t i = 0; secrets && i < secrets->len; i++) {
		const struct secret *s = secrets->p[i].value;
		to = put_env(to, secrets->p[i].name, secret_reveal(s), secret_len(s), &first);
	}
	return to;
}

int docker_body_with_env(const json_t *base, const struct strmap *clear,
	const struct secret_map *secrets, struct docker_body *out, struct error *err)
{
	CLEANUP_FREE char *text = json_text(base);
	size_t len = strlen(text);
	size_t size = len + 32;
	if (len < 2 || text[len - 1] != '}') {
		return error_set(err, ERROR_INTERNAL, "the request could not be written as JSON");
	}
	if (env_size(clear, secrets, &size, err) != 0) {
		return -1;
	}
	char *p = xcalloc(1, size);
	char *to = p + len - 1; /* over the closing brace */
	memcpy(p, text, len - 1);
	const char *member = len > 2 ? ",\"Env\":[" : "\"Env\":[";
	memcpy(to, member, strlen(member));
	to = put_all(to + strlen(member), clear, secrets);
	memcpy(to, "]}", 2);
	out->p = p;
	out->len = (size_t)(to + 2 - p);
	return 0;
}

void docker_body_fini(struct docker_body *b)
{
	if (b->p) {
		explicit_bzero(b->p, b->len);
	}
	free(b->p);
	b->p = NULL;
	b->len = 0;
}
