/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

struct maintenance_options {
	const char *message;
};

static const struct cli_option options[] = {
	{"message", 'm', CLI_TEXT, offsetof(struct maintenance_options, message), "TEXT",
		"what the page says", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_app_maintenance(struct cli *cli, struct error *err)
{
	const struct maintenance_options *maintenance = cli->options;

	return operation_app_maintenance(cli->deployment, maintenance->message, err);
}

const struct command command_app_maintenance = {
	.group = "app",
	.name = "maintenance",
	.arguments = "",
	.summary = "answer every request with a maintenance page",
	.description =
		"The proxy answers 503 with a page, until 'deploy app live'. The containers go\n"
		"on.",
	.options = options,
	.options_size = sizeof(struct maintenance_options),
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.run = run_app_maintenance,
};

const struct command command_app_live = {
	.group = "app",
	.name = "live",
	.arguments = "",
	.summary = "end the maintenance page",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.operation = operation_app_live,
};
