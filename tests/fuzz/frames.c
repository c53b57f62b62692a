/* SPDX-License-Identifier: MIT */
/* Output of containers and streams of JSON lines: whole input and byte by byte are the same. */
#include "docker/frames.h"
#include "docker/lines.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct streams {
	struct str of[4];
	size_t total;
};

static int gather(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	struct streams *s = ctx;

	assert(stream <= FRAMES_SYSTEM && len > 0);
	str_addn(&s->of[stream], data, len);
	s->total += len;
	return 0;
}

static int decode(
	const uint8_t *data, size_t size, size_t slice, bool raw, struct streams *s, bool *torn)
{
	struct frames f;
	int rc = 0;

	*s = (struct streams){0};
	for (size_t i = 0; i < 4; i++) {
		str_init(&s->of[i], size + 1);
	}
	frames_init(&f, raw);
	for (size_t at = 0; rc == 0 && at < size; at += slice) {
		size_t n = slice < size - at ? slice : size - at;
		rc = frames_feed(&f, data + at, n, gather, s);
	}
	*torn = frames_torn(&f);
	return rc;
}

static void check_frames(const uint8_t *data, size_t size, bool raw)
{
	struct streams whole, single;
	bool torn, torn_single;
	int rc = decode(data, size, size + 1, raw, &whole, &torn);

	assert(decode(data, size, 1, raw, &single, &torn_single) == rc);
	assert(rc != 0 || torn == torn_single);
	assert(!raw || (rc == 0 && !torn && whole.total == size));
	for (size_t i = 0; i < 4; i++) {
		assert(strcmp(str_c(&whole.of[i]), str_c(&single.of[i])) == 0 &&
			whole.of[i].len == single.of[i].len);
		str_fini(&whole.of[i]);
		str_fini(&single.of[i]);
	}
}

static int gather_line(void *ctx, const char *line, size_t len)
{
	assert(len > 0 && memchr(line, '\n', len) == NULL);
	str_addn(ctx, line, len);
	str_addc(ctx, '\n');
	return 0;
}

static void split(const uint8_t *data, size_t size, size_t slice, struct str *out)
{
	struct lines l;

	lines_init(&l);
	for (size_t at = 0; at < size; at += slice) {
		size_t n = slice < size - at ? slice : size - at;
		assert(lines_feed(&l, data + at, n, gather_line, out) == 0 || size > LINES_MAX);
	}
	(void)lines_end(&l, gather_line, out);
	lines_fini(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_STR struct str whole = STR_INIT(2 * size + 2);
	CLEANUP_STR struct str single = STR_INIT(2 * size + 2);

	check_frames(data, size, false);
	check_frames(data, size, true);
	split(data, size, size + 1, &whole);
	split(data, size, 1, &single);
	assert(whole.len == single.len && memcmp(str_c(&whole), str_c(&single), whole.len) == 0);
	return 0;
}
