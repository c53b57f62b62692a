/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <string.h>

struct wire wire_reader(const void *p, size_t len)
{
	return (struct wire){.p = p, .len = len};
}

static const uint8_t *take(struct wire *w, size_t n)
{
	static const uint8_t zeros[8];

	if (w->bad || w->len < n) {
		w->bad = true;
		w->len = 0;
		return n <= sizeof(zeros) ? zeros : NULL;
	}
	const uint8_t *p = w->p;
	w->p += n;
	w->len -= n;
	return p;
}

uint8_t wire_u8(struct wire *w)
{
	return take(w, 1)[0];
}

uint32_t wire_u32(struct wire *w)
{
	const uint8_t *p = take(w, 4);

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t wire_u64(struct wire *w)
{
	uint64_t high = wire_u32(w);

	return high << 32 | wire_u32(w);
}

const uint8_t *wire_string(struct wire *w, size_t *len)
{
	static const uint8_t none[1];
	size_t n = wire_u32(w);
	const uint8_t *p = n > 0 ? take(w, n) : none;

	if (w->bad) {
		*len = 0;
		return none;
	}
	*len = n;
	return p;
}

struct wire wire_sub(struct wire *w)
{
	size_t len;
	const uint8_t *p = wire_string(w, &len);

	return (struct wire){.p = p, .len = len, .bad = w->bad};
}

bool wire_is(struct wire *w, const char *text)
{
	size_t len;
	const uint8_t *p = wire_string(w, &len);

	return !w->bad && len == strlen(text) && memcmp(p, text, len) == 0;
}

char *wire_text(struct wire *w)
{
	size_t len;
	const uint8_t *p = wire_string(w, &len);

	return w->bad ? NULL : xstrndup((const char *)p, len);
}

void wire_put_u8(struct str *out, uint8_t v)
{
	str_addn(out, &v, 1);
}

void wire_put_u32(struct str *out, uint32_t v)
{
	const uint8_t b[4] = {
		(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	str_addn(out, b, sizeof(b));
}

void wire_put_u64(struct str *out, uint64_t v)
{
	wire_put_u32(out, (uint32_t)(v >> 32));
	wire_put_u32(out, (uint32_t)v);
}

void wire_put_string(struct str *out, const void *p, size_t len)
{
	wire_put_u32(out, (uint32_t)len);
	str_addn(out, p, len);
}

void wire_put_text(struct str *out, const char *text)
{
	wire_put_string(out, text, strlen(text));
}
