/* SPDX-License-Identifier: MIT */
#include "image/protobuf.h"

#define VARINT_MAX 10 /* bytes of 64 bits in groups of 7 */

void protobuf_init(struct protobuf *m, const void *data, size_t len)
{
	m->p = data;
	m->end = len ? m->p + len : m->p;
}

static int read_varint(struct protobuf *m, uint64_t *out)
{
	uint64_t value = 0;

	for (int i = 0; i < VARINT_MAX && m->p < m->end; i++) {
		unsigned char c = *m->p++;
		if (i == VARINT_MAX - 1 && c > 1) {
			return -1;
		}
		value |= (uint64_t)(c & 0x7f) << (7 * i);
		if (!(c & 0x80)) {
			*out = value;
			return 0;
		}
	}
	return -1;
}

static int read_fixed(struct protobuf *m, int bytes, uint64_t *out)
{
	uint64_t value = 0;

	if (m->end - m->p < bytes) {
		return -1;
	}
	for (int i = 0; i < bytes; i++) {
		value |= (uint64_t)*m->p++ << (8 * i);
	}
	*out = value;
	return 0;
}

int protobuf_next(struct protobuf *m, struct protobuf_field *f)
{
	uint64_t key, len;

	*f = (struct protobuf_field){0};
	if (m->p == m->end) {
		return 0;
	}
	if (read_varint(m, &key) != 0 || key >> 3 == 0 || key >> 3 > UINT32_MAX >> 3) {
		return -1;
	}
	f->number = (uint32_t)(key >> 3);
	f->wire = (enum protobuf_wire)(key & 7);
	if (f->wire == PROTOBUF_VARINT) {
		return read_varint(m, &f->value) == 0 ? 1 : -1;
	}
	if (f->wire == PROTOBUF_FIXED64 || f->wire == PROTOBUF_FIXED32) {
		return read_fixed(m, f->wire == PROTOBUF_FIXED64 ? 8 : 4, &f->value) == 0 ? 1 : -1;
	}
	if (f->wire != PROTOBUF_BYTES || read_varint(m, &len) != 0 ||
		len > (uint64_t)(m->end - m->p)) {
		return -1;
	}
	f->data = m->p;
	f->len = (size_t)len;
	m->p += len;
	return 1;
}

static void add_varint(struct str *out, uint64_t value)
{
	while (value > 0x7f) {
		str_addc(out, (char)(unsigned char)(value | 0x80));
		value >>= 7;
	}
	str_addc(out, (char)value);
}

void protobuf_add_varint(struct str *out, uint32_t number, uint64_t value)
{
	add_varint(out, (uint64_t)number << 3 | PROTOBUF_VARINT);
	add_varint(out, value);
}

void protobuf_add_bytes(struct str *out, uint32_t number, const void *data, size_t len)
{
	add_varint(out, (uint64_t)number << 3 | PROTOBUF_BYTES);
	add_varint(out, len);
	str_addn(out, data, len);
}
