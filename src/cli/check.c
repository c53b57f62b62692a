/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

static int run_check(struct cli *cli, struct error *err)
{
	return operation_check(cli->deployment, err);
}

const struct command command_check = {
	.name = "check",
	.arguments = "",
	.summary = "say why a push would fail, and how to mend it",
	.description =
		"Looks at names, SSH, Docker and its version, disk, ports, clock, forwarding,\n"
		"architecture, secrets and the certificate, and changes nothing. Exits with 5\n"
		"when a push would fail.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_check,
};
