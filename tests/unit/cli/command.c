/* SPDX-License-Identifier: MIT */
/* The table of commands, how a line finds its command, and lines that need no server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/cli/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_options(const struct command *c)
{
	for (const struct cli_option *o = c->options; o != NULL && o->name != NULL; o++) {
		assert_true(o->offset < c->options_size);
		assert_null(cli_option_find(cli_global_options, o->name, strlen(o->name), '\0'));
		if (o->letter != '\0') {
			assert_null(cli_option_find(cli_global_options, NULL, 0, o->letter));
			assert_ptr_equal(cli_option_find(c->options, NULL, 0, o->letter), o);
		}
		assert_true(
			(o->value != NULL) == (cli_option_wants_value(o) || o->kind == CLI_WAIT));
	}
}

static void table_is_consistent(void **state)
{
	for (size_t i = 0; command_table[i] != NULL; i++) {
		const struct command *c = command_table[i];

		assert_int_equal(!!c->run + !!c->operation + !!c->on_accessory, 1);
		assert_true(strlen(c->summary) <= 52);
		assert_ptr_equal(command_find(c->group, c->name), c);
		assert_true(c->group == NULL || command_group_find(c->group) != NULL);
		assert_true(c->min_args <= c->max_args);
		check_options(c);
	}
}

/* What a line becomes: the command's path, its arguments, and the destination. */
static void lines_find_their_command(void **state)
{
	static const struct {
		const char *line; /* words between single blanks */
		const char *path, *arguments;
		const char *destination;
	} cases[] = {
		{"push", "push", "", NULL},
		{"-d staging push", "push", "", "staging"},
		{"push -d staging", "push", "", "staging"},
		{"push -dstaging -f", "push", "", "staging"},
		{"app -d x logs -f", "app logs", "", "x"},
		{"app logs -n 10 -d x", "app logs", "", "x"},
		{"releases", "releases", "", NULL},
		{"releases --json", "releases", "", NULL},
		{"releases show 3", "releases show", "3", NULL},
		{"releases diff 3 4", "releases diff", "3|4", NULL},
		{"rollback 7", "rollback", "7", NULL},
		{"exec ls -l -d x", "exec", "ls|-l|-d|x", NULL},
		{"exec -d y -- ls -l", "exec", "ls|-l", "y"},
		{"exec ls -- -l", "exec", "ls|--|-l", NULL},
		{"app exec -i --reuse bash -c x", "app exec", "bash|-c|x", NULL},
		{"app version", "app version", "", NULL},
		{"--version abc rollback", "rollback", "", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FREE char *copy = xstrdup(cases[i].line);
		CLEANUP_STR struct str joined = STR_INIT(STR_MAX_LINE);
		struct cli_words argv = {0};
		struct cli cli = {0};
		struct cli_parsed parsed = {0};
		struct error err = {0};
		char path[COMMAND_PATH_SIZE], *save = copy, *word;

		while ((word = strsep(&save, " ")) != NULL) {
			vec_push(&argv, word);
		}
		vec_push(&argv, NULL);
		assert_int_equal(cli_parse(&cli, argv.p, &parsed, &err), 0);
		assert_string_equal(command_path(cli.command, path), cases[i].path);
		for (size_t a = 0; a < cli.argc; a++) {
			str_addf(&joined, "%s%s", a > 0 ? "|" : "", cli.argv[a]);
		}
		assert_string_equal(str_c(&joined), cases[i].arguments);
		assert_true(str_eq(cli.globals.destination, cases[i].destination));
		cli_parsed_fini(&cli, &parsed);
		vec_fini(&argv);
	}
}

struct run {
	char *out, *err;
	int status;
};

static struct run run_line(const char *const *words)
{
	struct run run = {0};
	size_t out_len, err_len;
	FILE *out = open_memstream(&run.out, &out_len);
	FILE *err = open_memstream(&run.err, &err_len);
	struct strvec args = {0};
	VEC_TYPE(argv, char *) argv = {0};

	strvec_push(&args, "deploy");
	for (; *words != NULL; words++) {
		strvec_push(&args, *words);
	}
	VEC_FOREACH (&args, i) {
		vec_push(&argv, args.p[i]);
	}
	vec_push(&argv, NULL);
	run.status = cli_main((int)args.len, argv.p, out, err);
	fclose(out);
	fclose(err);
	strvec_fini(&args);
	vec_fini(&argv);
	return run;
}

static void run_fini(struct run *run)
{
	free(run->out);
	free(run->err);
}

static void usage_errors_exit_2_on_stderr(void **state)
{
	static const struct {
		const char *words[5];
		const char *text; /* somewhere on stderr */
	} cases[] = {
		{{NULL}, "no command given"},
		{{"--nonsense"}, "unknown option '--nonsense'"},
		{{"app"}, "'app' needs one more word"},
		{{"app", "lgos"}, "did you mean 'deploy app logs'?"},
		{{"push", "now"}, "does not take the argument 'now'"},
		{{"app", "exec"}, "needs an argument"},
		{{"releases", "diff", "1"}, "usage: deploy releases diff [options] N M"},
		{{"completion", "csh"}, "one of: bash, zsh, fish"},
		{{"help", "psuh"}, "did you mean 'deploy push'?"},
		{{"help", "app", "nothing"}, "unknown command 'app nothing'"},
		{{"push", "--lock-wait=x"}, "needs a number"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct run run = run_line(cases[i].words);

		assert_int_equal(run.status, 2);
		assert_string_equal(run.out, "");
		assert_non_null(strstr(run.err, cases[i].text));
		run_fini(&run);
	}
}

static void help_goes_to_stdout(void **state)
{
	static const char *const lines[][4] = {
		{"help"},
		{"--help"},
		{"-h"},
		{"help", "push"},
		{"push", "--help"},
		{"app", "-h"},
		{"help", "app", "logs"},
		{"app", "exec", "--help"},
		{"version"},
		{"--version"},
		{"-V"},
		{"completion", "bash"},
		{"releases", "diff", "--help"},
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct run run = run_line(lines[i]);

		assert_int_equal(run.status, 0);
		assert_string_equal(run.err, "");
		assert_true(strlen(run.out) > 0);
		run_fini(&run);
	}
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

/* In a folder of its own with a manifest whose aliases lead to help and to themselves. */
static void aliases_expand(void **state)
{
	static const struct {
		const char *words[3];
		int status;
		const char *out, *err;
	} cases[] = {
		{{"how"}, 0, "deploy app COMMAND", ""},
		{{"how", "logs"}, 0, "deploy app logs - ", ""},
		{{"again"}, 3, "", "leads back to itself"},
		{{"other"}, 2, "", "unknown command 'other'"},
	};
	char dir[] = "/tmp/deploy-alias-XXXXXX";
	char back[4096];

	assert_non_null(getcwd(back, sizeof(back)));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	write_text("deploy.yml", "service: x\nimage: x\nservers: [192.0.2.1]\n"
				 "proxy: {app_port: 80}\n"
				 "aliases: {how: \"help 'app'\", again: again -q}\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct run run = run_line(cases[i].words);

		assert_int_equal(run.status, cases[i].status);
		assert_non_null(strstr(run.out, cases[i].out));
		assert_non_null(strstr(run.err, cases[i].err));
		run_fini(&run);
	}
	unlink("deploy.yml");
	assert_int_equal(chdir(back), 0);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_consistent),
		cmocka_unit_test(lines_find_their_command),
		cmocka_unit_test(usage_errors_exit_2_on_stderr),
		cmocka_unit_test(help_goes_to_stdout),
		cmocka_unit_test(aliases_expand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
