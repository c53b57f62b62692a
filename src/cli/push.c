/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

static const struct cli_option options[] = {
	{"skip-build", 's', CLI_FLAG, offsetof(struct push_options, skip_build), NULL,
		"build nothing: the image is in the registry, or in this Docker", 0, 0, 0},
	{"dry-run", 'n', CLI_FLAG, offsetof(struct push_options, dry_run), NULL,
		"only show what would be done, as 'deploy plan'", 0, 0, 0},
	{"force", 'f', CLI_FLAG, offsetof(struct push_options, force), NULL,
		"new containers even when this very release is live", 0, 0, 0},
	{"skip-hooks", 'H', CLI_FLAG, offsetof(struct push_options, skip_hooks), NULL,
		"run none of your hooks", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_push(struct cli *cli, struct error *err)
{
	return operation_push(cli->deployment, cli->options, err);
}

const struct command command_push = {
	.name = "push",
	.arguments = "",
	.summary = "build this commit and put it on the servers",
	.description =
		"Builds the image, sends the missing layers, runs the release command, starts\n"
		"the new containers beside the old ones, and moves the traffic when all of them\n"
		"are healthy on every server. A failure before that changes nothing; one after\n"
		"it is undone everywhere.",
	.options = options,
	.options_size = sizeof(struct push_options),
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.run = run_push,
};
