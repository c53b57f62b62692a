/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "secrets/dotenv.h"
#include "util/fs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Commands answer with themselves in brackets, and what they were given; variables: HOME_X only. */
struct world {
	int runs;
};

static int fake_run(
	void *ctx, const char *command, const char *const *env, struct str *out, struct error *err)
{
	struct world *w = ctx;

	w->runs++;
	if (strcmp(command, "false") == 0) {
		return error_set(err, ERROR_MANIFEST, "the command ended with status 1");
	}
	if (strcmp(command, "nul") == 0) {
		str_addn(out, "a\0b", 3);
		return 0;
	}
	str_addf(out, "[%s", command);
	for (; *env != NULL; env++) {
		str_addf(out, "|%s", *env);
	}
	str_add(out, "]\n\n");
	return 0;
}

static const char *fake_variable(void *ctx, const char *name)
{
	return strcmp(name, "OUT") == 0 ? "outside" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

/* The value of X in `text`; or "error: ..." */
static char *value_of(const char *text, size_t len)
{
	struct world w = {0};
	struct dotenv_source source = {.run = fake_run, .variable = fake_variable, .ctx = &w};
	struct dotenv *d = dotenv_new();
	struct error err = {0};
	struct secret *s = NULL;
	char *result = NULL;

	if (dotenv_parse(d, "f", text, len, &err) == 0) {
		s = dotenv_resolve(d, "X", &source, &err);
	}
	if (s == NULL) {
		assert_int_equal(err.kind, ERROR_MANIFEST);
		result = xasprintf("error: %s", err.text);
	} else {
		result = xstrdup(secret_reveal(s));
		assert_int_equal(strlen(result), secret_len(s));
	}
	secret_unref(s);
	dotenv_free(d);
	return result;
}

static void values(void **state)
{
	static const char *const cases[][2] = {
		{"X=a", "a"},
		{"X=", ""},
		{"X", "error: f:1: expected '=' behind the name"},
		{"  export  X = a b  # c", "a b"},
		{"exportX=1\nX=2", "2"},
		{"if [ -f .env ]; then\n  export $(grep -v '^#' .env | xargs)\nfi\nX=1", "1"},
		{"set -a; . .env\nsource .env\n. .env\nX=\"2\"", "2"},
		{"for=1\nfi =x\nX=$for$fi", "1x"},
		{"export=3\nX=$export", "3"},
		{"X: yaml", "yaml"},
		{"X=a#b", "a#b"},
		{"X=#b", ""},
		{"X= # b", ""},
		{"# X=1\n\n\r\nX=2\r\n", "2"},
		{"X=1\nX=2", "2"},
		{"\xef\xbb\xbfX=1", "1"},
		{"X='a $OUT \\n \"q\" # no'", "a $OUT \\n \"q\" # no"},
		{"X='one\r\n two\n'  # c", "one\n two\n"},
		{"X='it\\'s'", "it\\'s"},
		{"X=\"a \\\"q\\\" \\$OUT \\n $OUT\"", "a \"q\" $OUT \\n outside"},
		{"DOTENV_LINEBREAK_MODE=legacy\nX=\"a\\nb\"", "a\nb"},
		{"X=\"-----BEGIN\nabc=\n-----END\"\nY=1", "-----BEGIN\nabc=\n-----END"},
		{"X=a\\ \\#b\\\\", "a #b\\"},
		{"X=a\\", "a\\"},
		{"X=\\$OUT", "$OUT"},
		{"X=$OUT", "outside"},
		{"X=${OUT}x", "outsidex"},
		{"X=a$", "a$"},
		{"X=$-", "$-"},
		{"X=${NOPE:-dflt}", "dflt"},
		{"X=${EMPTY:-dflt}", "dflt"},
		{"X=${NOPE:-}", ""},
		{"X=$EMPTY", ""},
		{"OUT=in\nX=$OUT", "in"},
		{"X=$OUT\nOUT=in", "outside"},
		{"OUT=${OUT}2\nX=$OUT", "outside2"},
		{"X=$NOPE", "error: f:1: secret 'X': variable 'NOPE' is not set"},
		{"\nX=$(false)", "error: f:2: secret 'X': the command ended with status 1"},
		{"X=$(nul)", "error: f:1: secret 'X': the command wrote a NUL byte"},
		{"X=$(cat a | tr b c)", "[cat a | tr b c]"},
		{"X=\"a $(echo \")\" ')' \\) $(b) # c) d\"", "a [echo \")\" ')' \\) $(b) # c] d"},
		{"X='$(no)'", "$(no)"},
		{"X=\\$(no)", "$(no)"},
		{"A=1\nB='2 3'\nX=$(f $A ${B} $A $OUT)", "[f $A ${B} $A $OUT|A=1|B=2 3]"},
		{"X=$(a\nb)", "[a\nb]"},
		{"Y=1\nX=$(a", "error: f:2: this '$(' is not closed by a ')'"},
		{"X=${a", "error: f:1: this '${' is neither '${NAME}' nor '${NAME:-default}'"},
		{"X=${}", "error: f:1: this '${' is neither '${NAME}' nor '${NAME:-default}'"},
		{"X='a\n\n", "error: f:1: this ' is not closed"},
		{"X=\"a\n\n", "error: f:1: this \" is not closed"},
		{"X='a' b", "error: f:1: text behind the closing quote"},
		{"A=1\n=2", "error: f:2: expected NAME=value"},
		{"Y=1", "error: secret 'X' is not in f"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FREE char *got = value_of(cases[i][0], strlen(cases[i][0]));
		assert_string_equal(got, cases[i][1]);
	}
	CLEANUP_FREE char *nul = value_of("Y=1\nX=a\0b", 9);
	assert_string_equal(nul, "error: f:2: a NUL byte");
}

static void only_what_is_asked_for_runs_and_once(void **state)
{
	struct world w = {0};
	struct dotenv_source source = {.run = fake_run, .variable = fake_variable, .ctx = &w};
	struct dotenv *d = dotenv_new();
	struct error err = {0};
	static const char text[] = "A=$(a)\nB=$(b)\nC=$A$A\n";

	assert_int_equal(dotenv_parse(d, "f", text, strlen(text), &err), 0);
	struct secret *c = dotenv_resolve(d, "C", &source, &err);
	struct secret *a = dotenv_resolve(d, "A", &source, &err);
	assert_string_equal(secret_reveal(c), "[a][a]");
	assert_int_equal(w.runs, 1);
	assert_true(dotenv_has(d, "B"));
	assert_string_equal(dotenv_name(d, 2), "C");
	assert_null(dotenv_name(d, 3));
	dotenv_free(d);
	assert_string_equal(secret_reveal(a), "[a]"); /* outlives the file */
	secret_unref(a);
	secret_unref(c);
}

static void sizes_are_bounded(void **state)
{
	struct error err = {0};
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);

	/* 100 KB is fine */
	str_add(&text, "X='");
	for (int i = 0; i < 100000; i++) {
		str_addc(&text, 'v');
	}
	str_addc(&text, '\'');
	CLEANUP_FREE char *big = value_of(text.p, text.len);
	assert_int_equal(strlen(big), 100000);

	/* each doubles the one before */
	str_reset(&text);
	str_add(&text, "A0=0123456789\n");
	for (int i = 1; i < 40; i++) {
		str_addf(&text, "A%d=$A%d$A%d\n", i, i - 1, i - 1);
	}
	str_add(&text, "X=$A39");
	CLEANUP_FREE char *laughs = value_of(text.p, text.len);
	assert_non_null(strstr(laughs, "larger than 1048576 bytes"));

	str_reset(&text);
	str_add(&text, "A0=1\n");
	for (int i = 1; i < 1000; i++) {
		str_addf(&text, "A%d=$A%d\n", i, i - 1);
	}
	str_add(&text, "X=$A999");
	CLEANUP_FREE char *deep = value_of(text.p, text.len);
	assert_non_null(strstr(deep, "references deep"));

	struct dotenv *d = dotenv_new();
	CLEANUP_FREE char *huge = xcalloc(DOTENV_MAX_FILE + 1, 1);
	assert_int_equal(dotenv_parse(d, "f", huge, DOTENV_MAX_FILE + 1, &err), -1);
	dotenv_free(d);
}

static void errors_never_carry_a_value(void **state)
{
	static const char *const cases[] = {"X='hunter2", "X=\"hunter2", "X='hunter2' hunter2",
		"X=hunter2$(", "Y=hunter2\nX=$Y$NOPE", "Y=hunter2\nX=$(false)", "hunter2 hunter2"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FREE char *got = value_of(cases[i], strlen(cases[i]));
		assert_memory_equal(got, "error: ", 7);
		assert_null(strstr(got, "hunter2"));
	}
}

static void every_prefix_parses_or_fails_cleanly(void **state)
{
	static const char text[] =
		"export A='x\ny' # c\nB=\"a\\n$A ${A:-d} $(f \"$A\" (b))\"\nX=\\$$B # d\n";

	for (size_t n = 0; n <= strlen(text); n++) {
		CLEANUP_FREE char *copy = xcalloc(n + 1, 1); /* exact size: for ASan */
		memcpy(copy, text, n);
		CLEANUP_FREE char *exact = xrealloc(copy, n ? n : 1);
		copy = NULL;
		CLEANUP_FREE char *got = value_of(exact, n);
		assert_non_null(got);
	}
}

static char dir[] = "/tmp/deploy-test-XXXXXX";

static int make_dir(void **state)
{
	return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const files[] = {".kamal/secrets", ".kamal/secrets-common",
		".kamal/secrets.prod", ".deploy/secrets", "f"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		unlink(files[i]);
	}
	rmdir(".kamal");
	rmdir(".deploy");
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	struct error err = {0};

	assert_int_equal(fs_write_atomic(path, text, strlen(text), mode, &err), 0);
}

static void files_that_others_can_read_hold_no_literals(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		const char *error;
	} cases[] = {
		{"X=1", 0600, NULL},
		{"X=1", 0400, NULL},
		{"A=$B\nX=1", 0644,
			"f:2: 'X' is in clear and other users can read this file (mode 0644)"},
		{"X=$(op read x)\nY=$Z\nE=", 0644, NULL},
		{"X=\"redis://db:6379/0\"", 0644, NULL},
		{"X=redis://:pass@db:6379/0", 0644,
			"f:1: 'X' is in clear and other users can read this file (mode 0644)"},
		{"X=https://hooks.example.com/T1", 0644,
			"f:1: 'X' is in clear and other users can read this file (mode 0644)"},
		{"X=$(op read x)", 0664, "f:1: other users can write this file (mode 0664)"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dotenv *d = dotenv_new();
		struct error err = {0};
		write_file("f", cases[i].text, cases[i].mode);
		int rc = dotenv_load(d, "f", &err);
		if (cases[i].error != NULL) {
			assert_int_equal(rc, -1);
			assert_string_equal(err.text, cases[i].error);
			assert_string_equal(err.hint, "chmod 600 f");
		} else {
			assert_int_equal(rc, 0);
		}
		dotenv_free(d);
	}
	struct dotenv *d = dotenv_new();
	struct error err = {0};
	assert_int_equal(dotenv_load(d, "nope", &err), -1);
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(dotenv_load(d, ".", &err), -1);
	assert_string_equal(err.text, "'.' is not a regular file");
	dotenv_free(d);
}

static char *default_value(const char *name, const char *destination)
{
	struct dotenv *d = dotenv_new();
	struct error err = {0};
	struct secret *s = NULL;

	if (dotenv_load_default(d, ".", destination, &err) == 0) {
		s = dotenv_resolve(d, name, NULL, &err);
	}
	char *text = xstrdup(s != NULL ? secret_reveal(s) : err.text);
	secret_unref(s);
	dotenv_free(d);
	return text;
}

static void default_files_are_laid_over_and_real_commands_run(void **state)
{
	CLEANUP_FREE char *none = default_value("A", NULL);
	assert_string_equal(none, "secret 'A': there is no secrets file");
	assert_int_equal(mkdir(".kamal", 0700), 0);
	write_file(".kamal/secrets-common", "A=common\nB=common\n", 0600);
	write_file(".kamal/secrets", "A=own\nC=$(printf '%s' \"$A:$B\" | tr a-z A-Z; echo; echo)\n",
		0600);
	write_file(".kamal/secrets.prod", "A=prod\nF=$(echo why >&2; exit 3)", 0600);
	CLEANUP_FREE char *own = default_value("A", NULL);
	CLEANUP_FREE char *common = default_value("B", NULL);
	CLEANUP_FREE char *command = default_value("C", NULL);
	CLEANUP_FREE char *prod = default_value("A", "prod");
	CLEANUP_FREE char *failed = default_value("F", "prod");
	CLEANUP_FREE char *not_mixed = default_value("C", "prod");
	assert_string_equal(own, "own");
	assert_string_equal(common, "common");
	assert_string_equal(command, "OWN:COMMON");
	assert_string_equal(prod, "prod");
	assert_string_equal(
		failed, ".kamal/secrets.prod:2: secret 'F': the command ended with status 3");
	assert_string_equal(
		not_mixed, "secret 'C' is not in .kamal/secrets-common and .kamal/secrets.prod");
	assert_int_equal(mkdir(".deploy", 0700), 0);
	write_file(".deploy/secrets", "A=deploy", 0600);
	CLEANUP_FREE char *deploy = default_value("A", NULL);
	assert_string_equal(deploy, "deploy");
	CLEANUP_FREE char *slash = default_value("A", "../x");
	assert_string_equal(slash, "destination '../x' has a '/'");
}

/* Its names are its own; it sees the secrets files, and they do not see it. */
static void env_files(void **state)
{
	CLEANUP_FREE char *folder = xstrdup("/tmp/deploy-env-file-XXXXXX");
	struct error err = {0};

	assert_non_null(mkdtemp(folder));
	CLEANUP_FREE char *path = fs_join(folder, ".env");
	static const char text[] = "A=file\nB=$A$C\nC=$C.\n";
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, &err), 0);

	struct dotenv *d = dotenv_new();
	assert_int_equal(dotenv_parse(d, "s", "A=secret\nC=see\n", 15, &err), 0);
	assert_int_equal(dotenv_load_env_file(d, path, ".env", &err), 0);
	assert_int_equal(dotenv_parse(d, "t", "D=$A\n", 5, &err), 0);
	static const char *const cases[][2] = {{"A", "secret"}, {".env:A", "file"},
		{".env:B", "filesee"}, {".env:C", "see."}, {"D", "secret"}};
	for (size_t i = 0; i < 5; i++) {
		struct secret *s = dotenv_resolve(d, cases[i][0], NULL, &err);
		assert_non_null(s);
		assert_string_equal(secret_reveal(s), cases[i][1]);
		secret_unref(s);
	}
	dotenv_free(d);
	assert_int_equal(chmod(path, 0644), 0);
	d = dotenv_new();
	assert_int_equal(dotenv_load_env_file(d, path, ".env", &err), -1);
	assert_non_null(strstr(err.text, "other users can read this file"));
	dotenv_free(d);
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(only_what_is_asked_for_runs_and_once),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(errors_never_carry_a_value),
		cmocka_unit_test(every_prefix_parses_or_fails_cleanly),
		cmocka_unit_test(files_that_others_can_read_hold_no_literals),
		cmocka_unit_test(default_files_are_laid_over_and_real_commands_run),
		cmocka_unit_test(env_files),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
