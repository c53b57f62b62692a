/* SPDX-License-Identifier: MIT */
/* Protocol buffers, and BuildKit's progress in them. */
#include "image/protobuf.h"
#include "image/trace.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a message and writes it again, as far as it can be written: -1 when it is malformed. */
static int copy(const void *data, size_t size, struct str *out)
{
	struct protobuf m;
	struct protobuf_field f;
	const unsigned char *end = (const unsigned char *)data + size;
	int rc;

	protobuf_init(&m, data, size);
	while ((rc = protobuf_next(&m, &f)) == 1) {
		assert(f.number > 0 && m.p <= end);
		if (f.wire == PROTOBUF_BYTES) {
			assert((const void *)f.data >= data && f.data + f.len <= end);
			protobuf_add_bytes(out, f.number, f.data, f.len);
		} else if (f.wire == PROTOBUF_VARINT) {
			protobuf_add_varint(out, f.number, f.value);
		}
	}
	return rc;
}

static void check_copy(const uint8_t *data, size_t size)
{
	CLEANUP_STR struct str once = STR_INIT(2 * size + 1);
	CLEANUP_STR struct str twice = STR_INIT(2 * size + 1);

	if (copy(data, size, &once) == 0) {
		assert(once.len <= size); /* shortest forms only */
		assert(copy(str_c(&once), once.len, &twice) == 0);
		assert(once.len == twice.len);
		assert(memcmp(str_c(&once), str_c(&twice), once.len) == 0);
	}
}

static void note(void *ctx, enum trace_event event, const char *step, const char *text, bool is_err)
{
	assert(step != NULL && event <= TRACE_WARNING);
	assert(event != TRACE_OUTPUT || strlen(text) < TRACE_MAX_LINE);
	str_addf(ctx, "%d %s %s %d\n", (int)event, step, text != NULL ? text : "", is_err);
}

static void check_trace(const uint8_t *data, size_t size)
{
	CLEANUP_STR struct str told = STR_INIT(STR_MAX_REPLY);
	struct trace *t = trace_new(note, &told);
	int rc = trace_feed(t, data, size);

	assert(rc == 0 || rc == -1);
	assert((trace_failed_step(t) == NULL) == (trace_failed_error(t) == NULL));
	if (trace_failed_step(t) != NULL) {
		assert(*trace_failed_error(t) != '\0');
		assert(strlen(trace_failed_tail(t)) <= TRACE_TAIL);
	}
	/* A step ends once, however often it is told. */
	size_t before = told.len;
	bool output = size > 0 && (memchr(data, 0x1a, size) != NULL || memchr(data, 0x22, size));
	rc = trace_feed(t, data, size);
	assert(output || rc != 0 || told.len == before);
	trace_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_copy(data, size);
	check_trace(data, size);
	return 0;
}
