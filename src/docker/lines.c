/* SPDX-License-Identifier: MIT */
#include "docker/lines.h"

#include <string.h>

void lines_init(struct lines *l)
{
	str_init(&l->part, LINES_MAX);
}

void lines_fini(struct lines *l)
{
	str_fini(&l->part);
}

static int give(const char *line, size_t len, lines_sink *sink, void *ctx)
{
	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' ')) {
		len--;
	}
	return len > 0 ? sink(ctx, line, len) : 0;
}

int lines_end(struct lines *l, lines_sink *sink, void *ctx)
{
	int rc = give(str_c(&l->part), l->part.len, sink, ctx);
	str_reset(&l->part);
	return rc;
}

int lines_feed(struct lines *l, const void *data, size_t len, lines_sink *sink, void *ctx)
{
	const char *at = data;
	const char *end = at + len;
	while (at < end) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((nl ? nl : end) - at);
		int rc = 0;
		if (nl && l->part.len == 0) {
			rc = give(at, n, sink, ctx); /* whole in here: not copied */
		} else if (str_addn(&l->part, at, n) != 0) {
			return -1;
		} else if (nl) {
			rc = lines_end(l, sink, ctx);
		}
		if (rc != 0) {
			return rc;
		}
		at += n + (nl ? 1 : 0);
	}
	return 0;
}
