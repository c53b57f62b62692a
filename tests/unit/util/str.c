/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/map.h"
#include "util/str.h"
#include "util/vec.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void appends_stay_terminated(void **state)
{
	CLEANUP_STR struct str s = STR_INIT(100);

	assert_string_equal(str_c(&s), "");
	assert_int_equal(str_add(&s, "ab"), 0);
	assert_int_equal(str_addc(&s, 'c'), 0);
	assert_int_equal(str_addf(&s, "%d", 42), 0);
	assert_int_equal(str_addn(&s, NULL, 0), 0);
	assert_string_equal(str_c(&s), "abc42");
	str_consume(&s, 3);
	assert_string_equal(str_c(&s), "42");
	char *taken = str_take(&s);
	assert_string_equal(taken, "42");
	free(taken);
	assert_int_equal(s.len, 0);
	assert_int_equal(s.max, 100);
	taken = str_take(&s);
	assert_string_equal(taken, "");
	free(taken);
}

static void overflow_keeps_what_was_there(void **state)
{
	CLEANUP_STR struct str s = STR_INIT(4);

	assert_int_equal(str_add(&s, "abcd"), 0);
	assert_int_equal(str_addc(&s, 'e'), -1);
	assert_true(s.overflow);
	assert_string_equal(str_c(&s), "abcd");
	assert_int_equal(str_addf(&s, "%s", ""), -1);
	str_reset(&s);
	assert_false(s.overflow);
	assert_int_equal(str_addf(&s, "%s", "abcde"), -1);
	assert_string_equal(str_c(&s), "");
	str_reset(&s);
	assert_int_equal(str_addn(&s, "x", SIZE_MAX), -1);
}

static void grows_to_its_maximum_byte_by_byte(void **state)
{
	CLEANUP_STR struct str s = STR_INIT(10000);

	for (int i = 0; i < 10000; i++) {
		assert_int_equal(str_addc(&s, (char)('a' + i % 26)), 0);
	}
	assert_int_equal(str_addc(&s, 'x'), -1);
	assert_int_equal(strlen(str_c(&s)), 10000);
}

static void to_long_takes_only_plain_numbers(void **state)
{
	static const struct {
		const char *text;
		long min, max;
		int rc;
		long value;
	} cases[] = {
		{"0", 0, 10, 0, 0},
		{"10", 0, 10, 0, 10},
		{"11", 0, 10, -1, 0},
		{"-1", -5, 10, 0, -1},
		{"-1", 0, 10, -1, 0},
		{"", 0, 10, -1, 0},
		{"-", -5, 10, -1, 0},
		{" 1", 0, 10, -1, 0},
		{"1 ", 0, 10, -1, 0},
		{"+1", 0, 10, -1, 0},
		{"0x1", 0, 10, -1, 0},
		{"99999999999999999999", 0, LONG_MAX, -1, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		long value = 0;
		int rc = str_to_long(cases[i].text, cases[i].min, cases[i].max, &value);
		assert_int_equal(rc, cases[i].rc);
		assert_int_equal(value, cases[i].value);
	}
}

static void helpers(void **state)
{
	assert_true(str_eq(NULL, NULL));
	assert_false(str_eq(NULL, ""));
	assert_true(str_starts("abc", "ab"));
	assert_false(str_starts("a", "ab"));
	assert_true(str_ends("abc", "bc"));
	assert_false(str_ends("c", "bc"));
	assert_null(xstrdup(NULL));
	char *n = xstrndup("abcdef", 3);
	assert_string_equal(n, "abc");
	free(n);
}

static void vector_copies_sorts_and_finds(void **state)
{
	CLEANUP_STRVEC struct strvec v = {0};

	for (int i = 20; i > 0; i--) {
		strvec_pushf(&v, "%02d", i);
	}
	strvec_copy(&v, &v);
	assert_int_equal(v.len, 40);
	strvec_sort(&v);
	assert_string_equal(v.p[0], "01");
	assert_string_equal(v.p[39], "20");
	assert_true(strvec_has(&v, "07"));
	assert_false(strvec_has(&v, "21"));
}

static void map_keeps_order_and_replaces(void **state)
{
	CLEANUP_STRMAP struct strmap m = {0};
	CLEANUP_STRMAP struct strmap other = {0};

	for (int i = 0; i < 20; i++) {
		CLEANUP_FREE char *key = xasprintf("k%d", 19 - i);
		strmap_set(&m, key, "v");
	}
	strmap_set(&m, "k19", strmap_get(&m, "k19")); /* the value may be its own */
	strmap_set(&m, "k18", "new");
	assert_int_equal(m.len, 20);
	assert_string_equal(m.p[0].key, "k19");
	assert_string_equal(strmap_get(&m, "k18"), "new");
	assert_null(strmap_get(&m, "nope"));
	strmap_del(&m, "k19");
	strmap_del(&m, "k0");
	strmap_del(&m, "nope");
	assert_int_equal(m.len, 18);
	strmap_sort(&m);
	assert_string_equal(m.p[0].key, "k1");
	strmap_set(&other, "k1", "other");
	strmap_copy(&m, &other);
	assert_string_equal(strmap_get(&m, "k1"), "other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_stay_terminated),
		cmocka_unit_test(overflow_keeps_what_was_there),
		cmocka_unit_test(grows_to_its_maximum_byte_by_byte),
		cmocka_unit_test(to_long_takes_only_plain_numbers),
		cmocka_unit_test(helpers),
		cmocka_unit_test(vector_copies_sorts_and_finds),
		cmocka_unit_test(map_keeps_order_and_replaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
