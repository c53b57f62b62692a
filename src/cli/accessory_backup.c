/* SPDX-License-Identifier: MIT */
/* accessory backup, backups, restore. */
#include "internal.h"

#include "deploy/operations.h"

struct backup_options {
	bool verify;
};

static const struct cli_option backup_options[] = {
	{"verify", 0, CLI_FLAG, offsetof(struct backup_options, verify), NULL,
		"restore it into a scratch container, and count", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_accessory_backup(struct cli *cli, struct error *err)
{
	const struct backup_options *options = cli->options;

	return operation_accessory_backup(cli->deployment, cli->argv[0], options->verify, err);
}

const struct command command_accessory_backup = {
	.group = "accessory",
	.name = "backup",
	.arguments = "NAME|all",
	.summary = "back up a database",
	.options = backup_options,
	.options_size = sizeof(struct backup_options),
	.min_args = 1,
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.run = run_accessory_backup,
};

const struct command command_accessory_backups = {
	.group = "accessory",
	.name = "backups",
	.arguments = "[NAME|all]",
	.summary = "list backups, the newest first",
	.max_args = 1,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.on_accessory = operation_accessory_backups,
};

static const struct cli_option restore_options[] = {
	{"no-safety", 0, CLI_FLAG, offsetof(struct restore_options, no_safety), NULL,
		"do not back up what is there first", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static int run_accessory_restore(struct cli *cli, struct error *err)
{
	struct restore_options options = *(const struct restore_options *)cli->options;

	options.id = cli->argc > 1 ? cli->argv[1] : NULL;
	return operation_accessory_restore(cli->deployment, cli->argv[0], &options, err);
}

const struct command command_accessory_restore = {
	.group = "accessory",
	.name = "restore",
	.arguments = "NAME [BACKUP]",
	.summary = "put a backup in place of what is there",
	.description = "The newest, or the one that BACKUP begins. Asks first, reads the backup\n"
		       "whole, and backs up what is there.",
	.options = restore_options,
	.options_size = sizeof(struct restore_options),
	.min_args = 1,
	.max_args = 2,
	.needs = CLI_NEEDS_DEPLOYMENT,
	.flags = CLI_LOCKS,
	.run = run_accessory_restore,
};
