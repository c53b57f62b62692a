/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void set_formats_and_returns_minus_one(void **state)
{
	struct error err = {0};

	assert_int_equal(error_set(&err, ERROR_REMOTE, "create '%s'", "web"), -1);
	assert_int_equal(err.kind, ERROR_REMOTE);
	assert_string_equal(err.text, "create 'web'");
}

static void sys_appends_the_system_text(void **state)
{
	struct error err = {0};

	error_sys(&err, ERROR_INTERNAL, ENOENT, "open '%s'", "a");
	assert_string_equal(err.text, "open 'a': No such file or directory");
	assert_int_equal(err.sys, ENOENT);
}

static void wrap_puts_frames_in_front_and_keeps_the_rest(void **state)
{
	struct error err = {0};

	error_set(&err, ERROR_REMOTE, "registry closed the stream");
	err.status = 500;
	error_hint(&err, "try again");
	error_host(&err, "app2");
	error_host(&err, "other");
	error_wrap(&err, "pull '%s'", "a:b");
	error_wrap(&err, "push");
	assert_string_equal(err.text, "push: pull 'a:b': host app2: registry closed the stream");
	assert_string_equal(err.host, "app2");
	assert_string_equal(err.hint, "try again");
	assert_int_equal(err.status, 500);
}

static void arguments_may_point_into_the_error(void **state)
{
	struct error err = {0};

	error_set(&err, ERROR_REMOTE, "inner");
	error_set(&err, ERROR_CONNECT, "outer %s", err.text);
	assert_string_equal(err.text, "outer inner");
}

static void long_texts_are_cut_between_characters(void **state)
{
	struct error err = {0};
	char text[4096];

	for (size_t shift = 0; shift < 3; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof(text); i += 3) {
			memcpy(text + i, "\xe2\x82\xac", 4);
		}
		error_set(&err, ERROR_REMOTE, "%s", text);
		size_t len = strlen(err.text);
		assert_true(len < sizeof(err.text) && len >= sizeof(err.text) - 4);
		assert_int_equal((len - shift) % 3, 0);
		error_wrap(&err, "%s", "frame");
		assert_memory_equal(err.text, "frame: ", 7);
		assert_int_equal((strlen(err.text) - 7 - shift) % 3, 0);
	}
}

static void detail_keeps_its_end_in_whole_lines(void **state)
{
	struct error err = {0};

	for (int i = 0; i < 1000; i++) {
		char line[32];
		int n = snprintf(line, sizeof(line), "line number %d\n", i);
		error_detail(&err, line, (size_t)n);
	}
	assert_non_null(strstr(err.detail, "line number 999\n"));
	assert_memory_equal(err.detail, "line number ", 12);
	static char big[20000];
	memset(big, 'a', sizeof(big));
	error_detail(&err, big, sizeof(big));
	assert_int_equal(strlen(err.detail), sizeof(err.detail) - 1);
	error_detail(&err, "", 0);
}

static void kinds_have_the_documented_exit_statuses(void **state)
{
	static const int expected[] = {0, 2, 3, 4, 5, 6, 7, 8, 70, 130};

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_int_equal(error_exit_status((enum error_kind)i), expected[i]);
		assert_non_null(error_kind_name((enum error_kind)i));
	}
	assert_string_equal(error_kind_name(ERROR_UNHEALTHY), "unhealthy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_formats_and_returns_minus_one),
		cmocka_unit_test(sys_appends_the_system_text),
		cmocka_unit_test(wrap_puts_frames_in_front_and_keeps_the_rest),
		cmocka_unit_test(arguments_may_point_into_the_error),
		cmocka_unit_test(long_texts_are_cut_between_characters),
		cmocka_unit_test(detail_keeps_its_end_in_whole_lines),
		cmocka_unit_test(kinds_have_the_documented_exit_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
