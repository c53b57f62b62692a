/* SPDX-License-Identifier: MIT */
#include "internal.h"

static int run_version(struct cli *cli, struct error *err)
{
	ui_print(cli->ui, "deploy %s", DEPLOY_VERSION);
	ui_json(cli->ui, json_pack("{s:s, s:s}", "result", "tool", "version", DEPLOY_VERSION));
	return 0;
}

const struct command command_version = {
	.name = "version",
	.arguments = "",
	.summary = "print the version of this tool",
	.description =
		"As 'deploy --version' and 'deploy -V'. The version that runs on the servers is\n"
		"shown by 'deploy app version'.",
	.run = run_version,
};
