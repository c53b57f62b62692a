/* SPDX-License-Identifier: MIT */
/*
 * The binary encoding of SSH, its agent and SFTP (RFC 4251, 5): big-endian integers, and strings
 * with their length in front.  Reading is pure and never passes the end: a reader that was asked
 * for more than there is turns `bad` on and gives zeros from then on, so that a caller may look
 * once.
 */
#pragma once

#include "util/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
	const uint8_t *p;
	size_t len;
	bool bad;
};

struct wire wire_reader(const void *p, size_t len);
uint8_t wire_u8(struct wire *w);
uint32_t wire_u32(struct wire *w);
uint64_t wire_u64(struct wire *w);
/* A string, borrowed from the buffer; *len 0 when bad. Never NULL. */
const uint8_t *wire_string(struct wire *w, size_t *len);
/* As a reader of its own. */
struct wire wire_sub(struct wire *w);
/* Whether the next string is `text`; consumes it. */
bool wire_is(struct wire *w, const char *text);
/* A string as C string, cut at a NUL in it; the caller frees; NULL when bad. */
char *wire_text(struct wire *w);

void wire_put_u8(struct str *out, uint8_t v);
void wire_put_u32(struct str *out, uint32_t v);
void wire_put_u64(struct str *out, uint64_t v);
void wire_put_string(struct str *out, const void *p, size_t len);
void wire_put_text(struct str *out, const char *text);
