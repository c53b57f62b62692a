/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

static const struct cli_option options[] = {
	{"install-docker", 0, CLI_FLAG, offsetof(struct push_options, install_docker), NULL,
		"install Docker where it is missing (Debian, Ubuntu)", 0, 0, 0},
	{"skip-build", 's', CLI_FLAG, offsetof(struct push_options, skip_build), NULL,
		"build nothing: the image is in the registry, or in this Docker", 0, 0, 0},
	{"skip-hooks", 'H', CLI_FLAG, offsetof(struct push_options, skip_hooks), NULL,
		"run none of your hooks", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_setup(struct cli *cli, struct error *err)
{
	struct push_options push = *(const struct push_options *)cli->options;

	push.setup = true;
	return operation_push(cli->deployment, &push, err);
}

const struct command command_setup = {
	.name = "setup",
	.arguments = "",
	.summary = "prepare new servers, then push",
	.description =
		"Looks for Docker on each server, makes the network and the proxy, then does\n"
		"what 'deploy push' does. Safe to run again.",
	.options = options,
	.options_size = sizeof(struct push_options),
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.run = run_setup,
};
