/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

struct build_options {
	bool push;
};

static const struct cli_option options[] = {
	{"push", 0, CLI_FLAG, offsetof(struct build_options, push), NULL,
		"push the image to the manifest's registry as well", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_build(struct cli *cli, struct error *err)
{
	const struct build_options *build = cli->options;

	return operation_build(cli->deployment, build->push, err);
}

const struct command command_build = {
	.name = "build",
	.arguments = "",
	.summary = "build and tag the image, and stop there",
	.description = "The context is the git tree of the version, not the work tree, unless the\n"
		       "manifest says 'context: .'. No server is touched.",
	.options = options,
	.options_size = sizeof(struct build_options),
	.needs = CLI_NEEDS_DEPLOYMENT,
	.run = run_build,
};
