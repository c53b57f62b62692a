/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/operations.h"

static const struct cli_option options[] = {
	{"restore-snapshot", 0, CLI_FLAG, offsetof(struct rollback_options, restore_snapshot), NULL,
		"bring the data back to what that release left", 0, 0, 0},
	{"migrations", 0, CLI_FLAG, offsetof(struct rollback_options, migrations), NULL,
		"run the rollback command of the release left", 0, 0, 0},
	{"no-migrations", 0, CLI_FLAG, offsetof(struct rollback_options, no_migrations), NULL,
		"leave the schema as it is", 0, 0, 0},
	{"skip-hooks", 'H', CLI_FLAG, offsetof(struct rollback_options, skip_hooks), NULL,
		"run none of your hooks", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_rollback(struct cli *cli, struct error *err)
{
	struct rollback_options rollback = *(const struct rollback_options *)cli->options;

	if (cli->argc > 0 && cli->globals.version != NULL) {
		return error_set(
			err, ERROR_USAGE, "give the version once: '%s' or --version", cli->argv[0]);
	}
	if (rollback.migrations && rollback.no_migrations) {
		return error_set(
			err, ERROR_USAGE, "give --migrations or --no-migrations, not both");
	}
	rollback.version = cli->argc > 0 ? cli->argv[0] : cli->globals.version;
	return operation_rollback(cli->deployment, &rollback, err);
}

const struct command command_rollback = {
	.name = "rollback",
	.arguments = "[VERSION]",
	.summary = "bring back the previous good release",
	.description =
		"Without an argument: the release that was live before this one. VERSION is a\n"
		"version or a release number of 'deploy releases'. The release comes back as it\n"
		"was: image, environment, secrets, command, options. Nothing is built or\n"
		"pulled.",
	.options = options,
	.options_size = sizeof(struct rollback_options),
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.run = run_rollback,
};
