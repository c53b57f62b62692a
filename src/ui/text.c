/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <stdio.h>
#include <string.h>

struct range {
	uint32_t first;
	uint32_t last;
};

/* From Unicode 15: general categories Mn, Me, Cf that are met in practice; sorted. */
static const struct range zero_width[] = {{0x300, 0x36f}, {0x483, 0x489}, {0x591, 0x5bd},
	{0x610, 0x61a}, {0x64b, 0x65f}, {0xe31, 0xe31}, {0xe34, 0xe3a}, {0xe47, 0xe4e},
	{0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f},
	{0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0x1f3fb, 0x1f3ff}, {0xe0100, 0xe01ef}};

/* East Asian Width W and F, and emoji that are drawn wide; sorted. */
static const struct range wide[] = {{0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23ec},
	{0x23f0, 0x23f0}, {0x23f3, 0x23f3}, {0x25fd, 0x25fe}, {0x2614, 0x2615}, {0x2648, 0x2653},
	{0x267f, 0x267f}, {0x2693, 0x2693}, {0x26a1, 0x26a1}, {0x26aa, 0x26ab}, {0x26bd, 0x26be},
	{0x26c4, 0x26c5}, {0x26ce, 0x26ce}, {0x26d4, 0x26d4}, {0x26ea, 0x26ea}, {0x26f2, 0x26f3},
	{0x26f5, 0x26f5}, {0x26fa, 0x26fa}, {0x26fd, 0x26fd}, {0x2705, 0x2705}, {0x270a, 0x270b},
	{0x2728, 0x2728}, {0x274c, 0x274c}, {0x274e, 0x274e}, {0x2753, 0x2755}, {0x2757, 0x2757},
	{0x2795, 0x2797}, {0x27b0, 0x27b0}, {0x27bf, 0x27bf}, {0x2b1b, 0x2b1c}, {0x2b50, 0x2b50},
	{0x2b55, 0x2b55}, {0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff},
	{0xa000, 0xa4cf}, {0xa960, 0xa97f}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f},
	{0xff01, 0xff60}, {0xffe0, 0xffe6}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf},
	{0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a}, {0x1f200, 0x1f265}, {0x1f300, 0x1f64f},
	{0x1f680, 0x1f6ff}, {0x1f7e0, 0x1f7eb}, {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff},
	{0x20000, 0x3fffd}};

/* They change the order in which what follows is shown: text can be made to lie. */
static const struct range bidi[] = {{0x202a, 0x202e}, {0x2066, 0x2069}};

#define IN(table, code) in_table(table, sizeof(table) / sizeof((table)[0]), code)

static bool in_table(const struct range *t, size_t n, uint32_t code)
{
	for (size_t i = 0; i < n && t[i].first <= code; i++) {
		if (code <= t[i].last) {
			return true;
		}
	}
	return false;
}

const char *style_code(bool color, enum ui_style style)
{
	static const char *const codes[] = {
		[UI_PLAIN] = "\033[0m",
		[UI_BOLD] = "\033[1m",
		[UI_DIM] = "\033[2m",
		[UI_RED] = "\033[31m",
		[UI_GREEN] = "\033[32m",
		[UI_YELLOW] = "\033[33m",
		[UI_CYAN] = "\033[36m",
	};

	return color ? codes[style] : "";
}

size_t utf8_decode(const char *p, size_t len, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *u = (const unsigned char *)p;
	size_t n = u[0] < 0x80   ? 1
		   : u[0] < 0xc0 ? 0
		   : u[0] < 0xe0 ? 2
		   : u[0] < 0xf0 ? 3
		   : u[0] < 0xf8 ? 4
				 : 0;

	if (n == 0 || n > len) {
		return 0;
	}
	uint32_t c = n == 1 ? u[0] : u[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80) {
			return 0;
		}
		c = c << 6 | (u[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
		return 0;
	}
	*code = c;
	return n;
}

/* Length of an SGR sequence at p, else 0. */
static size_t sgr_len(const char *p)
{
	if (p[0] != '\033' || p[1] != '[') {
		return 0;
	}
	size_t n = 2 + strspn(p + 2, "0123456789;:");
	return p[n] == 'm' ? n + 1 : 0;
}

static int char_width(uint32_t code)
{
	return code < 0x20 || IN(zero_width, code) ? 0 : code >= 0x1100 && IN(wide, code) ? 2 : 1;
}

size_t text_fit(const char *text, int columns)
{
	size_t len = strlen(text);
	size_t i = 0;

	while (i < len) {
		size_t n = sgr_len(text + i);
		uint32_t code = 0;
		if (n == 0) {
			n = utf8_decode(text + i, len - i, &code);
			columns -= n == 0 ? 1 : char_width(code);
			n = n == 0 ? 1 : n;
		}
		if (columns < 0) {
			return i;
		}
		i += n;
	}
	return len;
}

int text_width(const char *text)
{
	size_t len = strlen(text);
	int width = 0;

	for (size_t i = 0; i < len;) {
		size_t n = sgr_len(text + i);
		uint32_t code = 0;
		if (n == 0) {
			n = utf8_decode(text + i, len - i, &code);
			width += n == 0 ? 1 : char_width(code);
			n = n == 0 ? 1 : n;
		}
		i += n;
	}
	return width;
}

/* The gathered bytes of a character are one, or are not. */
static void end_utf8(struct sanitizer *s, struct str *out)
{
	uint32_t code = 0;

	if (s->utf8_len == 0) {
		return;
	}
	if (utf8_decode(s->utf8, s->utf8_len, &code) != s->utf8_len) {
		str_add(out, "\xef\xbf\xbd");
	} else if (!(code >= 0x80 && code < 0xa0) && !IN(bidi, code)) {
		str_addn(out, s->utf8, s->utf8_len);
	}
	s->utf8_len = 0;
}

static void text_byte(struct sanitizer *s, unsigned char c, struct str *out)
{
	if (c >= 0x80 && c < 0xc0 && s->utf8_len > 0) {
		unsigned char lead = (unsigned char)s->utf8[0];
		size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
		s->utf8[s->utf8_len++] = (char)c;
		if (s->utf8_len == need) {
			end_utf8(s, out);
		}
		return;
	}
	end_utf8(s, out);
	if (c >= 0xc0) {
		s->utf8[s->utf8_len++] = (char)c;
	} else if (c >= 0x80) {
		str_add(out, "\xef\xbf\xbd");
	} else if (c == '\033') {
		s->state = SAN_ESC;
	} else if (c == '\r') {
		s->state = SAN_CR;
	} else if ((c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t') {
		str_addc(out, (char)c);
	}
}

/* What follows ESC: a CSI, a string up to BEL or ST, or one or two bytes. */
static void escape_byte(struct sanitizer *s, unsigned char c)
{
	s->csi_len = 0;
	if (c == '[') {
		s->state = SAN_CSI;
	} else if (strchr("]PX^_", c) != NULL && c != '\0') {
		s->state = SAN_STRING;
	} else if (c >= 0x30 || c < 0x20) {
		s->state = SAN_TEXT; /* 0x20-0x2f are intermediate: one more follows */
	}
}

static void csi_byte(struct sanitizer *s, unsigned char c, struct str *out)
{
	if (c < 0x20 || c >= 0x7f) {
		s->state = SAN_TEXT; /* broken */
		return;
	}
	if (s->csi_len < sizeof(s->csi)) {
		s->csi[s->csi_len++] = (char)c;
	} else {
		s->csi[0] = '?'; /* too long for an honest SGR */
	}
	if (c < 0x40) {
		return;
	}
	s->state = SAN_TEXT;
	size_t digits = 0;
	while (digits < s->csi_len && strchr("0123456789;:", s->csi[digits]) != NULL) {
		digits++;
	}
	if (s->sgr && c == 'm' && digits == s->csi_len - 1) {
		str_add(out, "\033[");
		str_addn(out, s->csi, s->csi_len);
	}
}

void sanitize(struct sanitizer *s, const char *p, size_t len, struct str *out)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];
		switch (s->state) {
		case SAN_CR:
			s->state = SAN_TEXT;
			if (c != '\n' && c != '\r') {
				str_addc(out, '\n');
			}
			text_byte(s, c, out);
			break;
		case SAN_TEXT:
			text_byte(s, c, out);
			break;
		case SAN_ESC:
			escape_byte(s, c);
			break;
		case SAN_CSI:
			csi_byte(s, c, out);
			break;
		case SAN_STRING:
			s->state = c == 7 ? SAN_TEXT : c == '\033' ? SAN_STRING_ESC : SAN_STRING;
			break;
		case SAN_STRING_ESC:
			s->state = c == '\\' ? SAN_TEXT : SAN_STRING;
			break;
		}
	}
}

void sanitize_line(const char *text, bool sgr, struct str *out)
{
	struct sanitizer s = {.sgr = sgr};
	size_t len = strlen(text);
	size_t begin = out->len;

	while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n')) {
		len--;
	}
	for (size_t i = len; i > 0; i--) {
		if (text[i - 1] == '\r' && text[i] != '\n') {
			text += i;
			len -= i;
			break;
		}
	}
	sanitize(&s, text, len, out);
	end_utf8(&s, out);
	if (out->len > begin && memchr(out->p + begin, '\033', out->len - begin) != NULL) {
		str_add(out, "\033[0m");
	}
}

const char *ui_bytes(uint64_t n, char buf[16])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)n;
	size_t unit = 0;

	while (value >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	snprintf(buf, 16, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return buf;
}
