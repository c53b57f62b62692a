/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"
#include "manifest/syntax.h"

static const struct cli_option options[] = {
	{"interactive", 'i', CLI_FLAG, offsetof(struct exec_options, interactive), NULL,
		"with a terminal, on one server", 0, 0, 0},
	{"reuse", 0, CLI_FLAG, offsetof(struct exec_options, reuse), NULL,
		"in a container that runs, not in a fresh one", 0, 0, 0},
	{"primary", 'p', CLI_FLAG, offsetof(struct exec_options, primary), NULL,
		"only on the first server", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

int cli_command_words(const char *const *argv, size_t argc, struct strvec *words, struct error *err)
{
	if (argc == 1) {
		const char *wrong = syntax_words(argv[0], words);

		if (wrong != NULL || words->len == 0) {
			return error_set(err, ERROR_USAGE, "command '%.200s': %s", argv[0],
				wrong != NULL ? wrong : "it is empty");
		}
		return 0;
	}
	for (size_t i = 0; i < argc; i++) {
		strvec_push(words, argv[i]);
	}
	return 0;
}

static int run_app_exec(struct cli *cli, struct error *err)
{
	struct exec_options exec = *(const struct exec_options *)cli->options;
	CLEANUP_STRVEC struct strvec words = {0};
	struct cli_words argv = {0};
	int status;

	if (cli_command_words(cli->argv, cli->argc, &words, err) < 0) {
		return -1;
	}
	VEC_FOREACH (&words, i) {
		vec_push(&argv, words.p[i]);
	}
	vec_push(&argv, NULL);
	exec.argv = argv.p;
	status = operation_app_exec(cli->deployment, &exec, &cli->exit_status, err);
	vec_fini(&argv);
	return status;
}

const struct command command_app_exec = {
	.group = "app",
	.name = "exec",
	.arguments = "COMMAND...",
	.summary = "run a command in the application's image",
	.description =
		"By default in a fresh container of the live release, with its environment,\n"
		"once on each server. Options of this tool come before COMMAND. There is no\n"
		"shell in between: for pipes and variables, run sh -c '...'.",
	.options = options,
	.options_size = sizeof(struct exec_options),
	.min_args = 1,
	.max_args = CLI_MANY,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_WORDS,
	.run = run_app_exec,
};

static int run_app_console(struct cli *cli, struct error *err)
{
	/* bash where the image has it */
	static const char *const shell[] = {"sh", "-c",
		"if command -v bash >/dev/null 2>&1; then exec bash; fi; exec sh", NULL};
	struct exec_options exec = {
		.argv = shell, .interactive = true, .reuse = true, .primary = true};

	return operation_app_exec(cli->deployment, &exec, &cli->exit_status, err);
}

const struct command command_app_console = {
	.group = "app",
	.name = "console",
	.arguments = "",
	.summary = "open a shell in a running container",
	.description =
		"A terminal in the first container of the first server (or of --hosts,\n"
		"--roles). For another program: deploy app exec -i --reuse 'bin/rails console'.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_app_console,
};
