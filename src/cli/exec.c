/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

static int run_exec(struct cli *cli, struct error *err)
{
	return operation_exec(cli->deployment, cli->argv, &cli->exit_status, err);
}

const struct command command_exec = {
	.name = "exec",
	.arguments = "[--] COMMAND...",
	.summary = "run a command on the servers themselves",
	.description =
		"On all selected servers at once, by the shell of the SSH user; the output\n"
		"comes with the server's name in front. Exits with the first status that is not\n"
		"0.",
	.min_args = 1,
	.max_args = CLI_MANY,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_WORDS,
	.run = run_exec,
};
