/* SPDX-License-Identifier: MIT */
/* accessory logs, exec, console. */
#include "internal.h"

#include "logs.h"

#include <string.h>

static int run_accessory_logs(struct cli *cli, struct error *err)
{
	return operation_accessory_logs(cli->deployment, cli->argv[0], cli->options, err);
}

const struct command command_accessory_logs = {
	.group = "accessory",
	.name = "logs",
	.arguments = "NAME|all",
	.summary = "print its logs, in order of time",
	.description = "TIME is an age (30s, 10m, 2h, 3d) or a time (2026-01-31T08:00:00Z).",
	.options = cli_logs_options,
	.options_size = sizeof(struct logs_options),
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_accessory_logs,
};

static const struct cli_option options[] = {
	{"interactive", 'i', CLI_FLAG, offsetof(struct exec_options, interactive), NULL,
		"with a terminal, on one server", 0, 0, 0},
	{"primary", 'p', CLI_FLAG, offsetof(struct exec_options, primary), NULL,
		"only on the first server", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_accessory_exec(struct cli *cli, struct error *err)
{
	struct exec_options exec = *(const struct exec_options *)cli->options;
	CLEANUP_STRVEC struct strvec words = {0};
	struct cli_words argv = {0};

	/* "exec db -- psql" */
	size_t first = cli->argc > 2 && strcmp(cli->argv[1], "--") == 0 ? 2 : 1;
	if (cli_command_words(cli->argv + first, cli->argc - first, &words, err) < 0) {
		return -1;
	}
	VEC_FOREACH (&words, i) {
		vec_push(&argv, words.p[i]);
	}
	vec_push(&argv, NULL);
	exec.argv = argv.p;
	int status = operation_accessory_exec(
		cli->deployment, cli->argv[0], &exec, &cli->exit_status, err);
	vec_fini(&argv);
	return status;
}

const struct command command_accessory_exec = {
	.group = "accessory",
	.name = "exec",
	.arguments = "NAME COMMAND...",
	.summary = "run a command in its running container",
	.description = "Options of this tool come before NAME. There is no shell in between: for\n"
		       "pipes and variables, run sh -c '...'.",
	.options = options,
	.options_size = sizeof(struct exec_options),
	.min_args = 2,
	.max_args = CLI_MANY,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_WORDS,
	.run = run_accessory_exec,
};

static int run_accessory_console(struct cli *cli, struct error *err)
{
	return operation_accessory_console(cli->deployment, cli->argv[0], &cli->exit_status, err);
}

const struct command command_accessory_console = {
	.group = "accessory",
	.name = "console",
	.arguments = "NAME",
	.summary = "open the database's own client",
	.description = "psql, redis-cli, mysql or mariadb, by the image's name; else a shell. A\n"
		       "terminal on the first server that has it.",
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_accessory_console,
};
