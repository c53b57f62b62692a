/* SPDX-License-Identifier: MIT */
#include "manifest/tree.h"
#include "manifest/config.h"
#include "manifest/expand.h"
#include "util/fs.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CASES "tests/plan/manifest"

static const char *nothing(void *ctx, const char *name)
{
	return NULL;
}

static void load_prefix(const char *text, size_t len)
{
	struct config_request req = {.dir = "/", .getenv = nothing};
	struct diagnostics diags = {0};
	struct error err = {0};
	struct str out = STR_INIT(STR_MAX_FILE);
	struct config *c = config_load_text(text, len, &req, &diags, &err);

	assert_true((c == NULL) == (err.kind != ERROR_NONE));
	assert_true(c != NULL || diags.errors > 0);
	diagnostics_render(&diags, false, &out);
	str_fini(&out);
	diagnostics_fini(&diags);
	config_free(c);
}

/* Every case of the golden tests, cut off after each byte: an end anywhere is only a mistake. */
static void test_prefixes(void **state)
{
	DIR *dir = opendir(CASES);
	const struct dirent *e;
	size_t n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL) {
		char *path = fs_join(CASES, e->d_name);
		struct str text = STR_INIT(STR_MAX_FILE);
		struct error err = {0};

		if (str_ends(path, ".yml") && fs_read(path, &text, &err) == 0 && text.len < 1500) {
			for (size_t i = 0; i <= text.len; i++) {
				load_prefix(str_c(&text), i);
			}
			n++;
		}
		str_fini(&text);
		free(path);
	}
	closedir(dir);
	assert_true(n > 60);
}

static void check_too_much(const char *text, size_t len, const char *message)
{
	struct arena arena = {0};
	struct diagnostics diags = {0};
	struct source source = {"x.yml", text, len};

	assert_null(tree_parse(&arena, &source, &diags));
	assert_int_equal(diags.errors, 1);
	assert_non_null(strstr(diags.p[0].message, message));
	diagnostics_fini(&diags);
	arena_fini(&arena);
}

static void repeat(struct str *s, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		str_add(s, text);
	}
}

static void test_limits(void **state)
{
	struct str s = STR_INIT(STR_MAX_FILE);

	repeat(&s, "# 10 MB of a comment\n", 480000);
	check_too_much(str_c(&s), s.len, "larger than");
	str_reset(&s);
	str_add(&s, "a: ");
	repeat(&s, "[", 100000);
	check_too_much(str_c(&s), s.len, "deep");
	str_reset(&s);
	repeat(&s, "- - - - ", 20);
	check_too_much(str_c(&s), s.len, "deep");
	str_reset(&s);
	str_add(&s, "a: [");
	repeat(&s, "x,", 5000);
	str_add(&s, "]");
	check_too_much(str_c(&s), s.len, "entries");
	str_reset(&s);
	for (int i = 0; i < 5000; i++) {
		str_addf(&s, "k%d: x\n", i);
	}
	check_too_much(str_c(&s), s.len, "keys");
	str_reset(&s);
	for (int i = 0; i < 30; i++) {
		str_addf(&s, "k%d: [", i);
		repeat(&s, "x,", 4000);
		str_add(&s, "]\n");
	}
	check_too_much(str_c(&s), s.len, "more than 100000 values");
	str_fini(&s);
}

/* A hundred thousand mistakes are bounded in time and memory. */
static void test_many_mistakes(void **state)
{
	struct str s = STR_INIT(STR_MAX_FILE);
	struct config_request req = {.dir = "/", .getenv = nothing};
	struct diagnostics diags = {0};
	struct error err = {0};

	for (int i = 0; i < 4000; i++) {
		str_addf(&s, "k%d: ['${A}', '${B}', '${C}', '${D}', '${E}']\n", i);
	}
	assert_null(config_load_text(str_c(&s), s.len, &req, &diags, &err));
	assert_int_equal(diags.len, DIAGNOSTICS_MAX);
	assert_true(diags.dropped > 20000);
	diagnostics_fini(&diags);
	str_fini(&s);
}

static const char *get(void *ctx, const char *name)
{
	return strcmp(name, "A") == 0 ? "a value" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static void test_expand(void **state)
{
	static const struct {
		const char *text, *result; /* NULL: a mistake */
	} cases[] = {
		{"", ""},
		{"plain", "plain"},
		{"${A}", "a value"},
		{"<${A}${A}>", "<a valuea value>"},
		{"${NONE}", NULL},
		{"${NONE:-x}", "x"},
		{"${NONE-x}", "x"},
		{"${EMPTY:-x}", "x"},
		{"${EMPTY-x}", ""},
		{"${EMPTY}", ""},
		{"${EMPTY:?}", NULL},
		{"${EMPTY?}", ""},
		{"${A:?}", "a value"},
		{"${NONE:-${A}}", "a value"},
		{"${NONE:-{}}", "{}"},
		{"${NONE:-$${A}}", "${A}"},
		{"$A $$ $", "$A $$ $"},
		{"$${A}", "${A}"},
		{"$$${A}", "$a value"},
		{"$$$${A}", "$${A}"},
		{"${", NULL},
		{"${A", NULL},
		{"${A!}", NULL},
		{"${-x}", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT(EXPAND_MAX);
		struct expand_problem problem;
		int rc = expand_text(cases[i].text, get, NULL, &out, &problem);

		assert_int_equal(rc, cases[i].result != NULL ? 0 : -1);
		if (rc == 0) {
			assert_string_equal(str_c(&out), cases[i].result);
		} else {
			assert_true(problem.message[0] != '\0');
		}
		str_fini(&out);
	}
}

static void test_expand_bounded(void **state)
{
	struct str text = STR_INIT(STR_MAX_FILE), out = STR_INIT(EXPAND_MAX);
	struct expand_problem problem;

	repeat(&text, "${A}", 100000);
	assert_int_equal(expand_text(str_c(&text), get, NULL, &out, &problem), -1);
	str_fini(&text);
	str_fini(&out);
}

static void test_nearest(void **state)
{
	static const char *const words[] = {"replicas", "hosts", "cmd", "x"};
	const size_t n = sizeof(words) / sizeof(words[0]);

	assert_string_equal(diagnostics_nearest("replcas", words, n, sizeof(words[0])), "replicas");
	assert_string_equal(diagnostics_nearest("host", words, n, sizeof(words[0])), "hosts");
	assert_string_equal(diagnostics_nearest("hsots", words, n, sizeof(words[0])), "hosts");
	assert_string_equal(diagnostics_nearest("cdm", words, n, sizeof(words[0])), "cmd");
	assert_null(diagnostics_nearest("volumes", words, n, sizeof(words[0])));
	assert_null(diagnostics_nearest("", words, n, sizeof(words[0])));
	assert_null(diagnostics_nearest("y", words, n, sizeof(words[0])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many_mistakes),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_expand_bounded),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
