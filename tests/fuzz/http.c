/* SPDX-License-Identifier: MIT */
/* An HTTP answer: head, and a chunked body behind it. */
#include "docker/http.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was parsed, written as a head again, is parsed to the same. */
static void check_again(int status, const struct strmap *headers)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_REPLY);
	CLEANUP_STRMAP struct strmap again = {0};
	struct error err = {0};
	int status_again = 0;

	str_addf(&text, "HTTP/1.1 %d OK\r\n", status);
	VEC_FOREACH (headers, i) {
		str_addf(&text, "%s: %s\r\n", headers->p[i].key, headers->p[i].value);
	}
	str_add(&text, "\r\n");
	assert(http_head_length(text.p, text.len) == text.len);
	int rc = http_parse_head(text.p, text.len, &status_again, &again, &err);
	assert(rc == 0 && status_again == status && again.len == headers->len);
	VEC_FOREACH (headers, i) {
		assert(strcmp(again.p[i].key, headers->p[i].key) == 0);
		/* An empty value joined behind another leaves a blank, which a head cannot carry.
		 */
		size_t n = strlen(headers->p[i].value);
		while (n > 0 && strchr(" \t", headers->p[i].value[n - 1]) != NULL) {
			n--;
		}
		assert(strlen(again.p[i].value) == n);
		assert(strncmp(again.p[i].value, headers->p[i].value, n) == 0);
	}
}

static void check_head(const char *text, size_t len)
{
	CLEANUP_STRMAP struct strmap headers = {0};
	struct error err = {0};
	int status = 0;

	if (http_parse_head(text, len, &status, &headers, &err) < 0) {
		assert(err.kind == ERROR_REMOTE);
		return;
	}
	assert(status >= 100 && status <= 999);
	VEC_FOREACH (&headers, i) {
		for (const char *c = headers.p[i].key; *c != '\0'; c++) {
			assert(!isupper((unsigned char)*c) && !isspace((unsigned char)*c));
		}
		assert(strchr(headers.p[i].value, '\n') == NULL);
	}
	check_again(status, &headers);
}

/* Decodes in slices: -1, or how much of the input was eaten. */
static ssize_t decode(const char *in, size_t size, size_t slice, struct str *out, bool *done)
{
	struct http_chunks c = {0};
	size_t at = 0;

	while (at < size && !c.done) {
		size_t n = slice < size - at ? slice : size - at, len;
		const char *data;
		ssize_t eaten = http_chunks_feed(&c, in + at, n, &data, &len);
		if (eaten < 0) {
			return -1;
		}
		assert(eaten > 0 && (size_t)eaten <= n);
		assert(len == 0 || (data >= in + at && data + len <= in + at + n));
		str_addn(out, data, len);
		at += (size_t)eaten;
	}
	*done = c.done;
	return (ssize_t)at;
}

static void check_chunks(const char *in, size_t size)
{
	CLEANUP_STR struct str whole = STR_INIT(size + 1);
	CLEANUP_STR struct str single = STR_INIT(size + 1);
	bool done = false, done_single = false;
	ssize_t n = decode(in, size, size + 1, &whole, &done);

	assert(decode(in, size, 1, &single, &done_single) == n);
	assert(done == done_single && whole.len == single.len);
	assert(memcmp(str_c(&whole), str_c(&single), whole.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t head = http_head_length(text, size);

	/* The head's end does not depend on what follows it, and is not seen before it is there. */
	assert(head <= size && http_head_length(text, head) == head);
	assert(head == 0 || http_head_length(text, head - 1) == 0);
	check_head(text, head > 0 ? head : size);
	check_chunks(text + head, size - head);

	CLEANUP_FREE char *copy = xstrndup(text, size);
	CLEANUP_STR struct str escaped = STR_INIT(3 * size + 1);
	http_escape(&escaped, copy, true);
	assert(strpbrk(str_c(&escaped), " \t\r\n?#\"") == NULL);
	return 0;
}
