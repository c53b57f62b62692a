/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

static const struct cli_option options[] = {
	{"notify", 0, CLI_FLAG, offsetof(struct check_options, notify), NULL,
		"tell those of 'notify' what is wrong; for cron", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_check(struct cli *cli, struct error *err)
{
	return operation_check(cli->deployment, cli->options, err);
}

const struct command command_check = {
	.name = "check",
	.arguments = "",
	.summary = "say why a push would fail, and how to mend it",
	.description =
		"Looks at names, SSH, Docker and its version, disk, ports, clock, forwarding,\n"
		"architecture, secrets and certificates, and changes nothing. Exits with 5 when\n"
		"something has to be mended.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.options = options,
	.options_size = sizeof(struct check_options),
	.run = run_check,
};
