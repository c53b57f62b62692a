/* SPDX-License-Identifier: MIT */
/* The tar of `docker save`: what a daemon sends. */
#include "image/save.h"
#include "util/digest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PLAIN ((uint64_t)1 << 22) /* here; a fuzzer finds decompression bombs */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t left, slice;
};

struct seen {
	struct str what; /* a line for each file */
	struct digest *d;
	uint64_t size, total;
	bool open;
};

static ssize_t read_slice(void *ctx, void *buf, size_t n, struct error *err)
{
	struct input *in = ctx;

	n = n < in->slice ? n : in->slice;
	n = n < in->left ? n : in->left;
	if (n > 0) {
		memcpy(buf, in->p, n);
	}
	in->p += n;
	in->left -= n;
	return (ssize_t)n;
}

static bool begin(void *ctx, const char *name, uint64_t size)
{
	struct seen *s = ctx;

	assert(!s->open && strlen(name) <= SAVE_MAX_NAME);
	s->open = true;
	s->d = digest_new();
	s->size = 0;
	return true;
}

static int take(void *ctx, const void *data, size_t len, struct error *err)
{
	struct seen *s = ctx;

	assert(s->open);
	digest_update(s->d, data, len);
	s->size += len;
	s->total += len;
	return s->total > MAX_PLAIN ? error_set(err, ERROR_REMOTE, "too much") : 0;
}

static int end(void *ctx, const char *name, const char *digest, uint64_t size, struct error *err)
{
	struct seen *s = ctx;
	char hex[DIGEST_HEX_SIZE];

	assert(s->open && s->size == size);
	digest_hex(s->d, hex);
	assert(strcmp(hex, digest) == 0);
	digest_free(s->d);
	s->d = NULL;
	s->open = false;
	str_addf(&s->what, "%s %s\n", name, digest);
	return 0;
}

static int read_all(const uint8_t *data, size_t size, size_t slice, struct seen *s)
{
	struct input in = {data, size, slice};
	struct save_sink sink = {s, begin, take, end};
	struct error err = {0};

	*s = (struct seen){.what = STR_INIT(STR_MAX_REPLY)};
	int rc = save_read(read_slice, &in, &sink, &err);
	assert((rc == 0) == (err.kind == ERROR_NONE) && (rc != 0 || !s->open));
	digest_free(s->d);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, sliced;
	int rc = read_all(data, size, size + 1, &whole);

	assert(read_all(data, size, 61, &sliced) == rc);
	assert(rc != 0 || strcmp(str_c(&whole.what), str_c(&sliced.what)) == 0);
	str_fini(&whole.what);
	str_fini(&sliced.what);
	free(save_config_name((const char *)data, size));
	return 0;
}
