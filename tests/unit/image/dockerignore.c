/* SPDX-License-Identifier: MIT */
/* Cases after the documented behaviour of docker ("Dockerignore files") and its matcher. */
#include "image/dockerignore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *patterns, *path;
	bool ignored;
} cases[] = {
	/* plain names, anchored at the root */
	{"foo", "foo", true},
	{"foo", "bar", false},
	{"foo", "a/foo", false},
	{"foo", "foo/bar", true},
	{"foo", "foo/bar/baz", true},
	{"foo", "foobar", false},
	{"/foo", "foo", true},
	{"foo/", "foo", true},
	{"foo/", "foo/x", true},
	{"  foo \t", "foo", true},
	{"foo\r\n", "foo", true},
	{"./foo", "foo", true},
	{"a/../foo", "foo", true},
	{"../foo", "foo", false},
	{".", "foo", false},
	{"/", "foo", false},
	{"#foo", "#foo", false},
	{" #foo", "#foo", true},
	{"\xef\xbb\xbf"
	 "foo",
		"foo", true},
	{"\n\n   \nfoo\n", "foo", true},
	/* one star and ? stay within a name */
	{"*", "foo", true},
	{"*", "a/b", true}, /* its folder matches */
	{"*/temp*", "somedir/temporary.txt", true},
	{"*/temp*", "somedir/temp", true},
	{"*/temp*", "temporary", false},
	{"*/*/temp*", "a/b/temporary.txt", true},
	{"*/*/temp*", "a/temporary.txt", false},
	{"temp?", "tempa", true},
	{"temp?", "temp", false},
	{"temp?", "temp/", false},
	{"*.go", "main.go", true},
	{"*.go", "a/main.go", false},
	{"*.md", "xmd", false},
	{"a?c", "a/c", false},
	{"a*c", "a/c", false},
	{"?", "\xc3\xa9", true},
	/* two stars */
	{"**", "foo", true},
	{"**", "a/b/c", true},
	{"**/*.go", "main.go", true},
	{"**/*.go", "a/b/main.go", true},
	{"**/foo", "foo", true},
	{"**/foo", "a/b/foo", true},
	{"**/foo", "a/foo/b", true},
	{"**/foo", "a/barfoo", false},
	{"**foo", "barfoo", true}, /* by its suffix */
	{"**foo?", "barfoo1", false},
	{"foo/**", "foo", false},
	{"foo/**", "foo/a/b", true},
	{"foo/**/bar", "foo/bar", true},
	{"foo/**/bar", "foo/a/b/bar", true},
	{"foo/**/bar", "foobar", false},
	{"**/foo/**", "a/foo/b", true},
	{"**/foo/*", "a/foo/b", true},
	{"**/foo/*", "foo", false},
	{"a**/b", "axx/b", true},
	{"dir/**/*.c", "dir/x.c", true},
	{"dir/**/*.c", "dir/a/b/x.c", true},
	{"dir/**/*.c", "dir/a/b/x.h", false},
	{"**/a/**/b", "x/a/y/z/b", true},
	{"***", "foo", true},
	{"**/.git", ".git/config", true},
	{"**/.git", "vendor/x/.git", true},
	{"abc/**", "abcd", false},
	{"abc**", "abcd/e", true},
	/* classes and escapes */
	{"[a-c]x", "bx", true},
	{"[a-c]x", "dx", false},
	{"[^a-c]x", "dx", true},
	{"[^a-c]x", "bx", false},
	{"[ab\\]]", "]", true},
	{"a[b-d]e", "ace", true},
	{"a[!]b", "a!b", true},
	{"\\*", "*", true},
	{"\\*", "x", false},
	{"\\!foo", "!foo", true},
	{"a]", "a]", true},
	{"a.b", "axb", false},
	{"a+(b)|{c}$", "a+(b)|{c}$", true},
	{"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", true},
	/* exceptions: the last match wins */
	{"*.md\n!README.md", "README.md", false},
	{"*.md\n!README.md", "x.md", true},
	{"*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true},
	{"*.md\n!README*.md\nREADME-secret.md", "README-x.md", false},
	{"*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false},
	{"docs\n!docs/README.md", "docs/README.md", false},
	{"docs\n!docs/README.md", "docs/other", true},
	{"*\n!src", "src/main.c", false},
	{"*\n!src", "lib/main.c", true},
	{"*\n!src/**", "src/a/main.c", false},
	{"!foo\nfoo", "foo", true},
	{"! foo", "foo", false},
	{"*\n! /foo", "foo", false},
	{"a\n!a/b\na/b/c", "a/b/c", true},
	{"a\n!a/b\na/b/c", "a/b/d", false},
	{"**/*\n!**/*.go", "x/y.go", false},
	{"**/*\n!**/*.go", "x/y.c", true},
	{"", "foo", false},
};

static const struct {
	const char *text, *why;
} bad[] = {
	{"!", "ignore:1: '!' without a pattern"},
	{"a\n! \n", "ignore:2: '!' without a pattern"},
	{"a\n\n[", "ignore:3: malformed pattern"},
	{"[]a]", "ignore:1: malformed pattern"},
	{"[a-]", "ignore:1: malformed pattern"},
	{"[-x]", "ignore:1: malformed pattern"},
	{"[^]", "ignore:1: malformed pattern"},
	{"foo\\", "ignore:1: malformed pattern"},
	{"[a\\", "ignore:1: malformed pattern"},
};

static const struct {
	const char *patterns, *folder;
	bool skip;
} skips[] = {
	{"docs", "docs", true},
	{"docs\n!docs/a", "docs", false},
	{"docs\n!docs/a/b/c", "docs/a", false},
	{"docs\n!docs/a", "docs/b", true},
	{"docs\n!docsa", "docs", true},
	{"*\n!**/x", "docs", false},
	{"*\n!d*/x", "docs", false},
	{"*\n!src", "docs", true},
	{"*\n!src/*.c", "src", false},
	{"*\n!src/*.c", "sr", true},
};

static struct dockerignore *parse(const char *text, struct error *err)
{
	return dockerignore_parse(text, strlen(text), "ignore", err);
}

static void test_match(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};
		struct dockerignore *d = parse(cases[i].patterns, &err);
		assert_non_null(d);
		if (dockerignore_match(d, cases[i].path) != cases[i].ignored) {
			fail_msg("case %zu: '%s' on '%s'", i, cases[i].patterns, cases[i].path);
		}
		dockerignore_free(d);
	}
	assert_false(dockerignore_match(NULL, "x"));
}

static void test_malformed(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = {0};
		assert_null(parse(bad[i].text, &err));
		assert_int_equal(err.kind, ERROR_MANIFEST);
		assert_string_equal(err.text, bad[i].why);
	}
}

static void test_skip(void **state)
{
	for (size_t i = 0; i < sizeof(skips) / sizeof(skips[0]); i++) {
		struct error err = {0};
		struct dockerignore *d = parse(skips[i].patterns, &err);
		assert_non_null(d);
		if (dockerignore_can_skip(d, skips[i].folder) != skips[i].skip) {
			fail_msg("case %zu: '%s' on '%s'", i, skips[i].patterns, skips[i].folder);
		}
		dockerignore_free(d);
	}
}

/* A pattern that makes backtracking matchers explode ends at once. */
static void test_bounded(void **state)
{
	struct error err = {0};
	char path[2001];
	char text[DOCKERIGNORE_MAX_LINE + 2];
	struct dockerignore *d = parse("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", &err);

	memset(path, 'a', 2000);
	path[2000] = '\0';
	assert_false(dockerignore_match(d, path));
	dockerignore_free(d);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_null(parse(text, &err));
	assert_non_null(strstr(err.text, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
