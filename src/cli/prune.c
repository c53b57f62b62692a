/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

static int run_prune(struct cli *cli, struct error *err)
{
	return operation_prune(cli->deployment, err);
}

const struct command command_prune = {
	.name = "prune",
	.arguments = "",
	.summary = "remove old containers and images now",
	.description =
		"Keeps what is live and the last releases (retain_containers) for rollback. A\n"
		"push does the same at its end.",
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.run = run_prune,
};
