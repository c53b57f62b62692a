/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/option.h"

#include <string.h>

struct values {
	bool all, brief;
	int loud, wait;
	const char *file;
	struct strvec words;
	long number;
};

static const struct cli_option table[] = {
	{"all", 'a', CLI_FLAG, offsetof(struct values, all), NULL, "", 0, 0, 0},
	{"brief", 'b', CLI_FLAG, offsetof(struct values, brief), NULL, "", 0, 0, 0},
	{"loud", 'l', CLI_COUNT, offsetof(struct values, loud), NULL, "", 0, 0, 0},
	{"wait", 0, CLI_WAIT, offsetof(struct values, wait), "SECONDS", "", 0, 0, 100},
	{"file", 'f', CLI_TEXT, offsetof(struct values, file), "FILE", "", 0, 0, 0},
	{"words", 'w', CLI_LIST, offsetof(struct values, words), "WORD,...", "", 0, 0, 0},
	{"number", 'n', CLI_NUMBER, offsetof(struct values, number), "N", "", 7, 1, 50},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

/* Takes all options up to the first word; its place in *rest. */
static int take(struct values *v, const char *const *argv, size_t *rest, struct error *err)
{
	struct cli_option_set set = {table, v};

	cli_options_init(&set);
	for (*rest = 0; argv[*rest] != NULL && cli_is_option(argv[*rest]);) {
		if (cli_option_take(&set, 1, argv, rest, err) < 0) {
			return -1;
		}
	}
	return 0;
}

static void all_forms_are_read(void **state)
{
	const char *const argv[] = {"-abll", "--file=x=y", "-n5", "--words", "one,two,", "-w",
		"three", "--wait=9", "word", NULL};
	struct values v = {0};
	struct error err = {0};
	size_t rest;

	assert_int_equal(take(&v, argv, &rest, &err), 0);
	assert_true(v.all && v.brief);
	assert_int_equal(v.loud, 2);
	assert_string_equal(v.file, "x=y");
	assert_int_equal(v.number, 5);
	assert_int_equal(v.wait, 9);
	assert_int_equal(v.words.len, 3);
	assert_string_equal(v.words.p[1], "two");
	assert_string_equal(argv[rest], "word");
	cli_options_fini(&(struct cli_option_set){table, &v});
}

static void presets_and_absent_values(void **state)
{
	const char *const argv[] = {"--wait", "5", NULL};
	struct values v = {0};
	struct error err = {0};
	size_t rest;

	assert_int_equal(take(&v, argv, &rest, &err), 0);
	assert_int_equal(v.number, 7);
	assert_int_equal(v.wait, -1); /* never takes the next word */
	assert_string_equal(argv[rest], "5");
}

static void mistakes_are_usage_errors(void **state)
{
	static const struct {
		const char *argv[3];
		const char *text, *hint;
	} cases[] = {
		{{"--fiel", "x"}, "unknown option '--fiel'", "did you mean '--file'?"},
		{{"--zzzzzzz"}, "unknown option '--zzzzzzz'", ""},
		{{"--fil", "x"}, "unknown option '--fil'", "did you mean '--file'?"},
		{{"-z"}, "unknown option '-z'", ""},
		{{"-az"}, "unknown option '-z'", ""},
		{{"--file"}, "option '--file' needs a value: FILE", ""},
		{{"-f"}, "option '-f' needs a value: FILE", ""},
		{{"--file="}, "option '--file' needs a value that is not empty", ""},
		{{"--all=yes"}, "option '--all' takes no value", ""},
		{{"-n", "0"}, "option '-n' needs a number between 1 and 50, not '0'", ""},
		{{"--number=1x"}, "option '--number' needs a number between 1 and 50, not '1x'",
			""},
		{{"--wait=-1"}, "option '--wait' needs a number between 0 and 100, not '-1'", ""},
		{{"--wait="}, "option '--wait' needs a value that is not empty", ""},
		{{"--=x"}, "unknown option '--'", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct values v = {0};
		struct error err = {0};
		size_t rest;

		assert_int_equal(take(&v, cases[i].argv, &rest, &err), -1);
		assert_int_equal(err.kind, ERROR_USAGE);
		assert_string_equal(err.text, cases[i].text);
		assert_string_equal(err.hint, cases[i].hint);
		cli_options_fini(&(struct cli_option_set){table, &v});
	}
}

static void dashes_alone_are_words(void **state)
{
	assert_false(cli_is_option("-"));
	assert_false(cli_is_option("--"));
	assert_false(cli_is_option("word"));
	assert_false(cli_is_option(""));
	assert_true(cli_is_option("-x"));
	assert_true(cli_is_option("--x"));
}

static void first_set_wins(void **state)
{
	static const struct cli_option only_all[] = {
		{"all", 'a', CLI_FLAG, offsetof(struct values, all), NULL, "", 0, 0, 0},
		{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
	};
	const char *const argv[] = {"--all", "-b", NULL};
	struct values first = {0}, second = {0};
	struct cli_option_set sets[] = {{only_all, &first}, {table, &second}};
	struct error err = {0};
	size_t at = 0;

	assert_int_equal(cli_option_take(sets, 2, argv, &at, &err), 0);
	assert_int_equal(cli_option_take(sets, 2, argv, &at, &err), 0);
	assert_true(first.all && !second.all && second.brief);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_forms_are_read),
		cmocka_unit_test(presets_and_absent_values),
		cmocka_unit_test(mistakes_are_usage_errors),
		cmocka_unit_test(dashes_alone_are_words),
		cmocka_unit_test(first_set_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
