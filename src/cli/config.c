/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <string.h>

static int run_config(struct cli *cli, struct error *err)
{
	if (ui_is_json(cli->ui)) {
		json_t *config = config_to_json(cli->config);

		json_object_set_new(config, "result", json_string("manifest"));
		ui_json(cli->ui, config);
		return 0;
	}
	CLEANUP_FREE char *text = config_to_yaml(cli->config);

	ui_write(cli->ui, text, strlen(text));
	return 0;
}

const struct command command_config = {
	.name = "config",
	.arguments = "",
	.summary = "print the manifest as it is understood",
	.description =
		"With the destination laid over, variables expanded and defaults filled in.\n"
		"Secrets appear by name only.",
	.needs = CLI_NEEDS_MANIFEST,
	.run = run_config,
};
