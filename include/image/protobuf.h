/* SPDX-License-Identifier: MIT */
/*
 * The little of protocol buffers that BuildKit's messages need
 * (https://protobuf.dev/programming-guides/encoding/).  Pure, nothing is copied or allocated by
 * reading; a length that leaves its message is an error.
 */
#pragma once

#include "util/str.h"

#include <stddef.h>
#include <stdint.h>

enum protobuf_wire {
	PROTOBUF_VARINT = 0,
	PROTOBUF_FIXED64 = 1,
	PROTOBUF_BYTES = 2,
	PROTOBUF_FIXED32 = 5
};

struct protobuf {
	const unsigned char *p, *end;
};

struct protobuf_field {
	uint32_t number;
	enum protobuf_wire wire;
	uint64_t value;            /* VARINT, FIXED64, FIXED32 */
	const unsigned char *data; /* BYTES: borrowed */
	size_t len;
};

void protobuf_init(struct protobuf *m, const void *data, size_t len);
/* 1: *f is the next field; 0: the end; -1: malformed. */
int protobuf_next(struct protobuf *m, struct protobuf_field *f);

/* Append a field to a message. */
void protobuf_add_varint(struct str *out, uint32_t number, uint64_t value);
void protobuf_add_bytes(struct str *out, uint32_t number, const void *data, size_t len);
