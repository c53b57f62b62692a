/* SPDX-License-Identifier: MIT */
#include "docker/http.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define MAX_HEADERS    200
#define MAX_CHUNK_LINE 4096 /* a chunk's size with extensions, or one trailer */

static int not_http(struct error *err)
{
	return error_sys(err, ERROR_REMOTE, EPROTO, "the answer is not HTTP");
}

size_t http_head_length(const char *text, size_t len)
{
	const char *at = text;
	while (at < text + len) {
		const char *nl = memchr(at, '\n', (size_t)(text + len - at));
		if (!nl) {
			return 0;
		}
		const char *next = nl + 1;
		if (next < text + len && *next == '\n') {
			return (size_t)(next + 1 - text);
		}
		if (next + 1 < text + len && next[0] == '\r' && next[1] == '\n') {
			return (size_t)(next + 2 - text);
		}
		at = next;
	}
	return 0;
}

/* "HTTP/1.1 200 OK" */
static int parse_status_line(const char *line, size_t len, int *status)
{
	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') ||
		line[8] != ' ') {
		return -1;
	}
	int n = 0;
	for (int i = 9; i < 12; i++) {
		if (!isdigit((unsigned char)line[i])) {
			return -1;
		}
		n = n * 10 + (line[i] - '0');
	}
	if (n < 100 || (len > 12 && line[12] != ' ')) {
		return -1;
	}
	*status = n;
	return 0;
}

static void add_header(struct strmap *headers, const char *name, const char *value)
{
	const char *before = strmap_get(headers, name);
	if (!before) {
		strmap_set(headers, name, value);
		return;
	}
	CLEANUP_FREE char *joined = xasprintf("%s, %s", before, value);
	strmap_set(headers, name, joined);
}

/* "Name: value" */
static int parse_header(const char *line, size_t len, struct strmap *headers)
{
	const char *colon = memchr(line, ':', len);
	if (!colon || colon == line || memchr(line, '\0', len)) {
		return -1;
	}
	CLEANUP_FREE char *name = xstrndup(line, (size_t)(colon - line));
	for (char *c = name; *c; c++) {
		if (!isgraph((unsigned char)*c)) {
			return -1;
		}
		*c = (char)tolower((unsigned char)*c);
	}
	const char *from = colon + 1;
	const char *to = line + len;
	while (from < to && (*from == ' ' || *from == '\t')) {
		from++;
	}
	while (to > from && (to[-1] == ' ' || to[-1] == '\t')) {
		to--;
	}
	CLEANUP_FREE char *value = xstrndup(from, (size_t)(to - from));
	add_header(headers, name, value);
	return 0;
}

int http_parse_head(
	const char *text, size_t len, int *status, struct strmap *headers, struct error *err)
{
	bool first = true;
	for (const char *at = text; at < text + len;) {
		const char *nl = memchr(at, '\n', (size_t)(text + len - at));
		if (!nl) {
			return not_http(err);
		}
		size_t n = (size_t)(nl - at);
		if (n > 0 && at[n - 1] == '\r') {
			n--;
		}
		if (first) {
			if (parse_status_line(at, n, status) != 0) {
				return not_http(err);
			}
			first = false;
		} else if (n > 0 &&
			   (headers->len >= MAX_HEADERS || parse_header(at, n, headers) != 0)) {
			return not_http(err);
		}
		at = nl + 1;
	}
	return first ? not_http(err) : 0;
}

void http_escape(struct str *out, const char *text, bool keep_slash)
{
	static const char hex[] = "0123456789ABCDEF";
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if (isalnum(c) || strchr("-._~", c) || (keep_slash && strchr("/:@", c))) {
			str_addc(out, (char)c);
		} else {
			char esc[3] = {'%', hex[c >> 4], hex[c & 15]};
			str_addn(out, esc, sizeof(esc));
		}
	}
}

enum chunk_state {
	CHUNK_SIZE,      /* at or in the hexadecimal size */
	CHUNK_EXTENSION, /* behind it, up to the line's end */
	CHUNK_DATA,
	CHUNK_DATA_END, /* CR LF behind the data */
	CHUNK_TRAILER,  /* after the last chunk: lines up to an empty one */
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return -1;
}

static int chunk_line_end(struct http_chunks *c)
{
	if (c->line == 0) {
		return -1; /* no size on it */
	}
	c->line = 0;
	c->state = c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
	return 0;
}

static int chunk_size_byte(struct http_chunks *c, char byte)
{
	if (byte == '\n') {
		return chunk_line_end(c);
	}
	int digit = hex_digit(byte);
	if (digit < 0) {
		if (c->line == 0 || !strchr("; \t\r", byte) || byte == '\0') {
			return -1;
		}
		c->state = CHUNK_EXTENSION;
		return 0;
	}
	if (c->left >> 59) {
		return -1; /* would not fit */
	}
	c->left = c->left * 16 + (uint64_t)digit;
	return 0;
}

/* Everything but data. */
static int chunk_byte(struct http_chunks *c, char byte)
{
	int rc = 0;
	switch ((enum chunk_state)c->state) {
	case CHUNK_SIZE:
		rc = chunk_size_byte(c, byte);
		if (c->state == CHUNK_SIZE || c->state == CHUNK_EXTENSION) {
			c->line++;
		}
		break;
	case CHUNK_EXTENSION:
		c->line++;
		rc = byte == '\n' ? chunk_line_end(c) : 0;
		break;
	case CHUNK_DATA_END:
		if (byte == '\n') {
			c->state = CHUNK_SIZE;
			c->line = 0;
		} else if (byte != '\r' || c->line++ > 0) {
			return -1;
		}
		break;
	case CHUNK_TRAILER:
		if (byte == '\n') {
			c->done = c->line == 0;
			c->line = 0;
		} else if (byte != '\r') {
			c->line++;
		}
		break;
	case CHUNK_DATA:
		break;
	}
	return c->line > MAX_CHUNK_LINE ? -1 : rc;
}

ssize_t http_chunks_feed(
	struct http_chunks *c, const char *in, size_t n, const char **data, size_t *len)
{
	size_t at = 0;
	*data = in;
	*len = 0;
	while (at < n && !c->done) {
		if (c->state == CHUNK_DATA) {
			size_t take = c->left < n - at ? (size_t)c->left : n - at;
			*data = in + at;
			*len = take;
			c->left -= take;
			if (c->left == 0) {
				c->state = CHUNK_DATA_END;
			}
			return (ssize_t)(at + take);
		}
		if (chunk_byte(c, in[at]) != 0) {
			return -1;
		}
		at++;
	}
	return (ssize_t)at;
}
