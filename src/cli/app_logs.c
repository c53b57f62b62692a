/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "logs.h"

static int run_app_logs(struct cli *cli, struct error *err)
{
	return operation_app_logs(cli->deployment, cli->options, err);
}

const struct command command_app_logs = {
	.group = "app",
	.name = "logs",
	.arguments = "",
	.summary = "print the logs of all servers, in order of time",
	.description = "TIME is an age (30s, 10m, 2h, 3d) or a time (2026-01-31T08:00:00Z).",
	.options = cli_logs_options,
	.options_size = sizeof(struct logs_options),
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_app_logs,
};
