/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/ui/internal.h"

#include <stdlib.h>
#include <string.h>

static void widths(void **state)
{
	static const struct {
		const char *text;
		int width;
	} cases[] = {
		{"", 0},
		{"abc", 3},
		{"h\xc3\xa9", 2},
		{"e\xcc\x81", 1},
		{"\xe5\x81\xa5\xe5\xba\xb7", 4},
		{"\xf0\x9f\x9a\x80", 2},
		{"\xe2\x9c\x93", 1},
		{"\033[1;32mok\033[0m", 2},
		{"\xff\xfe", 2},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(text_width(cases[i].text), cases[i].width);
	}
	assert_int_equal(text_fit("\xe5\x81\xa5\xe5\xba\xb7", 3), 3);
	assert_int_equal(text_fit("a\033[1mbc", 2), 6);
	assert_int_equal(text_fit("abc", 0), 0);
}

static void control_characters_are_taken_out(void **state)
{
	static const struct {
		const char *in;
		const char *out;
		const char *with_sgr;
	} cases[] = {
		{"a\tb", "a\tb", NULL}, {"\033[31mred\033[0m", "red", "\033[31mred\033[0m\033[0m"},
		{"\033[2J\033[H\033[?25lx", "x", NULL},
		{"\033]0;title\007x\033]8;;u\033\\y", "xy", NULL},
		{"\033Pq#0;1\033\\x\033(Bx\033cx\033", "xxx", NULL},
		{"\033[31;\xc3\xa9mx", "\xef\xbf\xbdmx", NULL},
		{"\033[1111111111111111111111111111mx", "x", NULL},
		{"a\bb\007\177\001c", "abc", NULL}, {"10%\r20%\r30%\r\n", "30%", NULL},
		{"a\r\nb", "a\nb", NULL},
		{"\xc2\x9b"
		 "31mx",
			"31mx", NULL}, /* CSI as a C1 character */
		{"\x9b"
		 "31mx",
			"\xef\xbf\xbd"
			"31mx",
			NULL},
		{"\xe2\x80\xae"
		 "evil",
			"evil", NULL}, /* right-to-left override */
		{"h\xc3", "h\xef\xbf\xbd", NULL}, {"\xc3(", "\xef\xbf\xbd(", NULL},
		{"\xed\xa0\x80", "\xef\xbf\xbd", NULL}, /* a surrogate */
		{"\xc0\xaf", "\xef\xbf\xbd", NULL},     /* overlong */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_STR struct str out = STR_INIT(1000);
		CLEANUP_STR struct str sgr = STR_INIT(1000);
		sanitize_line(cases[i].in, false, &out);
		sanitize_line(cases[i].in, true, &sgr);
		assert_string_equal(str_c(&out), cases[i].out);
		assert_string_equal(
			str_c(&sgr), cases[i].with_sgr ? cases[i].with_sgr : cases[i].out);
	}
}

static void a_stream_is_the_same_byte_by_byte(void **state)
{
	static const char text[] = "a\033[1;32mb\033]0;x\033\\\xe5\x81\xa5\r\nc\033[2Kd\r10%\re\n";
	struct sanitizer whole = {.sgr = true};
	struct sanitizer bytes = {.sgr = true};
	CLEANUP_STR struct str a = STR_INIT(1000);
	CLEANUP_STR struct str b = STR_INIT(1000);

	sanitize(&whole, text, strlen(text), &a);
	for (size_t i = 0; i < strlen(text); i++) {
		sanitize(&bytes, text + i, 1, &b);
	}
	assert_string_equal(str_c(&a), "a\033[1;32mb\xe5\x81\xa5\nc"
				       "d\n10%\ne\n");
	assert_string_equal(str_c(&a), str_c(&b));
}

static void bytes_are_for_people(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {{0, "0 B"}, {812, "812 B"}, {999, "999 B"}, {1000, "1.0 kB"},
		{1234567, "1.2 MB"}, {99940000, "99.9 MB"}, {412000000, "412 MB"},
		{999600000, "1.0 GB"}, {UINT64_MAX, "18.4 EB"}};
	char buf[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(ui_bytes(cases[i].n, buf), cases[i].text);
	}
}

static struct redactor *redactor(const char *const *values)
{
	struct redactor *r = xcalloc(1, sizeof(*r));

	for (; *values != NULL; values++) {
		redactor_add(r, *values, strlen(*values));
	}
	return r;
}

static void secrets_are_redacted(void **state)
{
	struct redactor *r = redactor(
		(const char *const[]){"hunter2", "abc", "abcd", "cdefgh", "a \"quoted\" <one>\n",
			"-----BEGIN KEY-----\nMIIEvQIBADAN\nxyz\n-----END KEY-----\n", NULL});
	static const char *const cases[][2] = {
		{"", ""},
		{"hunter", "hunter"},
		{"hunter2", "[REDACTED]"},
		{"xhunter2hunter2y", "x[REDACTED][REDACTED]y"},
		{"abc", "abc"}, /* too short to be looked for */
		{"abcdefgh.", "[REDACTED]."},
		{"p=a \"quoted\" <one>;", "p=[REDACTED];"},
		{"{\"p\":\"a \\\"quoted\\\" <one>\"}", "{\"p\":\"[REDACTED]\"}"},
		{"{\"p\":\"a \\\"quoted\\\" \\u003cone\\u003e\"}", "{\"p\":\"[REDACTED]\"}"},
		{"key: MIIEvQIBADAN", "key: [REDACTED]"},
		{"-----BEGIN KEY-----\nMIIEvQIBADAN\nxyz\n-----END KEY-----", "[REDACTED]"},
		{"-----BEGIN KEY-----\\nMIIEvQIBADAN\\nxyz\\n-----END KEY-----", "[REDACTED]"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_STR struct str out = STR_INIT(1000);
		redactor_apply(r, cases[i][0], strlen(cases[i][0]), &out);
		assert_string_equal(str_c(&out), cases[i][1]);
	}
	assert_int_equal(redactor_held(r, "xhunt", 5), 4);
	assert_int_equal(redactor_held(r, "xh", 2), 1);
	assert_int_equal(redactor_held(r, "hunter2\n", 8), 0);
	redactor_fini(r);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(widths),
		cmocka_unit_test(control_characters_are_taken_out),
		cmocka_unit_test(a_stream_is_the_same_byte_by_byte),
		cmocka_unit_test(bytes_are_for_people),
		cmocka_unit_test(secrets_are_redacted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
